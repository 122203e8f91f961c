"""Attributes of a relationship that are given to somebody outside it, between our Connector and an official peer.

Three take part: who asks, who holds the attribute, and the third one with whom the holder has it. Between asker and
holder there are always both implementations; the third one is of each, as it has no part in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import Peers
from tests.interop.questions import DELETION_DATE, Question, item, named, relationship_attribute, unique
from tests.interop.sides import Json, OfficialSide, OurSide, Side, acquaint, our_sides
from tests.support.named_calls import until

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


@dataclass(frozen=True)
class Roles:
    """The three who take part. Each has a relationship with each other."""

    asker: Side
    holder: Side
    third: Side


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sides(
    backbone: BackboneProcess, peers: Peers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Side]]:
    """Two of each, of which all that matter to each other have a relationship, and some who have none yet."""
    async with our_sides(backbone.base_url, tmp_path_factory.mktemp("ours"), count=4) as connector:
        ours, friend, stranger, our_leaver = connector
        started = await peers.start_many(3, modules=["request", "notification"])
        official, neighbour, official_leaver = (OfficialSide(peer) for peer in started)
        for first, second in ((ours, official), (ours, friend), (ours, neighbour), (official, neighbour)):
            await acquaint(first, second)
        await acquaint(friend, official)
        yield {
            "ours": ours,
            "official": official,
            "our third": friend,
            "official third": neighbour,
            "stranger": stranger,
            "our leaver": our_leaver,
            "official leaver": official_leaver,
        }


ROLES = (
    "ours asks, official third",
    "ours asks, our third",
    "official asks, our third",
    "official asks, official third",
)


@pytest.fixture(params=ROLES)
def roles(request: pytest.FixtureRequest, sides: dict[str, Side]) -> Roles:
    """Who asks, who holds, and with whom."""
    asker, third = request.param.split(" asks, ")
    return Roles(sides[asker], sides["official" if asker == "ours" else "ours"], sides[third])


third_like_holder = pytest.mark.parametrize("roles", [ROLES[0], ROLES[2]], indirect=True)
"""For what depends less on the third: that one is of the holder's implementation."""


@dataclass(frozen=True)
class Held:
    """An attribute of the relationship between holder and third, and what it says."""

    id: str
    content: Json

    @property
    def key(self) -> str:
        """Its key."""
        return str(self.content["key"])


async def agree(owner: Side, peer: Side, key: str = "", **members: Json) -> Held:
    """Lets two sides have a relationship attribute of the first one; without a key it gets one that no other has."""
    content = relationship_attribute(owner.address, key or unique("key"), unique("4711")) | members
    request_id = await owner.ask(peer.address, item("CreateAttribute", attribute=content))
    await peer.is_asked(request_id)
    await peer.accept(request_id, [{"accept": True}])
    return Held(str((await owner.answer(request_id))["items"][0]["attributeId"]), content)


async def held(roles: Roles, of_holder: bool = True, **members: Json) -> Held:
    """Lets holder and third have an attribute of the one or the other."""
    if of_holder:
        return await agree(roles.holder, roles.third, **members)
    return await agree(roles.third, roles.holder, **members)


def query(key: str, owner: str, *parties: str) -> Json:
    """Returns a query for an attribute of a relationship with one of the parties."""
    return {
        "@type": "ThirdPartyRelationshipAttributeQuery",
        "key": key,
        "owner": owner,
        "thirdParty": list(parties),
    }


def sharing(attribute: Held, initial_peer: Side) -> Json:
    """Returns an item that gives an attribute of the relationship with the initial peer."""
    return item(
        "ShareAttribute",
        attribute=attribute.content,
        attributeId=attribute.id,
        initialAttributePeer=initial_peer.address,
        thirdPartyAddress=initial_peer.address,
    )


async def exchange(asker: Side, answerer: Side, asked: Json, decision: Json) -> Json:
    """Lets a request with one item be accepted, and returns the response item."""
    request_id = await asker.ask(answerer.address, asked)
    await answerer.is_asked(request_id)
    assert (await answerer.can_accept(request_id, [decision]))["isSuccess"] is True
    await answerer.accept(request_id, [decision])
    return (await asker.answer(request_id))["items"][0]


