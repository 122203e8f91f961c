"""What sending, receiving and committing cost: `python -m tests.bench.bench_runtime [--json FILE]`.

The Backbone runs in a process of its own, so that its processor time does not count; the way to it is the real one,
HTTP over a socket, and the store is SQLite with a sync of the disk at each commit.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from enmeshed_connector.backbone import BackboneGateway, BackboneHttp, BackboneTarget, HttpSettings
from enmeshed_connector.cli.loop import run
from enmeshed_connector.core.clock import SystemClock
from enmeshed_connector.core.ids import IdMaker
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.storage import CollectionSpec
from enmeshed_connector.storage.sqlite import SqliteDatabases
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.context import TransportSettings
from enmeshed_connector.transport.environment import Environment
from enmeshed_connector.transport.objects import MESSAGES
from tests.bench.cpu import CpuMeter, CpuUse
from tests.bench.harness import Report, run_suite, timing
from tests.support.backbone import BackboneProcess
from tests.support.network import befriend

MESSAGE_COUNT = 1000
WARM_UP = 100
SENDERS = 16
COMMITS = 4000
IN_FLIGHT = 20
COMMIT_ROUNDS = 5
AIM_MILLISECONDS = 1.5
AIM_COMMITS_PER_SECOND = 2000
_THINGS = CollectionSpec("Things", indexes=("status",))


def main(_arguments: argparse.Namespace) -> Report:
    """Returns the figures."""
    report = Report("Runtime core: processor time and commits", "python -m tests.bench.bench_runtime")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        run(_measure_messages(report, Path(folder)))
        run(_measure_commits(report, Path(folder)))
    report.notes.append("Milliseconds of processor time of the Connector alone, for one message; SQLite, synced.")
    return report


async def _measure_messages(report: Report, folder: Path) -> None:
    async with (
        BackboneProcess.start("--max-unreceived-messages", str(10 * MESSAGE_COUNT)) as backbone,
        _account(backbone, folder, "alice") as alice,
        _account(backbone, folder, "bob") as bob,
    ):
        await befriend(alice, bob)
        await _send(alice, bob, WARM_UP)
        await bob.sync.sync()
        for senders in (1, SENDERS):
            with CpuMeter() as sending:
                await _send(alice, bob, MESSAGE_COUNT, senders)
            _add(report, f"send {MESSAGE_COUNT:,} messages, {senders} at once", sending, MESSAGE_COUNT)
        with CpuMeter() as receiving:
            await bob.sync.sync()
        waiting = 2 * MESSAGE_COUNT
        stored = await bob.context.store.count(MESSAGES)
        assert stored == waiting + WARM_UP, f"{stored} messages arrived"
        _add(report, f"sync {waiting:,} waiting messages", receiving, waiting)


def _add(report: Report, name: str, use: CpuUse, count: int) -> None:
    milliseconds = use.milliseconds_by_part(count)
    report.add(
        name,
        aim=f"≤{AIM_MILLISECONDS} ms",
        is_met=milliseconds["all"] <= AIM_MILLISECONDS,
        **{f"{part}_ms": value for part, value in milliseconds.items()},
        per_second=count / use.wall_seconds,
    )


async def _send(sender: TransportAccount, recipient: TransportAccount, count: int, at_once: int = SENDERS) -> None:
    address = str(recipient.context.identity.address)
    numbers = iter(range(count))

    async def send_some() -> None:
        for number in numbers:
            content = {
                "@type": "Mail",
                "to": [address],
                "subject": f"Invoice {number}",
                "body": "Please find the invoice of this month attached; it is due within thirty days.",
            }
            await sender.messages.send([address], content)

    await asyncio.gather(*(send_some() for _ in range(at_once)))


@asynccontextmanager
async def _account(backbone: BackboneProcess, folder: Path, name: str) -> AsyncIterator[TransportAccount]:
    """Opens an account with its own store and its own connections, and a new identity."""
    clock = SystemClock()
    store = await SqliteDatabases(folder, clock=clock).open(f"acc-{name}")
    async with BackboneHttp(HttpSettings()) as http:
        target = BackboneTarget(backbone.base_url, "test", SecretText("test"))
        environment = Environment(
            account=name,
            settings=TransportSettings(base_url=backbone.base_url, client_id="test", client_secret="test"),
            store=store,
            gateway=BackboneGateway(http, target, clock=clock, random=os.urandom),
            clock=clock,
            random=os.urandom,
            ids=IdMaker(os.urandom),
            worker="bench",
        )
        account = await open_account(environment)
        await account.start()
        try:
            yield account
        finally:
            await store.close()


async def _measure_commits(report: Report, folder: Path) -> None:
    store = await SqliteDatabases(folder).open("commits", [_THINGS])
    rounds = []
    number = 0
    with CpuMeter() as use:
        for _ in range(COMMIT_ROUNDS):
            numbers = iter(range(number, number + COMMITS // COMMIT_ROUNDS))
            number += COMMITS // COMMIT_ROUNDS

            async def commit_some(numbers: Iterator[int] = numbers) -> None:
                for one in numbers:
                    async with store.begin() as uow:
                        uow.insert("Things", {"id": f"THI{one}", "status": "New", "text": "x" * 200})
                        uow.emit({"type": "thing.created", "data": {"id": f"THI{one}"}}, subjects=[f"THI{one}"])
                        await uow.commit()

            begin = time.perf_counter()
            await asyncio.gather(*(commit_some() for _ in range(IN_FLIGHT)))
            rounds.append((time.perf_counter() - begin) / (COMMITS / COMMIT_ROUNDS))
    await store.close()
    per_second = 1 / timing(rounds).median_seconds
    report.add(
        f"commits to the log, {IN_FLIGHT} in flight",
        aim=f"≥{AIM_COMMITS_PER_SECOND:,}/s",
        is_met=per_second >= AIM_COMMITS_PER_SECOND,
        all_ms=use.seconds / COMMITS * 1000,
        per_second=per_second,
    )


if __name__ == "__main__":
    sys.exit(run_suite(__doc__.partition("\n")[0], main))
