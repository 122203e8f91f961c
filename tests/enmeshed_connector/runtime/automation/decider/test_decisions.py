"""Which rule decides which item, and what follows for the request."""

from typing import Any

import pytest
from hypothesis import given

from enmeshed_connector.runtime.automation.decider.decisions import RequestVerdict, Verdict, decide
from enmeshed_connector.runtime.automation.decider.rules import parse_rules
from tests.support.json_strategies import json_values

YES: dict[str, Any] = {"accept": True}
NO: dict[str, Any] = {"accept": False, "code": "no", "message": "No."}
NEW = {
    "accept": True,
    "newAttribute": {"@type": "IdentityAttribute", "owner": "", "value": {"@type": "GivenName", "value": "Ada"}},
}


def items_of(*kinds: Any) -> list[dict[str, Any]]:
    return [
        {"@type": "RequestItemGroup", "items": items_of(*kind)}
        if isinstance(kind, list)
        else {"@type": f"{kind}RequestItem", "mustBeAccepted": False}
        for kind in kinds
    ]


def about(kind: str | None, response: dict[str, Any], **conditions: Any) -> dict[str, Any]:
    request = dict(conditions) if kind is None else {"content.item.@type": f"{kind}RequestItem", **conditions}
    return {"requestConfig": request, "responseConfig": response}


def verdict_of(config: list[Any], *kinds: Any, relationship_exists: bool = False) -> RequestVerdict:
    request = {
        "peer": "did:e:peer",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "source": {"type": "Message"},
        "content": {"@type": "Request", "items": items_of(*kinds)},
    }
    return decide(parse_rules(config, "rules"), request, relationship_exists=relationship_exists)


def by_rule(verdict: RequestVerdict) -> dict[tuple[int, ...], int | None]:
    return {item.path: item.rule for item in verdict.items}


@pytest.mark.parametrize("kind", ["Authentication", "Consent"])
@pytest.mark.parametrize("is_grouped", [False, True])
def test_some_items_always_wait_for_a_person(kind: str, is_grouped: bool) -> None:
    kinds: list[Any] = ["CreateAttribute", [kind] if is_grouped else kind]
    verdict = verdict_of([about(None, NO), about(None, YES), about(kind, YES)], *kinds)
    assert verdict.verdict is Verdict.MANUAL
    assert kind in verdict.why
    assert verdict.decisions == ()


def test_without_rules_a_person_decides() -> None:
    verdict = verdict_of([], "CreateAttribute")
    assert verdict.verdict is Verdict.MANUAL
    assert by_rule(verdict) == {(0,): None}


def test_the_first_rule_that_fits_decides_an_item() -> None:
    verdict = verdict_of(
        [about("ReadAttribute", NO), about("CreateAttribute", YES), about(None, NO)], "CreateAttribute"
    )
    assert verdict.verdict is Verdict.ACCEPT
    assert by_rule(verdict) == {(0,): 1}
    assert verdict.decisions == (YES,)


def test_later_rules_decide_what_is_left() -> None:
    verdict = verdict_of(
        [about("CreateAttribute", YES), about("ReadAttribute", NEW), about(None, NO)],
        "ReadAttribute",
        "CreateAttribute",
        "DeleteAttribute",
    )
    assert verdict.verdict is Verdict.ACCEPT
    assert by_rule(verdict) == {(0,): 1, (1,): 0, (2,): 2}
    assert verdict.decisions == (NEW, YES, NO)


def test_an_item_that_no_rule_decides_leaves_the_request_to_a_person() -> None:
    verdict = verdict_of([about("CreateAttribute", YES)], "CreateAttribute", "ReadAttribute")
    assert verdict.verdict is Verdict.MANUAL
    assert by_rule(verdict) == {(0,): 0, (1,): None}


def test_a_request_whose_items_are_all_rejected_is_rejected() -> None:
    verdict = verdict_of([about(None, NO)], "CreateAttribute", ["ReadAttribute"])
    assert verdict.verdict is Verdict.REJECT
    assert verdict.decisions == (NO, {"items": [NO]})


