"""Challenges: texts to sign. They are neither used up nor bound to anyone.

Source: specification of the Consumer API, §6.
"""

from __future__ import annotations

from .. import dates
from ..challenge_check import SignedChallenge, UnreadableProof
from ..errors import invalid_property, not_found, refused, unexpected
from ..http.call import Access, Auth, Call, Reply, Route, created, ok
from ..ids import is_id
from ..store import Row, Transaction

_READABLE_AFTER_EXPIRY_MS = dates.HOUR_MS


def create(call: Call, transaction: Transaction) -> Reply:
    """Answers a new challenge; for anonymous callers one without creator."""
    challenge_id = call.services.ids.make("CHL")
    transaction.insert(
        "challenges",
        id=challenge_id,
        expires_at=transaction.now + call.services.settings.challenge_lifetime * dates.SECOND_MS,
        created_by=call.caller.address if call.caller else None,
        created_by_device=call.caller.device_id if call.caller else None,
        created_at=transaction.now,
    )
    return created(_read(transaction, challenge_id), f"/api/v2/Challenges/{challenge_id}")


def get(call: Call, transaction: Transaction) -> Reply:
    """Answers a challenge to any identity, until an hour after it expired."""
    challenge_id = call.parameters["id"]
    if not is_id("CHL", challenge_id):
        raise invalid_property("The id is none of a challenge.")
    return ok(_read(transaction, challenge_id))


def require_proof(transaction: Transaction, signed: SignedChallenge, public_key: bytes) -> None:
    """Raises when the challenge was not signed with this key, is unknown or has expired; in this order."""
    try:
        if not signed.is_signed_with(public_key):
            raise refused("validation.device.invalidSignature", "The signature does not fit the challenge and the key.")
        challenge_id = signed.challenge_id
    except UnreadableProof as error:
        raise unexpected(f"The signed challenge cannot be read: {error}") from None
    expires_at = transaction.value("SELECT expires_at FROM challenges WHERE id = ?", challenge_id)
    if expires_at is None:
        raise not_found("Challenge")
    if expires_at <= transaction.now:
        raise refused("validation.device.challengeHasExpired", "The challenge has expired. Sign a new one.")


def _read(transaction: Transaction, challenge_id: str) -> dict[str, str | None]:
    row: Row | None = transaction.one("SELECT * FROM challenges WHERE id = ?", challenge_id)
    if row is None or row["expires_at"] + _READABLE_AFTER_EXPIRY_MS <= transaction.now:
        raise not_found("Challenge")
    return {
        "id": row["id"],
        "expiresAt": dates.network_text(row["expires_at"]),
        "createdBy": row["created_by"],
        "createdByDevice": row["created_by_device"],
    }


ROUTES = (
    Route("POST", "/api/v2/Challenges", create, access=Access.WRITE, auth=Auth.OPTIONAL),
    Route("GET", "/api/v2/Challenges/{id}", get),
)
