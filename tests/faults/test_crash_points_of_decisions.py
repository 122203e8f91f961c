"""Every point at which a process can die while a request is asked, received, decided or answered.

A decision and what has to be sent for it become durable together: the worker of the next process does the second half,
whether the caller comes back or not, and the peer gets it once. What is seen is what callers see on both sides.

Where no answer is lost besides, processes die at reads, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from enmeshed_connector.consumption.attributes.documents import ATTRIBUTES, FORWARDING_DETAILS
from enmeshed_connector.consumption.requests.documents import REQUESTS
from enmeshed_connector.consumption.requests.processors.transfer_file_ownership import OWNERSHIP_CLAIMS
from enmeshed_connector.runtime.automation.automation import Automation
from enmeshed_connector.runtime.automation.decider.rules import parse_rules
from enmeshed_connector.runtime.automation.settings import AutomationSettings
from enmeshed_connector.runtime.use_cases.common import NOBODY
from enmeshed_connector.transport.objects import FILES, MESSAGES, RELATIONSHIPS, Document
from tests.support.consumption import identity, relationship
from tests.support.crash import ProcessDied
from tests.support.network import Network
from tests.support.request_items import identity_query, item_of
from tests.support.requests import NO, YES, asks
from tests.support.whole_account import (
    WholeAccount,
    check_whole,
    deaths,
    deliver_again,
    insist,
    intent,
    relate,
    whole_account,
)

RECEIVED = ["incomingRequestReceived", "DecisionRequired"]
UNDECIDED = ("DecisionRequired", "ManualDecisionRequired")


@dataclass
class Flow:
    """What the steps of a flow, each for itself, know of each other."""

    requests: dict[str, str] = field(default_factory=dict)
    peers: dict[str, WholeAccount] = field(default_factory=dict)
    things: dict[str, Any] = field(default_factory=dict)


async def pair(network: Network) -> tuple[WholeAccount, WholeAccount]:
    anna, bert = await whole_account(network, "anna"), await whole_account(network, "bert")
    await relate(anna, bert)
    return anna, bert


async def ask(asking: WholeAccount, asked: WholeAccount, *items: Document) -> str:
    request, _ = await asking.does.outgoing_requests.send(asked.address, asks(*items), NOBODY)
    return str(request["id"])


def questions(asking: WholeAccount, key: str) -> list[Document]:
    """Returns items whose answers leave an attribute of the asking and one of the asked one with both."""
    created = item_of("CreateAttribute", attribute=relationship(asking.address, key=f"key{key}"))
    return [created, item_of("ReadAttribute", query=identity_query("GivenName"))]


def answers(answering: WholeAccount, key: str) -> list[Document]:
    return [YES, {"accept": True, "newAttribute": identity(answering.address, f"Name{key}")}]


async def decide(account: WholeAccount, request_id: str, items: list[Document], *, accepts: bool = True) -> Document:
    """Does what a caller does who insists on an answer."""
    requests = account.does.incoming_requests
    decision = requests.accept if accepts else requests.reject
    return await decision(request_id, items, intent(f"decide {request_id}"))


def check_lost(lost: str | None, place: str) -> None:
    """Checks that the answer to a call was lost whenever it was made."""
    assert lost is None or f"after {lost}" not in place


async def template_of(account: WholeAccount, **requests: Document) -> Document:
    expires_at = account.network.clock.now() + timedelta(days=1)
    content = {"@type": "RelationshipTemplateContent", **requests}
    return await account.does.templates.create(content, NOBODY, expires_at=expires_at)


async def load(account: WholeAccount, template: Document) -> None:
    await account.does.templates.load(template["reference"]["truncated"], NOBODY)


async def told(account: WholeAccount, request_id: str) -> list[str]:
    """Returns what the log tells of a request: its making, then its states."""
    found = []
    for event in await account.party.events("consumption."):
        name, data = event["type"].removeprefix("consumption."), event.get("data") or {}
        if "newStatus" in data and data["request"]["id"] == request_id:
            found.append(data["newStatus"])
        elif "Request" in name and data.get("id") == request_id:
            found.append(name)
    return found


async def attributes_of(account: WholeAccount, key: str) -> list[Document]:
    """Returns the attributes that `questions` and `answers` leave."""
    return [
        attribute
        for attribute in await account.all(ATTRIBUTES)
        if attribute["content"].get("key") == f"key{key}" or attribute["content"]["value"]["value"] == f"Name{key}"
    ]


async def check_exchanged(asking: WholeAccount, answering: WholeAccount, key: str, place: str) -> None:
    """Checks that both hold the same two attributes, and were told of each once."""
    held = [{one["id"]: one["@type"] for one in await attributes_of(one, key)} for one in (asking, answering)]
    assert held[0].keys() == held[1].keys(), place
    assert sorted(held[0].values()) == ["OwnRelationshipAttribute", "PeerIdentityAttribute"], place
    assert sorted(held[1].values()) == ["OwnIdentityAttribute", "PeerRelationshipAttribute"], place
    for account in (asking, answering):
        created = [event["data"]["id"] for event in await account.party.events("consumption.attributeCreated")]
        assert [created.count(one) for one in held[0]] == [1, 1], place
    [own] = [one["id"] for one in await attributes_of(answering, key) if one["@type"] == "OwnIdentityAttribute"]
    assert len(await answering.all(FORWARDING_DETAILS, attributeId=own)) == 1, place


async def check_not_exchanged(account: WholeAccount, key: str, place: str) -> None:
    assert await attributes_of(account, key) == [], place


async def check_answered_once(asking: WholeAccount, answering: WholeAccount, request_id: str, place: str) -> None:
    """Checks that one message brought the response."""
    for account, is_own in ((asking, False), (answering, True)):
        responses = [
            message["content"]["requestId"]
            for message in await account.all(MESSAGES, isOwn=is_own)
            if message["content"]["@type"] == "ResponseWrapper"
        ]
        assert responses.count(request_id) == 1, place
    sent = (await answering.does.incoming_requests.get(request_id))["response"]
    got = (await asking.does.outgoing_requests.get(request_id))["response"]
    assert sent["content"] == got["content"] and sent["source"] == got["source"], place


async def test_receiving_a_request(network: Network) -> None:
    _, bert = await pair(network)
    flow = Flow()

    async def send(anna: WholeAccount, key: str) -> None:
        flow.requests[key] = await ask(bert, anna, *questions(bert, key))

    async def act(anna: WholeAccount, key: str) -> None:
        await anna.work()

    async for anna, key, place in deaths(network, "anna", act, prepare=send, at_least=8):
        await anna.work_on()
        await deliver_again(anna)
        await anna.work_on()
        request = await anna.does.incoming_requests.get(flow.requests[key])
        [message] = await anna.all(MESSAGES, id=request["source"]["reference"])
        assert message["content"]["id"] == request["id"], place
        assert await told(anna, flow.requests[key]) == RECEIVED, place
        assert await anna.store.count(REQUESTS) == int(key), place
        await check_whole(place, anna, bert)


async def test_receiving_a_request_by_template(network: Network) -> None:
    _, bert = await pair(network)
    flow = Flow()

    async def offer(anna: WholeAccount, key: str) -> None:
        flow.things[key] = await template_of(
            bert, onNewRelationship=asks(), onExistingRelationship=asks(*questions(bert, key))
        )

    async def act(anna: WholeAccount, key: str) -> None:
        await load(anna, flow.things[key])

    async for anna, key, place in deaths(network, "anna", act, prepare=offer, at_least=4):
        [*found] = await anna.all(REQUESTS, **{"source.reference": flow.things[key]["id"]})
        stored = await anna.all("Templates", id=flow.things[key]["id"])
        # The one is never there without the other.
        assert len(found) == len(stored) <= 1, place
        await load(anna, flow.things[key])
        [request] = await anna.all(REQUESTS, **{"source.reference": flow.things[key]["id"]})
        assert request["source"]["type"] == "RelationshipTemplate", place
        assert await told(anna, request["id"]) == RECEIVED, place
        # It can be answered, once, as any other.
        await decide(anna, request["id"], answers(anna, key))
        await anna.work_on()
        await bert.work()
        await check_answered_once(bert, anna, request["id"], place)
        await check_exchanged(bert, anna, key, place)
        await check_whole(place, anna, bert)


@pytest.mark.parametrize("lost", [None, "messages.send"])
async def test_accepting_a_request(network: Network, lost: str | None) -> None:
    _, bert = await pair(network)
    flow = Flow()

    async def send(anna: WholeAccount, key: str) -> None:
        flow.requests[key] = await ask(bert, anna, *questions(bert, key))
        await anna.work()

    async def act(anna: WholeAccount, key: str) -> None:
        if lost is not None:
            anna.faults.lose_answer(lost)
        await decide(anna, flow.requests[key], answers(anna, key))
        await anna.work_on()

    async for anna, key, place in deaths(network, "anna", act, prepare=send, at_least=8, reads=lost is None):
        request_id = flow.requests[key]
        await anna.work_on()
        await bert.work()
        status = (await anna.does.incoming_requests.get(request_id))["status"]
        if status in UNDECIDED:
            # Then nothing of it happened, on either side.
            assert await told(anna, request_id) == RECEIVED, place
            assert (await bert.does.outgoing_requests.get(request_id))["status"] == "Open", place
            await check_not_exchanged(anna, key, place)
        else:
            # Nobody had to come back for it.
            assert status == "Completed", place
            assert (await bert.does.outgoing_requests.get(request_id))["status"] == "Completed", place
        await decide(anna, request_id, answers(anna, key))
        await anna.work_on()
        await bert.work()
        await deliver_again(bert)
        await bert.work()
        accepted = await anna.does.incoming_requests.get(request_id)
        assert accepted["status"] == "Completed" and accepted["responseDelivery"] == {"done": True}, place
        assert await told(anna, request_id) == [*RECEIVED, "Decided", "Completed"], place
        assert await told(bert, request_id) == ["outgoingRequestCreated", "Open", "Completed"], place
        await check_answered_once(bert, anna, request_id, place)
        await check_exchanged(bert, anna, key, place)
        check_lost(lost, place)
        await check_whole(place, anna, bert)


async def test_rejecting_a_request(network: Network) -> None:
    _, bert = await pair(network)
    flow = Flow()

    async def send(anna: WholeAccount, key: str) -> None:
        flow.requests[key] = await ask(bert, anna, *questions(bert, key))
        await anna.work()

    async def act(anna: WholeAccount, key: str) -> None:
        await decide(anna, flow.requests[key], [NO, NO], accepts=False)
        await anna.work_on()

    async for anna, key, place in deaths(network, "anna", act, prepare=send, at_least=8):
        request_id = flow.requests[key]
        await anna.work_on()
        assert (await anna.does.incoming_requests.get(request_id))["status"] in (*UNDECIDED, "Completed"), place
        await decide(anna, request_id, [NO, NO], accepts=False)
        await anna.work_on()
        await bert.work()
        rejected = await bert.does.outgoing_requests.get(request_id)
        assert rejected["response"]["content"]["result"] == "Rejected", place
        assert await told(anna, request_id) == [*RECEIVED, "Decided", "Completed"], place
        assert await told(bert, request_id) == ["outgoingRequestCreated", "Open", "Completed"], place
        await check_answered_once(bert, anna, request_id, place)
        for account in (anna, bert):
            await check_not_exchanged(account, key, place)
        await check_whole(place, anna, bert)


@pytest.mark.parametrize("lost", [None, "relationships.create"])
async def test_accepting_the_request_of_a_template(network: Network, lost: str | None) -> None:
    flow = Flow()

    async def offer(anna: WholeAccount, key: str) -> None:
        peer = flow.peers[key] = await whole_account(network, f"peer{key}")
        template = flow.things[key] = await template_of(peer, onNewRelationship=asks(*questions(peer, key)))
        await load(anna, template)
        [request] = await anna.all(REQUESTS, peer=peer.address)
        flow.requests[key] = request["id"]

    async def act(anna: WholeAccount, key: str) -> None:
        if lost is not None:
            anna.faults.lose_answer(lost)
        await decide(anna, flow.requests[key], answers(anna, key))
        await anna.work()

    await whole_account(network, "anna")
    async for anna, key, place in deaths(network, "anna", act, prepare=offer, at_least=7, reads=lost is None):
        request_id, peer, template_id = flow.requests[key], flow.peers[key], flow.things[key]["id"]
        if (await anna.does.incoming_requests.get(request_id))["status"] in UNDECIDED:
            assert network.rows("SELECT id FROM relationships WHERE template_id = ?", template_id) == [], place
            await check_not_exchanged(anna, key, place)
            await decide(anna, request_id, answers(anna, key))
        await anna.work_on()
        [row] = network.rows("SELECT id FROM relationships WHERE template_id = ?", template_id)
        # Where no answer told its id, it is what the peer does that tells it.
        await peer.work()
        await peer.party.account.relationships.accept(row["id"])
        await anna.work_on()
        await decide(anna, request_id, answers(anna, key))
        await anna.work_on()
        await peer.work()
        await deliver_again(peer)
        await peer.work()

        [row] = network.rows("SELECT id, status FROM relationships WHERE template_id = ?", template_id)
        assert row["status"] == "Active", place
        assert len(await anna.all(RELATIONSHIPS, templateId=template_id)) == 1, place
        completed = await anna.does.incoming_requests.get(request_id)
        assert completed["response"]["source"] == {"reference": row["id"], "type": "Relationship"}, place
        assert await told(anna, request_id) == [*RECEIVED, "Decided", "Completed"], place
        assert await told(peer, request_id) == [
            "outgoingRequestCreatedAndCompleted",
            "outgoingRequestFromRelationshipCreationCreatedAndCompleted",
        ], place
        await check_exchanged(peer, anna, key, place)
        check_lost(lost, place)
        await check_whole(place, anna, peer)


async def test_receiving_a_response(network: Network) -> None:
    _, bert = await pair(network)
    flow = Flow()

    async def answer(anna: WholeAccount, key: str) -> None:
        flow.requests[key] = await ask(anna, bert, *questions(anna, key))
        await bert.work()
        await decide(bert, flow.requests[key], answers(bert, key))
        await bert.work()

    async def act(anna: WholeAccount, key: str) -> None:
        await anna.work()

    async for anna, key, place in deaths(network, "anna", act, prepare=answer, at_least=8):
        await anna.work_on()
        await deliver_again(anna)
        await anna.work_on()
        assert await told(anna, flow.requests[key]) == ["outgoingRequestCreated", "Open", "Completed"], place
        await check_answered_once(anna, bert, flow.requests[key], place)
        await check_exchanged(anna, bert, key, place)
        await check_whole(place, anna, bert)


async def test_receiving_a_response_with_a_relationship(network: Network) -> None:
    flow = Flow()

    async def answer(anna: WholeAccount, key: str) -> None:
        template = await template_of(anna, onNewRelationship=asks(*questions(anna, key)))
        peer = flow.peers[key] = await whole_account(network, f"peer{key}")
        await load(peer, template)
        [request] = await peer.all(REQUESTS)
        flow.requests[key] = request["id"]
        await decide(peer, request["id"], answers(peer, key))
        await peer.work()

    async def act(anna: WholeAccount, key: str) -> None:
        await anna.work()

    await whole_account(network, "anna")
    async for anna, key, place in deaths(network, "anna", act, prepare=answer, at_least=8):
        await anna.work_on()
        await deliver_again(anna)
        await anna.work_on()
        [relationship] = await anna.all(RELATIONSHIPS, **{"peer.address": flow.peers[key].address})
        assert relationship["status"] == "Pending", place
        assert await told(anna, flow.requests[key]) == [
            "outgoingRequestCreatedAndCompleted",
            "outgoingRequestFromRelationshipCreationCreatedAndCompleted",
        ], place
        await check_exchanged(anna, flow.peers[key], key, place)
        await check_whole(place, anna, flow.peers[key])


@pytest.mark.parametrize("lost", [None, "messages.send"])
async def test_sending_a_request(network: Network, lost: str | None) -> None:
    _, bert = await pair(network)

    async def act(anna: WholeAccount, key: str) -> Document:
        if lost is not None:
            anna.faults.lose_answer(lost)
        request, message = await anna.does.outgoing_requests.send(
            bert.address, asks(*questions(anna, key)), intent(f"send {key}")
        )
        assert message["content"]["id"] == request["id"]
        return request

    async for anna, key, place in deaths(network, "anna", act, at_least=5, reads=lost is None):
        # Before the caller comes back there is the request with its message, or neither.
        messages = [message["content"]["id"] for message in await anna.all(MESSAGES, isOwn=True)]
        assert {request["id"] for request in await anna.all(REQUESTS)} == set(messages), place
        await bert.work()
        # What has reached the peer is known here, whether the caller comes back or not.
        assert {request["id"] for request in await bert.all(REQUESTS)} == set(messages), place
        anna.faults.clear()
        request = await insist(act, anna, key)
        await bert.work()
        assert await told(anna, request["id"]) == ["outgoingRequestCreated", "Open"], place
        assert await told(bert, request["id"]) == RECEIVED, place
        assert await anna.store.count(REQUESTS) == await bert.store.count(REQUESTS) == int(key), place
        assert (await anna.does.outgoing_requests.get(request["id"]))["status"] == "Open", place
        check_lost(lost, place)
        await check_whole(place, anna, bert)


@pytest.mark.parametrize("lost", [None, "files.claim_ownership"])
async def test_taking_over_a_file(network: Network, lost: str | None) -> None:
    _, bert = await pair(network)
    flow = Flow()

    async def hand_over(anna: WholeAccount, key: str) -> None:
        file = await bert.does.files.upload(key.encode(), NOBODY, filename=f"{key}.txt", mimetype="text/plain")
        flow.things[key] = file["id"]
        reference = file["reference"]["truncated"]
        token = (await bert.all(FILES, id=file["id"]))[0]["ownershipToken"]
        item = item_of("TransferFileOwnership", fileReference=reference, ownershipToken=token)
        flow.requests[key] = await ask(bert, anna, item)
        await anna.work()

    async def take(anna: WholeAccount, key: str) -> Document:
        return await decide(anna, flow.requests[key], [YES])

    async def act(anna: WholeAccount, key: str) -> None:
        if lost is not None:
            anna.faults.lose_answer(lost)
        await insist(take, anna, key)
        await anna.work_on()

    async for anna, key, place in deaths(network, "anna", act, prepare=hand_over, at_least=12):
        request_id, file_id = flow.requests[key], flow.things[key]
        await anna.work_on()
        await take(anna, key)
        await anna.work_on()
        await bert.work()
        assert await told(anna, request_id) == [*RECEIVED, "Decided", "Completed"], place
        await check_answered_once(bert, anna, request_id, place)
        [row] = network.rows("SELECT owner FROM files WHERE id = ?", file_id)
        assert row["owner"] == anna.address, place
        [file] = await anna.all(FILES, id=file_id)
        assert file["isOwn"], place
        assert await anna.party.account.files.validate_ownership_token(file_id, file["ownershipToken"]), place
        [there] = await bert.all(FILES, id=file_id)
        assert (there["isOwn"], there["owner"]) == (False, anna.address), place
        assert await anna.store.count(OWNERSHIP_CLAIMS) == 0, place
        for account, kind in ((anna, "OwnIdentityAttribute"), (bert, "PeerIdentityAttribute")):
            references = await account.all(ATTRIBUTES, **{"content.value.@type": "IdentityFileReference"})
            assert [one["@type"] for one in references] == [kind] * int(key), place
        assert await anna.store.count(FORWARDING_DETAILS) == int(key), place
        check_lost(lost, place)
        await check_whole(place, anna, bert)


async def automation_of(account: WholeAccount) -> Automation:
    """Returns what accepts each request to create an attribute."""
    rule = {"requestConfig": {"content.item.@type": "CreateAttributeRequestItem"}, "responseConfig": YES}
    settings = AutomationSettings(rules=parse_rules([rule], "rules"))
    automation = Automation(account.party.account, account.consumption, account.does, settings)
    await automation.prepare()
    return automation


async def decide_by_rules(account: WholeAccount, request_id: str) -> None:
    """Lets the automation run until the request is decided, or the process dies."""
    tasks = [asyncio.create_task(until_cancelled(run)) for run in (await automation_of(account)).tasks()]
    try:
        async with asyncio.timeout(60):
            while not any(task.done() for task in tasks):
                if (await account.consumption.incoming_requests.get(account.store, request_id))[
                    "status"
                ] not in UNDECIDED:
                    break
                await asyncio.sleep(0.001)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, ProcessDied):
            raise end
        assert isinstance(end, asyncio.CancelledError), end


async def until_cancelled(run: Callable[[], Awaitable[None]]) -> None:
    await run()


async def test_deciding_by_rules(network: Network) -> None:
    anna, bert = await pair(network)
    await automation_of(anna)
    flow = Flow()

    async def send(anna: WholeAccount, key: str) -> None:
        flow.requests[key] = await ask(bert, anna, questions(bert, key)[0])

    async def act(anna: WholeAccount, key: str) -> None:
        await anna.work()
        await decide_by_rules(anna, flow.requests[key])
        await anna.work_on()

    async for anna, key, place in deaths(network, "anna", act, prepare=send, at_least=18):
        request_id = flow.requests[key]
        await anna.work_on()
        await decide_by_rules(anna, request_id)
        await anna.work_on()
        await bert.work()
        assert (await anna.does.incoming_requests.get(request_id))["wasAutomaticallyDecided"], place
        assert await told(anna, request_id) == [*RECEIVED, "Decided", "Completed"], place
        assert await told(bert, request_id) == ["outgoingRequestCreated", "Open", "Completed"], place
        processed = await anna.party.events("consumption.messageProcessed")
        assert [event["data"]["message"]["content"]["id"] for event in processed] == list(flow.requests.values()), place
        await check_answered_once(bert, anna, request_id, place)
        for account, kind in ((anna, "PeerRelationshipAttribute"), (bert, "OwnRelationshipAttribute")):
            assert [one["@type"] for one in await attributes_of(account, key)] == [kind], place
        await check_whole(place, anna, bert)
