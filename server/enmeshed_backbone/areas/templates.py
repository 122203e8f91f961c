"""Relationship templates and their allocations.

Source: specification of the Consumer API, §7.
"""

from __future__ import annotations

import hmac
from typing import Any

from .. import addresses, dates
from ..errors import forbidden, invalid_property, not_found, refused
from ..http import binary
from ..http.call import NO_CONTENT, Access, BodyKind, Call, Reply, Route, created, ok, paged
from ..ids import is_id
from ..store import Row, Transaction
from . import external_events, quotas

MAX_PASSWORD_BYTES = 200


def require_content(content: bytes, limit: int, *, low: int = 0, name: str = "content") -> None:
    """Raises the 400 of a content that is too small or too large."""
    if not low <= len(content) <= limit:
        raise invalid_property(f"{name} must have {low} to {limit} bytes.")


def require_protection(for_identity: str | None, password: bytes | None) -> None:
    """Raises the 400 of a malformed address or a password of the wrong size."""
    if for_identity is not None and not addresses.is_address(for_identity):
        raise invalid_property("forIdentity must be an identity address.")
    if password is not None and not 1 <= len(password) <= MAX_PASSWORD_BYTES:
        raise invalid_property(f"password must have 1 to {MAX_PASSWORD_BYTES} bytes.")


def view(template: Row) -> dict[str, Any]:
    """Returns a template as clients see it."""
    return {
        "id": template["id"],
        "createdBy": template["created_by"],
        "createdByDevice": template["created_by_device"],
        "maxNumberOfAllocations": template["max_allocations"],
        "expiresAt": dates.network_text_or_none(template["expires_at"]),
        "content": binary.encode(template["content"]),
        "createdAt": dates.network_text(template["created_at"]),
        "forIdentity": template["for_identity"],
    }


def create(call: Call, transaction: Transaction) -> Reply:
    """Stores a template."""
    body = call.body
    content, expires_at = body.data("content"), body.moment_or_none("expiresAt")
    max_allocations = body.integer_or_none("maxNumberOfAllocations", -(2**31), 2**31 - 1)
    for_identity, password = body.text_or_none("forIdentity"), body.data_or_none("password")
    require_content(content, call.services.settings.max_content_bytes)
    if expires_at is not None and expires_at <= transaction.now:
        raise invalid_property("expiresAt must be in the future.")
    if max_allocations is not None and max_allocations <= 0:
        raise invalid_property("maxNumberOfAllocations must be 1 or more.")
    require_protection(for_identity, password)
    quotas.enforce(call, transaction, quotas.Metric.RELATIONSHIP_TEMPLATES)
    template_id = call.services.ids.make("RLT")
    transaction.insert(
        "templates",
        id=template_id,
        created_by=call.address,
        created_by_device=call.me.device_id,
        max_allocations=max_allocations,
        expires_at=expires_at,
        content=content,
        created_at=transaction.now,
        for_identity=for_identity,
        password=password,
    )
    result = {"id": template_id, "createdAt": dates.network_text(transaction.now)}
    return created(result, f"/api/v2/RelationshipTemplates/{template_id}")


def allocate(call: Call, transaction: Transaction, template_id: str, password: bytes | None) -> Row:
    """Returns a template that the caller may see, and takes a slot for a caller who has none yet.

    Raises:
        ApiError: The id is malformed, the caller may not see the template, or all slots are taken.
    """
    if not is_id("RLT", template_id):
        raise invalid_property("The id is none of a relationship template.")
    template = _find(transaction, template_id)
    if template is None or not _is_visible(transaction, template, call.address, password):
        raise not_found("RelationshipTemplate")
    if template["created_by"] != call.address and not _has_allocation(transaction, template_id, call.address):
        _take_slot(call, transaction, template)
    return template


def get(call: Call, transaction: Transaction) -> Reply:
    """Answers a template and allocates it."""
    password = call.query.data_or_none("password")
    return ok(view(allocate(call, transaction, call.parameters["id"], password)))


