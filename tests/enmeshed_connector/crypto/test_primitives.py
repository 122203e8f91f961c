from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt, crypto_generichash_blake2b_salt_personal

from enmeshed_connector import crypto
from enmeshed_connector.core.malformed import (
    MalformedValue,
    MissingValue,
    NumberOutOfRange,
    TooLarge,
    UnknownAlgorithm,
    WrongAlphabet,
    WrongForm,
    WrongLength,
    WrongType,
)
from enmeshed_connector.core.secret_bytes import SecretBytes, SecretText
from enmeshed_connector.crypto import text_forms
from tests.support.crypto_samples import bytes32, counters, nonces, secret_keys
from tests.support.json_strategies import any_text

KEY = crypto.SecretKey(bytes(range(32)))


@given(secret_keys, nonces, st.binary(max_size=200))
def test_what_was_encrypted_decrypts_and_is_the_bare_call(key: crypto.SecretKey, nonce: bytes, data: bytes) -> None:
    cipher = crypto.encrypt(key, data, nonce=nonce)
    assert cipher.ciphertext == crypto_aead_xchacha20poly1305_ietf_encrypt(data, None, nonce, key.reveal())
    assert crypto.decrypt(key, cipher) == data


@given(st.binary(max_size=50), st.data())
def test_any_altered_bit_is_noticed(data: bytes, choose: st.DataObject) -> None:
    cipher = crypto.encrypt(KEY, data)
    bit = choose.draw(st.integers(0, len(cipher.ciphertext) * 8 - 1))
    altered = bytearray(cipher.ciphertext)
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(crypto.DecryptionFailed):
        crypto.decrypt(KEY, crypto.Cipher(bytes(altered), nonce=cipher.nonce))


@given(st.binary(min_size=2, max_size=100), nonces, counters)
def test_any_ciphertext_fails_with_one_error(data: bytes, nonce: bytes, counter: int) -> None:
    with pytest.raises(crypto.DecryptionFailed) as raised:
        crypto.decrypt(KEY, crypto.Cipher(data, nonce=nonce))
    assert str(raised.value) == "the cipher cannot be decrypted"
    with pytest.raises(crypto.DecryptionFailed):
        crypto.decrypt_with_counter(KEY, crypto.Cipher(data, counter=counter), base_nonce=nonce)


@given(nonces, counters)
def test_the_nonce_of_a_counter_changes_four_bytes_little_endian(base: bytes, counter: int) -> None:
    nonce = crypto.nonce_at(base, counter)
    assert nonce[:20] == base[:20]
    difference = int.from_bytes(nonce[20:], "little") - int.from_bytes(base[20:], "little")
    assert difference % 2**32 == counter


@given(nonces, counters, st.binary(max_size=50))
def test_counter_mode_is_the_nonce_mode_at_that_nonce(base: bytes, counter: int, data: bytes) -> None:
    cipher = crypto.encrypt_with_counter(KEY, data, base_nonce=base, counter=counter)
    assert cipher.ciphertext == crypto.encrypt(KEY, data, nonce=crypto.nonce_at(base, counter)).ciphertext
    assert crypto.decrypt_with_counter(KEY, cipher, base_nonce=base) == data


def test_each_encryption_draws_a_nonce() -> None:
    assert crypto.encrypt(KEY, b"x") != crypto.encrypt(KEY, b"x")


def test_a_cipher_of_the_other_mode_is_refused() -> None:
    with pytest.raises(MissingValue) as raised:
        crypto.decrypt(KEY, crypto.Cipher(bytes(20), counter=0))
    assert raised.value.official_code == "error.crypto.encryption.wrongNonce"
    with pytest.raises(MissingValue):
        crypto.decrypt_with_counter(KEY, crypto.Cipher(bytes(20), nonce=bytes(24)), base_nonce=bytes(24))


@pytest.mark.parametrize("counter", [-1, 2**32, True, 1.0, "1", None])
def test_counters_out_of_range_are_refused(counter: Any) -> None:
    with pytest.raises(crypto.CounterOutOfRange):
        crypto.nonce_at(bytes(24), counter)
    with pytest.raises(crypto.CounterOutOfRange):
        crypto.TransmitState(KEY, bytes(24)).encrypt(b"", counter=counter)


def test_keys_and_nonces_have_their_lengths() -> None:
    for length in (0, 16, 31, 33, 64):
        with pytest.raises(WrongLength):
            crypto.SecretKey(bytes(length))
    for length in (0, 12, 23, 25):
        with pytest.raises(WrongLength):
            crypto.encrypt(KEY, b"", nonce=bytes(length))
        with pytest.raises(WrongLength):
            crypto.nonce_at(bytes(length), 0)
    with pytest.raises(WrongLength):
        crypto.encrypt(KEY, b"", random=lambda length: bytes(length - 1))
    text: Any = "text"
    with pytest.raises(WrongType):
        crypto.encrypt(KEY, text)


def test_a_key_is_made_of_a_reference_s_key() -> None:
    assert crypto.SecretKey(SecretBytes(bytes(range(32)))) == KEY


