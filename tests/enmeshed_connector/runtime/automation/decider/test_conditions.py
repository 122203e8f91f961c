"""Every condition of the official form, fulfilled and not."""

from typing import Any

import pytest
from hypothesis import given

from enmeshed_connector.runtime.automation.decider.conditions import (
    ITEM_CONDITIONS,
    REQUEST_CONDITIONS,
    Kind,
    is_date_condition,
    item_fulfils,
    request_fulfils,
)
from tests.support.json_strategies import json_values

PEER = "did:e:localhost:dids:0123456789abcdef012345"
REQUEST: dict[str, Any] = {
    "peer": PEER,
    "createdAt": "2026-03-01T12:00:00.000Z",
    "source": {"type": "Message", "reference": "MSG00000000000000001"},
    "content": {
        "@type": "Request",
        "expiresAt": "2026-04-01T00:00:00.000Z",
        "title": "Title",
        "description": "Description",
        "metadata": {"a": 1, "b": [True, None]},
        "items": [],
    },
}


@pytest.mark.parametrize(
    ("name", "value", "is_fulfilled"),
    [
        ("peer", PEER, True),
        ("peer", PEER + "0", False),
        ("peer", ["did:e:other", PEER], True),
        ("peer", ["did:e:other"], False),
        ("createdAt", "2026-03-01T12:00:00.000Z", True),
        ("createdAt", "2026-03-01T13:00:00.000+01:00", True),
        ("createdAt", "2026-03-01T12:00:00.001Z", False),
        ("createdAt", ">2026-03-01T11:59:59.999Z", True),
        ("createdAt", ">2026-03-01T12:00:00.000Z", False),
        ("createdAt", "<2026-03-01T12:00:00.001Z", True),
        ("createdAt", "<2026-03-01T12:00:00.000Z", False),
        ("createdAt", [">2026-02-01", "<2026-04-01"], True),
        ("createdAt", [">2026-02-01", "<2026-03-01"], False),
        ("createdAt", ["2026-03-01T12:00:00.000Z", "2026-03-02"], False),
        ("source.type", "Message", True),
        ("source.type", "RelationshipTemplate", False),
        ("source.type", ["RelationshipTemplate", "Message"], True),
        ("content.expiresAt", "<2026-04-02", True),
        ("content.expiresAt", ">2026-04-02", False),
        ("content.title", "Title", True),
        ("content.title", "title", False),
        ("content.title", ["Other", "Title"], True),
        ("content.description", "Description", True),
        ("content.description", ["Other"], False),
        ("content.metadata", {"b": [True, None], "a": 1}, True),
        ("content.metadata", {"a": 1}, False),
        ("content.metadata", {"a": True, "b": [True, None]}, False),
        ("content.metadata", [{"a": 1}, {"a": 1, "b": [True, None]}], True),
        ("content.metadata", [{"a": 1}, {"a": 1, "b": [None, True]}], False),
        ("relationshipAlreadyExists", True, True),
        ("relationshipAlreadyExists", False, False),
    ],
)
def test_a_condition_on_the_request(name: str, value: Any, is_fulfilled: bool) -> None:
    assert request_fulfils({name: value}, REQUEST, relationship_exists=True) is is_fulfilled


def test_no_relationship_is_a_condition_too() -> None:
    assert request_fulfils({"relationshipAlreadyExists": False}, REQUEST, relationship_exists=False)
    assert not request_fulfils({"relationshipAlreadyExists": True}, REQUEST, relationship_exists=False)


def test_all_conditions_must_be_fulfilled() -> None:
    assert request_fulfils({}, REQUEST, relationship_exists=False)
    assert request_fulfils({"peer": PEER, "content.title": "Title"}, REQUEST, relationship_exists=False)
    assert not request_fulfils({"peer": PEER, "content.title": "Other"}, REQUEST, relationship_exists=False)


@pytest.mark.parametrize("name", sorted(set(REQUEST_CONDITIONS) - {"relationshipAlreadyExists"}))
def test_what_a_request_lacks_fulfils_nothing(name: str) -> None:
    values: dict[Kind, Any] = {Kind.TEXT: "x", Kind.DATE: ">2020-01-01", Kind.ANY: {}}
    assert not request_fulfils({name: values[REQUEST_CONDITIONS[name]]}, {"content": {}}, relationship_exists=True)


def attribute_item(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "@type": kind,
        "mustBeAccepted": True,
        "description": "Please",
        "metadata": {"k": "v"},
        "attribute": {
            "@type": "RelationshipAttribute",
            "owner": PEER,
            "key": "key",
            "tags": ["x:one", "x:two"],
            "isTechnical": False,
            "confidentiality": "public",
            "value": {"@type": "ProprietaryInteger", "title": "T", "description": "D", "value": 1},
        },
        **more,
    }


