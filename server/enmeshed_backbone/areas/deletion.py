"""Deletion processes of identities: started and cancelled by their owner, carried out by the deletion job.

Source: specification of the Consumer API, §14.
"""

from __future__ import annotations

from typing import Any

from .. import dates
from ..errors import invalid_property, not_found, refused
from ..http.call import Access, BodyKind, Call, Reply, Route, created, ok
from ..ids import IdMaker, is_id, is_whole_id
from ..store import Row, Transaction
from . import external_events
from .identities import require_identity
from .quotas import QUEUED_FOR_DELETION_TIER
from .relationships import living_peers, peer_of

_CODES = "validation.device."


def view(process: Row) -> dict[str, Any]:
    """Returns a deletion process as clients see it. What its creation does is approved by that."""
    return {
        "id": process["id"],
        "status": process["status"],
        "createdAt": dates.network_text(process["created_at"]),
        "createdByDevice": process["created_by_device"],
        "approvedAt": dates.network_text(process["created_at"]),
        "approvedByDevice": process["created_by_device"],
        "gracePeriodEndsAt": dates.network_text_or_none(process["grace_period_ends_at"]),
        "gracePeriodReminder1SentAt": dates.network_text_or_none(process["reminder_1_sent_at"]),
        "gracePeriodReminder2SentAt": dates.network_text_or_none(process["reminder_2_sent_at"]),
        "gracePeriodReminder3SentAt": dates.network_text_or_none(process["reminder_3_sent_at"]),
    }


def start(call: Call, transaction: Transaction) -> Reply:
    """Starts the deletion of the caller's identity: nothing new from now on, and after the grace period all goes."""
    given = call.body.number_or_none("lengthOfGracePeriodInDays")
    days = call.services.settings.grace_period_days if given is None else given
    identity = require_identity(transaction, call.address)
    if identity["status"] != "Active":
        raise refused(_CODES + "onlyOneActiveDeletionProcessAllowed", "A deletion process is active already.")
    if abs(days) > 3_000_000 or not 0 < transaction.now + days * dates.DAY_MS < dates.END_OF_TIME_MS:
        raise invalid_property("The grace period ends outside of all calendars.")
    ends_at = transaction.now + round(days * dates.DAY_MS)
    process_id = call.services.ids.make("IDP")
    transaction.insert(
        "deletion_processes",
        id=process_id,
        address=call.address,
        status="Active",
        created_at=transaction.now,
        created_by_device=call.me.device_id,
        grace_period_ends_at=ends_at,
    )
    transaction.run(
        "UPDATE identities SET status = 'ToBeDeleted', former_tier_id = tier_id, tier_id = ?, "
        "grace_period_ends_at = ? WHERE address = ?",
        QUEUED_FOR_DELETION_TIER,
        ends_at,
        call.address,
    )
    tell_peers(call.services.ids, transaction, call.address, "PeerToBeDeleted", deletion_date=ends_at)
    transaction.push(call.address, "DeletionProcessStarted")
    return created(view(_require(call, transaction, process_id)))


def cancel(call: Call, transaction: Transaction) -> Reply:
    """Cancels a deletion process within its grace period."""
    process_id = call.parameters["id"]
    if not is_whole_id("IDP", process_id):
        raise refused("validation.invalidId", "The id is none of a deletion process.")
    process = _require(call, transaction, process_id)
    if process["status"] != "Active":
        raise refused(_CODES + "deletionProcessIsNotInRequiredStatus", "The deletion process is not active.")
    if process["grace_period_ends_at"] <= transaction.now:
        raise refused(_CODES + "gracePeriodHasAlreadyExpired", "The grace period is over.")
    transaction.run(
        "UPDATE deletion_processes SET status = 'Cancelled', grace_period_ends_at = NULL, cancelled_at = ? "
        "WHERE id = ?",
        transaction.now,
        process_id,
    )
    transaction.run(
        "UPDATE identities SET status = 'Active', tier_id = former_tier_id, former_tier_id = NULL, "
        "grace_period_ends_at = NULL WHERE address = ?",
        call.address,
    )
    tell_peers(call.services.ids, transaction, call.address, "PeerDeletionCancelled")
    transaction.push(call.address, "DeletionProcessCancelledByOwner")
    return ok(view(_require(call, transaction, process_id)))


def get(call: Call, transaction: Transaction) -> Reply:
    """Answers a deletion process of the caller's identity."""
    return ok(view(_require(call, transaction, call.parameters["id"])))


def list_processes(call: Call, transaction: Transaction) -> Reply:
    """Answers all deletion processes of the caller's identity."""
    rows = transaction.all(
        "SELECT * FROM deletion_processes WHERE address = ? ORDER BY created_at, rowid", call.address
    )
    return ok([view(row) for row in rows])


def tell_peers(
    ids: IdMaker, transaction: Transaction, address: str, kind: str, *, deletion_date: int | None = None
) -> None:
    """Tells the peers of all living relationships, once per relationship."""
    date = {} if deletion_date is None else {"deletionDate": dates.round_trip_text(deletion_date)}
    for relationship in living_peers(transaction, address):
        payload = {"relationshipId": relationship["id"], **date}
        external_events.emit(ids, transaction, peer_of(relationship, address), kind, payload)


def _require(call: Call, transaction: Transaction, process_id: str) -> Row:
    if not is_id("IDP", process_id):
        raise invalid_property("The id is none of a deletion process.")
    process = transaction.one("SELECT * FROM deletion_processes WHERE id = ? AND address = ?", process_id, call.address)
    if process is None:
        raise not_found("IdentityDeletionProcess")
    return process


_BASE = "/api/v2/Identities/Self/DeletionProcesses"

ROUTES = (
    Route("POST", _BASE, start, access=Access.WRITE, body=BodyKind.OPTIONAL_JSON),
    Route("GET", _BASE, list_processes),
    Route("GET", f"{_BASE}/{{id}}", get),
    Route("PUT", f"{_BASE}/{{id}}/Cancel", cancel, access=Access.WRITE),
)
