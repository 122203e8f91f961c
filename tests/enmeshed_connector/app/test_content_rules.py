"""Every rule of content holds at the public interface: right values are taken, wrong ones are refused with their path.

The rows are those that `tests/enmeshed_connector/content` holds the rules against, and the official classes.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf import json_format
from google.protobuf.message import Message

from enmeshed.connector.v1 import (
    account_service_pb2,
    attributes_service_pb2,
    messages_service_pb2,
    outgoing_requests_service_pb2,
    relationship_templates_service_pb2,
    relationships_service_pb2,
)
from enmeshed.content.v1 import attribute_pb2, content_pb2, identity_value_pb2
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from enmeshed_connector.content import types
from enmeshed_connector.content.code_lists import COUNTRIES, LANGUAGES
from enmeshed_connector.content.codec import ContentCodec
from tests.support import content_samples as samples
from tests.support.connector import RunningConnector, running_connector
from tests.support.content_rules import (
    ACCEPT,
    ANSWER_RULES,
    ATTRIBUTE_RULES,
    DATES_OF_BIRTH,
    GROUP,
    GROUP_RULES,
    HOSTILE_LINKS,
    ITEM_RULES,
    NO_VALUE_TYPES,
    OLD_FORMS,
    PART_RULES,
    QUERY_RULES,
    REQUEST,
    REQUEST_RULES,
    REQUIRED_PARTS,
    RESPONSE_RULES,
    ROOT_RULES,
    RULES_BETWEEN_KEYS,
    UNKNOWN_ROOTS,
    VALUE_RULES,
    VERSIONS,
    answer,
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

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

_MODULES = {
    "Account": account_service_pb2,
    "Attributes": attributes_service_pb2,
    "Messages": messages_service_pb2,
    "OutgoingRequests": outgoing_requests_service_pb2,
    "RelationshipTemplates": relationship_templates_service_pb2,
    "Relationships": relationships_service_pb2,
}
CODEC = ContentCodec()
EXPIRY = "2099-01-01T00:00:00Z"
IDENTITY_VALUES, RELATIONSHIP_VALUES = samples.identity_values(), samples.relationship_values()
VALUES = IDENTITY_VALUES | RELATIONSHIP_VALUES
NEEDS_MORE = {
    "DeleteAttributeRequestItem",
    "ProposeAttributeRequestItem",
    "ReadAttributeRequestItem",
    "ShareAttributeRequestItem",
    "ShareAuthorizationRequestRequestItem",
    "TransferFileOwnershipRequestItem",
}
"""Items that are only valid when something exists that they name, or a tag: right content is taken, they are not."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningConnector]:
    async with running_connector(tmp_path_factory.mktemp("connector"), is_related=True) as connector:
        yield connector


@pytest_asyncio.fixture(loop_scope="module")
async def alice(running: RunningConnector) -> AsyncIterator[Client]:
    async with running.client("alice") as client:
        yield client


async def call(client: Client, method: str, **members: Any) -> Any:
    """Calls a method; members that are messages are taken as they are."""
    service, _, name = method.partition(".")
    request: Message = getattr(_MODULES[service], f"{name}Request")()
    messages = {key: value for key, value in members.items() if isinstance(value, Message)}
    json_format.ParseDict({key: value for key, value in members.items() if key not in messages}, request)
    for key, value in messages.items():
        getattr(request, key).CopyFrom(value)
    return await client.call(getattr(client.service(service), name), request)


async def faults(client: Client, method: str, **members: Any) -> list[str]:
    """Returns the fields that a call is refused for, none when its content is taken, whatever comes of it."""
    try:
        await call(client, method, **members)
    except ConnectorError as error:
        if error.reason not in ("CONTENT_INVALID", "CONTENT_TYPE_NOT_ALLOWED"):
            return []
        assert error.facts["code"].startswith("error.")
        fields = [violation.field for violation in error.violations]
        assert fields
        return fields
    return []


def exact(value: Any) -> content_pb2.Content:
    """Returns content as its JSON text, which says everything that JSON can."""
    return content_pb2.Content(raw_json=json.dumps(value).encode())


