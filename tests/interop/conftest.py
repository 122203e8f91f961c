"""What the interoperability tests share: the rule about Node.js, a running Backbone, official peers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.interop.backbone_process import BackboneProcess
from tests.interop.official_peer.official_peer import OfficialPeer, is_installed
from tests.interop.our_side import OurSide
from tests.support.own_peer import own_account

NOT_INSTALLED = "needs Node.js 20 and `npm ci --prefix tests/interop/official_peer`"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips tests that are marked `node` when Node.js or its packages are missing, and fails them in CI."""
    if item.get_closest_marker("node") and not is_installed():
        if os.environ.get("CI"):
            pytest.fail(NOT_INSTALLED, pytrace=False)
        pytest.skip(NOT_INSTALLED)


@pytest.fixture(scope="session")
def backbone() -> Iterator[BackboneProcess]:
    """The Backbone that all tests share which do not touch its clock."""
    with BackboneProcess.start() as running:
        yield running


class Peers:
    """Starts official peers and keeps them until the end of the module."""

    def __init__(self, base_url: str, stack: AsyncExitStack) -> None:
        self._base_url = base_url
        self._stack = stack

    async def start(self, **settings: Any) -> OfficialPeer:
        """Starts one peer; the settings are those of `OfficialPeer.start`."""
        return await self._stack.enter_async_context(OfficialPeer.start(base_url=self._base_url, **settings))

    async def start_many(self, count: int, **settings: Any) -> list[OfficialPeer]:
        """Starts some peers with the same settings at the same time."""
        return list(await asyncio.gather(*(self.start(**settings) for _ in range(count))))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peers(backbone: BackboneProcess) -> AsyncIterator[Peers]:
    """Starts peers that live until the end of the module."""
    async with AsyncExitStack() as stack:
        yield Peers(backbone.base_url, stack)


class OurAccounts:
    """Opens accounts of ours and keeps them open until the end of the module."""

    def __init__(self, base_url: str, folder: Path, stack: AsyncExitStack) -> None:
        self._base_url = base_url
        self._folder = folder
        self._stack = stack
        self._count = 0

    async def open(self, **settings: Any) -> OurSide:
        """Opens a new account in a database of its own; the settings are those of `own_account`."""
        self._count += 1
        folder = self._folder / str(self._count)
        return OurSide(await self._stack.enter_async_context(own_account(self._base_url, folder, **settings)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def accounts(backbone: BackboneProcess, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OurAccounts]:
    """Opens accounts of ours that live until the end of the module."""
    async with AsyncExitStack() as stack:
        yield OurAccounts(backbone.base_url, tmp_path_factory.mktemp("accounts"), stack)
