"""Announcements: what the operator of the Backbone tells its identities.

Source: specification of the Consumer API, §16 and §23.
"""

from __future__ import annotations

import enum
from typing import Any

import orjson

from .. import addresses, dates
from ..errors import ApiError, invalid_property, not_found, refused
from ..http.binding import Body
from ..http.call import NO_CONTENT, Access, BodyKind, Call, Reply, Route, created, ok
from ..ids import is_id
from ..store import Row, Transaction
from .languages import is_language

_MAX_RECIPIENTS = 100
_MAX_IQL_LENGTH = 1000
_MAX_LINK_LENGTH = 300
_MAX_DISPLAY_NAME_LENGTH = 30


class Severity(enum.Enum):
    """How much an announcement matters."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"


def list_announcements(call: Call, transaction: Transaction) -> Reply:
    """Answers the announcements for everybody and those for the caller, in a language or else in English."""
    language = call.query.text("language")
    if not is_language(language):
        raise invalid_property("language must be a two-letter code of ISO 639-1.")
    rows = transaction.all(
        "SELECT * FROM announcements AS a WHERE NOT EXISTS (SELECT 1 FROM announcement_recipients WHERE "
        "announcement_id = a.id) OR EXISTS (SELECT 1 FROM announcement_recipients WHERE announcement_id = a.id "
        "AND address = ?) ORDER BY created_at, rowid",
        call.address,
    )
    return ok([_translated(row, language) for row in rows])


def create(call: Call, transaction: Transaction) -> Reply:
    """Makes an announcement (Admin API)."""
    body = call.body
    severity, is_silent = body.choice("severity", Severity), body.flag("isSilent", default=False)
    texts = [(item.text("language"), item.text("title"), item.text("body")) for item in body.children("texts")]
    expires_at, iql_query = body.moment_or_none("expiresAt"), body.text_or_none("iqlQuery")
    recipients = body.texts("recipients", default=[])
    actions = [_read_action(call, item) for item in body.children("actions", default=[])]
    _validate(texts, recipients, iql_query, is_silent=is_silent)
    if expires_at is not None and expires_at <= transaction.now:
        raise invalid_property("expiresAt must be in the future.")
    announcement_id = call.services.ids.make("ANC")
    transaction.insert(
        "announcements",
        id=announcement_id,
        created_at=transaction.now,
        expires_at=expires_at,
        severity=severity.value,
        is_silent=is_silent,
        iql_query=iql_query,
        texts=orjson.dumps(
            [{"language": language, "title": title, "body": text} for language, title, text in texts]
        ).decode(),
        actions=orjson.dumps(actions).decode(),
    )
    for address in recipients:
        transaction.insert("announcement_recipients", announcement_id=announcement_id, address=address)
    if not is_silent:
        everybody = [row["address"] for row in transaction.all("SELECT address FROM identities")]
        for address in recipients or everybody:
            transaction.push(address, "NewAnnouncement")
    return created(_admin_view(transaction, _require(transaction, announcement_id)))


def list_all(call: Call, transaction: Transaction) -> Reply:
    """Answers all announcements (Admin API)."""
    rows = transaction.all("SELECT * FROM announcements ORDER BY created_at, rowid")
    return ok([_admin_view(transaction, row) for row in rows])


def get_admin(call: Call, transaction: Transaction) -> Reply:
    """Answers one announcement (Admin API)."""
    return ok(_admin_view(transaction, _require(transaction, call.parameters["id"])))


def delete(call: Call, transaction: Transaction) -> Reply:
    """Deletes an announcement (Admin API)."""
    announcement = _require(transaction, call.parameters["id"])
    remove(transaction, announcement["id"])
    return NO_CONTENT


def remove(transaction: Transaction, announcement_id: str) -> None:
    """Removes an announcement with its recipients."""
    transaction.run("DELETE FROM announcement_recipients WHERE announcement_id = ?", announcement_id)
    transaction.run("DELETE FROM announcements WHERE id = ?", announcement_id)


def _validate(
    texts: list[tuple[str, str, str]], recipients: list[str], iql_query: str | None, *, is_silent: bool
) -> None:
    languages = [language for language, _, _ in texts]
    if not all(is_language(language) for language in languages):
        raise refused("validation.invalidAnnouncementLanguage", "A language is no two-letter code of ISO 639-1.")
    if "en" not in languages or len(set(languages)) != len(languages):
        raise invalid_property("texts must have English, and each language once.")
    if not all(title and text for _, title, text in texts):
        raise invalid_property("title and body must not be empty.")
    if len(recipients) > _MAX_RECIPIENTS or len(set(recipients)) != len(recipients):
        raise invalid_property(f"There are {_MAX_RECIPIENTS} recipients at most, each once.")
    if not all(addresses.is_address(recipient) for recipient in recipients):
        raise invalid_property("A recipient is no identity address.")
    if iql_query is not None and not is_silent:
        raise refused(
            "validation.nonSilentAnnouncementCannotHaveIqlQuery", "Only a silent announcement may have an IQL query."
        )
    if iql_query is not None and not 1 <= len(iql_query) <= _MAX_IQL_LENGTH:
        raise refused(
            "validation.invalidIqlQueryLengthForAnnouncement", f"An IQL query has 1 to {_MAX_IQL_LENGTH} characters."
        )


def _read_action(call: Call, item: Body) -> dict[str, Any]:
    names, link = item.raw("displayName"), item.text("link")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise invalid_property("displayName must be an object of languages and texts.")
    if "en" not in names or not all(1 <= len(name) <= _MAX_DISPLAY_NAME_LENGTH for name in names.values()):
        raise invalid_property(f"displayName must have English, each text 1 to {_MAX_DISPLAY_NAME_LENGTH} characters.")
    if len(link) > _MAX_LINK_LENGTH:
        # The official server leaks the code of its validation library here.
        raise ApiError(400, "MaximumLengthValidator", f"A link has {_MAX_LINK_LENGTH} characters at most.")
    return {"id": call.services.ids.make("AAC"), "displayName": names, "link": link}


def _require(transaction: Transaction, announcement_id: str) -> Row:
    if not is_id("ANC", announcement_id):
        raise invalid_property("The id is none of an announcement.")
    row = transaction.one("SELECT * FROM announcements WHERE id = ?", announcement_id)
    if row is None:
        raise not_found("Announcement")
    return row


def _translated(row: Row, language: str) -> dict[str, Any]:
    by_language = {text["language"]: text for text in orjson.loads(row["texts"])}
    text = by_language.get(language, by_language["en"])
    return {
        "id": row["id"],
        "createdAt": dates.network_text(row["created_at"]),
        "expiresAt": dates.network_text_or_none(row["expires_at"]),
        "severity": row["severity"],
        "title": text["title"],
        "body": text["body"],
        "actions": [
            {
                "displayName": action["displayName"].get(language, action["displayName"]["en"]),
                "link": action["link"],
                "iqlQuery": None,
            }
            for action in orjson.loads(row["actions"])
        ],
        "iqlQuery": row["iql_query"],
    }


def _admin_view(transaction: Transaction, row: Row) -> dict[str, Any]:
    recipients = transaction.all(
        "SELECT address FROM announcement_recipients WHERE announcement_id = ? ORDER BY address", row["id"]
    )
    return {
        "id": row["id"],
        "createdAt": dates.network_text(row["created_at"]),
        "expiresAt": dates.network_text_or_none(row["expires_at"]),
        "severity": row["severity"],
        "isSilent": bool(row["is_silent"]),
        "iqlQuery": row["iql_query"],
        "texts": orjson.loads(row["texts"]),
        "recipients": [recipient["address"] for recipient in recipients],
        "actions": orjson.loads(row["actions"]),
    }


ROUTES = (Route("GET", "/api/v2/Announcements", list_announcements),)

ADMIN_ROUTES = (
    Route("POST", "/api/v1/Announcements", create, access=Access.WRITE, body=BodyKind.JSON),
    Route("GET", "/api/v1/Announcements", list_all),
    Route("GET", "/api/v1/Announcements/{id}", get_admin),
    Route("DELETE", "/api/v1/Announcements/{id}", delete, access=Access.WRITE),
)
