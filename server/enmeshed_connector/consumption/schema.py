"""The collections of this room: how they are kept, and which are shared with other devices."""

from __future__ import annotations

from enmeshed_connector.consumption.attributes.documents import ATTRIBUTE_SCHEMA
from enmeshed_connector.consumption.attributes.synchronisation import ATTRIBUTE_COLLECTIONS
from enmeshed_connector.consumption.deliveries import DELIVERY_SCHEMA
from enmeshed_connector.consumption.drafts import DRAFT_COLLECTION, DRAFT_SCHEMA
from enmeshed_connector.consumption.identity_metadata import METADATA_COLLECTION, METADATA_SCHEMA
from enmeshed_connector.consumption.notifications.documents import NOTIFICATION_SCHEMA
from enmeshed_connector.consumption.notifications.synchronisation import NOTIFICATION_COLLECTION
from enmeshed_connector.consumption.requests.documents import REQUEST_COLLECTION, REQUEST_SCHEMA
from enmeshed_connector.consumption.requests.processors.transfer_file_ownership import OWNERSHIP_CLAIM_SCHEMA
from enmeshed_connector.consumption.settings import SETTING_SCHEMA
from enmeshed_connector.storage import CollectionSpec
from enmeshed_connector.transport.objects import SynchronizedCollection

CONSUMPTION_SCHEMA: tuple[CollectionSpec, ...] = (
    *ATTRIBUTE_SCHEMA,
    REQUEST_SCHEMA,
    NOTIFICATION_SCHEMA,
    DELIVERY_SCHEMA,
    SETTING_SCHEMA,
    DRAFT_SCHEMA,
    METADATA_SCHEMA,
    OWNERSHIP_CLAIM_SCHEMA,
)
"""Declared to the store when an account is opened."""

CONSUMPTION_COLLECTIONS: tuple[SynchronizedCollection, ...] = (
    *ATTRIBUTE_COLLECTIONS,
    REQUEST_COLLECTION,
    NOTIFICATION_COLLECTION,
    DRAFT_COLLECTION,
    METADATA_COLLECTION,
)
"""Handed to the transport room, which sends their changes to the other devices of the identity."""
