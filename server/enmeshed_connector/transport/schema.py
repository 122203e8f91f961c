"""How the collections of this room are kept: what identifies a document, and what is filtered and sorted by.

Declared to the store before anything else. A controller that filters or sorts by another path adds it here.
"""

from __future__ import annotations

from enmeshed_connector.storage import CollectionSpec
from enmeshed_connector.transport.objects import (
    ACCOUNT_INFO,
    CREATED_AT,
    DEVICE_SECRETS,
    DEVICES,
    ERASURES,
    FAILED_EVENTS,
    FILES,
    IDENTITY_DELETION_PROCESSES,
    MESSAGES,
    PENDING_OPERATIONS,
    PENDING_WIRES,
    PROCESSED_EVENTS,
    RELATIONSHIPS,
    SECRETS,
    SETTINGS,
    SYNC_INFO,
    TEMPLATES,
    TOKENS,
    UNPUSHED_MODIFICATIONS,
)

TRANSPORT_SCHEMA: tuple[CollectionSpec, ...] = (
    CollectionSpec(ACCOUNT_INFO, id_field="name"),
    CollectionSpec(DEVICE_SECRETS, id_field="name"),
    CollectionSpec(SYNC_INFO, id_field="name"),
    CollectionSpec(UNPUSHED_MODIFICATIONS, id_field="localId", indexes=("objectIdentifier",)),
    CollectionSpec(PENDING_OPERATIONS, indexes=("kind",)),
    CollectionSpec(PENDING_WIRES),
    CollectionSpec(PROCESSED_EVENTS, indexes=("runId",)),
    CollectionSpec(ERASURES),
    CollectionSpec(FAILED_EVENTS, indexes=("type", "runId"), sortable=("createdAt",)),
    CollectionSpec(DEVICES, indexes=("isBackupDevice",), sortable=("createdAt",)),
    CollectionSpec(SECRETS, indexes=("name",)),
    CollectionSpec(SETTINGS, indexes=("key",)),
    CollectionSpec(IDENTITY_DELETION_PROCESSES, indexes=("status",), sortable=("createdAt",)),
    CollectionSpec(RELATIONSHIPS, indexes=("peer.address", "status", "templateId"), sortable=(CREATED_AT,)),
    CollectionSpec(TEMPLATES, indexes=("createdBy", "isOwn"), sortable=("createdAt", "expiresAt")),
    CollectionSpec(TOKENS, indexes=("createdBy", "isOwn", "content.@type"), sortable=("createdAt", "expiresAt")),
    CollectionSpec(FILES, indexes=("createdBy", "isOwn", "owner"), sortable=("createdAt", "expiresAt")),
    CollectionSpec(
        MESSAGES,
        indexes=(
            "createdBy",
            "isOwn",
            "attachments",
            "recipients.address",
            "recipients.relationshipId",
            "wasReadAt",
        ),
        sortable=("createdAt",),
    ),
)
"""The collections of this room."""
