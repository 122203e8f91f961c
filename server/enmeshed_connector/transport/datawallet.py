"""The datawallet: what this device tells the others of its identity, and what it learns from them.

Source: transport.md, sections 11 and 12.2. Differences from official devices, all on the safe side:

- A push is remembered before it is sent. When its answer is lost, the next pull tells whether it got through:
  modifications of this device in the range of indexes that the push would have filled are that push.
- What is pulled is applied page by page, each page in one commit with the index that it leads to.
- Changes of ours that are not pushed yet stay on top of what is pulled: in the datawallet they come after it.
- A relationship is only replaced by one with a longer audit log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from enmeshed_connector.backbone.endpoints.datawallet import Datawallet as DatawalletCalls
from enmeshed_connector.backbone.endpoints.datawallet import Modification as BackboneModification
from enmeshed_connector.backbone.endpoints.datawallet import NewModification, NewModifications
from enmeshed_connector.backbone.errors import AnswerLost, BackboneRejected, RecordNotFound
from enmeshed_connector.core.canonical_json import dumps
from enmeshed_connector.storage import CollectionSpec
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.datawallet_events import events_of_change, subjects_of_relationship
from enmeshed_connector.transport.datawallet_payloads import PayloadCipher, PulledModification
from enmeshed_connector.transport.errors import DatawalletNotReadable, DatawalletVersionTooLow, SyncRunningElsewhere
from enmeshed_connector.transport.modifications import ModificationType, removed_by
from enmeshed_connector.transport.objects import (
    ACCOUNT_INFO,
    DEVICE_SECRETS,
    DEVICES,
    ERASURES,
    EXACT_CONTENT,
    RELATIONSHIPS,
    RESTORED,
    SYNC_INFO,
    UNPUSHED_MODIFICATIONS,
    Document,
    SynchronizedCollections,
)
from enmeshed_connector.transport.pulled_changes import PulledChange, PulledChanges
from enmeshed_connector.transport.relationship_documents import with_creation_time
from enmeshed_connector.transport.sync_state import DATAWALLET_TIME, NO_RUN, PushAttempt, SyncState
from enmeshed_connector.transport.work import Cause, Origin, Work, WorkerCommits

MAXIMUM_BATCH = 200
"""How many modifications are pushed at once at most."""
MAXIMUM_BATCH_BYTES = 4 * 1024 * 1024
"""How large the payloads of one push are together, before encryption; a single larger one goes alone."""
_ROUNDS = 10
_LOCAL_COLLECTIONS = frozenset({ACCOUNT_INFO, DEVICE_SECRETS, SYNC_INFO, UNPUSHED_MODIFICATIONS})
_NOT_UP_TO_DATE = "validation.datawallet.datawalletNotUpToDate"
_DURING_RUN = "validation.datawallet.cannotPushDatawalletModificationsDuringActiveSyncRun"
_VERSION_TOO_LOW = "validation.datawallet.insufficientSupportedDatawalletVersion"


@dataclass(frozen=True)
class PullResult:
    """What a pull changed."""

    changed: tuple[str, ...] = ()
    """The ids of the objects that other devices made, changed or deleted, in order."""


class Datawallet:
    """Pulls and pushes. Used by the sync engine, one caller at a time."""

    def __init__(
        self, context: AccountContext, commits: WorkerCommits, state: SyncState, collections: SynchronizedCollections
    ) -> None:
        """Takes the account, the worker's commits, what is durable about syncs, and what is shared."""
        self._context = context
        self._collections = collections
        self._commits = commits
        self._state = state
        self._calls = DatawalletCalls(context.backbone)
        self._cipher = PayloadCipher(context.keys.synchronisation, context.random)
        self._logger = structlog.get_logger(__name__).bind(account=context.account)
        self._declared: set[str] = set()

    async def version(self) -> int | None:
        """Returns the version of the identity's datawallet; None when there is none yet.

        Raises:
            DatawalletVersionTooLow: It is newer than what is understood here.
            BackboneError: The Backbone is away.
        """
        try:
            version = await self._calls.version()
        except RecordNotFound:
            return None
        if version > self._context.settings.datawallet_version:
            raise DatawalletVersionTooLow(
                f"The datawallet has version {version}, and this Connector understands up to "
                f"{self._context.settings.datawallet_version}: upgrade the Connector.",
                facts={"version": str(version)},
            )
        return version

    async def pull(self, *, ends_attempt: bool = False) -> PullResult:
        """Applies all modifications that are new here.

        Args:
            ends_attempt: A push that is not there now will never be there, since a sync run of ours keeps pushes out.

        Raises:
            DatawalletNotReadable: A modification cannot be opened; those before its page are applied.
            DatawalletVersionTooLow: Another device upgraded the datawallet.
            BackboneError: The Backbone is away.
        """
        index = await self._state.index()
        # The whole past of the identity is not news.
        is_history = index is None
        changed: dict[str, None] = {}
        try:
            async for page in self._calls.modifications(index).pages():
                if page.items:
                    changed.update(dict.fromkeys(await self._apply(page.items, is_history=is_history)))
        except BackboneRejected as error:
            if error.has_code(_VERSION_TOO_LOW):
                raise _version_too_low() from error
            raise
        attempt = await self._state.attempt()
        if attempt is not None and (ends_attempt or attempt.base != await self.base()):

            async def forget(work: Work) -> None:
                self._state.set_attempt(work, None)

            # Others follow on its base, so it can never be accepted.
            await self._commits.run(forget)
        self._context.slots.pulled()
        return PullResult(tuple(changed))

    async def shows_restored(self) -> bool:
        """Tells whether the datawallet holds changes of this device that its database does not know. Reads only.

        Raises:
            BackboneError: The Backbone is away.
        """
        index = await self._state.index()
        if index is None:
            return False
        async for modification in self._calls.modifications(index):
            if modification.created_by_device != self._context.device.id:
                continue
            # The worker may have pushed it meanwhile.
            attempts = (await self._state.attempt(), (await self._state.run() or NO_RUN).attempt)
            if modification.index > await self.base() and not any(
                attempt is not None and attempt.covers(modification.index) for attempt in attempts
            ):
                return True
        return False

    async def push(self) -> bool:
        """Pushes all modifications that wait, and returns whether there were any.

        Raises:
            SyncRunningElsewhere: Another device is in a sync run, which keeps pushes out.
            DatawalletVersionTooLow: Another device upgraded the datawallet.
            BackboneError: The Backbone is away; what was pushed before stays pushed.
        """
        has_pushed = False
        conflicts = 0
        while True:
            attempt, records = await self._next_attempt()
            if not records:
                return has_pushed
            wire = NewModifications(attempt.base, self._cipher.seal(records, attempt.base))
            try:
                result = await self._calls.push(wire)
            except AnswerLost:
                conflicts += 1
                if conflicts > _ROUNDS:
                    raise
                await self.pull()
                continue
            except BackboneRejected as error:
                conflicts += 1
                if error.has_code(_NOT_UP_TO_DATE) and conflicts <= _ROUNDS:
                    await self.pull()
                    continue
                if error.has_code(_DURING_RUN):
                    raise SyncRunningElsewhere("A sync run of another device keeps the datawallet closed.") from error
                if error.has_code(_VERSION_TOO_LOW):
                    raise _version_too_low() from error
                raise
            await self._finish(attempt, result.new_index)
            has_pushed = True

    async def base(self) -> int:
        """Returns the highest index that is applied here, -1 before the first."""
        index = await self._state.index()
        return -1 if index is None else index

    async def choose(self, base: int) -> PushAttempt:
        """Returns the modifications that wait, as many as fit, as they would follow `base`."""
        chosen: list[str] = []
        size = 0
        for record in await self._state.unpushed(limit=MAXIMUM_BATCH):
            size += len(dumps(record.get("payload")))
            if chosen and size > MAXIMUM_BATCH_BYTES:
                break
            chosen.append(record["localId"])
        return PushAttempt(base, tuple(chosen))

    async def seal(self, attempt: PushAttempt) -> list[NewModification]:
        """Returns the modifications of an attempt as the Backbone takes them."""
        return self._cipher.seal(await self._state.unpushed_by_id(attempt.local_ids), attempt.base)

    def note_pushed(self, work: Work, attempt: PushAttempt, new_index: int) -> None:
        """Makes durable that an attempt got through."""
        self._state.forget_pushed(work, attempt.local_ids)
        self._state.set_index(work, new_index)

    async def note_time(self) -> None:
        """Makes durable that a sync of the datawallet is completed now."""

        async def note(work: Work) -> None:
            self._state.set_time(work, DATAWALLET_TIME)

        await self._commits.run(note)

    async def _next_attempt(self) -> tuple[PushAttempt, Sequence[Document]]:
        base = await self.base()
        attempt = await self._state.attempt()
        if attempt is not None and attempt.base == base:
            # It may still arrive, and then fills exactly its range; anything else on the same base could be mistaken
            # for it.
            records = await self._state.unpushed_by_id(attempt.local_ids)
            if len(records) == len(attempt.local_ids):
                return attempt, records
        attempt = await self.choose(base)
        records = await self._state.unpushed_by_id(attempt.local_ids)
        if records:
            chosen = attempt

            async def keep(work: Work) -> None:
                self._state.set_attempt(work, chosen)

            await self._commits.run(keep)
        return attempt, records

    async def _finish(self, attempt: PushAttempt, new_index: int) -> None:
        async def finish(work: Work) -> None:
            self.note_pushed(work, attempt, new_index)
            self._state.set_attempt(work, None)

        await self._commits.run(finish)

    async def _apply(self, items: Sequence[BackboneModification], *, is_history: bool) -> Iterable[str]:
        opened = [self._cipher.open(item) for item in items]
        await self._declare(opened)
        attempt = await self._state.attempt()
        own = [item for item in opened if item.created_by_device == self._context.device.id]
        has_landed = attempt is not None and any(attempt.covers(item.index) for item in own)
        is_unexplained = any(attempt is None or not attempt.covers(item.index) for item in own)
        groups: dict[str, list[PulledModification]] = {}
        for item in opened:
            groups.setdefault(item.object_id, []).append(item)

        async def apply(work: Work) -> None:
            if has_landed and attempt is not None:
                self._state.forget_pushed(work, attempt.local_ids)
                self._state.set_attempt(work, None)
            changes = [await self._apply_group(work, object_id, group) for object_id, group in groups.items()]
            if not is_history:
                await self._tell(PulledChanges(work, changes), changes)
            if is_unexplained:
                work.write_entry(ACCOUNT_INFO, RESTORED, True)
            self._state.set_index(work, max(item.index for item in opened))

        if is_unexplained:
            self._logger.warning("the datawallet holds changes of this device that its database does not know")
        await self._commits.run(apply, cause=Cause(Origin.DATAWALLET))
        if is_unexplained:
            self._context.slots.reconsider()
        return groups

    async def _declare(self, items: Iterable[PulledModification]) -> None:
        """Makes the store take collections that no room of this version knows."""
        for name in dict.fromkeys(item.collection for item in items):
            if not name or name.startswith("_") or name in _LOCAL_COLLECTIONS:
                raise DatawalletNotReadable("A modification is about a collection that is not shared.")
            if name not in self._declared:
                await self._context.store.declare(CollectionSpec(name))
                self._declared.add(name)

    async def _apply_group(self, work: Work, object_id: str, group: Sequence[PulledModification]) -> PulledChange:
        collection = group[0].collection
        before = await work.get(collection, object_id)
        after: Document | None = dict(before) if before is not None else None
        for item in group:
            payload = item.payload or {}
            if item.type is ModificationType.UPDATE and after is not None:
                gone = removed_by(self._collections.find(collection), after, item.category, payload)
                after = {name: value for name, value in after.items() if name not in gone}
            after = _merge(after, item.type, payload)
            if after is not None and item.content_text is not None:
                after[EXACT_CONTENT] = item.content_text
        for record in await self._state.unpushed_of(work, object_id):
            after = _merge(after, ModificationType(record["type"]), record.get("payload") or {})
        if after is None:
            if before is not None:
                work.delete_silently(collection, object_id)
                if collection == RELATIONSHIPS:
                    # The device that decomposed it deletes the rest by modifications of its own; the log is ours.
                    for subject in subjects_of_relationship(before):
                        work.store_silently(ERASURES, {"id": subject})
        else:
            after = {"id": object_id} | after
            if collection == RELATIONSHIPS and before is not None:
                after = _keep_longer_history(before, after)
            if collection == RELATIONSHIPS:
                after = with_creation_time(after)
            work.store_silently(collection, after)
            if collection == DEVICES and object_id == self._context.device.id and "publicKey" in after:
                work.write_entry(ACCOUNT_INFO, "device", {k: v for k, v in after.items() if not k.startswith("_")})
        return PulledChange(collection, object_id, before, after)

    async def _tell(self, pulled: PulledChanges, changes: Sequence[PulledChange]) -> None:
        """Publishes the events for what other devices did, once all of it is written."""
        for change in changes:
            shared = self._collections.find(change.collection)
            if shared is not None and shared.events is not None:
                await shared.events(change, pulled)
                continue
            for event in events_of_change(change.collection, change.before, change.after):
                pulled.work.publish(event.type, event.data, subjects=event.subjects)


def _version_too_low() -> DatawalletVersionTooLow:
    return DatawalletVersionTooLow("Another device upgraded the datawallet: upgrade the Connector.")


def _merge(document: Document | None, kind: ModificationType, payload: Document) -> Document | None:
    """Returns the document after one modification: properties are replaced as a whole, others stay."""
    if kind is ModificationType.DELETE:
        return None
    merged = dict(document or {})
    merged.update((name, value) for name, value in payload.items() if not name.startswith("_") and name != "id")
    return merged


def _keep_longer_history(before: Document, after: Document) -> Document:
    """Returns the relationship with the state of the longer audit log (architecture.md, decision 7)."""
    if len(before.get("auditLog") or ()) > len(after.get("auditLog") or ()):
        return after | {"status": before["status"], "auditLog": before["auditLog"]}
    return after
