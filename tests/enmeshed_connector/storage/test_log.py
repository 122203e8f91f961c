"""The log: events in order, exactly where they were, for as long as they are kept."""

from __future__ import annotations

import asyncio
import string
from datetime import timedelta
from typing import Any

import pytest

from enmeshed_connector.storage import (
    InvalidDocument,
    Position,
    PositionInvalid,
    PositionTruncated,
    Retention,
    Store,
    StoreOptions,
)
from tests.support.stores import SteppingClock, StoreFactory

FOREVER = timedelta(days=10_000)


async def emit(store: Store, *events: dict[str, Any], subjects: tuple[str, ...] = ()) -> Position:
    async with store.begin() as uow:
        for event in events:
            uow.emit(event, subjects=subjects)
        return await uow.commit()


def numbered(*numbers: int) -> list[dict[str, Any]]:
    return [{"type": f"t{number % 3}", "n": number} for number in numbers]


async def numbers(store: Store, after: Position, **limits: Any) -> list[int]:
    return [event.event["n"] for event in (await store.log.read(after, **limits)).events]


async def test_an_empty_log_has_nothing_to_read(store: Store) -> None:
    assert await store.log.head() == await store.log.oldest()
    page = await store.log.read(await store.log.head())
    assert page.events == ()
    assert page.reached_head


async def test_events_come_in_order_with_their_places(store: Store) -> None:
    first = await emit(store, *numbered(0, 1, 2))
    async with store.begin() as uow:
        uow.put("Things", {"id": "1"})
        silent = await uow.commit()
    second = await emit(store, *numbered(3, 4))
    page = await store.log.read(await store.log.oldest())
    assert [event.event for event in page.events] == numbered(0, 1, 2, 3, 4)
    assert page.reached_head
    assert page.next == second == await store.log.head()
    assert page.events[2].position == first < silent < second
    for index, event in enumerate(page.events):
        assert await numbers(store, event.position) == list(range(index + 1, 5))
    assert await numbers(store, silent) == [3, 4]


async def test_pages_keep_to_their_limits_and_miss_nothing(store: Store) -> None:
    for start in range(0, 20, 4):
        await emit(store, *numbered(*range(start, start + 4)))
    for limit in (1, 3, 4, 7, 20, 50):
        seen: list[int] = []
        after = await store.log.oldest()
        while True:
            page = await store.log.read(after, limit=limit)
            assert len(page.events) <= limit
            seen.extend(event.event["n"] for event in page.events)
            after = page.next
            if page.reached_head:
                break
        assert seen == list(range(20))
    with pytest.raises(ValueError):
        await store.log.read(after, limit=0)


async def test_a_page_is_bounded_by_bytes_but_never_empty(store: Store) -> None:
    await emit(store, *({"type": "x", "n": number, "text": "y" * 1000} for number in range(5)))
    start = await store.log.oldest()
    assert await numbers(store, start, max_bytes=2500) == [0, 1]
    page = await store.log.read(start, max_bytes=1)
    assert [event.event["n"] for event in page.events] == [0]
    assert not page.reached_head


async def test_a_filter_by_type_moves_past_what_it_leaves_out(store: Store) -> None:
    await emit(store, *numbered(*range(9)))
    head = await store.log.head()
    page = await store.log.read(await store.log.oldest(), types=frozenset({"t0"}))
    assert [event.event["n"] for event in page.events] == [0, 3, 6]
    assert page.next == head
    page = await store.log.read(await store.log.oldest(), types=frozenset({"t2"}), limit=1)
    assert [event.event["n"] for event in page.events] == [2]
    assert await numbers(store, page.next, types=frozenset({"t2"})) == [5, 8]


async def test_many_entries_are_read_in_one_go(store: Store) -> None:
    await asyncio.gather(*(emit(store, *numbered(number)) for number in range(60)))
    found = await numbers(store, await store.log.oldest())
    assert sorted(found) == list(range(60))


async def test_events_keep_what_databases_cannot_hold(store: Store) -> None:
    event = {"type": "x", "a.b": [[1], {"$x": "\ud800"}], "n": 2**70, "deep": {"x": [{"y\x00": -0.0}]}}
    await emit(store, event)
    page = await store.log.read(await store.log.oldest())
    assert repr(page.events[0].event) == repr(event)


async def test_large_events_come_out_identical(store: Store) -> None:
    events = [{"type": "x", "n": number, "text": "ü" * 2_000_000} for number in range(4)]
    await emit(store, *events)
    page = await store.log.read(await store.log.oldest(), max_bytes=100_000_000)
    assert [event.event for event in page.events] == events


@pytest.mark.parametrize("event", [{}, {"type": 1}, {"type": "x", "n": float("nan")}, {"type": "x", "n": object()}])
async def test_what_is_no_event_is_refused(store: Store, event: dict[str, Any]) -> None:
    async with store.begin() as uow:
        with pytest.raises(InvalidDocument):
            uow.emit(event)


