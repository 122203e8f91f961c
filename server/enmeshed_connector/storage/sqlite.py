"""The embedded store: one SQLite file per database. The default, and all that a single process needs.

Documents and log change in one transaction, so nothing is ever left to be applied. One writer thread makes all
changes; commits that are ready together share one transaction and one disk sync (group commit), which is what makes
many small commits quick: a sync costs milliseconds, whoever waits for it. Reads see the last committed state and never
wait for the writer.

Several processes may open the same file on one machine (not over a network file system); SQLite's own locks order them.
"""

from __future__ import annotations

import asyncio
import os
import random as random_module
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ..core.canonical_json import JsonObject
from ..core.clock import Clock, SystemClock
from ..core.dates import format_date
from .base import BaseStore, check_database_name
from .errors import StorageUnavailable
from .filters import Filter
from .port import CollectionSpec, Keyset, Position, Sort, StoreOptions
from .sqlite_connections import Readers, Writer, storage_error
from .sqlite_log import SqliteLog, append, newest, next_entry
from .sqlite_query import behind, order_by, translate
from .sqlite_schema import Table, create_or_check, prepare_table, read_document, violated_index
from .system_collections import SYSTEM_COLLECTIONS
from .unit_of_work import ABSENT, CommitRequest, Key, refusal, unique_violation
from .values import matcher, single_scalar

_SUFFIX = ".sqlite"
# More rows than this are decoded on a thread, so that the loop goes on.
_ROWS_ON_LOOP = 200
# How many rows are tried on the loop when the query does not say how many there are at most.
_ROWS_TRIED = 20


