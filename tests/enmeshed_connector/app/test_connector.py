"""The main job through the public interface, on a whole Connector."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import files_service_pb2 as files_pb
from enmeshed.connector.v1 import filters_pb2, message_pb2
from enmeshed.connector.v1 import messages_service_pb2 as messages_pb
from enmeshed.connector.v1 import tokens_service_pb2 as tokens_pb
from enmeshed.connector.v1 import tokens_service_pb2_grpc as tokens_pb_grpc
from enmeshed_client import ConnectorError, download, upload
from tests.support.connector import RunningConnector, running_connector
from tests.support.scripted_http import ScriptedServer, error


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningConnector]:
    async with running_connector(tmp_path, is_related=True) as connector:
        yield connector


def mail(
    *recipients: str, subject: str = "Hello", key: str = "", attachments: tuple[str, ...] = ()
) -> messages_pb.SendMessageRequest:
    return json_format.ParseDict(
        {
            "recipients": list(recipients),
            "content": {"mail": {"to": list(recipients), "subject": subject, "body": "There"}},
            "attachmentIds": list(attachments),
            "idempotencyKey": key,
        },
        messages_pb.SendMessageRequest(),
    )


async def test_a_mail_with_a_file_arrives_and_is_downloaded_byte_for_byte(running: RunningConnector) -> None:
    content = os.urandom(700_000)
    async with running.client("alice") as alice, running.client("bob") as bob:
        file = await upload(alice, content, files_pb.UploadMetadata(filename="a.bin", size_bytes=len(content)))
        sent = await alice.call(alice.messages.SendMessage, mail(running.accounts["bob"], attachments=(file.id,)))
        await bob.call(bob.account.Sync, account_pb.SyncRequest())
        received = await bob.call(bob.messages.GetMessage, messages_pb.GetMessageRequest(id=sent.message.id))
        request = messages_pb.DownloadAttachmentRequest(message_id=sent.message.id, attachment_id=file.id)
        fetched = await download(bob.messages.DownloadAttachment(request))
    assert received.message.content.mail.subject == "Hello"
    assert not received.message.is_own
    assert [attachment.filename for attachment in received.message.attachments] == ["a.bin"]
    assert fetched.content == content


async def test_the_same_key_sends_once_and_gives_the_same_answer(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        key = alice.idempotency_key()
        request = mail(running.accounts["bob"], key=key)
        first = await alice.call(alice.messages.SendMessage, request)
        second = await alice.call(alice.messages.SendMessage, request)
        listed = await alice.call(alice.messages.ListMessages, messages_pb.ListMessagesRequest())
        with pytest.raises(ConnectorError) as caught:
            await alice.call(alice.messages.SendMessage, mail(running.accounts["bob"], subject="Another", key=key))
    assert first.message == second.message
    assert len(listed.messages) == 1
    assert caught.value.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    async with running_connector(tmp_path, is_related=True) as first:
        addresses = first.accounts
        async with first.client("alice") as alice:
            sent = await alice.call(alice.messages.SendMessage, mail(first.accounts["bob"]))
    async with running_connector(tmp_path, overrides={"backbone.base_url": "http://localhost:1"}) as second:
        assert second.accounts == addresses
        async with second.client("alice") as alice:
            again = await alice.call(alice.messages.GetMessage, messages_pb.GetMessageRequest(id=sent.message.id))
    assert again.message.content.mail.subject == "Hello"


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"recipients": []}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
        ({"recipients": ["nobody"]}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
        ({"content": None}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
        ({"content": {"json": {"@type": "Nothing"}}}, grpc.StatusCode.INVALID_ARGUMENT, "CONTENT_TYPE_NOT_ALLOWED"),
        ({"content": {"mail": {"to": []}}}, grpc.StatusCode.INVALID_ARGUMENT, "CONTENT_INVALID"),
        ({"idempotencyKey": "no-uuid"}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
        ({"attachmentIds": ["FIL00000000000000000"]}, grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
    ],
)
async def test_a_wrong_message_is_refused_with_the_reason(
    running: RunningConnector, change: dict[str, object], code: grpc.StatusCode, reason: str
) -> None:
    bob = running.accounts["bob"]
    members = {"recipients": [bob], "content": {"mail": {"to": [bob], "subject": "s", "body": "b"}}, **change}
    request = json_format.ParseDict(
        {name: value for name, value in members.items() if value is not None}, messages_pb.SendMessageRequest()
    )
    async with running.client("alice") as alice:
        with pytest.raises(ConnectorError) as caught:
            await alice.call(alice.messages.SendMessage, request)
    assert (caught.value.code, caught.value.reason) == (code, reason)


async def test_mails_to_strangers_are_refused_and_name_them(running: RunningConnector) -> None:
    stranger = running.accounts["alice"]
    async with running.client("alice") as alice:
        with pytest.raises(ConnectorError) as caught:
            await alice.call(alice.messages.SendMessage, mail(stranger))
    assert caught.value.reason == "RELATIONSHIP_NOT_ACTIVE"
    assert caught.value.facts["recipients"] == stranger


async def test_lists_page_through_everything_once(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        for number in range(7):
            await alice.call(alice.messages.SendMessage, mail(running.accounts["bob"], subject=str(number)))
        request = messages_pb.ListMessagesRequest(page_size=3)
        subjects = [
            message.content.mail.subject
            async for page in alice.pages(alice.messages.ListMessages, request)
            for message in page.messages
        ]
    assert subjects == ["6", "5", "4", "3", "2", "1", "0"]


async def test_lists_show_what_reading_one_shows_after_each_change_and_in_each_view(running: RunningConnector) -> None:
    async with running.client("alice") as alice, running.client("bob") as bob:
        for number in range(3):
            await alice.call(alice.messages.SendMessage, mail(running.accounts["bob"], subject=str(number)))
        await bob.call(bob.account.Sync, account_pb.SyncRequest())

        async def listed(**fields: Any) -> list[message_pb2.Message]:
            answer = await bob.call(bob.messages.ListMessages, messages_pb.ListMessagesRequest(**fields))
            return list(answer.messages)

        async def read(message_id: str) -> message_pb2.Message:
            return (await bob.call(bob.messages.GetMessage, messages_pb.GetMessageRequest(id=message_id))).message

        first = await listed()
        chosen = first[1].id
        for changed in (
            (bob.messages.MarkMessageRead, messages_pb.MarkMessageReadRequest(id=chosen)),
            (bob.messages.MarkMessageUnread, messages_pb.MarkMessageUnreadRequest(id=chosen)),
            (bob.messages.MarkMessageRead, messages_pb.MarkMessageReadRequest(id=chosen)),
        ):
            await bob.call(*changed)
            assert await listed() == [await read(message.id) for message in first]
            assert await listed(view=filters_pb2.VIEW_FULL) == await listed()
        assert [message.HasField("read_time") for message in await listed()] == [False, True, False]
        basic = await listed(view=filters_pb2.VIEW_BASIC)
        assert [message.id for message in basic] == [message.id for message in first]
        assert [message.HasField("content") for message in basic] == [False] * 3
        assert [message.HasField("content") for message in await listed()] == [True] * 3
    # Nobody else is shown what is remembered of another account.
    async with running.client("alice") as alice:
        own = (await alice.call(alice.messages.ListMessages, messages_pb.ListMessagesRequest())).messages
        assert [message.is_own for message in own] == [True] * 3
        assert [message.HasField("read_time") for message in own] == [False] * 3


async def test_an_upload_that_does_not_arrive_whole_leaves_nothing(running: RunningConnector) -> None:
    async with running.client("alice") as alice:

        async def frames(*chunks: bytes, size: int, digest: bytes | None) -> AsyncIterator[files_pb.UploadFileRequest]:
            yield files_pb.UploadFileRequest(metadata=files_pb.UploadMetadata(filename="a", size_bytes=size))
            for chunk in chunks:
                yield files_pb.UploadFileRequest(chunk=chunk)
            if digest is not None:
                yield json_format.ParseDict({"digest": {}}, files_pb.UploadFileRequest())

        for stream in (
            frames(b"abc", size=4, digest=None),
            frames(b"abc", size=2, digest=None),
            frames(b"abc", size=3, digest=None),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await alice.files.UploadFile(stream)
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        listed = await alice.call(alice.files.ListFiles, files_pb.ListFilesRequest())
    assert list(listed.files) == []


@pytest.mark.parametrize(
    ("tags", "reason", "code", "fields"),
    [
        (["x:a", "nonsense"], "TAGS_INVALID", "error.consumption.attributes.invalidTags", ["metadata.tags[1]"]),
        (["x:a", "x:a"], "INVALID_ARGUMENT", "error.runtime.validation.invalidPropertyValue", ["metadata.tags"]),
    ],
)
async def test_a_file_with_wrong_tags_is_refused(
    running: RunningConnector, tags: list[str], reason: str, code: str, fields: list[str]
) -> None:
    async with running.client("alice") as alice:
        with pytest.raises(ConnectorError) as caught:
            await upload(alice, b"abc", files_pb.UploadMetadata(filename="a", tags=tags))
        listed = await alice.call(alice.files.ListFiles, files_pb.ListFilesRequest())
    refused = caught.value
    assert (refused.reason, refused.official_code) == (reason, code)
    assert [violation.field for violation in refused.violations] == fields
    assert list(listed.files) == []


async def test_the_backbone_is_told_the_correlation_id_of_a_call(tmp_path: Path) -> None:
    async with running_connector(tmp_path) as first, first.client("alice") as alice:
        create = json_format.ParseDict(
            {"content": {"json": {"@type": "JSONWrapper", "value": {}}}, "expireTime": "2099-01-01T00:00:00Z"},
            tokens_pb.CreateTokenRequest(),
        )
        token = (await alice.call(alice.tokens.CreateToken, create)).token
    async with (
        ScriptedServer() as server,
        running_connector(tmp_path, overrides={"backbone.base_url": server.base_url}) as second,
    ):
        server.script(*[error(404, "error.platform.recordNotFound", "No such token.")] * 50)
        metadata = (("x-api-key", second.api_key), ("x-account", "bob"), ("x-correlation-id", "order-17"))
        async with grpc.aio.insecure_channel(second.target) as channel:
            load = tokens_pb.LoadTokenRequest(reference=token.reference.truncated)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await tokens_pb_grpc.TokensStub(channel).LoadToken(load, metadata=metadata)
        told = {one.headers.get("x-correlation-id") for one in server.requests if "/Tokens" in one.path}
    refusal = ConnectorError.of(caught.value)
    assert told == {"order-17"}
    assert (refusal.reason, refusal.official_code) == ("NOT_FOUND", "error.runtime.recordNotFound")
