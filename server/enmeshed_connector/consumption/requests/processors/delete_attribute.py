"""DeleteAttributeRequestItem: the peer is asked to delete what it got. Source: consumption.md, sections 9.3 and 12.3.

Official peers fail on versions that were never given to the peer, with half of the others marked; here such versions
are passed over.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from enmeshed_connector.consumption.attributes.controller import AttributeController
from enmeshed_connector.consumption.attributes.documents import (
    ATTRIBUTES,
    FINAL,
    FORWARDABLE,
    OF_PEERS,
    DeletionStatus,
    Kind,
    deletion_status_of,
    kind_of,
)
from enmeshed_connector.consumption.attributes.errors import DeletionInfoNotApplicable
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.consumption.attributes.repository import Reader, predecessors
from enmeshed_connector.consumption.requests.processors.base import Asked, ItemProcessor
from enmeshed_connector.consumption.requests.processors.failures import invalid_decision, invalid_item
from enmeshed_connector.consumption.requests.processors.item_checks import is_forwarded_for_good
from enmeshed_connector.consumption.requests.processors.received import Received
from enmeshed_connector.consumption.requests.results import SUCCESS, ValidationResult
from enmeshed_connector.content.responses import ACCEPTING_TYPES
from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work

_ANSWER = "DeleteAttributeAcceptResponseItem"
_DATE_FIELD = "accept.delete_attribute.deletion_time"


class DeleteAttributeProcessor(ItemProcessor):
    """Items that ask for a deletion."""

    response_types = frozenset(ACCEPTING_TYPES["DeleteAttributeRequestItem"])
    parameters = frozenset({"deletionDate"})

    def __init__(self, context: AccountContext, attributes: AttributeController, received: Received) -> None:
        """Takes the account, and who keeps its attributes."""
        self._clock = context.clock
        self._forwarding = attributes.forwarding
        self._received = received

    async def can_create(self, item: JsonObject, asked: Asked, reader: Reader) -> ValidationResult:
        """Tells whether the peer has the attribute from here."""
        attribute = await reader.get(ATTRIBUTES, item["attributeId"])
        if attribute is None:
            return invalid_item(f"There is no attribute {item['attributeId']}.", "attributeId")
        if asked.peer is None:
            return invalid_item("Only somebody who is known can be asked to delete something.")
        kind = kind_of(attribute)
        if kind not in FORWARDABLE:
            return invalid_item(
                f"Attribute {attribute['id']} was not given to anybody by this identity.", "attributeId"
            )
        if kind is Kind.PEER_RELATIONSHIP and attribute["peer"] == asked.peer:
            return invalid_item(f"Attribute {attribute['id']} belongs to {asked.peer}.", "attributeId")
        if kind is Kind.OWN_RELATIONSHIP and attribute["peer"] == asked.peer:
            if deletion_status_of(attribute) not in FINAL:
                return SUCCESS
        elif await is_forwarded_for_good(reader, attribute["id"], asked.peer):
            return SUCCESS
        return invalid_item(
            f"{asked.peer} does not have attribute {attribute['id']}, or has promised to delete it.", "attributeId"
        )

    async def can_accept(
        self, item: JsonObject, decision: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        """Tells whether the attribute came from the peer, and whether the date lies ahead."""
        attribute = await reader.get(ATTRIBUTES, item["attributeId"])
        if attribute is None:
            return SUCCESS
        if kind_of(attribute) not in OF_PEERS:
            return invalid_item(f"Attribute {attribute['id']} did not come from somebody else.")
        if attribute["peer"] != asked.peer:
            return invalid_item(f"Attribute {attribute['id']} did not come from {asked.peer}.")
        try:
            date = parse_date(decision.get("deletionDate"), "deletionDate")  # type: ignore[arg-type]  # checked there
        except MalformedValue:
            return invalid_decision("The deletion date must be a date.", _DATE_FIELD)
        if date < self._clock.now():
            return invalid_decision("The deletion date must not lie in the past.", _DATE_FIELD)
        return SUCCESS

    async def accept(self, item: JsonObject, decision: JsonObject, asked: Asked, work: Work) -> JsonObject:
        """Notes for all versions up to this one when they are to be deleted."""
        attribute = await work.get(ATTRIBUTES, item["attributeId"])
        if attribute is None:
            return await super().accept(item, decision, asked, work)
        date = format_date(parse_date(decision["deletionDate"], "deletionDate"))
        for version in await _up_to(attribute, work):
            if version.get("peer") == asked.peer:
                await set_deletion_of_attribute(version, DeletionStatus.TO_BE_DELETED, date, work)
        return {"@type": _ANSWER, "deletionDate": date, "result": "Accepted"}

    async def sent(self, item: JsonObject, asked: Asked, work: Work) -> None:
        """Notes that the peer was asked."""
        await self._note(item["attributeId"], DeletionStatus.REQUEST_SENT, work.now, asked, work)

    async def apply(self, response_item: JsonObject, item: JsonObject, asked: Asked, work: Work) -> None:
        """Notes what the peer promises, or that it does not delete it."""
        if response_item.get("result") == "Rejected":
            await self._note(item["attributeId"], DeletionStatus.REQUEST_REJECTED, work.now, asked, work)
        elif response_item["@type"] == _ANSWER and self._received.is_readable(response_item):
            date = _date(response_item["deletionDate"])
            if date is not None:
                promised = DeletionStatus.TO_BE_DELETED_BY_RECIPIENT
                await self._note(item["attributeId"], promised, date, asked, work)

    async def _note(self, attribute_id: str, status: DeletionStatus, date: str, asked: Asked, work: Work) -> None:
        _, peer = asked.settled()
        attribute = await work.get(ATTRIBUTES, attribute_id)
        if attribute is None or kind_of(attribute) not in FORWARDABLE:
            return
        for version in await _up_to(attribute, work):
            if kind_of(version) is Kind.OWN_RELATIONSHIP and version["peer"] == peer:
                await set_deletion_of_attribute(version, status, date, work)
            with suppress(DeletionInfoNotApplicable):
                await self._forwarding.set_deletion(version["id"], peer, status, date, work)


async def _up_to(attribute: Document, work: Work) -> list[Document]:
    return [attribute, *[version async for version in predecessors(work, attribute)]]


def _date(value: Json) -> str | None:
    """Returns a date of a peer, which may count milliseconds, as the network writes it; None when there is none."""
    try:
        if isinstance(value, str):
            return format_date(parse_date(value))
        return format_date(datetime.fromtimestamp(int(value) / 1000, UTC))
    except (MalformedValue, ValueError, OverflowError, OSError):
        return None
