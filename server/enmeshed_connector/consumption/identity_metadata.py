"""Notes about identities that only this identity sees, shared by its devices.

Source: consumption.md, sections 2 and 14. Functions here work inside a commit of the caller.
"""

from __future__ import annotations

from typing import Final

from enmeshed_connector.consumption.attributes.repository import hold
from enmeshed_connector.core.canonical_json import Json, sort_members
from enmeshed_connector.core.errors import Code, FailedPrecondition, NotFound
from enmeshed_connector.core.ids import IDENTITY_METADATA, IdMaker
from enmeshed_connector.storage import CollectionSpec, Filter, where
from enmeshed_connector.transport.objects import RELATIONSHIPS, Document, SynchronizedCollection, without_unset
from enmeshed_connector.transport.work import Work

METADATA: Final = "IdentityMetadata"
METADATA_SCHEMA: Final = CollectionSpec(METADATA, sortable=("reference", "key"))
METADATA_COLLECTION: Final = SynchronizedCollection(
    METADATA, technical_data=("@type", "key", "reference"), userdata=("value",)
)


class UnfamiliarIdentity(FailedPrecondition):
    """The address is neither that of this identity nor of one it has a relationship with."""

    reason, code = "UNFAMILIAR_IDENTITY", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.identityMetadata.unfamiliarReferencedIdentity"


class MetadataMissing(NotFound):
    """There is no note about this identity under this key."""

    reason, code = "IDENTITY_METADATA_NOT_FOUND", Code.NOT_FOUND
    default_official_code = "error.runtime.identityMetadata.notFound"


def about(reference: str, key: str | None) -> Filter:
    """Returns the condition on the note about an identity under a key; None: the one without key."""
    return where("reference").eq(reference) & where("key").eq(key)


async def upsert(
    work: Work, ids: IdMaker, reference: str, key: str | None, value: Json, *, own_address: str
) -> Document:
    """Writes a note and returns it.

    Raises:
        UnfamiliarIdentity: It is about a stranger.
    """
    if reference != own_address and await work.find_one(RELATIONSHIPS, {"peer.address": reference}) is None:
        raise UnfamiliarIdentity("There is no relationship with this identity.", facts={"address": reference})
    known = await work.find_one(METADATA, about(reference, key))
    if known is None:
        # Two commits at once must not both find that there is none.
        await hold(work, "metadata")
        known = await work.find_one(METADATA, about(reference, key))
    if known is not None:
        changed = known | {"value": value}
        await work.save(METADATA, changed)
        return changed
    document = sort_members(
        without_unset(
            **{"@type": "IdentityMetadata"},
            id=ids.new(IDENTITY_METADATA),
            key=key,
            reference=reference,
            value=value,
        )
    )
    await work.create(METADATA, document)
    return document


async def delete(work: Work, reference: str, key: str | None) -> None:
    """Deletes a note, with copies that another device may have made at the same moment.

    Raises:
        MetadataMissing: There is none.
    """
    found = await work.find(METADATA, about(reference, key))
    if not found:
        raise missing(reference)
    for document in found:
        await work.remove(METADATA, document["id"])


def missing(reference: str) -> MetadataMissing:
    """Returns the error for a note that is not there."""
    return MetadataMissing("There is no such note about this identity.", facts={"address": reference})
