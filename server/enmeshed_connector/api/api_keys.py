"""API keys: 256 random bits each, of which the server keeps only the SHA-256.

Keys live in the `server` database. Each replica holds all of them in memory and reads them anew every two seconds, so
that a revocation reaches every replica within five.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from enmeshed_connector.api.calls import Credential, Revocation
from enmeshed_connector.api.permissions import ALL_PERMISSIONS
from enmeshed_connector.api.scopes import Scopes, check_scopes
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.encodings import to_base64url
from enmeshed_connector.core.errors import Code, DomainError, FieldViolation, InvalidArgument, NotFound
from enmeshed_connector.core.ids import random_text
from enmeshed_connector.storage import CollectionSpec, StorageUnavailable, Store, UniqueViolation, UnitOfWork

API_KEYS: Final = "_ApiKeys"
SERVER_COLLECTIONS: Final = (CollectionSpec(API_KEYS, indexes=("hash",), unique=(("hash",), ("name",))),)
"""What this module keeps in the `server` database."""

_PREFIX: Final = "emc_"
_SECRET: Final = re.compile(r"emc_[A-Za-z0-9_-]{43}")
_BOOTSTRAP_SECRET: Final = re.compile(r"[!-~]{32,200}")
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_ID_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"

REFRESH: Final = timedelta(seconds=2)
"""How often keys are read anew."""
MAX_STALENESS: Final = timedelta(seconds=5)
"""When keys could not be read for longer, no key is accepted: a revoked one could not be told from a good one."""

logger = structlog.get_logger("enmeshed_connector.api")


class ApiKeyExists(DomainError):
    """There is a key of that name. Facts: `name`."""

    reason, code = "ALREADY_EXISTS", Code.ALREADY_EXISTS


@dataclass(frozen=True)
class ApiKey:
    """What is kept of a key; never the key itself."""

    id: str
    name: str
    """For people; unique."""
    hash: str
    """SHA-256 of the key, hexadecimal."""
    scopes: tuple[str, ...]
    created_at: datetime
    account: str | None = None
    """The only account that it may use; None: any."""
    expires_at: datetime | None = None
    """From then on it is worth nothing; None: never."""
    revoked_at: datetime | None = None
    """Since then it is worth nothing; None: not revoked."""

    def is_good(self, now: datetime) -> bool:
        """Tells whether it is accepted."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True)
class CreatedKey:
    """A new key: the only moment at which its secret is known."""

    key: ApiKey
    secret: str


