"""What rules are made of: each says of one JSON value whether it is right, and where it is not.

Rules follow what official peers take when they read. Strings are counted in UTF-16 code units, `5.0` is a whole number,
`true` is none. A rule never stops at the first fault: a caller learns all of them at once, up to a bound.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from enmeshed_connector.core.canonical_json import Json, JsonObject, dumps
from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.errors import FieldViolation
from enmeshed_connector.core.malformed import MalformedValue

MAX_VIOLATIONS: Final = 50
"""How many faults are told of one content."""

MAX_KEY_IN_PATH: Final = 100
"""How much of a key that somebody chose becomes part of a path."""

MAX_NESTED_RULES: Final = 100
"""How deep rules follow each other: hints may hold hints. Deeper content is refused before Python's stack ends."""

_ONE: Final = re.compile(r"\s*\+?0*1(?!\d)", re.ASCII)


class Check:
    """One run of rules over one content: what was found so far, and under which circumstances it is looked at.

    Args:
        now: The moment, for dates that must not be in the future.
        tolerant: Whether the content was received: then other forms that older peers send are right, too.
    """

    def __init__(self, now: datetime, *, tolerant: bool) -> None:
        self.now = now
        self.tolerant = tolerant
        self.violations: list[FieldViolation] = []
        self.faults = 0
        """How many faults there are, those that are not told among them."""
        self.has_unknown_type = False
        self._depth = 0

    def fail(self, path: str, description: str) -> None:
        """Notes a fault."""
        self.faults += 1
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(FieldViolation(path, description))

    def fail_type(self, path: str, description: str) -> None:
        """Notes a type that is unknown or not allowed."""
        self.has_unknown_type = True
        self.fail(f"{path}.@type", description)

    @contextmanager
    def nested(self, path: str) -> Iterator[bool]:
        """Counts one level; gives whether rules may follow the value further."""
        self._depth += 1
        try:
            if self._depth > MAX_NESTED_RULES:
                self.fail(path, f"is nested deeper than {MAX_NESTED_RULES} levels")
            yield self._depth <= MAX_NESTED_RULES
        finally:
            self._depth -= 1


class Rule(Protocol):
    """Says whether a JSON value is right."""

    def check(self, value: Json, path: str, check: Check) -> None:
        """Notes in `check` what is wrong with the value at `path`."""


ObjectRule = Callable[[JsonObject, str, Check], None]
"""Looks at a whole object whose properties are right."""


def utf16_length(text: str) -> int:
    """Returns the length as JavaScript counts it: in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def is_number(value: Json) -> bool:
    """Returns whether the value is a JSON number; truth values are none, nor are what Python calls NaN and infinity."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def is_integer(value: Json) -> bool:
    """Returns whether the value is a JSON number without a fraction."""
    return is_number(value) and (isinstance(value, int) or value.is_integer())


@dataclass(frozen=True)
class Text:
    """A text."""

    min: int = 0
    max: int | None = None
    pattern: re.Pattern[str] | None = None
    test: Callable[[str], bool] | None = None
    allowed: frozenset[str] | None = None
    meaning: str = "in the form of its type"
    """What text that fits `pattern`, `test` or `allowed` is."""

    def check(self, value: Json, path: str, check: Check) -> None:
        """Notes a wrong kind, length or form."""
        if not isinstance(value, str):
            check.fail(path, "must be text")
            return
        length = utf16_length(value)
        if length < self.min or (self.max is not None and length > self.max):
            bounds = f"{self.min} to {self.max}" if self.min else f"{self.max} at most"
            check.fail(path, f"must be {bounds} characters long")
        elif (
            (self.allowed is not None and value not in self.allowed)
            or (self.pattern is not None and self.pattern.fullmatch(value) is None)
            or (self.test is not None and not self.test(value))
        ):
            check.fail(path, f"must be {self.meaning}")


def one_of(*texts: str) -> Text:
    """Returns the rule of a text that is one of the given."""
    return Text(allowed=frozenset(texts), meaning="one of " + ", ".join(text or '""' for text in texts))


