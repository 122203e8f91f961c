"""Devices of an identity."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.backbone_client import Device, assert_error, log_in, result_of


async def register(device: Device, **more: Any) -> httpx.Response:
    body = {"devicePassword": "second", "signedChallenge": await device.sign_challenge(), **more}
    response: httpx.Response = await device.call("POST", "Devices", json=body)
    return response


async def test_a_device_is_registered_by_another_one(anna: Device) -> None:
    made = result_of(await register(anna, communicationLanguage="de"), 201)

    assert made["createdByDevice"] == anna.id
    assert made["isBackupDevice"] is False
    assert set(made) == {"id", "username", "createdAt", "createdByDevice", "isBackupDevice"}
    listed = await anna.get("Devices", params={"ids": made["id"]})
    assert listed[0]["communicationLanguage"] == "de"
    assert listed[0]["lastLogin"] is None


async def test_a_device_tells_about_itself(anna: Device) -> None:
    own = await anna.get("Devices/Self")

    assert own["id"] == own["createdByDevice"] == anna.id
    assert own["username"] == anna.username
    assert own["communicationLanguage"] == "en"
    assert set(own["lastLogin"]) == {"time"}


async def test_only_devices_of_the_own_identity_are_listed(anna: Device, bert: Device) -> None:
    second = await anna.add_device()

    assert [device["id"] for device in await anna.get("Devices")] == [anna.id, second.id]
    assert await anna.get("Devices", params={"ids": [bert.id]}) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"devicePassword": ""}, "validation.invalidPropertyValue"),
        ({"devicePassword": None}, "inputCannotBeParsed"),
        ({"communicationLanguage": "klingon"}, "validation.invalidDeviceCommunicationLanguage"),
        ({"isBackupDevice": "yes"}, "inputCannotBeParsed"),
        ({"signedChallenge": {}}, "inputCannotBeParsed"),
    ],
)
async def test_a_wrong_registration_is_refused(anna: Device, change: dict[str, Any], code: str) -> None:
    assert_error(await register(anna, **change), 400, code)


async def test_the_challenge_must_be_signed_with_the_key_of_the_identity(anna: Device, bert: Device) -> None:
    response = await register(anna, signedChallenge=await bert.sign_challenge())

    assert_error(response, 400, "validation.device.invalidSignature")


async def test_there_is_one_backup_device_until_it_logs_in(http: httpx.AsyncClient, anna: Device) -> None:
    backup = result_of(await register(anna, isBackupDevice=True), 201)
    refused = await register(anna, isBackupDevice=True, signedChallenge={"challenge": "{}", "signature": "e30"})
    assert_error(refused, 400, "validation.device.onlyOneBackupDeviceCanExist")

    assert (await log_in(http, backup["username"], "second")).status_code == 200
    listed = await anna.get("Devices", params={"ids": backup["id"]})
    assert listed[0]["isBackupDevice"] is False
    result_of(await register(anna, isBackupDevice=True), 201)


async def test_the_language_of_a_device_can_be_changed(anna: Device) -> None:
    response = await anna.call("PUT", "Devices/Self", json={"communicationLanguage": "it"})
    assert (response.status_code, response.content) == (204, b"")
    assert (await anna.get("Devices/Self"))["communicationLanguage"] == "it"

    refused = await anna.call("PUT", "Devices/Self", json={"communicationLanguage": "english"})
    assert_error(refused, 400, "validation.invalidDeviceCommunicationLanguage")


async def test_a_password_is_changed_by_who_knows_the_old_one(http: httpx.AsyncClient, anna: Device) -> None:
    path = "Devices/Self/Password"
    wrong = await anna.call("PUT", path, json={"oldPassword": "wrong", "newPassword": "new"})
    assert_error(wrong, 400, "validation.device.changePasswordFailed")
    empty = await anna.call("PUT", path, json={"oldPassword": "password", "newPassword": ""})
    assert_error(empty, 400, "validation.invalidPropertyValue")

    changed = await anna.call("PUT", path, json={"oldPassword": "password", "newPassword": "new"})
    assert changed.status_code == 204
    assert (await log_in(http, anna.username, "password")).status_code == 400
    assert (await log_in(http, anna.username, "new")).status_code == 200


async def test_only_own_devices_that_never_logged_in_are_deleted(anna: Device, bert: Device) -> None:
    made = result_of(await register(anna), 201)
    foreign = await bert.call("DELETE", f"Devices/{made['id']}")
    assert_error(foreign, 400, "validation.device.deviceCannotBeDeleted")
    assert_error(await anna.call("DELETE", f"Devices/{anna.id}"), 400, "validation.device.deviceCannotBeDeleted")
    assert_error(await anna.call("DELETE", "Devices/Self"), 400, "validation.invalidPropertyValue")

    assert (await anna.call("DELETE", f"Devices/{made['id']}")).status_code == 204
    assert_error(await anna.call("DELETE", f"Devices/{made['id']}"), 404, "recordNotFound")
