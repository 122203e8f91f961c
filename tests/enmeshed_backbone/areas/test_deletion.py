"""Deletion of identities: started, cancelled, carried out."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from enmeshed_backbone import addresses
from enmeshed_backbone.server import BackboneServer
from tests.support.backbone_client import (
    FUTURE,
    SYNC_HEADERS,
    Device,
    MakeIdentity,
    ask_for_relationship,
    assert_error,
    b64u,
    log_in,
    relate,
    result_of,
)

PATH = "Identities/Self/DeletionProcesses"
NOBODY = addresses.anonymised("localhost")
V = "validation.device."


async def advance(admin: httpx.AsyncClient, **more: float) -> None:
    seconds = more.get("days", 0) * 86_400 + more.get("seconds", 0)
    assert (await admin.post("/api/v1/Development/Clock", json={"seconds": seconds})).status_code == 200


async def run_job(admin: httpx.AsyncClient) -> dict[str, Any]:
    done: dict[str, Any] = result_of(await admin.post("/api/v1/Development/DeletionJob"))
    return done


async def test_a_process_is_active_from_its_start(anna: Device) -> None:
    process = await anna.post(PATH, {})

    assert process["status"] == "Active"
    assert process["approvedAt"] == process["createdAt"]
    assert process["approvedByDevice"] == process["createdByDevice"] == anna.id
    assert process["gracePeriodEndsAt"] > process["createdAt"]
    assert process["gracePeriodReminder1SentAt"] is None
    assert await anna.get(f"{PATH}/{process['id']}") == process
    assert await anna.get(PATH) == [process]
    own = await anna.get("Identities/Self")
    assert (own["status"], own["tierId"]) == ("ToBeDeleted", "TIR00000000000000001")
    assert own["deletionGracePeriodEndsAt"] == process["gracePeriodEndsAt"]


async def test_a_start_needs_no_body_and_only_one_is_active(anna: Device) -> None:
    result_of(await anna.call("POST", PATH), 201)

    assert_error(await anna.call("POST", PATH, json={}), 400, V + "onlyOneActiveDeletionProcessAllowed")


@pytest.mark.parametrize(
    ("days", "code"),
    [("x", "inputCannotBeParsed"), (1e300, "validation.invalidPropertyValue"), (True, "inputCannotBeParsed")],
)
async def test_a_grace_period_that_cannot_be_is_refused(anna: Device, days: Any, code: str) -> None:
    assert_error(await anna.call("POST", PATH, json={"lengthOfGracePeriodInDays": days}), 400, code)


async def test_a_cancelled_process_gives_everything_back(anna: Device, bert: Device) -> None:
    tier = (await anna.get("Identities/Self"))["tierId"]
    relationship_id = await relate(anna, bert)
    await bert.events()
    process = await anna.post(PATH, {"lengthOfGracePeriodInDays": 0.5})
    cancelled = await anna.put(f"{PATH}/{process['id']}/Cancel")

    assert (cancelled["status"], cancelled["gracePeriodEndsAt"]) == ("Cancelled", None)
    own = await anna.get("Identities/Self")
    assert (own["status"], own["tierId"]) == ("Active", tier)
    first, second = await bert.events()
    assert (first["type"], second["type"]) == ("PeerToBeDeleted", "PeerDeletionCancelled")
    assert first["payload"]["relationshipId"] == relationship_id
    assert first["payload"]["deletionDate"][:19] == process["gracePeriodEndsAt"][:19]
    assert second["payload"] == {"relationshipId": relationship_id}
    again = await anna.call("PUT", f"{PATH}/{process['id']}/Cancel")
    assert_error(again, 400, V + "deletionProcessIsNotInRequiredStatus")
    await anna.post(PATH, {})


async def test_after_the_grace_period_there_is_no_way_back(
    http: httpx.AsyncClient, anna: Device, admin: httpx.AsyncClient
) -> None:
    process = await anna.post(PATH, {"lengthOfGracePeriodInDays": 0})
    late = await anna.call("PUT", f"{PATH}/{process['id']}/Cancel")
    assert_error(late, 400, V + "gracePeriodHasAlreadyExpired")
    refused = await log_in(http, anna.username, anna.password)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    answer = await http.get("/api/v2/Identities/IsDeleted", params={"username": anna.username})
    assert result_of(answer) == {"isDeleted": True, "deletionDate": process["gracePeriodEndsAt"]}


async def test_ids_of_processes_are_checked(anna: Device, bert: Device) -> None:
    process = await anna.post(PATH, {})
    assert_error(await bert.call("GET", f"{PATH}/{process['id']}"), 404, "recordNotFound")
    assert_error(await bert.call("PUT", f"{PATH}/{process['id']}/Cancel"), 404, "recordNotFound")
    assert_error(await anna.call("GET", f"{PATH}/x"), 400, "validation.invalidPropertyValue")
    assert_error(await anna.call("PUT", f"{PATH}/IDPshort/Cancel"), 400, "validation.invalidId")


async def test_who_is_about_to_be_deleted_makes_nothing_new(
    anna: Device, bert: Device, make_identity: MakeIdentity
) -> None:
    carla = await make_identity()
    await relate(anna, bert)
    pending = await ask_for_relationship(carla, anna)
    theirs = await anna.make_template()
    await anna.post(PATH, {})

    for method, path, body in (
        ("POST", "RelationshipTemplates", {"content": "eA"}),
        ("POST", "Tokens", {"expiresAt": FUTURE}),
        ("PUT", f"Relationships/{pending}/Accept", {}),
    ):
        error = assert_error(await anna.call(method, path, json=body), 429, "quotaExhausted")
        assert error["data"][0]["isExhaustedUntil"].startswith("9999")
    assert_error(await anna.send(bert), 429, "quotaExhausted")
    refused = await anna.call("POST", "SyncRuns", json={}, headers=SYNC_HEADERS)
    assert_error(refused, 400, "validation.syncRun.cannotStartSyncRunWhileIdentityIsToBeDeleted")

    dora = await make_identity()
    peer = {"peer": anna.address}
    code = "validation.relationship.peerIsToBeDeleted"
    assert await dora.get("Relationships/CanCreate", params=peer) == {
        "canCreate": False,
        "code": f"error.platform.{code}",
    }
    assert_error(await dora.call("POST", "Relationships", json={"relationshipTemplateId": theirs}), 400, code)
    assert (await bert.send(anna)).status_code == 201
    await anna.put(f"Relationships/{pending}/Reject")


async def test_only_living_relationships_learn_of_a_deletion(
    anna: Device, bert: Device, make_identity: MakeIdentity
) -> None:
    carla = await make_identity()
    rejected = await ask_for_relationship(carla, anna)
    await anna.put(f"Relationships/{rejected}/Reject")
    await carla.events()
    await ask_for_relationship(bert, anna)
    await anna.post(PATH, {})

    assert [event["type"] for event in await bert.events()] == ["PeerToBeDeleted"]
    assert await carla.events() == []


async def test_the_job_deletes_what_is_due_and_leaves_a_stranger_behind(
    http: httpx.AsyncClient, anna: Device, bert: Device, admin: httpx.AsyncClient, backbone: BackboneServer
) -> None:
    relationship_id = await relate(anna, bert)
    await bert.events()
    from_anna = result_of(await anna.send(bert), 201)["id"]
    from_bert = result_of(await bert.send(anna), 201)["id"]
    await bert.events()
    template_id = await anna.make_template()
    token_id = (await anna.post("Tokens", {"expiresAt": FUTURE}))["id"]
    kept, gone = await _upload(anna), await _upload(anna)
    claim = await bert.call(
        "PATCH", f"Files/{kept['id']}/ClaimOwnership", json={"ownershipToken": kept["ownershipToken"]}
    )
    assert claim.status_code == 200
    await anna.post(PATH, {"lengthOfGracePeriodInDays": 1})
    await bert.events()
    assert (await run_job(admin))["deletedIdentities"] == []
    await advance(admin, days=1, seconds=1)
    await bert.log_in()

    assert (await run_job(admin))["deletedIdentities"] == [anna.address]

    events = await bert.events()
    assert [event["type"] for event in events] == ["PeerDeleted", "RelationshipStatusChanged"]
    assert set(events[0]["payload"]) == {"relationshipId", "deletionDate"}
    relationship = await bert.get(f"Relationships/{relationship_id}")
    assert (relationship["from"], relationship["status"]) == (NOBODY, "DeletionProposed")
    last = relationship["auditLog"][-1]
    assert (last["reason"], last["createdByDevice"]) == ("DecompositionDueToIdentityDeletion", None)
    assert {entry["createdBy"] for entry in relationship["auditLog"]} == {NOBODY, bert.address}
    assert (await bert.get(f"Messages/{from_anna}"))["createdBy"] == NOBODY
    assert [r["address"] for r in (await bert.get(f"Messages/{from_bert}"))["recipients"]] == [NOBODY]
    metadata = await bert.get(f"Files/{kept['id']}/Metadata")
    assert (metadata["owner"], metadata["createdBy"]) == (bert.address, NOBODY)
    for path in (f"Files/{gone['id']}", f"RelationshipTemplates/{template_id}", f"Tokens/{token_id}"):
        assert_error(await bert.call("GET", path), 404, "recordNotFound")
    peer = await bert.call("GET", "Relationships/CanCreate", params={"peer": anna.address})
    assert assert_error(peer, 404, "recordNotFound")["message"].startswith("Identity not found.")
    _assert_nothing_left(backbone, anna)

    answer = result_of(await http.get("/api/v2/Identities/IsDeleted", params={"username": anna.username}))
    assert answer["isDeleted"] is True
    assert answer["deletionDate"] is not None
    assert (await log_in(http, anna.username, anna.password)).json()["error"] == "invalid_grant"


async def test_the_second_to_be_deleted_ends_the_relationship_and_its_messages(
    anna: Device, bert: Device, admin: httpx.AsyncClient, backbone: BackboneServer
) -> None:
    await relate(anna, bert)
    await anna.send(bert)
    for device in (anna, bert):
        await device.post(PATH, {"lengthOfGracePeriodInDays": 0})
    await run_job(admin)

    assert [row["status"] for row in backbone.rows("SELECT * FROM relationships")] == ["ReadyForDeletion"]
    assert backbone.rows("SELECT * FROM messages") == backbone.rows("SELECT * FROM message_recipients") == []


async def test_a_token_of_a_deleted_identity_is_good_for_nothing(
    anna: Device, admin: httpx.AsyncClient, backbone: BackboneServer
) -> None:
    await anna.post(PATH, {"lengthOfGracePeriodInDays": 0})
    await run_job(admin)

    for path in ("Devices/Self", "Identities/Self", "Datawallet"):
        assert_error(await anna.call("GET", path), 404, "recordNotFound")
    assert (await anna.call("GET", "/sse".lstrip("/"))).status_code == 404
    for method, path, body in (
        ("PUT", "Devices/Self/PushNotifications", {"platform": "dummy", "handle": "", "appId": "a"}),
        ("PATCH", "Identities/Self/FeatureFlags", {"a": True}),
        ("POST", PATH, {}),
        ("POST", "SyncRuns", {}),
    ):
        assert_error(await anna.call(method, path, json=body, headers=SYNC_HEADERS), 404, "recordNotFound")
    _assert_nothing_left(backbone, anna)


async def test_reminders_are_sent_once_each(anna: Device, admin: httpx.AsyncClient) -> None:
    process = await anna.post(PATH, {})
    sent = []
    for days in (1, 1.5, 1, 2, 4, 1):
        await advance(admin, days=days)
        sent.append((await run_job(admin))["reminders"])
    assert sent == [0, 1, 0, 1, 1, 0]

    await anna.log_in()
    shown = await anna.get(f"{PATH}/{process['id']}")
    assert all(shown[f"gracePeriodReminder{number}SentAt"] for number in (1, 2, 3))


async def _upload(device: Device) -> dict[str, Any]:
    fields = {name: b64u(b"x") for name in ("cipherHash", "ownerSignature", "encryptedProperties")}
    response = await device.call(
        "POST", "Files", data={**fields, "expiresAt": FUTURE}, files={"content": ("cipher.bin", b"cipher")}
    )
    made: dict[str, Any] = result_of(response, 201)
    return made


def _assert_nothing_left(backbone: BackboneServer, device: Device) -> None:
    tables = [row["name"] for row in backbone.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    for table in tables:
        for row in backbone.rows(f"SELECT * FROM {table}"):
            assert device.address not in row.values(), table
