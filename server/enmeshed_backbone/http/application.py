"""The ASGI application: finds the route, limits and binds the request, runs the handler, writes the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import orjson
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from .. import dates
from ..errors import ApiError, OAuthError, body_too_large, unexpected, unparsable
from ..services import Services
from .access import Caller
from .binding import Query, parse_json
from .call import Access, Auth, BodyKind, Call, Reply, Route

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
StreamHandler = Callable[[Scope, Receive, Send, Caller], Awaitable[None]]
Guard = Callable[[Scope], Reply | None]

_LOG = logging.getLogger("enmeshed_backbone")

HEAVY_BYTES = 256 * 1024
"""Bodies from this size on are parsed and stored away from the event loop."""

_FIXED_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=63072000"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"Deny"),
]


class _Node:
    """One segment of the tree of paths."""

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.variable: tuple[str, _Node] | None = None
        self.routes: dict[str, Route] = {}


class Router:
    """Finds routes by path, without regard to case, and method."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], bool]:
        """Returns the route, its path parameters and whether the path exists with any method."""
        segments = path.removeprefix("/").removesuffix("/").split("/")
        exists = False
        for node, parameters in _matches(self._root, segments, 0, {}):
            route = node.routes.get(method)
            if route is not None:
                return route, parameters, True
            exists = exists or bool(node.routes)
        return None, {}, exists

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.path.strip("/").split("/"):
            if segment.startswith("{"):
                if node.variable is None:
                    node.variable = (segment[1:-1], _Node())
                node = node.variable[1]
            else:
                node = node.literals.setdefault(segment.lower(), _Node())
        if route.method in node.routes:
            raise ValueError(f"{route.method} {route.path} is there twice.")
        node.routes[route.method] = route


def _matches(
    node: _Node, segments: list[str], index: int, parameters: dict[str, str]
) -> Iterable[tuple[_Node, dict[str, str]]]:
    if index == len(segments):
        yield node, parameters
        return
    literal = node.literals.get(segments[index].lower())
    if literal is not None:
        yield from _matches(literal, segments, index + 1, parameters)
    if node.variable is not None and segments[index]:
        name, child = node.variable
        yield from _matches(child, segments, index + 1, {**parameters, name: segments[index]})


