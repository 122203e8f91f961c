"""Subscriptions: frames from the log, then live, with a token that never runs ahead of what was delivered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from enmeshed.connector.v1 import events_service_pb2 as pb
from enmeshed_connector.api.calls import Call
from enmeshed_connector.api.conversion.events import event_message
from enmeshed_connector.api.conversion.things import Converter
from enmeshed_connector.api.errors import CredentialRevoked, Draining, ResumeTokenExpired
from enmeshed_connector.api.event_selection import EventSelection
from enmeshed_connector.api.live_window import LiveWindow, WindowEntry
from enmeshed_connector.api.permissions import SECRETS
from enmeshed_connector.api.readiness import Readiness
from enmeshed_connector.api.wire_format import length_delimited
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import Log, LogEvent, Position, PositionTruncated

MAX_BATCH_BYTES: Final = 2 * 1024 * 1024
"""A batch ends here whatever `max_batch_size` says; its first event is in it whatever its size."""

_DEFAULT_BATCH: Final = 100
# The loop must not be held for longer than this by the conversion of a batch.
_MAX_HOLD_SECONDS: Final = 0.005

Frame = pb.SubscribeResponse | bytes


class EventSource(Protocol):
    """What this room needs of an account to deliver its events."""

    @property
    def log(self) -> Log:
        """The log of the account."""

    def event_view(self, event_type: str, data: JsonObject) -> View:
        """Returns what callers see of what an event is about."""


@dataclass(frozen=True)
class SubscriptionOptions:
    """How streams behave."""

    heartbeat: timedelta = timedelta(seconds=15)
    """The longest silence."""


class Renderer:
    """Makes the bytes of events for one profile: what may be seen, and in which view. Equal profiles share bytes."""

    def __init__(self, source: EventSource, converter: Converter, account: str) -> None:
        """Takes what the bytes depend on.

        Args:
            source: The account.
            converter: Knows what the reader may see.
            account: The name of the account.
        """
        self._source = source
        self._converter = converter
        self._account = account
        # Which secrets are shown is all that scopes decide about an event; whether it is shown was decided before.
        self.profile = (converter.is_full, tuple(map(converter.scopes.allow, SECRETS)))

    def render(self, event: LogEvent) -> bytes:
        """Returns the serialised `Event`."""
        message = event_message(self._converter, event, account=self._account, view_of=self._source.event_view)
        return message.SerializeToString()

    def render_shared(self, window: LiveWindow, entry: WindowEntry) -> bytes:
        """Returns the serialised `Event` of an entry of the window, made once for all readers of this profile."""
        data = entry.rendered.get(self.profile)
        if data is None:
            data = entry.rendered[self.profile] = self.render(entry.event)
            window.note_rendered(len(data))
        return data


class Subscription:
    """One stream of events.

    Order: as committed. Delivery: gapless from its start; at least once. End: only by an error, or by whoever reads.
    Slow readers: hold nothing but themselves; what they miss in the window they get from the log.
    """

    def __init__(
        self,
        source: EventSource,
        window: LiveWindow,
        selection: EventSelection,
        renderer: Renderer,
        *,
        call: Call,
        readiness: Readiness,
        options: SubscriptionOptions,
        batch_size: int,
    ) -> None:
        """Takes its collaborators.

        Args:
            source: The account.
            window: The live window of the account.
            selection: Which events are delivered.
            renderer: Makes their bytes.
            call: Who reads.
            readiness: Tells of shutdown.
            options: How streams behave.
            batch_size: The largest number of events in a batch; 0: the default.
        """
        self._log = source.log
        self._window = window
        self._selection = selection
        self._renderer = renderer
        self._call = call
        self._readiness = readiness
        self._heartbeat = options.heartbeat.total_seconds()
        self._batch_size = batch_size or _DEFAULT_BATCH
        self._wake = asyncio.Event()
        self._position = Position(0, 0)
        self._last_frame = 0.0

    async def frames(self, position: Position) -> AsyncGenerator[Frame, None]:
        """Yields the frames of everything after a place.

        Args:
            position: Where to begin.

        Raises:
            ResumeTokenExpired: The events after the place are gone.
            Draining: The server stops; the facts name the token to resume from.
            CredentialRevoked: The credential is not good any more; likewise.
        """
        self._position = position
        started = pb.SubscribeResponse()
        started.started.heartbeat_interval.FromTimedelta(timedelta(seconds=self._heartbeat))
        started.started.account = self._call.account_name()
        started.started.types.extend(self._selection.types)
        yield started
        endings = [self._readiness.listen(self._wake.set)]
        if self._call.credential is not None:
            endings.append(self._call.credential.revocation.listen(self._wake.set))
        token = self._window.attach(self._wake.set)
        try:
            while True:
                async with aclosing(self._catch_up()) as frames:
                    async for frame in frames:
                        yield frame
                yield self._frame(caught_up=pb.CaughtUp())
                async with aclosing(self._live()) as frames:
                    async for frame in frames:
                        yield frame
                yield self._frame(fell_behind=pb.FellBehind())
        finally:
            for stop in endings:
                stop()
            await self._window.detach(token)

    async def _catch_up(self) -> AsyncGenerator[Frame, None]:
        """Yields frames from the log until its end is reached and the window covers what follows."""
        types = self._selection.exact_types
        self._mark_frame()
        while True:
            self._check_end()
            self._wake.clear()
            try:
                page = await self._log.read(
                    self._position, limit=self._batch_size, max_bytes=MAX_BATCH_BYTES, types=types
                )
            except PositionTruncated:
                raise resume_token_expired(self._log.token(await self._log.oldest())) from None
            wanted = [WindowEntry(event) for event in page.events if self._selection.wants(event.event)]
            async with aclosing(self._batches(wanted, self._render)) as batches:
                async for batch, last in batches:
                    yield self._batch(page.next if last is None else last.event.position, batch)
            # What nobody asked for is passed over, so that a resume need not look through it again.
            self._position = page.next
            if page.reached_head:
                if self._window.covers(self._position):
                    return
                if not self._window.has_begun:
                    await self._wait_for_wake()
                # Else it began behind something that was committed in between, which the log has.
            if self._is_silent_for_too_long():
                yield self._frame(heartbeat=pb.Heartbeat())

    async def _live(self) -> AsyncGenerator[Frame, None]:
        """Yields frames from the window until this reader falls out of it."""
        while self._window.covers(self._position):
            self._check_end()
            # Cleared before looking: what comes after the look wakes again.
            self._wake.clear()
            entries, after = self._window.after(self._position, self._batch_size)
            wanted = [entry for entry in entries if self._selection.wants(entry.event.event)]
            async with aclosing(self._batches(wanted, self._render_shared)) as batches:
                async for batch, last in batches:
                    yield self._batch(after if last is None else last.event.position, batch)
            self._position = after
            if not entries:
                await self._wait_for_wake()
            if self._is_silent_for_too_long():
                yield self._frame(heartbeat=pb.Heartbeat())

    def _render(self, entry: WindowEntry) -> bytes:
        return self._renderer.render(entry.event)

    def _render_shared(self, entry: WindowEntry) -> bytes:
        return self._renderer.render_shared(self._window, entry)

    def _mark_frame(self) -> None:
        self._last_frame = self._call.clock.monotonic()

    def _silence_left(self) -> float:
        return self._last_frame + self._heartbeat - self._call.clock.monotonic()

    def _is_silent_for_too_long(self) -> bool:
        return self._silence_left() <= 0

    async def _wait_for_wake(self) -> None:
        """Waits for something new, at most until the next heartbeat is due."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(self._silence_left(), 0)):
                await self._wake.wait()

    async def _batches(
        self, entries: Sequence[WindowEntry], render: Callable[[WindowEntry], bytes]
    ) -> AsyncGenerator[tuple[list[bytes], WindowEntry | None], None]:
        """Yields batches of rendered events, each with its last entry; with the last batch None."""
        batch: list[bytes] = []
        size = 0
        last: WindowEntry | None = None
        clock = self._call.clock
        held_since = clock.monotonic()
        for entry in entries:
            data = render(entry)
            if batch and size + len(data) > MAX_BATCH_BYTES:
                yield batch, last
                batch, size = [], 0
            batch.append(data)
            size += len(data)
            last = entry
            if clock.monotonic() - held_since > _MAX_HOLD_SECONDS:
                await asyncio.sleep(0)
                held_since = clock.monotonic()
        if batch:
            yield batch, None

    def _check_end(self) -> None:
        credential = self._call.credential
        facts = {"resume_token": self._log.token(self._position)}
        if self._readiness.is_draining:
            raise Draining(
                "the server is shutting down: subscribe again with the resume token",
                facts=facts,
                retry_after=timedelta(seconds=1),
            )
        if credential is not None and credential.revocation.is_revoked:
            raise CredentialRevoked("the API key is not valid any more", facts=facts)

    def _frame(
        self,
        *,
        caught_up: pb.CaughtUp | None = None,
        fell_behind: pb.FellBehind | None = None,
        heartbeat: pb.Heartbeat | None = None,
    ) -> Frame:
        self._mark_frame()
        return pb.SubscribeResponse(
            resume_token=self._log.token(self._position),
            caught_up=caught_up,
            fell_behind=fell_behind,
            heartbeat=heartbeat,
        )

    def _batch(self, position: Position, events: list[bytes]) -> Frame:
        """Returns the bytes of a frame of events, put together from bytes that readers share.

        Args:
            position: The place after the last of them, or after what follows it and was not asked for.
            events: Serialised events.
        """
        self._position = position
        self._mark_frame()
        batch = b"".join(length_delimited(pb.EventBatch.EVENTS_FIELD_NUMBER, event) for event in events)
        return length_delimited(
            pb.SubscribeResponse.RESUME_TOKEN_FIELD_NUMBER, self._log.token(position).encode()
        ) + length_delimited(pb.SubscribeResponse.EVENTS_FIELD_NUMBER, batch)


def resume_token_expired(oldest: str) -> ResumeTokenExpired:
    """Returns the error for a token whose events are gone.

    Args:
        oldest: The oldest token that works.
    """
    return ResumeTokenExpired(
        "the events after the resume token are gone: read the present state, then go on from the oldest token",
        facts={"oldest_resume_token": oldest},
    )
