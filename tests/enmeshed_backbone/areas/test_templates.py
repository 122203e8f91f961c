"""Relationship templates and their allocations."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from enmeshed_backbone.server import BackboneServer
from tests.support.backbone_client import FUTURE, Device, MakeIdentity, assert_error, b64, b64u, in_seconds

EXHAUSTED = "validation.relationshipTemplate.maxNumberOfAllocationsExhausted"


async def fetch(device: Device, template_id: str, password: bytes | None = None) -> httpx.Response:
    parameters = {} if password is None else {"password": b64(password)}
    response: httpx.Response = await device.call("GET", f"RelationshipTemplates/{template_id}", params=parameters)
    return response


async def fetch_all(device: Device, *ids: str, passwords: dict[str, bytes] | None = None) -> list[str]:
    parameters: dict[str, str] = {}
    for index, template_id in enumerate(ids):
        parameters[f"templates.{index}.id"] = template_id
        if template_id in (passwords or {}):
            parameters[f"templates.{index}.password"] = b64((passwords or {})[template_id])
    return [template["id"] for template in await device.get("RelationshipTemplates", params=parameters)]


async def test_a_template_is_read_as_it_was_made(anna: Device, bert: Device) -> None:
    template_id = await anna.make_template(
        expiresAt=FUTURE, maxNumberOfAllocations=2, forIdentity=bert.address, password=b64(b"secret")
    )
    found = await bert.get(f"RelationshipTemplates/{template_id}", params={"password": b64(b"secret")})

    assert found.pop("createdAt")
    assert found == {
        "id": template_id,
        "createdBy": anna.address,
        "createdByDevice": anna.id,
        "maxNumberOfAllocations": 2,
        "expiresAt": FUTURE,
        "content": b64u(b"template"),
        "forIdentity": bert.address,
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"content": None}, "inputCannotBeParsed"),
        ({"content": "§"}, "inputCannotBeParsed"),
        ({"content": 5}, "inputCannotBeParsed"),
        ({"expiresAt": "2020-01-01"}, "validation.invalidPropertyValue"),
        ({"expiresAt": "soon"}, "inputCannotBeParsed"),
        ({"maxNumberOfAllocations": 0}, "validation.invalidPropertyValue"),
        ({"maxNumberOfAllocations": -1}, "validation.invalidPropertyValue"),
        ({"maxNumberOfAllocations": 1.5}, "inputCannotBeParsed"),
        ({"maxNumberOfAllocations": True}, "inputCannotBeParsed"),
        ({"forIdentity": "did:e:localhost:dids:nobody"}, "validation.invalidPropertyValue"),
        ({"password": ""}, "validation.invalidPropertyValue"),
        ({"password": b64(bytes(201))}, "validation.invalidPropertyValue"),
    ],
)
async def test_a_wrong_template_is_refused(anna: Device, change: dict[str, Any], code: str) -> None:
    body = {"content": b64u(b"x"), **change}

    assert_error(await anna.call("POST", "RelationshipTemplates", json=body), 400, code)


async def test_a_content_may_have_ten_mebibytes_and_no_more(anna: Device) -> None:
    large = bytes(10 * 1024 * 1024)
    template_id = await anna.make_template(content=b64u(large))
    assert (await anna.get(f"RelationshipTemplates/{template_id}"))["content"] == b64u(large)

    refused = await anna.call("POST", "RelationshipTemplates", json={"content": b64u(large + b"x")})
    assert_error(refused, 400, "validation.invalidPropertyValue")
    assert (await anna.get(f"RelationshipTemplates/{await anna.make_template(content='')}"))["content"] == ""


async def test_a_password_is_asked_of_everyone_but_the_creator_and_who_has_a_slot(anna: Device, bert: Device) -> None:
    template_id = await anna.make_template(password=b64u(b"secret"))
    for wrong in (None, b"wrong"):
        assert_error(await fetch(bert, template_id, wrong), 404, "recordNotFound")
    assert (await fetch(anna, template_id)).status_code == 200
    assert await fetch_all(bert, template_id, passwords={template_id: b"secret"}) == [template_id]
    assert await fetch_all(bert, template_id) == []

    assert (await fetch(bert, template_id, b"secret")).status_code == 200
    assert (await fetch(bert, template_id)).status_code == 200
    assert await fetch_all(bert, template_id) == [template_id]


async def test_a_password_in_the_query_must_be_padded_base64(anna: Device, bert: Device) -> None:
    template_id = await anna.make_template(password=b64u(b"secret"))
    response = await bert.call("GET", f"RelationshipTemplates/{template_id}", params={"password": "_w"})

    assert_error(response, 400, "inputCannotBeParsed")


async def test_a_personalised_template_is_for_one_identity(
    anna: Device, bert: Device, make_identity: MakeIdentity
) -> None:
    template_id = await anna.make_template(forIdentity=bert.address)

    assert_error(await fetch(await make_identity(), template_id), 404, "recordNotFound")
    assert (await fetch(bert, template_id)).status_code == 200
    assert (await fetch(anna, template_id)).status_code == 200


async def test_slots_are_taken_by_fetching_once_per_identity(
    anna: Device, bert: Device, make_identity: MakeIdentity
) -> None:
    template_id = await anna.make_template(maxNumberOfAllocations=1)
    carla = await make_identity()
    assert await fetch_all(carla, template_id) == [template_id]

    for _ in range(2):
        assert (await fetch(anna, template_id)).status_code == 200
        assert (await fetch(bert, template_id)).status_code == 200
    assert_error(await fetch(carla, template_id), 400, EXHAUSTED)
    assert [(e["type"], e["payload"]) for e in await anna.events()] == [
        ("RelationshipTemplateAllocationsExhausted", {"relationshipTemplateId": template_id})
    ]


async def test_an_expired_template_is_there_only_for_those_it_brought_together(
    anna: Device, bert: Device, make_identity: MakeIdentity, admin: httpx.AsyncClient
) -> None:
    carla = await make_identity()
    used = await anna.make_template(expiresAt=in_seconds(200))
    unused = await anna.make_template(expiresAt=in_seconds(200))
    await bert.post("Relationships", {"relationshipTemplateId": used})
    await fetch(carla, used)
    await admin.post("/api/v1/Development/Clock", json={"seconds": 201})

    assert (await fetch(anna, used)).status_code == (await fetch(bert, used)).status_code == 200
    for device, template_id in ((carla, used), (anna, unused), (bert, unused)):
        assert_error(await fetch(device, template_id), 404, "recordNotFound")
        assert await fetch_all(device, template_id) == []


async def test_a_list_ends_at_the_first_gap_and_takes_the_older_form_too(anna: Device) -> None:
    ids = [await anna.make_template() for _ in range(3)]
    parameters = {"templates.0.id": ids[0], "templates.2.id": ids[2]}

    assert [t["id"] for t in await anna.get("RelationshipTemplates", params=parameters)] == ids[:1]
    assert [t["id"] for t in await anna.get("RelationshipTemplates", params={"ids": ids[1:]})] == ids[1:]
    assert_error(await anna.call("GET", "RelationshipTemplates"), 400, "validation.invalidPropertyValue")


async def test_only_the_creator_deletes_and_relationships_stay(
    anna: Device, bert: Device, backbone: BackboneServer
) -> None:
    template_id = await anna.make_template()
    hidden = await anna.make_template(password=b64u(b"secret"))
    relationship = await bert.post("Relationships", {"relationshipTemplateId": template_id})
    assert_error(await bert.call("DELETE", f"RelationshipTemplates/{template_id}"), 403, "forbidden")
    assert_error(await bert.call("DELETE", f"RelationshipTemplates/{hidden}"), 404, "recordNotFound")

    assert (await anna.call("DELETE", f"RelationshipTemplates/{template_id}")).status_code == 204
    assert_error(await anna.call("DELETE", f"RelationshipTemplates/{template_id}"), 404, "recordNotFound")
    assert (await bert.get(f"Relationships/{relationship['id']}"))["relationshipTemplateId"] is None
    assert backbone.rows("SELECT * FROM template_allocations") == []
