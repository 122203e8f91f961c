"""What a peer wrote as content is kept exactly, whatever it is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_connector.core.canonical_json import dumps
from enmeshed_connector.core.foreign_content import loads_content, loads_with_content
from enmeshed_connector.core.malformed import MalformedJson, MalformedValue, NestedTooDeep, WrongType
from tests.support.json_strategies import json_values


def read(text: str) -> tuple[dict[str, Any], str | None]:
    return loads_with_content(text, ("content",), field="message", max_bytes=1_000_000)


def wrapped(content: str) -> str:
    return f'{{"@type":"Wrapper","content":{content},"recipients":["a"]}}'


@given(json_values())
def test_what_official_peers_write_is_a_value_and_no_more(value: Any) -> None:
    text = dumps({"a": 1, "content": value, "b": [{}]})
    members, content = read(text)
    assert dumps(members) == text
    assert content is None


@given(json_values(), st.sampled_from([None, 1]), st.booleans())
def test_other_ways_to_write_the_same_are_the_same(value: Any, indent: int | None, is_ascii: bool) -> None:
    text = json.dumps({"a": 1, "content": json.loads(dumps(value)), "b": [{}]}, indent=indent, ensure_ascii=is_ascii)
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert dumps(read(text)[0]) == dumps(json.loads(text))


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ('{"a":1,"a":2}', {"a": 2}),
        ('{"a":1,"\\u0061":2}', {"a": 2}),
        ('[{"b":{"a":[],"a":{}}}]', [{"b": {"a": {}}}]),
        ("18446744073709551616", 18446744073709551616.0),
        ("-9223372036854775809", -9223372036854775809.0),
        ("1e400", {}),
        ("[" * 256 + "]" * 256, {}),
        ('{"a":' * 5000 + "null" + "}" * 5000, {}),
        ('[{"a":1,"a":2},' + "[" * 5000 + "]" * 5000 + "]", {}),
    ],
)
def test_a_content_that_says_more_than_its_value_is_kept_as_text(content: str, value: Any) -> None:
    assert read(wrapped(content)) == ({"@type": "Wrapper", "content": value, "recipients": ["a"]}, content)
    assert read(wrapped(f"\n {content}\t")) == ({"@type": "Wrapper", "content": value, "recipients": ["a"]}, content)


@pytest.mark.parametrize(
    "content",
    [
        '{"a":{"b":1},"c":{"b":2}}',
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551615",
        '"\\ud800"',
        '{"\\u0000":1,"a.b":2,"$c":3}',
        '"{\\"a\\":1,\\"a\\":2}[[["',
        "[" * 255 + "]" * 255,
    ],
)
def test_a_content_whose_value_tells_all_needs_no_text(content: str) -> None:
    assert read(wrapped(content)) == (json.loads(wrapped(content)), None)


@pytest.mark.parametrize(
    "broken",
    ["[1,]", "[1 2]", '{"a" 1}', '{"a":1,}', "{1:2}", "[}", "{]", "]", ":", "", "tru", "01", '"\n"', '"\\x"', "[1],"],
)
def test_what_is_no_json_is_refused_at_any_depth(broken: str) -> None:
    deep = "[" * 300 + "]" * 300
    for text in (wrapped(broken), wrapped(f"[{deep},{broken}]"), wrapped(deep) + "x", wrapped(deep)[:-1]):
        with pytest.raises(MalformedJson):
            read(text)


def test_everything_but_the_content_has_its_limits() -> None:
    deep = "[" * 300 + "]" * 300
    with pytest.raises(NestedTooDeep):
        read(f'{{"content":1,"other":{deep}}}')
    with pytest.raises(WrongType):
        read(f"[{deep}]")
    with pytest.raises(MalformedValue):
        loads_with_content(wrapped("1"), ("content",), field="message", max_bytes=10)


@pytest.mark.parametrize("wrong", ["1e999", "[" * 300 + "]" * 300, "tru"])
def test_an_error_tells_nothing_of_what_was_read(wrong: str) -> None:
    with pytest.raises(MalformedValue) as caught:
        read(f'{{"a secret":{wrong},"content":{{"a secret":1,"a secret":2}}}}')
    assert caught.value.field == "message"
    assert "a secret" not in str(caught.value)


def test_a_content_alone_is_read_as_one_inside_of_something() -> None:
    deep = '{"a":' * 256 + "1" + "}" * 256
    for text, expected in (
        ('{"a":1}', ({"a": 1}, None)),
        ('{"a":1,"a":2}', ({"a": 2}, '{"a":1,"a":2}')),
        (deep, ({}, deep)),
    ):
        assert loads_content(text, field="token", max_bytes=10_000) == expected
    for broken in ('{},"content":{}', "{}}", "[1]", "null", "", '{},"b":{}'):
        with pytest.raises(MalformedValue):
            loads_content(broken, field="token", max_bytes=10_000)
