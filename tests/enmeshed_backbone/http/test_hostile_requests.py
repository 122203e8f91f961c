"""Anything at all as a body, a query or an id: a clear answer, never a failure of the server."""

from __future__ import annotations

import random
from typing import Any

import httpx
import pytest

from enmeshed_backbone.app import consumer_routes
from enmeshed_backbone.areas import admin as admin_area
from enmeshed_backbone.http.call import BodyKind, Route
from enmeshed_backbone.server import BackboneServer
from tests.support.backbone_client import KEY, SYNC_HEADERS, Device, b64u, relate

# Codes with 500 that the specification asks for.
_SPECIFIED = ("cannot be read", "is not enabled", "must be base64url")
_ROUNDS = 20
_NAMES = """
content expiresAt maxNumberOfAllocations forIdentity password relationshipTemplateId creationContent
creationResponseContent recipients body attachments address encryptedKey id ownershipToken newContent
localIndex modifications type objectIdentifier collection payloadCategory encryptedPayload datawalletVersion
duration externalEventResults datawalletModifications newDatawalletVersion lengthOfGracePeriodInDays
devicePassword signedChallenge challenge signature isBackupDevice communicationLanguage oldPassword
newPassword platform handle appId environment code clientId clientSecret identityPublicKey identityVersion
severity isSilent texts language title actions displayName link iqlQuery metricKey max period maxIdentities seconds
"""
_MEMBERS = _NAMES.split()
_PARAMETERS = [
    *_MEMBERS,
    *("ids", "peer", "templates.0.id", "templates.0.password", "language", "username", "pageNumber", "pageSize"),
]


def routes() -> list[Route]:
    return [route for route in consumer_routes() if not route.path.startswith("/connect")]


def value(source: random.Random, known: list[str], depth: int = 0) -> Any:
    """Returns any JSON value, of the kind that a request might hold or just not."""
    plain: list[Any] = [
        None,
        True,
        -1,
        0,
        1,
        2**31,
        2**63,
        1.5,
        "",
        "x",
        "\x00",
        "ä€😀",
        "x" * 600,
        KEY,
        "=",
        b64u(b'{"sig":"AA","alg":2}'),
        '{"id":"CHLx"}',
        "2099-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        *known,
    ]
    kind = source.random()
    if depth < 3 and kind < 0.25:
        return [value(source, known, depth + 1) for _ in range(source.randrange(4))]
    if depth < 3 and kind < 0.6:
        return {name: value(source, known, depth + 1) for name in source.sample(_MEMBERS, source.randrange(12))}
    return source.choice(plain)


@pytest.mark.parametrize("route", routes(), ids=lambda route: f"{route.method} {route.path}")
async def test_no_request_makes_the_server_fail(
    route: Route, anna: Device, bert: Device, backbone: BackboneServer, caplog: pytest.LogCaptureFixture
) -> None:
    source = random.Random(route.method + route.path)
    relationship_id = await relate(anna, bert)
    known = [anna.address, anna.id, relationship_id, await bert.make_template(), "SYRx", "IDPx", "FILx", "TOKx", "ANCx"]
    for _ in range(_ROUNDS):
        path = route.path.removeprefix("/api/v2/")
        for name in ("id", "address", "reference"):
            path = path.replace(f"{{{name}}}", source.choice([*known, "%00", "x" * 3000, "ä", "..%2F.."]))
        path = path if path.startswith("/") else f"/api/v2/{path}"
        headers = {**SYNC_HEADERS, "Authorization": f"Bearer {anna.token}"}
        query: list[tuple[str, str | int | float | bool | None]] = [
            (source.choice(_PARAMETERS), str(value(source, known, 3))) for _ in range(source.randrange(4))
        ]
        more: dict[str, Any] = {}
        if route.body is BodyKind.MULTIPART:
            more = {"data": {"cipherHash": str(value(source, known, 3))}, "files": {"content": b"x"}}
        elif route.body is not BodyKind.NONE:
            more = {"json": value(source, known)}

        response = await anna.http.request(route.method, path, params=httpx.QueryParams(query), headers=headers, **more)

        if response.status_code >= 500:
            assert any(text in response.text for text in _SPECIFIED), response.text
    assert [record.getMessage() for record in caplog.records if record.name == "enmeshed_backbone"] == []


@pytest.mark.parametrize("route", admin_area.ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_no_request_makes_the_admin_api_fail(
    route: Route, admin: httpx.AsyncClient, anna: Device, caplog: pytest.LogCaptureFixture
) -> None:
    source = random.Random(route.method + route.path)
    headers = {"x-xsrf-token": (await admin.get("/api/v1/xsrf")).text}
    tiers = (await admin.get("/api/v1/Tiers")).json()["result"]
    known = [
        anna.address,
        "test",
        "ANCx",
        "TOKx",
        "QUOx",
        "en",
        "High",
        "NumberOfFiles",
        "Week",
        *(t["id"] for t in tiers),
    ]
    for _ in range(_ROUNDS):
        path = route.path
        for name in ("id", "address", "quotaId"):
            path = path.replace(f"{{{name}}}", source.choice([*known, "%00", "x" * 3000, "ä", "..%2F.."]))
        response = await admin.request(route.method, path, headers=headers, json=value(source, known))

        assert response.status_code < 500, response.text
    assert [record.getMessage() for record in caplog.records if record.name == "enmeshed_backbone"] == []
