"""The one gRPC interceptor: leads each call through the steps and turns whatever goes wrong into a status.

The steps are composed here rather than stacked as gRPC interceptors because each of those wraps the handler anew for
every call. Errors are outermost: a failing step, a failing servicer and a failing stream all end here.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from enmeshed_connector.api.calls import Call, CallKind, Method, set_current_call
from enmeshed_connector.api.errors import MethodUnknown, SubscriberTooSlow, TransferStalled, as_domain_error, status_of
from enmeshed_connector.api.interceptors.steps import RequestCheck, Step
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.errors import DomainError, InvalidArgument

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

logger = structlog.get_logger("enmeshed_connector.api")


class CallPipeline(grpc.aio.ServerInterceptor):
    """Leads calls through the steps. One serves a whole server."""

    def __init__(
        self,
        steps: Sequence[Step],
        *,
        methods: Mapping[str, Method],
        clock: Clock,
        check_request: RequestCheck,
        read_timeout: timedelta,
        write_timeout: timedelta,
    ) -> None:
        """Takes the steps.

        Args:
            steps: In the order in which calls enter them.
            methods: The rows of the permission table, by full name.
            clock: For the time that calls take.
            check_request: Looks at each request message.
            read_timeout: How long the next frame of a client's stream may take before the call ends.
            write_timeout: How long a client may not read before its stream ends.
        """
        self._steps = tuple(steps)
        self._methods = methods
        self._clock = clock
        self._check_request = check_request
        self._read_timeout = read_timeout.total_seconds()
        self._write_timeout = write_timeout.total_seconds()
        self._handlers: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Returns the handler of a call, wrapped; the same for each call of a method."""
        name = handler_call_details.method
        known = self._handlers.get(name)
        if known is not None:
            return known
        handler = await continuation(handler_call_details)
        method = self._methods.get(name)
        if handler is None or method is None or not _is_implemented(handler):
            # Not kept: names that callers make up must not fill memory.
            return _unknown_method(name)
        wrapped = self._handlers[name] = self._wrap(handler, method)
        return wrapped

    def _wrap(self, handler: Handler, method: Method) -> Handler:
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streaming(handler.stream_stream, method, request_streaming=True),
                _deserializer(handler),
                _serializer(handler),
            )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._answering(handler.stream_unary, method, request_streaming=True),
                _deserializer(handler),
                _serializer(handler),
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streaming(handler.unary_stream, method, request_streaming=False),
                _deserializer(handler),
                _serializer(handler),
            )
        return grpc.unary_unary_rpc_method_handler(
            self._answering(handler.unary_unary, method, request_streaming=False),
            _deserializer(handler),
            _serializer(handler),
        )

    def _answering(self, behavior: Any, method: Method, *, request_streaming: bool) -> Any:
        """Returns the behaviour of a method with one answer."""

        async def serve(request: Any, context: Context) -> Any:
            call = self._begin(method, context)

            async def run() -> Any:
                return await behavior(self._checked(call, request, streaming=request_streaming), context)

            return await self._guarded(call, run)

        return serve

    def _streaming(self, behavior: Any, method: Method, *, request_streaming: bool) -> Any:
        """Returns the behaviour of a method with a stream of answers.

        It writes instead of yielding: a stream whose client went away while it yields would otherwise be closed only
        when the garbage collector finds it, and keep its slot until then.
        """
        writes_itself = not inspect.isasyncgenfunction(behavior)
        # Reflection and health hold nothing for whoever does not read.
        slow_after = None if method.is_public else self._write_timeout

        async def serve(request: Any, context: Context) -> None:
            call = self._begin(method, context)

            async def run() -> None:
                checked = self._checked(call, request, streaming=request_streaming)
                if writes_itself:
                    await behavior(checked, context)
                    return
                async with aclosing(behavior(checked, context)) as frames:
                    async for frame in frames:
                        try:
                            async with asyncio.timeout(slow_after):
                                await context.write(frame)
                        except TimeoutError:
                            raise _not_read(method) from None

            await self._guarded(call, run)

        return serve

    async def _guarded(self, call: Call, run: Callable[[], Awaitable[Any]]) -> Any:
        """Runs a call inside the steps; what goes wrong ends it with a status."""
        entered = 0
        try:
            try:
                for step in self._steps:
                    await step.enter(call)
                    entered += 1
                result = await run()
            except Exception as error:
                if isinstance(error, grpc.aio.AbortError):
                    # Library servicers (health) end their calls themselves; theirs is the status.
                    raise
                call.failure = as_domain_error(error, call.correlation_id)
                if call.failure is not error:
                    logger.error("call failed by a fault of ours", method=call.method.name, exc_info=error)
            except asyncio.CancelledError:
                call.cancelled = True
                raise
            finally:
                for step in reversed(self._steps[:entered]):
                    step.leave(call)
                if call.trailing:
                    call.context.set_trailing_metadata(tuple(call.trailing.items()))
            if call.failure is None:
                return result
            await _abort(call, call.failure)
        except grpc.aio.UsageError:
            # The call is over already, so there is nobody to tell.
            return None

    def _begin(self, method: Method, context: Context) -> Call:
        metadata = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
        call = Call(method, context, self._clock, metadata, self._clock.monotonic())
        set_current_call(call)
        return call

    def _checked(self, call: Call, request: Any, *, streaming: bool) -> Any:
        if streaming:
            return self._checked_frames(call, request)
        message = _readable(request)
        self._check_request(call, message)
        return message

    async def _checked_frames(self, call: Call, frames: AsyncIterator[Message | None]) -> AsyncIterator[Message]:
        # A client that opens a transfer and goes silent would else hold its slot and its memory for ever.
        patience = None if call.method.is_public else self._read_timeout
        while True:
            try:
                async with asyncio.timeout(patience):
                    frame = await anext(frames)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise TransferStalled("no frame came for too long: nothing was stored, send it again") from None
            message = _readable(frame)
            self._check_request(call, message)
            yield message


