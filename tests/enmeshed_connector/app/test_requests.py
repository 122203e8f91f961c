"""Requests through the public interface: two accounts of a whole Connector ask and answer each other."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from enmeshed.connector.v1 import (
    event_pb2,
    files_service_pb2,
    outgoing_requests_service_pb2,
    request_pb2,
)
from enmeshed_client import Connector as Client
from enmeshed_client import upload
from tests.support.connector import RunningConnector, relate, running_connector
from tests.support.deliveries import forget, give_up
from tests.support.named_calls import call, failure, until

YES: dict[str, Any] = {"accept": {}}
NO: dict[str, Any] = {"reject": {"code": "no", "message": "No."}}
UNKNOWN = "REQ00000000000000000"


def consent(text: str = "May we?", *, must: bool = True) -> dict[str, Any]:
    return {"consent": {"consent": text, "mustBeAccepted": must}}


def authentication(*, must: bool = True) -> dict[str, Any]:
    return {"authentication": {"title": "It is me", "mustBeAccepted": must}}


def asks(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"request": {"items": list(items or (consent(),)), **more}}


async def incoming(client: Client, **filters: Any) -> list[request_pb2.LocalRequest]:
    await call(client, "Account.Sync")
    return list((await call(client, "IncomingRequests.ListIncomingRequests", filter=filters)).requests)


async def request_in(client: Client, status: str) -> Any:
    """Returns the one incoming request once it is in a state."""
    wanted = request_pb2.LocalRequestStatus.Value(f"LOCAL_REQUEST_STATUS_{status}")
    (found,) = await until(lambda: incoming(client), is_so=lambda found: bool(found) and found[0].status == wanted)
    return found


async def undecided(client: Client) -> Any:
    """Returns the one incoming request once automation, which has no rules, has left it to somebody else."""
    return await request_in(client, "MANUAL_DECISION_REQUIRED")


async def outgoing_in(client: Client, request_id: str, status: str) -> Any:
    wanted = request_pb2.LocalRequestStatus.Value(f"LOCAL_REQUEST_STATUS_{status}")

    async def read() -> Any:
        await call(client, "Account.Sync")
        return (await call(client, "OutgoingRequests.GetOutgoingRequest", id=request_id)).request

    return await until(read, is_so=lambda found: found.status == wanted)


async def event_types(client: Client) -> list[str]:
    listed = await call(client, "Events.ListEvents", types=["consumption.*"])
    return [event.type.removeprefix("consumption.") for event in listed.events]


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

    received = await undecided(bob)
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
    seen = await event_types(bob)
    assert seen[:3] == ["relationshipTemplateProcessed", "incomingRequestReceived", "incomingRequestStatusChanged"]
    assert seen[-2:] == ["incomingRequestStatusChanged", "incomingRequestStatusChanged"]


async def test_a_request_is_made_and_sent_in_one_step_and_rejected(
    running: RunningConnector, alice: Client, bob: Client
) -> None:
    await relate(running)
    key = alice.idempotency_key()
    asked = {"peer": running.accounts["bob"], "content": asks(consent(must=False)), "idempotencyKey": key}
    sent = await call(alice, "Messages.SendRequest", **asked)
    assert sent.request.status == request_pb2.LOCAL_REQUEST_STATUS_OPEN
    assert sent.request.source.reference == sent.message.id
    assert not sent.message.HasField("content")
    assert (await call(alice, "Messages.SendRequest", **asked)).request == sent.request

    assert (await undecided(bob)).id == sent.request.id
    rejection = {"id": sent.request.id, "items": [NO], "idempotencyKey": bob.idempotency_key()}
    # The same call several times at once is one decision.
    reject = (call(bob, "IncomingRequests.RejectIncomingRequest", **rejection) for _ in range(4))
    assert {one.request.id for one in await asyncio.gather(*reject)} == {sent.request.id}
    answered = await request_in(bob, "COMPLETED")
    assert (await call(bob, "IncomingRequests.RejectIncomingRequest", **rejection)).request == answered
    done = await outgoing_in(alice, sent.request.id, "COMPLETED")
    assert not done.response.accepted
    assert done.response.content.response.items[0].reject.code == "no"
    assert len((await call(alice, "Messages.ListMessages")).messages) == 2
    assert await event_types(alice) == [
        "outgoingRequestCreated",
        "outgoingRequestStatusChanged",
        "outgoingRequestStatusChanged",
        "messageProcessed",
    ]


async def test_what_cannot_be_sent_leaves_no_request(running: RunningConnector, alice: Client) -> None:
    refused = await failure(
        alice, "Messages.SendRequest", peer=running.accounts["bob"], content=asks(), idempotencyKey=""
    )
    assert (refused.reason, refused.facts["code"]) == (
        "RELATIONSHIP_MISSING",
        "error.consumption.requests.missingRelationship",
    )
    assert not (await call(alice, "OutgoingRequests.ListOutgoingRequests")).requests


@pytest.mark.parametrize(
    ("content", "reason", "code"),
    [
        (asks(expiresAt="2020-01-01T00:00:00Z"), "TIME_IN_PAST", "cannotCreateRequestWithExpirationDateInPast"),
        (asks({"consent": {"consent": "", "mustBeAccepted": True, "linkDisplayText": "a"}}), "CONTENT_INVALID", None),
        (asks(id="REQ00000000000000001"), "INVALID_ARGUMENT", None),
        ({"mail": {"to": ["did:e:localhost:dids:3333333333333333333333"]}}, "CONTENT_TYPE_NOT_ALLOWED", None),
        (
            asks({"deleteAttribute": {"attributeId": "ATT00000000000000001", "mustBeAccepted": True}}),
            "REQUEST_INVALID",
            "invalidRequestItem",
        ),
    ],
)
async def test_a_request_that_may_not_be_made_is_refused(
    running: RunningConnector, alice: Client, content: dict[str, Any], reason: str, code: str | None
) -> None:
    await relate(running)
    peer = running.accounts["bob"]
    refused = await failure(alice, "OutgoingRequests.CreateOutgoingRequest", peer=peer, content=content)
    assert refused.reason == reason
    if code is None:
        assert (
            await failure(alice, "OutgoingRequests.ValidateOutgoingRequest", peer=peer, content=content)
        ).reason == reason
        return
    assert refused.facts["code"] == f"error.consumption.requests.{code}"
    result = (await call(alice, "OutgoingRequests.ValidateOutgoingRequest", peer=peer, content=content)).result
    assert not result.is_success
    assert f"error.consumption.requests.{code}" in {result.code, *(item.code for item in result.items)}


async def test_a_file_is_handed_over_by_its_truncated_reference(running: RunningConnector, alice: Client) -> None:
    await relate(running)
    file = await upload(alice, b"take it", files_service_pb2.UploadMetadata(filename="a.txt"))
    assert file.reference.url != file.reference.truncated

    def handing_over(reference: str) -> dict[str, Any]:
        item = {"fileReference": reference, "ownershipToken": file.ownership_token, "mustBeAccepted": True}
        return asks({"transferFileOwnership": item})

    draft = await create(alice, running.accounts["bob"], handing_over(file.reference.url))
    made = await call(
        alice,
        "RelationshipTemplates.CreateTemplate",
        content={"relationshipTemplateContent": {"onNewRelationship": handing_over(file.reference.url)["request"]}},
        expireTime="2099-01-01T00:00:00Z",
    )
    offered = made.template.content.relationship_template_content.on_new_relationship
    for request in (draft.content.request, offered):
        assert request.items[0].transfer_file_ownership.file_reference == file.reference.truncated
    # What was made can be sent as it is.
    await send(alice, draft)


async def test_a_request_is_not_for_oneself(running: RunningConnector, alice: Client) -> None:
    refused = await failure(
        alice, "OutgoingRequests.CreateOutgoingRequest", peer=running.accounts["alice"], content=asks()
    )
    assert refused.reason == "REQUEST_TO_SELF"


async def test_only_drafts_are_sent_once_and_unchanged(running: RunningConnector, alice: Client, bob: Client) -> None:
    await relate(running)
    peer = running.accounts["bob"]
    draft = await create(alice, peer, asks(title="First"))
    content = json_format.MessageToDict(draft.content)

    async def refusal(**changes: Any) -> str:
        changed = {"request": {**content["request"], **changes}}
        return (await failure(alice, "Messages.SendMessage", recipients=[peer], content=changed)).reason

    assert await refusal(title="Second") == "REQUEST_CONTENT_CHANGED"
    assert await refusal(id=UNKNOWN) == "NOT_FOUND"
    key = alice.idempotency_key()
    first = await send(alice, draft, idempotencyKey=key)
    assert await send(alice, draft, idempotencyKey=key) == first
    assert await refusal() == "REQUEST_ALREADY_SENT"
    discarded = await failure(alice, "OutgoingRequests.DiscardOutgoingRequest", id=draft.id)
    assert (discarded.reason, discarded.facts["status"]) == ("WRONG_REQUEST_STATUS", "Open")

    other = await create(alice, peer, asks())
    await call(alice, "OutgoingRequests.DiscardOutgoingRequest", id=other.id)
    assert (await failure(alice, "OutgoingRequests.GetOutgoingRequest", id=other.id)).reason == "NOT_FOUND"
    assert [one.id for one in await incoming(bob)] == [draft.id]
    assert (await failure(bob, "OutgoingRequests.GetOutgoingRequest", id=draft.id)).reason == "NOT_FOUND"


async def test_decisions_are_checked_and_nothing_is_done(running: RunningConnector, alice: Client, bob: Client) -> None:
    await relate(running)
    group = {"group": {"title": "More", "items": [consent("One"), authentication(must=False)]}}
    content = asks(consent(must=False), group)
    identifier = (await call(alice, "Messages.SendRequest", peer=running.accounts["bob"], content=content)).request.id
    await undecided(bob)
    prefix = "error.consumption.requests.decide.validation."

    async def codes(method: str, *items: dict[str, Any]) -> list[str]:
        checked = await call(bob, f"IncomingRequests.Can{method}IncomingRequest", id=identifier, items=list(items))
        refused = await failure(bob, f"IncomingRequests.{method}IncomingRequest", id=identifier, items=list(items))
        assert refused.reason == "DECISION_INVALID"
        found: list[str] = []

        def walk(result: Any) -> None:
            if not result.is_success and not result.items:
                found.append(result.code.removeprefix(prefix))
            for item in result.items:
                walk(item)

        walk(checked.result)
        assert refused.facts["code"].removeprefix(prefix) == found[0]
        return found

    decided = {"group": {"items": [YES, NO]}}
    assert await codes("Accept", YES) == ["invalidNumberOfItems"]
    assert await codes("Accept", YES, YES) == ["requestItemGroupAnsweredAsRequestItem"]
    assert await codes("Accept", decided, decided) == ["requestItemAnsweredAsRequestItemGroup"]
    assert await codes("Accept", YES, {"group": {"items": [YES]}}) == ["invalidNumberOfItems"]
    assert await codes("Accept", YES, {"group": {"items": [NO, YES]}}) == ["mustBeAcceptedItemNotAccepted"]
    assert await codes("Reject", YES, {"group": {"items": [NO, YES]}}) == ["itemAcceptedButRequestNotAccepted"] * 2
    assert (
        await call(bob, "IncomingRequests.CanAcceptIncomingRequest", id=identifier, items=[YES, decided])
    ).result == (
        request_pb2.RequestValidationResult(
            is_success=True,
            items=[],
        )
    )
    assert (await undecided(bob)).id == identifier

    accept = {"id": identifier, "items": [YES, decided], "idempotencyKey": bob.idempotency_key()}
    await call(bob, "IncomingRequests.AcceptIncomingRequest", **accept)
    await call(bob, "IncomingRequests.AcceptIncomingRequest", **accept)
    answered = await request_in(bob, "COMPLETED")
    again = await failure(bob, "IncomingRequests.AcceptIncomingRequest", id=identifier, items=[YES, decided])
    assert (again.reason, again.facts["status"]) == ("WRONG_REQUEST_STATUS", "Completed")
    done = await outgoing_in(alice, identifier, "COMPLETED")
    assert done.response.content == answered.response.content
    answers = done.response.content.response.items[1].group.items
    assert [one.WhichOneof("kind") for one in answers] == ["accept", "reject"]
    deleted = await failure(bob, "IncomingRequests.DeleteIncomingRequest", id=identifier)
    assert deleted.reason == "REQUEST_NOT_EXPIRED"


async def template(client: Client, **requests: Any) -> Any:
    made = await call(
        client,
        "RelationshipTemplates.CreateTemplate",
        content={"relationshipTemplateContent": requests},
        expireTime="2099-01-01T00:00:00Z",
    )
    return made.template


async def load(client: Client, made: Any) -> None:
    await call(client, "RelationshipTemplates.LoadTemplate", reference=made.reference.truncated)


async def processed(client: Client) -> list[str]:
    """Returns what came of the templates that were loaded."""
    listed = await call(client, "Events.ListEvents", types=["consumption.relationshipTemplateProcessed"])
    return [
        event_pb2.ProcessingResult.Name(event.relationship_template_processed.result).removeprefix("PROCESSING_RESULT_")
        for event in listed.events
    ]


async def test_a_template_asks_for_a_relationship_and_accepting_makes_it(alice: Client, bob: Client) -> None:
    made = await template(alice, onNewRelationship=asks(consent(), authentication())["request"], title="Hello")
    assert made.content.relationship_template_content.on_new_relationship.expires_at == made.expire_time
    await load(bob, made)
    received = await undecided(bob)
    assert received.source == request_pb2.RequestSource(
        type=request_pb2.REQUEST_SOURCE_TYPE_RELATIONSHIP_TEMPLATE, reference=made.id
    )
    await load(bob, made)
    await load(bob, await template(alice, onNewRelationship=asks()["request"]))
    assert (await processed(bob))[-2:] == ["NON_COMPLETED_REQUEST_EXISTS"] * 2
    early = await failure(
        bob,
        "Relationships.CreateRelationship",
        templateId=made.id,
        creationContent={
            "relationshipCreationContent": {
                "response": {"result": "RESPONSE_RESULT_ACCEPTED", "requestId": received.id, "items": [{"accept": {}}]}
            }
        },
    )
    assert early.reason == "NO_ACCEPTED_INCOMING_REQUEST"

    await call(bob, "IncomingRequests.AcceptIncomingRequest", id=received.id, items=[YES, YES])
    answered = await request_in(bob, "COMPLETED")
    (relationship,) = (await call(bob, "Relationships.ListRelationships")).relationships
    assert answered.response.source == request_pb2.RequestSource(
        type=request_pb2.REQUEST_SOURCE_TYPE_RELATIONSHIP, reference=relationship.id
    )
    assert relationship.creation_content.relationship_creation_content.response == answered.response.content.response
    done = await outgoing_in(alice, received.id, "COMPLETED")
    assert done.response.accepted
    assert done.response.source == answered.response.source
    assert done.source == received.source
    assert await event_types(alice) == [
        "outgoingRequestCreatedAndCompleted",
        "outgoingRequestFromRelationshipCreationCreatedAndCompleted",
    ]
    await call(alice, "Relationships.AcceptRelationship", id=relationship.id)


async def test_events_tell_what_they_are_about_and_keep_secrets(alice: Client, bob: Client) -> None:
    made = await template(alice, onNewRelationship=asks(consent())["request"])
    await load(bob, made)
    received = await undecided(bob)
    await call(bob, "IncomingRequests.AcceptIncomingRequest", id=received.id, items=[YES])
    await request_in(bob, "COMPLETED")
    await outgoing_in(alice, received.id, "COMPLETED")
    listed = (await call(bob, "Events.ListEvents", types=["consumption.*"])).events
    by_type = {event.type.removeprefix("consumption."): event for event in listed}
    assert by_type["incomingRequestReceived"].request.id == received.id
    last = by_type["incomingRequestStatusChanged"].request_status_changed
    assert (last.old_status, last.new_status) == (
        request_pb2.LOCAL_REQUEST_STATUS_DECIDED,
        request_pb2.LOCAL_REQUEST_STATUS_COMPLETED,
    )
    assert last.request.response.accepted
    of_template = by_type["relationshipTemplateProcessed"].relationship_template_processed
    assert (of_template.template.id, of_template.request_id) == (made.id, received.id)
    (created, from_relationship) = (await call(alice, "Events.ListEvents", types=["consumption.*"])).events
    assert created.request == from_relationship.request
    assert created.request.content.request.items[0].consent.consent == "May we?"


async def test_a_rejected_template_is_told_to_nobody(alice: Client, bob: Client) -> None:
    made = await template(alice, onNewRelationship=asks(consent())["request"])
    await load(bob, made)
    received = await undecided(bob)
    rejected = await call(bob, "IncomingRequests.RejectIncomingRequest", id=received.id, items=[NO])
    assert rejected.request.status == request_pb2.LOCAL_REQUEST_STATUS_COMPLETED
    assert not rejected.request.response.accepted
    assert not rejected.request.response.HasField("source")
    assert not rejected.request.HasField("response_delivery")
    assert not (await call(bob, "Relationships.ListRelationships")).relationships
    # Somebody may change their mind: the template asks again.
    await load(bob, made)
    waiting = ["LOCAL_REQUEST_STATUS_DECISION_REQUIRED", "LOCAL_REQUEST_STATUS_MANUAL_DECISION_REQUIRED"]
    assert len(await incoming(bob, statuses=waiting)) == 1


async def test_a_template_asks_those_who_have_a_relationship_by_message(
    running: RunningConnector, alice: Client, bob: Client
) -> None:
    await relate(running)
    await load(bob, await template(alice, onNewRelationship=asks()["request"]))
    assert await processed(bob) == ["NO_REQUEST", "RELATIONSHIP_EXISTS"]
    made = await template(
        alice, onNewRelationship=asks()["request"], onExistingRelationship=asks(authentication())["request"]
    )
    await load(bob, made)
    received = await undecided(bob)
    assert received.content.request.items[0].authentication.title == "It is me"
    await call(bob, "IncomingRequests.AcceptIncomingRequest", id=received.id, items=[YES])
    answered = await request_in(bob, "COMPLETED")
    assert answered.response.source.type == request_pb2.REQUEST_SOURCE_TYPE_MESSAGE
    done = await outgoing_in(alice, received.id, "COMPLETED")
    assert done.source.reference == made.id
    assert done.response.source == answered.response.source
    assert "outgoingRequestCreatedAndCompleted" in await event_types(alice)


@pytest.mark.parametrize(
    ("request_of_template", "reason"),
    [
        (asks(expiresAt="2099-01-01T00:00:00.001Z"), "REQUEST_EXPIRES_AFTER_TEMPLATE"),
        (asks(expiresAt="2020-01-01T00:00:00Z"), "TIME_IN_PAST"),
        (
            asks({"deleteAttribute": {"attributeId": "ATT00000000000000001", "mustBeAccepted": True}}),
            "REQUEST_INVALID",
        ),
    ],
)
async def test_a_template_with_a_request_that_may_not_be_made_is_refused(
    alice: Client, request_of_template: dict[str, Any], reason: str
) -> None:
    refused = await failure(
        alice,
        "RelationshipTemplates.CreateTemplate",
        content={"relationshipTemplateContent": {"onNewRelationship": request_of_template["request"]}},
        expireTime="2099-01-01T00:00:00Z",
    )
    assert refused.reason == reason


async def test_requests_are_found_by_what_they_are(running: RunningConnector, alice: Client, bob: Client) -> None:
    await relate(running)
    peer = running.accounts["bob"]
    first = (await call(alice, "Messages.SendRequest", peer=peer, content=asks(consent()))).request
    group = {"group": {"items": [authentication()]}}
    second = (await call(alice, "Messages.SendRequest", peer=peer, content=asks(group))).request
    draft = await create(alice, peer, asks(authentication(), expiresAt="2090-01-01T00:00:00Z"))

    async def found(**filters: Any) -> list[str]:
        listed = await call(alice, "OutgoingRequests.ListOutgoingRequests", filter=filters, orderBy="create_time")
        return [one.id for one in listed.requests]

    everything = [first.id, second.id, draft.id]
    assert await found() == await found(peer={"anyOf": [peer]}) == everything
    assert await found(statuses=["LOCAL_REQUEST_STATUS_DRAFT"]) == [draft.id]
    assert await found(id={"anyOf": [second.id]}) == [second.id]
    assert await found(itemType={"anyOf": ["ConsentRequestItem"]}) == [first.id]
    assert await found(groupItemType={"anyOf": ["AuthenticationRequestItem"]}) == [second.id]
    assert await found(expireTime={"exists": True}) == [draft.id]
    assert await found(sourceTypes=["REQUEST_SOURCE_TYPE_MESSAGE"]) == [first.id, second.id]
    assert await found(sourceReference={"anyOf": [first.source.reference]}) == [first.id]
    await until(lambda: incoming(bob), is_so=lambda requests: len(requests) == 2)
    await call(bob, "IncomingRequests.AcceptIncomingRequest", id=first.id, items=[YES])
    await outgoing_in(alice, first.id, "COMPLETED")
    assert await found(responseAccepted=True) == [first.id]
    assert await found(responseAccepted=False) == []
    assert await found(responseItemType={"anyOf": ["AcceptResponseItem"]}) == [first.id]
    assert await found(responseSourceTypes=["REQUEST_SOURCE_TYPE_MESSAGE"]) == [first.id]
    assert [one.id for one in await incoming(bob, wasAutomaticallyDecided=True)] == []
    basic = await call(alice, "OutgoingRequests.ListOutgoingRequests", view="VIEW_BASIC", pageSize=1)
    assert basic.next_page_token
    assert not basic.requests[0].HasField("content")
    assert basic.requests[0].HasField("expire_time")


async def test_an_overdue_request_is_expired_and_can_be_deleted(
    running: RunningConnector, alice: Client, bob: Client
) -> None:
    await relate(running)
    # Long enough to be sent in, on any machine.
    soon = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    content = asks(consent(), expiresAt=soon)
    sent = (await call(alice, "Messages.SendRequest", peer=running.accounts["bob"], content=content)).request
    # Nobody reads the requests of alice: the event tells that the timer was there.
    await until(lambda: event_types(alice), is_so=lambda found: found.count("outgoingRequestStatusChanged") == 2)
    await request_in(bob, "EXPIRED")
    refused = await failure(bob, "IncomingRequests.AcceptIncomingRequest", id=sent.id, items=[YES])
    assert refused.reason == "REQUEST_EXPIRED"
    await call(bob, "IncomingRequests.DeleteIncomingRequest", id=sent.id)
    assert await incoming(bob) == []
    assert (await outgoing_in(alice, sent.id, "EXPIRED")).id == sent.id


async def watched(client: Client, request_id: str) -> list[str]:
    """Returns the states that a watch shows until it ends."""
    stub: Any = client.service("OutgoingRequests")
    request = outgoing_requests_service_pb2.WatchOutgoingRequestRequest(id=request_id)
    prefix = "LOCAL_REQUEST_STATUS_"
    return [
        request_pb2.LocalRequestStatus.Name(frame.request.status).removeprefix(prefix)
        async for frame in stub.WatchOutgoingRequest(request)
    ]


async def test_a_request_is_watched_until_it_is_answered(running: RunningConnector, alice: Client, bob: Client) -> None:
    await relate(running)
    draft = await create(alice, running.accounts["bob"], asks())
    stub: Any = alice.service("OutgoingRequests")
    watching = stub.WatchOutgoingRequest(outgoing_requests_service_pb2.WatchOutgoingRequestRequest(id=draft.id))
    status = request_pb2.LocalRequestStatus

    async def next_status() -> str:
        async with asyncio.timeout(60):
            return status.Name((await watching.read()).request.status).removeprefix("LOCAL_REQUEST_STATUS_")

    assert await next_status() == "DRAFT"
    await send(alice, draft)
    assert await next_status() == "OPEN"
    await undecided(bob)
    await call(bob, "IncomingRequests.AcceptIncomingRequest", id=draft.id, items=[YES])
    assert await next_status() == "COMPLETED"
    assert await watching.read() == grpc.aio.EOF
    assert await watched(alice, draft.id) == ["COMPLETED"]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await watched(alice, UNKNOWN)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_watch_ends_when_the_server_stops(tmp_path: Path) -> None:
    async with running_connector(tmp_path, is_related=True) as running, running.client("alice") as alice:
        draft = await create(alice, running.accounts["bob"], asks())
        watching = asyncio.create_task(watched(alice, draft.id))
        await asyncio.sleep(0)
        stub: Any = alice.service("OutgoingRequests")
        stream = stub.WatchOutgoingRequest(outgoing_requests_service_pb2.WatchOutgoingRequestRequest(id=draft.id))
        await stream.read()
        running.connector.readiness.drain()
        for ended in (stream.read(), watching):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ended
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_rejection_that_the_peer_could_not_read_is_refused(
    running: RunningConnector, alice: Client, bob: Client
) -> None:
    await relate(running)
    content = asks(consent(must=False))
    sent = (await call(alice, "Messages.SendRequest", peer=running.accounts["bob"], content=content)).request
    await undecided(bob)
    too_long: dict[str, Any] = {"reject": {"code": "no", "message": "😀" * 501}}
    code = "error.consumption.requests.servalErrorDuringRequestItemProcessing"
    able = await call(bob, "IncomingRequests.CanRejectIncomingRequest", id=sent.id, items=[too_long])
    assert (able.result.is_success, able.result.items[0].code) == (False, code)
    refused = await failure(bob, "IncomingRequests.RejectIncomingRequest", id=sent.id, items=[too_long])
    assert (refused.reason, refused.facts["code"]) == ("DECISION_INVALID", code)
    assert [violation.field for violation in refused.violations] == ["items[0].reject.message"]
    (waiting,) = await incoming(bob)
    assert not waiting.HasField("response")

    longest: dict[str, Any] = {"reject": {"code": "c" * 200, "message": "😀" * 500}}
    await call(bob, "IncomingRequests.RejectIncomingRequest", id=sent.id, items=[longest])
    done = await outgoing_in(alice, sent.id, "COMPLETED")
    (item,) = done.response.content.response.items
    assert (item.reject.code, item.reject.message) == ("c" * 200, "😀" * 500)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
async def test_an_answer_that_is_no_number_of_json_is_refused(
    running: RunningConnector, alice: Client, bob: Client, number: str
) -> None:
    await relate(running)
    item = {"formField": {"title": "How much?", "mustBeAccepted": False, "settings": {"doubleField": {}}}}
    sent = (await call(alice, "Messages.SendRequest", peer=running.accounts["bob"], content=asks(item))).request
    await undecided(bob)
    answer = {"accept": {"formField": {"response": {"number": number}}}}
    code = "error.consumption.requests.invalidAcceptParameters"
    able = await call(bob, "IncomingRequests.CanAcceptIncomingRequest", id=sent.id, items=[answer])
    assert able.result.items[0].code == code
    refused = await failure(bob, "IncomingRequests.AcceptIncomingRequest", id=sent.id, items=[answer])
    assert (refused.reason, refused.facts["code"]) == ("DECISION_INVALID", code)
    assert refused.violations[0].field.startswith("items[0]")


async def test_an_acceptance_says_no_more_than_its_item_takes(
    running: RunningConnector, alice: Client, bob: Client
) -> None:
    await relate(running)
    sent = (await call(alice, "Messages.SendRequest", peer=running.accounts["bob"], content=asks(consent()))).request
    await undecided(bob)
    filled: dict[str, Any] = {"accept": {"formField": {"response": {"text": "yes"}}}}
    code = "error.consumption.requests.invalidAcceptParameters"
    able = await call(bob, "IncomingRequests.CanAcceptIncomingRequest", id=sent.id, items=[filled])
    assert able.result.items[0].code == code
    refused = await failure(bob, "IncomingRequests.AcceptIncomingRequest", id=sent.id, items=[filled])
    assert (refused.reason, refused.facts["code"]) == ("DECISION_INVALID", code)
    assert [violation.field for violation in refused.violations] == ["items[0].accept"]
    await call(bob, "IncomingRequests.AcceptIncomingRequest", id=sent.id, items=[YES])


async def test_a_response_that_was_given_up_is_seen_and_tried_again(
    running: RunningConnector, alice: Client, bob: Client
) -> None:
    made = await template(alice, onNewRelationship=asks()["request"])
    await load(bob, made)
    received = await undecided(bob)
    early = await failure(bob, "IncomingRequests.RetryIncomingRequest", id=received.id)
    assert early.reason == "WRONG_REQUEST_STATUS"
    await call(alice, "RelationshipTemplates.DeleteTemplate", id=made.id)
    await call(bob, "IncomingRequests.AcceptIncomingRequest", id=received.id, items=[YES])
    await give_up(running, "bob", f"response:{received.id}")

    async def delivery() -> request_pb2.ResponseDelivery:
        shown = await call(bob, "IncomingRequests.GetIncomingRequest", id=received.id)
        found: request_pb2.ResponseDelivery = shown.request.response_delivery
        return found

    given_up = await delivery()
    assert not given_up.done and not given_up.HasField("next_attempt_time")
    assert given_up.last_error_reason
    retry = {"id": received.id, "idempotencyKey": bob.idempotency_key()}
    retried = (await call(bob, "IncomingRequests.RetryIncomingRequest", **retry)).request
    assert retried.status == request_pb2.LOCAL_REQUEST_STATUS_DECIDED
    again = await until(delivery, is_so=lambda found: found.attempts > given_up.attempts)
    assert again.HasField("next_attempt_time")
    # The same call is one; another one does not wait until what is put off is tried by itself.
    await call(bob, "IncomingRequests.RetryIncomingRequest", **retry)
    assert (await delivery()).attempts == again.attempts
    await call(bob, "IncomingRequests.RetryIncomingRequest", id=received.id)
    await until(delivery, is_so=lambda found: found.attempts > again.attempts)
    await forget(running, "bob", f"response:{received.id}")
    refused = await failure(bob, "IncomingRequests.RetryIncomingRequest", id=received.id)
    assert refused.reason == "RESPONSE_NOT_GIVEN_UP"
    assert (await failure(bob, "IncomingRequests.RetryIncomingRequest", id=UNKNOWN)).reason == "NOT_FOUND"
