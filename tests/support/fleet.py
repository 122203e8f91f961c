"""Processes of one account that come and go, and messages between it and a peer meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

from google.protobuf import json_format

from enmeshed.connector.v1 import account_service_pb2 as account_pb2
from enmeshed.connector.v1 import messages_service_pb2 as messages_pb2
from enmeshed.connector.v1 import relationship_templates_service_pb2 as templates_pb2
from enmeshed.connector.v1 import relationships_service_pb2 as relationships_pb2
from enmeshed_backbone.server import BackboneServer
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.core.references import RelationshipTemplateReference
from enmeshed_connector.storage import Store
from enmeshed_connector.transport.account import TransportAccount
from tests.support import oracle
from tests.support.connector_process import ConnectorProcess

ACCOUNT = "alice"
SENDERS = 3
LEASE_SECONDS = 2
CALL_SECONDS = 2
"""How long a request to the Backbone may take; what a dead process left of a send is settled after twice this."""
DRAIN_SECONDS = 90


class Fleet:
    """The processes of one account that are running now, and clients that find one of them."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.settings = settings
        self.running: list[tuple[ConnectorProcess, Client]] = []
        self.choose = random.Random(0)
        self._clients: list[Client] = []

    @contextlib.asynccontextmanager
    async def process(self) -> AsyncIterator[ConnectorProcess]:
        """Runs one process; it is found by callers from when it listens until it ends."""
        async with ConnectorProcess(self.settings) as process:
            entry = asyncio.create_task(self._announce(process))
            try:
                yield process
            finally:
                entry.cancel()
                with contextlib.suppress(asyncio.CancelledError, RuntimeError):
                    await entry
                self.running = [found for found in self.running if found[0] is not process]

    async def insist(self, method: str, request: Any) -> Any:
        """Makes a call until it is answered, as a client with an idempotency key does."""
        service, _, name = method.partition(".")
        while True:
            alive = [client for process, client in self.running if process.is_running]
            if alive:
                client = self.choose.choice(alive)
                try:
                    return await client.call(getattr(getattr(client, service), name), request, timeout=10)
                except ConnectorError as error:
                    if error.code.name not in PASSING and not str(error.official_code).endswith(PEER_IS_SLOW):
                        raise
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Closes the connections; not before the last call is over, for that would cancel whoever makes it."""
        for client in self._clients:
            await client.channel.close()

    async def _announce(self, process: ConnectorProcess) -> None:
        client = Client(f"127.0.0.1:{await process.port()}", account=ACCOUNT)
        self._clients.append(client)
        self.running.append((process, client))


PEER_IS_SLOW = "maxNumberOfUnreceivedMessagesReached"
PASSING = {"UNAVAILABLE", "UNKNOWN", "ABORTED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED"}


class Traffic:
    """Messages between the account and its peer, for as long as the block runs."""

    def __init__(self, fleet: Fleet, peer: TransportAccount, address: str) -> None:
        self._fleet = fleet
        self._peer = peer
        self._address = address
        self.sent: list[str] = []
        """The texts that the account's senders got an answer for."""
        self.accepted: list[str] = []
        """The texts that the Backbone took from the peer."""
        self._ends = asyncio.Event()

    async def run(self) -> None:
        """Keeps messages going until `end`; then completes what was begun."""
        async with asyncio.TaskGroup() as group:
            for number in range(SENDERS):
                group.create_task(self._send(number))
            group.create_task(self._answer())
            group.create_task(self._receive())

    async def goes_on(self) -> None:
        """Returns when the senders were answered several times more."""
        enough = len(self.sent) + 2 * SENDERS
        async with asyncio.timeout(DRAIN_SECONDS):
            while len(self.sent) < enough:
                await asyncio.sleep(0.05)

    def end(self) -> None:
        """Lets the senders end; what they have begun is carried through."""
        self._ends.set()

    async def _send(self, sender: int) -> None:
        number = 0
        while not self._ends.is_set():
            text = f"sender {sender}, message {number}"
            request = json_format.ParseDict(
                {
                    "recipients": [str(self._peer.context.identity.address)],
                    "content": {"arbitraryMessageContent": {"value": text}},
                    "idempotencyKey": str(uuid.UUID(int=sender * 1_000_000 + number, version=4)),
                },
                messages_pb2.SendMessageRequest(),
            )
            await self._fleet.insist("messages.SendMessage", request)
            self.sent.append(text)
            number += 1

    async def _answer(self) -> None:
        number = 0
        while not self._ends.is_set():
            text = f"answer {number}"
            with contextlib.suppress(DomainError):
                # Refused while too many of its messages wait: the account does not fetch any now.
                await self._peer.messages.send([self._address], content_of(text))
                self.accepted.append(text)
                number += 1
            await asyncio.sleep(0.02)

    async def _receive(self) -> None:
        while not self._ends.is_set():
            with contextlib.suppress(DomainError):
                await self._peer.sync.sync()
            await asyncio.sleep(0.1)


