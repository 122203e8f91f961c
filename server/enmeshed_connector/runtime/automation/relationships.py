"""Accepts relationships that peers ask for, and leaves those that peers have left. Both only when the settings say so.

Source: connector.md, section 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.runtime.automation.readers import ReaderModule, Step
from enmeshed_connector.storage import LeaseLost, Position, PositionTruncated, where
from enmeshed_connector.transport import events
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.pending import Ticket
from enmeshed_connector.transport.relationship_documents import Status, last_entry
from enmeshed_connector.transport.work import Cause

_LOOK_AT_LEAST_EVERY: Final = timedelta(hours=1)
_TRY_AGAIN_AFTER: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class AcceptConditions:
    """Which relationships are accepted: those that fulfil all conditions. Empty ones are fulfilled by all."""

    templates: frozenset[str] = frozenset()
    """The ids of the own templates that they were asked for with."""
    peers: frozenset[str] = frozenset()
    """The addresses of the peers."""
    content_types: frozenset[str] = frozenset()
    """The `@type`s of what the peer says."""

    def are_fulfilled_by(self, relationship: Document) -> bool:
        """Tells whether a relationship is to be accepted, as far as its status allows."""
        content = relationship.get("creationContent")
        content_type = content.get("@type") if isinstance(content, dict) else None
        return (
            (not self.templates or relationship.get("templateId") in self.templates)
            and (not self.peers or relationship["peer"]["address"] in self.peers)
            and (not self.content_types or content_type in self.content_types)
        )


class AcceptRelationships(ReaderModule):
    """Accepts pending relationships that peers asked for."""

    name = "autoAcceptPendingRelationships"
    types = (events.RELATIONSHIP_CHANGED,)

    def __init__(self, transport: TransportAccount, conditions: AcceptConditions) -> None:
        """Takes the account, and what is accepted."""
        self._relationships = transport.relationships
        self._context = transport.context
        self._conditions = conditions

    def concerns(self, event: Document) -> bool:
        """Tells whether a peer asks for a relationship that is to be accepted."""
        return self._is_asked_for(event["data"]) and self._conditions.are_fulfilled_by(event["data"])

    async def handle(self, step: Step) -> None:
        """Accepts it, unless that is not possible any more."""
        identifier = step.event["data"]["id"]
        try:
            relationship = await self._relationships.get(identifier)
        except RecordMissing:
            return
        if self._is_asked_for(relationship):
            await self._relationships.accept(identifier, ticket=step.ticket(), cause=step.cause)

    def _is_asked_for(self, relationship: Document) -> bool:
        return relationship.get("status") == Status.PENDING and not self._context.is_own_address(
            relationship["auditLog"][0]["createdBy"]
        )


@dataclass(frozen=True)
class DecomposeConditions:
    """Which relationships are left, once their peer has left them."""

    after: timedelta = timedelta()
    """How long they are kept."""
    peers: frozenset[str] = frozenset()
    """Only those with these peers; empty: with all."""


class DecomposeRelationships:
    """Leaves relationships whose peer has left them: then nothing can be done with them any more.

    Needs no place in the log: a relationship that is to be left is known by its status, also after a restart.
    """

    def __init__(self, transport: TransportAccount, conditions: DecomposeConditions) -> None:
        """Takes the account, and what is left."""
        self._transport = transport
        self._context = transport.context
        self._conditions = conditions
        self._logger = structlog.get_logger(__name__).bind(account=transport.context.account)

    async def run(self) -> None:
        """Leaves them when their time has come, until cancelled.

        Raises:
            LeaseLost: Another process is the worker now.
            StorageUnavailable: The database is away; calling it again goes on.
        """
        while True:
            # Read before the relationships are: the other order could miss one.
            head = await self._context.store.log.head()
            pause = await self._leave_those_due()
            await self._wait_for_change(head, pause)

    async def _wait_for_change(self, position: Position, pause: timedelta) -> None:
        """Returns when a relationship has changed behind a place in the log, or after the pause."""
        log, clock = self._context.store.log, self._context.clock
        until = clock.monotonic() + pause.total_seconds()
        while (left := until - clock.monotonic()) > 0:
            try:
                page = await log.read(position, limit=1, types=frozenset({events.RELATIONSHIP_CHANGED}))
            except PositionTruncated:
                return
            if page.events:
                return
            position = page.next
            await log.wait(position, timedelta(seconds=left))

    async def _leave_those_due(self) -> timedelta:
        """Leaves all whose time has come; returns how long until the next one's."""
        pause = _LOOK_AT_LEAST_EVERY
        found = await self._transport.relationships.find(where("status").eq(Status.DELETION_PROPOSED.value))
        for relationship in found:
            if self._conditions.peers and relationship["peer"]["address"] not in self._conditions.peers:
                continue
            now = self._context.clock.now()
            due = _left_at(relationship, now) + self._conditions.after
            if due > now:
                pause = min(pause, due - now)
            elif not await self._leave(relationship["id"]):
                pause = min(pause, _TRY_AGAIN_AFTER)
        return pause

    async def _leave(self, identifier: str) -> bool:
        key = f"{self._context.account}/automation/autoDecompose/{identifier}"
        try:
            await self._transport.relationships.decompose(
                identifier,
                ticket=Ticket(key, "automation", identifier),
                cause=Cause(correlation_id=f"automation:{identifier}"),
            )
        except RecordMissing:
            return True
        except LeaseLost:
            raise
        except DomainError as error:
            self._logger.info("a relationship is not left yet", relationship_id=identifier, reason=error.reason)
            return False
        return True


def _left_at(relationship: Document, now: datetime) -> datetime:
    """Returns when the peer left; what another device sent may not tell, and then it counts from now on."""
    try:
        return parse_date(last_entry(relationship)["createdAt"], "createdAt")
    except (MalformedValue, KeyError, IndexError):
        return now
