"""Sync runs: how external events are fetched and confirmed, and how the datawallet's version is raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, path_of
from enmeshed_connector.backbone.endpoints.datawallet import (
    NewModification,
    PushedModification,
    payload_bytes,
    read_pushed,
)
from enmeshed_connector.backbone.paging import Page, Pager, page_of
from enmeshed_connector.backbone.wire import Fields, encode_json, off_loop_when_large, one, without_nones
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.core.ids import DEVICE, EXTERNAL_EVENT, SYNC_RUN, DeviceId, ExternalEventId, SyncRunId

EXTERNAL_EVENT_SYNC = "ExternalEventSync"
"""The type of a run that fetches events."""
DATAWALLET_VERSION_UPGRADE = "DatawalletVersionUpgrade"
"""The type of a run that raises the datawallet's version."""


@dataclass(frozen=True, slots=True)
class SyncRun:
    """A sync run."""

    id: SyncRunId
    """`SYR…`."""
    type: str
    expires_at: datetime
    index: int
    created_at: datetime
    created_by: Address
    created_by_device: DeviceId
    event_count: int


@dataclass(frozen=True, slots=True)
class ExternalEvent:
    """Something that happened to this identity at the Backbone."""

    id: ExternalEventId
    """`SYI…`."""
    type: str
    """`MessageReceived`, `RelationshipStatusChanged`, …; newer Backbones know more."""
    index: int
    """Ascending for each identity."""
    created_at: datetime
    sync_error_count: int
    """How often its processing has failed; after three times it is never delivered again."""
    payload: Mapping[str, Json] = field(repr=False)
    """JSON whose members depend on the type; dates in it have up to seven digits of a second."""


@dataclass(frozen=True, slots=True)
class EventResult:
    """What became of one event."""

    event_id: ExternalEventId
    error_code: str | None = None
    """None for success; else a code of 100 characters at most, and the event comes again up to three times."""


@dataclass(frozen=True, slots=True)
class ExternalEventSyncResult:
    """What finishes a run that fetched events."""

    event_results: Sequence[EventResult]
    """One for each event of the run: an event without a result counts as failed."""
    modifications: Sequence[NewModification] = ()

    def wire(self) -> bytes:
        """Returns the exact body of the request."""
        return encode_json(
            {
                "datawalletModifications": [modification.members() for modification in self.modifications],
                "externalEventResults": [
                    without_nones({"externalEventId": result.event_id, "errorCode": result.error_code})
                    for result in self.event_results
                ],
            }
        )


@dataclass(frozen=True, slots=True)
class Finalised:
    """What the Backbone made of the end of a run."""

    new_modification_index: int | None
    """The highest index of the datawallet; None when it has none."""
    modifications: tuple[PushedModification, ...]
    """In the order of the request."""
    new_unsynced_external_events_exist: bool
    """Whether a further run would find fresh events; False for version upgrades."""


