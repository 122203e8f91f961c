"""The port of the document store: what every adapter gives, and what the domain rooms build their repositories on.

One `Store` is one database: an account's, or the server's own. It keeps JSON documents in named collections, and one
log whose entries are commits. Everything that changes goes through a `UnitOfWork`:

    async with store.begin() as uow:
        relationship = await uow.get("Relationships", relationship_id)
        ...
        uow.replace("Relationships", changed)
        uow.insert("Messages", message)
        uow.emit({"type": "transport.messageReceived", ...}, subjects=[relationship_id])
        position = await uow.commit()

or, with conflicts retried, `await store.transact(receive)` where `receive(uow)` does the above without `commit`.

**Atomic.** All of a commit becomes durable at once, as one entry of the log, or nothing does. When `commit` returns, it
survives the death of this process and of the database process, every later read of this `Store` sees it, and its events
can be read.

**Isolated.** Whatever a unit of work read through itself, and every document it writes, must be unchanged since:
otherwise `commit` raises `RevisionConflict` and stores nothing. (`find` guards the documents it returned, not the
absence of others: guard that with a unique index or a document that every such commit writes.)

**Documents** are plain dicts of JSON: `dict`, `list`, `str`, `int`, `float`, `bool`, `None`. What goes in comes out
equal and in the same order, whatever is in it: dots, dollars or NUL in names, integers of any size, lone surrogates;
nested 320 levels deep at most. NaN and infinities are refused. Documents come out with one more member, `_rev`, the
revision (an integer that grows with every change, 0 for documents older than this software); it is ignored by
`insert` and is what `replace` and `delete` compare. Member names that start with `_` are ours: `_id`, `_rev`,
`_gone`, `_lossy` and those starting with `_content` cannot be used at the root. Documents handed in or out are never
shared with the store.

**Cancellation.** A cancelled read reads nothing on. A cancelled `commit` raises `CancelledError`, and the commit then
happens as a whole or not at all, as if the process had died; it never stays half done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Protocol, TypeVar

from ..core.canonical_json import Json, JsonObject
from .filters import FilterLike, Scalar

T = TypeVar("T")

MAX_DOCUMENT_DEPTH = 320
"""How deep a document may be nested: content of 256 levels and room for what is around it."""

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
"""How large the JSON text of one document or event may be."""


@dataclass(frozen=True)
class CollectionSpec:
    """How one collection is kept. Declared by the domain room that owns it; several declarations are merged."""

    name: str
    """The official name where there is one (`spec/transport.md` §8), else one that starts with `_`."""
    id_field: str = "id"
    """The root member that identifies a document: a text of 1 to 512 characters. Maps use `name`."""
    indexes: tuple[str, ...] = ()
    """Dotted paths that are filtered by. A filter on another path works too, by looking at every document."""
    sortable: tuple[str, ...] = ()
    """Paths that may be sorted by; indexed too. Documents whose path holds something else than one scalar (or nothing)
    are refused with `InvalidDocument`. The id and `_rev` are always sortable."""
    unique: tuple[tuple[str, ...], ...] = ()
    """Unique indexes, each a tuple of paths. A document in which one of the paths does not lead to exactly one
    scalar is not constrained. Enforced when a commit enters the log; documents stored before the index was declared
    are not checked."""


@dataclass(frozen=True)
class Sort:
    """One key of an order. Absent sorts before numbers, numbers before texts, texts before booleans."""

    path: str
    descending: bool = False


SortLike = str | Sort
"""A sort key; a text `createdAt` is ascending, `-createdAt` descending."""


@dataclass(frozen=True)
class Keyset:
    """Where a page ended: the sort values of its last document, and its id as the tie-breaker.

    Made by `keyset_of`; to be kept in a page token, together with the sort it belongs to.
    """

    values: tuple[Scalar, ...]
    id: str


@dataclass(frozen=True, order=True)
class Position:
    """A place in the log: after event number `index` of commit number `entry`.

    Opaque to everyone but the store; compare, do not calculate. As text: `Log.token`.
    """

    entry: int
    index: int


@dataclass(frozen=True)
class LogEvent:
    """One event as it stands in the log."""

    position: Position
    """The place after this event: reading goes on from here."""
    recorded_at: datetime
    """When the commit was made, by the clock of the process that made it."""
    event: JsonObject
    """What `emit` was given; `{"type": …, "erased": true}` after `Log.erase`."""


@dataclass(frozen=True)
class LogPage:
    """Some consecutive events."""

    events: tuple[LogEvent, ...]
    next: Position
    """Where to go on reading. Moves over commits without events too, and never past events not in this page."""
    reached_head: bool
    """Whether there was nothing after `next` when the page was read."""


@dataclass(frozen=True)
class IdempotencyRecord:
    """What is remembered of a mutation, so that the same key gives the same answer (architecture decision 8)."""

    key: str
    """The scope and the key in one text: account, method, credential, idempotency key."""
    request_digest: str
    """Digest of the request, to find a key used with another one."""
    state: str
    """`running` or `done`; more when the use case needs steps of its own."""
    created_at: datetime
    """For the expiry; 7 days later `Store.tidy` removes the record."""
    worker: str = ""
    """Which process runs it, so that a marker left by a dead one is recognised."""
    answer: Json = None
    """The answer, or whatever the use case needs to give it again."""


@dataclass(frozen=True)
class Lease:
    """The right to be the one worker of something, until somebody else takes it.

    Give it to `begin` or `transact`, and their commits are refused with `LeaseLost` once another process holds the
    lease, in every process and without comparing clocks.
    """

    name: str
    holder: str
    epoch: int
    """Grows with every acquisition: the position of the commit that acquired it."""


@dataclass(frozen=True)
class Retention:
    """What `Log.trim` keeps. An event is removed when one of both limits is passed and no named cursor needs it."""

    max_age: timedelta
    max_events: int
    hard_cap_age: timedelta | None = None
    """Older events are removed even when a named cursor has not passed them; None: never."""
    hard_cap_events: int | None = None
    """Likewise by number."""


@dataclass(frozen=True)
class TrimResult:
    """What `Log.trim` did."""

    removed_entries: int
    truncated_cursors: tuple[str, ...] = ()
    """Named cursors that lost events to the hard cap in this run: tell their owners (`connector.cursorTruncated`)."""


class UnitOfWork(Protocol):
    """One commit in the making. Used by one task, inside `async with`; leaving without `commit` stores nothing."""

    async def __aenter__(self) -> UnitOfWork:
        """Returns itself."""

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Discards what was not committed."""

    async def get(self, collection: str, id: str) -> JsonObject | None:
        """Returns a document as this unit of work sees it, None when there is none; the commit depends on that.

        Raises:
            StorageUnavailable: The database is away.
        """

    async def find(
        self,
        collection: str,
        filter: FilterLike = None,
        *,
        sort: Sequence[SortLike] = (),
        limit: int | None = None,
    ) -> list[JsonObject]:
        """Returns matching documents as this unit of work sees them; the commit depends on each of them.

        Raises:
            ValueError: The sort or limit is not allowed (a programming error).
            StorageUnavailable: The database is away.
        """

    async def find_one(
        self, collection: str, filter: FilterLike = None, *, sort: Sequence[SortLike] = ()
    ) -> JsonObject | None:
        """Returns the first of the matching documents, as `find`."""

    def insert(self, collection: str, document: JsonObject) -> None:
        """Adds a new document; the commit raises `UniqueViolation` when one with its id exists.

        Raises:
            InvalidDocument: It cannot be stored.
        """

    def replace(self, collection: str, document: JsonObject) -> None:
        """Puts the document in the place of the one with its id.

        It must be unchanged since it was read: since the revision in `_rev` of the document given, or else since this
        unit of work read it. One without both cannot be replaced blindly: use `put`.

        Raises:
            InvalidDocument: It cannot be stored.
            ValueError: It was not read before.
        """

    def put(self, collection: str, document: JsonObject) -> None:
        """Stores the document whether or not one with its id exists: the last writer wins. A `_rev` in it is ignored.

        Raises:
            InvalidDocument: It cannot be stored.
        """

    def delete(self, collection: str, id: str, *, rev: int | None = None) -> None:
        """Deletes a document; nothing happens when there is none.

        It must be unchanged since this unit of work read it, or since the revision given; when there is neither,
        whatever is there is deleted.
        """

    def emit(self, event: JsonObject, *, subjects: Iterable[str] = ()) -> None:
        """Adds an event, behind those already emitted.

        Args:
            event: JSON; `type` must be a text.
            subjects: What the event is about (a relationship id, a peer address), for `Log.erase`.

        Raises:
            InvalidDocument: It is not JSON, has no type, or is over 64 MiB; or a subject holds NUL or half a character.
        """

    async def idempotency(self, key: str) -> IdempotencyRecord | None:
        """Returns what is remembered under a key, None when there is nothing; the commit depends on that."""

    def remember(self, record: IdempotencyRecord, *, first: bool = False) -> None:
        """Stores an idempotency record with the commit.

        Args:
            record: The record; replaces one with the same key.
            first: The key must be new: the commit raises `UniqueViolation` when a record with the key exists.
        """

    def savepoint(self) -> object:
        """Returns what `undo_to` takes: what this unit of work would store at this moment."""

    def undo_to(self, savepoint: object) -> None:
        """Takes back what was written and told since; the commit still depends on what was read."""

    def move_cursor(self, name: str, position: Position) -> None:
        """Moves a named cursor with the commit: what a reader did and how far it read become durable together."""

    def drop_cursor(self, name: str) -> None:
        """Removes a named cursor with the commit, if there is one."""

    async def commit(self) -> Position:
        """Makes everything durable and returns the position after the last event of this commit.

        Without writes and events nothing is stored, but what was read is still checked against later changes.

        Raises:
            RevisionConflict: Something this depends on was changed; nothing was stored.
            UniqueViolation: A document of this would break a unique index; nothing was stored.
            LeaseLost: The lease given to `begin` is not ours any more; nothing was stored.
            StorageUnavailable: The database is away; nothing was stored.
            CommitOutcomeUnknown: The database went away during the commit.
        """


