"""Creation of identities, and whether they still exist."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import httpx
import pytest
from nacl.signing import SigningKey

from enmeshed_backbone import addresses
from enmeshed_backbone.server import BackboneServer
from enmeshed_backbone.settings import PasswordPolicy, Settings
from tests.support.backbone_client import (
    Device,
    assert_error,
    b64u,
    identity_request,
    new_identity,
    open_http,
    public_key_text,
    result_of,
    signed,
)

_KEY = SigningKey(bytes(range(32)))


async def post(http: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    return await http.post("/api/v2/Identities", json=body)


async def test_a_new_identity_has_the_address_of_its_key_and_a_device(http: httpx.AsyncClient) -> None:
    made = result_of(await post(http, await identity_request(http, _KEY)), 201)

    assert made["address"] == addresses.derive(bytes(_KEY.verify_key), "localhost")
    assert made["device"]["id"].startswith("DVC")
    assert made["device"]["username"].startswith("USR")
    assert len(made["device"]["id"]) == len(made["device"]["username"]) == 20


async def test_an_identity_tells_about_itself(anna: Device) -> None:
    own = await anna.get("Identities/Self")

    assert own["address"] == anna.address
    assert own["status"] == "Active"
    assert own["identityVersion"] == 1
    assert own["tierId"].startswith("TIR")
    assert own["deletionGracePeriodEndsAt"] is None


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"clientSecret": "wrong"}, 400, "unauthorized"),
        ({"clientId": "wrong"}, 400, "unauthorized"),
        ({"clientId": None}, 400, "inputCannotBeParsed"),
        ({"devicePassword": ""}, 400, "validation.invalidPropertyValue"),
        ({"deviceCommunicationLanguage": "xx"}, 400, "validation.invalidDeviceCommunicationLanguage"),
        ({"deviceCommunicationLanguage": "EN"}, 400, "validation.invalidDeviceCommunicationLanguage"),
        ({"identityVersion": 256}, 400, "inputCannotBeParsed"),
        ({"identityVersion": "1"}, 400, "inputCannotBeParsed"),
        ({"identityPublicKey": "!"}, 400, "inputCannotBeParsed"),
        ({"identityPublicKey": b64u(b"not json")}, 500, "unexpected"),
        ({"identityPublicKey": public_key_text(SigningKey(bytes(32)))}, 400, "validation.device.invalidSignature"),
        ({"signedChallenge": None}, 400, "inputCannotBeParsed"),
        ({"signedChallenge": {"challenge": "{}", "signature": b64u(b"{}")}}, 500, "unexpected"),
        (
            {"signedChallenge": signed(_KEY, {"id": "CHLxxxxxxxxxxxxxxxxx", "expiresAt": "2099-01-01"})},
            404,
            "recordNotFound",
        ),
    ],
)
async def test_what_is_wrong_is_refused_and_makes_nothing(
    http: httpx.AsyncClient, backbone: BackboneServer, change: dict[str, Any], status: int, code: str
) -> None:
    assert_error(await post(http, await identity_request(http, _KEY, **change)), status, code)
    assert backbone.rows("SELECT * FROM identities") == backbone.rows("SELECT * FROM devices") == []


async def test_wrong_credentials_of_the_client_come_before_everything_else(http: httpx.AsyncClient) -> None:
    body = await identity_request(http, _KEY, clientSecret="wrong", devicePassword="", deviceCommunicationLanguage="x")

    assert_error(await post(http, body), 400, "unauthorized")


async def test_a_key_makes_one_identity(http: httpx.AsyncClient) -> None:
    result_of(await post(http, await identity_request(http, _KEY)), 201)

    assert_error(await post(http, await identity_request(http, _KEY)), 400, "validation.device.addressAlreadyExists")


async def test_an_old_challenge_is_refused(http: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    body = await identity_request(http, _KEY)
    await admin.post("/api/v1/Development/Clock", json={"seconds": 601})

    assert_error(await post(http, body), 400, "validation.device.challengeHasExpired")


async def test_a_client_with_a_limit_makes_no_more_identities(
    http: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await new_identity(http)
    token = (await admin.get("/api/v1/xsrf")).text
    limit = await admin.put("/api/v1/Clients/test", json={"maxIdentities": 1}, headers={"x-xsrf-token": token})
    assert limit.status_code == 200

    response = await post(http, await identity_request(http, _KEY))
    assert_error(response, 400, "validation.device.clientReachedIdentitiesLimit")
    lower = await admin.put("/api/v1/Clients/test", json={"maxIdentities": 0}, headers={"x-xsrf-token": token})
    assert_error(lower, 400, "validation.device.maxIdentitiesLessThanCurrentIdentities")


@pytest.mark.parametrize(
    ("password", "is_allowed"),
    [("Aa1!aaaaaa", True), ("Aa1!aaaaa", False), ("aa1!aaaaaa", False), ("Aaa!aaaaaa", False), ("Aa1aaaaaaa", False)],
)
async def test_the_policy_for_production_wants_long_and_mixed_passwords(password: str, is_allowed: bool) -> None:
    settings = replace(Settings(), port=0, admin_port=0, password_policy=PasswordPolicy.PRODUCTION)
    async with BackboneServer(settings) as server, open_http(server.base_url) as http:
        response = await post(http, await identity_request(http, _KEY, devicePassword=password))
        if is_allowed:
            result_of(response, 201)
        else:
            assert_error(response, 400, "validation.device.registrationFailed")


async def test_the_domain_of_addresses_is_a_setting() -> None:
    settings = replace(Settings(), port=0, admin_port=0, did_host="prod.example.eu")
    async with BackboneServer(settings) as server, open_http(server.base_url) as http:
        device = await new_identity(http)

    assert device.address.startswith("did:e:prod.example.eu:dids:")


async def test_anyone_may_ask_whether_an_identity_is_deleted(http: httpx.AsyncClient, anna: Device) -> None:
    for username in (anna.username, "USR" + os.urandom(8).hex()):
        answer = await http.get("/api/v2/Identities/IsDeleted", params={"username": username})
        assert result_of(answer) == {"isDeleted": False, "deletionDate": None}
    answer = await http.get("/api/v2/Identities/IsDeleted", params={"username": "bad name"})
    assert_error(answer, 400, "validation.invalidPropertyValue")
    assert_error(await http.get("/api/v2/Identities/IsDeleted"), 400, "inputCannotBeParsed")
