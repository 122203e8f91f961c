"""What the configuration of the decider may hold, and how it is told what it may not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from enmeshed_connector.core.errors import Code
from enmeshed_connector.runtime.automation.decider.rules import RULE_MISMATCH, RulesInvalid, parse_rules

ATTRIBUTE = {"@type": "IdentityAttribute", "owner": "", "value": {"@type": "GivenName", "value": "Ada"}}
ODD = {**ATTRIBUTE, "value": {"@type": "GivenName", "value": "日本"}}
DATE = "2030-01-01T00:00:00.000Z"
PLAIN = [
    "AuthenticationRequestItem",
    "ConsentRequestItem",
    "CreateAttributeRequestItem",
    "FormFieldRequestItem",
    "ShareAttributeRequestItem",
    "ShareAuthorizationRequestRequestItem",
    "ShareCredentialOfferRequestItem",
    "TransferFileOwnershipRequestItem",
]
FORMS: dict[str, dict[str, Any]] = {
    "plain": {"accept": True},
    "deletionDate": {"accept": True, "deletionDate": DATE},
    "attribute": {"accept": True, "attribute": ATTRIBUTE},
    "newAttribute": {"accept": True, "newAttribute": ATTRIBUTE},
}
FITTING = dict.fromkeys(PLAIN, "plain") | {
    "DeleteAttributeRequestItem": "deletionDate",
    "ProposeAttributeRequestItem": "attribute",
    "ReadAttributeRequestItem": "newAttribute",
}


def rule(request: dict[str, Any], response: dict[str, Any]) -> list[Any]:
    return [{"requestConfig": request, "responseConfig": response}]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [*FITTING, None])
def test_the_response_fits_the_type_of_the_item(kind: str | None, form: str) -> None:
    config = rule({} if kind is None else {"content.item.@type": kind}, FORMS[form])
    if form == FITTING.get(kind or "", "plain"):
        (parsed,) = parse_rules(config, "here")
        assert parsed.accepts
        assert parsed.response == FORMS[form]
        return
    with pytest.raises(RulesInvalid) as caught:
        parse_rules(config, "here")
    assert caught.value.official_code == RULE_MISMATCH
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert all(one.field.startswith("here[0].responseConfig.") for one in caught.value.violations)


@pytest.mark.parametrize("kind", [*FITTING, None])
@pytest.mark.parametrize("more", [{}, {"code": "no"}, {"message": "No."}, {"code": "no", "message": "No."}])
def test_a_rejection_fits_everything(kind: str | None, more: dict[str, str]) -> None:
    config = rule({} if kind is None else {"content.item.@type": kind}, {"accept": False, **more})
    (parsed,) = parse_rules(config, "here")
    assert not parsed.accepts
    assert parsed.never_applies is (kind in ("AuthenticationRequestItem", "ConsentRequestItem"))


def test_several_types_need_a_response_that_fits_all() -> None:
    both = {"content.item.@type": ["CreateAttributeRequestItem", "ShareAttributeRequestItem"]}
    assert parse_rules(rule(both, {"accept": True}), "here")[0].item_types == tuple(both["content.item.@type"])
    mixed = {"content.item.@type": ["CreateAttributeRequestItem", "ReadAttributeRequestItem"]}
    with pytest.raises(RulesInvalid):
        parse_rules(rule(mixed, {"accept": True}), "here")


def test_conditions_are_parted_by_what_they_are_about() -> None:
    (parsed,) = parse_rules(
        rule(
            {"peer": "did:e:x", "content.item.@type": "CreateAttributeRequestItem", "content.item.attribute.key": "k"},
            {"accept": True},
        ),
        "here",
    )
    assert dict(parsed.request) == {"peer": "did:e:x"}
    assert dict(parsed.item) == {"@type": "CreateAttributeRequestItem", "attribute.key": "k"}


CREATE = {"content.item.@type": "CreateAttributeRequestItem"}
READ = {"content.item.@type": "ReadAttributeRequestItem"}
PROPOSE = {"content.item.@type": "ProposeAttributeRequestItem"}
VAULT = {**ATTRIBUTE, "value": {"@type": "Vault", "value": "Ada"}}
NO = {"accept": False}


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        ({}, ["here"]),
        ("text", ["here"]),
        (["text"], ["here[0]"]),
        ([{}], ["here[0].requestConfig", "here[0].responseConfig"]),
        ([{"requestConfig": {}, "responseConfig": NO, "more": 1}], ["here[0].more"]),
        (rule({"pear": "x"}, NO), ["here[0].requestConfig.pear"]),
        (rule({"peer": 1}, NO), ["here[0].requestConfig.peer"]),
        (rule({"peer": []}, NO), ["here[0].requestConfig.peer"]),
        (rule({"peer": ["x", None]}, NO), ["here[0].requestConfig.peer"]),
        (rule({"createdAt": "yesterday"}, NO), ["here[0].requestConfig.createdAt"]),
        (rule({"createdAt": ["2026-01-01", ">"]}, NO), ["here[0].requestConfig.createdAt"]),
        (rule({"content.metadata": None}, NO), ["here[0].requestConfig.content.metadata"]),
        (rule({"relationshipAlreadyExists": "true"}, NO), ["here[0].requestConfig.relationshipAlreadyExists"]),
        (rule({"source.type": "Mail"}, NO), ["here[0].requestConfig.source.type"]),
        (rule({"content.item.@type": "Item"}, NO), ["here[0].requestConfig.content.item.@type"]),
        (rule({"content.item.@type": ["Item"], "content.item.x": 1}, NO), ["here[0].requestConfig.content.item.@type"]),
        (rule({"content.item.colour": "red"}, NO), ["here[0].requestConfig.content.item.colour"]),
        (rule({"content.item.mustBeAccepted": "yes"}, NO), ["here[0].requestConfig.content.item.mustBeAccepted"]),
        (rule({**CREATE, "content.item.query.key": "k"}, NO), ["here[0].requestConfig.content.item.query.key"]),
        (rule({**CREATE, "content.item.mustBeAccepted": 1}, NO), ["here[0].requestConfig.content.item.mustBeAccepted"]),
        (
            rule({**CREATE, "content.item.attribute.tags": "x"}, NO),
            ["here[0].requestConfig.content.item.attribute.tags"],
        ),
        (rule({}, {}), ["here[0].responseConfig.accept"]),
        (rule({}, {"accept": 1}), ["here[0].responseConfig.accept"]),
        (rule({}, {"accept": False, "why": "x"}), ["here[0].responseConfig.why"]),
        (rule({}, {"accept": False, "code": 1}), ["here[0].responseConfig.code"]),
        (rule({}, {"accept": False, "code": "c" * 201}), ["here[0].responseConfig.code"]),
        (rule({}, {"accept": False, "message": "😀" * 501}), ["here[0].responseConfig.message"]),
        (rule({}, {"accept": False, "message": None}), ["here[0].responseConfig.message"]),
        (rule(READ, {"accept": True, "newAttribute": VAULT}), ["here[0].responseConfig.newAttribute.value.@type"]),
        (rule(READ, {"accept": True, "newAttribute": ODD}), ["here[0].responseConfig.newAttribute.value.value"]),
        (rule(PROPOSE, {"accept": True, "attribute": {}}), ["here[0].responseConfig.attribute"]),
        (
            rule(PROPOSE, {"accept": True, "attribute": {"@type": "IdentityAttribute", "value": {}}}),
            ["here[0].responseConfig.attribute.owner", "here[0].responseConfig.attribute.value.@type"],
        ),
        (rule(CREATE, {"accept": True, "message": "x"}), ["here[0].responseConfig.message"]),
        (rule(CREATE, {"accept": True, "deletionDate": "soon"}), ["here[0].responseConfig.deletionDate"]),
        (rule(CREATE, {"accept": True, "attribute": "x"}), ["here[0].responseConfig.attribute"]),
        (
            [*rule({}, NO), *rule({"pear": "x"}, NO), *rule({}, {})],
            ["here[1].requestConfig.pear", "here[2].responseConfig.accept"],
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_path(config: Any, paths: list[str]) -> None:
    with pytest.raises(RulesInvalid) as caught:
        parse_rules(config, "here")
    assert [one.field for one in caught.value.violations] == paths
    assert caught.value.official_code is None
    assert all(path in caught.value.message for path in paths)


def test_conditions_on_items_need_no_type_where_no_more_than_a_yes_is_needed() -> None:
    conditions = {"content.item.mustBeAccepted": False, "content.item.query.key": "key"}
    (parsed,) = parse_rules(rule(conditions, {"accept": True}), "here")
    assert (dict(parsed.item), parsed.item_types) == ({"mustBeAccepted": False, "query.key": "key"}, ())
    with pytest.raises(RulesInvalid) as caught:
        parse_rules(rule(conditions, FORMS["newAttribute"]), "here")
    assert caught.value.official_code == RULE_MISMATCH


def test_no_rules_are_fine() -> None:
    assert parse_rules([], "here") == ()


def test_a_rule_may_say_as_much_as_peers_read() -> None:
    (parsed,) = parse_rules(rule({}, {"accept": False, "code": "c" * 200, "message": "😀" * 500}), "here")
    assert not parsed.accepts


def test_what_becomes_right_or_wrong_by_time_stops_no_start() -> None:
    born = {"@type": "BirthDate", "day": 1, "month": 1, "year": 2999}
    parse_rules(rule(READ, {"accept": True, "newAttribute": {**ATTRIBUTE, "value": born}}), "here")
    delete = {"content.item.@type": "DeleteAttributeRequestItem"}
    (parsed,) = parse_rules(rule(delete, FORMS["deletionDate"]), "here")
    day = timedelta(days=1)
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert [parsed.promises_too_late(now) for now in (moment - day, moment, moment + day)] == [False, False, True]
    (other,) = parse_rules(rule({}, {"accept": True}), "here")
    assert not other.promises_too_late(moment)