@pytest.mark.parametrize("subject", ["\ud800", "RELx\0"])
async def test_a_subject_that_no_database_can_hold_is_refused(store: Store, subject: str) -> None:
    async with store.begin() as uow:
        with pytest.raises(InvalidDocument):
            uow.emit({"type": "x"}, subjects=["RELx", subject])


ALPHABET = string.ascii_letters + string.digits + "-_"


async def test_tokens_stand_for_places_of_their_log_only(stores: StoreFactory) -> None:
    store, other = await stores.open(), await stores.open(name="acc-other")
    position = await emit(store, *numbered(0, 1))
    token = store.log.token(position)
    assert token.replace("-", "").replace("_", "").isalnum()
    assert len(token) <= 80
    assert store.log.position(token) == position
    assert (await stores.open()).log.position(token) == position
    altered = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
    # The last character holds bits that stand for nothing: only one of the spellings is ours.
    last = [token[:-1] + other for other in ALPHABET if other != token[-1]]
    for text in (altered, *last, "", "abc", token + "AAAA", token[:-1], "ü" * 34, token.replace("A", "=")[:5]):
        with pytest.raises(PositionInvalid):
            store.log.position(text)
    with pytest.raises(PositionInvalid):
        other.log.position(token)


async def test_a_place_ahead_of_the_log_is_refused(store: Store) -> None:
    position = await emit(store, *numbered(0))
    with pytest.raises(PositionInvalid):
        await store.log.read(Position(position.entry + 100, 0))


async def test_waiting_ends_with_a_commit_here_or_elsewhere(stores: StoreFactory) -> None:
    here, elsewhere = await stores.open(), await stores.open()
    for writer in (here, elsewhere):
        head = await here.log.head()
        waiting = asyncio.ensure_future(here.log.wait(head, timedelta(seconds=60)))
        await asyncio.sleep(0)
        await emit(writer, *numbered(1))
        assert await waiting
        assert await here.log.wait(head, timedelta(0))


async def test_waiting_ends_in_vain_when_nothing_happens(store: Store) -> None:
    head = await emit(store, *numbered(0))
    assert not await store.log.wait(head, timedelta(milliseconds=30))


async def test_commits_without_events_wake_nobody(store: Store) -> None:
    head = await emit(store, *numbered(0))
    waiting = asyncio.ensure_future(store.log.wait(head, timedelta(milliseconds=60)))
    async with store.begin() as uow:
        uow.put("Things", {"id": "1"})
        await uow.commit()
    assert not await waiting


async def test_what_an_event_tells_of_can_be_read_at_once(stores: StoreFactory) -> None:
    writer, reader = await stores.open(), await stores.open()

    async def follow() -> list[int]:
        after = await reader.log.oldest()
        seen: list[int] = []
        while len(seen) < 20:
            await reader.log.wait(after, timedelta(seconds=30))
            page = await reader.log.read(after)
            for event in page.events:
                document = await reader.get("Things", f"{event.event['n']}")
                assert document is not None
                seen.append(event.event["n"])
            after = page.next
        return seen

    following = asyncio.ensure_future(follow())
    for number in range(20):
        async with writer.begin() as uow:
            uow.put("Things", {"id": f"{number}"})
            uow.emit({"type": "made", "n": number})
            await uow.commit()
    assert await following == list(range(20))


async def test_named_cursors_are_kept(stores: StoreFactory) -> None:
    store = await stores.open()
    assert await store.log.cursor("reader") is None
    position = await emit(store, *numbered(0, 1))
    await store.log.move_cursor("reader", position)
    async with store.begin() as uow:
        uow.put("Things", {"id": "done"})
        uow.move_cursor("other", Position(position.entry, 1))
        await uow.commit()
    again = await stores.open()
    assert await again.log.cursors() == {"reader": position, "other": Position(position.entry, 1)}
    await again.log.drop_cursor("reader")
    await again.log.drop_cursor("reader")
    assert await store.log.cursor("reader") is None


async def test_retention_by_age_removes_the_oldest(stores: StoreFactory) -> None:
    clock = SteppingClock()
    store = await stores.open(clock=clock)
    start = await store.log.oldest()
    early = await emit(store, *numbered(0, 1))
    clock.advance(timedelta(days=2))
    await emit(store, *numbered(2, 3))
    result = await store.log.trim(Retention(max_age=timedelta(days=1), max_events=1000))
    assert result.truncated_cursors == ()
    assert await store.log.oldest() == early
    assert await numbers(store, early) == [2, 3]
    with pytest.raises(PositionTruncated) as caught:
        await store.log.read(start)
    assert store.log.position(caught.value.facts["oldest"]) == early
    with pytest.raises(PositionTruncated):
        await store.log.read(Position(early.entry, 1))


async def test_retention_by_number_removes_whole_commits(store: Store) -> None:
    for start in range(0, 12, 3):
        await emit(store, *numbered(start, start + 1, start + 2))
    await store.log.trim(Retention(FOREVER, max_events=6))
    oldest = await store.log.oldest()
    assert await numbers(store, oldest) == [6, 7, 8, 9, 10, 11]
    await store.log.trim(Retention(FOREVER, max_events=6))
    assert await store.log.oldest() == oldest


