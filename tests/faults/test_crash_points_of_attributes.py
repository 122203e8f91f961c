"""Every point at which a process can die while attributes change that peers hold, too.

A change and the notification of it become durable together; the peer hears of it once, and does it once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from enmeshed_connector.consumption.attributes.documents import ATTRIBUTES, FORWARDING_DETAILS
from enmeshed_connector.consumption.notifications.documents import NOTIFICATIONS
from enmeshed_connector.runtime.account_runtime import ACCOUNT_SCHEMA
from enmeshed_connector.runtime.use_cases.attribute_sharing import RequestTexts
from enmeshed_connector.runtime.use_cases.common import NOBODY
from enmeshed_connector.transport.objects import PENDING_OPERATIONS, Document
from enmeshed_connector.transport.relationship_operations import TERMINATE
from tests.support.consumption import relationship
from tests.support.network import Network
from tests.support.request_items import item_of
from tests.support.requests import YES, asks
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


def given_name(name: str) -> Document:
    return {"@type": "GivenName", "value": name}


def proprietary(text: str) -> Document:
    return {"@type": "ProprietaryString", "title": "Title", "value": text}


async def pair(network: Network) -> tuple[WholeAccount, WholeAccount]:
    anna, bert = await whole_account(network, "anna"), await whole_account(network, "bert")
    await relate(anna, bert)
    return anna, bert


async def accept(account: WholeAccount, request_id: str) -> None:
    await account.work()
    await account.does.incoming_requests.accept(request_id, [YES], NOBODY)
    await account.work()


async def share(sharing: WholeAccount, receiving: WholeAccount, name: str) -> str:
    """Lets the peer hold a new identity attribute, and returns its id."""
    attribute = await sharing.does.attributes.create(given_name(name), [], NOBODY)
    request = await sharing.does.attribute_sharing.share(attribute["id"], receiving.address, RequestTexts(), NOBODY)
    await accept(receiving, request["id"])
    await sharing.work()
    return str(attribute["id"])


async def share_of_relationship(sharing: WholeAccount, receiving: WholeAccount, key: str) -> str:
    """Makes an attribute of the relationship that belongs to the first one, and returns its id."""
    request = await sharing.does.attribute_sharing.create_and_share(
        relationship(sharing.address, key=key), receiving.address, RequestTexts(), NOBODY
    )
    await accept(receiving, request["id"])
    await sharing.work()
    [attribute] = await sharing.all(ATTRIBUTES, **{"content.key": key})
    return str(attribute["id"])


async def tell_of_successor(owner: WholeAccount, peer: WholeAccount, predecessor: str, name: str) -> str:
    """Makes a new version of an identity attribute, of which the peer will be told, and returns its id."""
    _, made = await owner.does.attributes.succeed_identity(predecessor, given_name(name), [], NOBODY)
    await owner.does.attribute_sharing.notify_peer(made["id"], peer.address, NOBODY)
    return str(made["id"])


async def versions(account: WholeAccount, first: str) -> list[str]:
    """Returns the values of all versions of an attribute, from the first one; they must be in one line."""
    found, current = [], (await account.all(ATTRIBUTES, id=first))[0]
    while True:
        found.append(current["content"]["value"]["value"])
        following = await account.all(ATTRIBUTES, succeeds=current["id"])
        assert [one["id"] for one in following] == ([current["succeededBy"]] if "succeededBy" in current else [])
        if not following:
            return found
        current = following[0]


async def check_told(teller: WholeAccount, hearer: WholeAccount, count: int, place: str) -> None:
    """Checks that so many notifications were sent, heard of and done, each once."""
    sent, heard = await teller.all(NOTIFICATIONS), await hearer.all(NOTIFICATIONS)
    assert {one["id"] for one in sent} == {one["id"] for one in heard}, place
    assert [one["status"] for one in sent] == ["Sent"] * count, place
    assert [one["status"] for one in heard] == ["Completed"] * count, place
    messages = [one["content"] for one in await hearer.all("Messages", isOwn=False)]
    told = [one["id"] for one in messages if one["@type"] == "Notification"]
    assert sorted(told) == sorted(one["id"] for one in sent), place


async def check_succeeded(account: WholeAccount, count: int, place: str) -> None:
    events = await account.party.events("consumption.attributeSucceeded")
    assert len({event["data"]["successor"]["id"] for event in events}) == len(events) == count, place


@pytest.mark.parametrize("lost", [None, "messages.send"])
async def test_telling_of_a_new_version(network: Network, lost: str | None) -> None:
    anna, bert = await pair(network)
    first = await share(anna, bert, "0")
    newest = {"0": first}

    async def succeed(anna: WholeAccount, key: str) -> None:
        predecessor = newest[str(int(key) - 1)]
        _, made = await anna.does.attributes.succeed_identity(predecessor, given_name(key), [], intent(f"make {key}"))
        newest[key] = made["id"]
        await anna.does.attribute_sharing.notify_peer(newest[key], bert.address, intent(f"tell {key}"))

    async def act(anna: WholeAccount, key: str) -> None:
        if lost is not None:
            anna.faults.lose_answer(lost)
        await succeed(anna, key)
        await anna.work_on()

    async for anna, key, place in deaths(network, "anna", act, at_least=8):
        await anna.work_on()
        await bert.work()
        # What was decided is done, whether the caller comes back or not: both know the same of it.
        forwarded = [one["attributeId"] for one in await anna.all(FORWARDING_DETAILS)]
        assert set(forwarded) == {one["id"] for one in await bert.all(ATTRIBUTES)}, place
        await succeed(anna, key)
        await anna.work_on()
        await bert.work()
        await deliver_again(bert)
        await bert.work()
        expected = [str(number) for number in range(int(key) + 1)]
        assert await versions(anna, first) == await versions(bert, first) == expected, place
        await check_told(anna, bert, int(key), place)
        for account in (anna, bert):
            await check_succeeded(account, int(key), place)
        assert lost is None or f"after {lost}" not in place
        await check_whole(place, anna, bert)


async def test_a_new_version_of_an_attribute_of_the_relationship(network: Network) -> None:
    anna, bert = await pair(network)
    first = await share_of_relationship(anna, bert, "key")
    newest = {"0": first}

    async def succeed(anna: WholeAccount, key: str) -> None:
        told = await anna.does.attribute_sharing.succeed_relationship(
            newest[str(int(key) - 1)], proprietary(key), intent(f"make {key}")
        )
        newest[key] = told.successor["id"]

    async def act(anna: WholeAccount, key: str) -> None:
        await succeed(anna, key)
        await anna.work_on()

    async for anna, key, place in deaths(network, "anna", act, at_least=8):
        await anna.work_on()
        await bert.work()
        assert await versions(anna, first) == await versions(bert, first), place
        await succeed(anna, key)
        await anna.work_on()
        await bert.work()
        expected = ["v", *(str(number) for number in range(1, int(key) + 1))]
        assert await versions(anna, first) == await versions(bert, first) == expected, place
        await check_told(anna, bert, int(key), place)
        for account in (anna, bert):
            await check_succeeded(account, int(key), place)
        await check_whole(place, anna, bert)


async def test_deleting_an_attribute_that_the_peer_holds(network: Network) -> None:
    _, bert = await pair(network)
    shared: dict[str, str] = {}

    async def prepare(anna: WholeAccount, key: str) -> None:
        shared[key] = await share(anna, bert, key)

    async def act(anna: WholeAccount, key: str) -> None:
        await anna.does.attributes.delete(shared[key], intent(f"delete {key}"))
        await anna.work_on()

    async for anna, key, place in deaths(network, "anna", act, prepare=prepare, at_least=8):
        await anna.work_on()
        await bert.work()
        is_deleted = not await anna.all(ATTRIBUTES, id=shared[key])
        [held] = await bert.all(ATTRIBUTES, id=shared[key])
        assert ("deletionInfo" in held) == is_deleted, place
        told = await anna.does.attributes.delete(shared[key], intent(f"delete {key}"))
        await anna.work_on()
        await bert.work()
        assert [one["id"] for one in await anna.all(NOTIFICATIONS) if one["id"] in told] == list(told), place
        [held] = await bert.all(ATTRIBUTES, id=shared[key])
        assert held["deletionInfo"]["deletionStatus"] == "DeletedByEmitter", place
        for account, event_type in ((anna, "attributeDeleted"), (bert, "ownAttributeDeletedByOwner")):
            assert len(await account.party.events(f"consumption.{event_type}")) == int(key), place
        await check_told(anna, bert, int(key), place)
        await check_whole(place, anna, bert)


async def test_hearing_of_a_new_version(network: Network) -> None:
    anna, bert = await pair(network)
    first = await share_of_relationship(bert, anna, "key")
    newest = {"0": first}

    async def prepare(anna: WholeAccount, key: str) -> None:
        told = await bert.does.attribute_sharing.succeed_relationship(
            newest[str(int(key) - 1)], proprietary(key), NOBODY
        )
        newest[key] = told.successor["id"]
        await bert.work()

    async def act(anna: WholeAccount, key: str) -> None:
        await anna.work()

    async for anna, key, place in deaths(network, "anna", act, prepare=prepare, at_least=8):
        await anna.work_on()
        await deliver_again(anna)
        await anna.work_on()
        expected = ["v", *(str(number) for number in range(1, int(key) + 1))]
        assert await versions(anna, first) == await versions(bert, first) == expected, place
        await check_told(bert, anna, int(key), place)
        for account in (anna, bert):
            await check_succeeded(account, int(key), place)
        await check_whole(place, anna, bert)


@dataclass
class Left:
    """A relationship that is left for good."""

    id: str
    peer: WholeAccount
    subjects: list[str] = field(default_factory=list)
    """What must not be told any more: the ids of what came through it."""


async def test_leaving_a_relationship_with_shared_attributes(network: Network) -> None:
    """Nothing of the peer stays, in no collection and no event, however the process ends."""
    left: dict[str, Left] = {}

    async def prepare(anna: WholeAccount, key: str) -> None:
        peer = await whole_account(network, f"peer{key}")
        left[key] = Left(await relate(anna, peer), peer)
        own, foreign = await share(anna, peer, f"own{key}"), await share(peer, anna, f"foreign{key}")
        await share_of_relationship(anna, peer, "key")
        content = asks(item_of("CreateAttribute", attribute=relationship(peer.address, key="never answered")))
        request, message = await peer.does.outgoing_requests.send(anna.address, content, NOBODY)
        await tell_of_successor(peer, anna, foreign, f"newer foreign{key}")
        await peer.work()
        newer = await tell_of_successor(anna, peer, own, f"newer{key}")
        await anna.work()
        assert {one["status"] for one in await anna.all(NOTIFICATIONS)} == {"Completed", "Sent"}
        await tell_of_successor(anna, peer, newer, f"newest{key}")
        # It is not sent, and never will be.
        await anna.party.account.sync.sync()
        await anna.party.account.relationships.take(TERMINATE, left[key].id)
        left[key].subjects += [peer.address, left[key].id, foreign, request["id"], message["id"]]

    async def leave(anna: WholeAccount, key: str) -> None:
        await anna.does.relationships.decompose(left[key].id, intent(f"leave {key}"))

    async def remains(anna: WholeAccount, key: str) -> dict[str, str]:
        found = {spec.name: str(await anna.store.find(spec.name)) for spec in ACCOUNT_SCHEMA}
        found["events"] = str([one for one in await anna.party.events() if "DecomposedBySelf" not in one["type"]])
        return {
            f"{subject} in {name}": text
            for name, text in found.items()
            for subject in left[key].subjects
            if subject in text
        }

    await whole_account(network, "anna")
    async for anna, key, place in deaths(network, "anna", leave, prepare=prepare, at_least=6):
        if not await anna.all("Relationships"):
            # The start of the process has gone on with it.
            assert await remains(anna, key) == {}, place
        await insist(leave, anna, key)
        await anna.work_on()
        assert await remains(anna, key) == {}, place
        told = await anna.party.events("transport.relationshipDecomposedBySelf")
        assert [event["data"]["relationshipId"] for event in told] == [one.id for one in left.values()], place
        # Own attributes stay.
        assert len(await anna.all(ATTRIBUTES)) == 3 * int(key), place
        assert await anna.store.count(PENDING_OPERATIONS) == 0, place