@dataclass(frozen=True)
class Number:
    """A number."""

    min: float | None = None
    max: float | None = None
    whole: bool = False

    def check(self, value: Json, path: str, check: Check) -> None:
        """Notes a wrong kind or range."""
        if not (is_integer(value) if self.whole else is_number(value)):
            check.fail(path, "must be a whole number" if self.whole else "must be a number")
        elif (self.min is not None and value < self.min) or (self.max is not None and value > self.max):
            check.fail(path, f"must be {self.min} to {self.max}")


@dataclass(frozen=True)
class Boolean:
    """True or false."""

    def check(self, value: Json, path: str, check: Check) -> None:
        """Notes a wrong kind."""
        if not isinstance(value, bool):
            check.fail(path, "must be true or false")


@dataclass(frozen=True)
class Date:
    """A date as ISO 8601 text; from a peer also as milliseconds since 1970."""

    def check(self, value: Json, path: str, check: Check) -> None:
        """Notes what is no date."""
        if check.tolerant and is_integer(value):
            return
        try:
            parse_date(value)
        except MalformedValue as error:
            check.fail(path, error.violations[0].description)


@dataclass(frozen=True)
class AnyJson:
    """Any JSON except null."""

    max: int | None = None
    """The greatest length of its compact text."""
    text_or_object: bool = False

    def check(self, value: Json, path: str, check: Check) -> None:
        """Notes null, a wrong kind and a text that is too long."""
        if self.text_or_object and not isinstance(value, str | dict):
            check.fail(path, "must be text or an object")
        elif self.max is not None:
            try:
                length = utf16_length(dumps(value))
            except MalformedValue as error:
                check.fail(path, error.violations[0].description)
                return
            if length > self.max:
                check.fail(path, f"must be {self.max} characters of compact JSON at most")


@dataclass(frozen=True)
class FreeObject:
    """Any JSON object."""

    anything_received: bool = False
    """Whether a peer may put anything in its place, as official ones do not look at it."""

    def check(self, value: Json, path: str, check: Check) -> None:
        """Notes a wrong kind."""
        if not isinstance(value, dict) and not (check.tolerant and self.anything_received):
            check.fail(path, "must be an object")


@dataclass(frozen=True)
class Scalar:
    """Text, a number, or true or false."""

    max: int | None = None
    """The greatest length of text."""

    def check(self, value: Json, path: str, check: Check) -> None:
        """Notes a wrong kind or length."""
        if isinstance(value, str):
            Text(max=self.max).check(value, path, check)
        elif not isinstance(value, bool) and not is_number(value):
            check.fail(path, "must be text, a number, or true or false")


@dataclass(frozen=True)
class Component:
    """A part of a composite value, which from a peer may also be an object around it."""

    rule: Rule

    def check(self, value: Json, path: str, check: Check) -> None:
        """Checks the part itself."""
        if check.tolerant and isinstance(value, dict) and "value" in value:
            value, path = value["value"], f"{path}.value"
        self.rule.check(value, path, check)


@dataclass(frozen=True)
class ListOf:
    """A list."""

    item: Rule
    min: int = 0
    max: int | None = None
    unique: bool = False

    def check(self, value: Json, path: str, check: Check) -> None:
        """Notes a wrong kind, wrong numbers, repeated texts, and what is wrong with the items."""
        if not isinstance(value, list):
            check.fail(path, "must be a list")
            return
        if len(value) < self.min:
            check.fail(path, f"must have {self.min} or more items")
        if self.max is not None and len(value) > self.max:
            check.fail(path, f"must have {self.max} items at most")
        if self.unique:
            texts = [item for item in value if isinstance(item, str)]
            if len(set(texts)) != len(texts):
                check.fail(path, "must not have an item twice")
        for index, item in enumerate(value):
            if len(check.violations) >= MAX_VIOLATIONS:
                break
            self.item.check(item, f"{path}[{index}]", check)


