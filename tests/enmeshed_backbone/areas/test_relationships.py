"""Relationships: every action in every state by either side, and what the other side learns of it."""

from __future__ import annotations

from itertools import product
from typing import Any

import httpx
import pytest

from enmeshed_backbone import addresses
from enmeshed_backbone.server import BackboneServer
from tests.support.backbone_client import Device, MakeIdentity, ask_for_relationship, assert_error, b64u, relate

V = "validation.relationship."
RNS = V + "relationshipIsNotInCorrectStatus"

# How each state is reached after the creation: who does what. `q` is the requester, `t` the templator.
STATES = {
    "Pending": [],
    "Active": [("t", "Accept")],
    "Rejected": [("t", "Reject")],
    "Revoked": [("q", "Revoke")],
    "Terminated": [("t", "Accept"), ("q", "Terminate")],
    "Reactivating by q": [("t", "Accept"), ("q", "Terminate"), ("q", "Reactivate")],
    "Reactivating by t": [("t", "Accept"), ("q", "Terminate"), ("t", "Reactivate")],
    "Decomposed by q": [("t", "Reject"), ("q", "Decompose")],
    "Decomposed by t": [("t", "Reject"), ("t", "Decompose")],
    "Decomposed by both": [("t", "Reject"), ("t", "Decompose"), ("q", "Decompose")],
}
ACTIONS = (
    "Accept",
    "Reject",
    "Revoke",
    "Terminate",
    "Reactivate",
    "Reactivate/Accept",
    "Reactivate/Reject",
    "Reactivate/Revoke",
    "Decompose",
)
SOMEONE_ELSE = V + "cannotAcceptOrRejectRelationshipAddressedToSomeoneElse"
NOT_YOURS = V + "cannotRevokeRelationshipNotCreatedByYourself"
STATUS, REQUESTED, COMPLETED = (
    "RelationshipStatusChanged",
    "RelationshipReactivationRequested",
    "RelationshipReactivationCompleted",
)

# (state, who, action) -> (status, reason, event of the peer). Everything that is not here is refused.
ALLOWED: dict[tuple[str, str, str], tuple[str, str, str | None]] = {
    ("Pending", "t", "Accept"): ("Active", "AcceptanceOfCreation", STATUS),
    ("Pending", "t", "Reject"): ("Rejected", "RejectionOfCreation", STATUS),
    ("Pending", "q", "Revoke"): ("Revoked", "RevocationOfCreation", STATUS),
    ("Decomposed by q", "t", "Decompose"): ("ReadyForDeletion", "Decomposition", None),
    ("Decomposed by t", "q", "Decompose"): ("ReadyForDeletion", "Decomposition", None),
    ("Reactivating by q", "t", "Reactivate/Accept"): ("Active", "AcceptanceOfReactivation", COMPLETED),
    ("Reactivating by q", "t", "Reactivate/Reject"): ("Terminated", "RejectionOfReactivation", COMPLETED),
    ("Reactivating by q", "q", "Reactivate/Revoke"): ("Terminated", "RevocationOfReactivation", COMPLETED),
    ("Reactivating by t", "q", "Reactivate/Accept"): ("Active", "AcceptanceOfReactivation", COMPLETED),
    ("Reactivating by t", "q", "Reactivate/Reject"): ("Terminated", "RejectionOfReactivation", COMPLETED),
    ("Reactivating by t", "t", "Reactivate/Revoke"): ("Terminated", "RevocationOfReactivation", COMPLETED),
}
for _who in "qt":
    ALLOWED["Active", _who, "Terminate"] = ("Terminated", "Termination", STATUS)
    ALLOWED["Terminated", _who, "Reactivate"] = ("Terminated", "ReactivationRequested", REQUESTED)
    for _state in ("Rejected", "Revoked", "Terminated", "Reactivating by q", "Reactivating by t"):
        ALLOWED[_state, _who, "Decompose"] = ("DeletionProposed", "Decomposition", STATUS)


def refusal(state: str, who: str, action: str) -> str:
    """Returns the code of an action that a state does not allow."""
    match action:
        case "Accept" | "Reject":
            return SOMEONE_ELSE if state == "Pending" else RNS
        case "Revoke":
            return NOT_YOURS if state == "Pending" else RNS
        case "Reactivate" if state.startswith("Reactivating"):
            return V + "cannotRequestReactivationWhenThereIsAnOpenReactivationRequest"
        case "Reactivate/Accept":
            return V + "noAcceptableRelationshipReactivationRequestExists"
        case "Reactivate/Reject":
            return V + "noRejectableReactivationRequestExists"
        case "Reactivate/Revoke":
            return V + "noRevocableReactivationRequestExists"
        case "Decompose" if state in (f"Decomposed by {who}", "Decomposed by both"):
            return V + "relationshipAlreadyDecomposed"
    return RNS


