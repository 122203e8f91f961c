"""What all serialised crypto objects share: JSON members in a fixed order, and the text and base64url forms of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from enmeshed_connector.core.canonical_json import Json, JsonObject, dumps, loads_object
from enmeshed_connector.core.encodings import from_base64url, from_utf8, to_base64url
from enmeshed_connector.core.malformed import MissingValue, TooLarge, UnknownAlgorithm, WrongLength, WrongType

C = TypeVar("C", bound="Container")

MAX_CONTAINER_BYTES = 1024 * 1024
"""The largest text of a container without content of its own."""


class Container:
    """A crypto object of the network with its serialised forms.

    *Verbose* texts carry `@type`; nested objects do not. Reading takes short and long member names in any order,
    ignores unknown members and a foreign `@type`, and raises a `MalformedValue` for everything else.
    """

    __slots__ = ()

    type_name: ClassVar[str]
    field_name: ClassVar[str] = ""
    type_comes_first: ClassVar[bool] = False
    max_text_bytes: ClassVar[int] = MAX_CONTAINER_BYTES

    def _members(self) -> JsonObject:
        raise NotImplementedError

    @classmethod
    def _read(cls: type[C], members: JsonObject, field: str) -> C:
        raise NotImplementedError

    def to_json(self, *, verbose: bool = True) -> JsonObject:
        """Returns the JSON members in their fixed order."""
        if not verbose:
            return self._members()
        if self.type_comes_first:
            return {"@type": self.type_name, **self._members()}
        return {**self._members(), "@type": self.type_name}

    def to_text(self, *, verbose: bool = True) -> str:
        """Returns the JSON text."""
        return dumps(self.to_json(verbose=verbose))

    def to_base64(self, *, verbose: bool = True) -> str:
        """Returns the base64url text of the UTF-8 JSON text; verbose, it is what goes over the wire."""
        return to_base64url(self.to_text(verbose=verbose).encode("utf-8"))

    @classmethod
    def from_json(cls: type[C], value: Json, field: str | None = None) -> C:
        """Returns the object that JSON members describe.

        Args:
            value: The parsed JSON; must be an object.
            field: The path of the value, for errors; a name of the class unless given.

        Raises:
            MalformedValue: A member is missing or wrong; the subclass and the field tell.
        """
        path = field or cls.field_name or cls.type_name
        if not isinstance(value, dict):
            raise WrongType(path, "must be a JSON object")
        return cls._read(value, path)

    @classmethod
    def from_text(cls: type[C], text: str | bytes, field: str | None = None) -> C:
        """Returns the object that a JSON text describes.

        Raises:
            MalformedValue: It is over the size of the class, no JSON object, or a member is wrong.
        """
        path = field or cls.field_name or cls.type_name
        return cls._read(loads_object(text, field=path, max_bytes=cls.max_text_bytes), path)

    @classmethod
    def from_base64(cls: type[C], text: str, field: str | None = None) -> C:
        """Returns the object that a base64url text describes.

        Raises:
            MalformedValue: It is over the size of the class, no base64url without padding, or as `from_text`.
        """
        path = field or cls.field_name or cls.type_name
        if not isinstance(text, str):
            raise WrongType(path, "must be a base64url text")
        if len(text) > cls.max_text_bytes * 4 // 3 + 4:
            raise TooLarge(path, f"is over {cls.max_text_bytes} bytes")
        return cls.from_text(from_utf8(from_base64url(text, path), path), path)


def member(members: JsonObject, short: str, long: str) -> Json:
    """Returns a member by its short or long name, None when it has neither or is null."""
    value = members.get(short)
    return members.get(long) if value is None else value


def required(members: JsonObject, short: str, long: str, field: str) -> Json:
    """Returns a member that must be there, by its short or long name."""
    value = member(members, short, long)
    if value is None:
        raise MissingValue(f"{field}.{short}", "is missing")
    return value


def read_bytes(
    members: JsonObject, short: str, long: str, field: str, length: int, official_code: str | None = None
) -> bytes:
    """Returns the bytes of a base64url member that must have exactly `length` of them."""
    path = f"{field}.{short}"
    text = required(members, short, long, field)
    data = from_base64url(text, path)
    if len(data) != length:
        raise WrongLength(path, f"must have {length} bytes", official_code=official_code)
    return data


def read_integer(members: JsonObject, short: str, long: str, field: str) -> int:
    """Returns a member that must be an integer; 3.0 is one, true is not."""
    value = required(members, short, long, field)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongType(f"{field}.{short}", "must be an integer")
    return value


def read_text(members: JsonObject, short: str, long: str, field: str) -> str:
    """Returns a member that must be text."""
    value = required(members, short, long, field)
    if not isinstance(value, str):
        raise WrongType(f"{field}.{short}", "must be text")
    return value


def read_optional_text(members: JsonObject, name: str, field: str) -> str | None:
    """Returns a member that is text or missing."""
    return None if members.get(name) is None else read_text(members, name, name, field)


def check_algorithm(members: JsonObject, expected: int, field: str, official_code: str) -> None:
    """Raises UnknownAlgorithm unless `alg` is the only number that the network uses for this kind of object."""
    if read_integer(members, "alg", "algorithm", field) != expected:
        raise UnknownAlgorithm(f"{field}.alg", f"must be {expected}", official_code=official_code)


RandomSource = Callable[[int], bytes]
"""Gives as many random bytes as asked for; `os.urandom` outside tests."""
