"""Requests of this identity: what may be asked, and what becomes of a request on its way."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from enmeshed_backbone.settings import Settings
from enmeshed_connector.consumption.attributes.documents import ATTRIBUTES
from enmeshed_connector.consumption.requests.documents import REQUESTS, typed
from enmeshed_connector.consumption.requests.errors import (
    ExpiredRequestNotSent,
    RequestAlreadySent,
    RequestContentChanged,
    RequestExpiresAfterTemplate,
    RequestInvalid,
    WrongRequestStatus,
)
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.errors import OutcomeUnknown
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.objects import RELATIONSHIPS, UNPUSHED_MODIFICATIONS
from enmeshed_connector.transport.relationship_operations import TERMINATE
from enmeshed_connector.transport.work import Work
from tests.support.consumption import identity
from tests.support.network import Network
from tests.support.requests import Asking, asking, asks, consent, group, relate, response, wrapper

_PREFIX = "error.consumption.requests."


async def code_of(one: Asking, content: Any, peer: str | None) -> str:
    """Returns why a request may not be made, empty when it may."""
    result = await one.consumption.outgoing_requests.can_create(content, peer)
    return result.code.removeprefix(_PREFIX)


async def test_the_peer_decides_whether_it_can_be_asked(network: Network, alice: Asking, bob: Asking) -> None:
    assert await code_of(alice, asks(), bob.address) == ""
    assert await code_of(alice, asks(), alice.address) == "cannotShareRequestWithYourself"
    assert await code_of(alice, asks(), "did:e:localhost:dids:3333333333333333333333") == "missingRelationship"
    assert await code_of(alice, asks(), None) == ""
    transport = alice.holder.transport
    (relationship,) = await transport.relationships.find()
    for status, code in (("ToBeDeleted", "peerIsInDeletion"), ("Deleted", "peerIsDeleted")):

        async def leave(work: Work, status: str = status) -> None:
            document = await work.require(RELATIONSHIPS, relationship["id"], "relationship")
            info = {"deletionStatus": status, "deletionDate": work.now}
            await work.save(RELATIONSHIPS, {**document, "peerDeletionInfo": info})

        await alice.holder.run(leave)
        assert await code_of(alice, asks(), bob.address) == code
    await transport.relationships.take(TERMINATE, relationship["id"])
    assert await code_of(alice, asks(), bob.address) == "wrongRelationshipStatus"


async def test_what_is_wrong_with_items_is_told_at_their_places(alice: Asking, bob: Asking) -> None:
    wrong = {"@type": "DeleteAttributeRequestItem", "attributeId": "ATT00000000000000001", "mustBeAccepted": True}
    content = asks(consent(), group(consent(), wrong), wrong)
    result = await alice.consumption.outgoing_requests.can_create(content, bob.address)
    assert result.code.removeprefix(_PREFIX) == "validation.inheritedFromItem"
    assert [item.is_success for item in result.items] == [True, False, False]
    assert [item.is_success for item in result.items[1].items] == [True, False]
    with pytest.raises(RequestInvalid) as caught:
        await alice.consumption.outgoing_requests.new_content(content, bob.address)
    assert [violation.field for violation in caught.value.violations] == [
        "content.items[1].items[1].attributeId",
        "content.items[2].attributeId",
    ]


async def test_two_items_that_must_be_accepted_cannot_ask_for_one_key(alice: Asking, bob: Asking) -> None:
    query = {
        "@type": "RelationshipAttributeQuery",
        "attributeCreationHints": {"confidentiality": "public", "title": "T", "valueType": "ProprietaryString"},
        "key": "key",
        "owner": "",
    }
    item = {"@type": "ReadAttributeRequestItem", "mustBeAccepted": True, "query": query}
    code = "violatedKeyUniquenessOfRelationshipAttributes"
    assert await code_of(alice, asks(item, group(item)), bob.address) == code
    assert await code_of(alice, asks(item, {**item, "mustBeAccepted": False}), bob.address) == ""


async def test_only_the_draft_that_was_made_for_the_peer_is_sent(network: Network, alice: Asking, bob: Asking) -> None:
    carol = await asking(network, "carol")
    await relate(alice, carol)
    outgoing = alice.consumption.outgoing_requests
    moment = format_date(network.clock.now() + timedelta(minutes=1))
    draft = await alice.draft(bob, asks(expiresAt=moment))
    content = typed("Request", draft["content"])
    await outgoing.check_sendable(content, bob.address)
    for wrong, peer in (({**content, "title": "Other"}, bob.address), (content, carol.address), (asks(), bob.address)):
        with pytest.raises(RequestContentChanged):
            await outgoing.check_sendable(wrong, peer)
    with pytest.raises(RecordMissing):
        await outgoing.check_sendable({**content, "id": "REQ00000000000000000"}, bob.address)
    network.clock.advance(timedelta(minutes=2))
    with pytest.raises(ExpiredRequestNotSent):
        await outgoing.check_sendable(content, bob.address)
    sent = await alice.ask(bob)
    with pytest.raises(RequestAlreadySent):
        await outgoing.check_sendable(typed("Request", sent["content"]), bob.address)


async def test_a_draft_that_may_be_with_the_peer_is_not_sent_again(alice: Asking, bob: Asking) -> None:
    draft = await alice.draft(bob)
    content = typed("Request", draft["content"])
    alice.holder.faults.lose_answer("messages.send")
    alice.holder.faults.cut("messages.list")
    with pytest.raises(OutcomeUnknown):
        await alice.tell(bob, content)
    assert (await alice.request(draft["id"]))["status"] == "Draft"
    with pytest.raises(RequestAlreadySent):
        await alice.consumption.outgoing_requests.check_sendable(content, bob.address)
    alice = await alice.restarted()
    assert (await alice.request(draft["id"]))["status"] == "Open"


async def test_a_draft_that_was_discarded_on_its_way_is_there_again(alice: Asking, bob: Asking) -> None:
    draft = await alice.draft(bob)
    outgoing = alice.consumption.outgoing_requests

    async def discard() -> None:
        await alice.holder.run(lambda work: outgoing.discard(draft["id"], work))

    alice.holder.faults.do_after("messages.send", discard)
    await alice.tell(bob, typed("Request", draft["content"]))
    sent = await alice.request(draft["id"])
    assert sent["status"] == "Open"
    await bob.tell(alice, wrapper(response(sent["id"]), sent["source"]["reference"]))
    assert await alice.statuses() == ["Completed"]
    with pytest.raises(WrongRequestStatus):
        await discard()


async def test_a_request_that_expires_on_its_way_can_still_be_completed(
    network: Network, alice: Asking, bob: Asking
) -> None:
    moment = format_date(network.clock.now() + timedelta(minutes=1))
    draft = await alice.draft(bob, asks(expiresAt=moment))

    async def expire() -> None:
        network.clock.advance(timedelta(minutes=2))
        await alice.consumption.request_expiry.expire_due()

    alice.holder.faults.do_after("messages.send", expire)
    await alice.tell(bob, typed("Request", draft["content"]))
    sent = await alice.request(draft["id"])
    assert (sent["status"], sent["source"]["type"]) == ("Expired", "Message")
    # The Backbone's clock did not move: for it the response is in time.
    await bob.tell(alice, wrapper(response(sent["id"]), sent["source"]["reference"]))
    done = await alice.request(draft["id"])
    assert [entry["newStatus"] for entry in done["statusLog"]] == ["Expired", "Completed"]


async def test_templates_get_the_expiry_of_their_request(alice: Asking) -> None:
    outgoing = alice.consumption.outgoing_requests
    expires_at = alice.holder.transport.context.clock.now() + timedelta(days=1)
    content = {"@type": "RelationshipTemplateContent", "onNewRelationship": asks(), "onExistingRelationship": asks()}
    checked = await outgoing.template_content(content, expires_at)
    assert checked["onNewRelationship"]["expiresAt"] == format_date(expires_at)
    assert "expiresAt" not in checked["onExistingRelationship"]
    later = asks(expiresAt=format_date(expires_at + timedelta(seconds=1)))
    await outgoing.template_content({**content, "onExistingRelationship": later}, expires_at)
    with pytest.raises(RequestExpiresAfterTemplate):
        await outgoing.template_content({**content, "onNewRelationship": later}, expires_at)
    arbitrary = {"@type": "ArbitraryRelationshipTemplateContent", "value": {}}
    assert await outgoing.template_content(arbitrary, expires_at) == arbitrary


@pytest.mark.parametrize("name", ["initialAttributePeer", "thirdPartyAddress"])
async def test_the_initial_peer_of_what_is_shared_is_named_for_all_releases(
    network: Network, alice: Asking, bob: Asking, name: str
) -> None:
    carol = await asking(network, "carol")
    await relate(alice, carol)
    attribute = await alice.holder.own_of_relationship(carol.address)
    item = {
        "@type": "ShareAttributeRequestItem",
        "attribute": attribute["content"],
        "attributeId": attribute["id"],
        "mustBeAccepted": True,
    }
    asked = asks(consent(), {**item, name: carol.address}, group({**item, name: carol.address}))
    both = {**item, "initialAttributePeer": carol.address, "thirdPartyAddress": carol.address}
    outgoing = alice.consumption.outgoing_requests

    by_message = await outgoing.new_content(asked, bob.address)
    by_template = await outgoing.template_content(
        {"@type": "RelationshipTemplateContent", "onNewRelationship": asked, "onExistingRelationship": asked},
        alice.holder.transport.context.clock.now() + timedelta(days=1),
    )

    for request in (by_message, by_template["onNewRelationship"], by_template["onExistingRelationship"]):
        assert request["items"] == [consent(), both, group(both)]


async def test_what_the_peer_accepts_is_applied_with_its_response(alice: Asking, bob: Asking) -> None:
    item = {"@type": "CreateAttributeRequestItem", "attribute": identity(bob.address, "Bob"), "mustBeAccepted": True}
    sent = await alice.ask(bob, asks(item))
    answer = {
        "@type": "CreateAttributeAcceptResponseItem",
        "attributeId": "ATT00000000000000001",
        "result": "Accepted",
    }
    content = wrapper(response(sent["id"], answer), sent["source"]["reference"])
    await asyncio.gather(bob.tell(alice, content), bob.tell(alice, content))
    (attribute,) = await alice.holder.all(ATTRIBUTES)
    assert (attribute["id"], attribute["peer"]) == ("ATT00000000000000001", bob.address)


@pytest.mark.parametrize("page_size", [1, 50])
async def test_what_another_device_does_with_requests_causes_the_same_events(tmp_path: Path, page_size: int) -> None:
    # Each page is applied by itself: with small ones the parts of a request arrive one after the other.
    async with Network(tmp_path, Settings(seed_identities=False, page_size=page_size)) as network:
        await _check_that_requests_are_told_once(network)


async def _check_that_requests_are_told_once(network: Network) -> None:
    first = await asking(network, "first", datawallet_enabled=True)
    device = await first.holder.transport.devices.create()
    secret = await first.holder.transport.devices.shared_secret(device["id"])
    second = await asking(network, "second", secret=secret, datawallet_enabled=True)
    bob = await asking(network, "bob")
    await relate(first, bob)
    asked = await bob.ask(first)
    sent = await first.ask(bob)
    await first.accept(asked["id"])
    await first.sync()
    await second.sync()
    assert {one["id"]: one["status"] for one in await second.requests()} == {asked["id"]: "Decided", sent["id"]: "Open"}
    events = [event for event in await second.holder.events() if "Request" in event["type"]]
    assert {event["origin"] for event in events} == {"DATAWALLET"}
    assert all((event["data"].get("request") or event["data"])["content"]["items"] for event in events)
    told = [(event["type"], event["data"].get("newStatus")) for event in events]
    assert sorted(told, key=str) == sorted(
        [
            ("consumption.incomingRequestReceived", None),
            ("consumption.incomingRequestStatusChanged", "DecisionRequired"),
            ("consumption.incomingRequestStatusChanged", "Decided"),
            ("consumption.outgoingRequestCreated", None),
            ("consumption.outgoingRequestStatusChanged", "Open"),
        ],
        key=str,
    )


async def test_other_devices_learn_of_requests(network: Network) -> None:
    alice, bob = await asking(network, "alice", datawallet_enabled=True), await asking(network, "bob")
    await relate(alice, bob)
    draft = await alice.draft(bob)
    told = [one for one in await alice.holder.all(UNPUSHED_MODIFICATIONS) if one["collection"] == REQUESTS]
    assert [(one["type"], one["payloadCategory"], sorted(one["payload"])) for one in told] == [
        ("Create", "TechnicalData", ["@type", "createdAt", "isOwn", "peer", "status", "statusLog"]),
        ("Create", "Userdata", ["content"]),
    ]
    assert {one["objectIdentifier"] for one in told} == {draft["id"]}