class SqliteStore(BaseStore):
    """`port.Store` over one SQLite file; opened by `SqliteDatabases`."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        options: StoreOptions,
        random: Callable[[], float],
        writer: Writer,
        readers: Readers,
        log_id: bytes,
    ) -> None:
        super().__init__(name, clock, options, random)
        self._writer = writer
        self._readers = readers
        self._tables: dict[str, Table] = {}
        self._log = SqliteLog(log_id, clock, options.poll_interval, readers, writer)
        self._log.bind(self)

    @property
    def log(self) -> SqliteLog:
        """The log of this database."""
        return self._log

    @property
    def applied_entry(self) -> int:
        """Always 0: what is committed is applied, and revisions are compared inside the transaction."""
        return 0

    async def commit(self, request: CommitRequest) -> Position:
        """Stores a unit of work in one transaction."""
        recorded_at = format_date(self._clock.now())
        future = self._writer.submit(lambda connection: self._commit(connection, request, recorded_at))
        if request.events:
            # Also when the caller is cancelled: the commit goes on, and readers must hear of it.
            future.add_done_callback(self._notify)
        return await asyncio.shield(future)

    async def reserve(self, counter: str, amount: int = 1) -> int:
        """Takes consecutive numbers from a counter and returns the first."""
        if amount < 1:
            raise ValueError("at least one number is reserved")

        def work(connection: sqlite3.Connection) -> int:
            (following,) = connection.execute(
                "INSERT INTO _Counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET next = next + excluded.next"
                " RETURNING next",
                (counter, amount),
            ).fetchone()
            return int(following) - amount

        return await self._writer.run(work)

    async def tidy(self) -> None:
        """Forgets expired idempotency records and lets SQLite look after its statistics."""
        await super().tidy()
        await self._writer.run(lambda connection: connection.execute("PRAGMA optimize").fetchall())

    async def close(self) -> None:
        """Waits for commits under way and closes the file."""
        await self._writer.close()
        await self._readers.close()

    async def _peek(self, counter: str) -> int:
        def work(connection: sqlite3.Connection) -> int:
            row = connection.execute("SELECT next FROM _Counters WHERE name = ?", (counter,)).fetchone()
            return 0 if row is None else int(row[0])

        return await self._readers.quick(work)

    async def _prepare(self, specs: Sequence[CollectionSpec]) -> None:
        tables = await self._writer.run(lambda connection: [prepare_table(connection, spec) for spec in specs])
        self._tables.update((table.spec.name, table) for table in tables)

    async def _get(self, spec: CollectionSpec, id: str) -> JsonObject | None:
        statement = self._tables[spec.name].select + " WHERE _id = ?"

        def work(connection: sqlite3.Connection) -> JsonObject | None:
            row = connection.execute(statement, (id,)).fetchone()
            return None if row is None else read_document(row)

        return await self._readers.quick(work)

    async def _find(
        self, spec: CollectionSpec, filter: Filter, order: Sequence[Sort], limit: int | None, after: Keyset | None
    ) -> list[JsonObject]:
        query = _Query(self._tables[spec.name], filter, order, limit, after)
        if query.is_exact and limit is not None:
            return await (self._readers.quick if limit <= _ROWS_ON_LOOP else self._readers.slow)(query.run)
        # Most queries without a limit meet one row or two: the way to the thread and back would cost more than they do.
        found = await self._readers.quick(query.run_short)
        return await self._readers.slow(query.run) if found is None else found

    async def _count(self, spec: CollectionSpec, filter: Filter) -> int:
        table = self._tables[spec.name]
        condition = translate(table, filter)
        if not condition.is_exact:
            return len(await self._find(spec, filter, (Sort(spec.id_field),), None, None))
        statement = f"SELECT count(*) FROM {table.name} WHERE {condition.sql}"  # noqa: S608 - parameters are bound

        def work(connection: sqlite3.Connection) -> int:
            (number,) = connection.execute(statement, condition.parameters).fetchone()
            return int(number)

        return await self._readers.quick(work)

    def _commit(self, connection: sqlite3.Connection, request: CommitRequest, recorded_at: str) -> Position:
        for key, expected in request.expected.items():
            self._check_revision(connection, request, key, expected)
        if request.stores_nothing:
            return newest(connection)
        rev = next_entry(connection)
        for write in request.writes:
            self._tables[write.spec.name].store(connection, write, rev)
        # After all writes: two documents of one commit may exchange a unique value.
        for write in request.writes:
            if write.document is not None and write.spec.unique:
                self._check_unique(connection, self._tables[write.spec.name], write.id, write.document)
        return append(connection, request, recorded_at)

    def _check_revision(self, connection: sqlite3.Connection, request: CommitRequest, key: Key, expected: int) -> None:
        rev = self._tables[key[0]].rev(connection, key[1])
        if (ABSENT if rev is None else rev) == expected:
            return
        raise refusal(request, key)

    @staticmethod
    def _check_unique(connection: sqlite3.Connection, table: Table, id_: str, document: JsonObject) -> None:
        for index in table.spec.unique:
            values = [(path, single_scalar(document, path)) for path in index]
            if all(value is not None for _, value in values) and violated_index(connection, table, id_, values):
                raise unique_violation(table.spec.name, id_, index)

    def _notify(self, future: asyncio.Future[Position]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._log.notifier.notify()


class _Query:
    """One `find`, ready to run on any connection."""

    def __init__(
        self, table: Table, filter: Filter, order: Sequence[Sort], limit: int | None, after: Keyset | None
    ) -> None:
        condition = translate(table, filter)
        self.is_exact = condition.is_exact
        self._matches = None if condition.is_exact else matcher(filter)
        self._limit = limit
        ending = f" {order_by(table, order)}" + (f" LIMIT {limit}" if self.is_exact and limit is not None else "")
        self._statements = [
            (f"{table.select} WHERE {condition.sql} AND {place.sql}{ending}", condition.parameters + place.parameters)
            for place in behind(table, order, after)
        ]

    def run(self, connection: sqlite3.Connection) -> list[JsonObject]:
        """Returns the documents."""
        found: list[JsonObject] = []
        for statement, parameters in self._statements:
            for row in connection.execute(statement, parameters):
                document = read_document(row)
                if self._matches is None or self._matches(document):
                    found.append(document)
                    if len(found) == self._limit:
                        return found
        return found

    def run_short(self, connection: sqlite3.Connection) -> list[JsonObject] | None:
        """Returns the documents, None when SQLite finds more rows than are worth trying on the loop."""
        rows: list[Any] = []
        for statement, parameters in self._statements:
            rows += connection.execute(statement, parameters).fetchmany(_ROWS_TRIED + 1 - len(rows))
            if len(rows) > _ROWS_TRIED:
                return None
        documents = [read_document(row) for row in rows]
        if self._matches is not None:
            documents = [document for document in documents if self._matches(document)]
        return documents[: self._limit]


class SqliteDatabases:
    """`port.Databases` over a folder with one file per database."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        options: StoreOptions | None = None,
        random: Callable[[], float] = random_module.random,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Makes the port; touches nothing yet.

        Args:
            folder: Where the files are; made when it does not exist. Files are readable for their owner only.
            clock: For leases, waits and the times in the log.
            options: How stores behave.
            random: Numbers from 0 to 1, for jitter.
            random_bytes: For the ids of logs.
        """
        self._folder = folder
        self._clock = clock or SystemClock()
        self._options = options or StoreOptions()
        self._random = random
        self._random_bytes = random_bytes

    async def open(self, name: str, specs: Iterable[CollectionSpec] = ()) -> SqliteStore:
        """Opens a database, made when it does not exist."""
        path = self._path(name)
        await asyncio.to_thread(self._make_file, path)
        writer = Writer(path, asyncio.get_running_loop(), self._options.group_commit)
        readers: Readers | None = None
        try:
            log_id = await writer.run(lambda connection: create_or_check(connection, self._random_bytes))
            readers = await asyncio.to_thread(_open_readers, path)
            store = SqliteStore(name, self._clock, self._options, self._random, writer, readers, log_id)
            await store.declare(*SYSTEM_COLLECTIONS, *specs)
        except BaseException:
            await writer.close()
            if readers is not None:
                await readers.close()
            raise
        return store

    async def names(self) -> list[str]:
        """Returns the names of the databases that exist, sorted."""
        return await asyncio.to_thread(lambda: sorted(path.stem for path in self._folder.glob(f"*{_SUFFIX}")))

    async def drop(self, name: str) -> None:
        """Deletes a database and all that is in it; its store must be closed."""
        path = self._path(name)
        await asyncio.to_thread(_delete, path)

    async def check(self) -> None:
        """Returns when the folder is there and can be written to."""
        if not await asyncio.to_thread(os.access, self._folder, os.W_OK | os.X_OK):
            raise StorageUnavailable("the folder of the databases cannot be written to")

    async def close(self) -> None:
        """Does nothing: connections belong to stores."""

    def _path(self, name: str) -> Path:
        check_database_name(name)
        return self._folder / (name + _SUFFIX)

    def _make_file(self, path: Path) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StorageUnavailable(f"the database file cannot be opened: {error.strerror}") from error


def _open_readers(path: Path) -> Readers:
    try:
        return Readers(path)
    except sqlite3.Error as error:
        raise storage_error(error) from error


def _delete(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
