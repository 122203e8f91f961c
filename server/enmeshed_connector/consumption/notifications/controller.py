"""Notifications of one account: sent, received, processed. Source: consumption.md, section 13."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from enmeshed_connector.consumption.attributes.controller import AttributeController
from enmeshed_connector.consumption.attributes.deletion import DeletionNotice
from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.deliveries import Deliveries, Delivery
from enmeshed_connector.consumption.notifications import events
from enmeshed_connector.consumption.notifications.documents import (
    NOTIFICATIONS,
    NotificationStatus,
    notification_document,
    unsent_document,
)
from enmeshed_connector.consumption.notifications.errors import NotificationNotFailed
from enmeshed_connector.consumption.notifications.items import NotificationItems
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import JsonObject, sort_members
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.core.ids import NOTIFICATION, parse_id
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work

DELIVERY_PREFIX: Final = "notification:"
"""What the ids of the deliveries of notifications begin with."""


class NotificationController:
    """Notifications of one account. Documents are LocalNotification.

    All functions that take a `Work` take part in a commit.
    """

    def __init__(self, context: AccountContext, attributes: AttributeController, deliveries: Deliveries) -> None:
        """Takes the account, who keeps its attributes, and who sends."""
        self._context = context
        self._items = NotificationItems(attributes)
        self._deliveries = deliveries
        self._logger = structlog.get_logger(__name__).bind(account=context.account)

    def new_id(self) -> str:
        """Returns the id of a notification that will be sent, for what has to name it."""
        return self._context.ids.new(NOTIFICATION)

    async def send(
        self, peer: str, items: Sequence[JsonObject], work: Work, *, notification_id: str | None = None
    ) -> str:
        """Has a notification sent to a peer once the commit is durable, and returns its id."""
        identifier = notification_id or self.new_id()
        content = sort_members({"@type": "Notification", "id": identifier, "items": list(items)})
        await self._deliveries.enqueue(
            Delivery.message(id=f"{DELIVERY_PREFIX}{identifier}", peer=peer, content=content), work
        )
        return identifier

    async def sent(self, message: Document, work: Work) -> None:
        """Stores a notification that an own message to one recipient carries."""
        content, peer = message["content"], message["recipients"][0]["address"]
        self._validate(content, received=False)
        if await work.get(NOTIFICATIONS, content["id"]) is not None:
            self._ignore(message, "there is one of this id already")
            return
        notification = notification_document(
            message, content, peer=peer, status=NotificationStatus.SENT, received_by=None
        )
        await work.create(NOTIFICATIONS, notification)
        events.publish_status(work, notification)
        delivery_id = f"{DELIVERY_PREFIX}{content['id']}"
        delivery = await self._deliveries.get(work, delivery_id)
        if delivery is not None and delivery["peer"] == peer:
            await self._deliveries.done(delivery_id, work)

    async def receive(self, message: Document, work: Work) -> None:
        """Stores the notification in a message of a peer and does what it says, if that can be done.

        Raises:
            DomainError: It is none that can be stored; nothing was done.
        """
        content = message["content"]
        self._validate(content, received=True)
        if await work.get(NOTIFICATIONS, content["id"]) is not None:
            self._ignore(message, "there is one of this id already")
            return
        notification = notification_document(
            message,
            content,
            peer=message["createdBy"],
            status=NotificationStatus.OPEN,
            received_by=self._context.device.id,
        )
        await work.create(NOTIFICATIONS, notification)
        try:
            await work.attempt(lambda: self._process(notification, work))
        except DomainError as error:
            if error.code.is_passing:
                raise
            self._logger.warning(
                "a notification cannot be processed",
                id=notification["id"],
                reason=error.reason,
                official_code=error.official_code,
            )
        except Exception:
            # A fault of ours; yet what a peer sent must not stop everything that comes after it.
            self._logger.exception("a notification cannot be processed", id=notification["id"])
        else:
            return
        await self._move(notification, NotificationStatus.ERROR, work)

    async def retry(self, notification_id: str, work: Work) -> None:
        """Does once more what a notification says that could not be done, or has an own one sent that could not be.

        Raises:
            RecordMissing: There is no such notification.
            NotificationNotFailed: It is sent or being sent, another device received it, or it has not failed.
            DomainError: It cannot be done now, either; nothing was done.
        """
        delivery_id = f"{DELIVERY_PREFIX}{notification_id}"
        notification = await self.get(work, notification_id)
        if await self._deliveries.revive(delivery_id, work):
            if notification["status"] == NotificationStatus.ERROR:
                events.publish_status(work, await self.get(work, notification_id))
            return
        is_own_task = notification.get("receivedByDevice") == self._context.device.id
        is_undone = notification["status"] in (NotificationStatus.OPEN, NotificationStatus.ERROR)
        if not is_own_task or not is_undone:
            raise NotificationNotFailed(
                f"Notification {notification_id} is not one that failed on this device.",
                facts={"id": notification_id, "status": notification["status"]},
            )
        await self._process(notification, work)

    async def get(self, reader: Reader, notification_id: str) -> Document:
        """Returns a notification, or raises `RecordMissing`.

        An own one that is not sent yet is Open, without a message; one that was given up is in Error.
        """
        # Looked for first: one that is sent between the two readings is found as what it is then.
        delivery = await self._deliveries.get(reader, f"{DELIVERY_PREFIX}{notification_id}")
        notification = await reader.get(NOTIFICATIONS, notification_id)
        if notification is not None:
            return notification
        if delivery is None:
            raise RecordMissing("notification", notification_id)
        return unsent_document(delivery)

    async def all_given_up(self, reader: Reader) -> list[Document]:
        """Returns the own notifications whose sending was given up, as `get` shows them, with a revision."""
        found = await self._deliveries.given_up(reader, DELIVERY_PREFIX)
        return [{**unsent_document(delivery), "_rev": delivery["_rev"]} for delivery in found]

    async def given_up(self, delivery: Document, work: Work) -> None:
        """Tells that an own notification does not reach its peer, in the commit that gives its delivery up."""
        events.publish_status(work, unsent_document(delivery))

    async def forget_peer(self, peer: str, work: Work) -> None:
        """Removes all notifications to and from a peer."""
        for notification in await work.find(NOTIFICATIONS, {"peer": peer}):
            await work.remove(NOTIFICATIONS, notification["id"])

    async def _process(self, notification: Document, work: Work) -> None:
        for item in notification["content"]["items"]:
            await self._items.process(item, notification, work)
        await self._move(notification, NotificationStatus.COMPLETED, work)

    async def _move(self, notification: Document, status: NotificationStatus, work: Work) -> None:
        changed = {**notification, "status": status.value}
        await work.save(NOTIFICATIONS, changed)
        events.publish_status(work, changed)

    def _validate(self, content: JsonObject, *, received: bool) -> None:
        ContentValidator(self._context.clock.now(), received=received).validate_notification(content)
        parse_id(NOTIFICATION, content["id"], "content.id")

    def _ignore(self, message: Document, problem: str) -> None:
        self._logger.warning("a notification is left alone", message_id=message["id"], problem=problem)


class NotifyingDeletions:
    """Tells others of deletions by notifications."""

    def __init__(self, notifications: NotificationController) -> None:
        """Takes who sends notifications."""
        self._notifications = notifications

    async def send(self, notices: Sequence[DeletionNotice], work: Work) -> list[str]:
        """Has each notice sent in a notification of its own, and returns their ids."""
        return [
            await self._notifications.send(
                notice.peer, [{"@type": notice.item_type, "attributeId": notice.attribute_id}], work
            )
            for notice in notices
        ]
