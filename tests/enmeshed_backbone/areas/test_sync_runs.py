"""Sync runs and the delivery of external events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import pytest

from enmeshed_backbone.server import BackboneServer
from tests.support.backbone_client import (
    SYNC_HEADERS,
    Device,
    ask_for_relationship,
    assert_error,
    new_identity,
    relate,
    result_of,
)

V = "validation.syncRun."
RUNNING = V + "cannotStartSyncRunWhenAnotherSyncRunIsRunning"


async def start(device: Device, version: int = 1, **body: Any) -> httpx.Response:
    headers = {"X-Supported-Datawallet-Version": str(version)}
    response: httpx.Response = await device.call("POST", "SyncRuns", json=body, headers=headers)
    return response


async def finish(device: Device, run_id: str, what: str = "ExternalEventSync", **body: Any) -> httpx.Response:
    path = f"SyncRuns/{run_id}/Finalize{what}"
    response: httpx.Response = await device.call("PUT", path, json=body, headers=SYNC_HEADERS)
    return response


async def advance(admin: httpx.AsyncClient, seconds: float) -> None:
    assert (await admin.post("/api/v1/Development/Clock", json={"seconds": seconds})).status_code == 200


async def test_without_events_there_is_nothing_to_run(anna: Device) -> None:
    response = await start(anna)

    assert (response.status_code, response.json()) == (200, {"result": {"status": "NoNewEvents", "syncRun": None}})


async def test_a_run_takes_all_waiting_events_in_order(anna: Device, bert: Device) -> None:
    relationship_id = await relate(bert, anna)
    await bert.send(anna)
    response = await start(anna)
    run = result_of(response, 201)["syncRun"]

    lifetime = datetime.fromisoformat(run["expiresAt"]) - datetime.fromisoformat(run["createdAt"])
    assert lifetime.total_seconds() == 10
    assert (run["type"], run["index"], run["eventCount"]) == ("ExternalEventSync", 1, 2)
    assert (run["createdBy"], run["createdByDevice"]) == (anna.address, anna.id)
    assert await anna.get(f"SyncRuns/{run['id']}") == run
    found = await anna.get(f"SyncRuns/{run['id']}/ExternalEvents")
    assert [(e["type"], e["index"], e["syncErrorCount"]) for e in found] == [
        ("RelationshipStatusChanged", 0, 0),
        ("MessageReceived", 1, 0),
    ]
    assert found[0]["payload"] == {"relationshipId": relationship_id}
    assert set(found[0]) == {"id", "type", "index", "createdAt", "syncErrorCount", "payload"}


async def test_one_run_at_a_time_also_for_the_same_device(anna: Device, bert: Device) -> None:
    second = await anna.add_device()
    await relate(bert, anna)
    run_id = result_of(await start(anna), 201)["syncRun"]["id"]
    for device in (anna, second):
        assert_error(await start(device), 400, RUNNING)
        assert_error(await start(device, type="DatawalletVersionUpgrade"), 400, RUNNING)

    for path in ("ExternalEvents", "RefreshExpirationTime"):
        method = "GET" if path == "ExternalEvents" else "PUT"
        code = {
            "ExternalEvents": "cannotReadExternalEventsOfASyncRunStartedByAnotherDevice",
            "RefreshExpirationTime": "cannotRefreshExpirationTimeOfSyncRunStartedByAnotherDevice",
        }[path]
        assert_error(await second.call(method, f"SyncRuns/{run_id}/{path}"), 400, V + code)
    assert_error(await finish(second, run_id), 400, V + "cannotFinalizeSyncRunStartedByAnotherDevice")
    assert (await second.get(f"SyncRuns/{run_id}"))["id"] == run_id


async def test_a_run_of_another_identity_is_not_found(anna: Device, bert: Device) -> None:
    await relate(bert, anna)
    run_id = result_of(await start(anna), 201)["syncRun"]["id"]

    for method, path in (("GET", ""), ("GET", "/ExternalEvents"), ("PUT", "/RefreshExpirationTime")):
        assert_error(await bert.call(method, f"SyncRuns/{run_id}{path}"), 404, "recordNotFound")
    assert_error(await finish(bert, run_id), 404, "recordNotFound")
    assert_error(await anna.call("GET", "SyncRuns/x"), 400, "validation.invalidPropertyValue")


async def test_a_finished_run_stays_finished(anna: Device, bert: Device) -> None:
    await relate(bert, anna)
    run_id = result_of(await start(anna), 201)["syncRun"]["id"]
    result_of(await finish(anna, run_id))

    assert_error(await finish(anna, run_id), 400, V + "syncRunAlreadyFinalized")
    for method, path in (("GET", "ExternalEvents"), ("PUT", "RefreshExpirationTime")):
        assert_error(await anna.call(method, f"SyncRuns/{run_id}/{path}"), 400, V + "syncRunAlreadyFinalized")


async def test_each_kind_of_run_has_its_own_end(anna: Device, bert: Device) -> None:
    await relate(bert, anna)
    run_id = result_of(await start(anna), 201)["syncRun"]["id"]
    wrong = await finish(anna, run_id, "DatawalletVersionUpgrade", newDatawalletVersion=2)
    assert_error(wrong, 400, V + "unexpectedSyncRunType")
    await finish(anna, run_id)
    run_id = result_of(await start(anna, type="DatawalletVersionUpgrade"), 201)["syncRun"]["id"]
    assert_error(await finish(anna, run_id), 400, V + "unexpectedSyncRunType")


async def test_events_without_error_are_done_and_others_come_again_up_to_three_times(
    anna: Device, bert: Device
) -> None:
    await relate(bert, anna)
    for _ in range(2):
        await bert.send(anna)
    for round_ in range(3):
        run_id = result_of(await start(anna), 201)["syncRun"]["id"]
        found = await anna.get(f"SyncRuns/{run_id}/ExternalEvents")
        assert [event["syncErrorCount"] for event in found] == [round_] * (3 if round_ == 0 else 2)
        results = [{"externalEventId": found[-1]["id"], "errorCode": "error.transport.unknown"}]
        if round_ == 0:
            results.append({"externalEventId": found[0]["id"]})
            results.append({"externalEventId": "SYIunknown"})
        end = result_of(await finish(anna, run_id, externalEventResults=results))
        assert end == {
            "newDatawalletModificationIndex": None,
            "datawalletModifications": [],
            "newUnsyncedExternalEventsExist": False,
        }
    assert result_of(await start(anna))["status"] == "NoNewEvents"


async def test_an_expired_run_is_cancelled_by_the_next_one(
    anna: Device, bert: Device, admin: httpx.AsyncClient, backbone: BackboneServer
) -> None:
    second = await anna.add_device()
    await relate(bert, anna)
    first = result_of(await start(anna), 201)["syncRun"]["id"]
    assert_error(await start(second), 400, RUNNING)
    await advance(admin, 10.5)
    run = result_of(await start(second), 201)["syncRun"]

    assert run["index"] == 2
    assert [event["syncErrorCount"] for event in await second.get(f"SyncRuns/{run['id']}/ExternalEvents")] == [1]
    assert_error(await finish(anna, first), 400, V + "syncRunAlreadyFinalized")
    assert [row["error_code"] for row in backbone.rows("SELECT * FROM sync_errors")] == ["syncRunCanceled"]


async def test_expiry_alone_does_not_keep_a_run_from_finishing(
    anna: Device, bert: Device, admin: httpx.AsyncClient
) -> None:
    await relate(bert, anna)
    run_id = result_of(await start(anna), 201)["syncRun"]["id"]
    await advance(admin, 100)
    found = await anna.get(f"SyncRuns/{run_id}/ExternalEvents")
    result_of(await finish(anna, run_id, externalEventResults=[{"externalEventId": found[0]["id"]}]))

    assert await anna.events() == []


async def test_the_expiry_is_refreshed_and_the_duration_can_be_chosen(
    anna: Device, bert: Device, admin: httpx.AsyncClient
) -> None:
    await relate(bert, anna)
    run = result_of(await start(anna, duration=60), 201)["syncRun"]
    lifetime = datetime.fromisoformat(run["expiresAt"]) - datetime.fromisoformat(run["createdAt"])
    assert lifetime.total_seconds() == 60
    await advance(admin, 59)
    refreshed = await anna.put(f"SyncRuns/{run['id']}/RefreshExpirationTime")
    later = datetime.fromisoformat(refreshed["expiresAt"]) - datetime.fromisoformat(run["expiresAt"])
    # Ten seconds from then on, one second before the end; and what the calls themselves took.
    assert 9 <= later.total_seconds() < 40
    await advance(admin, 2)
    assert_error(await start(anna), 400, RUNNING)


async def test_finishing_appends_modifications_and_tells_of_new_events(anna: Device, bert: Device) -> None:
    relationship_id = await ask_for_relationship(bert, anna)
    run_id = result_of(await start(anna), 201)["syncRun"]["id"]
    await bert.put(f"Relationships/{relationship_id}/Revoke")
    modification = {"type": "Update", "objectIdentifier": "o", "collection": "c", "datawalletVersion": 1}
    end = result_of(await finish(anna, run_id, datawalletModifications=[modification] * 2))

    assert [entry["index"] for entry in end["datawalletModifications"]] == [0, 1]
    assert end["newDatawalletModificationIndex"] == 1
    assert end["newUnsyncedExternalEventsExist"] is True


async def test_an_upgrade_raises_the_version_and_never_lowers_it(anna: Device) -> None:
    modification = {"type": "Create", "objectIdentifier": "o", "collection": "c", "datawalletVersion": 3}
    kind: dict[str, Any] = {"type": "DatawalletVersionUpgrade"}
    run_id = result_of(await start(anna, **kind), 201)["syncRun"]["id"]
    body = {"newDatawalletVersion": 3, "datawalletModifications": [modification]}
    end = result_of(await finish(anna, run_id, "DatawalletVersionUpgrade", **body))
    assert (end["newDatawalletModificationIndex"], len(end["datawalletModifications"])) == (0, 1)
    assert "newUnsyncedExternalEventsExist" not in end
    assert await anna.get("Datawallet") == {"version": 3}

    assert_error(await start(anna), 400, "validation.datawallet.insufficientSupportedDatawalletVersion")
    run_id = result_of(await start(anna, version=3, **kind), 201)["syncRun"]["id"]
    lower = await finish(anna, run_id, "DatawalletVersionUpgrade", newDatawalletVersion=2)
    assert_error(lower, 400, "datawallet.cannotDowngrade")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"newDatawalletVersion": 0}, "validation.invalidPropertyValue"),
        ({"newDatawalletVersion": -1}, "inputCannotBeParsed"),
        ({}, "inputCannotBeParsed"),
        ({"newDatawalletVersion": 1, "datawalletModifications": [{}]}, "inputCannotBeParsed"),
    ],
)
async def test_a_wrong_end_of_an_upgrade_is_refused(anna: Device, body: dict[str, Any], code: str) -> None:
    run_id = result_of(await start(anna, type="DatawalletVersionUpgrade"), 201)["syncRun"]["id"]

    assert_error(await finish(anna, run_id, "DatawalletVersionUpgrade", **body), 400, code)


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ({"externalEventId": "SYIx", "errorCode": "x" * 101}, "MaximumLengthValidator"),
        ({"externalEventId": "x"}, "validation.invalidPropertyValue"),
        ({}, "inputCannotBeParsed"),
    ],
)
async def test_a_wrong_result_is_refused_and_the_run_stays_open(
    anna: Device, bert: Device, result: dict[str, Any], code: str
) -> None:
    await relate(bert, anna)
    run_id = result_of(await start(anna), 201)["syncRun"]["id"]
    assert_error(await finish(anna, run_id, externalEventResults=[result]), 400, code)

    assert len(await anna.get(f"SyncRuns/{run_id}/ExternalEvents")) == 1


@pytest.mark.parametrize(
    ("body", "version", "status", "code"),
    [
        ({"type": "Other"}, 1, 400, "inputCannotBeParsed"),
        ({"duration": 65536}, 1, 400, "inputCannotBeParsed"),
        ({"duration": -1}, 1, 400, "inputCannotBeParsed"),
        ({}, 0, 400, "validation.invalidPropertyValue"),
        ({}, 1, 404, "recordNotFound"),
    ],
)
async def test_a_wrong_start_is_refused(
    http: httpx.AsyncClient, body: dict[str, Any], version: int, status: int, code: str
) -> None:
    device = await new_identity(http, with_datawallet=False)

    assert_error(await start(device, version=version, **body), status, code)


async def test_types_may_be_given_by_number(http: httpx.AsyncClient) -> None:
    device = await new_identity(http, with_datawallet=False)

    assert result_of(await start(device, type=1), 201)["syncRun"]["type"] == "DatawalletVersionUpgrade"
