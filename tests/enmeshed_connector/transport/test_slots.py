from __future__ import annotations

import asyncio

import pytest

from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.transport.counters import SLOT_SPAN
from enmeshed_connector.transport.slots import SLOT_SETTING
from enmeshed_connector.transport.sync_modes import SyncMode
from tests.support.network import Network, Party


async def slot_of(party: Party) -> int:
    return await party.account.context.slots.slot()


async def next_counters(party: Party, count: int = 40) -> list[int]:
    return [await party.account.context.counters.next("TRPRSEaaaaaaaaaaaaaa") for _ in range(count)]


async def further_device(network: Network, first: Party, name: str, *, datawallet_enabled: bool = True) -> Party:
    device = await first.account.devices.create(is_admin=True)
    secret = await first.account.devices.shared_secret(device["id"])
    await first.account.sync.sync(SyncMode.DATAWALLET)
    return await network.account(name, secret=secret, datawallet_enabled=datawallet_enabled)


async def test_the_only_device_without_a_datawallet_counts_in_slot_one(network: Network) -> None:
    anna = await network.account("anna")

    assert await next_counters(anna) == [SLOT_SPAN + number for number in range(40)]


async def test_no_counter_is_given_twice_across_restarts(network: Network) -> None:
    anna = await network.account("anna")
    counters = await next_counters(anna)

    for _ in range(3):
        anna = await network.reopen(anna)
        counters += await next_counters(anna)

    assert len(set(counters)) == len(counters)


async def test_no_counter_is_given_twice_to_callers_at_the_same_time(network: Network) -> None:
    anna = await network.account("anna")

    counters = await asyncio.gather(*(anna.account.context.counters.next("TRPRSEaaaaaaaaaaaaaa") for _ in range(200)))

    assert len(set(counters)) == 200


async def test_devices_of_one_identity_have_different_slots(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    second = await further_device(network, first, "anna2")
    third = await further_device(network, second, "anna3")

    slots = [await slot_of(party) for party in (first, second, third)]

    assert len(set(slots)) == 3
    assert all(1 <= slot < 2048 for slot in slots)


async def test_a_slot_is_kept_across_restarts(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    await further_device(network, first, "anna2")
    before = await slot_of(first)

    assert await slot_of(await network.reopen(first)) == before


async def test_devices_that_claim_at_the_same_time_end_up_with_different_slots(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    parties = [first]
    for name in ("anna2", "anna3"):
        parties.append(await further_device(network, first, name))
    for party in parties:
        await party.account.context.slots.forget()

    slots = await asyncio.gather(*(slot_of(party) for party in parties))

    assert len(set(slots)) == 3


async def test_the_later_of_two_claims_for_one_slot_gives_way(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    second = await further_device(network, first, "anna2")
    await first.account.context.slots.forget()
    await second.account.context.slots.forget()
    claimed: list[int] = []

    async def claim_first() -> None:
        claimed.append(await slot_of(second))

    # The other device claims and uses its slot right before the claim of this one arrives.
    first.faults.do("datawallet.push", claim_first)
    claimed.append(await slot_of(first))

    assert len(set(claimed)) == 2


async def test_a_device_without_datawallet_draws_a_slot_that_nobody_claims(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    second = await further_device(network, first, "anna2", datawallet_enabled=False)

    assert await slot_of(second) >= 2048


async def test_a_restored_backup_counts_in_a_slot_that_it_never_had(network: Network) -> None:
    anna = await network.account("anna", datawallet_enabled=True)
    bert = await network.account("bert")
    await network.befriend(anna, bert)
    await anna.account.sync.sync()
    before = await slot_of(anna)
    await network.back_up("anna")
    anna = await network.account("anna", datawallet_enabled=True)
    assert await slot_of(anna) == before
    await anna.account.messages.send([bert.address], {"@type": "Text"})
    await anna.account.sync.sync()

    await network.restore("anna")
    anna = await network.account("anna", datawallet_enabled=True)

    assert await slot_of(anna) != before
    settings = await anna.store.find("Settings", {"key": SLOT_SETTING})
    assert [setting["value"] for setting in settings] == [{"slot": await slot_of(anna), "used": [before]}]
    assert len(await anna.store.find("Messages")) == 1


async def test_an_operator_can_ask_for_a_new_slot_without_datawallet(network: Network) -> None:
    anna = await network.account("anna")
    assert await slot_of(anna) == 1

    await anna.account.context.slots.forget()

    assert await slot_of(anna) >= 2048


async def test_a_used_up_slot_is_followed_by_another_one(network: Network) -> None:
    anna = await network.account("anna")
    first, *_ = await next_counters(anna)
    await anna.store.reserve("messageKey/1/TRPRSEaaaaaaaaaaaaaa", SLOT_SPAN)
    anna = await network.reopen(anna)

    later = await next_counters(anna)

    assert all(counter // SLOT_SPAN not in (0, first // SLOT_SPAN) for counter in later)
    assert len(set(later)) == len(later)


async def test_a_slot_cannot_be_claimed_while_the_backbone_is_away(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    await first.account.context.slots.forget()
    first.faults.cut("*", times=100)

    with pytest.raises(DomainError):
        await slot_of(first)

    first.faults.clear()
    assert await slot_of(first)
