"""Payloads of the datawallet, each under a key of its place in it. Source: `spec/crypto.md` section 7."""

from __future__ import annotations

import os

from ._container import RandomSource
from .derivation import DATAWALLET_CONTEXT, derive_key
from .symmetric import SecretKey, open_text, seal_text


def seal_payload(
    synchronization_key: SecretKey,
    index: int,
    text: str,
    *,
    nonce: bytes | None = None,
    random: RandomSource = os.urandom,
) -> str:
    """Returns the wire form of a modification's payload.

    Args:
        synchronization_key: The identity's synchronisation key.
        index: The index that the Backbone will give the modification, from 0.
        text: The payload's JSON text.
        nonce: For replays of recorded exchanges; drawn when absent.
        random: Where the nonce comes from.
    """
    return seal_text(derive_key(synchronization_key, index, DATAWALLET_CONTEXT), text, nonce=nonce, random=random)


def open_payload(synchronization_key: SecretKey, index: int, wire: str) -> str:
    """Returns the JSON text of a modification's payload.

    Raises:
        MalformedValue: The wire form is wrong.
        DecryptionFailed: It was sealed for another index or with another key, or altered.
    """
    return open_text(derive_key(synchronization_key, index, DATAWALLET_CONTEXT), wire, "encryptedPayload")
