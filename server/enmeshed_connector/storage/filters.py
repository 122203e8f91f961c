"""The filter language of the store: what a document must look like to be found.

Filters are small frozen values, put together from conditions on dotted paths:

    where("peer.address").eq(address) & where("status").is_in(["Pending", "Active"])
    where("recipients.relationshipId").eq(relationship_id) | ~where("isOwn").eq(True)

A mapping from path to value is short for "all of these are equal": `{"isOwn": True, "wasReadAt": None}`.

**Meaning, the same in every adapter.** A path leads through objects by member name; an array on the way stands for each
of the objects in it (not for arrays inside arrays). The *values* of a path are all values it leads to, except null;
when the last one is an array, its scalars count each. So:

- null and missing are the same thing, *absent*: `eq(None)` and `is_absent()` hold when the path leads to no value but
  null, `is_present()` when it leads to any other value, empty objects and empty arrays included.
- `eq`, `is_in`, `gt`, `gte`, `lt`, `lte` and `starts_with` hold when *one* of the values does ("contains" for arrays).
- `ne` and `not_in` are the exact opposites of `eq` and `is_in`: they hold for absent paths too, unless None was named.
- Comparisons never cross types: a number is not less than a text, and `gt(5)` never holds for a text. Texts compare
  by code point, False is less than True, integers and floats compare by value, `1` equals `1.0`, True does not equal 1.
- Two conditions on one array may be met by two different elements.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool | None
"""What a path can be compared with. Integers must fit 64 bits with sign, floats must be finite."""

_MAX_INTEGER = 2**63 - 1


class Filter:
    """A condition on a document. Combined with `&`, `|` and `~`."""

    __slots__ = ()

    def __and__(self, other: Filter) -> Filter:
        """Returns a filter for documents that meet both."""
        return all_of(self, other)

    def __or__(self, other: Filter) -> Filter:
        """Returns a filter for documents that meet one of both, or both."""
        return any_of(self, other)

    def __invert__(self) -> Filter:
        """Returns a filter for documents that do not meet this one."""
        return Not(self)


@dataclass(frozen=True, slots=True)
class Equals(Filter):
    """One value of the path equals the scalar; None: the path is absent."""

    path: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class In(Filter):
    """One value of the path equals one of the scalars; None among them: or the path is absent."""

    path: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range(Filter):
    """One value of the path is of the bounds' type and between them."""

    path: str
    low: str | int | float | bool | None = None
    """The lower bound; None when there is none."""
    high: str | int | float | bool | None = None
    """The upper bound; None when there is none."""
    includes_low: bool = True
    includes_high: bool = True


@dataclass(frozen=True, slots=True)
class Present(Filter):
    """The path leads to some value that is not null."""

    path: str


@dataclass(frozen=True, slots=True)
class EndsWith(Filter):
    """One value of the path is a text that ends with the suffix, upper and lower case told apart."""

    path: str
    suffix: str


@dataclass(frozen=True, slots=True)
class HasText(Filter):
    """One value of the path is a text that holds the words somewhere, upper and lower case of ASCII letters alike."""

    path: str
    words: str


