"""What the MongoDB adapter says on the wire, and what it does when the wire fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import bson
import pymongo
import pytest
from pymongo import monitoring

from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.storage import (
    CommitOutcomeUnknown,
    StorageUnavailable,
    Store,
    StoreCorrupt,
    StoreOptions,
    mongo_codec,
    mongo_commit,
    mongo_entries,
)
from enmeshed_connector.storage.mongo import MongoDatabases
from enmeshed_connector.storage.mongo_apply import Applier
from enmeshed_connector.storage.mongo_connection import Driver
from enmeshed_connector.storage.mongo_entries import Blobs, Entries, entry_id
from enmeshed_connector.storage.unit_of_work import Write
from tests.support.fault_proxy import FaultProxy, Rules
from tests.support.stores import MAP, MONGO_BACKENDS, THINGS, StoreFactory

RUNS_ON = MONGO_BACKENDS

INSERT_INTO_LOG = b"insert\x00\x05\x00\x00\x00_Log\x00"
INSERT_INTO_THINGS = b"insert\x00\x07\x00\x00\x00Things\x00"
FOUND_BY_NOBODY = {"listDatabases", "dropDatabase", "ping", "buildInfo", "endSessions", "killCursors"}


class Commands(monitoring.CommandListener):
    """Keeps every command that was sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.sent.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass

    def named(self, *names: str) -> list[dict[str, Any]]:
        return [command for command in self.sent if next(iter(command)) in names]


@asynccontextmanager
async def opened(
    stores: StoreFactory,
    *,
    port: int | None = None,
    options: StoreOptions | None = None,
    commands: Commands | None = None,
) -> AsyncIterator[Store]:
    assert stores.server is not None
    driver: Driver = "motor" if stores.backend.endswith("motor") else "pymongo"
    uri = stores.server.uri if port is None else f"mongodb://127.0.0.1:{port}/"
    databases = MongoDatabases(uri, driver=driver, options=options, listeners=[commands] if commands else [])
    stores.names.add(stores.database)
    try:
        store = await databases.open(stores.database, (THINGS, MAP))
        try:
            yield store
        finally:
            await store.close()
    finally:
        await databases.close()


@asynccontextmanager
async def proxied(stores: StoreFactory) -> AsyncIterator[FaultProxy]:
    assert stores.server is not None
    host, _, port = stores.server.uri.removeprefix("mongodb://").partition("/")[0].rpartition(":")
    if not port.isdecimal():
        pytest.skip("the server is not a single host and port")
    async with FaultProxy(host, int(port)) as proxy:
        yield proxy


async def insert(store: Store, id_: str) -> None:
    async with store.begin() as uow:
        uow.insert("Things", {"id": id_, "status": "x"})
        uow.emit({"type": "made", "id": id_})
        await uow.commit()


async def ids(store: Store) -> list[str]:
    return [document["id"] for document in await store.find("Things")]


async def event_ids(store: Store) -> list[str]:
    return [event.event["id"] for event in (await store.log.read(await store.log.oldest())).events]


async def test_writes_wait_for_majority_and_journal_and_reads_see_the_majority(stores: StoreFactory) -> None:
    commands = Commands()
    async with opened(stores, commands=commands) as store:
        await insert(store, "1")
        await store.find("Things", {"status": "x"}, limit=1)
        await store.count("Things", {"status": "x"})
        await store.reserve("counter", 32)
        async with store.begin() as uow:
            uow.delete("Things", "1")
            await uow.commit()
        await store.tidy()
        await store.log.erase("nobody")
    writes = commands.named("insert", "update", "delete")
    assert {next(iter(command)) for command in writes} == {"insert", "update", "delete"}
    for command in writes:
        assert command["writeConcern"] == {"w": "majority", "j": True}, command
    reads = commands.named("find", "aggregate")
    assert {next(iter(command)) for command in reads} == {"find", "aggregate"}
    for command in reads:
        assert command["readConcern"] == {"level": "majority"}, command


