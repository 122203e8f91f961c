"""The check of signed challenges against the vectors, without the Connector's own signatures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from enmeshed_backbone.challenge_check import SignedChallenge, UnreadableProof, read_public_key
from enmeshed_backbone.http import binary
from tests.support.backbone_client import b64u, public_key_text

_FLOWS = json.loads((Path(__file__).parents[1] / "vectors" / "crypto.json").read_text("utf-8"))["groups"]["flow"]
_KEY = SigningKey(bytes(range(32)))
_PUBLIC = bytes(_KEY.verify_key)


def _vectors(operation: str) -> list[Any]:
    return [pytest.param(v, id=v["id"]) for v in _FLOWS["vectors"] if v["op"] == operation]


@pytest.mark.parametrize("vector", _vectors("flow.createIdentity"))
def test_the_proof_of_an_official_client_is_accepted(vector: dict[str, Any]) -> None:
    out = vector["out"]
    signed = SignedChallenge(out["challenge"], binary.decode(out["signature"]))
    key = read_public_key(binary.decode(out["identityPublicKey"]))

    assert key == bytes.fromhex(vector["in"]["identity_private_hex"])[32:]
    assert signed.is_signed_with(key)
    assert signed.challenge_id == vector["in"]["challenge_fields"]["id"]


@pytest.mark.parametrize("vector", _vectors("flow.challenge"))
def test_every_kind_of_signed_challenge_is_accepted(vector: dict[str, Any]) -> None:
    signed = SignedChallenge(vector["out"]["challenge"], binary.decode(vector["out"]["signature"]))
    private = bytes.fromhex(vector["in"]["private_hex"])
    public = private[32:] if len(private) == 64 else bytes(SigningKey(private).verify_key)

    assert signed.is_signed_with(public)


@pytest.mark.parametrize("vector", _vectors("flow.challengeCheck"))
def test_an_altered_challenge_is_refused(vector: dict[str, Any]) -> None:
    given = vector["in"]
    signed = SignedChallenge(given["challenge"], binary.decode(given["signature"]))

    assert signed.is_signed_with(bytes.fromhex(given["public_hex"])) is vector["out"]["valid"]


def test_the_algorithm_and_further_members_do_not_matter() -> None:
    text = '{"id":"CHLxxxxxxxxxxxxxxxxx","more":1}'
    signature = {"@type": "CryptoSignature", "SIG": b64u(_KEY.sign(text.encode()).signature), "alg": 99}

    assert SignedChallenge(text, json.dumps(signature).encode()).is_signed_with(_PUBLIC)


@pytest.mark.parametrize(
    "signature",
    [b"", b"[]", b"{", b"{}", b'{"sig":1,"alg":2}', b'{"sig":"!","alg":2}', b'{"sig":"AAAA","alg":"2"}', b"\xff"],
)
def test_an_unreadable_signature_is_told_apart_from_a_wrong_one(signature: bytes) -> None:
    with pytest.raises(UnreadableProof):
        SignedChallenge("{}", signature).is_signed_with(_PUBLIC)


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_of_another_size_is_wrong(size: int) -> None:
    signature = json.dumps({"sig": b64u(bytes(size)), "alg": 2}).encode()

    assert not SignedChallenge("{}", signature).is_signed_with(_PUBLIC)


@pytest.mark.parametrize("challenge", ["", "1", "[]", "{}", '{"id":5}', "\ud800"])
def test_a_challenge_without_id_is_unreadable(challenge: str) -> None:
    with pytest.raises(UnreadableProof):
        SignedChallenge(challenge, b"{}").challenge_id  # noqa: B018


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"pub":"AAAA","alg":3}', b'{"pub":null}', b'"x"'])
def test_a_key_of_another_form_or_size_is_unreadable(raw: bytes) -> None:
    with pytest.raises(UnreadableProof):
        read_public_key(raw)


def test_a_key_is_read_from_its_object() -> None:
    assert read_public_key(binary.decode(public_key_text(_KEY))) == _PUBLIC