class ApiKeyStore:
    """Named operations on the stored keys; what the command line uses."""

    def __init__(self, store: Store, clock: Clock, random: Callable[[int], bytes] = os.urandom) -> None:
        """Takes its collaborators.

        Args:
            store: The `server` database, opened with `SERVER_COLLECTIONS`.
            clock: The time.
            random: The source of keys.
        """
        self._store = store
        self._clock = clock
        self._random = random

    async def create(
        self, name: str, scopes: Iterable[str], *, account: str | None = None, expires_at: datetime | None = None
    ) -> CreatedKey:
        """Makes a key.

        Args:
            name: For people: 1 to 63 of `a-z 0-9 . _ -`, unique.
            scopes: What it may do; see `scopes.py`.
            account: The only account that it may use; None: any.
            expires_at: From then on it is worth nothing; in the future. None: never.

        Raises:
            InvalidArgument: Name, scopes or expiry are not allowed.
            ApiKeyExists: There is a key of that name.
            StorageUnavailable: The database is away.
        """
        secret = _PREFIX + to_base64url(self._random(32))
        return CreatedKey(await self._insert(secret, name, scopes, account, expires_at), secret)

    async def list(self) -> Sequence[ApiKey]:
        """Returns all keys, revoked ones included, by their time of creation."""
        documents = await self._store.find(API_KEYS)
        return sorted(map(_from_document, documents), key=lambda key: (key.created_at, key.id))

    async def revoke(self, id_or_name: str) -> ApiKey:
        """Makes a key worthless; one that was revoked stays as it is.

        Raises:
            NotFound: There is no such key.
            StorageUnavailable: The database is away.
        """

        async def work(uow: UnitOfWork) -> ApiKey:
            document = await uow.get(API_KEYS, id_or_name) or await uow.find_one(API_KEYS, {"name": id_or_name})
            if document is None:
                raise NotFound(f"there is no API key {id_or_name!r}", facts={"id": id_or_name[:100]})
            if document.get("revokedAt") is None:
                document = document | {"revokedAt": format_date(self._clock.now())}
                uow.replace(API_KEYS, document)
            return _from_document(document)

        return await self._store.transact(work)

    async def take_bootstrap(self, text: str) -> Sequence[ApiKey]:
        """Takes over the keys of a bootstrap file, so that a container has some at its first start. Safe to repeat.

        One key a line, `<secret> <name> <scope>[,<scope>…] [<account>]`; empty lines and lines that begin with `#`
        count for nothing. A secret has 32 to 200 printable characters. A line whose secret is known changes nothing,
        also when it was revoked; a known name with another secret is an error, since keys are replaced under a new
        name.

        Args:
            text: What is in the file.

        Returns:
            The keys that are new.

        Raises:
            InvalidArgument: A line is not allowed; its number is named, never its text.
            ApiKeyExists: A name belongs to another key.
        """
        known = {key.hash for key in await self.list()}
        taken = []
        for number, line in enumerate(text.splitlines(), 1):
            parts = line.split()
            if not parts or parts[0].startswith("#"):
                continue
            if len(parts) not in (3, 4) or not _BOOTSTRAP_SECRET.fullmatch(parts[0]):
                raise InvalidArgument(
                    f"line {number} of the file of API keys has not the form <secret> <name> <scopes> [<account>], "
                    "with a secret of 32 to 200 printable characters"
                )
            if digest(parts[0]) not in known:
                account = parts[3] if len(parts) == 4 else None
                taken.append(await self._insert(parts[0], parts[1], parts[2].split(","), account, None))
        return taken

    async def _insert(
        self, secret: str, name: str, scopes: Iterable[str], account: str | None, expires_at: datetime | None
    ) -> ApiKey:
        scopes = tuple(scopes)
        if not _NAME.fullmatch(name):
            raise InvalidArgument(
                "the name of a key has 1 to 63 of a-z 0-9 . _ -",
                violations=[FieldViolation("name", "has not 1 to 63 of a-z 0-9 . _ -")],
            )
        check_scopes(scopes, ALL_PERMISSIONS)
        now = self._clock.now()
        if expires_at is not None and expires_at <= now:
            raise InvalidArgument(
                "the key would expire in the past", violations=[FieldViolation("expires_at", "lies in the past")]
            )
        identifier = "key-" + random_text(16, _ID_ALPHABET, self._random)
        key = ApiKey(identifier, name, digest(secret), scopes, now, account, expires_at)

        async def work(uow: UnitOfWork) -> None:
            uow.insert(API_KEYS, _to_document(key))

        try:
            await self._store.transact(work)
        except UniqueViolation:
            raise ApiKeyExists("there is a key of that name: choose another", facts={"name": name}) from None
        return key


