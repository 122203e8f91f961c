"""What another device of the identity does is told by events, over gRPC."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from enmeshed.connector.v1 import (
    event_pb2,
    events_service_pb2,
    notification_pb2,
    request_pb2,
)
from enmeshed_client import Connector as Client
from enmeshed_connector.app.connector import Connector
from enmeshed_connector.app.onboarding import onboard_account
from enmeshed_connector.app.settings import Settings, load_settings
from tests.support.connector import RunningConnector, running_connector
from tests.support.named_calls import call, until

TYPES = [
    "consumption.attributeCreated",
    "consumption.attributeDeleted",
    "consumption.attributeSucceeded",
    "consumption.attributeForwardingDetailsChanged",
    "consumption.attributeWasViewedAtChanged",
    "connector.notificationStatusChanged",
]


def second(running: RunningConnector, folder: Path) -> Settings:
    """Returns the settings of another Connector, whose account `copy` syncs only when it starts and when it is told."""
    flags = {
        "server.port": "0",
        "server.drain_seconds": "0",
        "backbone.base_url": running.backbone.base_url,
        "database.folder": str(folder / "second"),
        "accounts.copy.create_identity": "false",
        "accounts.copy.datawallet": "true",
        "sync.sse": "false",
        "sync.interval_seconds": "86400",
    }
    return load_settings(file=None, environment={}, flags=flags)


@asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[Client]:
    """Runs the other Connector for the length of a block."""
    async with Connector(settings, environment={}) as connector:
        await connector.wait_until_ready()
        async with Client(f"localhost:{connector.port}", account="copy") as client:
            yield client


class Subscriber:
    """A subscriber that keeps its place over the lives of the Connector."""

    def __init__(self) -> None:
        self.events: list[event_pb2.Event] = []
        self._token = ""

    async def read(self, client: Client, count: int) -> list[event_pb2.Event]:
        """Returns the next events; each stream ends with the last of them."""
        before = len(self.events)
        request = events_service_pb2.SubscribeRequest(types=TYPES, resume_token=self._token)
        if not self._token:
            setattr(request, "from", events_service_pb2.SUBSCRIPTION_START_BEGINNING)
        stream: Any = client.service("Events").Subscribe(request)
        async with asyncio.timeout(30):
            while len(self.events) < before + count:
                frame = await stream.read()
                assert frame is not grpc.aio.EOF, await stream.details()
                self.events += frame.events.events
                self._token = frame.resume_token or self._token
        stream.cancel()
        return self.events[before:]


def named(name: str) -> dict[str, Any]:
    return {"givenName": {"value": name}}


def name_of(attribute: Any) -> str:
    return str(attribute.content.identity_attribute.value.given_name.value)


def summary(events: list[event_pb2.Event]) -> list[tuple[str, str]]:
    """Returns the events as their types and what their typed data is about, sorted."""
    rows = []
    for event in events:
        assert event.origin == event_pb2.ORIGIN_DATAWALLET
        kind = event.type.rpartition(".")[2].removeprefix("attribute")
        field = event.WhichOneof("data")
        if field == "attribute_succeeded":
            succeeded = event.attribute_succeeded
            assert succeeded.predecessor.succeeded_by == succeeded.successor.id
            rows.append((kind, f"{name_of(succeeded.predecessor)} {name_of(succeeded.successor)}"))
        elif field == "notification":
            (item,) = event.notification.content.notification.items
            rows.append((kind, str(item.WhichOneof("kind"))))
            assert event.notification.status == notification_pb2.LOCAL_NOTIFICATION_STATUS_SENT
        else:
            rows.append((kind, name_of(event.attribute)))
    return sorted(rows)


async def share(running: RunningConnector, alice: Client, bob: Client, attribute_id: str) -> None:
    asked = await call(alice, "Attributes.ShareAttribute", attributeId=attribute_id, peer=running.accounts["bob"])

    async def open_ones() -> Any:
        await call(bob, "Account.Sync")
        statuses = ["LOCAL_REQUEST_STATUS_DECISION_REQUIRED", "LOCAL_REQUEST_STATUS_MANUAL_DECISION_REQUIRED"]
        return (await call(bob, "IncomingRequests.ListIncomingRequests", filter={"statuses": statuses})).requests

    async def status() -> Any:
        await call(alice, "Account.Sync")
        return (await call(alice, "OutgoingRequests.GetOutgoingRequest", id=asked.request.id)).request.status

    (request,) = await until(open_ones)
    await call(bob, "IncomingRequests.AcceptIncomingRequest", id=request.id, items=[{"accept": {}}])
    await until(status, lambda found: found == request_pb2.LOCAL_REQUEST_STATUS_COMPLETED)


async def notifications(client: Client, count: int) -> list[Any]:
    """Returns the notifications that were received, once there are so many."""

    async def read() -> Any:
        await call(client, "Account.Sync")
        return (await call(client, "Notifications.ListNotifications", filter={"isOwn": False})).notifications

    return list(await until(read, lambda found: len(found) >= count))


async def test_a_subscriber_learns_once_of_what_another_device_does_with_attributes(tmp_path: Path) -> None:
    overrides = {"accounts.alice.datawallet": "true"}
    async with (
        running_connector(tmp_path / "first", overrides=overrides, is_related=True) as running,
        running.client("alice") as alice,
        running.client("bob") as bob,
    ):
        settings, subscriber = second(running, tmp_path), Subscriber()
        device = await call(alice, "Devices.CreateDevice")
        await onboard_account(settings, "copy", device.token.reference.url, None, device_name="copy", environment={})
        first = (await call(alice, "Attributes.CreateAttribute", value=named("Ada"))).attribute
        async with process(settings) as copy:
            await share(running, alice, bob, first.id)
            made = await call(
                alice, "Attributes.SucceedAttribute", predecessorId=first.id, identity={"value": named("Augusta")}
            )
            await call(
                alice,
                "Attributes.NotifyPeerAboutSuccession",
                attributeId=made.successor.id,
                peer=running.accounts["bob"],
            )
            await notifications(bob, 1)
            await call(alice, "Account.SyncDatawallet")
            await call(copy, "Account.SyncDatawallet")
            started = await subscriber.read(copy, 5)
            await call(alice, "Attributes.MarkAttributeViewed", id=made.successor.id)
            await call(alice, "Account.SyncDatawallet")
            await call(copy, "Account.SyncDatawallet")
            viewed = await subscriber.read(copy, 1)
            shown = (await call(copy, "Attributes.GetAttribute", id=made.successor.id)).attribute
        # Nobody listens while the attribute goes and another one comes.
        await call(alice, "Attributes.DeleteAttribute", id=made.successor.id)
        await call(alice, "Attributes.CreateAttribute", value=named("Grace"))
        received = await notifications(bob, 2)
        await call(alice, "Account.SyncDatawallet")
        async with process(settings) as copy:
            await call(copy, "Account.SyncDatawallet")
            ended = await subscriber.read(copy, 4)
        async with process(settings) as copy:
            await call(copy, "Account.SyncDatawallet")
            listed = (await call(copy, "Events.ListEvents", types=TYPES, pageSize=100)).events
        # Nothing was sent twice, by the one device and the other.
        await call(bob, "Account.Sync")
        assert len((await call(bob, "Notifications.ListNotifications")).notifications) == len(received) == 2

    assert summary(started) == [
        ("Created", "Ada"),
        ("ForwardingDetailsChanged", "Ada"),
        ("ForwardingDetailsChanged", "Augusta"),
        ("Succeeded", "Ada Augusta"),
        ("notificationStatusChanged", "peer_attribute_succeeded"),
    ]
    assert summary(viewed) == [("WasViewedAtChanged", "Augusta")]
    assert viewed[0].attribute == shown
    assert shown.number_of_forwards == 1
    assert summary(ended) == [
        ("Created", "Grace"),
        ("Deleted", "Ada"),
        ("Deleted", "Augusta"),
        ("notificationStatusChanged", "own_attribute_deleted_by_owner"),
    ]
    assert Counter(event.id for event in subscriber.events).most_common(1)[0][1] == 1
    assert list(listed) == subscriber.events
