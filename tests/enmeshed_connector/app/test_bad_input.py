"""Whatever a caller does wrong is answered with a status and a reason, leaves nothing behind, and stops nobody else."""

import asyncio
import hashlib
import importlib
import json
import os
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import events_service_pb2 as events_pb
from enmeshed.connector.v1 import files_service_pb2 as files_pb
from enmeshed.connector.v1 import messages_service_pb2 as messages_pb
from enmeshed.connector.v1 import monitoring_service_pb2 as monitoring_pb
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError, download, upload
from enmeshed_connector.api.api_keys import SERVER_COLLECTIONS, ApiKeyStore
from enmeshed_connector.api.calls import CallKind
from enmeshed_connector.api.permissions import METHODS, PACKAGE
from enmeshed_connector.core.clock import SystemClock
from enmeshed_connector.storage import Retention
from enmeshed_connector.storage.sqlite import SqliteDatabases
from tests.support.broken_rules import BrokenRule, broken_rules
from tests.support.connector import RunningConnector, running_connector

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

INVALID, NOT_FOUND, DENIED = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
)
SERVICES = [
    "Account",
    "RelationshipTemplates",
    "Relationships",
    "Messages",
    "Files",
    "Tokens",
    "References",
    "Challenges",
    "Events",
    "Monitoring",
]
READER = "reader-key-0123456789-0123456789-0123456789"
WRITER = "writer-key-0123456789-0123456789-0123456789"
BOUND = "bound-key-0123456789-0123456789-0123456789-"
KEYS = f"{READER} reader *:read\n{WRITER} writer *:read,*:write\n{BOUND} bound ** alice\n"
MAX_BYTES = 1024 * 1024
EXPIRY = "2099-01-01T00:00:00Z"
PASSWORD = "a-password-that-nobody-guesses"
UNKNOWN = {prefix: f"{prefix}{'0' * 17}" for prefix in ("RLT", "REL", "MSG", "FIL", "TOK")}
NOBODY = "did:e:localhost:dids:" + "0" * 22


def methods() -> dict[str, Any]:
    """Returns the methods of the services by `Service/Method`."""
    found = {}
    for service in SERVICES:
        module = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in service).lstrip("_")
        descriptor = importlib.import_module(f"enmeshed.connector.v1.{module}_service_pb2").DESCRIPTOR
        for method in descriptor.services_by_name[service].methods:
            found[f"{service}/{method.name}"] = method
    return found


ALL = methods()
RULES = [(name, rule) for name, method in ALL.items() for rule in broken_rules(method.input_type)]


def request_of(name: str, fields: dict[str, Any]) -> Message:
    return json_format.ParseDict(fields, GetMessageClass(ALL[name].input_type)())


async def call(
    client: Client, name: str, request: Message | bytes | dict[str, Any] | None = None, **metadata: str
) -> Any:
    """Calls any method: its answer, or its first frame."""
    method = ALL[name]
    if not isinstance(request, (Message, bytes)):
        request = request_of(name, request or {})
    path = f"/{PACKAGE}.{name}"
    options: Any = {
        "request_serializer": None if isinstance(request, bytes) else type(request).SerializeToString,
        "response_deserializer": GetMessageClass(method.output_type).FromString,
    }
    sent: Any = request
    if method.client_streaming:

        async def frames() -> AsyncIterator[Message | bytes]:
            yield request

        sent = frames()
    kind = ("stream" if method.client_streaming else "unary") + ("_stream" if method.server_streaming else "_unary")
    running = getattr(client.channel, kind)(path, **options)(sent, timeout=60, metadata=tuple(metadata.items()) or None)
    try:
        if not method.server_streaming:
            return await running
        try:
            frame = await running.read()
            if frame is grpc.aio.EOF:
                await running.code()
            return frame
        finally:
            running.cancel()
    except grpc.aio.AioRpcError as error:
        raise ConnectorError.of(error) from None


