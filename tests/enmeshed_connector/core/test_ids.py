from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_connector.core import ids
from enmeshed_connector.core.ids import IdKind, IdMaker, find_id, parse_id, random_text
from enmeshed_connector.core.malformed import (
    MalformedValue,
    WrongAlphabet,
    WrongForm,
    WrongLength,
    WrongPrefix,
    WrongType,
)
from tests.support.json_strategies import any_text

KINDS: list[IdKind[Any]] = [value for value in vars(ids).values() if isinstance(value, IdKind)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_fresh_id_is_an_id_of_its_kind(kind: IdKind[Any]) -> None:
    made = IdMaker().new(kind)
    assert len(made) == 20
    assert parse_id(kind, made) == made
    assert find_id(kind.prefix, made) == made


def test_prefixes_are_those_of_the_network() -> None:
    network = "FIL REL MSG RLT TOK DVC CHL DWM SYR SYI IDP USR ANC DPI"
    local = "TRPSEC TRPRSE TRPRTK TRPDWM ATT ATTFD REQ NOT IDM LCLDRF LCLSET"
    assert {kind.prefix for kind in KINDS} == {*network.split(), *local.split(), ""}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("MSGabcdefghijKLMNO1", WrongLength),
        ("MSGabcdefghijKLMNO123", WrongLength),
        ("", WrongLength),
        ("TOKabcdefghijKLMNO12", WrongPrefix),
        ("msgabcdefghijKLMNO12", WrongPrefix),
        ("MSGabcdefghij-LMNO12", WrongAlphabet),
        ("MSGabcdefghijKLMNO1\n", WrongAlphabet),
        ("MSGabcdefghijKLMNO1ä", WrongAlphabet),
        ("MSGabcdefghijKLMNO1\u0661", WrongAlphabet),
        (None, WrongType),
        (b"MSGabcdefghijKLMNO12", WrongType),
        (12, WrongType),
    ],
)
def test_what_is_no_message_id_is_refused(text: Any, error: type[MalformedValue]) -> None:
    with pytest.raises(error) as raised:
        parse_id(ids.MESSAGE, text, "messageId")
    assert raised.value.field == "messageId"


@given(any_text)
def test_any_text_is_an_id_or_refused(text: str) -> None:
    kinds: list[IdKind[Any]] = [ids.LOCAL, ids.TOKEN]
    for kind in kinds:
        try:
            assert parse_id(kind, text) == text
        except MalformedValue:
            continue
        assert len(text) == 20
        assert set(text) <= set(string.ascii_letters + string.digits)


def test_the_loose_check_finds_an_id_inside_other_text() -> None:
    assert find_id("MSG", "xxMSGabcdefghijKLMNO12yy") == "MSGabcdefghijKLMNO12"
    with pytest.raises(WrongForm):
        find_id("MSG", "MSGabc")


def test_ids_come_from_the_random_source_alone() -> None:
    assert IdMaker(bytes).new(ids.TEMPLATE_KEY) == "TRPRTK" + "A" * 14


@given(st.binary(min_size=1, max_size=64))
def test_random_text_leaves_out_bytes_that_would_favour_some_characters(seed: bytes) -> None:
    position = 0

    def random(length: int) -> bytes:
        nonlocal position
        # Refused bytes come first; a source of nothing else would never end.
        data = bytes(seed[(position + place) % len(seed)] if (position + place) % 3 else 7 for place in range(length))
        position += length
        return data

    assert set(random_text(30, "abc", random)) <= set("abc")
    assert random_text(2, "abc", lambda length: (b"\xff" * 3 + b"\x01\x02" * length)[:length]) == "bc"


def test_a_kind_has_a_prefix_of_six_upper_case_letters_at_most() -> None:
    for prefix in ("abc", "ABCDEFG", "A1"):
        with pytest.raises(ValueError):
            IdKind("odd", prefix)
