"""Named reads of attributes; through a commit or the store alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from enmeshed_connector.consumption.attributes.checks import trimmed_content
from enmeshed_connector.consumption.attributes.documents import (
    ATTRIBUTES,
    FORWARDING_DETAILS,
    GUARDS,
    DeletionStatus,
    Kind,
    deletion_status_of,
    kind_of,
    same_json,
    value_type_of,
)
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.storage import Filter, FilterLike, SortLike, Store, all_of, where
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work

Reader = Store | Work
"""Where is read from; what is read through a work must be unchanged when it is committed."""

NOT_DELETED_BY_RECIPIENT = where("deletionInfo.deletionStatus").ne(DeletionStatus.DELETED_BY_RECIPIENT.value)


async def require(reader: Reader, attribute_id: str) -> Document:
    """Returns an attribute.

    Raises:
        RecordMissing: It is not stored.
    """
    document = await reader.get(ATTRIBUTES, attribute_id)
    if document is None:
        raise RecordMissing("attribute", attribute_id)
    return document


async def find(
    reader: Reader, condition: FilterLike, *, sort: Iterable[SortLike] = ("createdAt",), limit: int | None = None
) -> list[Document]:
    """Returns matching attributes, oldest first."""
    return await reader.find(ATTRIBUTES, condition, sort=tuple(sort), limit=limit)


async def hold(work: Work, name: str) -> None:
    """Lets only one of all commits that hold the same name succeed at a time; the others are made anew.

    For what depends on something that is *not* stored, which reading alone does not guard.
    """
    await work.get(GUARDS, name)
    work.store_silently(GUARDS, {"id": name})


def release_peer(work: Work, peer: str) -> None:
    """Removes what `hold` left about a peer: whose keys are free, and what of others it shared."""
    for held in ("keys", "shared"):
        work.delete_silently(GUARDS, f"{held}:{peer}")


async def hold_sharing(work: Work, attribute_id: str) -> None:
    """Holds with whom an attribute is shared."""
    await hold(work, f"sharing:{attribute_id}")


def release_sharing(work: Work, attribute_id: str) -> None:
    """Removes what `hold_sharing` left, for an attribute that is deleted."""
    work.delete_silently(GUARDS, f"sharing:{attribute_id}")


async def same_own_identity(reader: Reader, content: JsonObject) -> Document | None:
    """Returns the newest version of an own identity attribute with this value, tags aside; None without."""
    condition = all_of(
        where("@type").eq(Kind.OWN_IDENTITY.value),
        where("succeededBy").is_absent(),
    )
    return await _same_value(reader, condition, content)


async def same_peer_identity(reader: Reader, owner: str, content: JsonObject) -> Document | None:
    """Returns an identity attribute of a peer with this value, older versions included; None without."""
    condition = all_of(
        where("@type").eq(Kind.PEER_IDENTITY.value),
        where("content.owner").eq(owner),
        where("deletionInfo.deletionStatus").ne(DeletionStatus.DELETED_BY_EMITTER.value),
    )
    return await _same_value(reader, condition, content)


async def same_third_party(reader: Reader, peer: str, content: JsonObject) -> Document | None:
    """Returns an attribute of a peer's relationship with this owner, key and value; None without."""
    condition = all_of(
        where("@type").eq(Kind.THIRD_PARTY.value),
        where("peer").eq(peer),
        where("content.owner").eq(content["owner"]),
        where("content.key").eq(content["key"]),
        where("deletionInfo.deletionStatus").ne(DeletionStatus.DELETED_BY_EMITTER.value),
    )
    found = await find(reader, condition)
    return next((one for one in found if same_json(one["content"]["value"], content["value"])), None)


