"""Secret streams (XChaCha20-Poly1305), for completeness: the runtime does not use them. Section 4.9."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nacl.bindings import (
    crypto_secretstream_xchacha20poly1305_init_pull,
    crypto_secretstream_xchacha20poly1305_init_push,
    crypto_secretstream_xchacha20poly1305_pull,
    crypto_secretstream_xchacha20poly1305_push,
    crypto_secretstream_xchacha20poly1305_state,
)

from enmeshed_connector.core.malformed import WrongLength

from .errors import DecryptionFailed
from .symmetric import SecretKey

HEADER_LENGTH = 24
TAG_PUSH = 1
_OVERHEAD = 17


def pull_stream(key: SecretKey, header: bytes, ciphertexts: Iterable[bytes]) -> list[bytes]:
    """Returns the plaintexts of a stream, in order.

    Args:
        key: The stream's key.
        header: The 24 bytes that the sender began with.
        ciphertexts: The messages, each with the tag PUSH.

    Raises:
        WrongLength: The header has not 24 bytes.
        DecryptionFailed: A message was altered, left out or moved, or has another tag.
    """
    if len(header) != HEADER_LENGTH:
        raise WrongLength("stream.header", f"must have {HEADER_LENGTH} bytes")
    state = crypto_secretstream_xchacha20poly1305_state()
    crypto_secretstream_xchacha20poly1305_init_pull(state, header, key.reveal())
    plaintexts: list[bytes] = []
    for ciphertext in ciphertexts:
        if len(ciphertext) < _OVERHEAD:
            raise DecryptionFailed("the stream cannot be decrypted")
        try:
            plaintext, tag = crypto_secretstream_xchacha20poly1305_pull(state, ciphertext)
        except RuntimeError:
            raise DecryptionFailed("the stream cannot be decrypted") from None
        if tag != TAG_PUSH:
            raise DecryptionFailed("the stream cannot be decrypted")
        plaintexts.append(plaintext)
    return plaintexts


def push_stream(key: SecretKey, plaintexts: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
    """Returns the header of a new stream and its messages. The header is drawn by the library."""
    state = crypto_secretstream_xchacha20poly1305_state()
    header = crypto_secretstream_xchacha20poly1305_init_push(state, key.reveal())
    ciphertexts = [
        crypto_secretstream_xchacha20poly1305_push(state, plaintext, None, TAG_PUSH) for plaintext in plaintexts
    ]
    return header, ciphertexts