class Log(Protocol):
    """The events of a store, in the order of their commits.

    Order: commits never overtake each other; events of one commit stay together, in the order of `emit`.
    Delivery: a position becomes visible when everything before it is, and when the documents of its commit are.
    """

    async def head(self) -> Position:
        """Returns the place after the last event, or after commit 0 in an empty log."""

    async def oldest(self) -> Position:
        """Returns the earliest place that can still be read from without missing anything."""

    async def read(
        self,
        after: Position,
        *,
        limit: int = 500,
        max_bytes: int = 4 * 1024 * 1024,
        types: frozenset[str] | None = None,
    ) -> LogPage:
        """Returns the events that follow a place.

        Args:
            after: Where to start; `oldest()`, `head()`, a cursor, or `LogPage.next`.
            limit: The largest number of events.
            max_bytes: The largest size of their JSON together; the first one is returned whatever its size.
            types: Only events whose `type` is among these; None for all.

        Raises:
            PositionTruncated: Events after this place were removed by retention.
            StorageUnavailable: The database is away.
        """

    async def wait(self, after: Position, timeout: timedelta) -> bool:
        """Returns once events after the place may be there (True), or after the timeout (False).

        A hint that may come for nothing and is never missed. Commits of this process wake at once, those of other
        processes within the store's poll interval.
        """

    def token(self, position: Position) -> str:
        """Returns the place as opaque text that only this log takes back; letters, digits, `-` and `_`, 80 at most."""

    def position(self, token: str) -> Position:
        """Returns the place that a token stands for.

        Raises:
            PositionInvalid: It is no token of this log.
        """

    async def cursor(self, name: str) -> Position | None:
        """Returns where a named reader is, None when there is no such cursor."""

    async def cursors(self) -> dict[str, Position]:
        """Returns all named cursors."""

    async def move_cursor(self, name: str, position: Position) -> None:
        """Moves or makes a named cursor, durably. Retention keeps what is after it, up to the hard cap."""

    async def drop_cursor(self, name: str) -> None:
        """Removes a named cursor, if there is one."""

    async def erase(self, subject: str) -> int:
        """Removes the content of all events about a subject, keeping their places; returns their number.

        What remains of each is its type. Safe to repeat; events of later commits are not affected.
        """

    async def trim(self, retention: Retention) -> TrimResult:
        """Removes events past their retention, oldest first. Safe to repeat and to run in several processes."""