async def refusal(client: Client, name: str, request: Message | bytes | dict[str, Any] | None = None) -> ConnectorError:
    """Returns how a call is refused."""
    with pytest.raises(ConnectorError) as caught:
        await call(client, name, request)
    return caught.value


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningConnector]:
    overrides = {"server.max_message_bytes": str(MAX_BYTES), "api_keys.failure_delay_seconds": "0.01"}
    folder = tmp_path_factory.mktemp("connector")
    async with running_connector(folder, overrides=overrides, keys=KEYS, is_related=True) as connector:
        yield connector


@pytest_asyncio.fixture(loop_scope="module")
async def alice(running: RunningConnector) -> AsyncIterator[Client]:
    async with running.client("alice") as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def bob(running: RunningConnector) -> AsyncIterator[Client]:
    async with running.client("bob") as client:
        yield client


# ---- field rules ----


@pytest.mark.parametrize(("name", "rule"), [pytest.param(*case, id=f"{case[0]}:{case[1]}") for case in RULES])
async def test_a_broken_field_rule_names_the_field(alice: Client, name: str, rule: BrokenRule) -> None:
    error = await refusal(alice, name, rule.request)
    assert (error.code, error.reason) == (INVALID, "INVALID_ARGUMENT")
    assert rule.path in {violation.field for violation in error.violations}


@pytest.mark.parametrize(
    ("name", "request_fields", "reason"),
    [
        ("Challenges/CreateChallenge", {"type": "CHALLENGE_TYPE_RELATIONSHIP"}, "INVALID_ARGUMENT"),
        ("References/ParseReference", {"reference": "nonsense"}, "INVALID_ARGUMENT"),
        ("References/LoadReference", {"reference": "nonsense"}, "INVALID_ARGUMENT"),
        ("References/RenderQrCode", {"reference": "https://example.org/"}, "INVALID_ARGUMENT"),
        ("RelationshipTemplates/LoadTemplate", {"reference": "nonsense"}, "INVALID_ARGUMENT"),
        ("Files/LoadFile", {"reference": "nonsense"}, "INVALID_ARGUMENT"),
        ("Tokens/LoadToken", {"reference": "nonsense"}, "INVALID_ARGUMENT"),
        ("Tokens/CreateToken", {"content": {"json": {}}, "expireTime": "2001-01-01T00:00:00Z"}, "TIME_IN_PAST"),
        ("Tokens/CreateToken", {"content": {}, "expireTime": EXPIRY}, "CONTENT_INVALID"),
        ("Tokens/CreateToken", {"content": {"rawJson": "bm8="}, "expireTime": EXPIRY}, "CONTENT_INVALID"),
        ("Tokens/CreateToken", {"content": {"rawJson": "W10="}, "expireTime": EXPIRY}, "INVALID_ARGUMENT"),
        (
            "RelationshipTemplates/CreateTemplate",
            {"content": {"json": {"@type": "Mail"}}, "expireTime": EXPIRY},
            "CONTENT_TYPE_NOT_ALLOWED",
        ),
        ("Events/ListEvents", {"types": ["transport.noSuchEvent"]}, "EVENT_TYPE_UNKNOWN"),
        ("Events/Subscribe", {"types": ["no.such.**"]}, "EVENT_TYPE_UNKNOWN"),
        ("Files/UploadFile", {"chunk": "eA=="}, "INVALID_ARGUMENT"),
        ("Files/UploadFile", {"metadata": {"filename": "a", "sizeBytes": "99999999999"}}, "FILE_TOO_LARGE"),
    ],
)
async def test_what_fits_the_rules_and_makes_no_sense_is_refused(
    alice: Client, name: str, request_fields: dict[str, Any], reason: str
) -> None:
    error = await refusal(alice, name, request_fields)
    assert error.code == INVALID
    assert error.reason in (reason, "TRANSFER_FRAMES_INVALID" if name == "Files/UploadFile" else reason)