@given(st.text())
def test_texts_come_back_from_their_wire_form(text: str) -> None:
    assert crypto.open_text(KEY, crypto.seal_text(KEY, text)) == text.removeprefix("\ufeff")


@given(bytes32, st.binary(min_size=1, max_size=100))
def test_a_signature_belongs_to_its_key_and_bytes(seed: bytes, message: bytes) -> None:
    pair = crypto.SignatureKeypair.from_seed(seed)
    for label in crypto.SignatureLabel:
        signature = pair.private_key.sign(message, label)
        pair.public_key.verify(message, signature)
        with pytest.raises(crypto.SignatureInvalid):
            pair.public_key.verify(message + b"\0", signature)
        # A boundary that shifts between signature and message must not be accepted.
        with pytest.raises(crypto.SignatureInvalid):
            pair.public_key.verify(signature.data[-1:] + message, signature)
        with pytest.raises(crypto.SignatureInvalid):
            crypto.SignatureKeypair.generate().public_key.verify(message, signature)


@given(bytes32, st.binary(min_size=64, max_size=64), st.binary(min_size=1, max_size=20))
def test_any_key_and_signature_verify_or_raise(key: bytes, data: bytes, message: bytes) -> None:
    with pytest.raises(crypto.SignatureInvalid):
        crypto.SignaturePublicKey(key).verify(message, crypto.Signature(data, crypto.SignatureLabel.IDENTITY))


@pytest.mark.parametrize("public_key", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32])
def test_weak_public_keys_verify_nothing(public_key: bytes) -> None:
    weak = crypto.Signature(b"\x01" + bytes(63), crypto.SignatureLabel.IDENTITY)
    with pytest.raises(crypto.SignatureInvalid):
        crypto.SignaturePublicKey(public_key).verify(b"message", weak)


def test_empty_messages_are_neither_signed_nor_verified() -> None:
    pair = crypto.SignatureKeypair.generate()
    with pytest.raises(WrongLength):
        pair.private_key.sign(b"", crypto.SignatureLabel.IDENTITY)
    with pytest.raises(WrongLength):
        pair.public_key.verify(b"", crypto.Signature(bytes(64), crypto.SignatureLabel.IDENTITY))


@given(bytes32, bytes32)
def test_both_sides_of_an_exchange_get_the_same_keys(one: bytes, other: bytes) -> None:
    requestor = crypto.ExchangeKeypair.from_private_key(crypto.ExchangePrivateKey(one))
    templator = crypto.ExchangeKeypair.from_private_key(crypto.ExchangePrivateKey(other))
    ours = requestor.derive_as_requestor(templator.public_key)
    theirs = templator.derive_as_templator(requestor.public_key)
    assert (ours.transmit, ours.receive) == (theirs.receive, theirs.transmit)
    assert ours.transmit != ours.receive


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"])
def test_points_of_small_order_give_no_shared_key(point: bytes) -> None:
    pair = crypto.ExchangeKeypair.generate()
    for derive in (pair.derive_as_requestor, pair.derive_as_templator):
        with pytest.raises(crypto.KeyExchangeFailed):
            derive(crypto.ExchangePublicKey(point))


@given(bytes32)
def test_any_point_gives_keys_or_a_typed_error(point: bytes) -> None:
    try:
        crypto.ExchangeKeypair.generate().derive_as_requestor(crypto.ExchangePublicKey(point))
    except crypto.KeyExchangeFailed:
        return


@given(secret_keys, st.integers(0, 2**31 - 1), st.text("ABCxyz019 ", min_size=8, max_size=8))
def test_derivation_is_libsodium_s_keyed_hash(base: crypto.SecretKey, key_id: int, context: str) -> None:
    salt, person = key_id.to_bytes(8, "little") + bytes(8), context.encode() + bytes(8)
    other = crypto_generichash_blake2b_salt_personal(b"", 32, base.reveal(), salt, person)
    assert crypto.derive_key(base, key_id, context).reveal() == other


@pytest.mark.parametrize(
    ("key_id", "context", "error"),
    [
        (-1, "DataSync", NumberOutOfRange),
        (2**31, "DataSync", NumberOutOfRange),
        (True, "DataSync", NumberOutOfRange),
        (0, "DataSyn", WrongLength),
        (0, "DataSync1", WrongLength),
        (0, "DataSyn\u00e9", WrongForm),
    ],
)
def test_derivation_refuses_what_upstream_refuses(key_id: int, context: str, error: type[MalformedValue]) -> None:
    with pytest.raises(error):
        crypto.derive_key(KEY, key_id, context)


def _argon2(**changes: Any) -> bytes:
    arguments: dict[str, Any] = {"algorithm": "argon2id", "operations": 1, "memory_bytes": 8192} | changes
    return crypto.argon2(arguments.pop("password", b"pw"), arguments.pop("salt", bytes(16)), **arguments)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"algorithm": "argon2d"}, UnknownAlgorithm),
        ({"salt": bytes(15)}, WrongLength),
        ({"salt": bytes(17)}, WrongLength),
        ({"length": 15}, WrongLength),
        ({"length": 65}, WrongLength),
        ({"memory_bytes": 8191}, NumberOutOfRange),
        ({"memory_bytes": 2**31}, NumberOutOfRange),
        ({"operations": 0}, NumberOutOfRange),
        ({"operations": 2**32}, NumberOutOfRange),
        ({"algorithm": "argon2i", "operations": 1}, NumberOutOfRange),
    ],
)
def test_argon2_refuses_what_it_cannot_do(changes: dict[str, Any], error: type[MalformedValue]) -> None:
    with pytest.raises(error):
        _argon2(**changes)