async def is_with_all(roles: Roles, attribute: Held, of_holder: bool) -> None:
    """Looks at what the three have when the asker was given the attribute."""
    theirs = await roles.asker.attribute(attribute.id)
    (details,) = await roles.holder.forwarding(attribute.id)
    assert {name: value for name, value in theirs.items() if name != "createdAt"} == {
        "@type": "ThirdPartyRelationshipAttribute",
        "id": attribute.id,
        "content": attribute.content,
        "peer": roles.holder.address,
        "initialAttributePeer": roles.third.address,
        "sourceReference": details["sourceReference"],
    }
    assert details["sourceReference"].startswith("REQ")
    assert (details["peer"], "deletionInfo" in details) == (roles.asker.address, False)
    await is_with_two(roles, attribute, of_holder)


async def is_with_two(roles: Roles, attribute: Held, of_holder: bool) -> None:
    """Looks at what holder and third have, whom the asker does not change."""
    kinds = ["OwnRelationshipAttribute", "PeerRelationshipAttribute"]
    for side, peer, kind in zip(
        (roles.holder, roles.third), (roles.third, roles.holder), kinds if of_holder else kinds[::-1], strict=True
    ):
        found = await side.attribute(attribute.id)
        assert (found["@type"], found["content"], found["peer"]) == (kind, attribute.content, peer.address)
        assert "deletionInfo" not in found
    assert await roles.third.forwarding(attribute.id) == []


Asking = Callable[[Roles], Awaitable[Question]]
"""Prepares what has to be there, and returns the question of the asker to the holder."""


def read(of_holder: bool, owner: str, *others: str, names_third: bool = True) -> Asking:
    """Asks for an attribute.

    Args:
        of_holder: Whether it belongs to the holder; else it belongs to the third.
        owner: What the query says of the owner.
        others: Further third parties of the query; `""` is anybody.
        names_third: Whether the query names the third.
    """

    async def asking(roles: Roles) -> Question:
        attribute = await held(roles, of_holder)

        async def accepted(answer: Json) -> None:
            assert answer["attributeId"] == attribute.id
            assert answer["attribute"] == attribute.content
            assert answer["thirdPartyAddress"] == roles.third.address
            await is_with_all(roles, attribute, of_holder)

        async def rejected() -> None:
            assert await roles.asker.attribute(attribute.id) is None
            assert await roles.holder.forwarding(attribute.id) == []
            await is_with_two(roles, attribute, of_holder)

        parties = [*others, roles.third.address] if names_third else others
        asked = item("ReadAttribute", query=query(attribute.key, owner, *parties))
        decision = {"accept": True, "existingAttributeId": attribute.id}
        return Question(asked, decision, "ReadAttributeAccept", accepted, rejected)

    return asking


NOBODY = "did:e:localhost:dids:0123456789abcdef012345"
"""An address that none of them has a relationship with."""

READINGS: dict[str, Asking] = {
    "of the holder": read(True, "recipient"),
    "of the holder, with anybody": read(True, "recipient", "", names_third=False),
    "of the third": read(False, "thirdParty"),
    "of the third, with anybody": read(False, "thirdParty", "", names_third=False),
    "of either, the holder's": read(True, "", NOBODY),
    "of either, the third's": read(False, "", NOBODY),
    "of either, with anybody": read(False, "", "", names_third=False),
}


@pytest.mark.parametrize("name", READINGS)
async def test_what_is_asked_of_a_third_party_is_given(roles: Roles, name: str) -> None:
    question = await READINGS[name](roles)
    assert question.accepted is not None

    request_id = await roles.asker.ask(roles.holder.address, question.item)
    asked = await roles.holder.is_asked(request_id)
    verdict = await roles.holder.can_accept(request_id, [question.decision])
    await roles.holder.accept(request_id, [question.decision])
    response = await roles.asker.answer(request_id)

    assert asked["items"] == [question.item]
    assert verdict["isSuccess"] is True
    (answer,) = response["items"]
    assert (answer["@type"], answer["result"]) == (f"{question.answer_type}ResponseItem", "Accepted")
    await question.accepted(answer)


@third_like_holder
@pytest.mark.parametrize("name", ["of the holder", "of the third"])
async def test_what_is_asked_of_a_third_party_is_refused(roles: Roles, name: str) -> None:
    question = await READINGS[name](roles)
    assert question.rejected is not None

    request_id = await roles.asker.ask(roles.holder.address, question.item)
    await roles.holder.is_asked(request_id)
    await roles.holder.reject(request_id, [{"accept": False, "code": "no.thanks", "message": "Not now."}])
    response = await roles.asker.answer(request_id)

    assert response["result"] == "Rejected"
    assert [answer["code"] for answer in response["items"]] == ["no.thanks"]
    await question.rejected()


