"""The proof that a client holds the key of an identity: a challenge, signed. Made here independently of the Connector.

Source: specification of the Consumer API, §4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from .http import binary

_KEY_BYTES = 32
_SIGNATURE_BYTES = 64


class UnreadableProof(Exception):
    """A key, a signature or a challenge does not have its form. Nothing was checked."""


@dataclass(frozen=True)
class SignedChallenge:
    """What a client sends: the challenge as text and the signature over exactly its UTF-8 bytes."""

    challenge: str
    signature: bytes
    """The UTF-8 JSON of the signature object."""

    @property
    def challenge_id(self) -> str:
        """The id in the challenge.

        Raises:
            UnreadableProof: The challenge is no JSON object with an id.
        """
        return _text_member(_object(self.challenge.encode("utf-8", "replace")), "id")

    def is_signed_with(self, public_key: bytes) -> bool:
        """Returns whether the signature was made with the private half of the key over exactly this challenge.

        Args:
            public_key: The raw 32 bytes.

        Raises:
            UnreadableProof: The signature object cannot be read.
        """
        signature = _bytes_member(_object(self.signature), "sig", None)
        if len(signature) != _SIGNATURE_BYTES:
            return False
        try:
            VerifyKey(public_key).verify(self.challenge.encode("utf-8", "surrogatepass"), signature)
        except BadSignatureError:
            return False
        return True


def read_public_key(raw: bytes) -> bytes:
    """Returns the raw 32 bytes of a public key object `{"pub": …, "alg": 3}`.

    Raises:
        UnreadableProof: It is none.
    """
    return _bytes_member(_object(raw), "pub", _KEY_BYTES)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise UnreadableProof("It is not JSON.") from None
    if not isinstance(value, dict):
        raise UnreadableProof("It is no JSON object.")
    return {name.lower(): member for name, member in value.items()}


def _text_member(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise UnreadableProof(f"{name} is missing.")
    return value


def _bytes_member(members: dict[str, Any], name: str, size: int | None) -> bytes:
    algorithm = members.get("alg", 0)
    if isinstance(algorithm, bool) or not isinstance(algorithm, int):
        raise UnreadableProof("alg must be a number.")
    try:
        value = binary.decode(_text_member(members, name))
    except ValueError:
        raise UnreadableProof(f"{name} is not base64url.") from None
    if size is not None and len(value) != size:
        raise UnreadableProof(f"{name} does not have {size} bytes.")
    return value