async def test_no_command_needs_transactions_or_anything_special(stores: StoreFactory) -> None:
    commands = Commands()
    async with opened(stores, commands=commands) as store:
        await insert(store, "1")
        await store.find("Things", {"recipients.relationshipId": "R"})
        await store.tidy()
    for command in commands.sent:
        assert not {"startTransaction", "txnNumber", "autocommit", "arrayFilters"} & set(command)
        for index in command.get("indexes", ()):
            assert set(index) <= {"name", "key"}
        for update in command.get("updates", ()):
            assert "arrayFilters" not in update
    assert not commands.named("findAndModify", "getLastError")
    assert not any("$changeStream" in stage for command in commands.named("aggregate") for stage in command["pipeline"])


async def test_commits_that_are_ready_together_share_one_insert(stores: StoreFactory) -> None:
    commands = Commands()
    async with opened(stores, commands=commands) as store:
        await insert(store, "first")
        commands.sent.clear()
        await asyncio.gather(*(insert(store, f"{number:02}") for number in range(40)))
        into_log = [command for command in commands.named("insert") if command["insert"] == "_Log"]
        assert len(into_log) <= 2
        assert sum(len(command["documents"]) for command in into_log) == 40
        assert all(command["ordered"] for command in into_log)
        assert len(await event_ids(store)) == 41


