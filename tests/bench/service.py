"""A Connector for service suites: in this process, with its Backbone and whatever else in processes of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from enmeshed_connector.app.connector import Connector
from enmeshed_connector.app.logs import configure_logs
from enmeshed_connector.app.settings import LogSettings, load_settings

API_KEY = "bench-key-0123456789-0123456789-0123456789"
_READY_SECONDS = 60
_POLL_SECONDS = 0.005
_ROUNDS = 5


@dataclass(frozen=True)
class Hosted:
    """A Connector in this process."""

    connector: Connector
    target: str
    api_key: str = API_KEY

    def client(self, account: str) -> Client:
        """Returns a client of an account."""
        return Client(self.target, api_key=API_KEY, account=account)

    def metadata(self, account: str) -> list[tuple[str, str]]:
        """Returns what a client of an account sends with each call."""
        return [("x-api-key", API_KEY), ("x-account", account)]


@asynccontextmanager
async def hosted(
    backbone_url: str, folder: Path, *accounts: str, overrides: Mapping[str, str] | None = None
) -> AsyncIterator[Hosted]:
    """Runs a Connector with some accounts in this process, with an API key, for the length of a block."""
    configure_logs(LogSettings(level="warning"))
    flags = settings_of(backbone_url, folder, accounts) | {"server.port": "0", "server.drain_seconds": "1"}
    settings = load_settings(file=None, environment={}, flags=flags | dict(overrides or {}))
    async with Connector(settings, environment={}) as connector:
        await connector.wait_until_ready()
        yield Hosted(connector, f"localhost:{connector.port}")


def settings_of(backbone_url: str, folder: Path, accounts: tuple[str, ...]) -> dict[str, str]:
    """Returns settings by dotted names; writes the file with the API key."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = folder / "keys"
    keys.write_text(f"{API_KEY} everything **\n")
    return {
        "backbone.base_url": backbone_url,
        "database.folder": str(folder / "connector"),
        "api_keys.bootstrap_file": str(keys),
        **{f"accounts.{name}.create_identity": "true" for name in accounts},
    }


def as_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Returns settings as `ConnectorProcess` takes them."""
    return {name.upper().replace(".", "__"): value for name, value in settings.items()}


async def address_when_ready(client: Client) -> str:
    """Waits until an account answers and returns its address."""
    end = time.monotonic() + _READY_SECONDS
    while True:
        try:
            info = await client.call(client.account.GetIdentityInfo, account_pb.GetIdentityInfoRequest())
        except ConnectorError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(_POLL_SECONDS)
            continue
        return str(info.account.address)


def percentile(values: list[float], share: float) -> float:
    """Returns the value below which a share of all values lies."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


async def in_turns(works: Sequence[Callable[[], Awaitable[float]]], count: int) -> list[tuple[float, float]]:
    """Runs each several times in turns; returns the medians of processor and real seconds for one of `count` units."""
    samples: list[list[tuple[float, float]]] = [[] for _ in works]
    for work in works:
        await work()
    for _ in range(_ROUNDS):
        for work, figures in zip(works, samples, strict=True):
            before = time.process_time()
            wall = await work()
            figures.append(((time.process_time() - before) / count, wall / count))
    return [(median(cpu for cpu, _ in figures), median(wall for _, wall in figures)) for figures in samples]
