"""Identities: creation, and whether they still exist.

Source: specification of the Consumer API, §4.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .. import addresses, dates, passwords
from ..challenge_check import SignedChallenge, UnreadableProof, read_public_key
from ..errors import invalid_property, not_found, refused, unexpected
from ..http.binding import Body
from ..http.call import Access, Auth, BodyKind, Call, Reply, Route, created, ok
from ..ids import IdMaker, is_id
from ..settings import Settings
from ..store import Row, Transaction
from .challenges import require_proof
from .languages import is_language
from .oauth import is_client, is_past_grace_period, username_key


@dataclass(frozen=True)
class NewDevice:
    """What a device is made from."""

    address: str
    password_hash: bytes
    language: str
    created_by_device: str | None
    """None for the first device of an identity, which then counts as made by itself."""
    is_backup: bool = False


def find_identity(transaction: Transaction, address: str) -> Row | None:
    """Returns the identity with that address."""
    return transaction.one("SELECT * FROM identities WHERE address = ?", address)


def require_identity(transaction: Transaction, address: str) -> Row:
    """Returns the identity with that address or raises the 404 whose text clients compare."""
    identity = find_identity(transaction, address)
    if identity is None:
        raise not_found("Identity")
    return identity


def read_signed_challenge(body: Body) -> SignedChallenge:
    """Returns the signed challenge of a request."""
    signed = body.child("signedChallenge")
    return SignedChallenge(signed.text("challenge"), signed.data("signature"))


def read_language(body: Body, name: str) -> str:
    """Returns the language of a request, `en` without one; raises the 400 of a code that does not exist."""
    language = body.text_or_none(name) or "en"
    require_language(language)
    return language


def require_language(language: str) -> None:
    """Raises the 400 of a language code that does not exist."""
    if not is_language(language):
        raise refused(
            "validation.invalidDeviceCommunicationLanguage", "The language must be a two-letter code of ISO 639-1."
        )


def require_allowed_password(password: str, settings: Settings) -> None:
    """Raises the 400 of a password that the policy does not allow for a new device."""
    if not passwords.is_allowed(password, settings.password_policy):
        raise refused("validation.device.registrationFailed", "The password does not follow the policy.")


def add_device(ids: IdMaker, transaction: Transaction, device: NewDevice, *, username: str | None = None) -> Row:
    """Stores a device and returns it."""
    device_id = ids.make("DVC")
    username = username or ids.make("USR")
    transaction.insert(
        "devices",
        id=device_id,
        address=device.address,
        user_id=ids.guid(),
        username=username,
        username_key=username_key(username),
        password_hash=device.password_hash,
        created_at=transaction.now,
        created_by_device=device.created_by_device or device_id,
        communication_language=device.language,
        is_backup=device.is_backup,
    )
    row = transaction.one("SELECT * FROM devices WHERE id = ?", device_id)
    if row is None:
        raise AssertionError("The device was inserted above.")
    return row


def create(call: Call, transaction: Transaction) -> Reply:
    """Makes an identity with its first device."""
    body = call.body
    client_id, client_secret = body.text("clientId"), body.text("clientSecret")
    raw_key, password = body.data("identityPublicKey"), body.text("devicePassword")
    version = body.integer("identityVersion", 0, 255)
    signed = read_signed_challenge(body)
    if not is_client(transaction, client_id, client_secret):
        raise refused("unauthorized", "The client credentials are invalid.")
    if not password:
        raise invalid_property("devicePassword must not be empty.")
    language = read_language(body, "deviceCommunicationLanguage")
    try:
        public_key = read_public_key(raw_key)
    except UnreadableProof as error:
        raise unexpected(f"identityPublicKey cannot be read: {error}") from None
    require_proof(transaction, signed, public_key)

    settings, ids = call.services.settings, call.services.ids
    address = addresses.derive(public_key, settings.did_host)
    if find_identity(transaction, address) is not None:
        raise refused("validation.device.addressAlreadyExists", "There is an identity with this key already.")
    _require_room_at_client(transaction, client_id)
    require_allowed_password(password, settings)
    add_identity(transaction, address, public_key, client_id, version)
    password_hash = passwords.hash_password(password, call.services.random)
    device = add_device(ids, transaction, NewDevice(address, password_hash, language, None))
    created_at = dates.network_text(transaction.now)
    return created(
        {
            "address": address,
            "createdAt": created_at,
            "device": {"id": device["id"], "username": device["username"], "createdAt": created_at},
        }
    )


def add_identity(transaction: Transaction, address: str, public_key: bytes, client_id: str, version: int) -> None:
    """Stores an active identity in the default tier of its client."""
    transaction.run(
        "INSERT INTO identities (address, created_at, client_id, public_key, identity_version, tier_id, status) "
        "SELECT ?, ?, id, ?, ?, default_tier, 'Active' FROM clients WHERE id = ?",
        address,
        transaction.now,
        public_key,
        version,
        client_id,
    )


def _require_room_at_client(transaction: Transaction, client_id: str) -> None:
    limit = transaction.value("SELECT max_identities FROM clients WHERE id = ?", client_id)
    if limit is None:
        return
    if transaction.value("SELECT count(*) FROM identities WHERE client_id = ?", client_id) >= limit:
        raise refused("validation.device.clientReachedIdentitiesLimit", f"The client may have {limit} identities.")


def get_self(call: Call, transaction: Transaction) -> Reply:
    """Answers the caller's identity."""
    identity = require_identity(transaction, call.address)
    return ok(
        {
            "address": identity["address"],
            "createdAt": dates.network_text(identity["created_at"]),
            "identityVersion": identity["identity_version"],
            "tierId": identity["tier_id"],
            "status": identity["status"],
            "deletionGracePeriodEndsAt": dates.network_text_or_none(identity["grace_period_ends_at"]),
        }
    )


def is_deleted(call: Call, transaction: Transaction) -> Reply:
    """Answers whether the identity of a username is deleted or past its grace period, and since when."""
    username = call.query.text("username")
    if not is_id("USR", username):
        raise invalid_property("The username must start with USR and have 20 characters at most.")
    identity = transaction.one(
        "SELECT identities.* FROM identities JOIN devices USING (address) WHERE devices.username_key = ?",
        username_key(username),
    )
    if identity is not None:
        is_over = is_past_grace_period(identity, transaction.now)
        ended_at = identity["grace_period_ends_at"] if is_over else None
    else:
        ended_at = transaction.value(
            "SELECT created_at FROM deletion_audit WHERE username_hash = ? AND message = 'Deleted'",
            hash_username(username),
        )
        is_over = ended_at is not None
    return ok({"isDeleted": is_over, "deletionDate": dates.network_text_or_none(ended_at)})


def hash_username(username: str) -> bytes:
    """Returns the form in which a username outlives its device."""
    # The salt is fixed so that one lookup finds the username; what is hashed is random and worth nothing by then.
    return hashlib.pbkdf2_hmac("sha256", username_key(username).encode("utf-8", "replace"), b"deletion audit", 1000)


ROUTES = (
    Route("POST", "/api/v2/Identities", create, access=Access.WRITE, auth=Auth.OPTIONAL, body=BodyKind.JSON),
    Route("GET", "/api/v2/Identities/Self", get_self),
    Route("GET", "/api/v2/Identities/IsDeleted", is_deleted, auth=Auth.OPTIONAL),
)
