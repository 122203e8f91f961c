"""ShareAttributeRequestItem: the peer is given an attribute that exists here. Source: consumption.md, section 12.6."""

from __future__ import annotations

from contextlib import suppress

from enmeshed_connector.consumption.attributes.checks import IDENTITY
from enmeshed_connector.consumption.attributes.controller import AttributeController
from enmeshed_connector.consumption.attributes.documents import (
    ATTRIBUTES,
    FORWARDABLE,
    DeletionStatus,
    Kind,
    deletion_status_of,
    kind_of,
    same_json,
)
from enmeshed_connector.consumption.attributes.errors import AlreadyForwarded
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.consumption.attributes.repository import (
    NOT_DELETED_BY_RECIPIENT,
    Reader,
    forwarding_details,
    hold,
    same_peer_identity,
    same_third_party,
    versions_shared_with,
)
from enmeshed_connector.consumption.requests.processors.answers import ALREADY_SHARED
from enmeshed_connector.consumption.requests.processors.base import Asked, ItemProcessor
from enmeshed_connector.consumption.requests.processors.failures import invalid_item, pending_relationship
from enmeshed_connector.consumption.requests.processors.item_checks import (
    characters_violation,
    has_established_relationship,
    is_address,
    is_attribute_id,
    is_forwarded_for_good,
    tags_violation,
)
from enmeshed_connector.consumption.requests.results import SUCCESS, ValidationResult
from enmeshed_connector.content.releases import initial_attribute_peer
from enmeshed_connector.content.responses import ACCEPTING_TYPES
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.storage import where
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work

_ID = "attributeId"


