"""Devices and recovery kits through the public interface, on a whole Connector."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import field_mask_pb2, timestamp_pb2

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import devices_service_pb2 as pb
from enmeshed.connector.v1 import tokens_service_pb2 as tokens_pb
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from enmeshed_connector.backbone.endpoints.tokens import NewToken, Tokens
from enmeshed_connector.core.references import TokenReference, parse_reference
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto import SecretKey
from enmeshed_connector.crypto.stored_secrets import DeviceSharedSecret
from enmeshed_connector.transport.anonymous_tokens import load_anonymously
from tests.support.connector import RunningConnector, running_connector

READER = "reader-key-0123456789-0123456789-0123456789"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningConnector]:
    keys = f"{READER} reader devices:read,devices:write,account:read\n"
    async with running_connector(tmp_path, overrides={"accounts.alice.datawallet": "true"}, keys=keys) as connector:
        yield connector


async def failure(client: Client, method: str, request: Any) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        await client.call(getattr(client.service("Devices"), method), request)
    return caught.value


async def call(client: Client, method: str, request: Any) -> Any:
    return await client.call(getattr(client.service("Devices"), method), request)


async def own_device(client: Client) -> Any:
    found = await client.call(client.account.GetOwnDevice, account_pb.GetOwnDeviceRequest())
    return found.device


async def secret_in(running: RunningConnector, reference: str, password: str | None = None) -> DeviceSharedSecret:
    """Returns what a device without an identity finds in a token."""
    parsed = parse_reference(reference)
    assert isinstance(parsed, TokenReference)
    context = running.connector.accounts.runtime("bob").transport.context
    content = await load_anonymously(context.anonymous, parsed, None if password is None else SecretText(password))
    return DeviceSharedSecret.from_json(content["sharedSecret"], "sharedSecret")


async def empty_token(running: RunningConnector) -> TokenReference:
    context = running.connector.accounts.runtime("bob").transport.context
    created = await Tokens(context.anonymous).create(NewToken(datetime.now(UTC) + timedelta(minutes=2), None))
    return TokenReference(created.id, SecretKey.generate(context.random), context.settings.base_url)


async def test_a_new_device_gets_a_token_with_all_it_needs_once(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        request = pb.CreateDeviceRequest(
            name="desk", description="d", is_admin=True, profile_name="p", idempotency_key=alice.idempotency_key()
        )
        created = await call(alice, "CreateDevice", request)
        repeated = await call(alice, "CreateDevice", request)
        listed = await call(alice, "ListDevices", pb.ListDevicesRequest())
        tokens = await alice.call(alice.tokens.ListTokens, tokens_pb.ListTokensRequest())
        own = await own_device(alice)
    secret = await secret_in(running, created.token.reference.truncated)
    assert created == repeated
    assert [device.id for device in listed.devices] == [own.id, created.device.id]
    assert (created.device.name, created.device.public_key, created.device.is_admin) == ("desk", "", True)
    assert secret.id == created.device.id
    assert secret.profile_name == "p"
    assert secret.identity_private_key is not None
    assert list(tokens.tokens) == []


async def test_an_empty_token_of_a_new_device_is_filled_once(running: RunningConnector) -> None:
    token = await empty_token(running)
    reference = token.to_truncated()
    async with running.client("alice") as alice:
        request = pb.CreateDeviceRequest(empty_token_reference=reference, idempotency_key=alice.idempotency_key())
        created = await call(alice, "CreateDevice", request)
        repeated = await call(alice, "CreateDevice", request)
        request.idempotency_key = alice.idempotency_key()
        refused = await failure(alice, "CreateDevice", request)
        listed = await call(alice, "ListDevices", pb.ListDevicesRequest())
    secret = await secret_in(running, reference)
    assert created == repeated
    assert not created.HasField("token")
    assert secret.id == created.device.id
    assert secret.identity_private_key is None
    assert refused.reason == "TOKEN_NOT_EMPTY"
    assert len(listed.devices) == 2


async def test_a_device_is_changed_when_it_is_as_it_was_read(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        own = await own_device(alice)
        mask = field_mask_pb2.FieldMask(paths=["name"])
        changed = await call(
            alice,
            "UpdateDevice",
            pb.UpdateDeviceRequest(id=own.id, name="server", description="kept", update_mask=mask, etag=own.etag),
        )
        stale = await failure(
            alice, "UpdateDevice", pb.UpdateDeviceRequest(id=own.id, name="x", update_mask=mask, etag=own.etag)
        )
        read = await call(alice, "GetDevice", pb.GetDeviceRequest(id=own.id))
        cleared = await call(alice, "UpdateDevice", pb.UpdateDeviceRequest(id=own.id, update_mask=mask))
    assert (changed.device.name, changed.device.description) == ("server", "")
    assert changed.device.etag != own.etag
    assert read.device == changed.device
    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "CONCURRENT_CHANGE")
    assert cleared.device.name == ""


async def test_only_devices_that_were_never_used_are_deleted(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        created = await call(alice, "CreateDevice", pb.CreateDeviceRequest())
        request = pb.DeleteDeviceRequest(id=created.device.id, idempotency_key=alice.idempotency_key())
        await call(alice, "DeleteDevice", request)
        await call(alice, "DeleteDevice", request)
        own = await own_device(alice)
        refused = await failure(alice, "DeleteDevice", pb.DeleteDeviceRequest(id=own.id))
        missing = await failure(alice, "GetDevice", pb.GetDeviceRequest(id=created.device.id))
    assert refused.reason == "DEVICE_NOT_DELETABLE"
    assert missing.reason == "NOT_FOUND"


async def test_a_recovery_kit_takes_the_place_of_the_one_before(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        before = await call(alice, "CheckRecoveryKit", pb.CheckRecoveryKitRequest())
        request = pb.CreateRecoveryKitRequest(
            password="open sesame", profile_name="p", idempotency_key=alice.idempotency_key()
        )
        first = await call(alice, "CreateRecoveryKit", request)
        repeated = await call(alice, "CreateRecoveryKit", request)
        assert (await secret_in(running, first.token.reference.truncated, "open sesame")).is_backup_device
        request.idempotency_key = alice.idempotency_key()
        second = await call(alice, "CreateRecoveryKit", request)
        after = await call(alice, "CheckRecoveryKit", pb.CheckRecoveryKitRequest())
        listed = await call(alice, "ListDevices", pb.ListDevicesRequest())
    assert (before.exists, after.exists) == (False, True)
    assert repeated == first
    assert second.token.id != first.token.id
    assert [device.is_backup for device in listed.devices] == [False, True]
    assert (await secret_in(running, second.token.reference.truncated, "open sesame")).is_backup_device


async def test_without_the_datawallet_there_are_no_further_devices(running: RunningConnector) -> None:
    async with running.client("bob") as bob:
        for method, request in (
            ("CreateDevice", pb.CreateDeviceRequest()),
            ("CreateRecoveryKit", pb.CreateRecoveryKitRequest(password="x", profile_name="p")),
        ):
            assert (await failure(bob, method, request)).reason == "DATAWALLET_DISABLED"
        listed = await call(bob, "ListDevices", pb.ListDevicesRequest())
        await call(bob, "SetCommunicationLanguage", pb.SetCommunicationLanguageRequest(language="de"))
    assert [device.is_current for device in listed.devices] == [True]


async def test_whoever_may_not_see_secrets_makes_no_devices(running: RunningConnector) -> None:
    async with running.client("alice", READER) as reader:
        await call(reader, "ListDevices", pb.ListDevicesRequest())
        refused = await failure(reader, "CreateDevice", pb.CreateDeviceRequest())
    assert refused.reason == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    ("method", "request_", "reason"),
    [
        ("ListDevices", pb.ListDevicesRequest(page_token="x"), "PAGE_TOKEN_INVALID"),
        ("GetDevice", pb.GetDeviceRequest(id="x"), "INVALID_ARGUMENT"),
        ("GetDevice", pb.GetDeviceRequest(id="DVC" + "0" * 17), "NOT_FOUND"),
        ("DeleteDevice", pb.DeleteDeviceRequest(id="DVC" + "0" * 17), "NOT_FOUND"),
        ("UpdateDevice", pb.UpdateDeviceRequest(id="DVC" + "0" * 17), "INVALID_ARGUMENT"),
        (
            "UpdateDevice",
            pb.UpdateDeviceRequest(id="DVC" + "0" * 17, update_mask=field_mask_pb2.FieldMask(paths=["type"])),
            "INVALID_ARGUMENT",
        ),
        (
            "UpdateDevice",
            pb.UpdateDeviceRequest(id="DVC" + "0" * 17, update_mask=field_mask_pb2.FieldMask(paths=["name"])),
            "NOT_FOUND",
        ),
        ("CreateDevice", pb.CreateDeviceRequest(expire_time=timestamp_pb2.Timestamp(seconds=1)), "TIME_IN_PAST"),
        ("CreateDevice", pb.CreateDeviceRequest(empty_token_reference="x"), "REFERENCE_INVALID"),
        (
            "CreateDevice",
            pb.CreateDeviceRequest(empty_token_reference="x", expire_time=timestamp_pb2.Timestamp(seconds=1)),
            "INVALID_ARGUMENT",
        ),
        ("CreateRecoveryKit", pb.CreateRecoveryKitRequest(profile_name="p"), "INVALID_ARGUMENT"),
        ("SetCommunicationLanguage", pb.SetCommunicationLanguageRequest(language="german"), "INVALID_ARGUMENT"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_the_reason(
    running: RunningConnector, method: str, request_: Any, reason: str
) -> None:
    async with running.client("alice") as alice:
        assert (await failure(alice, method, request_)).reason == reason
