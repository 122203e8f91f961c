"""The connection to a Connector: a channel, credentials on every call, and a stub per service."""

from __future__ import annotations

import functools
import importlib
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from enmeshed.connector.v1 import (
    account_service_pb2_grpc,
    challenges_service_pb2_grpc,
    events_service_pb2_grpc,
    files_service_pb2_grpc,
    messages_service_pb2_grpc,
    monitoring_service_pb2_grpc,
    references_service_pb2_grpc,
    relationship_templates_service_pb2_grpc,
    relationships_service_pb2_grpc,
    tokens_service_pb2_grpc,
)
from enmeshed_client.errors import ConnectorError
from enmeshed_client.events import ReceivedEvent, follow

ResponseT = TypeVar("ResponseT")
RequestT = TypeVar("RequestT", bound=Message)

_MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Larger than any answer: content may have 20 MiB."""


class Connector:
    """One account of a Connector, for use inside `async with`.

    Example:
        async with Connector("localhost:50051", api_key=key, account="alice") as alice:
            info = await alice.call(alice.account.GetIdentityInfo, GetIdentityInfoRequest())

    The stubs (`account`, `messages`, `relationships`, …) are those of the contract; `call` turns their errors into
    `ConnectorError`.
    """

    def __init__(
        self,
        target: str,
        *,
        api_key: str | None = None,
        account: str | None = None,
        ca_file: Path | None = None,
        tls: bool = False,
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        """Prepares the connection; nothing is sent yet.

        Args:
            target: Host and port: `localhost:50051`.
            api_key: Sent as `x-api-key`. None where the server asks for none.
            account: The name of the account, sent as `x-account`. None where the key or the server has just one.
            ca_file: PEM certificates to trust, for TLS with an authority of one's own. Implies `tls`.
            tls: Encrypts the connection.
            options: Channel options of grpc.

        Raises:
            ValueError: The key or the account has characters that cannot be sent, such as the end of a line.
            OSError: The file with certificates cannot be read.
        """
        for what, value in (("API key", api_key), ("account", account)):
            if value is not None and not (value.isascii() and value.isprintable()):
                raise ValueError(f"the {what} has characters other than printable ones of ASCII")
        self._metadata = tuple(
            (name, value) for name, value in (("x-api-key", api_key), ("x-account", account)) if value is not None
        )
        settings: list[tuple[str, Any]] = [
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
            # A server that comes back is found soon; the default may wait two minutes.
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 5_000),
            *options,
        ]
        interceptors = [
            _Credentials(self._metadata),
            _StreamCredentials(self._metadata),
            _UploadCredentials(self._metadata),
        ]
        if tls or ca_file is not None:
            credentials = grpc.ssl_channel_credentials(ca_file.read_bytes() if ca_file else None)
            self.channel = grpc.aio.secure_channel(target, credentials, settings, interceptors=interceptors)
        else:
            self.channel = grpc.aio.insecure_channel(target, settings, interceptors=interceptors)

    async def __aenter__(self) -> Self:
        """Returns itself; the connection is made by the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the connection; calls under way are cancelled."""
        await self.channel.close()

    @functools.cached_property
    def account(self) -> account_service_pb2_grpc.AccountAsyncStub:
        """The service Account."""
        return account_service_pb2_grpc.AccountStub(self.channel)

    @functools.cached_property
    def relationship_templates(self) -> relationship_templates_service_pb2_grpc.RelationshipTemplatesAsyncStub:
        """The service RelationshipTemplates."""
        return relationship_templates_service_pb2_grpc.RelationshipTemplatesStub(self.channel)

    @functools.cached_property
    def relationships(self) -> relationships_service_pb2_grpc.RelationshipsAsyncStub:
        """The service Relationships."""
        return relationships_service_pb2_grpc.RelationshipsStub(self.channel)

    @functools.cached_property
    def messages(self) -> messages_service_pb2_grpc.MessagesAsyncStub:
        """The service Messages."""
        return messages_service_pb2_grpc.MessagesStub(self.channel)

    @functools.cached_property
    def files(self) -> files_service_pb2_grpc.FilesAsyncStub:
        """The service Files."""
        return files_service_pb2_grpc.FilesStub(self.channel)

    @functools.cached_property
    def tokens(self) -> tokens_service_pb2_grpc.TokensAsyncStub:
        """The service Tokens."""
        return tokens_service_pb2_grpc.TokensStub(self.channel)

    @functools.cached_property
    def references(self) -> references_service_pb2_grpc.ReferencesAsyncStub:
        """The service References."""
        return references_service_pb2_grpc.ReferencesStub(self.channel)

    @functools.cached_property
    def challenges(self) -> challenges_service_pb2_grpc.ChallengesAsyncStub:
        """The service Challenges."""
        return challenges_service_pb2_grpc.ChallengesStub(self.channel)

    @functools.cached_property
    def events(self) -> events_service_pb2_grpc.EventsAsyncStub:
        """The service Events; `follow` is the way to read a stream for long."""
        return events_service_pb2_grpc.EventsStub(self.channel)

    @functools.cached_property
    def monitoring(self) -> monitoring_service_pb2_grpc.MonitoringAsyncStub:
        """The service Monitoring."""
        return monitoring_service_pb2_grpc.MonitoringStub(self.channel)

    def service(self, name: str) -> Any:
        """Returns the stub of any service of the contract by its name: `IdentityMetadata`."""
        module = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
        found = importlib.import_module(f"enmeshed.connector.v1.{module}_service_pb2_grpc")
        return getattr(found, f"{name}Stub")(self.channel)

    async def call(
        self, method: Callable[..., Awaitable[ResponseT]], request: Any, *, timeout: float | None = 60.0
    ) -> ResponseT:
        """Calls a unary method of a stub.

        Args:
            method: The method: `connector.messages.SendMessage`.
            request: Its request.
            timeout: Seconds until it is given up; None waits for ever.

        Raises:
            ConnectorError: The call failed.
        """
        try:
            return await method(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise ConnectorError.of(error) from None

    async def pages(
        self, method: Callable[..., Awaitable[ResponseT]], request: RequestT, *, timeout: float | None = 60.0
    ) -> AsyncGenerator[ResponseT, None]:
        """Yields all pages of a list call, beginning at the request's `page_token`. The request is not changed.

        Raises:
            ConnectorError: A call failed.
        """
        current: Any = type(request)()
        current.CopyFrom(request)
        while True:
            page: Any = await self.call(method, current, timeout=timeout)
            yield page
            if not page.next_page_token:
                return
            current.page_token = page.next_page_token

    def follow(
        self,
        *types: str,
        after: str | None = None,
        from_beginning: bool = False,
        patience: float = 60.0,
        on_connected: Callable[[], object] | None = None,
        on_lost: Callable[[ConnectorError], object] | None = None,
    ) -> AsyncGenerator[ReceivedEvent, None]:
        """Yields events for as long as the caller goes on, across lost connections and restarts of the server.

        Order: as committed. Delivery: at least once; an event comes again only after a lost connection. End: never by
        itself. Slow readers: the server waits for them in the log and loses nothing within its retention.

        Leave it through `contextlib.aclosing` where the stream has to end at once.

        Args:
            types: Exact types or patterns with `*` and `**`; none means all.
            after: The `resume_token` of the last event that was dealt with. None: from now on.
            from_beginning: Begins with the oldest event that is kept, when there is no `after`.
            patience: Seconds for which the server may be away in one go before the error is raised.
            on_connected: Called whenever a stream has begun: at first, and after each lost connection.
            on_lost: Called with the reason whenever a stream was lost, or could not begin, and is tried again.

        Raises:
            ConnectorError: The Connector refuses, or is away for longer than the patience.
        """
        return follow(
            self.events,
            types,
            after=after,
            from_beginning=from_beginning,
            patience=patience,
            on_connected=on_connected or (lambda: None),
            on_lost=on_lost or (lambda _problem: None),
        )

    @staticmethod
    def idempotency_key() -> str:
        """Returns a new key for one mutation; keep it and repeat the call with it when the outcome is unknown."""
        return str(uuid.uuid4())


class _Credentials(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(_with(details, self._metadata), request)


class _StreamCredentials(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata

    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(_with(details, self._metadata), request)


class _UploadCredentials(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata

    async def intercept_stream_unary(self, continuation: Any, details: Any, requests: Any) -> Any:
        return await continuation(_with(details, self._metadata), requests)


def _with(details: Any, metadata: tuple[tuple[str, str], ...]) -> grpc.aio.ClientCallDetails:
    return grpc.aio.ClientCallDetails(
        method=details.method,
        timeout=details.timeout,
        metadata=grpc.aio.Metadata(*(details.metadata or ()), *metadata),
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )
