"""Messages: sending, fetching, and who sees which address after decomposition.

Source: specification of the Consumer API, §9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from .. import addresses, dates
from ..errors import ApiError, invalid_property, not_found, refused
from ..http import binary
from ..http.call import Access, BodyKind, Call, Reply, Route, created, ok, paged
from ..ids import is_id
from ..store import Row, Transaction
from . import external_events, quotas
from .relationships import LIVING, Status, youngest_between
from .templates import require_content

_KEY_BYTES = (30, 300)
_MAX_ATTACHMENTS = 20

_VISIBLE = (
    "(EXISTS (SELECT 1 FROM message_recipients AS r WHERE r.message_id = m.id AND r.address = ?1 "
    "AND NOT r.recipient_has_decomposed) OR m.created_by = ?1 AND EXISTS (SELECT 1 FROM message_recipients AS r "
    "WHERE r.message_id = m.id AND NOT r.sender_has_decomposed))"
)
"""Holds for a recipient until it decomposed, and for the sender until it decomposed with all recipients."""

_OWN = (
    "SELECT id FROM messages WHERE created_by = ?1 UNION SELECT message_id FROM message_recipients WHERE address = ?1"
)


@dataclass(frozen=True)
class _Recipient:
    address: str
    encrypted_key: bytes


def send(call: Call, transaction: Transaction) -> Reply:
    """Stores a message and tells its recipients."""
    body = call.body
    content = body.data("body")
    recipients = [_Recipient(item.text("address"), item.data("encryptedKey")) for item in body.children("recipients")]
    attachments = [item.text("id") for item in body.children("attachments", default=[])]
    _validate(call, content, recipients, attachments)
    quotas.enforce(call, transaction, quotas.Metric.SENT_MESSAGES)
    relationships = [_require_reachable(call, transaction, recipient.address) for recipient in recipients]
    ids = call.services.ids
    message_id = ids.make("MSG")
    transaction.insert(
        "messages",
        id=message_id,
        created_at=transaction.now,
        created_by=call.address,
        created_by_device=call.me.device_id,
        body=content,
        attachments=orjson.dumps(attachments).decode(),
    )
    for recipient, relationship in zip(recipients, relationships, strict=True):
        transaction.insert(
            "message_recipients",
            message_id=message_id,
            address=recipient.address,
            sender=call.address,
            relationship_id=relationship["id"],
            encrypted_key=recipient.encrypted_key,
        )
        external_events.emit(
            ids,
            transaction,
            recipient.address,
            "MessageReceived",
            {"id": message_id},
            context=relationship["id"],
            is_blocked=relationship["status"] in (Status.PENDING, Status.TERMINATED),
        )
    result = {"id": message_id, "createdAt": dates.network_text(transaction.now)}
    return created(result, f"/api/v2/Messages/{message_id}")


def list_messages(call: Call, transaction: Transaction) -> Reply:
    """Answers the messages of the caller, all or those with the given ids, and marks them as received."""
    page, wanted = call.page(), call.query.texts("ids")
    if not all(is_id("MSG", message_id) for message_id in wanted):
        raise invalid_property("An id is none of a message.")
    condition = f"m.id IN ({_OWN}) AND {_VISIBLE}"
    if wanted:
        condition += " AND m.id IN (SELECT value FROM json_each(?2))"
    parameters = (call.address, orjson.dumps(wanted).decode()) if wanted else (call.address,)
    total = transaction.value(f"SELECT count(*) FROM messages AS m WHERE {condition}", *parameters)  # noqa: S608
    rows = transaction.all(
        f"SELECT * FROM messages AS m WHERE {condition} ORDER BY created_at, m.rowid "  # noqa: S608
        f"LIMIT {page.size} OFFSET {page.offset}",
        *parameters,
    )
    return paged([_receive(call, transaction, row) for row in rows], total, page)


def get(call: Call, transaction: Transaction) -> Reply:
    """Answers a message of the caller and marks it as received."""
    message_id = call.parameters["id"]
    if not is_id("MSG", message_id):
        raise invalid_property("The id is none of a message.")
    row = transaction.one(f"SELECT * FROM messages AS m WHERE m.id = ?2 AND {_VISIBLE}", call.address, message_id)  # noqa: S608
    if row is None:
        raise not_found("Message")
    return ok(_receive(call, transaction, row))


def _validate(call: Call, content: bytes, recipients: list[_Recipient], attachments: list[str]) -> None:
    settings = call.services.settings
    if not 1 <= len(recipients) <= settings.max_message_recipients:
        raise invalid_property(f"A message goes to 1 to {settings.max_message_recipients} recipients.")
    if len({recipient.address for recipient in recipients}) != len(recipients):
        raise invalid_property("Each recipient may be there once.")
    for recipient in recipients:
        if not addresses.is_address(recipient.address):
            raise invalid_property("A recipient is no identity address.")
        if not _KEY_BYTES[0] <= len(recipient.encrypted_key) <= _KEY_BYTES[1]:
            raise invalid_property(f"encryptedKey must have {_KEY_BYTES[0]} to {_KEY_BYTES[1]} bytes.")
    require_content(content, settings.max_content_bytes, low=1, name="body")
    if len(attachments) > _MAX_ATTACHMENTS:
        raise invalid_property(f"A message has {_MAX_ATTACHMENTS} attachments at most.")
    if not all(is_id("FIL", file_id) for file_id in attachments):
        # The official server leaks the code of its validation library here.
        raise ApiError(400, "PredicateValidator", "The id of an attachment is none of a file.")


def _require_reachable(call: Call, transaction: Transaction, recipient: str) -> Row:
    relationship = youngest_between(transaction, call.address, recipient)
    if relationship is None:
        raise refused("validation.message.noRelationshipToRecipientExists", f"There is no relationship to {recipient}.")
    if relationship["status"] not in LIVING:
        raise refused(
            "validation.message.relationshipToRecipientNotActive", f"The relationship to {recipient} is not active."
        )
    limit = call.services.settings.max_unreceived_messages
    waiting = transaction.value(
        "SELECT count(*) FROM (SELECT 1 FROM message_recipients WHERE address = ? AND sender = ? "
        "AND received_at IS NULL AND NOT recipient_has_decomposed LIMIT ?)",
        recipient,
        call.address,
        limit,
    )
    if waiting >= limit:
        raise refused(
            "validation.message.maxNumberOfUnreceivedMessagesReached",
            f"{recipient} has not fetched {waiting} messages of yours yet.",
        )
    return relationship


def _receive(call: Call, transaction: Transaction, message: Row) -> dict[str, Any]:
    transaction.run(
        "UPDATE message_recipients SET received_at = ?, received_by_device = ? "
        "WHERE message_id = ? AND address = ? AND received_at IS NULL",
        transaction.now,
        call.me.device_id,
        message["id"],
        call.address,
    )
    recipients = transaction.all("SELECT * FROM message_recipients WHERE message_id = ? ORDER BY rowid", message["id"])
    if message["created_by"] != call.address:
        recipients = [recipient for recipient in recipients if recipient["address"] == call.address]
    nobody = addresses.anonymised(call.services.settings.did_host)
    return {
        "id": message["id"],
        "createdAt": dates.network_text(message["created_at"]),
        "createdBy": message["created_by"],
        "createdByDevice": message["created_by_device"],
        "body": binary.encode(message["body"]),
        "attachments": [{"id": file_id} for file_id in orjson.loads(message["attachments"])],
        "recipients": [_view_recipient(recipient, call.address, nobody) for recipient in recipients],
    }


def _view_recipient(recipient: Row, viewer: str, nobody: str) -> dict[str, Any]:
    is_hidden = recipient["sender_has_decomposed"] and recipient["address"] != viewer
    return {
        "address": nobody if is_hidden else recipient["address"],
        "encryptedKey": binary.encode(recipient["encrypted_key"]),
        "receivedAt": dates.network_text_or_none(recipient["received_at"]),
        "receivedByDevice": recipient["received_by_device"],
    }


ROUTES = (
    Route("POST", "/api/v2/Messages", send, access=Access.WRITE, body=BodyKind.JSON),
    Route("GET", "/api/v2/Messages", list_messages, access=Access.WRITE),
    Route("GET", "/api/v2/Messages/{id}", get, access=Access.WRITE),
)
