"""Named subscriptions: places in the log that the account remembers for its readers.

A subscription is a document here and a cursor of the same name in the log, which retention respects. Cursors of other
readers have names that no subscription can have.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.errors import Code, DomainError, FailedPrecondition, NotFound
from enmeshed_connector.core.ids import LOCAL
from enmeshed_connector.runtime.use_cases.changes import change_once
from enmeshed_connector.runtime.use_cases.common import Entry, Intent, list_page
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import (
    CollectionSpec,
    FilterLike,
    Keyset,
    Lease,
    LeaseLost,
    Position,
    PositionInvalid,
    SortLike,
    StorageUnavailable,
    UniqueViolation,
)
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work

SUBSCRIPTIONS: Final = "_Subscriptions"
SUBSCRIPTION_SCHEMA: Final = CollectionSpec(SUBSCRIPTIONS, id_field="name")

_LEASE_DURATION: Final = timedelta(seconds=8)
"""How long the stream of a dead process keeps others from reading its subscription."""

_PATIENCE: Final = timedelta(seconds=1)


class SubscriptionExists(DomainError):
    """There is a subscription of this name."""

    reason, code = "ALREADY_EXISTS", Code.ALREADY_EXISTS


class SubscriptionInUse(FailedPrecondition):
    """Another stream reads the subscription."""

    reason, code = "SUBSCRIPTION_IN_USE", Code.FAILED_PRECONDITION


class Attachment:
    """The right of one stream to read a subscription."""

    def __init__(self, view: View, position: Position) -> None:
        """Takes the subscription, and where it stands."""
        self.view = view
        self.position = position
        self.is_lost = False

    def check(self) -> None:
        """Returns when the right is still held.

        Raises:
            SubscriptionInUse: Another process took it, since this one seemed dead.
        """
        if self.is_lost:
            raise _in_use(self.view["name"])


class SubscriptionUseCases:
    """What callers can do with named subscriptions. Views: `name`, `types`, `resumeToken`, `createdAt`,
    `acknowledgedAt`, `isAttached`.
    """

    def __init__(self, transport: TransportAccount) -> None:
        """Takes the account."""
        self._context = transport.context
        self._log = transport.context.store.log
        self._attached: dict[str, asyncio.Event] = {}

    async def create(self, name: str, types: Sequence[str], position: Position, intent: Intent) -> View:
        """Creates a subscription that stands at a place.

        Raises:
            SubscriptionExists: There is one of this name.
            PositionInvalid: The place is ahead of everything that was written.
        """
        await self._check_written(position)
        # Asked before anything else: a repeat meets the subscription that it made.
        if await self._context.outbox.earlier_result(intent.ticket) is not None:
            return await self.get(name)

        async def change(work: Work) -> JsonObject:
            if await work.get(SUBSCRIPTIONS, name) is not None:
                raise _exists(name)
            document: Document = {
                "name": name,
                "id": self._context.ids.new(LOCAL),
                "types": list(types),
                "createdAt": work.now,
            }
            work.store_silently(SUBSCRIPTIONS, document)
            work.move_cursor(name, position)
            return {"name": name}

        try:
            await change_once(self._context, intent, change)
        except UniqueViolation:
            raise _exists(name) from None
        return await self.get(name)

    async def get(self, name: str) -> View:
        """Returns a subscription.

        Raises:
            NotFound: There is none of this name.
        """
        return await self._view(await self._require(name))

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next subscriptions of a list."""
        entries = await list_page(
            self._context.store,
            SUBSCRIPTIONS,
            dict,
            where=where,
            sort=sort,
            limit=limit,
            after=after,
            specs=(SUBSCRIPTION_SCHEMA,),
        )
        views = [await self._view(entry.view) for entry in entries]
        return [Entry(partial(dict, view), entry.place) for view, entry in zip(views, entries, strict=True)]

    async def delete(self, name: str, intent: Intent) -> None:
        """Deletes a subscription; what it kept from being removed may go now.

        Raises:
            NotFound: There is none of this name.
        """

        async def change(work: Work) -> JsonObject:
            if await work.get(SUBSCRIPTIONS, name) is None:
                raise _missing(name)
            work.delete_silently(SUBSCRIPTIONS, name)
            work.drop_cursor(name)
            return {}

        await change_once(self._context, intent, change)

    async def acknowledge(self, name: str, position: Position) -> View:
        """Moves a subscription forward to a place; one behind where it stands changes nothing.

        Raises:
            NotFound: There is none of this name.
            PositionInvalid: The place is ahead of everything that was written.
        """
        await self._check_written(position)

        async def change(work: Work) -> None:
            # Every acknowledgement writes the document, so of two at once one is made anew and sees the other.
            document = await work.get(SUBSCRIPTIONS, name)
            if document is None:
                raise _missing(name)
            present = await self._log.cursor(name)
            if present is None or position > present:
                work.move_cursor(name, position)
                work.store_silently(SUBSCRIPTIONS, document | {"acknowledgedAt": work.now})

        await self._context.commits.run(change)
        return await self.get(name)

    @asynccontextmanager
    async def attach(self, name: str) -> AsyncIterator[Attachment]:
        """Reads a subscription for the length of a block, as the only one in all processes.

        Raises:
            NotFound: There is none of this name.
            SubscriptionInUse: Another stream reads it. A process that died while it did is waited for.
        """
        document = await self._require(name)
        identifier: str = document["id"]
        await self._wait_for_end(identifier, name)
        ended = self._attached[identifier] = asyncio.Event()
        try:
            lease = await self._take(identifier, name)
            attachment = Attachment(await self._view(document), await self._position(name))
            renewal = asyncio.create_task(self._renew(lease, attachment))
            try:
                yield attachment
            finally:
                renewal.cancel()
                await asyncio.gather(renewal, return_exceptions=True)
                with contextlib.suppress(DomainError):
                    await self._context.store.release_lease(lease)
        finally:
            del self._attached[identifier]
            ended.set()

    async def _wait_for_end(self, identifier: str, name: str) -> None:
        """Returns when no stream of this process reads the subscription: one that was just closed needs a moment."""
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                while identifier in self._attached:
                    await self._attached[identifier].wait()
        except TimeoutError:
            raise _in_use(name) from None

    async def _take(self, identifier: str, name: str) -> Lease:
        store, holder = self._context.store, self._context.account
        lease = await store.try_lease(_lease_name(identifier), holder)
        if lease is not None:
            return lease
        try:
            async with asyncio.timeout((_LEASE_DURATION * 1.5).total_seconds()):
                return await store.acquire_lease(_lease_name(identifier), holder, _LEASE_DURATION)
        except TimeoutError:
            raise _in_use(name) from None

    async def _renew(self, lease: Lease, attachment: Attachment) -> None:
        clock = self._context.clock
        renewed = clock.monotonic()
        while not attachment.is_lost:
            await clock.sleep(_LEASE_DURATION / 4)
            try:
                await self._context.store.renew_lease(lease)
                renewed = clock.monotonic()
            except LeaseLost:
                attachment.is_lost = True
            except StorageUnavailable:
                attachment.is_lost = clock.monotonic() - renewed > _LEASE_DURATION.total_seconds()

    async def _require(self, name: str) -> Document:
        document = await self._context.store.get(SUBSCRIPTIONS, name)
        if document is None:
            raise _missing(name)
        return document

    async def _position(self, name: str) -> Position:
        return await self._log.cursor(name) or await self._log.oldest()

    async def _view(self, document: Document) -> View:
        name = document["name"]
        view: View = {
            "name": name,
            "types": document["types"],
            "createdAt": document["createdAt"],
            "resumeToken": self._log.token(await self._position(name)),
            "isAttached": document["id"] in self._attached
            or await self._context.store.is_leased(_lease_name(document["id"])),
        }
        if "acknowledgedAt" in document:
            view["acknowledgedAt"] = document["acknowledgedAt"]
        return view

    async def _check_written(self, position: Position) -> None:
        head = await self._log.head()
        # Readers also pass over commits without events, so a place may lie behind the last event.
        if position > head and position > (await self._log.read(head, types=frozenset())).next:
            raise PositionInvalid("The resume token is not one of this account.")


def _lease_name(identifier: str) -> str:
    return f"subscription/{identifier}"


def _missing(name: str) -> NotFound:
    return NotFound("there is no such named subscription", facts={"id": name})


def _exists(name: str) -> SubscriptionExists:
    return SubscriptionExists("there is a subscription of this name already", facts={"id": name})


def _in_use(name: str) -> SubscriptionInUse:
    return SubscriptionInUse("another stream reads this subscription", facts={"id": name})