@pytest.mark.parametrize("name", ALL)
async def test_bytes_that_are_no_message_are_refused(alice: Client, name: str) -> None:
    error = await refusal(alice, name, b"\xff\xff\xff")
    assert (error.code, error.reason) == (INVALID, "INVALID_ARGUMENT")
    assert "cannot be read" in error.message


# ---- ids ----


def unknown_ids() -> list[tuple[str, dict[str, Any]]]:
    ids = {
        "RelationshipTemplates": ("id", UNKNOWN["RLT"], ["GetTemplate", "DeleteTemplate"]),
        "Relationships": (
            "id",
            UNKNOWN["REL"],
            [
                "GetRelationship",
                "AcceptRelationship",
                "RejectRelationship",
                "RevokeRelationship",
                "TerminateRelationship",
                "RequestReactivation",
                "AcceptReactivation",
                "RejectReactivation",
                "RevokeReactivation",
                "DecomposeRelationship",
            ],
        ),
        "Messages": ("id", UNKNOWN["MSG"], ["GetMessage", "MarkMessageRead", "MarkMessageUnread"]),
        "Files": ("id", UNKNOWN["FIL"], ["GetFile", "DownloadFile", "DeleteFile"]),
        "Tokens": ("id", UNKNOWN["TOK"], ["GetToken", "DeleteToken"]),
    }
    cases: list[tuple[str, dict[str, Any]]] = [
        (f"{service}/{name}", {field: value}) for service, (field, value, names) in ids.items() for name in names
    ]
    attachment = {"messageId": UNKNOWN["MSG"], "attachmentId": UNKNOWN["FIL"]}
    creation: dict[str, Any] = {"arbitraryRelationshipCreationContent": {"value": {}}}
    return [
        *cases,
        ("RelationshipTemplates/CreateTemplateToken", {"templateId": UNKNOWN["RLT"]}),
        ("Relationships/CanCreateRelationship", {"templateId": UNKNOWN["RLT"]}),
        ("Relationships/CreateRelationship", {"templateId": UNKNOWN["RLT"], "creationContent": creation}),
        ("Relationships/GetRelationship", {"peer": NOBODY}),
        ("Messages/GetAttachment", attachment),
        ("Messages/DownloadAttachment", attachment),
        ("Files/CreateFileToken", {"fileId": UNKNOWN["FIL"]}),
        ("Files/RegenerateOwnershipToken", {"fileId": UNKNOWN["FIL"]}),
        ("Challenges/CreateChallenge", {"type": "CHALLENGE_TYPE_RELATIONSHIP", "relationshipId": UNKNOWN["REL"]}),
        ("Events/RetryFailedEvent", {"id": "nothing"}),
        ("Events/GetSubscription", {"name": "nothing"}),
        ("Events/DeleteSubscription", {"name": "nothing"}),
        ("Events/Subscribe", {"subscription": "nothing"}),
    ]


@pytest.mark.parametrize(("name", "fields"), [pytest.param(*case, id=case[0]) for case in unknown_ids()])
async def test_an_unknown_id_is_not_found(alice: Client, name: str, fields: dict[str, Any]) -> None:
    error = await refusal(alice, name, fields)
    assert (error.code, error.reason) == (NOT_FOUND, "NOT_FOUND")


# ---- who may ----


async def test_the_account_must_be_hosted_and_named(running: RunningConnector) -> None:
    async with running.client("nobody") as client:
        error = await refusal(client, "Account/GetIdentityInfo")
        assert (error.code, error.reason) == (NOT_FOUND, "ACCOUNT_NOT_FOUND")
    async with Client(running.target, api_key=running.api_key) as client:
        error = await refusal(client, "Account/GetIdentityInfo")
        assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ACCOUNT_REQUIRED")
        assert await call(client, "Monitoring/GetVersion")


