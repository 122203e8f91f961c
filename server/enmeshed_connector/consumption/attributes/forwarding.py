"""To whom attributes were given, and what becomes of them there. Source: consumption.md, sections 3.2, 3.3 and 5.1.

One document for each time that an attribute was given to somebody. All functions take part in a commit.
"""

from __future__ import annotations

from enmeshed_connector.consumption.attributes import events
from enmeshed_connector.consumption.attributes.documents import (
    ATTRIBUTES,
    DELETED,
    EMITTED,
    FINAL,
    FORWARDABLE,
    FORWARDING_DETAILS,
    RECEIVED,
    DeletionStatus,
    Kind,
    deletion_info,
    deletion_status_of,
    kind_of,
    with_property,
)
from enmeshed_connector.consumption.attributes.errors import (
    AlreadyForwarded,
    DeletionInfoNotApplicable,
    WrongAttributeType,
)
from enmeshed_connector.consumption.attributes.repository import (
    NOT_DELETED_BY_RECIPIENT,
    forwarding_details,
    hold_sharing,
    predecessors,
    require,
)
from enmeshed_connector.core.ids import FORWARDING, IdMaker
from enmeshed_connector.storage import where
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work


class Forwarding:
    """Keeps forwarding details."""

    def __init__(self, ids: IdMaker) -> None:
        """Takes what makes ids."""
        self._ids = ids

    async def add(self, attribute_id: str, peer: str, source_reference: str, work: Work) -> Document:
        """Notes that a peer got an attribute, and returns the details.

        Where the peer has promised to delete it, that is forgotten instead.

        Args:
            attribute_id: An own identity attribute, or one of a relationship that a third party gets.
            peer: Who got it.
            source_reference: The id of the request or notification by which.
            work: The commit.

        Raises:
            RecordMissing: There is no such attribute.
            WrongAttributeType: It cannot be given on.
            AlreadyForwarded: The peer has it.
        """
        attribute = await require(work, attribute_id)
        if kind_of(attribute) not in FORWARDABLE:
            raise WrongAttributeType(f"Attribute {attribute_id} cannot be given on.", facts={"id": attribute_id})
        await hold_sharing(work, attribute_id)
        existing = await forwarding_details(work, attribute_id, NOT_DELETED_BY_RECIPIENT, where("peer").eq(peer))
        promised = [one for one in existing if deletion_status_of(one) == DeletionStatus.TO_BE_DELETED_BY_RECIPIENT]
        if len(promised) < len(existing):
            raise AlreadyForwarded(
                f"Attribute {attribute_id} was given to {peer} already.", facts={"id": attribute_id, "peer": peer}
            )
        if promised:
            details = with_property(promised[0], "deletionInfo", None)
        else:
            details = {
                "@type": "AttributeForwardingDetails",
                "attributeId": attribute_id,
                "id": self._ids.new(FORWARDING),
                "peer": peer,
                "sharedAt": work.now,
                "sourceReference": source_reference,
            }
        await work.save(FORWARDING_DETAILS, details)
        await events.publish(work, events.FORWARDING_DETAILS_CHANGED, attribute)
        return details

    async def remove(self, attribute_id: str, work: Work, *, peer: str | None = None) -> None:
        """Forgets to whom an attribute was given, or that one peer got it.

        Raises:
            RecordMissing: There is no such attribute.
        """
        attribute = await require(work, attribute_id)
        if await self.remove_silently(attribute_id, work, peer=peer):
            await events.publish(work, events.FORWARDING_DETAILS_CHANGED, attribute)

    async def remove_silently(self, attribute_id: str, work: Work, *, peer: str | None = None) -> bool:
        """Does as `remove` without an event, and returns whether there was something to forget."""
        await hold_sharing(work, attribute_id)
        conditions = () if peer is None else (where("peer").eq(peer),)
        found = await forwarding_details(work, attribute_id, *conditions)
        for details in found:
            await work.remove(FORWARDING_DETAILS, details["id"])
        return bool(found)

    async def set_deletion(
        self,
        attribute_id: str,
        peer: str,
        status: DeletionStatus | None,
        date: str,
        work: Work,
        *,
        overrides: bool = False,
    ) -> None:
        """Notes what a recipient does with an attribute that it was given.

        Args:
            attribute_id: The attribute.
            peer: The recipient.
            status: One of `EMITTED`; None forgets what was noted.
            date: When it happened or is promised to happen.
            work: The commit.
            overrides: Whether to replace a promise, or that it happened; else such details stay as they are.

        Raises:
            ValueError: The status is one of received data.
            DeletionInfoNotApplicable: The peer never got it.
        """
        if status is not None and status not in EMITTED:
            raise ValueError(f"{status} is not what recipients do")
        await hold_sharing(work, attribute_id)
        found = await forwarding_details(work, attribute_id, where("peer").eq(peer))
        # Of several the one that the peer still holds: an older one tells of a copy that is gone.
        alive = [one for one in found if deletion_status_of(one) not in DELETED]
        fitting = alive or found
        if not fitting:
            raise DeletionInfoNotApplicable(
                f"Attribute {attribute_id} was not given to {peer}.", facts={"id": attribute_id, "peer": peer}
            )
        details = fitting[-1]
        if not overrides and deletion_status_of(details) in FINAL:
            return
        info = None if status is None else deletion_info(status, date)
        await work.save(FORWARDING_DETAILS, with_property(details, "deletionInfo", info))


async def set_deletion_of_attribute(
    attribute: Document, status: DeletionStatus | None, date: str, work: Work, *, overrides: bool = False
) -> Document:
    """Notes what becomes of a shared attribute, and returns it.

    Args:
        attribute: An attribute with a peer. Of own relationship attributes the peer is the recipient.
        status: `EMITTED` for own relationship attributes, `RECEIVED` for others; None forgets what was noted.
        date: When it happened or is promised to happen.
        work: The commit.
        overrides: Whether to replace a final status; else such an attribute stays as it is.

    Raises:
        WrongAttributeType: It is an own identity attribute, whose recipients are told apart.
        ValueError: The status does not go with the class.
    """
    kind = kind_of(attribute)
    if kind is Kind.OWN_IDENTITY:
        raise WrongAttributeType(
            f"Attribute {attribute['id']} has no deletion status of its own.", facts={"id": attribute["id"]}
        )
    if status is not None and status not in (EMITTED if kind is Kind.OWN_RELATIONSHIP else RECEIVED):
        raise ValueError(f"{status} does not go with {kind}")
    if not overrides and deletion_status_of(attribute) in FINAL:
        return attribute
    changed = with_property(attribute, "deletionInfo", None if status is None else deletion_info(status, date))
    await work.save(ATTRIBUTES, changed)
    return changed


async def forwarding_peers(work: Work, attribute_id: str) -> list[str]:
    """Returns who was given an attribute and did not delete it, in the order of giving; those about to are among
    them.
    """
    details = await forwarding_details(work, attribute_id, NOT_DELETED_BY_RECIPIENT)
    return list(dict.fromkeys(one["peer"] for one in details))


async def peers_with_older_version(work: Work, attribute: Document) -> dict[str, str]:
    """Returns who was given older versions only, each with the id of the newest one that it got."""
    with_this_or_newer = set(await forwarding_peers(work, attribute["id"]))
    found: dict[str, str] = {}
    async for version in predecessors(work, attribute):
        for peer in await forwarding_peers(work, version["id"]):
            if peer not in with_this_or_newer:
                found.setdefault(peer, version["id"])
    return found
