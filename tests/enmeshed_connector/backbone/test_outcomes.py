"""What an answer, a fault or a refusal becomes: one row of the table in `backbone.errors` after the other."""

from __future__ import annotations

import asyncio
import gzip
import socket
from datetime import UTC, datetime, timedelta

import pytest

from enmeshed_connector.backbone import SessionSettings
from enmeshed_connector.backbone.errors import (
    AnswerLost,
    AnswerTooLarge,
    BackboneBusy,
    BackboneError,
    BackboneRedirected,
    BackboneRejected,
    BackboneUnavailable,
    BodyTooLarge,
    EndpointNotFound,
    ForbiddenByBackbone,
    InputRejected,
    QuotaExhausted,
    RecordNotFound,
)
from enmeshed_connector.core.errors import Code, OutcomeUnknown, Unavailable
from tests.enmeshed_connector.backbone.conftest import CLIENT_SECRET, PASSWORD, Client, ClientMaker
from tests.enmeshed_connector.backbone.samples import (
    CHALLENGE,
    CHALLENGE_ID,
    FILE_ID,
    MESSAGE_ID,
    NEW_MESSAGE,
    PEER,
    RELATIONSHIP_ID,
    SENT,
    TOKEN_ID,
)
from tests.support.fault_proxy import FaultProxy, Rules
from tests.support.scripted_http import (
    ScriptedServer,
    answer,
    error,
    hang_up,
    plain,
    result,
    stay_silent,
)

P = "error.platform."

REFUSALS = [
    (error(400, P + "validation.relationship.peerIsToBeDeleted"), BackboneRejected, Code.FAILED_PRECONDITION),
    (error(400, P + "validation.invalidPropertyValue"), InputRejected, Code.INVALID_ARGUMENT),
    (error(400, P + "inputCannotBeParsed"), InputRejected, Code.INVALID_ARGUMENT),
    (error(400, "InclusiveBetweenValidator"), InputRejected, Code.INVALID_ARGUMENT),
    (error(400, P + "requestBodyTooLarge"), BodyTooLarge, Code.INVALID_ARGUMENT),
    (answer(413, b""), BodyTooLarge, Code.INVALID_ARGUMENT),
    (error(403, P + "forbidden"), ForbiddenByBackbone, Code.PERMISSION_DENIED),
    (answer(403, b"<html>"), ForbiddenByBackbone, Code.PERMISSION_DENIED),
    (error(404, P + "recordNotFound", "Token not found. Make sure …"), RecordNotFound, Code.NOT_FOUND),
    (answer(404, b"<html>nginx</html>"), EndpointNotFound, Code.UNAVAILABLE),
    (answer(409, b""), BackboneRejected, Code.FAILED_PRECONDITION),
    (answer(308, b"", {"Location": "https://elsewhere.example/"}), BackboneRedirected, Code.FAILED_PRECONDITION),
]


@pytest.mark.parametrize(("step", "kind", "code"), REFUSALS, ids=range(len(REFUSALS)))
async def test_a_refusal_has_its_own_class_and_is_not_repeated(
    client: Client, server: ScriptedServer, step: bytes, kind: type[BackboneError], code: Code
) -> None:
    for sends in (client.backbone.messages.send(NEW_MESSAGE), client.backbone.tokens.get(TOKEN_ID)):
        server.script(step)
        with pytest.raises(kind) as caught:
            await sends
        assert type(caught.value) is kind
        assert caught.value.code is code
        assert not caught.value.may_be_done
    assert len(server.requests) == 2


async def test_a_refusal_carries_the_platforms_code_and_the_ids_of_the_occurrence(
    client: Client, server: ScriptedServer
) -> None:
    code = P + "validation.message.maxNumberOfUnreceivedMessagesReached"
    server.script(error(400, code, X_Trace_Id="trace-1"))
    with pytest.raises(BackboneRejected) as caught:
        await client.backbone.messages.send(NEW_MESSAGE)
    assert caught.value.official_code == caught.value.platform_code == code
    assert caught.value.has_code("validation.message.maxNumberOfUnreceivedMessagesReached")
    assert dict(caught.value.facts) == {
        "call": "messages.send",
        "status": "400",
        "platformCode": code,
        "errorId": "ERRABCDEFGHJKLMNPQR1",
        "traceId": "trace-1",
    }


async def test_a_code_that_could_carry_something_else_is_dropped(client: Client, server: ScriptedServer) -> None:
    server.script(error(400, "evil\r\ninjected: <script>"))
    with pytest.raises(BackboneRejected) as caught:
        await client.backbone.tokens.get(TOKEN_ID)
    assert caught.value.platform_code is None
    assert "evil" not in str(caught.value) + str(dict(caught.value.facts))


