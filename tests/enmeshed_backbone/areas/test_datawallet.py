"""The datawallet."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from enmeshed_backbone.server import BackboneServer
from tests.support.backbone_client import SYNC_HEADERS, Device, assert_error, b64u, new_identity, relate, result_of

V = "validation.datawallet."
PATH = "Datawallet/Modifications"


def item(identifier: str = "o", **more: Any) -> dict[str, Any]:
    return {"type": "Create", "objectIdentifier": identifier, "collection": "c", "datawalletVersion": 1, **more}


async def push(device: Device, local_index: Any, *items: dict[str, Any], version: str | None = "1") -> httpx.Response:
    body = {"localIndex": local_index, "modifications": list(items)}
    headers = {} if version is None else {"X-Supported-Datawallet-Version": version}
    response: httpx.Response = await device.call("POST", PATH, json=body, headers=headers)
    return response


async def pull(device: Device, local_index: int | None = None) -> list[dict[str, Any]]:
    parameters = {} if local_index is None else {"localIndex": str(local_index)}
    found: list[dict[str, Any]] = await device.get(PATH, params=parameters, headers=SYNC_HEADERS)
    return found


async def test_a_new_identity_has_no_datawallet(http: httpx.AsyncClient) -> None:
    device = await new_identity(http, with_datawallet=False)

    assert_error(await device.call("GET", "Datawallet"), 404, "recordNotFound")
    assert_error(await push(device, -1, item()), 404, "recordNotFound")
    assert await device.get(PATH) == []
    await device.set_up_datawallet(3)
    assert await device.get("Datawallet") == {"version": 3}


async def test_modifications_come_back_as_they_were_pushed(anna: Device) -> None:
    pushed = result_of(
        await push(
            anna,
            -1,
            item("one", payloadCategory="Content", encryptedPayload=b64u(b"payload")),
            item("two", type="delete"),
        ),
        201,
    )
    assert pushed["newIndex"] == 1
    assert [set(entry) for entry in pushed["modifications"]] == [{"id", "index", "createdAt"}] * 2
    found = await pull(anna)
    assert [entry.pop("createdAt") for entry in found] == [entry["createdAt"] for entry in pushed["modifications"]]
    common = {"datawalletVersion": 1, "createdByDevice": anna.id, "collection": "c"}
    assert found == [
        {
            **common,
            "id": pushed["modifications"][0]["id"],
            "index": 0,
            "objectIdentifier": "one",
            "payloadCategory": "Content",
            "type": "Create",
            "encryptedPayload": b64u(b"payload"),
        },
        {
            **common,
            "id": pushed["modifications"][1]["id"],
            "index": 1,
            "objectIdentifier": "two",
            "payloadCategory": None,
            "type": "Delete",
            "encryptedPayload": None,
        },
    ]


async def test_only_the_newest_of_each_object_type_and_category_is_pulled(anna: Device, bert: Device) -> None:
    await push(
        anna,
        -1,
        item("a", payloadCategory="Content"),
        item("a", type="Update", payloadCategory="Content"),
        item("a", type="Update", payloadCategory="Content"),
        item("a", type="Update"),
        item("a", type="Update"),
        item("b", type="Update", payloadCategory="Content"),
    )

    assert [entry["index"] for entry in await pull(anna)] == [0, 2, 4, 5]
    assert [entry["index"] for entry in await pull(anna, 0)] == [2, 4, 5]
    assert [entry["index"] for entry in await pull(anna, 4)] == [5]
    assert await pull(anna, 5) == []
    assert await pull(bert) == []


async def test_who_does_not_know_the_newest_may_not_push(anna: Device) -> None:
    assert result_of(await push(anna, 17, item()), 201)["newIndex"] == 0
    for wrong in (-1, 1, 17):
        assert_error(await push(anna, wrong, item()), 400, V + "datawalletNotUpToDate")
    assert result_of(await push(anna, 0, item()), 201)["newIndex"] == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"type": "Move"}, "inputCannotBeParsed"),
        ({"type": None}, "inputCannotBeParsed"),
        ({"objectIdentifier": None}, "inputCannotBeParsed"),
        ({"objectIdentifier": "x" * 101}, "validation.invalidPropertyValue"),
        ({"collection": "x" * 51}, "validation.invalidPropertyValue"),
        ({"payloadCategory": "x" * 51}, "validation.invalidPropertyValue"),
        ({"encryptedPayload": "§"}, "inputCannotBeParsed"),
        ({"datawalletVersion": 65536}, "inputCannotBeParsed"),
        ({"datawalletVersion": 2}, "datawallet.datawalletVersionOfModificationTooHigh"),
    ],
)
async def test_a_wrong_modification_refuses_the_whole_push(
    anna: Device, change: dict[str, Any], code: str, backbone: BackboneServer
) -> None:
    assert_error(await push(anna, -1, item(), item(**change)), 400, code)
    assert backbone.rows("SELECT * FROM datawallet_modifications") == []


@pytest.mark.parametrize(
    ("version", "code"),
    [
        (None, "validation.invalidPropertyValue"),
        ("0", "validation.invalidPropertyValue"),
        ("1", V + "insufficientSupportedDatawalletVersion"),
        ("65536", "inputCannotBeParsed"),
        ("-1", "inputCannotBeParsed"),
        ("x", "inputCannotBeParsed"),
    ],
)
async def test_the_client_must_support_the_version(http: httpx.AsyncClient, version: str | None, code: str) -> None:
    device = await new_identity(http, with_datawallet=False)
    await device.set_up_datawallet(2)

    assert_error(await push(device, -1, item(), version=version), 400, code)
    if code.startswith(V):
        assert_error(await device.call("GET", PATH, headers=SYNC_HEADERS), 400, code)
        assert_error(await device.call("GET", PATH), 400, code)


async def test_a_push_needs_an_index_and_modifications(anna: Device) -> None:
    assert_error(await push(anna, None, item()), 400, "inputCannotBeParsed")
    assert_error(await push(anna, "0", item()), 400, "inputCannotBeParsed")
    assert_error(await push(anna, -1), 400, "validation.invalidPropertyValue")


async def test_no_push_during_a_sync_run_and_also_not_after_its_expiry(
    anna: Device, bert: Device, admin: httpx.AsyncClient
) -> None:
    await relate(bert, anna)
    await anna.start_sync()
    assert_error(await push(anna, -1, item()), 400, V + "cannotPushDatawalletModificationsDuringActiveSyncRun")
    await admin.post("/api/v1/Development/Clock", json={"seconds": 11})
    assert_error(await push(anna, -1, item()), 400, V + "cannotPushDatawalletModificationsDuringActiveSyncRun")
    await anna.events()
    result_of(await push(anna, -1, item()), 201)


async def test_long_logs_are_pulled_by_pages(anna: Device) -> None:
    await push(anna, -1, *(item(f"o{number}") for number in range(120)))
    pages = [
        (await anna.call("GET", PATH, params={"pageNumber": number}, headers=SYNC_HEADERS)).json()
        for number in (1, 2, 3)
    ]

    assert [entry["index"] for page in pages for entry in page["result"]] == list(range(120))
    assert pages[0]["pagination"] == {"pageNumber": 1, "pageSize": 50, "totalPages": 3, "totalRecords": 120}
