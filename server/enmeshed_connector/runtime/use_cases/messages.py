"""Messages. Source: connector.md, section 3.10."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.errors import FieldViolation
from enmeshed_connector.core.ids import NOTIFICATION, parse_id
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.runtime.use_cases.common import (
    ContentTypeNotAllowedHere,
    Entry,
    Intent,
    NoActiveRelationship,
    PeerInDeletion,
    RecipientsMismatch,
    list_page,
)
from enmeshed_connector.runtime.views import View, Views
from enmeshed_connector.storage import FilterLike, Keyset, SortLike
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.objects import MESSAGES
from enmeshed_connector.transport.relationship_documents import Status

RequestCheck = Callable[[JsonObject, str], Awaitable[None]]
"""Returns when a request that a message should carry may be sent to this peer now, else raises."""


class MessageUseCases:
    """What callers can do with messages."""

    def __init__(self, transport: TransportAccount, views: Views, check_request: RequestCheck) -> None:
        """Takes the account, and who knows of requests."""
        self._transport = transport
        self._views = views
        self._check_request = check_request

    async def send(
        self, recipients: Sequence[str], content: JsonObject, intent: Intent, *, attachments: Sequence[str] = ()
    ) -> View:
        """Sends a message.

        Raises:
            ContentInvalid, ContentTypeNotAllowed: The content breaks a rule.
            RecipientsMismatch: The recipients of a mail are not those of the message.
            NoActiveRelationship, PeerInDeletion: A recipient cannot be sent this now.
            DomainError: Those of `MessageController.send`.
        """
        earlier = await self._transport.context.outbox.earlier_result(intent.ticket)
        if earlier is not None:
            return await self.get(earlier["id"])
        ContentValidator(self._transport.context.clock.now()).validate_message_content(content)
        if content["@type"] != "Request":
            await self._check(content, recipients)
            return await self._send(recipients, content, intent, attachments)
        # A draft is sent once, however many calls want to.
        async with self._transport.context.locks.hold(f"request:{content.get('id')}"):
            earlier = await self._transport.context.outbox.earlier_result(intent.ticket)
            if earlier is not None:
                return await self.get(earlier["id"])
            await self._check(content, recipients)
            await self._check_request(content, recipients[0])
            return await self._send(recipients, content, intent, attachments)

    async def send_new_request(
        self, peer: str, content: JsonObject, intent: Intent, *, attachments: Sequence[str] = ()
    ) -> View:
        """Sends a request that has just been checked, and is stored together with its message.

        Raises:
            NoActiveRelationship, PeerInDeletion: The peer cannot be sent this now.
            DomainError: Those of `MessageController.send`.
        """
        await self._check(content, [peer])
        return await self._send([peer], content, intent, attachments)

    async def _send(
        self, recipients: Sequence[str], content: JsonObject, intent: Intent, attachments: Sequence[str]
    ) -> View:
        message = await self._transport.messages.send(
            recipients, content, attachments=attachments, ticket=intent.ticket, cause=intent.cause
        )
        return self._views.message(message)

    async def get(self, message_id: str) -> View:
        """Returns a message, or raises `RecordMissing`."""
        return self._views.message(await self._transport.messages.get(message_id))

    async def get_with_attachments(self, message_id: str) -> tuple[View, list[View]]:
        """Returns a message and its files, or raises `RecordMissing`."""
        message = await self._transport.messages.get(message_id)
        files = [
            self._views.file(await self._transport.messages.attachment(message_id, file_id))
            for file_id in message["attachments"]
        ]
        return self._views.message(message), files

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next messages of a list."""
        return await list_page(
            self._transport.context.store,
            MESSAGES,
            self._views.message,
            where=where,
            sort=sort,
            limit=limit,
            after=after,
        )

    async def attachment(self, message_id: str, file_id: str) -> View:
        """Returns an attached file. Errors: of `MessageController.attachment`."""
        return self._views.file(await self._transport.messages.attachment(message_id, file_id))

    async def download_attachment(self, message_id: str, file_id: str) -> tuple[View, bytes]:
        """Returns an attached file with its content. Errors: of `attachment` and `FileController.download`."""
        await self._transport.messages.attachment(message_id, file_id)
        file, content = await self._transport.files.download(file_id)
        return self._views.file(file), content

    async def mark_as_read(self, message_id: str, intent: Intent) -> View:
        """Marks a message as read. Errors: `RecordMissing`."""
        return self._views.message(await self._transport.messages.mark_as_read(message_id, cause=intent.cause))

    async def mark_as_unread(self, message_id: str, intent: Intent) -> View:
        """Marks a message as unread. Errors: `RecordMissing`."""
        return self._views.message(await self._transport.messages.mark_as_unread(message_id, cause=intent.cause))

    async def _check(self, content: JsonObject, recipients: Sequence[str]) -> None:
        content_type = content.get("@type")
        if content_type == "Notification":
            try:
                parse_id(NOTIFICATION, content["id"], "content.id")
            except MalformedValue as error:
                # Content of any id would be sent, but kept as a notification on neither side.
                raise ContentInvalid(error.violations) from None
        if content_type == "Mail":
            violations = _mismatches(content, recipients)
            if violations:
                raise RecipientsMismatch(
                    "The mail's `to` and `cc` together must be exactly the message's recipients.", violations=violations
                )
        if content_type == "Request" and len(recipients) != 1:
            raise ContentTypeNotAllowedHere("A request has exactly one recipient.")
        relationships = await self._transport.messages.check_recipients(recipients)
        if content_type == "Notification":
            # What attributes became is told whoever has them, also past the end of a relationship.
            return
        inactive = [one["peer"]["address"] for one in relationships if one["status"] != Status.ACTIVE]
        if inactive:
            raise NoActiveRelationship(
                f"There is no active relationship with {', '.join(inactive)}.",
                facts={"recipients": ",".join(inactive)},
            )
        leaving = [one["peer"]["address"] for one in relationships if "peerDeletionInfo" in one]
        if leaving:
            raise PeerInDeletion(
                f"These identities are about to be deleted: {', '.join(leaving)}.",
                facts={"recipients": ",".join(leaving)},
            )


def _mismatches(mail: JsonObject, recipients: Sequence[str]) -> list[FieldViolation]:
    """Returns which lists of a mail name others than the recipients, or not all of them."""
    left = Counter(recipients)
    violations = []
    for name in ("to", "cc"):
        named = Counter(mail.get(name) or [])
        if named - left:
            violations.append(FieldViolation(f"content.{name}", "must name recipients of the message only, each once"))
        left -= named
    if left and not violations:
        violations.append(FieldViolation("content.to", "must name, together with cc, all recipients of the message"))
    return violations
