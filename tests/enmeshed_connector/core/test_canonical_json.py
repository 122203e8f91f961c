from __future__ import annotations

import contextlib
import json
import math
import re
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enmeshed_connector.core import canonical_json
from enmeshed_connector.core.canonical_json import (
    MAX_DEPTH,
    dump_bytes,
    dumps,
    is_exact,
    loads,
    loads_object,
    sort_deep,
    sort_members,
)
from enmeshed_connector.core.malformed import (
    MalformedJson,
    MalformedText,
    MalformedValue,
    NestedTooDeep,
    NumberOutOfRange,
    TooLarge,
    WrongType,
)
from tests.support.json_strategies import any_text, json_values, numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # Made with JSON.stringify of Node.js.
        (1.0, "1"),
        (-0.0, "0"),
        (0, "0"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1.2345e25, "1.2345e+25"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (0.1, "0.1"),
        (123.456, "123.456"),
        (-12.5, "-12.5"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (4.35, "4.35"),
        (2**53, "9007199254740992"),
        (2**53 + 1, "9007199254740992"),
        (-(2**53) - 3, "-9007199254740996"),
        (2**64, "18446744073709552000"),
        (10**21, "1e+21"),
        (10**30, "1e+30"),
        (math.nan, "null"),
        (math.inf, "null"),
        (True, "true"),
        (None, "null"),
        ("\ud800", '"\\ud800"'),
        ("a\udfffb", '"a\\udfffb"'),
        ("\ud83d\ude00", '"😀"'),
        (
            '\x00\x07\b\t\n\x0b\f\r\x1f\x7f\u2028/"\\',
            '"\\u0000\\u0007\\b\\t\\n\\u000b\\f\\r\\u001f\x7f\u2028/\\"\\\\"',
        ),
        ({}, "{}"),
        ([], "[]"),
        ((1, (2,)), "[1,[2]]"),
        ({"b": 1, "10": 2, "a": 3, "9": 4, "01": 5, "-1": 6}, '{"9":4,"10":2,"b":1,"a":3,"01":5,"-1":6}'),
        ({"4294967295": 1, "4294967294": 2, "0": 3}, '{"0":3,"4294967294":2,"4294967295":1}'),
        ({"x": [1.0, {"2": 1, "1": "T03:06:14.130Z"}]}, '{"x":[1,{"1":"T03:06:14.130Z","2":1}]}'),
        ({"\ud800": 1}, '{"\\ud800":1}'),
    ],
)
def test_dumps_writes_as_javascript_does(value: Any, text: str) -> None:
    assert dumps(value) == text
    assert dump_bytes(value) == text.encode("utf-8")


@given(json_values(text=any_text))
@example([1.5, "a:1.5,", {"1": {}, "0": []}])
@example({"a": 9999999999999999, "b": [1e16]})
def test_fast_path_and_exact_path_write_the_same(value: Any) -> None:
    assert dumps(value) == canonical_json._dumps_exactly(value)


@given(json_values(text=any_text))
def test_what_was_written_reads_back_and_is_written_the_same(value: Any) -> None:
    text = dumps(value)
    again = loads(text)
    assert dumps(again) == text
    assert dumps(loads(text.encode("utf-8"))) == text


@given(json_values())
def test_members_and_order_survive(value: Any) -> None:
    def normal(item: Any) -> Any:
        if isinstance(item, dict):
            return {name: normal(inner) for name, inner in item.items()}
        if isinstance(item, list):
            return [normal(inner) for inner in item]
        return float(item) if isinstance(item, int | float) and not isinstance(item, bool) else item

    assert normal(loads(dumps(value))) == normal(value)


@given(st.one_of(json_values(text=any_text).map(lambda value: json.dumps(value)), st.text('[]{}",:0123e+-.\\u ntrfal')))
def test_fast_path_and_exact_path_read_the_same(text: str) -> None:
    def outcome(read: Any) -> Any:
        try:
            return ("value", repr(read()))
        except MalformedValue as error:
            return type(error)

    exact = outcome(lambda: canonical_json._loads_exactly(text, text.encode("utf-8", "surrogatepass"), "json"))
    # -0 and 0 are one JavaScript text; orjson gives an integer for both.
    assert outcome(lambda: loads(text)) == exact


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_each_float_reads_back_as_itself(number: float) -> None:
    text = dumps(number)
    assert float(text) == number
    assert re.fullmatch(r"-?(0|[1-9]\d{0,20})(\.\d+)?(e[+-][1-9]\d{0,2})?", text)


@given(st.binary(max_size=200))
@example(b"\xff")
@example(b"\xef\xbb\xbf1")
@example(b'"\xed\xa0\x80"')
def test_any_bytes_give_a_value_or_a_typed_error(data: bytes) -> None:
    with contextlib.suppress(MalformedValue):
        loads(data)


@given(st.text('[]{}",:0123456789eE+-.\\u ntrfalse\ufeff\ud800', max_size=60))
def test_any_text_gives_a_value_or_a_typed_error(text: str) -> None:
    with contextlib.suppress(MalformedValue):
        loads(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", MalformedJson),
        ("NaN", MalformedJson),
        ("[Infinity]", MalformedJson),
        ("-Infinity", MalformedJson),
        ("[1,]", MalformedJson),
        ("{'a':1}", MalformedJson),
        ("01", MalformedJson),
        ('"\n"', MalformedJson),
        ("\ufeff1", MalformedJson),
        ("1e999", NumberOutOfRange),
        ("1" * 5000, NumberOutOfRange),
        ('{"a":-1e400}', NumberOutOfRange),
        (b"\xff", MalformedText),
        (b'"\xed\xa0\x80"', MalformedText),
    ],
)
def test_what_is_not_json_is_refused(text: str | bytes, error: type[MalformedValue]) -> None:
    with pytest.raises(error):
        loads(text)


