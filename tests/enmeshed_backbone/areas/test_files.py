"""Files and their ownership."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.backbone_client import FUTURE, Device, assert_error, b64, b64u, in_seconds, result_of

FIELDS = {
    "cipherHash": b64u(b"hash"),
    "ownerSignature": b64u(b"signature"),
    "encryptedProperties": b64u(b"properties"),
    "expiresAt": FUTURE,
    "owner": "ignored",
}


async def upload(device: Device, content: bytes | None = b"cipher", **change: str | None) -> httpx.Response:
    fields = {name: value for name, value in {**FIELDS, **change}.items() if value is not None}
    files = None if content is None else {"content": ("cipher.bin", content, "application/octet-stream")}
    # Without a file part httpx would choose another encoding.
    files = files or {"other": ("x", b"", "text/plain")}
    response: httpx.Response = await device.call("POST", "Files", data=fields, files=files)
    return response


async def uploaded(device: Device, **change: Any) -> dict[str, Any]:
    made: dict[str, Any] = result_of(await upload(device, **change), 201)
    return made


async def claim(device: Device, file_id: str, token: str) -> httpx.Response:
    response: httpx.Response = await device.call(
        "PATCH", f"Files/{file_id}/ClaimOwnership", json={"ownershipToken": token}
    )
    return response


async def is_valid(device: Device, file_id: str, token: str) -> bool:
    answer = await device.post(f"Files/{file_id}/ValidateOwnershipToken", {"ownershipToken": token}, 200)
    return bool(answer["isValid"])


async def test_a_file_is_read_as_it_was_uploaded(anna: Device, bert: Device) -> None:
    made = await uploaded(anna)
    token = made.pop("ownershipToken")
    metadata = await bert.get(f"Files/{made['id']}/metadata")

    assert len(token) == 20
    assert metadata == made | {
        "encryptedProperties": b64u(b"properties"),
        "modifiedByDevice": anna.id,
        "deletedByDevice": None,
        "ownershipIsLocked": False,
    }
    assert (made["owner"], made["createdBy"], made["cipherSize"]) == (anna.address, anna.address, 6)
    assert (made["cipherHash"], made["ownerSignature"]) == (b64u(b"hash"), b64u(b"signature"))
    download = await bert.call("GET", f"Files/{made['id']}")
    assert (download.content, download.headers["content-type"]) == (b"cipher", "application/octet-stream")


@pytest.mark.parametrize(
    ("content", "change", "status", "code"),
    [
        (b"", {}, 400, "InclusiveBetweenValidator"),
        (None, {}, 400, "inputCannotBeParsed"),
        (b"x", {"cipherHash": None}, 400, "inputCannotBeParsed"),
        (b"x", {"cipherHash": ""}, 400, "validation.invalidPropertyValue"),
        (b"x", {"cipherHash": b64u(bytes(129))}, 400, "validation.invalidPropertyValue"),
        (b"x", {"cipherHash": "§"}, 500, "unexpected"),
        (b"x", {"ownerSignature": b64u(bytes(513))}, 400, "validation.invalidPropertyValue"),
        (b"x", {"ownerSignature": ""}, 400, "validation.invalidPropertyValue"),
        (b"x", {"encryptedProperties": None}, 400, "inputCannotBeParsed"),
        (b"x", {"encryptedProperties": b64u(bytes(1024 * 1024 + 1))}, 400, "validation.invalidPropertyValue"),
        (b"x", {"expiresAt": "2020-01-01"}, 400, "validation.invalidPropertyValue"),
        (b"x", {"expiresAt": "never"}, 400, "inputCannotBeParsed"),
        (b"x", {"expiresAt": None}, 400, "inputCannotBeParsed"),
    ],
)
async def test_a_wrong_upload_is_refused(
    anna: Device, content: bytes | None, change: dict[str, Any], status: int, code: str
) -> None:
    assert_error(await upload(anna, content, **change), status, code)


async def test_a_multipart_body_that_is_broken_is_refused(anna: Device) -> None:
    for body, content_type in (
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
        (b"anything", "multipart/form-data"),
        (b"", "multipart/form-data; boundary=x"),
    ):
        response = await anna.call("POST", "Files", content=body, headers={"Content-Type": content_type})
        assert_error(response, 400, "inputCannotBeParsed")


async def test_a_file_may_have_ten_mebibytes_and_no_more(anna: Device) -> None:
    large = bytes(10 * 1024 * 1024)
    made = result_of(await upload(anna, large), 201)
    assert (await anna.call("GET", f"Files/{made['id']}")).content == large

    assert_error(await upload(anna, large + b"x"), 400, "InclusiveBetweenValidator")


async def test_standard_base64_is_taken_too(anna: Device) -> None:
    made = await uploaded(anna, cipherHash=b64(b"\xff\xfe\xfd\xfc"))

    assert made["cipherHash"] == b64u(b"\xff\xfe\xfd\xfc")


async def test_an_expired_file_is_gone(anna: Device, admin: httpx.AsyncClient) -> None:
    made = await uploaded(anna, expiresAt=in_seconds(100))
    await admin.post("/api/v1/Development/Clock", json={"seconds": 101})

    for path in (f"Files/{made['id']}", f"Files/{made['id']}/Metadata"):
        assert_error(await anna.call("GET", path), 404, "recordNotFound")
    assert await anna.get("Files") == []


async def test_the_creator_lists_and_deletes_also_after_a_claim(anna: Device, bert: Device) -> None:
    made, other = await uploaded(anna), await uploaded(anna)
    assert (await claim(bert, made["id"], made["ownershipToken"])).status_code == 200
    assert [file["id"] for file in await anna.get("Files")] == [made["id"], other["id"]]
    assert [file["id"] for file in await anna.get("Files", params={"ids": other["id"]})] == [other["id"]]
    assert await bert.get("Files") == []

    assert_error(await bert.call("DELETE", f"Files/{made['id']}"), 403, "forbidden")
    assert (await anna.call("DELETE", f"Files/{made['id']}")).status_code == 204
    assert_error(await bert.call("GET", f"Files/{made['id']}"), 404, "recordNotFound")


async def test_a_claim_moves_the_ownership_and_tells_the_former_owner(anna: Device, bert: Device) -> None:
    made = await uploaded(anna)
    answer = result_of(await claim(bert, made["id"], made["ownershipToken"]))
    metadata = await anna.get(f"Files/{made['id']}/Metadata")

    assert (metadata["owner"], metadata["createdBy"]) == (bert.address, anna.address)
    assert metadata["ownerSignature"] == made["ownerSignature"]
    assert [(e["type"], e["payload"]) for e in await anna.events()] == [
        ("FileOwnershipClaimed", {"fileId": made["id"], "newOwnerAddress": bert.address})
    ]
    assert answer["newOwnershipToken"] != made["ownershipToken"]
    assert (await claim(anna, made["id"], answer["newOwnershipToken"])).status_code == 200


async def test_a_wrong_claim_locks_until_the_owner_makes_a_new_token(anna: Device, bert: Device) -> None:
    made = await uploaded(anna)
    assert_error(await claim(anna, made["id"], "x"), 400, "validation.file.cannotClaimOwnershipOfOwnFile")
    assert_error(await claim(bert, made["id"], "x"), 403, "forbidden")
    assert (await anna.get(f"Files/{made['id']}/Metadata"))["ownershipIsLocked"] is True
    assert_error(await claim(bert, made["id"], made["ownershipToken"]), 403, "forbidden")
    assert not await is_valid(anna, made["id"], made["ownershipToken"])
    assert [e["type"] for e in await anna.events()] == ["FileOwnershipLocked"]

    path = f"Files/{made['id']}/RegenerateOwnershipToken"
    assert_error(await bert.call("PATCH", path), 403, "forbidden")
    token = result_of(await anna.call("PATCH", path))["newOwnershipToken"]
    assert (await anna.get(f"Files/{made['id']}/Metadata"))["ownershipIsLocked"] is False
    assert (await claim(bert, made["id"], token)).status_code == 200


async def test_validating_locks_for_strangers_and_not_for_the_owner(anna: Device, bert: Device) -> None:
    made = await uploaded(anna)
    assert await is_valid(bert, made["id"], made["ownershipToken"])
    assert not await is_valid(anna, made["id"], "wrong")
    assert await is_valid(anna, made["id"], made["ownershipToken"])
    assert not await is_valid(bert, made["id"], "wrong")
    assert not await is_valid(bert, made["id"], made["ownershipToken"])
    assert [(e["type"], e["payload"]) for e in await anna.events()] == [("FileOwnershipLocked", {"fileId": made["id"]})]


@pytest.mark.parametrize("token", ["", "x" * 21, "ä", "a b"])
async def test_a_malformed_ownership_token_is_refused_without_locking(anna: Device, bert: Device, token: str) -> None:
    made = await uploaded(anna)
    assert_error(await claim(bert, made["id"], token), 400, "validation.invalidPropertyValue")

    assert (await anna.get(f"Files/{made['id']}/Metadata"))["ownershipIsLocked"] is False


async def test_unknown_files_and_malformed_ids_are_told_apart(anna: Device) -> None:
    for suffix in ("", "/Metadata"):
        assert_error(await anna.call("GET", f"Files/FILx{suffix}"), 404, "recordNotFound")
        assert_error(await anna.call("GET", f"Files/TOKx{suffix}"), 400, "validation.invalidPropertyValue")
    assert_error(await claim(anna, "FILx", "x"), 404, "recordNotFound")
