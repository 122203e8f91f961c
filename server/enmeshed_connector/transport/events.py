"""The names of the events of this room. An event is part of the commit that caused it; see `work.py`.

Source: transport.md, section 25.
"""

from __future__ import annotations

from typing import Final

DATAWALLET_SYNCHRONIZED: Final = "transport.datawalletSynchronized"
FILE_OWNERSHIP_CLAIMED: Final = "transport.fileOwnershipClaimed"
FILE_OWNERSHIP_LOCKED: Final = "transport.fileOwnershipLocked"
IDENTITY_DELETION_PROCESS_STATUS_CHANGED: Final = "transport.identityDeletionProcessStatusChanged"
MESSAGE_DELIVERED: Final = "transport.messageDelivered"
MESSAGE_RECEIVED: Final = "transport.messageReceived"
MESSAGE_SENT: Final = "transport.messageSent"
MESSAGE_WAS_READ_AT_CHANGED: Final = "transport.messageWasReadAtChanged"
PEER_DELETED: Final = "transport.peerDeleted"
PEER_DELETION_CANCELLED: Final = "transport.peerDeletionCancelled"
PEER_TO_BE_DELETED: Final = "transport.peerToBeDeleted"
PEER_RELATIONSHIP_TEMPLATE_LOADED: Final = "transport.peerRelationshipTemplateLoaded"
RELATIONSHIP_CHANGED: Final = "transport.relationshipChanged"
RELATIONSHIP_DECOMPOSED_BY_SELF: Final = "transport.relationshipDecomposedBySelf"
RELATIONSHIP_REACTIVATION_REQUESTED: Final = "transport.relationshipReactivationRequested"
RELATIONSHIP_REACTIVATION_COMPLETED: Final = "transport.relationshipReactivationCompleted"
RELATIONSHIP_TEMPLATE_ALLOCATIONS_EXHAUSTED: Final = "transport.relationshipTemplateAllocationsExhausted"

EXTERNAL_EVENT_FAILED: Final = "connector.externalEventFailed"
"""Ours: an external event cannot be processed and was set aside; the data is its public record."""
EXTERNAL_EVENT_RECOVERED: Final = "connector.externalEventRecovered"
"""Ours: an external event that was set aside has been processed after all; the data as before, and `resolved`."""
OUTCOME_UNKNOWN: Final = "connector.outcomeUnknown"
"""Ours: a call ended without an answer of the Backbone; `method` and `idempotencyKey` of the call."""
OUTCOME_RESOLVED: Final = "connector.outcomeResolved"
"""Ours: what became of such a call, or of one whose process died, is known; the data as before, with `succeeded`, and
`resourceId` when it made something."""
FILE_STORED: Final = "connector.fileStored"
"""Ours: a file was uploaded, or its metadata were loaded."""
FILE_DELETED: Final = "connector.fileDeleted"
"""Ours: a file was removed here."""
