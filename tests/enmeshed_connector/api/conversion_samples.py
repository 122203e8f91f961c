"""Views of things, as the runtime hands them over, for conversion tests."""

from __future__ import annotations

from typing import Any

ALICE, BOB = (f"did:e:localhost:dids:{digit * 22}" for digit in "12")
DEVICE = "DVC" + "1" * 17
DATE = "2026-11-24T06:00:00.123Z"

REQUEST: dict[str, Any] = {
    "@type": "LocalRequest",
    "id": "REQ" + "1" * 17,
    "isOwn": False,
    "peer": BOB,
    "createdAt": DATE,
    "status": "ManualDecisionRequired",
    "content": {
        "id": "REQ" + "1" * 17,
        "expiresAt": DATE,
        "items": [{"@type": "ConsentRequestItem", "consent": "Yes?", "mustBeAccepted": True}],
    },
    "source": {"type": "RelationshipTemplate", "reference": "RLT" + "1" * 17},
    "statusLog": [{"createdAt": DATE, "oldStatus": "Open", "newStatus": "DecisionRequired"}],
    "response": {
        "createdAt": DATE,
        "content": {
            "result": "Accepted",
            "requestId": "REQ" + "1" * 17,
            "items": [{"@type": "AcceptResponseItem", "result": "Accepted"}],
        },
        "source": {"type": "Message", "reference": "MSG" + "1" * 17},
    },
    "wasAutomaticallyDecided": True,
}

ATTRIBUTE: dict[str, Any] = {
    "@type": "PeerRelationshipAttribute",
    "id": "ATT" + "1" * 17,
    "createdAt": DATE,
    "content": {
        "@type": "RelationshipAttribute",
        "owner": BOB,
        "value": {"@type": "ProprietaryString", "title": "Number", "value": "4711"},
        "key": "customer",
        "isTechnical": False,
        "confidentiality": "public",
    },
    "succeeds": "ATT" + "0" * 17,
    "wasViewedAt": DATE,
    "peer": BOB,
    "sourceReference": "REQ" + "1" * 17,
    "deletionInfo": {"deletionStatus": "ToBeDeletedByRecipient", "deletionDate": DATE},
    "numberOfForwards": 0,
}

NOTIFICATION: dict[str, Any] = {
    "@type": "LocalNotification",
    "id": "NOT" + "1" * 17,
    "isOwn": False,
    "peer": BOB,
    "createdAt": DATE,
    "receivedByDevice": DEVICE,
    "status": "Error",
    "content": {
        "id": "NOT" + "1" * 17,
        "items": [{"@type": "OwnAttributeDeletedByOwnerNotificationItem", "attributeId": "ATT" + "1" * 17}],
    },
    "source": {"type": "Message", "reference": "MSG" + "1" * 17},
}

MESSAGE: dict[str, Any] = {
    "id": "MSG" + "1" * 17,
    "isOwn": True,
    "content": {"@type": "Mail", "to": [BOB], "cc": [], "subject": "Hi", "body": "Ho", "bodyFormat": "PlainText"},
    "createdBy": ALICE,
    "createdByDevice": DEVICE,
    "createdAt": DATE,
    "recipients": [{"address": BOB, "relationshipId": "REL" + "1" * 17}],
    "attachments": [],
}

TEMPLATE: dict[str, Any] = {
    "id": "RLT" + "1" * 17,
    "isOwn": False,
    "createdBy": BOB,
    "createdByDevice": DEVICE,
    "createdAt": DATE,
    "content": {"@type": "ArbitraryRelationshipTemplateContent", "value": 1},
    "passwordProtection": {"password": "hunter2", "passwordLocationIndicator": "Letter"},
    "reference": {"truncated": "UkxUsecret", "url": "http://localhost:8090/r/RLT#secret"},
}

RELATIONSHIP: dict[str, Any] = {
    "id": "REL" + "1" * 17,
    "templateId": "RLT" + "1" * 17,
    "status": "DeletionProposed",
    "peer": BOB,
    "peerIdentity": {"address": BOB, "publicKey": "eyJ9"},
    "peerDeletionInfo": {"deletionStatus": "ToBeDeleted", "deletionDate": DATE},
    "creationContent": {"@type": "ArbitraryRelationshipCreationContent", "value": {}},
    "auditLog": [
        {
            "createdAt": DATE,
            "createdBy": BOB,
            "reason": "DecompositionDueToIdentityDeletion",
            "oldStatus": "Active",
            "newStatus": "DeletionProposed",
        }
    ],
}

FILE: dict[str, Any] = {
    "id": "FIL" + "1" * 17,
    "isOwn": True,
    "filename": "a.txt",
    "filesize": 3,
    "createdAt": DATE,
    "createdBy": ALICE,
    "createdByDevice": DEVICE,
    "expiresAt": "9999-12-31T00:00:00.000Z",
    "mimetype": "text/plain",
    "owner": ALICE,
    "ownershipToken": "owner-secret",
    "reference": {"truncated": "RklMsecret", "url": "http://localhost:8090/r/FIL#secret"},
}

PROCESS: dict[str, Any] = {"id": "IDP" + "1" * 17, "status": "Active", "createdAt": DATE}
