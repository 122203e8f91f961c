"""A TCP proxy that delays, throttles, cuts and swallows, as a script says: for tests of what a network does to us.

```python
async with FaultProxy("127.0.0.1", port) as proxy:
    proxy.script(Rules(cut_answer_after=0, when=b"POST /api/v2/Messages "))  # for one connection
    ...  # talk to proxy.port
```

Nothing happens by chance: each new connection takes the next rules of the script, and the default ones when it is
used up.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType

_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Rules:
    """What happens to one connection. All of it at once; the defaults let everything pass."""

    when: bytes | None = None
    """The rules begin when the client has sent this text, with the piece that completes it; None: at once."""
    refuse: bool = False
    """The connection is reset as soon as it is made; `when` does not matter."""
    delay: timedelta = timedelta()
    """Every piece waits for so long, in either direction."""
    bytes_per_second: int | None = None
    """No more than this passes, in each direction."""
    cut_request_after: int | None = None
    """After so many bytes from the client both sides are reset; 0: what completes `when` does not get through."""
    cut_answer_after: int | None = None
    """After so many bytes from the server both sides are reset; 0: the request gets through, its answer does not."""
    swallow_request: bool = False
    """What the client sends goes nowhere, and nobody is told."""
    swallow_answer: bool = False
    """What the server sends goes nowhere, and nobody is told."""


class FaultProxy:
    """Listens on a free loopback port and passes connections on to one server.

    Attributes:
        port: Where it listens.
        accepted: How many connections were made so far, refused ones included.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.accepted = 0
        self._target = (host, port)
        self._default = Rules()
        self._script: deque[Rules] = deque()
        self._live: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> FaultProxy:
        """Starts to listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops to listen and cuts all connections."""
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def script(self, *rules: Rules) -> None:
        """Appends rules, each for one of the next connections."""
        self._script.extend(rules)

    def apply(self, rules: Rules) -> None:
        """Makes these the default rules, and puts all open connections under them, counting from here."""
        self._default = rules
        for connection in self._live:
            connection.follow(rules)

    def cut(self) -> None:
        """Resets all open connections."""
        for connection in list(self._live):
            connection.reset()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Tasks of our own: asyncio would log the cancellation of those it makes itself.
        self.accepted += 1
        rules = self._script.popleft() if self._script else self._default
        task = asyncio.create_task(self._carry(rules, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, rules: Rules, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if rules.refuse:
            _reset(writer)
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        connection = _Connection(rules, writer, server_writer)
        self._live.add(connection)
        try:
            await asyncio.gather(connection.carry_request(reader), connection.carry_answer(server_reader))
        finally:
            self._live.discard(connection)
            connection.reset()


class _Connection:
    """Both directions of one connection."""

    def __init__(self, rules: Rules, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._client = client
        self._server = server
        self._rules = Rules()
        self._waiting: Rules | None = None
        self._seen = b""
        self._request_bytes = 0
        self._answer_bytes = 0
        self.follow(rules)

    def follow(self, rules: Rules) -> None:
        """Puts the connection under these rules, now or when their text has been seen."""
        self._seen = b""
        self._request_bytes = self._answer_bytes = 0
        if rules.when is None:
            self._rules, self._waiting = rules, None
        else:
            self._rules, self._waiting = Rules(), rules

    def reset(self) -> None:
        """Ends both sides with a reset."""
        _reset(self._client)
        _reset(self._server)

    async def carry_request(self, reader: asyncio.StreamReader) -> None:
        """Carries what the client sends."""
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE_BYTES):
                self._look_for_text(piece)
                rules = self._rules
                await self._wait(rules, piece)
                if rules.swallow_request:
                    continue
                allowed = _allowed(rules.cut_request_after, self._request_bytes, piece)
                self._request_bytes += len(piece)
                await _write(self._server, allowed)
                if len(allowed) < len(piece) or rules.cut_request_after == self._request_bytes:
                    self.reset()
                    return
            _end(self._server)

    async def carry_answer(self, reader: asyncio.StreamReader) -> None:
        """Carries what the server sends."""
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE_BYTES):
                rules = self._rules
                await self._wait(rules, piece)
                if rules.swallow_answer:
                    continue
                allowed = _allowed(rules.cut_answer_after, self._answer_bytes, piece)
                self._answer_bytes += len(piece)
                await _write(self._client, allowed)
                if len(allowed) < len(piece) or rules.cut_answer_after == self._answer_bytes:
                    self.reset()
                    return
            _end(self._client)

    def _look_for_text(self, piece: bytes) -> None:
        waiting = self._waiting
        if waiting is None or waiting.when is None:
            return
        self._seen += piece
        if waiting.when in self._seen:
            self._rules, self._waiting = waiting, None
            self._request_bytes = self._answer_bytes = 0
            self._seen = b""
        else:
            self._seen = self._seen[-len(waiting.when) :]

    async def _wait(self, rules: Rules, piece: bytes) -> None:
        seconds = rules.delay.total_seconds()
        if rules.bytes_per_second is not None:
            seconds += len(piece) / rules.bytes_per_second
        if seconds > 0:
            await asyncio.sleep(seconds)


def _allowed(limit: int | None, passed: int, piece: bytes) -> bytes:
    return piece if limit is None else piece[: max(limit - passed, 0)]


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data and not writer.is_closing():
        writer.write(data)
        await writer.drain()


def _end(writer: asyncio.StreamWriter) -> None:
    if not writer.is_closing() and writer.can_write_eof():
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection so that the other side sees a reset and not an orderly end."""
    if writer.is_closing():
        return
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Not `close`, which would first send what is still buffered.
    writer.transport.abort()
