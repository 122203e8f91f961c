"""Secret containers: how keys lie in the database.

Source: transport.md, section 9; crypto.md, section 7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from enmeshed_connector.core.canonical_json import Json, JsonObject, dumps, loads_object
from enmeshed_connector.core.encodings import from_utf8, to_utf8
from enmeshed_connector.core.ids import SECRET_CONTAINER, IdMaker
from enmeshed_connector.crypto.stored_secrets import SecretContainer
from enmeshed_connector.crypto.symmetric import Cipher, SecretKey, decrypt, encrypt
from enmeshed_connector.transport.errors import WrongSecretType
from enmeshed_connector.transport.objects import Document

S_co = TypeVar("S_co", covariant=True)
S = TypeVar("S")


class SecretType(Protocol[S_co]):
    """A class of secrets: any container class of the crypto room is one."""

    type_name: str

    @classmethod
    def from_json(cls, value: Json, field: str | None = None) -> S_co:
        """Returns the secret that JSON members describe."""


class Sealable(Protocol):
    """A secret that can be put into a container: any container object of the crypto room is one."""

    def to_json(self, *, verbose: bool = True) -> JsonObject:
        """Returns the JSON members, with `@type` when verbose."""


def seal_container(
    key: SecretKey,
    name: str,
    secret: Sealable | Mapping[str, Any],
    *,
    ids: IdMaker,
    random: Callable[[int], bytes],
    now: str,
    nonce: int | None = None,
) -> Document:
    """Returns the active container (SecretContainerCipher) of a secret.

    Args:
        key: The key of this container, derived from its nonce where it has one.
        name: What the secret is looked up by.
        secret: The secret, or its verbose JSON.
        ids: Makes the container's id.
        random: Where the cipher's nonce comes from.
        now: When it was made, as the network writes it.
        nonce: The number the key was derived with; None for device secrets.
    """
    plain = dict(secret) if isinstance(secret, Mapping) else secret.to_json()
    return SecretContainer(
        ids.new(SECRET_CONTAINER),
        name,
        encrypt(key, to_utf8(dumps(plain)), random=random),
        created_at=now,
        valid_from=now,
        description="",
        nonce=nonce,
    ).to_json()


def open_container(key: SecretKey, container: Mapping[str, Any]) -> JsonObject:
    """Returns the verbose JSON of the secret in a container.

    Raises:
        MalformedValue: The container or what is in it has not the right shape.
        DecryptionFailed: The key does not fit.
    """
    plain = decrypt(key, Cipher.from_json(container.get("cipher"), "cipher"))
    return loads_object(from_utf8(plain, "secret"), field="secret")


def read_secret(members: JsonObject, *types: SecretType[S]) -> S:
    """Returns the secret as one of the types, chosen by its `@type`.

    Raises:
        WrongSecretType: It is of none of them.
        MalformedValue: A member is missing or wrong.
    """
    for secret_type in types:
        if members.get("@type") == secret_type.type_name:
            return secret_type.from_json(members, "secret")
    raise WrongSecretType("A stored secret is of another kind than expected.")