async def give(roles: Roles, attribute: Held) -> Json:
    """Lets the holder share an attribute with the asker, and returns the response item."""
    return await exchange(roles.holder, roles.asker, sharing(attribute, roles.third), {"accept": True})


@pytest.mark.parametrize("of_holder", [True, False], ids=["of the holder", "of the third"])
async def test_an_attribute_of_another_relationship_is_shared(roles: Roles, of_holder: bool) -> None:
    attribute = await held(roles, of_holder)

    answer = await give(roles, attribute)

    assert answer == {"@type": "AcceptResponseItem", "result": "Accepted"}
    await is_with_all(roles, attribute, of_holder)


@third_like_holder
async def test_sharing_an_attribute_of_another_relationship_is_refused(roles: Roles) -> None:
    attribute = await held(roles)

    request_id = await roles.holder.ask(roles.asker.address, sharing(attribute, roles.third))
    await roles.asker.is_asked(request_id)
    await roles.asker.reject(request_id, [{"accept": False, "code": "no.thanks"}])
    response = await roles.holder.answer(request_id)

    assert (response["result"], response["items"][0]["code"]) == ("Rejected", "no.thanks")
    assert await roles.asker.attribute(attribute.id) is None
    assert await roles.holder.forwarding(attribute.id) == []
    await is_with_two(roles, attribute, True)


@pytest.mark.parametrize("name", ["initialAttributePeer", "thirdPartyAddress"])
async def test_an_official_peer_understands_either_name_of_the_initial_peer(sides: dict[str, Side], name: str) -> None:
    roles = Roles(asker=sides["official"], holder=sides["ours"], third=sides["our third"])
    attribute = await held(roles)
    shared = sharing(attribute, roles.third)
    other = {"initialAttributePeer": "thirdPartyAddress", "thirdPartyAddress": "initialAttributePeer"}[name]
    del shared[other]

    answer = await exchange(roles.holder, roles.asker, shared, {"accept": True})

    assert answer["@type"] == "AcceptResponseItem"
    await is_with_all(roles, attribute, True)


async def read_again(roles: Roles, attribute: Held) -> Json:
    """Asks for an attribute, whoever it belongs to, and returns the response item."""
    asked = item("ReadAttribute", query=query(attribute.key, "", roles.third.address))
    return await exchange(roles.asker, roles.holder, asked, {"accept": True, "existingAttributeId": attribute.id})


@third_like_holder
async def test_what_the_asker_has_is_only_named(roles: Roles) -> None:
    attribute = await held(roles)
    await give(roles, attribute)

    answer = await read_again(roles, attribute)

    assert answer == {
        "@type": "AttributeAlreadySharedAcceptResponseItem",
        "result": "Accepted",
        "attributeId": attribute.id,
    }
    await is_with_all(roles, attribute, True)


async def test_the_asker_learns_of_a_new_version_by_asking_again(roles: Roles) -> None:
    former = await held(roles)
    await give(roles, former)
    value = former.content["value"] | {"value": "later"}

    later = Held(await roles.holder.succeed_relationship(former.id, value), former.content | {"value": value})
    await roles.third.notified(later.id)
    await roles.asker.sync()
    before = [await roles.asker.attribute(one.id) for one in (former, later)]
    answer = await read_again(roles, later)

    # Only the other side of the relationship is told of a new version.
    assert (before[0]["content"], before[1]) == (former.content, None)
    assert answer == {
        "@type": "AttributeSuccessionAcceptResponseItem",
        "result": "Accepted",
        "predecessorId": former.id,
        "successorId": later.id,
        "successorContent": later.content,
    }
    theirs = await roles.asker.attribute(later.id)
    assert (theirs["@type"], theirs["succeeds"]) == ("ThirdPartyRelationshipAttribute", former.id)
    assert (theirs["content"], theirs["peer"]) == (later.content, roles.holder.address)
    assert theirs["initialAttributePeer"] == roles.third.address
    assert (await roles.asker.attribute(former.id))["succeededBy"] == later.id
    for one in (former, later):
        assert [details["peer"] for details in await roles.holder.forwarding(one.id)] == [roles.asker.address]


@third_like_holder
async def test_the_same_value_under_another_id_is_only_named(roles: Roles) -> None:
    former = await held(roles)
    await give(roles, former)
    await roles.third.delete(former.id)
    await roles.holder.notified(former.id)
    # The third has deleted it, so that its key is free again.
    again = await agree(roles.holder, roles.third, former.key, value=former.content["value"])

    answer = await give(roles, again)

    assert (answer["@type"], answer["attributeId"]) == ("AttributeAlreadySharedAcceptResponseItem", former.id)
    assert await roles.asker.attribute(again.id) is None
    assert [details["peer"] for details in await roles.holder.forwarding(again.id)] == [roles.asker.address]