QUERY = {
    "@type": "RelationshipAttributeQuery",
    "key": "key",
    "owner": PEER,
    "valueType": "ProprietaryString",
    "queryString": "#x",
    "tags": ["x:one"],
    "attributeCreationHints": {
        "title": "T",
        "description": "D",
        "valueType": "ProprietaryString",
        "confidentiality": "private",
        "tags": ["x:hint"],
    },
}
BASE: list[tuple[str, Any, Any]] = [
    ("mustBeAccepted", True, False),
    ("description", "Please", "please"),
    ("description", ["Please", "x"], ["x"]),
    ("metadata", {"k": "v"}, {"k": "w"}),
    ("metadata", [{"k": "w"}, {"k": "v"}], [{}]),
]
ATTRIBUTE: list[tuple[str, Any, Any]] = [
    ("attribute.@type", "RelationshipAttribute", "IdentityAttribute"),
    ("attribute.tags", ["x:three", "x:two"], ["x:three"]),
    ("attribute.key", "key", ["other"]),
    ("attribute.isTechnical", False, True),
    ("attribute.confidentiality", ["public", "private"], "protected"),
    ("attribute.value.@type", "ProprietaryInteger", "ProprietaryFloat"),
    ("attribute.value.value", 1, True),
    ("attribute.value.value", ["1", 1], "1"),
    ("attribute.value.title", "T", "t"),
    ("attribute.value.description", "D", ["d"]),
]
OWNER: list[tuple[str, Any, Any]] = [("attribute.owner", PEER, "")]
QUERIES: list[tuple[str, Any, Any]] = [
    ("query.@type", "RelationshipAttributeQuery", "IQLQuery"),
    ("query.valueType", "ProprietaryString", "GivenName"),
    ("query.tags", ["x:one", "x:other"], ["x:other"]),
    ("query.key", "key", ["x"]),
    ("query.queryString", "#x", "#y"),
    ("query.attributeCreationHints.title", "T", "D"),
    ("query.attributeCreationHints.description", "D", "T"),
    ("query.attributeCreationHints.valueType", "ProprietaryString", ["GivenName"]),
    ("query.attributeCreationHints.confidentiality", "private", "public"),
    ("query.attributeCreationHints.tags", ["x:hint"], ["x:one"]),
]
QUERY_OWNER: list[tuple[str, Any, Any]] = [("query.owner", PEER, ["", "x"])]
CASES: dict[str, list[tuple[str, Any, Any]]] = {
    "AuthenticationRequestItem": BASE,
    "ConsentRequestItem": BASE,
    "CreateAttributeRequestItem": BASE + ATTRIBUTE + OWNER,
    "DeleteAttributeRequestItem": BASE,
    "FormFieldRequestItem": BASE,
    "ProposeAttributeRequestItem": BASE + ATTRIBUTE + QUERIES,
    "ReadAttributeRequestItem": BASE + QUERIES + QUERY_OWNER,
    "ShareAttributeRequestItem": BASE + ATTRIBUTE + OWNER,
    "ShareAuthorizationRequestRequestItem": BASE,
    "ShareCredentialOfferRequestItem": BASE,
    "TransferFileOwnershipRequestItem": BASE,
}


@pytest.mark.parametrize(
    ("kind", "name", "fulfilled", "missed"), [(kind, *case) for kind, cases in CASES.items() for case in cases]
)
def test_a_condition_on_an_item(kind: str, name: str, fulfilled: Any, missed: Any) -> None:
    item = attribute_item(kind, query=QUERY)
    assert item_fulfils({"@type": kind, name: fulfilled}, item)
    assert not item_fulfils({"@type": kind, name: missed}, item)
    assert not item_fulfils({"@type": kind, name: fulfilled}, {"@type": kind})


def test_every_condition_has_a_case() -> None:
    tried = {kind: {name for name, _, _ in cases} for kind, cases in CASES.items()}
    assert tried == {kind: set(names) - {"@type"} for kind, names in ITEM_CONDITIONS.items()}


def test_the_type_of_an_item_is_one_of_several() -> None:
    item = attribute_item("ShareAttributeRequestItem")
    assert item_fulfils({"@type": ["CreateAttributeRequestItem", "ShareAttributeRequestItem"]}, item)
    assert not item_fulfils({"@type": ["CreateAttributeRequestItem"]}, item)


@pytest.mark.parametrize(
    ("text", "is_date"),
    [
        ("2026-01-01", True),
        (">2026-01-01T00:00:00.000Z", True),
        ("<2026-01-01", True),
        ("", False),
        (">", False),
        (">>2026-01-01", False),
        ("=2026-01-01", False),
        ("2026-13-01", False),
    ],
)
def test_dates_of_conditions(text: str, is_date: bool) -> None:
    assert is_date_condition(text) is is_date


@given(json_values())
def test_nothing_that_a_peer_writes_breaks_the_comparison(value: Any) -> None:
    request = {"peer": value, "createdAt": value, "source": value, "content": value}
    for name, kind in REQUEST_CONDITIONS.items():
        wanted: dict[Kind, Any] = {Kind.TEXT: "x", Kind.DATE: "<2026-01-01", Kind.ANY: {"a": 1}, Kind.TRUTH: False}
        request_fulfils({name: wanted[kind]}, request, relationship_exists=True)
    for conditions in ITEM_CONDITIONS.values():
        for name in conditions:
            item_fulfils({name: ["x"]}, {"@type": value, "attribute": value, "query": value, "metadata": value})
