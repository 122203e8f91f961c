"""Filters, orders and keysets as MongoDB queries.

Only plain operators are used, which mean the same on all servers. A query may be wider than its filter, never narrower;
documents are looked at again by `values.matcher`, which decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .filters import All, AnyOf, EndsWith, Equals, Filter, HasText, In, Not, Present, Range, Scalar
from .mongo_codec import GONE, LOSSY, REV, Raw
from .port import CollectionSpec, Keyset, Sort

_TYPES_BEHIND: dict[type, tuple[str, ...]] = {int: ("string", "bool"), float: ("string", "bool"), str: ("bool",)}
_TYPES_BEFORE: dict[type, tuple[str, ...]] = {str: ("number",), bool: ("number", "string")}


@dataclass(frozen=True)
class Query:
    """A query for documents whose named root members the database can look into."""

    raw: Raw
    is_exact: bool = True
    """Whether it finds exactly the documents that meet the filter, among those the database can look into."""
    roots: frozenset[str] = frozenset()
    """The root members it looks at."""

    def wide(self) -> Raw:
        """Returns a query that also finds every document that the database cannot look into."""
        if set(self.raw) == {"_id"}:
            # FerretDB finds a document by its id alone at once; with any other condition it reads the whole collection.
            return self.raw
        query = self.raw
        if self.roots:
            query = {"$or": [query, {LOSSY: {"$in": sorted(self.roots)}}]} if query else {}
        return _and([query, {GONE: None}])

    def strict(self) -> Raw:
        """Returns a query that finds none of those."""
        parts = [self.raw, {GONE: None}]
        if self.roots:
            parts.append({LOSSY: {"$nin": sorted(self.roots)}})
        return _and(parts)


def translate(spec: CollectionSpec, filter: Filter) -> Query:
    """Returns a query that finds every document that meets the filter."""
    if isinstance(filter, All):
        return _joined("$and", [translate(spec, part) for part in filter.parts])
    if isinstance(filter, AnyOf):
        if not filter.parts:
            return Query({"_id": {"$in": []}})
        return _joined("$or", [translate(spec, part) for part in filter.parts])
    if isinstance(filter, Not):
        return _opposite(spec, filter.part)
    if isinstance(filter, Equals):
        return _is_one_of(spec, filter.path, (filter.value,))
    if isinstance(filter, In):
        return _is_one_of(spec, filter.path, filter.values)
    if isinstance(filter, Range):
        return _is_between(spec, filter)
    if isinstance(filter, (Present, EndsWith, HasText)):
        # Null counts as existing here; the second look sorts that out.
        return Query({_field(spec, filter.path): {"$exists": True}}, is_exact=False, roots=_roots(spec, filter.path))
    raise TypeError(f"not a filter: {type(filter).__name__}")


def sort_fields(spec: CollectionSpec, order: Sequence[Sort]) -> list[tuple[str, int]]:
    """Returns an order as the driver takes it."""
    return [(_field(spec, key.path), -1 if key.descending else 1) for key in order]


def behind(spec: CollectionSpec, order: Sequence[Sort], after: Keyset) -> Raw:
    """Returns a query for the documents behind a keyset."""
    return _behind(spec, order, (*after.values, after.id))


def _behind(spec: CollectionSpec, order: Sequence[Sort], values: Sequence[Scalar]) -> Raw:
    field, value = _field(spec, order[0].path), values[0]
    parts = _later(field, value, descending=order[0].descending)
    if len(order) > 1:
        parts.append(_and([{field: value}, _behind(spec, order[1:], values[1:])]))
    return {"$or": parts}


def _later(field: str, value: Scalar, *, descending: bool) -> list[Raw]:
    """Returns queries that together find what sorts behind a value. Comparisons stay within one type."""
    if value is None:
        return [] if descending else [{field: {"$ne": None}}]
    types = (_TYPES_BEFORE if descending else _TYPES_BEHIND).get(type(value), ())
    parts: list[Raw] = [{field: {"$lt" if descending else "$gt": value}}]
    parts.extend({field: {"$type": name}} for name in types)
    if descending and field not in ("_id", REV):
        parts.append({field: None})
    return parts


def _is_one_of(spec: CollectionSpec, path: str, values: Sequence[Scalar]) -> Query:
    wanted = [value for value in values if value is not None]
    query = _equals(spec, path, wanted)
    if len(wanted) == len(values):
        return query
    return _joined("$or", [_absent(spec, path), query] if wanted else [_absent(spec, path)])


def _equals(spec: CollectionSpec, path: str, wanted: Sequence[Scalar]) -> Query:
    condition: Any = wanted[0] if len(wanted) == 1 else {"$in": list(wanted)}
    return Query({_field(spec, path): condition}, roots=_roots(spec, path))


def _absent(spec: CollectionSpec, path: str) -> Query:
    field = _field(spec, path)
    # An array with some elements that lack the member meets the second; the second look sorts that out.
    return Query({"$or": [{field: {"$exists": False}}, {field: None}]}, is_exact=False, roots=_roots(spec, path))


def _is_between(spec: CollectionSpec, condition: Range) -> Query:
    field = _field(spec, condition.path)
    bounds: Raw = {}
    if condition.low is not None:
        bounds["$gte" if condition.includes_low else "$gt"] = condition.low
    if condition.high is not None:
        bounds["$lte" if condition.includes_high else "$lt"] = condition.high
    # On arrays two bounds may be met by two elements, which is wider than the filter.
    return Query({field: bounds}, is_exact=len(bounds) == 1, roots=_roots(spec, condition.path))


def _opposite(spec: CollectionSpec, part: Filter) -> Query:
    if isinstance(part, Present):
        return _absent(spec, part.path)
    inner = translate(spec, part)
    if not inner.is_exact:
        return Query({}, is_exact=False, roots=inner.roots)
    return Query({"$nor": [inner.raw]}, roots=inner.roots)


def _joined(operator: str, parts: Sequence[Query]) -> Query:
    if not parts:
        return Query({})
    if len(parts) == 1:
        return parts[0]
    roots = frozenset[str]().union(*(part.roots for part in parts))
    is_exact = all(part.is_exact for part in parts)
    raws = [part.raw for part in parts]
    if operator == "$or" and {} in raws:
        return Query({}, is_exact, roots)
    return Query(_and(raws) if operator == "$and" else {operator: raws}, is_exact, roots)


def _and(parts: Sequence[Raw]) -> Raw:
    parts = [part for part in parts if part]
    return {} if not parts else parts[0] if len(parts) == 1 else {"$and": list(parts)}


def _field(spec: CollectionSpec, path: str) -> str:
    return "_id" if path == spec.id_field else path


def _roots(spec: CollectionSpec, path: str) -> frozenset[str]:
    """Returns the root member of a path; none for the id, which every database can hold."""
    return frozenset() if path in (spec.id_field, REV) else frozenset({path.partition(".")[0]})