def list_templates(call: Call, transaction: Transaction) -> Reply:
    """Answers those of the given templates that the caller may see, without allocating any."""
    page = call.page()
    wanted: dict[str, bytes | None] = {}
    items = call.query.items("templates", "id", "password")
    for item in items:
        text = item["password"]
        try:
            wanted[item["id"] or ""] = None if text is None else binary.decode_standard(text)
        except ValueError:
            raise invalid_property("A password is not base64.") from None
    if not items:
        wanted = dict.fromkeys(call.query.texts("ids"))
    if not wanted or not all(is_id("RLT", template_id) for template_id in wanted):
        raise invalid_property("There must be one id of a template or more.")
    found = [row for row in (_find(transaction, template_id) for template_id in wanted) if row is not None]
    visible = [row for row in found if _is_visible(transaction, row, call.address, wanted[row["id"]])]
    visible.sort(key=lambda row: (row["created_at"], row["number"]))
    return paged([view(row) for row in visible[page.offset : page.offset + page.size]], len(visible), page)


def delete(call: Call, transaction: Transaction) -> Reply:
    """Deletes a template of the caller. Relationships made from it stay."""
    template_id = call.parameters["id"]
    if not is_id("RLT", template_id):
        raise invalid_property("The id is none of a relationship template.")
    template = _find(transaction, template_id)
    if template is None:
        raise not_found("RelationshipTemplate")
    if template["created_by"] != call.address:
        if _is_visible(transaction, template, call.address, None):
            raise forbidden("Only the creator deletes a template.")
        raise not_found("RelationshipTemplate")
    remove(transaction, template_id)
    return NO_CONTENT


def remove(transaction: Transaction, template_id: str) -> None:
    """Removes a template with its allocations."""
    transaction.run("UPDATE relationships SET template_id = NULL WHERE template_id = ?", template_id)
    transaction.run("DELETE FROM template_allocations WHERE template_id = ?", template_id)
    transaction.run("DELETE FROM templates WHERE id = ?", template_id)


def _find(transaction: Transaction, template_id: str) -> Row | None:
    return transaction.one("SELECT rowid AS number, * FROM templates WHERE id = ?", template_id)


def _has_allocation(transaction: Transaction, template_id: str, address: str) -> bool:
    return (
        transaction.one(
            "SELECT 1 FROM template_allocations WHERE template_id = ? AND address = ?", template_id, address
        )
        is not None
    )


def _is_visible(transaction: Transaction, template: Row, address: str, password: bytes | None) -> bool:
    is_creator = template["created_by"] == address
    if template["expires_at"] is not None and template["expires_at"] <= transaction.now:
        takes_part = transaction.one(
            "SELECT 1 FROM relationships WHERE template_id = ?1 AND ?2 IN (sender, receiver)", template["id"], address
        )
        if takes_part is None:
            return False
    if is_creator:
        return True
    if template["for_identity"] not in (None, address):
        return False
    if template["password"] is None or (password is not None and hmac.compare_digest(template["password"], password)):
        return True
    return _has_allocation(transaction, template["id"], address)


def _take_slot(call: Call, transaction: Transaction, template: Row) -> None:
    limit = template["max_allocations"]
    taken = 0
    if limit is not None:
        taken = transaction.value("SELECT count(*) FROM template_allocations WHERE template_id = ?", template["id"])
        if taken >= limit:
            raise refused(
                "validation.relationshipTemplate.maxNumberOfAllocationsExhausted", "All allocations are taken."
            )
    transaction.insert(
        "template_allocations",
        template_id=template["id"],
        address=call.address,
        device_id=call.me.device_id,
        created_at=transaction.now,
    )
    if limit is not None and taken + 1 == limit:
        external_events.emit(
            call.services.ids,
            transaction,
            template["created_by"],
            "RelationshipTemplateAllocationsExhausted",
            {"relationshipTemplateId": template["id"]},
        )


ROUTES = (
    Route("POST", "/api/v2/RelationshipTemplates", create, access=Access.WRITE, body=BodyKind.JSON),
    Route("GET", "/api/v2/RelationshipTemplates", list_templates),
    Route("GET", "/api/v2/RelationshipTemplates/{id}", get, access=Access.WRITE),
    Route("DELETE", "/api/v2/RelationshipTemplates/{id}", delete, access=Access.WRITE),
)
