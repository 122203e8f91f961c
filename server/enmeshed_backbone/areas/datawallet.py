"""The datawallet: one log of changes per identity, by which its devices stay equal.

Source: specification of the Consumer API, §12.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from .. import dates
from ..errors import invalid_property, not_found, refused
from ..http import binary
from ..http.binding import Body
from ..http.call import Access, BodyKind, Call, Reply, Route, created, ok, paged
from ..store import Row, Transaction


class ModificationType(enum.Enum):
    """What a modification does to its object."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"
    CACHE_CHANGED = "CacheChanged"


@dataclass(frozen=True)
class NewModification:
    """One change as a client pushes it."""

    type: ModificationType
    object_identifier: str
    collection: str
    payload_category: str | None
    encrypted_payload: bytes | None
    datawallet_version: int


def read_modifications(items: list[Body]) -> list[NewModification]:
    """Returns the modifications of a request."""
    return [
        NewModification(
            type=item.choice("type", ModificationType),
            object_identifier=item.text("objectIdentifier"),
            collection=item.text("collection"),
            payload_category=item.text_or_none("payloadCategory"),
            encrypted_payload=item.data_or_none("encryptedPayload"),
            datawallet_version=item.integer("datawalletVersion", 0, 2**16 - 1),
        )
        for item in items
    ]


def validate_modifications(modifications: list[NewModification]) -> None:
    """Raises the 400 of a modification whose texts are too long."""
    for modification in modifications:
        if len(modification.object_identifier) > 100:
            raise invalid_property("objectIdentifier has 100 characters at most.")
        if len(modification.collection) > 50 or len(modification.payload_category or "") > 50:
            raise invalid_property("collection and payloadCategory have 50 characters at most.")


def version_of(transaction: Transaction, address: str) -> int | None:
    """Returns the version of an identity's datawallet, None while it has none."""
    version: int | None = transaction.value("SELECT version FROM datawallets WHERE address = ?", address)
    return version


def latest_index(transaction: Transaction, address: str) -> int | None:
    """Returns the index of the newest modification."""
    index: int | None = transaction.value("SELECT max(idx) FROM datawallet_modifications WHERE address = ?", address)
    return index


def require_supported(call: Call, version: int) -> None:
    """Raises the 400 of a client that does not know this version yet."""
    if call.supported_datawallet_version() < version:
        raise refused(
            "validation.datawallet.insufficientSupportedDatawalletVersion",
            f"The datawallet has version {version}, which the client does not support.",
        )


def append(
    call: Call, transaction: Transaction, version: int, modifications: list[NewModification]
) -> list[dict[str, Any]]:
    """Adds modifications in their order, tells the other devices, and returns what clients learn of each."""
    if any(modification.datawallet_version > version for modification in modifications):
        raise refused(
            "datawallet.datawalletVersionOfModificationTooHigh", f"The datawallet has only version {version}."
        )
    newest = latest_index(transaction, call.address)
    index = -1 if newest is None else newest
    added = []
    for modification in modifications:
        index += 1
        modification_id = call.services.ids.make("DWM")
        transaction.insert(
            "datawallet_modifications",
            address=call.address,
            idx=index,
            id=modification_id,
            datawallet_version=modification.datawallet_version,
            object_identifier=modification.object_identifier,
            payload_category=modification.payload_category,
            created_at=transaction.now,
            created_by_device=call.me.device_id,
            collection=modification.collection,
            type=modification.type.value,
            encrypted_payload=modification.encrypted_payload,
        )
        added.append({"id": modification_id, "index": index, "createdAt": dates.network_text(transaction.now)})
    if added:
        transaction.push(call.address, "DatawalletModificationsCreated", except_device=call.me.device_id)
    return added


def get(call: Call, transaction: Transaction) -> Reply:
    """Answers the version of the caller's datawallet."""
    version = version_of(transaction, call.address)
    if version is None:
        raise not_found("Datawallet")
    return ok({"version": version})


def list_modifications(call: Call, transaction: Transaction) -> Reply:
    """Answers what was pushed after an index, of each object, type and category only the newest."""
    page, local_index = call.page(), call.query.integer_or_none("localIndex")
    call.supported_datawallet_version()
    version = version_of(transaction, call.address)
    if version is None:
        return paged([], 0, page)
    require_supported(call, version)
    newest = (
        "FROM datawallet_modifications WHERE address = ?1 AND idx IN (SELECT max(idx) FROM datawallet_modifications "
        "WHERE address = ?1 AND idx > ?2 GROUP BY object_identifier, type, payload_category)"
    )
    parameters = (call.address, -1 if local_index is None else local_index)
    total = transaction.value(f"SELECT count(*) {newest}", *parameters)
    rows = transaction.all(f"SELECT * {newest} ORDER BY idx LIMIT {page.size} OFFSET {page.offset}", *parameters)
    return paged([_view(row) for row in rows], total, page)


def push(call: Call, transaction: Transaction) -> Reply:
    """Adds modifications of a client that knows all earlier ones."""
    body = call.body
    local_index = body.integer("localIndex", -(2**63), 2**63 - 1)
    modifications = read_modifications(body.children("modifications"))
    if not modifications:
        raise invalid_property("There must be one modification or more.")
    validate_modifications(modifications)
    if call.supported_datawallet_version() == 0:
        raise invalid_property("X-Supported-Datawallet-Version must be 1 or more.")
    if transaction.one("SELECT 1 FROM sync_runs WHERE address = ? AND finalized_at IS NULL", call.address):
        raise refused(
            "validation.datawallet.cannotPushDatawalletModificationsDuringActiveSyncRun", "A sync run is active."
        )
    version = version_of(transaction, call.address)
    if version is None:
        raise not_found("Datawallet")
    require_supported(call, version)
    newest = latest_index(transaction, call.address)
    if newest is not None and newest != local_index:
        raise refused("validation.datawallet.datawalletNotUpToDate", f"The newest modification has index {newest}.")
    added = append(call, transaction, version, modifications)
    return created({"newIndex": added[-1]["index"], "modifications": added})


def _view(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "datawalletVersion": row["datawallet_version"],
        "index": row["idx"],
        "objectIdentifier": row["object_identifier"],
        "payloadCategory": row["payload_category"],
        "createdAt": dates.network_text(row["created_at"]),
        "createdByDevice": row["created_by_device"],
        "collection": row["collection"],
        "type": row["type"],
        "encryptedPayload": binary.encode_or_none(row["encrypted_payload"]),
    }


ROUTES = (
    Route("GET", "/api/v2/Datawallet", get),
    Route("GET", "/api/v2/Datawallet/Modifications", list_modifications),
    Route("POST", "/api/v2/Datawallet/Modifications", push, access=Access.WRITE, body=BodyKind.JSON),
)