@dataclass(frozen=True)
class MapOf:
    """An object whose members are all of one kind."""

    rule: Callable[[], Rule]
    """Gives the rule of the members, which may be the one that holds this rule."""

    def check(self, value: Json, path: str, check: Check) -> None:
        """Notes a wrong kind and what is wrong with the members. From a peer an empty list is an empty object."""
        if check.tolerant and value == []:
            return
        if not isinstance(value, dict):
            check.fail(path, "must be an object")
            return
        for key, item in value.items():
            self.rule().check(item, f"{path}.{key[:MAX_KEY_IN_PATH]}", check)


@dataclass(frozen=True)
class Property:
    """One key of an object."""

    rule: Rule
    required: bool = False
    null_is_absent: bool = False
    """Whether null is taken, too: for objects and for what has a default."""
    alias: str | None = None
    """The name of this key in older releases; read from peers, never sent."""
    required_to_send: bool = False
    """Whether it is required only in what is sent."""


@dataclass(frozen=True)
class ObjectType:
    """An object of a type."""

    name: str
    properties: Mapping[str, Property]
    object_rules: tuple[ObjectRule, ...] = ()
    """Looked at when all properties are right."""

    def check(self, value: Json, path: str, check: Check) -> None:
        """Checks an object whose type is fixed by its place, so that `@type` may be left out."""
        if not isinstance(value, dict):
            check.fail(path, f"must be an object of type {self.name}")
            return
        tag = value.get("@type", self.name)
        if tag != self.name:
            check.fail_type(path, f"must be {self.name}")
        elif _is_version_1(value, path, check):
            self.check_properties(value, path, check)

    def check_properties(self, value: JsonObject, path: str, check: Check) -> None:
        """Checks the keys of an object of this type. Keys that the type does not have are passed over, as peers do."""
        before = check.faults
        with check.nested(path) as may_follow:
            if not may_follow:
                return
            for key, prop in self.properties.items():
                name = prop.alias if check.tolerant and prop.alias in value and key not in value else key
                item = value.get(name)
                if item is not None:
                    prop.rule.check(item, f"{path}.{name}", check)
                elif prop.required or (prop.required_to_send and not check.tolerant):
                    check.fail(f"{path}.{key}", "must be given")
                elif name in value and not prop.null_is_absent:
                    check.fail(f"{path}.{key}", "must not be null")
        if check.faults == before:
            for rule in self.object_rules:
                rule(value, path, check)


@dataclass(frozen=True)
class OneOf:
    """An object of one of several types, told by its `@type`."""

    types: Mapping[str, ObjectType]
    tolerated: Mapping[str, ObjectType] = field(default_factory=dict)
    """Types of older releases: read from peers, never sent."""

    def check(self, value: Json, path: str, check: Check) -> None:
        """Notes a type that is missing, unknown or not allowed here, and what is wrong with the object."""
        if not isinstance(value, dict):
            check.fail(path, "must be an object with @type")
            return
        tag = value.get("@type")
        if not isinstance(tag, str):
            check.fail_type(path, "must be given")
            return
        chosen = self.types.get(tag) or (self.tolerated.get(tag) if check.tolerant else None)
        if chosen is None:
            check.fail_type(path, "is unknown or not allowed here")
        elif _is_version_1(value, path, check):
            chosen.check_properties(value, path, check)


def by_name(*types: ObjectType) -> Mapping[str, ObjectType]:
    """Returns types by their names."""
    return {each.name: each for each in types}


def required(rule: Rule, **more: str | bool) -> Property:
    """Returns a property that must be there."""
    return Property(rule, required=True, **more)  # type: ignore[arg-type]  # Keyword by keyword they fit.


def optional(rule: Rule, *, null: bool | None = None, alias: str | None = None) -> Property:
    """Returns a property that may be left out; null is taken for dates and objects, unless told otherwise."""
    takes_null = isinstance(rule, Date | FreeObject | ObjectType | OneOf) if null is None else null
    return Property(rule, null_is_absent=takes_null, alias=alias)


def _is_version_1(value: JsonObject, path: str, check: Check) -> bool:
    version = value.get("@version")
    if version is None or _ONE.match(str(version)):
        return True
    check.has_unknown_type = True
    check.fail(f"{path}.@version", "must be 1")
    return False
