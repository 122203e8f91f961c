"""Contents of files: up as a form, down in pieces."""

from __future__ import annotations

import asyncio
from email.parser import BytesParser

import pytest

from enmeshed_connector.backbone.errors import (
    AnswerLost,
    AnswerTooLarge,
    BackboneUnavailable,
    BodyTooLarge,
    RecordNotFound,
)
from tests.enmeshed_connector.backbone.conftest import Client
from tests.enmeshed_connector.backbone.samples import FILE_ID, UPLOADED, new_file
from tests.support.scripted_http import Request, ScriptedServer, answer, error, hang_up, result

CONTENT = bytes(range(256)) * 4096


async def read(client: Client, cap_bytes: int) -> bytes:
    async with client.backbone.files.open(FILE_ID, cap_bytes=cap_bytes) as pieces:
        return b"".join([piece async for piece in pieces])


def parts_of(request: Request) -> list[tuple[dict[str, str | None], bytes]]:
    """Returns disposition and content of the parts of a form, read by the standard library."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + request.body)
    parts = []
    for part in message.get_payload():
        assert not isinstance(part, str)
        names = {name: part.get_param(name, header="content-disposition") for name in ("name", "filename")}
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        parts.append((names, payload))
    return parts  # type: ignore[return-value]  # The parser's types are wider than what it gives here.


async def test_an_upload_is_a_form_with_the_content_as_a_binary_part(client: Client, server: ScriptedServer) -> None:
    server.script(result(UPLOADED, 201))
    uploaded = await client.backbone.files.upload(new_file(b"--not\r\n\r\n the end--\x00\xff"))
    assert uploaded.id == FILE_ID
    assert "abc!" not in repr(uploaded)
    parts = parts_of(server.requests[0])
    assert [(part["name"], content) for part, content in parts] == [
        ("cipherHash", b"-__7__v_" * 10 + b"-__7_w"),
        ("owner", b"did:e:localhost:dids:1e8fcd70de2cd15d57a115"),
        ("ownerSignature", b"c2lnbmF0dXJl"),
        ("expiresAt", b"2027-01-01T00:00:00.000Z"),
        ("encryptedProperties", b"cHJvcGVydGllcw"),
        ("content", b"--not\r\n\r\n the end--\x00\xff"),
    ]
    assert parts[-1][0]["filename"] == "cipher.bin"
    assert b"Content-Type: application/octet-stream" in server.requests[0].body


async def test_a_large_upload_arrives_whole_and_again_after_a_refused_token(
    client: Client, server: ScriptedServer
) -> None:
    server.script(answer(401, b""), result(UPLOADED, 201))
    await client.backbone.files.upload(new_file(CONTENT))
    first, second = server.requests
    assert first.body == second.body
    assert parts_of(second)[-1][1] == CONTENT


async def test_an_upload_whose_answer_is_lost_is_not_repeated(client: Client, server: ScriptedServer) -> None:
    server.script(hang_up)
    with pytest.raises(AnswerLost):
        await client.backbone.files.upload(new_file())
    assert len(server.requests) == 1


async def test_an_upload_that_is_refused_before_its_end_ends_in_time(client: Client) -> None:
    finished = asyncio.Event()

    async def refuse_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/connect/token" in head:
            grant = b'{"access_token":"t","expires_in":300}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(grant) + grant)
            writer.close()
            return
        writer.write(answer(413, b"", {"Connection": "close"}))
        await writer.drain()
        # Nothing of the body is read, and the connection stays: the sender must not wait for it.
        await finished.wait()
        writer.close()

    small = await asyncio.start_server(refuse_early, "127.0.0.1", 0)
    try:
        port = small.sockets[0].getsockname()[1]
        object.__setattr__(client.gateway.target, "base_url", f"http://127.0.0.1:{port}")
        with pytest.raises((BodyTooLarge, AnswerLost)):
            await client.backbone.files.upload(new_file(CONTENT * 10))
    finally:
        finished.set()
        small.close()
        await small.wait_closed()


async def test_a_download_that_breaks_off_is_started_again(client: Client, server: ScriptedServer) -> None:
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(CONTENT) + CONTENT[:70_000]
    server.script(broken, answer(200, CONTENT))
    assert await client.backbone.files.download(FILE_ID) == CONTENT


async def test_an_error_is_never_taken_for_a_content(client: Client, server: ScriptedServer) -> None:
    server.script(error(404, "error.platform.recordNotFound", "File not found."))
    with pytest.raises(RecordNotFound):
        await client.backbone.files.download(FILE_ID)


async def test_an_open_download_hands_out_pieces_as_they_come(client: Client, server: ScriptedServer) -> None:
    go_on = asyncio.Event()

    async def in_two(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
        await writer.drain()
        await go_on.wait()
        writer.write(b"56789")

    server.script(in_two)
    received = b""
    async with client.backbone.files.open(FILE_ID) as pieces:
        async for piece in pieces:
            received += piece
            go_on.set()
    assert received == b"0123456789"


async def test_an_open_download_that_breaks_off_or_grows_too_large_raises(
    client: Client, server: ScriptedServer
) -> None:
    server.script(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n01234", answer(200, CONTENT))
    with pytest.raises(BackboneUnavailable):
        await read(client, cap_bytes=100_000)
    with pytest.raises(AnswerTooLarge):
        await read(client, cap_bytes=100_000)


async def test_a_download_that_nobody_reads_to_its_end_leaves_the_client_usable(
    client: Client, server: ScriptedServer
) -> None:
    server.script(*[answer(200, CONTENT)] * 5)
    for _ in range(4):
        async with client.backbone.files.open(FILE_ID) as pieces:
            async for _piece in pieces:
                break
    assert await client.backbone.files.download(FILE_ID) == CONTENT
