"""What stored requests look like, and how they are shared with other devices.

One collection holds both directions; `isOwn` tells them apart. Source: consumption.md, sections 2 and 8.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final

from enmeshed_connector.consumption.requests.events import tell_change
from enmeshed_connector.core.canonical_json import Json, JsonObject, sort_members
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.storage import CollectionSpec
from enmeshed_connector.transport.objects import Document, SynchronizedCollection

REQUESTS: Final = "Requests"

MESSAGE: Final = "Message"
"""The type of a source: what brought a request, or its response."""
TEMPLATE: Final = "RelationshipTemplate"
"""The type of a source of requests only."""
RELATIONSHIP: Final = "Relationship"
"""The type of a source of responses only."""

GROUP: Final = "RequestItemGroup"


class RequestStatus(enum.StrEnum):
    """How far a request is."""

    DRAFT = "Draft"
    """Made here, not sent."""
    OPEN = "Open"
    """Sent, or received and not checked."""
    DECISION_REQUIRED = "DecisionRequired"
    """Automation may decide."""
    MANUAL_DECISION_REQUIRED = "ManualDecisionRequired"
    """Somebody must decide."""
    DECIDED = "Decided"
    """The response is made and not sent."""
    COMPLETED = "Completed"
    """The response is sent, or applied."""
    EXPIRED = "Expired"
    """Nobody decided, or answered, in time."""


DECIDABLE: Final = (RequestStatus.DECISION_REQUIRED, RequestStatus.MANUAL_DECISION_REQUIRED)
EXPIRABLE: Final = (RequestStatus.DRAFT, RequestStatus.OPEN, *DECIDABLE)
"""What becomes Expired when its time is over. A decision that was made in time stays one."""
UNFINISHED: Final = (RequestStatus.OPEN, *DECIDABLE, RequestStatus.DECIDED)
"""Received and neither answered nor expired."""

REQUEST_COLLECTION: Final = SynchronizedCollection(
    REQUESTS,
    technical_data=(
        "@type",
        "@context",
        "isOwn",
        "peer",
        "createdAt",
        "source",
        "status",
        "statusLog",
        "wasAutomaticallyDecided",
    ),
    userdata=("content", "response"),
    events=tell_change,
)

REQUEST_SCHEMA: Final = CollectionSpec(
    REQUESTS,
    indexes=("isOwn", "peer", "status", "source.reference"),
    # The moment of expiry is kept in one form, so that texts sort like the moments.
    sortable=("createdAt", "content.expiresAt"),
)


def stored_content(request: JsonObject, request_id: str, *, expires_at: str | None = None) -> JsonObject:
    """Returns a request as it is stored: with its id, without its own type, its expiry in the network's form.

    Args:
        request: The request, checked.
        request_id: Its id.
        expires_at: When it expires, if not when it says.
    """
    moment = expires_at if expires_at is not None else request.get("expiresAt")
    rest = {
        name: value for name, value in request.items() if name not in ("@type", "@version", "@context", "expiresAt")
    }
    if moment is not None:
        rest["expiresAt"] = format_date(parse_date(moment, "expiresAt"))
    return sort_members({**rest, "id": request_id})


def request_document(
    content: JsonObject,
    *,
    peer: str,
    is_own: bool,
    now: str,
    status: RequestStatus,
    source: JsonObject | None = None,
) -> Document:
    """Returns a new request.

    Args:
        content: The request in the form of `stored_content`.
        peer: The other side.
        is_own: Whether this identity asks.
        now: The present moment.
        status: Where it begins.
        source: What brought it.
    """
    return sort_members(
        {
            "@type": "LocalRequest",
            "content": content,
            "createdAt": now,
            "id": content["id"],
            "isOwn": is_own,
            "peer": peer,
            "status": status.value,
            "statusLog": [],
            **({} if source is None else {"source": source}),
        }
    )


def source_of(kind: str, reference: str) -> JsonObject:
    """Returns what is written as the source of a request or of a response."""
    return {"reference": reference, "type": kind}


def moved(request: Document, status: RequestStatus, now: str, **changes: Json) -> Document:
    """Returns the request in another state, with the entry of its log, and with other properties set."""
    entry = {"createdAt": now, "newStatus": status.value, "oldStatus": request["status"]}
    return sort_members({**request, **changes, "status": status.value, "statusLog": [*request["statusLog"], entry]})


def is_overdue(content: JsonObject, now: str) -> bool:
    """Returns whether the moment from which on a request cannot be answered has passed."""
    expires_at = content.get("expiresAt")
    return expires_at is not None and parse_date(now) > parse_date(expires_at)


def is_group(element: JsonObject) -> bool:
    """Returns whether an element of a request is a group of items."""
    return bool(element["@type"] == GROUP)


def items_of(content: JsonObject) -> Iterator[JsonObject]:
    """Yields the items of a request, those of groups included, in their order."""
    for element in content["items"]:
        if is_group(element):
            yield from element["items"]
        else:
            yield element


def typed(kind: str, content: JsonObject) -> JsonObject:
    """Returns a stored request or response with its type, as it travels where more than one type may stand."""
    return sort_members({**content, "@type": kind})