# ---- deletions ----


async def deletion(side: Side, attribute_id: str) -> str | None:
    """Returns the deletion status of a local attribute, None without; the attribute must be there."""
    info = (await side.attribute(attribute_id)).get("deletionInfo")
    return info and str(info["deletionStatus"])


async def deletion_at_asker(roles: Roles, attribute: Held) -> str | None:
    """Returns what the holder knows of the deletion by the asker."""
    (details,) = await roles.holder.forwarding(attribute.id)
    assert details["peer"] == roles.asker.address
    info = details.get("deletionInfo")
    return info and str(info["deletionStatus"])


async def given(roles: Roles, of_holder: bool) -> Held:
    """Returns an attribute that the asker was given."""
    attribute = await held(roles, of_holder)
    await give(roles, attribute)
    return attribute


async def test_all_learn_that_the_holder_deleted_its_own(roles: Roles) -> None:
    attribute = await given(roles, of_holder=True)

    await roles.holder.delete(attribute.id)
    for side in (roles.asker, roles.third):
        await side.notified(attribute.id)
        await side.is_told("ownAttributeDeletedByOwner", attribute.id)

    assert await roles.holder.attribute(attribute.id) is None
    assert await deletion(roles.third, attribute.id) == "DeletedByEmitter"
    assert await deletion(roles.asker, attribute.id) == "DeletedByEmitter"


async def test_all_learn_that_the_holder_deleted_what_belongs_to_the_third(roles: Roles) -> None:
    attribute = await given(roles, of_holder=False)

    await roles.holder.delete(attribute.id)
    for side in (roles.asker, roles.third):
        await side.notified(attribute.id)
        await side.is_told("peerRelationshipAttributeDeletedByPeer", attribute.id)

    assert await roles.holder.attribute(attribute.id) is None
    assert await deletion(roles.third, attribute.id) == "DeletedByRecipient"
    assert await deletion(roles.asker, attribute.id) == "DeletedByEmitter"


@pytest.mark.parametrize(
    ("of_holder", "status"), [(True, "DeletedByRecipient"), (False, "DeletedByEmitter")], ids=["holder's", "third's"]
)
async def test_only_the_holder_learns_that_the_third_deleted_it(roles: Roles, of_holder: bool, status: str) -> None:
    attribute = await given(roles, of_holder)

    await roles.third.delete(attribute.id)
    await roles.holder.notified(attribute.id)
    await roles.asker.sync()

    assert await roles.third.attribute(attribute.id) is None
    assert await deletion(roles.holder, attribute.id) == status
    assert await deletion_at_asker(roles, attribute) is None
    assert await deletion(roles.asker, attribute.id) is None


@pytest.mark.parametrize("of_holder", [True, False], ids=["holder's", "third's"])
async def test_only_the_holder_learns_that_the_asker_deleted_it(roles: Roles, of_holder: bool) -> None:
    attribute = await given(roles, of_holder)

    await roles.asker.delete(attribute.id)
    await roles.holder.notified(attribute.id)
    await roles.holder.is_told("forwardedAttributeDeletedByPeer", attribute.id)
    await roles.third.sync()
    known = await deletion_at_asker(roles, attribute)
    answer = await give(roles, attribute)

    assert known == "DeletedByRecipient"
    await is_with_two(roles, attribute, of_holder)
    # It can be shared anew, under the id that it had.
    assert answer["@type"] == "AcceptResponseItem"
    assert (await roles.asker.attribute(attribute.id))["content"] == attribute.content
    assert await deletion(roles.asker, attribute.id) is None
    episodes = [
        details.get("deletionInfo", {}).get("deletionStatus") for details in await roles.holder.forwarding(attribute.id)
    ]
    assert sorted(episodes, key=str) == ["DeletedByRecipient", None]


async def test_all_versions_are_deleted(roles: Roles) -> None:
    former = await given(roles, of_holder=True)
    value = former.content["value"] | {"value": "later"}
    later = Held(await roles.holder.succeed_relationship(former.id, value), former.content | {"value": value})
    await read_again(roles, later)
    await roles.third.notified(later.id)

    await roles.holder.delete(later.id)
    for side in (roles.asker, roles.third):
        await side.notified(later.id)

    for side in (roles.asker, roles.third):
        assert [await deletion(side, one.id) for one in (former, later)] == ["DeletedByEmitter"] * 2


