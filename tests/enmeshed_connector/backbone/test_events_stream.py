"""The stream of server-sent events."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_connector.backbone import SessionSettings
from enmeshed_connector.backbone.errors import AnswerUnusable, BackboneUnavailable
from enmeshed_connector.backbone.sse import EventDecoder, StreamGarbage
from tests.enmeshed_connector.backbone.conftest import Client, ClientMaker
from tests.enmeshed_connector.backbone.samples import CHALLENGE
from tests.support.scripted_http import Request, ScriptedServer, answer, result

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n"
OPENED = b"event: ConnectionOpened\ndata: _\n\n"
CREATED = b"event: ExternalEventCreated\ndata: _\n\n"


async def listen(client: Client, received: list[str]) -> None:
    async with client.backbone.events() as names:
        async for name in names:
            received.append(name)


async def test_a_stream_gives_the_names_of_events_in_order(client: Client, server: ScriptedServer) -> None:
    server.script(HEAD + OPENED + CREATED + b"event: keep-alive\ndata: _\n\n")
    async with client.backbone.events() as names:
        assert [name async for name in names] == ["ConnectionOpened", "ExternalEventCreated", "keep-alive"]
    assert server.requests[0].path == "/api/v1/sse"
    assert server.requests[0].headers["accept"] == "text/event-stream"


async def test_an_event_is_given_before_the_next_one_comes(client: Client, server: ScriptedServer) -> None:
    seen = asyncio.Event()

    async def one_by_one(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + OPENED)
        await writer.drain()
        await seen.wait()
        writer.write(CREATED)
        await writer.drain()
        writer.close()

    server.script(one_by_one)
    received = []
    async with client.backbone.events() as names:
        async for name in names:
            received.append(name)
            seen.set()
    assert received == ["ConnectionOpened", "ExternalEventCreated"]


async def test_a_refused_token_is_replaced_for_a_stream_too(client: Client, server: ScriptedServer) -> None:
    server.script(answer(401, b""), HEAD + OPENED)
    async with client.backbone.events() as names:
        assert [name async for name in names] == ["ConnectionOpened"]
    assert len(server.logins) == 2


async def test_a_second_stream_of_an_identity_ends_at_once_without_an_event(
    client: Client, server: ScriptedServer
) -> None:
    server.script(HEAD)
    async with client.backbone.events() as names:
        assert [name async for name in names] == []


@pytest.mark.parametrize("step", [answer(200, b"<html>"), result({}), HEAD + b"x" * 20_000 + b"\n"])
async def test_what_is_no_stream_of_events_is_unusable(client: Client, server: ScriptedServer, step: bytes) -> None:
    server.script(step)
    with pytest.raises(AnswerUnusable):
        await listen(client, [])


async def test_a_stream_that_is_cut_raises(client: Client, server: ScriptedServer) -> None:
    chunked = HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked\r\nConnection: close")
    server.script(chunked + b"%x\r\n" % len(OPENED) + OPENED + b"\r\n")
    received: list[str] = []
    with pytest.raises(BackboneUnavailable) as caught:
        await listen(client, received)
    assert received == ["ConnectionOpened"]
    assert caught.value.facts["cause"] == "cut"


async def test_streams_take_no_turns_and_no_connections_of_calls(
    make_client: ClientMaker, server: ScriptedServer
) -> None:
    client = make_client(server.base_url, SessionSettings(concurrent_calls=1))

    async def open_ended(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + OPENED)
        await asyncio.Event().wait()

    server.script(open_ended, result(CHALLENGE))
    async with client.backbone.events() as names:
        async for _ in names:
            await client.backbone.challenges.create()
            break


def decode(pieces: list[bytes]) -> list[str]:
    decoder = EventDecoder()
    return [name for piece in pieces for name in decoder.feed(piece)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"event: A\ndata: _\n\n", ["A"]),
        (b"event:A\r\ndata:_\r\n\r\n", ["A"]),
        (b"event: A\rdata: _\r\r", ["A"]),
        (b": comment\n\nid: 1\nretry: 5\n\nevent: A\ndata\n\n", ["A"]),
        (b"data: _\n\n", ["message"]),
        (b"event: A\n\ndata: _\n\n", ["message"]),
        (b"event: A\nevent: B\ndata: 1\ndata: 2\n\n", ["B"]),
        (b"event: A\ndata: _\n", []),
        (b"event: \xff\ndata: _\n\n", ["\ufffd"]),
        (b"", []),
    ],
)
def test_the_decoder_follows_the_rules_of_event_streams(text: bytes, names: list[str]) -> None:
    assert decode([text]) == names
    assert decode([bytes([byte]) for byte in text]) == names


@given(
    st.lists(st.sampled_from([b"event: A\n", b"data: _\r\n", b"\n", b"\r", b"\r\n", b":x\n", b"x"]), max_size=20),
    st.data(),
)
def test_the_decoder_does_not_mind_where_the_network_divides_a_stream(parts: list[bytes], data: st.DataObject) -> None:
    text = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    bounds = [0, *cuts, len(text)]
    divided = [text[start:end] for start, end in pairwise(bounds)]
    assert decode(divided) == decode([text])


def test_a_line_that_never_ends_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(StreamGarbage):
        decode([b"x" * 1000] * 17)
