"""A Backbone behind something that fails: real HTTP, and for each request a rule that may spoil it or its answer.

```python
async with FaultyBackbone(network.backbone) as faulty:
    faulty.spoil(FAULTS["500"], path="/SyncRuns")
    ...  # talk to faulty.base_url
    faulty.recover()
```
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

import httpx

from enmeshed_backbone.app import Backbone
from tests.support.scripted_http import Request, ScriptedServer, answer, error, plain

Spoil = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]
"""Answers instead of the Backbone; takes the answer that the Backbone gave, empty when it was not asked."""

_HOP_BY_HOP = frozenset({"content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True)
class Fault:
    """One way to fail.

    Attributes:
        spoil: What is answered.
        is_asked: Whether the Backbone carries out the request before its answer is spoilt.
    """

    spoil: Spoil
    is_asked: bool = False


def _says(data: bytes) -> Spoil:
    async def spoil(writer: asyncio.StreamWriter, genuine: bytes) -> None:
        writer.write(data)

    return spoil


async def _hangs_up(writer: asyncio.StreamWriter, genuine: bytes) -> None:
    writer.close()


async def _stops_half_way(writer: asyncio.StreamWriter, genuine: bytes) -> None:
    head, separator, body = genuine.partition(b"\r\n\r\n")
    writer.write(head + separator + body[: len(body) // 2] if body else genuine[:-5])
    await writer.drain()
    writer.close()


async def _is_silent(writer: asyncio.StreamWriter, genuine: bytes) -> None:
    await asyncio.Event().wait()


FAULTS: dict[str, Fault] = {
    "500": Fault(_says(error(500, "error.platform.unexpected"))),
    "502 with a page": Fault(_says(answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}))),
    "503": Fault(_says(answer(503, b"", {"Retry-After": "1"}))),
    "429 of a proxy": Fault(_says(answer(429, b"slow down", {"Retry-After": "1"}))),
    "429 of a quota": Fault(
        _says(
            plain(
                {
                    "error": {
                        "id": "ERRABCDEFGHJKLMNPQR1",
                        "code": "error.platform.quotaExhausted",
                        "message": "used up",
                        "docs": "",
                        "time": "2026-11-24T06:00:00.1234567Z",
                        "data": [{"metricKey": "NumberOfSentMessages", "exhaustedUntil": "2026-11-24T07:00:00Z"}],
                    }
                },
                429,
            )
        )
    ),
    "403 of a firewall": Fault(_says(answer(403, b"<html>blocked</html>", {"Content-Type": "text/html"}))),
    "404 of a gateway": Fault(_says(answer(404, b"no route", {"Content-Type": "text/plain"}))),
    "400 of a gateway": Fault(_says(answer(400, b"what?", {"Content-Type": "text/plain"}))),
    "407": Fault(_says(answer(407, b"", {"Proxy-Authenticate": "Basic"}))),
    "302 to a login page": Fault(_says(answer(302, b"", {"Location": "http://localhost/login"}))),
    "200 with a page": Fault(_says(answer(200, b"<html>Welcome to the hotel</html>", {"Content-Type": "text/html"}))),
    "200 with nothing": Fault(_says(answer(200, b"", {"Content-Type": "application/json"}))),
    "200 of another shape": Fault(_says(plain({"result": ["unexpected"]}))),
    "no HTTP": Fault(_says(b"\x16\x03\x01\x02\x00garbage\r\n\r\n")),
    "hangs up": Fault(_hangs_up),
    "silent": Fault(_is_silent),
    "done, then 500": Fault(_says(error(500, "error.platform.unexpected")), is_asked=True),
    "done, then 200 with a page": Fault(_says(answer(200, b"<html></html>")), is_asked=True),
    "done, then hangs up": Fault(_hangs_up, is_asked=True),
    "done, closes mid-body": Fault(_stops_half_way, is_asked=True),
    "done, then silent": Fault(_is_silent, is_asked=True),
}


class FaultyBackbone:
    """Carries requests to a Backbone in this process, and spoils those that a rule is about.

    Attributes:
        requests: All requests so far as `POST /SyncRuns`, token requests left out.
        spoilt: How many of them failed by rule.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._server = _Forwarding(self._handle)
        self._backbone = backbone
        self._fault: Fault | None = None
        self._path = ""
        self._left = 0
        self._passes = 0
        self.requests: list[str] = []
        self.spoilt = 0

    @property
    def base_url(self) -> str:
        """The address."""
        return self._server.base_url

    def spoil(self, fault: Fault, *, path: str = "", passes: int = 0, times: int = 1_000_000) -> None:
        """Makes requests fail from now on.

        Args:
            fault: How.
            path: Only those that have this in `METHOD /path`.
            passes: How many of those get through first.
            times: How many of those fail; then all is well again.
        """
        self._fault, self._path, self._passes, self._left = fault, path, passes, times

    def recover(self) -> None:
        """Lets everything through again."""
        self._fault = None

    async def __aenter__(self) -> FaultyBackbone:
        """Starts to listen."""
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self._backbone.consumer), base_url="http://localhost:8090"
        )
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends all connections."""
        await self._server.__aexit__(kind, error, trace)
        await self._client.aclose()

    async def _handle(self, request: Request, writer: asyncio.StreamWriter) -> None:
        name = f"{request.method} {request.path}"
        is_login = request.path == "/connect/token"
        if not is_login:
            self.requests.append(name)
        fault = None if is_login else self._next(name)
        if fault is None:
            writer.write(await self._genuine(request))
            return
        self.spoilt += 1
        await fault.spoil(writer, await self._genuine(request) if fault.is_asked else b"")

    def _next(self, name: str) -> Fault | None:
        if self._fault is None or self._path not in name:
            return None
        if self._passes > 0:
            self._passes -= 1
            return None
        if self._left <= 0:
            return None
        self._left -= 1
        return self._fault

    async def _genuine(self, request: Request) -> bytes:
        headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
        response = await self._client.request(
            request.method, request.target, content=request.body or None, headers=headers
        )
        kept = {name: value for name, value in response.headers.items() if name.lower() not in _HOP_BY_HOP}
        return answer(response.status_code, response.content, kept)


class _Forwarding(ScriptedServer):
    """A scripted server whose script is one function."""

    def __init__(self, handle: Callable[[Request, asyncio.StreamWriter], Awaitable[None]]) -> None:
        super().__init__()
        self.grants_tokens = False
        self._handle = handle

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        await self._handle(request, writer)