@third_like_holder
async def test_the_version_that_the_asker_has_is_named_to_it(roles: Roles) -> None:
    former = await given(roles, of_holder=True)
    later = await roles.holder.succeed_relationship(former.id, former.content["value"] | {"value": "later"})
    await roles.third.notified(later)

    await roles.holder.delete(later)
    await roles.asker.notified(former.id)
    await roles.third.notified(later)

    assert await roles.asker.attribute(later) is None
    assert await deletion(roles.asker, former.id) == "DeletedByEmitter"
    assert await deletion(roles.third, later) == "DeletedByEmitter"


@third_like_holder
@pytest.mark.parametrize("of_holder", [True, False], ids=["holder's", "third's"])
async def test_the_asker_promises_to_delete_it(roles: Roles, of_holder: bool) -> None:
    attribute = await given(roles, of_holder)
    asked = item("DeleteAttribute", attributeId=attribute.id)

    answer = await exchange(roles.holder, roles.asker, asked, {"accept": True, "deletionDate": DELETION_DATE})
    promised = await deletion(roles.asker, attribute.id), await deletion_at_asker(roles, attribute)
    again = await give(roles, attribute)

    assert (answer["@type"], answer["deletionDate"]) == ("DeleteAttributeAcceptResponseItem", DELETION_DATE)
    assert promised == ("ToBeDeleted", "ToBeDeletedByRecipient")
    # Who gets it once more keeps it.
    assert (again["@type"], again["attributeId"]) == ("AttributeAlreadySharedAcceptResponseItem", attribute.id)
    await is_with_all(roles, attribute, of_holder)


@third_like_holder
async def test_the_asker_does_not_promise_to_delete_it(roles: Roles) -> None:
    attribute = await given(roles, of_holder=False)

    request_id = await roles.holder.ask(roles.asker.address, item("DeleteAttribute", attributeId=attribute.id))
    await roles.asker.is_asked(request_id)
    sent = await deletion_at_asker(roles, attribute)
    await roles.asker.reject(request_id, [{"accept": False}])
    await roles.holder.answer(request_id)

    assert sent == "DeletionRequestSent"
    assert await deletion_at_asker(roles, attribute) == "DeletionRequestRejected"
    assert await deletion(roles.asker, attribute.id) is None
    await is_with_two(roles, attribute, of_holder=False)


@third_like_holder
async def test_what_was_given_follows_the_relationship_with_who_gave_it(roles: Roles, sides: dict[str, Side]) -> None:
    holder, leaver = roles.holder, sides["our leaver" if isinstance(roles.holder, OfficialSide) else "official leaver"]
    await acquaint(holder, leaver)
    with_leaver, of_leaver = await agree(holder, leaver), await agree(leaver, holder)
    to_leaver = await held(roles)
    await give(Roles(leaver, holder, roles.third), to_leaver)

    async def deletions() -> list[str | None]:
        """What the holder knows: of the attributes with the leaver, and of that which the leaver got."""
        (details,) = await holder.forwarding(to_leaver.id)
        told = (details.get("deletionInfo") or {}).get("deletionStatus")
        return [await deletion(holder, with_leaver.id), await deletion(holder, of_leaver.id), told]

    await leaver.terminate_relationship_with(holder.address)
    await holder.sync()
    # What is terminated can still be told of.
    for attribute in (with_leaver, of_leaver):
        await give(Roles(roles.asker, holder, leaver), attribute)
    assert await deletions() == [None, None, None]

    await leaver.decompose_relationship_with(holder.address)
    await holder.sync()
    await until(deletions, lambda found: found == ["DeletedByRecipient", "DeletedByEmitter", "DeletedByRecipient"])
    assert await holder.relationship_status(leaver.address) == "DeletionProposed"
    for attribute in (with_leaver, of_leaver, to_leaver):
        assert await leaver.attribute(attribute.id) is None

    await holder.decompose_relationship_with(leaver.address)

    async def is_gone() -> bool:
        return await holder.attribute(with_leaver.id) is None and await holder.attribute(of_leaver.id) is None

    await until(is_gone)
    assert await holder.forwarding(to_leaver.id) == []
    await roles.asker.sync()
    # Nobody tells the asker: it has its copies from the holder, who is still there.
    for attribute in (with_leaver, of_leaver):
        copy = await roles.asker.attribute(attribute.id)
        assert (copy["initialAttributePeer"], "deletionInfo" in copy) == (leaver.address, False)
    await is_with_two(roles, to_leaver, of_holder=True)


