"""Whatever text a peer sends as content reaches the subscriber as it is, on every store."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import events_service_pb2 as events_pb
from enmeshed.content.v1 import content_pb2
from enmeshed_connector.content.codec import ContentCodec
from tests.support.hostile_peer import nested
from tests.support.mongodb import kinds_to_test, prepare
from tests.support.wires import STORES, UNRECEIVED, Wires, wired_on

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(480)]
RAW = "raw_json"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    prepare(kinds_to_test()[:1])


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES, ids=str)
async def wires(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Wires]:
    folder = tmp_path_factory.mktemp("wires")
    async with wired_on(request.param, folder, creation_content="{}") as found:
        yield found


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
