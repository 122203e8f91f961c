"""`Events.Subscribe` and `ListEvents`: each promised word, over a real server and a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from enmeshed.connector.v1 import event_pb2, events_service_pb2, events_service_pb2_grpc, filters_pb2
from enmeshed_connector.api.limits import LimitOptions
from enmeshed_connector.api.live_window import LiveWindow
from enmeshed_connector.api.server import ServerOptions
from enmeshed_connector.api.subscriptions import SubscriptionOptions
from enmeshed_connector.core.clock import SystemClock
from enmeshed_connector.storage import Retention, Store
from tests.support.api_server import (
    RunningServer,
    databases,
    failure_of,
    running_server,
)

REFERENCE = {"truncated": "VE9L", "url": "http://localhost:8090/r/TOK#x"}


def sample_message(number: int, **changes: Any) -> dict[str, Any]:
    """A message as it is stored."""
    return {
        "@type": "Message",
        "id": f"MSG{number:017d}",
        "isOwn": False,
        "createdBy": "did:e:localhost:dids:" + "1" * 22,
        "createdByDevice": "DVC" + "1" * 17,
        "createdAt": "2026-11-24T06:00:00.000Z",
        "recipients": [{"address": "did:e:localhost:dids:" + "2" * 22}],
        "attachments": [],
        "content": {"@type": "ArbitraryMessageContent", "value": number},
        **changes,
    }


async def emit(
    store: Store, numbers: Iterable[int], event_type: str = "transport.messageReceived", **more: Any
) -> None:
    """Commits events, one commit each."""
    for number in numbers:
        async with store.begin() as uow:
            event = {
                "type": event_type,
                "id": f"EVT{number}",
                "createdAt": "2026-11-24T06:00:00.000Z",
                "origin": "EXTERNAL",
                "correlationId": f"run-{number}",
                "data": sample_message(number),
                **more,
            }
            uow.emit(event, subjects=[f"REL{number}"])
            await uow.commit()


class Reader:
    """Reads a subscription frame by frame."""

    def __init__(self, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...] = (), **request: Any) -> None:
        stub: Any = events_service_pb2_grpc.EventsStub(channel)
        self.call = stub.Subscribe(events_service_pb2.SubscribeRequest(**request), metadata=metadata)
        self.token = ""
        self.kinds: list[str] = []

    async def frame(self) -> Any:
        frame = await asyncio.wait_for(self.call.read(), 30)
        assert frame is not grpc.aio.EOF
        kind = frame.WhichOneof("frame")
        self.kinds.append(kind)
        assert bool(frame.resume_token) is (kind != "started")
        self.token = frame.resume_token or self.token
        return frame

    async def until(self, kind: str) -> Any:
        while True:
            frame = await self.frame()
            if frame.WhichOneof("frame") == kind:
                return frame

    async def events(self, count: int) -> list[event_pb2.Event]:
        found: list[event_pb2.Event] = []
        while len(found) < count:
            found += (await self.until("events")).events.events
        return found

    async def caught_up(self) -> list[event_pb2.Event]:
        """Reads until the stream is live, and returns the events on the way."""
        found: list[event_pb2.Event] = []
        while True:
            frame = await self.frame()
            found += frame.events.events
            if frame.WhichOneof("frame") == "caught_up":
                return found


def ids(events: Iterable[event_pb2.Event]) -> list[str]:
    return [event.id for event in events]


def expected(numbers: Iterable[int]) -> list[str]:
    return [f"EVT{number}" for number in numbers]


FROM_BEGINNING: dict[str, Any] = {"from": events_service_pb2.SUBSCRIPTION_START_BEGINNING}


# --- frames


async def test_the_first_frame_tells_what_the_stream_is(served: RunningServer, channel: grpc.aio.Channel) -> None:
    reader = Reader(channel, types=["transport.*"])
    started = (await reader.frame()).started
    assert started.heartbeat_interval.ToTimedelta() == timedelta(seconds=15)
    assert started.account == "default"
    assert "transport.messageReceived" in started.types
    assert all(name.startswith("transport.") for name in started.types)
    await reader.until("caught_up")
    assert reader.kinds == ["started", "caught_up"]


async def test_an_event_carries_what_happened(served: RunningServer, channel: grpc.aio.Channel) -> None:
    await emit(served.events, [1])
    (event,) = await Reader(channel, **FROM_BEGINNING).caught_up()
    assert (event.id, event.type) == ("EVT1", "transport.messageReceived")
    assert event.create_time.ToJsonString() == "2026-11-24T06:00:00Z"
    assert (event.account, event.correlation_id) == ("default", "run-1")
    assert event.origin == event_pb2.ORIGIN_BACKBONE
    assert event.message.id == "MSG" + "0" * 16 + "1"
    assert event.message.content.arbitrary_message_content.value.number_value == 1


async def test_from_now_on_nothing_older_comes(served: RunningServer, channel: grpc.aio.Channel) -> None:
    await emit(served.events, [1, 2])
    reader = Reader(channel)
    assert await reader.caught_up() == []
    await emit(served.events, [3])
    assert ids(await reader.events(1)) == expected([3])


async def test_an_idle_stream_beats_and_its_tokens_are_good(tmp_path: Path) -> None:
    async with (
        running_server(
            tmp_path,
            clock=SystemClock(),
            subscription_options=SubscriptionOptions(heartbeat=timedelta(milliseconds=20)),
        ) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        reader = Reader(channel)
        await reader.caught_up()
        await reader.until("heartbeat")
        await reader.until("heartbeat")
        reader.call.cancel()
        await emit(served.events, [1])
        again = Reader(channel, resume_token=reader.token)
        assert ids(await again.caught_up()) == expected([1])


async def test_events_that_nobody_asked_for_move_the_token_of_a_heartbeat(tmp_path: Path) -> None:
    async with (
        running_server(
            tmp_path,
            clock=SystemClock(),
            subscription_options=SubscriptionOptions(heartbeat=timedelta(milliseconds=20)),
        ) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        reader = Reader(channel, types=["transport.relationshipChanged"])
        await reader.caught_up()
        before = reader.token
        await emit(served.events, [1])
        while reader.token == before:
            await reader.until("heartbeat")


# --- ordered, gapless, at least once, resumable, bookmarkable


async def test_ordered_and_gapless_across_catch_up_and_live(served: RunningServer, channel: grpc.aio.Channel) -> None:
    await emit(served.events, range(250))
    reader = Reader(channel, max_batch_size=7, **FROM_BEGINNING)
    writing = asyncio.ensure_future(emit(served.events, range(250, 400)))
    assert ids(await reader.events(400)) == expected(range(400))
    await writing
    assert "caught_up" in reader.kinds


async def test_resumable_from_every_token_that_was_given_out(served: RunningServer, channel: grpc.aio.Channel) -> None:
    await emit(served.events, range(12))
    reader = Reader(channel, max_batch_size=1, **FROM_BEGINNING)
    seen: list[tuple[str, int]] = []
    delivered = 0
    while True:
        frame = await reader.frame()
        delivered += len(frame.events.events)
        if frame.resume_token:
            seen.append((frame.resume_token, delivered))
        if frame.WhichOneof("frame") == "caught_up":
            break
    await emit(served.events, [12])
    await reader.events(1)
    seen.append((reader.token, 13))
    for token, count in seen:
        # Bookmarkable: what a token leaves out was delivered before it.
        again = Reader(channel, resume_token=token)
        assert ids(await again.caught_up()) == expected(range(count, 13))
        again.call.cancel()


async def test_resumed_after_the_server_is_gone_without_loss_or_gap(tmp_path: Path) -> None:
    async with running_server(tmp_path) as served, grpc.aio.insecure_channel(served.address) as channel:
        await emit(served.events, range(5))
        reader = Reader(channel, max_batch_size=2, **FROM_BEGINNING)
        got = ids((await reader.until("events")).events.events)
        token = reader.token
        reader.call.cancel()
        await emit(served.events, range(5, 8))
    async with running_server(tmp_path) as served, grpc.aio.insecure_channel(served.address) as channel:
        rest = await Reader(channel, resume_token=token).caught_up()
        assert got + ids(rest) == expected(range(8))


async def test_a_second_process_delivers_what_the_first_committed(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path) as writer,
        running_server(tmp_path) as other,
        grpc.aio.insecure_channel(other.address) as channel,
    ):
        reader = Reader(channel)
        await reader.caught_up()
        await emit(writer.events, range(3))
        assert ids(await reader.events(3)) == expected(range(3))


async def test_a_reader_that_falls_out_of_the_window_gets_everything_from_the_log(
    served: RunningServer, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LiveWindow.__init__

    def tiny(self: LiveWindow, log: Any, clock: Any, **options: Any) -> None:
        original(self, log, clock, max_events=2)

    monkeypatch.setattr(LiveWindow, "__init__", tiny)
    reader = Reader(channel, max_batch_size=1)
    await reader.caught_up()
    # More than gRPC buffers for a client that does not read.
    await emit(served.events, range(80), data=sample_message(0, content={"@type": "X", "text": "x" * 500_000}))
    assert ids(await reader.events(80)) == expected(range(80))
    assert "fell_behind" in reader.kinds
    await reader.until("caught_up")


async def test_isolated_a_slow_reader_slows_nobody_and_is_ended(tmp_path: Path) -> None:
    options = ServerOptions(port=0, write_timeout=timedelta(milliseconds=200), drain=timedelta(0))
    async with (
        running_server(tmp_path, clock=SystemClock(), options=options) as served,
        grpc.aio.insecure_channel(served.address) as channel,
        grpc.aio.insecure_channel(served.address, options=[("grpc.use_local_subchannel_pool", 1)]) as slow_channel,
    ):
        slow = Reader(slow_channel, max_batch_size=1)
        fast = Reader(channel)
        await slow.caught_up()
        await fast.caught_up()
        large = sample_message(0, content={"@type": "X", "text": "x" * 500_000})
        for number in range(40):
            await emit(served.events, [number], data=large)
            assert ids(await fast.events(1)) == expected([number])
        while served.server.limits.running()["subscriptions"] > 1:
            await emit(served.events, [40], data=large)
            await fast.events(1)
        failed = await failure_of(slow.call)
        assert (failed.code, failed.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SUBSCRIBER_TOO_SLOW")


async def test_no_attached_subscriber_is_the_normal_case(served: RunningServer, channel: grpc.aio.Channel) -> None:
    for _ in range(3):
        reader = Reader(channel)
        await reader.caught_up()
        reader.call.cancel()
        while served.server.limits.running()["subscriptions"]:
            await asyncio.sleep(0)
    await emit(served.events, [1])
    assert ids(await Reader(channel, **FROM_BEGINNING).caught_up()) == expected([1])


# --- tokens that are not good


async def test_a_token_older_than_what_is_kept_names_the_oldest(
    served: RunningServer, channel: grpc.aio.Channel
) -> None:
    reader = Reader(channel)
    await reader.caught_up()
    reader.call.cancel()
    await emit(served.events, range(5))
    await served.events.log.trim(Retention(max_age=timedelta(days=365), max_events=2))
    failed = await failure_of(Reader(channel, resume_token=reader.token).call)
    assert (failed.code, failed.reason) == (grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED")
    rest = Reader(channel, resume_token=failed.metadata["oldest_resume_token"])
    kept = ids(await rest.caught_up())
    assert kept == expected(range(5))[-len(kept) :]
    assert 1 <= len(kept) < 5


async def test_altered_and_foreign_tokens_are_refused(
    served: RunningServer, channel: grpc.aio.Channel, tmp_path: Path
) -> None:
    reader = Reader(channel)
    await reader.caught_up()
    async with databases(tmp_path / "other") as others:
        other = await others.open("acc-default")
        foreign = other.log.token(await other.log.head())
        await other.close()
    for token in (
        "nonsense",
        reader.token[:20] + ("A" if reader.token[20] != "A" else "B") + reader.token[21:],
        foreign,
        "ä",
    ):
        failed = await failure_of(Reader(channel, resume_token=token).call)
        assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "RESUME_TOKEN_INVALID")


async def test_unknown_types_are_refused(served: RunningServer, channel: grpc.aio.Channel) -> None:
    failed = await failure_of(Reader(channel, types=["transport.unheardOf"]).call)
    assert (failed.reason, failed.metadata) == ("EVENT_TYPE_UNKNOWN", {"type": "transport.unheardOf"})
    failed = await failure_of(Reader(channel, types=["transport.mess*"]).call)
    assert (failed.reason, set(failed.violations)) == ("INVALID_ARGUMENT", {"types[0]"})


# --- permissions


async def test_events_follow_the_permissions_of_their_data(served: RunningServer, channel: grpc.aio.Channel) -> None:
    made = await served.keys.create("narrow", ["events:read", "account:read"])
    key = (("x-api-key", made.secret),)
    failed = await failure_of(Reader(channel, key, types=["transport.messageReceived"]).call)
    assert (failed.code, failed.metadata["permission"]) == (grpc.StatusCode.PERMISSION_DENIED, "messages:read")
    await emit(served.events, [1])
    await emit(served.events, [2], "transport.datawalletSynchronized", data=None)
    events = await Reader(channel, key, **FROM_BEGINNING).caught_up()
    assert [(event.type, event.WhichOneof("data")) for event in events] == [
        ("transport.datawalletSynchronized", "datawallet_synchronized")
    ]


def sample_file(number: int) -> dict[str, Any]:
    """A file as it is stored."""
    return {
        "@type": "File",
        "id": f"FIL{number:017d}",
        "secretKey": {"alg": 3, "key": "A" * 43},
        "isOwn": True,
        "filename": "a.txt",
        "filesize": 3,
        "mimetype": "text/plain",
        "createdAt": "2026-11-24T06:00:00.000Z",
        "createdBy": "did:e:localhost:dids:" + "1" * 22,
        "createdByDevice": "DVC" + "1" * 17,
        "expiresAt": "9999-12-31T00:00:00.000Z",
        "owner": "did:e:localhost:dids:" + "1" * 22,
        "ownershipToken": "owner-secret",
    }


async def test_keys_are_shown_only_with_the_permission_for_secrets(
    served: RunningServer, channel: grpc.aio.Channel
) -> None:
    await emit(served.events, [1], "transport.fileOwnershipLocked", data=sample_file(1))
    plain = (await served.keys.create("plain", ["events:read", "files:read"])).secret
    trusted = (await served.keys.create("trusted", ["events:read", "files:*"])).secret
    shown = {}
    # Both read the same event at the same time, live and from the log.
    readers = {}
    for name, secret in (("plain", plain), ("trusted", trusted)):
        readers[name] = Reader(channel, (("x-api-key", secret),), **FROM_BEGINNING)
        (shown[name],) = await readers[name].caught_up()
    await emit(served.events, [2], "transport.fileOwnershipLocked", data=sample_file(2))
    for name, reader in readers.items():
        (live,) = await reader.events(1)
        for event in (shown[name], live):
            assert bool(event.file.reference.truncated) is (name == "trusted")
            assert event.file.ownership_token == ("owner-secret" if name == "trusted" else "")
            assert b"AAAAAAAA" not in event.SerializeToString() or name == "trusted"


async def test_basic_view_leaves_the_content_out(served: RunningServer, channel: grpc.aio.Channel) -> None:
    await emit(served.events, [1])
    (event,) = await Reader(channel, view=filters_pb2.VIEW_BASIC, **FROM_BEGINNING).caught_up()
    assert not event.message.HasField("content")
    assert event.message.content_type == "ArbitraryMessageContent"


async def test_origins_are_told_apart(served: RunningServer, channel: grpc.aio.Channel) -> None:
    await emit(served.events, [1])
    await emit(served.events, [2], origin="LOCAL")
    await emit(served.events, [3], origin="DATAWALLET")
    reader = Reader(channel, origins=[event_pb2.ORIGIN_LOCAL, event_pb2.ORIGIN_DATAWALLET], **FROM_BEGINNING)
    assert ids(await reader.caught_up()) == expected([2, 3])


async def test_an_erased_event_keeps_its_place_without_its_data(
    served: RunningServer, channel: grpc.aio.Channel
) -> None:
    await emit(served.events, range(3))
    await served.events.log.erase("REL1")
    events = await Reader(channel, **FROM_BEGINNING).caught_up()
    assert len(events) == 3
    assert [event.WhichOneof("data") for event in events] == ["message", None, "message"]


async def test_hostile_content_breaks_no_stream(served: RunningServer, channel: grpc.aio.Channel) -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    contents: list[Any] = [
        {"@type": "Mail", "deep": deep},
        {"@type": "Mail", "subject": "\ud800", "big": 2**63, "nul\0key": 1, "a.b": {"$set": 1}},
        {"@type": 5},
        ["no object"],
        "text",
        None,
    ]
    for number, content in enumerate(contents):
        await emit(served.events, [number], data=sample_message(number, content=content))
    await emit(served.events, [99])
    events = await Reader(channel, **FROM_BEGINNING).caught_up()
    assert ids(events) == expected([*range(len(contents)), 99])
    assert all(event.message.id for event in events)


async def test_a_batch_ends_at_two_mebibytes(served: RunningServer, channel: grpc.aio.Channel) -> None:
    large = sample_message(0, content={"@type": "X", "text": "x" * 1_500_000})
    await emit(served.events, range(3), data=large)
    reader = Reader(channel, **FROM_BEGINNING)
    sizes = [len((await reader.until("events")).events.events) for _ in range(3)]
    assert sizes == [1, 1, 1]


async def test_many_subscribers_share_one_reader_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ServerOptions(port=0, limits=replace(LimitOptions(), subscriptions=100), drain=timedelta(seconds=5))
    async with (
        running_server(tmp_path, options=options) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        readers = [Reader(channel) for _ in range(50)]
        for reader in readers:
            await reader.caught_up()
        reads = 0
        original = type(served.events.log).read

        async def counted(self: Any, *arguments: Any, **options: Any) -> Any:
            nonlocal reads
            reads += 1
            return await original(self, *arguments, **options)

        monkeypatch.setattr(type(served.events.log), "read", counted)
        await emit(served.events, range(3))
        for reader in readers:
            assert ids(await reader.events(3)) == expected(range(3))
        assert reads <= 10


# --- lists


@pytest.fixture
def events(channel: grpc.aio.Channel) -> Any:
    return events_service_pb2_grpc.EventsStub(channel)


async def pages(events: Any, **request: Any) -> AsyncIterator[Any]:
    token = ""
    while True:
        response = await events.ListEvents(events_service_pb2.ListEventsRequest(page_token=token, **request))
        yield response
        token = response.next_page_token
        if not token:
            return


async def test_stored_events_are_listed_page_by_page(
    served: RunningServer, channel: grpc.aio.Channel, events: Any
) -> None:
    await emit(served.events, range(5))
    await emit(served.events, [5], "transport.messageSent")
    found = [page async for page in pages(events, page_size=2, types=["transport.messageReceived"])]
    assert [ids(page.events) for page in found][:3] == [["EVT0", "EVT1"], ["EVT2", "EVT3"], ["EVT4"]]
    assert sum(len(page.events) for page in found) == 5
    # A subscription goes on where the list ended.
    await emit(served.events, [6])
    reader = Reader(channel, resume_token=found[-1].resume_token)
    assert "EVT6" in ids(await reader.caught_up())
    response = await events.ListEvents(
        events_service_pb2.ListEventsRequest(resume_token=found[0].resume_token, page_size=1)
    )
    assert ids(response.events) == ["EVT2"]


async def test_page_tokens_of_lists_are_bound_to_the_request(served: RunningServer, events: Any) -> None:
    await emit(served.events, range(3))
    first = await events.ListEvents(events_service_pb2.ListEventsRequest(page_size=1))
    assert first.next_page_token
    other = events_service_pb2.ListEventsRequest(page_token=first.next_page_token, types=["transport.*"])
    failed = await failure_of(events.ListEvents(other))
    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
    larger = events_service_pb2.ListEventsRequest(page_token=first.next_page_token, page_size=500)
    assert ids((await events.ListEvents(larger)).events) == ["EVT1", "EVT2"]


async def test_events_are_found_by_time(served: RunningServer, events: Any) -> None:
    for number, moment in enumerate(("05", "06", "07")):
        await emit(served.events, [number], createdAt=f"2026-11-24T{moment}:00:00.000Z")
    condition = filters_pb2.TimeFilter()
    condition.after.FromJsonString("2026-11-24T05:00:00Z")
    condition.at_or_before.FromJsonString("2026-11-24T06:00:00Z")
    response = await events.ListEvents(events_service_pb2.ListEventsRequest(create_time=condition))
    assert ids(response.events) == ["EVT1"]
