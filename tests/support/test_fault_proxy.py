"""The fault proxy does what its rules say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.support.fault_proxy import FaultProxy, Rules


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """Gives the port of a server that sends everything back."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await asyncio.gather(*tasks, return_exceptions=True)
    await server.wait_closed()


@pytest.fixture
async def proxy(echo: int) -> AsyncIterator[FaultProxy]:
    async with FaultProxy("127.0.0.1", echo) as proxy:
        yield proxy


class Line:
    """A client's connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, proxy: FaultProxy) -> Line:
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    async def say(self, text: bytes) -> None:
        self.writer.write(text)
        await self.writer.drain()

    async def hear(self, count: int) -> bytes:
        return await self.reader.readexactly(count)

    async def is_reset(self) -> bool:
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionResetError:
            return True
        return False

    def close(self) -> None:
        self.writer.close()


async def test_without_rules_everything_passes(proxy: FaultProxy) -> None:
    line = await Line.open(proxy)
    await line.say(b"x" * 300_000)
    assert await line.hear(300_000) == b"x" * 300_000
    line.writer.write_eof()
    assert not await line.is_reset()
    assert proxy.accepted == 1
    line.close()


async def test_a_refused_connection_is_reset(proxy: FaultProxy) -> None:
    proxy.script(Rules(refuse=True))
    line = await Line.open(proxy)
    assert await line.is_reset()
    line.close()
    line = await Line.open(proxy)
    await line.say(b"hello")
    assert await line.hear(5) == b"hello"
    line.close()


async def test_rules_begin_with_their_text_even_when_it_comes_in_two_pieces(proxy: FaultProxy) -> None:
    proxy.script(Rules(when=b"POST /now", cut_answer_after=0))
    line = await Line.open(proxy)
    await line.say(b"GET /before ... PO")
    assert await line.hear(18) == b"GET /before ... PO"
    await line.say(b"ST /now")
    assert await line.is_reset()
    line.close()


async def test_an_answer_is_cut_after_exactly_so_many_bytes(proxy: FaultProxy) -> None:
    proxy.script(Rules(cut_answer_after=7))
    line = await Line.open(proxy)
    await line.say(b"0123456789")
    received = b""
    try:
        while piece := await line.reader.read(100):
            received += piece
    except ConnectionResetError:
        pass
    # A reset may overtake what was sent before it.
    assert received in {b"0123456", b""}
    line.close()


async def test_what_is_swallowed_never_arrives_and_nobody_is_told(proxy: FaultProxy) -> None:
    proxy.script(Rules(swallow_request=True), Rules(swallow_answer=True))
    for _ in range(2):
        line = await Line.open(proxy)
        await line.say(b"hello")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await line.hear(1)
        line.close()


async def test_new_rules_can_be_put_on_open_connections(proxy: FaultProxy) -> None:
    line = await Line.open(proxy)
    await line.say(b"before")
    assert await line.hear(6) == b"before"
    proxy.apply(Rules(cut_request_after=0))
    await line.say(b"after")
    assert await line.is_reset()
    line.close()


async def test_all_open_connections_can_be_cut(proxy: FaultProxy) -> None:
    lines = [await Line.open(proxy) for _ in range(3)]
    for line in lines:
        await line.say(b"x")
        await line.hear(1)
    proxy.cut()
    for line in lines:
        assert await line.is_reset()
        line.close()


async def test_delay_and_throttle_let_everything_through_in_order(proxy: FaultProxy) -> None:
    proxy.script(Rules(delay=timedelta(milliseconds=2), bytes_per_second=10_000_000))
    line = await Line.open(proxy)
    text = bytes(range(256)) * 1000
    await line.say(text)
    assert await line.hear(len(text)) == text
    line.close()


async def test_a_server_that_is_away_looks_like_a_reset() -> None:
    async with FaultProxy("127.0.0.1", 1) as proxy:
        line = await Line.open(proxy)
        assert await line.is_reset()
        line.close()