def content_of(text: str) -> dict[str, Any]:
    return {"@type": "ArbitraryMessageContent", "value": text}


async def befriend(fleet: Fleet, peer: TransportAccount) -> str:
    """Makes a relationship between the account and its peer; returns the account's address."""
    info = await fleet.insist("account.GetIdentityInfo", account_pb2.GetIdentityInfoRequest())
    template = await fleet.insist(
        "relationship_templates.CreateTemplate",
        json_format.ParseDict(
            {
                "content": {"arbitraryRelationshipTemplateContent": {"value": {}}},
                "expireTime": "2099-01-01T00:00:00Z",
            },
            templates_pb2.CreateTemplateRequest(),
        ),
    )
    loaded = await peer.templates.load(RelationshipTemplateReference.parse(template.template.reference.truncated))
    content = {"@type": "ArbitraryRelationshipCreationContent", "value": {}}
    relationship = await peer.relationships.create(loaded["id"], content)
    await fleet.insist("account.Sync", account_pb2.SyncRequest())
    await fleet.insist(
        "relationships.AcceptRelationship", relationships_pb2.AcceptRelationshipRequest(id=relationship["id"])
    )
    await peer.sync.sync()
    return str(info.account.address)


async def drain(fleet: Fleet, backbone: BackboneServer, peer: TransportAccount, address: str) -> None:
    """Returns when both sides have confirmed everything that the Backbone had for them."""
    async with asyncio.timeout(DRAIN_SECONDS):
        while backbone.rows("SELECT id FROM external_events WHERE owner = ? AND is_synced = 0", address):
            await fleet.insist("account.Sync", account_pb2.SyncRequest())
            await asyncio.sleep(0.1)
        await peer.sync.sync()


def settings_for(backbone: BackboneServer, database: Mapping[str, str]) -> dict[str, str]:
    return {
        **{f"DATABASE__{name}": value for name, value in database.items()},
        "BACKBONE__BASE_URL": backbone.base_url,
        "BACKBONE__TIMEOUT_SECONDS": str(CALL_SECONDS),
        "SYNC__LEASE_SECONDS": str(LEASE_SECONDS),
        f"ACCOUNTS__{ACCOUNT.upper()}__DATAWALLET": "false",
    }


async def check(store: Store, backbone: BackboneServer, peer: TransportAccount, address: str, traffic: Traffic) -> None:
    """Checks the database of the account and its peer against the Backbone and against what callers were told."""
    await oracle.check_messages(store, backbone.rows, address)
    await oracle.check_relationships(store, backbone.rows, address)
    await oracle.check_events_delivered(backbone.rows, address)
    received = await store.find("Messages", {"isOwn": False})
    assert sorted(one["content"]["value"] for one in received) == sorted(traffic.accepted)
    assert await store.find("_PendingOperations") == []
    assert await store.find("_FailedEvents") == []
    failed, _ = await peer.sync.failed_events.list()
    assert failed == [], "events that the peer could not process"
    arrived = await peer.messages.find({"isOwn": False})
    texts = Counter(one["content"]["value"] for one in arrived)
    assert [text for text, times in texts.items() if times > 1] == [], "messages that arrived twice"
    assert texts.keys() == set(traffic.sent), "messages that did not arrive, or were never asked for"
    oracle.check_counters(backbone.rows, address, str(peer.context.identity.address))