async def test_positions_go_on_after_everything_was_removed(stores: StoreFactory) -> None:
    store = await stores.open()
    last = await emit(store, *numbered(0, 1))
    await store.log.trim(Retention(FOREVER, max_events=0))
    assert await store.log.head() == await store.log.oldest() == last
    assert await numbers(store, last) == []
    await store.close()
    again = await stores.open()
    assert await again.log.head() == last
    following = await emit(again, *numbered(2))
    assert following > last
    assert await numbers(again, last) == [2]


async def test_retention_waits_for_named_cursors_up_to_the_hard_cap(store: Store) -> None:
    positions = [await emit(store, *numbered(number)) for number in range(10)]
    await store.log.move_cursor("slow", positions[3])
    await store.log.move_cursor("quick", positions[8])
    result = await store.log.trim(Retention(FOREVER, max_events=2))
    assert result.truncated_cursors == ()
    assert await numbers(store, await store.log.oldest()) == [4, 5, 6, 7, 8, 9]
    result = await store.log.trim(Retention(FOREVER, max_events=2, hard_cap_events=4))
    assert result.truncated_cursors == ("slow",)
    assert await numbers(store, await store.log.oldest()) == [6, 7, 8, 9]
    with pytest.raises(PositionTruncated):
        await store.log.read(positions[3])
    assert await numbers(store, positions[8]) == [9]


async def test_retention_by_age_has_a_hard_cap_too(stores: StoreFactory) -> None:
    clock = SteppingClock()
    store = await stores.open(clock=clock)
    await store.log.move_cursor("slow", await store.log.oldest())
    await emit(store, *numbered(0))
    clock.advance(timedelta(days=3))
    await emit(store, *numbered(1))
    kept = Retention(timedelta(days=1), 1000, hard_cap_age=timedelta(days=7))
    assert (await store.log.trim(kept)).truncated_cursors == ()
    clock.advance(timedelta(days=5))
    assert (await store.log.trim(kept)).truncated_cursors == ("slow",)
    assert await numbers(store, await store.log.oldest()) == [1]


async def test_old_commits_without_events_go_as_well(stores: StoreFactory) -> None:
    clock = SteppingClock()
    store = await stores.open(clock=clock, options=StoreOptions(poll_interval=timedelta(milliseconds=20)))
    for number in range(30):
        async with store.begin() as uow:
            uow.put("Things", {"id": "1", "v": number})
            await uow.commit()
    clock.advance(timedelta(days=1))
    await store.tidy()
    await store.log.trim(Retention(timedelta(hours=1), 1000))
    assert (await store.get("Things", "1") or {})["v"] == 29
    async with store.begin() as uow:
        uow.put("Things", {"id": "1", "v": 30})
        await uow.commit()
    assert (await (await stores.open()).get("Things", "1") or {})["v"] == 30


async def test_erasing_a_subject_keeps_places_and_types(stores: StoreFactory) -> None:
    store = await stores.open()
    async with store.begin() as uow:
        uow.emit({"type": "a", "n": 0, "secret": "x"}, subjects=["REL1", "did:e:1"])
        uow.emit({"type": "b", "n": 1}, subjects=["REL2"])
        uow.emit({"type": "c", "n": 2})
        await uow.commit()
    await emit(store, {"type": "d", "n": 3}, subjects=("REL1",))
    before = (await store.log.read(await store.log.oldest())).events
    assert await store.log.erase("REL1") == 2
    assert await store.log.erase("REL1") == 0
    assert await store.log.erase("did:e:1") == 0
    for reader in (store, await stores.open()):
        after = (await reader.log.read(await reader.log.oldest())).events
        assert [event.position for event in after] == [event.position for event in before]
        assert [event.event for event in after] == [
            {"type": "a", "erased": True},
            {"type": "b", "n": 1},
            {"type": "c", "n": 2},
            {"type": "d", "erased": True},
        ]
    await emit(store, {"type": "e", "n": 4}, subjects=("REL1",))
    assert await store.log.erase("REL1") == 1


async def test_reading_goes_on_while_events_are_removed(store: Store) -> None:
    for number in range(40):
        await emit(store, *numbered(number))

    async def read_all() -> list[int]:
        seen: list[int] = []
        after = await store.log.oldest()
        while True:
            try:
                page = await store.log.read(after, limit=3)
            except PositionTruncated as error:
                after = store.log.position(error.facts["oldest"])
                continue
            seen.extend(event.event["n"] for event in page.events)
            after = page.next
            if page.reached_head:
                return seen

    first, last, *_ = await asyncio.gather(
        read_all(),
        read_all(),
        *(store.log.trim(Retention(FOREVER, max_events=keep)) for keep in (30, 20, 10)),
    )
    for seen in (first, last):
        assert isinstance(seen, list)
        assert seen == sorted(set(seen))
        assert seen[-10:] == list(range(30, 40))
