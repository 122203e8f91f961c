"""Whatever a peer puts into a request is stored and shown, is never executed, and holds up nothing behind it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf import json_format

from enmeshed.connector.v1 import (
    request_pb2,
)
from enmeshed.content.v1 import content_pb2
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from enmeshed_connector.content.codec import ContentCodec
from tests.support import content_samples as samples
from tests.support.hostile_peer import nested
from tests.support.named_calls import call
from tests.support.wires import Wires, wired

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

CODEC = ContentCodec()
LOGIN = {"@type": "AuthenticationRequestItem", "mustBeAccepted": False, "title": "Login"}
CONSENT = {"@type": "ConsentRequestItem", "mustBeAccepted": False, "consent": "I do"}
GROUP = {"@type": "RequestItemGroup", "items": [LOGIN]}


def asks(*items: Any, **more: Any) -> dict[str, Any]:
    return {"@type": "Request", "items": list(items), **more}


def with_metadata(text: str) -> str:
    return json.dumps(asks(LOGIN, metadata="?")).replace('"?"', text)


TAKEN: dict[str, str] = {
    "keys that no type has": json.dumps(
        asks(
            {**LOGIN, "execute": "rm -rf /", "requireManualDecision": False},
            {"@type": "RequestItemGroup", "items": [{**CONSENT, "x": {"$where": "1"}}], "mustBeAccepted": True},
            callback="http://localhost:1/",
            response={"result": "Accepted", "items": []},
            status="Completed",
        )
    ),
    "names of prototypes, and of the storage": json.dumps(
        asks(LOGIN, metadata={"__proto__": {"a": 1}, "_id": 1, "_rev": 7, "$set": {"a.b": 1}, "": None, "\0": "\0"})
    ),
    "metadata of 200 levels": with_metadata(nested(200)),
    "metadata with a huge array": with_metadata(json.dumps({"a": list(range(100_000))})),
    "metadata with a number past 2^53": with_metadata('{"n":9007199254740993}'),
    "metadata with half a pair": with_metadata('{"n":"\\ud800"}'),
    "2000 groups": json.dumps(asks(*[GROUP] * 2_000)),
    "a group of 2000 items": json.dumps(asks({**GROUP, "items": [LOGIN] * 2_000})),
    "a choice of 20000": json.dumps(
        asks(
            {
                "@type": "FormFieldRequestItem",
                "mustBeAccepted": False,
                "title": "Choose",
                "settings": {"@type": "SelectionFormFieldSettings", "options": [f"o{n}" for n in range(20_000)]},
            }
        )
    ),
    "a question to 20000 peers": json.dumps(
        asks(
            {
                "@type": "ReadAttributeRequestItem",
                "mustBeAccepted": False,
                "query": {
                    "@type": "ThirdPartyRelationshipAttributeQuery",
                    "key": "k",
                    "owner": "",
                    "thirdParty": [samples.PEER] * 20_000,
                },
            }
        )
    ),
    "a pattern that takes for ever": json.dumps(
        asks(
            {
                "@type": "CreateAttributeRequestItem",
                "mustBeAccepted": False,
                "attribute": samples.relationship_attribute(
                    {
                        "@type": "ProprietaryString",
                        "title": "t",
                        "value": "a" * 40 + "!",
                        "valueHintsOverride": {"pattern": "^(a+)+$"},
                    },
                    owner="",
                ),
            }
        )
    ),
    "the longest query": json.dumps(
        asks(
            {
                "@type": "ReadAttributeRequestItem",
                "mustBeAccepted": False,
                "query": {"@type": "IQLQuery", "queryString": " && ".join(["!GivenName='%'"] * 200)},
            }
        )
    ),
    "markup and templates in its texts": json.dumps(
        asks(
            {**CONSENT, "consent": "<script>alert(1)</script> {{7*7}} ${7*7} %s %n ' OR 1=1 --"}, title="{0.__class__}"
        )
    ),
    "an old type of item": json.dumps(
        asks({"@type": "FreeTextRequestItem", "mustBeAccepted": False, "freeText": "Hello"})
    ),
    "a file that leads elsewhere": json.dumps(
        asks(
            {
                "@type": "TransferFileOwnershipRequestItem",
                "mustBeAccepted": False,
                "fileReference": "http://localhost:1/r/FIL00000000000000001#" + samples.FILE_URL.partition("#")[2],
                "ownershipToken": "../../etc/passwd",
            }
        )
    ),
    "a credential that leads elsewhere": json.dumps(
        asks(
            {
                "@type": "ShareCredentialOfferRequestItem",
                "mustBeAccepted": False,
                "credentialOfferUrl": "file:///etc/passwd",
            }
        )
    ),
    "a type twice, of which the last counts": json.dumps(asks(LOGIN)).replace(
        '"title"', '"@type":"ConsentRequestItem","consent":"c","title"'
    ),
    "the end of time": json.dumps(asks(LOGIN, expiresAt="9999-12-31T23:59:59.999Z")),
}
"""Requests that follow the rules, whatever else they say."""

LARGE: dict[str, str] = {
    "10001 items": json.dumps(asks(*[LOGIN] * 10_001)),
}
"""Requests with more items than a call decides: automation may, and else they expire."""

LEFT: dict[str, str] = {
    "an unknown type of item": json.dumps(asks({"@type": "LaunchRequestItem", "mustBeAccepted": True})),
    "an item without type": json.dumps(asks({"mustBeAccepted": True})),
    "a mail as item": json.dumps(asks(samples.mail())),
    "groups in groups": json.dumps(asks({**GROUP, "items": [{**GROUP, "items": [GROUP]}]})),
    "groups of 500 levels": json.dumps(asks("?")).replace(
        '"?"', '{"@type":"RequestItemGroup","items":[' * 500 + json.dumps(LOGIN) + "]}" * 500
    ),
    "metadata of 5000 levels": with_metadata(nested(5000)),
    "no items": json.dumps(asks()),
    "items that are one object": json.dumps({"@type": "Request", "items": LOGIN}),
    "an id that is none": json.dumps(asks(LOGIN, id="REQ/../../x")),
    "an id of another kind": json.dumps(asks(LOGIN, id="MSG00000000000000001")),
    "a very long id": json.dumps(asks(LOGIN, id="REQ" + "0" * 100_000)),
    "an id that is an object": json.dumps(asks(LOGIN, id={"$gt": ""})),
    "a day that is none": json.dumps(asks(LOGIN, expiresAt="2026-02-30")),
    "a time beyond time": json.dumps(asks(LOGIN, expiresAt=1e300)),
    "a title that is too long": json.dumps(asks(LOGIN, title="a" * 100_000)),
    "a version to come": json.dumps(asks(LOGIN, **{"@version": 2})),
    "a value of no type": json.dumps(
        asks(
            {
                "@type": "CreateAttributeRequestItem",
                "mustBeAccepted": False,
                "attribute": samples.identity_attribute({"@type": "Soul", "value": "a"}, owner=""),
            }
        )
    ),
    "a query of no type": json.dumps(
        asks({"@type": "ReadAttributeRequestItem", "mustBeAccepted": False, "query": {"@type": "SqlQuery"}})
    ),
}
"""Requests that break a rule, so that nobody could answer them."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wires(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wires]:
    creation = json.dumps({"@type": "ArbitraryRelationshipCreationContent", "value": {}})
    async with wired(tmp_path_factory.mktemp("wires"), creation_content=creation) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def alice(wires: Wires) -> AsyncIterator[Client]:
    async with wires.client() as client:
        yield client


