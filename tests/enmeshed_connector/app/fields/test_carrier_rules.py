"""Rules of what messages, templates and relationships carry hold at the public interface, responses among it.

The rows are those that `tests/enmeshed_connector/content` holds the rules against, and the official classes.
"""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from enmeshed.content.v1 import content_pb2
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from enmeshed_connector.content import types
from tests.support import content_samples as samples
from tests.support.connector import RunningConnector
from tests.support.content_calls import exact, faults, forms
from tests.support.content_rules import (
    ACCEPT,
    ANSWER_RULES,
    OLD_FORMS,
    REQUEST,
    RESPONSE_RULES,
    ROOT_RULES,
    UNKNOWN_ROOTS,
    VERSIONS,
    answer,
    without,
)
from tests.support.named_calls import call

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

EXPIRY = "2099-01-01T00:00:00Z"


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
