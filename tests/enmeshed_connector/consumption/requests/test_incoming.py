"""Decisions: checked against the state of things, made durable with what follows, and sent once whatever dies."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from enmeshed_connector.consumption.attributes.documents import ATTRIBUTES, FORWARDING_DETAILS
from enmeshed_connector.consumption.attributes.forwarding import Forwarding
from enmeshed_connector.consumption.deliveries import DELIVERIES
from enmeshed_connector.consumption.requests.errors import (
    DecisionInvalid,
    NoAcceptedRequest,
    RelationshipUnsuitable,
    RequestExpired,
    ResponseNotGivenUp,
    WrongCreationContent,
    WrongRequestStatus,
)
from enmeshed_connector.consumption.requests.processors.base import ItemProcessor
from enmeshed_connector.consumption.requests.processors.create_attribute import CreateAttributeProcessor
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.errors import FailedPrecondition
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.objects import MESSAGES, RELATIONSHIPS, Document
from enmeshed_connector.transport.relationship_operations import REVOKE, TERMINATE
from enmeshed_connector.transport.work import Work
from tests.support.consumption import identity, relationship
from tests.support.network import Network
from tests.support.request_items import identity_query
from tests.support.requests import NO, YES, Asking, accepted, asking, asks, consent, group, response


async def deliver(one: Asking) -> None:
    """Lets the account send what it has to, until nothing is left."""
    deliveries = one.consumption.deliveries
    async with asyncio.timeout(60):
        while await one.holder.all(DELIVERIES):
            await deliveries.send_due()
            one.network.clock.advance(timedelta(minutes=10))


async def sent_messages(one: Asking) -> list[Document]:
    """Returns the own messages."""
    return [message for message in await one.holder.all(MESSAGES) if message["isOwn"]]


async def test_a_decision_is_durable_with_its_delivery(alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob, asks(consent(), group(consent(must=False))))
    await bob.accept(sent["id"], YES, {"items": [NO]})
    decided = await bob.request(sent["id"])
    assert decided["status"] == "Decided"
    assert decided["response"]["content"] == response(
        sent["id"],
        accepted(),
        {"@type": "ResponseItemGroup", "items": [{"@type": "RejectResponseItem", "result": "Rejected", "code": "no"}]},
    )
    assert "source" not in decided["response"]
    (delivery,) = await bob.holder.all(DELIVERIES)
    assert delivery["content"]["requestSourceReference"] == sent["source"]["reference"]
    assert await sent_messages(bob) == []


async def test_a_response_is_sent_once_though_the_process_dies_after_the_decision(alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob)
    await bob.accept(sent["id"])
    bob = await bob.restarted()
    await deliver(bob)
    assert (await bob.request(sent["id"]))["status"] == "Completed"
    await alice.sync()
    assert (await alice.request(sent["id"]))["status"] == "Completed"
    assert len(await sent_messages(bob)) == 1


async def test_a_response_is_sent_once_though_its_answer_is_lost_and_the_process_dies(
    alice: Asking, bob: Asking
) -> None:
    sent = await alice.ask(bob)
    await bob.accept(sent["id"])
    bob.holder.faults.lose_answer("messages.send")
    bob.holder.faults.cut("messages.list")
    await bob.consumption.deliveries.send_due()
    assert (await bob.request(sent["id"]))["status"] == "Decided"
    bob = await bob.restarted()
    await deliver(bob)
    await alice.sync()
    (message,) = await sent_messages(bob)
    done = await bob.request(sent["id"])
    assert (done["status"], done["response"]["source"]["reference"]) == ("Completed", message["id"])
    assert [one["id"] for one in await alice.holder.all(MESSAGES) if not one["isOwn"]] == [message["id"]]
    assert (await alice.request(sent["id"]))["response"]["source"]["reference"] == message["id"]


async def test_a_relationship_is_asked_for_once_though_its_answer_is_lost_and_the_process_dies(
    network: Network, alice: Asking
) -> None:
    bob = await asking(network, "bob")
    await bob.load(await alice.template(onNewRelationship=asks()))
    (received,) = await bob.requests()
    await bob.accept(received["id"])
    bob.holder.faults.lose_answer("relationships.create")
    await bob.consumption.deliveries.send_due()
    assert await bob.holder.all(RELATIONSHIPS) == []
    bob = await bob.restarted()
    # What became of it is told by the first event about it.
    await alice.sync()
    (relationship,) = await alice.holder.all(RELATIONSHIPS)
    await alice.holder.transport.relationships.accept(relationship["id"])
    await bob.sync()
    done = await bob.request(received["id"])
    assert (done["status"], done["response"]["source"]["reference"]) == ("Completed", relationship["id"])
    assert await bob.holder.all(DELIVERIES) == []
    await bob.consumption.deliveries.send_due()
    assert bob.holder.faults.count("relationships.create") == 0
    assert await alice.statuses() == ["Completed"]


async def test_what_is_accepted_follows_from_the_same_commit(alice: Asking, bob: Asking) -> None:
    item = {"@type": "CreateAttributeRequestItem", "attribute": identity(bob.address, "Bob"), "mustBeAccepted": True}
    sent = await alice.ask(bob, asks(item))
    await bob.accept(sent["id"])
    (attribute,) = await bob.holder.all(ATTRIBUTES)
    await deliver(bob)
    await alice.sync()
    (copy,) = await alice.holder.all(ATTRIBUTES)
    assert copy["id"] == attribute["id"]
    assert (copy["@type"], copy["sourceReference"]) == ("PeerIdentityAttribute", sent["id"])


async def test_both_sides_keep_whom_an_accepted_attribute_belongs_to(alice: Asking, bob: Asking) -> None:
    def item(owner: str, name: str, kind: str) -> Document:
        attribute = identity(owner, name, value_type=kind)
        return {"@type": "CreateAttributeRequestItem", "attribute": attribute, "mustBeAccepted": False}

    def items(owner: str, owner_of_rejected: str) -> list[Document]:
        surname = item(owner_of_rejected, "Bobson", "Surname")
        return [item(owner, "Bob", "GivenName"), group(item(owner, "Sir", "HonorificPrefix")), surname]

    sent = await alice.ask(bob, asks(*items("", "")))
    await bob.accept(sent["id"], YES, {"items": [YES]}, NO)
    await deliver(bob)
    await alice.sync()
    for side in (alice, bob):
        kept = (await side.request(sent["id"]))["content"]["items"]
        owners = [one["attribute"]["owner"] for one in (kept[0], kept[1]["items"][0], kept[2])]
        assert owners == [bob.holder.address, bob.holder.address, ""]


async def test_a_decision_that_fails_in_its_commit_leaves_nothing(alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob)
    incoming = bob.consumption.incoming_requests

    async def change(work: Work) -> None:
        await incoming.accept(sent["id"], [YES], work)
        raise ZeroDivisionError

    before = await bob.request(sent["id"])
    with pytest.raises(ZeroDivisionError):
        await bob.holder.run(change)
    assert await bob.request(sent["id"]) == before
    assert await bob.holder.all(DELIVERIES) == []


async def test_a_request_is_decided_once(alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob)
    incoming = bob.consumption.incoming_requests

    async def decide() -> None:
        await bob.holder.run(lambda work: incoming.accept(sent["id"], [YES], work))

    results = await asyncio.gather(*(decide() for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results if result is not None] == [WrongRequestStatus] * 4
    assert len(await bob.holder.all(DELIVERIES)) == 1


async def test_an_overdue_request_cannot_be_decided(network: Network, alice: Asking, bob: Asking) -> None:
    moment = format_date(network.clock.now() + timedelta(minutes=1))
    sent = await alice.ask(bob, asks(expiresAt=moment))
    network.clock.advance(timedelta(minutes=2))
    incoming = bob.consumption.incoming_requests
    with pytest.raises(RequestExpired):
        await incoming.can_accept(sent["id"], [YES])
    with pytest.raises(RequestExpired):
        await bob.holder.run(lambda work: incoming.reject(sent["id"], [NO], work))


async def test_own_requests_and_unknown_ones_cannot_be_decided(alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob)
    for request_id in (sent["id"], "REQ00000000000000000"):
        with pytest.raises(RecordMissing):
            await alice.consumption.incoming_requests.can_accept(request_id, [YES])


@pytest.mark.parametrize(("info", "code"), [("ToBeDeleted", "peerIsInDeletion"), ("Deleted", "peerIsDeleted")])
async def test_a_peer_that_leaves_gets_no_answer(alice: Asking, bob: Asking, info: str, code: str) -> None:
    sent = await alice.ask(bob)

    async def leave(work: Work) -> None:
        (relationship,) = await work.find(RELATIONSHIPS)
        deletion = {"deletionStatus": info, "deletionDate": work.now}
        await work.save(RELATIONSHIPS, {**relationship, "peerDeletionInfo": deletion})

    await bob.holder.run(leave)
    result = await bob.consumption.incoming_requests.can_accept(sent["id"], [YES])
    assert result.code == f"error.consumption.requests.{code}"


async def test_the_relationship_has_to_be_active_for_a_request_by_message(alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob)
    transport = bob.holder.transport
    (relationship,) = await transport.relationships.find()
    await transport.relationships.take(TERMINATE, relationship["id"])
    incoming = bob.consumption.incoming_requests
    result = await incoming.can_reject(sent["id"], [NO])
    assert result.code == "error.consumption.requests.wrongRelationshipStatus"
    with pytest.raises(RelationshipUnsuitable):
        await bob.holder.run(lambda work: incoming.reject(sent["id"], [NO], work))


async def test_a_template_can_be_accepted_again_after_the_relationship_was_revoked(
    network: Network, alice: Asking
) -> None:
    bob = await asking(network, "bob")
    template = await alice.template(onNewRelationship=asks())
    await bob.load(template)
    (first,) = await bob.requests()
    await bob.accept(first["id"])
    await deliver(bob)
    (relationship,) = await bob.holder.transport.relationships.find()
    await bob.holder.transport.relationships.take(REVOKE, relationship["id"])
    await alice.sync()
    await bob.load(template)
    second = next(request for request in await bob.requests() if request["id"] != first["id"])
    await bob.accept(second["id"])
    await deliver(bob)
    assert await bob.statuses() == ["Completed", "Completed"]
    await alice.sync()
    assert len(await alice.holder.all(RELATIONSHIPS)) == 2


async def test_a_relationship_is_asked_for_with_the_response_that_was_decided_on(
    network: Network, alice: Asking
) -> None:
    bob = await asking(network, "bob")
    template = await alice.template(onNewRelationship=asks())
    await bob.load(template)
    (received,) = await bob.requests()
    incoming = bob.consumption.incoming_requests
    right = {"@type": "RelationshipCreationContent", "response": response(received["id"])}
    with pytest.raises(NoAcceptedRequest):
        await incoming.check_creation_content(template, right)
    await bob.accept(received["id"])
    await incoming.check_creation_content(template, right)
    wrong = {**right, "response": response(received["id"], accepted(), accepted())}
    with pytest.raises(WrongCreationContent):
        await incoming.check_creation_content(template, wrong)


async def test_a_hand_made_response_does_not_pass_for_the_one_that_was_decided_on(alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob, asks(consent(must=False)))
    await bob.accept(sent["id"])
    other = {
        "@type": "ResponseWrapper",
        "requestId": sent["id"],
        "requestSourceReference": sent["source"]["reference"],
        "requestSourceType": "Message",
        "response": response(sent["id"], accepted(), accepted()),
    }
    await bob.tell(alice, other)
    assert (await bob.request(sent["id"]))["status"] == "Decided"
    assert len(await bob.holder.all(DELIVERIES)) == 1


async def test_a_decision_is_refused_with_the_places_that_are_wrong(alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob, asks(consent(), group(consent(), consent(must=False))))
    incoming = bob.consumption.incoming_requests
    with pytest.raises(DecisionInvalid) as caught:
        await bob.holder.run(lambda work: incoming.accept(sent["id"], [YES, {"items": [NO, NO]}], work))
    assert [violation.field for violation in caught.value.violations] == ["items[1].group.items[0]"]
    code = "error.consumption.requests.decide.validation.mustBeAcceptedItemNotAccepted"
    assert caught.value.official_code == code


async def test_handing_over_happens_once(alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob)
    incoming = bob.consumption.incoming_requests
    for _ in range(2):
        await bob.holder.run(lambda work: incoming.require_manual_decision(sent["id"], work))
    request = await bob.request(sent["id"])
    assert [entry["newStatus"] for entry in request["statusLog"]] == ["DecisionRequired", "ManualDecisionRequired"]
    await bob.accept(sent["id"])
    with pytest.raises(WrongRequestStatus):
        await bob.holder.run(lambda work: incoming.require_manual_decision(sent["id"], work))


def field(answer: str = "DoubleFormFieldSettings") -> Document:
    """Returns an item that asks for something to be filled in."""
    return {
        "@type": "FormFieldRequestItem",
        "title": "How much?",
        "mustBeAccepted": False,
        "settings": {"@type": answer},
    }


SERVAL = "error.consumption.requests.servalErrorDuringRequestItemProcessing"


@pytest.mark.parametrize(
    ("texts", "fields"),
    [
        ({"code": "c" * 200, "message": "😀" * 500}, []),
        ({"code": "c" * 201}, ["items[0].reject.code"]),
        ({"message": "😀" * 501}, ["items[0].reject.message"]),
        ({"code": 1, "message": None}, ["items[0].reject.code", "items[0].reject.message"]),
    ],
)
async def test_a_rejection_says_no_more_than_peers_read(
    alice: Asking, bob: Asking, texts: dict[str, object], fields: list[str]
) -> None:
    sent = await alice.ask(bob, asks(consent(must=False)))
    incoming, decision = bob.consumption.incoming_requests, {"accept": False, **texts}
    result = await incoming.can_reject(sent["id"], [decision])
    assert result.is_success is not bool(fields)
    if not fields:
        await bob.holder.run(lambda work: incoming.reject(sent["id"], [decision], work))
        await deliver(bob)
        await alice.sync()
        assert (await alice.request(sent["id"]))["status"] == "Completed"
        return
    assert result.items[0].code == SERVAL
    with pytest.raises(DecisionInvalid) as caught:
        await bob.holder.run(lambda work: incoming.reject(sent["id"], [decision], work))
    assert caught.value.official_code == SERVAL
    assert [violation.field for violation in caught.value.violations] == fields
    assert (await bob.request(sent["id"]))["status"] == "DecisionRequired"
    assert await bob.holder.all(DELIVERIES) == []


async def test_a_response_that_no_peer_could_read_is_not_made(
    alice: Asking, bob: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def accept(*_: object) -> Document:
        return accepted(result="Perhaps")

    monkeypatch.setattr(ItemProcessor, "accept", accept)
    sent = await alice.ask(bob)
    with pytest.raises(DecisionInvalid) as caught:
        await bob.accept(sent["id"])
    assert caught.value.official_code == SERVAL
    assert [violation.field for violation in caught.value.violations] == ["response.items[0].result"]
    assert (await bob.request(sent["id"]))["status"] == "DecisionRequired"
    assert await bob.holder.all(DELIVERIES) == []


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
async def test_what_is_filled_in_is_a_number_that_json_has(alice: Asking, bob: Asking, number: float) -> None:
    sent = await alice.ask(bob, asks(field()))
    incoming, decision = bob.consumption.incoming_requests, {"accept": True, "response": number}
    result = await incoming.can_accept(sent["id"], [decision])
    assert result.items[0].code == "error.consumption.requests.invalidAcceptParameters"
    with pytest.raises(DecisionInvalid) as caught:
        await bob.holder.run(lambda work: incoming.accept(sent["id"], [decision], work))
    assert caught.value.official_code == "error.consumption.requests.invalidAcceptParameters"


async def test_characters_that_are_forbidden_are_no_fault_of_the_type(alice: Asking, bob: Asking) -> None:
    item = {"@type": "CreateAttributeRequestItem", "attribute": identity("", "日本"), "mustBeAccepted": True}
    await alice.tell(bob, asks(item, id="REQ00000000000000001"))
    result = await bob.consumption.incoming_requests.can_accept("REQ00000000000000001", [YES])
    assert result.items[0].code == "error.consumption.requests.unexpectedErrorDuringRequestItemProcessing"


async def test_a_key_that_is_taken_between_the_check_and_the_acceptance_is_found_taken(
    alice: Asking, bob: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = {
        "@type": "CreateAttributeRequestItem",
        "attribute": relationship(alice.address, "same"),
        "mustBeAccepted": False,
    }
    first, second = await alice.ask(bob, asks(item)), await alice.ask(bob, asks(item))
    accept = CreateAttributeProcessor.accept
    overtaken: list[str] = []

    async def accept_late(self: CreateAttributeProcessor, *arguments: Any) -> Document:
        if not overtaken:
            overtaken.append(second["id"])
            await bob.accept(second["id"])
        return await accept(self, *arguments)

    monkeypatch.setattr(CreateAttributeProcessor, "accept", accept_late)
    with pytest.raises(DecisionInvalid):
        await bob.accept(first["id"])
    assert [one["sourceReference"] for one in await bob.holder.all()] == [second["id"]]
    assert (await bob.request(first["id"]))["status"] == "DecisionRequired"


async def test_an_attribute_that_the_peer_gets_by_another_request_meanwhile_is_there_already(
    alice: Asking, bob: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await bob.holder.own("Bob")
    item = {"@type": "ReadAttributeRequestItem", "query": identity_query("GivenName"), "mustBeAccepted": True}
    first, second = await alice.ask(bob, asks(item)), await alice.ask(bob, asks(item))
    decision = {**YES, "existingAttributeId": own["id"]}
    add = Forwarding.add
    overtaken: list[str] = []

    async def add_late(self: Forwarding, *arguments: Any) -> Document:
        if not overtaken:
            overtaken.append(second["id"])
            await bob.accept(second["id"], decision)
        return await add(self, *arguments)

    monkeypatch.setattr(Forwarding, "add", add_late)
    answered = await bob.accept(first["id"], decision)
    (answer,) = answered["response"]["content"]["items"]
    assert answer == {
        "@type": "AttributeAlreadySharedAcceptResponseItem",
        "attributeId": own["id"],
        "result": "Accepted",
    }
    assert len(await bob.holder.all(FORWARDING_DETAILS)) == 1


async def test_a_response_that_was_given_up_can_be_tried_again(network: Network, alice: Asking, bob: Asking) -> None:
    sent = await alice.ask(bob)
    incoming = bob.consumption.incoming_requests
    await bob.accept(sent["id"])
    with pytest.raises(ResponseNotGivenUp):
        await bob.holder.run(lambda work: incoming.retry(sent["id"], work))

    def refuse() -> None:
        raise FailedPrecondition("The Backbone wants none of it.")

    for _ in range(6):
        bob.holder.faults.do("messages.send", refuse)
        await bob.consumption.deliveries.send_due()
        network.clock.advance(timedelta(days=1))
    (delivery,) = await bob.holder.all(DELIVERIES)
    assert "nextAttemptAt" not in delivery
    assert (await bob.request(sent["id"]))["status"] == "Decided"

    await bob.holder.run(lambda work: incoming.retry(sent["id"], work))
    with pytest.raises(ResponseNotGivenUp):
        await bob.holder.run(lambda work: incoming.retry(sent["id"], work))
    assert await bob.consumption.deliveries.send_due()
    await alice.sync()
    assert (await alice.request(sent["id"]))["status"] == "Completed"
    with pytest.raises(WrongRequestStatus):
        await bob.holder.run(lambda work: incoming.retry(sent["id"], work))
    with pytest.raises(RecordMissing):
        await bob.holder.run(lambda work: incoming.retry("REQ00000000000000000", work))


@pytest.mark.parametrize("more", [{"response": "yes"}, {"deletionDate": "2099-01-01T00:00:00.000Z"}, {"tags": []}])
async def test_an_acceptance_holds_nothing_that_its_item_does_not_take(
    alice: Asking, bob: Asking, more: dict[str, object]
) -> None:
    sent = await alice.ask(bob)
    incoming, decision = bob.consumption.incoming_requests, {**YES, **more}
    result = await incoming.can_accept(sent["id"], [decision])
    assert result.items[0].code == "error.consumption.requests.invalidAcceptParameters"
    with pytest.raises(DecisionInvalid) as caught:
        await bob.holder.run(lambda work: incoming.accept(sent["id"], [decision], work))
    assert [violation.field for violation in caught.value.violations] == ["items[0].accept"]
