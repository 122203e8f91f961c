"""Push registrations, and the event stream, which is one of them.

Source: specification of the Consumer API, §5.2 to §5.4.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import MutableMapping
from typing import Any

from ..errors import invalid_property, not_found, refused, unexpected
from ..http.access import Caller
from ..http.application import Receive, Scope, Send
from ..http.call import NO_CONTENT, Access, BodyKind, Call, Reply, Route, ok
from ..services import Services
from ..store import Transaction


class Environment(enum.Enum):
    """Which push service of a platform is meant."""

    DEVELOPMENT = "Development"
    PRODUCTION = "Production"


_PLATFORMS = ("fcm", "apns", "sse", "dummy")
_PLATFORMS_WITHOUT_HANDLE = ("sse", "dummy")


def register(call: Call, transaction: Transaction) -> Reply:
    """Registers the caller's device for push, replacing what it had, and answers its push identifier."""
    body, settings = call.body, call.services.settings
    platform, handle, app_id = body.text("platform").lower(), body.text("handle"), body.text("appId")
    environment = body.choice("environment", Environment, Environment.PRODUCTION)
    if platform not in _PLATFORMS:
        raise invalid_property(f"platform must be one of {', '.join(_PLATFORMS)}.")
    if platform not in _PLATFORMS_WITHOUT_HANDLE and not 10 <= len(handle) <= 500:
        raise invalid_property("handle must have 10 to 500 characters.")
    if not app_id:
        raise invalid_property("appId must not be empty.")
    app_ids = {"fcm": settings.fcm_app_ids, "apns": settings.apns_app_ids}.get(platform)
    if app_ids is not None and not app_ids:
        raise unexpected(f"The platform {platform} is not enabled.")
    if app_ids is not None and app_id not in app_ids:
        raise refused("unsupportedAppId", f"The app id is not configured for {platform}.")
    identifier = _save(call.services, transaction, call.me, (platform, handle, app_id, environment.value))
    return ok({"devicePushIdentifier": identifier})


def unregister(call: Call, transaction: Transaction) -> Reply:
    """Ends the registration of the caller's device, if there is one."""
    transaction.run("DELETE FROM push_registrations WHERE device_id = ?", call.me.device_id)
    return NO_CONTENT


def send_test(call: Call, transaction: Transaction) -> Reply:
    """Sends a test push to all devices of the caller's identity."""
    transaction.push(call.address, "Test")
    return NO_CONTENT


class SseEndpoint:
    """The event stream of the calling device's identity."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        """Streams events until the client goes away or the server stops."""
        services = self._services
        if not services.store.read(lambda transaction: self._exists(transaction, caller)):
            await _start(send, 404)
            await send({"type": "http.response.body"})
            return
        stream = services.hub.connect(caller.address)
        try:
            if stream is not None:
                registration = ("sse", "sse-handle", "sse-client", Environment.PRODUCTION.value)
                await services.store.write(lambda transaction: _save(services, transaction, caller, registration))
            await _start(send, 200)
            if stream is None:
                await send({"type": "http.response.body"})
                return
            await _frame(send, "ConnectionOpened")
            async with asyncio.TaskGroup() as tasks:
                listener = tasks.create_task(_until_disconnect(receive, stream.end))
                async for name in stream.names(services.settings.keep_alive_interval):
                    await _frame(send, name)
                listener.cancel()
            with contextlib.suppress(OSError):
                await send({"type": "http.response.body"})
        finally:
            services.hub.disconnect(caller.address, stream)
            if stream is not None:
                await services.store.write(
                    lambda transaction: transaction.run(
                        "DELETE FROM push_registrations WHERE device_id = ? AND platform = 'sse'", caller.device_id
                    )
                )

    def _exists(self, transaction: Transaction, caller: Caller) -> bool:
        return transaction.one("SELECT 1 FROM devices WHERE id = ?", caller.device_id) is not None


async def _start(send: Send, status: int) -> None:
    headers = [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-cache"),
        (b"connection", b"keep-alive"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _frame(send: Send, name: str) -> None:
    await send({"type": "http.response.body", "body": f"event: {name}\ndata: _\n\n".encode(), "more_body": True})


async def _until_disconnect(receive: Receive, end: Any) -> None:
    message: MutableMapping[str, Any] = {}
    while message.get("type") != "http.disconnect":
        message = await receive()
    end()


def _save(services: Services, transaction: Transaction, caller: Caller, values: tuple[str, str, str, str]) -> str:
    if transaction.one("SELECT 1 FROM devices WHERE id = ?", caller.device_id) is None:
        raise not_found("Device")
    platform, handle, app_id, environment = values
    identifier: str = transaction.value(
        "INSERT INTO push_registrations (device_id, address, identifier, platform, handle, app_id, environment, "
        "updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device_id) DO UPDATE SET "
        "platform = excluded.platform, handle = excluded.handle, app_id = excluded.app_id, "
        "environment = excluded.environment, updated_at = excluded.updated_at RETURNING identifier",
        caller.device_id,
        caller.address,
        services.ids.make("DPI"),
        platform,
        handle,
        app_id,
        environment,
        transaction.now,
    )
    return identifier


ROUTES = (
    Route("PUT", "/api/v2/Devices/Self/PushNotifications", register, access=Access.WRITE, body=BodyKind.JSON),
    Route("DELETE", "/api/v2/Devices/Self/PushNotifications", unregister, access=Access.WRITE),
    Route(
        "POST",
        "/api/v2/Devices/Self/PushNotifications/SendTestNotification",
        send_test,
        access=Access.WRITE,
        body=BodyKind.RAW_JSON,
    ),
)
