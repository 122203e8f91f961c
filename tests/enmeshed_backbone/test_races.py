"""Clients that race for the same thing: exactly one wins, the others get the specified error; 50 rounds each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from enmeshed_backbone.server import BackboneServer
from enmeshed_backbone.settings import Settings
from tests.support.backbone_client import (
    SYNC_HEADERS,
    Device,
    ask_for_relationship,
    assert_error,
    b64u,
    new_identity,
    result_of,
)

ROUNDS = 50


@pytest_asyncio.fixture
async def backbone(tmp_path: Path) -> AsyncIterator[BackboneServer]:
    """Gives a Backbone with a file, in which requests share commits."""
    settings = replace(Settings(), port=0, admin_port=0, data=str(tmp_path / "backbone.db"), seed_identities=False)
    async with BackboneServer(settings) as server:
        yield server


async def race(*calls: Any) -> tuple[list[httpx.Response], list[httpx.Response]]:
    """Returns the answers of calls that start together: those that won and those that lost."""
    answers: list[httpx.Response] = await asyncio.gather(*calls)
    return [a for a in answers if a.status_code < 300], [a for a in answers if a.status_code >= 300]


async def test_the_last_allocation_goes_to_one(backbone: BackboneServer, anna: Device, http: httpx.AsyncClient) -> None:
    racers = [await new_identity(http, with_datawallet=False) for _ in range(4)]
    for _ in range(ROUNDS):
        template_id = await anna.make_template(maxNumberOfAllocations=1)
        won, lost = await race(*(racer.call("GET", f"RelationshipTemplates/{template_id}") for racer in racers))
        assert len(won) == 1
        for answer in lost:
            assert_error(answer, 400, "validation.relationshipTemplate.maxNumberOfAllocationsExhausted")

    events = backbone.rows("SELECT idx FROM external_events WHERE owner = ? ORDER BY idx", anna.address)
    assert [event["idx"] for event in events] == list(range(ROUNDS))


async def test_two_who_ask_each_other_get_one_relationship(
    backbone: BackboneServer, anna: Device, bert: Device
) -> None:
    for number in range(1, ROUNDS + 1):
        calls = []
        for requester, templator in ((anna, bert), (bert, anna)):
            body = {"relationshipTemplateId": await templator.make_template()}
            calls += [requester.call("POST", "Relationships", json=body) for _ in range(2)]
        won, lost = await race(*calls)
        assert len(won) == 1
        for answer in lost:
            assert_error(answer, 400, "validation.relationship.relationshipToTargetAlreadyExists")
        made = result_of(won[0], 201)
        requester, templator = (anna, bert) if made["from"] == anna.address else (bert, anna)
        await requester.put(f"Relationships/{made['id']}/Revoke")
        for device in (anna, bert):
            await device.put(f"Relationships/{made['id']}/Decompose")
        assert backbone.rows("SELECT count(*) AS n FROM relationships") == [{"n": number}]


async def test_a_relationship_is_answered_once(anna: Device, bert: Device) -> None:
    second = await bert.add_device()
    for _ in range(ROUNDS):
        relationship_id = await ask_for_relationship(anna, bert)
        path = f"Relationships/{relationship_id}"
        won, lost = await race(
            bert.call("PUT", f"{path}/Accept", json={}),
            second.call("PUT", f"{path}/Reject", json={}),
            anna.call("PUT", f"{path}/Revoke", json={}),
        )
        assert len(won) == 1
        for answer in lost:
            assert_error(answer, 400, "validation.relationship.relationshipIsNotInCorrectStatus")
        found = await anna.get(path)
        assert len(found["auditLog"]) == 2
        if found["status"] == "Active":
            await anna.put(f"{path}/Terminate")
        for device in (anna, bert):
            await device.put(f"{path}/Decompose")


async def test_one_device_gets_the_sync_run(anna: Device, bert: Device) -> None:
    devices = [anna, *[await anna.add_device() for _ in range(3)]]
    for _ in range(ROUNDS):
        relationship_id = await ask_for_relationship(bert, anna)
        won, lost = await race(*(device.call("POST", "SyncRuns", json={}, headers=SYNC_HEADERS) for device in devices))
        assert len(won) == 1
        for answer in lost:
            assert_error(answer, 400, "validation.syncRun.cannotStartSyncRunWhenAnotherSyncRunIsRunning")
        run = result_of(won[0], 201)["syncRun"]
        winner = next(device for device in devices if device.id == run["createdByDevice"])
        found = await winner.get(f"SyncRuns/{run['id']}/ExternalEvents")
        assert found[-1]["payload"] == {"relationshipId": relationship_id}
        results = {"externalEventResults": [{"externalEventId": event["id"]} for event in found]}
        await winner.put(f"SyncRuns/{run['id']}/FinalizeExternalEventSync", results, headers=SYNC_HEADERS)
        await bert.put(f"Relationships/{relationship_id}/Revoke")
        for device in (anna, bert):
            await device.put(f"Relationships/{relationship_id}/Decompose")


async def test_one_device_gets_the_datawallet_index(backbone: BackboneServer, anna: Device) -> None:
    devices = [anna, *[await anna.add_device() for _ in range(3)]]
    item = {"type": "Create", "collection": "c", "datawalletVersion": 1}

    def push(device: Device, local_index: int) -> Any:
        modification = {**item, "objectIdentifier": f"{device.id}-{local_index}"}
        body = {"localIndex": local_index, "modifications": [modification]}
        return device.call("POST", "Datawallet/Modifications", json=body, headers=SYNC_HEADERS)

    # Without any modification the index is not compared, so the first one is not raced for.
    result_of(await push(anna, -1), 201)
    for index in range(ROUNDS):
        won, lost = await race(*(push(device, index) for device in devices))
        assert len(won) == 1
        assert result_of(won[0], 201)["newIndex"] == index + 1
        for answer in lost:
            assert_error(answer, 400, "validation.datawallet.datawalletNotUpToDate")

    stored = backbone.rows("SELECT idx FROM datawallet_modifications ORDER BY idx")
    assert [row["idx"] for row in stored] == list(range(ROUNDS + 1))


async def test_an_empty_token_is_filled_by_one(anna: Device, bert: Device) -> None:
    for _ in range(ROUNDS):
        token_id = (await anna.post("Tokens", {"expiresAt": "2099-01-01"}))["id"]
        path = f"Tokens/{token_id}/UpdateContent"
        calls = [device.call("POST", path, json={"newContent": b64u(device.id.encode())}) for device in (anna, bert)]
        won, lost = await race(*calls)
        assert (len(won), len(lost)) == (1, 1)
        assert_error(lost[0], 400, "token.contentUpdateNotPossibleBecauseContentAlreadyExists")
        winner = result_of(won[0])["createdByDevice"]
        assert (await anna.get(f"Tokens/{token_id}"))["content"] == b64u(winner.encode())


async def test_a_file_is_claimed_by_one(anna: Device, bert: Device, make_identity: Any) -> None:
    carla = await make_identity()
    fields = dict.fromkeys(("cipherHash", "ownerSignature", "encryptedProperties"), "eA")
    for _ in range(ROUNDS):
        form = {**fields, "expiresAt": "2099-01-01"}
        made = result_of(await anna.call("POST", "Files", data=form, files={"content": ("cipher.bin", b"x")}), 201)
        body = {"ownershipToken": made["ownershipToken"]}
        won, lost = await race(
            *(device.call("PATCH", f"Files/{made['id']}/ClaimOwnership", json=body) for device in (bert, carla))
        )
        assert (len(won), len(lost)) == (1, 1)
        assert_error(lost[0], 403, "forbidden")
        owner = (await anna.get(f"Files/{made['id']}/Metadata"))["owner"]
        assert owner in (bert.address, carla.address)
