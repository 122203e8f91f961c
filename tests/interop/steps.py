"""Steps that several interoperability tests take with official peers."""

from __future__ import annotations

from typing import Any, Protocol

from tests.interop.official_peer.official_peer import OfficialPeer

FAR_FUTURE = "2099-01-01T00:00:00.000Z"

Json = Any  # What the official runtime takes and gives.


class Addressee(Protocol):
    """Somebody to whom messages can be sent."""

    @property
    def address(self) -> str:
        """The address of the identity."""


async def offer(owner: OfficialPeer, content: Json = None, **limits: Json) -> Json:
    """Makes a relationship template and returns it.

    Args:
        owner: Who makes it.
        content: Its content; None for an arbitrary one.
        limits: `maxNumberOfAllocations`, `forIdentity`, `passwordProtection`.
    """
    content = content or {"@type": "ArbitraryRelationshipTemplateContent", "value": {"offer": True}}
    return await owner.call(
        "transport.relationshipTemplates.createOwnRelationshipTemplate",
        {"content": content, "expiresAt": FAR_FUTURE, **limits},
    )


async def load(reader: OfficialPeer, template: Json, password: str | None = None) -> Json:
    """Loads a peer's template by its reference."""
    params = {"reference": template["reference"]["truncated"]} | ({"password": password} if password else {})
    return await reader.call("transport.relationshipTemplates.loadPeerRelationshipTemplate", params)


async def ask(requester: OfficialPeer, template: Json) -> Json:
    """Loads the template and asks for a relationship, which is pending then."""
    loaded = await load(requester, template)
    return await requester.call(
        "transport.relationships.createRelationship",
        {
            "templateId": loaded["id"],
            "creationContent": {"@type": "ArbitraryRelationshipCreationContent", "value": {"ask": True}},
        },
    )


async def ask_and_sync(owner: OfficialPeer, requester: OfficialPeer) -> str:
    """Gets a pending relationship known to both sides and returns its id."""
    relationship = await ask(requester, await offer(owner))
    await owner.sync()
    await owner.wait_for("transport.relationshipChanged", lambda changed: changed["id"] == relationship["id"])
    return str(relationship["id"])


async def connect(owner: OfficialPeer, requester: OfficialPeer) -> str:
    """Gets an active relationship known to both sides and returns its id."""
    relationship_id = await ask_and_sync(owner, requester)
    await change(owner, "acceptRelationship", relationship_id)
    await requester.sync()
    await requester.wait_for("transport.relationshipChanged", has_status(relationship_id, "Active"))
    return relationship_id


async def change(peer: OfficialPeer, transition: str, relationship_id: str) -> Json:
    """Takes one step of a relationship's life: `acceptRelationship`, `terminateRelationship`, …"""
    return await peer.call(f"transport.relationships.{transition}", {"relationshipId": relationship_id})


async def get_relationship(peer: OfficialPeer, relationship_id: str) -> Json:
    """Returns the relationship as this peer has it stored."""
    return await peer.call("transport.relationships.getRelationship", {"id": relationship_id})


def has_status(relationship_id: str, status: str) -> Any:
    """Returns a predicate for `transport.relationshipChanged`."""
    return lambda changed: changed["id"] == relationship_id and changed["status"] == status


def reasons(relationship: Json) -> list[str]:
    """Returns the reasons of the audit log in its order."""
    return [entry["reason"] for entry in relationship["auditLog"]]


async def send_mail(
    sender: OfficialPeer, *recipients: Addressee, body: str, attachments: list[str] | None = None
) -> Json:
    """Sends a mail and returns the message."""
    addresses = [recipient.address for recipient in recipients]
    return await sender.call(
        "transport.messages.sendMessage",
        {
            "recipients": addresses,
            "content": {"@type": "Mail", "to": addresses, "subject": "Test", "body": body},
            "attachments": attachments or [],
        },
    )


async def receive(recipient: OfficialPeer, message_id: str) -> Json:
    """Fetches what is new and returns the message of that id, which must be among it."""
    await recipient.sync()
    return await recipient.wait_for("transport.messageReceived", lambda message: message["id"] == message_id)


async def upload(owner: OfficialPeer, content: bytes, filename: str = "note.txt", **more: Json) -> Json:
    """Uploads a file and returns its metadata."""
    return await owner.call(
        "transport.files.uploadOwnFile",
        {"content": content, "filename": filename, "mimetype": "text/plain", "expiresAt": FAR_FUTURE, **more},
    )


async def send_request(sender: OfficialPeer, recipient: OfficialPeer, items: list[Json], **more: Json) -> Json:
    """Sends a request by message, lets the recipient fetch it and returns the recipient's local request.

    Both peers need the `request` module.
    """
    request = await sender.call(
        "consumption.outgoingRequests.create", {"content": {"items": items, **more}, "peer": recipient.address}
    )
    await sender.call(
        "transport.messages.sendMessage", {"recipients": [recipient.address], "content": request["content"]}
    )
    await recipient.sync()
    changed = await recipient.wait_for(
        "consumption.incomingRequestStatusChanged",
        lambda changed: changed["request"]["id"] == request["id"] and changed["newStatus"] == "DecisionRequired",
    )
    return changed["request"]


async def answer(recipient: OfficialPeer, request_id: str, items: list[Json], decision: str = "accept") -> Json:
    """Decides a request that came by message and returns the message with the response, once it is sent."""
    await recipient.call(f"consumption.incomingRequests.{decision}", {"requestId": request_id, "items": items})
    return await recipient.wait_for(
        "transport.messageSent",
        lambda sent: sent["content"]["@type"] == "ResponseWrapper" and sent["content"]["requestId"] == request_id,
    )


async def get_answer(sender: OfficialPeer, request_id: str) -> Json:
    """Fetches what is new and returns the sender's request, which is completed then."""
    await sender.sync()
    changed = await sender.wait_for(
        "consumption.outgoingRequestStatusChanged",
        lambda changed: changed["request"]["id"] == request_id and changed["newStatus"] == "Completed",
    )
    return changed["request"]
