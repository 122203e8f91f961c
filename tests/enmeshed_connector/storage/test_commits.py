"""Commits are atomic, isolated and decided once, by however many writers at a time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from enmeshed_connector.storage import (
    IdempotencyRecord,
    LeaseLost,
    Position,
    RevisionConflict,
    Store,
    StoreOptions,
    UniqueViolation,
    UnitOfWork,
    where,
)
from tests.support.stores import SteppingClock, StoreFactory


async def put(store: Store, *documents: dict[str, object]) -> Position:
    async with store.begin() as uow:
        for document in documents:
            uow.put("Things", document)
        return await uow.commit()


async def value(store: Store, id_: str) -> object:
    document = await store.get("Things", id_)
    return None if document is None else document["v"]


async def test_leaving_without_commit_stores_nothing(store: Store) -> None:
    async with store.begin() as uow:
        uow.insert("Things", {"id": "1"})
        uow.emit({"type": "x"})
    with pytest.raises(RuntimeError, match="boom"):
        async with store.begin() as uow:
            uow.insert("Things", {"id": "2"})
            raise RuntimeError("boom")
    assert await store.find("Things") == []
    assert (await store.log.read(await store.log.oldest())).events == ()


async def test_a_unit_of_work_that_is_over_cannot_be_used(store: Store) -> None:
    async with store.begin() as uow:
        uow.insert("Things", {"id": "1"})
        await uow.commit()
        with pytest.raises(RuntimeError):
            uow.insert("Things", {"id": "2"})
        with pytest.raises(RuntimeError):
            await uow.commit()


async def test_a_unit_of_work_sees_its_own_writes(store: Store) -> None:
    await put(store, {"id": "1", "status": "a", "v": 1}, {"id": "2", "status": "a", "v": 2}, {"id": "3", "status": "b"})
    async with store.begin() as uow:
        first = await uow.get("Things", "1")
        assert first is not None
        uow.replace("Things", first | {"status": "b"})
        uow.delete("Things", "2")
        uow.insert("Things", {"id": "4", "status": "a"})
        assert (await uow.get("Things", "1") or {})["status"] == "b"
        assert await uow.get("Things", "2") is None
        assert [document["id"] for document in await uow.find("Things", {"status": "a"})] == ["4"]
        assert [document["id"] for document in await uow.find("Things", sort=["-id"], limit=2)] == ["4", "3"]
        assert (await uow.find_one("Things", {"status": "b"}) or {})["id"] == "1"
        again = await uow.get("Things", "4")
        assert again is not None
        uow.replace("Things", again | {"v": 4})
        await uow.commit()
    assert [document["id"] for document in await store.find("Things")] == ["1", "3", "4"]
    assert await value(store, "4") == 4


async def test_what_is_undone_is_not_stored_and_what_came_before_is(store: Store) -> None:
    await put(store, {"id": "1", "v": 1})
    await put(store, {"id": "2", "v": 1})
    head = await store.log.head()
    async with store.begin() as uow:
        uow.insert("Things", {"id": "new", "v": 1})
        uow.emit({"type": "kept"})
        savepoint = uow.savepoint()
        document = await uow.get("Things", "1")
        assert document is not None
        uow.replace("Things", {**document, "v": 2})
        uow.delete("Things", "2")
        uow.put("Things", {"id": "new", "v": 2})
        uow.insert("Things", {"id": "newer"})
        uow.emit({"type": "undone"})
        uow.undo_to(savepoint)
        assert (await uow.get("Things", "new") or {})["v"] == 1
        uow.insert("Things", {"id": "newer", "v": 3})
        await uow.commit()
    assert [await value(store, id_) for id_ in ("1", "2", "new", "newer")] == [1, 1, 1, 3]
    assert [entry.event["type"] for entry in (await store.log.read(head)).events] == ["kept"]


async def test_a_commit_depends_on_what_an_undone_part_has_read(store: Store) -> None:
    await put(store, {"id": "1", "v": 1})
    async with store.begin() as uow:
        savepoint = uow.savepoint()
        await uow.get("Things", "1")
        uow.undo_to(savepoint)
        uow.put("Things", {"id": "2"})
        await put(store, {"id": "1", "v": 2})
        with pytest.raises(RevisionConflict):
            await uow.commit()


async def test_many_changes_of_one_document_in_one_commit_are_one_change(store: Store) -> None:
    async with store.begin() as uow:
        uow.insert("Things", {"id": "1", "v": 1})
        uow.delete("Things", "1")
        uow.insert("Things", {"id": "1", "v": 2})
        with pytest.raises(UniqueViolation):
            uow.insert("Things", {"id": "1", "v": 3})
        uow.put("Things", {"id": "1", "v": 4})
        await uow.commit()
    assert await value(store, "1") == 4


async def test_a_document_changed_since_it_was_read_is_a_conflict(store: Store) -> None:
    await put(store, {"id": "1", "v": 1})
    async with store.begin() as uow:
        document = await uow.get("Things", "1")
        assert document is not None
        await put(store, {"id": "1", "v": 2})
        uow.replace("Things", document | {"v": 3})
        uow.insert("Things", {"id": "2"})
        uow.emit({"type": "x"})
        with pytest.raises(RevisionConflict) as caught:
            await uow.commit()
    assert caught.value.facts == {"collection": "Things", "id": "1"}
    assert await value(store, "1") == 2
    assert await store.get("Things", "2") is None
    assert (await store.log.read(await store.log.oldest())).events == ()


async def test_what_was_only_read_must_be_unchanged_too(store: Store) -> None:
    await put(store, {"id": "1", "v": 1})
    for reads_by_filter in (False, True):
        async with store.begin() as uow:
            if reads_by_filter:
                await uow.find("Things", {"id": "1"})
            else:
                await uow.get("Things", "1")
            await put(store, {"id": "1", "v": 2})
            uow.put("Things", {"id": "2"})
            with pytest.raises(RevisionConflict):
                await uow.commit()


async def test_a_commit_that_writes_nothing_still_checks_what_it_read(store: Store) -> None:
    await put(store, {"id": "1", "v": 1})
    head = await store.log.head()
    async with store.begin() as uow:
        await uow.get("Things", "1")
        await uow.commit()
    assert await store.log.head() == head
    async with store.begin() as uow:
        await uow.get("Things", "1")
        await put(store, {"id": "1", "v": 2})
        with pytest.raises(RevisionConflict):
            await uow.commit()


async def test_what_was_absent_when_read_must_still_be(store: Store) -> None:
    async with store.begin() as uow:
        assert await uow.get("Things", "1") is None
        await put(store, {"id": "1", "v": 1})
        uow.insert("Things", {"id": "1", "v": 2})
        with pytest.raises(RevisionConflict):
            await uow.commit()
    assert await value(store, "1") == 1


async def test_a_document_deleted_since_it_was_read_is_a_conflict(store: Store) -> None:
    await put(store, {"id": "1", "v": 1})
    old = await store.get("Things", "1")
    assert old is not None
    async with store.begin() as uow:
        uow.delete("Things", "1")
        await uow.commit()
    with pytest.raises(RevisionConflict):
        async with store.begin() as uow:
            uow.replace("Things", old | {"v": 2})
            await uow.commit()
    assert await store.get("Things", "1") is None


async def test_replacing_from_an_old_reading_is_a_conflict(store: Store) -> None:
    await put(store, {"id": "1", "v": 1})
    old = await store.get("Things", "1")
    assert old is not None
    await put(store, {"id": "1", "v": 2})
    async with store.begin() as uow:
        await uow.get("Things", "1")
        uow.replace("Things", old | {"v": 3})
        with pytest.raises(RevisionConflict):
            await uow.commit()


async def test_two_processes_see_each_others_changes_as_conflicts(stores: StoreFactory) -> None:
    one, two = await stores.open(), await stores.open()
    await put(one, {"id": "1", "v": 1})
    mine, theirs = await one.get("Things", "1"), await two.get("Things", "1")
    assert mine is not None
    assert mine == theirs
    async with one.begin() as uow:
        uow.replace("Things", mine | {"v": 2})
        await uow.commit()
    with pytest.raises(RevisionConflict):
        async with two.begin() as uow:
            uow.replace("Things", mine | {"v": 3})
            await uow.commit()
    assert await value(two, "1") == 2


async def test_unique_values_are_unique(store: Store) -> None:
    await put(store, {"id": "1", "email": "a", "scope": "s", "key": "k"})
    with pytest.raises(UniqueViolation) as caught:
        await put(store, {"id": "2", "email": "a"})
    assert caught.value.facts == {"collection": "Things", "id": "2", "index": "email"}
    with pytest.raises(UniqueViolation):
        await put(store, {"id": "2", "scope": "s", "key": "k"})
    await put(store, {"id": "2", "scope": "s", "key": "other"}, {"id": "3", "scope": "other", "key": "k"})
    await put(store, {"id": "4", "scope": "s"}, {"id": "5", "scope": "s"}, {"id": "6", "email": None}, {"id": "7"})
    await put(store, {"id": "8", "email": ["a", "b"]}, {"id": "9", "email": {"x": "a"}})
    await put(store, {"id": "1", "email": "a", "v": 2})
    assert await store.count("Things", {"email": "a"}) == 2


async def test_two_documents_of_one_commit_cannot_share_a_unique_value(store: Store) -> None:
    with pytest.raises(UniqueViolation):
        await put(store, {"id": "1", "email": "a"}, {"id": "2", "email": "a"})
    assert await store.find("Things") == []


async def test_unique_values_can_be_exchanged_and_handed_on(store: Store) -> None:
    await put(store, {"id": "1", "email": "a"}, {"id": "2", "email": "b"})
    await put(store, {"id": "1", "email": "b"}, {"id": "2", "email": "a"})
    async with store.begin() as uow:
        uow.delete("Things", "1")
        uow.insert("Things", {"id": "3", "email": "b"})
        await uow.commit()
    assert [(document["id"], document["email"]) for document in await store.find("Things")] == [("2", "a"), ("3", "b")]


async def test_of_many_that_want_one_unique_value_one_gets_it(stores: StoreFactory) -> None:
    one, two = await stores.open(), await stores.open()
    results = await asyncio.gather(
        *(put(store, {"id": f"{number}-{store is one}", "email": "a"}) for number in range(8) for store in (one, two)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Position) for result in results) == 1
    assert all(isinstance(result, Position | UniqueViolation) for result in results)
    assert await one.count("Things", {"email": "a"}) == 1


async def test_of_many_inserts_of_one_id_one_wins(stores: StoreFactory) -> None:
    one, two = await stores.open(), await stores.open()

    async def insert(store: Store) -> Position:
        async with store.begin() as uow:
            uow.insert("Things", {"id": "1"})
            return await uow.commit()

    results = await asyncio.gather(*(insert(store) for _ in range(8) for store in (one, two)), return_exceptions=True)
    assert sum(isinstance(result, Position) for result in results) == 1
    assert sum(isinstance(result, UniqueViolation) for result in results) == 15


def increment(id_: str) -> Callable[[UnitOfWork], Awaitable[int]]:
    async def work(uow: UnitOfWork) -> int:
        document = await uow.get("Things", id_) or {"id": id_, "v": 0}
        following = int(document["v"]) + 1
        uow.put("Things", document | {"v": following})
        uow.emit({"type": "incremented", "id": id_, "v": following})
        return following

    return work


async def test_transact_loses_no_update_with_several_processes(stores: StoreFactory) -> None:
    options = StoreOptions(transact_attempts=200, poll_interval=timedelta(milliseconds=20))
    processes = [await stores.open(options=options) for _ in range(3)]
    results = await asyncio.gather(*(store.transact(increment("1")) for _ in range(10) for store in processes))
    assert sorted(results) == list(range(1, 31))
    for store in processes:
        page = await store.log.read(await store.log.oldest())
        assert [event.event["v"] for event in page.events] == list(range(1, 31))
        assert await value(store, "1") == 30


async def test_commits_of_several_processes_are_all_there_in_one_order(stores: StoreFactory) -> None:
    processes = [await stores.open() for _ in range(3)]

    async def write(number: int, store: Store) -> Position:
        async with store.begin() as uow:
            uow.insert("Things", {"id": f"{number:03}", "v": number, "tags": ["x"]})
            uow.emit({"type": "made", "v": number})
            return await uow.commit()

    positions = await asyncio.gather(*(write(number, processes[number % 3]) for number in range(60)))
    assert len({position.entry for position in positions}) == 60
    logs = [await store.log.read(await store.log.oldest()) for store in processes]
    assert logs[0].events == logs[1].events == logs[2].events
    assert [event.position for event in logs[0].events] == sorted(positions)
    assert {event.position: event.event["v"] for event in logs[0].events} == dict(
        zip(positions, range(60), strict=True)
    )
    for store in processes:
        assert [document["v"] for document in await store.find("Things", {"tags": "x"})] == list(range(60))


async def test_transact_gives_up_after_its_budget(stores: StoreFactory) -> None:
    store = await stores.open(clock=SteppingClock(), options=StoreOptions(transact_attempts=3))
    await put(store, {"id": "1", "v": 0})
    runs = 0

    async def work(uow: UnitOfWork) -> None:
        nonlocal runs
        runs += 1
        document = await uow.get("Things", "1")
        assert document is not None
        await put(store, {"id": "1", "v": runs})
        uow.replace("Things", document)

    with pytest.raises(RevisionConflict):
        await store.transact(work)
    assert runs == 3


async def test_what_the_work_raises_reaches_the_caller_and_stores_nothing(store: Store) -> None:
    async def work(uow: UnitOfWork) -> None:
        uow.put("Things", {"id": "1"})
        raise LookupError("gone")

    with pytest.raises(LookupError):
        await store.transact(work)
    assert await store.find("Things") == []


async def test_a_cancelled_commit_happens_as_a_whole_or_not_at_all(store: Store) -> None:
    for turns in range(12):

        async def write(number: int) -> None:
            async with store.begin() as uow:
                uow.insert("Things", {"id": f"a{number}", "status": f"{number}"})
                uow.insert("Things", {"id": f"b{number}", "status": f"{number}"})
                uow.emit({"type": "made", "number": number})
                await uow.commit()

        task = asyncio.ensure_future(write(turns))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        # On a busy machine it may be done by then.
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled() or turns > 0
    await put(store, {"id": "last"})
    page = await store.log.read(await store.log.oldest())
    stored = [event.event["number"] for event in page.events]
    for number in range(12):
        expected = 2 if number in stored else 0
        assert await store.count("Things", {"status": f"{number}"}) == expected


async def test_a_cancelled_commit_that_fails_leaves_no_complaint(store: Store) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))

    async def insert(id_: str) -> None:
        async with store.begin() as uow:
            uow.insert("Things", {"id": id_})
            await uow.commit()

    await insert("1")
    fails = asyncio.create_task(insert("1"))
    await asyncio.sleep(0)
    fails.cancel()
    # Two more, so that the first of them is not in hand any more.
    await insert("2")
    await insert("3")
    assert fails.cancelled()
    # Whatever refers to its error is gone: now asyncio would complain that nobody has looked at it.
    del fails
    gc.collect()
    assert not complaints


async def test_a_cancelled_read_leaves_the_store_in_order(store: Store) -> None:
    await put(store, *({"id": f"{number}", "v": number} for number in range(50)))
    for turns in range(6):
        task = asyncio.ensure_future(store.find("Things", where("v").gt(0)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await store.count("Things") == 50


async def test_closing_waits_for_commits_under_way(stores: StoreFactory) -> None:
    store = await stores.open()
    tasks = [asyncio.ensure_future(put(store, {"id": f"{number}"})) for number in range(20)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*tasks)
    assert await (await stores.open()).count("Things") == 20


async def test_counters_never_give_a_number_twice(stores: StoreFactory) -> None:
    processes = [await stores.open(options=StoreOptions(transact_attempts=200)) for _ in range(2)]
    firsts = await asyncio.gather(*(store.reserve("slots", 32) for _ in range(10) for store in processes))
    assert sorted(firsts) == [32 * number for number in range(20)]
    assert await processes[0].reserve("others") == 0
    assert await processes[1].reserve("others", 5) == 1
    assert await (await stores.open()).reserve("others") == 6
    with pytest.raises(ValueError):
        await processes[0].reserve("others", 0)


RECORD_KEY = "account/SendMessage/key-1/6f9619ff-8b86-d011-b42d-00cf4fc964ff"


async def test_idempotency_records_come_with_the_commit_and_expire(stores: StoreFactory) -> None:
    clock = SteppingClock()
    store = await stores.open(clock=clock)
    assert await store.idempotency(RECORD_KEY) is None
    running = IdempotencyRecord(RECORD_KEY, "digest", "running", clock.now(), worker="w1")
    async with store.begin() as uow:
        uow.remember(running, first=True)
        await uow.commit()
    assert await store.idempotency(RECORD_KEY) == running
    with pytest.raises(UniqueViolation):
        async with store.begin() as uow:
            uow.remember(running, first=True)
            await uow.commit()
    done = IdempotencyRecord(RECORD_KEY, "digest", "done", clock.now(), answer={"id": "MSG1"})
    async with store.begin() as uow:
        uow.insert("Things", {"id": "MSG1"})
        uow.remember(done)
        await uow.commit()
    clock.advance(timedelta(days=6, hours=23))
    await store.tidy()
    assert await store.idempotency(RECORD_KEY) == done
    clock.advance(timedelta(hours=2))
    await store.tidy()
    assert await store.idempotency(RECORD_KEY) is None


LEASE_TIME = timedelta(seconds=10)


async def test_one_process_holds_a_lease_until_it_gives_it_back(stores: StoreFactory) -> None:
    one, two = await stores.open(), await stores.open()
    lease = await one.try_lease("worker", "one")
    assert lease is not None
    assert await two.try_lease("worker", "two") is None
    await one.renew_lease(lease)
    await one.release_lease(lease)
    await one.release_lease(lease)
    second = await two.acquire_lease("worker", "two", LEASE_TIME)
    assert second.epoch > lease.epoch


async def test_an_abandoned_lease_is_taken_and_its_holder_fenced(stores: StoreFactory) -> None:
    one, two = await stores.open(), await stores.open(clock=SteppingClock())
    lease = await one.acquire_lease("worker", "one", LEASE_TIME)
    async with one.begin(lease=lease) as uow:
        uow.put("Things", {"id": "1", "v": 1})
        await uow.commit()
    second = await two.acquire_lease("worker", "two", LEASE_TIME)
    assert second.epoch > lease.epoch
    with pytest.raises(LeaseLost):
        async with one.begin(lease=lease) as uow:
            uow.put("Things", {"id": "1", "v": 2})
            await uow.commit()
    with pytest.raises(LeaseLost):
        await one.transact(increment("1"), lease=lease)
    with pytest.raises(LeaseLost):
        await one.renew_lease(lease)
    await one.release_lease(lease)
    assert await value(one, "1") == 1
    assert await two.transact(increment("1"), lease=second) == 2


class RenewingClock(SteppingClock):
    """A clock by which something happens between any two looks of who waits on it."""

    def __init__(self) -> None:
        super().__init__()
        self.before_sleep: Callable[[], Awaitable[None]] | None = None

    async def sleep(self, duration: timedelta) -> None:
        if self.before_sleep is not None:
            await self.before_sleep()
        await super().sleep(duration)


async def test_a_lease_that_is_renewed_is_not_taken(stores: StoreFactory) -> None:
    clock = RenewingClock()
    one, two = await stores.open(), await stores.open(clock=clock)
    lease = await one.acquire_lease("worker", "one", LEASE_TIME)
    clock.before_sleep = lambda: one.renew_lease(lease)
    contender = asyncio.ensure_future(two.acquire_lease("worker", "two", LEASE_TIME))
    begin = clock.monotonic()
    while clock.monotonic() - begin < 4 * LEASE_TIME.total_seconds():
        await asyncio.sleep(0.001)
    assert not contender.done()
    clock.before_sleep = None
    await one.release_lease(lease)
    assert (await contender).epoch > lease.epoch


async def test_of_many_contenders_one_takes_the_lease(stores: StoreFactory) -> None:
    processes = [await stores.open() for _ in range(3)]
    leases = await asyncio.gather(*(store.try_lease("worker", "x") for store in processes for _ in range(3)))
    assert sum(lease is not None for lease in leases) == 1


async def test_a_commit_of_the_holder_survives_other_commits_between(store: Store) -> None:
    lease = await store.try_lease("worker", "one")
    assert lease is not None
    for number in range(5):
        await put(store, {"id": f"{number}"})
        assert await store.transact(increment("counter"), lease=lease) == number + 1
        await store.renew_lease(lease)