def forms(value: Any) -> list[content_pb2.Content]:
    """Returns the forms in which content can be sent."""
    return [exact(value), CODEC.content_from_json(value)] if is_typed(value) else [exact(value)]


def is_latin(value: Any) -> bool:
    """Whether the attribute in the rows of the tables holds only characters that attributes may hold."""
    return not {"😀", "…"} & set(json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value))


def is_typed(value: Any) -> bool:
    """Whether a typed message can say the same as a content."""
    return CODEC.content_from_json(value).WhichOneof("kind") not in ("json", "raw_json")


async def assert_items(
    client: Client,
    right: Sequence[dict[str, Any]],
    wrong: Sequence[dict[str, Any]],
    path: str,
    *,
    is_valid: bool = True,
) -> None:
    """Asserts which request items are taken, each set in one request, as JSON and, what has such, as typed messages.

    Args:
        client: Whose.
        right: Items whose content is right.
        wrong: Items that each break one rule.
        path: The key of the items that is wrong, or what its path begins with.
        is_valid: Whether right content is all that these items need.
    """
    if right:
        for content in forms(samples.request(*right)):
            result = (await call(client, "OutgoingRequests.ValidateOutgoingRequest", content=content)).result
            if is_valid:
                valid = [one.is_success for one in result.items] or [True] * len(right)
                assert valid == [is_latin(one) for one in right], result
    typed = [one for one in wrong if is_typed(samples.request(one))]
    for items in (one for one in (wrong, typed) if one):
        for content in forms(samples.request(*items)):
            told = await faults(client, "OutgoingRequests.ValidateOutgoingRequest", content=content)
            paths = [f"content.items[{place}].{path}" for place in range(len(items))]
            assert [any(field.startswith(one) for field in told) for one in paths] == [True] * len(items), told
            assert [any(field.startswith(one) for one in paths) for field in told] == [True] * len(told)


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
                assert told.reason == ("" if is_latin(value) else "FORBIDDEN_CHARACTERS"), (key, one)
        for one in wrong:
            value = CODEC.from_json({**VALUES[name], key: one}, identity_value_pb2.IdentityAttributeValue)
            if value is not None:
                told = await call(alice, "Attributes.CanCreateAttribute", value=value)
                assert (told.reason, told.code) == ("CONTENT_INVALID", "error.runtime.requestDeserialization")
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
        assert told == ["value.value"]
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
    year = day[2] + (100 if paths == ["value"] else 0)
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
        assert [one.code for one in result.items] == ["error.consumption.requests.invalidRequestItem"], text


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


@pytest.mark.parametrize("text", NO_QUERIES)
async def test_what_is_no_query_is_not_executed(alice: Client, text: str) -> None:
    assert not (await call(alice, "Attributes.ValidateIqlQuery", query={"queryString": text})).is_valid
    with pytest.raises(ConnectorError) as caught:
        await call(alice, "Attributes.ExecuteIqlQuery", query={"queryString": text})
    assert caught.value.reason == "QUERY_INVALID"
    query = {"@type": "IQLQuery", "queryString": text}
    await assert_items(alice, [], [item("ReadAttributeRequestItem", query=query)], "query.queryString")


# ---- requests ----


@pytest.mark.parametrize(("name", "key", "right", "wrong"), ITEM_RULES)
async def test_request_items(alice: Client, name: str, key: str, right: list[Any], wrong: list[Any]) -> None:
    def items(values: list[Any]) -> list[dict[str, Any]]:
        changed = {"attribute": samples.identity_attribute(owner="")} if "attribute" in item(name) else {}
        return [item(name, **{**changed, key: value}) for value in values]

    await assert_items(alice, items(right), items(wrong), key, is_valid=name not in NEEDS_MORE)
    for wrong_one in items(wrong):
        content = exact(samples.request({"@type": "RequestItemGroup", "items": [wrong_one]}))
        told = await faults(alice, "OutgoingRequests.ValidateOutgoingRequest", content=content)
        assert [field.startswith(f"content.items[0].items[0].{key}") for field in told] == [True]