def test_one_accepted_item_accepts_the_request() -> None:
    verdict = verdict_of([about("CreateAttribute", YES), about(None, NO)], ["ReadAttribute", "CreateAttribute"])
    assert verdict.verdict is Verdict.ACCEPT
    assert verdict.decisions == ({"items": [NO, YES]},)


def test_decisions_mirror_groups() -> None:
    verdict = verdict_of(
        [about("CreateAttribute", YES), about(None, NO)],
        ["CreateAttribute", "ReadAttribute"],
        "ReadAttribute",
        ["DeleteAttribute"],
    )
    assert verdict.decisions == ({"items": [YES, NO]}, NO, {"items": [NO]})
    assert [item.path for item in verdict.items] == [(0, 0), (0, 1), (1,), (2, 0)]


@pytest.mark.parametrize(
    ("kind", "is_accepted"),
    [
        ("CreateAttribute", True),
        ("ShareAttribute", True),
        ("DeleteAttribute", False),
        ("FormField", False),
        ("ProposeAttribute", False),
        ("ReadAttribute", False),
        ("ShareAuthorizationRequest", False),
        ("ShareCredentialOffer", False),
        ("TransferFileOwnership", False),
    ],
)
def test_a_general_rule_accepts_only_what_needs_no_more(kind: str, is_accepted: bool) -> None:
    verdict = verdict_of([about(None, YES)], kind)
    assert verdict.verdict is (Verdict.ACCEPT if is_accepted else Verdict.MANUAL)
    assert verdict_of([about(None, NO)], kind).verdict is Verdict.REJECT


def test_a_rule_without_a_type_is_about_all_items_that_fulfil_it() -> None:
    config = [about(None, YES, **{"content.item.mustBeAccepted": False}), about(None, NO)]
    assert by_rule(verdict_of(config, "TransferFileOwnership", "CreateAttribute")) == {(0,): 0, (1,): 0}
    config = [about(None, YES, **{"content.item.attribute.key": "key"}), about(None, NO)]
    assert by_rule(verdict_of(config, "ReadAttribute", "CreateAttribute")) == {(0,): 1, (1,): 1}


def test_conditions_on_the_request_choose_the_rule() -> None:
    config = [
        about("CreateAttribute", NO, relationshipAlreadyExists=False),
        about("CreateAttribute", YES, peer=["did:e:peer", "did:e:other"]),
    ]
    assert by_rule(verdict_of(config, "CreateAttribute")) == {(0,): 0}
    assert by_rule(verdict_of(config, "CreateAttribute", relationship_exists=True)) == {(0,): 1}


def test_a_decision_is_no_part_of_the_rules() -> None:
    rules = parse_rules([about("CreateAttribute", YES)], "rules")
    request = {"content": {"items": items_of("CreateAttribute")}}
    decide(rules, request, relationship_exists=False).decisions[0]["accept"] = False
    assert decide(rules, request, relationship_exists=False).decisions == (YES,)


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        {"items": []},
        {"items": {}},
        {"items": ["x"]},
        {"items": [{"@type": "RequestItemGroup"}]},
        {"items": [{"@type": "RequestItemGroup", "items": []}]},
        {"items": [*items_of("CreateAttribute"), 1]},
    ],
)
def test_what_cannot_be_read_is_left_to_a_person(content: Any) -> None:
    verdict = decide(parse_rules([about(None, NO)], "rules"), {"content": content}, relationship_exists=False)
    assert verdict.verdict is Verdict.MANUAL
    assert verdict.why


@given(json_values())
def test_nothing_that_a_peer_writes_breaks_the_decision(value: Any) -> None:
    rules = parse_rules([about("CreateAttribute", YES, peer="x"), about(None, NO)], "rules")
    decide(rules, {"content": value}, relationship_exists=False)
    decide(rules, {"peer": value, "content": {"items": [value]}}, relationship_exists=True)
    decide(rules, {"content": {"items": [{"@type": value, "items": value}]}}, relationship_exists=True)