# ---- what both refuse ----

REQUESTS = "error.consumption.requests."


async def refusal_of(roles: Roles, asked: Json, decision: Json) -> str | None:
    """Lets the asker ask one item, and returns why the holder cannot accept it so, None when it can."""
    request_id = await roles.asker.ask(roles.holder.address, asked)
    await roles.holder.is_asked(request_id)
    verdict = await roles.holder.can_accept(request_id, [decision])
    await roles.holder.reject(request_id, [{"accept": False}])
    await roles.asker.answer(request_id)
    return _code(verdict)


def _code(verdict: Json) -> str | None:
    if verdict["isSuccess"]:
        return None
    assert verdict["code"] == f"{REQUESTS}validation.inheritedFromItem"
    return str(verdict["items"][0]["code"]).removeprefix(REQUESTS)


def answering(attribute: Held, **more: Json) -> Json:
    """Returns the decision to answer with an attribute."""
    return {"accept": True, "existingAttributeId": attribute.id, **more}


Refusal = Callable[[Roles], Awaitable[tuple[Json, Json]]]
"""Prepares what has to be there, and returns the item that is asked and the decision that does not do."""


def reading(query_of: Callable[[Roles, Held], Json], of_holder: bool = True, **members: Json) -> Refusal:
    """Returns a refusal of an attribute of holder and third, for what a query asks.

    Args:
        query_of: Returns the query.
        of_holder: Whether the attribute belongs to the holder; else it belongs to the third.
        members: Members of the attribute.
    """

    async def refused(roles: Roles) -> tuple[Json, Json]:
        attribute = await held(roles, of_holder, **members)
        return item("ReadAttribute", query=query_of(roles, attribute)), answering(attribute)

    return refused


def with_asker(of_holder: bool, owner: str, any_party: bool) -> Refusal:
    """Returns a refusal of an attribute of the relationship with the asker itself."""

    async def refused(roles: Roles) -> tuple[Json, Json]:
        sides = (roles.holder, roles.asker) if of_holder else (roles.asker, roles.holder)
        attribute = await agree(*sides)
        party = "" if any_party else roles.third.address
        return item("ReadAttribute", query=query(attribute.key, owner, party)), answering(attribute)

    return refused


async def with_tags(roles: Roles) -> tuple[Json, Json]:
    attribute = await held(roles)
    asked = item("ReadAttribute", query=query(attribute.key, "", roles.third.address))
    return asked, answering(attribute, tags=["x:tag"])


async def with_new(roles: Roles) -> tuple[Json, Json]:
    asked = item("ReadAttribute", query=query("key", "", roles.third.address))
    return asked, {"accept": True, "newAttribute": relationship_attribute(roles.holder.address, "key", "4711")}


async def with_identity_attribute(roles: Roles) -> tuple[Json, Json]:
    own = await roles.holder.create_attribute(named(unique("Name")))
    asked = item("ReadAttribute", query=query("key", "", roles.third.address))
    return asked, {"accept": True, "existingAttributeId": own}


async def with_unknown(roles: Roles) -> tuple[Json, Json]:
    asked = item("ReadAttribute", query=query("key", "", roles.third.address))
    return asked, {"accept": True, "existingAttributeId": "ATT00000000000000000"}


async def with_what_was_given(roles: Roles) -> tuple[Json, Json]:
    # What the asker gave the holder is of a third party for that one.
    attribute = await agree(roles.asker, roles.third)
    await exchange(roles.asker, roles.holder, sharing(attribute, roles.third), {"accept": True})
    return item("ReadAttribute", query=query(attribute.key, "", roles.third.address)), answering(attribute)


