"""Messages as external events tell of them. Source: transport.md, sections 13, 17.3 and 17.4."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from enmeshed_connector.backbone.endpoints.messages import BackboneMessage, Messages
from enmeshed_connector.core.canonical_json import JsonObject, sort_members
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.encodings import to_base64url
from enmeshed_connector.core.ids import MESSAGE, parse_id
from enmeshed_connector.core.malformed import Mismatch, MissingValue, WrongType
from enmeshed_connector.core.references import FileReference
from enmeshed_connector.crypto.messages import open_message
from enmeshed_connector.crypto.relationship_secrets import RelationshipSecrets
from enmeshed_connector.crypto.symmetric import Cipher
from enmeshed_connector.transport import events
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.external_events import ExternalEvent, ExternalEventProcessor, payload_text
from enmeshed_connector.transport.files import FileController
from enmeshed_connector.transport.listeners import Listeners
from enmeshed_connector.transport.message_documents import subjects_of_message
from enmeshed_connector.transport.objects import EXACT_CONTENT, FILES, MESSAGES, Document, without_unset
from enmeshed_connector.transport.relationship_documents import relationship_with
from enmeshed_connector.transport.work import Work

_IDS_PER_REQUEST = 100
"""Ids travel in the query, and servers take some 8 KiB of it."""

_INLINE_CHARACTERS = 64 * 1024
"""A body up to this length is opened on the event loop; a thread would cost more than it saves."""


async def fetch_messages(context: AccountContext, message_ids: Sequence[str]) -> list[BackboneMessage]:
    """Returns the messages with these ids that the Backbone has for this identity, in few requests.

    Raises:
        BackboneError: The Backbone is away.
    """
    ids = [parse_id(MESSAGE, identifier) for identifier in message_ids]
    found: list[BackboneMessage] = []
    for start in range(0, len(ids), _IDS_PER_REQUEST):
        found += await Messages(context.backbone).list(ids[start : start + _IDS_PER_REQUEST]).collect()
    return found


class MessageReceived(ExternalEventProcessor):
    """A peer sent a message."""

    type = "MessageReceived"
    shares_commit = True

    def __init__(self, context: AccountContext, listeners: Listeners, files: FileController) -> None:
        """Takes the account, who hears of the message, and the files that come with it."""
        self._context = context
        self._listeners = listeners
        self._files = files

    async def fetch(self, events: Sequence[ExternalEvent]) -> Mapping[str, Any]:
        """Reads the messages of many events in a few requests."""
        wanted: dict[str, str] = {}
        for event in events:
            identifier = event.payload.get("id")
            if isinstance(identifier, str) and len(identifier) == 20:
                wanted[identifier] = event.id
        if len(wanted) < 2:
            return {}
        return {wanted[remote.id]: remote for remote in await fetch_messages(self._context, list(wanted))}

    async def process(self, event: ExternalEvent, fetched: Any, work: Work) -> None:
        """Opens, checks and stores the message."""
        message_id = parse_id(MESSAGE, payload_text(event, "id"))
        if await work.get(MESSAGES, message_id) is not None:
            # What follows from it became durable in the same commit, or on the device that shared it.
            return
        remote: BackboneMessage = fetched or await Messages(self._context.backbone).get(message_id)
        relationship = await relationship_with(work, remote.created_by)
        if relationship is None:
            raise RecordMissing("relationship with", remote.created_by)
        message = await self._open(remote, relationship, work)
        await work.create(MESSAGES, message)
        work.publish(events.MESSAGE_RECEIVED, message, subjects=subjects_of_message(message))
        await self._listeners.message_received(message, work)

    async def _open(self, remote: BackboneMessage, relationship: Document, work: Work) -> Document:
        secrets = await self._context.secrets.load(relationship["relationshipSecretId"], RelationshipSecrets, work=work)
        own = self._context.identity.address
        keys = {recipient.address: to_base64url(recipient.encrypted_key) for recipient in remote.recipients}
        body = to_base64url(remote.body)
        opened = (
            open_message(own, keys, body, secrets)
            if len(body) <= _INLINE_CHARACTERS
            else await asyncio.to_thread(open_message, own, keys, body, secrets)
        )
        attachments = await self._attachments(opened.members, remote, work)
        if "content" not in opened.members:
            raise MissingValue("content", "is missing in the message")
        mine = next(recipient for recipient in remote.recipients if recipient.address == own)
        document = {EXACT_CONTENT: opened.content_text} if opened.content_text is not None else {}
        return sort_members(
            document
            | {
                "@type": "Message",
                "attachments": attachments,
                "content": opened.members["content"],
                "createdAt": format_date(remote.created_at),
                "createdBy": remote.created_by,
                "createdByDevice": remote.created_by_device,
                "id": remote.id,
                "isOwn": False,
                "receivedByEveryone": False,
                "recipients": [
                    without_unset(
                        address=own,
                        encryptedKey=Cipher.from_text(mine.encrypted_key, "encryptedKey").to_json(verbose=False),
                        receivedAt=None if mine.received_at is None else format_date(mine.received_at),
                        receivedByDevice=mine.received_by_device,
                        relationshipId=relationship["id"],
                    )
                ],
                "secretKey": opened.key.to_json(verbose=False),
            }
        )

    async def _attachments(self, members: JsonObject, remote: BackboneMessage, work: Work) -> list[str]:
        """Returns the ids of the attached files, having stored what is known of them."""
        entries = members.get("attachments", [])
        if not isinstance(entries, list):
            raise WrongType("attachments", "must be a list")
        references = [FileReference.from_json(entry, f"attachments[{place}]") for place, entry in enumerate(entries)]
        announced = set(remote.attachment_ids)
        for place, reference in enumerate(references):
            if reference.id not in announced:
                raise Mismatch(f"attachments[{place}].id", "is not among the attachments that the Backbone names")
            if await work.get(FILES, reference.id) is None:
                await self._files.keep(await self._files.fetch(reference), work)
        return [reference.id for reference in references]


class MessageDelivered(ExternalEventProcessor):
    """An own message was fetched by a recipient. Present Backbones do not tell of it."""

    type = "MessageDelivered"

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context

    async def process(self, event: ExternalEvent, fetched: Any, work: Work) -> None:
        """Stores who has received the message."""
        message_id = parse_id(MESSAGE, payload_text(event, "id"))
        message = await work.require(MESSAGES, message_id, "message")
        changed = with_receipts(message, await Messages(self._context.backbone).get(message_id))
        await work.save(MESSAGES, changed)
        work.publish(events.MESSAGE_DELIVERED, changed, subjects=subjects_of_message(changed))


def with_receipts(message: Document, remote: BackboneMessage) -> Document:
    """Returns an own message with what the Backbone knows of who has received it."""
    known = {recipient.address: recipient for recipient in remote.recipients if recipient.received_at is not None}
    recipients = []
    for recipient in message["recipients"]:
        receipt = known.get(recipient["address"])
        if receipt is not None and receipt.received_at is not None:
            recipients.append(
                sort_members(
                    without_unset(
                        **recipient
                        | {
                            "receivedAt": format_date(receipt.received_at),
                            "receivedByDevice": receipt.received_by_device,
                        }
                    )
                )
            )
        else:
            recipients.append(recipient)
    return {**message, "recipients": recipients}
