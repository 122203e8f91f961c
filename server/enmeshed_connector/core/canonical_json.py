"""The JSON of the network: read as JavaScript reads it, written character for character as `JSON.stringify` writes it.

What gets signed and encrypted is such text, and official peers make it in JavaScript, so numbers, escapes and the order
of members follow that language (`spec/crypto.md` section 2). Values without floats, big integers, integer-like keys and
lone surrogates go through orjson, whose output is the same for them; the rest takes an exact path in Python. A
property test holds the two against each other.

Verification never needs this module: signed texts travel as strings and are checked as they are.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any, NoReturn, TypeAlias

import orjson

from .encodings import from_utf8
from .malformed import MalformedJson, NestedTooDeep, NumberOutOfRange, TooLarge, WrongType

Json: TypeAlias = Any
"""Any JSON value: None, bool, int, float, str, a list of them, or a dict from str to them."""

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object."""

MAX_DEPTH = 256
"""How deep arrays and objects may be nested, in both directions. Content of official peers stays below 30."""

MAX_SAFE_INTEGER = 2**53
"""Up to here every integer is a JavaScript number of its own; `dumps` writes the nearest one for what is past it."""

DEFAULT_MAX_BYTES = 32 * 1024 * 1024
"""The largest text that `loads` takes unless told otherwise."""

_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
# What orjson writes differently, found in its output: a float, an integer of 16 digits or more, an integer-like key.
# A string that looks so only costs the exact path. All matches begin with one set of characters, for which the module
# `re` looks four times as fast as for two; these texts may have many millions.
_NEEDS_EXACT = re.compile(
    rb"[:,\[{](?:"
    rb"-?[0-9]+(?:\.[0-9]+(?:e[-+]?[0-9]+)?|e[-+]?[0-9]+|(?<=[0-9]{16}))[,\]}]"
    rb"|\"(?:0|[1-9][0-9]{0,9})\":"
    rb")"
)
# The closing quote may be missing: a match that fails at the end would be tried again from every later quote.
_STRING_BYTES = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_BRACKET_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_ESCAPED = re.compile('[\x00-\x1f"\\\\\ud800-\udfff]')
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_MAX_ARRAY_INDEX = 2**32 - 2
_ARRAY_INDEX = re.compile(r"(?:0|[1-9][0-9]{0,9})\Z", re.ASCII)
_INT64 = 2**63
_UINT64 = 2**64


def loads(text: str | bytes, *, field: str = "json", max_bytes: int = DEFAULT_MAX_BYTES) -> Json:
    """Returns the value of a JSON text.

    Of several members with one name the last value stays, at the place of the first. Integers that fit 64 bits stay
    exact, larger ones become floats; lone surrogates stay. Work is linear in the text.

    Args:
        text: The text, or its UTF-8 bytes, of which one leading byte order mark is dropped.
        field: The path of the value, for the error.
        max_bytes: The largest size that is looked at.

    Raises:
        TooLarge: The text is over `max_bytes`.
        MalformedText: The bytes are not UTF-8.
        MalformedJson: It is not JSON.
        NestedTooDeep: Arrays and objects are nested deeper than 256.
        NumberOutOfRange: A number is beyond what a double holds.
    """
    if len(text) > max_bytes:
        raise TooLarge(field, f"is over {max_bytes} bytes")
    if isinstance(text, str):
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError:
            return _loads_exactly(text, text.encode("utf-8", "surrogatepass"), field)
    else:
        data = bytes(text)
    _check_depth(data, field)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # Malformed, or lone surrogates, a byte order mark, a number out of range: the exact path tells.
        return _loads_exactly(text if isinstance(text, str) else from_utf8(data, field), None, field)


