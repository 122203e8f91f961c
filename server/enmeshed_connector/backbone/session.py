"""Sessions: how calls are sent, for one device with its token or anonymously.

One call goes through, from outside to inside: the deadline, a slot, the repeats, the token, one exchange on the wire.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar, cast
from urllib.parse import urlencode, urlsplit

from enmeshed_connector.backbone.answers import (
    ERROR_CAP_BYTES,
    error_of,
    is_success,
    too_large,
    unanswered,
    unusable,
    value_of,
)
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
from enmeshed_connector.core.secret_bytes import SecretText

T = TypeVar("T")
R = TypeVar("R")

_CORRELATION_ID = re.compile(r"[\x21-\x7e]{1,100}\Z")


@dataclass(frozen=True)
class BackboneTarget:
    """One Backbone, and as which client this software comes to it."""

    base_url: str
    """`https://host[:port][/path]`."""
    client_id: str
    client_secret: SecretText
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


CurrentCorrelation = Callable[[], str | None]
"""Tells the correlation id of what the running task does; None when there is none."""

Observer = Callable[[CallRecord], None]
"""Is told of every attempt; must not raise and not block."""


@dataclass(frozen=True, slots=True)
class _Trial:
    """One attempt of a call, and how long there is time for it and those after it."""

    call: Call[object]
    options: CallOptions
    deadline: float
    number: int
    started: float


_Exchange = tuple[AbstractAsyncContextManager[HttpAnswer], HttpAnswer]
"""The head of a success, and the exchange that is to be ended when its body has been read."""


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
        correlation: CurrentCorrelation = lambda: None,
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
            correlation: Asked for the correlation id of each call that brings none of its own.

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
        self._correlation = correlation
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
        trial = self._first(call, options)

        async def attempt(trial: _Trial) -> T:
            return await self._attempt(call, trial)

        async with self._slot(trial):
            return await self._repeat(trial, attempt)

    @asynccontextmanager
    async def stream(
        self, call: Call[object], options: CallOptions | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Hands out the body in pieces; see `Caller.stream`. The deadline bounds the wait for the first of it."""
        trial = self._first(call, options)
        async with self._slot(trial):
            exchange, answer = await self._repeat(trial, self._open)
            try:
                self._note(trial, answer.status, None)
                async with aclosing(_capped(call, answer)) as pieces:
                    yield pieces
            finally:
                await exchange.__aexit__(None, None, None)

    @asynccontextmanager
    async def event_stream(self, options: CallOptions | None = None) -> AsyncIterator[AsyncIterator[str]]:
        """Opens the event stream once; see `Caller.event_stream`. Takes no slot and is not repeated here."""
        call: Call[None] = Call("events.stream", "GET", STREAM_PATH, nothing, Repeat.SAFE, is_event_stream=True)
        trial = self._first(call, options)
        exchange, answer = await self._open(trial)
        try:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                error = AnswerUnusable("events.stream: the answer is no stream of events.", call=call.name)
                raise self._noted(trial, answer.status, error)
            self._note(trial, answer.status, None)
            async with aclosing(_names(call, answer)) as names:
                yield names
        finally:
            await exchange.__aexit__(None, None, None)

    def _first(self, call: Call[object], options: CallOptions | None) -> _Trial:
        options = options or CallOptions()
        started = self._clock.monotonic()
        timeout = self._settings.transfer_timeout if call.is_transfer else self._settings.call_timeout
        own = started + timeout.total_seconds()
        deadline = own if options.deadline is None else min(own, options.deadline)
        return _Trial(call, options, deadline, 1, started)

    @asynccontextmanager
    async def _slot(self, trial: _Trial) -> AsyncIterator[None]:
        slots = self._transfer_slots if trial.call.is_transfer else self._call_slots
        if slots.locked():
            try:
                async with asyncio.timeout(self._left(trial)):
                    await slots.acquire()
            except TimeoutError:
                raise unanswered(trial.call, HttpFault("queue", sent=False)) from None
        else:
            await slots.acquire()
        try:
            yield
        finally:
            slots.release()

    async def _repeat(self, trial: _Trial, attempt: Callable[[_Trial], Awaitable[R]]) -> R:
        """Makes attempts until one succeeds, may not be repeated, or time, count or budget is used up."""
        call, policy = trial.call, self._settings.retry
        may_be_done = False
        self._budget.earn()
        while True:
            try:
                return await attempt(trial)
            except RecordNotFound:
                if call.gone_is_done and may_be_done:
                    return cast(R, call.read(Answer(204, None)))
                raise
            except (BackboneUnavailable, AnswerUnusable, BackboneBusy) as error:
                may_be_done = may_be_done or error.may_be_done
                delay = max(policy.delay(trial.number, self._random), error.retry_after or timedelta())
                if (
                    trial.number >= policy.attempts
                    or delay > policy.longest_delay
                    or delay.total_seconds() >= self._left(trial)
                    or not self._budget.spend()
                ):
                    raise
            await self._clock.sleep(delay)
            trial = replace(trial, number=trial.number + 1, started=self._clock.monotonic())

    async def _attempt(self, call: Call[T], trial: _Trial) -> T:
        exchange, answer = await self._open(trial)
        status, headers = answer.status, answer.headers
        try:
            async with asyncio.timeout(self._left(trial)):
                body = await _read(answer, call.answer_cap_bytes)
        except HttpFault as fault:
            raise self._noted(trial, status, unanswered(call, fault)) from fault
        except TimeoutError:
            raise self._noted(trial, status, unanswered(call, HttpFault("deadline", sent=True))) from None
        finally:
            await exchange.__aexit__(None, None, None)
        try:
            if body is None:
                raise too_large(call, status)
            if headers.get("content-encoding", "identity") != "identity":
                raise unusable(call, status, "the answer is compressed, which was not asked for")
            value = await off_loop_when_large(lambda: value_of(call, status, headers, body), len(body))
        except BackboneError as error:
            raise self._noted(trial, status, error) from None
        self._note(trial, status, None)
        return value

    async def _open(self, trial: _Trial) -> _Exchange:
        """Sends the call and returns a success to be read; a refused token is replaced once."""
        if self._tokens is None:
            return await self._open_with(None, trial)
        token = await self._token(trial)
        try:
            return await self._open_with(token, trial)
        except BackboneUnauthorized:
            self._tokens.drop(token)
        return await self._open_with(await self._token(trial), trial)

    async def _open_with(self, token: AccessToken | None, trial: _Trial) -> _Exchange:
        call = trial.call
        if self._left(trial) <= 0:
            # A timeout of zero would still let out what can be written without waiting.
            raise self._noted(trial, None, unanswered(call, HttpFault("deadline", sent=False)))
        lane = Lane.STREAMS if call.is_event_stream else Lane.CALLS
        silence = SILENCE.total_seconds() if call.is_event_stream else None
        exchange = self._http.exchange(self._request(token, trial), lane=lane, silence_seconds=silence)
        try:
            async with asyncio.timeout(self._left(trial)):
                answer = await exchange.__aenter__()
        except HttpFault as fault:
            raise self._noted(trial, None, unanswered(call, fault)) from fault
        except TimeoutError:
            late = HttpFault("deadline", sent=self._http.was_sent())
            raise self._noted(trial, None, unanswered(call, late)) from None
        if is_success(call, answer.status):
            return exchange, answer
        try:
            body = await self._error_body(answer, trial)
        finally:
            await exchange.__aexit__(None, None, None)
        error = error_of(call, answer.status, answer.headers, body, now=self._clock.now())
        raise self._noted(trial, answer.status, error)

    async def _error_body(self, answer: HttpAnswer, trial: _Trial) -> bytes:
        # The status alone says enough; a body that does not come is no reason to lose it.
        try:
            async with asyncio.timeout(self._left(trial)):
                return await _read(answer, ERROR_CAP_BYTES) or b""
        except (HttpFault, TimeoutError):
            return b""

    async def _token(self, trial: _Trial) -> AccessToken:
        assert self._tokens is not None
        try:
            async with asyncio.timeout(self._left(trial)):
                return await self._tokens.token()
        except TimeoutError:
            raise unanswered(trial.call, HttpFault("deadline", sent=False)) from None

    async def _fetch_token(self, credentials: DeviceCredentials) -> AccessToken:
        trial = self._first(TOKEN_CALL, None)
        form = token_form(self._target.client_id, self._target.client_secret, credentials)
        headers = {**self._target.headers, "Content-Type": "application/x-www-form-urlencoded"}
        request = HttpRequest("POST", self._url(TOKEN_CALL), headers, form)
        status: int | None = None
        try:
            async with asyncio.timeout(self._left(trial)), self._http.exchange(request) as answer:
                status = answer.status
                body = await _read(answer, TOKEN_CALL.answer_cap_bytes) or b""
        except HttpFault as fault:
            raise self._noted(trial, status, unanswered(TOKEN_CALL, fault)) from fault
        except TimeoutError:
            raise self._noted(trial, status, unanswered(TOKEN_CALL, HttpFault("timeout", sent=True))) from None
        if status != 200:
            raise self._noted(trial, status, refusal_of(status, body))
        try:
            token = read_token(body)
        except AnswerUnusable as error:
            raise self._noted(trial, status, error) from None
        self._note(trial, status, None)
        return token

    def _request(self, token: AccessToken | None, trial: _Trial) -> HttpRequest:
        call, correlation_id = trial.call, self._correlation_id(trial)
        headers = {**self._target.headers, **call.headers}
        headers["Accept"] = "text/event-stream" if call.is_event_stream else "application/json, text/plain, */*"
        if token is not None:
            headers["X-Supported-Datawallet-Version"] = str(self._settings.datawallet_version)
            headers["Authorization"] = f"Bearer {token.value}"
        if correlation_id is not None and _CORRELATION_ID.match(correlation_id):
            headers["X-Correlation-ID"] = correlation_id
        content: bytes | Callable[[], AsyncIterator[bytes]] | None = call.body
        if call.multipart is not None:
            headers["Content-Type"] = call.multipart.content_type
            headers["Content-Length"] = str(call.multipart.size_bytes)
            content = call.multipart.pieces
        elif call.body is not None:
            headers["Content-Type"] = "application/json"
        return HttpRequest(call.method, self._url(call), headers, content)

    def _url(self, call: Call[object]) -> str:
        base = self._target.base_url
        if call.is_event_stream and self._target.events_base_url is not None:
            base = self._target.events_base_url
        query = f"?{urlencode(call.query)}" if call.query else ""
        return f"{base.rstrip('/')}{call.path}{query}"

    def _correlation_id(self, trial: _Trial) -> str | None:
        return trial.options.correlation_id or self._correlation()

    def _left(self, trial: _Trial) -> float:
        return max(trial.deadline - self._clock.monotonic(), 0)

    def _note(self, trial: _Trial, status: int | None, error: BackboneError | None) -> None:
        if self._observer is not None:
            seconds = self._clock.monotonic() - trial.started
            self._observer(
                CallRecord(trial.call.name, trial.number, seconds, status, error, self._correlation_id(trial))
            )

    def _noted(self, trial: _Trial, status: int | None, error: BackboneError) -> BackboneError:
        self._note(trial, status, error)
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
