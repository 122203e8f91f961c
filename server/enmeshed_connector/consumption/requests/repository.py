"""Named reads of requests; through a commit or the store alike."""

from __future__ import annotations

from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.requests.documents import (
    EXPIRABLE,
    REQUESTS,
    TEMPLATE,
    UNFINISHED,
    RequestStatus,
)
from enmeshed_connector.storage import Filter, all_of, where
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.objects import Document

_EXPIRABLE = where("status").is_in([status.value for status in EXPIRABLE])


def of_direction(*, is_own: bool) -> Filter:
    """Returns the condition on outgoing (own) or incoming requests."""
    return where("isOwn").eq(is_own)


async def require(reader: Reader, request_id: str, *, is_own: bool) -> Document:
    """Returns a request of a direction.

    Raises:
        RecordMissing: There is none of this id, or it goes the other way.
    """
    document = await reader.get(REQUESTS, request_id)
    if document is None or document["isOwn"] is not is_own:
        raise RecordMissing("outgoing request" if is_own else "incoming request", request_id)
    return document


async def overdue(reader: Reader, now: str, *, limit: int) -> list[Document]:
    """Returns requests that wait and whose time is over, those that are longest so first."""
    condition = all_of(_EXPIRABLE, where("content.expiresAt").lt(now))
    return await reader.find(REQUESTS, condition, sort=("content.expiresAt",), limit=limit)


async def next_expiry(reader: Reader) -> str | None:
    """Returns the moment at which the next request expires that waits, None when none ever does."""
    condition = all_of(_EXPIRABLE, where("content.expiresAt").is_present())
    found = await reader.find(REQUESTS, condition, sort=("content.expiresAt",), limit=1)
    return str(found[0]["content"]["expiresAt"]) if found else None


async def uncompleted_of_template(reader: Reader, template_id: str) -> Document | None:
    """Returns a received request of a template that is not Completed (expired ones included), None without."""
    condition = all_of(
        of_direction(is_own=False),
        where("source.reference").eq(template_id),
        where("status").ne(RequestStatus.COMPLETED.value),
    )
    return await reader.find_one(REQUESTS, condition, sort=("createdAt",))


async def unfinished_from_templates(reader: Reader, peer: str) -> Document | None:
    """Returns a request that a template of the peer brought and that is not finished, None without."""
    condition = all_of(
        of_direction(is_own=False),
        where("peer").eq(peer),
        where("source.type").eq(TEMPLATE),
        where("status").is_in([status.value for status in UNFINISHED]),
    )
    return await reader.find_one(REQUESTS, condition, sort=("createdAt",))


async def decided_of_template(reader: Reader, template_id: str) -> list[Document]:
    """Returns the requests of a template whose response is not sent yet."""
    condition = all_of(
        of_direction(is_own=False),
        where("source.reference").eq(template_id),
        where("status").eq(RequestStatus.DECIDED.value),
    )
    return await reader.find(REQUESTS, condition, sort=("createdAt",))


async def with_peer(reader: Reader, peer: str) -> list[Document]:
    """Returns all requests to and from a peer."""
    return await reader.find(REQUESTS, where("peer").eq(peer))
