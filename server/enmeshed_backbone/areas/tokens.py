"""Tokens: small contents behind an id, an optional password and an optional addressee; also anonymous ones.

Source: specification of the Consumer API, §11.
"""

from __future__ import annotations

import hmac
from typing import Any

import orjson

from .. import dates
from ..errors import ApiError, forbidden, invalid_property, not_found, refused
from ..http import binary
from ..http.call import NO_CONTENT, Access, Auth, BodyKind, Call, Reply, Route, created, ok, paged
from ..ids import is_id
from ..store import Row, Transaction
from . import external_events, quotas
from .templates import require_content, require_protection

_ANONYMOUS_LIFETIME_MS = 5 * dates.MINUTE_MS


def view(token: Row, *, with_content: bool = True) -> dict[str, Any]:
    """Returns a token as clients see it."""
    result = {
        "id": token["id"],
        "createdBy": token["created_by"],
        "createdByDevice": token["created_by_device"],
        "forIdentity": token["for_identity"],
        "createdAt": dates.network_text(token["created_at"]),
        "expiresAt": dates.network_text(token["expires_at"]),
        "content": binary.encode_or_none(token["content"]),
        "isPasswordProtected": token["password"] is not None,
    }
    if not with_content:
        del result["content"]
    return result


def create(call: Call, transaction: Transaction) -> Reply:
    """Stores a token; an anonymous one is short-lived and has no content yet."""
    body = call.body
    expires_at, content = body.moment("expiresAt"), body.data_or_none("content")
    for_identity, password = body.text_or_none("forIdentity"), body.data_or_none("password")
    if expires_at <= transaction.now:
        raise invalid_property("expiresAt must be in the future.")
    if call.caller is None and expires_at >= transaction.now + _ANONYMOUS_LIFETIME_MS:
        raise invalid_property("An anonymous token expires within five minutes.")
    if call.caller is None and content is not None:
        raise invalid_property("An anonymous token has no content.")
    if content is not None:
        require_content(content, call.services.settings.max_content_bytes)
    require_protection(for_identity, password)
    quotas.enforce(call, transaction, quotas.Metric.TOKENS)
    token_id = call.services.ids.make("TOK")
    transaction.insert(
        "tokens",
        id=token_id,
        created_by=call.caller.address if call.caller else None,
        created_by_device=call.caller.device_id if call.caller else None,
        created_at=transaction.now,
        expires_at=expires_at,
        content=content,
        for_identity=for_identity,
        password=password,
    )
    result = {"id": token_id, "createdAt": dates.network_text(transaction.now)}
    return created(result, f"/api/v2/Tokens/{token_id}")


def get(call: Call, transaction: Transaction) -> Reply:
    """Answers a token to whoever may see it; an identity that did once may again."""
    password = call.query.data_or_none("password")
    token = _require(call, transaction)
    caller = call.caller
    # An anonymous caller is the creator of an anonymous token, as far as the official server tells them apart.
    is_creator = token["created_by"] == (caller.address if caller else None)
    if is_creator or (caller is not None and _has_allocation(transaction, token["id"], caller.address)):
        return ok(view(token))
    _require_access(call, transaction, token, password)
    if caller is not None:
        transaction.insert(
            "token_allocations",
            token_id=token["id"],
            address=caller.address,
            device_id=caller.device_id,
            created_at=transaction.now,
        )
    return ok(view(token))


def list_tokens(call: Call, transaction: Transaction) -> Reply:
    """Answers those of the given tokens that the caller created or has seen, expired ones included."""
    page = call.page()
    wanted = call.query.texts("ids") or [item["id"] or "" for item in call.query.items("tokens", "id", "password")]
    if not wanted or not all(is_id("TOK", token_id) for token_id in wanted):
        raise invalid_property("There must be one id of a token or more.")
    condition = (
        "id IN (SELECT value FROM json_each(?2)) AND (created_by = ?1 OR EXISTS (SELECT 1 FROM token_allocations "
        "WHERE token_id = tokens.id AND address = ?1))"
    )
    parameters = (call.address, orjson.dumps(wanted).decode())
    total = transaction.value(f"SELECT count(*) FROM tokens WHERE {condition}", *parameters)  # noqa: S608
    rows = transaction.all(
        f"SELECT * FROM tokens WHERE {condition} ORDER BY created_at, rowid "  # noqa: S608
        f"LIMIT {page.size} OFFSET {page.offset}",
        *parameters,
    )
    return paged([view(row) for row in rows], total, page)


