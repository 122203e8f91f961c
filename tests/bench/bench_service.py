"""What calls cost: `python -m tests.bench.bench_service [--json FILE]`.

The Connector that is measured runs in this process; the Backbone, the peer's Connector and the client have processes of
their own. Ratios come from one run: what a figure is compared with is measured between its own batches.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import grpc

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import events_service_pb2 as events_pb
from enmeshed.connector.v1 import messages_service_pb2 as messages_pb
from enmeshed_client import Connector as Client
from enmeshed_connector.cli.loop import run
from enmeshed_connector.crypto import SecretKey, decrypt, encrypt
from enmeshed_connector.storage import Sort
from enmeshed_connector.transport.objects import MESSAGES
from tests.bench.cpu import process_seconds, resident_bytes
from tests.bench.harness import Report, run_suite
from tests.bench.load import LoadProcess
from tests.bench.service import (
    API_KEY,
    Hosted,
    address_when_ready,
    as_environment,
    hosted,
    in_turns,
    percentile,
    settings_of,
)
from tests.support.backbone import BackboneProcess
from tests.support.connector import relate_clients
from tests.support.connector_process import ConnectorProcess
from tests.support.mongodb import kinds_to_test, running_server

PACKAGE = "enmeshed.connector.v1"
BACKBONE_FLAGS = ("--max-unreceived-messages=100000", "--max-content-bytes=33554432", "--max-body-bytes=67108864")
"""More than real ones allow: 10 MiB are a third more once encrypted and written as text."""
PAGE = 50
SENDS = 400
LATENCIES = 60
ROUNDS = 5
CALLS_A_ROUND = 600
PAGES_A_ROUND = 40
AT_ONCE = 16
TRANSFER_BYTES = 10 * 1024 * 1024
TRANSFERS = 3
BODY = "Please find the invoice of this month attached; it is due within thirty days. " * 4


def main(_arguments: argparse.Namespace) -> Report:
    """Returns the figures."""
    report = Report("gRPC service: what calls cost", "python -m tests.bench.bench_service")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        run(_measure(report, Path(folder)))
    return report


async def _measure(report: Report, folder: Path) -> None:
    async with AsyncExitStack() as stack:
        backbone = await stack.enter_async_context(BackboneProcess.start(*BACKBONE_FLAGS))
        load = await stack.enter_async_context(LoadProcess.start())
        async with hosted(backbone.base_url, folder / "alice", "alice") as service:
            async with _peer(backbone.base_url, folder / "bob") as bob, service.client("alice") as alice:
                address = await address_when_ready(bob)
                await relate_clients(alice, bob)
                await _identity_info(report, service, load)
                await _send_message(report, service, load, address)
                await _latency(report, alice, bob, address)
            await _list_messages(report, "SQLite", service, load)
            await _transfers(report, service, load)
        await _mongodb(report, backbone.base_url, folder / "mongodb", load)
        await _start(report, backbone.base_url, folder / "idle")


@asynccontextmanager
async def _peer(backbone_url: str, folder: Path) -> AsyncIterator[Client]:
    """Runs a Connector with the account bob in a process of its own, and gives a client of it."""
    async with (
        ConnectorProcess(as_environment(settings_of(backbone_url, folder, ("bob",)))) as process,
        Client(f"localhost:{await process.port()}", api_key=API_KEY, account="bob") as client,
    ):
        yield client


async def _identity_info(report: Report, service: Hosted, load: LoadProcess) -> None:
    """Compares a read with an empty handler of the same method on a server without interceptors."""
    method = f"/{PACKAGE}.Account/GetIdentityInfo"

    async def empty(_request: account_pb.GetIdentityInfoRequest, _context: Any) -> account_pb.GetIdentityInfoResponse:
        return account_pb.GetIdentityInfoResponse()

    handler = grpc.unary_unary_rpc_method_handler(
        empty,
        account_pb.GetIdentityInfoRequest.FromString,
        account_pb.GetIdentityInfoResponse.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(f"{PACKAGE}.Account", {"GetIdentityInfo": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    def calls(target: str) -> Callable[[], Awaitable[float]]:
        async def make() -> float:
            seconds: float = await load.do(
                "calls",
                target=target,
                method=method,
                request="",
                metadata=service.metadata("alice"),
                count=CALLS_A_ROUND,
                at_once=AT_ONCE,
            )
            return seconds

        return make

    (empty_cpu, empty_wall), (whole_cpu, whole_wall) = await in_turns(
        [calls(f"127.0.0.1:{port}"), calls(service.target)], CALLS_A_ROUND
    )
    await server.stop(None)
    report.add("empty handler, no interceptors", cpu_ms=empty_cpu * 1000, per_second=1 / empty_wall)
    report.add(
        "GetIdentityInfo, all interceptors",
        aim="≥50 % of the empty handler's calls a core-second",
        is_met=empty_cpu / whole_cpu >= 0.5,
        cpu_ms=whole_cpu * 1000,
        per_second=1 / whole_wall,
        ratio=f"{empty_cpu / whole_cpu:.0%}",
    )


async def _send_message(report: Report, service: Hosted, load: LoadProcess, address: str) -> None:
    before, begin = time.process_time(), time.perf_counter()
    await load.do(
        "calls",
        target=service.target,
        method=f"/{PACKAGE}.Messages/SendMessage",
        request=_base64(_mail(address)),
        metadata=service.metadata("alice"),
        count=SENDS,
        at_once=AT_ONCE,
    )
    seconds, wall = time.process_time() - before, time.perf_counter() - begin
    report.add(f"SendMessage, {AT_ONCE} at once", cpu_ms=seconds / SENDS * 1000, per_second=SENDS / wall)


async def _latency(report: Report, alice: Client, bob: Client, address: str) -> None:
    """Measures the time from the sender's call to the event on the receiver's stream, through the Backbone."""
    request = events_pb.SubscribeRequest(types=["**"])
    stream = bob.events.Subscribe(request)
    arrivals: asyncio.Queue[tuple[float, str]] = asyncio.Queue()
    is_live = asyncio.Event()

    async def read() -> None:
        async for frame in stream:
            moment = time.perf_counter()
            if frame.HasField("caught_up"):
                is_live.set()
            for event in frame.events.events:
                if event.type == "transport.messageReceived":
                    arrivals.put_nowait((moment, event.message.id))

    reader = asyncio.create_task(read())
    await is_live.wait()
    # What was sent before is still on its way.
    while True:
        try:
            await asyncio.wait_for(arrivals.get(), 2)
        except TimeoutError:
            break
    waits, answers = [], []
    for _ in range(LATENCIES):
        begin = time.perf_counter()
        sent = await alice.call(alice.messages.SendMessage, _mail(address))
        answers.append(time.perf_counter() - begin)
        async with asyncio.timeout(30):
            while (arrival := await arrivals.get())[1] != sent.message.id:
                pass
        waits.append(arrival[0] - begin)
    stream.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    report.add("SendMessage, one at a time, to the answer", p50_ms=median(answers) * 1000)
    report.add(
        "call of the sender to event at the receiver",
        aim="p50 <50 ms",
        is_met=median(waits) < 0.05,
        p50_ms=median(waits) * 1000,
        p95_ms=percentile(waits, 0.95) * 1000,
    )


async def _list_messages(report: Report, store_name: str, service: Hosted, load: LoadProcess) -> None:
    """Compares a page with what cannot be spared: reading it from the store and encoding it."""
    request = messages_pb.ListMessagesRequest(page_size=PAGE)
    async with service.client("alice") as alice:
        page = await alice.call(alice.messages.ListMessages, request)
    assert len(page.messages) == PAGE
    store = service.connector.accounts.runtime("alice").store

    async def bare() -> float:
        begin = time.perf_counter()
        for _ in range(PAGES_A_ROUND):
            await store.find(MESSAGES, sort=[Sort("createdAt", descending=True)], limit=PAGE + 1)
            page.SerializeToString()
        return time.perf_counter() - begin

    async def calls() -> float:
        seconds: float = await load.do(
            "calls",
            target=service.target,
            method=f"/{PACKAGE}.Messages/ListMessages",
            request=_base64(request),
            metadata=service.metadata("alice"),
            count=PAGES_A_ROUND,
            at_once=4,
        )
        return seconds

    (bare_cpu, bare_wall), (whole_cpu, whole_wall) = await in_turns([bare, calls], PAGES_A_ROUND)
    report.add(f"{PAGE} mails: read from {store_name}, encode", cpu_ms=bare_cpu * 1000, per_second=1 / bare_wall)
    report.add(
        f"ListMessages, {PAGE} mails, {store_name}",
        aim="≤3x CPU of reading and encoding",
        is_met=whole_cpu / bare_cpu <= 3,
        cpu_ms=whole_cpu * 1000,
        per_second=1 / whole_wall,
        ratio=f"{whole_cpu / bare_cpu:.2f}x",
    )


async def _transfers(report: Report, service: Hosted, load: LoadProcess) -> None:
    content, key = os.urandom(TRANSFER_BYTES), SecretKey.generate()

    def seal() -> bytes:
        hashlib.sha512(content).digest()
        ciphertext = encrypt(key, content).ciphertext
        hashlib.sha512(ciphertext).digest()
        return ciphertext

    def unseal() -> None:
        hashlib.sha512(cipher.ciphertext).digest()
        hashlib.sha512(decrypt(key, cipher)).digest()

    cipher = encrypt(key, content)
    figures: dict[str, list[tuple[float, float, float]]] = {"upload": [], "download": []}
    await load.begin(
        "transfers",
        target=service.target,
        api_key=API_KEY,
        account="alice",
        size=TRANSFER_BYTES,
        count=TRANSFERS,
    )
    for _ in range(TRANSFERS):
        for name, bare in (("upload", seal), ("download", unseal)):
            before = time.process_time()
            wall = await load.answer()
            whole = time.process_time() - before
            before = time.process_time()
            bare()
            figures[name].append((whole, time.process_time() - before, wall))
            await load.begin("go on")
    await load.answer()
    for name, samples in figures.items():
        whole, least, wall = (median(column) for column in zip(*samples, strict=True))
        report.add(f"encryption and hashing of 10 MiB for an {name}", cpu_ms=least * 1000)
        report.add(f"{name} of 10 MiB", cpu_ms=whole * 1000, p50_ms=wall * 1000, ratio=f"{whole / least:.2f}x")


async def _mongodb(report: Report, backbone_url: str, folder: Path, load: LoadProcess) -> None:
    kind = kinds_to_test()[0]
    with running_server(kind, folder / "server") as server:
        overrides = {"database.driver": "pymongo", "database.connection_string": server.uri}
        async with (
            hosted(backbone_url, folder / "connector", "alice", "bob", overrides=overrides) as service,
            service.client("alice") as alice,
            service.client("bob") as bob,
        ):
            address = await address_when_ready(bob)
            await relate_clients(alice, bob)
            for _ in range(PAGE + 1):
                await alice.call(alice.messages.SendMessage, _mail(address))
            await _list_messages(report, f"{kind} by PyMongo", service, load)


async def _start(report: Report, backbone_url: str, folder: Path) -> None:
    """Measures the start of a process with an existing identity, and what it holds when idle."""
    settings = as_environment(settings_of(backbone_url, folder, ("alice",)))
    starts = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        async with ConnectorProcess(settings) as process:
            async with Client(f"localhost:{await process.port()}", api_key=API_KEY, account="alice") as client:
                await address_when_ready(client)
            starts.append((time.perf_counter() - begin, process_seconds(process.process.pid)))
            memory = resident_bytes(process.process.pid)
            await process.stop()
    # The first one made the identity.
    wall, cpu = (median(column) for column in zip(*starts[1:], strict=True))
    report.add(
        "start to the first answer, existing identity",
        aim="<1.5 s",
        is_met=wall < 1.5,
        cpu_ms=cpu * 1000,
        p50_ms=wall * 1000,
    )
    report.add("memory, idle", aim="<90 MB", is_met=memory < 90e6, mb=memory / 1e6)


def _mail(address: str) -> messages_pb.SendMessageRequest:
    request = messages_pb.SendMessageRequest(recipients=[address])
    request.content.mail.to.append(address)
    request.content.mail.subject = "Invoice"
    request.content.mail.body = BODY
    return request


def _base64(message: Any) -> str:
    return base64.b64encode(message.SerializeToString()).decode()


if __name__ == "__main__":
    sys.exit(run_suite(__doc__.partition("\n")[0], main))
