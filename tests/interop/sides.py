"""The two sides of a request, ours over gRPC and an official one, told and asked in the same words.

What is taken and given is the JSON of the official interface on both sides; ours goes through the public contract.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from google.protobuf import json_format
from google.protobuf.message import Message

from enmeshed.connector.v1 import (
    account_service_pb2,
    attribute_pb2,
    event_pb2,
    files_service_pb2,
    notification_pb2,
    request_pb2,
)
from enmeshed.content.v1 import identity_value_pb2, query_pb2, relationship_value_pb2
from enmeshed_client import Connector as Client
from enmeshed_client import download, upload
from enmeshed_connector.app.connector import Connector
from enmeshed_connector.app.settings import load_settings
from enmeshed_connector.content.codec import ContentCodec
from tests.interop.official_peer.official_peer import OfficialPeer
from tests.interop.steps import FAR_FUTURE, get_answer, load
from tests.interop.steps import ask as ask_for_relationship
from tests.interop.steps import upload as upload_officially

Json = Any  # What the official interface takes and gives.
Decisions = Sequence[Json]
WAIT_SECONDS = 60


class Side(Protocol):
    """One identity that asks and answers requests and keeps attributes."""

    @property
    def address(self) -> str:
        """The address of the identity."""

    async def sync(self) -> None:
        """Fetches what is new."""

    async def ask(self, peer: str, *items: Json, **more: Json) -> str:
        """Sends a request by message and returns its id."""

    async def can_ask(self, peer: str, *items: Json) -> Json:
        """Returns the result of the validation of a request to the peer."""

    async def is_asked(self, request_id: str) -> Json:
        """Fetches what is new, waits until the request can be decided, and returns its content."""

    async def is_decided(self, request_id: str) -> None:
        """Fetches what is new and waits until automation has decided the request and the response is sent."""

    async def is_left_to_people(self, request_id: str) -> None:
        """Fetches what is new and waits until automation has left the request to a manual decision."""

    async def can_accept(self, request_id: str, decisions: Decisions) -> Json:
        """Returns the result of the validation of an acceptance."""

    async def accept(self, request_id: str, decisions: Decisions) -> None:
        """Accepts a request and returns when the response is sent."""

    async def reject(self, request_id: str, decisions: Decisions) -> None:
        """Rejects a request and returns when the response is sent."""

    async def answer(self, request_id: str) -> Json:
        """Fetches what is new, waits until the own request is completed, and returns the response."""

    async def answer_to_template(self, request_id: str) -> Json:
        """The same for a request of an own template, of which this side learns by its answer."""

    async def has_asked(self, request_id: str) -> bool:
        """Tells whether this side knows of the request as its own."""

    async def offer(self, content: Json) -> Json:
        """Makes a relationship template and returns it; only its `id` and `reference` count."""

    async def load(self, template: Json) -> str:
        """Loads a template with a request, waits until that can be decided, and returns the request's id."""

    async def ask_for_relationship(self, template: Json) -> None:
        """Loads a template without a request and asks for a relationship, which is pending then."""

    async def accept_relationship_of(self, peer: str) -> None:
        """Fetches what is new and accepts the pending relationship with the peer."""

    async def relationship_status(self, peer: str) -> str:
        """Returns the status of the relationship with a peer: `Active`."""

    async def terminate_relationship_with(self, peer: str) -> None:
        """Terminates the active relationship with a peer."""

    async def decompose_relationship_with(self, peer: str) -> None:
        """Leaves the terminated relationship with a peer for good."""

    async def create_attribute(self, value: Json, tags: Sequence[str] = ()) -> str:
        """Creates an own identity attribute and returns its id."""

    async def attribute(self, attribute_id: str) -> Json:
        """Returns a local attribute: `@type`, `content`, `peer`, `deletionInfo`, …; None when there is none."""

    async def forwarding(self, attribute_id: str) -> list[Json]:
        """Returns the forwarding details of an attribute."""

    async def found_for_third_party(self, query: Json) -> list[str]:
        """Returns the ids of the attributes that a `ThirdPartyRelationshipAttributeQuery` finds on this side."""

    async def succeed(self, attribute_id: str, value: Json, *peers: str) -> str:
        """Gives an own identity attribute a new version, tells the peers of it, and returns its id."""

    async def succeed_relationship(self, attribute_id: str, value: Json) -> str:
        """Gives an own relationship attribute a new version, which its peer is told of, and returns its id."""

    async def delete(self, attribute_id: str) -> None:
        """Deletes an attribute; whoever has it or gave it is told."""

    async def notified(self, attribute_id: str) -> None:
        """Fetches what is new and waits for the completed notification about an attribute."""

    async def is_told(self, event: str, attribute_id: str) -> None:
        """Waits for an event about an attribute: `ownAttributeDeletedByOwner`."""

    async def upload(self, content: bytes) -> Json:
        """Uploads a file and returns it: `id`, `reference`, `ownershipToken`."""

    async def file(self, file_id: str) -> Json:
        """Returns a file: `owner`, `isOwn`."""

    async def download(self, file_id: str) -> bytes:
        """Returns the content of a file."""


