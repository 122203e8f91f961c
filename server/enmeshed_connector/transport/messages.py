"""Messages: sent once, received once, readable by their recipients alone.

Source: transport.md, section 17; crypto.md, section 11.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from enmeshed_connector.backbone.endpoints.messages import NewMessage, NewMessageRecipient
from enmeshed_connector.core.addresses import Address, client_pseudonym, parse_address
from enmeshed_connector.core.canonical_json import JsonObject, sort_members
from enmeshed_connector.core.encodings import from_base64url
from enmeshed_connector.core.ids import FILE, parse_id
from enmeshed_connector.crypto.messages import MessageRecipient, message_text, seal_message
from enmeshed_connector.crypto.relationship_secrets import RelationshipSecrets
from enmeshed_connector.crypto.symmetric import Cipher, SecretKey
from enmeshed_connector.storage import FilterLike, SortLike
from enmeshed_connector.transport import events
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import FileNotInMessage, PeerDeleted, RecordMissing, RelationshipNotActive
from enmeshed_connector.transport.external_events import ExternalEventProcessor
from enmeshed_connector.transport.files import FileController
from enmeshed_connector.transport.listeners import Listeners
from enmeshed_connector.transport.message_documents import subjects_of_message
from enmeshed_connector.transport.message_operations import SendMessage
from enmeshed_connector.transport.message_processors import (
    MessageDelivered,
    MessageReceived,
    fetch_messages,
    with_receipts,
)
from enmeshed_connector.transport.objects import FILES, MESSAGES, Document, public_part
from enmeshed_connector.transport.pending import Operation, Ticket
from enmeshed_connector.transport.relationship_documents import Status, relationship_with
from enmeshed_connector.transport.work import LOCAL_CAUSE, Cause, Work

_INLINE_CHARACTERS = 64 * 1024
"""A text up to this length is encrypted on the event loop; a thread would cost more than it saves."""


class MessageController:
    """Messages of one account. Documents are Message (transport.md, section 8.1)."""

    def __init__(self, context: AccountContext, listeners: Listeners, files: FileController) -> None:
        """Takes the account, who hears of messages, and the files that are attached to them."""
        self._context = context
        self._files = files
        self._send = SendMessage(context, listeners)
        self.operations: Sequence[Operation] = (self._send,)
        self.processors: Sequence[ExternalEventProcessor] = (
            MessageReceived(context, listeners, files),
            MessageDelivered(context),
        )

    async def send(
        self,
        recipients: Sequence[str],
        content: JsonObject,
        *,
        attachments: Sequence[str] = (),
        ticket: Ticket | None = None,
        cause: Cause = LOCAL_CAUSE,
    ) -> Document:
        """Sends a message and returns it once the Backbone has it.

        Args:
            recipients: Addresses, at least one, none twice.
            content: JSON with `@type`.
            attachments: Ids of stored files.
            ticket: The caller's idempotency key.
            cause: Where the request comes from.

        Raises:
            RelationshipNotActive: A recipient has no relationship that is Active or Terminated; all such are named.
            PeerDeleted: A recipient's identity is deleted; all such are named.
            RecordMissing: A file is not stored.
            OutcomeUnknown: It was sent, and no answer came.
            BackboneError: The Backbone refuses, or is away.
        """
        earlier = await self._context.outbox.earlier_result(ticket)
        if earlier is not None:
            return await self.get(earlier["id"])
        relationships = await self.check_recipients(recipients)
        references = []
        for file_id in attachments:
            file = await self._context.store.get(FILES, file_id)
            if file is None:
                raise RecordMissing("file", file_id)
            references.append(self._files.reference_of(file))
        sealed_for = []
        for relationship in relationships:
            name = relationship["relationshipSecretId"]
            secrets = await self._context.secrets.load(name, RelationshipSecrets)
            counter = await self._context.counters.next(name)
            sealed_for.append(MessageRecipient(parse_address(relationship["peer"]["address"]), secrets, counter))
        key = SecretKey.generate(self._context.random)
        addresses = [recipient.address for recipient in sealed_for]
        text = message_text(content, addresses, self._context.clock.now(), references)

        def seal() -> tuple[str, dict[Address, bytes]]:
            sealed = seal_message(text, sealed_for, key, random=self._context.random)
            keys = {address: from_base64url(wire, "encryptedKey") for address, wire in sealed.encrypted_keys.items()}
            message = NewMessage(
                from_base64url(sealed.body, "body"),
                [NewMessageRecipient(address, keys[address]) for address in addresses],
                [parse_id(FILE, file_id) for file_id in attachments],
            )
            return message.wire().decode(), keys

        wire, keys = seal() if len(text) <= _INLINE_CHARACTERS else await asyncio.to_thread(seal)
        document = {
            "attachments": list(attachments),
            "content": content,
            "createdBy": self._context.identity.address,
            "createdByDevice": self._context.device.id,
            "isOwn": True,
            "receivedByEveryone": False,
            "recipients": [
                {
                    "address": address,
                    "encryptedKey": Cipher.from_text(keys[address], "encryptedKey").to_json(verbose=False),
                    "relationshipId": relationship["id"],
                }
                for address, relationship in zip(addresses, relationships, strict=True)
            ],
            "secretKey": key.to_json(verbose=False),
        }
        result = await self._context.outbox.run(
            self._send, wire=wire, plan={"document": document}, ticket=ticket, cause=cause
        )
        return await self.get(result["id"])

    async def check_recipients(self, recipients: Sequence[str]) -> list[Document]:
        """Returns the relationships through which a message to these recipients goes, in their order.

        Raises:
            RelationshipNotActive: A recipient has no relationship that is Active or Terminated; all such are named.
            PeerDeleted: A recipient's identity is deleted; all such are named.
        """
        relationships, without, deleted = [], [], []
        for address in recipients:
            relationship = await relationship_with(self._context.store, address)
            if relationship is None or relationship["status"] not in (Status.ACTIVE, Status.TERMINATED):
                without.append(address)
                continue
            if relationship.get("peerDeletionInfo", {}).get("deletionStatus") == "Deleted":
                deleted.append(address)
            relationships.append(relationship)
        if without:
            raise RelationshipNotActive(
                f"There is no active or terminated relationship with {', '.join(without)}.",
                facts={"recipients": ",".join(without)},
            )
        if deleted:
            raise PeerDeleted(
                f"These identities are deleted: {', '.join(deleted)}.", facts={"recipients": ",".join(deleted)}
            )
        return relationships

    async def get(self, message_id: str) -> Document:
        """Returns a stored message.

        Raises:
            RecordMissing: It is not stored.
        """
        document = await self._context.store.get(MESSAGES, message_id)
        if document is None:
            raise RecordMissing("message", message_id)
        return public_part(document)

    async def find(
        self, where: FilterLike = None, *, sort: Sequence[SortLike] = (), limit: int | None = None
    ) -> list[Document]:
        """Returns stored messages."""
        found = await self._context.store.find(MESSAGES, where, sort=sort, limit=limit)
        return [public_part(document) for document in found]

    async def attachment(self, message_id: str, file_id: str) -> Document:
        """Returns a file that is attached to a message.

        Raises:
            RecordMissing: The message is not stored.
            FileNotInMessage: The file is not attached to it.
        """
        message = await self.get(message_id)
        if file_id not in message["attachments"]:
            raise FileNotInMessage(
                f"File {file_id} is not attached to message {message_id}.",
                facts={"messageId": message_id, "fileId": file_id},
            )
        return await self._files.get(file_id)

    async def mark_as_read(self, message_id: str, *, cause: Cause = LOCAL_CAUSE) -> Document:
        """Marks a message as read, unless it is, and returns it.

        Raises:
            RecordMissing: It is not stored.
        """

        async def mark(work: Work) -> Document:
            message = await work.require(MESSAGES, message_id, "message")
            if "wasReadAt" in message:
                return message
            return await self._mark(sort_members({**message, "wasReadAt": work.now}), work)

        return public_part(await self._context.commits.run(mark, cause=cause))

    async def mark_as_unread(self, message_id: str, *, cause: Cause = LOCAL_CAUSE) -> Document:
        """Marks a message as unread, unless it is, and returns it.

        Raises:
            RecordMissing: It is not stored.
        """

        async def mark(work: Work) -> Document:
            message = await work.require(MESSAGES, message_id, "message")
            if "wasReadAt" not in message:
                return message
            return await self._mark({name: value for name, value in message.items() if name != "wasReadAt"}, work)

        return public_part(await self._context.commits.run(mark, cause=cause))

    async def refresh(self, message_ids: Sequence[str], *, cause: Cause = LOCAL_CAUSE) -> None:
        """Brings own messages to the state of the Backbone: who has received them, and when.

        Raises:
            BackboneError: The Backbone is away.
        """
        remotes = await fetch_messages(self._context, message_ids)

        async def keep(work: Work) -> None:
            for remote in remotes:
                message = await work.get(MESSAGES, remote.id)
                if message is not None:
                    await work.save(MESSAGES, with_receipts(message, remote))

        await self._context.commits.run(keep, cause=cause)

    async def forget_peer(self, relationship: Document, work: Work) -> None:
        """Removes what a decomposed relationship leaves: its messages, or its peer from those with other recipients."""
        pseudonym = client_pseudonym(self._context.settings.host_of_pseudonyms)
        for message in await work.find(MESSAGES, {"recipients.relationshipId": relationship["id"]}):
            gone = (None, relationship["id"])
            others = [one for one in message["recipients"] if one.get("relationshipId") not in gone]
            if not message["isOwn"] or not others:
                await work.remove(MESSAGES, message["id"])
                continue
            recipients = [
                {**{name: value for name, value in one.items() if name != "relationshipId"}, "address": pseudonym}
                if one.get("relationshipId") == relationship["id"]
                else one
                for one in message["recipients"]
            ]
            await work.save(MESSAGES, {**message, "recipients": recipients})

    async def _mark(self, message: Document, work: Work) -> Document:
        await work.save(MESSAGES, message)
        work.publish(events.MESSAGE_WAS_READ_AT_CHANGED, message, subjects=subjects_of_message(message))
        return message
