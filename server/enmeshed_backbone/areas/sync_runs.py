"""Sync runs: one device at a time takes the waiting external events of its identity.

Source: specification of the Consumer API, §13.
"""

from __future__ import annotations

import enum
from typing import Any

import orjson

from .. import dates
from ..errors import ApiError, invalid_property, not_found, refused
from ..http.binding import Body
from ..http.call import Access, BodyKind, Call, Reply, Route, ok, paged
from ..ids import is_id
from ..store import Row, Transaction
from . import datawallet

_CODES = "validation.syncRun."
_MAX_ERROR_CODE_LENGTH = 100


class RunType(enum.Enum):
    """What a run is for."""

    EXTERNAL_EVENT_SYNC = "ExternalEventSync"
    DATAWALLET_VERSION_UPGRADE = "DatawalletVersionUpgrade"


def start(call: Call, transaction: Transaction) -> Reply:
    """Starts a run, unless there is nothing to sync. One that is left over and has expired is cancelled first."""
    body, settings = call.body, call.services.settings
    kind = body.choice("type", RunType, RunType.EXTERNAL_EVENT_SYNC)
    given = body.integer_or_none("duration", 0, 2**16 - 1)
    duration = settings.sync_run_duration if given is None else given
    supported = call.supported_datawallet_version()
    _require_active_identity(transaction, call.address)
    if supported == 0:
        raise invalid_property("X-Supported-Datawallet-Version must be 1 or more.")
    version = datawallet.version_of(transaction, call.address)
    if version is None and kind is RunType.EXTERNAL_EVENT_SYNC:
        raise not_found("Datawallet")
    if version is not None:
        datawallet.require_supported(call, version)
    _clear_previous(transaction, call.address)

    waiting = _waiting_events(call, transaction) if kind is RunType.EXTERNAL_EVENT_SYNC else []
    if kind is RunType.EXTERNAL_EVENT_SYNC and not waiting:
        return Reply(200, {"status": "NoNewEvents", "syncRun": None})
    run_id = call.services.ids.make("SYR")
    newest = transaction.value("SELECT max(idx) FROM sync_runs WHERE address = ?", call.address)
    transaction.insert(
        "sync_runs",
        id=run_id,
        address=call.address,
        idx=0 if newest is None else newest + 1,
        type=kind.value,
        expires_at=transaction.now + duration * dates.SECOND_MS,
        created_at=transaction.now,
        created_by_device=call.me.device_id,
        event_count=len(waiting),
    )
    for event_id in waiting:
        transaction.run("UPDATE external_events SET sync_run_id = ? WHERE id = ?", run_id, event_id)
    return Reply(201, {"status": "Created", "syncRun": _view(_require_run(call, transaction, run_id))})


def get(call: Call, transaction: Transaction) -> Reply:
    """Answers a run of the caller's identity."""
    return ok(_view(_require_run(call, transaction)))


def list_events(call: Call, transaction: Transaction) -> Reply:
    """Answers the events of a run that the calling device started and has not finalised."""
    page, run = call.page(), _require_run(call, transaction)
    _require_open(run)
    _require_own_device(call, run, "cannotReadExternalEventsOfASyncRunStartedByAnotherDevice")
    total = transaction.value("SELECT count(*) FROM external_events WHERE sync_run_id = ?", run["id"])
    rows = transaction.all(
        "SELECT * FROM external_events WHERE sync_run_id = ? ORDER BY idx LIMIT ? OFFSET ?",
        run["id"],
        page.size,
        page.offset,
    )
    return paged([_view_event(row) for row in rows], total, page)


def refresh(call: Call, transaction: Transaction) -> Reply:
    """Sets the expiry of a run of the calling device anew."""
    run = _require_run(call, transaction)
    _require_own_device(call, run, "cannotRefreshExpirationTimeOfSyncRunStartedByAnotherDevice")
    _require_open(run)
    expires_at = transaction.now + call.services.settings.sync_run_duration * dates.SECOND_MS
    transaction.run("UPDATE sync_runs SET expires_at = ? WHERE id = ?", expires_at, run["id"])
    return ok({"expiresAt": dates.network_text(expires_at)})