async def test_a_missing_record_tells_its_kind(client: Client, server: ScriptedServer) -> None:
    server.script(error(404, P + "recordNotFound", "Identity not found. Make sure the ID exists."))
    with pytest.raises(RecordNotFound) as caught:
        await client.backbone.relationships.can_create(PEER)
    assert caught.value.record_type == "Identity"


async def test_a_quota_carries_its_metrics_and_when_the_last_of_them_ends(
    client: Client, server: ScriptedServer
) -> None:
    data = [
        {"metricKey": "NumberOfFiles", "isExhaustedUntil": "2026-11-24T07:00:00Z"},
        {"metricKey": "UsedFileStorageSpace", "isExhaustedUntil": "2026-11-24T08:00:00.1234567Z"},
    ]
    server.script(error(429, P + "quotaExhausted", data=data))
    with pytest.raises(QuotaExhausted) as caught:
        await client.backbone.messages.send(NEW_MESSAGE)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    assert caught.value.retry_after == timedelta(hours=2, milliseconds=123)
    assert caught.value.facts["metric"] == "NumberOfFiles,UsedFileStorageSpace"
    assert caught.value.facts["exhaustedUntil"] == "2026-11-24T08:00:00.123Z"
    assert caught.value.metrics[0].exhausted_until == datetime(2026, 11, 24, 7, tzinfo=UTC)
    assert len(server.requests) == 1


@pytest.mark.parametrize("data", [None, "text", [None], [{}], [{"metricKey": 1, "isExhaustedUntil": {}}], {"a": 1}])
async def test_a_quota_with_unreadable_data_is_still_a_quota(
    client: Client, server: ScriptedServer, data: object
) -> None:
    server.script(error(429, P + "quotaExhausted", data=data))
    with pytest.raises(QuotaExhausted) as caught:
        await client.backbone.tokens.get(TOKEN_ID)
    assert caught.value.retry_after is None


async def test_a_rate_limit_without_a_quota_is_waited_for_when_it_is_short(
    client: Client, server: ScriptedServer
) -> None:
    server.script(answer(429, b"", {"Retry-After": "3"}), result(SENT))
    assert (await client.backbone.messages.send(NEW_MESSAGE)).id == MESSAGE_ID
    assert client.clock.slept == [timedelta(seconds=3)]


async def test_a_long_rate_limit_is_raised_with_its_time(client: Client, server: ScriptedServer) -> None:
    server.script(answer(429, b"", {"Retry-After": "90"}))
    with pytest.raises(BackboneBusy) as caught:
        await client.backbone.messages.send(NEW_MESSAGE)
    assert caught.value.retry_after == timedelta(seconds=90)