@pytest.mark.parametrize(("changed", "path"), RULES_BETWEEN_KEYS)
async def test_rules_between_the_keys_of_an_item(alice: Client, changed: dict[str, Any], path: str) -> None:
    await assert_items(alice, [], [changed], path)


@pytest.mark.parametrize(("key", "right", "wrong"), REQUEST_RULES)
async def test_requests(running: RunningConnector, alice: Client, key: str, right: list[Any], wrong: list[Any]) -> None:
    peer = running.accounts["bob"]
    for value in right:
        for content in forms({**REQUEST, key: value}):
            # An id is the Connector's to give, and an expiry lies ahead.
            try:
                await call(alice, "OutgoingRequests.ValidateOutgoingRequest", content=content)
            except ConnectorError as error:
                assert (key, error.reason) == ("id", "INVALID_ARGUMENT")
    for value in wrong:
        for content in forms({**REQUEST, key: value}):
            for method in ("OutgoingRequests.ValidateOutgoingRequest", "OutgoingRequests.CreateOutgoingRequest"):
                (field,) = await faults(alice, method, content=content, peer=peer)
                assert field.startswith(f"content.{key}"), value
            (field,) = await faults(alice, "Messages.SendRequest", content=content, peer=peer)
            assert field.startswith(f"content.{key}"), value
            (field,) = await faults(alice, "Messages.SendMessage", content=content, recipients=[peer])
            assert field.startswith(f"content.{key}"), value
    assert not (await call(alice, "OutgoingRequests.ListOutgoingRequests")).requests


@pytest.mark.parametrize(("key", "right", "wrong"), GROUP_RULES)
async def test_request_groups(alice: Client, key: str, right: list[Any], wrong: list[Any]) -> None:
    await assert_items(alice, [{**GROUP, key: one} for one in right], [{**GROUP, key: one} for one in wrong], key)


@pytest.mark.parametrize("where", ["onNewRelationship", "onExistingRelationship"])
@pytest.mark.parametrize(("key", "wrong"), [(key, wrong) for key, _, wrong in REQUEST_RULES])
async def test_requests_in_templates(alice: Client, where: str, key: str, wrong: list[Any]) -> None:
    for value in wrong:
        content = {
            "@type": "RelationshipTemplateContent",
            "onNewRelationship": REQUEST,
            where: {**REQUEST, key: value},
        }
        for form in forms(content):
            (field,) = await faults(alice, "RelationshipTemplates.CreateTemplate", content=form, expireTime=EXPIRY)
            assert field.startswith(f"content.{where}.{key}"), value


# ---- roots ----


async def creation_faults(client: Client, template_id: str, content: content_pb2.Content) -> list[str]:
    able = await call(client, "Relationships.CanCreateRelationship", templateId=template_id, creation_content=content)
    told = await faults(client, "Relationships.CreateRelationship", templateId=template_id, creation_content=content)
    assert (able.reason in ("CONTENT_INVALID", "CONTENT_TYPE_NOT_ALLOWED")) is bool(told)
    # Named as the field of the request is; the content of others is called so.
    assert all(field.startswith("creation_content") for field in told)
    return [field.removeprefix("creation_") for field in told]


async def template_of_bob(running: RunningConnector, client: Client, content: dict[str, Any]) -> str:
    """Has Bob make a template, and returns its id once the client has loaded it."""
    async with running.client("bob") as bob:
        made = await call(bob, "RelationshipTemplates.CreateTemplate", content=exact(content), expireTime=EXPIRY)
    loaded = await call(client, "RelationshipTemplates.LoadTemplate", reference=made.template.reference.truncated)
    return str(loaded.template.id)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking_template(running: RunningConnector) -> str:
    """The id of a template that asks something."""
    async with running.client("alice") as client:
        content = {"@type": "RelationshipTemplateContent", "onNewRelationship": REQUEST}
        return await template_of_bob(running, client, content)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain_template(running: RunningConnector) -> str:
    """The id of a template that asks nothing."""
    async with running.client("alice") as client:
        return await template_of_bob(running, client, {"@type": "ArbitraryRelationshipTemplateContent", "value": {}})


