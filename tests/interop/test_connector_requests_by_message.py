"""Requests by message between our Connector and an official peer: each type of item, accepted and rejected by each."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import Peers
from tests.interop.questions import QUESTIONS, item, named, share, unique
from tests.interop.sides import Json, OfficialSide, OurSide, Side, befriend, our_sides

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

Pair = tuple[OurSide, OfficialSide]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(
    backbone: BackboneProcess, peers: Peers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    """Our side and an official one with an active relationship."""
    async with our_sides(backbone.base_url, tmp_path_factory.mktemp("ours")) as (ours,):
        official = OfficialSide(await peers.start(modules=["request", "notification"]))
        await befriend(ours, official)
        yield ours, official


@pytest.fixture(params=["ours", "official"])
def roles(request: pytest.FixtureRequest, pair: Pair) -> tuple[Side, Side]:
    """Who asks and who answers."""
    ours, official = pair
    return (ours, official) if request.param == "ours" else (official, ours)


@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_question_is_accepted(roles: tuple[Side, Side], name: str) -> None:
    asker, answerer = roles
    question = await QUESTIONS[name](asker, answerer)

    request_id = await asker.ask(answerer.address, question.item)
    asked = await answerer.is_asked(request_id)
    verdict = await answerer.can_accept(request_id, [question.decision])
    await answerer.accept(request_id, [question.decision])
    response = await asker.answer(request_id)

    assert asked["items"][0].items() >= question.item.items()
    assert verdict["isSuccess"] is True
    assert (response["result"], response["requestId"]) == ("Accepted", request_id)
    (answer,) = response["items"]
    assert (answer["@type"], answer["result"]) == (f"{question.answer_type}ResponseItem", "Accepted")
    if question.accepted is not None:
        await question.accepted(answer)


@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_question_is_rejected(roles: tuple[Side, Side], name: str) -> None:
    asker, answerer = roles
    question = await QUESTIONS[name](asker, answerer)

    request_id = await asker.ask(answerer.address, question.item)
    await answerer.is_asked(request_id)
    await answerer.reject(request_id, [{"accept": False, "code": "no.thanks", "message": "Not now."}])
    response = await asker.answer(request_id)

    assert response["result"] == "Rejected"
    (answer,) = response["items"]
    assert answer == {
        "@type": "RejectResponseItem",
        "result": "Rejected",
        "code": "no.thanks",
        "message": "Not now.",
    }
    if question.rejected is not None:
        await question.rejected()


GROUPED = ["authentication", "create for the identity", "form field, text", "read new", "share"]


async def test_groups_are_answered_item_by_item(roles: tuple[Side, Side]) -> None:
    asker, answerer = roles
    questions = [await QUESTIONS[name](asker, answerer) for name in GROUPED]
    optional = {**item("Authentication", title="If you like"), "mustBeAccepted": False}
    first = {
        "@type": "RequestItemGroup",
        "title": "Group",
        "description": "About you",
        "metadata": {"of": ["mine", 1]},
        "items": [question.item for question in questions[:3]],
    }
    second = {"@type": "RequestItemGroup", "items": [optional, questions[3].item]}

    request_id = await asker.ask(
        answerer.address, first, questions[4].item, second, title="All of it", description="Please", metadata={"a": 1}
    )
    asked = await answerer.is_asked(request_id)
    await answerer.accept(
        request_id,
        [
            {"items": [question.decision for question in questions[:3]]},
            questions[4].decision,
            {"items": [{"accept": False, "code": "later"}, questions[3].decision]},
        ],
    )
    response = await asker.answer(request_id)

    assert (asked["title"], asked["description"], asked["metadata"]) == ("All of it", "Please", {"a": 1})
    assert (asked["items"][0]["title"], asked["items"][0]["metadata"]) == ("Group", {"of": ["mine", 1]})
    assert [answer["@type"] for answer in response["items"]] == [
        "ResponseItemGroup",
        "AcceptResponseItem",
        "ResponseItemGroup",
    ]
    declined, last = response["items"][2]["items"]
    assert (declined["@type"], declined["code"]) == ("RejectResponseItem", "later")
    answers = [*response["items"][0]["items"], last, response["items"][1]]
    for question, answer in zip(questions, answers, strict=True):
        assert answer["@type"] == f"{question.answer_type}ResponseItem"
        if question.accepted is not None:
            await question.accepted(answer)


WRONG_DECISIONS: dict[str, tuple[list[Json], str]] = {
    "a group for an item": ([{"items": [{"accept": True}]}], "requestItemAnsweredAsRequestItemGroup"),
    "no to what must be": ([{"accept": False}], "mustBeAcceptedItemNotAccepted"),
}


@pytest.mark.parametrize("name", WRONG_DECISIONS)
async def test_both_refuse_the_same_decisions(roles: tuple[Side, Side], name: str) -> None:
    asker, answerer = roles
    decisions, code = WRONG_DECISIONS[name]
    request_id = await asker.ask(answerer.address, item("Authentication", title="Log in"))
    await answerer.is_asked(request_id)

    result = await answerer.can_accept(request_id, decisions)
    await answerer.reject(request_id, [{"accept": False}])
    await asker.answer(request_id)

    assert result["isSuccess"] is False
    assert result["items"][0]["code"] == f"error.consumption.requests.decide.validation.{code}"


async def test_both_refuse_the_same_requests(roles: tuple[Side, Side]) -> None:
    asker, answerer = roles
    shared = await share(asker, answerer, named(unique("Twice")))
    value = (await asker.attribute(shared))["content"]
    wrong = [
        item("ShareAttribute", attribute=value, attributeId=shared),
        item("DeleteAttribute", attributeId="ATT00000000000000000"),
        item("CreateAttribute", attribute={**value, "owner": asker.address}),
        item("FormField", title="Field", settings={"@type": "SelectionFormFieldSettings", "options": ["a", "a"]}),
    ]
    for each in wrong:
        result = await asker.can_ask(answerer.address, each)
        assert result["isSuccess"] is False
        assert result["code"] == "error.consumption.requests.validation.inheritedFromItem"
        assert result["items"][0]["code"] == "error.consumption.requests.invalidRequestItem"
