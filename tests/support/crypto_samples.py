"""Hypothesis strategies for every serialised crypto object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from enmeshed_connector import crypto
from enmeshed_connector.core.addresses import derive_address
from enmeshed_connector.core.ids import (
    DEVICE,
    FILE,
    SECRET_CONTAINER,
    TEMPLATE,
    TEMPLATE_KEY,
    IdKind,
)
from enmeshed_connector.core.references import SharedPasswordProtection
from enmeshed_connector.core.secret_bytes import SecretText

from .json_strategies import any_text

bytes32 = st.binary(min_size=32, max_size=32)
nonces = st.binary(min_size=24, max_size=24)
counters = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2**20, 2**32 - 1]))
texts = any_text
passwords = texts.map(lambda text: SecretText(f"p4ss:{text}"))
optional_texts = st.one_of(st.none(), texts)
dates = st.just("2026-01-31T12:00:00.000Z")


def ids(kind: IdKind[Any]) -> st.SearchStrategy[Any]:
    """Returns ids of a kind."""
    length = 20 - len(kind.prefix)
    return st.text("abcXYZ019", min_size=length, max_size=length).map(lambda end: kind.prefix + end)


secret_keys = bytes32.map(crypto.SecretKey)
signature_keypairs = bytes32.map(crypto.SignatureKeypair.from_seed)
exchange_keypairs = bytes32.map(crypto.ExchangePrivateKey).map(crypto.ExchangeKeypair.from_private_key)
exchange_public_keys = exchange_keypairs.map(lambda pair: pair.public_key)
template_public_keys = st.builds(crypto.TemplatePublicKey, bytes32, ids(TEMPLATE_KEY))
signature_public_keys = signature_keypairs.map(lambda pair: pair.public_key)
signatures = st.builds(
    crypto.Signature, st.binary(min_size=64, max_size=64), st.sampled_from(list(crypto.SignatureLabel))
)
state_ids = st.one_of(st.none(), st.text(max_size=30))
transmit_states = st.builds(crypto.TransmitState, secret_keys, nonces, counters, state_ids)
receive_states = st.builds(crypto.ReceiveState, secret_keys, nonces, counters, state_ids)
public_states = st.builds(crypto.PublicState, nonces, state_ids)
ciphers = st.one_of(
    st.builds(lambda data, nonce: crypto.Cipher(data, nonce=nonce), st.binary(min_size=2, max_size=60), nonces),
    st.builds(lambda data, counter: crypto.Cipher(data, counter=counter), st.binary(min_size=2, max_size=60), counters),
)
public_requests = st.builds(
    crypto.PublicRequest, exchange_public_keys, signature_public_keys, exchange_public_keys, nonces
)
public_responses = st.builds(
    crypto.PublicResponse, exchange_public_keys, signature_public_keys, public_states, optional_texts
)
request_secrets = st.builds(
    crypto.RequestSecrets,
    exchange_keypairs,
    exchange_keypairs,
    signature_keypairs,
    signature_public_keys,
    st.one_of(exchange_public_keys, template_public_keys),
    secret_keys,
    nonces,
    optional_texts,
)
relationship_secrets = st.builds(
    crypto.RelationshipSecrets,
    st.sampled_from(list(crypto.RelationshipSide)),
    exchange_keypairs,
    signature_keypairs,
    exchange_public_keys,
    signature_public_keys,
    st.one_of(exchange_public_keys, template_public_keys),
    secret_keys,
    receive_states,
    transmit_states,
    st.one_of(st.none(), signature_public_keys),
    optional_texts,
)
identity_keys = signature_public_keys.map(
    lambda key: crypto.IdentityKey(derive_address(key.data, "prod.enmeshed.eu"), key)
)
protections = st.builds(
    SharedPasswordProtection,
    st.sampled_from(["pw", "pin4", "pin16"]),
    st.binary(min_size=16, max_size=16),
    st.one_of(st.none(), st.integers(0, 99)),
)
device_shared_secrets = st.builds(
    crypto.DeviceSharedSecret,
    id=ids(DEVICE),
    created_at=dates,
    created_by_device=ids(DEVICE),
    device_index=st.integers(0, 100),
    identity=identity_keys,
    secret_base_key=secret_keys,
    synchronization_key=secret_keys,
    username=texts,
    password=passwords,
    identity_private_key=st.one_of(st.none(), signature_keypairs.map(lambda pair: pair.private_key)),
    is_backup_device=st.booleans(),
    name=optional_texts,
    description=optional_texts,
    profile_name=optional_texts,
)

CONTAINERS: dict[type[Any], st.SearchStrategy[Any]] = {
    crypto.SecretKey: secret_keys,
    crypto.Cipher: ciphers,
    crypto.Signature: signatures,
    crypto.SignaturePublicKey: signature_public_keys,
    crypto.SignaturePrivateKey: st.builds(
        lambda pair, id: crypto.SignaturePrivateKey(pair.private_key.reveal(), id), signature_keypairs, optional_texts
    ),
    crypto.SignatureKeypair: signature_keypairs,
    crypto.ExchangePublicKey: exchange_public_keys,
    crypto.TemplatePublicKey: template_public_keys,
    crypto.ExchangePrivateKey: bytes32.map(crypto.ExchangePrivateKey),
    crypto.ExchangeKeypair: exchange_keypairs,
    crypto.ExchangeSecrets: st.builds(crypto.ExchangeSecrets, secret_keys, secret_keys),
    crypto.TransmitState: transmit_states,
    crypto.ReceiveState: receive_states,
    crypto.PublicState: public_states,
    crypto.PublicRequest: public_requests,
    crypto.PublicResponse: public_responses,
    crypto.RequestSecrets: request_secrets,
    crypto.RelationshipSecrets: relationship_secrets,
    crypto.IdentityKey: identity_keys,
    crypto.SignedChallenge: st.builds(crypto.SignedChallenge, texts, signatures),
    crypto.CreationContentCipher: st.builds(crypto.CreationContentCipher, ciphers, public_requests),
    crypto.CreationResponseCipher: st.builds(crypto.CreationResponseCipher, ciphers, public_responses),
    crypto.FileMetadata: st.builds(
        crypto.FileMetadata,
        texts,
        st.integers(0, 2**53),
        texts,
        texts,
        secret_keys,
        optional_texts,
        optional_texts,
        st.one_of(st.none(), dates),
        st.one_of(st.none(), st.lists(texts, max_size=3).map(tuple)),
    ),
    crypto.DeviceCredentials: st.builds(crypto.DeviceCredentials, ids(DEVICE), passwords, texts),
    crypto.SecretContainer: st.builds(
        crypto.SecretContainer,
        ids(SECRET_CONTAINER),
        texts,
        ciphers,
        dates,
        dates,
        st.booleans(),
        optional_texts,
        st.one_of(st.none(), dates),
        st.one_of(st.none(), st.integers(0, 2**31 - 1)),
    ),
    crypto.DeviceSharedSecret: device_shared_secrets,
    crypto.TokenContentFile: st.builds(crypto.TokenContentFile, ids(FILE), secret_keys),
    crypto.TokenContentRelationshipTemplate: st.builds(
        crypto.TokenContentRelationshipTemplate,
        ids(TEMPLATE),
        secret_keys,
        st.one_of(st.none(), identity_keys.map(lambda identity: identity.address)),
        st.one_of(st.none(), protections),
    ),
    crypto.TokenContentDeviceSharedSecret: st.builds(crypto.TokenContentDeviceSharedSecret, device_shared_secrets),
}
"""A strategy for each class that has serialised forms."""


def replayed(*recorded: bytes) -> Callable[[int], bytes]:
    """Returns a source of random bytes that gives recorded ones, in order."""
    remaining = list(recorded)

    def random(length: int) -> bytes:
        data = remaining.pop(0)
        assert len(data) == length
        return data

    return random
