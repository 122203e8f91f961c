"""The threads and connections of one SQLite file: one writer with group commit, readers beside it."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..core.errors import DomainError
from .errors import CommitOutcomeUnknown, StorageUnavailable, StoreCorrupt

T = TypeVar("T")

_BUSY_SECONDS = 10.0
# A read on the event loop may take this many times this many steps of SQLite's machine, about two milliseconds.
_STEPS = 2000
_STEPS_ON_LOOP = 20


def connect(path: Path) -> sqlite3.Connection:
    """Opens a connection with the settings that durability depends on.

    WAL lets readers go on while a commit is written; `synchronous=FULL` waits for the disk at each commit.
    """
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        # A file that is no database is found out here. Python 3.13 warns of connections that nobody closes.
        connection.close()
        raise
    return connection


def storage_error(error: Exception) -> DomainError:
    """Returns what callers see of an error of SQLite. The texts of SQLite name no data."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreCorrupt(f"the database file is damaged: {error}")
    return StorageUnavailable(f"the database cannot be used: {error}")


@dataclass(slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None

    def deliver(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
            # Whoever waited may have been cancelled; asyncio would log that nobody has looked at it.
            self.future.exception()
        else:
            self.future.set_result(self.result)


class Writer:
    """One thread that makes every change. Jobs that are ready together share one transaction and one disk sync.

    Each job has a savepoint of its own: one that fails takes back its own changes only.
    """

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, group: int) -> None:
        self._path = path
        self._loop = loop
        self._group = group
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"sqlite-writer-{path.stem}", daemon=True)
        self._is_closed = False
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Queues a job; the future is done once its changes are durable, or were taken back.

        Cancelling the future does not stop the job.
        """
        if self._is_closed:
            raise StorageUnavailable("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Job(work, future))
        return future

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a job; a cancelled caller leaves it to its end."""
        return await asyncio.shield(self.submit(work))

    async def close(self) -> None:
        """Finishes the jobs in the queue and ends the thread."""
        if not self._is_closed:
            self._is_closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            connection = connect(self._path)
        except sqlite3.Error as error:
            self._refuse_all(storage_error(error))
            return
        try:
            while (jobs := self._next_jobs()) is not None:
                self._run_jobs(connection, jobs)
                self._loop.call_soon_threadsafe(_deliver, jobs)
        finally:
            connection.close()

    def _next_jobs(self) -> list[_Job] | None:
        first = self._queue.get()
        if first is None:
            return None
        jobs = [first]
        while len(jobs) < self._group:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                # The end comes after what is in hand.
                self._queue.put(None)
                break
            jobs.append(job)
        return jobs

    def _run_jobs(self, connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._run_job(connection, job)
        except Exception as error:
            _roll_back(connection)
            _fail(jobs, storage_error(error) if isinstance(error, sqlite3.Error) else error)
            return
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            _roll_back(connection)
            code = (error.sqlite_errorcode or 0) & 0xFF
            if code == sqlite3.SQLITE_IOERR:
                # The pages may have reached the disk before the sync failed.
                _fail(jobs, CommitOutcomeUnknown(f"the disk failed during a commit: {error}"))
            else:
                _fail(jobs, storage_error(error))

    def _run_job(self, connection: sqlite3.Connection, job: _Job) -> None:
        connection.execute("SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except Exception as error:
            if not connection.in_transaction:
                # SQLite took everything back by itself: disk full, disk error.
                raise
            connection.execute("ROLLBACK TO job")
            job.error = storage_error(error) if isinstance(error, sqlite3.Error) else error
        connection.execute("RELEASE job")

    def _refuse_all(self, error: Exception) -> None:
        while (jobs := self._next_jobs()) is not None:
            _fail(jobs, error)
            self._loop.call_soon_threadsafe(_deliver, jobs)


class Readers:
    """Two read connections: one on the event loop for what is quick, one on a thread for the rest."""

    def __init__(self, path: Path) -> None:
        self._on_loop = connect(path)
        self._on_loop.execute("PRAGMA query_only = ON")
        self._on_thread = connect(path)
        self._on_thread.execute("PRAGMA query_only = ON")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite-reader-{path.stem}")
        self._steps_left = 0
        self._on_loop.set_progress_handler(self._is_over_budget, _STEPS)

    async def quick(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a read on the loop, and once more on the thread when it takes longer than the loop can wait."""
        self._steps_left = _STEPS_ON_LOOP
        try:
            return work(self._on_loop)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise storage_error(error) from error
        except sqlite3.Error as error:
            raise storage_error(error) from error
        return await self.slow(work)

    async def slow(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a read on the thread."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._on_thread)
        except sqlite3.Error as error:
            raise storage_error(error) from error

    async def close(self) -> None:
        """Waits for the read under way and closes both connections."""
        await asyncio.to_thread(self._thread.shutdown, True)
        self._on_loop.close()
        self._on_thread.close()

    def _is_over_budget(self) -> int:
        self._steps_left -= 1
        return int(self._steps_left < 0)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _fail(jobs: list[_Job], error: Exception) -> None:
    for job in jobs:
        job.error = error


def _deliver(jobs: list[_Job]) -> None:
    for job in jobs:
        job.deliver()
