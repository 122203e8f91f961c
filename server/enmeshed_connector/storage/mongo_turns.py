"""Lets slower processes commit beside one that commits without pause.

Whoever has just committed knows the head of the log, so its next commit is the fastest: without manners a busy process
keeps all others out. So a process that was late again and again leaves a note, and a busy one looks for notes now and
then and pauses until they are gone.
"""

from __future__ import annotations

from datetime import timedelta

from pymongo.errors import PyMongoError

from ..core.clock import Clock
from .mongo_connection import Collection

_LATE_SECONDS = 0.2
_LOOK_EVERY_SECONDS = 0.1
_BUSY_COMMITS = 4
"""So many commits since the last look make a process a busy one."""
_PAUSE = timedelta(milliseconds=10)
_PAUSE_SECONDS = 0.5


class Turns:
    """Asks for a turn, and gives others theirs. Nothing here is needed for commits to be right."""

    def __init__(self, notes: Collection, clock: Clock, process: str) -> None:
        """Takes where the notes are left, and a random name of this process."""
        self._notes = notes
        self._clock = clock
        self._process = process
        self._began: float | None = None
        self._has_asked = False
        self._looked_at = 0.0
        self._commits = 0

    def begin(self) -> None:
        """Notes that commits want to get into the log from now on."""
        self._began = self._clock.monotonic()

    async def ask_when_late(self) -> None:
        """Leaves a note when the commits have been trying for long."""
        if self._has_asked or self._began is None or self._clock.monotonic() - self._began < _LATE_SECONDS:
            return
        self._has_asked = True
        try:
            await self._notes.insert_one({"_id": self._process})
        except PyMongoError:
            # It stands there already, or the database is away, which the commit will find out.
            return

    async def end(self) -> None:
        """Takes the note back: the commits are in the log, or have failed."""
        self._began = None
        if not self._has_asked:
            return
        self._has_asked = False
        try:
            await self._notes.delete_one({"_id": self._process})
        except PyMongoError:
            # Whoever sees it pauses once for nothing, and removes it.
            return

    async def give(self) -> None:
        """Pauses when this process is busy and others have left notes; to be called before commits are taken."""
        self._commits += 1
        now = self._clock.monotonic()
        if now - self._looked_at < _LOOK_EVERY_SECONDS:
            return
        is_busy, self._looked_at, self._commits = self._commits >= _BUSY_COMMITS, now, 0
        if not is_busy:
            return
        try:
            waiting = await self._others()
            while waiting and self._clock.monotonic() - now < _PAUSE_SECONDS:
                await self._clock.sleep(_PAUSE)
                waiting &= await self._others()
            if waiting:
                # They had their time: most likely they died, else they ask again.
                await self._notes.delete_many({"_id": {"$in": sorted(waiting)}})
        except PyMongoError:
            return

    async def _others(self) -> set[str]:
        return {note["_id"] async for note in self._notes.find({}) if note["_id"] != self._process}
