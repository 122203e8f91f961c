"""Readers of the log: each goes through the events of an account with a place of its own, and takes a step for each.

Order: in the order of the log, one event after the other.
Delivery: at least once. A step that commits through `Step.commit` is taken exactly once: what it writes, and that the
    event is passed, become durable together. One that reaches outside derives its idempotency key from the event
    (`Step.ticket`).
End: none; a passing failure is waited out with growing pauses. A lasting one is tried a few times, then noted
    (`module.<name>.eventPassed`) and passed, so that one event never holds up the others.
Slow readers: retention waits for them up to its hard cap; what they then lost is logged.

A reader that is new begins at the present. What other devices did (`DATAWALLET`) is theirs to react to. Only the
account's worker runs readers.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import Final, TypeVar

import structlog

from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.runtime.pacing import Backoff
from enmeshed_connector.storage import CollectionSpec, LeaseLost, LogEvent, Position, PositionTruncated
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.pending import Ticket
from enmeshed_connector.transport.work import Cause, Origin, Work

T = TypeVar("T")

READERS: Final = "_Readers"
"""What is known of each reader: `passed` (the event it passed last), `failing` (the one it could not pass yet)."""
READER_SCHEMA: Final = CollectionSpec(READERS)

_TRIES: Final = 5
_FIRST_PAUSE: Final = timedelta(seconds=1)
_LONGEST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_STEP: Final = timedelta(minutes=5)
_MOVE_ALONG_EVERY: Final = timedelta(minutes=1)
"""How long a reader that has nothing to do may keep old events from being removed. Each move is a commit."""
_LONGEST_WAIT: Final = timedelta(seconds=30)
_PAGE: Final = 100


class AlreadyPassed(Exception):
    """The event was passed by a commit whose answer was lost."""


class Step:
    """One event on its way through a reader."""

    def __init__(self, reader: LogReader, entry: LogEvent) -> None:
        """Takes whose step it is, and the event."""
        self._reader = reader
        self._entry = entry
        self.is_done = False

    @property
    def event(self) -> Document:
        """The event as it stands in the log."""
        return self._entry.event

    @property
    def cause(self) -> Cause:
        """Why a step does what it does: for its commits and requests."""
        return Cause(Origin.LOCAL, self.event.get("correlationId") or self.event["id"])

    def ticket(self, name: str = "") -> Ticket:
        """Returns the idempotency key of a request that the step makes; the same when the step is repeated.

        Args:
            name: Tells several requests of one step apart.
        """
        identifier = f"{self.event['id']}#{name}" if name else self.event["id"]
        # A repeat gets the first answer whatever it would ask for now: settings may have changed between.
        return Ticket(f"{self._reader.account}/automation/{self._reader.name}/{identifier}", "automation", identifier)

    async def commit(self, change: Callable[[Work], Awaitable[T]]) -> T:
        """Commits the change together with the fact that the event is passed. Once per step, as its last act.

        Raises:
            DomainError: What `change` and `Commits.run` raise; nothing was stored and the event is not passed.
        """
        result = await self._reader.passing(self._entry, change, cause=self.cause)
        self.is_done = True
        return result


class ReaderModule:
    """What a reader does with events. Does nothing by itself."""

    name: str
    """Part of the name of the cursor; never changes. Of `A-Z a-z 0-9 _ -`."""
    types: Collection[str] | None = None
    """The types of events that are read; None: all."""

    def concerns(self, event: Document) -> bool:
        """Tells whether there is something to do; what is no concern costs no commit."""
        return True

    async def handle(self, step: Step) -> None:
        """Does what the event asks for. Called again after a failure: it must be safe to repeat.

        Raises:
            DomainError: With a code that passes (UNAVAILABLE, ABORTED, …) it is tried until it works, with any other a
                few times; likewise `ConnectionError`, and all other exceptions.
        """
        raise NotImplementedError

    async def give_up(self, event: Document, work: Work) -> None:
        """Tells what follows when the event is passed without having been handled."""


class LogReader:
    """Lets one module read the log of one account."""

    def __init__(
        self,
        transport: TransportAccount,
        module: ReaderModule,
        *,
        tries: int = _TRIES,
        longest_step: timedelta = _LONGEST_STEP,
    ) -> None:
        """Takes the account and the module; does no I/O.

        Args:
            transport: The account.
            module: What is done.
            tries: How often an event that fails lastingly is tried.
            longest_step: How long one try may take; then it counts as failed.
        """
        self._transport = transport
        self._context = transport.context
        self._log = transport.context.store.log
        self._module = module
        self._types = None if module.types is None else frozenset(module.types)
        self._tries = tries
        self._longest_step = longest_step
        self._cursor = f"automation/{module.name}"
        self._moved_at: datetime | None = None
        self._logger = structlog.get_logger(__name__).bind(account=transport.context.account, module=module.name)

    @property
    def name(self) -> str:
        """The name of the module."""
        return self._module.name

    @property
    def account(self) -> str:
        """The name of the account."""
        return self._context.account

    async def prepare(self) -> None:
        """Gives a new reader its place: here and now. To be called before the account takes calls.

        Raises:
            StorageUnavailable: The database is away.
        """
        if await self._context.store.get(READERS, self.name) is not None:
            return
        head = await self._log.head()

        async def begin(work: Work) -> None:
            if await work.get(READERS, self.name) is None:
                work.store_silently(READERS, {"id": self.name, "createdAt": work.now})
                work.move_cursor(self._cursor, head)

        await self._context.commits.run(begin)

    async def run(self) -> None:
        """Reads until cancelled.

        Raises:
            LeaseLost: Another process is the worker now.
            DomainError: The database is away; calling it again goes on where it ended.
        """
        await self.prepare()
        position = await self._log.cursor(self._cursor) or await self._log.oldest()
        self._moved_at = self._context.clock.now()
        while True:
            try:
                page = await self._log.read(position, limit=_PAGE, types=self._types)
            except PositionTruncated:
                self._logger.warning("events were removed before the module had read them")
                position = await self._log.oldest()
                continue
            for entry in page.events:
                await self._take(entry)
            position = page.next
            if page.reached_head:
                await self._move_along(position)
                await self._log.wait(position, _LONGEST_WAIT)

    async def passing(self, entry: LogEvent, change: Callable[[Work], Awaitable[T]], *, cause: Cause) -> T:
        """Commits a change and the reader's new place; for `Step`.

        Raises:
            AlreadyPassed: This was done before, and the process or the connection died before we heard of it.
        """

        async def run(work: Work) -> T:
            # Read through the work: of two workers at once, one finds that the other has passed the event.
            known = await work.get(READERS, self.name) or {"id": self.name, "createdAt": work.now}
            if known.get("passed") == entry.event["id"]:
                raise AlreadyPassed
            result = await change(work)
            work.store_silently(
                READERS, {"id": self.name, "createdAt": known["createdAt"], "passed": entry.event["id"]}
            )
            work.move_cursor(self._cursor, entry.position)
            return result

        result = await self._context.commits.run(run, cause=cause, lease=self._transport.sync.lease)
        self._moved_at = self._context.clock.now()
        return result

    async def _take(self, entry: LogEvent) -> None:
        event = entry.event
        # What was erased has nothing left to react to.
        if "id" not in event or event.get("origin") == Origin.DATAWALLET.value or not self._concerns(event):
            return
        backoff = Backoff(self._context.random, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE)
        while True:
            step = Step(self, entry)
            error = await self._try(step)
            if error is None:
                return
            if step.is_done:
                self._logger.warning("a step failed after its commit", event_id=event["id"], error=_reason(error))
                return
            if passes(error):
                self._logger.info("an event waits", event_id=event["id"], type=event["type"], reason=_reason(error))
            elif await self._is_hopeless(entry, error):
                return
            await self._context.clock.sleep(backoff.next())

    def _concerns(self, event: Document) -> bool:
        try:
            return self._module.concerns(event)
        except Exception:
            # It is then the step that fails, with all that follows.
            return True

    async def _try(self, step: Step) -> Exception | None:
        try:
            async with asyncio.timeout(self._longest_step.total_seconds()):
                await self._module.handle(step)
                if not step.is_done:
                    await step.commit(_nothing)
        except AlreadyPassed:
            return None
        except LeaseLost:
            raise
        except Exception as error:
            return error
        return None

    async def _is_hopeless(self, entry: LogEvent, error: Exception) -> bool:
        """Notes a lasting failure; returns whether the event was passed because of it."""
        event, reason = entry.event, _reason(error)

        async def note(work: Work) -> int:
            known = await work.get(READERS, self.name) or {"id": self.name, "createdAt": work.now}
            before = known.get("failing") or {}
            attempts = 1 + (before["attempts"] if before.get("eventId") == event["id"] else 0)
            failing = {"eventId": event["id"], "attempts": attempts, "reason": reason, "lastFailedAt": work.now}
            work.store_silently(READERS, {**known, "failing": failing})
            return attempts

        # Durable, so that restarts do not begin to count anew.
        attempts = await self._context.commits.run(note, lease=self._transport.sync.lease)
        facts = {"event_id": event["id"], "type": event["type"], "reason": reason, "attempts": attempts}
        if attempts < self._tries:
            self._logger.warning("an event could not be handled", **facts)
            return False
        await self._give_up(entry, error, attempts)
        if isinstance(error, DomainError):
            self._logger.warning("an event was passed without being handled", **facts)
        else:
            self._logger.error("an event was passed without being handled", **facts, place=place_of(error))
        return True

    async def _give_up(self, entry: LogEvent, error: Exception, attempts: int) -> None:
        event = entry.event
        told = {
            "module": self.name,
            "eventId": event["id"],
            "eventType": event["type"],
            "reason": _reason(error),
            "attempts": attempts,
        }

        async def tell(work: Work) -> None:
            work.publish(f"module.{self.name}.eventPassed", told)

        async def tell_all(work: Work) -> None:
            await self._module.give_up(event, work)
            await tell(work)

        cause = Cause(Origin.LOCAL, event.get("correlationId") or event["id"])
        try:
            await self.passing(entry, tell_all, cause=cause)
        except AlreadyPassed:
            return
        except LeaseLost:
            raise
        except Exception as failure:
            if passes(failure):
                raise
            await self.passing(entry, tell, cause=cause)

    async def _move_along(self, position: Position) -> None:
        """Makes it durable, now and then, that events were passed which were no concern."""
        now = self._context.clock.now()
        if self._moved_at is not None and now - self._moved_at < _MOVE_ALONG_EVERY:
            return
        self._moved_at = now
        stored = await self._log.cursor(self._cursor)
        # Moves of cursors are commits too: only events count, or readers would keep each other moving for ever.
        if stored is None or await self._log.head() > stored:

            async def move(work: Work) -> None:
                work.move_cursor(self._cursor, position)

            await self._context.commits.run(move, lease=self._transport.sync.lease)


async def forget_readers(transport: TransportAccount, names: Collection[str]) -> None:
    """Removes the places of readers that there are no more: they would keep events, and come back to old ones.

    Args:
        transport: The account.
        names: The readers that there are.
    """
    for known in await transport.context.store.find(READERS):
        if known["id"] in names:
            continue

        async def forget(work: Work, name: str = known["id"]) -> None:
            work.delete_silently(READERS, name)
            work.drop_cursor(f"automation/{name}")

        await transport.context.commits.run(forget)


def passes(error: Exception) -> bool:
    """Tells whether a failure passes by itself: then the same is tried until it works."""
    return error.code.is_passing if isinstance(error, DomainError) else isinstance(error, ConnectionError)


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, DomainError) else type(error).__name__


def place_of(error: Exception) -> str:
    """Returns where it was raised. Texts and variables of code that is not ours may hold content: they stay out."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


async def _nothing(work: Work) -> None:
    """Writes nothing: only the place moves."""
