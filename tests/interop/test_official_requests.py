"""Requests with questions about attributes between official peers, answered by message or with the relationship."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.interop.conftest import Peers
from tests.interop.official_peer.official_peer import OfficialPeer
from tests.interop.steps import Json, answer, connect, get_answer, load, offer, send_request

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

Pair = tuple[OfficialPeer, OfficialPeer]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def friends(peers: Peers) -> Pair:
    """Two peers with an active relationship, whose request and notification modules run."""
    anna, bert = await peers.start_many(2, modules=["request", "notification"])
    await connect(anna, bert)
    return anna, bert


def question(value_type: str, must_be_accepted: bool = True) -> Json:
    return {
        "@type": "ReadAttributeRequestItem",
        "mustBeAccepted": must_be_accepted,
        "query": {"@type": "IdentityAttributeQuery", "valueType": value_type},
    }


def identity_attribute(value_type: str, value: str, owner: str = "") -> Json:
    return {"@type": "IdentityAttribute", "owner": owner, "value": {"@type": value_type, "value": value}}


async def test_a_question_is_answered_with_an_attribute_of_the_peer(friends: Pair) -> None:
    anna, bert = friends
    own = await bert.call(
        "consumption.attributes.createOwnIdentityAttribute",
        {"content": {"value": {"@type": "GivenName", "value": "Bert"}}},
    )
    request = await send_request(anna, bert, [question("GivenName"), question("Surname", must_be_accepted=False)])

    await answer(bert, request["id"], [{"accept": True, "existingAttributeId": own["id"]}, {"accept": False}])
    completed = await get_answer(anna, request["id"])

    response = completed["response"]["content"]
    assert response["result"] == "Accepted"
    accepted, declined = response["items"]
    assert accepted["@type"] == "ReadAttributeAcceptResponseItem"
    assert accepted["attribute"]["value"] == {"@type": "GivenName", "value": "Bert"}
    assert (accepted["attribute"]["owner"], accepted["attributeId"]) == (bert.address, own["id"])
    assert declined["result"] == "Rejected"
    known = await anna.call("consumption.attributes.getPeerAttributes", {"peer": bert.address})
    assert own["id"] in [attribute["id"] for attribute in known]


async def test_a_question_is_answered_with_a_new_attribute(friends: Pair) -> None:
    anna, bert = friends
    request = await send_request(anna, bert, [question("Nationality")])

    new = identity_attribute("Nationality", "DE", bert.address)
    await answer(bert, request["id"], [{"accept": True, "newAttribute": new}])
    completed = await get_answer(anna, request["id"])

    attribute_id = completed["response"]["content"]["items"][0]["attributeId"]
    stored = await anna.call("consumption.attributes.getAttribute", {"id": attribute_id})
    assert (stored["content"]["value"]["value"], stored["content"]["owner"]) == ("DE", bert.address)


async def test_a_rejected_request_leaves_nothing_with_the_one_who_asked(friends: Pair) -> None:
    anna, bert = friends
    request = await send_request(anna, bert, [question("Sex")])

    refusal = {"accept": False, "code": "no.thanks", "message": "That is private."}
    await answer(bert, request["id"], [refusal], decision="reject")
    completed = await get_answer(anna, request["id"])

    response = completed["response"]["content"]
    assert response["result"] == "Rejected"
    assert (response["items"][0]["code"], response["items"][0]["message"]) == ("no.thanks", "That is private.")
    known = await anna.call("consumption.attributes.getPeerAttributes", {"peer": bert.address})
    assert "Sex" not in [attribute["content"]["value"]["@type"] for attribute in known]


async def test_a_proposed_and_a_created_attribute_are_taken_over(friends: Pair) -> None:
    anna, bert = friends
    proposed = {
        "@type": "ProposeAttributeRequestItem",
        "mustBeAccepted": True,
        "query": {"@type": "IdentityAttributeQuery", "valueType": "Website"},
        "attribute": identity_attribute("Website", "https://example.org"),
    }
    created = {
        "@type": "CreateAttributeRequestItem",
        "mustBeAccepted": True,
        "attribute": {
            "@type": "RelationshipAttribute",
            "owner": anna.address,
            "key": "customerNumber",
            "confidentiality": "public",
            "value": {"@type": "ProprietaryString", "title": "Customer number", "value": "4711"},
        },
    }
    request = await send_request(anna, bert, [proposed, created])

    own = identity_attribute("Website", "https://example.org", bert.address)
    await answer(bert, request["id"], [{"accept": True, "attribute": own}, {"accept": True}])
    completed = await get_answer(anna, request["id"])

    first, second = completed["response"]["content"]["items"]
    his = await bert.call("consumption.attributes.getAttribute", {"id": second["attributeId"]})
    assert first["attribute"]["value"]["value"] == "https://example.org"
    assert (his["content"]["value"]["value"], his["content"]["owner"]) == ("4711", anna.address)


async def test_the_peer_learns_of_a_shared_attribute_that_gets_a_successor(friends: Pair) -> None:
    anna, bert = friends
    own = await bert.call(
        "consumption.attributes.createOwnIdentityAttribute",
        {"content": {"value": {"@type": "JobTitle", "value": "Clerk"}}},
    )
    request = await send_request(anna, bert, [question("JobTitle")])
    await answer(bert, request["id"], [{"accept": True, "existingAttributeId": own["id"]}])
    await get_answer(anna, request["id"])

    succession = await bert.call(
        "consumption.attributes.succeedOwnIdentityAttribute",
        {"predecessorId": own["id"], "successorContent": {"value": {"@type": "JobTitle", "value": "Director"}}},
    )
    await bert.call(
        "consumption.attributes.notifyPeerAboutOwnIdentityAttributeSuccession",
        {"attributeId": succession["successor"]["id"], "peer": anna.address},
    )
    await anna.sync()
    told = await anna.wait_for("consumption.attributeSucceeded", lambda event: event["predecessor"]["id"] == own["id"])

    assert told["successor"]["content"]["value"]["value"] == "Director"


async def test_a_decider_answers_a_question_on_its_own(peers: Peers) -> None:
    name = identity_attribute("GivenName", "Carl")
    automation = [
        {
            "requestConfig": {
                "content.item.@type": "ReadAttributeRequestItem",
                "content.item.query.valueType": "GivenName",
            },
            "responseConfig": {"accept": True, "newAttribute": name},
        }
    ]
    anna = await peers.start(modules=["request"])
    carl = await peers.start(modules=["request", "decider"], automation=automation)
    await connect(anna, carl)
    request = await send_request(anna, carl, [question("GivenName")])

    await carl.wait_for("transport.messageSent")
    completed = await get_answer(anna, request["id"])

    assert completed["response"]["content"]["items"][0]["attribute"]["value"]["value"] == "Carl"


async def test_a_question_in_a_template_is_answered_with_the_relationship(peers: Peers) -> None:
    anna, bert = await peers.start_many(2, modules=["request"])
    template = await offer(
        anna,
        content={
            "@type": "RelationshipTemplateContent",
            "title": "Join us",
            "onNewRelationship": {"@type": "Request", "items": [question("Surname")]},
        },
    )
    loaded = await load(bert, template)
    received = await bert.wait_for(
        "consumption.incomingRequestStatusChanged", lambda changed: changed["newStatus"] == "DecisionRequired"
    )
    assert received["request"]["source"]["reference"] == loaded["id"]

    new = identity_attribute("Surname", "Brecht", bert.address)
    await bert.call(
        "consumption.incomingRequests.accept",
        {"requestId": received["request"]["id"], "items": [{"accept": True, "newAttribute": new}]},
    )
    asked = await bert.wait_for("transport.relationshipChanged", lambda changed: changed["status"] == "Pending")
    await anna.sync()
    completed = await anna.wait_for("consumption.outgoingRequestFromRelationshipCreationCreatedAndCompleted")

    assert asked["peer"] == anna.address
    assert completed["status"] == "Completed"
    assert completed["response"]["content"]["items"][0]["attribute"]["value"]["value"] == "Brecht"
    assert completed["response"]["source"]["reference"] == asked["id"]