class Application:
    """One API as an ASGI application.

    Args:
        services: What handlers use.
        routes: The operations.
        streams: Event streams by lower-case path; they answer by themselves once the caller is known.
        body_limit: The largest body in bytes.
        guard: Looks at a request before its route does, and may answer it.
    """

    def __init__(
        self,
        services: Services,
        routes: Iterable[Route],
        *,
        streams: dict[str, StreamHandler] | None = None,
        body_limit: int,
        guard: Guard | None = None,
    ) -> None:
        self._services = services
        self._router = Router(routes)
        self._streams = streams or {}
        self._body_limit = body_limit
        self._body_timeout = services.settings.body_timeout
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            raise RuntimeError("Only HTTP is served.")
        clock = self._services.clock
        started, started_at = clock.monotonic(), clock.now_ms()
        headers = dict(scope["headers"])
        stream = self._streams.get(scope["path"].rstrip("/").lower())
        if stream is not None and scope["method"] == "GET":
            caller = self._caller(headers)
            if caller is not None:
                await stream(scope, receive, send, caller)
                return
            reply = _unauthorized(headers)
        else:
            reply = await self._reply(scope, receive, headers)
        await self._send(reply, headers, send, started, started_at)

    async def _reply(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> Reply:
        try:
            refusal = self._guard(scope) if self._guard is not None else None
            if refusal is not None:
                return refusal
            route, parameters, exists = self._router.find(scope["method"], scope["path"])
            if route is None:
                return Reply(405 if exists else 404, raw=("", b""))
            caller = self._caller(headers) if route.auth is not Auth.NONE else None
            if caller is None and route.auth is Auth.TOKEN:
                return _unauthorized(headers)
            call = Call(self._services, parameters, Query(scope["query_string"]), headers, caller)
            refusal = await self._bind_body(call, route, receive)
            return refusal if refusal is not None else await self._run(call, route)
        except ApiError as error:
            return _error_reply(error, self._services)
        except OAuthError as error:
            body = orjson.dumps({"error": error.error, "error_description": error.description})
            return Reply(error.status, raw=("application/json", body))
        except ClientGone:
            return Reply(400, raw=("", b""))
        except Exception:
            _LOG.exception("%s %s failed", scope["method"], scope["path"])
            return _error_reply(unexpected(), self._services)

    def _caller(self, headers: dict[bytes, bytes]) -> Caller | None:
        kind, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if kind.lower() != "bearer":
            return None
        return self._services.signer.read(token.strip(), now_ms=self._services.clock.now_ms())

    async def _run(self, call: Call, route: Route) -> Reply:
        store = self._services.store
        if route.access is Access.READ:
            return store.read(lambda transaction: route.handler(call, transaction))
        return await store.write(
            lambda transaction: route.handler(call, transaction), is_heavy=call.body_size >= HEAVY_BYTES
        )

    async def _bind_body(self, call: Call, route: Route, receive: Receive) -> Reply | None:
        raw = await self._read_body(call.headers, receive)
        call.body_size = len(raw)
        content_type = call.headers.get(b"content-type", b"").decode("latin-1")
        match route.body:
            case BodyKind.NONE:
                return None
            case BodyKind.FORM:
                call.form = Query(raw.strip()).first_values()
            case BodyKind.MULTIPART:
                if not content_type.lower().startswith("multipart/form-data"):
                    return Reply(415, raw=("", b""))
                call.form = await _parse_multipart(call.headers, raw)
            case BodyKind.OPTIONAL_JSON if not raw.strip():
                call.body_value = {}
            case _:
                if content_type and not _is_json(content_type):
                    return Reply(415, raw=("", b""))
                is_heavy = len(raw) >= HEAVY_BYTES
                call.body_value = await asyncio.to_thread(parse_json, raw) if is_heavy else parse_json(raw)
        return None

    async def _read_body(self, headers: Any, receive: Receive) -> bytes:
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._body_limit:
            raise body_too_large(self._body_limit)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._body_timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > self._body_limit:
                        raise body_too_large(self._body_limit)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except TimeoutError:
            raise unparsable(f"The body took longer than {self._body_timeout} seconds.") from None

    async def _send(
        self, reply: Reply, request_headers: dict[bytes, bytes], send: Send, started: float, started_at: int
    ) -> None:
        content_type, body = _render(reply)
        clock = self._services.clock
        correlation_id = _correlation_id(request_headers.get(b"x-correlation-id"), self._services)
        headers = [
            *_FIXED_HEADERS,
            (b"x-correlation-id", correlation_id),
            (b"x-request-time", dates.network_text(started_at).encode()),
            (b"x-response-time", dates.network_text(clock.now_ms()).encode()),
            (b"x-response-duration-ms", str(int((clock.monotonic() - started) * 1000)).encode()),
            (b"x-trace-id", self._services.random(16).hex().encode()),
            *((name.encode(), value.encode("latin-1")) for name, value in reply.headers),
        ]
        if reply.status not in (204, 304):
            headers.append((b"content-length", str(len(body)).encode()))
        if content_type:
            headers.append((b"content-type", content_type.encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


def _render(reply: Reply) -> tuple[str, bytes]:
    if reply.raw is not None:
        return reply.raw
    if reply.status == 204:
        return "", b""
    envelope = {"result": reply.result}
    if reply.pagination is not None:
        envelope["pagination"] = reply.pagination
    return "application/json; charset=utf-8", orjson.dumps(envelope)


def _error_reply(error: ApiError, services: Services) -> Reply:
    envelope = {
        "error": {
            "id": services.ids.error_id(),
            "code": error.code,
            "message": error.message,
            "docs": "",
            "time": dates.round_trip_text(services.clock.now_ms()),
            "data": error.data,
        }
    }
    return Reply(error.status, raw=("application/json; charset=utf-8", orjson.dumps(envelope)))


def _unauthorized(headers: dict[bytes, bytes]) -> Reply:
    challenge = 'Bearer error="invalid_token"' if b"authorization" in headers else "Bearer"
    return Reply(401, raw=("", b""), headers=(("www-authenticate", challenge),))


def _correlation_id(given: bytes | None, services: Services) -> bytes:
    cleaned = (given or b"").replace(b"\r", b"").replace(b"\n", b"").strip()[:100]
    return cleaned or services.ids.guid().encode()


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in {"application/json", "text/json"} or media_type.endswith("+json")


async def _parse_multipart(headers: Any, raw: bytes) -> dict[str, Any]:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield raw

    parser = MultiPartParser(
        Headers(raw=list(headers.items())), chunks(), max_files=10, max_fields=50, max_part_size=len(raw) + 1
    )
    # The body is in memory already and bounded: parts need not go through the disk.
    parser.spool_max_size = len(raw) + 1
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeError) as error:
        # The last: the client named an encoding that its names are not written in.
        raise unparsable("The body must be multipart/form-data.") from error
    parts: dict[str, Any] = {}
    for name, value in form.multi_items():
        content = await value.read() if isinstance(value, UploadFile) else value
        parts.setdefault(name.lower(), content)
    await form.close()
    return parts
