"""A bare client of the Consumer API for tests of the Backbone: says exactly what it is told to, checks nothing."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from nacl.signing import SigningKey

PREFIX = "error.platform."
SYNC_HEADERS = {"X-Supported-Datawallet-Version": "1"}
FUTURE = "2099-01-01T00:00:00.000Z"
KEY = base64.urlsafe_b64encode(bytes(40)).rstrip(b"=").decode()


def b64u(data: bytes) -> str:
    """Returns base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64(data: bytes) -> str:
    """Returns padded standard base64."""
    return base64.b64encode(data).decode()


def in_seconds(seconds: float) -> str:
    """Returns the text of a moment from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@asynccontextmanager
async def open_http(base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Gives a client without proxy and with room for many calls at once."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    # Without verification no certificates are loaded, which takes longer than most tests. There is no TLS here.
    async with httpx.AsyncClient(base_url=base_url, trust_env=False, verify=False, timeout=30, limits=limits) as http:
        yield http


def result_of(response: httpx.Response, status: int = 200) -> Any:
    """Returns the result of an answer that must have this status."""
    assert response.status_code == status, f"{response.status_code} {response.text}"
    return response.json()["result"]


def assert_error(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Checks that an answer is an error envelope with this status and code, and returns the error."""
    assert response.status_code == status, f"{response.status_code} {response.text}"
    error: dict[str, Any] = response.json()["error"]
    assert error["code"] == (code if code.endswith("Validator") else PREFIX + code), error
    assert set(error) == {"id", "code", "message", "docs", "time", "data"}
    assert error["id"].startswith("ERR")
    assert len(error["id"]) == 20
    return error


