"""How attributes are shared with the other devices of the identity, and the events for what those did with them.

What another device does is told as if it had happened here, with the same events. A new version of an attribute is two
documents, and a new document several modifications, which may arrive in several commits: an event is published by the
commit that makes its data complete, and by no other. Source: consumption.md, sections 2 and 17.
"""

from __future__ import annotations

from typing import Final

from enmeshed_connector.consumption.attributes import events
from enmeshed_connector.consumption.attributes.documents import (
    ATTRIBUTES,
    FORWARDING_DETAILS,
    DeletionStatus,
    Kind,
)
from enmeshed_connector.transport.objects import RELATIONSHIPS, Document, SynchronizedCollection
from enmeshed_connector.transport.pulled_changes import PulledChange, PulledChanges

_KINDS: Final = frozenset(kind.value for kind in Kind)


async def told_attribute(pulled: PulledChanges, attribute_id: str) -> Document | None:
    """Returns an attribute as it is after a pull when it can be told of; None when it is not all there, or deleted."""
    attribute = await pulled.after(ATTRIBUTES, attribute_id)
    return attribute if await _is_told(attribute, pulled, is_after=True) else None


async def tell_of_attribute(change: PulledChange, pulled: PulledChanges) -> None:
    """Publishes the events for an attribute that another device made, changed or deleted."""
    before, after = change.before, change.after
    was_told = await _is_told(before, pulled, is_after=False)
    if after is None:
        if before is not None and was_told and await _may_be_named(before, pulled):
            await events.publish(pulled.work, events.ATTRIBUTE_DELETED, before)
        return
    if not was_told:
        await _tell_of_new(after, pulled)
    elif before is not None and after.get("wasViewedAt") not in (None, before.get("wasViewedAt")):
        await events.publish(pulled.work, events.WAS_VIEWED_AT_CHANGED, after)
    successor_id = after.get("succeededBy")
    if isinstance(successor_id, str) and not pulled.holds(ATTRIBUTES, successor_id):
        successor = await pulled.after(ATTRIBUTES, successor_id)
        if successor is not None and not await _is_told(successor, pulled, is_after=False):
            await _tell_of_new(successor, pulled)


async def tell_of_forwarding(change: PulledChange, pulled: PulledChanges) -> None:
    """Publishes the event for an attribute that another device gave to somebody, or no longer counts as given.

    What becomes of it there is no event of its own, here as where it happens; see the notifications.
    """
    before, after = change.before, change.after
    if after is None:
        if before is None or _is_repeated(change, pulled):
            return
    elif before is not None and _is_complete(before):
        if not _is_promised(before) or after.get("deletionInfo") is not None:
            return
    elif not _is_complete(after):
        return
    attribute_id = (after or before or {}).get("attributeId")
    attribute = await told_attribute(pulled, attribute_id) if isinstance(attribute_id, str) else None
    if attribute is not None:
        await events.publish(pulled.work, events.FORWARDING_DETAILS_CHANGED, attribute)


async def _tell_of_new(attribute: Document, pulled: PulledChanges) -> None:
    """Publishes that an attribute is new, if it is all there now."""
    if not await _is_told(attribute, pulled, is_after=True):
        return
    predecessor = await _predecessor(attribute, pulled, is_after=True)
    if predecessor is None:
        await events.publish(pulled.work, events.ATTRIBUTE_CREATED, attribute)
    else:
        await events.publish_succession(pulled.work, predecessor, attribute)


async def _is_told(attribute: Document | None, pulled: PulledChanges, *, is_after: bool) -> bool:
    """Tells whether an attribute, as it was before or is after the pull, has been or is to be told of.

    A new version waits for the former one: until that is all there, and knows of this version or of another one, as two
    devices may have made one each.
    """
    if attribute is None or not _is_readable(attribute):
        return False
    predecessor = await _predecessor(attribute, pulled, is_after=is_after)
    return predecessor is None or (_is_readable(predecessor) and "succeededBy" in predecessor)


async def _predecessor(attribute: Document, pulled: PulledChanges, *, is_after: bool) -> Document | None:
    """Returns the former version, None when there is none or it is not stored."""
    predecessor_id = attribute.get("succeeds")
    if predecessor_id is None:
        return None
    read = pulled.after if is_after else pulled.before
    return await read(ATTRIBUTES, predecessor_id)


async def _may_be_named(deleted: Document, pulled: PulledChanges) -> bool:
    """Tells whether the log may hold an attribute that is deleted: nothing of a peer whose relationship was left.

    The device that decomposes a relationship tells nothing of the attributes, either; what is told too early is erased
    when the relationship goes.
    """
    peer = deleted.get("peer")
    return peer is None or await pulled.work.find_one(RELATIONSHIPS, {"peer.address": peer}) is not None


def _is_readable(attribute: Document) -> bool:
    return (
        attribute.get("@type") in _KINDS
        and isinstance(attribute.get("createdAt"), str)
        and isinstance(attribute.get("content"), dict)
        and all(
            isinstance(attribute.get(name, ""), str)
            for name in ("peer", "initialAttributePeer", "succeeds", "succeededBy")
        )
    )


def _is_complete(details: Document) -> bool:
    return all(isinstance(details.get(name), str) for name in ("attributeId", "peer"))


def _is_promised(details: Document) -> bool:
    info = details.get("deletionInfo")
    return isinstance(info, dict) and info.get("deletionStatus") == DeletionStatus.TO_BE_DELETED_BY_RECIPIENT


def _is_repeated(change: PulledChange, pulled: PulledChanges) -> bool:
    """Tells whether other details of the same attribute, removed together with these, are told of."""
    removed = [
        one.id
        for one in pulled.of(FORWARDING_DETAILS)
        if one.after is None
        and one.before is not None
        and one.before.get("attributeId") == (change.before or {}).get("attributeId")
    ]
    return removed[0] != change.id


ATTRIBUTE_COLLECTIONS: Final[tuple[SynchronizedCollection, ...]] = (
    SynchronizedCollection(
        # Holds all classes; each has a part of these properties.
        ATTRIBUTES,
        technical_data=(
            "@type",
            "@context",
            "createdAt",
            "succeeds",
            "succeededBy",
            "wasViewedAt",
            "isDefault",
            "peer",
            "sourceReference",
            "deletionInfo",
            "initialAttributePeer",
        ),
        userdata=("content",),
        events=tell_of_attribute,
    ),
    SynchronizedCollection(
        FORWARDING_DETAILS,
        # Without `@type`: official devices do not send it, either.
        technical_data=("attributeId", "peer", "sourceReference", "sharedAt", "deletionInfo"),
        events=tell_of_forwarding,
    ),
)
