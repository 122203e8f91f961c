"""A whole Connector with the account alice, and a hostile peer that has a relationship with her."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import relationship_templates_service_pb2 as templates_pb
from enmeshed.connector.v1 import relationships_service_pb2 as relationships_pb
from enmeshed_client import Connector as Client
from tests.support.connector import RunningConnector, running_connector
from tests.support.hostile_peer import FAR, HostilePeer
from tests.support.mongodb import Kind, kinds_to_test, running_server
from tests.support.own_peer import own_account

STORES: tuple[Kind | None, ...] = (None, *kinds_to_test()[:1])
"""The stores that whole Connectors are shown on: SQLite, and a server."""

UNRECEIVED = 4
"""So many messages may be on their way at once; the Backbone takes few that their recipient has not fetched."""


class Wires:
    """The Connector and the peer."""

    def __init__(self, running: RunningConnector, peer: HostilePeer) -> None:
        self.running = running
        self.peer = peer
        self.alice = running.accounts["alice"]

    def client(self) -> Client:
        """Returns a client of alice."""
        return self.running.client("alice")


@asynccontextmanager
async def wired(
    folder: Path, *, creation_content: str, overrides: Mapping[str, str] | None = None
) -> AsyncIterator[Wires]:
    """Runs both for the length of a block.

    Args:
        folder: Where they keep their data.
        creation_content: The text of what the peer asks for the relationship with.
        overrides: Settings of the Connector by dotted names.
    """
    async with (
        running_connector(folder / "connector", overrides=overrides) as running,
        own_account(running.backbone.base_url, folder / "peer") as account,
    ):
        peer = HostilePeer(account)
        async with running.client("alice") as alice:
            made = await alice.call(alice.relationship_templates.CreateTemplate, _template_request())
            identifier = await peer.ask(made.template.reference.truncated, creation_content)
            await alice.call(alice.account.Sync, account_pb.SyncRequest())
            accept = relationships_pb.AcceptRelationshipRequest(id=identifier)
            await alice.call(alice.relationships.AcceptRelationship, accept)
        await account.sync.sync()
        yield Wires(running, peer)


@asynccontextmanager
async def wired_on(store: Kind | None, folder: Path, *, creation_content: str) -> AsyncIterator[Wires]:
    """Runs both on one of `STORES`; else as `wired`."""
    with ExitStack() as stack:
        overrides = {}
        if store is not None:
            server = stack.enter_context(running_server(store))
            overrides = {"database.driver": "pymongo", "database.connection_string": server.uri}
        async with wired(folder, creation_content=creation_content, overrides=overrides) as found:
            yield found


def _template_request() -> templates_pb.CreateTemplateRequest:
    request = templates_pb.CreateTemplateRequest()
    request.content.arbitrary_relationship_template_content.value.struct_value.SetInParent()
    request.expire_time.FromDatetime(FAR)
    return request
