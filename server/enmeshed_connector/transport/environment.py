"""What there is before an account is open: a store, a way to the Backbone, and settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from enmeshed_connector.backbone.calls import Caller
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.ids import IdMaker
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.storage import Lease, Store
from enmeshed_connector.transport.context import TransportSettings
from enmeshed_connector.transport.objects import ACCOUNT_INFO, TRANSPORT_COLLECTIONS, SynchronizedCollections
from enmeshed_connector.transport.work import Commits


class Gateway(Protocol):
    """Makes callers of one Backbone."""

    def anonymous(self) -> Caller:
        """Returns what calls without credentials."""

    def for_device(self, username: str, password: SecretText) -> Caller:
        """Returns what calls as a device. Nothing is sent before the first call."""


@dataclass(frozen=True)
class Environment:
    """The collaborators of one account, before anything is known of it."""

    account: str
    """The account's name in the settings."""
    settings: TransportSettings
    store: Store
    """The account's own database; this room declares its collections."""
    gateway: Gateway
    clock: Clock
    random: Callable[[int], bytes]
    ids: IdMaker
    worker: str
    """Names this process."""
    lease: Lease | None = None
    """The right to make the account: whoever makes an identity must be the only one who does. None: there is one
    process."""
    collections: SynchronizedCollections = field(default_factory=lambda: SynchronizedCollections(TRANSPORT_COLLECTIONS))
    """What is synchronised: collections of this room and of those above."""

    def commits(self) -> Commits:
        """Returns what makes the account's commits."""
        return Commits(
            self.store,
            collections=self.collections,
            ids=self.ids,
            clock=self.clock,
            datawallet_version=self.settings.datawallet_version if self.settings.datawallet_enabled else None,
        )

    async def entry(self, name: str) -> Json:
        """Returns an entry of `AccountInfo`, None when there is none."""
        entry = await self.store.get(ACCOUNT_INFO, name)
        return None if entry is None else entry.get("value")
