"""The gRPC server: built from services, interceptors and options, started once, drained at the end."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, cast

import grpc
import structlog
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from enmeshed_connector.api.accounts import AccountChoice, AccountDirectory
from enmeshed_connector.api.api_keys import ApiKeys
from enmeshed_connector.api.authentication import ApiKeyAuthenticator, FailureDelays, FailureOptions
from enmeshed_connector.api.errors import StartRefused
from enmeshed_connector.api.health import SERVICE as HEALTH
from enmeshed_connector.api.health import HealthServicer
from enmeshed_connector.api.interceptors.authentication import Authentication
from enmeshed_connector.api.interceptors.correlation import CallCounters, CorrelationAndLog
from enmeshed_connector.api.interceptors.field_rules import FieldRules
from enmeshed_connector.api.interceptors.limits import LimitCalls
from enmeshed_connector.api.interceptors.permission import Permission
from enmeshed_connector.api.interceptors.pipeline import CallPipeline
from enmeshed_connector.api.interceptors.readiness import ReadinessGate
from enmeshed_connector.api.limits import LimitOptions, Limits
from enmeshed_connector.api.permissions import METHODS, check_methods
from enmeshed_connector.api.readiness import Readiness
from enmeshed_connector.api.reflection import serve_reflection
from enmeshed_connector.api.tls import TlsOptions, server_credentials
from enmeshed_connector.core.clock import Clock

_REFLECTION: Final = reflection.SERVICE_NAME
# Beyond what the limits let in: calls on their way to be refused, and those that wait for their delay.
_CORE_HEADROOM: Final = 1024

logger = structlog.get_logger("enmeshed_connector.api")


@dataclass(frozen=True)
class ServerOptions:
    """How the server listens, and what it lets in."""

    host: str = "127.0.0.1"
    """The address or name to listen on."""
    port: int = 50051
    """0 takes a free one."""
    tls: TlsOptions | None = None
    """None: no TLS."""
    reflection: bool | None = None
    """Whether reflection is served; None: on loopback only."""
    channelz: bool = False
    """Whether channelz is served, with permission `monitoring:support`."""
    max_message_bytes: int = 8 * 1024 * 1024
    """The largest message in either direction."""
    limits: LimitOptions = field(default_factory=LimitOptions)
    """How many calls run at once."""
    failures: FailureOptions = field(default_factory=FailureOptions)
    """What happens to those who present wrong keys."""
    read_timeout: timedelta = timedelta(seconds=60)
    """How long the next frame of an upload may take."""
    write_timeout: timedelta = timedelta(seconds=60)
    """How long a subscriber, or the client of a download, may not read."""
    keepalive: timedelta = timedelta(seconds=60)
    """How often an idle connection is tried, so that dead ones give their slots back."""
    keepalive_timeout: timedelta = timedelta(seconds=20)
    """How long the other side may take to answer that."""
    drain: timedelta = timedelta(seconds=20)
    """How long running calls may take to end when the server stops."""


@dataclass(frozen=True)
class ServiceBinding:
    """A servicer with what registers it; see `bind`. A service that is not bound is neither served nor advertised."""

    name: str
    """The full name, such as `enmeshed.connector.v1.Messages`."""
    register: Callable[[grpc.aio.Server], None]


def bind(name: str, add: Callable[[Any, grpc.aio.Server], None], servicer: object) -> ServiceBinding:
    """Returns the binding of a servicer.

    Args:
        name: The full name of the service.
        add: The generated `add_…Servicer_to_server`.
        servicer: The servicer.
    """
    return ServiceBinding(name, lambda server: add(servicer, server))


class _GenericHandlers:
    """Takes what generated code registers with a server, and passes on the generic handlers only.

    They serve all methods. For each method that is registered besides, `grpc.aio` keeps a task that waits for its next
    call, and looks through all of these tasks at every call: with our 130 methods that took 40 % of a short call.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Passes them on."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, _service: str, _handlers: Mapping[str, object]) -> None:
        """Does nothing; the generic handlers know the same methods."""