class OfficialSide:
    """An official peer with the modules `request` and `notification`."""

    def __init__(self, peer: OfficialPeer) -> None:
        """Takes a running peer."""
        self.peer = peer

    @property
    def address(self) -> str:
        return self.peer.address

    async def sync(self) -> None:
        await self.peer.sync()

    async def ask(self, peer: str, *items: Json, **more: Json) -> str:
        request = await self.peer.call(
            "consumption.outgoingRequests.create", {"content": {"items": list(items), **more}, "peer": peer}
        )
        await self.peer.call(
            "transport.messages.sendMessage", {"recipients": [peer], "content": request["content"], "attachments": []}
        )
        return str(request["id"])

    async def can_ask(self, peer: str, *items: Json) -> Json:
        return await self.peer.call(
            "consumption.outgoingRequests.canCreate", {"content": {"items": list(items)}, "peer": peer}
        )

    async def is_asked(self, request_id: str) -> Json:
        await self.peer.sync()
        return (await self._decision_required(lambda request: request["id"] == request_id))["content"]

    async def is_decided(self, request_id: str) -> None:
        await self.peer.sync()
        await self._became(request_id, "Completed")

    async def is_left_to_people(self, request_id: str) -> None:
        await self.peer.sync()
        await self._became(request_id, "ManualDecisionRequired")

    async def _became(self, request_id: str, status: str) -> None:
        await self.peer.wait_for(
            "consumption.incomingRequestStatusChanged",
            lambda changed: changed["request"]["id"] == request_id and changed["newStatus"] == status,
        )

    async def _decision_required(self, fits: Callable[[Json], bool]) -> Json:
        changed = await self.peer.wait_for(
            "consumption.incomingRequestStatusChanged",
            lambda changed: fits(changed["request"]) and changed["newStatus"] == "DecisionRequired",
        )
        return changed["request"]

    async def can_accept(self, request_id: str, decisions: Decisions) -> Json:
        return await self.peer.call(
            "consumption.incomingRequests.canAccept", {"requestId": request_id, "items": list(decisions)}
        )

    async def accept(self, request_id: str, decisions: Decisions) -> None:
        await self._decide("accept", request_id, decisions)

    async def reject(self, request_id: str, decisions: Decisions) -> None:
        await self._decide("reject", request_id, decisions)

    async def _decide(self, decision: str, request_id: str, decisions: Decisions) -> None:
        await self.peer.call(
            f"consumption.incomingRequests.{decision}", {"requestId": request_id, "items": list(decisions)}
        )
        await self._became(request_id, "Completed")

    async def answer(self, request_id: str) -> Json:
        return (await get_answer(self.peer, request_id))["response"]["content"]

    async def answer_to_template(self, request_id: str) -> Json:
        await self.peer.sync()
        completed = await self.peer.wait_for(
            "consumption.outgoingRequestCreatedAndCompleted", lambda request: request["id"] == request_id
        )
        return completed["response"]["content"]

    async def has_asked(self, request_id: str) -> bool:
        own = await self.peer.call("consumption.outgoingRequests.getRequests", {"query": {}})
        return request_id in [request["id"] for request in own]

    async def offer(self, content: Json) -> Json:
        return await self.peer.call(
            "transport.relationshipTemplates.createOwnRelationshipTemplate",
            {"content": content, "expiresAt": FAR_FUTURE},
        )

    async def load(self, template: Json) -> str:
        await load(self.peer, template)
        request = await self._decision_required(lambda request: request["source"]["reference"] == template["id"])
        return str(request["id"])

    async def ask_for_relationship(self, template: Json) -> None:
        await ask_for_relationship(self.peer, template)

    async def accept_relationship_of(self, peer: str) -> None:
        await self.peer.sync()
        relationship = await self.peer.call("transport.relationships.getRelationshipByAddress", {"address": peer})
        await self.peer.call("transport.relationships.acceptRelationship", {"relationshipId": relationship["id"]})

    async def relationship_status(self, peer: str) -> str:
        relationship = await self.peer.call("transport.relationships.getRelationshipByAddress", {"address": peer})
        return str(relationship["status"])

    async def terminate_relationship_with(self, peer: str) -> None:
        await self._end_relationship("terminateRelationship", peer)

    async def decompose_relationship_with(self, peer: str) -> None:
        await self._end_relationship("decomposeRelationship", peer)

    async def _end_relationship(self, step: str, peer: str) -> None:
        relationship = await self.peer.call("transport.relationships.getRelationshipByAddress", {"address": peer})
        await self.peer.call(f"transport.relationships.{step}", {"relationshipId": relationship["id"]})

    async def create_attribute(self, value: Json, tags: Sequence[str] = ()) -> str:
        content = {"value": value} | ({"tags": list(tags)} if tags else {})
        made = await self.peer.call("consumption.attributes.createOwnIdentityAttribute", {"content": content})
        return str(made["id"])

    async def attribute(self, attribute_id: str) -> Json:
        found = await self.peer.call("consumption.attributes.getAttributes", {"query": {}})
        return next((attribute for attribute in found if attribute["id"] == attribute_id), None)

    async def forwarding(self, attribute_id: str) -> list[Json]:
        details = await self.peer.call(
            "consumption.attributes.getForwardingDetailsForAttribute", {"attributeId": attribute_id}
        )
        return list(details)

    async def found_for_third_party(self, query: Json) -> list[str]:
        found = await self.peer.call(
            "consumption.attributes.executeThirdPartyRelationshipAttributeQuery", {"query": query}
        )
        return [attribute["id"] for attribute in found]

    async def succeed(self, attribute_id: str, value: Json, *peers: str) -> str:
        succession = await self.peer.call(
            "consumption.attributes.succeedOwnIdentityAttribute",
            {"predecessorId": attribute_id, "successorContent": {"value": value}},
        )
        successor = str(succession["successor"]["id"])
        for peer in peers:
            await self.peer.call(
                "consumption.attributes.notifyPeerAboutOwnIdentityAttributeSuccession",
                {"attributeId": successor, "peer": peer},
            )
        return successor

    async def succeed_relationship(self, attribute_id: str, value: Json) -> str:
        succession = await self.peer.call(
            "consumption.attributes.succeedRelationshipAttributeAndNotifyPeer",
            {"predecessorId": attribute_id, "successorContent": {"value": value}},
        )
        return str(succession["successor"]["id"])

    async def delete(self, attribute_id: str) -> None:
        await self.peer.call("consumption.attributes.deleteAttributeAndNotify", {"attributeId": attribute_id})

    async def notified(self, attribute_id: str) -> None:
        await self.peer.sync()
        async with asyncio.timeout(WAIT_SECONDS):
            while not await self._is_notified(attribute_id):
                # There is no event for it.
                await asyncio.sleep(0.02)

    async def is_told(self, event: str, attribute_id: str) -> None:
        await self.peer.wait_for(f"consumption.{event}", lambda attribute: attribute["id"] == attribute_id)

    async def _is_notified(self, attribute_id: str) -> bool:
        found = await self.peer.call("consumption.notifications.getNotifications", {"query": {"isOwn": "!true"}})
        about = [one for one in found if attribute_id in str(one["content"])]
        return bool(about) and all(one["status"] == "Completed" for one in about)

    async def upload(self, content: bytes) -> Json:
        return await upload_officially(self.peer, content)

    async def file(self, file_id: str) -> Json:
        return await self.peer.call("transport.files.getFile", {"id": file_id})

    async def download(self, file_id: str) -> bytes:
        return bytes((await self.peer.call("transport.files.downloadFile", {"id": file_id}))["content"])


