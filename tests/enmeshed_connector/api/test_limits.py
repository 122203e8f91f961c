"""Slots and bytes: each kind of call has its own, and what is refused holds nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from enmeshed.connector.v1 import (
    account_service_pb2,
    account_service_pb2_grpc,
    events_service_pb2,
    events_service_pb2_grpc,
    messages_service_pb2,
    messages_service_pb2_grpc,
)
from enmeshed_connector.api.calls import CallKind
from enmeshed_connector.api.errors import TooManyCalls, TooManyTransfers
from enmeshed_connector.api.limits import LimitOptions, Limits
from enmeshed_connector.api.server import ServerOptions
from enmeshed_connector.api.transfers import BYTES_PER_FILE_BYTE, TransferBudget
from tests.support.api_server import Gate, failure_of, running_server

INFO = account_service_pb2.GetIdentityInfoRequest()
DOWNLOAD = messages_service_pb2.DownloadAttachmentRequest(message_id="MSG" + "a" * 17, attachment_id="FIL" + "a" * 17)


async def test_short_calls_transfers_and_subscriptions_are_counted_apart(tmp_path: Path) -> None:
    limits = LimitOptions(short_calls=1, transfers=1, subscriptions=1)
    options = ServerOptions(port=0, limits=limits, drain=timedelta(0))
    async with (
        running_server(tmp_path, options=options) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        account = account_service_pb2_grpc.AccountStub(channel)
        messages = messages_service_pb2_grpc.MessagesStub(channel)
        events = events_service_pb2_grpc.EventsStub(channel)

        subscription = events.Subscribe(events_service_pb2.SubscribeRequest())
        await subscription.read()
        failed = await failure_of(events.Subscribe(events_service_pb2.SubscribeRequest()))
        assert (failed.code, failed.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_SUBSCRIPTIONS")
        assert failed.retry_after == timedelta(seconds=1)
        assert failed.metadata == {"limit": "1", "kind": "subscriptions"}

        download = messages.DownloadAttachment(DOWNLOAD)
        await download.read()
        assert (await failure_of(messages.DownloadAttachment(DOWNLOAD))).reason == "TOO_MANY_TRANSFERS"

        served.account.gate = Gate()
        running = asyncio.ensure_future(account.GetIdentityInfo(INFO))
        await served.account.gate.entered.wait()
        assert (await failure_of(account.GetIdentityInfo(INFO))).reason == "TOO_MANY_CALLS"
        assert served.server.limits.running() == {"calls": 1, "transfers": 1, "subscriptions": 1, "public": 0}
        served.account.gate.open.set()
        await running
        assert (await account.GetIdentityInfo(INFO)).account.name == "default"

        subscription.cancel()
        download.cancel()
        while any(served.server.limits.running().values()):
            await asyncio.sleep(0)


async def test_one_key_cannot_take_more_than_its_share(tmp_path: Path) -> None:
    limits = LimitOptions(short_calls=2, credential_share=0.5)
    options = ServerOptions(port=0, limits=limits, drain=timedelta(seconds=5))
    async with (
        running_server(tmp_path, options=options) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        stub = account_service_pb2_grpc.AccountStub(channel)
        greedy, modest = [(await served.keys.create(name, ["**"])).secret for name in ("greedy", "modest")]
        served.account.gate = Gate()
        running = asyncio.ensure_future(stub.GetIdentityInfo(INFO, metadata=(("x-api-key", greedy),)))
        await served.account.gate.entered.wait()
        failed = await failure_of(stub.GetIdentityInfo(INFO, metadata=(("x-api-key", greedy),)))
        assert failed.reason == "TOO_MANY_CALLS"
        other = asyncio.ensure_future(stub.GetIdentityInfo(INFO, metadata=(("x-api-key", modest),)))
        served.account.gate.open.set()
        assert [(await call).account.name for call in (running, other)] == ["default", "default"]


def test_slots_come_back_and_nothing_is_kept_of_credentials() -> None:
    limits = Limits(LimitOptions(short_calls=2))
    first, second = limits.take(CallKind.SHORT, "a"), limits.take(CallKind.SHORT, "b")
    with pytest.raises(TooManyCalls):
        limits.take(CallKind.SHORT, "c")
    first()
    limits.take(CallKind.SHORT, "c")()
    second()
    assert limits.running()["calls"] == 0
    assert not limits._by_credential


# --- bytes of transfers


async def test_transfers_share_a_budget_and_wait_in_the_order_of_arrival() -> None:
    budget = TransferBudget(100 * BYTES_PER_FILE_BYTE)
    order: list[str] = []
    leave = {name: asyncio.Event() for name in ("first", "large", "small")}

    async def transfer(name: str, size: int) -> None:
        async with budget.reserve(size):
            order.append(name)
            await leave[name].wait()

    tasks = []
    for name, size in (("first", 60), ("large", 90), ("small", 10)):
        tasks.append(asyncio.ensure_future(transfer(name, size)))
        await asyncio.sleep(0)
    assert order == ["first"]
    leave["first"].set()
    await tasks[0]
    while len(order) < 3:
        await asyncio.sleep(0)
    assert order == ["first", "large", "small"]
    leave["large"].set()
    leave["small"].set()
    await asyncio.gather(*tasks)
    assert budget.free_bytes == 100 * BYTES_PER_FILE_BYTE


async def test_what_cannot_ever_fit_or_finds_a_full_queue_is_refused_at_once() -> None:
    budget = TransferBudget(10 * BYTES_PER_FILE_BYTE, queue=0)
    with pytest.raises(TooManyTransfers) as refused:
        async with budget.reserve(11):
            pass
    assert refused.value.retry_after is None
    async with budget.reserve(10):
        with pytest.raises(TooManyTransfers) as refused:
            async with budget.reserve(1):
                pass
        assert refused.value.retry_after is not None


async def test_a_transfer_that_waits_too_long_or_is_cancelled_leaves_the_queue() -> None:
    budget = TransferBudget(10 * BYTES_PER_FILE_BYTE, wait=timedelta(milliseconds=1))
    entered = asyncio.Event()

    async def wait_for_turn(size: int, time_left: timedelta | None = None) -> None:
        async with budget.reserve(size, time_left):
            entered.set()

    async with budget.reserve(6):
        with pytest.raises(TooManyTransfers):
            await wait_for_turn(10)
        with pytest.raises(TooManyTransfers):
            await wait_for_turn(10, timedelta(0))
        budget._wait = timedelta(seconds=60)
        cancelled = asyncio.ensure_future(wait_for_turn(10))
        await asyncio.sleep(0)
        behind = asyncio.ensure_future(wait_for_turn(4))
        await asyncio.sleep(0)
        assert not entered.is_set()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await behind
    assert budget.free_bytes == 10 * BYTES_PER_FILE_BYTE
