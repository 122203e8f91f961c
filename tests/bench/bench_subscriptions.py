"""What event streams cost: `python -m tests.bench.bench_subscriptions [--json FILE]`.

The Connector runs in this process, subscribers and the Backbone in processes of their own. The clock of the moments is
the machine's, which all its processes share.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from enmeshed_connector.cli.loop import run
from enmeshed_connector.storage import Store
from tests.bench.cpu import resident_bytes
from tests.bench.harness import Report, run_suite
from tests.bench.load import LoadProcess
from tests.bench.service import API_KEY, Hosted, hosted, percentile
from tests.support.backbone import BackboneProcess

EVENTS = 40_000
EVENTS_A_COMMIT = 200
CATCH_UPS = 3
LIVE_EVENTS = 100
PAUSE_SECONDS = 0.03
IDLE_SUBSCRIBERS = 1000
IDLE_SECONDS = 20
AIM_EVENTS_PER_SECOND = 20_000
AIM_LIVE_MILLISECONDS = 5.0
AIM_IDLE_SHARE, AIM_IDLE_KIB = 0.02, 30.0


def main(_arguments: argparse.Namespace) -> Report:
    """Returns the figures."""
    report = Report("Event streams", "python -m tests.bench.bench_subscriptions")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        run(_measure(report, Path(folder)))
    return report


async def _measure(report: Report, folder: Path) -> None:
    async with (
        BackboneProcess.start() as backbone,
        LoadProcess.start() as load,
        hosted(backbone.base_url, folder, "alice") as service,
    ):
        await _idle(report, service, load)
        for subscribers in (1, 100):
            await _live(report, service, load, subscribers)
        await _catch_up(report, service, load)


async def _catch_up(report: Report, service: Hosted, load: LoadProcess) -> None:
    store = _store(service)
    numbers = itertools.count()
    for _ in range(EVENTS // EVENTS_A_COMMIT):
        await _commit(store, numbers, EVENTS_A_COMMIT)
    samples = []
    for _ in range(CATCH_UPS):
        before = time.process_time()
        found, wall = await load.do("catch_up", **_reader(service), types=["transport.**"])
        samples.append(((time.process_time() - before) / found, wall / found))
        assert found >= EVENTS, f"{found} events arrived"
    cpu, wall = (median(column) for column in zip(*samples, strict=True))
    report.add(
        f"catch-up, {EVENTS:,} events of mails",
        aim=f"≥{AIM_EVENTS_PER_SECOND:,}/s",
        is_met=1 / wall >= AIM_EVENTS_PER_SECOND,
        per_second=1 / wall,
        cpu_us=cpu * 1e6,
        per_core_second=1 / cpu,
    )


async def _live(report: Report, service: Hosted, load: LoadProcess, subscribers: int) -> None:
    store = _store(service)
    numbers = itertools.count()
    await load.begin("subscribe", **_reader(service), count=subscribers, events=LIVE_EVENTS)
    await load.answer()
    begun, committed = [], []
    before = time.process_time()
    for _ in range(LIVE_EVENTS):
        begun.append(time.monotonic())
        await _commit(store, numbers, 1)
        committed.append(time.monotonic())
        await asyncio.sleep(PAUSE_SECONDS)
    moments: list[list[float]] = await load.answer()
    seconds = time.process_time() - before
    waits = [at - since for stream in moments for at, since in zip(stream, committed, strict=True)]
    whole = [at - since for stream in moments for at, since in zip(stream, begun, strict=True)]
    report.add(
        f"commit to subscriber, {subscribers} of them",
        aim=f"p50 <{AIM_LIVE_MILLISECONDS:.0f} ms",
        is_met=median(waits) * 1000 < AIM_LIVE_MILLISECONDS,
        p50_ms=median(waits) * 1000,
        p95_ms=percentile(waits, 0.95) * 1000,
        p50_with_commit_ms=median(whole) * 1000,
        cpu_us=seconds / LIVE_EVENTS / subscribers * 1e6,
    )


async def _idle(report: Report, service: Hosted, load: LoadProcess) -> None:
    # Once for what the first of its kind leaves behind.
    for count in (10, IDLE_SUBSCRIBERS):
        memory = resident_bytes()
        await load.begin("subscribe", **_reader(service), count=count, events=0)
        await load.answer()
        each = (resident_bytes() - memory) / count
        if count == IDLE_SUBSCRIBERS:
            before = time.process_time()
            await asyncio.sleep(IDLE_SECONDS)
            share = (time.process_time() - before) / IDLE_SECONDS
        await load.begin("go on")
        await load.answer()
    report.add(
        f"{IDLE_SUBSCRIBERS:,} idle subscribers, a heartbeat each 15 s",
        aim=f"<{AIM_IDLE_SHARE:.0%} of a core",
        is_met=share < AIM_IDLE_SHARE,
        core_percent=share * 100,
    )
    report.add(
        "memory of an idle subscriber",
        aim=f"<{AIM_IDLE_KIB:.0f} KiB",
        is_met=each < AIM_IDLE_KIB * 1024,
        kib=each / 1024,
    )


def _store(service: Hosted) -> Store:
    return service.connector.accounts.runtime("alice").store


def _reader(service: Hosted) -> dict[str, Any]:
    return {"target": service.target, "api_key": API_KEY, "account": "alice"}


async def _commit(store: Store, numbers: itertools.count[int], count: int) -> None:
    """Commits events of received mails."""
    async with store.begin() as uow:
        for _ in range(count):
            number = next(numbers)
            peer = "did:e:localhost:dids:0123456789abcdef012345"
            own = "did:e:localhost:dids:0123456789abcdef543210"
            message = {
                "@type": "Message",
                "id": f"MSG{number:017}",
                "isOwn": False,
                "createdAt": "2026-01-31T12:00:00.000Z",
                "createdBy": peer,
                "createdByDevice": "DVC00000000000000001",
                "receivedByEveryone": True,
                "recipients": [{"address": own, "relationshipId": "REL00000000000000001"}],
                "attachments": [],
                "content": {
                    "@type": "Mail",
                    "to": [own],
                    "cc": [],
                    "subject": f"Invoice {number}",
                    "body": "Please find the invoice of this month attached; it is due within thirty days.",
                },
            }
            event = {
                "type": "transport.messageReceived",
                "id": f"{number:020}",
                "createdAt": "2026-01-31T12:00:00.000Z",
                "origin": "EXTERNAL",
                "data": message,
            }
            uow.emit(event, subjects=["REL00000000000000001", peer])
        await uow.commit()


if __name__ == "__main__":
    sys.exit(run_suite(__doc__.partition("\n")[0], main))
