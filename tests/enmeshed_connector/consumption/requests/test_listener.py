"""What peers send becomes a request, completes one, or is left alone; it never stops anything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from enmeshed_connector.consumption.attributes.documents import ATTRIBUTES
from enmeshed_connector.consumption.deliveries import DELIVERIES
from enmeshed_connector.consumption.requests.documents import typed
from enmeshed_connector.consumption.requests.listener import RequestListener
from enmeshed_connector.consumption.requests.outgoing import OutgoingRequests
from enmeshed_connector.consumption.requests.processors.base import Asked, ItemProcessor
from enmeshed_connector.consumption.requests.processors.registry import Processors
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.errors import OutcomeUnknown
from enmeshed_connector.transport.objects import MESSAGES
from enmeshed_connector.transport.relationship_operations import REJECT, TERMINATE
from enmeshed_connector.transport.work import Work
from tests.support.network import Network
from tests.support.requests import (
    Asking,
    accepted,
    asking,
    asks,
    consent,
    group,
    rejected,
    relate,
    response,
    wrapper,
)

OTHER = "REQ00000000000000001"


async def test_a_request_is_received_in_the_commit_of_its_message(alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob, asks(consent(), title="Hello"))
    received = await bob.request(sent["id"])
    (message,) = await bob.holder.all(MESSAGES)
    assert sent["status"] == "Open"
    assert sent["source"] == received["source"] == {"reference": message["id"], "type": "Message"}
    assert received["content"] == sent["content"]
    assert "@type" not in received["content"]
    assert (received["isOwn"], received["peer"], received["status"]) == (False, alice.address, "DecisionRequired")
    (entry,) = received["statusLog"]
    assert (entry["oldStatus"], entry["newStatus"]) == ("Open", "DecisionRequired")
    events = [event for event in await bob.holder.events() if "incoming" in event["type"]]
    assert [event["type"] for event in events] == [
        "consumption.incomingRequestReceived",
        "consumption.incomingRequestStatusChanged",
    ]
    assert events[0]["data"]["status"] == "Open"
    assert events[1]["data"]["oldStatus"] == "Open"
    assert {event["origin"] for event in events} == {"EXTERNAL"}


async def test_a_request_whose_id_is_taken_is_left_alone(alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob, asks(consent("First")))
    await alice.tell(bob, typed("Request", {**sent["content"], "items": [consent("Second")]}))
    # An id of the receiver itself, sent back.
    own = await bob.draft(alice)
    await alice.tell(bob, typed("Request", {**sent["content"], "id": own["id"]}))
    assert len(await bob.requests()) == 2
    assert (await bob.request(sent["id"]))["content"] == sent["content"]
    assert (await bob.request(own["id"]))["isOwn"]
    assert len(await bob.holder.all(MESSAGES)) == 3
    assert (await bob.results())[-2:] == ["Error", "Error"]


@pytest.mark.parametrize(
    "content",
    [
        asks(id="REQ1"),
        asks(id="ATT00000000000000001"),
        asks(id=OTHER, expiresAt="tomorrow"),
        {"@type": "Request", "id": OTHER},
        {"@type": "Request", "id": OTHER, "items": []},
        {"@type": "Request", "id": OTHER, "items": [{"@type": "Mail"}]},
        {"@type": "Request", "id": OTHER, "items": [{"mustBeAccepted": True}]},
        {"@type": "Request", "id": OTHER, "items": [{"@type": "ConsentRequestItem", "consent": "?"}]},
        {"@type": "Request", "id": OTHER, "items": [group(group(consent()))]},
        {"@type": "Request", "id": OTHER, "items": "all"},
        {"@type": "ResponseWrapper"},
        {"@type": "ResponseWrapper", "response": []},
        wrapper(response("REQ1"), "MSG00000000000000001"),
        wrapper(response(OTHER), "MSG00000000000000001"),
        wrapper(response(OTHER), "RLT00000000000000001", source_type="RelationshipTemplate"),
        {"@type": ["Request"]},
        ["Request"],
        "Request",
    ],
)
async def test_content_that_is_none_is_stored_and_left_alone(alice: Asking, bob: Asking, content: Any) -> None:
    await alice.tell(bob, content)
    (message,) = await bob.holder.all(MESSAGES)
    assert message["content"] == content
    assert await bob.requests() == []
    sent = await alice.ask(bob)
    assert (await bob.request(sent["id"]))["status"] == "DecisionRequired"


async def test_items_of_older_releases_are_received_and_can_be_rejected(alice: Asking, bob: Asking) -> None:
    item = {"@type": "FreeTextRequestItem", "freeText": "Tell us", "mustBeAccepted": False}
    await alice.tell(bob, asks(item, id=OTHER))
    assert (await bob.request(OTHER))["status"] == "DecisionRequired"
    incoming = bob.consumption.incoming_requests
    assert not (await incoming.can_accept(OTHER, [{"accept": True}])).is_success
    assert (await incoming.can_reject(OTHER, [{"accept": False}])).is_success


async def test_a_response_completes_the_request_and_a_second_one_changes_nothing(alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob, asks(consent(), group(consent(must=False))))
    answer = response(sent["id"], accepted(), {"@type": "ResponseItemGroup", "items": [rejected()]})
    message = await bob.tell(alice, wrapper(answer, sent["source"]["reference"]))
    done = await alice.request(sent["id"])
    assert done["status"] == "Completed"
    assert done["response"]["content"] == answer
    assert done["response"]["source"] == {"reference": message["id"], "type": "Message"}
    again = response(sent["id"], rejected(), {"@type": "ResponseItemGroup", "items": [rejected()]}, result="Rejected")
    await bob.tell(alice, wrapper(again, sent["source"]["reference"]))
    assert await alice.request(sent["id"]) == done


@pytest.mark.parametrize(
    ("items", "result"),
    [
        ([accepted()], "Accepted"),
        ([accepted(), accepted(), accepted()], "Accepted"),
        ([accepted(), accepted()], "Accepted"),
        ([{"@type": "ResponseItemGroup", "items": [accepted()]}, accepted()], "Accepted"),
        ([accepted(), {"@type": "ResponseItemGroup", "items": [accepted(), accepted()]}], "Accepted"),
        ([accepted(), {"@type": "ResponseItemGroup", "items": [accepted()]}], "Rejected"),
        ([rejected(), {"@type": "ResponseItemGroup", "items": [accepted()]}], "Accepted"),
        (
            [
                {"@type": "CreateAttributeAcceptResponseItem", "attributeId": "ATT1", "result": "Accepted"},
                {"@type": "ResponseItemGroup", "items": [accepted()]},
            ],
            "Accepted",
        ),
        ([accepted(), {"@type": "ResponseItemGroup", "items": [accepted()]}], "Perhaps"),
    ],
)
async def test_a_response_that_does_not_fit_leaves_the_request_as_it_is(
    alice: Asking, bob: Asking, items: list[JsonObject], result: str
) -> None:
    sent = await alice.ask(bob, asks(consent(), group(consent(must=False))))
    await bob.tell(alice, wrapper(response(sent["id"], *items, result=result), sent["source"]["reference"]))
    assert await alice.request(sent["id"]) == sent
    right = response(sent["id"], accepted(), {"@type": "ResponseItemGroup", "items": [accepted()]})
    await bob.tell(alice, wrapper(right, sent["source"]["reference"]))
    assert (await alice.request(sent["id"]))["status"] == "Completed"


async def test_a_response_of_somebody_else_changes_nothing(network: Network, alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob)
    carol = await asking(network, "carol")
    await relate(alice, carol)
    await carol.tell(alice, wrapper(response(sent["id"]), sent["source"]["reference"]))
    assert await alice.request(sent["id"]) == sent
    assert [one["createdBy"] for one in await alice.holder.all(MESSAGES) if not one["isOwn"]] == [carol.address]


async def test_a_response_that_overtakes_the_answer_of_the_backbone_counts(alice: Asking, bob: Asking) -> None:
    draft = await alice.draft(bob)
    made = await alice.consumption.outgoing_requests.new_content(asks(consent("At once")), bob.address)
    for content in (draft["content"], made):
        alice.holder.faults.lose_answer("messages.send")
        alice.holder.faults.cut("messages.list")
        with pytest.raises(OutcomeUnknown):
            await alice.tell(bob, typed("Request", content))
        await bob.sync()
        source = (await bob.request(content["id"]))["source"]["reference"]
        await bob.tell(alice, wrapper(response(content["id"]), source))
        done = await alice.request(content["id"])
        assert (done["status"], done["source"]["reference"]) == ("Completed", source)
        await alice.holder.transport.context.outbox.settle()
        assert await alice.holder.transport.messages.get(source)
        assert await alice.request(content["id"]) == done
    assert len(await alice.requests()) == 2


async def test_a_response_in_time_counts_whenever_it_is_received(network: Network, alice: Asking, bob: Asking) -> None:
    moment = format_date(network.clock.now() + timedelta(minutes=1))
    in_time = await alice.ask(bob, asks(expiresAt=moment))
    too_late = await alice.ask(bob, asks(expiresAt=moment))
    transport = bob.holder.transport
    await transport.messages.send([alice.address], wrapper(response(in_time["id"]), in_time["source"]["reference"]))
    network.clock.advance(timedelta(minutes=2))
    await alice.consumption.request_expiry.expire_due()
    assert await alice.statuses() == ["Expired", "Expired"]
    await alice.sync()
    assert (await alice.request(in_time["id"]))["status"] == "Completed"
    assert (await alice.request(too_late["id"]))["status"] == "Expired"


async def test_a_response_after_the_expiry_is_too_late(network: Network, alice: Asking, bob: Asking) -> None:
    # The Backbone's clock, which tells when the response was sent, is the machine's; that of the accounts lags behind.
    network.clock.advance(timedelta(minutes=-2))
    sent = await alice.ask(bob, asks(expiresAt=format_date(network.clock.now() + timedelta(minutes=1))))
    await bob.tell(alice, wrapper(response(sent["id"]), sent["source"]["reference"]))
    assert "response" not in await alice.request(sent["id"])


class Failing(ItemProcessor):
    """Writes something, then has a fault."""

    async def apply(self, response_item: JsonObject, item: JsonObject, asked: Asked, work: Work) -> None:
        await work.create(ATTRIBUTES, {"id": "ATT0000000000000HALF", "createdAt": work.now})
        raise ZeroDivisionError


class FailingProcessors(Processors):
    """Have faults."""

    def for_item(self, item: JsonObject) -> ItemProcessor:
        return Failing()


async def test_a_fault_while_a_response_is_applied_undoes_it_and_keeps_the_message(
    alice: Asking, bob: Asking, caplog: pytest.LogCaptureFixture
) -> None:
    sent = await alice.ask(bob)
    transport = alice.holder.transport
    processors = FailingProcessors(transport.context, alice.holder.attributes, transport.files)
    outgoing = OutgoingRequests(transport.context, processors)
    listener = RequestListener(transport.context, alice.consumption.incoming_requests, outgoing)
    message = {
        "id": "MSG00000000000000001",
        "content": wrapper(response(sent["id"]), sent["source"]["reference"]),
        "createdAt": sent["createdAt"],
        "createdBy": bob.address,
        "recipients": [],
    }

    async def store(work: Work) -> None:
        await work.create(MESSAGES, message)
        await listener.message_received(message, work)

    await alice.holder.run(store)
    assert await alice.request(sent["id"]) == sent
    assert await alice.holder.get("ATT0000000000000HALF") is None
    assert await transport.messages.get(message["id"])


async def test_what_is_left_of_a_peer_after_decomposition_are_no_requests(alice: Asking, bob: Asking) -> None:
    await alice.ask(bob)
    asked = await bob.ask(alice)
    await alice.accept(asked["id"])
    assert len(await alice.holder.all(DELIVERIES)) == 1
    transport = alice.holder.transport
    (relationship,) = await transport.relationships.find()
    await transport.relationships.take(TERMINATE, relationship["id"])
    await transport.relationships.decompose(relationship["id"])
    assert await alice.requests() == []
    assert await alice.holder.all(DELIVERIES) == []
    assert [event for event in await alice.holder.events(types="") if event.get("data", {}).get("request")] == []


async def test_a_template_is_answered_by_a_relationship(network: Network, alice: Asking) -> None:
    bob = await asking(network, "bob")
    template = await alice.template(onNewRelationship=asks(consent()), title="Hello")
    await bob.load(template)
    (received,) = await bob.requests()
    assert received["source"] == {"reference": template["id"], "type": "RelationshipTemplate"}
    assert received["content"]["expiresAt"] == template["expiresAt"]
    decided = await bob.accept(received["id"])
    content = {"@type": "RelationshipCreationContent", "response": decided["response"]["content"]}
    relationship = await bob.holder.transport.relationships.create(template["id"], content)
    done = await bob.request(received["id"])
    source = {"reference": relationship["id"], "type": "Relationship"}
    assert (done["status"], done["response"]["source"]) == ("Completed", source)
    assert await bob.holder.all(DELIVERIES) == []
    await alice.sync()
    (asked,) = await alice.requests()
    assert (asked["id"], asked["isOwn"], asked["status"]) == (received["id"], True, "Completed")
    assert asked["source"] == received["source"]
    assert asked["response"]["source"] == source
    # What happens to the relationship afterwards is no answer to anything.
    await alice.holder.transport.relationships.take(REJECT, relationship["id"])
    await bob.sync()
    assert await alice.statuses() == await bob.statuses() == ["Completed"]


@pytest.mark.parametrize(
    "answer",
    [
        response("REQ1"),
        response(OTHER, rejected(), result="Rejected"),
        response(OTHER, rejected()),
        response(OTHER, accepted(), accepted()),
        {"items": "none"},
    ],
)
async def test_a_relationship_with_a_response_that_does_not_fit_is_received_nevertheless(
    network: Network, alice: Asking, answer: JsonObject
) -> None:
    bob = await asking(network, "bob")
    template = await alice.template(onNewRelationship=asks(consent()))
    await bob.load(template)
    content = {"@type": "RelationshipCreationContent", "response": answer}
    await bob.holder.transport.relationships.create(template["id"], content)
    await alice.sync()
    (relationship,) = await alice.holder.transport.relationships.find()
    assert relationship["status"] == "Pending"
    assert await alice.requests() == []


async def test_a_template_for_somebody_else_is_not_answered_by_message(
    network: Network, alice: Asking, bob: Asking
) -> None:
    carol = await asking(network, "carol")
    await relate(alice, carol)
    template = await alice.template(onNewRelationship=asks(), onExistingRelationship=asks(), for_identity=carol.address)
    answer = wrapper(response(OTHER), template["id"], source_type="RelationshipTemplate")
    await bob.tell(alice, answer)
    assert await alice.requests() == []
    await carol.tell(alice, answer)
    assert await alice.statuses() == ["Completed"]
    # Answers of one id are one answer.
    await carol.tell(alice, answer)
    assert len(await alice.requests()) == 1


async def test_a_template_whose_request_is_expired_asks_nothing(network: Network, alice: Asking) -> None:
    bob = await asking(network, "bob")
    moment = format_date(network.clock.now() + timedelta(minutes=1))
    template = await alice.template(onNewRelationship=asks(expiresAt=moment))
    network.clock.advance(timedelta(minutes=2))
    await bob.load(template)
    assert await bob.requests() == []
    assert await bob.results() == ["RequestExpired"]
