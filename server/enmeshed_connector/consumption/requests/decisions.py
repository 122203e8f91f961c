"""Whether a decision may be taken: by the state of things, by its structure, and by each item.

Decisions are lists that mirror the elements of the request: `{"accept": …}` for an item, `{"items": […]}` for a group.
Source: consumption.md, sections 10.2 and 10.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.requests.documents import MESSAGE, is_group
from enmeshed_connector.consumption.requests.processors.base import Asked
from enmeshed_connector.consumption.requests.processors.failures import invalid_decision, unreadable_decision
from enmeshed_connector.consumption.requests.processors.keys import check_key_uniqueness_for_acceptance
from enmeshed_connector.consumption.requests.processors.registry import Processors
from enmeshed_connector.consumption.requests.results import SUCCESS, Problem, ValidationResult
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.content.responses import rejection_violations
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.relationship_documents import Status, relationship_with

_DECIDE: Final = "requests.decide.validation."


def decisions_of(decision: JsonObject) -> Sequence[JsonObject]:
    """Returns the decisions on the items of a group."""
    items: Sequence[JsonObject] = decision["items"]
    return items


def decides_group(decision: JsonObject) -> bool:
    """Returns whether a decision is one on a group."""
    return "items" in decision and "accept" not in decision


def check_structure(content: JsonObject, decisions: Sequence[JsonObject], *, accepts: bool) -> ValidationResult:
    """Tells whether the decisions mirror the request, and go with its acceptance or rejection.

    Args:
        content: The request.
        decisions: One for each element.
        accepts: Whether the request as a whole is accepted.
    """
    elements = content["items"]
    if len(elements) != len(decisions):
        return _failure("invalidNumberOfItems", "There must be one decision for each element of the request.", "items")
    return ValidationResult.of_items(
        [
            _check_group(element, decision, accepts) if is_group(element) else _check_item(element, decision, accepts)
            for element, decision in zip(elements, decisions, strict=True)
        ]
    )


def _check_group(group: JsonObject, decision: JsonObject, accepts: bool) -> ValidationResult:
    if not decides_group(decision):
        return _failure("requestItemGroupAnsweredAsRequestItem", "This element is a group of items.")
    items, decisions = group["items"], decisions_of(decision)
    if len(items) != len(decisions):
        return _failure("invalidNumberOfItems", "There must be one decision for each item of the group.", "group.items")
    return ValidationResult.of_items(
        [_check_item(item, one, accepts) for item, one in zip(items, decisions, strict=True)]
    )


def _check_item(item: JsonObject, decision: JsonObject, accepts: bool) -> ValidationResult:
    if decides_group(decision):
        return _failure("requestItemAnsweredAsRequestItemGroup", "This element is an item, no group.")
    accepted = decision.get("accept") is True
    if accepted and not accepts:
        return _failure("itemAcceptedButRequestNotAccepted", "No item of a rejected request can be accepted.")
    if accepts and not accepted and item["mustBeAccepted"]:
        return _failure("mustBeAcceptedItemNotAccepted", "This item must be accepted when the request is.")
    return SUCCESS


def _failure(code: str, message: str, field: str = "") -> ValidationResult:
    return ValidationResult.failure(_DECIDE + code, message, field)


async def check_peer(request: Document, reader: Reader) -> ValidationResult:
    """Tells whether the relationship with the peer lets a request be decided."""
    relationship = await relationship_with(reader, request["peer"])
    if relationship is None:
        return SUCCESS
    allowed: tuple[Status, ...] = (Status.ACTIVE,)
    if request["source"]["type"] != MESSAGE:
        allowed = (Status.ACTIVE, Status.REJECTED, Status.REVOKED)
    if relationship["status"] not in allowed:
        return ValidationResult.failure(
            "requests.wrongRelationshipStatus",
            f"The relationship is {relationship['status']}; this needs {' or '.join(allowed)}.",
        )
    return check_peer_lives(relationship)


def check_peer_lives(relationship: Document) -> ValidationResult:
    """Tells whether the identity of a peer is there to stay."""
    match (relationship.get("peerDeletionInfo") or {}).get("deletionStatus"):
        case "ToBeDeleted":
            return ValidationResult.failure("requests.peerIsInDeletion", "The peer is about to be deleted.")
        case "Deleted":
            return ValidationResult.failure("requests.peerIsDeleted", "The peer is deleted.")
    return SUCCESS


class DecisionChecks:
    """Checks decisions on incoming requests of one account."""

    def __init__(self, own_address: str, processors: Processors) -> None:
        """Takes the address of this identity, and who knows the types of items."""
        self._own_address = own_address
        self._processors = processors

    async def check(
        self, request: Document, decisions: Sequence[JsonObject], reader: Reader, *, accepts: bool
    ) -> ValidationResult:
        """Tells whether a request that waits for a decision may be decided so.

        Raises:
            DomainError: It cannot be found out now.
        """
        content = request["content"]
        for result in (
            await check_peer(request, reader),
            check_structure(content, decisions, accepts=accepts),
            await self._check_items(request, decisions, reader),
        ):
            if not result.is_success:
                return result
        return self._check_keys(content, decisions) if accepts else SUCCESS

    async def _check_items(
        self, request: Document, decisions: Sequence[JsonObject], reader: Reader
    ) -> ValidationResult:
        asked = Asked(request["id"], request["peer"])
        results = []
        for element, decision in zip(request["content"]["items"], decisions, strict=False):
            if not is_group(element):
                results.append(await self._check_item(element, decision, asked, reader))
            elif decides_group(decision):
                pairs = zip(element["items"], decisions_of(decision), strict=False)
                results.append(
                    ValidationResult.of_items([await self._check_item(*pair, asked, reader) for pair in pairs])
                )
        return ValidationResult.of_items(results)

    async def _check_item(
        self, item: JsonObject, decision: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        processor = self._processors.for_item(item)
        if decision.get("accept") is not True and (violations := rejection_violations(decision, "reject")):
            return unreadable_decision(Problem(f"{violations[0].field} {violations[0].description}.", violations))
        check = processor.can_accept if decision.get("accept") is True else processor.can_reject
        try:
            result = await check(item, decision, asked, reader)
        except DomainError as error:
            if error.code.is_passing:
                raise
            # Only what breaks the rules of a type is told so; what the network forbids besides is not.
            kind = "serval" if isinstance(error, ContentInvalid | MalformedValue) else "unexpected"
            return ValidationResult.failure(f"requests.{kind}ErrorDuringRequestItemProcessing", error.message)
        if not result.is_success or decision.get("accept") is not True:
            return result
        # What is said and not looked at would be taken for agreed.
        more = [name for name in decision if name != "accept" and name not in processor.parameters and name[0] != "_"]
        return invalid_decision(f"Items of this type take no {', '.join(more)}.", "accept") if more else result

    def _check_keys(self, content: JsonObject, decisions: Sequence[JsonObject]) -> ValidationResult:
        try:
            return check_key_uniqueness_for_acceptance(content, decisions, self._own_address)
        except DomainError as error:
            return ValidationResult(error.official_code or "", error.message, violations=error.violations)
