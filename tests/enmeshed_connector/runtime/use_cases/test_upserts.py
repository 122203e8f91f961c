"""What is written by a key is there once, however many write it at the same moment, in one process or in several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from enmeshed_connector.consumption.identity_metadata import METADATA
from enmeshed_connector.consumption.settings import SettingKey
from enmeshed_connector.runtime.use_cases.common import NOBODY
from enmeshed_connector.transport.objects import SETTINGS
from tests.support.network import Network
from tests.support.whole_account import WholeAccount, whole_account

AT_ONCE = 5


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[list[WholeAccount]]:
    """Two processes of one account."""
    async with Network(tmp_path) as network:
        yield [await whole_account(network, "alice") for _ in range(2)]


@pytest.fixture
def alice(replicas: list[WholeAccount]) -> WholeAccount:
    return replicas[0]


async def test_a_note_is_added_once(replicas: list[WholeAccount]) -> None:
    await asyncio.gather(
        *(
            replica.does.identity_metadata.upsert(replica.address, "key", number, NOBODY)
            for replica in replicas
            for number in range(AT_ONCE)
        )
    )
    (stored,) = await replicas[0].all(METADATA)
    assert stored["value"] in range(AT_ONCE)


async def test_a_setting_is_added_once(replicas: list[WholeAccount]) -> None:
    key = SettingKey("key")
    await asyncio.gather(
        *(replica.does.settings.update(key, {"n": number}, NOBODY) for replica in replicas for number in range(AT_ONCE))
    )
    (stored,) = await replicas[0].all(SETTINGS, key="key")
    assert stored["value"]["n"] in range(AT_ONCE)


async def test_settings_that_are_created_may_have_the_same_key(alice: WholeAccount) -> None:
    does = alice.does.settings
    for number in range(2):
        await does.create(SettingKey("key"), {"n": number}, NOBODY, succeeds_item=None, succeeds_at=None)
    assert len(await alice.all(SETTINGS, key="key")) == 2