async def test_a_bound_key_opens_its_account_alone(running: RunningConnector) -> None:
    async with Client(running.target, api_key=BOUND) as client:
        info = await call(client, "Account/GetIdentityInfo")
        assert info.account.address == running.accounts["alice"]
    for name in ("bob", "nobody"):
        async with running.client(name, BOUND) as client:
            error = await refusal(client, "Account/GetIdentityInfo")
            assert (error.code, error.reason) == (DENIED, "ACCOUNT_DENIED")


async def test_a_missing_or_wrong_key_opens_nothing(running: RunningConnector) -> None:
    async with Client(running.target, account="alice") as client:
        for name in ("Account/GetIdentityInfo", "Events/Subscribe", "Files/UploadFile", "Monitoring/GetVersion"):
            error = await refusal(client, name)
            assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_MISSING")
    async with running.client("alice", "no-key-of-this-server-0123456789-0123456789") as client:
        error = await refusal(client, "Account/GetIdentityInfo")
        assert error.code == grpc.StatusCode.UNAUTHENTICATED
        assert error.reason in ("CREDENTIAL_INVALID", "TOO_MANY_FAILED_ATTEMPTS")
    # Those who guessed hold up nobody with a good key.
    async with running.client("alice") as client:
        await call(client, "Account/GetIdentityInfo")


async def test_a_key_that_is_revoked_or_expires_opens_nothing_any_more(running: RunningConnector) -> None:
    clock = SystemClock()
    # As the command line does it: another process on the same database.
    databases = SqliteDatabases(running.folder / "connector", clock=clock)
    store = await databases.open("server", SERVER_COLLECTIONS)
    try:
        keys = ApiKeyStore(store, clock)
        until = clock.now() + timedelta(seconds=3)
        expiring = await keys.create("expiring", ["account:read"], expires_at=until)
        revoked = await keys.create("revoked", ["account:read", "events:read"])
        async with running.client("alice", expiring.secret) as first, running.client("alice", revoked.secret) as second:
            for client in (first, second):
                await repeat_until(client, None)
            stream = second.events.Subscribe(events_pb.SubscribeRequest())
            await stream.read()
            await keys.revoke("revoked")
            for client in (first, second):
                await repeat_until(client, "CREDENTIAL_INVALID", "TOO_MANY_FAILED_ATTEMPTS")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                async for _ in stream:
                    pass
            assert ConnectorError.of(caught.value).reason == "CREDENTIAL_REVOKED"
    finally:
        await store.close()
        await databases.close()


async def repeat_until(client: Client, *reasons: str | None) -> None:
    """Repeats a call until it ends so; keys become known, and worthless, within five seconds."""
    async with asyncio.timeout(20):
        while True:
            try:
                await call(client, "Account/GetIdentityInfo")
            except ConnectorError as error:
                if error.reason in reasons:
                    return
            else:
                if None in reasons:
                    return


@pytest.mark.parametrize("name", ALL)
async def test_a_key_that_may_only_read_changes_nothing(running: RunningConnector, name: str) -> None:
    needed = METHODS[f"/{PACKAGE}.{name}"].permissions
    async with running.client("alice", READER) as client:
        if all(permission.endswith(":read") for permission in needed):
            # It may: an empty request is answered, or refused for other reasons.
            try:
                await call(client, name)
            except ConnectorError as problem:
                assert problem.code != DENIED
        else:
            error = await refusal(client, name)
            assert (error.code, error.reason) == (DENIED, "PERMISSION_DENIED")
            assert error.facts["permission"] in needed


