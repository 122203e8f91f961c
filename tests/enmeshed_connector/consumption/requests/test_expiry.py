"""Requests expire on time, whether or not somebody looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from enmeshed_connector.consumption.requests.documents import REQUESTS, RequestStatus, request_document, stored_content
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.transport.work import Work
from tests.support.api_server import ManualClock
from tests.support.consumption import Holder, holder
from tests.support.network import Network
from tests.support.requests import asks

PEER = "did:e:localhost:dids:3333333333333333333333"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def keeper(network: Network, clock: ManualClock) -> Holder:
    """An account that lives by the manual clock."""
    return await holder(network, "keeper", clock=clock)


async def store(
    keeper: Holder, number: int, seconds: float, *, status: RequestStatus = RequestStatus.DRAFT, is_own: bool = True
) -> str:
    """Stores a request that expires after some seconds, and returns its id."""
    moment = keeper.transport.context.clock.now() + timedelta(seconds=seconds)
    content = stored_content(asks(expiresAt=format_date(moment)), f"REQ{number:017}")

    async def create(work: Work) -> None:
        request = request_document(content, peer=PEER, is_own=is_own, now=work.now, status=status)
        await work.create(REQUESTS, request)
        work.publish("consumption.outgoingRequestCreated", request)

    await keeper.run(create)
    return str(content["id"])


async def statuses(keeper: Holder) -> list[str]:
    return [request["status"] for request in await keeper.all(REQUESTS)]


@asynccontextmanager
async def timer(keeper: Holder) -> AsyncIterator[None]:
    """Runs the timer."""
    task = asyncio.create_task(keeper.consumption.request_expiry.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(keeper: Holder, *wanted: str) -> None:
    """Returns when the requests have these states."""
    async with asyncio.timeout(60):
        while await statuses(keeper) != list(wanted):
            await asyncio.sleep(0)


async def expired_events(keeper: Holder) -> list[Any]:
    changes = [event for event in await keeper.events() if event["type"].endswith("StatusChanged")]
    return [
        (event["data"]["request"]["id"], event["data"]["oldStatus"], event["data"]["newStatus"]) for event in changes
    ]


async def test_the_timer_moves_each_request_when_its_time_has_come(keeper: Holder, clock: ManualClock) -> None:
    first, second = await store(keeper, 1, 60), await store(keeper, 2, 120)
    async with timer(keeper):
        await clock.until_sleeping(1)
        clock.advance(60)
        # On the moment itself it can still be answered.
        assert await statuses(keeper) == ["Draft", "Draft"]
        clock.advance(0.002)
        await until(keeper, "Expired", "Draft")
        await clock.until_sleeping(1)
        clock.advance(61)
        await until(keeper, "Expired", "Expired")
    assert await expired_events(keeper) == [(first, "Draft", "Expired"), (second, "Draft", "Expired")]


async def test_a_request_that_expires_sooner_is_not_missed_while_the_timer_waits(
    keeper: Holder, clock: ManualClock
) -> None:
    await store(keeper, 1, 3000)
    async with timer(keeper):
        await clock.until_sleeping(1)
        await store(keeper, 2, 10)
        # The timer looks anew because of the commit, and then waits for less.
        async with asyncio.timeout(60):
            while clock.next_wait > 11:
                await asyncio.sleep(0)
        clock.advance(11)
        await until(keeper, "Draft", "Expired")


async def test_only_what_waits_expires(keeper: Holder, clock: ManualClock) -> None:
    for number, status in enumerate(RequestStatus):
        await store(keeper, number, 1, status=status, is_own=status is RequestStatus.DRAFT)
    clock.advance(2)
    await keeper.consumption.request_expiry.expire_due()
    # What was decided in time is sent.
    assert await statuses(keeper) == [*["Expired"] * 4, "Decided", "Completed", "Expired"]
    assert len(await expired_events(keeper)) == 4


async def test_many_requests_expire_together(keeper: Holder, clock: ManualClock) -> None:
    for number in range(120):
        await store(keeper, number, 1)
    clock.advance(2)
    await keeper.consumption.request_expiry.expire_due()
    assert set(await statuses(keeper)) == {"Expired"}
