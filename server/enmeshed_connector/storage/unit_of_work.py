"""The unit of work, the same for all adapters: collects what a commit reads, writes and tells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from ..core.canonical_json import JsonObject
from ..core.errors import DomainError
from . import exact_json
from .errors import InvalidDocument, LeaseLost, RevisionConflict, UniqueViolation
from .filters import FilterLike, as_filter
from .port import MAX_DOCUMENT_BYTES, CollectionSpec, IdempotencyRecord, Lease, Position, SortLike
from .system_collections import CURSORS, IDEMPOTENCY, LEASES, cursor_document, idempotency_document, idempotency_record
from .values import is_sortable_value, is_storable_text, matcher, resolve_sort, sorted_documents

if TYPE_CHECKING:
    from .base import BaseStore

ABSENT = -1
"""The expected revision of a document that must not exist."""

Key = tuple[str, str]
"""Collection and id."""

_RESERVED_ROOTS = frozenset({"_id", "_gone", "_lossy"})


@dataclass(frozen=True, slots=True)
class Write:
    """One document of a commit."""

    spec: CollectionSpec
    id: str
    text: str | None
    """The document as exact JSON without `_rev`; None deletes it."""
    document: JsonObject | None = field(default=None, repr=False, compare=False)
    """The same as a value of its own, not shared with any caller."""

    @property
    def key(self) -> Key:
        """Collection and id."""
        return self.spec.name, self.id


@dataclass(frozen=True, slots=True)
class EmittedEvent:
    """One event of a commit."""

    text: str
    type: str
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """What an adapter is asked to store in one step."""

    writes: tuple[Write, ...]
    expected: dict[Key, int]
    """Revisions that must still be current; `ABSENT` for documents that must not exist."""
    inserted: frozenset[Key]
    """Those among the absent whose existence is a `UniqueViolation` and no conflict."""
    events: tuple[EmittedEvent, ...]
    lease: Lease | None
    read: frozenset[Key]
    """Those expected because this unit of work read them; the others come from an earlier reading."""
    read_from: int
    """The entry up to which everything was applied when the unit of work began: its reads are not older."""

    @property
    def stores_nothing(self) -> bool:
        """Whether only the expectations are to be checked."""
        return not self.writes and not self.events


@dataclass(frozen=True, slots=True)
class _Savepoint:
    """What a unit of work had collected."""

    pending: dict[Key, Write]
    events: int
    inserted: frozenset[Key]


class StoreUnitOfWork:
    """`port.UnitOfWork` over any adapter."""

    def __init__(self, store: BaseStore, lease: Lease | None) -> None:
        self._store = store
        self._lease = lease
        self._read_from = store.applied_entry
        self._expected: dict[Key, int] = {}
        self._inserted: set[Key] = set()
        self._read: set[Key] = set()
        self._pending: dict[Key, Write] = {}
        self._events: list[EmittedEvent] = []
        self._conflict: Key | None = None
        self._is_open = True

    async def __aenter__(self) -> StoreUnitOfWork:
        """Returns itself."""
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Discards what was not committed."""
        self._is_open = False

    async def get(self, collection: str, id: str) -> JsonObject | None:
        """Returns a document as this unit of work sees it; the commit depends on that."""
        spec = self._store.spec(collection)
        pending = self._pending.get((collection, id))
        if pending is not None:
            return self._pending_document(pending)
        document = await self._store.get(spec.name, id)
        self._read.add((collection, id))
        self._expect((collection, id), ABSENT if document is None else document["_rev"])
        return document

    async def find(
        self,
        collection: str,
        filter: FilterLike = None,
        *,
        sort: Sequence[SortLike] = (),
        limit: int | None = None,
    ) -> list[JsonObject]:
        """Returns matching documents as this unit of work sees them; the commit depends on each of them."""
        spec = self._store.spec(collection)
        overlay = [pending for key, pending in self._pending.items() if key[0] == collection]
        # Pending documents may hide as many stored ones as there are.
        stored_limit = None if limit is None else limit + len(overlay)
        found = await self._store.find(collection, filter, sort=sort, limit=stored_limit)
        if overlay:
            hidden = {pending.id for pending in overlay}
            found = [document for document in found if document[spec.id_field] not in hidden]
            matches = matcher(as_filter(filter))
            mine = [document for pending in overlay if (document := self._pending_document(pending)) is not None]
            found.extend(document for document in mine if matches(document))
            found = sorted_documents(spec, resolve_sort(spec, sort), found)
        if limit is not None:
            found = found[:limit]
        for document in found:
            key = (collection, document[spec.id_field])
            if key not in self._pending:
                self._read.add(key)
                self._expect(key, document["_rev"])
        return found

    async def find_one(
        self,
        collection: str,
        filter: FilterLike = None,
        *,
        sort: Sequence[SortLike] = (),
    ) -> JsonObject | None:
        """Returns the first of the matching documents, as `find`."""
        found = await self.find(collection, filter, sort=sort, limit=1)
        return found[0] if found else None

    def insert(self, collection: str, document: JsonObject) -> None:
        """Adds a new document; the commit raises `UniqueViolation` when one with its id exists."""
        write = self._write(collection, document)
        pending = self._pending.get(write.key)
        if pending is not None:
            if pending.text is not None:
                raise UniqueViolation(
                    f"{collection} {write.id} exists already", facts={"collection": collection, "id": write.id}
                )
        elif write.key not in self._expected:
            self._expected[write.key] = ABSENT
            self._inserted.add(write.key)
        elif self._expected[write.key] != ABSENT:
            raise UniqueViolation(
                f"{collection} {write.id} exists already", facts={"collection": collection, "id": write.id}
            )
        self._put(write)

    def replace(self, collection: str, document: JsonObject) -> None:
        """Puts the document in the place of the one with its id, which must be unchanged since it was read."""
        write = self._write(collection, document)
        if write.key not in self._pending:
            rev = document.get("_rev")
            if rev is not None:
                self._expect(write.key, rev)
            elif write.key not in self._expected:
                raise ValueError(f"{collection} {write.id} was not read before it is replaced")
            elif self._expected[write.key] == ABSENT:
                raise ValueError(f"{collection} {write.id} does not exist: insert it")
        self._put(write)

    def put(self, collection: str, document: JsonObject) -> None:
        """Stores the document whether or not one with its id exists."""
        self._put(self._write(collection, document))

    def delete(self, collection: str, id: str, *, rev: int | None = None) -> None:
        """Deletes a document; nothing happens when there is none."""
        write = Write(self._store.spec(collection), id, None)
        if rev is not None and write.key not in self._pending:
            self._expect(write.key, rev)
        self._check_open()
        self._pending[write.key] = write

    def emit(self, event: JsonObject, *, subjects: Iterable[str] = ()) -> None:
        """Adds an event, behind those already emitted."""
        self._check_open()
        event_type = event.get("type") if isinstance(event, dict) else None
        if not isinstance(event_type, str):
            raise InvalidDocument("an event needs a type")
        subjects = tuple(dict.fromkeys(subjects))
        if not all(map(is_storable_text, subjects)):
            raise InvalidDocument("a subject of an event holds NUL or half a character")
        text = _encode_bounded(event, {"collection": "_Log", "type": event_type})
        self._events.append(EmittedEvent(text, event_type, subjects))

    async def idempotency(self, key: str) -> IdempotencyRecord | None:
        """Returns what is remembered under a key; the commit depends on that."""
        document = await self.get(IDEMPOTENCY.name, key)
        return None if document is None else idempotency_record(document)

    def remember(self, record: IdempotencyRecord, *, first: bool = False) -> None:
        """Stores an idempotency record with the commit."""
        document = idempotency_document(record)
        if first:
            self.insert(IDEMPOTENCY.name, document)
        else:
            self.put(IDEMPOTENCY.name, document)

    def savepoint(self) -> object:
        """Returns what `undo_to` takes."""
        return _Savepoint(dict(self._pending), len(self._events), frozenset(self._inserted))

    def undo_to(self, savepoint: object) -> None:
        """Takes back what was written and told since."""
        assert isinstance(savepoint, _Savepoint)
        self._pending = dict(savepoint.pending)
        del self._events[savepoint.events :]
        for key in self._inserted - savepoint.inserted:
            self._inserted.discard(key)
            self._expected.pop(key, None)

    def move_cursor(self, name: str, position: Position) -> None:
        """Moves a named cursor with the commit."""
        self.put(CURSORS.name, cursor_document(name, position))

    def drop_cursor(self, name: str) -> None:
        """Removes a named cursor with the commit, if there is one."""
        self.delete(CURSORS.name, name)

    async def commit(self) -> Position:
        """Makes everything durable and returns the position after the last event of this commit."""
        self._check_open()
        self._is_open = False
        if self._conflict is not None:
            raise conflict(self._conflict)
        if self._lease is not None:
            self._expected.setdefault((LEASES.name, self._lease.name), self._lease.epoch)
        request = CommitRequest(
            writes=tuple(self._pending.values()),
            expected=self._expected,
            inserted=frozenset(self._inserted),
            events=tuple(self._events),
            lease=self._lease,
            read=frozenset(self._read),
            read_from=self._read_from,
        )
        return await self._store.commit(request)

    def _check_open(self) -> None:
        if not self._is_open:
            raise RuntimeError("this unit of work is over")

    def _expect(self, key: Key, rev: int) -> None:
        known = self._expected.setdefault(key, rev)
        if known != rev:
            # Read twice with a change between, or replaced from an older reading: it can only fail.
            self._conflict = key

    def _put(self, write: Write) -> None:
        self._check_open()
        self._pending[write.key] = write

    def _pending_document(self, pending: Write) -> JsonObject | None:
        if pending.text is None:
            return None
        document: JsonObject = exact_json.decode(pending.text)
        document["_rev"] = max(self._expected.get(pending.key, 0), 0)
        return document

    def _write(self, collection: str, document: JsonObject) -> Write:
        """Returns the document as it will be stored; a snapshot, so that the caller may go on changing it."""
        spec = self._store.spec(collection)
        facts = {"collection": collection}
        id_ = document.get(spec.id_field)
        if not isinstance(id_, str) or not 0 < len(id_) <= 512 or not is_storable_text(id_):
            raise InvalidDocument(
                f"a document of {collection} needs a {spec.id_field}: a text of 1 to 512 characters", facts=facts
            )
        facts["id"] = id_
        if not _RESERVED_ROOTS.isdisjoint(document) or any(
            name.startswith("_content") for name in document if isinstance(name, str)
        ):
            raise InvalidDocument(f"{collection} {id_} uses a reserved member name", facts=facts)
        for path in spec.sortable:
            if not is_sortable_value(document, path):
                raise InvalidDocument(f"{collection} {id_} has no sortable value at {path}", facts=facts)
        if "_rev" in document:
            document = {name: member for name, member in document.items() if name != "_rev"}
        text = _encode_bounded(document, facts)
        return Write(spec, str(id_), text, exact_json.decode(text))


