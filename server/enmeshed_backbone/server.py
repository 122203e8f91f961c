"""Runs both APIs on sockets, in the caller's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any

import uvicorn

from enmeshed_connector.core.clock import Clock

from .app import Backbone, build
from .settings import Settings
from .store import Store, Transaction

_BACKLOG = 512
_PORT_ATTEMPTS = 20
_STOP_SECONDS = 5
# As long as the official server's web server. A shorter time would close connections that clients are about to use.
_KEEP_ALIVE_SECONDS = 130
_TICK_SECONDS = 1
_POLL_SECONDS = 0.002


class NotLoopback(Exception):
    """The host can be reached from outside, and that was not allowed explicitly."""


class BackboneServer:
    """A running Backbone, to be used with `async with`.

    Args:
        settings: What to run; without any a fresh one in memory.
        clock: The time of the machine, when it shall be another.

    Attributes:
        settings: The settings, with the ports that were really taken.

    Raises:
        NotLoopback: On entering: the host is no loopback address and `allow_non_loopback` is not set.
        StoreError: On entering: the database cannot be opened.
        OSError: On entering: a port is taken.
    """

    def __init__(self, settings: Settings | None = None, *, clock: Clock | None = None) -> None:
        self.settings = settings if settings is not None else Settings(port=0, admin_port=0, seed_identities=False)
        self._clock = clock
        self._backbone: Backbone | None = None
        self._servers: list[_Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._sockets: list[socket.socket] = []

    @property
    def base_url(self) -> str:
        """The Consumer API, without a slash at its end."""
        return f"http://{_bracketed(self.settings.host)}:{self.settings.port}"

    @property
    def admin_url(self) -> str:
        """The Admin API, without a slash at its end."""
        return f"http://{_bracketed(self.settings.host)}:{self.settings.admin_port}"

    @property
    def backbone(self) -> Backbone:
        """What is running, for tests that look inside."""
        if self._backbone is None:
            raise RuntimeError("The server is not running.")
        return self._backbone

    @property
    def store(self) -> Store:
        """The data, for tests that compare with it."""
        return self.backbone.services.store

    def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """Returns what a query finds in the committed data."""

        def work(transaction: Transaction) -> list[dict[str, Any]]:
            return [dict(row) for row in transaction.all(sql, *parameters)]

        return self.store.read(work)

    async def __aenter__(self) -> BackboneServer:
        """Opens the database and listens."""
        addresses = _resolve(self.settings)
        try:
            consumer_sockets, port = _listen(addresses, self.settings.port)
            self._sockets += consumer_sockets
            admin_sockets, admin_port = _listen(addresses, self.settings.admin_port)
            self._sockets += admin_sockets
            self.settings = replace(self.settings, port=port, admin_port=admin_port)
            self._backbone = await build(self.settings, clock=self._clock)
        except BaseException:
            self._close_sockets()
            raise
        for app, sockets in ((self._backbone.consumer, consumer_sockets), (self._backbone.admin, admin_sockets)):
            server = _Server(_config(app))
            self._servers.append(server)
            task = asyncio.create_task(server.serve(sockets=sockets), name="backbone-http")
            self._tasks.append(task)
        while not all(server.started for server in self._servers):
            for task in self._tasks:
                if task.done():
                    await self._stop()
                    task.result()
                    raise RuntimeError("The server ended while it was starting.")
            await asyncio.sleep(_POLL_SECONDS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Lets running requests finish, ends event streams, closes the database."""
        await self._stop()

    async def _stop(self) -> None:
        if self._backbone is not None:
            self._backbone.services.hub.close()
        for server in self._servers:
            server.stop()
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            self._close_sockets()
            if self._backbone is not None:
                await self._backbone.close()
            self._servers, self._tasks, self._backbone = [], [], None

    def _close_sockets(self) -> None:
        for listener in self._sockets:
            listener.close()
        self._sockets = []


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever started it, and stops without waiting for ticks.

    The waits of the original, three times a tenth of a second, would be most of what a test takes that has a server of
    its own.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Lets running requests finish and ends the server."""
        self.should_exit = True
        self._stop.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        # Each tick with a multiple of ten renews the date header.
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                # Nothing tells when the last connection is gone.
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_SECONDS)
        for task in self.server_state.tasks:
            task.cancel()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        interface="asgi3",
        ws="none",
        http="auto",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        backlog=_BACKLOG,
    )


def _resolve(settings: Settings) -> list[tuple[socket.AddressFamily, str]]:
    found: dict[tuple[socket.AddressFamily, str], None] = {}
    try:
        known = socket.getaddrinfo(settings.host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise OSError(f"The host {settings.host} is not known: {error.strerror}") from error
    for family, _, _, _, address in known:
        found[family, str(address[0])] = None
    for _, text in found:
        if not ipaddress.ip_address(text.partition("%")[0]).is_loopback and not settings.allow_non_loopback:
            raise NotLoopback(
                f"{settings.host} ({text}) can be reached by others. This Backbone is for development only; "
                "allow it explicitly with --allow-non-loopback if you must."
            )
    return list(found)


def _listen(addresses: list[tuple[socket.AddressFamily, str]], port: int) -> tuple[list[socket.socket], int]:
    """Returns sockets on all addresses with one common port: a name like `localhost` stands for two of them."""
    for attempt in range(_PORT_ATTEMPTS):
        sockets: list[socket.socket] = []
        try:
            chosen = port
            for family, text in addresses:
                listener = _bind(family, text, chosen)
                if listener is not None:
                    sockets.append(listener)
                    chosen = listener.getsockname()[1]
            if sockets:
                return sockets, chosen
            raise OSError(f"None of {', '.join(text for _, text in addresses)} can be listened on.")
        except OSError:
            for listener in sockets:
                listener.close()
            # The free port of the first address may be taken on the second one.
            if port != 0 or not sockets or attempt == _PORT_ATTEMPTS - 1:
                raise
    raise AssertionError("The loop returns or raises.")


def _bind(family: socket.AddressFamily, text: str, port: int) -> socket.socket | None:
    try:
        # With the protocol named, asyncio switches Nagle's algorithm off; else answers wait 40 ms for acknowledgements.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError:
        return None  # IPv6 is switched off.
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((text, port))
    except OSError as error:
        listener.close()
        if family is socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL:
            return None
        raise OSError(error.errno, f"{_bracketed(text)}:{port} cannot be listened on: {error.strerror}") from error
    return listener


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
