"""Binding: from the texts and JSON of a request to values, or the 400 of a request that does not bind.

Names of members and parameters are read without regard to case, unknown ones are ignored, as the official server does.
"""

from __future__ import annotations

import enum
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import orjson

from .. import dates
from ..errors import unparsable
from . import binary

EnumValue = TypeVar("EnumValue", bound=enum.Enum)
Value = TypeVar("Value")

MAX_QUERY_PARAMETERS = 1000
"""How many parameters a query may have; more do not bind."""


class Body:
    """A JSON object of a request.

    A required member that is missing or null, and any member of another type than asked for, raises the 400
    `inputCannotBeParsed`.
    """

    def __init__(self, value: Any, path: str = "") -> None:
        if not isinstance(value, dict):
            raise unparsable(f"{path or 'The body'} must be a JSON object.")
        self._path = path
        self._members = {name.lower(): member for name, member in value.items()}

    @classmethod
    def parse(cls, raw: bytes) -> Body:
        """Returns the object of a JSON text."""
        return cls(parse_json(raw))

    def raw(self, name: str) -> Any:
        """Returns the member as it is, None when it is missing."""
        return self._members.get(name.lower())

    def text(self, name: str) -> str:
        """Returns a required text."""
        return _present(self.text_or_none(name), self._name(name))

    def text_or_none(self, name: str) -> str | None:
        """Returns a text that may be missing or null."""
        value = self.raw(name)
        if value is not None and not isinstance(value, str):
            raise unparsable(f"{self._name(name)} must be a text.")
        return value

    def data(self, name: str) -> bytes:
        """Returns required bytes."""
        return _present(self.data_or_none(name), self._name(name))

    def data_or_none(self, name: str) -> bytes | None:
        """Returns bytes that may be missing or null."""
        text = self.text_or_none(name)
        if text is None:
            return None
        try:
            return binary.decode(text)
        except ValueError:
            raise unparsable(f"{self._name(name)} must be base64url.") from None

    def integer(self, name: str, low: int, high: int) -> int:
        """Returns a required integer of a type with these bounds."""
        return _present(self.integer_or_none(name, low, high), self._name(name))

    def integer_or_none(self, name: str, low: int, high: int) -> int | None:
        """Returns an integer that may be missing or null."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise unparsable(f"{self._name(name)} must be an integer from {low} to {high}.")
        return value

    def number_or_none(self, name: str) -> float | None:
        """Returns a number that may be missing or null."""
        value = self.raw(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise unparsable(f"{self._name(name)} must be a number.")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Returns true or false, the default when it is missing."""
        value = self._members.get(name.lower(), default)
        if not isinstance(value, bool):
            raise unparsable(f"{self._name(name)} must be true or false.")
        return value

    def moment(self, name: str) -> int:
        """Returns a required moment in milliseconds."""
        return _present(self.moment_or_none(name), self._name(name))

    def moment_or_none(self, name: str) -> int | None:
        """Returns a moment that may be missing or null."""
        text = self.text_or_none(name)
        return None if text is None else parse_moment(text, self._name(name))

    def choice(self, name: str, kind: type[EnumValue], default: EnumValue | None = None) -> EnumValue:
        """Returns a value of an enumeration, given by name in any case or by number."""
        value = self.raw(name)
        if value is None and default is not None:
            return default
        values = list(kind)
        if isinstance(value, str):
            for candidate in values:
                if str(candidate.value).lower() == value.lower():
                    return candidate
        elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(values):
            return values[value]
        raise unparsable(f"{self._name(name)} must be one of {', '.join(str(item.value) for item in values)}.")

    def child(self, name: str) -> Body:
        """Returns a required object."""
        return Body(_present(self.raw(name), self._name(name)), self._name(name))

    def elements(self, name: str, *, default: list[Any] | None = None) -> list[Any]:
        """Returns a list of anything; required without a default."""
        value = self.raw(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, list):
            raise unparsable(f"{self._name(name)} must be a list.")
        return value

    def children(self, name: str, *, default: list[Any] | None = None) -> list[Body]:
        """Returns a list of objects."""
        items = self.elements(name, default=default)
        return [Body(item, f"{self._name(name)}[{index}]") for index, item in enumerate(items)]

    def texts(self, name: str, *, default: list[Any] | None = None) -> list[str]:
        """Returns a list of texts."""
        items = self.elements(name, default=default)
        if not all(isinstance(item, str) for item in items):
            raise unparsable(f"{self._name(name)} must be a list of texts.")
        return items

    def _name(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


class Query:
    """The query string of a request."""

    def __init__(self, raw: bytes) -> None:
        self._values: dict[str, list[str]] = {}
        if not raw:
            return
        try:
            pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_QUERY_PARAMETERS)
        except ValueError:
            raise unparsable(f"A query may have {MAX_QUERY_PARAMETERS} parameters at most.") from None
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value)

    def first_values(self) -> dict[str, str]:
        """Returns the first value of each parameter, names in lower case."""
        return {name: values[0] for name, values in self._values.items()}

    def text(self, name: str) -> str:
        """Returns a required text; an empty one counts as missing."""
        return _present(self.text_or_none(name), name)

    def text_or_none(self, name: str) -> str | None:
        """Returns a text, None when it is missing or empty."""
        values = self._values.get(name.lower())
        return values[0] if values and values[0] else None

    def texts(self, name: str) -> list[str]:
        """Returns all values of a repeated parameter, in order."""
        return self._values.get(name.lower(), [])

    def integer_or_none(self, name: str) -> int | None:
        """Returns an integer of 32 bits that may be missing."""
        text = self.text_or_none(name)
        if text is None:
            return None
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 10 and -(2**31) <= int(text) < 2**31):
            raise unparsable(f"{name} must be an integer.")
        return int(text)

    def data_or_none(self, name: str) -> bytes | None:
        """Returns bytes in padded standard base64 that may be missing."""
        text = self.text_or_none(name)
        if text is None:
            return None
        try:
            return binary.decode_standard(text)
        except ValueError:
            raise unparsable(f"{name} must be base64.") from None

    def items(self, name: str, *members: str) -> list[dict[str, str | None]]:
        """Returns the objects of `name.0.member=…&name.1.member=…`; the first gap ends the list."""
        found: list[dict[str, str | None]] = []
        while True:
            item = {member: self.text_or_none(f"{name}.{len(found)}.{member}") for member in members}
            if all(value is None for value in item.values()):
                return found
            found.append(item)


def parse_json(raw: bytes) -> Any:
    """Returns the value of a JSON text or raises the 400 of one that is none."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise unparsable("The body must be JSON.") from None


def parse_moment(text: str, name: str) -> int:
    """Returns the milliseconds of a timestamp or raises the 400 of a text that is none."""
    try:
        return dates.parse(text)
    except (ValueError, OverflowError):
        raise unparsable(f"{name} must be an ISO 8601 timestamp.") from None


def _present(value: Value | None, name: str) -> Value:
    if value is None:
        raise unparsable(f"{name} is required.")
    return value
