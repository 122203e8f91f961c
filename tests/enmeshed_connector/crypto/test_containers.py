"""What holds for every serialised crypto object: its forms, what it refuses, what it shows."""

from __future__ import annotations

import contextlib
import copy
import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enmeshed_connector import crypto
from enmeshed_connector.core.canonical_json import dumps, loads, loads_object
from enmeshed_connector.core.encodings import to_base64url
from enmeshed_connector.core.malformed import (
    MalformedJson,
    MalformedText,
    MalformedValue,
    MissingValue,
    NestedTooDeep,
    TooLarge,
    TrailingBits,
    UnknownAlgorithm,
    WrongAlphabet,
    WrongForm,
    WrongLength,
    WrongPadding,
    WrongType,
)
from enmeshed_connector.crypto._container import Container
from tests.support.crypto_samples import CONTAINERS
from tests.support.json_strategies import any_text, json_values

KINDS = sorted(CONTAINERS, key=lambda kind: kind.type_name)
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type_name)
few = settings(max_examples=30)
LONG_NAMES = {
    "cph": "cipher",
    "alg": "algorithm",
    "nnc": "nonce",
    "cnt": "counter",
    "pub": "publicKey",
    "prv": "privateKey",
    "sig": "signature",
}


def subclasses(kind: type[Any]) -> set[type[Any]]:
    found = {found for direct in kind.__subclasses__() for found in {direct, *subclasses(direct)}}
    # A dataclass with slots is a second class; the first one lives until it is collected.
    return {one for one in found if getattr(sys.modules[one.__module__], one.__name__) is one}


def test_every_container_class_is_among_the_samples() -> None:
    assert {kind for kind in subclasses(Container) if not kind.__name__.startswith("_")} == set(CONTAINERS)


@each_kind
@few
@given(data=st.data())
def test_every_form_reads_back_as_the_same_object(kind: type[Any], data: st.DataObject) -> None:
    value = data.draw(CONTAINERS[kind])
    for verbose in (True, False):
        members = value.to_json(verbose=verbose)
        text = value.to_text(verbose=verbose)
        assert kind.from_json(members) == value
        assert kind.from_text(text) == value
        assert kind.from_text(text.encode()) == value
        assert kind.from_base64(value.to_base64(verbose=verbose)) == value
        assert dumps(members) == text
        assert list(loads(text)) == list(members)
        assert value.to_base64(verbose=verbose) == to_base64url(text.encode())
        assert kind.from_text(text).to_text(verbose=verbose) == text


@each_kind
@few
@given(data=st.data())
def test_verbose_forms_carry_the_type_at_its_end_or_beginning(kind: type[Any], data: st.DataObject) -> None:
    value = data.draw(CONTAINERS[kind])
    names = list(value.to_json())
    assert value.to_json()["@type"] == kind.type_name
    assert names.index("@type") == (0 if kind.type_comes_first else len(names) - 1)
    bare = {name: item for name, item in value.to_json().items() if name != "@type"}
    if not isinstance(value, crypto.TransmitState | crypto.ReceiveState):
        assert value.to_json(verbose=False) == bare


@each_kind
@few
@given(data=st.data())
def test_order_of_members_unknown_members_and_a_foreign_type_do_not_matter(
    kind: type[Any], data: st.DataObject
) -> None:
    value = data.draw(CONTAINERS[kind])
    names = data.draw(st.permutations(list(value.to_json())))
    members = {name: value.to_json()[name] for name in names} | {"@type": "CryptoOther", "unknown": [1, {"a": None}]}
    assert kind.from_json(members) == value


@each_kind
@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_member_gives_a_value_or_a_typed_error(kind: type[Any], data: st.DataObject) -> None:
    members = copy.deepcopy(data.draw(CONTAINERS[kind]).to_json())
    place, path = members, []
    while True:
        name = data.draw(st.sampled_from(sorted(place)))
        path.append(name)
        if not isinstance(place[name], dict) or data.draw(st.booleans()):
            break
        place = place[name]
    damage = data.draw(st.sampled_from(["drop", "null", "other", "text"]))
    if damage == "drop":
        del place[name]
    elif damage == "null":
        place[name] = None
    elif damage == "text" and isinstance(place[name], str) and place[name]:
        at = data.draw(st.integers(0, len(place[name]) - 1))
        place[name] = place[name][:at] + data.draw(st.sampled_from("A9-_+/= \n\ud800é")) + place[name][at + 1 :]
    else:
        place[name] = data.draw(json_values(text=any_text))
    try:
        read = kind.from_json(members)
    except MalformedValue:
        return
    assert kind.from_text(read.to_text()) == read


