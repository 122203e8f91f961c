"""Challenges."""

from __future__ import annotations

from datetime import datetime

import httpx

from tests.support.backbone_client import Device, assert_error, result_of


async def test_a_challenge_names_who_asked_for_it(http: httpx.AsyncClient, anna: Device, bert: Device) -> None:
    made = await anna.post("Challenges", {})

    assert made["id"].startswith("CHL")
    assert (made["createdBy"], made["createdByDevice"]) == (anna.address, anna.id)
    assert await bert.get(f"Challenges/{made['id']}") == made

    anonymous = result_of(await http.post("/api/v2/Challenges"), 201)
    assert (anonymous["createdBy"], anonymous["createdByDevice"]) == (None, None)
    assert (await http.get(f"/api/v2/Challenges/{anonymous['id']}")).status_code == 401


async def test_a_challenge_lasts_ten_minutes_and_can_be_read_for_an_hour_more(
    anna: Device, admin: httpx.AsyncClient
) -> None:
    made = await anna.post("Challenges", {})
    now = (await admin.get("/api/v1/Development/Clock")).json()["result"]["now"]
    lifetime = datetime.fromisoformat(made["expiresAt"]) - datetime.fromisoformat(now)
    assert 595 < lifetime.total_seconds() <= 600

    await admin.post("/api/v1/Development/Clock", json={"seconds": 4190})
    await anna.log_in()
    assert (await anna.get(f"Challenges/{made['id']}"))["id"] == made["id"]
    await admin.post("/api/v1/Development/Clock", json={"seconds": 15})
    assert_error(await anna.call("GET", f"Challenges/{made['id']}"), 404, "recordNotFound")


async def test_an_unknown_challenge_is_not_found_and_a_malformed_id_is_refused(anna: Device) -> None:
    assert_error(await anna.call("GET", "Challenges/CHLxxxxxxxxxxxxxxxxx"), 404, "recordNotFound")
    assert_error(await anna.call("GET", "Challenges/MSGx"), 400, "validation.invalidPropertyValue")
