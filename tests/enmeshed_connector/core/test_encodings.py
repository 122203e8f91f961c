from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enmeshed_connector.core.encodings import (
    from_base64,
    from_base64url,
    from_hex,
    from_utf8,
    to_base64,
    to_base64url,
    to_hex,
    to_utf8,
)
from enmeshed_connector.core.malformed import (
    MalformedText,
    MalformedValue,
    TrailingBits,
    WrongAlphabet,
    WrongLength,
    WrongPadding,
    WrongType,
)
from tests.support.json_strategies import any_text

CODECS: list[tuple[Callable[[bytes], str], Callable[[str, str], bytes]]] = [
    (to_base64url, from_base64url),
    (to_base64, from_base64),
    (to_hex, from_hex),
]
base64_texts = st.text("ABCDwxyz0189+/-_=Q \n", max_size=12)


@given(st.binary(max_size=200))
def test_bytes_come_back_from_every_encoding(data: bytes) -> None:
    for encode, decode in CODECS:
        assert decode(encode(data), "field") == data
    assert to_base64url(data) == base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


@given(st.one_of(base64_texts, any_text))
@example("QUI=")
@example("QQ==")
@example("Q===")
@example("====")
@example("QUJDQQ==QUJD")
@example("QR")
@example("00000000=")
@example("00000000====")
@example("00000")
@example("ä")
def test_base64_decoders_take_only_what_the_encoder_writes(text: str) -> None:
    for encode, decode in CODECS[:2]:
        try:
            data = decode(text, "field")
        except MalformedValue:
            continue
        assert encode(data) == text


@given(st.one_of(st.text("0123456789abcdefABCDEFg ", max_size=10), any_text))
def test_hex_decoder_takes_only_even_digits_of_either_case(text: str) -> None:
    try:
        data = from_hex(text, "field")
    except MalformedValue:
        assert len(text) % 2 or any(character not in "0123456789abcdefABCDEF" for character in text)
    else:
        assert to_hex(data) == text.lower()


@pytest.mark.parametrize(
    ("decode", "text", "error"),
    [
        (from_base64url, "QUI=", WrongPadding),
        (from_base64url, "QQ==", WrongPadding),
        (from_base64url, "Q", WrongPadding),
        (from_base64url, "QUJ", TrailingBits),
        (from_base64url, "QR", TrailingBits),
        (from_base64url, "+/+/", WrongAlphabet),
        (from_base64url, "QU JD", WrongAlphabet),
        (from_base64url, "QUJD\n", WrongAlphabet),
        (from_base64url, "QUJD\0\0\0\0", WrongAlphabet),
        (from_base64url, "äöü", WrongAlphabet),
        (from_base64, "QUI", WrongPadding),
        (from_base64, "QUI==", WrongPadding),
        (from_base64, "=", WrongPadding),
        (from_base64, "QUJ=", TrailingBits),
        (from_base64, "-_-_", WrongAlphabet),
        (from_base64, "QU=I", WrongAlphabet),
        (from_hex, "0", WrongLength),
        (from_hex, "0g", WrongAlphabet),
        (from_hex, "00:ff", WrongAlphabet),
        (from_hex, "\u0660\u0660", WrongAlphabet),
    ],
)
def test_each_fault_has_its_own_error(
    decode: Callable[[str, str], bytes], text: str, error: type[MalformedValue]
) -> None:
    with pytest.raises(error) as raised:
        decode(text, "reference.key")
    assert type(raised.value) is error
    assert raised.value.violations[0].field == "reference.key"


@pytest.mark.parametrize("decode", [from_base64url, from_base64, from_hex])
def test_what_is_not_text_is_refused(decode: Callable[[object, str], bytes]) -> None:
    values: list[object] = [None, 1, b"QUJD", ["QUJD"], {}]
    for value in values:
        with pytest.raises(WrongType):
            decode(value, "field")


@given(st.binary(max_size=50))
def test_utf8_decoding_gives_text_or_a_typed_error(data: bytes) -> None:
    try:
        text = from_utf8(data, "field")
    except MalformedText:
        with pytest.raises(UnicodeDecodeError):
            data.decode("utf-8")
    else:
        assert to_utf8(text) == data.removeprefix(b"\xef\xbb\xbf")


def test_one_byte_order_mark_is_dropped() -> None:
    assert from_utf8(b"\xef\xbb\xbf\xef\xbb\xbfA", "field") == "\ufeffA"


def test_surrogates_encode_as_javascript_encodes_them() -> None:
    assert to_utf8("a\ud800b") == b"a\xef\xbf\xbdb"
    assert to_utf8("\udc00\ud800") == b"\xef\xbf\xbd" * 2
    assert to_utf8("\ud83d\ude00") == "😀".encode()


@given(any_text)
def test_utf8_encoding_never_fails(text: str) -> None:
    assert from_utf8(b"x" + to_utf8(text), "field") is not None