def test_a_byte_order_mark_before_bytes_is_dropped() -> None:
    assert loads(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


def test_the_last_of_equal_members_stays_at_the_place_of_the_first() -> None:
    assert dumps(loads('{"a":1,"b":2,"a":3}')) == '{"a":3,"b":2}'
    assert dumps(loads('{"a":1,"b":"\\ud800","a":3}')) == '{"a":3,"b":"\\ud800"}'


def test_integers_of_64_bits_stay_exact_and_larger_ones_become_floats() -> None:
    assert loads("[18446744073709551615,-9223372036854775808]") == [2**64 - 1, -(2**63)]
    for text in ("18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"):
        for form in (text, f'["\\ud800",{text}]'):
            value = loads(form)
            number = value if isinstance(value, float) else value[1]
            assert isinstance(number, float)
            assert number == float(text)


@pytest.mark.parametrize(("opening", "closing", "depth"), [("[", "]", 1), ('{"a":', "}", 1), ('[{"\\"[":', "}]", 2)])
def test_depth_is_capped_without_recursion(opening: str, closing: str, depth: int) -> None:
    times = MAX_DEPTH // depth
    assert loads(opening * times + "1" + closing * times) is not None
    for deeper in (times + 1, 100_000):
        with pytest.raises(NestedTooDeep):
            loads(opening * deeper + "1" + closing * deeper)


def test_brackets_in_texts_do_not_count_as_depth() -> None:
    text = "[" * 1000 + '\\"'
    assert loads(json.dumps([text, "{" * 1000])) == [text, "{" * 1000]
    assert dumps([text]) == json.dumps([text])


def test_unclosed_brackets_are_refused() -> None:
    for text in ("[" * 300, "{" * 300, '"' + "[" * 300):
        with pytest.raises((NestedTooDeep, MalformedJson)):
            loads(text)


def test_dumps_caps_depth_at_the_same_place() -> None:
    value: Any = 1.5
    for _ in range(MAX_DEPTH):
        value = [value]
    assert loads(dumps(value)) == value
    for deeper in ([value], {"a": value}):
        with pytest.raises(NestedTooDeep):
            dumps(deeper)
        with pytest.raises(NestedTooDeep):
            sort_deep(deeper)
    plain: Any = "text"
    for _ in range(MAX_DEPTH + 1):
        plain = {"a": plain}
    with pytest.raises(NestedTooDeep):
        dumps(plain)


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NestedTooDeep):
        dumps(value)


def test_reading_and_writing_work_deep_in_the_stack() -> None:
    text = "[" * MAX_DEPTH + '"\\ud800"' + "]" * MAX_DEPTH

    def at_depth(frames: int) -> str:
        return at_depth(frames - 1) if frames else dumps(loads(text))

    assert at_depth(sys.getrecursionlimit() // 3) == text


@pytest.mark.parametrize("value", [{1: 2}, {"a": object()}, {"a": b"bytes"}, {1, 2}])
def test_what_has_no_json_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError):
        dumps(value)


def test_an_integer_beyond_a_double_is_refused() -> None:
    with pytest.raises(NumberOutOfRange):
        dumps(10**400)


def test_size_is_capped_before_anything_is_read() -> None:
    with pytest.raises(TooLarge):
        loads("x" * 11, max_bytes=10)


def test_loads_object_takes_only_objects() -> None:
    assert loads_object('{"a":1}') == {"a": 1}
    with pytest.raises(WrongType) as raised:
        loads_object("[1]", field="content")
    assert raised.value.field == "content"
    assert raised.value.facts == {"field": "content", "problem": "WRONG_TYPE"}


def test_members_sort_by_utf16_code_unit() -> None:
    members = dict.fromkeys(["z", "\uff5e", "😀", "@type", "Z", "a", "10", "9"], 1)
    assert list(sort_members(members)) == ["10", "9", "@type", "Z", "a", "z", "😀", "\uff5e"]


@given(json_values(text=any_text))
def test_sorting_is_deep_and_settles(value: Any) -> None:
    once = sort_deep(value)
    assert dumps(sort_deep(once)) == dumps(once)
    assert repr(sort_deep(once)) == repr(once)


@pytest.mark.parametrize(
    ("value", "is_kept"),
    [({"a": [2**53, 1.5, "ä"]}, True), ([2**53 + 1], False), ({"\ud800": 1}, False), ({"a": ["\udc00"]}, False)],
)
def test_is_exact_tells_what_a_javascript_peer_would_change(value: Any, is_kept: bool) -> None:
    assert is_exact(value) is is_kept


@given(st.lists(numbers, max_size=5))
def test_exact_numbers_below_two_to_the_53_read_back_equal(value: list[Any]) -> None:
    value = [number for number in value if abs(number) <= 2**53]
    assert is_exact([number for number in value if isinstance(number, int)])
    assert loads(dumps(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        '"' + "\\" * 4_000_001,
        "[" * 4_000_000,
        '["' + '\\"[' * 1_300_000,
        '{"' * 2_000_000,
        "1" * 4_000_000,
        "-" + "0." + "1" * 4_000_000 + "e",
        '"\\ud800",' * 400_000,
    ],
    ids=["escapes", "arrays", "open text", "open names", "digits", "fraction", "surrogates"],
)
def test_hostile_texts_of_megabytes_are_refused_within_the_time_of_a_test(text: str) -> None:
    with pytest.raises(MalformedValue):
        loads(text)
