"""What calls about attributes and requests cost: `python -m tests.bench.bench_consumption [--json FILE]`.

The Connector that is measured runs in this process; the Backbone, the peer's Connector and the client have processes of
their own. Ratios come from one run: what a figure is compared with is measured between its own batches.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from enmeshed.connector.v1 import (
    account_service_pb2,
    attributes_service_pb2,
    incoming_requests_service_pb2,
    messages_service_pb2,
    request_pb2,
)
from enmeshed_client import Connector as Client
from enmeshed_connector.cli.loop import run
from tests.bench.harness import Report, run_suite
from tests.bench.load import LoadProcess
from tests.bench.service import API_KEY, Hosted, address_when_ready, as_environment, hosted, in_turns, settings_of
from tests.support.backbone import BackboneProcess
from tests.support.connector import relate_clients
from tests.support.connector_process import ConnectorProcess

PACKAGE = "enmeshed.connector.v1"
BACKBONE_FLAGS = ("--max-unreceived-messages=100000",)
SIZES = (60, 200)
AIMS_MS = {60: 0.7}
"""The official Connector takes 3.4 ms for 60 attributes."""
LISTS_A_ROUND = 60
ITEMS = 10
REQUESTS = 40
UNDECIDED = (
    request_pb2.LOCAL_REQUEST_STATUS_DECISION_REQUIRED,
    request_pb2.LOCAL_REQUEST_STATUS_MANUAL_DECISION_REQUIRED,
)


def main(_arguments: argparse.Namespace) -> Report:
    """Returns the figures."""
    report = Report("Attributes and requests: what calls cost", "python -m tests.bench.bench_consumption")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        run(_measure(report, Path(folder)))
    return report


async def _measure(report: Report, folder: Path) -> None:
    async with AsyncExitStack() as stack:
        backbone = await stack.enter_async_context(BackboneProcess.start(*BACKBONE_FLAGS))
        load = await stack.enter_async_context(LoadProcess.start())
        service = await stack.enter_async_context(hosted(backbone.base_url, folder / "alice", "alice"))
        alice = await stack.enter_async_context(service.client("alice"))
        made = 0
        for size in SIZES:
            await _create_attributes(alice, made, size)
            made = size
            await _list_attributes(report, size, service, alice, load)
        async with _peer(backbone.base_url, folder / "bob") as bob:
            await address_when_ready(bob)
            await relate_clients(alice, bob)
            await _accept(report, service, alice, bob, load)


@asynccontextmanager
async def _peer(backbone_url: str, folder: Path) -> AsyncIterator[Client]:
    """Runs a Connector with the account bob in a process of its own, and gives a client of it."""
    async with (
        ConnectorProcess(as_environment(settings_of(backbone_url, folder, ("bob",)))) as process,
        Client(f"localhost:{await process.port()}", api_key=API_KEY, account="bob") as client,
    ):
        yield client


async def _create_attributes(client: Client, first: int, end: int) -> None:
    for number in range(first, end):
        request = attributes_service_pb2.CreateAttributeRequest(tags=["x:bench"])
        value = request.value
        match number % 4:
            case 0:
                value.email_address.value = f"ada.{number}@example.org"
            case 1:
                value.given_name.value = f"Ada {number}"
            case 2:
                value.phone_number.value = f"+49 6221 {number}"
            case _:
                address = value.street_address
                address.recipient, address.street, address.house_no = "Ada Lovelace", "Hauptstrasse", str(number)
                address.zip_code, address.city, address.country = "69117", "Heidelberg", "DE"
        await client.call(client.service("Attributes").CreateAttribute, request)


async def _list_attributes(report: Report, size: int, service: Hosted, alice: Client, load: LoadProcess) -> None:
    """Compares a list with an empty handler that answers with the same bytes, on a server without interceptors."""
    request = attributes_service_pb2.ListAttributesRequest(page_size=size)
    answer = await alice.call(alice.service("Attributes").ListAttributes, request)
    assert len(answer.attributes) == size
    name = "ListAttributes"
    method = f"/{PACKAGE}.Attributes/{name}"

    async def same(_request: Any, _context: Any) -> Any:
        return answer

    handler = grpc.unary_unary_rpc_method_handler(
        same,
        attributes_service_pb2.ListAttributesRequest.FromString,
        attributes_service_pb2.ListAttributesResponse.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(f"{PACKAGE}.Attributes", {name: handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def calls(target: str) -> float:
        seconds: float = await load.do(
            "calls",
            target=target,
            method=method,
            request=_base64(request),
            metadata=service.metadata("alice"),
            count=LISTS_A_ROUND,
            at_once=4,
        )
        return seconds

    (least_cpu, least_wall), (whole_cpu, whole_wall) = await in_turns(
        [lambda: calls(f"127.0.0.1:{port}"), lambda: calls(service.target)], LISTS_A_ROUND
    )
    await server.stop(None)
    report.add(
        f"handler that only answers with these {size} attributes", cpu_ms=least_cpu * 1000, per_second=1 / least_wall
    )
    aim = AIMS_MS.get(size)
    report.add(
        f"{name}, {size} attributes",
        aim=None if aim is None else f"≤{aim} ms CPU",
        is_met=None if aim is None else whole_cpu * 1000 <= aim,
        cpu_ms=whole_cpu * 1000,
        per_second=1 / whole_wall,
        ratio=f"{whole_cpu / least_cpu:.2f}x",
    )


async def _accept(report: Report, service: Hosted, alice: Client, bob: Client, load: LoadProcess) -> None:
    """Measures the call that accepts, up to its answer; the response is sent by a worker meanwhile and counts too."""
    address = await address_when_ready(alice)
    for number in range(REQUESTS):
        await bob.call(bob.messages.SendRequest, _request(address, number))
    waiting = await _undecided(alice)
    requests = [
        _base64(
            incoming_requests_service_pb2.AcceptIncomingRequestRequest(
                id=identifier,
                items=[request_pb2.DecideRequestItem(accept=request_pb2.AcceptRequestItem())] * ITEMS,
            )
        )
        for identifier in waiting
    ]
    before = time.process_time()
    wall = await load.do(
        "each_once",
        target=service.target,
        method=f"/{PACKAGE}.IncomingRequests/AcceptIncomingRequest",
        requests=requests,
        metadata=service.metadata("alice"),
        at_once=1,
    )
    cpu = time.process_time() - before
    report.add(
        f"AcceptIncomingRequest, {ITEMS} items, one at a time", cpu_ms=cpu / REQUESTS * 1000, per_second=REQUESTS / wall
    )


async def _undecided(client: Client) -> list[str]:
    """Waits until all requests wait for a decision, and returns their ids."""
    async with asyncio.timeout(60):
        while True:
            await client.call(client.account.Sync, account_service_pb2.SyncRequest())
            listed = await client.call(
                client.service("IncomingRequests").ListIncomingRequests,
                incoming_requests_service_pb2.ListIncomingRequestsRequest(page_size=REQUESTS),
            )
            waiting = [request.id for request in listed.requests if request.status in UNDECIDED]
            if len(waiting) == REQUESTS:
                return waiting
            await asyncio.sleep(0.1)


def _request(recipient: str, number: int) -> messages_service_pb2.SendRequestRequest:
    """Returns a request for five consents and five attributes."""
    request = messages_service_pb2.SendRequestRequest(peer=recipient)
    for place in range(ITEMS // 2):
        consent = request.content.request.items.add().consent
        consent.must_be_accepted, consent.consent = True, f"May we keep what part {place} of the contract says?"
        create = request.content.request.items.add().create_attribute
        create.must_be_accepted = True
        create.attribute.identity.owner = recipient
        create.attribute.identity.value.email_address.value = f"ada.{number}.{place}@example.net"
    return request


def _base64(message: Any) -> str:
    return base64.b64encode(message.SerializeToString()).decode()


if __name__ == "__main__":
    sys.exit(run_suite(__doc__.partition("\n")[0], main))
