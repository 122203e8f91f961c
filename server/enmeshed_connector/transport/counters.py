"""Counters of message keys that never repeat (architecture.md, decision 9).

Source: crypto.md, sections 4.2 and 19. All devices of an identity encrypt with the same key per peer, and the nonce
follows from a counter of 32 bits. Ours is slot * 2^20 + n: the slot belongs to this device alone, n comes from a
durable reservation.
"""

from __future__ import annotations

from typing import Protocol

from enmeshed_connector.core.errors import Code, DomainError
from enmeshed_connector.transport.reservations import Reservations

SLOT_SPAN = 2**20
"""How many counters a slot has for each peer."""
SLOTS = 2**12
"""How many slots there are; slot 0 is for official devices, which all count from 0."""


class SlotExhausted(DomainError):
    """This device has sent over a million messages to this peer: it needs another slot."""

    reason, code = "KEY_SLOT_EXHAUSTED", Code.RESOURCE_EXHAUSTED


class SlotKeeper(Protocol):
    """Knows the slot of this device."""

    async def slot(self) -> int:
        """Returns this device's slot, 1 to 4095; claims one when it has none.

        Raises:
            DomainError: None can be claimed now.
        """

    async def claim_another(self, used_up: int) -> int:
        """Returns a slot that is not the one given, claimed for this device."""


class MessageKeyCounters:
    """Hands out the counters with which `TransmitState.encrypt` is called."""

    def __init__(self, reservations: Reservations, slots: SlotKeeper) -> None:
        """Takes the durable counters and who knows the slot."""
        self._reservations = reservations
        self._slots = slots

    async def next(self, relationship_secret_id: str) -> int:
        """Returns a counter that was never used with this relationship's channel and never will be again.

        Args:
            relationship_secret_id: The `TRPRSE…` name of the relationship's secrets.

        Raises:
            StorageUnavailable: A new block must be reserved and the database is away.
            DomainError: No slot can be claimed now.
        """
        slot = await self._slots.slot()
        while True:
            number = await self._reservations.next(f"messageKey/{slot}/{relationship_secret_id}")
            if number < SLOT_SPAN:
                return slot * SLOT_SPAN + number
            slot = await self._slots.claim_another(slot)
