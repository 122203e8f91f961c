"""How much the embedded Backbone carries: small authenticated requests and message posts, 16 in flight.

    python -m tests.bench.bench_backbone

The server is a process of its own. Both it and the clients are pinned to one core each where the system allows that.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.harness import Report, run_suite
from tests.support.backbone import BackboneProcess
from tests.support.backbone_client import KEY, Device, b64u, new_identity, open_http, relate

IN_FLIGHT = 16
READS_PER_REPEAT = 2_000
POSTS_PER_REPEAT = 500
READS_AIM = 1_500
POSTS_AIM = 400

Call = Callable[[aiohttp.ClientSession], Awaitable[None]]


def main(arguments: argparse.Namespace) -> Report:
    """Measures a Backbone in memory and one with a file."""
    report = Report("Embedded Backbone, 16 requests in flight", "python -m tests.bench.bench_backbone")
    report.notes.append(
        "Server and clients are one process each, pinned to one core each. With a file a message is durable "
        "(WAL, synchronous=FULL) before its post is answered."
    )
    repeats = min(arguments.repeats, 7)
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("memory", ":memory:"), ("file", str(Path(folder) / "backbone.db"))):
            asyncio.run(_measure(report, name, data, repeats))
    return report


async def _measure(report: Report, name: str, data: str, repeats: int) -> None:
    flags = ("--data", data, "--max-unreceived-messages", str(POSTS_PER_REPEAT), "--token-lifetime", "3600")
    async with BackboneProcess.start(*flags) as process, open_http(process.base_url) as http:
        _pin(process.process.pid)
        anna = await new_identity(http)
        headers = {"Authorization": f"Bearer {anna.token}"}
        connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
        async with aiohttp.ClientSession(process.base_url, headers=headers, connector=connector) as session:

            async def rate_of_posts() -> float:
                # Nobody fetches, so every repeat has a recipient of its own.
                recipient = await new_identity(http)
                await relate(anna, recipient)
                return await _rate(session, _post_message(recipient), POSTS_PER_REPEAT)

            async def rate_of_reads() -> float:
                return await _rate(session, _read_device(), READS_PER_REPEAT)

            for what, measure, aim in (
                ("small authenticated reads", rate_of_reads, READS_AIM),
                ("message posts", rate_of_posts, POSTS_AIM if name == "file" else None),
            ):
                # The first one warms up.
                rates = [await measure() for _ in range(repeats + 1)][1:]
                median = statistics.median(rates)
                report.add(
                    f"{what}, {name}",
                    aim=None if aim is None else f"{aim:,}/s",
                    is_met=None if aim is None else median >= aim,
                    per_second=median,
                    slowest_repeat=min(rates),
                    fastest_repeat=max(rates),
                    repeats=repeats,
                )


def _read_device() -> Call:
    async def call(session: aiohttp.ClientSession) -> None:
        async with session.get("/api/v2/Devices/Self") as response:
            await response.read()
            assert response.status == 200

    return call


def _post_message(recipient: Device) -> Call:
    body: dict[str, Any] = {
        "recipients": [{"address": recipient.address, "encryptedKey": KEY}],
        "body": b64u(bytes(500)),
        "attachments": [],
    }

    async def call(session: aiohttp.ClientSession) -> None:
        async with session.post("/api/v2/Messages", json=body) as response:
            await response.read()
            assert response.status == 201

    return call


async def _rate(session: aiohttp.ClientSession, call: Call, count: int) -> float:
    left = iter(range(count))

    async def client() -> None:
        for _ in left:
            await call(session)

    begin = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
    return count / (time.perf_counter() - begin)


def _pin(server: int) -> None:
    """Gives server and clients a core each, so that the figures are those of one core."""
    with contextlib.suppress(AttributeError, OSError):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) >= 2:
            os.sched_setaffinity(server, {cores[0]})
            os.sched_setaffinity(0, set(cores[1:]))


if __name__ == "__main__":
    sys.exit(run_suite(__doc__ or "", main))
