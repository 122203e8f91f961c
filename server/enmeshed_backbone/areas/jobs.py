"""What the official Backbone does in jobs of its own: carrying out deletions, reminders, housekeeping.

Nothing here starts by itself: the Admin API does it when a developer asks.

Source: specification of the Consumer API, §14 and §21.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import addresses, dates
from ..ids import IdMaker
from ..services import Services
from ..store import Row, Transaction
from . import announcements, decomposition, deletion, files, templates, tokens
from .identities import hash_username
from .relationships import Reason, Status, has_decomposed

_KEPT_MS = 30 * dates.DAY_MS
_AUDIT_KEPT_MS = 731 * dates.DAY_MS


def delete_due_identities(services: Services, transaction: Transaction) -> list[str]:
    """Deletes the identities whose grace period is over and returns their addresses."""
    rows = transaction.all(
        "SELECT * FROM identities WHERE status = 'Deleting' OR status = 'ToBeDeleted' AND grace_period_ends_at <= ?",
        transaction.now,
    )
    for identity in rows:
        _delete_identity(services, transaction, identity)
    return [row["address"] for row in rows]


def send_reminders(services: Services, transaction: Transaction) -> int:
    """Sends the reminders that are due and returns how many deletion processes got one."""
    count = 0
    for process in transaction.all("SELECT * FROM deletion_processes WHERE status = 'Active'"):
        remaining = process["grace_period_ends_at"] - transaction.now
        due = [
            number
            for number, days in enumerate(services.settings.reminder_days, start=1)
            if remaining <= days * dates.DAY_MS
        ]
        # Only the latest one that is due goes out; those before it are covered by it.
        if due and process[f"reminder_{due[-1]}_sent_at"] is None:
            column = f"reminder_{due[-1]}_sent_at"
            transaction.run(
                f"UPDATE deletion_processes SET {column} = ? WHERE id = ?",  # noqa: S608
                transaction.now,
                process["id"],
            )
            transaction.push(process["address"], "DeletionProcessGracePeriodReminder")
            count += 1
    return count


def clean_up(transaction: Transaction) -> dict[str, int]:
    """Removes what nobody needs any more and returns how many of each kind."""
    limit = transaction.now - _KEPT_MS
    return {
        "files": _remove_each(transaction, "SELECT id FROM files WHERE expires_at <= ?", limit, files.remove),
        "tokens": _remove_each(transaction, "SELECT id FROM tokens WHERE expires_at <= ?", limit, tokens.remove),
        "announcements": _remove_each(
            transaction, "SELECT id FROM announcements WHERE expires_at <= ?", limit, announcements.remove
        ),
        "relationshipTemplates": _remove_each(
            transaction,
            "SELECT id FROM templates WHERE expires_at <= ? AND id NOT IN "
            "(SELECT template_id FROM relationships WHERE template_id IS NOT NULL)",
            limit,
            templates.remove,
        ),
        "relationships": _remove_each(
            transaction,
            "SELECT id FROM relationships AS r WHERE status = 'ReadyForDeletion' AND "
            "(SELECT max(created_at) FROM relationship_audit WHERE relationship_id = r.id) <= ?",
            limit,
            _remove_relationship,
        ),
        "syncRuns": _remove_each(
            transaction, "SELECT id FROM sync_runs WHERE finalized_at <= ?", limit, _remove_sync_run
        ),
        "challenges": transaction.run("DELETE FROM challenges WHERE expires_at <= ?", limit),
        "deletionProcesses": transaction.run(
            "DELETE FROM deletion_processes WHERE status = 'Cancelled' AND cancelled_at <= ?", limit
        ),
        "datawalletModifications": transaction.run(_SUPERSEDED, limit),
        "deletionAuditEntries": transaction.run(
            "DELETE FROM deletion_audit WHERE created_at <= ?", transaction.now - _AUDIT_KEPT_MS
        ),
    }


# The newest modification stays whatever it is: the next index follows from it.
_SUPERSEDED = (
    "DELETE FROM datawallet_modifications AS m WHERE created_at <= ? AND EXISTS "
    "(SELECT 1 FROM datawallet_modifications AS later WHERE later.address = m.address "
    "AND later.object_identifier = m.object_identifier AND later.idx > m.idx "
    "AND (later.type = 'Delete' OR m.type IN ('Create', 'Update') AND later.type IN ('Create', 'Update') "
    "AND later.payload_category IS m.payload_category))"
)


def _remove_each(transaction: Transaction, query: str, limit: int, remove: Callable[[Transaction, str], None]) -> int:
    rows = transaction.all(query, limit)
    for row in rows:
        remove(transaction, row["id"])
    return len(rows)


def _remove_relationship(transaction: Transaction, relationship_id: str) -> None:
    transaction.run("DELETE FROM relationship_audit WHERE relationship_id = ?", relationship_id)
    transaction.run("DELETE FROM relationships WHERE id = ?", relationship_id)


def _remove_sync_run(transaction: Transaction, run_id: str) -> None:
    transaction.run("DELETE FROM sync_errors WHERE sync_run_id = ?", run_id)
    transaction.run("DELETE FROM external_events WHERE sync_run_id = ?", run_id)
    transaction.run("DELETE FROM sync_runs WHERE id = ?", run_id)


def _delete_identity(services: Services, transaction: Transaction, identity: Row) -> None:
    address = identity["address"]
    nobody = addresses.anonymised(services.settings.did_host)
    transaction.push(address, "DeletionStarts")
    deletion.tell_peers(services.ids, transaction, address, "PeerDeleted", deletion_date=transaction.now)
    _leave_relationships(services, transaction, address, nobody)
    _leave_messages(transaction, address, nobody)
    _remember_usernames(services.ids, transaction, address)
    for row in transaction.all("SELECT id FROM files WHERE owner = ?", address):
        files.remove(transaction, row["id"])
    transaction.run("UPDATE files SET created_by = ? WHERE created_by = ?", nobody, address)
    transaction.run("UPDATE files SET modified_by = ? WHERE modified_by = ?", nobody, address)
    for row in transaction.all("SELECT id FROM templates WHERE created_by = ?", address):
        templates.remove(transaction, row["id"])
    for row in transaction.all("SELECT id FROM tokens WHERE created_by = ?", address):
        tokens.remove(transaction, row["id"])
    transaction.run(
        "DELETE FROM sync_errors WHERE sync_run_id IN (SELECT id FROM sync_runs WHERE address = ?)", address
    )
    for table, column in _OWN_ROWS:
        transaction.run(f"DELETE FROM {table} WHERE {column} = ?", address)  # noqa: S608


_OWN_ROWS = (
    ("announcement_recipients", "address"),
    ("challenges", "created_by"),
    ("push_registrations", "address"),
    ("template_allocations", "address"),
    ("token_allocations", "address"),
    ("datawallet_modifications", "address"),
    ("datawallets", "address"),
    ("external_events", "owner"),
    ("event_counters", "owner"),
    ("sync_runs", "address"),
    ("deletion_processes", "address"),
    ("feature_flags", "address"),
    ("identity_quotas", "address"),
    ("devices", "address"),
    ("identities", "address"),
)


def _leave_relationships(services: Services, transaction: Transaction, address: str, nobody: str) -> None:
    rows = transaction.all("SELECT * FROM relationships WHERE sender = ?1 OR receiver = ?1 ORDER BY rowid", address)
    for relationship in rows:
        if not has_decomposed(relationship, address) and relationship["status"] != Status.READY_FOR_DELETION:
            decomposition.carry_out(
                services.ids,
                transaction,
                relationship,
                address,
                device=None,
                reason=Reason.DECOMPOSITION_DUE_TO_IDENTITY_DELETION,
                did_host=services.settings.did_host,
            )
        transaction.run(
            "UPDATE relationship_audit SET created_by = ? WHERE relationship_id = ? AND created_by = ?",
            nobody,
            relationship["id"],
            address,
        )
    transaction.run("UPDATE relationships SET sender = ? WHERE sender = ?", nobody, address)
    transaction.run("UPDATE relationships SET receiver = ? WHERE receiver = ?", nobody, address)


def _leave_messages(transaction: Transaction, address: str, nobody: str) -> None:
    transaction.run("UPDATE messages SET created_by = ? WHERE created_by = ?", nobody, address)
    transaction.run("UPDATE message_recipients SET sender = ? WHERE sender = ?", nobody, address)
    transaction.run("UPDATE message_recipients SET address = ? WHERE address = ?", nobody, address)
    abandoned = (
        "SELECT id FROM messages AS m WHERE created_by = ?1 AND NOT EXISTS "
        "(SELECT 1 FROM message_recipients WHERE message_id = m.id AND address != ?1)"
    )
    for row in transaction.all(abandoned, nobody):
        transaction.run("DELETE FROM message_recipients WHERE message_id = ?", row["id"])
        transaction.run("DELETE FROM messages WHERE id = ?", row["id"])


def _remember_usernames(ids: IdMaker, transaction: Transaction, address: str) -> None:
    for row in transaction.all("SELECT username FROM devices WHERE address = ?", address):
        transaction.insert(
            "deletion_audit",
            id=ids.make("IDA"),
            created_at=transaction.now,
            username_hash=hash_username(row["username"]),
            message="Deleted",
        )