ROOTS = [row for row in ROOT_RULES if row[0] != "TokenContentVerifiablePresentation"]
"""Tokens may hold any JSON, so that no rule is asked."""


@pytest.mark.parametrize(("name", "key", "right", "wrong"), ROOTS)
async def test_roots(
    running: RunningConnector,
    alice: Client,
    asking_template: str,
    plain_template: str,
    name: str,
    key: str,
    right: list[Any],
    wrong: list[Any],
) -> None:
    bob = running.accounts["bob"]
    sample = dict(samples.roots()[name][0])
    if name == "Mail":
        sample["to"] = [bob]
    if name == "RelationshipTemplateContent":
        sample |= {"onNewRelationship": REQUEST, "onExistingRelationship": REQUEST}

    async def told(value: Any, form: content_pb2.Content) -> list[str]:
        if name in types.MESSAGE_CONTENT_TYPES:
            found = await faults(alice, "Messages.SendMessage", content=form, recipients=[bob])
            # The Backbone takes few messages that their recipient has not fetched.
            async with running.client("bob") as client:
                await call(client, "Account.Sync")
            return found
        if name in types.TEMPLATE_CONTENT_TYPES:
            return await faults(alice, "RelationshipTemplates.CreateTemplate", content=form, expireTime=EXPIRY)
        template = plain_template if name == "ArbitraryRelationshipCreationContent" else asking_template
        return await creation_faults(alice, template, form)

    for value in right:
        for form in forms({**sample, key: value}):
            assert await told(value, form) == [], value
    for value in wrong:
        for form in forms({**sample, key: value}):
            fields = await told(value, form)
            assert fields[0].startswith(f"content.{key}"), (value, fields)


@pytest.mark.parametrize("content", UNKNOWN_ROOTS)
async def test_a_root_has_a_type_that_is_known(
    running: RunningConnector, alice: Client, content: dict[str, Any]
) -> None:
    root, peer = exact(content), running.accounts["bob"]
    assert await faults(alice, "Messages.SendMessage", content=root, recipients=[peer]) == ["content.@type"]
    assert await faults(alice, "RelationshipTemplates.CreateTemplate", content=exact(content), expireTime=EXPIRY) == [
        "content.@type"
    ]
    told = await faults(alice, "OutgoingRequests.ValidateOutgoingRequest", content=root)
    # What is asked needs no type: it is a request, one without items.
    assert told == (["content.@type"] if content else ["content.items"])


async def test_each_carrier_takes_its_own_roots(
    running: RunningConnector, alice: Client, asking_template: str, plain_template: str
) -> None:
    recipients = [running.accounts["bob"]]
    templates = {
        "RelationshipTemplateContent": asking_template,
        "ArbitraryRelationshipTemplateContent": plain_template,
    }
    for name, (sample, *_) in samples.roots().items():
        if name not in types.MESSAGE_CONTENT_TYPES:
            told = await faults(alice, "Messages.SendMessage", content=exact(sample), recipients=recipients)
            assert told == ["content.@type"]
        if name not in types.TEMPLATE_CONTENT_TYPES:
            told = await faults(alice, "RelationshipTemplates.CreateTemplate", content=exact(sample), expireTime=EXPIRY)
            assert told == ["content.@type"]
        if name != "Request":
            told = await faults(alice, "OutgoingRequests.ValidateOutgoingRequest", content=exact(sample))
            assert told == ["content.@type"]
        for of_template, creation in types.CREATION_CONTENT_TYPES.items():
            if name != creation:
                told = await creation_faults(alice, templates[of_template], exact(sample))
                assert told == ["content.@type"]


@pytest.mark.parametrize(("version", "taken"), VERSIONS)
async def test_version_1_is_the_only_one(running: RunningConnector, alice: Client, version: Any, taken: bool) -> None:
    # Its recipient is nobody that can be written to, so that only the content is asked.
    content = exact(samples.mail(**{"@version": version}))
    told = await faults(alice, "Messages.SendMessage", content=content, recipients=[samples.PEER])
    assert (told == []) is taken


