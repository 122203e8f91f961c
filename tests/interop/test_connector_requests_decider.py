"""Requests that are answered by rules: those of an official peer to ours, and ours to those of an official peer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import Peers
from tests.interop.questions import NAME_QUERY, identity_attribute, item, named
from tests.interop.sides import Json, OfficialSide, OurSide, Side, befriend, our_sides

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

RULES: list[Json] = [
    {
        "requestConfig": {
            "content.item.@type": "ReadAttributeRequestItem",
            "content.item.query.valueType": "DisplayName",
        },
        "responseConfig": {"accept": True, "newAttribute": identity_attribute(named("Automaton"))},
    },
    {
        "requestConfig": {
            "content.item.@type": "ReadAttributeRequestItem",
            "content.item.query.valueType": "JobTitle",
        },
        "responseConfig": {
            "accept": True,
            "newAttribute": identity_attribute({"@type": "JobTitle", "value": "Machine"}),
        },
    },
    {
        "requestConfig": {"content.item.@type": ["ShareAttributeRequestItem", "CreateAttributeRequestItem"]},
        "responseConfig": {"accept": True},
    },
    {
        "requestConfig": {"content.title": "Unwanted"},
        "responseConfig": {"accept": False, "code": "by.rule", "message": "Never."},
    },
]
"""The same for both deciders."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(
    backbone: BackboneProcess, peers: Peers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[OurSide, OfficialSide]]:
    """Our side and an official one, both with the same rules, and an active relationship."""
    folder = tmp_path_factory.mktemp("ours")
    rules = folder / "rules.json"
    rules.write_text(json.dumps(RULES))
    overrides = {"accounts.account0.decider.automation_config_file": str(rules)}
    async with our_sides(backbone.base_url, folder / "data", overrides=overrides) as (ours,):
        modules = ["request", "decider", "notification"]
        official = OfficialSide(await peers.start(modules=modules, automation=RULES))
        await befriend(ours, official)
        yield ours, official


@pytest.fixture(params=["ours", "official"])
def sides(request: pytest.FixtureRequest, pair: tuple[Side, Side]) -> tuple[Side, Side]:
    """Who asks and whose decider answers."""
    ours, official = pair
    return (ours, official) if request.param == "ours" else (official, ours)


async def test_a_question_is_answered_by_a_rule(sides: tuple[Side, Side]) -> None:
    asker, decider = sides
    request_id = await asker.ask(decider.address, item("ReadAttribute", query=NAME_QUERY))
    await decider.is_decided(request_id)
    response = await asker.answer(request_id)

    assert response["result"] == "Accepted"
    (answer,) = response["items"]
    assert answer["attribute"]["value"] == named("Automaton")
    assert (await asker.attribute(answer["attributeId"]))["peer"] == decider.address


async def test_items_in_a_group_are_answered_by_different_rules(sides: tuple[Side, Side]) -> None:
    asker, decider = sides
    value = {"@type": "Website", "value": "https://www.example.org"}
    created = item("CreateAttribute", attribute=identity_attribute(value))
    query = {"@type": "IdentityAttributeQuery", "valueType": "JobTitle"}
    group = {"@type": "RequestItemGroup", "items": [created, item("ReadAttribute", query=query)]}

    request_id = await asker.ask(decider.address, group)
    await decider.is_decided(request_id)
    response = await asker.answer(request_id)

    assert response["result"] == "Accepted"
    assert len(response["items"][0]["items"]) == 2


async def test_a_rule_rejects(sides: tuple[Side, Side]) -> None:
    asker, decider = sides
    optional = {**item("FormField", title="Field", settings={"@type": "BooleanFormFieldSettings"})}
    request_id = await asker.ask(decider.address, optional, title="Unwanted")
    await decider.is_decided(request_id)
    response = await asker.answer(request_id)

    assert response["result"] == "Rejected"
    assert (response["items"][0]["code"], response["items"][0]["message"]) == ("by.rule", "Never.")


@pytest.mark.parametrize("kind", ["Consent", "FormField"])
async def test_what_no_rule_decides_waits_for_a_person(sides: tuple[Side, Side], kind: str) -> None:
    asker, decider = sides
    asked = {
        # Consent is for people even where a rule would fit.
        "Consent": item("Consent", consent="I do."),
        "FormField": item("FormField", title="Field", settings={"@type": "BooleanFormFieldSettings"}),
    }[kind]
    decision = {"accept": True} | ({"response": True} if kind == "FormField" else {})

    request_id = await asker.ask(decider.address, asked)
    await decider.is_left_to_people(request_id)
    await decider.accept(request_id, [decision])

    assert (await asker.answer(request_id))["result"] == "Accepted"