class Store(Protocol):
    """One database: documents in collections, and the log of commits."""

    @property
    def name(self) -> str:
        """The database's name: `acc-<account>` or `server`."""

    @property
    def log(self) -> Log:
        """The log of this database."""

    async def declare(self, *specs: CollectionSpec) -> None:
        """Declares further collections, or further indexes of known ones; existing documents are indexed before it
        returns.

        Raises:
            ValueError: A collection is declared with two different id fields.
            StorageUnavailable: The database is away.
        """

    async def get(self, collection: str, id: str) -> JsonObject | None:
        """Returns a document, None when there is none.

        Raises:
            ValueError: The collection was not declared.
            StorageUnavailable: The database is away.
        """

    async def find(
        self,
        collection: str,
        filter: FilterLike = None,
        *,
        sort: Sequence[SortLike] = (),
        limit: int | None = None,
        after: Keyset | None = None,
    ) -> list[JsonObject]:
        """Returns the documents that match.

        Args:
            collection: A declared collection.
            filter: See `filters`.
            sort: Keys among the collection's `sortable`, its id field and `_rev`; the id decides between equals, in the
                direction of the last key. Without keys: ascending by id.
            limit: The largest number; None for all, so only where the number is bounded otherwise.
            after: Where the page before ended, in the same order: only documents behind it.

        Raises:
            ValueError: An undeclared collection, a sort key that is not sortable, or a negative limit.
            StorageUnavailable: The database is away.
        """

    async def find_one(
        self, collection: str, filter: FilterLike = None, *, sort: Sequence[SortLike] = ()
    ) -> JsonObject | None:
        """Returns the first of the documents that match, None when there is none."""

    async def count(self, collection: str, filter: FilterLike = None) -> int:
        """Returns how many documents match."""

    def begin(self, *, lease: Lease | None = None) -> UnitOfWork:
        """Returns a new unit of work.

        Args:
            lease: Its commit is refused with `LeaseLost` when this lease is not the current one.
        """

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]], *, lease: Lease | None = None) -> T:
        """Runs `work` with a unit of work and commits, again from the start when another commit was faster.

        `work` must be safe to repeat: it reads through the unit of work it is given and does nothing to the outside.
        Between attempts it waits with jitter; after the budget (10 attempts) the `RevisionConflict` goes to the caller.
        What `work` raises goes to the caller and nothing is stored.
        """

    async def idempotency(self, key: str) -> IdempotencyRecord | None:
        """Returns what is remembered under a key, None when there is nothing."""

    async def reserve(self, counter: str, amount: int = 1) -> int:
        """Takes `amount` consecutive numbers from a counter and returns the first; counters start at 0.

        Numbers once returned are never returned again, whatever dies; those reserved and not used are lost. Durable
        before it returns; not part of any unit of work.
        """

    async def is_leased(self, name: str) -> bool:
        """Tells whether somebody holds the lease, or held it when it died."""

    async def acquire_lease(self, name: str, holder: str, duration: timedelta) -> Lease:
        """Waits until the lease is free or its holder stopped renewing, and takes it.

        A lease counts as abandoned when this process, by its own monotonic clock, saw its renewal counter unchanged for
        `duration`. Clocks of different processes are never compared. Runs until it has the lease or is cancelled.

        Args:
            name: What is leased, such as `worker`.
            holder: This process, for people who look; need not be unique.
            duration: How long the holder may go without renewing; the same in all processes.
        """

    async def try_lease(self, name: str, holder: str) -> Lease | None:
        """Takes the lease when nobody holds it; returns None at once when somebody does."""

    async def renew_lease(self, lease: Lease) -> None:
        """Tells contenders that the holder is alive; to be called every third of the lease's duration or more often.

        Raises:
            LeaseLost: Another process took it.
            StorageUnavailable: The database is away; the lease may be lost by the time it is back.
        """

    async def release_lease(self, lease: Lease) -> None:
        """Gives the lease back, so that a contender need not wait; nothing happens when it was lost already."""

    async def tidy(self) -> None:
        """Does the housekeeping of the store: forgets expired idempotency records and prunes what was applied.

        To be called about once an hour by the account's worker; safe to repeat, and cheap when there is nothing to do.
        """

    async def close(self) -> None:
        """Waits for commits under way and lets go of the database. Safe to repeat."""


