"""What every controller of one account is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from enmeshed_connector.backbone.calls import Caller
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.ids import IdMaker
from enmeshed_connector.storage import Store
from enmeshed_connector.transport.counters import MessageKeyCounters
from enmeshed_connector.transport.keys import KeyRing, OwnDevice, OwnIdentity
from enmeshed_connector.transport.pending import Outbox
from enmeshed_connector.transport.secrets import SecretStore
from enmeshed_connector.transport.slots import KeySlots
from enmeshed_connector.transport.work import Commits

RandomSource = Callable[[int], bytes]
"""Gives as many random bytes as asked for."""


@dataclass(frozen=True)
class TransportSettings:
    """What can be chosen about this room, per account."""

    base_url: str
    """Where the Backbone is reached; written into references."""
    client_id: str
    client_secret: str = field(repr=False)
    address_host: str | None = None
    """The host in addresses, where it is not the host of the base URL."""
    allow_identity_creation: bool = True
    """Whether an account without an identity gets a new one when it is opened."""
    datawallet_enabled: bool = False
    """Whether changes are shared with other devices of the identity."""
    datawallet_version: int = 1
    """The newest version of the datawallet that is understood."""
    identity_version: int = 1
    minimum_backbone_version: int = 6
    maximum_backbone_version: int = 7
    maximum_file_bytes: int = 10 * 1024 * 1024
    """The largest file that is sent, before encryption."""
    device_name: str | None = None
    """The name of the first device; none when unset."""
    settle_after: timedelta = timedelta(seconds=120)
    """How long after a lost answer the Backbone may still be working on the request: our time limit plus its own."""
    refresh_run_every: timedelta = timedelta(seconds=3)
    """How often a sync run is kept alive while its events are processed; the Backbone lets it expire after ten
    seconds."""

    @property
    def host_of_addresses(self) -> str:
        """The host in the addresses of this network."""
        return self.address_host or urlsplit(self.base_url).hostname or ""

    @property
    def host_of_pseudonyms(self) -> str:
        """The host in the pseudonyms of deleted peers: that of the base URL, whatever addresses carry."""
        return urlsplit(self.base_url).hostname or ""


class KeyedLocks:
    """Locks by name, for steps on one object that must not interleave within this process.

    They spare a request that the Backbone would refuse; what is right across processes is decided by commits.
    """

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Holds the lock of this name; not reentrant."""
        lock, users = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[name]
            if users == 1:
                del self._locks[name]
            else:
                self._locks[name] = (lock, users - 1)


@dataclass(frozen=True)
class AccountContext:
    """One account, ready for use. Made by `bootstrap.py`, handed to each controller; holds no state of its own."""

    account: str
    """The account's name in the settings."""
    settings: TransportSettings
    store: Store
    """For reads. Whatever changes goes through `commits`."""
    commits: Commits
    """Makes commits: documents, what other devices learn of them, and events."""
    outbox: Outbox
    """Sends what must not be sent twice."""
    backbone: Caller
    """Calls with this device's credentials: `Messages(context.backbone).get(id)`."""
    anonymous: Caller
    """Calls without credentials."""
    clock: Clock
    random: RandomSource
    ids: IdMaker
    identity: OwnIdentity
    device: OwnDevice
    keys: KeyRing
    secrets: SecretStore
    """The secrets of templates and relationships, shared by all devices."""
    counters: MessageKeyCounters
    """Counters for transmit states."""
    slots: KeySlots
    """The range in which this device counts."""
    locks: KeyedLocks = field(default_factory=KeyedLocks)

    def is_own_address(self, address: str) -> bool:
        """Tells whether the address is this identity's."""
        return address == self.identity.address
