from __future__ import annotations

import os
from pathlib import Path

from enmeshed_backbone.server import BackboneServer
from enmeshed_connector.backbone import BackboneGateway, BackboneHttp, BackboneTarget, HttpSettings
from enmeshed_connector.core.clock import SystemClock
from enmeshed_connector.core.ids import IdMaker
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.storage.sqlite import SqliteDatabases
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.context import TransportSettings
from enmeshed_connector.transport.environment import Environment
from tests.support.network import befriend


async def test_two_identities_exchange_a_message_over_http(tmp_path: Path) -> None:
    databases = SqliteDatabases(tmp_path)
    async with BackboneServer() as server, BackboneHttp(HttpSettings()) as http:

        async def account(name: str) -> TransportAccount:
            clock = SystemClock()
            target = BackboneTarget(server.base_url, "test", SecretText("test"))
            gateway = BackboneGateway(http, target, clock=clock)
            environment = Environment(
                account=name,
                settings=TransportSettings(base_url=server.base_url, client_id="test", client_secret="test"),
                store=await databases.open(f"acc-{name}"),
                gateway=gateway,
                clock=clock,
                random=os.urandom,
                ids=IdMaker(),
                worker="test",
            )
            opened = await open_account(environment)
            await opened.start()
            return opened

        anna, bert = await account("anna"), await account("bert")
        try:
            assert (await anna.backbone_news.compatibility()).is_compatible
            await befriend(anna, bert)
            sent = await bert.messages.send([anna.context.identity.address], {"@type": "Text", "text": "hello"})

            await anna.sync.sync()

            received = await anna.messages.get(sent["id"])
            assert received["content"] == {"@type": "Text", "text": "hello"}
            assert received["isOwn"] is False
        finally:
            await anna.context.store.close()
            await bert.context.store.close()