def finalize_events(call: Call, transaction: Transaction) -> Reply:
    """Ends a run: what was synced stays so, what failed or has no result is given out again."""
    body = call.body
    results = _read_results(body)
    modifications = datawallet.read_modifications(body.children("datawalletModifications", default=[]))
    datawallet.validate_modifications(modifications)
    run = _require_finalizable(call, transaction, RunType.EXTERNAL_EVENT_SYNC)
    version = datawallet.version_of(transaction, call.address)
    if version is None:
        raise not_found("Datawallet")
    added = datawallet.append(call, transaction, version, modifications)
    for row in transaction.all("SELECT id FROM external_events WHERE sync_run_id = ?", run["id"]):
        error_code = results.get(row["id"], "notProcessed")
        if error_code is None:
            transaction.run("UPDATE external_events SET is_synced = 1 WHERE id = ?", row["id"])
        else:
            _fail_event(transaction, run["id"], row["id"], error_code)
    transaction.run("UPDATE sync_runs SET finalized_at = ? WHERE id = ?", transaction.now, run["id"])
    has_new = transaction.value(
        "SELECT EXISTS (SELECT 1 FROM external_events WHERE owner = ? AND sync_run_id IS NULL AND NOT is_blocked "
        "AND NOT is_synced AND error_count = 0)",
        call.address,
    )
    return ok(_finalized(call, transaction, added) | {"newUnsyncedExternalEventsExist": bool(has_new)})


def finalize_upgrade(call: Call, transaction: Transaction) -> Reply:
    """Ends an upgrade: sets the version of the datawallet, making it when it is the first."""
    body = call.body
    new_version = body.integer("newDatawalletVersion", 0, 2**16 - 1)
    modifications = datawallet.read_modifications(body.children("datawalletModifications", default=[]))
    if new_version < 1:
        raise invalid_property("newDatawalletVersion must be 1 or more.")
    datawallet.validate_modifications(modifications)
    run = _require_finalizable(call, transaction, RunType.DATAWALLET_VERSION_UPGRADE)
    version = datawallet.version_of(transaction, call.address)
    if version is not None and new_version < version:
        raise refused("datawallet.cannotDowngrade", f"The datawallet has version {version} already.")
    transaction.run(
        "INSERT INTO datawallets (address, version) VALUES (?, ?) "
        "ON CONFLICT (address) DO UPDATE SET version = excluded.version",
        call.address,
        new_version,
    )
    added = datawallet.append(call, transaction, new_version, modifications)
    transaction.run("UPDATE sync_runs SET finalized_at = ? WHERE id = ?", transaction.now, run["id"])
    return ok(_finalized(call, transaction, added))


def _require_active_identity(transaction: Transaction, address: str) -> None:
    status = transaction.value("SELECT status FROM identities WHERE address = ?", address)
    if status is None:
        raise not_found("Identity")
    if status != "Active":
        raise refused(_CODES + "cannotStartSyncRunWhileIdentityIsToBeDeleted", "The identity is about to be deleted.")


def _clear_previous(transaction: Transaction, address: str) -> None:
    previous = transaction.one("SELECT * FROM sync_runs WHERE address = ? AND finalized_at IS NULL", address)
    if previous is None:
        return
    if previous["expires_at"] > transaction.now:
        raise refused(_CODES + "cannotStartSyncRunWhenAnotherSyncRunIsRunning", "Another sync run is running.")
    for row in transaction.all("SELECT id FROM external_events WHERE sync_run_id = ?", previous["id"]):
        _fail_event(transaction, previous["id"], row["id"], "syncRunCanceled")
    transaction.run("UPDATE sync_runs SET finalized_at = ? WHERE id = ?", transaction.now, previous["id"])


def _waiting_events(call: Call, transaction: Transaction) -> list[str]:
    rows = transaction.all(
        "SELECT id FROM external_events WHERE owner = ? AND sync_run_id IS NULL AND NOT is_blocked AND NOT is_synced "
        "AND error_count < ? ORDER BY idx",
        call.address,
        call.services.settings.max_sync_errors,
    )
    return [row["id"] for row in rows]


