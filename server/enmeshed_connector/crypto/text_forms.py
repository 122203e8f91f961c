"""Text forms of bytes that the network knows and hardly uses: base58, PEM, CSV, Latin-1. `spec/crypto.md` section 1."""

from __future__ import annotations

from enmeshed_connector.core.encodings import to_base64
from enmeshed_connector.core.malformed import TooLarge, WrongAlphabet, WrongForm

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUES = {character: value for value, character in enumerate(_BASE58)}
_PEM_COLUMNS = 64
_PEM_LABELS = ("PUBLIC KEY", "PRIVATE KEY")

MAX_BASE58_BYTES = 1024
"""The work for base58 grows with the square of the size, so that this bounds it."""


def to_base58(data: bytes) -> str:
    """Returns the base58 text with Bitcoin's alphabet; one `1` per leading zero byte.

    Raises:
        TooLarge: There are over 1024 bytes.
    """
    if len(data) > MAX_BASE58_BYTES:
        raise TooLarge("base58", f"is over {MAX_BASE58_BYTES} bytes")
    zeros = len(data) - len(data.lstrip(b"\0"))
    number = int.from_bytes(data, "big")
    digits: list[str] = []
    while number:
        number, value = divmod(number, 58)
        digits.append(_BASE58[value])
    return "1" * zeros + "".join(reversed(digits))


def from_base58(text: str, field: str = "base58") -> bytes:
    """Returns the bytes of a base58 text.

    Raises:
        TooLarge: The text is over what 1024 bytes give.
        WrongAlphabet: A character is not of base58.
    """
    if len(text) > MAX_BASE58_BYTES * 138 // 100:
        raise TooLarge(field, f"is over {MAX_BASE58_BYTES} bytes")
    number = 0
    for character in text:
        value = _BASE58_VALUES.get(character)
        if value is None:
            raise WrongAlphabet(field, "must be base58; a character is not of it")
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def to_pem(data: bytes, label: str) -> str:
    """Returns the raw bytes of a key (not DER) in PEM armour with CRLF line ends.

    Args:
        data: The bytes.
        label: `PUBLIC KEY` or `PRIVATE KEY`.

    Raises:
        WrongForm: The label is another.
    """
    if label not in _PEM_LABELS:
        raise WrongForm("label", "must be PUBLIC KEY or PRIVATE KEY")
    text = to_base64(data)
    lines = [text[start : start + _PEM_COLUMNS] for start in range(0, len(text), _PEM_COLUMNS)]
    return "\r\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def to_csv(data: bytes) -> str:
    """Returns the bytes as decimal numbers with commas between."""
    return ",".join(map(str, data))


def to_latin1(data: bytes) -> str:
    """Returns a text with one character of U+0000 to U+00FF per byte."""
    return data.decode("latin-1")