async def act(device: Device, relationship_id: str, action: str) -> httpx.Response:
    body: dict[str, Any] = {"json": {}} if action in ("Accept", "Reject", "Revoke") else {}
    response: httpx.Response = await device.call("PUT", f"Relationships/{relationship_id}/{action}", **body)
    return response


@pytest.mark.parametrize("state", STATES)
async def test_every_action_of_either_side_does_what_the_state_allows(
    state: str, make_identity: MakeIdentity, backbone: BackboneServer
) -> None:
    for who, action in product("qt", ACTIONS):
        sides = {"q": await make_identity(), "t": await make_identity()}
        relationship_id = await ask_for_relationship(sides["q"], sides["t"])
        for actor, step in STATES[state]:
            assert (await act(sides[actor], relationship_id, step)).status_code == 200
        before, events_before = stored(backbone, relationship_id), events(backbone, sides)

        response = await act(sides[who], relationship_id, action)

        new_events = events(backbone, sides)[len(events_before) :]
        if (state, who, action) not in ALLOWED:
            assert_error(response, 400, refusal(state, who, action))
            assert stored(backbone, relationship_id) == before
            assert new_events == []
            continue
        status, reason, event = ALLOWED[state, who, action]
        assert response.status_code == 200, (state, who, action, response.text)
        result = response.json()["result"]
        entry = result["auditLog"][-1]
        assert (result["status"], entry["reason"], entry["newStatus"]) == (status, reason, status)
        assert (entry["createdBy"], entry["createdByDevice"]) == (sides[who].address, sides[who].id)
        assert "creationContent" not in result
        peer = sides["t" if who == "q" else "q"].address
        assert new_events == ([] if event is None else [(event, peer)])


def stored(backbone: BackboneServer, relationship_id: str) -> list[dict[str, Any]]:
    return backbone.rows("SELECT * FROM relationships WHERE id = ?", relationship_id)


def events(backbone: BackboneServer, sides: dict[str, Device]) -> list[tuple[str, str]]:
    addresses_of_both = [device.address for device in sides.values()]
    rows = backbone.rows("SELECT * FROM external_events WHERE owner IN (?, ?) ORDER BY rowid", *addresses_of_both)
    return [(row["type"], row["owner"]) for row in rows]


async def test_a_relationship_shows_its_contents_to_both_sides(anna: Device, bert: Device) -> None:
    relationship_id = await ask_for_relationship(anna, bert)
    pending = await anna.get(f"Relationships/{relationship_id}")
    assert (pending["from"], pending["to"], pending["status"]) == (anna.address, bert.address, "Pending")
    assert (pending["creationContent"], pending["creationResponseContent"]) == (b64u(b"please"), None)

    await bert.put(f"Relationships/{relationship_id}/Accept", {"creationResponseContent": b64u(b"welcome")})
    for device in (anna, bert):
        found = await device.get(f"Relationships/{relationship_id}")
        assert found["creationResponseContent"] == b64u(b"welcome")
        assert [entry["reason"] for entry in found["auditLog"]] == ["Creation", "AcceptanceOfCreation"]
        assert found["auditLog"][0]["oldStatus"] is None


async def test_an_answer_without_content_is_stored_as_empty(anna: Device, bert: Device) -> None:
    relationship_id = await relate(anna, bert)

    assert (await anna.get(f"Relationships/{relationship_id}"))["creationResponseContent"] == ""


async def test_an_answer_needs_a_body(anna: Device, bert: Device) -> None:
    relationship_id = await ask_for_relationship(anna, bert)

    assert_error(await bert.call("PUT", f"Relationships/{relationship_id}/Accept"), 400, "inputCannotBeParsed")


async def test_strangers_see_and_do_nothing(anna: Device, bert: Device, make_identity: MakeIdentity) -> None:
    relationship_id, carla = await ask_for_relationship(anna, bert), await make_identity()

    assert_error(await carla.call("GET", f"Relationships/{relationship_id}"), 404, "recordNotFound")
    assert await carla.get("Relationships", params={"ids": [relationship_id]}) == []
    for action in ACTIONS:
        assert_error(await act(carla, relationship_id, action), 404, "recordNotFound")


async def test_only_one_living_relationship_is_possible_in_either_direction(anna: Device, bert: Device) -> None:
    relationship_id = await ask_for_relationship(anna, bert)
    for requester, templator in ((anna, bert), (bert, anna)):
        body = {"relationshipTemplateId": await templator.make_template()}
        refused = await requester.call("POST", "Relationships", json=body)
        assert_error(refused, 400, V + "relationshipToTargetAlreadyExists")
        answer = await requester.get("Relationships/CanCreate", params={"peer": templator.address})
        assert answer == {"canCreate": False, "code": "error.platform." + V + "relationshipToTargetAlreadyExists"}

    await act(bert, relationship_id, "Reject")
    assert (await anna.get("Relationships/CanCreate", params={"peer": bert.address})) == {
        "canCreate": True,
        "code": None,
    }
    await ask_for_relationship(bert, anna)


