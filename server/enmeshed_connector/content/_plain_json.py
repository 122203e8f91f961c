"""Plain JSON as protobuf's `Struct` and `Value`, and as exact text where those would lose something."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.errors import field_path

MAX_LEVELS = 24
"""How deep objects and arrays may be nested in a typed message or a `Struct`. Each level costs up to three of the
hundred levels of messages that the parsers of most languages follow."""

MAX_SAFE_INTEGER = 2**53
"""Up to here every whole number is a double of its own."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class NotRepresentable(Exception):
    """A JSON value cannot be held by a message without losing something. Says not where: another form is used."""


class NotInJson(ValueError):
    """A message holds what JSON does not have."""

    path = ""
    """Where, from the message that is written; filled while the error passes what holds the place."""

    def lies_in(self, part: str) -> None:
        """Notes that all this is in a member, or as `[2]` in an item of a list."""
        self.path = field_path(part, self.path)


def is_shallow(value: Json) -> bool:
    """Returns whether no more than 24 levels of objects and arrays are nested in the value. Safe at any depth."""
    level: list[Json] = [value] if type(value) is dict or type(value) is list else []
    for _ in range(MAX_LEVELS):
        if not level:
            return True
        level = [
            child
            for container in level
            for child in (container.values() if type(container) is dict else container)
            if type(child) is dict or type(child) is list
        ]
    return not level


def plain_number(number: float) -> int | float:
    """Returns a double as the number that JSON writes: without a fraction where it has none.

    Raises:
        NotInJson: It is an infinity or not a number; JSON has neither.
    """
    if number.is_integer():
        return int(number) if -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER else number
    if math.isfinite(number):
        return number
    raise NotInJson("is not a number that JSON has")


def exact_double(value: Json) -> float:
    """Returns a JSON number as a double that says the same.

    Raises:
        NotRepresentable: It is no number, or a whole one past 2^53.
    """
    kind = type(value)
    if kind is int:
        if -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            return float(value)
    elif kind is float and math.isfinite(value):
        return float(value)
    raise NotRepresentable


def fill_struct(target: Struct, members: JsonObject) -> None:
    """Puts the members of a JSON object into an empty struct.

    Args:
        target: The struct.
        members: The object, no more than 24 levels deep.

    Raises:
        NotRepresentable: A number is past 2^53.
        UnicodeEncodeError: A text holds a lone surrogate.
    """
    fields = target.fields
    for name, value in members.items():
        fill_value(fields[name], value)


def fill_value(target: Value, value: Json) -> None:
    """Puts a JSON value into an unset one. Raises as `fill_struct`."""
    kind = type(value)
    if kind is str:
        target.string_value = value
    elif kind is bool:
        target.bool_value = value
    elif kind is int or kind is float:
        target.number_value = exact_double(value)
    elif kind is dict:
        # An empty object is one, too: the member must be set although nothing is put into it.
        target.struct_value.SetInParent()
        fill_struct(target.struct_value, value)
    elif kind is list:
        target.list_value.SetInParent()
        add = target.list_value.values.add
        for item in value:
            fill_value(add(), item)
    elif value is None:
        target.null_value = 0  # type: ignore[assignment]  # The one value of the enum.
    else:
        raise NotRepresentable


def struct_to_json(struct: Struct) -> JsonObject:
    """Returns the object of a struct, its keys ascending by code unit.

    Raises:
        NotInJson: A number is an infinity or not a number.
    """
    fields = struct.fields
    return write_members(in_key_order(fields), lambda name: value_to_json(fields[name]))


def value_to_json(value: Value) -> Json:
    """Returns the JSON of a value; one that is not set is null. Raises as `struct_to_json`."""
    kind = value.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    # One look-up by name serves every kind, which is less work than one comparison for each.
    item = getattr(value, kind)
    if kind == "number_value":
        return plain_number(item)
    if kind == "struct_value":
        return struct_to_json(item)
    if kind == "list_value":
        return write_each(item.values, value_to_json)
    return item


def write_each(items: Iterable[Any], write: Callable[[Any], Json]) -> list[Json]:
    """Returns a list of what is written of each item; an error of it learns of which."""
    written: list[Json] = []
    try:
        for item in items:
            written.append(write(item))
    except NotInJson as error:
        error.lies_in(f"[{len(written)}]")
        raise
    return written


def write_members(names: Iterable[str], write: Callable[[str], Json]) -> JsonObject:
    """Returns an object of what is written of each member; an error of it learns of which."""
    written: JsonObject = {}
    for name in names:
        try:
            written[name] = write(name)
        except NotInJson as error:
            error.lies_in(name)
            raise
    return written


def in_key_order(names: Iterable[str]) -> list[str]:
    """Returns names ascending by UTF-16 code unit, which is how official peers order keys."""
    ordered = sorted(names)
    # Only characters past the sixteen-bit plane are ordered differently by code point.
    if not "".join(ordered).isascii():
        ordered.sort(key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return ordered


def exact_text(value: Json) -> str:
    """Returns compact JSON text that says exactly what the value says, at any depth.

    Lone surrogates are escaped, all other characters stand for themselves; whole numbers have all their digits.

    Raises:
        ValueError: A number is an infinity or not a number.
    """
    try:
        return _escaped(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    except RecursionError:
        return _deep_text(value)


def _deep_text(value: Json) -> str:
    parts: list[str] = []
    # Work by a stack of what is still to be written, so that hostile depth costs memory and no recursion.
    pending: list[Iterator[tuple[str, Json]]] = [iter([("", value)])]
    closing: list[str] = [""]
    while pending:
        following = next(pending[-1], None)
        if following is None:
            pending.pop()
            parts.append(closing.pop())
            continue
        prefix, item = following
        parts.append(prefix)
        if isinstance(item, dict):
            parts.append("{")
            pending.append(_members(item))
            closing.append("}")
        elif isinstance(item, list):
            parts.append("[")
            pending.append(("," if index else "", child) for index, child in enumerate(item))
            closing.append("]")
        else:
            parts.append(_scalar_text(item))
    return "".join(parts)


def _members(members: JsonObject) -> Iterator[tuple[str, Json]]:
    for index, (name, child) in enumerate(members.items()):
        yield f"{',' if index else ''}{_scalar_text(name)}:", child


def _scalar_text(value: Json) -> str:
    return _escaped(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _escaped(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
