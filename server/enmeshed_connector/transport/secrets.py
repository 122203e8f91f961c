"""Secrets that all devices of the identity share: keys of templates and relationships.

Source: transport.md, sections 9.2 and 9.3.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.ids import IdMaker
from enmeshed_connector.crypto.derivation import SYNCHRONISED_SECRET_CONTEXT, derive_key
from enmeshed_connector.crypto.symmetric import SecretKey
from enmeshed_connector.storage import FilterLike, Store
from enmeshed_connector.transport.containers import (
    Sealable,
    SecretType,
    open_container,
    read_secret,
    seal_container,
)
from enmeshed_connector.transport.errors import SecretNotFound
from enmeshed_connector.transport.objects import SECRETS, Document
from enmeshed_connector.transport.reservations import Reservations
from enmeshed_connector.transport.work import Work

S = TypeVar("S")

NONCE_COUNTER = "secretNonce"
DEVICE_NONCE_SPAN = 1_000_000
"""Each device numbers its containers in a range of its own: its index times this."""

_CACHED = 1024


class SecretStore:
    """Keeps the synchronised secrets.

    A secret is looked up by its name; several containers may have one name, of which one is active. Opened secrets are
    kept in memory, so that a channel's transmit state is one object for as long as the process lives and can refuse
    used counters.
    """

    def __init__(
        self,
        store: Store,
        base_key: SecretKey,
        reservations: Reservations,
        *,
        first_nonce: int,
        ids: IdMaker,
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        """Takes the shared base key, and the nonce that this device's containers start behind."""
        self._store = store
        self._base_key = base_key
        self._reservations = reservations
        self._first_nonce = first_nonce
        self._ids = ids
        self._clock = clock
        self._random = random
        self._opened: OrderedDict[str, Any] = OrderedDict()

    async def seal(self, name: str, secret: Sealable | Mapping[str, Any]) -> Document:
        """Returns a new active container; it is stored when the caller does so: `work.create(SECRETS, container)`.

        Raises:
            StorageUnavailable: The container's number could not be reserved.
        """
        nonce = self._first_nonce + 1 + await self._reservations.next(NONCE_COUNTER)
        key = derive_key(self._base_key, nonce, SYNCHRONISED_SECRET_CONTEXT)
        now = format_date(self._clock.now())
        return seal_container(key, name, secret, ids=self._ids, random=self._random, now=now, nonce=nonce)

    async def load(self, name: str, *types: SecretType[S], work: Work | None = None) -> S:
        """Returns the active secret of a name.

        Args:
            name: The name (`TRPRTK…`, `TRPRSE…`).
            types: The crypto classes it may be of.
            work: Read through this work, which then depends on it.

        Raises:
            SecretNotFound: There is none.
            WrongSecretType: It is of another class.
        """
        secret = await self.find(name, *types, work=work)
        if secret is None:
            raise SecretNotFound(f"There is no active secret {name}.", facts={"name": name})
        return secret

    async def find(self, name: str, *types: SecretType[S], work: Work | None = None) -> S | None:
        """Returns the active secret of a name as `load`, None when there is none."""
        where: FilterLike = {"name": name, "active": True}
        containers = await (self._store.find(SECRETS, where) if work is None else work.find(SECRETS, where))
        if not containers:
            return None
        # Official devices take the first of several active ones; the newest is the one that another device meant.
        container = max(containers, key=lambda document: (document.get("createdAt", ""), document["id"]))
        return self._open(container, *types)

    async def replace(self, name: str, container: Document, work: Work) -> None:
        """Stores a container in place of the active ones of its name, which stay as inactive ones."""
        for old in await work.find(SECRETS, {"name": name, "active": True}):
            await work.save(SECRETS, old | {"active": False, "validTo": work.now})
        await work.create(SECRETS, container)

    async def delete_all(self, name: str, work: Work) -> None:
        """Deletes all containers of a name, the inactive ones too."""
        for container in await work.find(SECRETS, {"name": name}):
            await work.remove(SECRETS, container["id"])

    def _open(self, container: Document, *types: SecretType[S]) -> S:
        kept = self._opened.get(container["id"])
        if kept is None:
            key = derive_key(self._base_key, container.get("nonce") or 0, SYNCHRONISED_SECRET_CONTEXT)
            members: JsonObject = open_container(key, container)
            kept = (members.get("@type"), read_secret(members, *types))
            self._opened[container["id"]] = kept
            if len(self._opened) > _CACHED:
                self._opened.popitem(last=False)
        self._opened.move_to_end(container["id"])
        type_name, secret = kept
        if type_name not in {secret_type.type_name for secret_type in types}:
            return read_secret({"@type": type_name}, *types)
        opened: S = secret
        return opened