@pytest.mark.parametrize("content", OLD_FORMS)
async def test_forms_of_older_releases_are_not_sent(
    running: RunningConnector, alice: Client, asking_template: str, content: dict[str, Any]
) -> None:
    if content["@type"] in types.MESSAGE_CONTENT_TYPES:
        told = await faults(alice, "Messages.SendMessage", content=exact(content), recipients=[running.accounts["bob"]])
    else:
        told = await creation_faults(alice, asking_template, exact(content))
    assert told


@pytest.mark.parametrize("name", samples.notification_items())
async def test_notification_items(running: RunningConnector, alice: Client, name: str) -> None:
    sample = samples.notification_items()[name]
    for key in sample.keys() - {"@type"}:
        content = {"@type": "Notification", "id": "NOT", "items": [without(sample, key)]}
        told = await faults(alice, "Messages.SendMessage", content=exact(content), recipients=[running.accounts["bob"]])
        assert told == [f"content.items[0].{key}"]


# ---- responses ----


def carriers(response: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns what carries a response: the creation of a relationship, or a message."""
    wrapper = {**samples.roots()["ResponseWrapper"][0], "response": response}
    return [{"@type": "RelationshipCreationContent", "response": response}, wrapper]


async def response_faults(
    running: RunningConnector, client: Client, template: str, response: dict[str, Any]
) -> list[list[str]]:
    """Returns the fields that each carrier, in each form, is refused for."""
    creation, wrapper = carriers(response)
    return [await creation_faults(client, template, form) for form in forms(creation)] + [
        # Nobody can be written to, so that only the content is asked.
        await faults(client, "Messages.SendMessage", content=form, recipients=[samples.PEER])
        for form in forms(wrapper)
    ]


@pytest.mark.parametrize(("name", "key", "right", "wrong"), ANSWER_RULES)
async def test_response_items(
    running: RunningConnector,
    alice: Client,
    asking_template: str,
    name: str,
    key: str,
    right: list[Any],
    wrong: list[Any],
) -> None:
    for value in right:
        response = samples.response(answer(name, **{key: value}))
        assert not any(await response_faults(running, alice, asking_template, response)), value
    for value in wrong:
        response = samples.response(answer(name, **{key: value}))
        for told in await response_faults(running, alice, asking_template, response):
            assert told, value
            assert told[0].startswith(f"content.response.items[0].{key}"), value


@pytest.mark.parametrize(("key", "right", "wrong"), RESPONSE_RULES)
async def test_responses(
    running: RunningConnector, alice: Client, asking_template: str, key: str, right: list[Any], wrong: list[Any]
) -> None:
    for value in right:
        response = {**samples.response(ACCEPT), key: value}
        assert not any(await response_faults(running, alice, asking_template, response)), value
    for value in wrong:
        response = {**samples.response(ACCEPT), key: value}
        for told in await response_faults(running, alice, asking_template, response):
            assert told, value
            assert told[0].startswith(f"content.response.{key}"), value


# ---- what all faults have in common ----


async def test_faults_are_told_at_once_up_to_a_bound_and_never_a_value(
    running: RunningConnector, alice: Client
) -> None:
    secret = "s3cret" * 100
    content = exact(samples.mail(subject=secret, body=5, to=[], bodyFormat=secret))
    with pytest.raises(ConnectorError) as caught:
        await call(alice, "Messages.SendMessage", content=content, recipients=[running.accounts["bob"]])
    assert [violation.field for violation in caught.value.violations] == [
        "content.to",
        "content.subject",
        "content.body",
        "content.bodyFormat",
    ]
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in "".join(violation.description for violation in caught.value.violations)
    many = exact(samples.request(*([{"@type": "ProposeAttributeRequestItem"}] * 1000)))
    assert len(await faults(alice, "OutgoingRequests.ValidateOutgoingRequest", content=many)) == 50
