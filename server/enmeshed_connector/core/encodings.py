"""Strict text encodings of bytes: base64url without padding, padded base64, hexadecimal, UTF-8.

Each decoder takes exactly one text for each byte string, the one its encoder writes, and raises a `MalformedValue`
that names the field for all others (`spec/crypto.md` section 1). Work is linear in the input.
"""

from __future__ import annotations

import binascii
import re

from .malformed import MalformedText, TrailingBits, WrongAlphabet, WrongLength, WrongPadding, WrongType

_URL_TO_STANDARD = bytes.maketrans(b"-_+/", b"+/\x00\x00")
_STANDARD_TO_URL = bytes.maketrans(b"+/", b"-_")
_BASE64_BODY = re.compile(r"[A-Za-z0-9+/]*\Z")
_BASE64URL_BODY = re.compile(r"[A-Za-z0-9_-]*\Z")
_HEX = re.compile(r"[0-9A-Fa-f]*\Z")


def to_base64url(data: bytes) -> str:
    """Returns the base64url text without padding; the form of every buffer inside the network's JSON."""
    return binascii.b2a_base64(data, newline=False).translate(_STANDARD_TO_URL, b"=").decode("ascii")


def from_base64url(text: str, field: str) -> bytes:
    """Returns the bytes of a base64url text without padding.

    Args:
        text: The text; padding, `+`, `/`, white space and non-zero trailing bits are refused.
        field: The path of the value, for the error.

    Raises:
        WrongType: The value is not text.
        WrongAlphabet: A character is not of base64url.
        WrongPadding: There is padding, or the length is one more than a multiple of four.
        TrailingBits: The last character carries bits that no byte takes.
    """
    if not isinstance(text, str):
        raise WrongType(field, "must be a base64url text")
    remainder = len(text) % 4
    try:
        # Some versions of the decoder take padding that is too much, so that padding is settled before it.
        if remainder == 1 or text.endswith("="):
            raise ValueError
        raw = text.encode("ascii").translate(_URL_TO_STANDARD)
        if remainder:
            raw += b"=" * (4 - remainder)
        data = binascii.a2b_base64(raw, strict_mode=True)
    except ValueError:
        raise _explain_base64(text, field, _BASE64URL_BODY, padded=False) from None
    # The decoder lets trailing bits pass; only the last group can have them.
    if remainder and not _is_canonical_tail(raw):
        raise TrailingBits(field, "has non-zero trailing bits")
    return data


def to_base64(data: bytes) -> str:
    """Returns the standard base64 text with padding; the form of salts in references and of password hashes."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def from_base64(text: str, field: str) -> bytes:
    """Returns the bytes of a standard base64 text with padding.

    Args:
        text: The text; missing padding, `-`, `_`, white space and non-zero trailing bits are refused.
        field: The path of the value, for the error.

    Raises:
        WrongType: The value is not text.
        WrongAlphabet: A character is not of standard base64.
        WrongPadding: The padding is missing, too much or not at the end.
        TrailingBits: The last character carries bits that no byte takes.
    """
    if not isinstance(text, str):
        raise WrongType(field, "must be a base64 text")
    try:
        body_length = len(text.rstrip("="))
        if len(text) != body_length + -body_length % 4:
            raise ValueError
        raw = text.encode("ascii")
        data = binascii.a2b_base64(raw, strict_mode=True)
    except ValueError:
        raise _explain_base64(text, field, _BASE64_BODY, padded=True) from None
    if raw.endswith(b"=") and not _is_canonical_tail(raw):
        raise TrailingBits(field, "has non-zero trailing bits")
    return data


def to_hex(data: bytes) -> str:
    """Returns the lower-case hexadecimal text."""
    return data.hex()


def from_hex(text: str, field: str) -> bytes:
    """Returns the bytes of a hexadecimal text of an even number of digits, in either case.

    Raises:
        WrongType: The value is not text.
        WrongAlphabet: A character is no hexadecimal digit.
        WrongLength: The number of digits is odd.
    """
    if not isinstance(text, str):
        raise WrongType(field, "must be a hexadecimal text")
    if not _HEX.match(text):
        raise WrongAlphabet(field, "must be hexadecimal digits only")
    if len(text) % 2:
        raise WrongLength(field, "must have an even number of hexadecimal digits")
    return bytes.fromhex(text)


def to_utf8(text: str) -> bytes:
    """Returns the UTF-8 bytes of a text; each lone surrogate becomes U+FFFD, as in JavaScript."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        # Python may hold a pair as two surrogates; through UTF-16 it joins them, and what stays alone is replaced.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode("utf-8")


def from_utf8(data: bytes, field: str) -> str:
    """Returns the text of UTF-8 bytes, without one leading byte order mark.

    Raises:
        MalformedText: The bytes are not well-formed UTF-8.
    """
    try:
        text = str(data, "utf-8")
    except UnicodeDecodeError:
        raise MalformedText(field, "is not well-formed UTF-8") from None
    return text[1:] if text.startswith("\ufeff") else text


def _is_canonical_tail(padded: bytes) -> bool:
    tail = padded[-4:]
    return binascii.b2a_base64(binascii.a2b_base64(tail), newline=False) == tail


def _explain_base64(text: str, field: str, body: re.Pattern[str], *, padded: bool) -> Exception:
    name = "standard base64 with padding" if padded else "base64url without padding"
    if not body.match(text.rstrip("=")):
        return WrongAlphabet(field, f"must be {name}; a character is not of it")
    return WrongPadding(field, f"must be {name}; padding or length is wrong")
