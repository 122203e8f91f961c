"""The one HTTP client of the process: connections, TLS, proxies, and an exact answer to "was anything sent?".

Accounts share it and nothing else: there are no cookies, no redirects, no credentials in it.
"""

from __future__ import annotations

import enum
import ipaddress
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace, TracebackType
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from enmeshed_connector.backbone.faults import fault_of

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
"""The hosts that the setting for skipping verification can ever apply to."""


class InsecureAddress(ValueError):
    """A base URL would send tokens in the clear, and no setting says that this is meant."""


@dataclass(frozen=True)
class HttpSettings:
    """How the process reaches Backbones."""

    max_connections: int = 32
    """How many calls are on the wire at once, for all accounts together. Event streams are not counted."""
    keepalive_seconds: float = 15.0
    """How long an idle connection is kept. Shorter than what servers keep, so that no request meets a closing one."""
    connect_seconds: float = 10.0
    """How long a connection may take, the wait for a free one included."""
    silence_seconds: float = 60.0
    """How long an answer may be silent, between any two of its pieces."""
    ca_file: Path | None = None
    """PEM certificates that are trusted beside those of the system."""
    proxy_url: str | None = field(default=None, repr=False)
    """An HTTP proxy, `http://[user:password@]host:port`. HTTPS goes through it by CONNECT."""
    no_proxy: Sequence[str] = ()
    """Hosts that are reached directly: `backbone.internal`, `.internal` with everything below, `*` for all."""
    user_agent: str = "enmeshed-connector"
    dangerously_skip_tls_verification_on_loopback: bool = False
    """For tests with self-signed certificates. Applies to `localhost`, `127.0.0.1` and `[::1]` and to nothing else."""
    dangerously_allow_plain_http: bool = False
    """Lets `http://` addresses of other machines through: whoever listens on the way gets tokens and passwords."""


_PIECE_BYTES = 256 * 1024
"""Longer bodies are sent in pieces of this size."""


class Lane(enum.Enum):
    """The two pools: event streams stay open for hours and must not use up the connections of calls."""

    CALLS = "calls"
    STREAMS = "streams"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as it goes on the wire."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | Callable[[], AsyncIterator[bytes]] | None = field(default=None, repr=False)
    """The body, or a function that writes it from its beginning; the latter with a `Content-Length` header."""


