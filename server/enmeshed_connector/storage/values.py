"""What a document holds at a path, and how values compare: the one meaning of filters and orders.

Adapters let their database narrow the candidates down, but what is here decides, so that the same question has the same
answer everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from ..core.canonical_json import Json, JsonObject
from .filters import All, AnyOf, EndsWith, Equals, Filter, HasText, In, Not, Present, Range, Scalar, check_path
from .port import CollectionSpec, Keyset, Sort, SortLike

_INT64 = 2**63
_NUMBER, _TEXT, _BOOLEAN = 1, 2, 3
_ABSENT = 0

SortKey: TypeAlias = tuple[int, Any]
"""Type rank, then the value: compares across types."""


def is_storable_text(text: str) -> bool:
    """Returns whether every database can hold and compare the text: no NUL and no lone surrogate."""
    if text.isascii():
        return "\x00" not in text
    if "\x00" in text:
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def comparable(value: Json) -> Scalar:
    """Returns the scalar that a value compares as, None when it takes part in no comparison.

    Integers beyond 64 bits compare as the double next to them. Texts with NUL or lone surrogates, and integers beyond a
    double, are present but equal to nothing; objects and arrays likewise.
    """
    if isinstance(value, str):
        return value if is_storable_text(value) else None
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if -_INT64 <= value < _INT64:
            return value
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None


def values_at(document: Json, segments: Sequence[str]) -> tuple[list[Scalar], bool]:
    """Returns the comparable values of a path, and whether the path is present.

    Args:
        document: The document, or a part of it.
        segments: The path, as `check_path` splits it.
    """
    found: list[Json] = [document]
    for segment in segments:
        following: list[Json] = []
        for value in found:
            if isinstance(value, dict):
                if segment in value:
                    following.append(value[segment])
            elif isinstance(value, list):
                following.extend(item[segment] for item in value if isinstance(item, dict) and segment in item)
        found = following
        if not found:
            return [], False
    scalars: list[Scalar] = []
    is_present = False
    for value in found:
        if value is None:
            continue
        is_present = True
        for item in value if isinstance(value, list) else (value,):
            scalar = comparable(item)
            if scalar is not None:
                scalars.append(scalar)
    return scalars, is_present


def sort_key(value: Scalar) -> SortKey:
    """Returns what orders scalars of all types: absent, numbers, texts, booleans."""
    if value is None:
        return (_ABSENT, 0)
    if isinstance(value, bool):
        return (_BOOLEAN, value)
    if isinstance(value, str):
        return (_TEXT, value)
    return (_NUMBER, value)


def matcher(filter: Filter) -> Callable[[JsonObject], bool]:
    """Returns a function that tells whether a document meets the filter."""
    if isinstance(filter, All):
        parts = [matcher(part) for part in filter.parts]
        return lambda document: all(part(document) for part in parts)
    if isinstance(filter, AnyOf):
        parts = [matcher(part) for part in filter.parts]
        return lambda document: any(part(document) for part in parts)
    if isinstance(filter, Not):
        inner = matcher(filter.part)
        return lambda document: not inner(document)
    if isinstance(filter, Equals):
        return _in_matcher(filter.path, (filter.value,))
    if isinstance(filter, In):
        return _in_matcher(filter.path, filter.values)
    if isinstance(filter, Range):
        return _range_matcher(filter)
    if isinstance(filter, EndsWith):
        suffix = filter.suffix
        return _text_matcher(filter.path, lambda text: text.endswith(suffix))
    if isinstance(filter, HasText):
        words = lower_ascii(filter.words)
        return _text_matcher(filter.path, lambda text: words in lower_ascii(text))
    if isinstance(filter, Present):
        segments = check_path(filter.path)
        return lambda document: values_at(document, segments)[1]
    raise TypeError(f"not a filter: {type(filter).__name__}")


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def lower_ascii(text: str) -> str:
    """Returns the text with its ASCII letters in lower case, everything else as it is."""
    return text.translate(_ASCII_LOWER)


def _text_matcher(path: str, holds: Callable[[str], bool]) -> Callable[[JsonObject], bool]:
    segments = check_path(path)
    return lambda document: any(
        isinstance(scalar, str) and holds(scalar) for scalar in values_at(document, segments)[0]
    )


def _in_matcher(path: str, wanted: Iterable[Scalar]) -> Callable[[JsonObject], bool]:
    segments = check_path(path)
    keys = {sort_key(value) for value in wanted}
    takes_absent = (_ABSENT, 0) in keys

    def matches(document: JsonObject) -> bool:
        scalars, is_present = values_at(document, segments)
        if not is_present:
            return takes_absent
        return any(sort_key(scalar) in keys for scalar in scalars)

    return matches


def _range_matcher(condition: Range) -> Callable[[JsonObject], bool]:
    segments = check_path(condition.path)
    low = None if condition.low is None else sort_key(condition.low)
    high = None if condition.high is None else sort_key(condition.high)
    rank = (low or high or (_ABSENT, 0))[0]

    def is_inside(scalar: Scalar) -> bool:
        key = sort_key(scalar)
        if key[0] != rank:
            return False
        if low is not None and not (key >= low if condition.includes_low else key > low):
            return False
        return high is None or (key <= high if condition.includes_high else key < high)

    return lambda document: any(map(is_inside, values_at(document, segments)[0]))


def resolve_sort(spec: CollectionSpec, sort: Sequence[SortLike]) -> tuple[Sort, ...]:
    """Returns the keys of an order without the id, which always decides last.

    Raises:
        ValueError: A path is not sortable in this collection, or comes twice.
    """
    keys: list[Sort] = []
    for item in sort:
        key = item if isinstance(item, Sort) else Sort(item.removeprefix("-"), item.startswith("-"))
        if key.path != spec.id_field and key.path != "_rev" and key.path not in spec.sortable:
            raise ValueError(f"{spec.name} cannot be sorted by {key.path!r}: declare it sortable")
        if any(other.path == key.path for other in keys):
            raise ValueError(f"{key.path!r} is twice in the sort")
        keys.append(key)
    if keys and keys[-1].path == spec.id_field:
        return tuple(keys)
    return (*keys, Sort(spec.id_field, keys[-1].descending if keys else False))


def sort_values(spec: CollectionSpec, order: Sequence[Sort], document: JsonObject) -> tuple[Scalar, ...]:
    """Returns what a document is sorted by, in the order given by `resolve_sort`."""
    return tuple(_scalar_at(document, key.path) for key in order)


def keyset_of(spec: CollectionSpec, sort: Sequence[SortLike], document: JsonObject) -> Keyset:
    """Returns where a page ends whose last document this is, for `Store.find(after=…)` with the same sort."""
    return keyset_maker(spec, sort)(document)


def keyset_maker(spec: CollectionSpec, sort: Sequence[SortLike]) -> Callable[[JsonObject], Keyset]:
    """Returns what gives `keyset_of` for each document of a page, looking at the sort only once."""
    keys = resolve_sort(spec, sort)[:-1]
    return lambda document: Keyset(sort_values(spec, keys, document), str(document[spec.id_field]))


def sorted_documents(spec: CollectionSpec, order: Sequence[Sort], documents: Iterable[JsonObject]) -> list[JsonObject]:
    """Returns the documents in an order given by `resolve_sort`."""
    result = list(documents)
    for key in reversed(order):
        result.sort(key=lambda document: sort_key(_scalar_at(document, key.path)), reverse=key.descending)
    return result


def page_of(
    spec: CollectionSpec,
    documents: Iterable[JsonObject],
    filter: Filter,
    *,
    sort: Sequence[SortLike],
    limit: int,
    after: Keyset | None,
) -> list[JsonObject]:
    """Returns of these documents what `Store.find` would return if they were all of the collection.

    For lists of documents that lie in several collections.

    Raises:
        ValueError: The keyset belongs to another sort, or the collection cannot be sorted so.
    """
    order = resolve_sort(spec, sort)
    matches = matcher(filter)
    found = sorted_documents(spec, order, (document for document in documents if matches(document)))
    if after is not None:
        check_keyset(order, after)
        found = [document for document in found if _is_behind(order, document, after)]
    return found[:limit]


def _is_behind(order: Sequence[Sort], document: JsonObject, after: Keyset) -> bool:
    for key, value in zip(order, (*after.values, after.id), strict=True):
        here, there = sort_key(_scalar_at(document, key.path)), sort_key(value)
        if here != there:
            return here < there if key.descending else here > there
    return False


def check_keyset(order: Sequence[Sort], after: Keyset) -> None:
    """Checks that a keyset fits an order.

    Raises:
        ValueError: It was made for another order.
    """
    if len(after.values) != len(order) - 1:
        raise ValueError("the keyset belongs to another sort")


def single_scalar(document: JsonObject, path: str) -> Scalar:
    """Returns the scalar of a path that leads to exactly one, None for all other paths: what unique indexes compare."""
    scalars, _ = values_at(document, path.split("."))
    distinct = {sort_key(scalar): scalar for scalar in scalars}
    return next(iter(distinct.values())) if len(distinct) == 1 else None


def is_sortable_value(document: JsonObject, path: str) -> bool:
    """Returns whether what a path leads to can be sorted by: one scalar that compares, or nothing."""
    value: Json = document
    for segment in path.split("."):
        if value is None:
            return True
        if not isinstance(value, dict):
            return False
        value = value.get(segment)
    if value is None:
        return True
    if isinstance(value, int) and not isinstance(value, bool):
        return -_INT64 <= value < _INT64
    return not isinstance(value, (dict, list)) and comparable(value) is not None


def _scalar_at(document: JsonObject, path: str) -> Scalar:
    value: Json = document
    for segment in path.split("."):
        value = value.get(segment) if isinstance(value, dict) else None
    return comparable(value)
