"""The slot of this device: the range in which it counts message keys (architecture.md, decision 9).

With the datawallet, a device claims a slot by a setting that all devices see. The Backbone takes a push only from a
device that has pulled everything, so of two devices that claim one slot at the same time the later one sees the claim
of the other before its own is accepted, and takes another. Without the datawallet, the identity's first device has slot
1, and others draw from the upper half, which is never claimed. A database restored from a backup gets a slot that it
never had.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from enmeshed_connector.core.errors import Code, DomainError
from enmeshed_connector.core.ids import SETTING, IdMaker
from enmeshed_connector.storage import Store
from enmeshed_connector.transport.counters import SLOTS
from enmeshed_connector.transport.keys import OwnDevice
from enmeshed_connector.transport.objects import ACCOUNT_INFO, RESTORED, SETTINGS, UNPUSHED_MODIFICATIONS, Document
from enmeshed_connector.transport.sync_modes import SyncMode
from enmeshed_connector.transport.work import Commits, Work

SLOT_SETTING = "enmeshed-connector.messageKeySlot"
"""The key of the settings in which devices claim their slots."""
_SLOT = "_keySlot"
_FIRST_DRAWN = SLOTS // 2
_ROUNDS = 5


class DatawalletAccess(Protocol):
    """What of the sync controller is needed to claim a slot."""

    @property
    def is_worker(self) -> bool:
        """Whether this process may sync."""

    async def shows_restored(self) -> bool:
        """Tells whether the datawallet holds changes of this device that its database does not know."""

    async def sync(self, mode: SyncMode) -> object:
        """Syncs the datawallet."""


class SlotNotClaimed(DomainError):
    """No slot could be claimed now: other devices claim at the same moment, or the Backbone is away."""

    reason, code = "KEY_SLOT_NOT_CLAIMED", Code.UNAVAILABLE


class KeySlots:
    """Keeps and claims the slot of this device."""

    def __init__(
        self,
        store: Store,
        commits: Commits,
        device: OwnDevice,
        *,
        ids: IdMaker,
        random: Callable[[int], bytes],
        datawallet_enabled: bool,
    ) -> None:
        """Takes what is needed to keep a slot; `use_datawallet` adds what is needed to claim one."""
        self._store = store
        self._commits = commits
        self._device = device
        self._ids = ids
        self._random = random
        self._datawallet_enabled = datawallet_enabled
        self._datawallet: DatawalletAccess | None = None
        self._confirmed: int | None = None
        self._has_pulled = False
        self._lock = asyncio.Lock()

    def use_datawallet(self, datawallet: DatawalletAccess) -> None:
        """Takes what syncs the datawallet; called once, while the account is built."""
        self._datawallet = datawallet

    async def slot(self) -> int:
        """Returns the slot of this device; claims one when it has none.

        Raises:
            SlotNotClaimed: None can be claimed now.
            BackboneError: The Backbone is away, and none is claimed yet.
        """
        if self._confirmed is None:
            async with self._lock:
                if self._confirmed is None:
                    self._confirmed = await self._find()
        return self._confirmed

    async def claim_another(self, used_up: int) -> int:
        """Returns a slot other than the one given, claimed for this device.

        Raises:
            SlotNotClaimed: None can be claimed now.
            BackboneError: The Backbone is away.
        """
        async with self._lock:
            own = await self._own()
            if own.get("slot") not in (None, used_up):
                # The worker has claimed another one meanwhile.
                self._confirmed = int(own["slot"])
            elif self._confirmed in (None, used_up):
                self._confirmed = await self._claim(own)
        assert self._confirmed is not None
        return self._confirmed

    async def forget(self) -> None:
        """Makes the next message use a new slot: after a pull that showed a restored database, or on an operator's
        word.
        """

        await self._mark_restored()
        self.reconsider()

    def reconsider(self) -> None:
        """Looks again at what is stored before the next message: a pull may have shown that the database was
        restored.
        """
        self._confirmed = None

    def pulled(self) -> None:
        """Hears that this process has pulled the datawallet: it would have shown a restored database."""
        self._has_pulled = True

    async def _find(self) -> int:
        if self._datawallet_enabled and not self._has_pulled and self._datawallet is not None:
            # Counters of a restored database repeat those of its former self, so look before the first use.
            if await self._datawallet.shows_restored():
                await self._mark_restored()
            self._has_pulled = True
        own = await self._own()
        is_restored = await self._entry(RESTORED) is True
        is_claimed = own.get("claimed") is self._datawallet_enabled or own.get("claimed") is True
        if own.get("slot") and is_claimed and not is_restored:
            return int(own["slot"])
        return await self._claim(own, may_keep=not is_restored)

    async def _claim(self, own: dict[str, Any], *, may_keep: bool = False) -> int:
        used = list(own.get("used") or [])
        if own.get("slot") and not may_keep and own["slot"] not in used:
            used.append(own["slot"])
        if not self._datawallet_enabled:
            slot = self._draw(used)
            await self._keep(slot, used, is_claimed=False)
            return slot
        if self._datawallet is None or not self._datawallet.is_worker:
            raise SlotNotClaimed("The account's worker must claim a message-key slot first.")
        slot = int(own["slot"]) if may_keep and own.get("slot") else 0
        for _ in range(_ROUNDS):
            await self._datawallet.sync(SyncMode.DATAWALLET)
            taken, mine = await self._claims()
            used += [number for number in mine if number not in used and number != slot]
            if not slot or slot in taken or slot in used:
                slot = next(number for number in range(1, _FIRST_DRAWN) if number not in taken and number not in used)
            await self._write_claim(slot, used)
            await self._datawallet.sync(SyncMode.DATAWALLET)
            taken, _ = await self._claims()
            if slot not in taken and await self._is_pushed():
                await self._keep(slot, used, is_claimed=True)
                return slot
            if slot in taken:
                used.append(slot)
                slot = 0
        raise SlotNotClaimed("No message-key slot could be claimed now.")

    def _draw(self, used: list[int]) -> int:
        if not used and self._device.is_first:
            return 1
        while True:
            slot = _FIRST_DRAWN + int.from_bytes(self._random(2), "big") % (SLOTS - _FIRST_DRAWN)
            if slot not in used:
                return slot

    async def _claims(self) -> tuple[set[int], list[int]]:
        """Returns the slots that other devices have or had, and those of this device."""
        taken: set[int] = set()
        mine: list[int] = []
        for setting in await self._store.find(SETTINGS, {"key": SLOT_SETTING}):
            value = setting.get("value")
            if not isinstance(value, dict):
                continue
            numbers = [value.get("slot"), *(value.get("used") or [])]
            slots = [number for number in numbers if isinstance(number, int)]
            if setting.get("reference") == self._device.id:
                mine += slots
            else:
                taken.update(slots)
        return taken, mine

    async def _write_claim(self, slot: int, used: list[int]) -> None:
        async def write(work: Work) -> None:
            settings = await work.find(SETTINGS, {"key": SLOT_SETTING, "reference": self._device.id})
            value = {"slot": slot, "used": used}
            if settings:
                await work.save(SETTINGS, settings[0] | {"value": value})
                return
            setting: Document = {
                "@type": "Setting",
                "createdAt": work.now,
                "id": self._ids.new(SETTING),
                "key": SLOT_SETTING,
                "reference": self._device.id,
                "scope": "Device",
                "value": value,
            }
            await work.create(SETTINGS, setting)

        await self._commits.run(write)

    async def _is_pushed(self) -> bool:
        own = await self._store.find(SETTINGS, {"key": SLOT_SETTING, "reference": self._device.id})
        waiting = [await self._store.count(UNPUSHED_MODIFICATIONS, {"objectIdentifier": entry["id"]}) for entry in own]
        return bool(own) and not any(waiting)

    async def _keep(self, slot: int, used: list[int], *, is_claimed: bool) -> None:
        async def keep(work: Work) -> None:
            work.write_entry(ACCOUNT_INFO, _SLOT, {"slot": slot, "used": used, "claimed": is_claimed})
            work.delete_entry(ACCOUNT_INFO, RESTORED)

        await self._commits.run(keep)

    async def _mark_restored(self) -> None:
        async def mark(work: Work) -> None:
            work.write_entry(ACCOUNT_INFO, RESTORED, True)

        await self._commits.run(mark)

    async def _own(self) -> dict[str, Any]:
        return dict(await self._entry(_SLOT) or {})

    async def _entry(self, name: str) -> Any:  # entries of the map have different shapes
        entry = await self._store.get(ACCOUNT_INFO, name)
        return None if entry is None else entry.get("value")
