"""An HTTP server that says exactly what a test tells it to, byte for byte, well-formed or not.

Each request takes the next step of the script: bytes to send, or a function that is given the request and the
connection. The requests are kept for the test to look at.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's names and values."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, list[str]]:
        """The body as a form in a URL's encoding."""
        return parse_qs(self.body.decode("ascii"), keep_blank_values=True)


Step = bytes | Callable[[Request, asyncio.StreamWriter], Awaitable[None]]
"""What happens after a request. Bytes are sent as they are; with `Connection: close` in them the connection ends."""

TOKEN_LIFETIME = 300


class ScriptedServer:
    """Listens on a free loopback port.

    Attributes:
        port: Where it listens.
        requests: All requests so far, token requests left out.
        logins: All token requests so far.
        connections: How many connections were made.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self.requests: list[Request] = []
        self.logins: list[Request] = []
        self.connections = 0
        self.grants_tokens = True
        """Whether `/connect/token` is answered here, with `token-1`, `token-2`, …; else it is a request as others."""
        self._tls = tls
        self._script: deque[Step] = deque()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        """The address."""
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    def script(self, *steps: Step) -> None:
        """Appends steps, each for one of the next requests."""
        self._script.extend(steps)

    async def __aenter__(self) -> ScriptedServer:
        """Starts to listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends all connections."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Tasks of our own: asyncio would log the cancellation of those it makes itself.
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                request = await _rest_of(head, reader)
                await self._answer(request, writer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if self.grants_tokens and request.path == "/connect/token":
            self.logins.append(request)
            writer.write(plain({"access_token": f"token-{len(self.logins)}", "expires_in": TOKEN_LIFETIME}))
            return
        self.requests.append(request)
        step = (
            self._script.popleft() if self._script else error(500, "error.platform.unexpected", "script is at its end")
        )
        if isinstance(step, bytes):
            writer.write(step)
            if b"connection: close" in step.partition(b"\r\n\r\n")[0].lower():
                await writer.drain()
                writer.close()
        else:
            await step(request, writer)


def answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """Returns a well-formed answer."""
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def plain(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """Returns an answer with JSON."""
    body = json.dumps(value).encode("utf-8")
    return answer(status, body, {"Content-Type": "application/json", **(headers or {})})


def result(value: Any, status: int = 200, pagination: Any = None, headers: Mapping[str, str] | None = None) -> bytes:
    """Returns a success in the Backbone's envelope."""
    envelope = {"result": value} if pagination is None else {"result": value, "pagination": pagination}
    return plain(envelope, status, headers)


def error(status: int, code: str, message: str = "It failed.", data: Any = None, **headers: str) -> bytes:
    """Returns an error in the Backbone's envelope."""
    envelope = {
        "error": {
            "id": "ERRABCDEFGHJKLMNPQR1",
            "code": code,
            "message": message,
            "docs": "",
            "time": "2026-11-24T06:00:00.1234567Z",
            "data": data,
        }
    }
    return plain(envelope, status, {name.replace("_", "-"): value for name, value in headers.items()})


async def hang_up(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Ends the connection without an answer."""
    writer.close()


async def stay_silent(_request: Request, _writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.Event().wait()


async def _rest_of(head: bytes, reader: asyncio.StreamReader) -> Request:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)