class SyncRuns:
    """Starts, reads and finishes sync runs of the own identity."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def start(self, run_type: str, *, duration: timedelta | None = None) -> SyncRun | None:
        """Starts a run; returns None when there are no new events.

        Args:
            run_type: `EXTERNAL_EVENT_SYNC` or `DATAWALLET_VERSION_UPGRADE`.
            duration: How long it lives without a refresh, whole seconds; the Backbone takes ten when it is not given.

        Raises:
            BackboneRejected: `validation.syncRun.cannotStartSyncRunWhenAnotherSyncRunIsRunning`,
                `.cannotStartSyncRunWhileIdentityIsToBeDeleted`,
                `validation.datawallet.insufficientSupportedDatawalletVersion`.
            RecordNotFound: There is no datawallet yet.
            AnswerLost: A run may have been started, its id is lost: it must expire, which costs its events one of
                their three attempts.
        """
        members = without_nones(
            {"type": run_type, "duration": None if duration is None else int(duration.total_seconds())}
        )
        return await self._caller.call(
            Call(
                "sync_runs.start",
                "POST",
                path_of("SyncRuns"),
                one(_started),
                Repeat.NEVER,
                body=encode_json(members),
            )
        )

    async def get(self, run_id: SyncRunId) -> SyncRun:
        """Returns a run of the own identity, finished or not.

        Raises:
            RecordNotFound: Unknown, or removed long after its end.
        """
        return await self._caller.call(
            Call("sync_runs.get", "GET", path_of("SyncRuns", run_id), one(_sync_run), Repeat.SAFE)
        )

    def external_events(self, run_id: SyncRunId) -> Pager[ExternalEvent]:
        """Lists the events of a run that this device started and nobody finished, ascending by index.

        Raises:
            BackboneRejected: `validation.syncRun.syncRunAlreadyFinalized`,
                `.cannotReadExternalEventsOfASyncRunStartedByAnotherDevice`.
        """
        call: Call[Page[ExternalEvent]] = Call(
            "sync_runs.external_events",
            "GET",
            path_of("SyncRuns", run_id, "ExternalEvents"),
            page_of(_external_event),
            Repeat.SAFE,
        )
        return Pager(self._caller, call)

    async def refresh_expiration(self, run_id: SyncRunId) -> datetime:
        """Gives the run ten more seconds from now; returns when it expires.

        Raises:
            BackboneRejected: `validation.syncRun.syncRunAlreadyFinalized`,
                `.cannotRefreshExpirationTimeOfSyncRunStartedByAnotherDevice`.
        """
        return await self._caller.call(
            Call(
                "sync_runs.refresh_expiration",
                "PUT",
                path_of("SyncRuns", run_id, "RefreshExpirationTime"),
                one(_expires_at),
                Repeat.SAFE,
            )
        )

    async def finalise_external_event_sync(
        self, run_id: SyncRunId, result: ExternalEventSyncResult | bytes
    ) -> Finalised:
        """Confirms the events of a run; takes also the exact body that `ExternalEventSyncResult.wire` gave.

        Everything in it must be durable here before. An expired run can still be finished.

        Raises:
            BackboneRejected: `validation.syncRun.syncRunAlreadyFinalized`,
                `.cannotFinalizeSyncRunStartedByAnotherDevice`, `.unexpectedSyncRunType`, and the codes of the
                datawallet.
            AnswerLost: It may be finished: a repeat then says `syncRunAlreadyFinalized`.
        """
        if isinstance(result, bytes):
            body = result
        else:
            body = await off_loop_when_large(result.wire, payload_bytes(result.modifications))
        return await self._finalise(run_id, "FinalizeExternalEventSync", body)

    async def finalise_version_upgrade(
        self, run_id: SyncRunId, new_version: int, modifications: Sequence[NewModification] = ()
    ) -> Finalised:
        """Raises the datawallet's version, which also brings the datawallet into being, and adds modifications.

        Raises:
            BackboneRejected: As for `finalise_external_event_sync`, and `datawallet.cannotDowngrade`.
            AnswerLost: As there.
        """
        members = {
            "newDatawalletVersion": new_version,
            "datawalletModifications": [modification.members() for modification in modifications],
        }
        body = await off_loop_when_large(lambda: encode_json(members), payload_bytes(modifications))
        return await self._finalise(run_id, "FinalizeDatawalletVersionUpgrade", body)

    async def _finalise(self, run_id: SyncRunId, verb: str, body: bytes) -> Finalised:
        call = Call(
            "sync_runs.finalise", "PUT", path_of("SyncRuns", run_id, verb), one(_finalised), Repeat.NEVER, body=body
        )
        return await self._caller.call(call)


def _started(fields: Fields) -> SyncRun | None:
    # Official clients take the absence of a run for "no new events" too, whatever the status says.
    return fields.nested_or_none("syncRun", _sync_run)


def _sync_run(fields: Fields) -> SyncRun:
    return SyncRun(
        id=fields.id(SYNC_RUN, "id"),
        type=fields.text("type"),
        expires_at=fields.date("expiresAt"),
        index=fields.integer("index"),
        created_at=fields.date("createdAt"),
        created_by=fields.address("createdBy"),
        created_by_device=fields.id(DEVICE, "createdByDevice"),
        event_count=fields.integer("eventCount"),
    )


def _external_event(fields: Fields) -> ExternalEvent:
    return ExternalEvent(
        id=fields.id(EXTERNAL_EVENT, "id"),
        type=fields.text("type"),
        index=fields.integer("index"),
        created_at=fields.date("createdAt"),
        sync_error_count=fields.integer("syncErrorCount"),
        payload=fields.nested_or_none("payload", lambda payload: payload.members) or {},
    )


def _expires_at(fields: Fields) -> datetime:
    return fields.date("expiresAt")


def _finalised(fields: Fields) -> Finalised:
    return Finalised(
        new_modification_index=fields.integer_or_none("newDatawalletModificationIndex"),
        modifications=fields.items("datawalletModifications", read_pushed),
        new_unsynced_external_events_exist=fields.boolean("newUnsyncedExternalEventsExist", default=False),
    )
