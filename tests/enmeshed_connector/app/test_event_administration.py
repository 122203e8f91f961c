"""Named subscriptions and failed events through the public interface, on a whole Connector."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from enmeshed.connector.v1 import events_service_pb2 as pb
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from enmeshed_connector.core.ids import ExternalEventId
from enmeshed_connector.runtime.use_cases import subscriptions
from enmeshed_connector.storage import Retention
from enmeshed_connector.transport.errors import ContentNotReadable
from enmeshed_connector.transport.external_events import ExternalEvent, ExternalEventProcessor
from enmeshed_connector.transport.work import Work
from tests.support.connector import RunningConnector, running_connector


async def publish(running: RunningConnector, *types: str) -> None:
    context = running.connector.accounts.runtime("alice").transport.context

    async def tell(work: Work) -> None:
        for name in types:
            work.publish(name, {})

    await context.commits.run(tell)


async def failure(client: Client, method: Any, request: Any) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        await client.call(method, request)
    return caught.value


class Stream:
    """One stream that reads a subscription."""

    def __init__(self, client: Client, name: str, **more: Any) -> None:
        self._call: Any = client.service("Events").Subscribe(pb.SubscribeRequest(subscription=name, **more))
        self.token = ""

    async def frame(self) -> pb.SubscribeResponse:
        read = await asyncio.wait_for(self._call.read(), 30)
        assert read is not grpc.aio.EOF, await self._call.details()
        frame: pb.SubscribeResponse = read
        self.token = frame.resume_token or self.token
        return frame

    async def until_live(self) -> list[str]:
        """Returns the types of all events until the stream is live."""
        types: list[str] = []
        while not (frame := await self.frame()).HasField("caught_up"):
            types += [event.type for event in frame.events.events]
        return types

    async def end(self) -> None:
        self._call.cancel()
        await self._call.code()


async def test_a_subscription_goes_on_behind_what_was_acknowledged_even_after_a_restart(tmp_path: Path) -> None:
    async with running_connector(tmp_path) as running, running.client("alice") as alice:
        created = await alice.call(
            alice.events.CreateSubscription,
            pb.CreateSubscriptionRequest(name="erp", types=["module.test.*"]),
        )
        await publish(running, "module.test.one", "transport.datawalletSynchronized", "module.test.two")
        stream = Stream(alice, "erp")
        assert await stream.until_live() == ["module.test.one", "module.test.two"]
        await stream.end()
        again = Stream(alice, "erp", types=["module.test.two"])
        while not (frame := await again.frame()).HasField("events"):
            pass
        await again.end()
        acknowledged = await alice.call(
            alice.events.AcknowledgeEvents,
            pb.AcknowledgeEventsRequest(name="erp", resume_token=frame.resume_token),
        )
    async with running_connector(tmp_path) as running, running.client("alice") as alice:
        await publish(running, "module.test.three")
        assert await Stream(alice, "erp").until_live() == ["module.test.three"]
    assert created.subscription.name == "erp"
    assert list(created.subscription.types) == ["module.test.*"]
    assert not created.subscription.HasField("acknowledge_time")
    assert acknowledged.subscription.HasField("acknowledge_time")
    assert acknowledged.subscription.resume_token == frame.resume_token


async def test_only_one_stream_reads_a_subscription_and_another_may_afterwards(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        await alice.call(alice.events.CreateSubscription, pb.CreateSubscriptionRequest(name="erp"))
        first = Stream(alice, "erp")
        await first.until_live()
        shown = await alice.call(alice.events.GetSubscription, pb.GetSubscriptionRequest(name="erp"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Stream(alice, "erp").frame()
        await first.end()
        await Stream(alice, "erp").until_live()
    assert shown.subscription.is_attached
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "SUBSCRIPTION_IN_USE" in str(caught.value.trailing_metadata())


async def test_the_subscription_of_a_dead_process_can_be_read_after_a_while(
    running: RunningConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "_LEASE_DURATION", timedelta(seconds=1))
    store = running.connector.accounts.runtime("alice").store
    async with running.client("alice") as alice:
        await alice.call(alice.events.CreateSubscription, pb.CreateSubscriptionRequest(name="erp"))
        document = await store.get(subscriptions.SUBSCRIPTIONS, "erp")
        assert document is not None
        assert await store.try_lease(f"subscription/{document['id']}", "a process that died") is not None
        assert await Stream(alice, "erp").until_live() == []


async def test_what_a_subscription_has_not_acknowledged_is_kept(running: RunningConnector) -> None:
    store = running.connector.accounts.runtime("alice").store
    nothing = Retention(timedelta(0), 0)
    async with running.client("alice") as alice:
        await alice.call(alice.events.CreateSubscription, pb.CreateSubscriptionRequest(name="erp", types=["module.**"]))
        await publish(running, "module.test.kept")
        await store.log.trim(nothing)
        stream = Stream(alice, "erp")
        assert await stream.until_live() == ["module.test.kept"]
        await alice.call(
            alice.events.AcknowledgeEvents, pb.AcknowledgeEventsRequest(name="erp", resume_token=stream.token)
        )
        oldest = await store.log.oldest()
        # The decider is no concern here; left alone, it moves along within a minute.
        await store.log.move_cursor("automation/decider", await store.log.head())
        await store.log.trim(nothing)
        assert await store.log.oldest() > oldest


async def test_an_older_token_does_not_move_a_subscription_back(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        created = await alice.call(alice.events.CreateSubscription, pb.CreateSubscriptionRequest(name="erp"))
        await publish(running, "module.test.one")
        stream = Stream(alice, "erp")
        await stream.until_live()
        for token in (stream.token, created.subscription.resume_token):
            moved = await alice.call(
                alice.events.AcknowledgeEvents, pb.AcknowledgeEventsRequest(name="erp", resume_token=token)
            )
    assert moved.subscription.resume_token == stream.token


async def test_subscriptions_are_listed_by_name_and_deleted(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        for name in ("c", "a", "b"):
            await alice.call(alice.events.CreateSubscription, pb.CreateSubscriptionRequest(name=name))
        key = alice.idempotency_key()
        for _ in range(2):
            await alice.call(
                alice.events.DeleteSubscription, pb.DeleteSubscriptionRequest(name="b", idempotency_key=key)
            )
        names = [
            subscription.name
            async for page in alice.pages(alice.events.ListSubscriptions, pb.ListSubscriptionsRequest(page_size=1))
            for subscription in page.subscriptions
        ]
    assert names == ["a", "c"]
    assert set(await running.connector.accounts.runtime("alice").store.log.cursors()) >= {"a", "c"}
    assert "b" not in await running.connector.accounts.runtime("alice").store.log.cursors()


async def test_the_same_key_creates_a_subscription_once(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        request = pb.CreateSubscriptionRequest(name="erp", idempotency_key=alice.idempotency_key())
        first = await alice.call(alice.events.CreateSubscription, request)
        second = await alice.call(alice.events.CreateSubscription, request)
        request.idempotency_key = alice.idempotency_key()
        refused = await failure(alice, alice.events.CreateSubscription, request)
    assert first == second
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS")


@pytest.mark.parametrize(
    ("method", "make", "reason"),
    [
        ("CreateSubscription", lambda: pb.CreateSubscriptionRequest(name="Not Good"), "INVALID_ARGUMENT"),
        ("CreateSubscription", lambda: pb.CreateSubscriptionRequest(name="a", types=["x.y"]), "EVENT_TYPE_UNKNOWN"),
        (
            "CreateSubscription",
            lambda: pb.CreateSubscriptionRequest(name="a", resume_token="x"),
            "RESUME_TOKEN_INVALID",
        ),
        ("GetSubscription", lambda: pb.GetSubscriptionRequest(name="nobody"), "NOT_FOUND"),
        ("DeleteSubscription", lambda: pb.DeleteSubscriptionRequest(name="nobody"), "NOT_FOUND"),
        ("AcknowledgeEvents", lambda: pb.AcknowledgeEventsRequest(name="a", resume_token="x"), "RESUME_TOKEN_INVALID"),
        ("ListSubscriptions", lambda: pb.ListSubscriptionsRequest(page_token="x"), "PAGE_TOKEN_INVALID"),
        ("ListFailedEvents", lambda: pb.ListFailedEventsRequest(page_token="x"), "PAGE_TOKEN_INVALID"),
        ("RetryFailedEvent", lambda: pb.RetryFailedEventRequest(id="SYInothing"), "NOT_FOUND"),
        ("RetryFailedEvent", lambda: pb.RetryFailedEventRequest(), "INVALID_ARGUMENT"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_the_reason(
    running: RunningConnector, method: str, make: Any, reason: str
) -> None:
    async with running.client("alice") as alice:
        refused = await failure(alice, getattr(alice.events, method), make())
    assert refused.reason == reason


async def test_an_unknown_subscription_cannot_be_acknowledged_or_read(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        created = await alice.call(alice.events.CreateSubscription, pb.CreateSubscriptionRequest(name="erp"))
        token = created.subscription.resume_token
        refused = await failure(
            alice, alice.events.AcknowledgeEvents, pb.AcknowledgeEventsRequest(name="other", resume_token=token)
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Stream(alice, "other").frame()
    assert refused.reason == "NOT_FOUND"
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


class _Patient(ExternalEventProcessor):
    type = "SomethingNew"

    async def process(self, event: ExternalEvent, fetched: Any, work: Work) -> None:
        return None


async def test_a_failed_event_is_listed_and_can_be_retried_until_it_works(running: RunningConnector) -> None:
    account = running.connector.accounts.runtime("alice").transport
    event = ExternalEvent(ExternalEventId("SYI" + "1" * 17), "SomethingNew", 1, datetime(2026, 1, 1, tzinfo=UTC), 0, {})
    await account.sync.failed_events.set_aside(event, ContentNotReadable("It cannot be read."), None)
    async with running.client("alice") as alice:
        retry = pb.RetryFailedEventRequest(id=event.id)
        refused = await failure(alice, alice.events.RetryFailedEvent, retry)
        listed = await alice.call(alice.events.ListFailedEvents, pb.ListFailedEventsRequest())
        account.processors.register(_Patient())
        retry.idempotency_key = alice.idempotency_key()
        retried = await alice.call(alice.events.RetryFailedEvent, retry)
        repeated = await alice.call(alice.events.RetryFailedEvent, retry)
        afterwards = await alice.call(alice.events.ListFailedEvents, pb.ListFailedEventsRequest())
        told = await alice.call(alice.events.ListEvents, pb.ListEventsRequest(types=["connector.*"]))
    assert refused.reason == "NOT_SUPPORTED"
    [failed] = listed.events
    assert (failed.id, failed.type, failed.attempts, failed.error_reason) == (event.id, event.type, 2, "NOT_SUPPORTED")
    assert not failed.resolved
    assert failed.error_message
    assert retried.event.resolved
    assert repeated == retried
    assert list(afterwards.events) == []
    assert [event.type for event in told.events] == [
        "connector.externalEventFailed",
        "connector.externalEventRecovered",
    ]
