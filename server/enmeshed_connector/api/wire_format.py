"""The little of protobuf's wire format that puts serialised messages together without parsing them again."""

from __future__ import annotations


def length_delimited(number: int, data: bytes) -> bytes:
    """Returns a field of a message that holds a message, a text or bytes.

    Args:
        number: The number of the field.
        data: The serialised message, the text in UTF-8, or the bytes.
    """
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
