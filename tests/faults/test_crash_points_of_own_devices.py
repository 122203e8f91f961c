"""Every point at which a process can die while it learns what another device of its identity did.

A change and the events about it become durable together: whoever reads the log sees each event once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from enmeshed_backbone.settings import Settings
from enmeshed_connector.consumption.schema import CONSUMPTION_COLLECTIONS
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.objects import TRANSPORT_COLLECTIONS, SynchronizedCollections
from tests.support import oracle
from tests.support.consumption import Holder, holder
from tests.support.crash import Crash, CrashingGateway, CrashingStore, ProcessDied
from tests.support.network import Network

_MOST_STEPS = 100
_PEER = "did:e:localhost:dids:1111111111111111111111"


async def mortal(network: Network, name: str, crash: Crash) -> TransportAccount:
    """Opens an account in a process that dies."""
    environment = await network.environment(name, datawallet_enabled=True)
    collections = SynchronizedCollections(TRANSPORT_COLLECTIONS, CONSUMPTION_COLLECTIONS)
    account = await open_account(
        replace(
            environment,
            collections=collections,
            store=CrashingStore(environment.store, crash),
            gateway=CrashingGateway(environment.gateway, crash),
        )
    )
    await account.start()
    return account


async def change(other: Holder, key: str) -> None:
    """Makes an attribute and a new version of it, gives that to a peer, and deletes both that were made before."""
    for former in await other.all():
        if "succeededBy" not in former:
            await other.run(lambda work, former=former: other.attributes.deletions.delete(former["id"], work))  # type: ignore[misc]
    first = await other.own(f"first {key}")
    await other.forward(await other.succeed(first, f"second {key}"), _PEER)


async def told(one: Holder) -> list[tuple[str, str]]:
    found = []
    for event in await one.events():
        data = event["data"].get("successor", event["data"])
        found.append((event["type"].removeprefix("consumption.attribute"), data["content"]["value"]["value"]))
    return found


@pytest.mark.parametrize("page_size", [2, 50])
async def test_learning_what_another_device_did_with_attributes(tmp_path: Path, page_size: int) -> None:
    async with Network(tmp_path, Settings(seed_identities=False, page_size=page_size)) as network:
        device = await holder(network, "device", datawallet_enabled=True)
        made = await device.transport.devices.create()
        secret = await device.transport.devices.shared_secret(made["id"])
        other = await holder(network, "other", secret=secret, datawallet_enabled=True)
        await device.transport.sync.sync()
        expected: list[tuple[str, str]] = []
        for number in range(1, _MOST_STEPS):
            key = str(number)
            await change(other, key)
            await other.transport.sync.sync()
            expected += [("Created", f"first {key}"), ("Succeeded", f"second {key}")]
            expected += [("ForwardingDetailsChanged", f"second {key}")]
            if number > 1:
                expected += [("Deleted", f"{which} {number - 1}") for which in ("first", "second")]
            crash = Crash(None)
            account = await mortal(network, "device", crash)
            crash.die_after(number)
            has_survived = True
            try:
                await account.sync.sync()
            except ProcessDied:
                has_survived = False
            place = " | ".join(crash.steps[-number:])
            # What the Backbone holds open for the dead process expires.
            network.backbone.services.clock.advance(timedelta(minutes=1))
            reopened = await holder(network, "device", datawallet_enabled=True)
            await reopened.transport.sync.sync()
            known = await told(reopened)
            gone = {("ForwardingDetailsChanged", f"second {n}") for n in range(1, number)}
            # Details that go in a page before their attribute are told of, too.
            assert sorted(one for one in known if one not in gone) == sorted(
                one for one in expected if one not in gone
            ), place
            await oracle.log_of(reopened.transport.context.store)
            if has_survived:
                assert number > 4, crash.steps
                return
        raise AssertionError("the flow does not end")
