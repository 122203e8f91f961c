"""Modifications: what other devices of the identity are told about changed documents.

Source: transport.md, section 11.2.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from enmeshed_connector.core.canonical_json import Json, sort_members
from enmeshed_connector.transport.objects import Category, Document, SynchronizedCollection


class ModificationType(enum.Enum):
    """What happened to the object."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


@dataclass(frozen=True)
class Modification:
    """One modification, before it has an index in the datawallet."""

    type: ModificationType
    collection: str
    object_id: str
    category: Category | None = None
    """None for Delete."""
    payload: Mapping[str, Json] | None = None
    """The properties of the category; None for Delete."""

    def to_document(self, local_id: str, version: int) -> Document:
        """Returns the record of the official shape under which it waits to be pushed."""
        record: dict[str, Any] = {
            "@type": "DatawalletModification",
            "collection": self.collection,
            "datawalletVersion": version,
            "localId": local_id,
            "objectIdentifier": self.object_id,
        }
        if self.payload is not None:
            record["payload"] = dict(self.payload)
        if self.category is not None:
            record["payloadCategory"] = self.category.value
        record["type"] = self.type.value
        return record


def created(collection: SynchronizedCollection, document: Mapping[str, Any]) -> list[Modification]:
    """Returns one Create for each category that has a property in the document, in the order of categories."""
    modifications = []
    for category, names in collection.categories():
        payload = sort_members({name: document[name] for name in names if name in document})
        if payload:
            modifications.append(
                Modification(ModificationType.CREATE, collection.name, document["id"], category, payload)
            )
    return modifications


def updated(
    collection: SynchronizedCollection, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[Modification]:
    """Returns one Update for each category with a changed property, holding all properties that the category has now.

    A property that was removed is not sent. Official devices merge, so it stays as it was there; see `removed_by`.
    """
    changed = {name for name in before.keys() | after.keys() if before.get(name, _ABSENT) != after.get(name, _ABSENT)}
    return [
        Modification(
            ModificationType.UPDATE,
            collection.name,
            after["id"],
            category,
            {name: after[name] for name in names if name in after},
        )
        for category, names in collection.categories()
        if not changed.isdisjoint(names)
    ]


def removed_by(
    collection: SynchronizedCollection | None,
    document: Mapping[str, Any] | None,
    category: Category | None,
    payload: Mapping[str, Any],
) -> Collection[str]:
    """Returns the properties of a document that an Update says are gone.

    An Update holds all properties that its category has, and is made only when one of them changed. So one that changes
    nothing of what is known here was made because of what it lacks: a message is unread again, a peer's deletion is
    cancelled. One that also changes something else may come from a device that had not heard of the property yet.

    Args:
        collection: How its documents are shared; None when no room knows it.
        document: The document as it is known here.
        category: The category of the Update.
        payload: What it holds.
    """
    names = dict(collection.categories()).get(category, ()) if collection and category else ()
    known = {name: document[name] for name in names if document is not None and name in document}
    if any(name not in known or known[name] != value for name, value in payload.items()):
        return ()
    return known.keys() - payload.keys()


def deleted(collection: SynchronizedCollection, object_id: str) -> list[Modification]:
    """Returns the Delete of an object."""
    return [Modification(ModificationType.DELETE, collection.name, object_id)]


_ABSENT = object()
