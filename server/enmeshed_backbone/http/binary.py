"""Bytes in texts: written as base64url without padding, read in both alphabets.

Source: specification of the Consumer API, §1.1.
"""

from __future__ import annotations

import base64
import binascii

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


def encode(data: bytes) -> str:
    """Returns base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def encode_or_none(data: bytes | None) -> str | None:
    """Returns the text of bytes that may be absent."""
    return None if data is None else encode(data)


def decode(text: str) -> bytes:
    """Returns the bytes of base64url, with or without padding, or else of padded standard base64.

    Raises:
        ValueError: It is neither.
    """
    raw = text.encode("ascii", "strict")
    if b"+" in raw or b"/" in raw:
        return decode_standard(text)
    bare = raw.rstrip(b"=")
    padding = -len(bare) % 4
    if padding == 3 or len(raw) - len(bare) not in (0, padding):
        raise binascii.Error("The length is none of base64url.")
    return binascii.a2b_base64(bare.translate(_TO_STANDARD) + b"=" * padding, strict_mode=True)


def decode_standard(text: str) -> bytes:
    """Returns the bytes of padded standard base64.

    Raises:
        ValueError: It is not.
    """
    raw = text.encode("ascii", "strict")
    return binascii.a2b_base64(raw, strict_mode=True) if raw else b""