class ShareAttributeProcessor(ItemProcessor):
    """Items that bring an attribute under the id that it has here."""

    response_types = frozenset(ACCEPTING_TYPES["ShareAttributeRequestItem"])

    def __init__(self, context: AccountContext, attributes: AttributeController) -> None:
        """Takes the account, and who keeps its attributes."""
        self._own_address = context.identity.address
        self._attributes = attributes

    async def can_create(self, item: JsonObject, asked: Asked, reader: Reader) -> ValidationResult:
        """Tells whether the attribute is as the item says, and may be given to the peer."""
        attribute = await reader.get(ATTRIBUTES, _id_of(item))
        if attribute is None:
            return invalid_item(f"There is no attribute {_id_of(item)}.", _ID)
        if kind_of(attribute) not in FORWARDABLE:
            return invalid_item(f"Attribute {attribute['id']} cannot be given on by this identity.", _ID)
        if not same_json(attribute["content"], item["attribute"]):
            return invalid_item(f"The content of attribute {attribute['id']} is not that of the item.", "attribute")
        if asked.peer is not None:
            problem = await self._shared_already(attribute, asked.peer, reader)
            if problem is not None:
                return invalid_item(problem, _ID)
        if kind_of(attribute) is Kind.OWN_IDENTITY:
            return await self._can_share_identity(item, reader)
        return await self._can_share_relationship(attribute, item, asked, reader)

    async def can_accept(
        self, item: JsonObject, decision: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        """Tells whether the attribute is one that the peer can give, and its id is free."""
        peer, content = asked.peer or "", item["attribute"]
        problem = await tags_violation(self._attributes, reader, content)
        if problem is not None:
            return invalid_item(problem.message)
        initial_peer = initial_attribute_peer(item)
        if (initial_peer is None) is not (content["@type"] == IDENTITY):
            return invalid_item("The initial peer must be given for attributes of relationships, and for those only.")
        # From here on official peers find it out while they accept.
        problem = characters_violation(content)
        if problem is not None:
            return invalid_item(problem.message)
        if content["owner"] not in (peer, initial_peer) or self._own_address in (content["owner"], initial_peer):
            return invalid_item("The owner of the attribute must be the peer, or the other side of its relationship.")
        if initial_peer is not None and (initial_peer == peer or not is_address(initial_peer)):
            return invalid_item("A relationship has two different sides.")
        if await self._known(item, peer, reader) is not None:
            return SUCCESS
        if not is_attribute_id(_id_of(item)):
            return invalid_item("The id of the attribute is none.")
        if await reader.get(ATTRIBUTES, _id_of(item)) is not None:
            return invalid_item(f"There is another attribute {_id_of(item)}.")
        return SUCCESS

    async def accept(self, item: JsonObject, decision: JsonObject, asked: Asked, work: Work) -> JsonObject:
        """Stores the attribute, unless there is one of this value, which is not deleted then."""
        request_id, peer = asked.settled()
        # Two requests at once must not both find that there is none.
        await hold(work, f"shared:{peer}")
        known = await self._known(item, peer, work)
        if known is not None:
            if deletion_status_of(known) is not None:
                await set_deletion_of_attribute(known, None, work.now, work, overrides=True)
            return {"@type": ALREADY_SHARED, "attributeId": known["id"], "result": "Accepted"}
        identifier, initial_peer = _id_of(item), initial_attribute_peer(item)
        checked = self._attributes.checks.content_without_tags(item["attribute"], received=True)
        if initial_peer is None:
            await self._attributes.create_peer_identity(identifier, checked, peer, request_id, work)
        else:
            await self._attributes.create_third_party(identifier, checked, peer, initial_peer, request_id, work)
        return await super().accept(item, decision, asked, work)

    async def apply(self, response_item: JsonObject, item: JsonObject, asked: Asked, work: Work) -> None:
        """Notes that the peer has the attribute, and keeps it."""
        if response_item.get("result") != "Accepted":
            return
        request_id, peer = asked.settled()
        attribute = await work.get(ATTRIBUTES, _id_of(item))
        if attribute is None or kind_of(attribute) not in FORWARDABLE:
            return
        forwarding = self._attributes.forwarding
        if response_item["@type"] == ALREADY_SHARED and await forwarding_details(
            work, attribute["id"], NOT_DELETED_BY_RECIPIENT, where("peer").eq(peer)
        ):
            await forwarding.set_deletion(attribute["id"], peer, None, work.now, work, overrides=True)
            return
        with suppress(AlreadyForwarded):
            await forwarding.add(attribute["id"], peer, request_id, work)

    async def _shared_already(self, attribute: Document, peer: str, reader: Reader) -> str | None:
        if await is_forwarded_for_good(reader, attribute["id"], peer):
            return f"{peer} has attribute {attribute['id']} already."
        for version in await versions_shared_with(reader, attribute, peer, only_newest=False):
            if version["id"] != attribute["id"]:
                return f"{peer} has the version {version['id']} of attribute {attribute['id']}, which can be succeeded."
        return None

    async def _can_share_identity(self, item: JsonObject, reader: Reader) -> ValidationResult:
        if initial_attribute_peer(item) is not None:
            return invalid_item("An identity attribute does not come from a relationship.", _peer_field(item))
        problem = await tags_violation(self._attributes, reader, item["attribute"])
        return SUCCESS if problem is None else invalid_item(problem, "attribute")

    async def _can_share_relationship(
        self, attribute: Document, item: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        if attribute["peer"] == asked.peer:
            return invalid_item(
                f"{asked.peer} has attribute {attribute['id']}, as it is of the relationship with it.", _ID
            )
        if not await has_established_relationship(reader, attribute["peer"]):
            return pending_relationship(f"There is no established relationship with {attribute['peer']}.", _ID)
        if initial_attribute_peer(item) != attribute["peer"]:
            return invalid_item(f"The initial peer must be {attribute['peer']}.", _peer_field(item))
        if attribute["content"]["owner"] == asked.peer:
            return invalid_item(f"Attribute {attribute['id']} belongs to {asked.peer}.", _ID)
        if attribute["content"]["confidentiality"] == "private":
            return invalid_item("A private attribute must not leave its relationship.", "attribute.confidentiality")
        return SUCCESS

    async def _known(self, item: JsonObject, peer: str, reader: Reader) -> Document | None:
        """Returns what is stored of this value from the peer; also under this very id what the peer had deleted."""
        content = item["attribute"]
        is_identity = content["@type"] == IDENTITY
        known = (
            await same_peer_identity(reader, peer, content)
            if is_identity
            else await same_third_party(reader, peer, content)
        )
        if known is not None or not is_attribute_id(_id_of(item)):
            return known
        kind = Kind.PEER_IDENTITY if is_identity else Kind.THIRD_PARTY
        stored = await reader.get(ATTRIBUTES, _id_of(item))
        if stored is None or kind_of(stored) is not kind or stored["peer"] != peer:
            return None
        is_deleted = deletion_status_of(stored) == DeletionStatus.DELETED_BY_EMITTER
        return stored if is_deleted and same_json(stored["content"], content) else None


def _peer_field(item: JsonObject) -> str:
    """Returns under which name an item tells with whom the relationship of the attribute is."""
    is_old = "initialAttributePeer" not in item and "thirdPartyAddress" in item
    return "thirdPartyAddress" if is_old else "initialAttributePeer"


def _id_of(item: JsonObject) -> str:
    """Returns the id of the attribute, under whichever name the release of the peer gives it."""
    return str(item.get("attributeId", item.get("sourceAttributeId")))
