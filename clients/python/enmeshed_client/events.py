"""Events that survive a lost connection: the stream is made again and goes on where it was."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from enmeshed.connector.v1 import event_pb2, events_service_pb2
from enmeshed_client.errors import ConnectorError

if TYPE_CHECKING:
    from enmeshed.connector.v1 import events_service_pb2_grpc

_PASSING = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.CANCELLED,
    }
)
"""What a restart, a drain or a proxy in between looks like; everything else is an answer."""
_RESUMABLE_REASONS = frozenset({"DRAINING", "SUBSCRIBER_TOO_SLOW", "TOO_MANY_SUBSCRIPTIONS"})
"""Answers that ask for a resume."""
_FIRST_SILENCE_SECONDS = 60.0
_SHORTEST_DELAY_SECONDS = 0.1
_LONGEST_DELAY_SECONDS = 5.0


@dataclass(frozen=True)
class ReceivedEvent:
    """An event, and where to go on after it."""

    event: event_pb2.Event
    resume_token: str
    """Keep it once the event is dealt with. It covers the whole batch the event came in only with the batch's last
    event; before that it is the token of the batch before, so that an interruption repeats events and loses none. Empty
    before the first token came."""


async def follow(
    stub: events_service_pb2_grpc.EventsAsyncStub,
    types: Sequence[str],
    *,
    after: str | None,
    from_beginning: bool,
    patience: float,
    on_connected: Callable[[], object],
    on_lost: Callable[[ConnectorError], object],
) -> AsyncGenerator[ReceivedEvent, None]:
    """Yields events; see `Connector.follow`."""
    loop = asyncio.get_running_loop()
    token = after or ""
    away_since: float | None = None
    delay = _SHORTEST_DELAY_SECONDS
    while True:
        problem: ConnectorError | None = None
        try:
            async with aclosing(_frames(stub.Subscribe(_request(types, token, from_beginning)))) as frames:
                async for frame in frames:
                    away_since, delay = None, _SHORTEST_DELAY_SECONDS
                    if frame.HasField("started"):
                        on_connected()
                    batch = frame.events.events
                    for number, event in enumerate(batch, start=1):
                        is_last = number == len(batch)
                        yield ReceivedEvent(event, frame.resume_token if is_last else token)
                    token = frame.resume_token or token
        except grpc.aio.AioRpcError as error:
            problem = ConnectorError.of(error)
            if problem.code not in _PASSING and problem.reason not in _RESUMABLE_REASONS:
                raise problem from None
            away_since = loop.time() if away_since is None else away_since
            if loop.time() - away_since > patience:
                raise problem from None
            on_lost(problem)
        wait = delay * random.uniform(0.5, 1.5)  # noqa: S311 - spreads clients, guards nothing
        if problem is not None and problem.retry_after is not None:
            wait = max(wait, problem.retry_after.total_seconds())
        await asyncio.sleep(wait)
        delay = min(delay * 2, _LONGEST_DELAY_SECONDS)


def _request(types: Sequence[str], token: str, from_beginning: bool) -> events_service_pb2.SubscribeRequest:
    request = events_service_pb2.SubscribeRequest(types=types)
    if token:
        request.resume_token = token
    elif from_beginning:
        # The field's name is a word of Python.
        setattr(request, "from", events_service_pb2.SUBSCRIPTION_START_BEGINNING)
    return request


async def _frames(call: Any) -> AsyncGenerator[events_service_pb2.SubscribeResponse, None]:
    """Yields the frames of one stream, and ends it when it is silent for too long.

    Raises:
        grpc.aio.AioRpcError: The status that ended the stream, unless it was OK. DEADLINE_EXCEEDED after the silence.
    """
    silence = _FIRST_SILENCE_SECONDS
    try:
        while True:
            try:
                async with asyncio.timeout(silence):
                    frame = await call.read()
            except TimeoutError:
                nothing = grpc.aio.Metadata()
                raise grpc.aio.AioRpcError(
                    grpc.StatusCode.DEADLINE_EXCEEDED, nothing, nothing, "The stream was silent for too long."
                ) from None
            if frame is grpc.aio.EOF:
                break
            if frame.HasField("started"):
                # Past twice the longest silence that the server promises, nobody is there any more.
                silence = 2 * frame.started.heartbeat_interval.ToTimedelta().total_seconds() + 1
            yield frame
        code = await call.code()
        if code != grpc.StatusCode.OK:
            raise grpc.aio.AioRpcError(
                code, await call.initial_metadata(), await call.trailing_metadata(), await call.details()
            )
    finally:
        call.cancel()