REFUSALS: dict[str, tuple[Refusal, str]] = {
    "the holder's, asked as the third's": (
        reading(lambda roles, attribute: query(attribute.key, "thirdParty", roles.third.address)),
        "attributeQueryMismatch",
    ),
    "the holder's, asked as anybody's but the holder's": (
        reading(lambda roles, attribute: query(attribute.key, "thirdParty", "")),
        "attributeQueryMismatch",
    ),
    "the third's, asked as the holder's": (
        reading(lambda roles, attribute: query(attribute.key, "recipient", roles.third.address), of_holder=False),
        "attributeQueryMismatch",
    ),
    "the holder's, with another third": (
        reading(lambda roles, attribute: query(attribute.key, "recipient", NOBODY)),
        "attributeQueryMismatch",
    ),
    "the third's, of another third": (
        reading(lambda roles, attribute: query(attribute.key, "", NOBODY), of_holder=False),
        "attributeQueryMismatch",
    ),
    "another key": (
        reading(lambda roles, attribute: query("another", "", roles.third.address)),
        "attributeQueryMismatch",
    ),
    "private, the holder's": (
        reading(
            lambda roles, attribute: query(attribute.key, "recipient", roles.third.address), confidentiality="private"
        ),
        "attributeQueryMismatch",
    ),
    "private, the third's": (
        reading(
            lambda roles, attribute: query(attribute.key, "thirdParty", ""), of_holder=False, confidentiality="private"
        ),
        "attributeQueryMismatch",
    ),
    "with the asker, the holder's": (with_asker(True, "recipient", False), "attributeQueryMismatch"),
    "with the asker, of either": (with_asker(True, "", False), "attributeQueryMismatch"),
    "with the asker, the asker's": (with_asker(False, "thirdParty", True), "attributeQueryMismatch"),
    "with the asker, the asker's of either": (with_asker(False, "", True), "attributeQueryMismatch"),
    "given by the asker": (with_what_was_given, "invalidAcceptParameters"),
    "of an identity": (with_identity_attribute, "attributeQueryMismatch"),
    "with tags": (with_tags, "invalidAcceptParameters"),
    "new": (with_new, "invalidAcceptParameters"),
    "unknown": (with_unknown, "error.transport.recordNotFound"),
}


@third_like_holder
@pytest.mark.parametrize("name", REFUSALS)
async def test_both_refuse_the_same_answers(roles: Roles, name: str) -> None:
    refusal, code = REFUSALS[name]
    asked, decision = await refusal(roles)

    assert await refusal_of(roles, asked, decision) == code
    if "existingAttributeId" in decision:
        theirs = await roles.asker.attribute(decision["existingAttributeId"])
        assert (theirs or {}).get("@type") != "ThirdPartyRelationshipAttribute"


@third_like_holder
async def test_a_protected_attribute_may_be_given(roles: Roles) -> None:
    attribute = await held(roles, confidentiality="protected")
    asked = item("ReadAttribute", query=query(attribute.key, "", roles.third.address))

    assert await refusal_of(roles, asked, answering(attribute)) is None
    assert _code(await roles.holder.can_ask(roles.asker.address, sharing(attribute, roles.third))) is None


@third_like_holder
async def test_both_ask_the_same_third_parties(roles: Roles) -> None:
    def asking(*parties: str) -> Json:
        return item("ReadAttribute", query=query("key", "", *parties))

    asker, holder, third = roles.asker, roles.holder, roles.third
    for parties, code in {
        (third.address,): None,
        ("",): None,
        (NOBODY, third.address, ""): None,
        (asker.address,): "invalidRequestItem",
        (holder.address,): "invalidRequestItem",
        (third.address, asker.address): "invalidRequestItem",
        ("", holder.address): "invalidRequestItem",
    }.items():
        assert _code(await asker.can_ask(holder.address, asking(*parties))) == code, parties


@third_like_holder
async def test_both_refuse_to_share_the_same(roles: Roles) -> None:
    asker, holder, third = roles.asker, roles.holder, roles.third
    attribute, known = await held(roles), await given(roles, of_holder=False)
    private = await held(roles, of_holder=False, confidentiality="private")
    own, of_asker = await agree(holder, asker), await agree(asker, holder)
    without = {**sharing(attribute, third)}
    del without["initialAttributePeer"], without["thirdPartyAddress"]
    changed = Held(attribute.id, attribute.content | {"confidentiality": "protected"})

    for name, shared in {
        "known to the asker": sharing(known, third),
        "private": sharing(private, third),
        "with the asker": sharing(own, asker),
        "of the asker": sharing(of_asker, asker),
        "with another initial peer": sharing(attribute, holder),
        "without initial peer": without,
        "with another content": sharing(changed, third),
        "unknown": sharing(Held("ATT00000000000000000", attribute.content), third),
    }.items():
        assert _code(await holder.can_ask(asker.address, shared)) == "invalidRequestItem", name
    assert _code(await holder.can_ask(third.address, sharing(attribute, third))) == "invalidRequestItem"
    # Who was given it cannot give it on.
    assert _code(await asker.can_ask(third.address, sharing(known, third))) == "invalidRequestItem"
    assert _code(await asker.can_ask(holder.address, sharing(known, third))) == "invalidRequestItem"
    assert _code(await holder.can_ask(asker.address, sharing(attribute, third))) is None


