"""What the logs of all adapters share: pages, waiting, tokens, named cursors."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import orjson

from ..core.canonical_json import Json, JsonObject
from ..core.dates import parse_date
from . import exact_json
from .port import LogEvent, LogPage, Position
from .positions import Notifier, decode_token, encode_token, wait_for_event
from .system_collections import CURSORS, cursor_position
from .unit_of_work import EmittedEvent

if TYPE_CHECKING:
    from .base import BaseStore


class BaseLog(abc.ABC):
    """`port.Log` without what depends on the database."""

    def __init__(self, log_id: bytes, poll_interval: timedelta, notifier: Notifier | None = None) -> None:
        self.log_id = log_id
        self.notifier = notifier or Notifier()
        self._poll_interval = poll_interval
        self._store: BaseStore | None = None

    def bind(self, store: BaseStore) -> None:
        """Tells the log which store keeps its cursors."""
        self._store = store

    @abc.abstractmethod
    async def head(self) -> Position:
        """Returns the place after the last event."""

    async def wait(self, after: Position, timeout: timedelta) -> bool:
        """Returns once events after the place may be there (True), or after the timeout (False)."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout.total_seconds()
        while True:
            # Before the head is read: the other order can miss a commit between the two.
            signal = self.notifier.current()
            if await self.head() > after:
                return True
            remaining = timedelta(seconds=deadline - loop.time())
            if remaining <= timedelta(0):
                return False
            await wait_for_event(signal, min(remaining, self._poll_interval))

    def token(self, position: Position) -> str:
        """Returns the place as opaque text that only this log takes back."""
        return encode_token(self.log_id, position)

    def position(self, token: str) -> Position:
        """Returns the place that a token stands for."""
        return decode_token(self.log_id, token)

    async def cursor(self, name: str) -> Position | None:
        """Returns where a named reader is, None when there is no such cursor."""
        document = await self._bound.get(CURSORS.name, name)
        return None if document is None else cursor_position(document)

    async def cursors(self) -> dict[str, Position]:
        """Returns all named cursors."""
        return {document["name"]: cursor_position(document) for document in await self._bound.find(CURSORS.name)}

    async def move_cursor(self, name: str, position: Position) -> None:
        """Moves or makes a named cursor, durably."""
        async with self._bound.begin() as uow:
            uow.move_cursor(name, position)
            await uow.commit()

    async def drop_cursor(self, name: str) -> None:
        """Removes a named cursor, if there is one."""
        async with self._bound.begin() as uow:
            uow.delete(CURSORS.name, name)
            await uow.commit()

    @staticmethod
    def page(after: Position, limit: int, max_bytes: int, types: frozenset[str] | None) -> PageBuilder:
        """Returns an empty page that begins after a place.

        Raises:
            ValueError: The limits allow nothing.
        """
        if limit < 1 or max_bytes < 1:
            raise ValueError("a page holds one event at least")
        return PageBuilder(after, limit, max_bytes, types)

    @property
    def _bound(self) -> BaseStore:
        assert self._store is not None, "a log is used through its store"
        return self._store


class PageBuilder:
    """Collects events up to the limits of one page."""

    def __init__(self, after: Position, limit: int, max_bytes: int, types: frozenset[str] | None) -> None:
        self._after = after
        self._next = after
        self._limit = limit
        self._bytes_left = max_bytes
        self._types = types
        self._events: list[LogEvent] = []
        self._is_full = False

    def add(self, entry: int, recorded_at: str, events: Sequence[JsonObject]) -> bool:
        """Adds the events of one entry that are after the beginning; returns whether more would fit."""
        start = self._after.index if entry == self._after.entry else 0
        moment = None
        for index in range(start, len(events)):
            event = events[index]
            position = Position(entry, index + 1)
            if self._types is None or event.get("type") in self._types:
                size = len(_sized(event))
                if self._events and (len(self._events) >= self._limit or size > self._bytes_left):
                    self._is_full = True
                    return False
                moment = moment or parse_date(recorded_at)
                self._events.append(LogEvent(position, moment, event))
                self._bytes_left -= size
            self._next = position
        return True

    @property
    def has_room(self) -> bool:
        """Whether every event offered so far was taken."""
        return not self._is_full

    def finish(self, end: Position) -> LogPage:
        """Returns the page; `end` is the place after everything that was there to be read."""
        if not self._is_full:
            self._next = max(self._next, end)
        return LogPage(tuple(self._events), self._next, reached_head=not self._is_full)


def event_array(events: Sequence[EmittedEvent]) -> str:
    """Returns the events of a commit as one text that `exact_json.decode` reads."""
    mark = " " if any(event.text.startswith(" ") for event in events) else ""
    return f"{mark}[{','.join(event.text for event in events)}]"


def erased(event: Json) -> JsonObject:
    """Returns what remains of an event whose content has to go."""
    return {"type": event["type"], "erased": True}


def cursors_passed_by(cursors: Mapping[str, Position], boundary: Position | None) -> tuple[str, ...]:
    """Returns the names of cursors that lose events when everything up to the boundary goes."""
    if boundary is None:
        return ()
    return tuple(sorted(name for name, position in cursors.items() if position < boundary))


def _sized(event: JsonObject) -> bytes | str:
    try:
        return orjson.dumps(event)
    except TypeError:
        return exact_json.encode(event)