def loads_object(text: str | bytes, *, field: str = "json", max_bytes: int = DEFAULT_MAX_BYTES) -> JsonObject:
    """Returns the members of a JSON text that must be an object.

    Raises:
        MalformedValue: As `loads`, and `WrongType` when it is something else than an object.
    """
    value = loads(text, field=field, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise WrongType(field, "must be a JSON object")
    return value


def dumps(value: Json) -> str:
    """Returns the text that `JSON.stringify` gives for the value, without white space.

    Members whose names are array indexes come first in ascending order, the rest as they were put in; NaN and the
    infinities become null. Typed objects of the network need `sort_members` first.

    Raises:
        NestedTooDeep: The value is nested deeper than 256, or holds itself.
        NumberOutOfRange: An integer is beyond what a double holds.
        TypeError: There is no JSON for it: a programming error.
    """
    try:
        data = orjson.dumps(value, option=_OPTIONS)
    except (orjson.JSONEncodeError, RecursionError):
        return _dumps_exactly(value)
    if type(value) in (int, float) or _NEEDS_EXACT.search(data) or is_too_deep(data):
        return _dumps_exactly(value)
    return data.decode("utf-8")


def dump_bytes(value: Json) -> bytes:
    """Returns the UTF-8 bytes of `dumps`."""
    # Lone surrogates are escaped in the text, so that it always encodes.
    return dumps(value).encode("utf-8")


def sort_members(members: Mapping[str, Json]) -> JsonObject:
    """Returns the members ascending by UTF-16 code unit, as in the network's typed objects; values stay as they are."""
    return {name: members[name] for name in sorted(members, key=_utf16_key)}


def sort_deep(value: Json) -> Json:
    """Returns the value with the members of all objects in it sorted as `sort_members` does.

    Raises:
        NestedTooDeep: The value is nested deeper than 256.
    """
    return _sort_deep(value, 0)


def is_exact(value: Json) -> bool:
    """Returns whether a JavaScript peer reads the same value: no integer past 2^53, no lone surrogate in any text."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if _has_surrogate(item):
                return False
        elif isinstance(item, dict):
            if any(_has_surrogate(name) for name in item):
                return False
            pending.extend(item.values())
        elif isinstance(item, list | tuple):
            pending.extend(item)
        elif isinstance(item, int) and not isinstance(item, bool) and abs(item) > MAX_SAFE_INTEGER:
            return False
    return True


def is_too_deep(data: bytes) -> bool:
    """Returns whether arrays and objects of a JSON text, in UTF-8, are nested deeper than 256; in linear time."""
    # As many opening brackets as the cap are needed to pass it, so that most texts are done after two counts.
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    brackets = _STRING_BYTES.sub(b"", data).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_BRACKET_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH


def _utf16_key(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def _has_surrogate(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _sort_deep(value: Json, depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise NestedTooDeep("json", f"is nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        return {name: _sort_deep(value[name], depth + 1) for name in sorted(value, key=_utf16_key)}
    if isinstance(value, list | tuple):
        return [_sort_deep(item, depth + 1) for item in value]
    return value


def _check_depth(data: bytes, field: str) -> None:
    if is_too_deep(data):
        raise NestedTooDeep(field, f"is nested deeper than {MAX_DEPTH}")


def _loads_exactly(text: str, data: bytes | None, field: str) -> Json:
    if data is not None:
        _check_depth(data, field)
    try:
        return json.loads(text, parse_int=_parse_int, parse_float=_parse_float, parse_constant=_refuse_constant)
    except _OutOfRange:
        raise NumberOutOfRange(field, "holds a number that no double can hold") from None
    except (ValueError, RecursionError):
        raise MalformedJson(field, "is not JSON") from None


class _OutOfRange(Exception):
    """A number of the text is beyond a double."""


def _parse_int(digits: str) -> int | float:
    # The length is checked first: the conversion of thousands of digits takes more than linear time.
    if len(digits) <= 20:
        number = int(digits)
        if -_INT64 <= number < _UINT64:
            return number
    return _parse_float(digits)


def _parse_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _OutOfRange
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _dumps_exactly(value: Json) -> str:
    parts: list[str] = []
    _write(value, parts, 0)
    return "".join(parts)


def _write(value: Json, parts: list[str], depth: int) -> None:
    if value is None:
        parts.append("null")
    elif isinstance(value, str):
        parts.append(_quote(value))
    elif value is True:
        parts.append("true")
    elif value is False:
        parts.append("false")
    elif isinstance(value, int):
        parts.append(_integer(value))
    elif isinstance(value, float):
        parts.append(_float(value))
    elif isinstance(value, dict | list | tuple):
        if depth >= MAX_DEPTH:
            raise NestedTooDeep("json", f"is nested deeper than {MAX_DEPTH}")
        if isinstance(value, dict):
            _write_object(value, parts, depth + 1)
        else:
            _write_array(value, parts, depth + 1)
    else:
        raise TypeError(f"there is no JSON for {type(value).__name__}")


def _write_object(value: Mapping[str, Json], parts: list[str], depth: int) -> None:
    opening = "{"
    for name in _in_script_order(value):
        parts.append(opening)
        parts.append(_quote(name))
        parts.append(":")
        _write(value[name], parts, depth)
        opening = ","
    parts.append("{}" if opening == "{" else "}")


def _write_array(value: Iterable[Json], parts: list[str], depth: int) -> None:
    opening = "["
    for item in value:
        parts.append(opening)
        _write(item, parts, depth)
        opening = ","
    parts.append("[]" if opening == "[" else "]")


def _in_script_order(members: Mapping[str, Json]) -> Iterable[str]:
    indexes: list[str] = []
    for name in members:
        if not isinstance(name, str):
            raise TypeError("the names of JSON members are texts")
        if _ARRAY_INDEX.match(name) and int(name) <= _MAX_ARRAY_INDEX:
            indexes.append(name)
    if not indexes:
        return members
    special = set(indexes)
    return sorted(indexes, key=int) + [name for name in members if name not in special]


def _quote(text: str) -> str:
    # Two surrogates that belong together are one character in JavaScript; Python may hold them apart.
    if _has_surrogate(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return _SHORT_ESCAPES.get(character) or f"\\u{ord(character):04x}"


def _integer(number: int) -> str:
    if -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER:
        return int.__repr__(number)
    try:
        return _float(float(number))
    except OverflowError:
        raise NumberOutOfRange("json", "holds an integer that no double can hold") from None


def _float(number: float) -> str:
    """Returns ECMAScript's Number::toString: the digits are those of Python's repr, the layout is not."""
    if math.isnan(number) or math.isinf(number):
        return "null"
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = float.__repr__(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    if fraction == "0":
        fraction = ""
    digits = (whole + fraction).lstrip("0")
    # The value is 0.digits times ten to the power of `point`.
    point = int(exponent or 0) + (len(whole) if whole != "0" else len(digits) - len(fraction))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    power = point - 1
    tail = f"e{'+' if power > 0 else '-'}{abs(power)}"
    return sign + digits[0] + ("." + digits[1:] if count > 1 else "") + tail