@third_like_holder
async def test_only_a_new_version_that_nobody_has_is_shared(roles: Roles) -> None:
    former = await given(roles, of_holder=True)
    value = former.content["value"] | {"value": "later"}
    later = Held(await roles.holder.succeed_relationship(former.id, value), former.content | {"value": value})
    verdicts = [
        _code(await roles.holder.can_ask(roles.asker.address, sharing(one, roles.third))) for one in (former, later)
    ]
    await read_again(roles, later)
    verdicts += [
        _code(await roles.holder.can_ask(roles.asker.address, sharing(one, roles.third))) for one in (former, later)
    ]

    assert verdicts == ["invalidRequestItem"] * 4


@third_like_holder
async def test_nothing_of_a_pending_relationship_is_given(roles: Roles, sides: dict[str, Side]) -> None:
    stranger = sides["stranger"]
    key = unique("key")
    created = item("CreateAttribute", attribute=relationship_attribute("", key, "4711"))
    template = {"@type": "RelationshipTemplateContent", "onNewRelationship": {"@type": "Request", "items": [created]}}
    request_id = await roles.holder.load(await stranger.offer(template))
    await roles.holder.accept(request_id, [{"accept": True}])
    (attribute_id,) = await roles.holder.found_for_third_party(query(key, "recipient", stranger.address))
    attribute = Held(attribute_id, relationship_attribute(roles.holder.address, key, "4711"))
    asked = item("ReadAttribute", query=query(key, "", stranger.address))
    code = "cannotShareRelationshipAttributeOfPendingRelationship"

    assert await roles.holder.relationship_status(stranger.address) == "Pending"
    assert await refusal_of(roles, asked, answering(attribute)) == code
    assert _code(await roles.holder.can_ask(roles.asker.address, sharing(attribute, stranger))) == code

    await stranger.accept_relationship_of(roles.holder.address)
    await roles.holder.sync()
    assert await refusal_of(roles, asked, answering(attribute)) is None
    assert _code(await roles.holder.can_ask(roles.asker.address, sharing(attribute, stranger))) is None


@third_like_holder
async def test_both_find_the_same_on_their_side(roles: Roles) -> None:
    key = unique("key")
    mine, theirs = await held(roles, key=key), await held(roles, of_holder=False, key=key)
    private = await held(roles, confidentiality="private")
    with_other = await agree(roles.holder, roles.asker, key)
    third, asker = roles.third.address, roles.asker.address

    async def find(asked: Json) -> list[str]:
        found = await roles.holder.found_for_third_party(asked)
        return [
            attribute_id for attribute_id in (mine.id, theirs.id, private.id, with_other.id) if attribute_id in found
        ]

    assert await find(query(key, "recipient", third)) == [mine.id]
    assert await find(query(key, "thirdParty", third)) == [theirs.id]
    assert await find(query(key, "", third)) == [mine.id, theirs.id]
    assert await find(query(key, "recipient", third, asker)) == [mine.id, with_other.id]
    # With anybody, but belonging to the holder or to one that is named.
    assert await find(query(key, "recipient", "")) == [mine.id, with_other.id]
    assert await find(query(key, "", "", NOBODY)) == [mine.id, with_other.id]
    assert await find(query(key, "", third, "")) == [mine.id, theirs.id, with_other.id]
    assert await find(query(key, "thirdParty", "")) == []
    assert await find(query(key, "thirdParty", "", third)) == [theirs.id]
    assert await find(query(key, "", NOBODY)) == []
    assert await find(query(private.key, "", third)) == []
    assert await find(query("another", "", third)) == []


@third_like_holder
async def test_what_the_asker_shares_with_the_holder_is_not_given_twice(roles: Roles) -> None:
    # The only attribute that such an answer can name and that the asker has by itself. An official holder gives it like
    # others and notes that it did; ours only names it.
    attribute = await agree(roles.holder, roles.asker)
    asked = item("ReadAttribute", query=query(attribute.key, "recipient", ""))

    answer = await exchange(roles.asker, roles.holder, asked, answering(attribute))

    assert answer["attributeId"] == attribute.id
    is_ours = isinstance(roles.holder, OurSide)
    given_as = "AttributeAlreadySharedAcceptResponseItem" if is_ours else "ReadAttributeAcceptResponseItem"
    assert answer["@type"] == given_as
    assert len(await roles.holder.forwarding(attribute.id)) == (0 if is_ours else 1)
    theirs = await roles.asker.attribute(attribute.id)
    assert (theirs["@type"], theirs["content"]) == ("PeerRelationshipAttribute", attribute.content)
