"""An account of a Connector becomes a device of an identity that another one made."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, timestamp_pb2

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import devices_service_pb2 as devices_pb
from enmeshed.connector.v1 import drafts_service_pb2 as drafts_pb
from enmeshed.connector.v1 import identity_metadata_service_pb2 as metadata_pb
from enmeshed.connector.v1 import settings_service_pb2 as settings_pb
from enmeshed.connector.v1 import tokens_service_pb2 as tokens_pb
from enmeshed_client import Connector as Client
from enmeshed_connector.app.connector import Connector
from enmeshed_connector.app.onboarding import onboard_account
from enmeshed_connector.app.settings import Settings, SettingsInvalid, load_settings
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.core.secret_bytes import SecretText
from tests.support.connector import RunningConnector, running_connector


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningConnector]:
    async with running_connector(tmp_path / "first", overrides={"accounts.alice.datawallet": "true"}) as connector:
        yield connector


def second(running: RunningConnector, folder: Path, **overrides: str) -> Settings:
    """Returns the settings of another Connector on the same Backbone, with the account `copy`."""
    flags = {
        "server.port": "0",
        "server.drain_seconds": "0",
        "backbone.base_url": running.backbone.base_url,
        "database.folder": str(folder / "second"),
        "accounts.copy.create_identity": "false",
        "accounts.copy.datawallet": "true",
        **overrides,
    }
    return load_settings(file=None, environment={}, flags=flags)


async def call(client: Client, service: str, method: str, request: Any) -> Any:
    return await client.call(getattr(client.service(service), method), request)


async def onboard(settings: Settings, reference: str, password: str | None = None) -> str:
    secret = None if password is None else SecretText(password)
    return await onboard_account(settings, "copy", reference, secret, device_name="copy", environment={})


async def test_an_onboarded_account_knows_what_the_first_device_knows(
    running: RunningConnector, tmp_path: Path
) -> None:
    settings = second(running, tmp_path)
    draft = json_format.ParseDict({"content": {"json": {"text": "Hello"}}}, drafts_pb.CreateDraftRequest())
    async with running.client("alice") as alice:
        written = await call(alice, "Drafts", "CreateDraft", draft)
        setting = json_format.ParseDict({"key": {"key": "k"}, "value": {"a": 1}}, settings_pb.UpdateSettingRequest())
        chosen = await call(alice, "Settings", "UpdateSetting", setting)
        note = metadata_pb.UpsertMetadataRequest(reference=running.accounts["alice"])
        note.value.string_value = "me"
        noted = await call(alice, "IdentityMetadata", "UpsertMetadata", note)
        created = await call(alice, "Devices", "CreateDevice", devices_pb.CreateDeviceRequest(is_admin=True))
        reference = created.token.reference.url
        address = await onboard(settings, reference)
        again = await onboard(settings, reference)
        async with Connector(settings, environment={}) as connector:
            await connector.wait_until_ready()
            async with Client(f"localhost:{connector.port}", account="copy") as copy:
                info = await copy.call(copy.account.GetIdentityInfo, account_pb.GetIdentityInfoRequest())
                own = await copy.call(copy.account.GetOwnDevice, account_pb.GetOwnDeviceRequest())
                found = await call(copy, "Drafts", "GetDraft", drafts_pb.GetDraftRequest(id=written.draft.id))
                settings_found = await call(copy, "Settings", "ListSettings", settings_pb.ListSettingsRequest())
                notes_found = await call(copy, "IdentityMetadata", "ListMetadata", metadata_pb.ListMetadataRequest())
        await alice.call(alice.account.SyncDatawallet, account_pb.SyncDatawalletRequest())
        seen = await call(alice, "Devices", "GetDevice", devices_pb.GetDeviceRequest(id=created.device.id))
    assert address == again == info.account.address == running.accounts["alice"]
    assert (own.device.id, own.device.name, own.device.is_admin) == (created.device.id, "copy", True)
    assert found.draft == written.draft
    assert list(settings_found.settings) == [chosen.setting]
    assert list(notes_found.entries) == [noted.entry]
    assert seen.device.public_key == own.device.public_key


async def test_a_recovery_kit_brings_the_identity_back_once(running: RunningConnector, tmp_path: Path) -> None:
    settings = second(running, tmp_path)
    kit = devices_pb.CreateRecoveryKitRequest(password="open sesame", profile_name="p")
    async with running.client("alice") as alice:
        created = await call(alice, "Devices", "CreateRecoveryKit", kit)
        reference = created.token.reference.truncated
        with pytest.raises(DomainError) as wrong:
            await onboard(settings, reference, "open barley")
        address = await onboard(settings, reference, "open sesame")
        with pytest.raises(DomainError) as used:
            await onboard(second(running, tmp_path / "third"), reference, "open sesame")
        await alice.call(alice.account.SyncDatawallet, account_pb.SyncDatawalletRequest())
        left = await call(alice, "Devices", "CheckRecoveryKit", devices_pb.CheckRecoveryKitRequest())
    assert address == running.accounts["alice"]
    assert (wrong.value.code.name, used.value.code.name) == ("NOT_FOUND", "NOT_FOUND")
    assert not left.exists


async def test_what_does_not_fit_is_refused_and_changes_nothing(running: RunningConnector, tmp_path: Path) -> None:
    settings = second(running, tmp_path)
    other = json_format.ParseDict({"content": {"json": {"some": "thing"}}}, tokens_pb.CreateTokenRequest())
    other.expire_time.CopyFrom(timestamp_pb2.Timestamp(seconds=4_000_000_000))
    async with running.client("alice") as alice:
        token = await alice.call(alice.tokens.CreateToken, other)
        created = await call(alice, "Devices", "CreateDevice", devices_pb.CreateDeviceRequest())
    reference = created.token.reference.truncated
    with pytest.raises(SettingsInvalid):
        await onboard_account(settings, "nobody", reference, None, environment={})
    refused = {}
    for name, reference_, chosen in (
        ("garbage", "x", settings),
        ("other", token.token.reference.truncated, settings),
        ("off", reference, second(running, tmp_path, **{"accounts.copy.datawallet": "false"})),
    ):
        with pytest.raises(DomainError) as caught:
            await onboard(chosen, reference_)
        refused[name] = caught.value.reason
    assert refused == {
        "garbage": "REFERENCE_INVALID",
        "other": "TOKEN_CONTENT_INVALID",
        "off": "DATAWALLET_DISABLED",
    }
    assert await onboard(settings, reference) == running.accounts["alice"]


async def test_an_account_that_has_an_identity_keeps_it(running: RunningConnector, tmp_path: Path) -> None:
    settings = second(running, tmp_path)
    async with running.client("alice") as alice:
        first = await call(alice, "Devices", "CreateDevice", devices_pb.CreateDeviceRequest())
        await onboard(settings, first.token.reference.truncated)
        another = await call(alice, "Devices", "CreateDevice", devices_pb.CreateDeviceRequest())
    with pytest.raises(DomainError) as caught:
        await onboard(settings, another.token.reference.truncated)
    assert caught.value.reason == "FAILED_PRECONDITION"


async def test_an_account_that_is_served_is_not_onboarded(running: RunningConnector, tmp_path: Path) -> None:
    settings = second(running, tmp_path, **{"accounts.copy.create_identity": "true", "sync.lease_seconds": "2"})
    async with running.client("alice") as alice:
        created = await call(alice, "Devices", "CreateDevice", devices_pb.CreateDeviceRequest())
    async with Connector(settings, environment={}) as connector:
        await connector.wait_until_ready()
        with pytest.raises(DomainError) as caught:
            await onboard(settings, created.token.reference.truncated)
    assert caught.value.reason == "FAILED_PRECONDITION"
