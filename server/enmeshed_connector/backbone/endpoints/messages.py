"""Messages: encrypted bodies with a key for each recipient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, path_of
from enmeshed_connector.backbone.paging import Page, Pager, page_of
from enmeshed_connector.backbone.wire import Fields, encode_json, off_loop_when_large, one
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.ids import DEVICE, FILE, MESSAGE, DeviceId, FileId, MessageId


@dataclass(frozen=True, slots=True)
class NewMessageRecipient:
    """One recipient of a message to be sent."""

    address: Address
    encrypted_key: bytes = field(repr=False)
    """The UTF-8 JSON of the cipher of the message's key, 30 to 300 bytes."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What sends a message."""

    body: bytes = field(repr=False)
    """The UTF-8 JSON of the cipher, 1 byte to 10 MiB."""
    recipients: Sequence[NewMessageRecipient]
    attachment_ids: Sequence[FileId] = ()

    def wire(self) -> bytes:
        """Returns the exact body of the request."""
        return encode_json(
            {
                "attachments": [{"id": attachment_id} for attachment_id in self.attachment_ids],
                "body": self.body,
                "recipients": [
                    {"address": recipient.address, "encryptedKey": recipient.encrypted_key}
                    for recipient in self.recipients
                ],
            }
        )


@dataclass(frozen=True, slots=True)
class BackboneRecipient:
    """One recipient of a message; a recipient sees only itself."""

    address: Address
    """The pseudonym of a deleted identity once the sender has decomposed the relationship."""
    encrypted_key: bytes = field(repr=False)
    received_at: datetime | None
    received_by_device: DeviceId | None


@dataclass(frozen=True, slots=True)
class BackboneMessage:
    """A message as the Backbone hands it out."""

    id: MessageId
    """`MSG…`."""
    created_at: datetime
    created_by: Address
    created_by_device: DeviceId
    body: bytes = field(repr=False)
    attachment_ids: tuple[FileId, ...]
    recipients: tuple[BackboneRecipient, ...]


@dataclass(frozen=True, slots=True)
class SentMessage:
    """The id and date that the Backbone gave to a message."""

    id: MessageId
    created_at: datetime


class Messages:
    """Sends and fetches messages."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def send(self, message: NewMessage | bytes) -> SentMessage:
        """Sends a message; takes also the exact body that `NewMessage.wire` gave.

        Raises:
            BackboneRejected: `validation.message.noRelationshipToRecipientExists`, `.relationshipToRecipientNotActive`,
                `.maxNumberOfUnreceivedMessagesReached`.
            QuotaExhausted: `NumberOfSentMessages`.
            AnswerLost: The message may be sent; the own messages tell (`list().pages_backwards()`).
        """
        if isinstance(message, bytes):
            body = message
        else:
            body = await off_loop_when_large(message.wire, len(message.body))
        return await self._caller.call(
            Call("messages.send", "POST", path_of("Messages"), one(_sent), Repeat.NEVER, body=body)
        )

    async def get(self, message_id: MessageId) -> BackboneMessage:
        """Fetches a message that the caller sent or receives; the first time marks it as received by this device.

        Raises:
            RecordNotFound: Unknown, foreign, or hidden by a decomposition.
        """
        return await self._caller.call(
            Call("messages.get", "GET", path_of("Messages", message_id), one(_message), Repeat.SAFE)
        )

    def list(self, ids: Sequence[MessageId] = ()) -> Pager[BackboneMessage]:
        """Lists sent and received messages, all or by id, ascending by creation; marks them as received."""
        call: Call[Page[BackboneMessage]] = Call(
            "messages.list",
            "GET",
            path_of("Messages"),
            page_of(_message),
            Repeat.SAFE,
            query=[("ids", message_id) for message_id in ids],
        )
        return Pager(self._caller, call)


def _sent(fields: Fields) -> SentMessage:
    return SentMessage(fields.id(MESSAGE, "id"), fields.date("createdAt"))


def _message(fields: Fields) -> BackboneMessage:
    return BackboneMessage(
        id=fields.id(MESSAGE, "id"),
        created_at=fields.date("createdAt"),
        created_by=fields.address("createdBy"),
        created_by_device=fields.id(DEVICE, "createdByDevice"),
        body=fields.data("body"),
        attachment_ids=fields.items("attachments", lambda attachment: attachment.id(FILE, "id")),
        recipients=fields.items("recipients", _recipient),
    )


def _recipient(fields: Fields) -> BackboneRecipient:
    return BackboneRecipient(
        address=fields.address("address"),
        encrypted_key=fields.data("encryptedKey"),
        received_at=fields.date_or_none("receivedAt"),
        received_by_device=fields.id_or_none(DEVICE, "receivedByDevice"),
    )
