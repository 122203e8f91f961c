"""The events about attributes. Source: consumption.md, section 17."""

from __future__ import annotations

from typing import Final

from enmeshed_connector.consumption.attributes.documents import FORWARDABLE, FORWARDING_DETAILS
from enmeshed_connector.transport.objects import Document, public_part
from enmeshed_connector.transport.work import Work

ATTRIBUTE_CREATED: Final = "consumption.attributeCreated"
ATTRIBUTE_DELETED: Final = "consumption.attributeDeleted"
ATTRIBUTE_SUCCEEDED: Final = "consumption.attributeSucceeded"
FORWARDING_DETAILS_CHANGED: Final = "consumption.attributeForwardingDetailsChanged"
WAS_VIEWED_AT_CHANGED: Final = "consumption.attributeWasViewedAtChanged"


async def publish(work: Work, event_type: str, attribute: Document) -> None:
    """Adds an event about one attribute, with the number of its forwards."""
    work.publish(event_type, await _told(work, attribute), subjects=subjects_of(attribute))


async def publish_succession(work: Work, predecessor: Document, successor: Document) -> None:
    """Adds the event that an attribute has a new version."""
    data = {"predecessor": await _told(work, predecessor), "successor": await _told(work, successor)}
    work.publish(
        ATTRIBUTE_SUCCEEDED, data, subjects=dict.fromkeys((*subjects_of(predecessor), *subjects_of(successor)))
    )


def subjects_of(attribute: Document) -> tuple[str, ...]:
    """Returns under what events about an attribute are erased: its id and the identities that it came through."""
    parties = (attribute.get(name) for name in ("peer", "initialAttributePeer"))
    return (attribute["id"], *(party for party in parties if party is not None))


async def _told(work: Work, attribute: Document) -> Document:
    told = public_part(attribute)
    if attribute["@type"] in FORWARDABLE:
        told["numberOfForwards"] = len(await work.find(FORWARDING_DETAILS, {"attributeId": attribute["id"]}))
    return told
