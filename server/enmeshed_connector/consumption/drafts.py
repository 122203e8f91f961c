"""Drafts: content that is not sent yet, shared by the devices of the identity.

Source: consumption.md, sections 2 and 14. Functions here work inside a commit of the caller.
"""

from __future__ import annotations

from typing import Final

from enmeshed_connector.core.canonical_json import JsonObject, dump_bytes, sort_members
from enmeshed_connector.core.errors import Code, InvalidArgument
from enmeshed_connector.core.ids import DRAFT, IdMaker
from enmeshed_connector.storage import CollectionSpec
from enmeshed_connector.transport.objects import Document, SynchronizedCollection
from enmeshed_connector.transport.work import Work

DRAFTS: Final = "Drafts"
DRAFT_SCHEMA: Final = CollectionSpec(DRAFTS, indexes=("type",), sortable=("createdAt",))
DRAFT_COLLECTION: Final = SynchronizedCollection(
    DRAFTS,
    technical_data=("@type", "type", "createdAt", "lastModifiedAt"),
    metadata=("metadata", "metadataModifiedAt"),
    userdata=("content",),
)
MAX_DRAFT_BYTES: Final = 1024 * 1024
"""How large the JSON of a draft may be; its changes travel to the other devices as a whole."""


class DraftTooLarge(InvalidArgument):
    """The content of a draft is over its limit."""

    reason, code = "CONTENT_TOO_LARGE", Code.INVALID_ARGUMENT


def check(content: JsonObject) -> None:
    """Checks what a draft is to hold, which may be any JSON.

    Raises:
        DraftTooLarge: It is larger than a draft may be.
    """
    if len(dump_bytes(content)) > MAX_DRAFT_BYTES:
        raise DraftTooLarge(f"A draft takes {MAX_DRAFT_BYTES} bytes at most.")


async def create(work: Work, ids: IdMaker, kind: str, content: JsonObject) -> Document:
    """Adds a draft and returns it."""
    document = sort_members(
        {
            "@type": "Draft",
            "content": content,
            "createdAt": work.now,
            "id": ids.new(DRAFT),
            "lastModifiedAt": work.now,
            "type": kind,
        }
    )
    await work.create(DRAFTS, document)
    return document


async def set_content(work: Work, draft: Document, content: JsonObject) -> Document:
    """Replaces the content of a draft and returns the draft."""
    changed = draft | {"content": content, "lastModifiedAt": work.now}
    await work.save(DRAFTS, changed)
    return changed


async def delete(work: Work, draft_id: str) -> None:
    """Deletes a draft.

    Raises:
        RecordMissing: There is none of this id.
    """
    await work.require(DRAFTS, draft_id, "draft")
    await work.remove(DRAFTS, draft_id)
