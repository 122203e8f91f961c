"""A process that commits as fast as it can and tells what was acknowledged: to be killed by tests.

    python -m tests.support.store_writer sqlite FOLDER DATABASE PREFIX
    python -m tests.support.store_writer motor|pymongo URI DATABASE PREFIX

Each commit makes two documents and one event and adds to a sum, in one unit of work. After each acknowledgement it
prints the number of the commit in one line.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from enmeshed_connector.storage import CollectionSpec, Databases, Store, StoreOptions, UnitOfWork
from enmeshed_connector.storage.mongo import MongoDatabases
from enmeshed_connector.storage.sqlite import SqliteDatabases

WRITTEN = CollectionSpec("Written", indexes=("number", "writer"))
SUMS = CollectionSpec("Sums")
IN_FLIGHT = 4


def databases_of(driver: str, target: str) -> Databases:
    """Returns the port for a driver and its folder or connection string."""
    options = StoreOptions(transact_attempts=500, outage_budget=timedelta(seconds=30))
    if driver == "sqlite":
        return SqliteDatabases(Path(target), options=options)
    return MongoDatabases(target, driver="motor" if driver == "motor" else "pymongo", options=options)


async def write_one(store: Store, writer: str, number: int) -> None:
    """Makes one commit."""

    async def work(uow: UnitOfWork) -> None:
        total = await uow.get("Sums", writer) or {"id": writer, "commits": 0, "numbers": 0}
        changed = {"commits": total["commits"] + 1, "numbers": total["numbers"] + number}
        uow.put("Sums", total | changed)
        for half in ("a", "b"):
            uow.insert(
                "Written", {"id": f"{writer}-{number}-{half}", "number": number, "writer": writer, "pad": "x" * 200}
            )
        uow.emit({"type": "written", "writer": writer, "number": number})

    await store.transact(work)
    # One write, so that a line is never torn by the end of the process.
    os.write(sys.stdout.fileno(), f"{number}\n".encode())


async def main(driver: str, target: str, database: str, writer: str) -> None:
    """Commits until killed."""
    store = await databases_of(driver, target).open(database, (WRITTEN, SUMS))
    numbers = iter(range(1_000_000))

    async def lane() -> None:
        for number in numbers:
            await write_one(store, writer, number)

    await asyncio.gather(*(lane() for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