async def requests_from(client: Client, source: str) -> list[Any]:
    """Returns the incoming requests that a thing has brought."""
    listed = await call(
        client, "IncomingRequests.ListIncomingRequests", filter={"sourceReference": {"anyOf": [source]}}
    )
    return list(listed.requests)


def assert_shows(content: content_pb2.Content, text: str) -> None:
    """Asserts that a content says what a text says, as a value or as this very text."""
    if content.WhichOneof("kind") == "raw_json" and content.raw_json.decode() == text:
        return
    assert CODEC.json_from_content(content) == json.loads(text)


def rejection(items: list[Any]) -> list[dict[str, Any]]:
    """Returns the decision that rejects items and groups."""
    return [
        {"group": {"items": rejection(one["items"])}} if one["@type"] == "RequestItemGroup" else {"reject": {}}
        for one in items
    ]


async def assert_well(wires: Wires, client: Client) -> None:
    """Asserts that what comes next arrives."""
    last = await wires.peer.send(wires.alice, json.dumps(samples.mail(to=[wires.alice])))
    await call(client, "Account.Sync")
    assert (await call(client, "Messages.GetMessage", id=last)).message.content.mail.subject == "Subject"
    assert not (await call(client, "Attributes.ListAttributes")).attributes


@pytest.mark.parametrize("what", TAKEN)
async def test_a_request_says_more_than_it_has_to_and_is_answered(wires: Wires, alice: Client, what: str) -> None:
    message_id = await wires.peer.send(wires.alice, TAKEN[what])
    await call(alice, "Account.Sync")
    assert_shows((await call(alice, "Messages.GetMessage", id=message_id)).message.content, TAKEN[what])
    (received,) = await requests_from(alice, message_id)
    waiting = (
        request_pb2.LOCAL_REQUEST_STATUS_DECISION_REQUIRED,
        request_pb2.LOCAL_REQUEST_STATUS_MANUAL_DECISION_REQUIRED,
    )
    assert received.status in waiting
    shown = json_format.MessageToDict(received)
    assert "response" not in shown

    decision = rejection(json.loads(TAKEN[what])["items"])
    able = await call(alice, "IncomingRequests.CanRejectIncomingRequest", id=received.id, items=decision)
    assert able.result.is_success
    await call(alice, "IncomingRequests.RejectIncomingRequest", id=received.id, items=decision)
    await assert_well(wires, alice)
    await wires.peer.account.sync.sync()


