"""Secrets of this device alone, sealed with its base key and never synchronised.

Source: transport.md, section 9.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.ids import IdMaker
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.derivation import DEVICE_SECRET_CONTEXT, derive_key
from enmeshed_connector.crypto.signatures import SignaturePrivateKey
from enmeshed_connector.crypto.stored_secrets import (
    DEVICE_SIGNATURE_KEY,
    IDENTITY_SIGNATURE_KEY,
    SHARED_BASE_KEY,
    SYNCHRONIZATION_KEY,
)
from enmeshed_connector.crypto.symmetric import SecretKey
from enmeshed_connector.storage import Store
from enmeshed_connector.transport.containers import (
    Sealable,
    SecretType,
    open_container,
    read_secret,
    seal_container,
)
from enmeshed_connector.transport.errors import SecretNotFound
from enmeshed_connector.transport.keys import KeyRing
from enmeshed_connector.transport.objects import ACCOUNT_INFO, DEVICE_SECRETS
from enmeshed_connector.transport.work import Work

S = TypeVar("S")

NEXT_CREDENTIALS = "_nextCredentials"
"""Ours: credentials that are about to become valid, kept until it is known which ones are."""
REGISTRATION_SECRET = "_registration"  # noqa: S105 - a name
"""Ours: the password of a device that is being registered and has no user name yet."""


class DeviceSecrets:
    """Reads and writes the map `DeviceSecrets` of one device."""

    def __init__(self, base_key: SecretKey, *, ids: IdMaker, random: Callable[[int], bytes]) -> None:
        """Takes the device's base key, which lies in `AccountInfo`."""
        self._key = derive_key(base_key, 1, DEVICE_SECRET_CONTEXT)
        self._base_key = base_key
        self._ids = ids
        self._random = random

    def write(self, work: Work, name: str, secret: Sealable | Mapping[str, Any]) -> None:
        """Stores a secret under a name with the work's commit."""
        container = seal_container(self._key, name, secret, ids=self._ids, random=self._random, now=work.now)
        work.write_entry(DEVICE_SECRETS, name, container)

    async def find(self, store: Store, name: str, secret_type: SecretType[S]) -> S | None:
        """Returns a secret, None when there is none.

        Raises:
            WrongSecretType: It is of another kind.
            DecryptionFailed: It was sealed with another base key.
        """
        members = await self._open(store, name)
        return None if members is None else read_secret(members, secret_type)

    async def load(self, store: Store, name: str, secret_type: SecretType[S]) -> S:
        """Returns a secret that must be there.

        Raises:
            SecretNotFound: It is not.
        """
        secret = await self.find(store, name, secret_type)
        if secret is None:
            raise SecretNotFound(f"The device secret {name} is missing.", facts={"name": name})
        return secret

    def write_password(self, work: Work, password: SecretText) -> None:
        """Stores the password of a device that has no user name yet."""
        self.write(work, REGISTRATION_SECRET, {"password": password.reveal_text()})

    async def password(self, store: Store) -> SecretText:
        """Returns the password of a device that has no user name yet.

        Raises:
            SecretNotFound: There is none.
        """
        members = await self._open(store, REGISTRATION_SECRET)
        if members is None:
            raise SecretNotFound("The password of the registration is missing.")
        return SecretText(members["password"])

    async def key_ring(self, store: Store) -> KeyRing:
        """Returns all keys of this device.

        Raises:
            SecretNotFound: One that every device has is missing.
        """
        return KeyRing(
            device_base=self._base_key,
            device=await self.load(store, DEVICE_SIGNATURE_KEY, SignaturePrivateKey),
            identity=await self.find(store, IDENTITY_SIGNATURE_KEY, SignaturePrivateKey),
            shared_base=await self.load(store, SHARED_BASE_KEY, SecretKey),
            synchronisation=await self.load(store, SYNCHRONIZATION_KEY, SecretKey),
        )

    async def _open(self, store: Store, name: str) -> JsonObject | None:
        entry = await store.get(DEVICE_SECRETS, name)
        if entry is None or entry.get("value") is None:
            return None
        return open_container(self._key, entry["value"])


def write_key_ring(secrets: DeviceSecrets, keys: KeyRing, work: Work) -> None:
    """Stores all keys of a device, the base key in clear as official devices do."""
    work.write_entry(ACCOUNT_INFO, "baseKey", keys.device_base.to_json())
    secrets.write(work, SHARED_BASE_KEY, keys.shared_base)
    secrets.write(work, SYNCHRONIZATION_KEY, keys.synchronisation)
    secrets.write(work, DEVICE_SIGNATURE_KEY, keys.device)
    if keys.identity is not None:
        secrets.write(work, IDENTITY_SIGNATURE_KEY, keys.identity)