async def test_without_the_permission_no_secret_is_in_any_answer_list_or_event(
    running: RunningConnector, alice: Client, bob: Client
) -> None:
    protection = {"password": PASSWORD}
    template = await call(
        alice,
        "RelationshipTemplates/CreateTemplate",
        {
            "content": {"arbitraryRelationshipTemplateContent": {"value": {}}},
            "expireTime": EXPIRY,
            "passwordProtection": protection,
        },
    )
    token = await call(
        alice,
        "Tokens/CreateToken",
        {"content": {"json": {"a": 1}}, "expireTime": EXPIRY, "passwordProtection": protection},
    )
    file = await upload(alice, b"content", files_pb.UploadMetadata(filename="a.txt", size_bytes=7))
    leading = await call(alice, "Files/CreateFileToken", {"fileId": file.id, "isEphemeral": False})
    sent = await call(
        alice,
        "Messages/SendMessage",
        {
            "recipients": [running.accounts["bob"]],
            "content": {"mail": {"to": [running.accounts["bob"]], "subject": "s", "body": "b"}},
            "attachmentIds": [file.id],
        },
    )
    await call(bob, "Account/Sync")
    of_peer = await call(
        alice,
        "RelationshipTemplates/CreateTemplate",
        {"content": {"arbitraryRelationshipTemplateContent": {"value": {}}}, "expireTime": EXPIRY},
    )
    await call(bob, "RelationshipTemplates/LoadTemplate", {"reference": of_peer.template.reference.truncated})
    references = [thing.reference for thing in (template.template, token.token, file, leading.token, of_peer.template)]
    secrets = {PASSWORD, file.ownership_token}
    secrets |= {text for reference in references for text in (reference.truncated, reference.url)}
    key = (
        json_format.MessageToDict(leading.token.content)["tokenContentFile"]
        if leading.token.content.WhichOneof("kind") == "token_content_file"
        else None
    )
    if key is not None:
        secrets.add(json.dumps(key["secretKey"]))
    assert all(len(secret) > 5 for secret in secrets)
    asked: list[tuple[str, dict[str, Any]]] = [
        ("RelationshipTemplates/GetTemplate", {"id": template.template.id}),
        ("RelationshipTemplates/ListTemplates", {}),
        ("Tokens/GetToken", {"id": leading.token.id}),
        ("Tokens/ListTokens", {}),
        ("Files/GetFile", {"id": file.id}),
        ("Files/ListFiles", {}),
        ("Files/DownloadFile", {"id": file.id}),
        ("Messages/GetMessage", {"id": sent.message.id}),
        ("Messages/GetAttachment", {"messageId": sent.message.id, "attachmentId": file.id}),
        ("Messages/DownloadAttachment", {"messageId": sent.message.id, "attachmentId": file.id}),
        ("Events/ListEvents", {}),
    ]
    shown: dict[str, set[str]] = {}
    for api_key in (READER, WRITER, running.api_key):
        texts = []
        for account in ("alice", "bob"):
            async with running.client(account, api_key) as client:
                for name, fields in asked:
                    try:
                        texts.append(str(await call(client, name, fields)))
                    except ConnectorError as problem:
                        assert problem.code == NOT_FOUND
                texts += [str(event.event) for event in await everything(client)]
        whole = "\n".join(texts)
        shown[api_key] = {secret for secret in secrets if secret in whole}
    assert shown[READER] == set()
    assert shown[WRITER] == set()
    # Else the search would prove nothing.
    assert shown[running.api_key] >= {PASSWORD, file.ownership_token, file.reference.truncated}
    assert shown[running.api_key] >= {of_peer.template.reference.truncated, template.template.reference.url}
    for name, filters in (
        ("Files/ListFiles", {"filter": {"ownershipToken": {"anyOf": ["x"]}}}),
        ("RelationshipTemplates/ListTemplates", {"filter": {"passwordProtection": {"password": {"anyOf": ["x"]}}}}),
        ("Tokens/ListTokens", {"filter": {"passwordProtection": {"password": {"anyOf": ["x"]}}}}),
    ):
        async with running.client("alice", WRITER) as client:
            error = await refusal(client, name, filters)
            assert (error.code, error.reason) == (DENIED, "PERMISSION_DENIED")


async def everything(client: Client) -> list[Any]:
    """Returns all events that a stream has from its beginning."""
    head = (await client.call(client.events.ListEvents, events_pb.ListEventsRequest(page_size=500))).events
    found: list[Any] = []
    async for received in client.follow(from_beginning=True):
        found.append(received)
        if received.event.id == head[-1].id:
            return found
    return found