async def test_a_relationship_that_one_side_has_left_is_in_the_way_until_the_other_leaves(
    anna: Device, bert: Device
) -> None:
    relationship_id = await ask_for_relationship(anna, bert)
    await act(bert, relationship_id, "Reject")
    await act(bert, relationship_id, "Decompose")
    body = {"relationshipTemplateId": await bert.make_template()}
    assert_error(await anna.call("POST", "Relationships", json=body), 400, V + "relationshipToTargetAlreadyExists")

    await act(anna, relationship_id, "Decompose")
    await anna.post("Relationships", body)


async def test_a_template_of_ones_own_gives_no_relationship(anna: Device) -> None:
    refused = await anna.call("POST", "Relationships", json={"relationshipTemplateId": await anna.make_template()})

    assert_error(refused, 400, V + "cannotCreateRelationshipWithYourself")


async def test_a_refused_creation_takes_no_slot(anna: Device, bert: Device, backbone: BackboneServer) -> None:
    await ask_for_relationship(anna, bert)
    template_id = await bert.make_template(maxNumberOfAllocations=1)
    await anna.call("POST", "Relationships", json={"relationshipTemplateId": template_id})

    assert backbone.rows("SELECT * FROM template_allocations WHERE template_id = ?", template_id) == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "inputCannotBeParsed"),
        ({"relationshipTemplateId": "RLTxxxxxxxxxxxxxxxxx"}, 404, "recordNotFound"),
        ({"relationshipTemplateId": "nonsense"}, 400, "validation.invalidPropertyValue"),
        ({"relationshipTemplateId": "RLTx", "creationContent": "§"}, 400, "inputCannotBeParsed"),
    ],
)
async def test_a_wrong_creation_is_refused(anna: Device, body: dict[str, Any], status: int, code: str) -> None:
    assert_error(await anna.call("POST", "Relationships", json=body), status, code)


async def test_a_protected_template_must_have_been_fetched_before(anna: Device, bert: Device) -> None:
    template_id = await bert.make_template(password=b64u(b"x"))
    body = {"relationshipTemplateId": template_id}
    assert_error(await anna.call("POST", "Relationships", json=body), 404, "recordNotFound")

    await anna.get(f"RelationshipTemplates/{template_id}", params={"password": "eA=="})
    await anna.post("Relationships", body)


async def test_exhausted_slots_refuse_the_creation(anna: Device, bert: Device, make_identity: MakeIdentity) -> None:
    template_id = await bert.make_template(maxNumberOfAllocations=1)
    await (await make_identity()).get(f"RelationshipTemplates/{template_id}")
    refused = await anna.call("POST", "Relationships", json={"relationshipTemplateId": template_id})

    assert_error(refused, 400, "validation.relationshipTemplate.maxNumberOfAllocationsExhausted")


async def test_an_unknown_peer_is_told_in_the_words_that_official_clients_compare(anna: Device) -> None:
    peer = addresses.derive(bytes(9), "localhost")
    unknown = await anna.call("GET", "Relationships/CanCreate", params={"peer": peer})

    assert assert_error(unknown, 404, "recordNotFound")["message"].startswith("Identity not found.")
    malformed = await anna.call("GET", "Relationships/CanCreate", params={"peer": "x"})
    assert_error(malformed, 400, "validation.invalidPropertyValue")
    assert_error(await anna.call("GET", "Relationships/CanCreate"), 400, "inputCannotBeParsed")


async def test_who_has_left_reads_nothing_but_still_lists(anna: Device, bert: Device) -> None:
    relationship_id = await ask_for_relationship(anna, bert)
    await act(bert, relationship_id, "Reject")
    await act(bert, relationship_id, "Decompose")

    left = await bert.call("GET", f"Relationships/{relationship_id}")
    assert_error(left, 400, V + "relationshipAlreadyDecomposed")
    assert (await bert.get("Relationships", params={"ids": [relationship_id]}))[0]["status"] == "DeletionProposed"
    assert (await anna.get(f"Relationships/{relationship_id}"))["status"] == "DeletionProposed"


async def test_a_list_needs_ids(anna: Device) -> None:
    assert_error(await anna.call("GET", "Relationships"), 400, "validation.invalidPropertyValue")
    malformed = await anna.call("GET", "Relationships", params={"ids": ["x"]})
    assert_error(malformed, 400, "validation.invalidPropertyValue")


async def test_the_moments_of_an_audit_log_always_rise(anna: Device, bert: Device) -> None:
    relationship_id = await relate(anna, bert)
    await act(anna, relationship_id, "Terminate")
    for _ in range(5):
        await act(anna, relationship_id, "Reactivate")
        await act(anna, relationship_id, "Reactivate/Revoke")
    moments = [entry["createdAt"] for entry in (await anna.get(f"Relationships/{relationship_id}"))["auditLog"]]

    assert moments == sorted(set(moments))
