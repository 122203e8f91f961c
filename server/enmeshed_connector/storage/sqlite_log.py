"""The log of the SQLite adapter."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta

from ..core.canonical_json import JsonObject
from ..core.clock import Clock
from ..core.dates import parse_date
from . import exact_json
from .log_base import BaseLog, cursors_passed_by, erased, event_array
from .port import LogPage, Position, Retention, TrimResult
from .positions import START, StoredEntry, check_place, trim_boundary
from .sqlite_connections import Readers, Writer
from .unit_of_work import CommitRequest

_DELETE_AT_ONCE = 500


def append(connection: sqlite3.Connection, request: CommitRequest, recorded_at: str) -> Position:
    """Adds an entry to the log, in the transaction of its writes."""
    entry = next_entry(connection)
    events = event_array(request.events) if request.events else None
    connection.execute("INSERT INTO _Log VALUES (?, ?, ?, ?)", (entry, recorded_at, len(request.events), events))
    for number, event in enumerate(request.events):
        for subject in event.subjects:
            connection.execute("INSERT INTO _Subjects VALUES (?, ?, ?)", (subject, entry, number))
    return Position(entry, len(request.events))


def next_entry(connection: sqlite3.Connection) -> int:
    """Returns the position that the next commit gets."""
    (entry,) = connection.execute("SELECT ifnull(max(position), 0) + 1 FROM _Log").fetchone()
    return int(entry)


def newest(connection: sqlite3.Connection) -> Position:
    """Returns the place after the newest commit, with or without events."""
    row = connection.execute("SELECT position, count FROM _Log ORDER BY position DESC LIMIT 1").fetchone()
    return START if row is None else Position(*row)


class SqliteLog(BaseLog):
    """`port.Log` over the table `_Log`."""

    def __init__(self, log_id: bytes, clock: Clock, poll_interval: timedelta, readers: Readers, writer: Writer) -> None:
        super().__init__(log_id, poll_interval)
        self._clock = clock
        self._readers = readers
        self._writer = writer

    async def head(self) -> Position:
        """Returns the place after the last event."""
        return await self._readers.quick(_head)

    async def oldest(self) -> Position:
        """Returns the earliest place that can still be read from without missing anything."""
        return await self._readers.quick(_oldest)

    async def read(
        self,
        after: Position,
        *,
        limit: int = 500,
        max_bytes: int = 4 * 1024 * 1024,
        types: frozenset[str] | None = None,
    ) -> LogPage:
        """Returns the events that follow a place."""

        def work(connection: sqlite3.Connection) -> LogPage:
            end = newest(connection)
            page = self.page(after, limit, max_bytes, types)
            rows = connection.execute(
                "SELECT position, recordedAt, events FROM _Log WHERE count > 0 AND position >= ? AND position <= ?"
                " ORDER BY position",
                (after.entry, end.entry),
            )
            for entry, recorded_at, events in rows:
                if not page.add(entry, recorded_at, exact_json.decode(events)):
                    break
            # Looked at after the events: what was removed while they were read is noticed.
            check_place(after, _oldest(connection), end.entry, self.log_id)
            return page.finish(end)

        return await self._readers.quick(work)

    async def erase(self, subject: str) -> int:
        """Removes the content of all events about a subject, keeping their places."""

        def work(connection: sqlite3.Connection) -> int:
            rows = connection.execute(
                "SELECT position, number FROM _Subjects WHERE subject = ? ORDER BY position", (subject,)
            ).fetchall()
            for entry, number in rows:
                (text,) = connection.execute("SELECT events FROM _Log WHERE position = ?", (entry,)).fetchone()
                events: list[JsonObject] = exact_json.decode(text)
                events[number] = erased(events[number])
                connection.execute("UPDATE _Log SET events = ? WHERE position = ?", (exact_json.encode(events), entry))
                connection.execute("DELETE FROM _Subjects WHERE position = ? AND number = ?", (entry, number))
            return len(rows)

        return await self._writer.run(work)

    async def trim(self, retention: Retention) -> TrimResult:
        """Removes events past their retention, oldest first."""
        cursors = await self.cursors()
        now = self._clock.now()

        def find(connection: sqlite3.Connection) -> Position | None:
            (total,) = connection.execute("SELECT ifnull(sum(count), 0) FROM _Log WHERE count > 0").fetchone()
            rows = connection.execute("SELECT position, recordedAt, count FROM _Log WHERE count > 0 ORDER BY position")
            stored = (StoredEntry(entry, parse_date(recorded_at), count) for entry, recorded_at, count in rows)
            return trim_boundary(stored, total, cursors, retention, now)

        boundary = await self._readers.slow(find)
        removed = 0
        while True:
            # In steps, so that commits in between do not wait.
            step = await self._writer.run(_remover(boundary))
            removed += step
            if step < _DELETE_AT_ONCE:
                return TrimResult(removed, cursors_passed_by(cursors, boundary))


def _remover(boundary: Position | None) -> Callable[[sqlite3.Connection], int]:
    """Returns a job that removes some entries up to the boundary, and commits without events; never the newest one."""

    def work(connection: sqlite3.Connection) -> int:
        upto = 0 if boundary is None else boundary.entry
        rows = connection.execute(
            "SELECT position, count FROM _Log WHERE (position <= ? OR count = 0)"
            " AND position < (SELECT max(position) FROM _Log) ORDER BY position LIMIT ?",
            (upto, _DELETE_AT_ONCE),
        ).fetchall()
        gone = [Position(entry, count) for entry, count in rows if count]
        (newest_entry,) = connection.execute("SELECT ifnull(max(position), 0) FROM _Log").fetchone()
        if boundary is not None and boundary.entry == newest_entry and len(rows) < _DELETE_AT_ONCE:
            # Its place stays, so that positions go on from it.
            connection.execute("UPDATE _Log SET count = 0, events = NULL WHERE position = ?", (newest_entry,))
            connection.execute("DELETE FROM _Subjects WHERE position = ?", (newest_entry,))
            gone.append(boundary)
        connection.executemany("DELETE FROM _Log WHERE position = ?", [(entry,) for entry, _ in rows])
        connection.executemany("DELETE FROM _Subjects WHERE position = ?", [(entry,) for entry, _ in rows])
        if gone:
            last = max(gone)
            connection.execute("UPDATE _Meta SET value = ? WHERE name = 'oldestEntry'", (last.entry,))
            connection.execute("UPDATE _Meta SET value = ? WHERE name = 'oldestIndex'", (last.index,))
        return len(rows)

    return work


def _oldest(connection: sqlite3.Connection) -> Position:
    meta = dict(connection.execute("SELECT name, value FROM _Meta WHERE name IN ('oldestEntry', 'oldestIndex')"))
    return Position(meta["oldestEntry"], meta["oldestIndex"])


def _head(connection: sqlite3.Connection) -> Position:
    row = connection.execute(
        "SELECT position, count FROM _Log WHERE count > 0 ORDER BY position DESC LIMIT 1"
    ).fetchone()
    return _oldest(connection) if row is None else Position(*row)
