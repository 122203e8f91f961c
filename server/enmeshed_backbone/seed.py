"""What a new database starts with: keys, tiers, the OAuth client, the two identities of the test environment.

Source: specification of the Consumer API, §24.
"""

from __future__ import annotations

from . import addresses, passwords
from .areas.identities import NewDevice, add_device, add_identity, find_identity
from .areas.quotas import QUEUED_FOR_DELETION_TIER
from .http.access import KEY_BYTES
from .ids import IdMaker, RandomSource
from .settings import Settings
from .store import Transaction

_SEEDED = (("USRa", "Aaaaaaaa1!", bytes([1] * 5)), ("USRb", "Bbbbbbbb1!", bytes([2] * 5)))


def prepare(transaction: Transaction, settings: Settings, ids: IdMaker, random: RandomSource) -> bytes:
    """Brings a new or an existing database into the state that the settings ask for.

    Returns:
        The key of the access tokens. It stays with the database, so tokens stay valid when the server starts again.
    """
    key = transaction.value("SELECT value FROM meta WHERE name = 'token_key'")
    if key is None:
        key = random(KEY_BYTES)
        transaction.insert("meta", name="token_key", value=key)
        transaction.insert("tiers", id=ids.make("TIR"), name="Basic")
        transaction.insert("tiers", id=QUEUED_FOR_DELETION_TIER, name="Queued for Deletion")
    # No stream survives a restart.
    transaction.run("DELETE FROM push_registrations WHERE platform = 'sse'")
    _seed_client(transaction, settings, random)
    if settings.seed_identities:
        _seed_identities(transaction, settings, ids, random)
    return bytes(key)


def _seed_client(transaction: Transaction, settings: Settings, random: RandomSource) -> None:
    transaction.run(
        "INSERT INTO clients (id, display_name, secret_hash, default_tier, created_at) "
        "SELECT ?1, ?1, ?2, id, ?3 FROM tiers WHERE name = 'Basic' "
        "ON CONFLICT (id) DO UPDATE SET secret_hash = excluded.secret_hash",
        settings.client_id,
        passwords.hash_password(settings.client_secret, random),
        transaction.now,
    )


def _seed_identities(transaction: Transaction, settings: Settings, ids: IdMaker, random: RandomSource) -> None:
    for username, password, key in _SEEDED:
        address = addresses.derive(key, settings.did_host)
        if find_identity(transaction, address) is not None:
            continue
        if transaction.one("SELECT 1 FROM devices WHERE username = ?", username) is not None:
            continue
        add_identity(transaction, address, key, settings.client_id, 1)
        password_hash = passwords.hash_password(password, random)
        add_device(ids, transaction, NewDevice(address, password_hash, "en", None), username=username)