class HttpAnswer:
    """The head of an answer, and its body to be read once."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        # Looked up several times for each call, and each look into httpx's own headers walks through all of them.
        self._headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers.raw
        }

    @property
    def status(self) -> int:
        """The status."""
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, with names in lower case; of several with one name the last."""
        return self._headers

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yields the body as it comes.

        Raises:
            HttpFault: The body ended before its time, or nothing came for too long.
        """
        try:
            async for piece in self._response.aiter_raw():
                yield piece
        except (httpx.HTTPError, httpx.StreamError, aiohttp.ClientError, OSError, ValueError) as error:
            raise fault_of(error, sent=True) from error


class BackboneHttp:
    """Connections to Backbones, shared by all accounts; belongs to the event loop of its first request."""

    def __init__(self, settings: HttpSettings) -> None:
        """Prepares the client; nothing is connected.

        Raises:
            ValueError: The proxy is not an `http://` URL with a host.
            OSError: The file with certificates cannot be read.
            ssl.SSLError: It holds no certificates.
        """
        self._settings = settings
        self._sent: ContextVar[SimpleNamespace | None] = ContextVar("backbone_request", default=None)
        self._proxy = _checked_proxy(settings.proxy_url)
        self._verifying = ssl.create_default_context()
        if settings.ca_file is not None:
            self._verifying.load_verify_locations(cafile=settings.ca_file)
        self._trusting: ssl.SSLContext | None = None
        if settings.dangerously_skip_tls_verification_on_loopback:
            self._trusting = ssl.create_default_context()
            self._trusting.check_hostname = False
            self._trusting.verify_mode = ssl.CERT_NONE
        self._headers = {"User-Agent": settings.user_agent, "Accept-Encoding": "identity"}
        self._clients = {lane: self._client(lane) for lane in Lane}

    async def __aenter__(self) -> BackboneHttp:
        """Returns itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes all connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Closes all connections; requests in flight fail."""
        for client in self._clients.values():
            await client.aclose()

    def check_address(self, url: str) -> None:
        """Accepts an address that may be used with these settings: `https://`, or `http://` on loopback.

        Raises:
            InsecureAddress: It is `http://` on another machine, and the settings do not allow that.
            ValueError: It is no address with a host, or holds credentials, a query or a fragment.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("The address of the Backbone must begin with https:// or http:// and name a host.")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise ValueError("The address of the Backbone must not hold credentials, a query or a fragment.")
        if parts.scheme == "https" or is_loopback(parts.hostname) or self._settings.dangerously_allow_plain_http:
            return
        raise InsecureAddress(
            "The address of the Backbone is http:// on another machine: tokens and passwords would be readable on the "
            "way. Use https://, or set dangerously_allow_plain_http."
        )

    @asynccontextmanager
    async def exchange(
        self, request: HttpRequest, *, lane: Lane = Lane.CALLS, silence_seconds: float | None = None
    ) -> AsyncIterator[HttpAnswer]:
        """Sends one request once and hands out its answer; leaving the block ends the exchange.

        The caller bounds the whole time; on being timed out it learns from `was_sent` whether anything had been sent.

        Raises:
            HttpFault: No answer came. `fault.sent` tells whether anything had been sent.
        """
        timeout = {
            "connect": self._settings.connect_seconds,
            "pool": self._settings.connect_seconds,
            "read": silence_seconds or self._settings.silence_seconds,
            "write": None,
        }
        self._sent.set(SimpleNamespace(sent=False))
        content = request.content() if callable(request.content) else request.content
        headers = {**self._headers, **request.headers}
        if isinstance(content, bytes) and len(content) > _PIECE_BYTES:
            # As a whole it would be written in one go, and everything else on this loop would wait for that.
            headers["Content-Length"] = str(len(content))
            content = _pieces(content)
        # Not by `client.build_request`, which takes its time to merge settings that the client does not have.
        prepared = httpx.Request(
            request.method,
            request.url,
            headers=headers,
            content=content,
            extensions={"timeout": timeout},
        )
        client = self._clients[lane]
        try:
            response = await client.send(prepared, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, ValueError) as error:
            raise fault_of(error, sent=self.was_sent()) from error
        try:
            yield HttpAnswer(response)
        finally:
            await response.aclose()

    def was_sent(self) -> bool:
        """Tells whether anything of this task's latest exchange may have left the process; True when in doubt."""
        marker = self._sent.get()
        return marker is None or bool(marker.sent)

    def _client(self, lane: Lane) -> httpx.AsyncClient:
        direct = self._transport(lane, self._verifying, None)
        default = direct if self._proxy is None else self._transport(lane, self._verifying, self._proxy)
        mounts: dict[str, httpx.AsyncBaseTransport | None] = {}
        if self._proxy is not None:
            for name in ("localhost", "127.0.0.1", "[::1]"):
                mounts[f"all://{name}"] = direct
            for host in self._settings.no_proxy:
                for pattern in _patterns(host):
                    mounts[pattern] = direct
        if self._trusting is not None:
            trusting = self._transport(lane, self._trusting, None)
            for name in LOOPBACK_NAMES:
                mounts[f"https://{name}"] = trusting
        client = httpx.AsyncClient(transport=default, mounts=mounts, follow_redirects=False, trust_env=False)
        # The client cannot be told to keep none, and looks for them in every answer.
        client._cookies = _NoCookies()
        return client

    def _transport(self, lane: Lane, tls: ssl.SSLContext, proxy: str | None) -> httpx.AsyncBaseTransport:
        def session() -> aiohttp.ClientSession:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(self._mark_sent)
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._settings.max_connections if lane is Lane.CALLS else 0,
                    keepalive_timeout=self._settings.keepalive_seconds,
                    ssl=tls,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                # Credentials stay in the URL: handed over apart they are deprecated in aiohttp.
                proxy=proxy,
                trust_env=False,
                trace_configs=[trace],
            )
            # aiohttp repeats PUT and DELETE by itself when a kept connection turns out closed. Such a repeat would be
            # answered as if the first attempt had failed; whether to repeat is decided in one place, and not there.
            session._retry_connection = False
            return session

        return AiohttpTransport(verify=tls, client=session)

    async def _mark_sent(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, _sent: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        marker = self._sent.get()
        if marker is not None:
            marker.sent = True


class _NoCookies(httpx.Cookies):
    """Neither takes cookies nor sends any."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Leaves what the answer sets."""

    def set_cookie_header(self, request: httpx.Request) -> None:
        """Leaves the request as it is."""


def is_loopback(host: str) -> bool:
    """Tells whether a host name or address, without brackets, is this machine by its very form."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_from_environment(environ: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    """Returns the proxy and the hosts without one, as `HTTPS_PROXY` and `NO_PROXY` say in either case of letters."""
    lowered = {name.lower(): value for name, value in environ.items()}
    proxy = lowered.get("https_proxy") or lowered.get("all_proxy") or None
    exceptions = (host.strip() for host in lowered.get("no_proxy", "").split(","))
    return proxy, tuple(host for host in exceptions if host)


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    view = memoryview(content)
    for start in range(0, len(content), _PIECE_BYTES):
        yield bytes(view[start : start + _PIECE_BYTES])


def _checked_proxy(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("The proxy must be given as http://[user:password@]host:port.")
    return urlunsplit((parts.scheme, parts.netloc, "", "", ""))


def _patterns(host: str) -> Sequence[str]:
    """Returns the patterns under which httpx mounts the transport for a host of a no-proxy list."""
    if host == "*":
        return ("all://*",)
    name = host.removeprefix("*").lstrip(".")
    if ":" in name and not name.startswith("["):
        return (f"all://[{name}]",) if name.count(":") > 1 else (f"all://{name}",)
    # httpx takes `*name` for the name itself and everything below it.
    return (f"all://{name}",) if _is_address(name) else (f"all://*{name}",)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
