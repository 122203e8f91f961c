"""What the tests of the Backbone client share: a scripted server, connections, a clock that nobody waits for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from enmeshed_connector.backbone import (
    Backbone,
    BackboneGateway,
    BackboneHttp,
    BackboneSession,
    BackboneTarget,
    CallRecord,
    HttpSettings,
    SessionSettings,
)
from enmeshed_connector.core.secret_bytes import SecretText
from tests.support.scripted_http import ScriptedServer

PASSWORD = "Secret-device-password-1"
CLIENT_SECRET = "Secret-of-the-client"


@dataclass
class StillClock:
    """Time that passes only when somebody sleeps or a test says so."""

    moment: datetime = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
    seconds: float = 1000.0
    slept: list[timedelta] = field(default_factory=list)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, duration: timedelta) -> None:
        self.slept.append(duration)
        self.advance(duration)

    def advance(self, duration: timedelta) -> None:
        self.moment += duration
        self.seconds += duration.total_seconds()


@dataclass
class Client:
    """One device's Backbone over the scripted server, and what can be seen of it."""

    backbone: Backbone
    session: BackboneSession
    clock: StillClock
    records: list[CallRecord]
    gateway: BackboneGateway


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[BackboneHttp]:
    async with BackboneHttp(HttpSettings()) as http:
        yield http


ClientMaker = Callable[..., Client]


@pytest.fixture
def make_client(http: BackboneHttp) -> ClientMaker:
    def make(base_url: str, settings: SessionSettings | None = None, own_http: BackboneHttp | None = None) -> Client:
        clock = StillClock()
        records: list[CallRecord] = []
        gateway = BackboneGateway(
            own_http or http,
            BackboneTarget(base_url, "client", SecretText(CLIENT_SECRET)),
            settings=settings,
            clock=clock,
            random=lambda count: b"\x80" * count,
            observer=records.append,
        )
        session = gateway.for_device("USRabcdefghijklmnopq", SecretText(PASSWORD))
        return Client(Backbone(session), session, clock, records, gateway)

    return make


@pytest.fixture
def client(make_client: ClientMaker, server: ScriptedServer) -> Client:
    return make_client(server.base_url)