LOST_ANSWERS = [
    hang_up,
    answer(500, b""),
    error(500, P + "unexpected"),
    answer(502, b"<html>"),
    answer(503, b"", {"Retry-After": "1"}),
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{",
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\n{"res',
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nnot a length\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\nConnection: close\r\n\r\n",
    answer(200, b"<html>Log in to the guest network</html>", {"Content-Type": "text/html"}),
    answer(200, b""),
    answer(200, b"\xff\xfe"),
    answer(200, b"[" * 5000),
    plain([]),
    plain({}),
    plain({"result": None}),
    plain({"result": "text"}),
    result({"id": MESSAGE_ID}),
    result({"id": "MSG", "createdAt": "2026-11-24T06:00:00.000Z"}),
    result({"id": MESSAGE_ID, "createdAt": "yesterday"}),
    plain({"error": {"code": "x", "message": "in spite of 200"}}),
    answer(200, gzip.compress(b'{"result":{}}'), {"Content-Encoding": "gzip"}),
]


@pytest.mark.parametrize("step", LOST_ANSWERS, ids=range(len(LOST_ANSWERS)))
async def test_a_sent_request_without_a_usable_answer_is_not_repeated_but_says_so(
    client: Client, server: ScriptedServer, step: bytes
) -> None:
    server.script(step)
    with pytest.raises(AnswerLost) as caught:
        await client.backbone.messages.send(NEW_MESSAGE)
    assert caught.value.code is Code.UNKNOWN
    assert caught.value.reason == "OUTCOME_UNKNOWN"
    assert isinstance(caught.value, OutcomeUnknown)
    assert caught.value.may_be_done
    assert len(server.requests) == 1


@pytest.mark.parametrize("step", LOST_ANSWERS, ids=range(len(LOST_ANSWERS)))
async def test_the_same_for_a_call_that_is_safe_to_repeat_is_repeated(
    client: Client, server: ScriptedServer, step: bytes
) -> None:
    server.script(step, step, result(CHALLENGE))
    assert (await client.backbone.challenges.create()).id == CHALLENGE_ID
    assert len(server.requests) == 3
    # Two repeats: three quarters of 0.2 s, then of 0.4 s, or what the answer asked for.
    assert len(client.clock.slept) == 2
    assert all(timedelta(milliseconds=100) < pause <= timedelta(seconds=1) for pause in client.clock.slept)


async def test_a_call_that_fails_every_time_is_tried_four_times(client: Client, server: ScriptedServer) -> None:
    server.script(*[answer(503, b"")] * 9)
    with pytest.raises(BackboneUnavailable) as caught:
        await client.backbone.challenges.create()
    assert isinstance(caught.value, Unavailable)
    assert caught.value.facts["cause"] == "status"
    assert len(server.requests) == 4
    assert [record.attempt for record in client.records if record.call == "challenges.create"] == [1, 2, 3, 4]


async def test_repeats_of_a_session_have_a_budget(client: Client, server: ScriptedServer) -> None:
    server.script(*[answer(503, b"")] * 100)
    for _ in range(10):
        with pytest.raises(BackboneUnavailable):
            await client.backbone.challenges.create()
    # Ten calls and the ten repeats of a full budget; what they earn is not yet enough for one more.
    assert len(server.requests) == 10 + 10


async def test_silence_ends_at_the_deadline_of_the_caller(client: Client, server: ScriptedServer) -> None:
    server.script(stay_silent, stay_silent)
    soon = client.clock.monotonic() + 0.2
    with pytest.raises(AnswerLost) as lost:
        await client.backbone.bound(deadline=soon).messages.send(NEW_MESSAGE)
    assert lost.value.official_code == "error.transport.request.aborted"
    assert lost.value.facts["cause"] == "deadline"
    with pytest.raises(BackboneUnavailable):
        await client.backbone.bound(deadline=soon).challenges.create()


async def test_a_deadline_that_has_passed_sends_nothing(client: Client, server: ScriptedServer) -> None:
    server.script(result(SENT), result(SENT))
    await client.backbone.messages.send(NEW_MESSAGE)
    with pytest.raises(BackboneUnavailable) as caught:
        await client.backbone.bound(deadline=client.clock.monotonic() - 1).messages.send(NEW_MESSAGE)
    assert not caught.value.may_be_done
    assert len(server.requests) == 1


async def test_a_body_that_stops_coming_ends_at_the_deadline(client: Client, server: ScriptedServer) -> None:
    server.script(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    with pytest.raises(AnswerLost):
        await client.backbone.bound(deadline=client.clock.monotonic() + 0.2).messages.send(NEW_MESSAGE)


async def test_nothing_is_sent_when_no_connection_can_be_made(make_client: ClientMaker) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = make_client(f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(BackboneUnavailable) as caught:
            await client.backbone.messages.send(NEW_MESSAGE)
    assert caught.value.facts["cause"] == "network"
    assert caught.value.official_code == "error.transport.request.network"
    assert not caught.value.may_be_done
    # Also a call that is never repeated blindly may be: it has not been sent.
    assert len(client.clock.slept) == 3


async def test_a_name_that_does_not_exist_has_its_own_cause(make_client: ClientMaker) -> None:
    client = make_client("https://backbone.invalid")
    with pytest.raises(BackboneUnavailable) as caught:
        await client.backbone.messages.send(NEW_MESSAGE)
    assert caught.value.facts["cause"] == "address"
    assert caught.value.official_code == "error.transport.request.addressNotFound"
    assert "backbone.invalid" not in str(caught.value) + str(dict(caught.value.facts))


async def test_a_put_on_a_kept_connection_that_turns_out_closed_is_not_repeated_behind_our_back(
    client: Client, server: ScriptedServer
) -> None:
    server.script(result(CHALLENGE), hang_up)
    await client.backbone.challenges.create()
    with pytest.raises(AnswerLost):
        await client.backbone.relationships.terminate(RELATIONSHIP_ID)
    assert [request.method for request in server.requests] == ["POST", "PUT"]


async def test_a_deletion_whose_answer_was_lost_is_done_when_the_thing_is_gone(
    client: Client, server: ScriptedServer
) -> None:
    server.script(hang_up, error(404, P + "recordNotFound", "Token not found."))
    await client.backbone.tokens.delete(TOKEN_ID)
    assert len(server.requests) == 2


async def test_a_deletion_of_something_unknown_is_an_error(client: Client, server: ScriptedServer) -> None:
    server.script(error(404, P + "recordNotFound", "Token not found."))
    with pytest.raises(RecordNotFound):
        await client.backbone.tokens.delete(TOKEN_ID)


async def test_an_answer_over_the_cap_is_not_read_to_its_end(client: Client, server: ScriptedServer) -> None:
    server.script(
        answer(200, b"x" * 5000), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nxxxxx\r\n" * 999
    )
    for _ in range(2):
        with pytest.raises(AnswerTooLarge) as caught:
            await client.backbone.files.download(FILE_ID, cap_bytes=4096)
        assert caught.value.facts["capBytes"] == "4096"
    server.script(answer(200, b"x" * 4096))
    assert await client.backbone.files.download(FILE_ID, cap_bytes=4096) == b"x" * 4096


async def test_the_request_gets_through_a_network_that_loses_only_answers(
    server: ScriptedServer, make_client: ClientMaker
) -> None:
    async with FaultProxy("localhost", server.port) as network:
        client = make_client(f"http://127.0.0.1:{network.port}")
        network.apply(Rules(when=b"POST /api/v2/Messages", cut_answer_after=0))
        server.script(result(SENT))
        with pytest.raises(AnswerLost):
            await client.backbone.messages.send(NEW_MESSAGE)
        assert server.requests[0].json["body"] == "-_8gYm9keQ"


async def test_a_request_cut_halfway_counts_as_sent(server: ScriptedServer, make_client: ClientMaker) -> None:
    async with FaultProxy("localhost", server.port) as network:
        client = make_client(f"http://127.0.0.1:{network.port}")
        network.apply(Rules(when=b"POST /api/v2/Messages", cut_request_after=40))
        with pytest.raises(AnswerLost):
            await client.backbone.messages.send(NEW_MESSAGE)
        assert server.requests == []


async def test_a_connection_that_is_refused_at_first_is_tried_again(
    server: ScriptedServer, make_client: ClientMaker
) -> None:
    async with FaultProxy("localhost", server.port) as network:
        client = make_client(f"http://127.0.0.1:{network.port}")
        network.script(Rules(), Rules(refuse=True))
        server.script(result(SENT, headers={"Connection": "close"}), result(SENT))
        await client.backbone.messages.send(NEW_MESSAGE)
        # The next one opens a new connection, which the network resets before or while the request is written.
        with pytest.raises(AnswerLost):
            await client.backbone.messages.send(NEW_MESSAGE)
        await client.backbone.messages.send(NEW_MESSAGE)
    assert len(server.requests) == 2


async def test_calls_of_one_account_have_a_limit_and_the_rest_wait_their_turn(
    server: ScriptedServer, make_client: ClientMaker
) -> None:
    client = make_client(server.base_url, SessionSettings(concurrent_calls=2))
    running, most, gate = 0, 0, asyncio.Event()

    async def slow(_request: object, writer: asyncio.StreamWriter) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            gate.set()
        await gate.wait()
        running -= 1
        writer.write(result(CHALLENGE))

    server.script(*[slow] * 6)
    await asyncio.gather(*[client.backbone.challenges.create() for _ in range(6)])
    assert most == 2


async def test_a_caller_whose_turn_does_not_come_is_told_that_nothing_was_sent(
    server: ScriptedServer, make_client: ClientMaker
) -> None:
    client = make_client(server.base_url, SessionSettings(concurrent_calls=1))
    server.script(stay_silent)
    blocker = asyncio.create_task(client.backbone.challenges.create())
    while not server.requests:
        await asyncio.sleep(0)
    with pytest.raises(BackboneUnavailable) as caught:
        await client.backbone.bound(deadline=client.clock.monotonic() + 0.05).messages.send(NEW_MESSAGE)
    assert caught.value.facts["cause"] == "queue"
    blocker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await blocker
    server.script(result(SENT))
    await client.backbone.messages.send(NEW_MESSAGE)


async def test_no_error_and_no_record_shows_a_secret(client: Client, server: ScriptedServer) -> None:
    seen = [repr(client.session), repr(NEW_MESSAGE)]
    for step in (error(400, P + "x", PASSWORD), answer(500, PASSWORD.encode()), hang_up):
        server.script(step)
        with pytest.raises(BackboneError) as caught:
            await client.backbone.messages.send(NEW_MESSAGE)
        seen += [str(caught.value), repr(caught.value), repr(dict(caught.value.facts))]
    seen += [repr(record) for record in client.records]
    for secret in (PASSWORD, CLIENT_SECRET, "token-1", f"localhost:{server.port}"):
        assert not any(secret in text for text in seen)
    assert CLIENT_SECRET not in repr(client.gateway.target)
