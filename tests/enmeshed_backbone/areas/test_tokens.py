"""Tokens, anonymous ones included."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from enmeshed_backbone.server import BackboneServer
from tests.support.backbone_client import FUTURE, Device, assert_error, b64, b64u, in_seconds, result_of

LOCKED = "token.tooManyFailedPasswordAttempts"


async def make(device: Device, **more: Any) -> str:
    body = {"content": b64u(b"content"), "expiresAt": FUTURE, **more}
    return str((await device.post("Tokens", body))["id"])


async def fetch(device: Device, token_id: str, password: bytes | None = None) -> httpx.Response:
    parameters = {} if password is None else {"password": b64(password)}
    response: httpx.Response = await device.call("GET", f"Tokens/{token_id}", params=parameters)
    return response


async def test_a_token_is_read_as_it_was_made(anna: Device, bert: Device, http: httpx.AsyncClient) -> None:
    token_id = await make(anna)
    expected = await bert.get(f"Tokens/{token_id}")

    assert expected == result_of(await http.get(f"/api/v2/Tokens/{token_id}"))
    assert expected.pop("createdAt")
    assert expected == {
        "id": token_id,
        "createdBy": anna.address,
        "createdByDevice": anna.id,
        "forIdentity": None,
        "expiresAt": FUTURE,
        "content": b64u(b"content"),
        "isPasswordProtected": False,
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"expiresAt": None}, "inputCannotBeParsed"),
        ({"expiresAt": "x"}, "inputCannotBeParsed"),
        ({"expiresAt": "2020-01-01"}, "validation.invalidPropertyValue"),
        ({"content": "§"}, "inputCannotBeParsed"),
        ({"forIdentity": "x"}, "validation.invalidPropertyValue"),
        ({"password": ""}, "validation.invalidPropertyValue"),
        ({"password": b64u(bytes(201))}, "validation.invalidPropertyValue"),
    ],
)
async def test_a_wrong_token_is_refused(anna: Device, change: dict[str, Any], code: str) -> None:
    assert_error(await anna.call("POST", "Tokens", json={"expiresAt": FUTURE, **change}), 400, code)


async def test_an_anonymous_token_is_empty_and_lives_for_minutes(http: httpx.AsyncClient) -> None:
    made = result_of(await http.post("/api/v2/Tokens", json={"expiresAt": in_seconds(200)}), 201)
    token = result_of(await http.get(f"/api/v2/Tokens/{made['id']}"))
    assert (token["createdBy"], token["createdByDevice"], token["content"]) == (None, None, None)

    for body in ({"expiresAt": in_seconds(400)}, {"expiresAt": in_seconds(200), "content": ""}):
        assert_error(await http.post("/api/v2/Tokens", json=body), 400, "validation.invalidPropertyValue")


async def test_an_anonymous_caller_counts_as_the_creator_of_an_anonymous_token(
    http: httpx.AsyncClient, anna: Device, admin: httpx.AsyncClient
) -> None:
    body = {"expiresAt": in_seconds(200), "password": b64u(b"secret")}
    made = result_of(await http.post("/api/v2/Tokens", json=body), 201)
    assert result_of(await http.get(f"/api/v2/Tokens/{made['id']}"))["isPasswordProtected"] is True
    assert_error(await fetch(anna, made["id"]), 404, "recordNotFound")
    await admin.post("/api/v1/Development/Clock", json={"seconds": 201})

    assert (await http.get(f"/api/v2/Tokens/{made['id']}")).status_code == 200
    assert_error(await fetch(anna, made["id"], b"secret"), 404, "recordNotFound")


async def test_a_password_is_asked_until_it_was_right_once(anna: Device, bert: Device, http: httpx.AsyncClient) -> None:
    token_id = await make(anna, password=b64u(b"secret"))
    for wrong in (None, b"wrong"):
        assert_error(await fetch(bert, token_id, wrong), 404, "recordNotFound")
    assert (await fetch(bert, token_id, b"secret")).status_code == 200
    assert (await fetch(bert, token_id)).status_code == 200
    assert (await fetch(anna, token_id)).status_code == 200
    anonymous = await http.get(f"/api/v2/Tokens/{token_id}", params={"password": b64(b"secret")})
    assert anonymous.status_code == 200
    assert (await http.get(f"/api/v2/Tokens/{token_id}")).status_code == 404


async def test_a_hundred_wrong_passwords_lock_a_token_and_tell_its_creator(
    anna: Device, bert: Device, http: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    token_id = await make(anna, password=b64u(b"secret"))
    for _ in range(99):
        assert_error(await fetch(bert, token_id, b"wrong"), 404, "recordNotFound")
    assert_error(await fetch(bert, token_id, b"wrong"), 400, LOCKED)
    assert_error(await fetch(bert, token_id, b"secret"), 400, LOCKED)
    assert (await fetch(anna, token_id)).status_code == 200
    assert [(e["type"], e["payload"]) for e in await anna.events()] == [("TokenLocked", {"tokenId": token_id})]

    xsrf = (await admin.get("/api/v1/xsrf")).text
    path = f"/api/v1/Tokens/{token_id}/ResetAccessFailedCount"
    assert (await admin.patch(path, headers={"x-xsrf-token": xsrf})).status_code == 204
    assert (await fetch(bert, token_id, b"secret")).status_code == 200


async def test_a_personalised_token_is_for_one_identity_and_counts_no_failures_of_others(
    anna: Device, bert: Device, http: httpx.AsyncClient, backbone: BackboneServer
) -> None:
    token_id = await make(anna, forIdentity=anna.address, password=b64u(b"secret"))
    assert_error(await fetch(bert, token_id, b"wrong"), 404, "recordNotFound")
    assert (await http.get(f"/api/v2/Tokens/{token_id}")).status_code == 404

    assert backbone.rows("SELECT failed_accesses FROM tokens") == [{"failed_accesses": 0}]


async def test_an_expired_token_is_there_for_its_creator_and_who_has_seen_it(
    anna: Device, bert: Device, admin: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    token_id = await make(anna, expiresAt=in_seconds(100))
    await fetch(bert, token_id)
    await admin.post("/api/v1/Development/Clock", json={"seconds": 101})

    for device in (anna, bert):
        assert (await fetch(device, token_id)).status_code == 200
        assert [token["id"] for token in await device.get("Tokens", params={"ids": token_id})] == [token_id]
    assert (await http.get(f"/api/v2/Tokens/{token_id}")).status_code == 404


async def test_a_list_shows_tokens_made_or_seen(anna: Device, bert: Device) -> None:
    ids = [await make(anna) for _ in range(3)]
    await fetch(bert, ids[1])
    older_form = {f"tokens.{index}.id": token_id for index, token_id in enumerate(ids)}

    assert [token["id"] for token in await anna.get("Tokens", params=older_form)] == ids
    assert [token["id"] for token in await bert.get("Tokens", params={"ids": ids})] == [ids[1]]
    assert_error(await anna.call("GET", "Tokens"), 400, "validation.invalidPropertyValue")


async def test_only_the_creator_deletes(anna: Device, bert: Device) -> None:
    token_id = await make(anna)
    assert_error(await bert.call("DELETE", f"Tokens/{token_id}"), 403, "forbidden")
    assert (await anna.call("DELETE", f"Tokens/{token_id}")).status_code == 204
    assert_error(await anna.call("DELETE", f"Tokens/{token_id}"), 404, "recordNotFound")


async def test_an_empty_token_is_filled_once_by_who_becomes_its_creator(anna: Device, http: httpx.AsyncClient) -> None:
    made = result_of(await http.post("/api/v2/Tokens", json={"expiresAt": in_seconds(200)}), 201)
    path, body = f"Tokens/{made['id']}/UpdateContent", {"newContent": b64u(b"new"), "id": "ignored"}
    filled = await anna.post(path, body, 200)
    assert "content" not in filled
    assert (filled["createdBy"], filled["createdByDevice"]) == (anna.address, anna.id)
    assert result_of(await http.get(f"/api/v2/Tokens/{made['id']}"))["content"] == b64u(b"new")

    again = await anna.call("POST", path, json=body)
    assert_error(again, 400, "token.contentUpdateNotPossibleBecauseContentAlreadyExists")


async def test_filling_a_token_asks_for_its_password_and_counts_failures(
    anna: Device, bert: Device, backbone: BackboneServer
) -> None:
    token_id = (await anna.post("Tokens", {"expiresAt": FUTURE, "password": b64u(b"secret")}))["id"]
    path = f"Tokens/{token_id}/UpdateContent"
    assert_error(await bert.call("POST", path, json={"newContent": b64u(b"x")}), 404, "recordNotFound")
    assert backbone.rows("SELECT failed_accesses FROM tokens") == [{"failed_accesses": 1}]
    assert_error(await bert.call("POST", path, json={"newContent": ""}), 400, "validation.invalidPropertyValue")
    assert_error(await bert.call("POST", path, json={}), 400, "inputCannotBeParsed")

    body = {"newContent": b64u(b"x"), "password": b64u(b"secret")}
    assert (await bert.post(path, body, 200))["createdBy"] == bert.address
