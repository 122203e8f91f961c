"""Transactions: all or nothing, alone, and durable before they are acknowledged."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from enmeshed_backbone.errors import not_found
from enmeshed_backbone.store import MEMORY, Push, Store, StoreError, Transaction


class Opened:
    """A store, and what it pushed."""

    def __init__(self, path: str) -> None:
        self.pushed: list[Push] = []
        self.store = Store(path, now=lambda: 5, on_pushes=self.pushed.extend)
        self.store.open()

    def names(self) -> list[str]:
        return self.store.read(lambda t: [row["name"] for row in t.all("SELECT name FROM meta ORDER BY name")])


@pytest_asyncio.fixture(params=["file", "memory"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opened]:
    found = Opened(MEMORY if request.param == "memory" else str(tmp_path / "backbone.db"))
    yield found
    await found.store.close()


def listen(transaction: Transaction) -> None:
    transaction.run(
        "INSERT INTO push_registrations (device_id, address, identifier, platform, handle, app_id, environment, "
        "updated_at) VALUES ('d', 'a', '', 'sse', '', '', '', 0)"
    )


async def test_what_was_written_is_read_afterwards(opened: Opened) -> None:
    await opened.store.write(lambda t: t.insert("meta", name="x", value=1))

    assert opened.names() == ["x"]


async def test_a_failure_undoes_everything_of_its_request_and_nothing_of_others(opened: Opened) -> None:
    def fail(transaction: Transaction) -> None:
        transaction.insert("meta", name="half", value=1)
        transaction.push("a", "Half")
        raise not_found("Thing")

    await opened.store.write(listen)
    results = await asyncio.gather(
        opened.store.write(lambda t: t.insert("meta", name="before", value=1)),
        opened.store.write(fail),
        opened.store.write(lambda t: t.insert("meta", name="after", value=1)),
        return_exceptions=True,
    )

    assert [type(result).__name__ for result in results] == ["NoneType", "ApiError", "NoneType"]
    assert opened.names() == ["after", "before"]
    assert opened.pushed == []


async def test_a_failure_that_keeps_its_changes_is_committed(opened: Opened) -> None:
    def count(transaction: Transaction) -> None:
        transaction.insert("meta", name="attempt", value=1)
        raise not_found("Token", keeps_changes=True)

    with pytest.raises(Exception, match="Token not found"):
        await opened.store.write(count)
    assert opened.names() == ["attempt"]


async def test_a_constraint_undoes_the_request_that_broke_it(opened: Opened) -> None:
    def twice(transaction: Transaction) -> None:
        transaction.insert("meta", name="once", value=1)
        transaction.insert("meta", name="once", value=1)

    with pytest.raises(sqlite3.IntegrityError):
        await opened.store.write(twice)
    assert opened.names() == []


async def test_many_requests_at_once_are_all_done_one_after_the_other(opened: Opened) -> None:
    def count(transaction: Transaction) -> int:
        value: int = transaction.value("SELECT count(*) FROM meta")
        transaction.insert("meta", name=f"{value:04}", value=value)
        return value

    results = await asyncio.gather(*(opened.store.write(count, is_heavy=n % 7 == 0) for n in range(300)))

    assert sorted(results) == list(range(300))


async def test_pushes_go_out_after_the_commit_and_only_to_those_who_listen(opened: Opened) -> None:
    await opened.store.write(listen)

    def tell(transaction: Transaction) -> None:
        transaction.push("a", "Heard")
        transaction.push("a", "Own", except_device="d")
        transaction.push("b", "Nobody")

    await opened.store.write(tell)
    assert opened.pushed == [Push("a", "Heard")]


async def test_a_cancelled_caller_leaves_its_request_done(tmp_path: Path) -> None:
    opened = Opened(str(tmp_path / "backbone.db"))
    gone = asyncio.create_task(opened.store.write(lambda t: t.insert("meta", name="x", value=1)))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await opened.store.write(lambda t: t.insert("meta", name="y", value=1))

    assert opened.names() == ["x", "y"]
    await opened.store.close()


async def test_a_commit_that_fails_acknowledges_nothing(tmp_path: Path) -> None:
    path = tmp_path / "backbone.db"
    opened = Opened(str(path))
    await opened.store.write(lambda t: t.run("PRAGMA max_page_count = 1"))

    def grow(transaction: Transaction) -> None:
        transaction.insert("meta", name="big", value=bytes(5_000_000))

    results = await asyncio.gather(opened.store.write(grow), return_exceptions=True)
    assert isinstance(results[0], sqlite3.Error | StoreError)
    assert opened.names() == []
    await opened.store.close()


async def test_data_survives_closing(tmp_path: Path) -> None:
    path = str(tmp_path / "backbone.db")
    first = Opened(path)
    await first.store.write(lambda t: t.insert("meta", name="x", value=1))
    await first.store.close()
    second = Opened(path)

    assert second.names() == ["x"]
    await second.store.close()


async def test_a_closed_store_refuses(opened: Opened) -> None:
    await opened.store.close()

    with pytest.raises(StoreError):
        await opened.store.write(lambda t: None)
    with pytest.raises(StoreError):
        opened.store.read(lambda t: None)


async def test_reading_cannot_write(tmp_path: Path) -> None:
    opened = Opened(str(tmp_path / "backbone.db"))
    with pytest.raises(sqlite3.OperationalError):
        opened.store.read(lambda t: t.insert("meta", name="x", value=1))
    await opened.store.close()


async def test_a_file_database_is_set_to_survive_a_power_cut(tmp_path: Path) -> None:
    opened = Opened(str(tmp_path / "backbone.db"))
    modes = await opened.store.write(lambda t: (t.value("PRAGMA journal_mode"), t.value("PRAGMA synchronous")))

    assert modes == ("wal", 2)
    await opened.store.close()


@pytest.mark.parametrize("content", [b"this is no database at all, whatever its name says", None])
async def test_another_kind_of_file_is_left_alone(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.db"
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE theirs (x)")
        connection.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()

    store = Store(str(path), now=lambda: 0, on_pushes=lambda pushes: None)
    with pytest.raises(StoreError):
        store.open()
    with pytest.raises(StoreError):
        await store.write(lambda t: t.run("CREATE TABLE ours (x)"))
    assert path.read_bytes()[100:] == before[100:]
