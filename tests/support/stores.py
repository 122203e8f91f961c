"""Every store adapter for the contract suite: SQLite, and both MongoDB drivers on each server that can be had here."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from enmeshed_connector.core.clock import Clock, SystemClock
from enmeshed_connector.storage import CollectionSpec, Databases, Store, StoreOptions
from enmeshed_connector.storage.mongo import MongoDatabases
from enmeshed_connector.storage.mongo_connection import Driver
from enmeshed_connector.storage.sqlite import SqliteDatabases
from tests.support.mongodb import Kind, MongoServer, kinds_to_test, running_server

BACKENDS = [
    "sqlite",
    *(f"{kind}-{driver}" for kind, driver in itertools.product(kinds_to_test(), ("motor", "pymongo"))),
]
MONGO_BACKENDS = [name for name in BACKENDS if name != "sqlite"]

THINGS = CollectionSpec(
    "Things",
    indexes=("status", "peer.address", "recipients.relationshipId", "tags", "isOwn", "size"),
    sortable=("createdAt", "rank"),
    unique=(("email",), ("scope", "key")),
)
MAP = CollectionSpec("Map", id_field="name")


class SteppingClock:
    """A clock that moves only when it is told to, or slept on."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, duration: timedelta) -> None:
        self.moment += duration
        self.seconds += duration.total_seconds()

    async def sleep(self, duration: timedelta) -> None:
        self.advance(max(duration, timedelta(0)))
        # The other tasks get their turn, as in a real sleep.
        await SystemClock().sleep(timedelta(milliseconds=1))


class StoreFactory:
    """Opens stores of one backend; several of one name are like several processes on one database."""

    def __init__(self, backend: str, folder: Path, server: MongoServer | None, stack: AsyncExitStack) -> None:
        self.backend = backend
        self.server = server
        self._folder = folder
        self._stack = stack
        self.names: set[str] = set()
        self.database = f"acc-{uuid.uuid4().hex[:12]}"

    def databases(self, clock: Clock | None = None, options: StoreOptions | None = None) -> Databases:
        """Returns a port of its own to the backend's databases."""
        options = options or StoreOptions(poll_interval=timedelta(milliseconds=20))
        if self.server is None:
            return SqliteDatabases(self._folder, clock=clock, options=options)
        driver: Driver = "motor" if self.backend.endswith("motor") else "pymongo"
        return MongoDatabases(self.server.uri, driver=driver, clock=clock, options=options)

    async def open(
        self,
        *specs: CollectionSpec,
        name: str | None = None,
        clock: Clock | None = None,
        options: StoreOptions | None = None,
    ) -> Store:
        """Opens a store through a port of its own; closed at the end of the test."""
        databases = self.databases(clock, options)
        self._stack.push_async_callback(databases.close)
        store = await databases.open(name or self.database, specs or (THINGS, MAP))
        self.names.add(store.name)
        self._stack.push_async_callback(store.close)
        return store


@asynccontextmanager
async def store_factory(backend: str, folder: Path, server: MongoServer | None) -> AsyncIterator[StoreFactory]:
    """Gives a factory, and deletes what it made."""
    async with AsyncExitStack() as stack:
        factory = StoreFactory(backend, folder, server, stack)
        yield factory
    databases = factory.databases()
    for name in factory.names:
        await databases.drop(name)
    await databases.close()


class MongoServers:
    """The MongoDB-protocol servers of a test session, started when first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._running: dict[str, MongoServer] = {}
        self._stack = stack

    def of(self, backend: str) -> MongoServer | None:
        """Returns the server of a backend, None for SQLite."""
        if backend == "sqlite":
            return None
        kind = kind_of(backend)
        if kind not in self._running:
            self._running[kind] = self._stack.enter_context(running_server(kind))
        return self._running[kind]


def kind_of(backend: str) -> Kind:
    """Returns which server a backend runs on."""
    return next(kind for kind in kinds_to_test() if backend.startswith(f"{kind}-"))


@pytest.fixture(scope="session")
def mongo_servers() -> Iterator[MongoServers]:
    """Gives the servers of this session; stops them at its end."""
    with ExitStack() as stack:
        yield MongoServers(stack)


@pytest_asyncio.fixture
async def stores(
    request: pytest.FixtureRequest, tmp_path: Path, mongo_servers: MongoServers
) -> AsyncIterator[StoreFactory]:
    """Gives a factory of stores; parametrised with the name of a backend."""
    backend: str = request.param
    async with store_factory(backend, tmp_path / "stores", mongo_servers.of(backend)) as factory:
        yield factory


@pytest_asyncio.fixture
async def store(stores: StoreFactory) -> Store:
    """Gives a fresh store with the collections `Things` and `Map`."""
    return await stores.open()
