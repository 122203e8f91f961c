"""The data of the Backbone in one SQLite database.

All that one request writes is one transaction. With a file, requests that wait at the same time share one commit: a
commit costs a disk sync whoever does it. A caller gets its answer only after the commit, so what is acknowledged is
durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Generic, TypeVar

from .errors import ApiError, OAuthError

Result = TypeVar("Result")
Row = sqlite3.Row

MEMORY = ":memory:"
SCHEMA_VERSION = 1

_BATCH_LIMIT = 128
"""How many requests share one commit at most: bounds the wait of the first of them."""

_BUSY_TIMEOUT_SECONDS = 5.0


class StoreError(Exception):
    """The database cannot be used as it is; the text says why."""


@dataclass(frozen=True)
class Push:
    """Something that devices are told of once the transaction is durable.

    Attributes:
        address: Whose devices.
        event_name: The name of the push, for example `ExternalEventCreated`.
    """

    address: str
    event_name: str


@dataclass
class Transaction:
    """One request's view of the database: reads, and with a writing one also writes.

    Attributes:
        now: The moment of the request, in milliseconds; the same for everything it makes.
        pushes: What goes out after the commit; dropped when the request fails.
    """

    connection: sqlite3.Connection
    now: int
    pushes: list[Push] = field(default_factory=list)

    def one(self, sql: str, *parameters: Any) -> Row | None:
        """Returns the first row or None."""
        row: Row | None = self.connection.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, *parameters: Any) -> list[Row]:
        """Returns all rows."""
        return self.connection.execute(sql, parameters).fetchall()

    def value(self, sql: str, *parameters: Any) -> Any:
        """Returns the first column of the first row, or None."""
        row = self.connection.execute(sql, parameters).fetchone()
        return None if row is None else row[0]

    def run(self, sql: str, *parameters: Any) -> int:
        """Executes a statement that writes and returns how many rows it touched."""
        return self.connection.execute(sql, parameters).rowcount

    def insert(self, table: str, **values: Any) -> None:
        """Inserts one row. The names come from this program, never from a request."""
        marks = ", ".join("?" * len(values))
        self.connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))  # noqa: S608

    def push(self, address: str, event_name: str, *, except_device: str | None = None) -> None:
        """Notes a push for after the commit, when a device of that identity listens to an event stream now.

        Args:
            address: Whose devices are told.
            event_name: The name of the push.
            except_device: A device that caused it and need not be told.
        """
        listens = self.value(
            "SELECT 1 FROM push_registrations WHERE address = ? AND platform = 'sse' AND device_id != ? LIMIT 1",
            address,
            except_device or "",
        )
        if listens:
            self.pushes.append(Push(address, event_name))


@dataclass
class _Job(Generic[Result]):
    work: Callable[[Transaction], Result]
    is_heavy: bool
    future: asyncio.Future[Result]
    result: Result | None = None
    error: BaseException | None = None
    pushes: list[Push] = field(default_factory=list)

    def settle(self) -> None:
        # A client that went away has cancelled its future; what it asked for is done all the same.
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]  # Set whenever there is no error.


class Store:
    """The one writer of the database, and readers beside it.

    Args:
        path: A file, made when it is missing, or `:memory:`.
        now: Gives the present moment in milliseconds.
        on_pushes: Called on the event loop with the pushes of a transaction, after its commit.
    """

    def __init__(self, path: str, *, now: Callable[[], int], on_pushes: Callable[[list[Push]], None]) -> None:
        self._path = path
        self._now = now
        self._on_pushes = on_pushes
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._jobs: list[_Job[Any]] = []
        self._has_jobs = asyncio.Event()
        self._committer: asyncio.Task[None] | None = None
        self._is_closed = False

    def open(self) -> None:
        """Opens the database and makes its tables when they are missing.

        Raises:
            StoreError: The file is another kind of database or of another version, or cannot be opened.
        """
        try:
            self._writer = self._connect()
            if self._path == MEMORY:
                self._reader = self._writer
            else:
                # FULL: without it a power cut may lose commits that were acknowledged.
                self._writer.execute("PRAGMA journal_mode = WAL")
                self._writer.execute("PRAGMA synchronous = FULL")
            self._make_schema(self._writer)
            if self._reader is None:
                self._reader = self._connect()
                self._reader.execute("PRAGMA query_only = ON")
        except BaseException as error:
            self._close_connections()
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"The database {self._path} cannot be opened: {error}") from error
            raise

    async def close(self) -> None:
        """Finishes what was asked for and closes the database. Later calls fail."""
        self._is_closed = True
        self._has_jobs.set()
        if self._committer is not None:
            await self._committer
        self._close_connections()

    def read(self, work: Callable[[Transaction], Result]) -> Result:
        """Returns what the work makes of one unchanging view of the committed data. Runs at once, without awaiting."""
        connection = self._require(self._reader)
        connection.execute("BEGIN")
        try:
            return work(Transaction(connection, self._now()))
        finally:
            connection.execute("ROLLBACK")

    async def write(self, work: Callable[[Transaction], Result], *, is_heavy: bool = False) -> Result:
        """Returns what the work returned once everything it wrote is durable.

        The work runs alone: no other work sees or changes anything while it does. What it raises undoes what it wrote
        and comes out of here, except errors that keep their changes.

        Args:
            work: Short, without awaiting; may run on another thread.
            is_heavy: The work moves megabytes and therefore leaves the event loop's thread.

        Raises:
            StoreError: The store is not open, or the commit failed and nothing of the work stays.
        """
        if self._is_closed:
            raise StoreError("The store is closed.")
        writer = self._require(self._writer)
        loop = asyncio.get_running_loop()
        job: _Job[Result] = _Job(work, is_heavy, loop.create_future())
        if self._path == MEMORY:
            self._perform([job], writer)
            self._finish([job])
        else:
            self._jobs.append(job)
            if self._committer is None:
                self._committer = loop.create_task(self._commit_batches(writer), name="backbone-store")
            self._has_jobs.set()
        return await job.future

    async def _commit_batches(self, connection: sqlite3.Connection) -> None:
        while True:
            await self._has_jobs.wait()
            self._has_jobs.clear()
            while self._jobs:
                batch, self._jobs = self._jobs[:_BATCH_LIMIT], self._jobs[_BATCH_LIMIT:]
                if any(job.is_heavy for job in batch):
                    await asyncio.to_thread(self._perform, batch, connection)
                else:
                    # Short statements stay on the loop: handing the interpreter lock over at each of them costs more
                    # than they do. Only the commit waits for the disk, so only it goes to a thread.
                    failure = self._execute(batch, connection)
                    if failure is None:
                        failure = await asyncio.to_thread(self._commit, connection)
                    self._mark_failed(batch, failure)
                self._finish(batch)
            if self._is_closed:
                return

    def _perform(self, batch: list[_Job[Any]], connection: sqlite3.Connection) -> None:
        failure = self._execute(batch, connection)
        self._mark_failed(batch, failure if failure is not None else self._commit(connection))

    def _execute(self, batch: list[_Job[Any]], connection: sqlite3.Connection) -> Exception | None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                self._execute_one(job, connection)
        except sqlite3.Error as error:
            self._undo(connection)
            return error
        return None

    def _execute_one(self, job: _Job[Any], connection: sqlite3.Connection) -> None:
        transaction = Transaction(connection, self._now())
        connection.execute("SAVEPOINT request")
        try:
            job.result = job.work(transaction)
        except Exception as error:
            job.error = error
            if not _keeps_changes(error):
                connection.execute("ROLLBACK TO request")
                transaction.pushes.clear()
        connection.execute("RELEASE request")
        job.pushes = transaction.pushes

    def _commit(self, connection: sqlite3.Connection) -> Exception | None:
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo(connection)
            return error
        return None

    def _undo(self, connection: sqlite3.Connection) -> None:
        # Some failures, a full disk among them, have rolled back already.
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")

    def _mark_failed(self, batch: list[_Job[Any]], failure: Exception | None) -> None:
        if failure is None:
            return
        for job in batch:
            job.error = StoreError(f"The transaction was not committed: {failure}")
            job.pushes = []

    def _finish(self, batch: Iterable[_Job[Any]]) -> None:
        for job in batch:
            job.settle()
            if job.pushes:
                self._on_pushes(job.pushes)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            isolation_level=None,
            timeout=_BUSY_TIMEOUT_SECONDS,
            cached_statements=512,
            # One thread at a time uses it: the loop's, or the one that the loop waits for.
            check_same_thread=False,
        )
        connection.row_factory = sqlite3.Row
        return connection

    def _make_schema(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == SCHEMA_VERSION:
            return
        if version != 0 or connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is not None:
            raise StoreError(
                f"{self._path} is not a database of this version of the Backbone (its version is {version})."
            )
        schema = resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")
        connection.executescript(f"BEGIN IMMEDIATE; {schema}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def _close_connections(self) -> None:
        for connection in {self._writer, self._reader} - {None}:
            if connection is not None:
                connection.close()
        self._writer = self._reader = None

    def _require(self, connection: sqlite3.Connection | None) -> sqlite3.Connection:
        if connection is None:
            raise StoreError("The store is not open.")
        return connection


def _keeps_changes(error: Exception) -> bool:
    return isinstance(error, OAuthError) or (isinstance(error, ApiError) and error.keeps_changes)