# ---- tokens ----


async def test_a_page_token_fits_its_own_list_alone(running: RunningConnector, alice: Client, bob: Client) -> None:
    for _ in range(2):
        await upload(alice, b"x", files_pb.UploadMetadata(filename="x", size_bytes=1))
        await upload(bob, b"x", files_pb.UploadMetadata(filename="x", size_bytes=1))
    page = await call(alice, "Files/ListFiles", {"pageSize": 1})
    token = page.next_page_token
    assert token
    assert (await call(alice, "Files/ListFiles", {"pageSize": 2, "pageToken": token})).files
    altered = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    for client, name, fields in (
        (bob, "Files/ListFiles", {"pageToken": token}),
        (alice, "Files/ListFiles", {"pageToken": token, "filter": {"isOwn": True}}),
        (alice, "Files/ListFiles", {"pageToken": token, "orderBy": "create_time"}),
        (alice, "Tokens/ListTokens", {"pageToken": token}),
        (alice, "Messages/ListMessages", {"pageToken": token}),
        (alice, "Events/ListEvents", {"pageToken": token}),
        (alice, "Files/ListFiles", {"pageToken": altered}),
        (alice, "Files/ListFiles", {"pageToken": "nonsense"}),
        (alice, "Files/ListFiles", {"pageToken": "é\u0000"}),
    ):
        error = await refusal(client, name, fields)
        assert (error.code, error.reason) == (INVALID, "PAGE_TOKEN_INVALID"), fields


