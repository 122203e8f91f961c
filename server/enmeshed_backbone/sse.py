"""Event streams: one per identity, fed after the commit of what the event tells of.

Source: specification of the Consumer API, §5.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from .store import Push

MAX_WAITING_EVENTS = 1024
"""How many events one stream keeps for a slow reader. They carry no data and any one of them makes a client sync, so
the rest is dropped."""


class EventStream:
    """The events of one connection."""

    def __init__(self) -> None:
        self._names: asyncio.Queue[str | None] = asyncio.Queue(MAX_WAITING_EVENTS)

    def put(self, event_name: str) -> None:
        """Adds an event; one that finds the queue full is dropped."""
        if not self._names.full():
            self._names.put_nowait(event_name)

    def end(self) -> None:
        """Ends the stream, before events that were not read when there are too many of them."""
        if self._names.full():
            self._names.get_nowait()
        self._names.put_nowait(None)

    async def names(self, keep_alive_interval: float) -> AsyncIterator[str]:
        """Yields the names of events.

        Order: as they were put. Delivery: at most once. End: when `end` was called. Slow readers: see
        `MAX_WAITING_EVENTS`. After every interval without an event comes `keep-alive`.
        """
        while True:
            try:
                async with asyncio.timeout(keep_alive_interval):
                    name = await self._names.get()
            except TimeoutError:
                yield "keep-alive"
                continue
            if name is None:
                return
            yield name


class EventHub:
    """The streams of all identities."""

    def __init__(self) -> None:
        self._by_address: dict[str, EventStream] = {}
        self._all: set[EventStream] = set()
        self._is_closed = False

    @property
    def stream_count(self) -> int:
        """How many connections there are."""
        return len(self._all)

    def connect(self, address: str) -> EventStream | None:
        """Returns the new stream of an identity, None when it has one already or the server stops."""
        if self._is_closed or address in self._by_address:
            return None
        stream = EventStream()
        self._by_address[address] = stream
        self._all.add(stream)
        return stream

    def disconnect(self, address: str, stream: EventStream | None) -> None:
        """Removes the queue of an identity.

        A refused second connection (no stream) removes the queue of the first one, as the official server does: the
        first connection stays open and hears nothing any more.
        """
        if stream is None or self._by_address.get(address) is stream:
            self._by_address.pop(address, None)
        if stream is not None:
            self._all.discard(stream)

    def publish(self, pushes: list[Push]) -> None:
        """Puts pushes into the streams of those that they are for."""
        for push in pushes:
            stream = self._by_address.get(push.address)
            if stream is not None:
                stream.put(push.event_name)

    def close(self) -> None:
        """Ends all streams and takes no new ones."""
        self._is_closed = True
        for stream in self._all:
            stream.end()
