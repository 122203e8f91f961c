"""Watching outgoing requests: each state is told, however many watch, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from enmeshed_connector.consumption.requests.documents import REQUESTS, RequestStatus, moved
from enmeshed_connector.consumption.requests.events import publish_status
from enmeshed_connector.runtime.use_cases import outgoing_requests, request_changes
from enmeshed_connector.runtime.use_cases.common import NOBODY
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import LogPage, Position, StorageUnavailable
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.relationship_operations import TERMINATE
from enmeshed_connector.transport.work import Work
from tests.support.network import Network, befriend
from tests.support.requests import asks
from tests.support.whole_account import WholeAccount, whole_account

Watch = AsyncGenerator[View, None]


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    async with Network(tmp_path) as network:
        yield network


@pytest.fixture
async def alice(network: Network) -> WholeAccount:
    """An account with a relationship to bob, whose worker does nothing."""
    alice, bob = await whole_account(network, "alice"), await whole_account(network, "bob")
    await befriend(alice.party.account, bob.party.account)
    return alice


@pytest.fixture(autouse=True)
def nobody_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without news nothing is looked at: only what wakes a watch makes it go on."""
    hour = outgoing_requests._LOOK_EVERY * 120
    monkeypatch.setattr(outgoing_requests, "_LOOK_EVERY", hour)
    monkeypatch.setattr(request_changes, "_LONGEST_WAIT", hour)


async def draft(alice: WholeAccount) -> str:
    (relationship,) = await alice.party.account.relationships.find()
    made = await alice.does.outgoing_requests.create(asks(), relationship["peer"]["address"], NOBODY)
    return str(made["id"])


async def move(alice: WholeAccount, request_id: str, *statuses: RequestStatus) -> None:
    """Lets a request get into states, one commit after the other."""
    for status in statuses:

        async def change(work: Work, status: RequestStatus = status) -> None:
            changed = moved(await work.require(REQUESTS, request_id, "request"), status, work.now)
            await work.save(REQUESTS, changed)
            publish_status(work, changed)

        await alice.party.account.context.commits.run(change)


async def next_of(watch: Watch) -> str:
    async with asyncio.timeout(60):
        return str((await anext(watch))["status"])


async def rest_of(watch: Watch) -> list[str]:
    async with asyncio.timeout(60):
        return [view["status"] async for view in watch]


def reading() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "changes of requests"]


async def test_who_is_slow_gets_every_state(alice: WholeAccount) -> None:
    request_id = await draft(alice)
    async with aclosing(alice.does.outgoing_requests.watch(request_id)) as watch:
        assert await next_of(watch) == "Draft"
        await move(alice, request_id, RequestStatus.OPEN, RequestStatus.EXPIRED)
        assert await rest_of(watch) == ["Open", "Expired"]


async def test_each_hears_of_its_own_request_and_one_reads_for_all(alice: WholeAccount) -> None:
    watches: dict[str, Watch] = {}
    for _ in range(3):
        request_id = await draft(alice)
        watches[request_id] = alice.does.outgoing_requests.watch(request_id)
        assert await next_of(watches[request_id]) == "Draft"
    assert len(reading()) == 1
    first, second, third = watches
    again = alice.does.outgoing_requests.watch(second)
    assert await next_of(again) == "Draft"
    await watches[first].aclose()
    await move(alice, third, RequestStatus.OPEN)
    await move(alice, second, RequestStatus.OPEN, RequestStatus.COMPLETED)
    assert await next_of(watches[third]) == "Open"
    for watch in (watches[second], again):
        assert await rest_of(watch) == ["Open", "Completed"]
    assert len(reading()) == 1
    await watches[third].aclose()
    assert reading() == []


async def test_who_comes_after_all_have_gone_is_told_too(alice: WholeAccount) -> None:
    request_id = await draft(alice)
    for _ in range(2):
        async with aclosing(alice.does.outgoing_requests.watch(request_id)) as watch:
            assert await next_of(watch) == "Draft"
    watch = alice.does.outgoing_requests.watch(request_id)
    assert await next_of(watch) == "Draft"
    await move(alice, request_id, RequestStatus.OPEN, RequestStatus.COMPLETED)
    assert await rest_of(watch) == ["Open", "Completed"]


async def test_many_that_begin_and_end_at_once_miss_nothing(alice: WholeAccount) -> None:
    request_id = await draft(alice)

    async def all_states() -> list[str]:
        return await rest_of(alice.does.outgoing_requests.watch(request_id))

    async def a_look() -> None:
        async with aclosing(alice.does.outgoing_requests.watch(request_id)) as watch:
            await next_of(watch)

    watching = [asyncio.create_task(all_states()) for _ in range(20)]
    looking = [asyncio.create_task(a_look()) for _ in range(20)]
    await asyncio.gather(*looking)
    await move(alice, request_id, RequestStatus.OPEN, RequestStatus.COMPLETED)
    for states in await asyncio.gather(*watching):
        assert states == ["Draft", "Open", "Completed"][-len(states) :]
    assert reading() == []


async def test_a_draft_that_is_discarded_ends_the_watch(alice: WholeAccount) -> None:
    request_id = await draft(alice)
    watch = alice.does.outgoing_requests.watch(request_id)
    assert await next_of(watch) == "Draft"
    await alice.does.outgoing_requests.discard(request_id, NOBODY)
    with pytest.raises(RecordMissing):
        await next_of(watch)
    assert reading() == []


async def test_a_relationship_that_is_left_ends_the_watch(alice: WholeAccount) -> None:
    request_id = await draft(alice)
    watch = alice.does.outgoing_requests.watch(request_id)
    assert await next_of(watch) == "Draft"
    (relationship,) = await alice.party.account.relationships.find()
    await alice.does.relationships.take(TERMINATE, relationship["id"], NOBODY)
    await alice.does.relationships.decompose(relationship["id"], NOBODY)
    with pytest.raises(RecordMissing):
        await next_of(watch)


async def test_unknown_requests_are_not_watched(alice: WholeAccount) -> None:
    with pytest.raises(RecordMissing):
        await next_of(alice.does.outgoing_requests.watch("REQ00000000000000000"))
    assert reading() == []


async def test_a_log_that_cannot_be_read_is_told_to_all(alice: WholeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    request_id = await draft(alice)
    watches = [alice.does.outgoing_requests.watch(request_id) for _ in range(2)]
    for watch in watches:
        assert await next_of(watch) == "Draft"
    log = alice.store.log

    async def fail(after: Position, **_: Any) -> LogPage:
        raise StorageUnavailable("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(log, "read", fail)
        await move(alice, request_id, RequestStatus.OPEN)
        for watch in watches:
            with pytest.raises(StorageUnavailable):
                await next_of(watch)
    # Whoever calls again finds it there.
    assert await next_of(alice.does.outgoing_requests.watch(request_id)) == "Open"
