"""Requests in templates between our Connector and official peers: with a new relationship, and in one that exists."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from enmeshed_client import ConnectorError
from enmeshed_connector.core.references import FileReference
from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import Peers
from tests.interop.official_peer.official_peer import OfficialPeerError
from tests.interop.questions import (
    FIRST_QUESTIONS,
    QUESTIONS,
    QUESTIONS_OF_TEMPLATES,
    Question,
    item,
    transfer_file_ownership,
)
from tests.interop.sides import Json, OfficialSide, OurSide, Side, befriend, our_sides

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

Pair = tuple[OurSide, OfficialSide]
DIRECTIONS = ["ours", "official"]
REFUSAL = {"accept": False, "code": "no.thanks"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pairs(
    backbone: BackboneProcess, peers: Peers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[Pair]]:
    """Three pairs of an account of ours and an official peer; only the first two of each know each other."""
    async with our_sides(backbone.base_url, tmp_path_factory.mktemp("ours"), count=3) as ours:
        official = await peers.start_many(3, modules=["request", "notification"])
        pairs = list(zip(ours, map(OfficialSide, official), strict=True))
        await befriend(*pairs[0])
        yield pairs


def directed(pair: Pair, asker: str) -> tuple[Side, Side]:
    """Returns who asks and who answers."""
    ours, official = pair
    return (ours, official) if asker == "ours" else (official, ours)


def template(key: str, items: list[Json]) -> Json:
    """Returns the content of a template; without relationship it asks for a log-in."""
    otherwise = {"onNewRelationship": {"@type": "Request", "items": [item("Authentication", title="Log in")]}}
    return {
        "@type": "RelationshipTemplateContent",
        "title": "Join us",
        **otherwise,
        key: {"@type": "Request", "title": "First", "items": items},
    }


async def ask_everything(asker: Side, answerer: Side) -> tuple[list[Question], list[Json], list[Json]]:
    """Returns questions, the items that ask them, two of them in a group, and the decisions."""
    questions = [await QUESTIONS[name](asker, answerer) for name in FIRST_QUESTIONS]
    group = {"@type": "RequestItemGroup", "title": "Group", "items": [question.item for question in questions[:2]]}
    optional = {**item("Authentication", title="If you like"), "mustBeAccepted": False}
    items = [group, *(question.item for question in questions[2:]), optional]
    decisions = [{"items": [question.decision for question in questions[:2]]}]
    decisions += [question.decision for question in questions[2:]]
    return questions, items, [*decisions, REFUSAL]


async def look_at(questions: list[Question], response: Json) -> None:
    """Looks at every answer and at what became of it on both sides."""
    assert response["result"] == "Accepted"
    group, *answers, declined = response["items"]
    assert (declined["@type"], declined["code"]) == ("RejectResponseItem", "no.thanks")
    for question, answer in zip(questions, [*group["items"], *answers], strict=True):
        assert answer["@type"] == f"{question.answer_type}ResponseItem"
        if question.accepted is not None:
            await question.accepted(answer)


@pytest.mark.parametrize(("number", "asker"), [(1, "ours"), (2, "official")])
async def test_a_template_is_answered_with_the_relationship(pairs: list[Pair], number: int, asker: str) -> None:
    asking, answering = directed(pairs[number], asker)
    questions, items, decisions = await ask_everything(asking, answering)

    request_id = await answering.load(await asking.offer(template("onNewRelationship", items)))
    verdict = await answering.can_accept(request_id, decisions)
    await answering.accept(request_id, decisions)
    assert await answering.relationship_status(asking.address) == "Pending"
    response = await asking.answer_to_template(request_id)
    await asking.accept_relationship_of(answering.address)
    await answering.sync()

    assert verdict["isSuccess"] is True
    assert [
        await side.relationship_status(peer.address) for side, peer in ((asking, answering), (answering, asking))
    ] == [
        "Active",
        "Active",
    ]
    await look_at(questions, response)


@pytest.mark.parametrize("asker", DIRECTIONS)
async def test_a_template_is_answered_in_the_relationship_that_exists(pairs: list[Pair], asker: str) -> None:
    asking, answering = directed(pairs[0], asker)
    questions, items, decisions = await ask_everything(asking, answering)

    request_id = await answering.load(await asking.offer(template("onExistingRelationship", items)))
    await answering.accept(request_id, decisions)
    await look_at(questions, await asking.answer_to_template(request_id))


WITHOUT_DELETIONS = [name for name in QUESTIONS if not name.startswith("delete")]


@pytest.mark.parametrize("asker", DIRECTIONS)
@pytest.mark.parametrize("name", [name for name in WITHOUT_DELETIONS if name != "transfer a file"])
async def test_a_question_of_a_template_is_accepted_in_the_relationship_that_exists(
    pairs: list[Pair], name: str, asker: str
) -> None:
    asking, answering = directed(pairs[0], asker)
    question = await QUESTIONS[name](asking, answering)

    request_id = await answering.load(await asking.offer(template("onExistingRelationship", [question.item])))
    await answering.accept(request_id, [question.decision])
    response = await asking.answer_to_template(request_id)

    assert response["result"] == "Accepted"
    (answer,) = response["items"]
    assert answer["@type"] == f"{question.answer_type}ResponseItem"
    if question.accepted is not None:
        await question.accepted(answer)


@pytest.mark.parametrize("asker", DIRECTIONS)
@pytest.mark.parametrize("name", WITHOUT_DELETIONS)
async def test_a_template_is_rejected_in_the_relationship_that_exists(pairs: list[Pair], name: str, asker: str) -> None:
    asking, answering = directed(pairs[0], asker)
    question = await QUESTIONS[name](asking, answering)

    request_id = await answering.load(await asking.offer(template("onExistingRelationship", [question.item])))
    await answering.reject(request_id, [REFUSAL])
    response = await asking.answer_to_template(request_id)

    assert response["result"] == "Rejected"
    (answer,) = response["items"]
    assert answer == {"@type": "RejectResponseItem", "result": "Rejected", "code": "no.thanks"}
    if question.rejected is not None:
        await question.rejected()


def strangers(pairs: list[Pair], asker: str) -> tuple[Side, Side]:
    """Returns who asks and who answers: two who never get a relationship, as a rejection leaves nothing."""
    return (pairs[1][0], pairs[0][1]) if asker == "ours" else (pairs[2][1], pairs[0][0])


@pytest.mark.parametrize("asker", DIRECTIONS)
@pytest.mark.parametrize("name", QUESTIONS_OF_TEMPLATES)
async def test_nobody_learns_that_a_template_was_rejected(pairs: list[Pair], name: str, asker: str) -> None:
    asking, answering = strangers(pairs, asker)
    question = await QUESTIONS_OF_TEMPLATES[name](asking, answering)
    offered = await asking.offer(template("onNewRelationship", [question.item]))

    first = await answering.load(offered)
    await answering.reject(first, [REFUSAL])
    await asking.sync()
    second = await answering.load(offered)
    await answering.reject(second, [REFUSAL])
    await asking.sync()

    # It can be asked again, as if it had never been.
    assert first != second
    assert [await asking.has_asked(request_id) for request_id in (first, second)] == [False, False]
    for side, other in ((asking, answering), (answering, asking)):
        verdict = await side.can_ask(other.address, item("Authentication", title="Log in"))
        assert verdict["code"] == "error.consumption.requests.missingRelationship"
    if question.rejected is not None:
        await question.rejected()


async def look_at_file(question: Question, asking: Side, answering: Side, request_id: str) -> None:
    """Looks at what became of a file that was handed over by template, once a later request is answered.

    Official askers check the request of a template once more when its answer comes, and the file is no longer theirs by
    then: they lose the answer. See docs/protocol-notes.md.
    """
    # Modules of official peers work on after a sync; once a later answer is taken over, this one was dealt with.
    later = await asking.ask(answering.address, item("Consent", consent="I do."))
    await answering.is_asked(later)
    await answering.accept(later, [{"accept": True}])
    await asking.answer(later)

    assert await asking.has_asked(request_id) is isinstance(asking, OurSide)
    if isinstance(asking, OurSide):
        response = await asking.answer_to_template(request_id)
        (answer,) = response["items"]
        assert answer["@type"] == f"{question.answer_type}ResponseItem"
        assert question.accepted is not None
        await question.accepted(answer)
    else:
        file_id = FileReference.parse(question.item["fileReference"]).id
        assert (await asking.file(file_id))["owner"] == answering.address
        assert await answering.download(file_id) == b"take it"


@pytest.mark.parametrize("asker", DIRECTIONS)
async def test_a_file_goes_by_template_and_an_asker_here_keeps_the_answer(pairs: list[Pair], asker: str) -> None:
    asking, answering = directed(pairs[0], asker)
    question = await transfer_file_ownership(asking, answering)

    request_id = await answering.load(await asking.offer(template("onExistingRelationship", [question.item])))
    await answering.accept(request_id, [question.decision])

    await look_at_file(question, asking, answering, request_id)


@pytest.mark.parametrize("asker", DIRECTIONS)
async def test_a_file_goes_with_the_relationship_and_an_asker_here_keeps_the_answer(
    pairs: list[Pair], asker: str
) -> None:
    # Two who meet in no other test.
    asking: Side = pairs[1][0] if asker == "ours" else pairs[1][1]
    answering: Side = pairs[2][1] if asker == "ours" else pairs[2][0]
    question = await transfer_file_ownership(asking, answering)

    request_id = await answering.load(await asking.offer(template("onNewRelationship", [question.item])))
    verdict = await answering.can_accept(request_id, [question.decision])
    await answering.accept(request_id, [question.decision])
    await asking.accept_relationship_of(answering.address)
    await answering.sync()

    assert verdict["isSuccess"] is True
    assert await asking.relationship_status(answering.address) == "Active"
    await look_at_file(question, asking, answering, request_id)


@pytest.mark.parametrize("asker", DIRECTIONS)
@pytest.mark.parametrize("key", ["onNewRelationship", "onExistingRelationship"])
async def test_no_template_asks_for_a_deletion_as_nobody_knows_of_whom(pairs: list[Pair], key: str, asker: str) -> None:
    asking, answering = directed(pairs[0], asker)
    question = await QUESTIONS["delete"](asking, answering)

    with pytest.raises((ConnectorError, OfficialPeerError)) as refused:
        await asking.offer(template(key, [question.item]))

    error = refused.value
    if isinstance(error, ConnectorError):
        # That of the item, where official peers give that of the whole request.
        assert error.official_code == "error.consumption.requests.invalidRequestItem"
    else:
        assert isinstance(error, OfficialPeerError)
        assert error.code == "error.consumption.requests.validation.inheritedFromItem"
    # A request by message may ask it.
    assert (await asking.can_ask(answering.address, question.item))["isSuccess"] is True