class ConnectorServer:
    """One gRPC server. Started once and stopped once; the readiness is switched by whoever knows the accounts."""

    def __init__(
        self,
        options: ServerOptions,
        services: Sequence[ServiceBinding],
        *,
        accounts: AccountDirectory,
        api_keys: ApiKeys,
        readiness: Readiness,
        clock: Clock,
        limits: Limits | None = None,
        counters: CallCounters | None = None,
    ) -> None:
        """Builds the server; nothing listens before `start`.

        Args:
            options: How to listen, and what to let in.
            services: What to serve, besides health and reflection.
            accounts: Knows the hosted accounts.
            api_keys: Knows the keys; read once at start, then by a task of this server.
            readiness: The phase of the server; health and the gate follow it.
            clock: The time.
            limits: Counts running calls; made from the options when None.
            counters: Counts ended calls; made when None.

        Raises:
            StartRefused: An RPC has no row in the permission table.
        """
        self._options = options
        self._api_keys = api_keys
        self._readiness = readiness
        self._is_local = is_loopback(options.host)
        self._refresher: asyncio.Task[None] | None = None
        self.counters = counters or CallCounters()
        self.limits = limits or Limits(options.limits)
        names = [service.name for service in services]
        check_methods(_descriptors(names))
        authenticator = ApiKeyAuthenticator(
            api_keys, FailureDelays(options.failures, clock), trusts_local=self._is_local
        )
        pipeline = CallPipeline(
            [
                CorrelationAndLog(self.counters),
                ReadinessGate(readiness),
                Authentication(authenticator, AccountChoice(accounts)),
                Permission(),
                LimitCalls(self.limits),
            ],
            methods=METHODS,
            clock=clock,
            check_request=FieldRules(),
            read_timeout=options.read_timeout,
            write_timeout=options.write_timeout,
        )
        self._server = grpc.aio.server(
            interceptors=[pipeline],
            options=_channel_options(options),
            maximum_concurrent_rpcs=self.limits.total + _CORE_HEADROOM,
        )
        handlers = cast(grpc.aio.Server, _GenericHandlers(self._server))
        for service in services:
            service.register(handlers)
        health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(readiness, names), handlers)
        if options.reflection or (options.reflection is None and self._is_local):
            serve_reflection(self._server, [*names, HEALTH, _REFLECTION])
        if options.channelz:
            channelz.add_channelz_servicer(self._server)

    async def start(self) -> int:
        """Begins to listen and returns the port.

        Raises:
            StartRefused: The address is in use or not ours, TLS files cannot be used, or the address is not loopback
                and there is no good API key.
            StorageUnavailable: The keys cannot be read.
        """
        await self._api_keys.refresh()
        if not self._is_local and not self._api_keys.has_good_one:
            raise StartRefused(
                f"{self._options.host} is not loopback and there is no API key: make one with "
                "`enmeshed-connector keys create`, or name a bootstrap file"
            )
        port = self._listen()
        await self._server.start()
        self._refresher = asyncio.create_task(self._api_keys.run(), name="api-keys")
        logger.info("server listens", host=self._options.host, port=port, tls=self._options.tls is not None)
        return port

    async def stop(self) -> None:
        """Drains and stops: readiness goes off, subscribers are told to resume, running calls get their time. Safe to
        repeat.
        """
        self._readiness.drain()
        # Streams need a turn of the loop to say that they end; after `stop` began they still may, but new calls may
        # not.
        await asyncio.sleep(0)
        await self._server.stop(self._options.drain.total_seconds())
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.gather(self._refresher, return_exceptions=True)
            self._refresher = None

    async def wait(self) -> None:
        """Returns when the server has stopped."""
        await self._server.wait_for_termination()

    def _listen(self) -> int:
        host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
        address = f"{host}:{self._options.port}"
        credentials = None if self._options.tls is None else server_credentials(self._options.tls)
        try:
            if credentials is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, credentials)
        except RuntimeError:
            raise StartRefused(f"cannot listen on {address}: it is in use, or not an address of this machine") from None


def is_loopback(host: str) -> bool:
    """Tells whether an address or name is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _descriptors(names: Iterable[str]) -> list[ServiceDescriptor]:
    pool = descriptor_pool.Default()
    return [pool.FindServiceByName(name) for name in names]


def _channel_options(options: ServerOptions) -> list[tuple[str, int]]:
    def milliseconds(duration: timedelta) -> int:
        return max(1, int(duration.total_seconds() * 1000))

    return [
        # Two servers on one port would each get some of the calls; the second has to fail instead.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.max_send_message_length", options.max_message_bytes),
        ("grpc.keepalive_time_ms", milliseconds(options.keepalive)),
        ("grpc.keepalive_timeout_ms", milliseconds(options.keepalive_timeout)),
        ("grpc.keepalive_permit_without_calls", 1),
        # Clients with open subscriptions may ping every ten seconds.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 2),
    ]
