"""The token endpoint."""

from __future__ import annotations

import base64
import json

import httpx
import pytest

from enmeshed_backbone.server import BackboneServer
from enmeshed_backbone.settings import Settings
from tests.support.backbone_client import Device, log_in, open_http


async def test_a_device_gets_a_token_that_names_it(http: httpx.AsyncClient, anna: Device) -> None:
    response = await log_in(http, anna.username, anna.password)
    answer = response.json()
    claims = json.loads(base64.urlsafe_b64decode(answer["access_token"].split(".")[1] + "=="))

    assert response.status_code == 200
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 300
    assert set(answer) == {"access_token", "token_type", "expires_in"}
    assert (claims["nmshd_address"], claims["device_id"], claims["client_id"]) == (anna.address, anna.id, "test")
    assert claims["exp"] - claims["iat"] == 300


async def test_usernames_are_compared_without_regard_to_case_and_spaces(http: httpx.AsyncClient, anna: Device) -> None:
    response = await log_in(http, f"  {anna.username.lower()} ", anna.password)

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"password": "wrong"}, 400, "invalid_grant"),
        ({"username": "USRxxxxxxxxxxxxxxxxx"}, 400, "invalid_grant"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"client_secret": "other"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"username": ""}, 400, "invalid_request"),
        ({"password": ""}, 400, "invalid_request"),
    ],
)
async def test_each_failure_has_its_code(
    http: httpx.AsyncClient, anna: Device, change: dict[str, str], status: int, error: str
) -> None:
    form = {"username": anna.username, "password": anna.password, **change}
    response = await log_in(http, form.pop("username"), form.pop("password"), **form)

    assert response.status_code == status
    assert response.json()["error"] == error
    assert response.json()["error_description"]


async def test_a_request_without_any_form_is_invalid(http: httpx.AsyncClient) -> None:
    response = await http.post("/connect/token", json={"grant_type": "password"})

    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_three_wrong_passwords_lock_the_device_for_a_minute(
    http: httpx.AsyncClient, admin: httpx.AsyncClient, anna: Device
) -> None:
    errors = [(await log_in(http, anna.username, "wrong")).json()["error"] for _ in range(3)]
    assert errors == ["invalid_grant", "invalid_grant", "access_denied"]
    assert (await log_in(http, anna.username, anna.password)).json()["error"] == "access_denied"

    await admin.post("/api/v1/Development/Clock", json={"seconds": 61})
    assert (await log_in(http, anna.username, anna.password)).status_code == 200


async def test_a_right_password_starts_the_count_anew(http: httpx.AsyncClient, anna: Device) -> None:
    for _ in range(3):
        for _ in range(2):
            assert (await log_in(http, anna.username, "wrong")).json()["error"] == "invalid_grant"
        assert (await log_in(http, anna.username, anna.password)).status_code == 200


async def test_the_two_seeded_identities_can_log_in() -> None:
    async with BackboneServer(Settings(port=0, admin_port=0)) as server, open_http(server.base_url) as http:
        for username, password, address in (
            ("USRa", "Aaaaaaaa1!", "did:e:localhost:dids:0f3e40164b6c495c28674f"),
            ("USRb", "Bbbbbbbb1!", "did:e:localhost:dids:8234cca0160ff05c785636"),
        ):
            token = (await log_in(http, username, password)).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            identity = (await http.get("/api/v2/Identities/Self", headers=headers)).json()["result"]
            assert identity["address"] == address
