"""The server as a client sees it: errors, correlation, health, reflection, TLS, start and drain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from enmeshed.connector.v1 import (
    account_service_pb2,
    account_service_pb2_grpc,
    events_service_pb2,
    events_service_pb2_grpc,
    files_service_pb2,
    files_service_pb2_grpc,
    messages_service_pb2,
    messages_service_pb2_grpc,
    monitoring_service_pb2,
    monitoring_service_pb2_grpc,
)
from enmeshed.content.v1 import content_pb2
from enmeshed_connector.api.errors import StartRefused
from enmeshed_connector.api.server import ServerOptions, ServiceBinding, is_loopback
from enmeshed_connector.api.tls import TlsOptions
from enmeshed_connector.core.errors import Code, DomainError, FieldViolation, NotFound, OutcomeUnknown
from tests.support.api_server import (
    Gate,
    ManualClock,
    RunningServer,
    failure,
    failure_of,
    running_server,
)
from tests.support.self_signed import encrypt_key, make_certificate

ADDRESS = "did:e:localhost:dids:" + "0" * 22
MESSAGE_ID, FILE_ID = "MSG" + "a" * 17, "FIL" + "b" * 17
GRPCURL = Path(__file__).parents[3] / ".venv" / "bin" / "grpcurl"


@pytest.fixture
def account(channel: grpc.aio.Channel) -> Any:
    return account_service_pb2_grpc.AccountStub(channel)


@pytest.fixture
def messages(channel: grpc.aio.Channel) -> Any:
    return messages_service_pb2_grpc.MessagesStub(channel)


async def grpcurl(*arguments: str) -> tuple[int, str, str]:
    """Runs the real grpcurl."""
    binary = GRPCURL if GRPCURL.exists() else "grpcurl"
    process = await asyncio.create_subprocess_exec(
        str(binary), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), errors.decode()


class RelationshipStuck(DomainError):
    reason, code = "WRONG_RELATIONSHIP_STATUS", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.relationships.wrongRelationshipStatus"


# --- errors


async def test_a_domain_error_becomes_a_status_with_all_its_details(served: RunningServer, account: Any) -> None:
    served.account.failure = RelationshipStuck(
        "REL1 is Pending: accept it first",
        facts={"status": "Pending"},
        violations=[FieldViolation("id", "is pending")],
        retry_after=timedelta(seconds=3),
    )
    failed = await failure_of(account.GetIdentityInfo(account_service_pb2.GetIdentityInfoRequest()))
    assert failed.code is grpc.StatusCode.FAILED_PRECONDITION
    assert failed.text == "REL1 is Pending: accept it first"
    assert (failed.reason, failed.domain) == ("WRONG_RELATIONSHIP_STATUS", "connector.enmeshed")
    assert failed.metadata == {
        "status": "Pending",
        "code": "error.transport.relationships.wrongRelationshipStatus",
    }
    assert failed.violations == {"id": "is pending"}
    assert failed.retry_after == timedelta(seconds=3)


async def test_a_fault_of_ours_says_a_correlation_id_and_nothing_more(served: RunningServer, account: Any) -> None:
    served.account.failure = RuntimeError("the secret is hunter2")
    with structlog.testing.capture_logs() as logs:
        failed = await failure_of(
            account.GetIdentityInfo(
                account_service_pb2.GetIdentityInfoRequest(), metadata=(("x-correlation-id", "abc-1"),)
            )
        )
    assert failed.code is grpc.StatusCode.INTERNAL
    assert failed.reason == "INTERNAL"
    assert failed.metadata == {"correlation_id": "abc-1"}
    assert "hunter2" not in failed.text
    assert "abc-1" in failed.text
    assert [entry["log_level"] for entry in logs if entry["event"] == "call failed by a fault of ours"] == ["error"]


async def test_an_error_in_the_middle_of_a_stream_is_mapped_too(served: RunningServer, messages: Any) -> None:
    served.messages.failure = NotFound("FIL1 is gone", facts={"id": "FIL1"})
    stream = messages.DownloadAttachment(
        messages_service_pb2.DownloadAttachmentRequest(message_id=MESSAGE_ID, attachment_id=FILE_ID)
    )
    assert (await stream.read()).chunk == b"1"
    failed = await failure_of(stream)
    assert (failed.code, failed.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert failed.metadata == {"id": "FIL1", "code": "error.runtime.recordNotFound"}


async def test_an_unknown_outcome_names_the_idempotency_key(served: RunningServer, account: Any) -> None:
    served.account.failure = OutcomeUnknown("no answer came")
    key = "7b2a1f0e-8f5c-4a37-9a0e-0d6f0a1b2c3d"
    failed = await failure_of(account.Sync(account_service_pb2.SyncRequest(idempotency_key=key)))
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNKNOWN, "OUTCOME_UNKNOWN")
    assert failed.metadata["idempotency_key"] == key
    assert failed.trailing["x-idempotency-key"] == key


async def test_more_violations_than_fit_into_metadata_are_cut(served: RunningServer, account: Any) -> None:
    many = [FieldViolation(f"items[{index}]", "ö" * 900) for index in range(50)]
    facts = {f"fact{index}": "ü" * 900 for index in range(50)}
    served.account.failure = RelationshipStuck("ä" * 5000, violations=many, facts=facts)
    failed = await failure_of(account.GetIdentityInfo(account_service_pb2.GetIdentityInfoRequest()))
    assert failed.reason == "WRONG_RELATIONSHIP_STATUS"
    assert 1 <= len(failed.violations) < 50
    assert failed.text.startswith("ää")
    assert failed.text.endswith("…")
    assert failed.metadata["code"] == "error.transport.relationships.wrongRelationshipStatus"


async def test_a_text_with_a_lone_surrogate_is_sent_all_the_same(served: RunningServer, account: Any) -> None:
    served.account.failure = NotFound("no \ud800", facts={"id": "\ud800"})
    failed = await failure_of(account.GetIdentityInfo(account_service_pb2.GetIdentityInfoRequest()))
    assert (failed.reason, failed.metadata["id"]) == ("NOT_FOUND", "?")


async def test_methods_that_are_not_served_are_unimplemented(channel: grpc.aio.Channel, account: Any) -> None:
    raw: Any = channel
    for call in (
        raw.unary_unary("/enmeshed.connector.v1.Tokens/GetToken")(b""),
        raw.unary_unary("/made.up/Method")(b""),
        account.GetSyncInfo(account_service_pb2.GetSyncInfoRequest()),
    ):
        failed = await failure_of(call)
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED")


async def test_a_client_that_vanishes_ends_the_stream_on_the_server(served: RunningServer, messages: Any) -> None:
    stream = messages.DownloadAttachment(
        messages_service_pb2.DownloadAttachmentRequest(message_id=MESSAGE_ID, attachment_id=FILE_ID)
    )
    await stream.read()
    stream.cancel()
    await asyncio.wait_for(served.messages.closed.wait(), 10)
    while served.server.limits.running()["transfers"]:
        await asyncio.sleep(0)


# --- correlation ids and logs


async def test_the_callers_correlation_id_comes_back_and_reaches_the_servicer(account: Any) -> None:
    call = account.GetIdentityInfo(
        account_service_pb2.GetIdentityInfoRequest(), metadata=(("x-correlation-id", "order/4711"),)
    )
    response = await call
    assert response.account.address == "order/4711"
    assert dict(await call.initial_metadata())["x-correlation-id"] == "order/4711"


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 129])
async def test_a_missing_or_unfit_correlation_id_is_made_up(account: Any, given: str | None) -> None:
    metadata = () if given is None else (("x-correlation-id", given),)
    call = account.GetIdentityInfo(account_service_pb2.GetIdentityInfoRequest(), metadata=metadata)
    await call
    made = dict(await call.initial_metadata())["x-correlation-id"]
    assert len(made) == 36
    assert made != given


async def test_a_call_leaves_one_log_line_with_its_outcome(served: RunningServer, account: Any) -> None:
    served.account.failure = NotFound("no such thing")
    with structlog.testing.capture_logs() as logs:
        await failure_of(account.GetIdentityInfo(account_service_pb2.GetIdentityInfoRequest()))
    (line,) = [entry for entry in logs if entry["event"] == "call ended"]
    assert line["method"] == "/enmeshed.connector.v1.Account/GetIdentityInfo"
    assert (line["status"], line["reason"], line["log_level"]) == ("NOT_FOUND", "NOT_FOUND", "info")
    assert (line["credential"], line["account"]) == ("local", "default")
    assert served.server.counters.by_status() == {"NOT_FOUND": 1}


# --- field rules


async def test_broken_field_rules_name_each_field_and_reach_nobody(served: RunningServer, messages: Any) -> None:
    request = messages_service_pb2.SendMessageRequest(recipients=[ADDRESS, "bob"], attachment_ids=["x"])
    failed = await failure_of(messages.SendMessage(request))
    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert set(failed.violations) == {"recipients[1]", "content", "attachment_ids[0]"}
    assert failed.metadata["code"] == "error.runtime.validation.invalidPropertyValue"
    assert served.messages.requests == []


async def test_a_mutation_without_idempotency_key_gets_one(served: RunningServer, messages: Any) -> None:
    request = messages_service_pb2.SendMessageRequest(recipients=[ADDRESS], content=content_pb2.Content(raw_json=b"{}"))
    call = messages.SendMessage(request)
    await call
    made = dict(await call.trailing_metadata())["x-idempotency-key"]
    assert served.messages.requests[0].idempotency_key == made
    assert len(made) == 36


async def test_the_frames_of_an_upload_are_checked_one_by_one(served: RunningServer, channel: grpc.aio.Channel) -> None:
    async def frames() -> AsyncIterator[files_service_pb2.UploadFileRequest]:
        yield files_service_pb2.UploadFileRequest(
            metadata=files_service_pb2.UploadMetadata(filename="a.txt", size_bytes=1)
        )
        yield files_service_pb2.UploadFileRequest(chunk=b"x" * (256 * 1024 + 1))

    failed = await failure_of(files_service_pb2_grpc.FilesStub(channel).UploadFile(frames()))
    assert failed.reason == "INVALID_ARGUMENT"
    assert set(failed.violations) == {"chunk"}
    assert served.files.frames == 1


async def test_a_request_past_the_size_limit_is_refused(served: RunningServer, messages: Any) -> None:
    content = content_pb2.Content(raw_json=b"x" * (9 * 1024 * 1024))
    request = messages_service_pb2.SendMessageRequest(recipients=[ADDRESS], content=content)
    failed = await failure_of(messages.SendMessage(request))
    assert failed.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert served.messages.requests == []


async def test_an_upload_that_goes_silent_ends_and_gives_its_slot_back(tmp_path: Path) -> None:
    options = ServerOptions(port=0, read_timeout=timedelta(milliseconds=200))
    async with (
        running_server(tmp_path, options=options) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        goes_on = asyncio.Event()

        async def frames() -> AsyncIterator[files_service_pb2.UploadFileRequest]:
            yield files_service_pb2.UploadFileRequest(
                metadata=files_service_pb2.UploadMetadata(filename="a.txt", size_bytes=1)
            )
            await goes_on.wait()

        failed = await failure_of(files_service_pb2_grpc.FilesStub(channel).UploadFile(frames()))
        assert (failed.code, failed.reason) == (grpc.StatusCode.ABORTED, "TRANSFER_STALLED")
        assert served.server.limits.running()["transfers"] == 0


async def test_a_download_that_nobody_reads_ends_and_gives_its_slot_back(tmp_path: Path) -> None:
    options = ServerOptions(port=0, write_timeout=timedelta(milliseconds=200))
    async with (
        running_server(tmp_path, options=options) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        request = messages_service_pb2.DownloadAttachmentRequest(message_id=MESSAGE_ID, attachment_id=FILE_ID)
        stream = messages_service_pb2_grpc.MessagesStub(channel).DownloadAttachment(request)
        await stream.read()
        await served.messages.closed.wait()
        # The status comes behind what was sent before.
        failed = await failure_of(stream)
        assert (failed.code, failed.reason) == (grpc.StatusCode.ABORTED, "TRANSFER_STALLED")
        assert served.server.limits.running()["transfers"] == 0


# --- health, readiness, drain


async def test_live_and_ready_are_told_apart(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, is_ready=False) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        statuses = health_pb2.HealthCheckResponse

        async def status(service: str) -> int:
            return int((await health.Check(health_pb2.HealthCheckRequest(service=service))).status)

        assert await status("") == statuses.SERVING
        assert await status("ready") == statuses.NOT_SERVING
        assert await status("enmeshed.connector.v1.Account") == statuses.NOT_SERVING
        failed = await failure_of(health.Check(health_pb2.HealthCheckRequest(service="nobody")))
        assert failed.code is grpc.StatusCode.NOT_FOUND

        failed = await failure_of(
            account_service_pb2_grpc.AccountStub(channel).GetIdentityInfo(account_service_pb2.GetIdentityInfoRequest())
        )
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "STARTING")
        assert failed.retry_after is not None
        version = await monitoring_service_pb2_grpc.MonitoringStub(channel).GetVersion(
            monitoring_service_pb2.GetVersionRequest()
        )
        assert version.version == "1.2.3"

        watch = health.Watch(health_pb2.HealthCheckRequest(service="ready"))
        assert (await watch.read()).status == statuses.NOT_SERVING
        served.readiness.ready()
        assert (await watch.read()).status == statuses.SERVING
        assert await status("enmeshed.connector.v1.Account") == statuses.SERVING
        served.readiness.drain()
        assert (await watch.read()).status == statuses.NOT_SERVING
        assert await watch.read() is grpc.aio.EOF
        assert await status("") == statuses.SERVING
        failed = await failure_of(
            account_service_pb2_grpc.AccountStub(channel).GetIdentityInfo(account_service_pb2.GetIdentityInfoRequest())
        )
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")


async def test_drain_tells_subscribers_to_resume_and_lets_running_calls_end(
    served: RunningServer, channel: grpc.aio.Channel, account: Any
) -> None:
    events: Any = events_service_pb2_grpc.EventsStub(channel)
    subscription = events.Subscribe(events_service_pb2.SubscribeRequest())
    assert (await subscription.read()).HasField("started")
    token = (await subscription.read()).resume_token
    served.account.gate = Gate()
    running = asyncio.ensure_future(account.GetIdentityInfo(account_service_pb2.GetIdentityInfoRequest()))
    await served.account.gate.entered.wait()
    stop = asyncio.ensure_future(served.server.stop())
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await subscription.read()
    failed = failure(ended.value)
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert failed.metadata == {"resume_token": token}
    assert not running.done()
    served.account.gate.open.set()
    assert (await running).account.name == "default"
    await stop


# --- start


async def test_a_port_in_use_is_an_error_at_once(served: RunningServer, tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="in use"):
        async with running_server(tmp_path / "other", options=ServerOptions(port=served.port)):
            pass


async def test_without_a_key_only_loopback_is_served(tmp_path: Path) -> None:
    options = ServerOptions(host="0.0.0.0", port=0)
    with pytest.raises(StartRefused, match="keys create"):
        async with running_server(tmp_path, options=options):
            pass


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.0.2.1", False), ("localhost.example.org", False)],
)  # fmt: skip
def test_loopback_is_told_from_the_rest(host: str, local: bool) -> None:
    assert is_loopback(host) is local


async def test_a_service_without_permission_rows_refuses_to_start(tmp_path: Path) -> None:
    from enmeshed_connector.api.server import ConnectorServer

    with pytest.raises(StartRefused, match=r"permission table for /tests\.Unlisted/Do"):
        ConnectorServer(
            ServerOptions(port=0),
            [ServiceBinding("grpc.channelz.v1.Channelz", lambda server: None), _unknown_service()],
            accounts=None,  # type: ignore[arg-type]
            api_keys=None,  # type: ignore[arg-type]
            readiness=None,  # type: ignore[arg-type]
            clock=ManualClock(),
        )


def _unknown_service() -> ServiceBinding:
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(name="tests/unlisted.proto", package="tests")
    file.message_type.add(name="Empty")
    service = file.service.add(name="Unlisted")
    service.method.add(name="Do", input_type=".tests.Empty", output_type=".tests.Empty")
    descriptor_pool.Default().Add(file)
    return ServiceBinding("tests.Unlisted", lambda server: None)


# --- TLS


async def test_tls_serves_clients_that_trust_the_authority(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    options = ServerOptions(port=0, tls=TlsOptions(made.certificate, made.key))
    async with running_server(tmp_path / "data", options=options) as served:
        trusting = grpc.ssl_channel_credentials(made.authority.read_bytes())
        async with grpc.aio.secure_channel(f"localhost:{served.port}", trusting) as channel:
            stub = account_service_pb2_grpc.AccountStub(channel)
            assert (await stub.GetIdentityInfo(account_service_pb2.GetIdentityInfoRequest())).account.name == "default"
        async with grpc.aio.insecure_channel(served.address) as channel:
            stub = account_service_pb2_grpc.AccountStub(channel)
            failed = await failure_of(stub.GetIdentityInfo(account_service_pb2.GetIdentityInfoRequest()))
            assert failed.code is grpc.StatusCode.UNAVAILABLE
        code, out, errors = await grpcurl("-cacert", str(made.authority), f"localhost:{served.port}", "list")
        assert code == 0, errors
        assert "enmeshed.connector.v1.Account" in out.split()


async def test_mtls_serves_only_clients_with_a_certificate(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    (tmp_path / "foreign").mkdir()
    foreign = make_certificate(tmp_path / "foreign")
    options = ServerOptions(port=0, tls=TlsOptions(made.certificate, made.key, client_ca_file=made.authority))
    roots = made.authority.read_bytes()

    async with running_server(tmp_path / "data", options=options) as served:

        async def answer(credentials: grpc.ChannelCredentials) -> str:
            async with grpc.aio.secure_channel(f"localhost:{served.port}", credentials) as channel:
                stub = account_service_pb2_grpc.AccountStub(channel)
                try:
                    return (await stub.GetIdentityInfo(account_service_pb2.GetIdentityInfoRequest())).account.name
                except grpc.aio.AioRpcError as error:
                    return error.code().name

        known = grpc.ssl_channel_credentials(roots, made.key.read_bytes(), made.certificate.read_bytes())
        stranger = grpc.ssl_channel_credentials(roots, foreign.key.read_bytes(), foreign.certificate.read_bytes())
        assert await answer(known) == "default"
        assert await answer(grpc.ssl_channel_credentials(roots)) == "UNAVAILABLE"
        assert await answer(stranger) == "UNAVAILABLE"


async def test_missing_tls_files_refuse_the_start(tmp_path: Path) -> None:
    options = ServerOptions(port=0, tls=TlsOptions(tmp_path / "none.pem", tmp_path / "none.key"))
    with pytest.raises(StartRefused, match="TLS key cannot be read"):
        async with running_server(tmp_path / "data", options=options):
            pass


@pytest.mark.parametrize(
    ("certificate", "key", "authorities", "text"),
    [
        ("garbage", "server.key", None, "TLS certificate and key cannot be used"),
        ("server.pem", "garbage", None, "TLS certificate and key cannot be used"),
        ("server.key", "server.pem", None, "TLS certificate and key cannot be used"),
        ("server.pem", "authority.key", None, "not that of the first TLS certificate"),
        ("server.pem", "encrypted.key", None, "encrypted"),
        ("server.pem", "server.key", "garbage", "authorities holds no PEM certificate"),
        # Without a certificate in it there would be nobody to trust, and gRPC would start all the same.
        ("server.pem", "server.key", "empty", "authorities holds no PEM certificate"),
    ],
)
async def test_tls_files_of_no_use_say_which_and_why(
    tmp_path: Path, certificate: str, key: str, authorities: str | None, text: str
) -> None:
    made = make_certificate(tmp_path)
    (tmp_path / "garbage").write_text("garbage")
    (tmp_path / "empty").touch()
    encrypt_key(made.key, tmp_path / "encrypted.key", "password")
    client_ca = None if authorities is None else tmp_path / authorities
    options = ServerOptions(port=0, tls=TlsOptions(tmp_path / certificate, tmp_path / key, client_ca))
    with pytest.raises(StartRefused, match=text):
        async with running_server(tmp_path / "data", options=options):
            pass


# --- reflection


async def test_grpcurl_lists_describes_and_calls(served: RunningServer) -> None:
    code, out, errors = await grpcurl("-plaintext", served.address, "list")
    assert code == 0, errors
    assert out.split() == [
        "enmeshed.connector.v1.Account",
        "enmeshed.connector.v1.Events",
        "enmeshed.connector.v1.Files",
        "enmeshed.connector.v1.Messages",
        "enmeshed.connector.v1.Monitoring",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    ]
    code, out, errors = await grpcurl(
        "-plaintext", served.address, "describe", "enmeshed.connector.v1.SendMessageRequest"
    )
    assert code == 0, errors
    assert "enmeshed.content.v1.Content content = 2" in out
    code, out, errors = await grpcurl("-plaintext", served.address, "enmeshed.connector.v1.Account/GetIdentityInfo")
    assert code == 0, errors
    assert json.loads(out)["account"]["name"] == "default"
    # Fields are named as in the JSON of every other client.
    template = ("-plaintext", "-msg-template", served.address, "describe", "enmeshed.connector.v1.SendMessageRequest")
    code, out, errors = await grpcurl(*template)
    assert code == 0, errors
    assert '"attachmentIds": [' in out
    assert '"idempotencyKey": ""' in out
    assert "attachment_ids = 3" in out
    code, _, errors = await grpcurl(
        "-plaintext", "-d", '{"recipients":["x"]}', served.address, "enmeshed.connector.v1.Messages/SendMessage"
    )
    assert code != 0
    assert "Code: InvalidArgument" in errors
    assert "INVALID_ARGUMENT" in errors
    assert "recipients[0]" in errors


async def test_reflection_can_be_switched_off(tmp_path: Path) -> None:
    async with running_server(tmp_path, options=ServerOptions(port=0, reflection=False)) as served:
        code, _, errors = await grpcurl("-plaintext", served.address, "list")
        assert code != 0
        assert "does not support the reflection API" in errors
