"""Reads the JSON objects of peers in which one member, the content, may be any JSON at all, and loses nothing of it.

Official peers write what `dumps` writes; their texts cost no more than reading and writing them once. In every other
text the content may say more than the value that programs make of it (names that occur twice, integers of more than 64
bits), or be nested too deep for a value. Then its exact text is kept beside the value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from dataclasses import dataclass

from .canonical_json import MAX_DEPTH, JsonObject, dumps, loads, loads_object
from .malformed import MalformedJson, NestedTooDeep, NumberOutOfRange, TooLarge, WrongType

_TOKEN = re.compile(
    r"""[ \t\n\r]*+(?:
      (?P<mark>[{}\[\]:,])
    | (?P<text>"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")
    | (?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+)
    | (?P<word>true|false|null)
    )""",
    re.VERBOSE,
)
_BLANKS = " \t\n\r"
_MAX_INTEGER_DIGITS = 20
_INT64 = 2**63
_UINT64 = 2**64
# What may come next.
_VALUE, _VALUE_OR_END, _NAME, _NAME_OR_END, _COLON, _COMMA_OR_END, _NOTHING = range(7)


@dataclass
class _Member:
    """One member of the outermost object, as it stands in the text."""

    name: str
    start: int
    end: int = 0
    levels: int = 0
    is_in_range: bool = True
    says_more: bool = False
    """Whether the text says more than the value that is made of it."""


def loads_with_content(
    text: str, contents: Collection[str], *, field: str, max_bytes: int
) -> tuple[JsonObject, str | None]:
    """Returns the members of a JSON object, and the exact text of its content where the value does not tell all.

    A content that is nested too deep for a value, or holds a number beyond a double, is `{}` among the members; of a
    content with several members of one name the last one is there, as official peers read it. Work is linear in the
    text.

    Args:
        text: The text of the object.
        contents: The names of members that are content; one of them occurs at most.
        field: The path of the value, for errors.
        max_bytes: The largest size that is looked at.

    Raises:
        MalformedValue: As `loads_object`; depth and range of numbers only outside of the content.
    """
    if len(text) > max_bytes:
        raise TooLarge(field, f"is over {max_bytes} bytes")
    try:
        members = loads_object(text, field=field, max_bytes=max_bytes)
        if not any(name in members for name in contents) or dumps(members) == text:
            return members, None
    except (NestedTooDeep, NumberOutOfRange):
        pass
    members = {}
    content_text: str | None = None
    for member in _scan(text, field):
        raw = text[member.start : member.end]
        if member.name not in contents:
            # An error names the object alone: what its members are called is foreign, and may be a long secret.
            members[member.name] = loads(raw, field=field, max_bytes=max_bytes)
            continue
        is_value = member.is_in_range and member.levels < MAX_DEPTH
        members[member.name] = loads(raw, field=field, max_bytes=max_bytes) if is_value else {}
        content_text = raw.strip() if member.says_more or not is_value else None
    return members, content_text


def loads_content(text: str, *, field: str, max_bytes: int) -> tuple[JsonObject, str | None]:
    """Returns a content that stands alone and must be an object, and its exact text, as `loads_with_content` does.

    Raises:
        MalformedValue: It is no JSON object, or over `max_bytes`.
    """
    # Read as it is kept: inside of another object, so that the limits are the same.
    wrapped = f'{{"content":{text}}}'
    members, content_text = loads_with_content(wrapped, ("content",), field=field, max_bytes=max_bytes)
    if len(_scan(wrapped, field)) != 1:
        raise MalformedJson(field, "is not JSON")
    if not text.lstrip(_BLANKS).startswith("{"):
        raise WrongType(field, "must be a JSON object")
    content: JsonObject = members["content"]
    return content, content_text


def _scan(text: str, field: str) -> list[_Member]:
    """Returns the members of the object that a text is, having checked the whole text, at any depth."""
    if not text.lstrip(_BLANKS).startswith("{"):
        raise WrongType(field, "must be a JSON object")
    members: list[_Member] = []
    # The names of each open object, None for an array.
    open_names: list[set[str] | None] = []
    expected = _VALUE
    position = 0
    # Stands in until the first member begins.
    member = _Member("", 0)
    while (match := _TOKEN.match(text, position)) is not None:
        position = match.end()
        kind = match.lastgroup or ""
        symbol = match[kind]
        is_end = symbol in ("}", "]")
        if symbol == ":" and expected == _COLON:
            expected = _VALUE
            continue
        if symbol == "," and expected == _COMMA_OR_END:
            expected = _VALUE if open_names[-1] is None else _NAME
            continue
        if kind == "text" and expected in (_NAME, _NAME_OR_END):
            names = open_names[-1]
            assert names is not None
            name: str = json.loads(symbol) if "\\" in symbol else symbol[1:-1]
            if len(open_names) == 1:
                # Behind the colon, and perhaps blanks in front of it.
                member = _Member(name, text.find(":", position) + 1)
            elif name in names:
                member.says_more = True
            names.add(name)
            expected = _COLON
            continue
        if is_end:
            if expected not in (_COMMA_OR_END, _NAME_OR_END if symbol == "}" else _VALUE_OR_END):
                break
            if (open_names.pop() is None) != (symbol == "]"):
                break
        elif expected not in (_VALUE, _VALUE_OR_END) or symbol in (":", ","):
            break
        elif kind == "mark":
            open_names.append(set() if symbol == "{" else None)
            member.levels = max(member.levels, len(open_names) - 1)
            expected = _NAME_OR_END if symbol == "{" else _VALUE_OR_END
            continue
        elif not open_names:
            break
        elif kind == "number":
            _look_at(symbol, member)
        # A value is complete.
        expected = _COMMA_OR_END if open_names else _NOTHING
        if len(open_names) == 1:
            member.end = position
            members.append(member)
        elif not open_names:
            break
    if expected != _NOTHING or text[position:].strip(_BLANKS):
        raise MalformedJson(field, "is not JSON")
    return members


def _look_at(number: str, member: _Member) -> None:
    """Notes what a number means for the member that it is in."""
    if number.lstrip("-").isdigit():
        # The length is checked first: converting thousands of digits takes more than linear time.
        if len(number) <= _MAX_INTEGER_DIGITS + 1 and -_INT64 <= int(number) < _UINT64:
            return
        member.says_more = True
    if math.isinf(float(number)):
        member.is_in_range = False