class OurSide:
    """An account of a Connector, reached as its users reach it. Its worker runs; `sync` only makes it quicker."""

    def __init__(self, client: Client, address: str) -> None:
        """Takes a client of the account and the address of its identity. Use `our_side`."""
        self.client = client
        self._address = address
        self._codec = ContentCodec()
        self._events: list[event_pb2.Event] = []
        self._news = asyncio.Condition()

    @property
    def address(self) -> str:
        return self._address

    async def call(self, service: str, method: str, request: Message | None = None, **members: Json) -> Any:
        """Calls a method of a service with the members of its request in their JSON form."""
        stub = getattr(self.client.service(service), method)
        made = request or json_format.ParseDict(members, request_class(service, method)())
        return await self.client.call(stub, made)

    async def hear(self, connected: asyncio.Event) -> None:
        """Keeps all events of the account, for as long as it runs."""
        async for received in self.client.follow("**", on_connected=connected.set):
            self._events.append(received.event)
            async with self._news:
                self._news.notify_all()

    async def wait_for(self, kind: str, fits: Callable[[event_pb2.Event], bool] = lambda event: True) -> Any:
        """Waits for an event of a type that fits and returns it, each once; it may have happened before."""
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._news:
                while True:
                    for event in self._events:
                        if event.type == kind and fits(event):
                            self._events.remove(event)
                            return event
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"no {kind} that fits, but {[event.type for event in self._events[-20:]]}") from None

    async def sync(self) -> None:
        await self.call("Account", "Sync")

    async def ask(self, peer: str, *items: Json, **more: Json) -> str:
        content = {"json": {"@type": "Request", "items": list(items), **more}}
        return str((await self.call("Messages", "SendRequest", peer=peer, content=content)).request.id)

    async def can_ask(self, peer: str, *items: Json) -> Json:
        content = {"json": {"@type": "Request", "items": list(items)}}
        answer = await self.call("OutgoingRequests", "ValidateOutgoingRequest", peer=peer, content=content)
        return verdict(answer.result)

    async def is_asked(self, request_id: str) -> Json:
        await self.sync()
        request = await self._decision_required(lambda request: request.id == request_id)
        return self.json(request.content)

    async def is_decided(self, request_id: str) -> None:
        await self.sync()
        await self._became(request_id, request_pb2.LOCAL_REQUEST_STATUS_COMPLETED)

    async def is_left_to_people(self, request_id: str) -> None:
        await self.sync()
        await self._became(request_id, request_pb2.LOCAL_REQUEST_STATUS_MANUAL_DECISION_REQUIRED)

    async def _became(self, request_id: str, status: request_pb2.LocalRequestStatus.ValueType) -> None:
        await self.wait_for(
            "consumption.incomingRequestStatusChanged",
            lambda event: (
                event.request_status_changed.request.id == request_id
                and event.request_status_changed.new_status == status
            ),
        )

    async def _decision_required(self, fits: Callable[[request_pb2.LocalRequest], bool]) -> request_pb2.LocalRequest:
        event = await self.wait_for(
            "consumption.incomingRequestStatusChanged",
            lambda event: (
                fits(event.request_status_changed.request)
                and event.request_status_changed.new_status == request_pb2.LOCAL_REQUEST_STATUS_DECISION_REQUIRED
            ),
        )
        asked = await self.call("IncomingRequests", "GetIncomingRequest", id=event.request_status_changed.request.id)
        request: request_pb2.LocalRequest = asked.request
        return request

    async def can_accept(self, request_id: str, decisions: Decisions) -> Json:
        items = [self._decision(decision) for decision in decisions]
        return verdict(
            (await self.call("IncomingRequests", "CanAcceptIncomingRequest", id=request_id, items=items)).result
        )

    async def accept(self, request_id: str, decisions: Decisions) -> None:
        await self._decide("Accept", request_id, decisions)

    async def reject(self, request_id: str, decisions: Decisions) -> None:
        await self._decide("Reject", request_id, decisions)

    async def _decide(self, decision: str, request_id: str, decisions: Decisions) -> None:
        items = [self._decision(each) for each in decisions]
        await self.call("IncomingRequests", f"{decision}IncomingRequest", id=request_id, items=items)
        await self._became(request_id, request_pb2.LOCAL_REQUEST_STATUS_COMPLETED)

    def _decision(self, decision: Json) -> Json:
        """Returns the form of the contract for a decision in its official form."""
        if "items" in decision:
            return {"group": {"items": [self._decision(item) for item in decision["items"]]}}
        told = {name: value for name, value in decision.items() if name != "accept"}
        if not decision["accept"]:
            return {"reject": told}
        for name, parameters in (
            ("existingAttributeId", "readAttribute"),
            ("newAttribute", "readAttribute"),
            ("attributeId", "proposeAttribute"),
            ("attribute", "proposeAttribute"),
        ):
            if name in told:
                return {"accept": {parameters: told if name.endswith("Id") else {name: {"json": told[name]}}}}
        if "deletionDate" in told:
            return {"accept": {"deleteAttribute": {"deletionTime": told["deletionDate"]}}}
        if "response" in told:
            return {"accept": {"formField": {"response": _form_field_answer(told["response"])}}}
        return {"accept": {}}

    async def answer(self, request_id: str) -> Json:
        await self.sync()
        request = request_class("OutgoingRequests", "WatchOutgoingRequest")(id=request_id)
        async for state in self.client.service("OutgoingRequests").WatchOutgoingRequest(request, timeout=WAIT_SECONDS):
            if state.request.HasField("response"):
                return self.json(state.request.response.content)
        raise AssertionError(f"{request_id} ended without an answer")

    async def answer_to_template(self, request_id: str) -> Json:
        return await self.answer(request_id)

    async def has_asked(self, request_id: str) -> bool:
        listed = await self.call("OutgoingRequests", "ListOutgoingRequests", pageSize=500)
        return request_id in [request.id for request in listed.requests]

    async def offer(self, content: Json) -> Json:
        made = await self.call(
            "RelationshipTemplates", "CreateTemplate", content={"json": content}, expireTime=FAR_FUTURE
        )
        return {"id": made.template.id, "reference": {"truncated": made.template.reference.truncated}}

    async def load(self, template: Json) -> str:
        await self.call("RelationshipTemplates", "LoadTemplate", reference=template["reference"]["truncated"])
        return (await self._decision_required(lambda request: request.source.reference == template["id"])).id

    async def ask_for_relationship(self, template: Json) -> None:
        loaded = await self.call("RelationshipTemplates", "LoadTemplate", reference=template["reference"]["truncated"])
        content = {"@type": "ArbitraryRelationshipCreationContent", "value": {"ask": True}}
        await self.call(
            "Relationships", "CreateRelationship", templateId=loaded.template.id, creationContent={"json": content}
        )

    async def accept_relationship_of(self, peer: str) -> None:
        await self.sync()
        relationship = (await self.call("Relationships", "GetRelationship", peer=peer)).relationship
        await self.call("Relationships", "AcceptRelationship", id=relationship.id)

    async def relationship_status(self, peer: str) -> str:
        told = json_format.MessageToDict((await self.call("Relationships", "GetRelationship", peer=peer)).relationship)
        return str(told["status"]).removeprefix("RELATIONSHIP_STATUS_").title().replace("_", "")

    async def terminate_relationship_with(self, peer: str) -> None:
        await self._end_relationship("TerminateRelationship", peer)

    async def decompose_relationship_with(self, peer: str) -> None:
        await self._end_relationship("DecomposeRelationship", peer)

    async def _end_relationship(self, step: str, peer: str) -> None:
        relationship = (await self.call("Relationships", "GetRelationship", peer=peer)).relationship
        await self.call("Relationships", step, id=relationship.id)

    async def create_attribute(self, value: Json, tags: Sequence[str] = ()) -> str:
        request = request_class("Attributes", "CreateAttribute")(
            value=self._codec.from_json(value, identity_value_pb2.IdentityAttributeValue), tags=tags
        )
        return str((await self.call("Attributes", "CreateAttribute", request)).attribute.id)

    async def attribute(self, attribute_id: str) -> Json:
        listed = await self.call("Attributes", "ListAttributes", pageSize=500)
        found = next((attribute for attribute in listed.attributes if attribute.id == attribute_id), None)
        if found is None:
            return None
        told: attribute_pb2.LocalAttribute = found
        name = attribute_pb2.LocalAttributeType.Name(told.type).removeprefix("LOCAL_ATTRIBUTE_TYPE_")
        plain = {
            "id": told.id,
            "@type": f"{name.title().replace('_', '')}Attribute",
            "content": self.json(told.content),
            "peer": told.peer,
            "sourceReference": told.source_reference,
            "succeeds": told.succeeds,
            "succeededBy": told.succeeded_by,
            "initialAttributePeer": told.initial_attribute_peer,
        }
        shown = {key: value for key, value in plain.items() if value}
        return shown | ({"deletionInfo": _deletion(told.deletion_info)} if told.HasField("deletion_info") else {})

    async def forwarding(self, attribute_id: str) -> list[Json]:
        listed = await self.call("Attributes", "ListForwardingDetails", id=attribute_id)
        return [
            {"peer": each.peer, "sourceReference": each.source_reference}
            | ({"deletionInfo": _deletion(each.deletion_info)} if each.HasField("deletion_info") else {})
            for each in listed.details
        ]

    async def found_for_third_party(self, query: Json) -> list[str]:
        request = request_class("Attributes", "ExecuteThirdPartyRelationshipAttributeQuery")(
            query=self._codec.from_json(query, query_pb2.ThirdPartyRelationshipAttributeQuery)
        )
        found = await self.call("Attributes", "ExecuteThirdPartyRelationshipAttributeQuery", request)
        return [attribute.id for attribute in found.attributes]

    async def succeed(self, attribute_id: str, value: Json, *peers: str) -> str:
        request = request_class("Attributes", "SucceedAttribute")(predecessor_id=attribute_id)
        request.identity.value.CopyFrom(self._codec.from_json(value, identity_value_pb2.IdentityAttributeValue))
        successor = str((await self.call("Attributes", "SucceedAttribute", request)).successor.id)
        for peer in peers:
            told = await self.call("Attributes", "NotifyPeerAboutSuccession", attributeId=successor, peer=peer)
            await self._told(told.notification_id)
        return successor

    async def succeed_relationship(self, attribute_id: str, value: Json) -> str:
        request = request_class("Attributes", "SucceedAttribute")(predecessor_id=attribute_id)
        request.relationship_value.CopyFrom(
            self._codec.from_json(value, relationship_value_pb2.RelationshipAttributeValue)
        )
        succession = await self.call("Attributes", "SucceedAttribute", request)
        await self._told(succession.notification_id)
        return str(succession.successor.id)

    async def delete(self, attribute_id: str) -> None:
        for notification_id in (await self.call("Attributes", "DeleteAttribute", id=attribute_id)).notification_ids:
            await self._told(notification_id)

    async def _told(self, notification_id: str) -> None:
        """Waits until the message with a notification is sent."""
        await self.wait_for("transport.messageSent", lambda event: notification_id in str(event.message.content))

    async def notified(self, attribute_id: str) -> None:
        await self.sync()
        async with asyncio.timeout(WAIT_SECONDS):
            while not await self._is_notified(attribute_id):
                # There is no event for it.
                await asyncio.sleep(0.02)

    async def is_told(self, event: str, attribute_id: str) -> None:
        await self.wait_for(f"consumption.{event}", lambda told: told.attribute.id == attribute_id)

    async def _is_notified(self, attribute_id: str) -> bool:
        listed = await self.call("Notifications", "ListNotifications", filter={"isOwn": False}, pageSize=500)
        about = [one for one in listed.notifications if attribute_id in str(one.content)]
        completed = notification_pb2.LOCAL_NOTIFICATION_STATUS_COMPLETED
        return bool(about) and all(one.status == completed for one in about)

    async def upload(self, content: bytes) -> Json:
        metadata = json_format.ParseDict(
            {"filename": "note.txt", "mediaType": "text/plain", "expireTime": FAR_FUTURE},
            files_service_pb2.UploadMetadata(),
        )
        file = await upload(self.client, content, metadata)
        return {
            "id": file.id,
            "reference": {"truncated": file.reference.truncated},
            "ownershipToken": file.ownership_token,
        }

    async def file(self, file_id: str) -> Json:
        file = (await self.call("Files", "GetFile", id=file_id)).file
        return {"id": file.id, "owner": file.owner, "isOwn": file.is_own}

    async def download(self, file_id: str) -> bytes:
        request = files_service_pb2.DownloadFileRequest(id=file_id)
        return (await download(self.client.files.DownloadFile(request))).content

    def json(self, content: Any) -> Json:
        """Returns the JSON that a content stands for."""
        return self._codec.json_from_content(content)


