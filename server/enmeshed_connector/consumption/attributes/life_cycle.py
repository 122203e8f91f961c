"""What relationships do to attributes. Source: consumption.md, section 5.4."""

from __future__ import annotations

from enmeshed_connector.consumption.attributes import events
from enmeshed_connector.consumption.attributes.deletion import Deletions
from enmeshed_connector.consumption.attributes.documents import (
    ATTRIBUTES,
    FORWARDING_DETAILS,
    DeletionStatus,
    Kind,
    kind_of,
)
from enmeshed_connector.consumption.attributes.errors import WrongStatusForDeletionInfo
from enmeshed_connector.consumption.attributes.forwarding import Forwarding, set_deletion_of_attribute
from enmeshed_connector.consumption.attributes.repository import find, release_peer
from enmeshed_connector.storage import where
from enmeshed_connector.transport.listeners import TransportListener
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.relationship_documents import Status, last_entry
from enmeshed_connector.transport.work import Work


class AttributeLifeCycle(TransportListener):
    """Lets attributes follow their relationships, in the commit of the change."""

    def __init__(self, forwarding: Forwarding, deletions: Deletions) -> None:
        """Takes who keeps forwarding details, and who deletes."""
        self._forwarding = forwarding
        self._deletions = deletions

    async def relationship_changed(self, relationship: Document, work: Work) -> None:
        """Deletes what was exchanged for a relationship that never came about; notes when the peer leaves one."""
        if relationship["status"] in (Status.REJECTED, Status.REVOKED):
            await self._delete_exchanged(relationship["peer"]["address"], work)
        elif relationship["status"] == Status.DELETION_PROPOSED:
            await self.note_proposed_deletion(relationship, work)

    async def relationship_decomposed(self, relationship: Document, work: Work) -> None:
        """Removes what was exchanged with the peer: attributes without events, forwarding details with them.

        All forwarding details to the peer go; official peers leave those of former versions behind.
        """
        peer = relationship["peer"]["address"]
        for attribute in await find(work, {"peer": peer}):
            await self._deletions.delete_silently(attribute, work)
        await self._forget_forwards(peer, work)
        release_peer(work, peer)

    async def note_proposed_deletion(self, relationship: Document, work: Work) -> None:
        """Notes that the peer has deleted, or will soon have deleted, what was exchanged with it.

        Raises:
            WrongStatusForDeletionInfo: The deletion of the relationship is not proposed.
        """
        if relationship["status"] != Status.DELETION_PROPOSED:
            raise WrongStatusForDeletionInfo(
                f"The deletion of relationship {relationship['id']} is not proposed.",
                facts={"id": relationship["id"], "status": relationship["status"]},
            )
        peer, date = relationship["peer"]["address"], last_entry(relationship)["createdAt"]
        forwarded = {one["attributeId"] for one in await work.find(FORWARDING_DETAILS, {"peer": peer})}
        for attribute_id in sorted(forwarded):
            await self._forwarding.set_deletion(attribute_id, peer, DeletionStatus.DELETED_BY_RECIPIENT, date, work)
        for attribute in await find(work, {"peer": peer}):
            is_own = kind_of(attribute) is Kind.OWN_RELATIONSHIP
            status = DeletionStatus.DELETED_BY_RECIPIENT if is_own else DeletionStatus.DELETED_BY_EMITTER
            await set_deletion_of_attribute(attribute, status, date, work)

    async def _delete_exchanged(self, peer: str, work: Work) -> None:
        for attribute in await find(work, {"peer": peer}):
            # Former versions go with the newer ones.
            if await work.get(ATTRIBUTES, attribute["id"]) is not None:
                await self._deletions.delete(attribute["id"], work)
        await self._forget_forwards(peer, work)

    async def _forget_forwards(self, peer: str, work: Work) -> None:
        details = await work.find(FORWARDING_DETAILS, where("peer").eq(peer), sort=("sharedAt",))
        for attribute_id in dict.fromkeys(one["attributeId"] for one in details):
            await self._forwarding.remove_silently(attribute_id, work, peer=peer)
            attribute = await work.get(ATTRIBUTES, attribute_id)
            if attribute is not None:
                await events.publish(work, events.FORWARDING_DETAILS_CHANGED, attribute)
