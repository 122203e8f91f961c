"""The JSON of the Backbone's interface: how values are written and how answers are read.

Bytes are `bytes` on our side. They are written as base64url without padding, and read as base64url or base64, with
or without padding. Moments are aware `datetime`s in UTC on our side and `2026-11-24T06:00:00.000Z` on the wire, cut
to milliseconds. Unknown members are ignored, names are the interface's camelCase names, and what is promised but
missing or of another type is a `WireError` that names the member and never the value.
"""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

import orjson

from enmeshed_connector.backbone.calls import Answer
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.encodings import to_base64, to_base64url
from enmeshed_connector.core.ids import IdKind, parse_id
from enmeshed_connector.core.malformed import MalformedValue

T = TypeVar("T")
IdT = TypeVar("IdT", bound=str)

LARGE_BYTES = 1024 * 1024
"""From this size on, encoding and decoding leave the event loop: a few milliseconds for each MiB."""

_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")


class WireError(ValueError):
    """A value from the Backbone has not the promised shape. The text names the member, not the value."""


def encode_password(value: bytes) -> str:
    """Returns base64 with padding, the form in which the hash of a password travels in bodies and queries."""
    return to_base64(value)


def decode_bytes(text: str) -> bytes:
    """Returns the bytes of a base64url or base64 text, with or without padding.

    Raises:
        WireError: The text is neither.
    """
    try:
        raw = text.encode("ascii").translate(_FROM_URL_SAFE).rstrip(b"=")
        return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4), strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        raise WireError("not base64") from None


def encode_json(value: Json) -> bytes:
    """Returns compact JSON; bytes anywhere inside become base64url without padding, moments the network's date text."""
    return orjson.dumps(value, default=_encode_other, option=orjson.OPT_PASSTHROUGH_DATETIME)


def decode_json(body: bytes) -> Json:
    """Returns the value of a JSON text in UTF-8; deeper than about a thousand levels is refused.

    Raises:
        WireError: The body is no JSON.
    """
    try:
        return orjson.loads(body)
    except ValueError:
        raise WireError("not JSON") from None


async def off_loop_when_large(function: Callable[[], T], size_bytes: int) -> T:
    """Runs the function here, or in a worker thread when it works on more than `LARGE_BYTES`."""
    if size_bytes > LARGE_BYTES:
        return await asyncio.to_thread(function)
    return function()


def without_nones(members: Mapping[str, Json]) -> dict[str, Json]:
    """Returns the members that are not None: an absent member is understood everywhere, a null is not."""
    return {name: value for name, value in members.items() if value is not None}


class Fields:
    """A JSON object whose members are taken out with their types."""

    __slots__ = ("_members", "_where")

    def __init__(self, value: Json, where: str) -> None:
        if not isinstance(value, dict):
            raise WireError(f"{where} is not an object")
        self._members = value
        self._where = where

    @property
    def members(self) -> Mapping[str, Json]:
        """All members as they came."""
        return self._members

    def text(self, name: str) -> str:
        """Returns a text that must be there."""
        return self._typed(name, str)

    def text_or_none(self, name: str) -> str | None:
        """Returns a text, or None when it is null or absent."""
        return None if self._members.get(name) is None else self._typed(name, str)

    def id(self, kind: IdKind[IdT], name: str) -> IdT:
        """Returns an id of this kind that must be there."""
        try:
            return parse_id(kind, self._typed(name, str), name)
        except MalformedValue:
            raise self._wrong(name) from None

    def id_or_none(self, kind: IdKind[IdT], name: str) -> IdT | None:
        """Returns an id of this kind, or None when it is null or absent."""
        return None if self._members.get(name) is None else self.id(kind, name)

    def address(self, name: str) -> Address:
        """Returns an address that must be there; its host and checksum are not looked at here."""
        return Address(self._typed(name, str))

    def address_or_none(self, name: str) -> Address | None:
        """Returns an address, or None when it is null or absent."""
        return None if self._members.get(name) is None else self.address(name)

    def integer(self, name: str) -> int:
        """Returns a whole number that must be there."""
        value = self._members.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name)
        return value

    def integer_or_none(self, name: str) -> int | None:
        """Returns a whole number, or None when it is null or absent."""
        return None if self._members.get(name) is None else self.integer(name)

    def boolean(self, name: str, default: bool | None = None) -> bool:
        """Returns a boolean; the default stands for null and absent, and without one it must be there."""
        if default is not None and self._members.get(name) is None:
            return default
        return self._typed(name, bool)

    def date(self, name: str) -> datetime:
        """Returns a moment that must be there."""
        try:
            return parse_date(self._typed(name, str), name)
        except MalformedValue:
            raise self._wrong(name) from None

    def date_or_none(self, name: str) -> datetime | None:
        """Returns a moment, or None when it is null or absent."""
        return None if self._members.get(name) is None else self.date(name)

    def data(self, name: str) -> bytes:
        """Returns bytes that must be there."""
        try:
            return decode_bytes(self._typed(name, str))
        except WireError:
            raise self._wrong(name) from None

    def data_or_none(self, name: str) -> bytes | None:
        """Returns bytes, or None when they are null or absent."""
        return None if self._members.get(name) is None else self.data(name)

    def items(self, name: str, read: Callable[[Fields], T]) -> tuple[T, ...]:
        """Returns the members of a list of objects; null and absent count as empty."""
        return read_items(self._members.get(name), read, f"{self._where}.{name}")

    def nested(self, name: str, read: Callable[[Fields], T]) -> T:
        """Returns an object inside this one, which must be there."""
        return read(Fields(self._members.get(name), f"{self._where}.{name}"))

    def nested_or_none(self, name: str, read: Callable[[Fields], T]) -> T | None:
        """Returns an object inside this one, or None when it is null or absent."""
        return None if self._members.get(name) is None else self.nested(name, read)

    def _typed(self, name: str, kind: type[T]) -> T:
        value = self._members.get(name)
        if not isinstance(value, kind):
            raise self._wrong(name)
        return value

    def _wrong(self, name: str) -> WireError:
        return WireError(f"{self._where}.{name} is missing or of another type")


def read_items(value: Json, read: Callable[[Fields], T], where: str) -> tuple[T, ...]:
    """Returns the values of a JSON list of objects; null counts as empty."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise WireError(f"{where} is not a list")
    return tuple(read(Fields(item, f"{where}[{index}]")) for index, item in enumerate(value))


def one(read: Callable[[Fields], T]) -> Callable[[Answer], T]:
    """Makes a reader of answers whose result is one object."""

    def read_answer(answer: Answer) -> T:
        return read(Fields(answer.result, "result"))

    return read_answer


def many(read: Callable[[Fields], T]) -> Callable[[Answer], tuple[T, ...]]:
    """Makes a reader of answers whose result is an unpaged list of objects."""

    def read_answer(answer: Answer) -> tuple[T, ...]:
        if answer.result is None:
            raise WireError("result is missing")
        return read_items(answer.result, read, "result")

    return read_answer


def _encode_other(value: object) -> str:
    if isinstance(value, bytes):
        return to_base64url(value)
    if isinstance(value, datetime):
        return format_date(value)
    raise TypeError(f"{type(value).__name__} has no form on the wire")