class Databases(Protocol):
    """Opens stores: the one thing the composition root makes from the settings."""

    async def open(self, name: str, specs: Iterable[CollectionSpec] = ()) -> Store:
        """Opens a database, made when it does not exist, and brings it to a consistent state: an unapplied tail is
        applied.

        Args:
            name: `acc-<account>` or `server`; letters, digits, `-` and `_`, 63 at most.
            specs: Its collections.

        Raises:
            ValueError: The name is not allowed.
            StorageUnavailable: The database is away.
            StoreCorrupt: It was written by a newer version, or is damaged.
        """

    async def names(self) -> list[str]:
        """Returns the names of the databases that exist, sorted."""

    async def drop(self, name: str) -> None:
        """Deletes a database and all that is in it; its store must be closed. Nothing happens when there is none."""

    async def check(self) -> None:
        """Returns when the database server answers.

        Raises:
            StorageUnavailable: It does not, within a second.
        """

    async def close(self) -> None:
        """Closes the connections; stores must be closed before."""


@dataclass(frozen=True)
class StoreOptions:
    """How stores behave, the same for all adapters."""

    poll_interval: timedelta = timedelta(seconds=1)
    """How often `Log.wait` looks for commits of other processes."""
    idempotency_retention: timedelta = timedelta(days=7)
    transact_attempts: int = 10
    """How often `transact` runs its work at most."""
    group_commit: int = 64
    """How many ready commits share one insert at most."""
    outage_budget: timedelta = field(default=timedelta(seconds=20))
    """How long a commit under way tries to reach a database that went away before it gives up."""
