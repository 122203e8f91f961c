"""Accounts of our transport layer against a Backbone that runs elsewhere, over the real client."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from enmeshed_connector.backbone import BackboneGateway, BackboneHttp, BackboneTarget, HttpSettings
from enmeshed_connector.core.clock import SystemClock
from enmeshed_connector.core.ids import IdMaker
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.stored_secrets import DeviceSharedSecret
from enmeshed_connector.storage.sqlite import SqliteDatabases
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.context import TransportSettings
from enmeshed_connector.transport.environment import Environment


@asynccontextmanager
async def own_environment(base_url: str, folder: Path, **settings: Any) -> AsyncIterator[Environment]:
    """Returns, for the length of a block, what an account is opened with, as the composition root does.

    Args:
        base_url: Where the Backbone is.
        folder: Where the account is kept; the same folder gives the same account again.
        settings: Members of `TransportSettings`.
    """
    clock = SystemClock()
    transport = replace(TransportSettings(base_url=base_url, client_id="test", client_secret="test"), **settings)
    target = BackboneTarget(base_url, transport.client_id, SecretText(transport.client_secret))
    store = await SqliteDatabases(folder).open("acc-own")
    try:
        async with BackboneHttp(HttpSettings()) as http:
            yield Environment(
                account="own",
                settings=transport,
                store=store,
                gateway=BackboneGateway(http, target, clock=clock),
                clock=clock,
                random=os.urandom,
                ids=IdMaker(),
                worker="test",
            )
    finally:
        await store.close()


@asynccontextmanager
async def own_account(
    base_url: str, folder: Path, *, secret: DeviceSharedSecret | None = None, **settings: Any
) -> AsyncIterator[TransportAccount]:
    """Opens and starts an account for the length of a block; arguments as `own_environment`.

    Args:
        base_url: Where the Backbone is.
        folder: Where the account is kept.
        secret: Makes it a further device of an identity.
        settings: Members of `TransportSettings`.
    """
    async with own_environment(base_url, folder, **settings) as environment:
        account = await open_account(environment, secret=secret)
        await account.start()
        yield account
