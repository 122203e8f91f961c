"""Sessions: how calls are sent, for one device with its token or anonymously.

One call goes through, from outside to inside: the deadline, a slot, the repeats, the token, one exchange on the wire.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast
from urllib.parse import urlencode, urlsplit

from enmeshed_connector.backbone.answers import ERROR_CAP_BYTES, error_of, is_success, too_large, unanswered, value_of
from enmeshed_connector.backbone.auth import (
    TOKEN_CALL,
    AccessToken,
    DeviceCredentials,
    TokenKeeper,
    read_token,
    refusal_of,
    token_form,
)
from enmeshed_connector.backbone.calls import Answer, Call, Repeat, nothing
from enmeshed_connector.backbone.errors import (
    AnswerUnusable,
    BackboneBusy,
    BackboneError,
    BackboneUnauthorized,
    BackboneUnavailable,
    RecordNotFound,
)
from enmeshed_connector.backbone.faults import HttpFault
from enmeshed_connector.backbone.http import BackboneHttp, HttpAnswer, HttpRequest, Lane
from enmeshed_connector.backbone.retries import RandomSource, RetryBudget, RetryPolicy
from enmeshed_connector.backbone.sse import SILENCE, STREAM_PATH, EventDecoder, StreamGarbage
from enmeshed_connector.backbone.wire import off_loop_when_large
from enmeshed_connector.core.clock import Clock, SystemClock

T = TypeVar("T")
R = TypeVar("R")
E = TypeVar("E", bound=BackboneError | None)

_UNSENT_CAUSES = frozenset({"network", "address", "tls", "proxy", "queue"})
_CORRELATION_ID = re.compile(r"[\x21-\x7e]{1,100}\Z")


@dataclass(frozen=True)
class BackboneTarget:
    """One Backbone, and as which client this software comes to it."""

    base_url: str
    """`https://host[:port][/path]`."""
    client_id: str
    client_secret: str = field(repr=False)
    events_base_url: str | None = None
    """Where the event stream is, if not below the base URL."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with every request."""

    @property
    def host(self) -> str:
        """The host name, which is part of addresses."""
        return urlsplit(self.base_url).hostname or ""


@dataclass(frozen=True)
class SessionSettings:
    """How one account uses the Backbone."""

    call_timeout: timedelta = timedelta(seconds=60)
    """How long one call may take with all its repeats, unless the caller's deadline is earlier."""
    transfer_timeout: timedelta = timedelta(seconds=300)
    """The same for contents of files."""
    concurrent_calls: int = 8
    """How many calls of the account run at once; more wait for their turn."""
    concurrent_transfers: int = 2
    """The same for contents of files."""
    datawallet_version: int = 1
    """The datawallet version that this software supports; the Backbone is told with every call."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """How calls are repeated that are safe to repeat."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What a caller adds to calls."""

    deadline: float | None = None
    """The moment of the session's monotonic clock, in seconds, at which the caller no longer waits."""
    correlation_id: str | None = None
    """Sent as `X-Correlation-ID`, which the Backbone writes into its logs; 1 to 100 visible ASCII characters."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One attempt on the wire, for logs and metrics. Holds no secrets."""

    call: str
    attempt: int
    seconds: float
    status: int | None
    """None when no answer came."""
    error: BackboneError | None
    """What the attempt ended with; None for success."""
    correlation_id: str | None


Observer = Callable[[CallRecord], None]
"""Is told of every attempt; must not raise and not block."""