@dataclass
class Device:
    """One device of an identity, logged in."""

    http: httpx.AsyncClient
    key: SigningKey
    address: str
    id: str
    username: str
    password: str
    token: str = ""

    async def call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Any:
        """Sends a request with the device's token; paths are relative to `/api/v2`."""
        given = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        return await self.http.request(method, f"/api/v2/{path}", headers=given, **more)

    async def get(self, path: str, status: int = 200, **more: Any) -> Any:
        """Returns the result of a GET."""
        return result_of(await self.call("GET", path, **more), status)

    async def post(self, path: str, body: Any, status: int = 201, **more: Any) -> Any:
        """Returns the result of a POST."""
        return result_of(await self.call("POST", path, json=body, **more), status)

    async def put(self, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
        """Returns the result of a PUT."""
        return result_of(await self.call("PUT", path, json={} if body is None else body, **more), status)

    async def log_in(self) -> None:
        """Gets an access token."""
        response = await log_in(self.http, self.username, self.password)
        assert response.status_code == 200, response.text
        self.token = response.json()["access_token"]

    async def sign_challenge(self) -> dict[str, str]:
        """Returns a new challenge, signed with the identity's key."""
        return signed(self.key, await self.post("Challenges", {}))

    async def add_device(self, password: str = "second") -> Device:
        """Makes another device of this identity and logs it in."""
        body = {"devicePassword": password, "signedChallenge": await self.sign_challenge()}
        made = await self.post("Devices", body)
        device = Device(self.http, self.key, self.address, made["id"], made["username"], password)
        await device.log_in()
        return device

    async def make_template(self, **more: Any) -> str:
        """Makes a relationship template and returns its id."""
        made = await self.post("RelationshipTemplates", {"content": b64u(b"template"), **more})
        return str(made["id"])

    async def set_up_datawallet(self, version: int = 1) -> None:
        """Makes the datawallet, as a client does after its first login."""
        run = await self.post("SyncRuns", {"type": "DatawalletVersionUpgrade"}, headers=SYNC_HEADERS)
        path = f"SyncRuns/{run['syncRun']['id']}/FinalizeDatawalletVersionUpgrade"
        await self.put(path, {"newDatawalletVersion": version}, headers=SYNC_HEADERS)

    async def start_sync(self, **more: Any) -> Any:
        """Starts a run for external events and returns the answer's result."""
        response = await self.call("POST", "SyncRuns", json=more, headers=SYNC_HEADERS)
        assert response.status_code in (200, 201), response.text
        return response.json()["result"]

    async def events(self) -> list[dict[str, Any]]:
        """Takes the waiting external events in a run and finishes it."""
        started = await self.start_sync()
        if started["status"] == "NoNewEvents":
            return []
        run_id = started["syncRun"]["id"]
        found: list[dict[str, Any]] = await self.get(f"SyncRuns/{run_id}/ExternalEvents", params={"pageSize": "200"})
        results = {"externalEventResults": [{"externalEventId": event["id"]} for event in found]}
        await self.put(f"SyncRuns/{run_id}/FinalizeExternalEventSync", results, headers=SYNC_HEADERS)
        return found

    async def send(self, *recipients: Device, **more: Any) -> httpx.Response:
        """Sends a message and returns the answer."""
        to = [{"address": recipient.address, "encryptedKey": KEY} for recipient in recipients]
        message = {"recipients": to, "body": b64u(b"text"), "attachments": [], **more}
        response: httpx.Response = await self.call("POST", "Messages", json=message)
        return response


MakeIdentity = Callable[[], Awaitable[Device]]
"""What the fixture `make_identity` gives."""


def signed(key: SigningKey, challenge: Mapping[str, Any], kind: str = "Identity") -> dict[str, str]:
    """Returns a signed challenge in the form that clients send."""
    text = json.dumps({"expiresAt": challenge["expiresAt"], "id": challenge["id"], "type": kind}, separators=(",", ":"))
    signature = json.dumps({"sig": b64u(key.sign(text.encode()).signature), "alg": 2})
    return {"challenge": text, "signature": b64u(signature.encode())}


def public_key_text(key: SigningKey) -> str:
    """Returns the public key object in the form that clients send."""
    return b64u(json.dumps({"pub": b64u(bytes(key.verify_key)), "alg": 3}).encode())


async def identity_request(http: httpx.AsyncClient, key: SigningKey, **more: Any) -> dict[str, Any]:
    """Returns the body of a request for a new identity, with a fresh challenge."""
    challenge = result_of(await http.post("/api/v2/Challenges", json={}), 201)
    return {
        "clientId": "test",
        "clientSecret": "test",
        "identityPublicKey": public_key_text(key),
        "devicePassword": "password",
        "identityVersion": 1,
        "signedChallenge": signed(key, challenge),
        **more,
    }


async def log_in(http: httpx.AsyncClient, username: str, password: str, **more: str) -> httpx.Response:
    """Asks for an access token."""
    form = {
        "grant_type": "password",
        "client_id": "test",
        "client_secret": "test",
        "username": username,
        "password": password,
        **more,
    }
    return await http.post("/connect/token", data=form)


async def new_identity(http: httpx.AsyncClient, *, with_datawallet: bool = True) -> Device:
    """Makes an identity and logs its device in."""
    key = SigningKey(os.urandom(32))
    made = result_of(await http.post("/api/v2/Identities", json=await identity_request(http, key)), 201)
    device = Device(http, key, made["address"], made["device"]["id"], made["device"]["username"], "password")
    await device.log_in()
    if with_datawallet:
        await device.set_up_datawallet()
    return device


async def ask_for_relationship(requester: Device, templator: Device) -> str:
    """Makes a template and a pending relationship from it, and returns the relationship's id."""
    template_id = await templator.make_template()
    body = {"relationshipTemplateId": template_id, "creationContent": b64u(b"please")}
    made = await requester.post("Relationships", body)
    return str(made["id"])


async def relate(requester: Device, templator: Device) -> str:
    """Makes an active relationship and returns its id."""
    relationship_id = await ask_for_relationship(requester, templator)
    await templator.put(f"Relationships/{relationship_id}/Accept")
    return relationship_id
