"""Whatever a peer sends as content reaches the subscriber, exactly, and nothing behind it is held up."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import events_service_pb2 as events_pb
from enmeshed.connector.v1 import messages_service_pb2 as messages_pb
from enmeshed.connector.v1 import references_service_pb2 as references_pb
from enmeshed.connector.v1 import relationship_templates_service_pb2 as templates_pb
from enmeshed.connector.v1 import relationships_service_pb2 as relationships_pb
from enmeshed.connector.v1 import tokens_service_pb2 as tokens_pb
from enmeshed.content.v1 import content_pb2
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.core.canonical_json import loads
from enmeshed_connector.core.malformed import MalformedValue
from tests.support.hostile_peer import nested
from tests.support.mongodb import kinds_to_test, prepare
from tests.support.wires import STORES, UNRECEIVED, Wires, wired_on

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(480)]


RAW, JSON, MAIL = "raw_json", "json", "mail"

OBJECTS = {
    "34 levels": (nested(34), RAW),
    "255 levels": (nested(255), RAW),
    "256 levels": (nested(256), RAW),
    "5000 levels": (nested(5000), RAW),
    "5000 levels of arrays in a mail": ('{"@type":"Mail","to":' + "[" * 5000 + "]" * 5000 + "}", RAW),
    "5000 levels in a request": ('{"@type":"Request","items":[' + nested(5000) + "]}", RAW),
    "lone surrogates": ('{"text":"a\\ud800b\\udc00","\\udfff":1,"pair":"\\ud83d\\ude00"}', RAW),
    "2^63": ('{"n":9223372036854775808,"m":-9223372036854775808}', RAW),
    "integers past 64 bits": ('{"n":18446744073709551616,"m":-9223372036854775809}', RAW),
    "an integer of 5000 digits": ('{"n":' + "9" * 5000 + "}", RAW),
    "a number beyond a double": ('{"n":1e400,"m":[-1e999]}', RAW),
    "NUL in names and texts": ('{"\\u0000":"\\u0000","a\\u0000b":{"\\u0000":[]}}', JSON),
    "dots and dollars": ('{"a.b":{"$where":"1","$set":{"$":1}},"$ref":[{"..":0}],"":{"":""}}', JSON),
    "marks of the storage": (
        '{"_contentText":"{","_contentBlob":1,"_lossy":["x"],"_rev":7,"_id":8,"_gone":9,"_exactContent":"["}',
        JSON,
    ),
    "names twice": ('{"a":1,"b":{"c":1,"c":[2]},"a":{"d":3}}', RAW),
    "types twice": ('{"@type":"Mail","@type":"Request","items":[]}', RAW),
    "names twice once unescaped": ('{"a":1,"\\u0061":2}', RAW),
    "names of prototypes": ('{"__proto__":{"polluted":true},"constructor":{"prototype":1}}', JSON),
    "a huge array": ("{" + '"a":[' + ",".join(map(str, range(20_000))) + "]}", JSON),
    "many empty objects": ('{"a":[' + ",".join(["{}"] * 10_000) + "]}", JSON),
    "arrays in arrays": ('{"a":[[[1,[2]],[]],-0.0,[{"b":[[]]}]]}', JSON),
    "no type": ('{"hello":"world"}', JSON),
    "an empty object": ("{}", JSON),
    "a type that is none": ('{"@type":5}', JSON),
    "an unknown type": ('{"@type":"NoSuchType","x":1}', JSON),
    "a mail that is none": ('{"@type":"Mail","to":"nobody","subject":[],"body":{}}', JSON),
    "a request that is none": ('{"@type":"Request","items":"none"}', JSON),
    "a response that is none": ('{"@type":"ResponseWrapper","requestId":1,"response":[]}', JSON),
    "a notification that is none": ('{"@type":"Notification","items":{}}', JSON),
    "blanks and other forms": (' { "a" : 1.0 , "b" : 1E2 , "c" : "\\u0041\\/" } ', JSON),
}
VALUES = {
    "null": ("null", RAW),
    "true": ("true", RAW),
    "a number": ("5", RAW),
    "a text": ('"text"', RAW),
    "an array": ("[1,{}]", RAW),
    "5000 levels of arrays": ("[" * 5000 + "]" * 5000, RAW),
}
CONTENTS = OBJECTS | VALUES
ORDINARY = '{"@type":"Mail","body":"b","cc":[],"subject":"the last","to":["%s"]}'


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    prepare(kinds_to_test()[:1])


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES, ids=str)
async def wires(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wires]:
    folder = tmp_path_factory.mktemp("wires")
    async with wired_on(request.param, folder, creation_content=CONTENTS["5000 levels"][0]) as found:
        yield found


def assert_says(content: content_pb2.Content, text: str, kind: str, what: str) -> None:
    """Asserts that a content says what the text says; as this text, where no value could."""
    assert content.WhichOneof("kind") == kind, what
    if kind != RAW:
        assert ContentCodec().json_from_content(content) == json.loads(text), what
        return
    try:
        value: Any = loads(text)
        is_value = "twice" not in what and "past" not in what
    except MalformedValue:
        is_value = False
    if is_value:
        assert loads(content.raw_json) == value, what
    else:
        assert content.raw_json.decode() == text.strip(), what


async def test_every_content_of_a_message_reaches_calls_lists_and_streams(wires: Wires) -> None:
    sent: dict[str, str] = {}
    async with wires.client() as alice:
        for what, (text, _) in CONTENTS.items():
            sent[await wires.peer.send(wires.alice, text)] = what
            if len(sent) % UNRECEIVED == 0:
                await alice.call(alice.account.Sync, account_pb.SyncRequest())
        last = await wires.peer.send(wires.alice, ORDINARY % wires.alice)
        await alice.call(alice.account.Sync, account_pb.SyncRequest())
        for identifier, what in sent.items():
            got = await alice.call(alice.messages.GetMessage, messages_pb.GetMessageRequest(id=identifier))
            assert_says(got.message.content, *CONTENTS[what], what)
        listed: dict[str, content_pb2.Content] = {}
        async for page in alice.pages(alice.messages.ListMessages, messages_pb.ListMessagesRequest(page_size=20)):
            listed |= {message.id: message.content for message in page.messages}
        assert set(listed) == {*sent, last}
        streamed: dict[str, content_pb2.Content] = {}
        async with aclosing(alice.follow("transport.messageReceived", from_beginning=True)) as stream:
            async with asyncio.timeout(30):
                async for received in stream:
                    streamed[received.event.message.id] = received.event.message.content
                    if received.event.message.id == last:
                        break
        assert list(streamed) == [*sent, last]
        for contents in (listed, streamed):
            assert contents[last].mail.subject == "the last"
            for identifier, what in sent.items():
                assert_says(contents[identifier], *CONTENTS[what], what)
        events = await alice.call(alice.events.ListEvents, events_pb.ListEventsRequest(types=["transport.*"]))
        assert events.events


async def test_every_content_of_a_template_comes_out_as_it_is(wires: Wires) -> None:
    async with wires.client() as alice:
        for what, (text, kind) in CONTENTS.items():
            if what == "null":
                continue
            reference = await wires.peer.template(text)
            request = templates_pb.LoadTemplateRequest(reference=reference)
            loaded = await alice.call(alice.relationship_templates.LoadTemplate, request)
            assert_says(loaded.template.content, text, kind, what)
            again = await alice.call(
                alice.relationship_templates.GetTemplate, templates_pb.GetTemplateRequest(id=loaded.template.id)
            )
            assert again.template.content == loaded.template.content


async def test_every_content_of_a_token_comes_out_as_it_is(wires: Wires) -> None:
    async with wires.client() as alice:
        for what, (text, kind) in OBJECTS.items():
            reference = await wires.peer.token(text)
            loaded = await alice.call(alice.tokens.LoadToken, tokens_pb.LoadTokenRequest(reference=reference))
            assert_says(loaded.token.content, text, kind, what)
            again = await alice.call(alice.tokens.GetToken, tokens_pb.GetTokenRequest(id=loaded.token.id))
            assert again.token.content == loaded.token.content
            anything = await alice.call(
                alice.references.LoadReference, references_pb.LoadReferenceRequest(reference=reference)
            )
            assert_says(anything.token.content, text, kind, what)


async def test_the_content_of_a_request_for_a_relationship_comes_out_as_it_is(wires: Wires) -> None:
    async with wires.client() as alice:
        listed = await alice.call(alice.relationships.ListRelationships, relationships_pb.ListRelationshipsRequest())
        [relationship] = listed.relationships
        assert_says(relationship.creation_content, *CONTENTS["5000 levels"], "creation")
        events = await alice.call(
            alice.events.ListEvents, events_pb.ListEventsRequest(types=["transport.relationshipChanged"])
        )
        assert {event.relationship.creation_content.raw_json for event in events.events} == {
            CONTENTS["5000 levels"][0].encode()
        }