@pytest.mark.parametrize("what", LARGE)
async def test_a_request_of_more_items_than_a_call_decides_is_shown(wires: Wires, alice: Client, what: str) -> None:
    message_id = await wires.peer.send(wires.alice, LARGE[what])
    await call(alice, "Account.Sync")
    (received,) = await requests_from(alice, message_id)
    decision = rejection(json.loads(LARGE[what])["items"])
    with pytest.raises(ConnectorError) as caught:
        await call(alice, "IncomingRequests.RejectIncomingRequest", id=received.id, items=decision)
    assert caught.value.reason == "INVALID_ARGUMENT"
    assert await requests_from(alice, message_id) == [received]
    await assert_well(wires, alice)


@pytest.mark.parametrize("what", LEFT)
async def test_a_request_that_breaks_a_rule_is_shown_and_left_alone(wires: Wires, alice: Client, what: str) -> None:
    message_id = await wires.peer.send(wires.alice, LEFT[what])
    await call(alice, "Account.Sync")
    assert_shows((await call(alice, "Messages.GetMessage", id=message_id)).message.content, LEFT[what])
    assert await requests_from(alice, message_id) == []
    await assert_well(wires, alice)


@pytest.mark.parametrize("what", [*TAKEN, *LARGE, *LEFT])
async def test_a_template_with_such_a_request_is_loaded_and_shown(wires: Wires, alice: Client, what: str) -> None:
    text = (TAKEN | LARGE | LEFT)[what]
    requests = f'"onNewRelationship":{text},"onExistingRelationship":{text}'
    content = f'{{"@type":"RelationshipTemplateContent",{requests}}}'
    reference = await wires.peer.template(content)
    loaded = await call(alice, "RelationshipTemplates.LoadTemplate", reference=reference)
    assert_shows(loaded.template.content, content)
    assert len(await requests_from(alice, loaded.template.id)) == (what not in LEFT)
    await assert_well(wires, alice)


async def test_the_same_request_twice_is_one(wires: Wires, alice: Client) -> None:
    text = json.dumps(asks(LOGIN, id="REQ0000000000000000A"))
    other = json.dumps(asks(CONSENT, id="REQ0000000000000000A"))
    first, second, third = [await wires.peer.send(wires.alice, one) for one in (text, text, other)]
    await call(alice, "Account.Sync")
    (received,) = await requests_from(alice, first)
    assert received.content.request.items[0].HasField("authentication")
    assert await requests_from(alice, second) == await requests_from(alice, third) == []
    for message_id in (second, third):
        assert (await call(alice, "Messages.GetMessage", id=message_id)).message.content.HasField("request")
    await assert_well(wires, alice)


async def test_an_item_is_accepted_only_as_what_it_is(wires: Wires, alice: Client) -> None:
    """What a peer says besides does not turn one type of item into another."""
    message_id = await wires.peer.send(
        wires.alice, json.dumps(asks({**CONSENT, "attribute": samples.identity_attribute(owner="")}))
    )
    await call(alice, "Account.Sync")
    (received,) = await requests_from(alice, message_id)
    await call(alice, "IncomingRequests.AcceptIncomingRequest", id=received.id, items=[{"accept": {}}])
    answered = (await call(alice, "IncomingRequests.GetIncomingRequest", id=received.id)).request
    (item,) = answered.response.content.response.items
    assert item.WhichOneof("kind") == "accept"
    with pytest.raises(ConnectorError):
        await call(alice, "IncomingRequests.AcceptIncomingRequest", id=received.id, items=[{"accept": {}}])
    await assert_well(wires, alice)
