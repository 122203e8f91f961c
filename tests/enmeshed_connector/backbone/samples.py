"""Objects of the wire for the scripted server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from enmeshed_connector.backbone.endpoints.files import NewFile
from enmeshed_connector.backbone.endpoints.messages import NewMessage, NewMessageRecipient
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.ids import ChallengeId, FileId, MessageId, RelationshipId, TokenId

CHALLENGE_ID = ChallengeId("CHLabcdefghijklmnopq")
MESSAGE_ID = MessageId("MSGabcdefghijklmnopq")
FILE_ID = FileId("FILabcdefghijklmnopq")
TOKEN_ID = TokenId("TOKabcdefghijklmnopq")
RELATIONSHIP_ID = RelationshipId("RELabcdefghijklmnopq")
DEVICE_ID = "DVCabcdefghijklmnopq"
PEER = Address("did:e:localhost:dids:1e8fcd70de2cd15d57a115")
DATE = "2026-11-24T06:00:00.000Z"

CHALLENGE = {"id": CHALLENGE_ID, "expiresAt": "2026-11-24T06:10:00.000Z", "createdBy": None, "createdByDevice": None}
SENT = {"id": MESSAGE_ID, "createdAt": DATE}
NEW_MESSAGE = NewMessage(b"\xfb\xff body", [NewMessageRecipient(PEER, b"key" * 10)], [FILE_ID])


def token(number: int, content: str = "") -> dict[str, Any]:
    """Returns a token; the number is in its id."""
    return {
        "id": f"TOK{number:017d}",
        "createdBy": PEER,
        "createdByDevice": DEVICE_ID,
        "forIdentity": None,
        "createdAt": DATE,
        "expiresAt": DATE,
        "content": content,
        "isPasswordProtected": False,
    }


def new_file(content: bytes = b"cipher") -> NewFile:
    """Returns a file to be uploaded."""
    return NewFile(
        content=content,
        cipher_hash=b"\xfb\xff" * 32,
        owner=PEER,
        owner_signature=b"signature",
        encrypted_properties=b"properties",
        expires_at=datetime(2027, 1, 1, tzinfo=UTC),
        boundary="b0undary" * 5,
    )


UPLOADED = {
    "id": FILE_ID,
    "createdAt": DATE,
    "createdBy": PEER,
    "createdByDevice": DEVICE_ID,
    "modifiedAt": DATE,
    "modifiedBy": PEER,
    "deletedAt": None,
    "deletedBy": None,
    "owner": PEER,
    "ownerSignature": "c2ln",
    "ownershipToken": "abc!$%defghijklmnopq",
    "cipherSize": 6,
    "cipherHash": "aGFzaA",
    "expiresAt": DATE,
}
