"""Errors about requests, decisions, attributes and mails name the path of the wrong field, as the caller wrote it.

Each row breaks a rule that is not one of content alone; those are met in `test_content_rules` and `test_request_rules`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from enmeshed_client import Connector as Client
from tests.support.connector import RunningConnector
from tests.support.named_calls import call, failure, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

EXPIRY = "2099-01-01T00:00:00Z"
LONG, FOREIGN = "a" * 101, "日本"
UNKNOWN = "ATT00000000000000001"
SEVERAL = {"options": ["a", "b"], "allowMultipleSelection": True}
GIVEN_NAME = {"identity": {"valueType": "GivenName"}}


@dataclass(frozen=True)
class Stage:
    """Two accounts with a relationship."""

    alice: Client
    bob: Client
    accounts: dict[str, str]


@pytest_asyncio.fixture(loop_scope="module")
async def stage(running: RunningConnector) -> AsyncIterator[Stage]:
    async with running.client("alice") as alice, running.client("bob") as bob:
        yield Stage(alice, bob, dict(running.accounts))


def name(value: str, owner: str = "", **more: Any) -> dict[str, Any]:
    """Returns an identity attribute."""
    return {"owner": owner, "value": {"givenName": {"value": value}}, **more}


def said(owner: str = "", **more: Any) -> dict[str, Any]:
    """Returns an attribute of a relationship."""
    given = {"value": {"proprietaryString": {"title": "t", "value": "v"}}, **more}
    return {"owner": owner, "key": "k", "confidentiality": "RELATIONSHIP_ATTRIBUTE_CONFIDENTIALITY_PUBLIC", **given}


def fields(error: Any) -> list[str]:
    return [violation.field for violation in error.violations]


# ---- requests to peers, by message and template ----


def items_to_ask(accounts: dict[str, str]) -> dict[str, tuple[dict[str, Any], str]]:
    """Returns items that may not be asked, each with the field of it that is wrong."""
    alice, bob = accounts["alice"], accounts["bob"]
    third = {"key": "k", "owner": 2}
    hints = {"title": "t", "valueType": "ProprietaryString", "confidentiality": 1}
    tagged = {"valueType": "GivenName", "tags": ["x:a", "nonsense"]}
    created = {
        "characters": ({"identity": name(FOREIGN)}, "value.value"),
        "characters of a relationship": (
            {"relationship": said(value={"proprietaryString": {"title": "t", "value": FOREIGN}})},
            "value.value",
        ),
        "tags": ({"identity": name("Bo", tags=["x:a", "nonsense"])}, "tags[1]"),
        "own identity": ({"identity": name("Bo", alice)}, "owner"),
        "stranger": ({"identity": name("Bo", alice[:-2] + "00")}, "owner"),
    }
    read = {
        "tags of a query": ({"identity": tagged}, "tags[1]"),
        "tags of an expression": (
            {"iql": {"queryString": "GivenName", "attributeCreationHints": tagged}},
            "attributeCreationHints.tags[1]",
        ),
        "owner of a query": (
            {"relationship": {"key": "q", "owner": bob[:-2] + "00", "attributeCreationHints": hints}},
            "owner",
        ),
        "the one who asks": ({"thirdPartyRelationship": {**third, "thirdParty": ["x", alice]}}, "thirdParty[1]"),
        "the one who is asked": ({"thirdPartyRelationship": {**third, "thirdParty": [bob]}}, "thirdParty[0]"),
    }
    proposed = {
        "proposal's owner": ({"identity": name("Bo", bob)}, "owner"),
        "proposal's characters": ({"identity": name(FOREIGN)}, "value.value"),
        "proposal's tags": ({"identity": name("Bo", tags=["nonsense"])}, "tags[0]"),
    }
    return {
        **{
            what: ({"createAttribute": {"mustBeAccepted": True, "attribute": attribute}}, f"attribute.{path}")
            for what, (attribute, path) in created.items()
        },
        **{
            what: ({"readAttribute": {"mustBeAccepted": True, "query": query}}, f"query.{path}")
            for what, (query, path) in read.items()
        },
        **{
            what: (
                {"proposeAttribute": {"mustBeAccepted": True, "query": GIVEN_NAME, "attribute": attribute}},
                f"attribute.{path}",
            )
            for what, (attribute, path) in proposed.items()
        },
        "deletion": ({"deleteAttribute": {"mustBeAccepted": True, "attributeId": UNKNOWN}}, "attributeId"),
        "share": (
            {
                "shareAttribute": {
                    "mustBeAccepted": True,
                    "attributeId": UNKNOWN,
                    "attribute": {"identity": name("Bo", alice)},
                }
            },
            "attributeId",
        ),
        "bounds": (
            {
                "formField": {
                    "title": "t",
                    "mustBeAccepted": True,
                    "settings": {"stringField": {"min": 5, "max": 3}},
                }
            },
            "settings.max",
        ),
    }


ITEMS = sorted(items_to_ask({"alice": "did:e:a:dids:0000", "bob": "did:e:b:dids:0000"}))


@pytest.mark.parametrize("what", ITEMS)
async def test_a_request_names_the_wrong_field_of_its_items(stage: Stage, what: str) -> None:
    wrong, path = items_to_ask(stage.accounts)[what]
    fine = {"consent": {"consent": "c", "mustBeAccepted": False}}
    content = {"items": [fine, wrong, {"group": {"items": [fine, wrong]}}]}
    expected = [f"items[1].{path}", f"items[2].items[1].{path}"]
    given = {"peer": stage.accounts["bob"], "content": {"request": content}}
    for method in ("OutgoingRequests.CreateOutgoingRequest", "Messages.SendRequest"):
        refused = await failure(stage.alice, method, **given)
        assert fields(refused) == [f"content.{one}" for one in expected], method
    (_, single, group) = (await call(stage.alice, "OutgoingRequests.ValidateOutgoingRequest", **given)).result.items
    assert [single.field, group.field, *(one.field for one in group.items)] == [
        f"content.{expected[0]}",
        "",
        "",
        f"content.{expected[1]}",
    ]
    if what == "the one who is asked":
        # Who that will be is not known when a template is made.
        return
    for place in ("onNewRelationship", "onExistingRelationship"):
        template = {"relationshipTemplateContent": {"onNewRelationship": {"items": [fine]}, place: content}}
        refused = await failure(
            stage.alice, "RelationshipTemplates.CreateTemplate", content=template, expireTime=EXPIRY
        )
        assert fields(refused) == [f"content.{place}.{one}" for one in expected]


async def test_a_request_that_is_overdue_names_its_expiry(stage: Stage) -> None:
    content = {"expiresAt": "2001-01-01T00:00:00Z", "items": [{"consent": {"consent": "c"}}]}
    given = {"peer": stage.accounts["bob"], "content": {"request": content}}
    refused = await failure(stage.alice, "OutgoingRequests.CreateOutgoingRequest", **given)
    assert (refused.reason, fields(refused)) == ("TIME_IN_PAST", ["content.expiresAt"])
    told = await call(stage.alice, "OutgoingRequests.ValidateOutgoingRequest", **given)
    assert told.result.field == "content.expiresAt"


async def test_a_request_to_oneself_names_the_peer(stage: Stage) -> None:
    consent = {"items": [{"consent": {"consent": "c"}}]}
    given = {"peer": stage.accounts["alice"], "content": {"request": consent}}
    for method in ("OutgoingRequests.CreateOutgoingRequest", "Messages.SendRequest"):
        refused = await failure(stage.alice, method, **given)
        assert (refused.reason, fields(refused)) == ("REQUEST_TO_SELF", ["peer"]), method
    told = await call(stage.alice, "OutgoingRequests.ValidateOutgoingRequest", **given)
    assert told.result.field == "peer"
    shared = {"attributeId": (await own_name(stage.alice, "Mine")).id, "peer": stage.accounts["alice"]}
    assert fields(await failure(stage.alice, "Attributes.ShareAttribute", **shared)) == ["peer"]


def asking(key: str, *, must: bool = True) -> dict[str, Any]:
    return {"createAttribute": {"mustBeAccepted": must, "attribute": {"relationship": said(key=key)}}}


async def test_a_request_names_the_second_item_of_a_key(stage: Stage) -> None:
    items = [asking("same"), {"group": {"items": [asking("other"), asking("same")]}}]
    given = {"peer": stage.accounts["bob"], "content": {"request": {"items": items}}}
    path = "items[1].items[1].attribute.key"
    for method in ("OutgoingRequests.CreateOutgoingRequest", "Messages.SendRequest"):
        refused = await failure(stage.alice, method, **given)
        assert (refused.reason, fields(refused)) == ("ATTRIBUTE_KEY_NOT_UNIQUE", [f"content.{path}"]), method
    told = await call(stage.alice, "OutgoingRequests.ValidateOutgoingRequest", **given)
    assert told.result.field == f"content.{path}"
    template = {"relationshipTemplateContent": {"onNewRelationship": {"items": items}}}
    refused = await failure(stage.alice, "RelationshipTemplates.CreateTemplate", content=template, expireTime=EXPIRY)
    assert fields(refused) == [f"content.onNewRelationship.{path}"]


# ---- decisions ----

NEW = "accept.read_attribute.new_attribute"
PROPOSAL = "accept.propose_attribute.attribute"


def reading(**given: Any) -> dict[str, Any]:
    return {"accept": {"readAttribute": given}}


def proposing(**given: Any) -> dict[str, Any]:
    return {"accept": {"proposeAttribute": given}}


def new(value: str, **more: Any) -> dict[str, Any]:
    return {"identityAttribute": name(value, **more)}


# Which item is decided, the decision, and what of it is wrong; `OWN` is an attribute of the one who decides.
OWN = "own"
DECISIONS: list[tuple[str, dict[str, Any], str]] = [
    ("read", reading(newAttribute=new(LONG)), f"{NEW}.value.value"),
    ("read", reading(newAttribute=new(FOREIGN)), f"{NEW}.value.value"),
    ("read", reading(newAttribute=new("Bo", tags=["x:a", "nonsense"])), f"{NEW}.tags[1]"),
    ("read", reading(newAttribute={"identityAttribute": {"value": {"surname": {"value": "B"}}}}), f"{NEW}.value.@type"),
    ("read", reading(newAttribute={"mail": {"to": ["x"], "subject": "s", "body": "b"}}), NEW),
    ("read", reading(newAttribute={}), NEW),
    ("read", reading(existingAttributeId=UNKNOWN), "accept.read_attribute.existing_attribute_id"),
    ("read", reading(existingAttributeId=OWN, tags=["x:a", "nonsense"]), "accept.read_attribute.tags[1]"),
    ("read surname", reading(existingAttributeId=OWN), "accept.read_attribute.existing_attribute_id"),
    ("propose", proposing(attribute=new(LONG)), f"{PROPOSAL}.value.value"),
    ("propose", proposing(attribute=new(FOREIGN)), f"{PROPOSAL}.value.value"),
    ("propose", proposing(attribute=new("Bo", tags=["nonsense"])), f"{PROPOSAL}.tags[0]"),
    ("propose", proposing(attribute={}), PROPOSAL),
    ("propose", proposing(attributeId=UNKNOWN), "accept.propose_attribute.attribute_id"),
    ("form", {"accept": {"formField": {"response": {"text": "abcd"}}}}, "accept.form_field.response"),
    (
        "choose",
        {"accept": {"formField": {"response": {"selection": {"options": ["a", "c"]}}}}},
        "accept.form_field.response.selection.options[1]",
    ),
    (
        "delete",
        {"accept": {"deleteAttribute": {"deletionTime": "2001-01-01T00:00:00Z"}}},
        "accept.delete_attribute.deletion_time",
    ),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def waiting(running: RunningConnector) -> AsyncIterator[dict[str, str]]:
    """Requests to Bob that wait for a decision: each has a consent, and a group of a consent and the item."""
    async with running.client("alice") as alice, running.client("bob") as bob:
        own = (await call(bob, "Attributes.CreateAttribute", value={"givenName": {"value": "Bob"}})).attribute
        kept = (await call(alice, "Attributes.CreateAttribute", value={"givenName": {"value": "Alice"}})).attribute
        shared = await call(alice, "Attributes.ShareAttribute", attributeId=kept.id, peer=running.accounts["bob"])
        await decidable(bob, shared.request.id)
        await call(bob, "IncomingRequests.AcceptIncomingRequest", id=shared.request.id, items=[{"accept": {}}])

        async def is_answered() -> bool:
            await call(alice, "Account.Sync")
            found = await call(alice, "Attributes.ListForwardingDetails", id=kept.id)
            return bool(found.details)

        await until(is_answered)
        surname = {"identity": {"valueType": "Surname"}}
        items = {
            "read": {"readAttribute": {"query": GIVEN_NAME}},
            "read surname": {"readAttribute": {"query": surname}},
            "propose": {"proposeAttribute": {"query": GIVEN_NAME, "attribute": {"identity": name("Bo")}}},
            "form": {"formField": {"title": "t", "settings": {"stringField": {"max": 3}}}},
            "choose": {"formField": {"title": "t", "settings": {"selectionField": SEVERAL}}},
            "delete": {"deleteAttribute": {"attributeId": kept.id}},
        }
        ids = {OWN: own.id}
        for what, item in items.items():
            consent = {"consent": {"consent": "c"}}
            content = {"request": {"items": [consent, {"group": {"items": [consent, item]}}, item]}}
            sent = await call(alice, "Messages.SendRequest", peer=running.accounts["bob"], content=content)
            ids[what] = sent.request.id
            await decidable(bob, sent.request.id)
        yield ids


async def decidable(bob: Client, identifier: str) -> None:
    async def is_there() -> bool:
        await call(bob, "Account.Sync")
        found = (await call(bob, "IncomingRequests.ListIncomingRequests")).requests
        return any(one.id == identifier and one.status in (3, 4) for one in found)

    await until(is_there)


@pytest.mark.parametrize(("item", "decision", "path"), DECISIONS)
async def test_a_decision_names_its_wrong_field(
    stage: Stage, waiting: dict[str, str], item: str, decision: dict[str, Any], path: str
) -> None:
    ((kind, given),) = decision["accept"].items()
    if given.get("existingAttributeId") == OWN:
        decision = {"accept": {kind: {**given, "existingAttributeId": waiting[OWN]}}}
    reject: dict[str, Any] = {"reject": {}}
    for items, place in (
        ([reject, {"group": {"items": [reject, decision]}}, reject], "items[1].group.items[1]"),
        ([reject, {"group": {"items": [reject, reject]}}, decision], "items[2]"),
    ):
        call_of = {"id": waiting[item], "items": items}
        refused = await failure(stage.bob, "IncomingRequests.AcceptIncomingRequest", **call_of)
        assert fields(refused) == [f"{place}.{path}"]
        if refused.reason == "DECISION_INVALID":
            result = (await call(stage.bob, "IncomingRequests.CanAcceptIncomingRequest", **call_of)).result
            told = [one.field for one in (*result.items, *result.items[1].items) if one.field]
            assert told == [f"{place}.{path}"]
        else:
            refused = await failure(stage.bob, "IncomingRequests.CanAcceptIncomingRequest", **call_of)
            assert fields(refused) == [f"{place}.{path}"]


async def test_the_second_of_two_accepted_items_of_a_key_is_named(stage: Stage) -> None:
    twice = [
        asking("twice", must=False),
        {"group": {"items": [asking("once", must=False), asking("twice", must=False)]}},
    ]
    sent = await call(
        stage.alice, "Messages.SendRequest", peer=stage.accounts["bob"], content={"request": {"items": twice}}
    )
    await decidable(stage.bob, sent.request.id)
    accept: dict[str, Any] = {"accept": {}}
    decided = {"id": sent.request.id, "items": [accept, {"group": {"items": [accept, accept]}}]}
    path = "items[1].group.items[1].accept"
    refused = await failure(stage.bob, "IncomingRequests.AcceptIncomingRequest", **decided)
    assert (refused.reason, fields(refused)) == ("DECISION_INVALID", [path])
    assert (await call(stage.bob, "IncomingRequests.CanAcceptIncomingRequest", **decided)).result.field == path


async def test_too_few_decisions_are_told_where_they_are_missing(stage: Stage, waiting: dict[str, str]) -> None:
    reject: dict[str, Any] = {"reject": {}}
    for items, path in (
        ([reject], "items"),
        ([reject, {"group": {"items": [reject]}}, reject], "items[1].group.items"),
        ([reject, reject, reject], "items[1]"),
    ):
        refused = await failure(stage.bob, "IncomingRequests.AcceptIncomingRequest", id=waiting["read"], items=items)
        assert fields(refused) == [path]


# ---- attributes ----


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
async def test_numbers_that_json_lacks_are_named(stage: Stage, number: str) -> None:
    attribute = said(value={"proprietaryFloat": {"title": "t", "value": number}})
    peer = stage.accounts["bob"]
    refused = await failure(
        stage.alice, "Attributes.CreateAndShareRelationshipAttribute", peer=peer, attribute=attribute
    )
    assert fields(refused) == ["attribute.value.value"]
    item = {"createAttribute": {"mustBeAccepted": True, "attribute": {"relationship": attribute}}}
    refused = await failure(
        stage.alice, "OutgoingRequests.CreateOutgoingRequest", peer=peer, content={"request": {"items": [item]}}
    )
    assert fields(refused) == ["content.items[0].attribute.value.value"]


async def test_attributes_that_are_created_and_shared_name_what_the_caller_gave(stage: Stage) -> None:
    peer = stage.accounts["bob"]
    for attribute, path in (
        (said(value={"proprietaryString": {"title": "t", "value": FOREIGN}}), "attribute.value.value"),
        (said(value={"proprietaryString": {"title": "t", "value": LONG}}), "attribute.value.value"),
        (said(owner=peer), "attribute.owner"),
        (said(key=LONG), "attribute.key"),
    ):
        refused = await failure(
            stage.alice, "Attributes.CreateAndShareRelationshipAttribute", peer=peer, attribute=attribute
        )
        assert fields(refused) == [path]
    for method, given in (
        ("CreateAndShareRelationshipAttribute", {"attribute": said()}),
        ("ShareAttribute", {"attributeId": (await own_name(stage.alice, "Shared")).id}),
    ):
        texts = {"expireTime": "2001-01-01T00:00:00Z"}
        refused = await failure(stage.alice, f"Attributes.{method}", peer=peer, request=texts, **given)
        assert fields(refused) == ["request.expire_time"]


async def test_an_attribute_that_the_peer_has_is_named_by_its_id(stage: Stage) -> None:
    shared = {"attributeId": (await own_name(stage.bob, "Twice")).id, "peer": stage.accounts["alice"]}
    request = (await call(stage.bob, "Attributes.ShareAttribute", **shared)).request
    await decidable(stage.alice, request.id)
    await call(stage.alice, "IncomingRequests.AcceptIncomingRequest", id=request.id, items=[{"accept": {}}])

    async def is_answered() -> bool:
        await call(stage.bob, "Account.Sync")
        return bool((await call(stage.bob, "Attributes.ListForwardingDetails", id=shared["attributeId"])).details)

    await until(is_answered)
    refused = await failure(stage.bob, "Attributes.ShareAttribute", **shared)
    assert (refused.reason, fields(refused)) == ("REQUEST_INVALID", ["attribute_id"])


async def own_name(client: Client, value: str) -> Any:
    return (await call(client, "Attributes.CreateAttribute", value={"givenName": {"value": value}})).attribute


async def test_successors_name_what_the_caller_gave(stage: Stage) -> None:
    made = await own_name(stage.alice, "First")
    for identity, path in (
        ({"value": {"givenName": {"value": LONG}}}, "identity.value.value"),
        ({"value": {"givenName": {"value": FOREIGN}}}, "identity.value.value"),
        ({"value": {"givenName": {"value": "Next"}}, "tags": ["x:a", "nonsense"]}, "identity.tags[1]"),
        ({"value": {"surname": {"value": "Next"}}}, "identity.value"),
        ({"value": {"givenName": {"value": "First"}}}, "identity.value"),
    ):
        refused = await failure(stage.alice, "Attributes.SucceedAttribute", predecessorId=made.id, identity=identity)
        assert fields(refused) == [path]


async def test_own_attributes_name_their_wrong_fields(stage: Stage) -> None:
    for given, path in (
        ({"value": {"givenName": {"value": FOREIGN}}}, "value.value"),
        ({"value": {"givenName": {"value": "Bo"}}, "tags": ["x:a", "nonsense"]}, "tags[1]"),
    ):
        assert fields(await failure(stage.alice, "Attributes.CreateAttribute", **given)) == [path]


# ---- mails ----


async def test_a_mail_names_the_list_that_does_not_fit_its_recipients(stage: Stage) -> None:
    bob, other = stage.accounts["bob"], stage.accounts["alice"]
    for lists, path in (
        ({"to": [bob, bob]}, "content.to"),
        ({"to": [other]}, "content.to"),
        ({"to": [bob], "cc": [other]}, "content.cc"),
        ({"to": [bob], "cc": [bob]}, "content.cc"),
    ):
        mail = {"subject": "s", "body": "b", **lists}
        refused = await failure(stage.alice, "Messages.SendMessage", recipients=[bob], content={"mail": mail})
        assert (refused.reason, fields(refused)) == ("RECIPIENTS_MISMATCH", [path])
    mail = {"subject": "s", "body": "b", "to": [bob]}
    refused = await failure(stage.alice, "Messages.SendMessage", recipients=[bob, other], content={"mail": mail})
    assert (refused.reason, fields(refused)) == ("RECIPIENTS_MISMATCH", ["content.to"])
