"""One identity with an official device and one of ours: what the official one does with attributes is told here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from enmeshed_connector.consumption.schema import CONSUMPTION_COLLECTIONS, CONSUMPTION_SCHEMA
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.objects import TRANSPORT_COLLECTIONS, SynchronizedCollections
from enmeshed_connector.transport.sync_modes import SyncMode
from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import OurAccounts, Peers
from tests.interop.our_side import OurSide
from tests.interop.test_connector_shared_identity import secret_of_new_device
from tests.support.own_peer import own_environment

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


async def test_what_the_official_device_does_with_attributes_is_told_once(
    backbone: BackboneProcess, peers: Peers, accounts: OurAccounts, tmp_path: Path
) -> None:
    official = await peers.start(db_folder=tmp_path / "official", datawallet=True)
    secret = await secret_of_new_device(official, await accounts.open())
    async with own_environment(backbone.base_url, tmp_path / "ours", datawallet_enabled=True) as environment:
        collections = SynchronizedCollections(TRANSPORT_COLLECTIONS, CONSUMPTION_COLLECTIONS)
        await environment.store.declare(*CONSUMPTION_SCHEMA)
        ours = await open_account(replace(environment, collections=collections), secret=secret)
        await ours.start()

        async def exchange() -> None:
            await official.call("transport.account.syncDatawallet")
            await ours.sync.sync(SyncMode.DATAWALLET)

        async def succeed(attribute_id: str, name: str) -> str:
            made = await official.call(
                "consumption.attributes.succeedOwnIdentityAttribute",
                {"predecessorId": attribute_id, "successorContent": {"value": given_name(name)}},
            )
            return str(made["successor"]["id"])

        await exchange()
        made = await official.call(
            "consumption.attributes.createOwnIdentityAttribute", {"content": {"value": given_name("Ada")}}
        )
        second = await succeed(made["id"], "Augusta")
        await exchange()
        await official.call("consumption.attributes.markAttributeAsViewed", {"attributeId": second})
        await exchange()
        third = await succeed(second, "Byron")
        await exchange()
        await official.call("consumption.attributes.deleteAttributeAndNotify", {"attributeId": second})
        await exchange()
        await exchange()
        events = await OurSide(ours).events()

    names = {made["id"]: "first", second: "second", third: "third"}
    told = []
    for kind, origin, data in events:
        about = data.get("successor", data).get("id") if isinstance(data, dict) else None
        if about in names:
            assert origin == "DATAWALLET"
            told.append(f"{kind.removeprefix('consumption.attribute')} {names[about]}")
    assert told[:4] == ["Created first", "Succeeded second", "WasViewedAtChanged second", "Succeeded third"]
    assert sorted(told[4:]) == ["Deleted first", "Deleted second"]


def given_name(name: str) -> dict[str, str]:
    """Returns the value of an attribute."""
    return {"@type": "GivenName", "value": name}
