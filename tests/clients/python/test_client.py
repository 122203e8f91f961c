"""The Python client against a real server that plays the Connector."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta

import grpc
import pytest

from enmeshed.connector.v1 import files_service_pb2, messages_service_pb2
from enmeshed_client import Connector, ConnectorError, FieldViolation, download, upload
from tests.support.connector_stub import ConnectorStub, connector_stub, events, plays, refuses, started, stays


@pytest.fixture
async def stub() -> AsyncIterator[ConnectorStub]:
    stub = connector_stub()
    async with stub.serve():
        yield stub


@pytest.fixture
async def alice(stub: ConnectorStub) -> AsyncIterator[Connector]:
    async with Connector(stub.target, api_key="key", account="alice") as connector:
        yield connector


async def test_a_failed_call_tells_everything_that_the_status_holds(stub: ConnectorStub, alice: Connector) -> None:
    stub.refuse = refuses(grpc.StatusCode.FAILED_PRECONDITION, "no active relationship", "RELATIONSHIP_NOT_ACTIVE")
    with pytest.raises(ConnectorError) as raised:
        await alice.call(alice.messages.SendMessage, messages_service_pb2.SendMessageRequest())
    error = raised.value
    assert str(error) == "RELATIONSHIP_NOT_ACTIVE: no active relationship"
    assert error.code == grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "RELATIONSHIP_NOT_ACTIVE"
    assert error.official_code == "error.runtime.messages.hasNoActiveRelationship"
    assert error.facts["peers"] == "did:e:x"
    assert error.violations == (FieldViolation("recipients", "is wrong"),)
    assert error.retry_after == timedelta(milliseconds=1)
    assert error.correlation_id == "corr-1"


async def test_damaged_details_leave_the_status(stub: ConnectorStub, alice: Connector) -> None:
    async def refuse(context: grpc.aio.ServicerContext[object, object]) -> None:
        await context.abort(grpc.StatusCode.ABORTED, "again", (("grpc-status-details-bin", b"\xff\xff"),))

    stub.refuse = refuse
    with pytest.raises(ConnectorError) as raised:
        await alice.call(alice.messages.SendMessage, messages_service_pb2.SendMessageRequest())
    assert (raised.value.code, raised.value.reason, raised.value.message) == (grpc.StatusCode.ABORTED, "", "again")


async def test_a_lost_connection_is_an_error_without_a_reason() -> None:
    stub = connector_stub()
    async with stub.serve():
        pass
    async with Connector(stub.target) as connector:
        with pytest.raises(ConnectorError) as raised:
            await connector.call(connector.messages.SendMessage, messages_service_pb2.SendMessageRequest())
    assert (raised.value.code, raised.value.reason) == (grpc.StatusCode.UNAVAILABLE, "")


async def test_credentials_go_with_calls_streams_and_uploads(stub: ConnectorStub, alice: Connector) -> None:
    await alice.call(alice.messages.SendMessage, messages_service_pb2.SendMessageRequest())
    await upload(alice, b"content", files_service_pb2.UploadMetadata(filename="f"))
    stub.subscriptions = [plays(events("t1", "1"), then=stays)]
    async with aclosing(alice.follow()) as following:
        await anext(following)
    assert [(sent["x-api-key"], sent["x-account"]) for sent in stub.metadata] == [("key", "alice")] * 3


@pytest.mark.parametrize(("api_key", "account"), [("emc_x\r\n", None), (None, "bärbel"), (None, "al\nice")])
def test_credentials_that_cannot_be_sent_are_refused_at_once(api_key: str | None, account: str | None) -> None:
    with pytest.raises(ValueError, match="characters") as raised:
        Connector("localhost:1", api_key=api_key, account=account)
    assert str(api_key or account) not in str(raised.value)


async def test_follow_tells_why_a_stream_was_lost(stub: ConnectorStub, alice: Connector) -> None:
    stub.subscriptions = [
        plays(started(), events("t1", "1"), then=refuses(grpc.StatusCode.UNAVAILABLE, "draining", "DRAINING")),
        plays(started(), events("t2", "2"), then=stays),
    ]
    lost: list[str] = []
    async with aclosing(alice.follow(on_lost=lambda problem: lost.append(problem.reason))) as following:
        assert [(await anext(following)).event.id for _ in range(2)] == ["1", "2"]
    assert lost == ["DRAINING"]


async def test_a_service_is_found_by_its_name(stub: ConnectorStub, alice: Connector) -> None:
    await alice.call(alice.service("Messages").SendMessage, messages_service_pb2.SendMessageRequest())
    assert len(stub.sent) == 1
    assert alice.service("IdentityMetadata").UpsertMetadata is not None


async def test_pages_reads_all_pages_and_leaves_the_request_alone(alice: Connector) -> None:
    request = messages_service_pb2.ListMessagesRequest(page_size=7)
    found = [page.messages[0].id async for page in alice.pages(alice.messages.ListMessages, request)]
    assert found == [" of 7", "2 of 7", "3 of 7"]
    assert request.page_token == ""


async def test_follow_goes_on_after_the_server_was_killed() -> None:
    stub = connector_stub()
    stub.subscriptions = [
        plays(started(), events("t2", "1", "2"), then=stays),
        plays(started(), events("t3", "3"), then=refuses(grpc.StatusCode.UNAVAILABLE, "draining", "DRAINING")),
        plays(
            started(), events("t4", "4"), then=refuses(grpc.StatusCode.RESOURCE_EXHAUSTED, "", "SUBSCRIBER_TOO_SLOW")
        ),
        plays(started(), events("t5", "5")),
        plays(started(), events("t6", "6"), then=stays),
    ]
    found: list[tuple[str, str]] = []
    connections: list[None] = []
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        await first.enter_async_context(stub.serve())
        connector = await second.enter_async_context(Connector(stub.target))
        following = connector.follow(on_connected=lambda: connections.append(None))
        async with aclosing(following):
            async for received in following:
                found.append((received.event.id, received.resume_token))
                if len(found) == 2:
                    await first.aclose()
                    await second.enter_async_context(stub.serve())
                if len(found) == 6:
                    break
    # The token of the batch comes with its last event only, so that whoever stops in between gets the rest again.
    assert found == [("1", ""), ("2", "t2"), ("3", "t3"), ("4", "t4"), ("5", "t5"), ("6", "t6")]
    assert stub.starts == ["", "t2", "t3", "t4", "t5"]
    assert len(connections) == 5


async def test_follow_begins_where_it_is_told(stub: ConnectorStub, alice: Connector) -> None:
    for after in ("t9", None):
        stub.subscriptions = [plays(events("t10", "10"), then=stays)]
        async with aclosing(alice.follow(after=after, from_beginning=True)) as following:
            assert (await anext(following)).resume_token == "t10"
    assert stub.starts == ["t9", ""]


async def test_follow_ends_with_a_refusal(stub: ConnectorStub, alice: Connector) -> None:
    stub.subscriptions = [plays(then=refuses(grpc.StatusCode.PERMISSION_DENIED, "no", "PERMISSION_DENIED"))]
    with pytest.raises(ConnectorError, match="PERMISSION_DENIED"):
        await anext(alice.follow("transport.*"))
    assert len(stub.starts) == 1


async def test_follow_loses_patience_with_a_server_that_stays_away() -> None:
    stub = connector_stub()
    async with stub.serve():
        pass
    async with Connector(stub.target) as connector:
        with pytest.raises(ConnectorError) as raised:
            await anext(connector.follow(patience=0.001))
    assert raised.value.code == grpc.StatusCode.UNAVAILABLE


async def test_follow_leaves_a_stream_that_is_silent_for_too_long(stub: ConnectorStub, alice: Connector) -> None:
    stub.subscriptions = [plays(started(heartbeat=0), then=stays), plays(events("t1", "1"), then=stays)]
    async with aclosing(alice.follow()) as following:
        assert (await anext(following)).event.id == "1"
    assert len(stub.starts) == 2


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 1_000_000])
async def test_a_file_comes_back_as_it_was_uploaded(stub: ConnectorStub, alice: Connector, size: int) -> None:
    content = b"\x07" * size
    metadata = files_service_pb2.UploadMetadata(filename="f")
    assert (await upload(alice, content, metadata)).filename == "f"
    found = await download(alice.files.DownloadFile(files_service_pb2.DownloadFileRequest()))
    assert (found.file.filename, found.content) == ("f", content)
    assert metadata.size_bytes == 0


async def test_an_upload_that_is_refused_halfway_tells_why(stub: ConnectorStub, alice: Connector) -> None:
    stub.refuse = refuses(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room", "TRANSFER_BUDGET")
    with pytest.raises(ConnectorError, match="TRANSFER_BUDGET"):
        await upload(alice, bytes(8 << 20), files_service_pb2.UploadMetadata(filename="f"))


async def test_a_damaged_download_is_an_error(stub: ConnectorStub, alice: Connector) -> None:
    stub.stored, stub.is_damaging = b"content", True
    with pytest.raises(ConnectorError, match="TRANSFER_INCOMPLETE"):
        await download(alice.files.DownloadFile(files_service_pb2.DownloadFileRequest()))
