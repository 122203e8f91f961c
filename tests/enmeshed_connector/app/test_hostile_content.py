"""Whatever a peer sends as content reaches the subscriber, exactly, and nothing behind it is held up."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, aclosing
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from tests.support.mongodb import kinds_to_test, prepare, running_server
from tests.support.wires import Wires, wired

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]


def nested(levels: int, inner: str = "null") -> str:
    return '{"a":' * levels + inner + "}" * levels


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
    "a huge array": ("{" + '"a":[' + ",".join(map(str, range(100_000))) + "]}", JSON),
    "many empty objects": ('{"a":[' + ",".join(["{}"] * 50_000) + "]}", JSON),
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

UNRECEIVED = 4
"""So many messages may be on their way at once; the Backbone takes few that their recipient has not fetched."""

STORES = ["sqlite", *kinds_to_test()[:1]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    prepare(kinds_to_test()[:1])


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES)
async def wires(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wires]:
    with ExitStack() as stack:
        overrides = {}
        if request.param != "sqlite":
            server = stack.enter_context(running_server(request.param))
            overrides = {"database.driver": "pymongo", "database.connection_string": server.uri}
        folder, creation = tmp_path_factory.mktemp("wires"), CONTENTS["5000 levels"][0]
        async with wired(folder, creation_content=creation, overrides=overrides) as found:
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
        # Other tests of this module send, too.
        assert set(listed) >= {*sent, last}
        streamed: dict[str, content_pb2.Content] = {}
        async with aclosing(alice.follow("transport.messageReceived", from_beginning=True)) as stream:
            async with asyncio.timeout(30):
                async for received in stream:
                    streamed[received.event.message.id] = received.event.message.content
                    if received.event.message.id == last:
                        break
        assert [identifier for identifier in streamed if identifier in (*sent, last)] == [*sent, last]
        for contents in (listed, streamed):
            assert contents[last].mail.subject == "the last"
            for identifier, what in sent.items():
                assert_says(contents[identifier], *CONTENTS[what], what)
        events = await alice.call(alice.events.ListEvents, events_pb.ListEventsRequest(types=["transport.*"]))
        assert events.events


NAMES = st.sampled_from(
    ["a", "b", "", "@type", "$set", "a.b", "\0", "\ud800", "__proto__", "_id", "_rev", "_contentText"]
)
INTEGERS = st.integers() | st.sampled_from([2**53 - 1, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64])
TEXTS = st.text(st.characters(categories=None, exclude_categories=()), max_size=20)
SCALARS = (st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXTS | NAMES).map(
    json.dumps
)


def array_text(items: list[str]) -> str:
    return f"[{','.join(items)}]"


def object_text(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members) + "}"


def object_texts(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Gives objects; a name may come twice."""
    return st.lists(st.tuples(NAMES | TEXTS, values), max_size=4).map(object_text)


JSON_TEXTS = st.recursive(
    SCALARS, lambda values: st.lists(values, max_size=4).map(array_text) | object_texts(values), max_leaves=12
)
HOSTILE_TEXTS = st.builds(nested, st.sampled_from([0, 0, 1, 23, 24, 25, 34, 255, 300, 5000]), object_texts(JSON_TEXTS))


def assert_same(content: content_pb2.Content, text: str) -> None:
    """Asserts that a content says what a text says: as a value where there is one, else as this very text."""
    if content.WhichOneof("kind") == RAW and content.raw_json.decode() == text:
        return
    told = (
        json.loads(content.raw_json) if content.WhichOneof("kind") == RAW else ContentCodec().json_from_content(content)
    )
    assert told == json.loads(text, object_pairs_hook=without_repeats)


def without_repeats(members: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(members)) == len(members), "a text with names twice came as a value"
    return dict(members)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(HOSTILE_TEXTS, min_size=1, max_size=UNRECEIVED))
async def test_whatever_is_sent_reaches_a_subscriber_as_it_is(wires: Wires, texts: list[str]) -> None:
    async with wires.client() as alice:
        await alice.call(alice.account.Sync, account_pb.SyncRequest())
        place = (await alice.call(alice.events.ListEvents, events_pb.ListEventsRequest(page_size=500))).resume_token
        sent = {await wires.peer.send(wires.alice, text): text for text in texts}
        await alice.call(alice.account.Sync, account_pb.SyncRequest())
        arrived: dict[str, content_pb2.Content] = {}
        async with aclosing(alice.follow("transport.messageReceived", after=place)) as stream:
            async with asyncio.timeout(30):
                async for received in stream:
                    arrived[received.event.message.id] = received.event.message.content
                    if sent.keys() <= arrived.keys():
                        break
    for identifier, text in sent.items():
        assert_same(arrived[identifier], text)


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