def request_class(service: str, method: str) -> Any:
    """Returns the class of the requests of a method."""
    module = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in service).lstrip("_")
    return getattr(importlib.import_module(f"enmeshed.connector.v1.{module}_service_pb2"), f"{method}Request")


def verdict(result: request_pb2.RequestValidationResult) -> Json:
    """Returns a validation result in its official form."""
    items = [verdict(item) for item in result.items]
    told = {"isSuccess": result.is_success, "code": result.code, "items": items}
    return {name: value for name, value in told.items() if name == "isSuccess" or value}


def _deletion(info: attribute_pb2.AttributeDeletionInfo) -> Json:
    name = attribute_pb2.AttributeDeletionStatus.Name(info.deletion_status)
    return {"deletionStatus": name.removeprefix("ATTRIBUTE_DELETION_STATUS_").title().replace("_", "")}


def _form_field_answer(response: Json) -> Json:
    if isinstance(response, bool):
        return {"boolean": response}
    if isinstance(response, list):
        return {"selection": {"options": response}}
    return {"text" if isinstance(response, str) else "number": response}


@asynccontextmanager
async def our_sides(
    base_url: str, folder: Path, count: int = 1, overrides: Mapping[str, str] | None = None
) -> AsyncIterator[list[OurSide]]:
    """Runs a Connector with some accounts against a Backbone that runs elsewhere, for the length of a block.

    Args:
        base_url: Where the Backbone is.
        folder: Where the Connector keeps its data.
        count: How many accounts: `account0`, `account1`, …
        overrides: Further settings, by dotted names.
    """
    names = [f"account{number}" for number in range(count)]
    flags = {
        "server.port": "0",
        "server.drain_seconds": "1",
        "backbone.base_url": base_url,
        "database.folder": str(folder),
        **{f"accounts.{name}.create_identity": "true" for name in names},
        **(overrides or {}),
    }
    async with Connector(load_settings(file=None, environment={}, flags=flags), environment={}) as connector:
        await connector.wait_until_ready()
        async with AsyncExitStack() as stack:
            target = f"localhost:{connector.port}"
            yield [await stack.enter_async_context(_account(target, name)) for name in names]


@asynccontextmanager
async def _account(target: str, name: str) -> AsyncIterator[OurSide]:
    """Connects to an account and hears its events, for the length of a block."""
    async with Client(target, account=name) as client:
        info = await client.call(client.account.GetIdentityInfo, account_service_pb2.GetIdentityInfoRequest())
        side = OurSide(client, info.account.address)
        connected = asyncio.Event()
        hearing = asyncio.create_task(side.hear(connected))
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await connected.wait()
            yield side
        finally:
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                await hearing


async def befriend(ours: OurSide, official: OfficialSide) -> None:
    """Gives two sides an active relationship that both know of."""
    content = {"@type": "ArbitraryRelationshipTemplateContent", "value": {}}
    await ask_for_relationship(official.peer, await ours.offer(content))
    await ours.accept_relationship_of(official.address)
    await official.sync()


async def acquaint(first: Side, second: Side) -> None:
    """Gives two sides of any kind an active relationship that both know of."""
    content = {"@type": "ArbitraryRelationshipTemplateContent", "value": {}}
    await second.ask_for_relationship(await first.offer(content))
    await first.accept_relationship_of(second.address)
    await second.sync()