@each_kind
@settings(max_examples=60)
@given(value=json_values(text=any_text))
def test_any_json_gives_a_value_or_a_typed_error(kind: type[Any], value: Any) -> None:
    with contextlib.suppress(MalformedValue):
        kind.from_json(value)
    with contextlib.suppress(MalformedValue):
        kind.from_text(dumps(value))


@each_kind
@settings(max_examples=60)
@given(data=st.binary(max_size=100), text=any_text)
def test_any_bytes_and_texts_give_a_value_or_a_typed_error(kind: type[Any], data: bytes, text: str) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: kind.from_text(data),
        lambda: kind.from_text(text),
        lambda: kind.from_base64(text),
        lambda: kind.from_base64(to_base64url(data)),
        lambda: kind.from_base64(data),
        lambda: kind.from_json(data),
    ]
    for attempt in attempts:
        with contextlib.suppress(MalformedValue):
            attempt()


@each_kind
@few
@given(data=st.data())
def test_nothing_shows_or_pickles_a_secret(kind: type[Any], data: st.DataObject) -> None:
    value = data.draw(CONTAINERS[kind])
    secrets = _secret_texts(value.to_json())
    for shown in (repr(value), str(value), f"{value}"):
        assert not any(secret in shown for secret in secrets)
    if secrets:
        assert "<redacted>" in repr(value)
        with pytest.raises(TypeError):
            pickle.dumps(value)


def _secret_texts(members: Any) -> list[str]:
    found = []
    for name, item in members.items() if isinstance(members, dict) else ():
        if isinstance(item, dict):
            found += _secret_texts(item)
        elif name in ("key", "prv", "rx", "tx", "password"):
            found.append(item)
    return found


