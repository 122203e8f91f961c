"""The second half of decisions: what has to be sent once their commit is durable, exactly once.

A delivery becomes durable in the commit of the decision; the worker of the account sends it, and it goes in the commit
that stores what was sent. Its ticket is derived from its id, so that whoever repeats it after a crash finds out what
became of the first attempt instead of sending it again.

Deliveries to one peer keep their order: one that fails for a passing reason holds up those behind it. One that is
refused does not; it is tried again a few times at long intervals, and then given up. It stays, without a next attempt,
for people to see, and to have it tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

import structlog

from enmeshed_connector.backbone.errors import AuthenticationFailed
from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.waiting import first_of
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.errors import Code, DomainError
from enmeshed_connector.storage import CollectionSpec, Filter, Position, all_of, where
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.listeners import TransportListener
from enmeshed_connector.transport.objects import Document, without_unset
from enmeshed_connector.transport.pending import Ticket
from enmeshed_connector.transport.work import Work

DELIVERIES: Final = "_Deliveries"
"""What is not sent yet; stays on this device. `attempts` were made, the next one is due at `nextAttemptAt`; without
that it is given up. `lastErrorReason` says why the last one failed, `refusals` how many were refused."""
DELIVERY_SCHEMA: Final = CollectionSpec(
    DELIVERIES, indexes=("peer", "attempts", "nextAttemptAt"), sortable=("nextAttemptAt",)
)

GivenUp = Callable[[Document, Work], Awaitable[None]]
"""Hears of a delivery in the commit that gives it up."""

_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(minutes=5)
_LONGEST_REQUESTED_PAUSE: Final = timedelta(hours=1)
"""A quota may end in a month, and be raised tomorrow."""
_AFTER_REFUSALS: Final = (
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(hours=24),
)
"""What refuses may change its mind: a relationship is reactivated, a setting corrected."""
_LOOK_EVERY: Final = timedelta(seconds=5)
"""The log wakes at once; this is for commits of other processes without events."""
_NOTHING_LEFT: Final = timedelta()
_AT_ONCE: Final = 100
_PEERS_AT_ONCE: Final = 8


@dataclass(frozen=True)
class Delivery:
    """Something to send."""

    document: Document

    @classmethod
    def message(cls, *, id: str, peer: str, content: JsonObject) -> Self:
        """Returns the delivery of a message to one peer; the id is never used again."""
        return cls({"id": id, "kind": "message", "peer": peer, "content": content})

    @classmethod
    def relationship(cls, *, id: str, peer: str, template_id: str, creation_content: JsonObject) -> Self:
        """Returns the delivery of a request for a relationship, to the maker of a template that is loaded."""
        return cls(
            {"id": id, "kind": "relationship", "peer": peer, "templateId": template_id, "content": creation_content}
        )


class Deliveries(TransportListener):
    """What has to be sent for one account."""

    def __init__(self, transport: TransportAccount) -> None:
        """Takes the account."""
        self._transport = transport
        self._context = transport.context
        self._given_up: dict[str, GivenUp] = {}
        self._woken = asyncio.Event()
        self._logger = structlog.get_logger(__name__).bind(account=transport.context.account)

    def when_given_up(self, prefix: str, hears: GivenUp) -> None:
        """Lets the owner of deliveries, whose ids begin so, hear of those that are given up."""
        self._given_up[prefix] = hears

    async def enqueue(self, delivery: Delivery, work: Work) -> None:
        """Has something sent as soon as the commit is durable.

        An event in the commit lets that happen at once; without one it takes some seconds, or a call of `wake`.
        """
        document = {**delivery.document, "attempts": 0, "createdAt": work.now, "nextAttemptAt": work.now}
        await work.create(DELIVERIES, document)

    async def get(self, reader: Reader, id: str) -> Document | None:
        """Returns a delivery that is not done, None when there is none."""
        return await reader.get(DELIVERIES, id)

    async def done(self, id: str, work: Work) -> None:
        """Removes a delivery, in the commit that stores what was sent."""
        work.delete_silently(DELIVERIES, id)

    async def revive(self, id: str, work: Work) -> bool:
        """Has a delivery that was given up, or is put off, tried again at once; returns False when there is none such.

        Its refusals are counted anew. Without an event in the commit, call `wake` after it.
        """
        delivery = await work.get(DELIVERIES, id)
        if delivery is None:
            return False
        next_attempt_at = delivery.get("nextAttemptAt")
        if next_attempt_at is not None and next_attempt_at <= work.now:
            return False
        rest = {name: value for name, value in delivery.items() if name not in ("_rev", "refusals")}
        work.store_silently(DELIVERIES, {**rest, "nextAttemptAt": work.now})
        return True

    def wake(self) -> None:
        """Has the worker, where it is in this process, look at once after a commit without events."""
        self._woken.set()

    async def given_up(self, reader: Reader, prefix: str) -> list[Document]:
        """Returns the deliveries that were given up and whose ids begin so, the first one first."""
        found = await reader.find(DELIVERIES, where("nextAttemptAt").is_absent())
        return sorted((one for one in found if one["id"].startswith(prefix)), key=_place)

    async def relationship_decomposed(self, relationship: Document, work: Work) -> None:
        """Removes what is not sent to a peer that nothing can be sent to any more."""
        for delivery in await work.find(DELIVERIES, where("peer").eq(relationship["peer"]["address"])):
            work.delete_silently(DELIVERIES, delivery["id"])

    async def run(self) -> None:
        """Sends what is there and what comes, until cancelled. For the worker of the account."""
        log = self._context.store.log
        while True:
            # Read before looking: what is committed between the two wakes.
            position = await log.head()
            left = await self._time_left(where("nextAttemptAt").is_present())
            if left <= _NOTHING_LEFT:
                if await self.send_due():
                    continue
                # What is due is held up by another one to the same peer, whose time comes later.
                left = await self._time_left(where("nextAttemptAt").gt(format_date(self._context.clock.now())))
            await self._wait(position, left)

    async def send_due(self) -> bool:
        """Sends what is due, in the order of the commits to each peer; returns whether any of it is sent.

        Raises:
            StorageUnavailable: The database is away.
        """
        limit = asyncio.Semaphore(_PEERS_AT_ONCE)

        async def send_all(deliveries: Iterable[Document]) -> bool:
            sent = False
            async with limit:
                for delivery in deliveries:
                    if not await self._attempt(delivery):
                        break
                    sent = True
            return sent

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(send_all(queue)) for queue in (await self._queues()).values()]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return any(task.result() for task in tasks)

    async def _queues(self) -> dict[str, list[Document]]:
        """Returns what is due to each peer that nothing is held up to, the first one first."""
        store, now = self._context.store, format_date(self._context.clock.now())
        # One at most for each peer, besides those refused.
        failed = await store.find(DELIVERIES, all_of(where("attempts").gt(0), where("nextAttemptAt").is_present()))
        held_up = {one["peer"] for one in failed if one["nextAttemptAt"] > now and not one.get("refusals")}
        due = all_of(where("nextAttemptAt").lte(now), where("peer").not_in(sorted(held_up)))
        found = await store.find(DELIVERIES, due, sort=("nextAttemptAt",), limit=_AT_ONCE)
        again = [one for one in failed if one["nextAttemptAt"] <= now and one["peer"] not in held_up]
        queues: dict[str, list[Document]] = {}
        for delivery in sorted({one["id"]: one for one in [*again, *found]}.values(), key=_place):
            queues.setdefault(delivery["peer"], []).append(delivery)
        return queues

    async def _attempt(self, delivery: Document) -> bool:
        """Sends one and returns whether those behind it may be sent."""
        try:
            await self._send(delivery)
        except DomainError as error:
            is_passing = error.code.is_passing or isinstance(error, AuthenticationFailed)
            # Whether a message without an answer was sent can be found out long before it may be sent again.
            retry_after = None if error.code is Code.UNKNOWN else error.retry_after
            await self._note_failure(delivery, error.reason, is_passing=is_passing, retry_after=retry_after)
            return not is_passing
        except Exception:
            # A fault of ours with this one must not keep the others from being sent.
            self._logger.exception("a delivery cannot be made", id=delivery["id"])
            await self._note_failure(delivery, DomainError.reason, is_passing=False, retry_after=None)
            return True
        await self._note_success(delivery)
        return True

    async def _send(self, delivery: Document) -> None:
        ticket = Ticket(f"delivery:{delivery['id']}", delivery["id"])
        if delivery["kind"] == "message":
            await self._transport.messages.send([delivery["peer"]], delivery["content"], ticket=ticket)
        else:
            await self._transport.relationships.create(delivery["templateId"], delivery["content"], ticket=ticket)

    async def _note_success(self, delivery: Document) -> None:
        """Removes a delivery whose owner did not: it was sent before, and its owner had forgotten of it."""
        if await self._context.store.get(DELIVERIES, delivery["id"]) is None:
            return

        async def change(work: Work) -> None:
            await self.done(delivery["id"], work)

        await self._context.commits.run(change)

    async def _note_failure(
        self, delivery: Document, reason: str, *, is_passing: bool, retry_after: timedelta | None
    ) -> None:
        attempts = delivery["attempts"] + 1
        refusals = delivery.get("refusals", 0) + (not is_passing)
        pause: timedelta | None = None
        if is_passing:
            pause = max(self._pause(attempts), min(retry_after or timedelta(), _LONGEST_REQUESTED_PAUSE))
        elif refusals <= len(_AFTER_REFUSALS):
            pause = _AFTER_REFUSALS[refusals - 1]
        changes = {
            "attempts": attempts,
            "lastErrorReason": reason,
            "nextAttemptAt": None if pause is None else format_date(self._context.clock.now() + pause),
            "_place": _place(delivery)[0],
            "refusals": refusals or None,
        }

        async def change(work: Work) -> None:
            current = await work.get(DELIVERIES, delivery["id"])
            if current is None:
                # What sent it in spite of the failure, or left the relationship, has removed it.
                return
            changed = without_unset(**{name: value for name, value in (current | changes).items() if name != "_rev"})
            work.store_silently(DELIVERIES, changed)
            if pause is None:
                for prefix, hears in self._given_up.items():
                    if changed["id"].startswith(prefix):
                        await hears(changed, work)

        await self._context.commits.run(change)
        told = "a delivery is given up" if pause is None else "a delivery is put off"
        self._logger.warning(told, id=delivery["id"], reason=reason, attempts=attempts)

    def _pause(self, attempts: int) -> timedelta:
        longest: timedelta = min(_FIRST_PAUSE * (1 << min(attempts - 1, 16)), _LONGEST_PAUSE)
        share = 0.5 + int.from_bytes(self._context.random(2), "big") / 0x1FFFE
        return longest * share

    async def _time_left(self, among: Filter) -> timedelta:
        """Returns how long it is to the first attempt among some deliveries; after each commit, so it is one look."""
        found = await self._context.store.find(DELIVERIES, among, sort=("nextAttemptAt",), limit=1)
        return parse_date(found[0]["nextAttemptAt"]) - self._context.clock.now() if found else _LOOK_EVERY

    async def _wait(self, position: Position, duration: timedelta) -> None:
        """Returns after the duration, or when something was committed; looks now and then in any case."""
        await first_of(
            self._context.clock.sleep(min(duration, _LOOK_EVERY)),
            self._context.store.log.wait(position, _LOOK_EVERY),
            self._woken.wait(),
        )
        self._woken.clear()


def _place(delivery: Document) -> tuple[int, str]:
    """Returns what orders deliveries as their commits: the revision, or what it was before the first attempt failed."""
    return int(delivery.get("_place") or delivery["_rev"]), str(delivery["id"])
