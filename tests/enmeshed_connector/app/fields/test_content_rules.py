"""Rules of attributes hold at the public interface: right values are taken, wrong ones are refused with their path.

The rows are those that `tests/enmeshed_connector/content` holds the rules against, and the official classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from enmeshed.content.v1 import attribute_pb2, identity_value_pb2, query_pb2
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from enmeshed_connector.content.code_lists import COUNTRIES, LANGUAGES
from tests.support import content_samples as samples
from tests.support.connector import RunningConnector
from tests.support.content_calls import CODEC, assert_items, exact, faults, is_latin
from tests.support.content_rules import (
    ATTRIBUTE_RULES,
    DATES_OF_BIRTH,
    HOSTILE_LINKS,
    NO_VALUE_TYPES,
    PART_RULES,
    QUERY_RULES,
    REQUIRED_PARTS,
    VALUE_RULES,
    item,
    without,
)
from tests.support.content_texts import (
    ALLOWED_TEXTS,
    FORBIDDEN_TEXTS,
    NATIONALLY_WRONG_ACCOUNTS,
    NO_QUERIES,
    OTHER_IBANS,
    REGISTERED_IBANS,
    with_check_digits,
)
from tests.support.named_calls import call

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

IDENTITY_VALUES, RELATIONSHIP_VALUES = samples.identity_values(), samples.relationship_values()
VALUES = IDENTITY_VALUES | RELATIONSHIP_VALUES


def creating(value: dict[str, Any], place: int = 0) -> dict[str, Any]:
    """Returns an item that has an attribute of this value created by the peer."""
    name = value.get("@type")
    if name in RELATIONSHIP_VALUES:
        attribute = samples.relationship_attribute(value, owner="", key=f"key {place}")
    else:
        attribute = samples.identity_attribute(value, owner="")
    return {"@type": "CreateAttributeRequestItem", "mustBeAccepted": False, "attribute": attribute}


def creations(name: str, key: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    return [creating({**VALUES[name], key: value}, place) for place, value in enumerate(values)]


@pytest.mark.parametrize("name", VALUE_RULES)
async def test_the_value_of_simple_types(alice: Client, name: str) -> None:
    right, wrong = VALUE_RULES[name]
    await assert_items(
        alice,
        creations(name, "value", right),
        [*creations(name, "value", wrong), creating(without(VALUES[name], "value"))],
        "attribute.value.value",
    )


@pytest.mark.parametrize(
    ("name", "key", "right", "wrong"), PART_RULES, ids=lambda part: part if isinstance(part, str) else ""
)
async def test_the_parts_of_values(alice: Client, name: str, key: str, right: list[Any], wrong: list[Any]) -> None:
    await assert_items(alice, creations(name, key, right), creations(name, key, wrong), f"attribute.value.{key}")


@pytest.mark.parametrize(("name", "keys"), REQUIRED_PARTS.items())
async def test_what_values_must_have(alice: Client, name: str, keys: list[str]) -> None:
    optional = [key for key in VALUES[name] if key not in (*keys, "@type", "link")]
    await assert_items(
        alice, [creating(without(VALUES[name], key), place) for place, key in enumerate(optional)], [], ""
    )
    for key in keys:
        await assert_items(alice, [], [creating(without(VALUES[name], key))], f"attribute.value.{key}")


@pytest.mark.parametrize("name", IDENTITY_VALUES)
async def test_own_attributes_follow_the_rules_of_their_values(alice: Client, name: str) -> None:
    """What a typed value can say of the rows of its type; other tests of this module tell of all rows."""
    rows = [("value", *VALUE_RULES[name])] if name in VALUE_RULES else []
    rows += [(key, right, wrong) for of_type, key, right, wrong in PART_RULES if of_type == name]
    assert rows
    for key, right, wrong in rows:
        for one in right:
            value = CODEC.from_json({**VALUES[name], key: one}, identity_value_pb2.IdentityAttributeValue)
            if value is not None:
                told = await call(alice, "Attributes.CanCreateAttribute", value=value)
                assert told.reason == ("" if is_latin({**VALUES[name], key: one}) else "FORBIDDEN_CHARACTERS"), (
                    key,
                    one,
                )
        for one in wrong:
            value = CODEC.from_json({**VALUES[name], key: one}, identity_value_pb2.IdentityAttributeValue)
            if value is not None:
                told = await call(alice, "Attributes.CanCreateAttribute", value=value)
                assert (told.reason, told.code) == ("CONTENT_INVALID", "error.runtime.validation.invalidPropertyValue")
                (field,) = await faults(alice, "Attributes.CreateAttribute", value=value)
                assert field.startswith(f"value.{key}"), field
    assert not (await call(alice, "Attributes.ListAttributes")).attributes


@pytest.mark.parametrize("name", RELATIONSHIP_VALUES)
async def test_attributes_of_relationships_follow_the_rules_of_their_values(
    running: RunningConnector, alice: Client, name: str
) -> None:
    rows = [("value", VALUE_RULES[name][1])] if name in VALUE_RULES else []
    rows += [(key, wrong) for of_type, key, _, wrong in PART_RULES if of_type == name]
    for key, wrong in rows:
        for one in wrong:
            content = samples.relationship_attribute({**VALUES[name], key: one}, owner="")
            attribute = CODEC.from_json(content, attribute_pb2.RelationshipAttribute)
            if attribute is not None:
                (field,) = await faults(
                    alice,
                    "Attributes.CreateAndShareRelationshipAttribute",
                    peer=running.accounts["bob"],
                    attribute=attribute,
                )
                assert field.startswith(f"attribute.value.{key}"), field
    assert not (await call(alice, "OutgoingRequests.ListOutgoingRequests")).requests


async def test_a_successor_follows_the_rules_too(alice: Client) -> None:
    made = (await call(alice, "Attributes.CreateAttribute", value={"givenName": {"value": "Ada"}})).attribute
    try:
        told = await faults(
            alice,
            "Attributes.SucceedAttribute",
            predecessorId=made.id,
            identity={"value": {"givenName": {"value": "a" * 101}}},
        )
        assert told == ["identity.value.value"]
    finally:
        await call(alice, "Attributes.DeleteAttribute", id=made.id)


async def test_texts_of_the_request_for_an_attribute_count_as_the_network_counts(
    running: RunningConnector, alice: Client
) -> None:
    """Letters outside of the basic plane count twice, other than in the rules of fields."""
    attribute = json_format.ParseDict(
        {
            "key": "k",
            "confidentiality": "RELATIONSHIP_ATTRIBUTE_CONFIDENTIALITY_PUBLIC",
            "value": {"proprietaryString": {"title": "t", "value": "v"}},
        },
        attribute_pb2.RelationshipAttribute(),
    )
    for texts, field in (
        ({"title": "😀" * 101}, "request.title"),
        ({"description": "😀" * 251}, "request.description"),
        ({"itemDescription": "😀" * 251}, "request.item_description"),
    ):
        told = await faults(
            alice,
            "Attributes.CreateAndShareRelationshipAttribute",
            peer=running.accounts["bob"],
            attribute=attribute,
            request=texts,
        )
        assert told == [field]


@pytest.mark.parametrize(("day", "paths"), DATES_OF_BIRTH)
async def test_a_date_of_birth_is_a_day_that_was(alice: Client, day: tuple[int, int, int], paths: list[str]) -> None:
    # The rows were asked on a day of their own; leap years stay leap years.
    year = day[2] + (100 if paths == ["value"] else -8)
    value = identity_value_pb2.BirthDate(day=day[0], month=day[1], year=year)
    told = await call(
        alice, "Attributes.CanCreateAttribute", value=identity_value_pb2.IdentityAttributeValue(birth_date=value)
    )
    assert told.is_success is not bool(paths)
    if paths:
        fields = await faults(
            alice, "Attributes.CreateAttribute", value=identity_value_pb2.IdentityAttributeValue(birth_date=value)
        )
        assert fields == paths


@pytest.mark.parametrize(
    ("codes", "name"),
    [(COUNTRIES, "Nationality"), (LANGUAGES, "CommunicationLanguage"), (COUNTRIES, "ProprietaryCountry")],
)
async def test_every_code_of_the_lists_is_taken_and_none_besides(
    alice: Client, codes: frozenset[str], name: str
) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    pairs = {first + second for first in letters for second in letters}
    pairs = pairs if codes is COUNTRIES else {pair.lower() for pair in pairs}
    assert len(codes) == (249 if codes is COUNTRIES else 183)
    await assert_items(alice, creations(name, "value", sorted(codes)), [], "attribute.value.value")
    wrong = sorted(pairs - codes)
    # So many faults are told at once; their texts are bounded, too.
    for start in range(0, len(wrong), 25):
        await assert_items(alice, [], creations(name, "value", wrong[start : start + 25]), "attribute.value.value")


async def test_account_numbers_have_the_right_digits(alice: Client) -> None:
    wrong = [*OTHER_IBANS, *(with_check_digits(*account) for account in NATIONALLY_WRONG_ACCOUNTS)]
    await assert_items(
        alice,
        creations("BankAccount", "iban", REGISTERED_IBANS),
        creations("BankAccount", "iban", wrong),
        "attribute.value.iban",
    )


@pytest.mark.parametrize("name", NO_VALUE_TYPES)
async def test_other_types_are_no_values(alice: Client, name: str) -> None:
    wrong = [creating({"@type": name, "value": "a"}), creating({"@type": name, "value": {}})]
    await assert_items(alice, [], wrong, "attribute.value.@type")


@pytest.mark.parametrize("text", HOSTILE_LINKS)
async def test_hostile_links_are_refused_in_no_time(alice: Client, text: str) -> None:
    await assert_items(alice, [], creations("Consent", "link", [text] * 50), "attribute.value.link")


async def test_attributes_hold_latin_text_only(alice: Client) -> None:
    for text in ALLOWED_TEXTS:
        if 0 < len(text.strip()) <= 100:
            value = {"displayName": {"value": text}}
            assert (await call(alice, "Attributes.CanCreateAttribute", value=value)).is_success, text
    for text in FORBIDDEN_TEXTS:
        # No client can write half a pair of code units into a message, and long texts break another rule first.
        if text != "\ud800" and len(text) < 100:
            value = {"displayName": {"value": f".{text}."}}
            told = await call(alice, "Attributes.CanCreateAttribute", value=value)
            assert told.reason == "FORBIDDEN_CHARACTERS", text
            with pytest.raises(ConnectorError) as caught:
                await call(alice, "Attributes.CreateAttribute", value=value)
            assert [violation.field for violation in caught.value.violations] == ["value.value"]
    long = samples.identity_values()["SchematizedXML"]
    await assert_items(alice, creating_all(long, [text for text in ALLOWED_TEXTS if 0 < len(text) <= 50_000]), [], "")
    for text in FORBIDDEN_TEXTS:
        if len(text) > 50_000:
            continue
        content = exact(samples.request(creating({**long, "value": text})))
        result = (await call(alice, "OutgoingRequests.ValidateOutgoingRequest", content=content)).result
        told = [(one.code, one.field) for one in result.items]
        expected = ("error.consumption.requests.invalidRequestItem", "content.items[0].attribute.value.value")
        assert told == [expected], text


def creating_all(value: dict[str, Any], texts: Sequence[str]) -> list[dict[str, Any]]:
    return [creating({**value, "value": text}, place) for place, text in enumerate(texts)]


# ---- attributes and queries ----


@pytest.mark.parametrize(("sample", "key", "right", "wrong"), ATTRIBUTE_RULES)
async def test_attributes(alice: Client, sample: dict[str, Any], key: str, right: list[Any], wrong: list[Any]) -> None:
    def items(values: list[Any]) -> list[dict[str, Any]]:
        return [
            item("CreateAttributeRequestItem", mustBeAccepted=False, attribute={**sample, "owner": "", key: value})
            for value in values
        ]

    # Whose an attribute may be, and which tags there are, is known to no rule of content.
    await assert_items(alice, items(right), items(wrong), f"attribute.{key}", is_valid=key not in ("owner", "tags"))


@pytest.mark.parametrize(("name", "key", "right", "wrong"), QUERY_RULES)
async def test_queries(alice: Client, name: str, key: str, right: list[Any], wrong: list[Any]) -> None:
    def items(values: list[Any]) -> list[dict[str, Any]]:
        query = samples.queries()[name]
        query = {**query, "owner": ""} if name == "RelationshipAttributeQuery" else without(query, "tags")
        return [item("ReadAttributeRequestItem", mustBeAccepted=False, query={**query, key: value}) for value in values]

    await assert_items(
        alice, items(right), items(wrong), f"query.{key}", is_valid=key not in ("owner", "tags", "queryString")
    )


EXECUTIONS: dict[str, tuple[str, type[Message]]] = {
    "IdentityAttributeQuery": ("ExecuteIdentityAttributeQuery", query_pb2.IdentityAttributeQuery),
    "RelationshipAttributeQuery": ("ExecuteRelationshipAttributeQuery", query_pb2.RelationshipAttributeQuery),
    "ThirdPartyRelationshipAttributeQuery": (
        "ExecuteThirdPartyRelationshipAttributeQuery",
        query_pb2.ThirdPartyRelationshipAttributeQuery,
    ),
    "IQLQuery": ("ExecuteIqlQuery", query_pb2.IQLQuery),
}


@pytest.mark.parametrize(("name", "key", "right", "wrong"), QUERY_RULES)
async def test_queries_that_are_executed(
    alice: Client, name: str, key: str, right: list[Any], wrong: list[Any]
) -> None:
    method, query_class = EXECUTIONS[name]
    for value in (*right, *wrong):
        query = CODEC.from_json({**samples.queries()[name], key: value}, query_class)
        # Texts in the query language have an error of their own, which the next test meets.
        if query is None or (key == "queryString" and value in wrong):
            continue
        told = await faults(alice, f"Attributes.{method}", query=query)
        assert bool(told) is (value in wrong), value
        assert all(field.startswith(f"query.{key}") for field in told), told


@pytest.mark.parametrize("text", NO_QUERIES)
async def test_what_is_no_query_is_not_executed(alice: Client, text: str) -> None:
    assert not (await call(alice, "Attributes.ValidateIqlQuery", query={"queryString": text})).is_valid
    with pytest.raises(ConnectorError) as caught:
        await call(alice, "Attributes.ExecuteIqlQuery", query={"queryString": text})
    assert caught.value.reason == "QUERY_INVALID"
    query = {"@type": "IQLQuery", "queryString": text}
    await assert_items(alice, [], [item("ReadAttributeRequestItem", query=query)], "query.queryString")