class ApiKeys:
    """The keys as a running server knows them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Takes its collaborators.

        Args:
            store: The `server` database, opened with `SERVER_COLLECTIONS`.
            clock: The time.
        """
        self._store = store
        self._clock = clock
        self._keys: Mapping[str, ApiKey] = {}
        self._credentials: dict[str, Credential] = {}
        self._read_at: float | None = None

    @property
    def never_had_any(self) -> bool:
        """Whether no key was ever made, not even one that is revoked now."""
        return self._read_at is not None and not self._keys

    @property
    def has_good_one(self) -> bool:
        """Whether at least one key is accepted."""
        now = self._clock.now()
        return any(key.is_good(now) for key in self._keys.values())

    async def refresh(self) -> None:
        """Reads all keys and tells open streams whose key is not good any more.

        Raises:
            StorageUnavailable: The database is away.
        """
        started = self._clock.monotonic()
        # What is made and used while the keys are read may be missing among them, and is no worse for that.
        used_before = list(self._credentials.items())
        documents = await self._store.find(API_KEYS)
        self._keys = {key.hash: key for key in map(_from_document, documents)}
        # When reading began: what was revoked while it went on may be missing.
        self._read_at = started
        now = self._clock.now()
        for hash_, credential in used_before:
            key = self._keys.get(hash_)
            if key is None or not key.is_good(now):
                self._credentials.pop(hash_, None)
                credential.revocation.revoke()

    async def run(self) -> None:
        """Reads the keys anew again and again, until it is cancelled. What goes wrong is logged and tried again."""
        while True:
            await self._clock.sleep(REFRESH)
            try:
                async with asyncio.timeout(MAX_STALENESS.total_seconds()):
                    await self.refresh()
            except TimeoutError:
                logger.warning("API keys cannot be read", reason="TIMEOUT")
            except DomainError as error:
                logger.warning("API keys cannot be read", reason=error.reason)

    async def find(self, secret: str, *, may_look_up: bool = True) -> Credential | None:
        """Returns the credential of a key, None when the key is unknown, expired or revoked.

        Keys are found by their hash, so the time that this takes tells nothing of how much of a wrong key is right.

        Args:
            secret: The key.
            may_look_up: Whether a key that is not known here yet may cost a read of the database.

        Raises:
            StorageUnavailable: The keys could not be read for too long.
        """
        if self._read_at is None or self._clock.monotonic() - self._read_at > MAX_STALENESS.total_seconds():
            await self._read_in_time()
        hash_ = digest(secret)
        key = self._keys.get(hash_)
        if key is None:
            if not may_look_up or not _SECRET.fullmatch(secret):
                return None
            # A key that was made a moment ago should work at once.
            document = await self._store.find_one(API_KEYS, {"hash": hash_})
            if document is None:
                return None
            key = _from_document(document)
            self._keys = {**self._keys, hash_: key}
        if not key.is_good(self._clock.now()):
            return None
        credential = self._credentials.get(hash_)
        if credential is None:
            credential = self._credentials[hash_] = Credential(key.id, Scopes(key.scopes), key.account, Revocation())
        return credential

    async def _read_in_time(self) -> None:
        try:
            async with asyncio.timeout(MAX_STALENESS.total_seconds()):
                await self.refresh()
        except TimeoutError:
            raise StorageUnavailable("the database does not answer: try again") from None


def digest(secret: str) -> str:
    """Returns what is kept of a key. A plain hash is enough: with 256 random bits there is nothing to guess."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _to_document(key: ApiKey) -> JsonObject:
    document: JsonObject = {
        "id": key.id,
        "name": key.name,
        "hash": key.hash,
        "scopes": list(key.scopes),
        "createdAt": format_date(key.created_at),
    }
    if key.account is not None:
        document["account"] = key.account
    if key.expires_at is not None:
        document["expiresAt"] = format_date(key.expires_at)
    if key.revoked_at is not None:
        document["revokedAt"] = format_date(key.revoked_at)
    return document


def _from_document(document: JsonObject) -> ApiKey:
    expires_at, revoked_at = document.get("expiresAt"), document.get("revokedAt")
    return ApiKey(
        id=document["id"],
        name=document["name"],
        hash=document["hash"],
        scopes=tuple(document["scopes"]),
        created_at=parse_date(document["createdAt"]),
        account=document.get("account"),
        expires_at=parse_date(expires_at) if expires_at else None,
        revoked_at=parse_date(revoked_at) if revoked_at else None,
    )
