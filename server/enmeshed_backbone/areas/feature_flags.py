"""Feature flags: what an identity tells its peers that it can do.

Source: specification of the Consumer API, §15.
"""

from __future__ import annotations

from .. import addresses
from ..errors import invalid_property, not_found, refused, unparsable
from ..http.call import NO_CONTENT, Access, BodyKind, Call, Reply, Route, ok
from ..store import Transaction
from . import external_events
from .identities import require_identity
from .relationships import Status, living_peers, peer_of

_MAX_NAME_LENGTH = 200


def change(call: Call, transaction: Transaction) -> Reply:
    """Adds or overwrites flags of the caller's identity and tells everyone who may see them."""
    flags = call.body_value
    if not isinstance(flags, dict) or not all(isinstance(flag, bool) for flag in flags.values()):
        raise unparsable("The body must be an object of names and true or false.")
    if not all(1 <= len(name) <= _MAX_NAME_LENGTH for name in flags):
        raise invalid_property(f"A name has 1 to {_MAX_NAME_LENGTH} characters.")
    limit = call.services.settings.max_feature_flags
    require_identity(transaction, call.address)
    for name, is_enabled in flags.items():
        transaction.run(
            "INSERT INTO feature_flags (address, name, is_enabled) VALUES (?, ?, ?) "
            "ON CONFLICT (address, name) DO UPDATE SET is_enabled = excluded.is_enabled",
            call.address,
            name,
            is_enabled,
        )
    total = transaction.value("SELECT count(*) FROM feature_flags WHERE address = ?", call.address)
    if max(total, len(flags)) > limit:
        raise refused(
            "validation.featureFlag.maxNumberOfFeatureFlagsExceeded", f"An identity has {limit} feature flags at most."
        )
    peers = {peer_of(row, call.address) for row in living_peers(transaction, call.address, _INFORMED)}
    peers.update(row["address"] for row in transaction.all(_ALLOCATORS, call.address))
    for peer in sorted(peers):
        external_events.emit(
            call.services.ids, transaction, peer, "PeerFeatureFlagsChanged", {"peerAddress": call.address}
        )
    return NO_CONTENT


def list_flags(call: Call, transaction: Transaction) -> Reply:
    """Answers the flags of an identity to itself and to those who know it."""
    address = call.parameters["address"]
    if not addresses.is_address(address):
        raise invalid_property("The path must name an identity address.")
    if address != call.address and not _knows(transaction, call.address, address):
        raise not_found("Identity")
    require_identity(transaction, address)
    rows = transaction.all("SELECT name, is_enabled FROM feature_flags WHERE address = ? ORDER BY name", address)
    # The official serialiser writes the names of a map in camel case.
    return ok({row["name"][:1].lower() + row["name"][1:]: bool(row["is_enabled"]) for row in rows})


def _knows(transaction: Transaction, address: str, peer: str) -> bool:
    found = transaction.value(
        "SELECT EXISTS (SELECT 1 FROM relationships WHERE sender = ?1 AND receiver = ?2 OR sender = ?2 AND "
        "receiver = ?1) OR EXISTS (SELECT 1 FROM template_allocations AS a JOIN templates AS t ON t.id = a.template_id "
        "WHERE a.address = ?1 AND t.created_by = ?2)",
        address,
        peer,
    )
    return bool(found)


_INFORMED = (Status.PENDING, Status.ACTIVE)
_ALLOCATORS = (
    "SELECT DISTINCT a.address FROM template_allocations AS a JOIN templates AS t ON t.id = a.template_id "
    "WHERE t.created_by = ?1 AND a.address != ?1"
)

ROUTES = (
    Route("PATCH", "/api/v2/Identities/Self/FeatureFlags", change, access=Access.WRITE, body=BodyKind.RAW_JSON),
    Route("GET", "/api/v2/Identities/{address}/FeatureFlags", list_flags),
)
