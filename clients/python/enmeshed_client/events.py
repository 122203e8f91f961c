"""Events that survive a lost connection: the stream is made again and goes on where it was."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from enmeshed.connector.v1 import event_pb2, events_service_pb2
from enmeshed_client.errors import ConnectorError

if TYPE_CHECKING:
    from enmeshed.connector.v1 import events_service_pb2_grpc

_PASSING = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL})
"""What a restart, a drain or a proxy in between looks like; everything else is an answer."""
_RESUMABLE_REASONS = frozenset({"DRAINING", "SUBSCRIBER_TOO_SLOW"})
_FIRST_SILENCE_SECONDS = 60.0


@dataclass(frozen=True)
class ReceivedEvent:
    """An event, and where to go on after it."""

    event: event_pb2.Event
    resume_token: str
    """Keep it once the event is dealt with. It covers the whole batch the event came in only with the batch's last event; before
    that it is the token of the batch before, so that an interruption repeats events and loses none."""


async def follow(
    stub: events_service_pb2_grpc.EventsAsyncStub,
    types: Sequence[str],
    *,
    after: str | None,
    from_beginning: bool,
    patience: float,
) -> AsyncIterator[ReceivedEvent]:
    """Yields events; see `Connector.follow`."""
    loop = asyncio.get_running_loop()
    token = after or ""
    away_since: float | None = None
    delay = 0.1
    while True:
        request = events_service_pb2.SubscribeRequest(types=types)
        if token:
            request.resume_token = token
        elif from_beginning:
            setattr(request, "from", events_service_pb2.SUBSCRIPTION_START_BEGINNING)
        call = stub.Subscribe(request)
        silence = _FIRST_SILENCE_SECONDS
        try:
            while True:
                async with asyncio.timeout(silence):
                    frame = await call.read()
                if frame is grpc.aio.EOF:
                    break
                away_since, delay = None, 0.1
                if frame.HasField("started"):
                    # Twice the longest silence that the server promises; then nobody is there any more.
                    silence = 2 * frame.started.heartbeat_interval.ToTimedelta().total_seconds() + 1
                batch = frame.events.events
                for number, event in enumerate(batch, start=1):
                    is_last = number == len(batch)
                    yield ReceivedEvent(event, frame.resume_token if is_last else token)
                token = frame.resume_token or token
            await _raise_for(call)
        except TimeoutError:
            pass
        except grpc.aio.AioRpcError as error:
            problem = ConnectorError.of(error)
            if problem.code not in _PASSING and problem.reason not in _RESUMABLE_REASONS:
                raise problem from None
            now = loop.time()
            away_since = now if away_since is None else away_since
            if now - away_since > patience:
                raise problem from None
        finally:
            call.cancel()
        await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311 - spreads clients, guards nothing
        delay = min(delay * 2, 5.0)


async def _raise_for(call: grpc.aio.UnaryStreamCall) -> None:  # type: ignore[type-arg]  # generic in the stubs only
    """Raises the status that ended the stream, unless it was OK."""
    code = await call.code()
    if code != grpc.StatusCode.OK:
        raise grpc.aio.AioRpcError(
            code, await call.initial_metadata(), await call.trailing_metadata(), await call.details(), None
        )
