"""Access tokens: when one is fetched, by whom, and what happens when none is granted."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from enmeshed_connector.backbone import BackboneSession, DeviceCredentials
from enmeshed_connector.backbone.auth import HOLD
from enmeshed_connector.backbone.client import AnonymousBackbone
from enmeshed_connector.backbone.errors import (
    AnswerUnusable,
    AuthenticationFailed,
    BackboneUnauthorized,
    BackboneUnavailable,
    ClientRejected,
    CredentialsRejected,
    DeviceLockedOut,
)
from enmeshed_connector.core.secret_bytes import SecretText
from tests.enmeshed_connector.backbone.conftest import CLIENT_SECRET, PASSWORD, Client, ClientMaker
from tests.enmeshed_connector.backbone.samples import CHALLENGE, NEW_MESSAGE, SENT
from tests.support.scripted_http import Request, ScriptedServer, answer, hang_up, plain, result

UNAUTHORIZED = answer(401, b"", {"WWW-Authenticate": 'Bearer error="invalid_token"'})


async def test_a_login_sends_the_form_that_the_backbone_expects(client: Client, server: ScriptedServer) -> None:
    server.script(result(CHALLENGE))
    await client.backbone.challenges.create()
    login = server.logins[0]
    assert login.headers["content-type"] == "application/x-www-form-urlencoded"
    assert login.form == {
        "grant_type": ["password"],
        "client_id": ["client"],
        "client_secret": [CLIENT_SECRET],
        "username": ["USRabcdefghijklmnopq"],
        "password": [PASSWORD],
    }
    assert server.requests[0].headers["authorization"] == "Bearer token-1"


async def test_callers_at_the_same_time_share_one_login(client: Client, server: ScriptedServer) -> None:
    server.script(*[result(CHALLENGE)] * 5)
    await asyncio.gather(*[client.backbone.challenges.create() for _ in range(5)])
    assert len(server.logins) == 1


async def test_a_token_is_renewed_ten_seconds_before_its_end(client: Client, server: ScriptedServer) -> None:
    server.script(*[result(CHALLENGE)] * 3)
    await client.backbone.challenges.create()
    client.clock.advance(timedelta(seconds=289))
    await client.backbone.challenges.create()
    assert len(server.logins) == 1
    client.clock.advance(timedelta(seconds=1))
    await client.backbone.challenges.create()
    assert len(server.logins) == 2
    assert server.requests[-1].headers["authorization"] == "Bearer token-2"


async def test_a_refused_token_is_replaced_once_and_the_call_repeated(client: Client, server: ScriptedServer) -> None:
    server.script(UNAUTHORIZED, result(SENT))
    await client.backbone.messages.send(NEW_MESSAGE)
    first, second = server.requests
    assert (first.headers["authorization"], second.headers["authorization"]) == ("Bearer token-1", "Bearer token-2")
    assert first.body == second.body


async def test_a_token_that_is_refused_again_is_an_error_and_no_loop(client: Client, server: ScriptedServer) -> None:
    server.script(UNAUTHORIZED, UNAUTHORIZED)
    with pytest.raises(BackboneUnauthorized) as caught:
        await client.backbone.messages.send(NEW_MESSAGE)
    assert caught.value.official_code == "error.platform.unauthorized"
    assert len(server.requests) == 2
    assert len(server.logins) == 2


async def test_callers_whose_token_is_refused_at_the_same_time_share_one_new_login(
    client: Client, server: ScriptedServer
) -> None:
    both_there = asyncio.Event()

    async def refuse_both(_request: Request, writer: asyncio.StreamWriter) -> None:
        if len(server.requests) == 2:
            both_there.set()
        await both_there.wait()
        writer.write(UNAUTHORIZED)

    server.script(refuse_both, refuse_both, result(CHALLENGE), result(CHALLENGE))
    await asyncio.gather(client.backbone.challenges.create(), client.backbone.challenges.create())
    assert len(server.logins) == 2


async def test_a_caller_that_is_cancelled_during_the_login_leaves_it_to_the_next(
    client: Client, server: ScriptedServer
) -> None:
    server.grants_tokens = False
    arrived, granted = asyncio.Event(), plain({"access_token": "the-second", "expires_in": 300})

    async def never(_request: Request, _writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await asyncio.Event().wait()

    server.script(never, granted, result(CHALLENGE))
    first = asyncio.create_task(client.backbone.challenges.create())
    await arrived.wait()
    second = asyncio.create_task(client.backbone.challenges.create())
    await asyncio.sleep(0)
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert server.requests[-1].headers["authorization"] == "Bearer the-second"


REFUSED = [
    (plain({"error": "invalid_grant", "error_description": "x"}, 400), CredentialsRejected, "noAuthGrant"),
    (plain({"error": "access_denied"}, 400), DeviceLockedOut, "noAuthGrant"),
    (plain({"error": "invalid_client"}, 401), ClientRejected, "noAuthPossible"),
    (plain({"error": "unsupported_grant_type"}, 400), ClientRejected, "noAuthPossible"),
]


@pytest.mark.parametrize(("step", "kind", "official"), REFUSED, ids=range(len(REFUSED)))
async def test_a_refused_login_says_what_is_not_accepted(
    client: Client, server: ScriptedServer, step: bytes, kind: type[AuthenticationFailed], official: str
) -> None:
    server.grants_tokens = False
    server.script(step)
    with pytest.raises(kind) as caught:
        await client.backbone.messages.send(NEW_MESSAGE)
    assert caught.value.official_code == f"error.transport.request.{official}"
    assert not caught.value.may_be_done
    assert len(server.requests) == 1


async def test_refused_credentials_are_not_tried_again_for_a_while_so_that_nobody_is_locked_out(
    client: Client, server: ScriptedServer
) -> None:
    server.grants_tokens = False
    refusal = plain({"error": "invalid_grant"}, 400)
    server.script(refusal, refusal)
    for _ in range(5):
        with pytest.raises(CredentialsRejected):
            await client.backbone.challenges.create()
    assert len(server.requests) == 1
    client.clock.advance(HOLD)
    with pytest.raises(CredentialsRejected):
        await client.backbone.challenges.create()
    assert len(server.requests) == 2


async def test_callers_that_waited_for_a_refused_login_share_the_refusal(
    client: Client, server: ScriptedServer
) -> None:
    server.grants_tokens = False
    server.script(plain({"error": "invalid_grant"}, 400))
    outcomes = await asyncio.gather(*[client.backbone.challenges.create() for _ in range(5)], return_exceptions=True)
    assert all(isinstance(outcome, CredentialsRejected) for outcome in outcomes)
    assert len(server.requests) == 1


async def test_new_credentials_are_tried_at_once(client: Client, server: ScriptedServer) -> None:
    server.grants_tokens = False
    server.script(plain({"error": "invalid_grant"}, 400))
    with pytest.raises(CredentialsRejected):
        await client.backbone.challenges.create()
    client.backbone.replace_credentials(DeviceCredentials("USRabcdefghijklmnopq", SecretText("the new one")))
    server.grants_tokens = True
    server.script(result(CHALLENGE))
    await client.backbone.challenges.create()
    assert server.logins[0].form["password"] == ["the new one"]


async def test_a_login_that_gets_no_answer_is_repeated_and_does_not_make_the_call_uncertain(
    client: Client, server: ScriptedServer
) -> None:
    server.grants_tokens = False
    server.script(hang_up, answer(503, b""), hang_up, hang_up)
    with pytest.raises(BackboneUnavailable) as caught:
        await client.backbone.messages.send(NEW_MESSAGE)
    assert not caught.value.may_be_done
    assert [request.path for request in server.requests] == ["/connect/token"] * 4


@pytest.mark.parametrize(
    "grant",
    [
        answer(200, b"<html>"),
        plain([]),
        plain({"access_token": "x"}),
        plain({"access_token": "", "expires_in": 300}),
        plain({"access_token": "two\r\nlines: 1", "expires_in": 300}),
        plain({"access_token": "x", "expires_in": True}),
        answer(200, b" " * 300_000),
    ],
    ids=range(7),
)
async def test_a_grant_that_holds_no_token_is_unusable(client: Client, server: ScriptedServer, grant: bytes) -> None:
    server.grants_tokens = False
    server.script(grant, grant, grant, grant)
    with pytest.raises(AnswerUnusable):
        await client.backbone.messages.send(NEW_MESSAGE)
    assert {request.path for request in server.requests} == {"/connect/token"}


async def test_a_token_with_a_very_short_life_is_not_asked_for_before_every_call(
    client: Client, server: ScriptedServer
) -> None:
    server.grants_tokens = False
    server.script(plain({"access_token": "short", "expires_in": 8}), result(CHALLENGE), result(CHALLENGE))
    await client.backbone.challenges.create()
    await client.backbone.challenges.create()
    assert [request.path for request in server.requests].count("/connect/token") == 1


async def test_an_anonymous_session_never_logs_in(client: Client, server: ScriptedServer) -> None:
    server.script(result(CHALLENGE), UNAUTHORIZED)
    anonymous = AnonymousBackbone(client.gateway.anonymous())
    await anonymous.challenges.create()
    assert "authorization" not in server.requests[0].headers
    with pytest.raises(BackboneUnauthorized):
        await anonymous.challenges.create()
    assert server.logins == []


async def test_two_accounts_of_one_process_share_connections_and_nothing_else(
    make_client: ClientMaker, server: ScriptedServer
) -> None:
    one, other = make_client(server.base_url), make_client(server.base_url)
    server.script(result(CHALLENGE, headers={"Set-Cookie": "affinity=secret; Path=/"}), result(CHALLENGE))
    await one.backbone.challenges.create()
    await other.backbone.challenges.create()
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer token-1", "Bearer token-2"]
    assert all("cookie" not in request.headers for request in server.requests)
    assert server.connections == 1


async def test_calls_carry_the_correlation_id_and_the_datawallet_version(
    client: Client, server: ScriptedServer
) -> None:
    server.script(result(SENT), result(SENT), result(SENT))
    await client.backbone.messages.send(NEW_MESSAGE)
    await client.backbone.bound(correlation_id="order-17").messages.send(NEW_MESSAGE)
    await client.backbone.bound(correlation_id="two\r\nlines: 1").messages.send(NEW_MESSAGE)
    plain_headers, marked, broken = (request.headers for request in server.requests)
    assert "x-correlation-id" not in plain_headers
    assert marked["x-correlation-id"] == "order-17"
    assert "x-correlation-id" not in broken
    assert "lines" not in broken
    assert plain_headers["x-supported-datawallet-version"] == "1"
    assert [record.correlation_id for record in client.records if record.call == "messages.send"][1] == "order-17"


def test_an_anonymous_session_has_no_credentials_to_replace(client: Client) -> None:
    session: BackboneSession = client.gateway.anonymous()
    with pytest.raises(ValueError, match="anonymous"):
        session.replace_credentials(DeviceCredentials("USR", SecretText("x")))
