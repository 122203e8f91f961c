"""Which attributes a list is about, as conditions of the store. Source: connector.md, 3.3; consumption.md, 6."""

from __future__ import annotations

from enmeshed_connector.consumption.attributes.documents import (
    FORWARDING_DETAILS,
    OF_PEERS,
    OWN,
    Kind,
)
from enmeshed_connector.consumption.attributes.repository import NOT_DELETED_BY_RECIPIENT, Reader, find, successors
from enmeshed_connector.storage import Filter, all_of, any_of, where

NEWEST = where("succeededBy").is_absent()
NOT_TECHNICAL = where("content.isTechnical").ne(True)


def own_identity() -> Filter:
    """Returns the condition that attributes say something of this identity."""
    return where("@type").eq(Kind.OWN_IDENTITY.value)


def of_peer(peer: str) -> Filter:
    """Returns the condition that attributes came from a peer."""
    return all_of(where("@type").is_in([kind.value for kind in OF_PEERS]), where("peer").eq(peer))


async def shared_with(reader: Reader, peer: str, *, only_newest: bool) -> Filter:
    """Returns the condition that own attributes were given to a peer, who did not delete them.

    Args:
        reader: Where is read from.
        peer: The peer.
        only_newest: Without versions of which the peer got a newer one; of attributes of the relationship with the
            peer, without versions that have a newer one.
    """
    forwarded = await _forwarded_to(reader, peer, only_newest=only_newest)
    of_relationship = all_of(where("@type").eq(Kind.OWN_RELATIONSHIP.value), where("peer").eq(peer))
    if only_newest:
        of_relationship = all_of(of_relationship, NEWEST)
    given = all_of(where("@type").is_in([kind.value for kind in OWN]), where("id").is_in(forwarded))
    return any_of(given, of_relationship)


async def exchanged_with(reader: Reader, peer: str, *, only_newest: bool) -> Filter:
    """Returns the condition that attributes were given to a peer, who did not delete them, or came through the peer.

    Args:
        reader: Where is read from.
        peer: The peer.
        only_newest: Of given ones, without versions of which the peer got a newer one; of the others, without versions
            that have a newer one.
    """
    given = where("id").is_in(await _forwarded_to(reader, peer, only_newest=only_newest))
    through_peer = where("peer").eq(peer)
    return any_of(given, all_of(through_peer, NEWEST) if only_newest else through_peer)


async def _forwarded_to(reader: Reader, peer: str, *, only_newest: bool) -> list[str]:
    details = await reader.find(FORWARDING_DETAILS, all_of(where("peer").eq(peer), NOT_DELETED_BY_RECIPIENT))
    forwarded = {one["attributeId"] for one in details}
    if only_newest:
        succeeded = await find(reader, all_of(where("id").is_in(forwarded), where("succeededBy").is_present()))
        for attribute in succeeded:
            if any([version["id"] in forwarded async for version in successors(reader, attribute)]):
                forwarded.discard(attribute["id"])
    return sorted(forwarded)
