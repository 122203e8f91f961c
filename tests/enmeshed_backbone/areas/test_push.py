"""Push registrations and event streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from enmeshed_backbone.server import BackboneServer
from enmeshed_backbone.settings import Settings
from tests.support.backbone_client import (
    SYNC_HEADERS,
    Device,
    ask_for_relationship,
    assert_error,
    new_identity,
    open_http,
    relate,
)

PATH = "Devices/Self/PushNotifications"
MODIFICATION = {"type": "Create", "objectIdentifier": "o", "collection": "c", "datawalletVersion": 1}


class Stream:
    """An open event stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> str:
        """Returns the name of the next event, or `end` when there is none."""
        async with asyncio.timeout(10):
            async for line in self._lines:
                if line.startswith("event: "):
                    assert await anext(self._lines) == "data: _"
                    assert await anext(self._lines) == ""
                    return line.removeprefix("event: ")
        return "end"


@asynccontextmanager
async def open_stream(device: Device, version: int = 2) -> AsyncIterator[Stream]:
    headers = {"Authorization": f"Bearer {device.token}"}
    async with device.http.stream("GET", f"/api/v{version}/sse", headers=headers) as response:
        yield Stream(response)


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("version", [1, 2])
async def test_a_stream_begins_with_its_opening_and_tells_of_external_events(
    anna: Device, bert: Device, version: int
) -> None:
    async with open_stream(bert, version) as stream:
        assert stream.response.status_code == 200
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert stream.response.headers["cache-control"] == "no-cache"
        assert await stream.next() == "ConnectionOpened"
        await ask_for_relationship(anna, bert)
        assert await stream.next() == "ExternalEventCreated"


async def test_a_stream_needs_a_token(http: httpx.AsyncClient) -> None:
    response = await http.get("/api/v2/sse")

    assert (response.status_code, response.content) == (401, b"")


async def test_opening_a_stream_registers_the_device_and_closing_it_ends_that(
    backbone: BackboneServer, anna: Device
) -> None:
    await anna.put(PATH, {"platform": "dummy", "handle": "x", "appId": "app"})
    async with open_stream(anna) as stream:
        await stream.next()
        rows = backbone.rows("SELECT device_id, platform FROM push_registrations")
        assert rows == [{"device_id": anna.id, "platform": "sse"}]
    await _until(lambda: backbone.rows("SELECT * FROM push_registrations") == [])
    assert backbone.backbone.services.hub.stream_count == 0


async def test_changes_of_the_datawallet_are_told_to_the_other_devices_only(anna: Device) -> None:
    second = await anna.add_device()
    body = {"localIndex": -1, "modifications": [MODIFICATION]}
    async with open_stream(second) as stream:
        await stream.next()
        await second.post("Datawallet/Modifications", body, headers=SYNC_HEADERS)
        await anna.post("Datawallet/Modifications", {**body, "localIndex": 0}, headers=SYNC_HEADERS)
        await second.call("POST", f"{PATH}/SendTestNotification", json={"anything": 1})
        assert [await stream.next(), await stream.next()] == ["DatawalletModificationsCreated", "Test"]


async def test_an_event_that_is_blocked_is_pushed_all_the_same(anna: Device, bert: Device) -> None:
    await ask_for_relationship(anna, bert)
    await bert.events()
    async with open_stream(bert) as stream:
        await stream.next()
        await anna.send(bert)
        assert await stream.next() == "ExternalEventCreated"
    assert await bert.events() == []


async def test_a_second_stream_of_an_identity_ends_at_once_and_deafens_the_first(anna: Device, bert: Device) -> None:
    second = await bert.add_device()
    async with open_stream(bert) as first:
        await first.next()
        async with open_stream(second) as refused:
            assert refused.response.status_code == 200
            assert await refused.next() == "end"
        await ask_for_relationship(anna, bert)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await first.next()


async def test_a_stream_is_kept_alive() -> None:
    settings = replace(Settings(), port=0, admin_port=0, keep_alive_interval=0.02)
    async with BackboneServer(settings) as server, open_http(server.base_url) as http:
        device = await new_identity(http)
        async with open_stream(device) as stream:
            assert [await stream.next() for _ in range(3)] == ["ConnectionOpened", "keep-alive", "keep-alive"]


async def test_stopping_the_server_ends_its_streams() -> None:
    server = BackboneServer()
    await server.__aenter__()
    async with open_http(server.base_url) as http:
        device = await new_identity(http)
        async with open_stream(device) as stream:
            await stream.next()
            stopping = asyncio.create_task(server.__aexit__(None, None, None))
            assert await stream.next() == "end"
        await stopping


async def test_a_failed_request_pushes_nothing(anna: Device, bert: Device) -> None:
    await relate(anna, bert)
    async with open_stream(bert) as stream:
        await stream.next()
        assert_error(await anna.send(bert, body=""), 400, "validation.invalidPropertyValue")
        await anna.send(bert)
        await bert.call("POST", f"{PATH}/SendTestNotification", json=[])
        assert [await stream.next(), await stream.next()] == ["ExternalEventCreated", "Test"]


async def test_a_registration_keeps_its_identifier_when_it_is_replaced(anna: Device) -> None:
    first = await anna.put(PATH, {"platform": "dummy", "handle": "x", "appId": "app"})
    second = await anna.put(PATH, {"platform": "SSE", "handle": "", "appId": "other", "environment": "development"})

    assert first == second
    assert first["devicePushIdentifier"].startswith("DPI")
    for _ in range(2):
        assert (await anna.call("DELETE", PATH)).status_code == 204
    assert await anna.put(PATH, {"platform": "dummy", "handle": "x", "appId": "app"}) != first


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"platform": "pigeon"}, 400, "validation.invalidPropertyValue"),
        ({"platform": None}, 400, "inputCannotBeParsed"),
        ({"appId": ""}, 400, "validation.invalidPropertyValue"),
        ({"environment": "Test"}, 400, "inputCannotBeParsed"),
        ({"platform": "fcm", "handle": "short"}, 400, "validation.invalidPropertyValue"),
        ({"platform": "fcm", "handle": "x" * 501}, 400, "validation.invalidPropertyValue"),
        ({"platform": "fcm", "handle": "x" * 20}, 500, "unexpected"),
        ({"platform": "apns", "handle": "x" * 20}, 500, "unexpected"),
    ],
)
async def test_a_wrong_registration_is_refused(anna: Device, change: dict[str, Any], status: int, code: str) -> None:
    body = {"platform": "dummy", "handle": "x", "appId": "app", **change}

    assert_error(await anna.call("PUT", PATH, json=body), status, code)


async def test_an_app_that_is_not_configured_is_refused() -> None:
    settings = replace(Settings(), port=0, admin_port=0, fcm_app_ids=("known",))
    async with BackboneServer(settings) as server, open_http(server.base_url) as http:
        device = await new_identity(http)
        body = {"platform": "fcm", "handle": "x" * 20, "appId": "known"}
        await device.put(PATH, body)
        assert_error(await device.call("PUT", PATH, json={**body, "appId": "other"}), 400, "unsupportedAppId")
