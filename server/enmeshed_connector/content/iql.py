"""The identity query language: `GivenName && #private`. Source: `spec/content.md` section 12.

A query is parsed to a tree, which is evaluated on the JSON of attributes. Nesting is bounded well below Python's stack.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from enmeshed_connector.core.canonical_json import Json, JsonObject, dumps
from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.malformed import MalformedValue

_TYPE: Final = re.compile("[A-Z][A-Za-z0-9]*")
_SEGMENT: Final = re.compile("[a-z][A-Za-z0-9]+")
_BLANKS: Final = re.compile("[ \t\r\n]+")
_QUOTED: Final = re.compile(r"'((?:\\\\|\\'|[^'\\])*)'")
_UNQUOTED: Final = re.compile(r"(?:\\\\|\\'|[^'\\ ])*")
_ESCAPE: Final = re.compile(r"\\([\\'])")
_MAX_NESTING: Final = 50
_LATEST: Final = 8_640_000_000_000_000
"""The latest moment that is one in JavaScript, in milliseconds since 1970; as far back lies the earliest."""


class IqlSyntaxError(ValueError):
    """A text is no query.

    Attributes:
        column: Where it went wrong, from 1.
    """

    def __init__(self, column: int) -> None:
        super().__init__(f"is no query of the identity query language: column {column}")
        self.column = column


@dataclass(frozen=True)
class Term:
    """A condition on one attribute."""

    path: tuple[str, ...] | None
    """The keys from the attribute to the field; None when only the type counts."""
    operator: str
    """One of `=`, `<`, `>`, `~`, `?`; empty when only the type counts."""
    operand: str = ""
    value_type: str | None = None
    """The type that the value must have."""


@dataclass(frozen=True)
class Not:
    """What its operand does not find."""

    operand: Query


@dataclass(frozen=True)
class And:
    """What all operands find."""

    operands: tuple[Query, ...]


@dataclass(frozen=True)
class Or:
    """What any operand finds."""

    operands: tuple[Query, ...]


Query: TypeAlias = Term | Not | And | Or


def parse_iql(text: str) -> Query:
    """Returns the tree of a query.

    Args:
        text: The query, without blanks around it. Brackets and negations may be nested 50 deep.

    Raises:
        IqlSyntaxError: It is no query.
    """
    return _Parser(text).parse()


def is_iql(text: str) -> bool:
    """Returns whether the text is a query."""
    try:
        parse_iql(text)
    except IqlSyntaxError:
        return False
    return True


def evaluate_iql(query: Query, attributes: Sequence[JsonObject]) -> list[int]:
    """Returns the indexes of the attributes that a query finds, ascending.

    Args:
        query: The query.
        attributes: The JSON of the attributes, with `value`.
    """
    return [index for index, attribute in enumerate(attributes) if _finds(query, attribute)]


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._furthest = 0
        self._depth = 0

    def parse(self) -> Query:
        query = self._or()
        if self._at != len(self._text):
            raise self._error()
        return query

    def _error(self) -> IqlSyntaxError:
        return IqlSyntaxError(max(self._at, self._furthest) + 1)

    def _or(self) -> Query:
        operands = self._operands("||", self._and)
        return operands[0] if len(operands) == 1 else Or(operands)

    def _and(self) -> Query:
        operands = self._operands("&&", self._not)
        return operands[0] if len(operands) == 1 else And(operands)

    def _operands(self, operator: str, operand: Callable[[], Query]) -> tuple[Query, ...]:
        operands = [operand()]
        while True:
            start = self._at
            if not (self._blanks() and self._take(operator) and self._blanks()):
                # What follows is not this operator's; whoever called looks at it again.
                self._at = start
                return tuple(operands)
            operands.append(operand())

    def _not(self) -> Query:
        negations = 0
        while self._take("!"):
            negations += 1
        if negations > _MAX_NESTING:
            raise self._error()
        query = self._primary()
        # Two negations undo each other exactly: each is the complement among the same attributes.
        return Not(query) if negations % 2 else query

    def _primary(self) -> Query:
        if not self._take("("):
            return self._term()
        self._depth += 1
        if self._depth > _MAX_NESTING or not self._blanks():
            raise self._error()
        query = self._or()
        if not (self._blanks() and self._take(")")):
            raise self._error()
        self._depth -= 1
        return query

    def _term(self) -> Query:
        start = self._at
        value_type = self._match(_TYPE)
        if value_type is not None:
            after_type = self._at
            segments = self._segments()
            condition = self._predicate()
            if condition is not None:
                return Term(("value", *(segments or ("value",))), *condition, value_type=value_type)
            self._at = after_type
            return Term(None, "", value_type=value_type)
        first = self._match(_SEGMENT)
        if first is not None:
            path = (first, *self._segments())
            condition = self._predicate()
            if condition is not None:
                return Term(path, *condition)
            raise self._error()
        if self._take("#"):
            return Term(("tags",), "~", self._operand())
        self._at = start
        raise self._error()

    def _segments(self) -> tuple[str, ...]:
        segments: list[str] = []
        while True:
            start = self._at
            segment = self._match(_SEGMENT) if self._take(".") else None
            if segment is None:
                self._at = start
                return tuple(segments)
            segments.append(segment)

    def _predicate(self) -> tuple[str, str] | None:
        if self._take("?"):
            return "?", ""
        for operator in "=><~":
            if self._take(operator):
                return operator, self._operand()
        return None

    def _operand(self) -> str:
        quoted = _QUOTED.match(self._text, self._at)
        match = quoted or _UNQUOTED.match(self._text, self._at)
        assert match is not None  # The unquoted form may be empty.
        self._at = match.end()
        return _ESCAPE.sub(r"\1", match[1] if quoted else match[0])

    def _take(self, token: str) -> bool:
        self._furthest = max(self._furthest, self._at)
        if not self._text.startswith(token, self._at):
            return False
        self._at += len(token)
        return True

    def _blanks(self) -> bool:
        return self._match(_BLANKS) is not None

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        self._furthest = max(self._furthest, self._at)
        match = pattern.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[0]


def _finds(query: Query, attribute: JsonObject) -> bool:
    if isinstance(query, Not):
        return not _finds(query.operand, attribute)
    if isinstance(query, And):
        return all(_finds(operand, attribute) for operand in query.operands)
    if isinstance(query, Or):
        return any(_finds(operand, attribute) for operand in query.operands)
    if query.value_type is not None and _follow(attribute, ("value", "@type")) != query.value_type:
        return False
    if query.path is None:
        return True
    found = _follow(attribute, query.path)
    return found is not None and _holds(query.operator, found, query.operand)


def _follow(value: Json, path: tuple[str, ...]) -> Json:
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _holds(operator: str, found: Json, operand: str) -> bool:
    if operator == "?":
        return found not in ([], {})
    if operator == "~":
        return isinstance(found, list) and operand in [item for item in found if isinstance(item, str)]
    if operator == "=":
        return _script_text(found) == operand
    left, right = _moment(found), _moment(operand)
    # An invalid date compares as false either way.
    return left >= right if operator == ">" else left <= right


def _script_text(value: Json) -> str:
    """Returns the text that JavaScript makes of a value."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join("" if item is None else _script_text(item) for item in value)
    return "[object Object]" if isinstance(value, dict) else dumps(value)


def _moment(value: Json) -> float:
    """Returns the milliseconds since 1970 that JavaScript makes of a date; NaN for what is none."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        return float(value) if abs(value) <= _LATEST else math.nan
    try:
        return parse_date(value).timestamp() * 1000
    except MalformedValue:
        return math.nan
