"""A real gRPC server of the `api` room on a loopback port, over small servicers and a real SQLite store."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from enmeshed.connector.v1 import (
    account_service_pb2,
    account_service_pb2_grpc,
    events_service_pb2_grpc,
    files_service_pb2,
    files_service_pb2_grpc,
    messages_service_pb2,
    messages_service_pb2_grpc,
    monitoring_service_pb2,
    monitoring_service_pb2_grpc,
)
from enmeshed_connector.api.api_keys import SERVER_COLLECTIONS, ApiKeys, ApiKeyStore
from enmeshed_connector.api.calls import current_call
from enmeshed_connector.api.paging import PageTokens
from enmeshed_connector.api.readiness import Readiness
from enmeshed_connector.api.server import ConnectorServer, ServerOptions, ServiceBinding, bind
from enmeshed_connector.api.servicers.events import EventsServicer
from enmeshed_connector.api.subscriptions import EventSource, SubscriptionOptions
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.runtime.use_cases.bundle import UseCases
from enmeshed_connector.runtime.views import View, Views
from enmeshed_connector.storage import Log, Store, StoreOptions
from enmeshed_connector.storage.sqlite import SqliteDatabases

PACKAGE = "enmeshed.connector.v1"


class ManualClock:
    """Time that passes only when a test says so; whoever sleeps waits for that."""

    def __init__(self) -> None:
        self._seconds = 1000.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    def now(self) -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC) + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, duration: timedelta) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._seconds + duration.total_seconds(), next(self._order), future)
        heapq.heappush(self._sleepers, entry)
        self._changed.set()
        try:
            await future
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)
                heapq.heapify(self._sleepers)

    @property
    def sleeping(self) -> int:
        return len(self._sleepers)

    @property
    def next_wait(self) -> float:
        """After how many seconds the next one wakes; for ever when nobody sleeps."""
        return self._sleepers[0][0] - self._seconds if self._sleepers else math.inf

    async def until_sleeping(self, count: int) -> None:
        """Returns when so many sleep."""
        while len(self._sleepers) < count:
            self._changed.clear()
            await self._changed.wait()

    def advance(self, seconds: float) -> None:
        self._seconds += seconds
        while self._sleepers and self._sleepers[0][0] <= self._seconds:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)


@dataclass
class Accounts:
    """Hosted accounts, ready unless a test says otherwise."""

    hosted: list[str] = field(default_factory=lambda: ["default"])
    not_ready: set[str] = field(default_factory=set)

    def names(self) -> Collection[str]:
        return self.hosted

    def is_ready(self, name: str) -> bool:
        return name not in self.not_ready


class Gate:
    """Where a call waits until a test lets it go on."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self) -> None:
        self.entered.set()
        await self.open.wait()


