"""What the SQLite adapter does with its file, its disk and the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from enmeshed_connector.storage import CollectionSpec, Filter, StorageUnavailable, StoreCorrupt, where
from enmeshed_connector.storage.sqlite import SqliteDatabases, SqliteStore
from enmeshed_connector.storage.sqlite_connections import connect
from tests.support.stores import THINGS


async def opened(folder: Path, *specs: CollectionSpec) -> SqliteStore:
    return await SqliteDatabases(folder).open("acc-x", specs or (THINGS,))


async def put(store: SqliteStore, *ids: str, **members: object) -> None:
    async with store.begin() as uow:
        for id_ in ids:
            uow.put("Things", {"id": id_, **members})
        uow.emit({"type": "put"})
        await uow.commit()


def test_connections_wait_for_the_disk_at_each_commit(tmp_path: Path) -> None:
    connection = connect(tmp_path / "x.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    store = await opened(tmp_path / "new" / "data")
    await put(store, "1")
    for file in (tmp_path / "new" / "data").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    assert stat.S_IMODE((tmp_path / "new" / "data").stat().st_mode) == 0o700
    await store.close()


async def test_commits_that_are_ready_together_share_one_transaction(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    wal = tmp_path / "acc-x.sqlite-wal"
    await put(store, "first")
    before = wal.stat().st_size
    await put(store, "second")
    alone = wal.stat().st_size - before
    before = wal.stat().st_size
    await asyncio.gather(*(put(store, f"{number}") for number in range(64)))
    together = wal.stat().st_size - before
    assert together < 64 * alone / 3
    await store.close()


async def test_a_full_disk_refuses_commits_and_keeps_what_was_there(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await put(store, "1")

    def limit(connection: sqlite3.Connection, pages: int | None) -> None:
        (count,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages or count + 4}")

    await store._writer.run(lambda connection: limit(connection, None))
    results = await asyncio.gather(
        *(put(store, f"big{n}", pad="x" * 100_000) for n in range(3)), return_exceptions=True
    )
    assert all(isinstance(result, StorageUnavailable) for result in results)
    assert [document["id"] for document in await store.find("Things")] == ["1"]
    assert len((await store.log.read(await store.log.oldest())).events) == 1
    await store._writer.run(lambda connection: limit(connection, 1_000_000))
    await put(store, "big", pad="x" * 100_000)
    assert await store.count("Things") == 2
    await store.close()


async def test_a_damaged_file_is_told_apart_from_one_that_is_away(tmp_path: Path) -> None:
    (tmp_path / "acc-x.sqlite").write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreCorrupt):
        await opened(tmp_path)


async def test_the_file_of_another_program_is_not_touched(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "acc-x.sqlite")
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreCorrupt):
        await opened(tmp_path)


async def test_a_file_of_a_newer_version_is_not_opened(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store._writer.run(lambda connection: connection.execute("UPDATE _Meta SET value = 99 WHERE name = 'format'"))
    await store.close()
    with pytest.raises(StoreCorrupt):
        await opened(tmp_path)


async def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageUnavailable):
        await SqliteDatabases(tmp_path / "file" / "data").open("acc-x")
    with pytest.raises(StorageUnavailable):
        await SqliteDatabases(tmp_path / "missing").check()


async def test_a_closed_store_refuses_and_closing_twice_is_fine(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.close()
    await store.close()
    with pytest.raises(StorageUnavailable):
        await put(store, "1")


async def test_a_long_search_leaves_the_event_loop_and_finds_the_same(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    async with store.begin() as uow:
        for number in range(20_000):
            uow.insert("Things", {"id": f"{number:05}", "status": "a" if number else "b", "rank": number})
        await uow.commit()
    condition = where("status").eq("b") | (where("status").eq("a") & where("rank").lt(-1))
    found = await store.find("Things", condition, sort=["-rank"], limit=1)
    assert [document["id"] for document in found] == ["00000"]
    assert await store.count("Things", where("rank").gte(0)) == 20_000
    await store.close()


@pytest.mark.parametrize(
    ("condition", "sort", "expected"),
    [
        (where("status").eq("x"), [], "Things/status"),
        (where("recipients.relationshipId").eq("x"), [], "Things/recipients.relationshipId"),
        (where("rank").gt(5), ["rank"], "Things/rank"),
        (where("isOwn").eq(True), ["-createdAt"], "Things/"),
    ],
)
async def test_declared_paths_are_found_through_their_index(
    tmp_path: Path, condition: Filter, sort: list[str], expected: str
) -> None:
    store = await opened(tmp_path)
    await put(store, *(f"{number}" for number in range(100)))
    plans: list[str] = []
    store._readers._on_loop.set_trace_callback(plans.append)
    await store.find("Things", condition, sort=sort, limit=5)
    store._readers._on_loop.set_trace_callback(None)
    connection = sqlite3.connect(tmp_path / "acc-x.sqlite")
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {plans[0]}")]
    connection.close()
    assert any(expected in line for line in plan), plan
    await store.close()
