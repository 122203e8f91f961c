"""Commits on MongoDB without transactions (architecture decision 3).

A commit is one insert into `_Log` at the position behind the newest, and positions have no gaps. It is planned on
what is known at the
head: revisions and unique values are checked against the documents as they are after everything before was applied.
When the insert succeeds, nothing came between, so the check holds; when the position is taken, another process was
faster, its entry is applied and the plan is made anew. So what violates anything never enters the log, and an entry
that is in the log can always be applied: nothing but a comparison of revisions decides there.

Several commits share one ordered insert; it stops at the first position that is taken, so that no gap can arise.

When the answer of an insert is lost, the same entries are sent to the same positions again until every one of these
positions is known to be taken, by us or by somebody else. A late arrival of the first attempt then finds its position
taken too, so nothing is ever stored twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from pymongo.errors import PyMongoError

from ..core.clock import Clock
from ..core.dates import format_date
from ..core.errors import DomainError
from .errors import StorageUnavailable, StoreCorrupt
from .filters import all_of, where
from .mongo_apply import Applier
from .mongo_codec import GONE, LARGE, REV, Raw, decode, encode, rev_of, tombstone
from .mongo_connection import Collection, is_transient, storage_error
from .mongo_entries import Entries, end_of, entry_id, position_of
from .mongo_insert import Inserter
from .mongo_items import CommitItem, Plan, Planned
from .mongo_patience import Patience
from .mongo_query import translate
from .mongo_revisions import Known, Revisions
from .mongo_turns import Turns
from .port import Position, StoreOptions
from .positions import START, Notifier
from .unit_of_work import ABSENT, CommitRequest, Key, Write, refusal, unique_violation
from .values import single_scalar

_TRUST_HEAD_SECONDS = 60.0
_PRUNE_EVERY = 256
_OWNER_POLLS = 20
_OWNER_POLL = timedelta(milliseconds=5)
_LOOKUPS_AT_ONCE = 50


class _HeadMoved(Exception):
    """The database shows a commit that is not applied here yet."""


class Committer:
    """Makes the commits of one process for one database, and knows the head of its log.

    Everything that moves the head runs under one lock. A task of its own takes the waiting commits in groups; it ends
    when there are none, and `close` waits for it.
    """

    def __init__(
        self,
        *,
        entries: Entries,
        applier: Applier,
        turns: Turns,
        collection_of: Callable[[str], Collection],
        clock: Clock,
        options: StoreOptions,
        random: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        updates_are_atomic: bool,
    ) -> None:
        self.notifier = Notifier()
        self._entries = entries
        self._applier = applier
        self._patience = Patience(clock, options.outage_budget)
        self._inserter = Inserter(entries, self._patience)
        self._turns = turns
        self._collection_of = collection_of
        self._clock = clock
        self._options = options
        self._random = random
        self._random_bytes = random_bytes
        self._updates_are_atomic = updates_are_atomic
        self._lock = asyncio.Lock()
        self._queue: list[CommitItem] = []
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._end = START
        self._last_event = START
        self._applied = 0
        self._unapplied: list[Raw] = []
        self._is_behind = False
        self._revisions = Revisions(0)
        self._head_seen_at = 0.0
        self._pruned = 0

    @property
    def applied(self) -> int:
        """The entry up to which everything is applied."""
        return self._applied

    @property
    def end(self) -> Position:
        """The place after the newest commit known here whose documents are applied."""
        return self._end if not self._unapplied else Position(self._applied, 0)

    @property
    def last_event(self) -> Position:
        """The place after the newest event known here."""
        return self._last_event

    async def open(self, oldest: Callable[[], Awaitable[Position]]) -> None:
        """Finds the head and applies what a process that died left unapplied.

        Args:
            oldest: Gives the place after the last event that retention removed.
        """
        async with self._lock:
            await self._patience.persistently(self._load_head)
            await self._catch_up()
            # Known for certain only now: the mark is a document that may have been among the unapplied.
            self._last_event = max(self._last_event, await self._patience.persistently(oldest))

    async def commit(self, request: CommitRequest) -> Position:
        """Stores a unit of work; cancelling the caller does not stop it."""
        if self._is_closed:
            raise StorageUnavailable("the store is closed")
        future: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        moment = format_date(self._clock.now())
        self._queue.append(CommitItem(request, moment, self._random_bytes(12).hex(), future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="mongo-committer")
        return await asyncio.shield(future)

    async def refresh(self) -> None:
        """Looks for commits of other processes and applies them."""
        async with self._lock:
            await self._catch_up()

    async def settle(self) -> None:
        """Applies what is committed here and could not be applied, before anything is read."""
        if self._is_behind:
            async with self._lock:
                await self._apply_tail()

    async def prune(self) -> None:
        """Removes from the log what is applied."""
        async with self._lock:
            await self._patience.persistently(lambda: self._entries.prune(self._applied))

    async def close(self) -> None:
        """Waits for commits under way."""
        self._is_closed = True
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while self._queue:
            await self._turns.give()
            items, self._queue = self._queue[: self._options.group_commit], self._queue[self._options.group_commit :]
            try:
                async with self._lock:
                    self._turns.begin()
                    await self._store(items)
                    await self._clean_up()
            except Exception as error:
                # Whatever it was, nobody waits for ever.
                failure = storage_error(error) if isinstance(error, PyMongoError) else error
                for item in items:
                    item.fail(failure)
            finally:
                await self._turns.end()

    async def _store(self, items: list[CommitItem]) -> None:
        """Brings a group of commits into the log, planned anew as often as somebody else was faster."""
        await self._check_head()
        if any(item.request.stores_nothing for item in items):
            await self._catch_up()
        attempt = 0
        is_newest = False
        while items:
            await self._apply_tail()
            try:
                planned = await self._patience.persistently(lambda: self._plan(items, is_newest))  # noqa: B023 - awaited at once
            except _HeadMoved:
                before = self._end
                await self._catch_up(items)
                is_newest = self._end == before
                continue
            is_newest = False
            stored = await self._inserter.insert(planned)
            await self._take_over([plan.entry for plan in planned[:stored]], items)
            if stored < len(planned):
                # Who was faster may wait for the mark.
                await self._clean_up()
            items = [plan.item for plan in planned[stored:]]
            if items:
                await self._catch_up(items)
                attempt += 1
                await self._clock.sleep(timedelta(milliseconds=5) * min(attempt, 10) * self._random())

    # Planning: under the lock, everything up to the head applied.

    async def _plan(self, items: Sequence[CommitItem], is_newest: bool) -> list[Planned]:
        """Returns the entries of the commits that may enter the log now; the others are failed or done.

        Args:
            items: The commits.
            is_newest: Whether the log was just seen to end at the head known here.

        Raises:
            _HeadMoved: It does not.
        """
        await self._load_revisions(items, is_newest)
        plan = Plan(self._revisions)
        planned: list[Planned] = []
        for item in items:
            if item.future.done():
                continue
            try:
                writes = await self._checked_writes(item.request, plan)
                await self._prepare(item)
            except DomainError as error:
                if not is_newest:
                    # Refused by what is known here; others may have changed it since. The next look is the last.
                    raise _HeadMoved from error
                item.fail(error)
                continue
            if not writes and not item.request.events:
                item.resolve(self._end)
                continue
            position = self._end.entry + len(planned) + 1
            planned.append(Planned(item, self._entry(item, position, writes)))
            plan.add(position, writes)
        return planned

    async def _load_revisions(self, items: Sequence[CommitItem], is_newest: bool) -> None:
        """Asks the database for the revisions that matter and are not known."""
        wanted: dict[Key, None] = {}
        for item in items:
            request = item.request
            written = {write.key for write in request.writes}
            for key, expected in request.expected.items():
                is_unchanged = key in request.read and request.read_from >= self._revisions.complete_from
                if not is_unchanged or (expected == ABSENT and key in written):
                    wanted[key] = None
            wanted.update((key, None) for key in written if key not in request.expected)
        missing = [key for key in wanted if self._revisions.get(key) is None]
        for start in range(0, len(missing), _LOOKUPS_AT_ONCE):
            chunk = missing[start : start + _LOOKUPS_AT_ONCE]
            for key, known in zip(chunk, await asyncio.gather(*map(self._look_up, chunk)), strict=True):
                if known.rev is not None and known.rev > self._end.entry:
                    if is_newest:
                        raise StoreCorrupt(f"{key[0]} {key[1]} is newer than the log: was an older log restored?")
                    raise _HeadMoved
                self._revisions.set(key, known)

    async def _look_up(self, key: Key) -> Known:
        raw = await self._collection_of(key[0]).find_one({"_id": key[1]}, {REV: 1, GONE: 1})
        return Known(None, False) if raw is None else Known(rev_of(raw), GONE not in raw)

    async def _checked_writes(self, request: CommitRequest, plan: Plan) -> list[tuple[Write, int | None]]:
        """Returns the writes with the revision each follows, if everything a commit expects is so."""
        for key, expected in request.expected.items():
            known = plan.get(key)
            if known is not None and known.expectation != expected:
                raise refusal(request, key)
        writes: list[tuple[Write, int | None]] = []
        for write in request.writes:
            known = plan.get(write.key)
            if write.text is None and known is not None and not known.exists:
                continue
            # Unknown: read by this commit and unchanged since.
            writes.append((write, request.expected[write.key] if known is None else known.rev))
        for write, _ in writes:
            if write.document is not None:
                await self._check_unique(write, plan, [other for other, _ in writes])
        return writes

    async def _check_unique(self, write: Write, plan: Plan, others: Sequence[Write]) -> None:
        """Checks a document against those stored, those planned before it, and those of its own commit."""
        assert write.document is not None
        for index in write.spec.unique:
            values = [single_scalar(write.document, path) for path in index]
            if any(value is None for value in values):
                continue
            pending = plan.documents_of(write.spec.name) | {
                other.id: other.document for other in others if other.spec.name == write.spec.name
            }
            rivals = [document for id_, document in pending.items() if id_ != write.id and document is not None]
            query = translate(write.spec, all_of(*(where(path).eq(v) for path, v in zip(index, values, strict=True))))
            async for raw in self._collection_of(write.spec.name).find(query.wide()):
                if raw["_id"] not in pending and GONE not in raw:
                    rivals.append(decode(raw, await self._applier.large_text(raw)))
            for rival in rivals:
                if [single_scalar(rival, path) for path in index] == values:
                    raise unique_violation(write.spec.name, write.id, index)

    async def _prepare(self, item: CommitItem) -> None:
        """Stores what is large, and encodes the rest; once per commit, however often it is planned."""
        if item.is_prepared:
            return
        remaining = sum(len(write.text or "") for write in item.request.writes)
        # One entry holds both. Events are never searched, so they make room first.
        item.events = await self._entries.encode_events(item.request.events, item.recorded_at, besides=remaining)
        for write in sorted(item.request.writes, key=lambda write: len(write.text or ""), reverse=True):
            if write.text is None:
                continue
            blob = None
            if remaining >= LARGE:
                blob = await self._entries.blobs.store(write.text, item.recorded_at)
                remaining -= len(write.text)
            item.encoded[write.key] = encode(write, 0, blob)
        item.is_prepared = True

    def _entry(self, item: CommitItem, position: int, writes: Sequence[tuple[Write, int | None]]) -> Raw:
        changes: list[Raw] = []
        for write, previous in writes:
            if write.text is None:
                raw = tombstone(write.id, position, item.recorded_at)
            else:
                raw = {**item.encoded[write.key], REV: position}
            changes.append({"c": write.spec.name, "id": write.id, "prev": previous, "doc": raw})
        subjects = [
            {"event": number, "subject": subject}
            for number, event in enumerate(item.request.events)
            for subject in event.subjects
        ]
        return {
            "_id": entry_id(position),
            "at": item.recorded_at,
            "count": len(item.request.events),
            "events": item.events,
            "subjects": subjects,
            "commit": item.commit_id,
            "applied": self._applied,
            "writes": changes,
        }

    # The head and what is behind it.

    async def _take_over(self, entries: Sequence[Raw], items: Sequence[CommitItem] = ()) -> None:
        """Moves the head over entries that are in the log, applies them, and tells whose commits they are.

        Args:
            entries: The entries behind the head known here.
            items: Commits that may be among them: also those whose answer was lost.
        """
        for entry in entries:
            position = position_of(entry)
            self._end = end_of(entry)
            if entry["count"]:
                self._last_event = self._end
            if "writes" not in entry:
                # Applied and pruned by others: what it changed is not known.
                self._revisions.forget_all(position)
            for write in entry.get("writes") or ():
                self._revisions.set((write["c"], write["id"]), Known(position, GONE not in write["doc"]))
            self._unapplied.append(entry)
        self._head_seen_at = self._clock.monotonic()
        if entries:
            try:
                await self._apply_tail()
            except BaseException as error:
                # They are committed. Whoever reads next applies them first; cancelled, too.
                self._is_behind = True
                if not isinstance(error, DomainError):
                    raise
            self.notifier.notify()
        ends = {entry["commit"]: end_of(entry) for entry in entries} if items else {}
        for item in items:
            if item.commit_id in ends:
                item.resolve(ends[item.commit_id])

    async def _apply_tail(self) -> None:
        if self._unapplied:
            entries = list(self._unapplied)
            await self._patience.persistently(lambda: self._applier.apply(entries))
            self._applied = position_of(entries[-1])
            self._unapplied.clear()
        self._is_behind = False

    async def _catch_up(self, items: Sequence[CommitItem] = ()) -> None:
        """Takes over the entries that were inserted behind the head known here: by other processes, as a rule.

        Args:
            items: Commits of this process that may be among them, since an answer was lost.
        """
        await self._check_head()
        while True:
            found: list[Raw] = []
            while len(found) < self._options.group_commit:
                following = self._end.entry + len(found) + 1
                entry = await self._patience.persistently(lambda: self._entries.get(following))  # noqa: B023 - awaited at once
                if entry is None:
                    break
                found.append(entry)
            if not found:
                self._head_seen_at = self._clock.monotonic()
                return
            await self._turns.ask_when_late()
            if not self._updates_are_atomic:
                await self._leave_to_owner(found)
            await self._take_over(found, items)

    async def _leave_to_owner(self, entries: list[Raw]) -> None:
        """Waits a moment for the process that made the entries to apply them.

        FerretDB compares and writes in two steps, so two processes that apply the same entry can undo a later one.
        Only when its maker seems to be dead does another process apply it.
        """
        last = position_of(entries[-1])
        for attempt in range(1, _OWNER_POLLS + 1):
            newest = await self._patience.persistently(lambda: self._entries.get(last))
            following = await self._patience.persistently(lambda: self._entries.get(last + 1))
            applied = last if newest is None or newest.get("done") else 0
            applied = max(applied, int(following["applied"]) if following else 0)
            if applied >= last:
                for entry in entries:
                    # Changes are still noted, but nothing is left to be done.
                    entry["is_applied"] = True
                return
            await self._clock.sleep(_OWNER_POLL * attempt)

    async def _check_head(self) -> None:
        """Makes sure that the head known here was not passed by others whose entries retention has removed since."""
        if self._clock.monotonic() - self._head_seen_at < _TRUST_HEAD_SECONDS or self._end.entry == 0:
            return
        if await self._patience.persistently(lambda: self._entries.get(self._end.entry)) is None:
            await self._patience.persistently(self._load_head)
        self._head_seen_at = self._clock.monotonic()

    async def _load_head(self) -> None:
        newest = await self._entries.newest()
        if newest is not None:
            with_events = newest if newest["count"] else await self._entries.newest(with_events=True)
            if with_events is not None:
                self._last_event = max(self._last_event, end_of(with_events))
            head = position_of(newest)
            self._applied = head if newest.get("done") else int(newest["applied"])
            self._end = Position(self._applied, 0) if self._applied < head else end_of(newest)
        self._revisions.forget_all(self._applied)
        self._head_seen_at = self._clock.monotonic()

    async def _clean_up(self) -> None:
        """Notes how far everything is applied, when nobody waits, and removes from the log what is not needed."""
        if self._unapplied:
            return
        try:
            if self._applied - self._pruned >= _PRUNE_EVERY:
                await self._entries.prune(self._applied)
                self._pruned = self._applied
            # Others wait for this mark where updates are not atomic; elsewhere the next entry tells as much.
            if self._applied and (not self._queue or not self._updates_are_atomic):
                await self._entries.mark_applied(self._applied)
        except PyMongoError as error:
            # Only a hint for others; the next commit gives it again.
            if not is_transient(error):
                raise
