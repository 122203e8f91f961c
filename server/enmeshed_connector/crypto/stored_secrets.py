"""Secrets at rest and on their way between devices. Source: `spec/crypto.md` section 7, `spec/transport.md` section 9.

Device secrets stay on one device under a key from its base key; synchronised secrets reach all devices through the
datawallet under a key from the shared base key. The plaintext of both is the verbose JSON of the secret.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.canonical_json import JsonObject, loads_object
from enmeshed_connector.core.encodings import from_utf8
from enmeshed_connector.core.ids import DEVICE, SECRET_CONTAINER, DeviceId, SecretContainerId, parse_id
from enmeshed_connector.core.malformed import NumberOutOfRange, WrongType
from enmeshed_connector.core.secret_bytes import SecretText

from ._container import Container, RandomSource, member, read_integer, read_optional_text, read_text, required
from .derivation import DEVICE_SECRET_CONTEXT, MAX_KEY_ID, SYNCHRONISED_SECRET_CONTEXT, derive_key
from .errors import UnknownSecretType
from .exchange import ExchangeKeypair
from .identities import IdentityKey
from .relationship_secrets import RelationshipSecrets, RequestSecrets
from .signatures import SignatureKeypair, SignaturePrivateKey
from .symmetric import Cipher, SecretKey, decrypt, encrypt

SHARED_BASE_KEY = "shared_basekey"
SYNCHRONIZATION_KEY = "identity_synchronization_master"
IDENTITY_SIGNATURE_KEY = "identity_signature"
DEVICE_SIGNATURE_KEY = "device_signature"
DEVICE_CREDENTIALS = "device_credentials"
"""The names of the device secrets."""


@dataclass(frozen=True, slots=True)
class DeviceCredentials(Container):
    """What a device logs in with."""

    type_name: ClassVar[str] = "DeviceSecretCredentials"
    type_comes_first: ClassVar[bool] = True

    id: DeviceId
    password: SecretText
    username: str

    def _members(self) -> JsonObject:
        return {"id": self.id, "password": self.password.reveal_text(), "username": self.username}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> DeviceCredentials:
        return cls(
            parse_id(DEVICE, read_text(members, "id", "id", field), f"{field}.id"),
            SecretText(read_text(members, "password", "password", field)),
            read_text(members, "username", "username", field),
        )


Secret: TypeAlias = (
    SecretKey
    | SignaturePrivateKey
    | SignatureKeypair
    | ExchangeKeypair
    | RequestSecrets
    | RelationshipSecrets
    | DeviceCredentials
)
"""Whatever is kept as a secret."""

_SECRET_TYPES: dict[str, type[Secret]] = {
    kind.type_name: kind
    for kind in (
        SecretKey,
        SignaturePrivateKey,
        SignatureKeypair,
        ExchangeKeypair,
        RequestSecrets,
        RelationshipSecrets,
        DeviceCredentials,
    )
}


def parse_secret(text: str, field: str = "secret") -> Secret:
    """Returns the secret that a verbose JSON text describes, by its `@type`.

    Raises:
        UnknownSecretType: The `@type` is none of a secret.
        MalformedValue: A member is missing or wrong.
    """
    members = loads_object(text, field=field, max_bytes=SecretKey.max_text_bytes)
    name = members.get("@type")
    kind = _SECRET_TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UnknownSecretType(f"{field}.@type", "is no kind of secret")
    return kind.from_json(members, field)


def seal_device_secret(
    device_base_key: SecretKey, secret: Secret, *, nonce: bytes | None = None, random: RandomSource = os.urandom
) -> Cipher:
    """Returns a secret encrypted for the local database of this device."""
    return encrypt(_device_key(device_base_key), secret.to_text().encode("utf-8"), nonce=nonce, random=random)


def open_device_secret_text(device_base_key: SecretKey, cipher: Cipher) -> str:
    """Returns the JSON text of a device secret.

    Raises:
        MissingValue: The cipher has a counter instead of a nonce.
        DecryptionFailed: It was sealed with another key, or altered.
    """
    return from_utf8(decrypt(_device_key(device_base_key), cipher), "secret")


def open_device_secret(device_base_key: SecretKey, cipher: Cipher) -> Secret:
    """Returns a secret from the local database of this device.

    Raises:
        DecryptionFailed: It was sealed with another key, or altered.
        MalformedValue: It is no secret.
    """
    return parse_secret(open_device_secret_text(device_base_key, cipher))


def seal_synchronised_secret(
    shared_base_key: SecretKey,
    secret: Secret,
    number: int,
    *,
    nonce: bytes | None = None,
    random: RandomSource = os.urandom,
) -> Cipher:
    """Returns a secret encrypted for all devices of the identity.

    Args:
        shared_base_key: The identity's shared base key.
        secret: The secret.
        number: What the container holds as `nonce`: counts up on each device, 0 to 2147483647.
        nonce: For replays of recorded exchanges; drawn when absent.
        random: Where the nonce comes from.
    """
    key = _synchronised_key(shared_base_key, number)
    return encrypt(key, secret.to_text().encode("utf-8"), nonce=nonce, random=random)


def open_synchronised_secret_text(shared_base_key: SecretKey, cipher: Cipher, number: int | None) -> str:
    """Returns the JSON text of a synchronised secret; a missing number counts as 0.

    Raises:
        MissingValue: The cipher has a counter instead of a nonce.
        DecryptionFailed: It was sealed with another key or number, or altered.
    """
    return from_utf8(decrypt(_synchronised_key(shared_base_key, number or 0), cipher), "secret")


def open_synchronised_secret(shared_base_key: SecretKey, cipher: Cipher, number: int | None) -> Secret:
    """Returns a secret that all devices of the identity share; a missing number counts as 0.

    Raises:
        DecryptionFailed: It was sealed with another key or number, or altered.
        MalformedValue: It is no secret.
    """
    return parse_secret(open_synchronised_secret_text(shared_base_key, cipher, number))


@dataclass(frozen=True, slots=True)
class SecretContainer(Container):
    """An encrypted secret as it is stored, among device secrets or synchronised ones."""

    type_name: ClassVar[str] = "SecretContainerCipher"
    type_comes_first: ClassVar[bool] = True

    id: SecretContainerId
    name: str
    cipher: Cipher
    created_at: str
    """A date of the network, as text."""
    valid_from: str
    active: bool = True
    description: str | None = None
    valid_to: str | None = None
    nonce: int | None = None
    """The number that the key of a synchronised secret derives from; missing counts as 0."""

    def _members(self) -> JsonObject:
        members: JsonObject = {
            "active": self.active,
            "cipher": self.cipher.to_json(verbose=False),
            "createdAt": self.created_at,
            "description": self.description,
            "id": self.id,
            "name": self.name,
            "nonce": self.nonce,
            "validFrom": self.valid_from,
            "validTo": self.valid_to,
        }
        return {name: value for name, value in members.items() if value is not None}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> SecretContainer:
        active = required(members, "active", "active", field)
        if not isinstance(active, bool):
            raise WrongType(f"{field}.active", "must be true or false")
        number = None if members.get("nonce") is None else read_integer(members, "nonce", "nonce", field)
        if number is not None and not 0 <= number <= MAX_KEY_ID:
            raise NumberOutOfRange(f"{field}.nonce", f"must be 0 to {MAX_KEY_ID}")
        return cls(
            parse_id(SECRET_CONTAINER, read_text(members, "id", "id", field), f"{field}.id"),
            read_text(members, "name", "name", field),
            Cipher.from_json(required(members, "cipher", "cipher", field), f"{field}.cipher"),
            read_text(members, "createdAt", "createdAt", field),
            read_text(members, "validFrom", "validFrom", field),
            active,
            read_optional_text(members, "description", field),
            read_optional_text(members, "validTo", field),
            number,
        )


@dataclass(frozen=True, slots=True)
class DeviceSharedSecret(Container):
    """What a new device gets from an existing one; the content of an onboarding token or a recovery kit."""

    type_name: ClassVar[str] = "DeviceSharedSecret"
    type_comes_first: ClassVar[bool] = True

    id: DeviceId
    created_at: str
    """A date of the network, as text."""
    created_by_device: DeviceId
    device_index: int
    """The number of devices known when it was made."""
    identity: IdentityKey
    secret_base_key: SecretKey
    """The shared base key."""
    synchronization_key: SecretKey
    username: str
    password: SecretText
    """The initial password, changed by the new device after its first login."""
    identity_private_key: SignaturePrivateKey | None = None
    """Only for devices that may administer the identity."""
    is_backup_device: bool = False
    name: str | None = None
    description: str | None = None
    profile_name: str | None = None

    @property
    def address(self) -> Address:
        """The identity's address."""
        return self.identity.address

    def _members(self) -> JsonObject:
        private_key = self.identity_private_key
        members: JsonObject = {
            "createdAt": self.created_at,
            "createdByDevice": self.created_by_device,
            "description": self.description,
            "deviceIndex": self.device_index,
            "id": self.id,
            "identity": self.identity.to_json(verbose=False),
            "identityPrivateKey": None if private_key is None else private_key.to_json(verbose=False),
            "isBackupDevice": self.is_backup_device,
            "name": self.name,
            "password": self.password.reveal_text(),
            "profileName": self.profile_name,
            "secretBaseKey": self.secret_base_key.to_json(verbose=False),
            "synchronizationKey": self.synchronization_key.to_json(verbose=False),
            "username": self.username,
        }
        return {name: value for name, value in members.items() if value is not None}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> DeviceSharedSecret:
        is_backup = members.get("isBackupDevice", False)
        if not isinstance(is_backup, bool):
            raise WrongType(f"{field}.isBackupDevice", "must be true or false")
        index = read_integer(members, "deviceIndex", "deviceIndex", field)
        if not 0 <= index <= MAX_KEY_ID // 1_000_000:
            raise NumberOutOfRange(f"{field}.deviceIndex", f"must be 0 to {MAX_KEY_ID // 1_000_000}")
        private_key = member(members, "identityPrivateKey", "identityPrivateKey")
        created_by = read_text(members, "createdByDevice", "createdByDevice", field)
        base_key = required(members, "secretBaseKey", "secretBaseKey", field)
        synchronization_key = required(members, "synchronizationKey", "synchronizationKey", field)
        return cls(
            id=parse_id(DEVICE, read_text(members, "id", "id", field), f"{field}.id"),
            created_at=read_text(members, "createdAt", "createdAt", field),
            created_by_device=parse_id(DEVICE, created_by, f"{field}.createdByDevice"),
            device_index=index,
            identity=IdentityKey.from_json(required(members, "identity", "identity", field), f"{field}.identity"),
            secret_base_key=SecretKey.from_json(base_key, f"{field}.secretBaseKey"),
            synchronization_key=SecretKey.from_json(synchronization_key, f"{field}.synchronizationKey"),
            username=read_text(members, "username", "username", field),
            password=SecretText(read_text(members, "password", "password", field)),
            identity_private_key=None
            if private_key is None
            else SignaturePrivateKey.from_json(private_key, f"{field}.identityPrivateKey"),
            is_backup_device=is_backup,
            name=read_optional_text(members, "name", field),
            description=read_optional_text(members, "description", field),
            profile_name=read_optional_text(members, "profileName", field),
        )


def _device_key(device_base_key: SecretKey) -> SecretKey:
    return derive_key(device_base_key, 1, DEVICE_SECRET_CONTEXT)


def _synchronised_key(shared_base_key: SecretKey, number: int) -> SecretKey:
    return derive_key(shared_base_key, number, SYNCHRONISED_SECRET_CONTEXT)