@settings(max_examples=10)
@given(st.binary(max_size=40), st.integers(16, 64))
def test_argon2_gives_as_many_bytes_as_asked_for(password: bytes, length: int) -> None:
    assert len(_argon2(password=password, length=length)) == length


def test_passwords_hash_without_normalisation() -> None:
    assert crypto.hash_password("\u00e4", bytes(16)) != crypto.hash_password("a\u0308", bytes(16))
    assert crypto.hash_password(SecretText("x"), bytes(16)) == crypto.hash_password("x", bytes(16))
    assert crypto.hash_password("\ud800", bytes(16)) == crypto.hash_password("\ufffd", bytes(16))


def test_a_password_protection_tells_a_pin_by_its_length() -> None:
    pin = crypto.PasswordProtection.create("12345", is_pin=True, location_indicator=50)
    assert (pin.shared.password_type, pin.shared.location_indicator) == ("pin5", 50)
    plain = crypto.PasswordProtection.create("12345", random=lambda length: bytes(range(length)))
    assert (plain.shared.password_type, plain.shared.salt) == ("pw", bytes(range(16)))
    assert plain.hashed() == crypto.hash_password("12345", bytes(range(16)))
    assert "12345" not in repr(pin)


@pytest.mark.parametrize(
    ("password", "is_pin"),
    [("", False), ("", True), ("123", True), ("1" * 17, True), ("12a4", True), ("\u0661" * 4, True)],
)
def test_a_password_that_is_none_is_refused(password: str, is_pin: bool) -> None:
    with pytest.raises(WrongForm):
        crypto.PasswordProtection.create(password, is_pin=is_pin)


@given(st.binary(max_size=50))
def test_a_hash_belongs_to_its_content(data: bytes) -> None:
    text = crypto.hash_text(data)
    crypto.check_hash(data, text)
    assert crypto.hash_bytes(data, crypto.HashAlgorithm.SHA256) == hashlib.sha256(data).digest()
    with pytest.raises(crypto.HashMismatch):
        crypto.check_hash(data + b"x", text)


@given(any_text)
def test_any_text_is_a_hash_of_the_content_or_refused(text: str) -> None:
    with pytest.raises((MalformedValue, crypto.HashMismatch)):
        crypto.check_hash(b"content", text)


def test_hashes_of_other_lengths_and_algorithms_are_refused() -> None:
    with pytest.raises(WrongLength):
        crypto.check_hash(b"", "AAAA")
    for number in (0, 3, 4):
        with pytest.raises(UnknownAlgorithm):
            crypto.hash_bytes(b"", number)


@given(st.lists(st.binary(max_size=40), max_size=4), st.data())
def test_streams_come_back_and_notice_every_change(plaintexts: list[bytes], data: st.DataObject) -> None:
    header, ciphertexts = crypto.push_stream(KEY, plaintexts)
    assert crypto.pull_stream(KEY, header, ciphertexts) == plaintexts
    if ciphertexts:
        place = data.draw(st.integers(0, len(ciphertexts) - 1))
        for changed in (
            [*ciphertexts[:place], b"x" + ciphertexts[place][1:] + b"y"],
            [ciphertexts[place][:16]],
            [*ciphertexts[:place], bytes(40)],
        ):
            with pytest.raises(crypto.DecryptionFailed):
                crypto.pull_stream(KEY, header, changed)
    with pytest.raises(WrongLength):
        crypto.pull_stream(KEY, header[1:], [])


@given(st.binary(max_size=60))
def test_base58_comes_back(data: bytes) -> None:
    assert text_forms.from_base58(text_forms.to_base58(data)) == data


@given(st.one_of(st.text("123ABCabcz0OIl", max_size=20), any_text))
def test_base58_decoder_takes_only_what_the_encoder_writes(text: str) -> None:
    try:
        data = text_forms.from_base58(text)
    except WrongAlphabet:
        return
    assert text_forms.to_base58(data) == text


def test_base58_is_capped_since_its_work_is_not_linear() -> None:
    with pytest.raises(TooLarge):
        text_forms.from_base58("z" * 2000)
    with pytest.raises(TooLarge):
        text_forms.to_base58(bytes(1025))
    assert text_forms.from_base58(text_forms.to_base58(b"\xff" * 1024)) == b"\xff" * 1024


def test_pem_takes_the_labels_of_keys_only() -> None:
    assert text_forms.to_pem(b"", "PRIVATE KEY") == ("-----BEGIN PRIVATE KEY-----\r\n-----END PRIVATE KEY-----\r\n")
    with pytest.raises(WrongForm):
        text_forms.to_pem(b"", "CERTIFICATE")