class SmallAccount(account_service_pb2_grpc.AccountServicer):
    """Answers with what the call knows of itself, and does what a test plants."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self.gate: Gate | None = None

    async def GetIdentityInfo(
        self, request: account_service_pb2.GetIdentityInfoRequest, context: Any
    ) -> account_service_pb2.GetIdentityInfoResponse:
        call = current_call()
        if self.gate is not None:
            await self.gate()
        if self.failure is not None:
            raise self.failure
        info = account_service_pb2.AccountInfo(name=call.account_name(), address=call.correlation_id)
        return account_service_pb2.GetIdentityInfoResponse(account=info)

    async def Sync(self, request: account_service_pb2.SyncRequest, context: Any) -> account_service_pb2.SyncResponse:
        if self.failure is not None:
            raise self.failure
        return account_service_pb2.SyncResponse()


class SmallMessages(messages_service_pb2_grpc.MessagesServicer):
    """Counts what reaches it, and streams forever."""

    def __init__(self) -> None:
        self.requests: list[messages_service_pb2.SendMessageRequest] = []
        self.failure: BaseException | None = None
        self.closed = asyncio.Event()

    async def SendMessage(
        self, request: messages_service_pb2.SendMessageRequest, context: Any
    ) -> messages_service_pb2.SendMessageResponse:
        self.requests.append(request)
        return messages_service_pb2.SendMessageResponse()

    async def DownloadAttachment(
        self, request: messages_service_pb2.DownloadAttachmentRequest, context: Any
    ) -> AsyncIterator[messages_service_pb2.DownloadAttachmentResponse]:
        try:
            yield messages_service_pb2.DownloadAttachmentResponse(chunk=b"1")
            if self.failure is not None:
                raise self.failure
            while True:
                yield messages_service_pb2.DownloadAttachmentResponse(chunk=b"0" * 65536)
                await asyncio.sleep(0)
        finally:
            self.closed.set()


class SmallFiles(files_service_pb2_grpc.FilesServicer):
    """Counts the frames of uploads."""

    def __init__(self) -> None:
        self.frames = 0

    async def UploadFile(self, request_iterator: Any, context: Any) -> files_service_pb2.UploadFileResponse:
        async for _frame in request_iterator:
            self.frames += 1
        return files_service_pb2.UploadFileResponse()


class SmallMonitoring(monitoring_service_pb2_grpc.MonitoringServicer):
    """Has a version."""

    async def GetVersion(
        self, request: monitoring_service_pb2.GetVersionRequest, context: Any
    ) -> monitoring_service_pb2.GetVersionResponse:
        return monitoring_service_pb2.GetVersionResponse(version="1.2.3")


@dataclass
class StoreSource:
    """The events of a store, with the views of the runtime."""

    store: Store
    views: Views = field(default_factory=lambda: Views("http://localhost:8090"))

    @property
    def log(self) -> Log:
        return self.store.log

    def event_view(self, event_type: str, data: JsonObject) -> View:
        return self.views.event_data(event_type, data)


@dataclass
class Sources:
    """The event sources of the accounts."""

    by_account: Mapping[str, EventSource]

    def event_source(self, account: str) -> EventSource:
        return self.by_account[account]

    def use_cases(self, account: str) -> UseCases:
        raise NotImplementedError("no test of this needs whole accounts")


@dataclass
class RunningServer:
    """A server with what tests look at."""

    server: ConnectorServer
    port: int
    account: SmallAccount
    messages: SmallMessages
    files: SmallFiles
    accounts: Accounts
    readiness: Readiness
    keys: ApiKeyStore
    store: Store
    events: Store
    clock: Clock

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@asynccontextmanager
async def databases(folder: Path) -> AsyncIterator[SqliteDatabases]:
    """Opens stores in a folder; commits of other stores of one file are seen quickly."""
    opened = SqliteDatabases(folder, options=StoreOptions(poll_interval=timedelta(milliseconds=20)))
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def running_server(
    folder: Path,
    *,
    options: ServerOptions | None = None,
    clock: Clock | None = None,
    accounts: Accounts | None = None,
    subscription_options: SubscriptionOptions | None = None,
    is_ready: bool = True,
) -> AsyncIterator[RunningServer]:
    """Runs a server; the store in the folder may be shared with another one, as replicas do."""
    clock = clock or ManualClock()
    options = options or ServerOptions(port=0, drain=timedelta(seconds=5))
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(databases(folder))
        store = await opened.open("server", SERVER_COLLECTIONS)
        stack.push_async_callback(store.close)
        events = await opened.open("acc-default")
        stack.push_async_callback(events.close)
        readiness = Readiness()
        if is_ready:
            readiness.ready()
        # What they do not serve stays as generated, which the server answers with UNIMPLEMENTED.
        account, messages, files = SmallAccount(), SmallMessages(), SmallFiles()  # type: ignore[abstract]
        events_servicer = EventsServicer(  # type: ignore[abstract, unused-ignore]
            Sources({"default": StoreSource(events)}),
            codec=ContentCodec(),
            clock=clock,
            readiness=readiness,
            page_tokens=PageTokens(b"k" * 32),
            options=subscription_options,
        )
        stack.push_async_callback(events_servicer.close)
        services: list[ServiceBinding] = [
            bind(f"{PACKAGE}.Account", account_service_pb2_grpc.add_AccountServicer_to_server, account),
            bind(f"{PACKAGE}.Messages", messages_service_pb2_grpc.add_MessagesServicer_to_server, messages),
            bind(f"{PACKAGE}.Files", files_service_pb2_grpc.add_FilesServicer_to_server, files),
            bind(
                f"{PACKAGE}.Monitoring",
                monitoring_service_pb2_grpc.add_MonitoringServicer_to_server,
                SmallMonitoring(),  # type: ignore[abstract]
            ),
            bind(f"{PACKAGE}.Events", events_service_pb2_grpc.add_EventsServicer_to_server, events_servicer),
        ]
        hosted = accounts or Accounts()
        server = ConnectorServer(
            options,
            services,
            accounts=hosted,
            api_keys=ApiKeys(store, clock),
            readiness=readiness,
            clock=clock,
        )
        stack.push_async_callback(server.stop)
        port = await server.start()
        keys = ApiKeyStore(store, clock)
        yield RunningServer(server, port, account, messages, files, hosted, readiness, keys, store, events, clock)


@dataclass
class Failure:
    """The status of a failed call, taken apart."""

    code: grpc.StatusCode
    text: str
    reason: str
    domain: str
    metadata: dict[str, str]
    violations: dict[str, str]
    retry_after: timedelta | None
    trailing: dict[str, str]
    initial: dict[str, str]


async def failure_of(call: Any) -> Failure:
    """Awaits a call that has to fail, and returns its status with all details."""
    try:
        if hasattr(call, "__aiter__"):
            while await call.read() is not grpc.aio.EOF:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return failure(error)
    raise AssertionError("the call did not fail")


def failure(error: grpc.aio.AioRpcError) -> Failure:
    """Returns the status of an error with all details."""
    status = rpc_status.from_call(_AsCall(error))
    info, bad_request, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    present = _unpack(status, info, bad_request, retry)
    return Failure(
        code=error.code(),
        text=error.details() or "",
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        violations={entry.field: entry.description for entry in bad_request.field_violations},
        retry_after=retry.retry_delay.ToTimedelta() if "google.rpc.RetryInfo" in present else None,
        trailing={name: value for name, value in error.trailing_metadata() if isinstance(value, str)},
        initial={name: value for name, value in error.initial_metadata() if isinstance(value, str)},
    )


def _unpack(status: status_pb2.Status | None, *details: Message) -> set[str]:
    present = set()
    for packed in status.details if status is not None else ():
        for detail in details:
            if packed.Unpack(detail):
                present.add(detail.DESCRIPTOR.full_name)
    return present


@dataclass
class _AsCall:
    """What `rpc_status` looks at."""

    error: grpc.aio.AioRpcError

    def trailing_metadata(self) -> Any:
        return self.error.trailing_metadata()

    def code(self) -> grpc.StatusCode:
        return self.error.code()

    def details(self) -> str:
        return self.error.details() or ""