async def test_a_resume_token_fits_its_own_account_and_its_time(
    running: RunningConnector, alice: Client, bob: Client
) -> None:
    token = (await call(alice, "Events/ListEvents")).resume_token
    for client, wrong in ((bob, token), (alice, token[:-1] + ("A" if token[-1] != "A" else "B")), (alice, "nonsense")):
        for name in ("Events/Subscribe", "Events/ListEvents"):
            error = await refusal(client, name, {"resumeToken": wrong})
            assert (error.code, error.reason) == (INVALID, "RESUME_TOKEN_INVALID")
    early = (await call(bob, "Events/ListEvents", {"pageSize": 1})).resume_token
    log = running.connector.accounts.runtime("bob").store.log
    # Readers hold what they have not read; left alone, the decider moves along within a minute.
    await log.move_cursor("automation/decider", await log.head())
    await log.trim(Retention(max_age=timedelta(days=1), max_events=1))
    for name in ("Events/Subscribe", "Events/ListEvents"):
        error = await refusal(bob, name, {"resumeToken": early})
        assert (error.code, error.reason) == (grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED")
        assert await call(bob, name, {"resumeToken": error.facts["oldest_resume_token"]})


# ---- sizes and clients that vanish ----


async def test_an_oversized_request_is_refused_and_the_next_one_served(
    running: RunningConnector, alice: Client
) -> None:
    text = "x" * MAX_BYTES
    bob = running.accounts["bob"]
    mail = {"to": [bob], "subject": "s", "body": text}
    error = await refusal(alice, "Messages/SendMessage", {"recipients": [bob], "content": {"mail": mail}})
    assert error.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    mail["body"] = "fits"
    sent = await call(alice, "Messages/SendMessage", {"recipients": [bob], "content": {"mail": mail}})
    assert sent.message.content.mail.body == "fits"


async def test_a_file_whose_cipher_is_too_large_for_the_backbone_says_so(alice: Client) -> None:
    size = 8_000_000
    with pytest.raises(ConnectorError) as caught:
        await upload(alice, bytes(size), files_pb.UploadMetadata(filename="large.bin", size_bytes=size))
    assert (caught.value.code, caught.value.reason) == (INVALID, "FILE_TOO_LARGE")
    assert caught.value.facts["sizeBytes"] == str(size)
    assert int(caught.value.facts["cipherBytes"]) > 10 * 1024 * 1024


async def running_calls(client: Client) -> dict[str, int]:
    statistics = await client.call(client.monitoring.GetStatistics, monitoring_pb.GetStatisticsRequest())
    return dict(statistics.running)


async def until(client: Client, holds: Callable[[dict[str, int]], bool]) -> None:
    """Returns when the numbers of running calls are so."""
    async with asyncio.timeout(20):
        while not holds(await running_calls(client)):
            await asyncio.sleep(0.01)


async def test_a_subscriber_that_vanishes_frees_its_slot(alice: Client) -> None:
    before = (await running_calls(alice))[CallKind.SUBSCRIPTION.value]
    streams = [alice.events.Subscribe(events_pb.SubscribeRequest()) for _ in range(5)]
    for stream in streams:
        await stream.read()
    assert (await running_calls(alice))[CallKind.SUBSCRIPTION.value] == before + 5
    for stream in streams:
        stream.cancel()
    await until(alice, lambda running: running[CallKind.SUBSCRIPTION.value] == before)


async def test_an_upload_whose_client_vanishes_leaves_nothing(running: RunningConnector, alice: Client) -> None:
    listed = await alice.call(alice.files.ListFiles, files_pb.ListFilesRequest(page_size=500))
    transfers = CallKind.TRANSFER.value
    async with running.lone_client("alice") as other:
        under_way = other.files.UploadFile()
        metadata = files_pb.UploadMetadata(filename="never.bin", size_bytes=600_000)
        await under_way.write(files_pb.UploadFileRequest(metadata=metadata))
        await under_way.write(files_pb.UploadFileRequest(chunk=b"x" * 200_000))
        await until(alice, lambda running: running[transfers] == 1)
        # Leaving the block closes the connection.
    await until(alice, lambda running: running[transfers] == 0)
    again = await alice.call(alice.files.ListFiles, files_pb.ListFilesRequest(page_size=500))
    assert again.files == listed.files
    content = os.urandom(600_000)
    await upload(alice, content, files_pb.UploadMetadata(filename="then.bin", size_bytes=len(content)))


async def test_a_download_whose_client_vanishes_frees_its_slot(running: RunningConnector, alice: Client) -> None:
    content = os.urandom(3_000_000)
    file = await upload(alice, content, files_pb.UploadMetadata(filename="large.bin", size_bytes=len(content)))
    request = files_pb.DownloadFileRequest(id=file.id)
    async with running.lone_client("alice") as other:
        stream = other.files.DownloadFile(request)
        await stream.read()
        await until(alice, lambda running: running[CallKind.TRANSFER.value] == 1)
    await until(alice, lambda running: running[CallKind.TRANSFER.value] == 0)
    fetched = await download(alice.files.DownloadFile(request))
    assert hashlib.sha512(fetched.content).digest() == hashlib.sha512(content).digest()


# ---- states ----


class Steps:
    """The life of one relationship, by the names of its steps."""

    def __init__(self, relationship: str, **clients: Client) -> None:
        self._id = relationship
        self._clients = clients

    async def take(self, who: str, step: str) -> None:
        await call(self._clients[who], f"Relationships/{step}", {"id": self._id})
        for client in self._clients.values():
            await call(client, "Account/Sync")

    async def refused(self, who: str, reason: str, *steps: str) -> None:
        for step in steps:
            error = await refusal(self._clients[who], f"Relationships/{step}", {"id": self._id})
            assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, reason), step


WRONG, PEER_ONLY = "WRONG_RELATIONSHIP_STATUS", "OPERATION_ONLY_ALLOWED_FOR_PEER"
ANSWERS = ("AcceptReactivation", "RejectReactivation")
REACTIVATION = ("RequestReactivation", *ANSWERS, "RevokeReactivation")


