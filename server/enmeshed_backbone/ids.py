"""Ids as the Backbone gives them out: three capitals and seventeen letters or digits."""

from __future__ import annotations

import re
from collections.abc import Callable

RandomSource = Callable[[int], bytes]
"""Gives that many unpredictable bytes."""

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_ERROR_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ123456789"
_OWNERSHIP_ALPHABET = _ALPHABET + "!@#$%^&*()_-+=<>?/{}[]|~"
_ID_LENGTH = 20
_TAIL = re.compile(r"[A-Za-z0-9]*\Z")


class IdMaker:
    """Makes ids and other random texts from one source of randomness."""

    def __init__(self, random: RandomSource) -> None:
        self._random = random

    def text(self, length: int, alphabet: str = _ALPHABET) -> str:
        """Returns random characters, each of the alphabet equally likely."""
        limit = 256 - 256 % len(alphabet)
        picked: list[str] = []
        while len(picked) < length:
            # Bytes at or past the last whole multiple are thrown away: a bare modulo would prefer the first characters.
            picked += [alphabet[byte % len(alphabet)] for byte in self._random(length * 2) if byte < limit]
        return "".join(picked[:length])

    def make(self, prefix: str) -> str:
        """Returns a new id of 20 characters that starts with the prefix."""
        return prefix + self.text(_ID_LENGTH - len(prefix))

    def error_id(self) -> str:
        """Returns `ERR` and 17 characters that cannot be mistaken for each other when read aloud."""
        return "ERR" + self.text(17, _ERROR_ALPHABET)

    def ownership_token(self) -> str:
        """Returns the 20 characters of a file's ownership token."""
        return self.text(20, _OWNERSHIP_ALPHABET)

    def guid(self) -> str:
        """Returns a random UUID, version 4."""
        raw = bytearray(self._random(16))
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        text = raw.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_id(prefix: str, text: str) -> bool:
    """Returns whether the text may be an id of that kind; a too short one may, and is then not found.

    Source: specification of the Consumer API, §1.4.
    """
    return text.startswith(prefix) and len(text) <= _ID_LENGTH and _TAIL.match(text, len(prefix)) is not None


def is_whole_id(prefix: str, text: str) -> bool:
    """Returns whether the text is an id of that kind with all of its 20 characters."""
    return len(text) == _ID_LENGTH and is_id(prefix, text)


def is_ownership_token(text: str) -> bool:
    """Returns whether the text has 1 to 20 characters, all of the alphabet of ownership tokens."""
    return 0 < len(text) <= 20 and all(character in _OWNERSHIP_ALPHABET for character in text)