def _fail_event(transaction: Transaction, run_id: str, event_id: str, error_code: str) -> None:
    transaction.run(
        "UPDATE external_events SET error_count = error_count + 1, sync_run_id = NULL WHERE id = ?", event_id
    )
    transaction.insert(
        "sync_errors",
        sync_run_id=run_id,
        external_event_id=event_id,
        error_code=error_code,
        created_at=transaction.now,
    )


def _read_results(body: Body) -> dict[str, str | None]:
    results: dict[str, str | None] = {}
    for item in body.children("externalEventResults", default=[]):
        event_id, error_code = item.text("externalEventId"), item.text_or_none("errorCode")
        if not is_id("SYI", event_id):
            raise invalid_property("externalEventId is none of an external event.")
        if len(error_code or "") > _MAX_ERROR_CODE_LENGTH:
            # The official server leaks the code of its validation library here.
            raise ApiError(400, "MaximumLengthValidator", f"errorCode has {_MAX_ERROR_CODE_LENGTH} characters at most.")
        results[event_id] = error_code or None
    return results


def _require_run(call: Call, transaction: Transaction, run_id: str | None = None) -> Row:
    run_id = run_id or call.parameters["id"]
    if not is_id("SYR", run_id):
        raise invalid_property("The id is none of a sync run.")
    run = transaction.one("SELECT * FROM sync_runs WHERE id = ? AND address = ?", run_id, call.address)
    if run is None:
        raise not_found("SyncRun")
    return run


def _require_finalizable(call: Call, transaction: Transaction, kind: RunType) -> Row:
    run = _require_run(call, transaction)
    if run["type"] != kind.value:
        raise refused(_CODES + "unexpectedSyncRunType", f"The sync run is of type {run['type']}.")
    _require_own_device(call, run, "cannotFinalizeSyncRunStartedByAnotherDevice")
    _require_open(run)
    return run


def _require_own_device(call: Call, run: Row, code: str) -> None:
    if run["created_by_device"] != call.me.device_id:
        raise refused(_CODES + code, "Another device started the sync run.")


def _require_open(run: Row) -> None:
    if run["finalized_at"] is not None:
        raise refused(_CODES + "syncRunAlreadyFinalized", "The sync run is finalised already.")


def _finalized(call: Call, transaction: Transaction, added: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "newDatawalletModificationIndex": datawallet.latest_index(transaction, call.address),
        "datawalletModifications": added,
    }


def _view(run: Row) -> dict[str, Any]:
    return {
        "id": run["id"],
        "type": run["type"],
        "expiresAt": dates.network_text(run["expires_at"]),
        "index": run["idx"],
        "createdAt": dates.network_text(run["created_at"]),
        "createdBy": run["address"],
        "createdByDevice": run["created_by_device"],
        "eventCount": run["event_count"],
    }


def _view_event(event: Row) -> dict[str, Any]:
    return {
        "id": event["id"],
        "type": event["type"],
        "index": event["idx"],
        "createdAt": dates.network_text(event["created_at"]),
        "syncErrorCount": event["error_count"],
        "payload": orjson.loads(event["payload"]),
    }


_FINALIZE: dict[str, Any] = {"access": Access.WRITE, "body": BodyKind.JSON}

ROUTES = (
    Route("POST", "/api/v2/SyncRuns", start, access=Access.WRITE, body=BodyKind.JSON),
    Route("GET", "/api/v2/SyncRuns/{id}", get),
    Route("GET", "/api/v2/SyncRuns/{id}/ExternalEvents", list_events),
    Route("PUT", "/api/v2/SyncRuns/{id}/RefreshExpirationTime", refresh, access=Access.WRITE),
    Route("PUT", "/api/v2/SyncRuns/{id}/FinalizeExternalEventSync", finalize_events, **_FINALIZE),
    Route("PUT", "/api/v2/SyncRuns/{id}/FinalizeDatawalletVersionUpgrade", finalize_upgrade, **_FINALIZE),
)
