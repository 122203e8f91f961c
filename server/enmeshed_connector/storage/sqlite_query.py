"""Filters, orders and keysets as SQL.

A translation may be wider than the filter, where a path has no column; it says so, and the documents are looked at
again. It is never narrower.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .filters import All, AnyOf, EndsWith, Equals, Filter, HasText, In, Not, Present, Range, Scalar
from .port import Keyset, Sort
from .sqlite_schema import SEVERAL, SqlValue, Table, sql_value


class Condition(NamedTuple):
    """An SQL expression; NULL counts as false. Written so that SQLite finds the index."""

    sql: str
    parameters: tuple[SqlValue, ...] = ()
    is_exact: bool = True
    """Whether it holds for exactly the documents that meet the filter, and not for more."""


_TRUE = Condition("1")
_UNKNOWN = Condition("1", is_exact=False)


def translate(table: Table, filter: Filter) -> Condition:
    """Returns a condition that holds for every document that meets the filter."""
    if isinstance(filter, All):
        return _joined(" AND ", [translate(table, part) for part in filter.parts], _TRUE)
    if isinstance(filter, AnyOf):
        return _joined(" OR ", [translate(table, part) for part in filter.parts], Condition("0"))
    if isinstance(filter, Not):
        inner = translate(table, filter.part)
        # The opposite of something too wide would be too narrow.
        return Condition(f"NOT ifnull({inner.sql}, 0)", inner.parameters) if inner.is_exact else _UNKNOWN
    if isinstance(filter, Equals):
        return _is_one_of(table, filter.path, (filter.value,))
    if isinstance(filter, In):
        return _is_one_of(table, filter.path, filter.values)
    if isinstance(filter, Range):
        return _is_between(table, filter)
    if isinstance(filter, (EndsWith, HasText)):
        column = table.column(filter.path)
        return _UNKNOWN if column is None else Condition(f"({column} IS NOT NULL)", is_exact=False)
    if isinstance(filter, Present):
        column = table.column(filter.path)
        return _UNKNOWN if column is None else Condition(f"({column} IS NOT NULL)")
    raise TypeError(f"not a filter: {type(filter).__name__}")


def order_by(table: Table, order: Sequence[Sort]) -> str:
    """Returns the ORDER BY of an order that ends with the id."""
    return "ORDER BY " + ", ".join(f"{_sort_column(table, key)}{' DESC' if key.descending else ''}" for key in order)


def behind(table: Table, order: Sequence[Sort], after: Keyset | None) -> list[Condition]:
    """Returns conditions whose results, one after the other, are the documents behind a keyset.

    Several, because SQLite goes through an index from its middle only for a plain comparison: descending, documents
    whose first key is NULL come last and are asked for by themselves.
    """
    if after is None:
        return [_TRUE]
    values = (*after.values, after.id)
    exact = _is_behind(table, order, values)
    first, value = order[0], values[0]
    if value is None:
        return [exact]
    column = _sort_column(table, first)
    if not first.descending:
        return [_joined(" AND ", [Condition(f"{column} >= ?", (sql_value(value),)), exact], _TRUE)]
    bounded = _joined(" AND ", [Condition(f"{column} <= ?", (sql_value(value),)), exact], _TRUE)
    return [bounded] if column in ("_id", "_rev") else [bounded, Condition(f"{column} IS NULL")]


def _is_behind(table: Table, order: Sequence[Sort], values: Sequence[Scalar]) -> Condition:
    column, value, descending = _sort_column(table, order[0]), values[0], order[0].descending
    if value is None:
        later = Condition("0") if descending else Condition(f"{column} IS NOT NULL")
    elif descending:
        later = Condition(f"({column} IS NULL OR {column} < ?)", (sql_value(value),))
    else:
        later = Condition(f"{column} > ?", (sql_value(value),))
    if len(order) == 1:
        return later
    equal = Condition(f"{column} IS ?", (sql_value(value),))
    following = _joined(" AND ", [equal, _is_behind(table, order[1:], values[1:])], _TRUE)
    return _joined(" OR ", [later, following], _TRUE)


def _sort_column(table: Table, key: Sort) -> str:
    column = table.column(key.path)
    assert column is not None, "sortable paths have columns"
    return column


def _is_one_of(table: Table, path: str, values: Sequence[Scalar]) -> Condition:
    column = table.column(path)
    if column is None:
        return _UNKNOWN
    wanted = tuple(sql_value(value) for value in values if value is not None)
    parts: list[Condition] = []
    if None in values:
        parts.append(Condition(f"({column} IS NULL)"))
    if wanted:
        marks = ", ".join("?" * len(wanted))
        parts.append(Condition(f"{column} IN ({marks})", wanted))
        parts.extend(_several(table, path, f"value IN ({marks})", wanted))
    return _joined(" OR ", parts, Condition("0"))


def _is_between(table: Table, condition: Range) -> Condition:
    column = table.column(condition.path)
    if column is None:
        return _UNKNOWN
    bounds: list[tuple[str, SqlValue]] = []
    type_low, type_high = _type_bounds(condition.high if condition.low is None else condition.low)
    if condition.low is not None:
        bounds.append((">=" if condition.includes_low else ">", sql_value(condition.low)))
    elif type_low is not None:
        bounds.append((">=", type_low))
    if condition.high is not None:
        bounds.append(("<=" if condition.includes_high else "<", sql_value(condition.high)))
    else:
        bounds.append(("<", type_high))
    parameters = tuple(bound for _, bound in bounds)
    plain = " AND ".join(f"{column} {sign} ?" for sign, _ in bounds)
    inner = " AND ".join(f"value {sign} ?" for sign, _ in bounds)
    parts = [Condition(f"({plain})", parameters), *_several(table, condition.path, inner, parameters)]
    return _joined(" OR ", parts, Condition("0"))


def _type_bounds(bound: Scalar) -> tuple[SqlValue, SqlValue]:
    """Returns where the values of a bound's type begin and end in the order of SQLite: NULL, numbers, texts, blobs."""
    if isinstance(bound, bool):
        return b"", b"\x02"
    if isinstance(bound, str):
        return "", b""
    return None, ""


def _several(table: Table, path: str, condition: str, parameters: tuple[SqlValue, ...]) -> list[Condition]:
    column = table.column(path)
    if column in ("_id", "_rev"):
        return []
    chosen = f"SELECT id FROM _Values WHERE collection = ? AND path = ? AND {condition}"  # noqa: S608 - bound
    sql = f"({column} IS ? AND _id IN ({chosen}))"
    return [Condition(sql, (SEVERAL, table.spec.name, path, *parameters))]


def _joined(word: str, parts: Sequence[Condition], empty: Condition) -> Condition:
    if not parts:
        return empty
    if len(parts) == 1:
        return parts[0]
    parameters: list[SqlValue] = []
    is_exact = True
    for part in parts:
        parameters += part.parameters
        is_exact = is_exact and part.is_exact
    return Condition(f"({word.join([part.sql for part in parts])})", tuple(parameters), is_exact)
