"""API keys: made, presented, bound, expired, revoked, guessed."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog

from enmeshed.connector.v1 import (
    account_service_pb2,
    account_service_pb2_grpc,
    events_service_pb2,
    events_service_pb2_grpc,
    monitoring_service_pb2,
    monitoring_service_pb2_grpc,
)
from enmeshed_connector.api.api_keys import API_KEYS, ApiKeyExists
from enmeshed_connector.api.authentication import FailureDelays, FailureOptions
from enmeshed_connector.api.errors import TooManyFailedAttempts
from enmeshed_connector.api.server import ServerOptions
from enmeshed_connector.core.errors import InvalidArgument, NotFound
from tests.support.api_server import Accounts, Failure, ManualClock, RunningServer, failure, failure_of, running_server


def identity(channel: grpc.aio.Channel, *metadata: tuple[str, str]) -> Any:
    stub = account_service_pb2_grpc.AccountStub(channel)
    return stub.GetIdentityInfo(account_service_pb2.GetIdentityInfoRequest(), metadata=metadata)


async def refusal(channel: grpc.aio.Channel, *metadata: tuple[str, str]) -> Failure:
    return await failure_of(identity(channel, *metadata))


async def test_a_key_opens_what_its_scopes_say(served: RunningServer, channel: grpc.aio.Channel) -> None:
    made = await served.keys.create("reader", ["account:read"])
    key = ("x-api-key", made.secret)
    assert (await identity(channel, key)).account.name == "default"
    stub = account_service_pb2_grpc.AccountStub(channel)
    failed = await failure_of(stub.Sync(account_service_pb2.SyncRequest(), metadata=(key,)))
    assert (failed.code, failed.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert failed.metadata == {"permission": "account:write", "code": "error.connector.forbidden"}


async def test_permission_is_checked_before_the_request_is(served: RunningServer, channel: grpc.aio.Channel) -> None:
    made = await served.keys.create("reader", ["account:read"])
    stub = account_service_pb2_grpc.AccountStub(channel)
    request = account_service_pb2.SyncRequest(idempotency_key="no uuid")
    failed = await failure_of(stub.Sync(request, metadata=(("x-api-key", made.secret),)))
    assert failed.reason == "PERMISSION_DENIED"


async def test_once_a_key_was_made_calls_without_one_are_refused(
    served: RunningServer, channel: grpc.aio.Channel, clock: ManualClock
) -> None:
    assert (await identity(channel)).account.name == "default"
    made = await served.keys.create("only", ["**"])
    await clock.until_sleeping(1)
    clock.advance(2)
    await clock.until_sleeping(1)
    failed = await refusal(channel)
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_MISSING")
    assert failed.metadata == {"code": "error.connector.unauthorized"}
    await served.keys.revoke("only")
    clock.advance(2)
    await clock.until_sleeping(1)
    # Revoking the last key must not open the door for everybody.
    assert (await refusal(channel)).reason == "CREDENTIAL_MISSING"
    assert (await refusal(channel, ("x-api-key", made.secret))).reason == "CREDENTIAL_INVALID"


@pytest.mark.parametrize("wrong", ["nonsense", "emc_" + "A" * 43, " "])
async def test_a_wrong_key_is_not_explained(served: RunningServer, channel: grpc.aio.Channel, wrong: str) -> None:
    await served.keys.create("other", ["**"])
    failed = await refusal(channel, ("x-api-key", wrong))
    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_INVALID")
    assert failed.text == "the API key is not valid"


async def test_an_expired_key_is_worth_nothing(
    served: RunningServer, channel: grpc.aio.Channel, clock: ManualClock
) -> None:
    made = await served.keys.create("brief", ["**"], expires_at=clock.now() + timedelta(seconds=3))
    key = ("x-api-key", made.secret)
    assert (await identity(channel, key)).account.name == "default"
    clock.advance(3)
    assert (await refusal(channel, key)).reason == "CREDENTIAL_INVALID"


async def test_only_the_hash_is_stored_and_no_log_has_the_key(
    served: RunningServer, channel: grpc.aio.Channel, tmp_path: Path
) -> None:
    with structlog.testing.capture_logs() as logs:
        made = await served.keys.create("secret", ["**"])
        await identity(channel, ("x-api-key", made.secret))
        await refusal(channel, ("x-api-key", made.secret + "x"))
    (document,) = await served.store.find(API_KEYS)
    assert document["hash"] == hashlib.sha256(made.secret.encode()).hexdigest()
    assert made.secret not in repr(document)
    assert made.secret not in repr(logs)
    assert {entry.get("credential") for entry in logs if entry.get("status") == "OK"} == {made.key.id}
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    assert not any(made.secret.encode() in file.read_bytes() for file in files)


async def test_a_revocation_reaches_another_replica_within_five_seconds(tmp_path: Path) -> None:
    clocks = ManualClock(), ManualClock()
    async with (
        running_server(tmp_path, clock=clocks[0]) as one,
        running_server(tmp_path, clock=clocks[1]) as other,
        grpc.aio.insecure_channel(other.address) as channel,
    ):
        made = await one.keys.create("shared", ["**"])
        key = ("x-api-key", made.secret)
        assert (await identity(channel, key)).account.name == "default"
        stub: Any = events_service_pb2_grpc.EventsStub(channel)
        stream = stub.Subscribe(events_service_pb2.SubscribeRequest(), metadata=(key,))
        assert (await stream.read()).HasField("started")
        token = (await stream.read()).resume_token
        await clocks[1].until_sleeping(1)
        await one.keys.revoke(made.key.id)
        clocks[1].advance(5)
        await clocks[1].until_sleeping(1)
        assert (await refusal(channel, key)).reason == "CREDENTIAL_INVALID"
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await stream.read()
        failed = failure(ended.value)
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_REVOKED")
        assert failed.metadata["resume_token"] == token


async def test_keys_that_cannot_be_read_for_long_open_nothing(
    served: RunningServer, channel: grpc.aio.Channel, clock: ManualClock
) -> None:
    made = await served.keys.create("stale", ["**"])
    key = ("x-api-key", made.secret)
    assert (await identity(channel, key)).account.name == "default"
    await served.store.close()
    clock.advance(6)
    failed = await refusal(channel, key)
    assert failed.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)


# --- accounts


@pytest.fixture
def accounts() -> Accounts:
    return Accounts(["alice", "bob"], not_ready={"bob"})


async def test_several_accounts_have_to_be_told_apart(tmp_path: Path, accounts: Accounts) -> None:
    async with (
        running_server(tmp_path, accounts=accounts) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        failed = await refusal(channel)
        assert (failed.code, failed.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ACCOUNT_REQUIRED")
        assert (await identity(channel, ("x-account", "alice"))).account.name == "alice"
        failed = await refusal(channel, ("x-account", "carol"))
        assert (failed.code, failed.reason) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
        failed = await refusal(channel, ("x-account", "bob"))
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "STARTING")
        stub = monitoring_service_pb2_grpc.MonitoringStub(channel)
        assert (await stub.GetVersion(monitoring_service_pb2.GetVersionRequest())).version == "1.2.3"


async def test_a_bound_key_stays_with_its_account(tmp_path: Path, accounts: Accounts) -> None:
    async with (
        running_server(tmp_path, accounts=accounts) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        made = await served.keys.create("alice-only", ["**"], account="alice")
        key = ("x-api-key", made.secret)
        assert (await identity(channel, key)).account.name == "alice"
        assert (await identity(channel, key, ("x-account", "alice"))).account.name == "alice"
        answers = [await refusal(channel, key, ("x-account", name)) for name in ("bob", "carol")]
        # Whether the other account exists is not told.
        assert {(answer.code, answer.reason, answer.text) for answer in answers} == {
            (grpc.StatusCode.PERMISSION_DENIED, "ACCOUNT_DENIED", answers[0].text)
        }


# --- guessing


async def test_those_who_guess_wait_and_hold_no_slot(tmp_path: Path, clock: ManualClock) -> None:
    from enmeshed_connector.api.limits import LimitOptions

    options = ServerOptions(
        port=0,
        limits=LimitOptions(short_calls=1),
        failures=FailureOptions(free_failures=2, max_delayed=2),
        drain=timedelta(0),
    )
    async with (
        running_server(tmp_path, clock=clock, options=options) as served,
        grpc.aio.insecure_channel(served.address) as channel,
    ):
        made = await served.keys.create("good", ["**"])
        await identity(channel, ("x-api-key", made.secret))
        wrong = ("x-api-key", "emc_" + "A" * 43)
        assert [(await refusal(channel, wrong)).reason for _ in range(2)] == ["CREDENTIAL_INVALID"] * 2
        delayed = [asyncio.ensure_future(refusal(channel, wrong)) for _ in range(2)]
        await clock.until_sleeping(3)
        # Two wait; a third is refused at once, and a good key is served meanwhile though there is one slot only.
        failed = await refusal(channel, wrong)
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOO_MANY_FAILED_ATTEMPTS")
        assert (await identity(channel, ("x-api-key", made.secret))).account.name == "default"
        assert not any(future.done() for future in delayed)
        clock.advance(1)
        reasons = [(await future).reason for future in delayed]
        assert reasons == ["TOO_MANY_FAILED_ATTEMPTS"] * 2


async def test_failures_are_forgotten_after_a_while() -> None:
    clock = ManualClock()
    delays = FailureDelays(FailureOptions(free_failures=1, max_delayed=0, max_addresses=2), clock)
    await delays.failed("10.0.0.1")
    with pytest.raises(TooManyFailedAttempts):
        await delays.failed("10.0.0.1")
    assert delays.is_suspect("10.0.0.1")
    assert not delays.is_suspect("10.0.0.2")
    clock.advance(60)
    assert delays.failures("10.0.0.1") == 0
    await delays.failed("10.0.0.1")
    for host in ("10.0.0.2", "10.0.0.3"):
        await delays.failed(host)
    assert delays.failures("10.0.0.1") == 0


# --- keys in the store


async def test_keys_are_listed_and_revoked_by_id_or_name(served: RunningServer, clock: ManualClock) -> None:
    first = await served.keys.create("first", ["messages:*"])
    clock.advance(0.001)
    second = await served.keys.create("second", ["**"], account="default")
    assert len({first.secret, second.secret}) == 2
    assert len(first.secret) == 4 + 43
    assert [key.name for key in await served.keys.list()] == ["first", "second"]
    revoked = await served.keys.revoke("second")
    assert revoked.revoked_at is not None
    assert await served.keys.revoke(second.key.id) == revoked
    with pytest.raises(NotFound):
        await served.keys.revoke("third")
    with pytest.raises(ApiKeyExists):
        await served.keys.create("first", ["**"])


@pytest.mark.parametrize(
    ("name", "scopes", "field"),
    [("Ä", ["**"], "name"), ("", ["**"], "name"), ("a", [], "scopes"), ("a", ["mesages:read"], "scopes[0]"),
     ("a", ["**", "a b"], "scopes[1]"), ("a", ["messages"], "scopes[0]")],
)  # fmt: skip
async def test_what_a_key_cannot_be_is_named(served: RunningServer, name: str, scopes: list[str], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await served.keys.create(name, scopes)
    assert [violation.field for violation in refused.value.violations] == [field]


async def test_a_bootstrap_file_gives_keys_and_can_be_read_again(
    served: RunningServer, channel: grpc.aio.Channel
) -> None:
    secret = "s" * 40
    text = f"# for the container\n\n{secret} boot account:read,events:*  default\n"
    (taken,) = await served.keys.take_bootstrap(text)
    assert (taken.name, taken.scopes, taken.account) == ("boot", ("account:read", "events:*"), "default")
    assert await served.keys.take_bootstrap(text) == []
    await served.server._api_keys.refresh()
    assert (await identity(channel, ("x-api-key", secret))).account.name == "default"
    await served.keys.revoke("boot")
    assert await served.keys.take_bootstrap(text) == []
    with pytest.raises(InvalidArgument, match="line 1") as refused:
        await served.keys.take_bootstrap("short boot2 **")
    assert "short" not in str(refused.value)
    with pytest.raises(ApiKeyExists):
        await served.keys.take_bootstrap("t" * 40 + " boot **")
