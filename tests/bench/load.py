"""The client side of service suites, in a process of its own so that its processor time does not count.

`LoadProcess` starts it; it takes one order a line as JSON on standard input and answers each with one line.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc

from enmeshed.connector.v1 import events_service_pb2, files_service_pb2
from enmeshed_client import Connector, download, upload
from enmeshed_connector.cli.loop import run

_START_SECONDS = 60
_LINE_BYTES = 64 * 1024 * 1024
_STREAMS_PER_CHANNEL = 100


class LoadProcess:
    """A running client process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator[LoadProcess]:
        """Runs one for the length of a block."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.bench.load"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
        )
        try:
            yield cls(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            async with asyncio.timeout(_START_SECONDS):
                await process.wait()

    async def do(self, order: str, **arguments: Any) -> Any:
        """Has something done and returns the answer.

        Args:
            order: One of the functions below.
            arguments: What it takes.
        """
        await self.begin(order, **arguments)
        return await self.answer()

    async def begin(self, order: str, **arguments: Any) -> None:
        """Has something done; `answer` gives the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([order, arguments]).encode() + b"\n")
        await self._process.stdin.drain()

    async def answer(self) -> Any:
        """Returns the next answer."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load process ended")
        return json.loads(line)


async def calls(
    target: str, method: str, request: str, metadata: Sequence[tuple[str, str]], count: int, at_once: int
) -> float:
    """Makes unary calls with one request over and over, and returns the seconds that they took.

    Args:
        target: Host and port.
        method: The full name.
        request: Serialised, as base64.
        metadata: For each call.
        count: How many calls.
        at_once: How many are under way.
    """
    payload = base64.b64decode(request)
    pairs = tuple((name, value) for name, value in metadata)
    async with grpc.aio.insecure_channel(target, [("grpc.max_receive_message_length", -1)]) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        await call(payload, metadata=pairs)
        rest = iter(range(count))

        async def some() -> None:
            for _ in rest:
                await call(payload, metadata=pairs)

        begin = time.perf_counter()
        await asyncio.gather(*(some() for _ in range(at_once)))
        return time.perf_counter() - begin


async def each_once(
    target: str, method: str, requests: Sequence[str], metadata: Sequence[tuple[str, str]], at_once: int
) -> float:
    """Makes a unary call with each of some requests, and returns the seconds that they took.

    Args:
        target: Host and port.
        method: The full name.
        requests: Serialised, as base64.
        metadata: For each call.
        at_once: How many are under way.
    """
    pairs = tuple((name, value) for name, value in metadata)
    async with grpc.aio.insecure_channel(target) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        rest = iter([base64.b64decode(request) for request in requests])

        async def some() -> None:
            for payload in rest:
                await call(payload, metadata=pairs)

        begin = time.perf_counter()
        await asyncio.gather(*(some() for _ in range(at_once)))
        return time.perf_counter() - begin


async def transfers(target: str, api_key: str, account: str, size: int, count: int) -> None:
    """Uploads a file and downloads it again, several times; says each time when it is done with either."""
    content = os.urandom(size)
    metadata = files_service_pb2.UploadMetadata(filename="bench.bin", media_type="application/octet-stream")
    metadata.expire_time.FromJsonString("2099-01-01T00:00:00Z")
    async with Connector(target, api_key=api_key, account=account) as client:
        for _ in range(count):
            begin = time.perf_counter()
            file = await upload(client, content, metadata)
            await _order_after(time.perf_counter() - begin)
            begin = time.perf_counter()
            arrived = await download(client.files.DownloadFile(files_service_pb2.DownloadFileRequest(id=file.id)))
            seconds = time.perf_counter() - begin
            assert hashlib.sha256(arrived.content).digest() == hashlib.sha256(content).digest(), "another content"
            await _order_after(seconds)


async def catch_up(target: str, api_key: str, account: str, types: Sequence[str]) -> tuple[int, float]:
    """Reads all stored events and returns how many there were, and the seconds from the first to the last batch."""
    request = events_service_pb2.SubscribeRequest(types=types)
    setattr(request, "from", events_service_pb2.SUBSCRIPTION_START_BEGINNING)
    async with Connector(target, api_key=api_key, account=account) as client:
        found = 0
        begin = time.perf_counter()
        async for frame in client.events.Subscribe(request):
            found += len(frame.events.events)
            if frame.HasField("caught_up"):
                break
        return found, time.perf_counter() - begin


async def subscribe(target: str, api_key: str, account: str, count: int, events: int) -> list[list[float]]:
    """Opens subscriptions, answers once when all are live, and again with the moments at which each got each event.

    Args:
        target: Host and port.
        api_key: A key.
        account: The account.
        count: How many subscriptions.
        events: After how many each ends; 0: at the next order.
    """
    request = events_service_pb2.SubscribeRequest(types=["**"])
    live = asyncio.Semaphore(0)

    async def follow(client: Connector) -> list[float]:
        moments: list[float] = []
        async for frame in client.events.Subscribe(request):
            if frame.HasField("caught_up"):
                live.release()
            moments += [time.monotonic()] * len(frame.events.events)
            if events and len(moments) >= events:
                break
        return moments

    clients = [
        # Each channel its own connection; by default those of one target share one.
        Connector(target, api_key=api_key, account=account, options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(-(-count // _STREAMS_PER_CHANNEL))
    ]
    tasks = [asyncio.create_task(follow(clients[number // _STREAMS_PER_CHANNEL])) for number in range(count)]
    for _ in range(count):
        await live.acquire()
    if events:
        _say(None)
        moments = list(await asyncio.gather(*tasks))
    else:
        await _order_after(None)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        moments = []
    for client in clients:
        await client.__aexit__(None, None, None)
    return moments


_ORDERS: Mapping[str, Callable[..., Coroutine[Any, Any, Any]]] = {
    order.__name__: order for order in (calls, each_once, transfers, catch_up, subscribe)
}


async def _order_after(answer: Any) -> None:
    """Answers and waits for the word to go on."""
    _say(answer)
    await asyncio.to_thread(sys.stdin.readline)


def _say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def main() -> None:
    """Takes orders until the input ends."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        order, arguments = json.loads(line)
        if order in _ORDERS:
            _say(await _ORDERS[order](**arguments))


if __name__ == "__main__":
    run(main())