def conflict(key: Key) -> RevisionConflict:
    """Returns the error for a document that was changed by another commit."""
    return RevisionConflict(f"{key[0]} {key[1]} was changed meanwhile", facts={"collection": key[0], "id": key[1]})


def refusal(request: CommitRequest, key: Key) -> DomainError:
    """Returns the error for an expectation of a commit that does not hold."""
    if request.lease is not None and key == (LEASES.name, request.lease.name):
        return LeaseLost(f"lease {key[1]} was taken by another process", facts={"lease": key[1]})
    if key in request.inserted:
        return UniqueViolation(f"{key[0]} {key[1]} exists already", facts={"collection": key[0], "id": key[1]})
    return conflict(key)


def unique_violation(collection: str, id_: str, index: Sequence[str]) -> UniqueViolation:
    """Returns the error for a document that breaks a unique index."""
    return UniqueViolation(
        f"{collection} {id_} has the same {', '.join(index)} as another document",
        facts={"collection": collection, "id": id_, "index": ",".join(index)},
    )


def _encode_bounded(value: JsonObject, facts: dict[str, str]) -> str:
    try:
        text = exact_json.encode(value)
    except ValueError as error:
        raise InvalidDocument(f"a document of {facts['collection']} {error}", facts=facts) from None
    if len(text) > MAX_DOCUMENT_BYTES:
        raise InvalidDocument(f"a document of {facts['collection']} is over {MAX_DOCUMENT_BYTES} bytes", facts=facts)
    return text