async def with_key(reader: Reader, *, owner: str, key: str, value_type: str, peer: str) -> list[Document]:
    """Returns the attributes of a relationship that keep another one from having the same owner, key and type."""
    condition = all_of(
        where("@type").is_in([Kind.OWN_RELATIONSHIP.value, Kind.PEER_RELATIONSHIP.value]),
        where("content.owner").eq(owner),
        where("content.key").eq(key),
        where("content.value.@type").eq(value_type),
        where("peer").eq(peer),
        where("deletionInfo.deletionStatus").not_in(
            [
                DeletionStatus.TO_BE_DELETED.value,
                DeletionStatus.TO_BE_DELETED_BY_RECIPIENT.value,
                DeletionStatus.DELETED_BY_EMITTER.value,
                DeletionStatus.DELETED_BY_RECIPIENT.value,
            ]
        ),
    )
    return await find(reader, condition)


async def predecessors(reader: Reader, attribute: Document) -> AsyncIterator[Document]:
    """Yields the stored versions before an attribute, newest first. A chain that bites its tail ends there."""
    async for version in _walk(reader, attribute, "succeeds"):
        yield version


async def successors(reader: Reader, attribute: Document) -> AsyncIterator[Document]:
    """Yields the stored versions after an attribute, oldest first."""
    async for version in _walk(reader, attribute, "succeededBy"):
        yield version


async def versions(reader: Reader, attribute: Document) -> list[Document]:
    """Returns all versions of an attribute, newest first."""
    newer = [version async for version in successors(reader, attribute)]
    older = [version async for version in predecessors(reader, attribute)]
    return [*reversed(newer), attribute, *older]


async def versions_shared_with(
    reader: Reader, attribute: Document, peer: str, *, only_newest: bool = True
) -> list[Document]:
    """Returns the versions that a peer got and did not delete, newest first.

    Args:
        reader: Where is read from.
        attribute: Any version.
        peer: The peer. The peer of an own relationship attribute has got each version.
        only_newest: Whether the newest one is enough.
    """
    shared = []
    for version in await versions(reader, attribute):
        if await is_shared_with(reader, version, peer):
            shared.append(version)
            if only_newest:
                break
    return shared


async def is_shared_with(reader: Reader, attribute: Document, peer: str) -> bool:
    """Returns whether a peer got this version and did not delete it."""
    if kind_of(attribute) is Kind.OWN_RELATIONSHIP and attribute["peer"] == peer:
        return deletion_status_of(attribute) != DeletionStatus.DELETED_BY_RECIPIENT
    return bool(await forwarding_details(reader, attribute["id"], NOT_DELETED_BY_RECIPIENT, where("peer").eq(peer)))


async def forwarding_details(reader: Reader, attribute_id: str, *conditions: Filter) -> list[Document]:
    """Returns to whom an attribute was given, oldest first."""
    condition = all_of(where("attributeId").eq(attribute_id), *conditions)
    return await reader.find(FORWARDING_DETAILS, condition, sort=("sharedAt",))


async def numbers_of_forwards(reader: Reader, attribute_ids: Iterable[str]) -> dict[str, int]:
    """Returns how often attributes were given to somebody, deleted ones included; those never given are left out."""
    counts: dict[str, int] = {}
    for details in await reader.find(FORWARDING_DETAILS, where("attributeId").is_in(attribute_ids)):
        counts[details["attributeId"]] = counts.get(details["attributeId"], 0) + 1
    return counts


async def _same_value(reader: Reader, condition: Filter, content: JsonObject) -> Document | None:
    value = trimmed_content(content)["value"]
    parts = [condition, where("content.value.@type").eq(value_type_of(content))]
    text = value.get("value")
    if isinstance(text, str) and text.isprintable():
        # All devices trim what they store, so an index finds the few that can be equal: a commit depends on all that
        # it reads. What is not printable may hold what no index does.
        parts.append(where("content.value.value").eq(text))
    found = await find(reader, all_of(*parts))
    return next((one for one in found if same_json(trimmed_content(one["content"])["value"], value)), None)


async def _walk(reader: Reader, attribute: Document, link: str) -> AsyncIterator[Document]:
    seen = {attribute["id"]}
    while (following := attribute.get(link)) is not None and following not in seen:
        found = await reader.get(ATTRIBUTES, following)
        if found is None:
            return
        attribute = found
        seen.add(following)
        yield attribute
