"""Attributes through the public interface, on a whole Connector."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from enmeshed.connector.v1 import events_service_pb2 as events_pb
from enmeshed_client import Connector as Client
from tests.support.connector import RunningConnector, running_connector
from tests.support.named_calls import call, failure

UNKNOWN = "ATT00000000000000000"


def named(name: str) -> dict[str, Any]:
    return {"givenName": {"value": name}}


async def create(client: Client, name: str, tags: Sequence[str] = (), **more: Any) -> Any:
    return (await call(client, "Attributes.CreateAttribute", value=named(name), tags=list(tags), **more)).attribute


async def names(client: Client, **members: Any) -> list[str]:
    listed = await call(client, "Attributes.ListAttributes", **members)
    return [one.content.identity_attribute.value.given_name.value for one in listed.attributes]


async def event_types(client: Client) -> list[str]:
    listed = await client.call(
        client.service("Events").ListEvents, events_pb.ListEventsRequest(types=["consumption.*"])
    )
    return [event.type for event in listed.events]


async def test_an_attribute_is_created_trimmed_and_shown_everywhere(running: RunningConnector, alice: Client) -> None:
    created = await create(alice, "  Ada ", ["x:first"])
    content = created.content.identity_attribute
    assert content.value.given_name.value == "Ada"
    assert content.owner == running.accounts["alice"]
    assert list(content.tags) == ["x:first"]
    assert created.number_of_forwards == 0
    assert (await call(alice, "Attributes.GetAttribute", id=created.id)).attribute == created
    assert (await call(alice, "Attributes.ListAttributes")).attributes == [created]
    assert await event_types(alice) == ["consumption.attributeCreated"]


async def test_the_same_key_creates_once(alice: Client) -> None:
    key = alice.idempotency_key()
    first = await create(alice, "Ada", idempotencyKey=key)
    assert await create(alice, "Ada", idempotencyKey=key) == first
    assert (await failure(alice, "Attributes.CreateAttribute", value=named("Bob"), idempotencyKey=key)).reason == (
        "IDEMPOTENCY_KEY_REUSED"
    )


@pytest.mark.parametrize(
    ("value", "tags", "reason", "code"),
    [
        (
            named(" Ada"),
            [],
            "ATTRIBUTE_DUPLICATE",
            "error.runtime.attributes.cannotCreateDuplicateOwnIdentityAttribute",
        ),
        (named("A" * 101), [], "CONTENT_INVALID", "error.runtime.validation.invalidPropertyValue"),
        (named("Ада"), [], "FORBIDDEN_CHARACTERS", "error.consumption.attributes.forbiddenCharactersInAttribute"),
        (named("Eve"), ["x:a", "bad"], "TAGS_INVALID", "error.consumption.attributes.invalidTags"),
        (named("Eve"), ["bkb:none"], "TAGS_INVALID", "error.consumption.attributes.invalidTags"),
        ({"emailAddress": {"value": "nobody"}}, [], "CONTENT_INVALID", "error.runtime.validation.invalidPropertyValue"),
    ],
)
async def test_what_cannot_be_created_is_refused_with_the_official_code(
    alice: Client, value: dict[str, Any], tags: list[str], reason: str, code: str
) -> None:
    await create(alice, "Ada")
    refused = await failure(alice, "Attributes.CreateAttribute", value=value, tags=tags)
    assert (refused.reason, refused.facts["code"]) == (reason, code)
    answer = await call(alice, "Attributes.CanCreateAttribute", value=value, tags=tags)
    assert (answer.is_success, answer.reason, answer.code) == (False, reason, code)
    assert await names(alice) == ["Ada"]


async def test_what_can_be_created_is_said_so_and_not_created(alice: Client) -> None:
    assert (await call(alice, "Attributes.CanCreateAttribute", value=named("Ada"))).is_success
    assert await names(alice) == []


async def test_a_new_version_takes_the_place_of_the_former(alice: Client) -> None:
    first = await create(alice, "Ada")
    made = await call(
        alice, "Attributes.SucceedAttribute", predecessorId=first.id, identity={"value": named("Augusta ")}
    )
    assert made.predecessor.succeeded_by == made.successor.id
    assert made.successor.succeeds == first.id
    assert not made.notification_id
    versions = (await call(alice, "Attributes.ListAttributeVersions", id=first.id)).attributes
    assert [version.id for version in versions] == [made.successor.id, first.id]
    assert await names(alice) == ["Ada", "Augusta"]
    assert await names(alice, ownIdentity=True) == ["Augusta"]
    assert await names(alice, ownIdentity=True, onlyLatestVersions=False) == ["Ada", "Augusta"]
    assert await event_types(alice) == ["consumption.attributeCreated", "consumption.attributeSucceeded"]


async def test_versions_are_paged_newest_first(alice: Client) -> None:
    last = await create(alice, "0")
    for number in range(1, 5):
        made = await call(
            alice, "Attributes.SucceedAttribute", predecessorId=last.id, identity={"value": named(str(number))}
        )
        last = made.successor
    seen, token = [], ""
    while True:
        page = await call(alice, "Attributes.ListAttributeVersions", id=last.id, pageSize=2, pageToken=token)
        seen += [one.content.identity_attribute.value.given_name.value for one in page.attributes]
        token = page.next_page_token
        if not token:
            break
    assert seen == ["4", "3", "2", "1", "0"]


async def test_wrong_successions_are_refused_with_their_codes(alice: Client) -> None:
    first = await create(alice, "Ada")
    second = (
        await call(alice, "Attributes.SucceedAttribute", predecessorId=first.id, identity={"value": named("B")})
    ).successor
    surname = {"surname": {"value": "Lovelace"}}
    rows = [
        (UNKNOWN, named("C"), "NOT_FOUND", "error.runtime.recordNotFound"),
        (first.id, named("C"), "ATTRIBUTE_HAS_SUCCESSOR", "cannotSucceedAttributesWithASuccessor"),
        (second.id, named("B"), "SUCCESSION_INVALID", "successionMustChangeContent"),
        (second.id, surname, "SUCCESSION_INVALID", "successionMustNotChangeValueType"),
        (second.id, named("Ж"), "FORBIDDEN_CHARACTERS", "forbiddenCharactersInAttribute"),
        (second.id, named("C" * 101), "CONTENT_INVALID", "successorIsNotAValidAttribute"),
    ]
    for identifier, value, reason, code in rows:
        refused = await failure(
            alice, "Attributes.SucceedAttribute", predecessorId=identifier, identity={"value": value}
        )
        assert refused.reason == reason
        assert refused.facts["code"].endswith(code)


async def test_lists_filter_and_page(alice: Client) -> None:
    for name in ("Ada", "Bob", "Cleo"):
        await create(alice, name, [f"x:{name}", "x:all"])
    await call(alice, "Attributes.CreateAttribute", value={"surname": {"value": "L"}})
    assert await names(alice, filter={"valueType": {"anyOf": ["GivenName"]}}) == ["Ada", "Bob", "Cleo"]
    assert await names(alice, filter={"tags": {"anyOf": ["x:Ada", "x:Cleo"]}}) == ["Ada", "Cleo"]
    assert await names(alice, filter={"types": ["LOCAL_ATTRIBUTE_TYPE_PEER_IDENTITY"]}) == []
    assert await names(alice, filter={"deletionInfo": {"exists": True}}) == []
    assert await names(alice, filter={"isTechnical": True}) == []
    page = await call(alice, "Attributes.ListAttributes", pageSize=3, orderBy="create_time desc", view="VIEW_BASIC")
    assert [one.value_type for one in page.attributes] == ["Surname", "GivenName", "GivenName"]
    assert not page.attributes[0].HasField("content")
    rest = await call(
        alice,
        "Attributes.ListAttributes",
        pageSize=3,
        orderBy="create_time desc",
        view="VIEW_BASIC",
        pageToken=page.next_page_token,
    )
    assert (len(rest.attributes), rest.next_page_token) == (1, "")


async def test_attributes_that_nobody_else_holds_are_deleted_with_their_former_versions(alice: Client) -> None:
    first = await create(alice, "Ada")
    made = await call(alice, "Attributes.SucceedAttribute", predecessorId=first.id, identity={"value": named("B")})
    key = alice.idempotency_key()
    deleted = await call(alice, "Attributes.DeleteAttribute", id=made.successor.id, idempotencyKey=key)
    assert list(deleted.notification_ids) == []
    assert await call(alice, "Attributes.DeleteAttribute", id=made.successor.id, idempotencyKey=key) == deleted
    assert await names(alice) == []
    assert (await failure(alice, "Attributes.DeleteAttribute", id=made.successor.id)).reason == "NOT_FOUND"
    assert (await event_types(alice))[-2:] == ["consumption.attributeDeleted"] * 2


async def test_queries_find_what_they_ask_for(running: RunningConnector, alice: Client) -> None:
    await create(alice, "Ada", ["x:a"])
    await create(alice, "Bob", ["x:b"])
    found = await call(
        alice, "Attributes.ExecuteIdentityAttributeQuery", query={"valueType": "GivenName", "tags": ["x:a"]}
    )
    assert [one.content.identity_attribute.value.given_name.value for one in found.attributes] == ["Ada"]
    found = await call(alice, "Attributes.ExecuteIqlQuery", query={"queryString": "GivenName='Bob' || #x:a"})
    assert len(found.attributes) == 2
    hints = {
        "title": "t",
        "valueType": "ProprietaryString",
        "confidentiality": "RELATIONSHIP_ATTRIBUTE_CONFIDENTIALITY_PUBLIC",
    }
    query = {"key": "k", "owner": "", "attributeCreationHints": hints}
    assert (
        await failure(alice, "Attributes.ExecuteRelationshipAttributeQuery", query=query)
    ).code is grpc.StatusCode.NOT_FOUND
    third = {"key": "k", "thirdParty": [running.accounts["bob"]]}
    found = await call(alice, "Attributes.ExecuteThirdPartyRelationshipAttributeQuery", query=third)
    assert list(found.attributes) == []


async def test_a_query_that_cannot_be_read_tells_where(alice: Client) -> None:
    refused = await failure(alice, "Attributes.ExecuteIqlQuery", query={"queryString": "GivenName &&"})
    assert refused.reason == "QUERY_INVALID"
    assert refused.facts["position"].isdigit()
    answer = await call(alice, "Attributes.ValidateIqlQuery", query={"queryString": "GivenName &&"})
    assert not answer.is_valid
    assert str(answer.error_position) == refused.facts["position"]
    assert (await call(alice, "Attributes.ValidateIqlQuery", query={"queryString": "GivenName"})).is_valid
    assert not (await call(alice, "Attributes.ValidateIqlQuery", query={"queryString": "#" + "a" * 4096})).is_valid
    assert (await failure(alice, "Attributes.ExecuteIdentityAttributeQuery", query={"valueType": "No"})).reason == (
        "CONTENT_INVALID"
    )


async def test_the_tag_collection_is_answered(alice: Client) -> None:
    collection = await call(alice, "Attributes.GetTagCollection")
    assert list(collection.supported_languages) == ["en"]


async def test_an_attribute_is_marked_as_viewed_once(alice: Client) -> None:
    created = await create(alice, "Ada")
    first = (await call(alice, "Attributes.MarkAttributeViewed", id=created.id)).attribute
    second = (await call(alice, "Attributes.MarkAttributeViewed", id=created.id)).attribute
    assert first.HasField("view_time")
    assert first == second
    assert (await event_types(alice)).count("consumption.attributeWasViewedAtChanged") == 1


async def test_defaults_are_refused_where_they_are_switched_off(alice: Client) -> None:
    created = await create(alice, "Ada")
    assert not created.is_default
    refused = await failure(alice, "Attributes.ChangeDefaultAttribute", id=created.id)
    assert refused.reason == "DEFAULT_ATTRIBUTES_DISABLED"


async def test_defaults_are_kept_where_they_are_switched_on(tmp_path: Path) -> None:
    settings = {"accounts.alice.default_attributes": "true"}
    async with running_connector(tmp_path, overrides=settings) as running, running.client("alice") as alice:
        first, second = await create(alice, "Ada"), await create(alice, "Bob")
        assert (first.is_default, second.is_default) == (True, False)
        changed = (await call(alice, "Attributes.ChangeDefaultAttribute", id=second.id)).attribute
        assert changed.is_default
        assert await names(alice, filter={"isDefault": True}) == ["Bob"]
        assert await names(alice, filter={"isDefault": False}) == ["Ada"]


async def test_forwarding_details_of_unknown_attributes_are_not_found(alice: Client) -> None:
    created = await create(alice, "Ada")
    assert not (await call(alice, "Attributes.ListForwardingDetails", id=created.id)).details
    for method in ("ListForwardingDetails", "ListAttributeVersions", "GetAttribute", "MarkAttributeViewed"):
        assert (await failure(alice, f"Attributes.{method}", id=UNKNOWN)).reason == "NOT_FOUND"
