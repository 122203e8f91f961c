"""Requests through the public interface: two accounts of a whole Connector ask and answer each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from enmeshed.connector.v1 import (
    account_service_pb2,
    events_service_pb2,
    incoming_requests_service_pb2,
    messages_service_pb2,
    outgoing_requests_service_pb2,
    relationship_templates_service_pb2,
    relationships_service_pb2,
    request_pb2,
)
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from tests.support.connector import RunningConnector, relate, running_connector

_MODULES = {
    "Account": account_service_pb2,
    "Events": events_service_pb2,
    "IncomingRequests": incoming_requests_service_pb2,
    "Messages": messages_service_pb2,
    "OutgoingRequests": outgoing_requests_service_pb2,
    "RelationshipTemplates": relationship_templates_service_pb2,
    "Relationships": relationships_service_pb2,
}
YES: dict[str, Any] = {"accept": {}}
NO: dict[str, Any] = {"reject": {"code": "no", "message": "No."}}
UNKNOWN = "REQ00000000000000000"


def consent(text: str = "May we?", *, must: bool = True) -> dict[str, Any]:
    return {"consent": {"consent": text, "mustBeAccepted": must}}


def authentication(*, must: bool = True) -> dict[str, Any]:
    return {"authentication": {"title": "It is me", "mustBeAccepted": must}}


def asks(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"request": {"items": list(items or (consent(),)), **more}}


async def call(client: Client, method: str, **members: Any) -> Any:
    service, _, name = method.partition(".")
    request: Message = getattr(_MODULES[service], f"{name}Request")()
    json_format.ParseDict(members, request)
    return await client.call(getattr(client.service(service), name), request)


async def failure(client: Client, method: str, **members: Any) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        await call(client, method, **members)
    return caught.value


async def until(read: Callable[[], Any], *, is_so: Callable[[Any], bool]) -> Any:
    """Returns what is read once it is so; automation of the Connector brings that about."""
    async with asyncio.timeout(20):
        while not is_so(found := await read()):
            await asyncio.sleep(0.02)
    return found


async def incoming(client: Client, **filters: Any) -> list[request_pb2.LocalRequest]:
    await call(client, "Account.Sync")
    return list((await call(client, "IncomingRequests.ListIncomingRequests", filter=filters)).requests)


async def request_in(client: Client, status: str) -> Any:
    """Returns the one incoming request once it is in a state."""
    wanted = request_pb2.LocalRequestStatus.Value(f"LOCAL_REQUEST_STATUS_{status}")
    (found,) = await until(lambda: incoming(client), is_so=lambda found: bool(found) and found[0].status == wanted)
    return found


async def outgoing_in(client: Client, request_id: str, status: str) -> Any:
    wanted = request_pb2.LocalRequestStatus.Value(f"LOCAL_REQUEST_STATUS_{status}")

    async def read() -> Any:
        await call(client, "Account.Sync")
        return (await call(client, "OutgoingRequests.GetOutgoingRequest", id=request_id)).request

    return await until(read, is_so=lambda found: found.status == wanted)


async def event_types(client: Client) -> list[str]:
    listed = await call(client, "Events.ListEvents", types=["consumption.*"])
    return [event.type.removeprefix("consumption.") for event in listed.events]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningConnector]:
    async with running_connector(tmp_path) as connector:
        yield connector


@pytest.fixture
async def alice(running: RunningConnector) -> AsyncIterator[Client]:
    async with running.client("alice") as client:
        yield client


@pytest.fixture
async def bob(running: RunningConnector) -> AsyncIterator[Client]:
    async with running.client("bob") as client:
        yield client


async def create(client: Client, peer: str, content: dict[str, Any], **more: Any) -> Any:
    made = await call(client, "OutgoingRequests.CreateOutgoingRequest", content=content, peer=peer, **more)
    return made.request


async def send(client: Client, request: request_pb2.LocalRequest, **more: Any) -> Any:
    content = json_format.MessageToDict(request.content)
    return (await call(client, "Messages.SendMessage", recipients=[request.peer], content=content, **more)).message


async def test_a_request_is_asked_accepted_and_answered_by_messages(
    running: RunningConnector, alice: Client, bob: Client
) -> None:
    await relate(running)
    draft = await create(alice, running.accounts["bob"], asks(consent(), authentication(must=False)))
    assert draft.status == request_pb2.LOCAL_REQUEST_STATUS_DRAFT
    message = await send(alice, draft)
    opened = await outgoing_in(alice, draft.id, "OPEN")
    assert (opened.source.type, opened.source.reference) == (request_pb2.REQUEST_SOURCE_TYPE_MESSAGE, message.id)

    received = await request_in(bob, "DECISION_REQUIRED")
    assert (received.id, received.peer, received.is_own) == (draft.id, running.accounts["alice"], False)
    assert received.source == opened.source
    assert received.content == draft.content
    accepted = await call(bob, "IncomingRequests.AcceptIncomingRequest", id=draft.id, items=[YES, NO])
    assert accepted.request.status in (
        request_pb2.LOCAL_REQUEST_STATUS_DECIDED,
        request_pb2.LOCAL_REQUEST_STATUS_COMPLETED,
    )
    answered = await request_in(bob, "COMPLETED")
    assert answered.response.accepted
    assert answered.response_delivery.done

    done = await outgoing_in(alice, draft.id, "COMPLETED")
    assert done.response.accepted
    assert done.response.source == answered.response.source
    assert done.response.content == answered.response.content
    items = done.response.content.response.items
    assert items[0].WhichOneof("kind") == "accept"
    assert (items[1].reject.code, items[1].reject.message) == ("no", "No.")
    steps = [(entry.old_status, entry.new_status) for entry in done.status_log]
    assert steps == [
        (request_pb2.LOCAL_REQUEST_STATUS_DRAFT, request_pb2.LOCAL_REQUEST_STATUS_OPEN),
        (request_pb2.LOCAL_REQUEST_STATUS_OPEN, request_pb2.LOCAL_REQUEST_STATUS_COMPLETED),
    ]
    assert await event_types(alice) == [
        "outgoingRequestCreated",
        "outgoingRequestStatusChanged",
        "outgoingRequestStatusChanged",
        "messageProcessed",
    ]
    assert await event_types(bob) == [
        "relationshipTemplateProcessed",
        "incomingRequestReceived",
        *["incomingRequestStatusChanged"] * 3,
    ]