def _deserializer(handler: Handler) -> Callable[[bytes], Message | None]:
    """Returns the deserialiser of a method, which gives None for bytes that are no message.

    gRPC takes its errors for a fault of the server, and calls it before any step: who sent the bytes is not known yet.
    """
    deserialize = handler.request_deserializer
    assert deserialize is not None

    def read(data: bytes) -> Message | None:
        try:
            message: Message = deserialize(data)
        except DecodeError:
            return None
        return message

    return read


def _readable(message: Message | None) -> Message:
    if message is None:
        raise InvalidArgument("the request cannot be read: it is not a message of the type that the method takes")
    return message


def _not_read(method: Method) -> DomainError:
    if method.kind is CallKind.SUBSCRIPTION:
        return SubscriberTooSlow("the subscriber did not read for too long: reconnect with its last resume token")
    return TransferStalled("the client did not read for too long: start the transfer again")


def _serializer(handler: Handler) -> Callable[[Any], bytes]:
    """Returns the serialiser of a method, which lets answers and frames through that are bytes already.

    So what several readers get is serialised once for all of them.
    """
    serialize = handler.response_serializer
    assert serialize is not None
    return lambda answer: answer if type(answer) is bytes else serialize(answer)


async def _abort(call: Call, failure: DomainError) -> None:
    if call.facts:
        failure = _with_facts(failure, call.facts)
    status = status_of(failure)
    await call.context.abort(status.code, status.details, (*call.trailing.items(), *status.trailing_metadata))


def _with_facts(error: DomainError, facts: Mapping[str, str]) -> DomainError:
    """Returns the same error with more facts; facts of its own win."""
    copy = error.__class__.__new__(error.__class__)
    copy.__dict__.update(error.__dict__)
    copy.facts = {**facts, **error.facts}
    return copy


def _is_implemented(handler: Handler) -> bool:
    """Tells whether a servicer has the method, and does not only inherit the generated one that raises."""
    behavior = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    return not str(getattr(behavior, "__module__", "")).endswith("_pb2_grpc")


def _unknown_method(name: str) -> Handler:
    async def refuse(_requests: AsyncIterator[bytes], context: Context) -> None:
        status = status_of(MethodUnknown("this server does not serve that method", facts={"method": name[:200]}))
        await context.abort(status.code, status.details, status.trailing_metadata)

    return grpc.stream_stream_rpc_method_handler(refuse)