class BackboneSession:
    """Sends the calls of one account: with the credentials of its device, or anonymously without any.

    Belongs to one event loop. Needs no closing: connections belong to `BackboneHttp`.
    """

    def __init__(
        self,
        http: BackboneHttp,
        target: BackboneTarget,
        credentials: DeviceCredentials | None = None,
        *,
        settings: SessionSettings | None = None,
        clock: Clock | None = None,
        random: RandomSource = os.urandom,
        observer: Observer | None = None,
    ) -> None:
        """Prepares a session; nothing is sent.

        Args:
            http: The connections.
            target: The Backbone.
            credentials: Of the device; None for anonymous calls only.
            settings: Limits; the defaults when None.
            clock: Time; the system's when None.
            random: For jitter.
            observer: Is told of every attempt.

        Raises:
            ValueError: The target's address cannot be used (`BackboneHttp.check_address`).
        """
        http.check_address(target.base_url)
        if target.events_base_url is not None:
            http.check_address(target.events_base_url)
        self._http = http
        self._target = target
        self._settings = settings or SessionSettings()
        self._clock: Clock = clock or SystemClock()
        self._random = random
        self._observer = observer
        self._budget = RetryBudget()
        self._call_slots = asyncio.Semaphore(self._settings.concurrent_calls)
        self._transfer_slots = asyncio.Semaphore(self._settings.concurrent_transfers)
        self._tokens = None if credentials is None else TokenKeeper(credentials, self._fetch_token, self._clock)

    @property
    def target(self) -> BackboneTarget:
        """The Backbone of this session."""
        return self._target

    def replace_credentials(self, credentials: DeviceCredentials) -> None:
        """Logs in with these credentials from the next token on, as after a change of the password.

        Raises:
            ValueError: The session is anonymous.
        """
        if self._tokens is None:
            raise ValueError("An anonymous session has no credentials.")
        self._tokens.replace_credentials(credentials)

    async def call(self, call: Call[T], options: CallOptions | None = None) -> T:
        """Sends the call and returns what its reader makes of the answer; see `Caller.call`."""
        options = options or CallOptions()
        deadline = self._deadline(call, options)

        async def attempt(number: int) -> T:
            return await self._attempt(call, options, deadline, number)

        async with self._slot(call, deadline):
            return await self._repeat(call, deadline, attempt)

    @asynccontextmanager
    async def stream(
        self, call: Call[object], options: CallOptions | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Hands out the body in pieces; see `Caller.stream`. The deadline bounds the wait for the first of it."""
        options = options or CallOptions()
        deadline = self._deadline(call, options)
        async with self._slot(call, deadline):
            opened: list[AbstractAsyncContextManager[HttpAnswer]] = []

            async def attempt(number: int) -> HttpAnswer:
                exchange, answer = await self._open(call, options, deadline, number)
                opened.append(exchange)
                return answer

            answer = await self._repeat(call, deadline, attempt)
            try:
                async with aclosing(_capped(call, answer)) as pieces:
                    yield pieces
            finally:
                await opened[0].__aexit__(None, None, None)

    @asynccontextmanager
    async def event_stream(self, options: CallOptions | None = None) -> AsyncIterator[AsyncIterator[str]]:
        """Opens the event stream once; see `Caller.event_stream`. Takes no slot and is not repeated here."""
        options = options or CallOptions()
        call: Call[None] = Call("events.stream", "GET", STREAM_PATH, nothing, Repeat.SAFE, is_event_stream=True)
        exchange, answer = await self._open(call, options, self._deadline(call, options), 1)
        try:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise AnswerUnusable("events.stream: the answer is no stream of events.", call=call.name)
            async with aclosing(_names(call, answer)) as names:
                yield names
        finally:
            await exchange.__aexit__(None, None, None)

    def _deadline(self, call: Call[Any], options: CallOptions) -> float:  # Any: the answer's type is of no matter.
        timeout = self._settings.transfer_timeout if call.is_transfer else self._settings.call_timeout
        own = self._clock.monotonic() + timeout.total_seconds()
        return own if options.deadline is None else min(own, options.deadline)

    @asynccontextmanager
    async def _slot(self, call: Call[Any], deadline: float) -> AsyncIterator[None]:  # Any: as above.
        slots = self._transfer_slots if call.is_transfer else self._call_slots
        if slots.locked() or self._left(deadline) <= 0:
            try:
                async with asyncio.timeout(self._left(deadline)):
                    await slots.acquire()
            except TimeoutError:
                raise unanswered(call, HttpFault("queue", sent=False)) from None
        else:
            await slots.acquire()
        try:
            yield
        finally:
            slots.release()

    async def _repeat(
        self,
        call: Call[Any],  # Any: as above.
        deadline: float,
        attempt: Callable[[int], Awaitable[R]],
    ) -> R:
        """Makes attempts until one succeeds, may not be repeated, or time, count or budget is used up."""
        self._budget.earn()
        may_be_done = False
        number = 0
        while True:
            number += 1
            try:
                return await attempt(number)
            except RecordNotFound:
                if call.gone_is_done and may_be_done:
                    return cast(R, call.read(Answer(204, None)))
                raise
            except (BackboneUnavailable, AnswerUnusable, BackboneBusy) as error:
                may_be_done = may_be_done or error.facts.get("cause") not in _UNSENT_CAUSES
                delay = self._settings.retry.delay(number, self._random)
                if error.retry_after is not None:
                    delay = max(delay, error.retry_after)
                if (
                    number >= self._settings.retry.attempts
                    or delay > self._settings.retry.longest_delay
                    or delay.total_seconds() >= self._left(deadline)
                    or not self._budget.spend()
                ):
                    raise
            await self._clock.sleep(delay)

    async def _attempt(self, call: Call[T], options: CallOptions, deadline: float, number: int) -> T:
        exchange, answer = await self._open(call, options, deadline, number)
        started = self._clock.monotonic()
        status = answer.status
        headers = answer.headers
        try:
            async with asyncio.timeout(self._left(deadline)):
                body = await _read(answer, call.answer_cap_bytes)
        except HttpFault as fault:
            raise self._noted(call, options, number, started, status, unanswered(call, fault)) from fault
        except TimeoutError:
            late = HttpFault("deadline", sent=True)
            raise self._noted(call, options, number, started, status, unanswered(call, late)) from None
        finally:
            await exchange.__aexit__(None, None, None)
        if body is None:
            raise self._noted(call, options, number, started, status, too_large(call, status))
        if headers.get("content-encoding", "identity") not in {"identity", ""}:
            body = b""
        return await off_loop_when_large(lambda: value_of(call, status, headers, body), len(body))

    async def _open(
        self,
        call: Call[Any],
        options: CallOptions,
        deadline: float,
        number: int,  # Any: as above.
    ) -> tuple[AbstractAsyncContextManager[HttpAnswer], HttpAnswer]:
        """Sends the call and returns the head of a success; a refused token is replaced once."""
        refused = False
        while True:
            token = None if self._tokens is None else await self._token(call, deadline)
            try:
                return await self._open_with(token, call, options, deadline, number)
            except BackboneUnauthorized:
                if token is None or self._tokens is None or refused:
                    raise
                refused = True
                self._tokens.drop(token)

    async def _open_with(
        self,
        token: AccessToken | None,
        call: Call[Any],  # Any: as above.
        options: CallOptions,
        deadline: float,
        number: int,
    ) -> tuple[AbstractAsyncContextManager[HttpAnswer], HttpAnswer]:
        started = self._clock.monotonic()
        lane = Lane.STREAMS if call.is_event_stream else Lane.CALLS
        silence = SILENCE.total_seconds() if call.is_event_stream else None
        self._http.expect()
        exchange = self._http.exchange(self._request(token, call, options), lane=lane, silence_seconds=silence)
        try:
            async with asyncio.timeout(self._left(deadline)):
                answer = await exchange.__aenter__()
        except HttpFault as fault:
            raise self._noted(call, options, number, started, None, unanswered(call, fault)) from fault
        except TimeoutError:
            late = HttpFault("deadline", sent=self._http.was_sent())
            raise self._noted(call, options, number, started, None, unanswered(call, late)) from None
        if is_success(call, answer.status):
            self._noted(call, options, number, started, answer.status, None)
            return exchange, answer
        try:
            body = await self._error_body(answer, deadline)
        finally:
            await exchange.__aexit__(None, None, None)
        error = error_of(call, answer.status, answer.headers, body, now=self._clock.now())
        raise self._noted(call, options, number, started, answer.status, error)

    async def _error_body(self, answer: HttpAnswer, deadline: float) -> bytes:
        # The status alone says enough; a body that does not come is no reason to lose it.
        try:
            async with asyncio.timeout(self._left(deadline)):
                return await _read(answer, ERROR_CAP_BYTES) or b""
        except (HttpFault, TimeoutError):
            return b""

    async def _token(self, call: Call[Any], deadline: float) -> AccessToken:  # Any: as above.
        assert self._tokens is not None
        try:
            async with asyncio.timeout(self._left(deadline)):
                return await self._tokens.token()
        except TimeoutError:
            raise unanswered(call, HttpFault("deadline", sent=False)) from None

    async def _fetch_token(self, credentials: DeviceCredentials) -> AccessToken:
        form = token_form(self._target.client_id, self._target.client_secret, credentials)
        headers = {**self._target.headers, "Content-Type": "application/x-www-form-urlencoded"}
        request = HttpRequest("POST", self._url(TOKEN_CALL), headers, form)
        started = self._clock.monotonic()
        options = CallOptions()
        status: int | None = None
        try:
            async with (
                asyncio.timeout(self._settings.call_timeout.total_seconds()),
                self._http.exchange(request) as answer,
            ):
                status = answer.status
                body = await _read(answer, TOKEN_CALL.answer_cap_bytes) or b""
        except HttpFault as fault:
            raise self._noted(TOKEN_CALL, options, 1, started, status, unanswered(TOKEN_CALL, fault)) from fault
        except TimeoutError:
            late = HttpFault("timeout", sent=True)
            raise self._noted(TOKEN_CALL, options, 1, started, status, unanswered(TOKEN_CALL, late)) from None
        if status == 200:
            self._noted(TOKEN_CALL, options, 1, started, status, None)
            return read_token(Answer(status, None), body)
        raise self._noted(TOKEN_CALL, options, 1, started, status, refusal_of(status, body))

    def _request(
        self,
        token: AccessToken | None,
        call: Call[Any],
        options: CallOptions,  # Any: as above.
    ) -> HttpRequest:
        headers = {**self._target.headers, **call.headers}
        headers["Accept"] = "text/event-stream" if call.is_event_stream else "application/json, text/plain, */*"
        if token is not None:
            headers["X-Supported-Datawallet-Version"] = str(self._settings.datawallet_version)
            headers["Authorization"] = f"Bearer {token.value}"
        if options.correlation_id is not None and _CORRELATION_ID.match(options.correlation_id):
            headers["X-Correlation-ID"] = options.correlation_id
        content: bytes | Callable[[], AsyncIterator[bytes]] | None = call.body
        if call.multipart is not None:
            headers["Content-Type"] = call.multipart.content_type
            headers["Content-Length"] = str(call.multipart.size_bytes)
            content = call.multipart.pieces
        elif call.body is not None:
            headers["Content-Type"] = "application/json"
        return HttpRequest(call.method, self._url(call), headers, content)

    def _url(self, call: Call[Any]) -> str:  # Any: as above.
        base = self._target.base_url
        if call.is_event_stream and self._target.events_base_url is not None:
            base = self._target.events_base_url
        query = f"?{urlencode(call.query)}" if call.query else ""
        return f"{base.rstrip('/')}{call.path}{query}"

    def _left(self, deadline: float) -> float:
        return max(deadline - self._clock.monotonic(), 0)

    def _noted(
        self,
        call: Call[Any],  # Any: as above.
        options: CallOptions,
        number: int,
        started: float,
        status: int | None,
        error: E,
    ) -> E:
        """Tells the observer of an attempt, and returns its error."""
        if self._observer is not None:
            seconds = self._clock.monotonic() - started
            self._observer(CallRecord(call.name, number, seconds, status, error, options.correlation_id))
        return error


async def _read(answer: HttpAnswer, cap_bytes: int) -> bytes | None:
    """Returns the whole body, or None when it is larger than the cap."""
    declared = answer.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 15 or int(declared) > cap_bytes):
        return None
    pieces: list[bytes] = []
    size = 0
    async with aclosing(answer.pieces()) as incoming:
        async for piece in incoming:
            size += len(piece)
            if size > cap_bytes:
                return None
            pieces.append(piece)
    return b"".join(pieces)


async def _capped(call: Call[object], answer: HttpAnswer) -> AsyncGenerator[bytes, None]:
    size = 0
    try:
        async with aclosing(answer.pieces()) as incoming:
            async for piece in incoming:
                size += len(piece)
                if size > call.answer_cap_bytes:
                    raise too_large(call, answer.status)
                yield piece
    except HttpFault as fault:
        raise unanswered(call, fault) from fault


async def _names(call: Call[None], answer: HttpAnswer) -> AsyncGenerator[str, None]:
    decoder = EventDecoder()
    try:
        async with aclosing(answer.pieces()) as incoming:
            async for piece in incoming:
                for name in decoder.feed(piece):
                    yield name
    except HttpFault as fault:
        raise unanswered(call, fault) from fault
    except StreamGarbage as error:
        raise AnswerUnusable(f"events.stream: {error}.", call=call.name, status=answer.status) from None