@each_kind
def test_sizes_are_capped_before_anything_is_decoded(kind: type[Any]) -> None:
    if kind.max_text_bytes > 10**7:
        return
    attempts: list[Callable[[], object]] = [
        lambda: kind.from_text(" " * (kind.max_text_bytes + 1)),
        lambda: kind.from_base64("A" * (kind.max_text_bytes * 4 // 3 + 5)),
    ]
    for attempt in attempts:
        with pytest.raises(TooLarge):
            attempt()


def test_the_largest_ciphers_take_what_peers_send() -> None:
    assert crypto.Cipher.max_text_bytes >= 100 * 1024 * 1024 * 4 // 3
    assert crypto.CreationContentCipher.max_text_bytes > crypto.Cipher.max_text_bytes
    with pytest.raises(WrongLength):
        crypto.Cipher(bytes(100 * 1024 * 1024 + 1), counter=0)
    with pytest.raises(WrongLength):
        crypto.Cipher(b"x", counter=0)


@given(data=st.data())
def test_long_member_names_are_read_too(data: st.DataObject) -> None:
    for kind in (crypto.Cipher, crypto.Signature, crypto.SignatureKeypair, crypto.ExchangeKeypair):
        value = data.draw(CONTAINERS[kind])

        def lengthen(item: Any) -> Any:
            if not isinstance(item, dict):
                return item
            return {LONG_NAMES.get(name, name): lengthen(inner) for name, inner in item.items()}

        assert kind.from_json(lengthen(value.to_json())) == value


CPH, NNC = "XtkbE61X7DEb00aOTGw2PMc", "Mh7G1Y-m1nhra6WYRhYk5qg3MLl_xtTl"


@pytest.mark.parametrize(
    ("members", "error", "field"),
    [
        ({"cph": CPH, "alg": 3}, crypto.NeitherNonceNorCounter, "body"),
        ({"cph": CPH, "alg": 3, "nnc": NNC, "cnt": 0}, crypto.NonceAndCounter, "body"),
        ({"cph": CPH, "alg": 3, "nnc": None, "cnt": None}, crypto.NeitherNonceNorCounter, "body"),
        ({"cph": CPH, "alg": 2, "nnc": NNC}, UnknownAlgorithm, "body.alg"),
        ({"cph": CPH, "alg": 4, "nnc": NNC}, UnknownAlgorithm, "body.alg"),
        ({"cph": CPH, "alg": "3", "nnc": NNC}, WrongType, "body.alg"),
        ({"cph": CPH, "alg": True, "nnc": NNC}, WrongType, "body.alg"),
        ({"cph": CPH, "alg": 3.5, "nnc": NNC}, WrongType, "body.alg"),
        ({"cph": CPH, "nnc": NNC}, MissingValue, "body.alg"),
        ({"alg": 3, "nnc": NNC}, MissingValue, "body.cph"),
        ({"cph": CPH, "alg": 3, "cnt": 2**32}, crypto.CounterOutOfRange, "body.cnt"),
        ({"cph": CPH, "alg": 3, "cnt": -1}, crypto.CounterOutOfRange, "body.cnt"),
        ({"cph": CPH, "alg": 3, "cnt": 1e300}, crypto.CounterOutOfRange, "body.cnt"),
        ({"cph": CPH, "alg": 3, "cnt": 0.5}, WrongType, "body.cnt"),
        ({"cph": CPH, "alg": 3, "cnt": True}, WrongType, "body.cnt"),
        ({"cph": CPH, "alg": 3, "nnc": NNC[:-4]}, WrongLength, "body.nnc"),
        ({"cph": CPH, "alg": 3, "nnc": NNC + "="}, WrongPadding, "body.nnc"),
        ({"cph": CPH, "alg": 3, "nnc": NNC[:-1] + "+"}, WrongAlphabet, "body.nnc"),
        ({"cph": CPH[:-1] + "d", "alg": 3, "nnc": NNC}, TrailingBits, "body.cph"),
        ({"cph": "QQ", "alg": 3, "nnc": NNC}, WrongLength, "body.cph"),
        ({"cph": 7, "alg": 3, "nnc": NNC}, WrongType, "body.cph"),
        ([], WrongType, "body"),
        (None, WrongType, "body"),
    ],
)
def test_each_fault_of_a_cipher_has_its_own_error(members: Any, error: type[MalformedValue], field: str) -> None:
    with pytest.raises(error) as raised:
        crypto.Cipher.from_json(members, "body")
    assert type(raised.value) is error
    assert raised.value.field == field
    assert CPH[:10] not in str(raised.value)


def test_a_whole_number_with_a_fraction_of_zero_is_an_integer() -> None:
    assert crypto.Cipher.from_text(f'{{"cph":"{CPH}","alg":3.0,"cnt":7.0}}').counter == 7


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", MalformedJson),
        ("[1]", WrongType),
        (b"\xff", MalformedText),
        ('{"a":' * 300 + "1" + "}" * 300, NestedTooDeep),
    ],
)
def test_each_fault_of_a_text_has_its_own_error(text: str | bytes, error: type[MalformedValue]) -> None:
    with pytest.raises(error):
        crypto.Cipher.from_text(text)
    with pytest.raises(error):
        crypto.Cipher.from_base64(to_base64url(text if isinstance(text, bytes) else text.encode()))


def test_a_keypair_whose_halves_do_not_belong_together_is_refused() -> None:
    one, other = crypto.SignatureKeypair.from_seed(bytes(32)), crypto.SignatureKeypair.from_seed(bytes([1]) * 32)
    mixed = one.to_json() | {"pub": other.to_json()["pub"]}
    with pytest.raises(MalformedValue):
        crypto.SignatureKeypair.from_json(mixed)
    damaged = one.private_key.reveal()[:32] + other.private_key.reveal()[32:]
    with pytest.raises(MalformedValue):
        crypto.SignaturePrivateKey.from_json({"prv": to_base64url(damaged), "alg": 3})
    exchange = crypto.ExchangeKeypair.generate().to_json() | {"pub": crypto.ExchangeKeypair.generate().to_json()["pub"]}
    with pytest.raises(MalformedValue):
        crypto.ExchangeKeypair.from_json(exchange)


def test_a_state_of_the_other_direction_is_refused() -> None:
    transmit = crypto.TransmitState.create(crypto.SecretKey.generate())
    with pytest.raises(WrongForm):
        crypto.ReceiveState.from_json(transmit.to_json())


