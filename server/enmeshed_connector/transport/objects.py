"""What the documents of an account look like, and which of their properties reach the other devices.

A synchronised collection declares which root properties of its documents travel through the datawallet, and in which of
the four categories. Everything else, above all the properties of ours that start with `_`, stays on this device.

Source: transport.md, sections 1.1, 8 and 11.1.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from enmeshed_connector.core.canonical_json import Json

if TYPE_CHECKING:
    from enmeshed_connector.transport.pulled_changes import PulledChange, PulledChanges

Document = dict[str, Any]
"""A stored document: the verbose JSON of the object, in the official shape. Properties of ours start with `_`."""

DEVICES = "Devices"
SECRETS = "Secrets"
FILES = "Files"
MESSAGES = "Messages"
RELATIONSHIPS = "Relationships"
TEMPLATES = "Templates"
TOKENS = "Tokens"
IDENTITY_DELETION_PROCESSES = "IdentityDeletionProcess"
SETTINGS = "Settings"
"""Belongs to the consumption room, which declares its indexes; this room keeps its message-key slots there."""

ACCOUNT_INFO = "AccountInfo"
"""Map: `device`, `identity`, `baseKey`, `secret_lastnonce`; of ours `_registration`, `_keySlot`."""
RESTORED = "_restored"
"""Entry of `AccountInfo`: this database is older than what this device did, so it was restored from a backup."""
DEVICE_SECRETS = "DeviceSecrets"
"""Map: secret name to container (transport.md, section 9.1). Never synchronised."""
SYNC_INFO = "SyncInfo"
"""Map: `localDatawalletModificationIndex`, `SyncTime-Datawallet`, `SyncTime-Everything`; of ours `_run`, `_push`."""
UNPUSHED_MODIFICATIONS = "UnpushedDatawalletModifications"
"""Modifications that this device has made and not yet pushed, in the order in which they were made."""
PENDING_OPERATIONS = "_PendingOperations"
"""Requests to the Backbone that were about to be sent; see `pending.py`."""
PENDING_WIRES = "_PendingWires"
"""What is sent of them, where it is long."""
PROCESSED_EVENTS = "_ProcessedEvents"
"""The ids of external events whose consequences are stored, so that none happens twice."""
ERASURES = "_Erasures"
"""Subjects whose data must still be erased from the log."""
FAILED_EVENTS = "_FailedEvents"
"""External events that cannot be processed, for listing and retry."""


EXACT_CONTENT = "_exactContent"
"""Property of ours: the exact JSON text of what a peer wrote as content, where the content that is stored does not tell
all of it. Stays on this device, as its other devices could not read it, either."""


CREATED_AT = "_createdAt"
"""Property of ours in relationships, which have no moment of their own: that of the first entry of the audit log."""


class Category(enum.Enum):
    """The category of a datawallet payload. The order of the members is the order of modifications."""

    TECHNICAL_DATA = "TechnicalData"
    CONTENT = "Content"
    METADATA = "Metadata"
    USERDATA = "Userdata"


@dataclass(frozen=True)
class ConsequentEvent:
    """An event that follows from a document which another device made, changed or deleted."""

    type: str
    data: Document | None
    subjects: tuple[str, ...]


ChangeTeller = Callable[["PulledChange", "PulledChanges"], Awaitable[None]]
"""Publishes the events that follow from a change of another device, in the commit that stores it; it is given the other
changes of the commit, too."""


@dataclass(frozen=True)
class SynchronizedCollection:
    """One collection whose documents are shared by all devices of the identity.

    A property that is in no list is never sent to other devices. `id` is in none: it travels as the object identifier.
    """

    name: str
    """The name of the collection, 50 characters at most."""
    technical_data: tuple[str, ...]
    """Properties of the category TechnicalData, in the order in which an Update writes them."""
    content: tuple[str, ...] = ()
    """Properties of the category Content."""
    metadata: tuple[str, ...] = ()
    """Properties of the category Metadata."""
    userdata: tuple[str, ...] = ()
    """Properties of the category Userdata."""
    events: ChangeTeller | None = None
    """Tells of changes of other devices, where a room above knows how."""

    def categories(self) -> Iterator[tuple[Category, tuple[str, ...]]]:
        """Yields each category with its properties, in the order in which modifications are made."""
        yield Category.TECHNICAL_DATA, self.technical_data
        yield Category.CONTENT, self.content
        yield Category.METADATA, self.metadata
        yield Category.USERDATA, self.userdata


_METADATA = ("metadata", "metadataModifiedAt")

TRANSPORT_COLLECTIONS: tuple[SynchronizedCollection, ...] = (
    SynchronizedCollection(
        DEVICES,
        technical_data=(
            "@type",
            "@context",
            "isAdmin",
            "publicKey",
            "operatingSystem",
            "type",
            "createdAt",
            "createdByDevice",
            "lastLoginAt",
            "username",
            "initialPassword",
            "datawalletVersion",
            "isOffboarded",
            "isBackupDevice",
        ),
        userdata=("name", "description"),
    ),
    SynchronizedCollection(
        SECRETS,
        technical_data=(
            "@type",
            "@context",
            "name",
            "description",
            "createdAt",
            "validFrom",
            "validTo",
            "nonce",
            "active",
            "cipher",
        ),
    ),
    SynchronizedCollection(
        FILES,
        technical_data=(
            "@type",
            "@context",
            "secretKey",
            "isOwn",
            "ownershipToken",
            "ownershipIsLocked",
            "filesize",
            "filemodified",
            "mimetype",
            "cipherHash",
            "createdAt",
            "expiresAt",
            "cipherKey",
            "owner",
            "ownerSignature",
            "plaintextHash",
            "createdBy",
            "createdByDevice",
            "deletedAt",
            "deletedBy",
            "deletedByDevice",
        ),
        content=("title", "description", "filename", "tags"),
        metadata=_METADATA,
    ),
    SynchronizedCollection(
        MESSAGES,
        technical_data=(
            "@type",
            "@context",
            "secretKey",
            "isOwn",
            "createdBy",
            "createdByDevice",
            "recipients",
            "createdAt",
            "attachments",
            "receivedByEveryone",
        ),
        content=("content",),
        metadata=_METADATA,
        userdata=("wasReadAt",),
    ),
    SynchronizedCollection(
        RELATIONSHIPS,
        technical_data=(
            "@type",
            "@context",
            "relationshipSecretId",
            "peer",
            "status",
            "peerDeletionInfo",
            "auditLog",
        ),
        content=("templateId", "creationContent", "lastMessageSentAt", "lastMessageReceivedAt"),
        metadata=_METADATA,
    ),
    SynchronizedCollection(
        TEMPLATES,
        technical_data=(
            "@type",
            "@context",
            "secretKey",
            "isOwn",
            "identity",
            "createdBy",
            "createdByDevice",
            "templateKey",
            "createdAt",
            "expiresAt",
            "maxNumberOfAllocations",
            "forIdentity",
        ),
        content=("content",),
        metadata=_METADATA,
        userdata=("passwordProtection",),
    ),
    SynchronizedCollection(
        # Holds Token and EmptyToken; the properties of the latter are among those of the former.
        TOKENS,
        technical_data=(
            "@type",
            "@context",
            "secretKey",
            "isOwn",
            "createdBy",
            "createdAt",
            "expiresAt",
            "createdByDevice",
            "forIdentity",
        ),
        content=("content",),
        metadata=_METADATA,
        userdata=("passwordProtection",),
    ),
    SynchronizedCollection(
        IDENTITY_DELETION_PROCESSES,
        technical_data=("id", "status", "createdAt", "createdByDevice"),
        content=("gracePeriodEndsAt", "cancelledAt", "cancelledByDevice"),
    ),
    SynchronizedCollection(
        SETTINGS,
        technical_data=("@type", "key", "scope", "reference", "createdAt", "succeedsItem", "succeedsAt"),
        metadata=_METADATA,
        userdata=("value",),
    ),
)
"""The synchronised collections of this room, by transport.md, section 11.1 (Settings: consumption.md, section 2)."""


class SynchronizedCollections:
    """The synchronised collections of one account by name: those of this room and those that rooms above register.

    Collections that are not registered are still stored when another device sends them; they are just never sent.
    """

    def __init__(self, *groups: tuple[SynchronizedCollection, ...]) -> None:
        """Takes groups of collections, those of this room first; one declared twice in the same way counts once.

        Raises:
            ValueError: A collection is declared in two different ways.
        """
        by_name: dict[str, SynchronizedCollection] = {}
        for group in groups:
            for collection in group:
                if by_name.setdefault(collection.name, collection) != collection:
                    raise ValueError(f"collection {collection.name} is declared in two ways")
        self._by_name = MappingProxyType(by_name)

    def find(self, name: str) -> SynchronizedCollection | None:
        """Returns the collection with that name, or None when it is not synchronised."""
        return self._by_name.get(name)

    def __iter__(self) -> Iterator[SynchronizedCollection]:
        """Yields the collections in the order in which they were declared."""
        return iter(self._by_name.values())


def without_unset(**properties: Json) -> Document:
    """Returns the properties that have a value. The network omits what is unset and never writes null."""
    return {name: value for name, value in properties.items() if value is not None}


def public_part(document: Mapping[str, Any]) -> Document:
    """Returns the document without the properties of ours, as events and callers see it; exact content stays."""
    return {name: value for name, value in document.items() if not name.startswith("_") or name == EXACT_CONTENT}
