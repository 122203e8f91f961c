"""Items of requests between two accounts, created, accepted and applied without the requests around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from enmeshed_connector.consumption.requests.processors.base import Asked, ItemProcessor
from enmeshed_connector.consumption.requests.processors.registry import Processors
from enmeshed_connector.consumption.requests.results import ValidationResult
from enmeshed_connector.core.addresses import derive_address
from enmeshed_connector.transport.objects import Document
from tests.support.consumption import Holder

REQUEST = "REQ0000000000000ITEM"
CAROL = derive_address(b"C" * 32, "localhost")
OTHER = derive_address(b"O" * 32, "localhost")

YES: Document = {"accept": True}


@dataclass(frozen=True)
class Side:
    """One side of a request: an account and the one that it faces."""

    holder: Holder
    peer: str | None
    """The address of the other side; None for the maker of a template."""
    request_id: str | None = REQUEST

    def facing(self, peer: str | None) -> Side:
        """Returns the same account, facing somebody else."""
        return Side(self.holder, peer, self.request_id)

    async def can_create(self, item: Document) -> ValidationResult:
        """Returns what is found outside of a commit, and inside when nothing is."""
        processor = self._processor(item)
        result = await processor.can_create(item, self.asked, self.holder.transport.context.store)
        if not result.is_success:
            return result
        return await self.holder.run(lambda work: processor.can_create(item, self.asked, work))

    async def can_accept(self, item: Document, decision: Document = YES) -> ValidationResult:
        """Returns what is found outside of a commit."""
        store = self.holder.transport.context.store
        return await self._processor(item).can_accept(item, decision, self.asked, store)

    async def accept(self, item: Document, decision: Document = YES) -> Document:
        """Accepts as requests do: checks, prepares, checks again and accepts in one commit."""
        processor = self._processor(item)
        result = await self.can_accept(item, decision)
        assert result.is_success, result
        prepared = await processor.prepare(item, decision, self.asked)
        complete = decision if prepared is None else {**decision, "_prepared": prepared}

        async def commit(work: Any) -> Document:
            again = await processor.can_accept(item, complete, self.asked, work)
            assert again.is_success, again
            return await processor.accept(item, complete, self.asked, work)

        return await self.holder.run(commit)

    async def reject(self, item: Document, **told: str) -> Document:
        """Rejects."""
        processor = self._processor(item)
        decision = {"accept": False, **told}
        assert (await processor.can_reject(item, decision, self.asked, self.holder.transport.context.store)).is_success
        return await self.holder.run(lambda work: processor.reject(item, decision, self.asked, work))

    async def sent(self, item: Document) -> None:
        """Does what follows from sending."""
        await self.holder.run(lambda work: self._processor(item).sent(item, self.asked, work))

    async def apply(self, response_item: Document, item: Document) -> None:
        """Applies what the other side answers."""
        await self.holder.run(lambda work: self._processor(item).apply(response_item, item, self.asked, work))

    def processor(self, item_type: str) -> ItemProcessor:
        """Returns the processor of a type."""
        return self._processor({"@type": item_type})

    @property
    def asked(self) -> Asked:
        """What items are told of their request."""
        return Asked(self.request_id, self.peer)

    def _processor(self, item: Document) -> ItemProcessor:
        transport = self.holder.transport
        return Processors(transport.context, self.holder.attributes, transport.files).for_item(item)


async def exchange(asking: Side, answering: Side, item: Document, decision: Document = YES) -> Document:
    """Asks, accepts and applies an item, and returns the response item."""
    result = await asking.can_create(item)
    assert result.is_success, result
    answer = await answering.accept(item, decision)
    assert answer["@type"] in asking.processor(item["@type"]).response_types
    await asking.apply(answer, item)
    return answer


def item_of(item_type: str, *, must: bool = True, **more: Any) -> Document:
    """Returns an item; `must` is whether it must be accepted."""
    return {"@type": f"{item_type}RequestItem", "mustBeAccepted": must, **more}


def identity_query(value_type: str = "GivenName", tags: list[str] | None = None) -> Document:
    """Returns a query for an identity attribute."""
    query: Document = {"@type": "IdentityAttributeQuery", "valueType": value_type}
    return query if tags is None else {**query, "tags": tags}


def relationship_query(owner: str = "", key: str = "key", **hints: Any) -> Document:
    """Returns a query for what `tests.support.consumption.relationship` makes."""
    return {
        "@type": "RelationshipAttributeQuery",
        "attributeCreationHints": {
            "confidentiality": "public",
            "title": "Title",
            "valueType": "ProprietaryString",
            **hints,
        },
        "key": key,
        "owner": owner,
    }


def third_party_query(*parties: str, owner: str = "", key: str = "key") -> Document:
    """Returns a query for an attribute of a relationship with one of the parties."""
    return {
        "@type": "ThirdPartyRelationshipAttributeQuery",
        "key": key,
        "owner": owner,
        "thirdParty": list(parties),
    }


def iql_query(text: str = "GivenName", **hints: Any) -> Document:
    """Returns a query in the identity query language."""
    query: Document = {"@type": "IQLQuery", "queryString": text}
    return {**query, "attributeCreationHints": hints} if hints else query


def code_of(result: ValidationResult) -> str:
    """Returns the code without its prefix, empty on success."""
    return result.code.removeprefix("error.consumption.")


INVALID_ITEM = "requests.invalidRequestItem"
INVALID_DECISION = "requests.invalidAcceptParameters"
UNREADABLE = "requests.servalErrorDuringRequestItemProcessing"
MISMATCH = "requests.attributeQueryMismatch"
PENDING = "requests.cannotShareRelationshipAttributeOfPendingRelationship"