@dataclass(frozen=True, slots=True)
class All(Filter):
    """Every part holds; true when there are none."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf(Filter):
    """One part holds at least; false when there are none."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """The part does not hold."""

    part: Filter


EVERYTHING: Filter = All(())
"""The filter that every document meets."""

FilterLike: TypeAlias = Filter | Mapping[str, Scalar] | None
"""A filter, a mapping from path to the value it must equal, or None for everything."""


@dataclass(frozen=True, slots=True)
class where:  # noqa: N801 - reads as a word in a sentence
    """The start of a condition: names the dotted path that it is about.

    Raises:
        ValueError: The path is empty, has an empty segment, or one made of digits only (array indexes are not part of
            the language) or starting with `$`.
    """

    path: str

    def __post_init__(self) -> None:
        """Checks the path."""
        check_path(self.path)

    def eq(self, value: Scalar) -> Filter:
        """Holds when a value of the path equals the scalar; with None, when the path is absent."""
        return Equals(self.path, _checked(value))

    def ne(self, value: Scalar) -> Filter:
        """Holds when no value of the path equals the scalar; with None, when the path is present."""
        return Not(self.eq(value))

    def contains(self, value: Scalar) -> Filter:
        """Holds when the array at the path contains the scalar; the same as `eq`, and reads better for arrays."""
        return self.eq(value)

    def is_in(self, values: Iterable[Scalar]) -> Filter:
        """Holds when a value of the path equals one of the scalars; never when there are none."""
        return In(self.path, tuple(_checked(value) for value in values))

    def not_in(self, values: Iterable[Scalar]) -> Filter:
        """Holds when `is_in` does not."""
        return Not(self.is_in(values))

    def gt(self, value: str | float) -> Filter:
        """Holds when a value of the path is of this type and greater."""
        return Range(self.path, low=_bound(value), includes_low=False)

    def gte(self, value: str | float) -> Filter:
        """Holds when a value of the path is of this type and greater or equal."""
        return Range(self.path, low=_bound(value))

    def lt(self, value: str | float) -> Filter:
        """Holds when a value of the path is of this type and less."""
        return Range(self.path, high=_bound(value), includes_high=False)

    def lte(self, value: str | float) -> Filter:
        """Holds when a value of the path is of this type and less or equal."""
        return Range(self.path, high=_bound(value))

    def starts_with(self, prefix: str) -> Filter:
        """Holds when a value of the path is a text that starts with the prefix; any text for an empty one."""
        following = _text_after_prefix(prefix)
        return Range(self.path, low=prefix, high=following, includes_high=False)

    def ends_with(self, suffix: str) -> Filter:
        """Holds when a value of the path is a text that ends with the suffix. Looks at every document."""
        return EndsWith(self.path, suffix)

    def has_text(self, words: str) -> Filter:
        """Holds when a value of the path is a text that holds the words, ASCII case aside. Looks at every document."""
        return HasText(self.path, words)

    def is_present(self) -> Filter:
        """Holds when the path leads to some value that is not null."""
        return Present(self.path)

    def is_absent(self) -> Filter:
        """Holds when the path leads to nothing, or to null only."""
        return Not(Present(self.path))


def all_of(*parts: FilterLike) -> Filter:
    """Returns a filter that holds when every part does; everything when there are none."""
    flat: list[Filter] = []
    for part in map(as_filter, parts):
        flat.extend(part.parts if isinstance(part, All) else (part,))
    return flat[0] if len(flat) == 1 else All(tuple(flat))


def any_of(*parts: FilterLike) -> Filter:
    """Returns a filter that holds when one part does; nothing when there are none."""
    flat: list[Filter] = []
    for part in map(as_filter, parts):
        flat.extend(part.parts if isinstance(part, AnyOf) else (part,))
    return flat[0] if len(flat) == 1 else AnyOf(tuple(flat))


def as_filter(filter: FilterLike) -> Filter:
    """Returns the filter that a mapping or None is short for.

    Raises:
        ValueError: A path or a value of the mapping is not allowed.
    """
    if filter is None:
        return EVERYTHING
    if isinstance(filter, Filter):
        return filter
    return all_of(*(where(path).eq(value) for path, value in filter.items()))


def check_path(path: str) -> tuple[str, ...]:
    """Returns the segments of a dotted path.

    Raises:
        ValueError: The path is empty, or a segment is empty, made of digits only, or starts with `$`.
    """
    segments = tuple(path.split("."))
    for segment in segments:
        if not segment or segment.isdecimal() or segment.startswith("$") or "\x00" in segment:
            raise ValueError(f"not a path of the filter language: {path!r}")
    return segments


def _checked(value: Scalar) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and abs(value) <= _MAX_INTEGER:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError("filters compare with text, finite numbers of 64 bits, booleans and None")


def _bound(value: Scalar) -> Scalar:
    if value is None:
        raise ValueError("nothing is greater or less than None")
    return _checked(value)


def _text_after_prefix(prefix: str) -> str | None:
    """Returns the least text that is greater than every text with the prefix, None when there is none."""
    for end in range(len(prefix), 0, -1):
        code = ord(prefix[end - 1])
        if code < 0x10FFFF:
            # The code points between are surrogates, which texts of a database cannot hold.
            return prefix[: end - 1] + ("\ue000" if code == 0xD7FF else chr(code + 1))
    return None