def delete(call: Call, transaction: Transaction) -> Reply:
    """Deletes a token that the caller created."""
    token = _require(call, transaction)
    if token["created_by"] != call.address:
        raise forbidden("Only the creator deletes a token.")
    remove(transaction, token["id"])
    return NO_CONTENT


def remove(transaction: Transaction, token_id: str) -> None:
    """Removes a token with its allocations."""
    transaction.run("DELETE FROM token_allocations WHERE token_id = ?", token_id)
    transaction.run("DELETE FROM tokens WHERE id = ?", token_id)


def update_content(call: Call, transaction: Transaction) -> Reply:
    """Fills an empty token; the caller becomes its creator."""
    body = call.body
    content, password = body.data("newContent"), body.data_or_none("password")
    require_content(content, call.services.settings.max_content_bytes, low=1, name="newContent")
    require_protection(None, password)
    token = _require(call, transaction)
    _require_access(call, transaction, token, password)
    if token["content"] is not None:
        raise refused("token.contentUpdateNotPossibleBecauseContentAlreadyExists", "The token has a content already.")
    transaction.run(
        "UPDATE tokens SET content = ?, created_by = ?, created_by_device = ? WHERE id = ?",
        content,
        call.address,
        call.me.device_id,
        token["id"],
    )
    return ok(view(_require(call, transaction), with_content=False))


def _require(call: Call, transaction: Transaction) -> Row:
    token_id = call.parameters["id"]
    if not is_id("TOK", token_id):
        raise invalid_property("The id is none of a token.")
    token = transaction.one("SELECT * FROM tokens WHERE id = ?", token_id)
    if token is None:
        raise not_found("Token")
    return token


def _has_allocation(transaction: Transaction, token_id: str, address: str) -> bool:
    found = transaction.one("SELECT 1 FROM token_allocations WHERE token_id = ? AND address = ?", token_id, address)
    return found is not None


def _require_access(call: Call, transaction: Transaction, token: Row, password: bytes | None) -> None:
    if token["expires_at"] <= transaction.now:
        raise not_found("Token")
    limit = call.services.settings.max_token_password_attempts
    if token["failed_accesses"] >= limit:
        raise _locked()
    if token["for_identity"] is not None and token["for_identity"] != (call.caller and call.caller.address):
        raise not_found("Token")
    if token["password"] is None or hmac.compare_digest(token["password"], password or b""):
        return
    transaction.run("UPDATE tokens SET failed_accesses = failed_accesses + 1 WHERE id = ?", token["id"])
    if token["failed_accesses"] + 1 < limit:
        raise not_found("Token", keeps_changes=True)
    if token["created_by"] is not None:
        creator = token["created_by"]
        external_events.emit(call.services.ids, transaction, creator, "TokenLocked", {"tokenId": token["id"]})
        if transaction.value("SELECT status FROM identities WHERE address = ?", creator) == "Active":
            transaction.push(creator, "TokenLocked")
    raise _locked(keeps_changes=True)


def _locked(*, keeps_changes: bool = False) -> ApiError:
    error = refused("token.tooManyFailedPasswordAttempts", "The token is locked after too many wrong passwords.")
    error.keeps_changes = keeps_changes
    return error


ROUTES = (
    Route("POST", "/api/v2/Tokens", create, access=Access.WRITE, auth=Auth.OPTIONAL, body=BodyKind.JSON),
    Route("GET", "/api/v2/Tokens", list_tokens),
    Route("GET", "/api/v2/Tokens/{id}", get, access=Access.WRITE, auth=Auth.OPTIONAL),
    Route("DELETE", "/api/v2/Tokens/{id}", delete, access=Access.WRITE),
    Route("POST", "/api/v2/Tokens/{id}/UpdateContent", update_content, access=Access.WRITE, body=BodyKind.JSON),
)
