from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from enmeshed_backbone.settings import Settings
from enmeshed_connector.transport.compatibility import Compatibility
from tests.support.network import Network


async def test_public_references_are_those_of_the_own_client(tmp_path: Path) -> None:
    public: dict[str, list[Mapping[str, str]]] = {
        "test": [{"title": "Shop", "description": "A shop.", "truncatedReference": "UkxU"}]
    }
    async with Network(tmp_path, Settings(seed_identities=False, public_template_references=public)) as network:
        party = await network.account("anna")

        [reference] = await party.account.backbone_news.public_template_references()

        assert (reference.title, reference.truncated_reference) == ("Shop", "UkxU")


async def test_without_announcements_there_are_none(network: Network) -> None:
    party = await network.account("anna")

    assert await party.account.backbone_news.announcements("de") == ()


async def test_the_version_of_the_backbone_is_compared_with_what_is_supported(network: Network) -> None:
    party = await network.account("anna")

    assert await party.account.backbone_news.compatibility() == Compatibility(7, 6, 7)
    assert not Compatibility(5, 6, 7).is_compatible
    assert not Compatibility(8, 6, 7).is_compatible


async def test_cleaning_up_changes_nothing_that_a_caller_can_see(network: Network) -> None:
    party = await network.account("anna", datawallet_enabled=True)
    before = await party.account.devices.list()

    await party.account.cleanup.run()
    await party.account.cleanup.run()

    assert await party.account.devices.list() == before
