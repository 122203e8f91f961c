"""Access tokens: JSON Web Tokens signed with HMAC-SHA-256 by a key that only this server has.

Source: specification of the Consumer API, §3; RFC 7515 and RFC 7519.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

import orjson

from . import binary

_HEADER = binary.encode(b'{"alg":"HS256","typ":"at+jwt"}')
KEY_BYTES = 32
MAX_TOKEN_LENGTH = 4096


@dataclass(frozen=True)
class Caller:
    """The device that a request comes from, as its access token names it.

    The token is valid until it expires, also when the device or the identity is gone by then.
    """

    address: str
    device_id: str
    username: str
    user_id: str
    client_id: str


class TokenSigner:
    """Issues access tokens and reads its own."""

    def __init__(self, key: bytes, issuer: str) -> None:
        self._key = key
        self._issuer = issuer

    def issue(self, caller: Caller, *, now_ms: int, lifetime_seconds: int, token_id: str) -> str:
        """Returns a token that is valid from now on for its lifetime."""
        claims = {
            "iss": self._issuer,
            "sub": caller.user_id,
            "name": caller.username,
            "nmshd_address": caller.address,
            "address": caller.address,
            "device_id": caller.device_id,
            "client_id": caller.client_id,
            "jti": token_id,
            "iat": now_ms // 1000,
            "exp": now_ms // 1000 + lifetime_seconds,
        }
        signed = f"{_HEADER}.{binary.encode(orjson.dumps(claims))}"
        return f"{signed}.{binary.encode(self._signature(signed))}"

    def read(self, token: str, *, now_ms: int) -> Caller | None:
        """Returns who the token was issued to, or None when it is altered, expired or not a token of this server."""
        signed, _, signature = token.rpartition(".")
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii() or not signed.startswith(_HEADER + "."):
            return None
        if not hmac.compare_digest(binary.encode(self._signature(signed)), signature):
            return None
        # From here on the token is one of ours, so its claims have their shape.
        claims: dict[str, Any] = orjson.loads(binary.decode(signed[len(_HEADER) + 1 :]))
        if claims["exp"] * 1000 <= now_ms:
            return None
        return Caller(
            address=claims["nmshd_address"],
            device_id=claims["device_id"],
            username=claims["name"],
            user_id=claims["sub"],
            client_id=claims["client_id"],
        )

    def _signature(self, signed: str) -> bytes:
        return hmac.digest(self._key, signed.encode("ascii"), hashlib.sha256)
