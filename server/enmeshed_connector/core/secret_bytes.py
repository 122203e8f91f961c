"""Bytes and texts that must not be shown: keys, passwords and whatever opens something."""

from __future__ import annotations

import hmac
from typing import NoReturn

REDACTED = "<redacted>"
"""What stands for every secret in any text."""


class SecretBytes:
    """Bytes that print as `<redacted>`, compare in constant time and cannot be pickled or used as a key of a mapping.

    The bytes come out only through `reveal`, so that a search for that word finds every place that handles them.
    """

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = bytes(data)

    def reveal(self) -> bytes:
        """Returns the bytes themselves, for a computation and never for a text."""
        return self._data

    def __len__(self) -> int:
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretBytes):
            return NotImplemented
        return hmac.compare_digest(self._data, other._data)

    # A hash would be a function of the secret that ends up in tables and timings.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return REDACTED

    def __format__(self, format_spec: str) -> str:
        return REDACTED

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")

    def __copy__(self) -> SecretBytes:
        return self

    def __deepcopy__(self, memo: object) -> SecretBytes:
        return self


class SecretText(SecretBytes):
    """A secret text, such as a password; holds its UTF-8 bytes."""

    __slots__ = ()

    def __init__(self, text: str) -> None:
        super().__init__(text.encode("utf-8", "surrogatepass"))

    def reveal_text(self) -> str:
        """Returns the text itself."""
        return self._data.decode("utf-8", "surrogatepass")
