"""The tables of the SQLite adapter: one per collection, with an indexed column for each declared path.

A column holds what its path leads to: NULL when it is absent, the scalar when there is one, else one of two marks
(blobs, which sort behind all texts). Paths that lead to several scalars keep them in the table `_Values`. SQLite has
no booleans: they are one-byte blobs, so that True does not equal 1 and the order of types is that of the port.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..core.canonical_json import JsonObject
from . import exact_json
from .base import indexed_paths
from .errors import StoreCorrupt
from .filters import Scalar
from .port import CollectionSpec
from .positions import LOG_ID_BYTES
from .unit_of_work import Write
from .values import sort_key, values_at

SqlValue = str | int | float | bytes | None

FORMAT = 1
"""The version of the tables; a database with a newer one is not opened."""

NO_SCALAR = b"\xfe"
"""The path is present, but nothing there can be compared."""

SEVERAL = b"\xff"
"""The path leads to several scalars, which are in `_Values`."""

_TABLES = (
    "CREATE TABLE _Meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE _Counters (name TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE _Columns (collection TEXT, path TEXT, PRIMARY KEY (collection, path)) WITHOUT ROWID",
    "CREATE TABLE _Values (collection TEXT, path TEXT, value, id TEXT, PRIMARY KEY (collection, path, value, id))"
    " WITHOUT ROWID",
    "CREATE INDEX _ValuesById ON _Values (collection, id)",
    # Without AUTOINCREMENT: the newest entry is never deleted, so positions never come back.
    "CREATE TABLE _Log (position INTEGER PRIMARY KEY, recordedAt TEXT NOT NULL, count INTEGER NOT NULL, events TEXT)",
    "CREATE INDEX _LogWithEvents ON _Log (position, recordedAt, count) WHERE count > 0",
    "CREATE TABLE _Subjects (subject TEXT, position INTEGER, number INTEGER, PRIMARY KEY (subject, position, number))"
    " WITHOUT ROWID",
    "CREATE INDEX _SubjectsByPosition ON _Subjects (position)",
)


def sql_value(scalar: Scalar) -> SqlValue:
    """Returns how a scalar stands in a column."""
    if isinstance(scalar, bool):
        return b"\x01" if scalar else b"\x00"
    return scalar


def quoted(name: str) -> str:
    """Returns a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Table:
    """One collection's table."""

    spec: CollectionSpec
    paths: tuple[str, ...]
    """The paths that have columns, in the order of the columns; those of newer or older declarations included."""

    @property
    def name(self) -> str:
        """The table as an SQL identifier."""
        return quoted(self.spec.name)

    def column(self, path: str) -> str | None:
        """Returns the column of a path as an SQL identifier, None when it has none."""
        return self._columns.get(path)

    def store(self, connection: sqlite3.Connection, write: Write, rev: int) -> None:
        """Writes or deletes one document."""
        if self.paths:
            connection.execute("DELETE FROM _Values WHERE collection = ? AND id = ?", (self.spec.name, write.id))
        if write.text is None or write.document is None:
            connection.execute(f"DELETE FROM {self.name} WHERE _id = ?", (write.id,))  # noqa: S608 - quoted
            return
        columns, several = self._columns_of(write.document)
        connection.execute(self._upsert, (write.id, rev, write.text, *columns))
        if several:
            connection.executemany(
                "INSERT INTO _Values VALUES (?, ?, ?, ?)",
                [(self.spec.name, path, value, write.id) for path, value in several],
            )

    def index_again(self, connection: sqlite3.Connection) -> None:
        """Fills the columns of all documents from their text."""
        rows = connection.execute(f"SELECT _id, _rev, _body FROM {self.name}")  # noqa: S608 - quoted
        for id_, rev, text in rows.fetchall():
            self.store(connection, Write(self.spec, id_, text, exact_json.decode(text)), rev)

    def rev(self, connection: sqlite3.Connection, id_: str) -> int | None:
        """Returns the revision of a document, None when there is none."""
        row = connection.execute(self._select_rev, (id_,)).fetchone()
        return None if row is None else row[0]

    @cached_property
    def _columns(self) -> dict[str, str]:
        return {**{path: quoted(path) for path in self.paths}, "_rev": "_rev", self.spec.id_field: "_id"}

    @cached_property
    def _select_rev(self) -> str:
        return f"SELECT _rev FROM {self.name} WHERE _id = ?"  # noqa: S608 - quoted

    @cached_property
    def select(self) -> str:
        """The statement that reads revision and text, up to its WHERE."""
        return f"SELECT _rev, _body FROM {self.name}"  # noqa: S608 - quoted

    @cached_property
    def _upsert(self) -> str:
        names = ["_id", "_rev", "_body", *map(quoted, self.paths)]
        changes = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
        marks = ", ".join("?" * len(names))
        return (
            f"INSERT INTO {self.name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - quoted
            f" ON CONFLICT (_id) DO UPDATE SET {changes}"
        )

    @cached_property
    def _segments(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return tuple((path, tuple(path.split("."))) for path in self.paths)

    def _columns_of(self, document: JsonObject) -> tuple[list[SqlValue], list[tuple[str, SqlValue]]]:
        columns: list[SqlValue] = []
        several: list[tuple[str, SqlValue]] = []
        for path, segments in self._segments:
            scalars, is_present = values_at(document, segments)
            if len(scalars) > 1:
                scalars = list({sort_key(scalar): scalar for scalar in scalars}.values())
            if len(scalars) == 1:
                columns.append(sql_value(scalars[0]))
            elif scalars:
                columns.append(SEVERAL)
                several.extend((path, sql_value(scalar)) for scalar in scalars)
            else:
                columns.append(NO_SCALAR if is_present else None)
        return columns, several


def read_document(row: tuple[int, str]) -> JsonObject:
    """Returns the document of a row that `Table.select` gave."""
    document: JsonObject = exact_json.decode(row[1])
    document["_rev"] = row[0]
    return document


def create_or_check(connection: sqlite3.Connection, random_bytes: Callable[[int], bytes]) -> bytes:
    """Makes the store's own tables in an empty database, checks them in another one, and returns the id of its log.

    Raises:
        StoreCorrupt: The database is not ours, or was written by a newer version.
    """
    exists = connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_Meta'").fetchone()
    if not exists:
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            raise StoreCorrupt("the database file belongs to another program")
        for statement in _TABLES:
            connection.execute(statement)
        connection.executemany(
            "INSERT INTO _Meta VALUES (?, ?)",
            [("format", FORMAT), ("logId", random_bytes(LOG_ID_BYTES)), ("oldestEntry", 0), ("oldestIndex", 0)],
        )
    meta = dict(connection.execute("SELECT name, value FROM _Meta"))
    if not isinstance(meta.get("format"), int) or meta["format"] > FORMAT:
        raise StoreCorrupt("the database was written by a newer version of this software")
    return bytes(meta["logId"])


def prepare_table(connection: sqlite3.Connection, spec: CollectionSpec) -> Table:
    """Makes or extends the table of a collection and returns it; runs in a transaction of the caller."""
    name = quoted(spec.name)
    known = tuple(
        path for (path,) in connection.execute("SELECT path FROM _Columns WHERE collection = ?", (spec.name,))
    )
    missing = [path for path in indexed_paths(spec) if path not in known]
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {name} (_id TEXT NOT NULL PRIMARY KEY, _rev INTEGER NOT NULL, _body TEXT NOT NULL)"
    )
    for path in missing:
        connection.execute(f"ALTER TABLE {name} ADD COLUMN {quoted(path)}")
        connection.execute(f"CREATE INDEX {quoted(f'{spec.name}/{path}')} ON {name} ({quoted(path)}, _id)")
        connection.execute("INSERT INTO _Columns VALUES (?, ?)", (spec.name, path))
    table = Table(spec, (*known, *missing))
    if missing:
        table.index_again(connection)
    return table


def violated_index(
    connection: sqlite3.Connection, table: Table, id_: str, values: Sequence[tuple[str, Scalar]]
) -> bool:
    """Returns whether another document has the same values at the paths of a unique index."""
    condition = " AND ".join(f"{quoted(path)} = ?" for path, _ in values)
    row = connection.execute(
        f"SELECT 1 FROM {table.name} WHERE {condition} AND _id <> ? LIMIT 1",  # noqa: S608 - quoted
        (*(sql_value(value) for _, value in values), id_),
    ).fetchone()
    return row is not None