async def test_no_commit_makes_a_document_that_the_database_does_not_take(
    stores: StoreFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A small fraction of the real limits, since FerretDB takes many seconds for arrays of a million members.
    limit = 16 * 1024 * 1024 // 32
    for module in (mongo_commit, mongo_entries):
        monkeypatch.setattr(module, "LARGE", module.LARGE // 32)
    # Six bytes of BSON for each character: what a peer may send, as it stands in a message and in the event of it.
    members = [1] * 30_000
    commands = Commands()
    async with opened(stores, commands=commands) as store:
        async with store.begin() as uow:
            uow.insert("Things", {"id": "1", "content": members})
            uow.emit({"type": "made", "id": "1", "content": members})
            await uow.commit()
        sent = [document for command in commands.named("insert") for document in command["documents"]]
        assert max(len(bson.encode(document)) for document in sent) < limit
        assert (await store.get("Things", "1") or {})["content"] == members
        (event,) = (await store.log.read(await store.log.oldest())).events
        assert event.event["content"] == members


@pytest.mark.parametrize("poison", [object(), [[1]]], ids=["not for the driver", "not for the server"])
async def test_a_commit_that_is_refused_takes_no_other_with_it(
    stores: StoreFactory, monkeypatch: pytest.MonkeyPatch, poison: Any
) -> None:
    if isinstance(poison, list) and not stores.backend.startswith("ferretdb"):
        pytest.skip("this server takes arrays in arrays")

    def encode(write: Write, rev: int, blob: Any = None) -> dict[str, Any]:
        raw = mongo_codec.encode(write, rev, blob)
        return raw | {"content": poison} if write.id == "poison" else raw

    monkeypatch.setattr(mongo_commit, "encode", encode)
    names = ["1", "2", "poison", "3", "4"]
    async with opened(stores) as store:
        results = await asyncio.gather(*(insert(store, name) for name in names), return_exceptions=True)
        assert [type(result).__base__ for result in results] == [object, object, DomainError, object, object]
        assert sorted(await event_ids(store)) == await ids(store) == ["1", "2", "3", "4"]
        await insert(store, "5")
        assert await ids(store) == ["1", "2", "3", "4", "5"]


async def test_a_commit_whose_answer_is_lost_is_stored_once(stores: StoreFactory) -> None:
    async with proxied(stores) as proxy, opened(stores, port=proxy.port) as store:
        await insert(store, "before")
        seen = proxy.accepted
        proxy.apply(Rules(when=INSERT_INTO_LOG, cut_answer_after=0))
        commits = [asyncio.ensure_future(insert(store, f"{number}")) for number in range(5)]
        while proxy.accepted == seen:
            await asyncio.sleep(0.005)
        proxy.apply(Rules())
        await asyncio.gather(*commits)
        expected = ["0", "1", "2", "3", "4", "before"]
        assert await ids(store) == expected
        assert sorted(await event_ids(store)) == expected


async def test_a_commit_that_a_majority_shows_late_is_stored_once(
    stores: StoreFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    unseen = 1

    async def get(entries: Entries, position: int) -> Any:
        nonlocal unseen
        if position == 2 and unseen:
            # As after a change of the primary: the place is taken, and a read with majority does not show by whom.
            unseen -= 1
            return None
        return await original(entries, position)

    original = Entries.get
    async with proxied(stores) as proxy, opened(stores, port=proxy.port) as store:
        await insert(store, "before")
        seen = proxy.accepted
        monkeypatch.setattr(Entries, "get", get)
        proxy.apply(Rules(when=INSERT_INTO_LOG, cut_answer_after=0))
        commit = asyncio.ensure_future(insert(store, "1"))
        while proxy.accepted == seen:
            await asyncio.sleep(0.005)
        proxy.apply(Rules())
        await commit
        assert not unseen
        assert await event_ids(store) == ["before", "1"]
        await insert(store, "2")
        assert await ids(store) == ["1", "2", "before"]


async def test_a_commit_whose_request_is_lost_is_stored_once(stores: StoreFactory) -> None:
    async with proxied(stores) as proxy, opened(stores, port=proxy.port) as store:
        await insert(store, "before")
        seen = proxy.accepted
        proxy.apply(Rules(when=INSERT_INTO_LOG, cut_request_after=0))
        commit = asyncio.ensure_future(insert(store, "1"))
        while proxy.accepted == seen:
            await asyncio.sleep(0.005)
        proxy.apply(Rules())
        await commit
        assert await ids(store) == ["1", "before"]
        assert await event_ids(store) == ["before", "1"]


async def test_an_outcome_that_stays_unknown_is_said_so_and_shows_later(stores: StoreFactory) -> None:
    options = StoreOptions(outage_budget=timedelta(milliseconds=100))
    async with proxied(stores) as proxy, opened(stores, port=proxy.port, options=options) as store:
        await insert(store, "before")
        proxy.apply(Rules(when=INSERT_INTO_LOG, cut_answer_after=0))
        with pytest.raises(CommitOutcomeUnknown):
            await insert(store, "1")
        proxy.apply(Rules())
        await insert(store, "2")
        assert await event_ids(store) == ["before", "1", "2"]
        assert await ids(store) == ["1", "2", "before"]


async def test_what_a_dead_process_left_unapplied_is_applied_by_the_next(stores: StoreFactory) -> None:
    options = StoreOptions(outage_budget=timedelta(milliseconds=100))
    async with proxied(stores) as proxy:
        async with opened(stores, port=proxy.port, options=options) as store:
            await insert(store, "before")
            proxy.apply(Rules(when=INSERT_INTO_THINGS, cut_request_after=0))
            # In the log, hence committed, but its document could not be written.
            await insert(store, "1")
            with pytest.raises(StorageUnavailable):
                await store.get("Things", "1")
        proxy.apply(Rules())
        for _ in range(2):
            async with opened(stores) as other:
                assert await ids(other) == ["1", "before"]
                assert await event_ids(other) == ["before", "1"]


async def test_what_could_not_be_applied_is_seen_once_the_database_is_back(stores: StoreFactory) -> None:
    options = StoreOptions(outage_budget=timedelta(milliseconds=100))
    async with proxied(stores) as proxy, opened(stores, port=proxy.port, options=options) as store:
        await insert(store, "before")
        proxy.apply(Rules(when=INSERT_INTO_THINGS, cut_request_after=0))
        await insert(store, "1")
        proxy.apply(Rules())
        assert await ids(store) == ["1", "before"]
        await insert(store, "2")
        assert await ids(store) == ["1", "2", "before"]


async def test_a_reader_that_is_cancelled_while_it_applies_leaves_it_to_the_next_one(stores: StoreFactory) -> None:
    options, commands = StoreOptions(outage_budget=timedelta(milliseconds=100)), Commands()
    async with (
        proxied(stores) as dying,
        proxied(stores) as proxy,
        opened(stores, port=proxy.port, commands=commands) as store,
    ):
        async with opened(stores, port=dying.port, options=options) as other:
            dying.apply(Rules(when=INSERT_INTO_THINGS, cut_request_after=0))
            await insert(other, "1")
        proxy.apply(Rules(when=INSERT_INTO_THINGS, swallow_request=True))
        reader = asyncio.create_task(store.log.head())
        while not any(command["insert"] == "Things" for command in commands.named("insert")):
            await asyncio.sleep(0.005)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        proxy.apply(Rules())
        proxy.cut()
        assert await store.get("Things", "1") is not None
        assert await event_ids(store) == ["1"]


async def test_reads_survive_a_cut_connection(stores: StoreFactory) -> None:
    async with proxied(stores) as proxy, opened(stores, port=proxy.port) as store:
        await insert(store, "1")
        proxy.cut()
        assert await ids(store) == ["1"]
        proxy.cut()
        await insert(store, "2")
        assert await ids(store) == ["1", "2"]


async def test_a_server_that_is_away_is_said_so_and_nothing_is_stored(stores: StoreFactory) -> None:
    async with proxied(stores) as proxy:
        uri = f"mongodb://127.0.0.1:{proxy.port}/"
    databases = MongoDatabases(uri, driver="pymongo")
    with pytest.raises(StorageUnavailable) as caught:
        await databases.check()
    assert "127.0.0.1" not in str(caught.value)
    await databases.close()


async def test_entries_applied_again_undo_nothing(stores: StoreFactory) -> None:
    async with opened(stores) as store:
        assert stores.server is not None
        client = pymongo.AsyncMongoClient[dict[str, Any]](stores.server.uri)
        database = client[store.name]
        applier = Applier(database.get_collection, Blobs(database["_Blobs"], lambda size: b"\x00" * size))

        def entry(position: int, previous: int | None, **members: Any) -> dict[str, Any]:
            document = {"_id": "1", "id": "1", **members, "_rev": position}
            return {
                "_id": entry_id(position),
                "writes": [{"c": "Things", "id": "1", "prev": previous, "doc": document}],
            }

        def gone(position: int, previous: int) -> dict[str, Any]:
            document = {"_id": "1", "_rev": position, "_gone": "2026"}
            return {
                "_id": entry_id(position),
                "writes": [{"c": "Things", "id": "1", "prev": previous, "doc": document}],
            }

        history = [entry(11, None, v=1), entry(12, 11, v=2), gone(13, 12), entry(14, 13, v=3)]
        expected = [1, 2, None, 3]
        for upto, value in enumerate(expected):
            await applier.apply([history[upto]])
            for start in range(upto + 1):
                await applier.apply(history[start : upto + 1])
                await applier.apply([history[start]])
            found = await store.get("Things", "1")
            assert (found and found["v"]) == value
        await client.close()


async def test_applied_writes_leave_the_log_and_deleted_documents_leave_nothing(stores: StoreFactory) -> None:
    async with opened(stores) as store:
        await insert(store, "secret")
        async with store.begin() as uow:
            uow.delete("Things", "secret")
            await uow.commit()
        await store.tidy()
        assert stores.server is not None
        client = pymongo.AsyncMongoClient[dict[str, Any]](stores.server.uri)
        database = client[store.name]
        assert [entry async for entry in database["_Log"].find({"writes": {"$exists": True}})] == []
        remains = [raw async for raw in database["Things"].find({})]
        assert [set(raw) for raw in remains] == [{"_id", "_rev", "_gone"}]
        await client.close()


async def test_a_database_of_a_newer_version_is_not_opened(stores: StoreFactory) -> None:
    async with opened(stores):
        pass
    assert stores.server is not None
    client = pymongo.AsyncMongoClient[dict[str, Any]](stores.server.uri)
    await client[stores.database]["_Meta"].update_one({"_id": "format"}, {"$set": {"value": 99}})
    await client.close()
    with pytest.raises(StoreCorrupt):
        async with opened(stores):
            pass


async def test_documents_older_than_this_software_have_revision_zero(stores: StoreFactory) -> None:
    async with opened(stores) as store:
        assert stores.server is not None
        client = pymongo.AsyncMongoClient[dict[str, Any]](stores.server.uri)
        await client[stores.database]["Things"].insert_one({"_id": "old", "id": "old", "status": "x"})
        await client.close()
        found = await store.find_one("Things", {"status": "x"})
        assert found == {"id": "old", "status": "x", "_rev": 0}
        async with store.begin() as uow:
            uow.replace("Things", found | {"status": "y"})
            await uow.commit()
        assert (await store.get("Things", "old") or {})["status"] == "y"