async def test_every_step_of_a_relationship_in_a_wrong_state_says_why(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("steps")
    async with (
        running_connector(folder) as running,
        running.client("alice") as alice,
        running.client("bob") as bob,
    ):
        template = await call(
            alice,
            "RelationshipTemplates/CreateTemplate",
            {"content": {"arbitraryRelationshipTemplateContent": {"value": {}}}, "expireTime": EXPIRY},
        )
        reference = {"reference": template.template.reference.truncated}
        wanted = {
            "templateId": (await call(bob, "RelationshipTemplates/LoadTemplate", reference)).template.id,
            "creationContent": {"arbitraryRelationshipCreationContent": {"value": {}}},
        }
        asked = await call(bob, "Relationships/CreateRelationship", wanted)
        await call(alice, "Account/Sync")
        life = Steps(asked.relationship.id, alice=alice, bob=bob)

        # Pending
        await life.refused("bob", PEER_ONLY, "AcceptRelationship", "RejectRelationship")
        await life.refused("alice", WRONG, "TerminateRelationship", "DecomposeRelationship", *REACTIVATION)
        with pytest.raises(ConnectorError, match="RELATIONSHIP_EXISTS"):
            await call(bob, "Relationships/CreateRelationship", wanted)
        able = await call(bob, "Relationships/CanCreateRelationship", {"templateId": wanted["templateId"]})
        assert (able.is_success, able.reason) == (False, "RELATIONSHIP_EXISTS")
        revocation = await refusal(alice, "Relationships/RevokeRelationship", {"id": asked.relationship.id})
        assert revocation.code == grpc.StatusCode.FAILED_PRECONDITION
        await sending_is_refused(bob, running.accounts["alice"])

        # Active
        await life.take("alice", "AcceptRelationship")
        for who in ("alice", "bob"):
            await life.refused(who, WRONG, "AcceptRelationship", "RejectRelationship", "RevokeRelationship")
            await life.refused(who, WRONG, "DecomposeRelationship", *REACTIVATION)

        # Terminated
        await life.take("alice", "TerminateRelationship")
        for who in ("alice", "bob"):
            await life.refused(who, WRONG, "AcceptRelationship", "TerminateRelationship")
            await life.refused(who, "REACTIVATION_NOT_REQUESTED", *ANSWERS, "RevokeReactivation")
        await sending_is_refused(alice, running.accounts["bob"])
        await life.take("alice", "RequestReactivation")
        for who in ("alice", "bob"):
            await life.refused(who, "REACTIVATION_ALREADY_REQUESTED", "RequestReactivation")
        await life.refused("alice", PEER_ONLY, *ANSWERS)
        await life.take("bob", "RejectReactivation")
        await life.refused("bob", "REACTIVATION_NOT_REQUESTED", *ANSWERS, "RevokeReactivation")

        # Decomposed by one, then by both
        await life.take("bob", "DecomposeRelationship")
        for step in ("TerminateRelationship", "DecomposeRelationship"):
            error = await refusal(bob, f"Relationships/{step}", {"id": asked.relationship.id})
            assert (error.code, error.reason) == (NOT_FOUND, "NOT_FOUND")
        await life.refused("alice", WRONG, *REACTIVATION)
        await call(bob, "RelationshipTemplates/LoadTemplate", reference)
        with pytest.raises(ConnectorError, match="RELATIONSHIP_NOT_YET_DECOMPOSED_BY_PEER"):
            await call(bob, "Relationships/CreateRelationship", wanted)
        await life.take("alice", "DecomposeRelationship")
        assert (await call(bob, "Relationships/CreateRelationship", wanted)).relationship.id


async def sending_is_refused(client: Client, recipient: str) -> None:
    content = {"mail": {"to": [recipient], "subject": "s", "body": "b"}}
    error = await refusal(client, "Messages/SendMessage", {"recipients": [recipient], "content": content})
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RELATIONSHIP_NOT_ACTIVE")
    listed = await client.call(client.messages.ListMessages, messages_pb.ListMessagesRequest())
    assert list(listed.messages) == []
    assert await client.call(client.account.GetSyncInfo, account_pb.GetSyncInfoRequest())
