"""A whole Connector for tests: two accounts on an embedded Backbone, with API keys, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import relationship_templates_service_pb2 as templates_pb
from enmeshed.connector.v1 import relationships_service_pb2 as relationships_pb
from enmeshed_backbone.server import BackboneServer
from enmeshed_client import Connector as Client
from enmeshed_connector.app.connector import Connector
from enmeshed_connector.cli.dev import playground

API_KEY = "test-key-0123456789-0123456789-0123456789"


@dataclass(frozen=True)
class RunningConnector:
    """A Connector that takes calls."""

    connector: Connector
    backbone: BackboneServer
    target: str
    """Host and port."""
    api_key: str
    """A key that may do everything in every account."""
    accounts: Mapping[str, str]
    """The addresses of the accounts by their names, `alice` and `bob`."""
    folder: Path
    """Where it keeps its data; its databases are in `connector`."""

    def client(self, account: str, api_key: str | None = None) -> Client:
        """Returns a client of an account, with the key that may do everything unless told otherwise."""
        return Client(self.target, api_key=api_key or self.api_key, account=account)

    def lone_client(self, account: str) -> Client:
        """Returns a client with a connection of its own, which takes few bytes before they are read.

        Channels to the same address share a connection otherwise, and its window grows with what went through it.
        """
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
        return Client(self.target, api_key=self.api_key, account=account, options=options)


@asynccontextmanager
async def running_connector(
    folder: Path, *, overrides: Mapping[str, str] | None = None, keys: str = "", is_related: bool = False
) -> AsyncIterator[RunningConnector]:
    """Runs a Connector for the length of a block.

    Args:
        folder: Where it keeps its data; the same folder gives the same identities again.
        overrides: Settings by dotted names.
        keys: Further lines of the bootstrap file.
        is_related: Whether alice and bob have an active relationship.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bootstrap = folder / "keys"
    bootstrap.write_text(f"{API_KEY} everything **\n{keys}")
    settings = {"api_keys.bootstrap_file": str(bootstrap), "server.drain_seconds": "1", **(overrides or {})}
    async with playground(data=folder, overrides=settings) as (connector, backbone):
        await connector.wait_until_ready()
        target = f"localhost:{connector.port}"
        addresses = {}
        for name in ("alice", "bob"):
            async with Client(target, api_key=API_KEY, account=name) as client:
                info = await client.call(client.account.GetIdentityInfo, account_pb.GetIdentityInfoRequest())
                addresses[name] = info.account.address
        running = RunningConnector(connector, backbone, target, API_KEY, addresses, folder)
        if is_related:
            await relate(running)
        yield running


async def relate(running: RunningConnector) -> str:
    """Makes a relationship between alice and bob, active on both sides, and returns its id."""
    async with running.client("alice") as alice, running.client("bob") as bob:
        return await relate_clients(alice, bob)


async def relate_clients(templator: Client, requestor: Client) -> str:
    """Makes a relationship between two accounts, active on both sides, and returns its id."""
    template = await templator.call(
        templator.relationship_templates.CreateTemplate,
        json_format.ParseDict(
            {
                "content": {"arbitraryRelationshipTemplateContent": {"value": {}}},
                "expireTime": "2099-01-01T00:00:00Z",
            },
            templates_pb.CreateTemplateRequest(),
        ),
    )
    loaded = await requestor.call(
        requestor.relationship_templates.LoadTemplate,
        templates_pb.LoadTemplateRequest(reference=template.template.reference.truncated),
    )
    asked = await requestor.call(
        requestor.relationships.CreateRelationship,
        json_format.ParseDict(
            {
                "templateId": loaded.template.id,
                "creationContent": {"arbitraryRelationshipCreationContent": {"value": {}}},
            },
            relationships_pb.CreateRelationshipRequest(),
        ),
    )
    identifier = asked.relationship.id
    await templator.call(templator.account.Sync, account_pb.SyncRequest())
    await templator.call(
        templator.relationships.AcceptRelationship, relationships_pb.AcceptRelationshipRequest(id=identifier)
    )
    await requestor.call(requestor.account.Sync, account_pb.SyncRequest())
    return str(identifier)
