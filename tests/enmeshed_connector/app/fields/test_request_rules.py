"""Rules of requests hold at the public interface: right ones are taken, wrong ones are refused with their path.

The rows are those that `tests/enmeshed_connector/content` holds the rules against, and the official classes.
"""

from __future__ import annotations

from typing import Any

import pytest

from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from tests.support import content_samples as samples
from tests.support.connector import RunningConnector
from tests.support.content_calls import assert_items, exact, faults, forms
from tests.support.content_rules import (
    FORM_ANSWERS,
    FORM_SETTINGS,
    GROUP,
    GROUP_RULES,
    ITEM_RULES,
    REQUEST,
    REQUEST_RULES,
    RULES_BETWEEN_KEYS,
    item,
)
from tests.support.named_calls import call

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

EXPIRY = "2099-01-01T00:00:00Z"
NEEDS_MORE = {
    "DeleteAttributeRequestItem",
    "ProposeAttributeRequestItem",
    "ReadAttributeRequestItem",
    "ShareAttributeRequestItem",
    "ShareAuthorizationRequestRequestItem",
    "TransferFileOwnershipRequestItem",
}
"""Items that are only valid when something exists that they name, or a tag: right content is taken, they are not."""


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
    before = (await call(alice, "OutgoingRequests.ListOutgoingRequests")).requests
    for value in right:
        for content in forms({**REQUEST, key: value}):
            # An id is the Connector's to give.
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
    assert (await call(alice, "OutgoingRequests.ListOutgoingRequests")).requests == before


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


@pytest.mark.parametrize(("given", "wrong"), FORM_SETTINGS)
async def test_settings_of_form_fields_have_bounds_in_order_and_options(
    running: RunningConnector, alice: Client, given: dict[str, Any], wrong: str
) -> None:
    for content in forms(samples.request(item("FormFieldRequestItem", settings=given))):
        result = (await call(alice, "OutgoingRequests.ValidateOutgoingRequest", content=content)).result
        assert result.is_success is (not wrong)
        if wrong:
            path = f"content.items[0].settings.{wrong}"
            told = [(one.code, one.field) for one in result.items]
            assert told == [("error.consumption.requests.invalidRequestItem", path)]
            peer = running.accounts["bob"]
            with pytest.raises(ConnectorError) as caught:
                await call(alice, "OutgoingRequests.CreateOutgoingRequest", content=content, peer=peer)
            assert caught.value.reason == "REQUEST_INVALID"
            assert [violation.field for violation in caught.value.violations] == [path]


def form_answer(value: Any) -> dict[str, Any] | None:
    """Returns an answer to a form field as calls give it, None when none can."""
    if isinstance(value, bool):
        return {"boolean": value}
    if isinstance(value, int | float):
        return {"number": value}
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return {"selection": {"options": value}}
    return None


@pytest.mark.parametrize(
    ("given", "right", "wrong"), [row for row in FORM_ANSWERS if row[0].get("@type") in samples.form_field_settings()]
)
async def test_answers_fit_their_form_field(
    running: RunningConnector, alice: Client, given: dict[str, Any], right: list[Any], wrong: list[Any]
) -> None:
    content = exact(samples.request(item("FormFieldRequestItem", settings=given, mustBeAccepted=True)))
    sent = await call(alice, "Messages.SendRequest", content=content, peer=running.accounts["bob"])
    async with running.client("bob") as bob:

        def accepting(value: Any) -> dict[str, Any]:
            decision = {"accept": {"formField": {"response": form_answer(value)}}}
            return {"id": sent.request.id, "items": [decision]}

        await call(bob, "Account.Sync")
        for value in right:
            able = await call(bob, "IncomingRequests.CanAcceptIncomingRequest", **accepting(value))
            assert able.result.is_success, value
        for value in wrong:
            if form_answer(value) is not None:
                able = await call(bob, "IncomingRequests.CanAcceptIncomingRequest", **accepting(value))
                (result,) = able.result.items
                path = "items[0].accept.form_field.response"
                if given.get("allowMultipleSelection") and isinstance(value, list) and value:
                    # In each of these lists the last one is wrong.
                    path += f".selection.options[{len(value) - 1}]"
                assert (result.code, result.field) == (
                    "error.consumption.requests.invalidAcceptParameters",
                    path,
                ), value
                with pytest.raises(ConnectorError) as caught:
                    await call(bob, "IncomingRequests.AcceptIncomingRequest", **accepting(value))
                assert caught.value.reason == "DECISION_INVALID"
                assert [violation.field for violation in caught.value.violations] == [path]
