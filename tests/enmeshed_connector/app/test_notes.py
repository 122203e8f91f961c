"""Settings, drafts and notes about identities through the public interface, on a whole Connector."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import drafts_service_pb2 as drafts_pb
from enmeshed.connector.v1 import filters_pb2
from enmeshed.connector.v1 import identity_metadata_service_pb2 as metadata_pb
from enmeshed.connector.v1 import settings_service_pb2 as settings_pb
from enmeshed.content.v1 import content_pb2
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from enmeshed_connector.consumption.drafts import MAX_DRAFT_BYTES
from enmeshed_connector.core.addresses import derive_address
from enmeshed_connector.transport.objects import SETTINGS
from enmeshed_connector.transport.slots import SLOT_SETTING
from tests.support.connector import RunningConnector, running_connector

STRANGER = derive_address(bytes(32), "localhost")
NO_SETTING = "LCLSET" + "0" * 14
NO_DRAFT = "LCLDRF" + "0" * 14


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningConnector]:
    async with running_connector(tmp_path, overrides={"accounts.alice.datawallet": "true"}) as connector:
        yield connector


async def call(client: Client, service: str, method: str, request: Any) -> Any:
    return await client.call(getattr(client.service(service), method), request)


async def failure(client: Client, service: str, method: str, request: Any) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        await call(client, service, method, request)
    return caught.value


def struct(**members: Any) -> struct_pb2.Struct:
    return json_format.ParseDict(members, struct_pb2.Struct())


def value(json: Any) -> struct_pb2.Value:
    return json_format.ParseDict(json, struct_pb2.Value())


def note(**members: Any) -> content_pb2.Content:
    return json_format.ParseDict({"json": {"@type": "Note", **members}}, content_pb2.Content())


async def test_a_setting_is_kept_found_by_its_key_changed_and_deleted(running: RunningConnector) -> None:
    key = settings_pb.SettingKey(key="theme")
    async with running.client("alice") as alice:
        request = settings_pb.CreateSettingRequest(
            key=key, value=struct(dark=True, sizes=[1, 2.5]), idempotency_key=alice.idempotency_key()
        )
        created = await call(alice, "Settings", "CreateSetting", request)
        repeated = await call(alice, "Settings", "CreateSetting", request)
        found = await call(alice, "Settings", "GetSetting", settings_pb.GetSettingRequest(key=key))
        changed = await call(
            alice,
            "Settings",
            "UpdateSetting",
            settings_pb.UpdateSettingRequest(
                id=created.setting.id, value=struct(dark=False), etag=created.setting.etag
            ),
        )
        stale = await failure(
            alice,
            "Settings",
            "UpdateSetting",
            settings_pb.UpdateSettingRequest(id=created.setting.id, value=struct(), etag=created.setting.etag),
        )
        delete = settings_pb.DeleteSettingRequest(id=created.setting.id, idempotency_key=alice.idempotency_key())
        await call(alice, "Settings", "DeleteSetting", delete)
        await call(alice, "Settings", "DeleteSetting", delete)
        gone = await failure(alice, "Settings", "GetSetting", settings_pb.GetSettingRequest(key=key))
    assert repeated == created
    assert found == settings_pb.GetSettingResponse(setting=created.setting)
    assert created.setting.scope == settings_pb.SETTING_SCOPE_IDENTITY
    assert json_format.MessageToDict(changed.setting.value) == {"dark": False}
    assert changed.setting.etag != created.setting.etag
    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "CONCURRENT_CHANGE")
    assert gone.reason == "NOT_FOUND"


async def test_a_setting_is_made_by_its_key_when_there_is_none(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        for scope, number in (
            (settings_pb.SETTING_SCOPE_IDENTITY, 1),
            (settings_pb.SETTING_SCOPE_DEVICE, 2),
            (settings_pb.SETTING_SCOPE_IDENTITY, 3),
        ):
            key = settings_pb.SettingKey(key="theme", scope=scope)
            await call(
                alice, "Settings", "UpdateSetting", settings_pb.UpdateSettingRequest(key=key, value=struct(n=number))
            )
        service = alice.service("Settings")
        listed = [
            setting
            async for page in alice.pages(service.ListSettings, settings_pb.ListSettingsRequest(page_size=1))
            for setting in page.settings
        ]
        narrowed = await call(
            alice,
            "Settings",
            "ListSettings",
            settings_pb.ListSettingsRequest(
                filter=settings_pb.SettingFilter(
                    key=filters_pb2.TextFilter(any_of=["theme"]), scopes=[settings_pb.SETTING_SCOPE_DEVICE]
                )
            ),
        )
    assert [setting.value["n"] for setting in listed] == [3, 2]
    assert [setting.value["n"] for setting in narrowed.settings] == [2]


async def test_the_settings_of_the_connector_itself_are_out_of_reach(running: RunningConnector) -> None:
    store = running.connector.accounts.runtime("alice").store
    key = settings_pb.SettingKey(key=SLOT_SETTING)
    async with running.client("alice") as alice:
        await alice.call(alice.account.Sync, account_pb.SyncRequest())
        own = await store.find_one(SETTINGS, {"key": SLOT_SETTING})
        assert own is not None
        request = settings_pb.DeleteSettingRequest(id=own["id"])
        deleted = await failure(alice, "Settings", "DeleteSetting", request)
        listed = await call(alice, "Settings", "ListSettings", settings_pb.ListSettingsRequest())
        found = await failure(alice, "Settings", "GetSetting", settings_pb.GetSettingRequest(key=key))
        made = await failure(
            alice, "Settings", "UpdateSetting", settings_pb.UpdateSettingRequest(key=key, value=struct())
        )
    assert list(listed.settings) == []
    assert (found.reason, made.reason, deleted.reason) == ("NOT_FOUND", "INVALID_ARGUMENT", "NOT_FOUND")
    assert await store.find_one(SETTINGS, {"key": SLOT_SETTING}) == own


async def test_a_draft_is_kept_as_it_was_written_changed_and_deleted(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        request = drafts_pb.CreateDraftRequest(
            type="mail", content=note(text="Hello"), idempotency_key=alice.idempotency_key()
        )
        created = await call(alice, "Drafts", "CreateDraft", request)
        repeated = await call(alice, "Drafts", "CreateDraft", request)
        changed = await call(
            alice,
            "Drafts",
            "UpdateDraft",
            drafts_pb.UpdateDraftRequest(id=created.draft.id, content=note(text="There"), etag=created.draft.etag),
        )
        stale = await failure(
            alice,
            "Drafts",
            "UpdateDraft",
            drafts_pb.UpdateDraftRequest(id=created.draft.id, content=note(), etag=created.draft.etag),
        )
        read = await call(alice, "Drafts", "GetDraft", drafts_pb.GetDraftRequest(id=created.draft.id))
        basic = await call(alice, "Drafts", "ListDrafts", drafts_pb.ListDraftsRequest(view=filters_pb2.VIEW_BASIC))
        await call(alice, "Drafts", "DeleteDraft", drafts_pb.DeleteDraftRequest(id=created.draft.id))
        gone = await failure(alice, "Drafts", "GetDraft", drafts_pb.GetDraftRequest(id=created.draft.id))
    assert repeated == created
    assert created.draft.content == note(text="Hello")
    assert read.draft == changed.draft
    assert read.draft.content == note(text="There")
    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "CONCURRENT_CHANGE")
    assert [(draft.type, draft.HasField("content")) for draft in basic.drafts] == [("mail", False)]
    assert gone.reason == "NOT_FOUND"


async def test_drafts_are_listed_newest_first_and_by_their_word(running: RunningConnector) -> None:
    async with running.client("alice") as alice:
        for word in ("a", "b", "a"):
            await call(alice, "Drafts", "CreateDraft", drafts_pb.CreateDraftRequest(type=word, content=note()))
        service = alice.service("Drafts")
        request = drafts_pb.ListDraftsRequest(
            page_size=1, filter=drafts_pb.DraftFilter(type=filters_pb2.TextFilter(any_of=["a"]))
        )
        words = [draft.type async for page in alice.pages(service.ListDrafts, request) for draft in page.drafts]
    assert words == ["a", "a"]


async def test_a_note_about_an_identity_is_replaced_under_its_key(running: RunningConnector) -> None:
    own, name = running.accounts["alice"], "IdentityMetadata"
    async with running.client("alice") as alice:
        for key, json in ((None, 1), ("x", {"a": [1]}), (None, "two")):
            request = metadata_pb.UpsertMetadataRequest(
                reference=own, key=key, value=value(json), idempotency_key=alice.idempotency_key()
            )
            written = await call(alice, name, "UpsertMetadata", request)
        plain = await call(alice, name, "GetMetadata", metadata_pb.GetMetadataRequest(reference=own))
        keyed = await call(alice, name, "GetMetadata", metadata_pb.GetMetadataRequest(reference=own, key="x"))
        service = alice.service(name)
        listed = [
            entry
            async for page in alice.pages(service.ListMetadata, metadata_pb.ListMetadataRequest(page_size=1))
            for entry in page.entries
        ]
        await call(alice, name, "DeleteMetadata", metadata_pb.DeleteMetadataRequest(reference=own))
        gone = await failure(alice, name, "GetMetadata", metadata_pb.GetMetadataRequest(reference=own))
        kept = await call(alice, name, "GetMetadata", metadata_pb.GetMetadataRequest(reference=own, key="x"))
    assert plain.entry == written.entry
    assert plain.entry.value.string_value == "two"
    assert not plain.entry.HasField("key")
    assert json_format.MessageToDict(keyed.entry.value) == {"a": [1]}
    assert listed == [plain.entry, keyed.entry]
    assert (gone.code, gone.reason) == (grpc.StatusCode.NOT_FOUND, "IDENTITY_METADATA_NOT_FOUND")
    assert kept == metadata_pb.GetMetadataResponse(entry=keyed.entry)


async def test_notes_are_about_peers_not_about_strangers(tmp_path: Path) -> None:
    name = "IdentityMetadata"
    async with running_connector(tmp_path, is_related=True) as running, running.client("alice") as alice:
        about_bob = metadata_pb.UpsertMetadataRequest(reference=running.accounts["bob"], value=value(1))
        await call(alice, name, "UpsertMetadata", about_bob)
        about_stranger = metadata_pb.UpsertMetadataRequest(reference=STRANGER, value=value(1))
        refused = await failure(alice, name, "UpsertMetadata", about_stranger)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "UNFAMILIAR_IDENTITY")


@pytest.mark.parametrize(
    ("service", "method", "request_", "reason"),
    [
        ("Settings", "CreateSetting", settings_pb.CreateSettingRequest(value=struct()), "INVALID_ARGUMENT"),
        (
            "Settings",
            "CreateSetting",
            settings_pb.CreateSettingRequest(key=settings_pb.SettingKey(key="a")),
            "INVALID_ARGUMENT",
        ),
        (
            "Settings",
            "CreateSetting",
            settings_pb.CreateSettingRequest(
                key=settings_pb.SettingKey(key="a"),
                value=struct_pb2.Struct(fields={"n": struct_pb2.Value(number_value=float("nan"))}),
            ),
            "INVALID_ARGUMENT",
        ),
        ("Settings", "GetSetting", settings_pb.GetSettingRequest(), "INVALID_ARGUMENT"),
        ("Settings", "GetSetting", settings_pb.GetSettingRequest(id=NO_SETTING), "NOT_FOUND"),
        ("Settings", "UpdateSetting", settings_pb.UpdateSettingRequest(id=NO_SETTING, value=struct()), "NOT_FOUND"),
        (
            "Settings",
            "UpdateSetting",
            settings_pb.UpdateSettingRequest(key=settings_pb.SettingKey(key="a"), value=struct(), etag="old"),
            "CONCURRENT_CHANGE",
        ),
        ("Settings", "DeleteSetting", settings_pb.DeleteSettingRequest(id=NO_SETTING), "NOT_FOUND"),
        ("Settings", "ListSettings", settings_pb.ListSettingsRequest(page_token="x"), "PAGE_TOKEN_INVALID"),
        ("Drafts", "CreateDraft", drafts_pb.CreateDraftRequest(), "INVALID_ARGUMENT"),
        (
            "Drafts",
            "CreateDraft",
            drafts_pb.CreateDraftRequest(content=note(text="x" * MAX_DRAFT_BYTES)),
            "CONTENT_TOO_LARGE",
        ),
        ("Drafts", "GetDraft", drafts_pb.GetDraftRequest(id=NO_DRAFT), "NOT_FOUND"),
        ("Drafts", "UpdateDraft", drafts_pb.UpdateDraftRequest(id=NO_DRAFT, content=note()), "NOT_FOUND"),
        ("Drafts", "DeleteDraft", drafts_pb.DeleteDraftRequest(id=NO_DRAFT), "NOT_FOUND"),
        ("Drafts", "ListDrafts", drafts_pb.ListDraftsRequest(page_token="x"), "PAGE_TOKEN_INVALID"),
        (
            "IdentityMetadata",
            "UpsertMetadata",
            metadata_pb.UpsertMetadataRequest(reference=STRANGER, value=struct_pb2.Value(null_value=0)),  # type: ignore[arg-type]
            "INVALID_ARGUMENT",
        ),
        ("IdentityMetadata", "UpsertMetadata", metadata_pb.UpsertMetadataRequest(value=value(1)), "INVALID_ARGUMENT"),
        (
            "IdentityMetadata",
            "GetMetadata",
            metadata_pb.GetMetadataRequest(reference=STRANGER),
            "IDENTITY_METADATA_NOT_FOUND",
        ),
        (
            "IdentityMetadata",
            "DeleteMetadata",
            metadata_pb.DeleteMetadataRequest(reference=STRANGER),
            "IDENTITY_METADATA_NOT_FOUND",
        ),
        ("IdentityMetadata", "ListMetadata", metadata_pb.ListMetadataRequest(page_token="x"), "PAGE_TOKEN_INVALID"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_the_reason(
    running: RunningConnector, service: str, method: str, request_: Any, reason: str
) -> None:
    async with running.client("alice") as alice:
        assert (await failure(alice, service, method, request_)).reason == reason