def test_a_secret_of_an_unknown_type_is_refused() -> None:
    for members in ({"@type": "Device"}, {}, {"@type": 7}, {"@type": ["CryptoSecretKey"]}):
        with pytest.raises(crypto.UnknownSecretType):
            crypto.parse_secret(dumps(members))
        if "@type" in members:
            with pytest.raises(crypto.UnknownSecretType):
                crypto.parse_token_content(members)


@given(json_values(text=any_text))
def test_any_token_content_is_itself_or_refused(value: Any) -> None:
    with contextlib.suppress(MalformedValue):
        content = crypto.parse_token_content(value)
        assert content is value


def test_members_stay_in_the_order_of_the_network() -> None:
    orders = {
        crypto.Cipher: "cph alg nnc @type",
        crypto.SignatureKeypair: "pub prv @type",
        crypto.ExchangePublicKey: "@type pub alg",
        crypto.TransmitState: "nnc cnt key alg typ id @type",
        crypto.RequestSecrets: "@type eph exc id key nnc pik pxk sig",
        crypto.RelationshipSecrets: "@type exc id pik psk ptk pxk rsk rx sig tx typ",
    }
    key, nonce = crypto.SecretKey.generate(), bytes(24)
    pair, signer = crypto.ExchangeKeypair.generate(), crypto.SignatureKeypair.generate()
    receive = crypto.ReceiveState(key, nonce)
    values = [
        crypto.encrypt(key, b""),
        signer,
        pair.public_key,
        crypto.TransmitState(key, nonce, 0, "id"),
        crypto.RequestSecrets(pair, pair, signer, signer.public_key, pair.public_key, key, nonce, "id"),
        crypto.RelationshipSecrets(
            crypto.RelationshipSide.REQUESTOR,
            pair,
            signer,
            pair.public_key,
            signer.public_key,
            pair.public_key,
            key,
            receive,
            crypto.TransmitState(key, nonce),
            signer.public_key,
            "id",
        ),
    ]
    for value in values:
        assert " ".join(loads_object(value.to_text())) == orders[type(value)]


WRONG = bytes(23)
PAIR, SIGNER = crypto.ExchangeKeypair.generate(), crypto.SignatureKeypair.generate()
SECRET = crypto.SecretKey.generate()


@pytest.mark.parametrize(
    "make",
    [
        lambda: crypto.Signature(WRONG, crypto.SignatureLabel.IDENTITY),
        lambda: crypto.SignaturePublicKey(WRONG),
        lambda: crypto.SignaturePrivateKey(WRONG),
        lambda: crypto.SignatureKeypair.from_seed(WRONG),
        lambda: crypto.ExchangePublicKey(WRONG),
        lambda: crypto.ExchangePrivateKey(WRONG),
        lambda: crypto.Cipher(bytes(20), nonce=WRONG),
        lambda: crypto.PublicState(WRONG),
        lambda: crypto.PublicState(bytes(24), "x" * 31),
        lambda: crypto.TransmitState(SECRET, WRONG),
        lambda: crypto.ReceiveState(SECRET, bytes(24), 0, "x" * 31),
        lambda: crypto.PublicRequest(PAIR.public_key, SIGNER.public_key, PAIR.public_key, WRONG),
        lambda: crypto.RequestSecrets(PAIR, PAIR, SIGNER, SIGNER.public_key, PAIR.public_key, SECRET, WRONG),
    ],
)
def test_objects_are_not_made_of_parts_of_other_lengths(make: Callable[[], object]) -> None:
    with pytest.raises(WrongLength):
        make()


def test_numbers_of_other_kinds_are_refused() -> None:
    state, secrets = crypto.PublicState(bytes(24)), crypto.SecretKey.generate()
    signature = crypto.Signature(bytes(64), crypto.SignatureLabel.IDENTITY)
    cases: list[tuple[Any, dict[str, Any], type[MalformedValue]]] = [
        (crypto.PublicState, state.to_json() | {"typ": 1}, WrongForm),
        (crypto.Signature, signature.to_json() | {"alg": 4}, UnknownAlgorithm),
        (crypto.SecretKey, secrets.to_json() | {"alg": 1}, UnknownAlgorithm),
        (crypto.ExchangePublicKey, PAIR.public_key.to_json() | {"alg": 1}, UnknownAlgorithm),
        (crypto.RelationshipSecrets, {"typ": 3}, WrongForm),
    ]
    for kind, members, error in cases:
        with pytest.raises(error):
            kind.from_json(members)
