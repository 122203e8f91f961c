from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from enmeshed_backbone.settings import Settings
from enmeshed_connector.backbone.endpoints.datawallet import Datawallet as DatawalletCalls
from enmeshed_connector.backbone.endpoints.datawallet import NewModification, NewModifications
from enmeshed_connector.backbone.errors import AnswerLost, BackboneUnavailable
from enmeshed_connector.core.encodings import to_utf8
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.core.malformed import NestedTooDeep
from enmeshed_connector.crypto.derivation import DATAWALLET_CONTEXT, derive_key
from enmeshed_connector.crypto.symmetric import encrypt
from enmeshed_connector.transport.datawallet import MAXIMUM_BATCH
from enmeshed_connector.transport.objects import EXACT_CONTENT, SETTINGS, SYNC_INFO, TOKENS, UNPUSHED_MODIFICATIONS
from enmeshed_connector.transport.sync_modes import SyncMode
from enmeshed_connector.transport.work import Work
from tests.support.network import DATAWALLET_VERSION, Network, Party


def setting(identifier: str, **value: Any) -> dict[str, Any]:
    return {
        "@type": "Setting",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "id": identifier,
        "key": identifier,
        "scope": "Identity",
        "value": value,
    }


async def save(party: Party, document: dict[str, Any], collection: str = SETTINGS) -> None:
    async def write(work: Work) -> None:
        await work.save(collection, document)

    await party.account.context.commits.run(write)


async def put(party: Party, document: dict[str, Any], collection: str) -> None:
    """Stores something as if the other devices knew it."""

    async def write(work: Work) -> None:
        work.store_silently(collection, document)

    await party.account.context.commits.run(write)


async def remove(party: Party, identifier: str) -> None:
    async def write(work: Work) -> None:
        await work.remove(SETTINGS, identifier)

    await party.account.context.commits.run(write)


async def sync(*parties: Party) -> None:
    for party in parties:
        await party.account.sync.sync(SyncMode.DATAWALLET)


async def settings_of(party: Party) -> dict[str, Any]:
    found = await party.store.find(SETTINGS)
    return {document["id"]: document["value"] for document in found if not document["key"].startswith("enmeshed")}


async def two_devices(network: Network) -> tuple[Party, Party]:
    first = await network.account("anna", datawallet_enabled=True)
    device = await first.account.devices.create()
    secret = await first.account.devices.shared_secret(device["id"])
    second = await network.account("anna2", secret=secret, datawallet_enabled=True)
    await sync(first, second)
    return first, second


async def test_what_one_device_changes_the_other_sees(network: Network) -> None:
    first, second = await two_devices(network)

    await save(first, setting("one", a=1))
    await sync(first, second)
    assert await settings_of(second) == {"one": {"a": 1}}

    await save(second, setting("one", a=2))
    await save(second, setting("two", b=[1, {"c": None}]))
    await sync(second, first)
    assert await settings_of(first) == {"one": {"a": 2}, "two": {"b": [1, {"c": None}]}}

    await remove(first, "one")
    await sync(first, second)
    assert await settings_of(second) == {"two": {"b": [1, {"c": None}]}}


async def test_properties_of_ours_stay_on_this_device(network: Network) -> None:
    first, second = await two_devices(network)

    await save(first, {**setting("one"), "_note": "secret"})
    await sync(first, second)

    assert "_note" not in (await second.store.get(SETTINGS, "one") or {})
    await save(second, setting("one", a=2))
    await sync(second, first)
    assert (await first.store.get(SETTINGS, "one") or {})["_note"] == "secret"


async def test_the_backbone_sees_no_content(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    await save(first, setting("one", text="a very confidential text"))
    await sync(first)

    for row in network.rows("SELECT * FROM datawallet_modifications"):
        assert b"confidential" not in str(row).encode()


async def test_nothing_is_recorded_while_the_datawallet_is_switched_off(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=False)
    await save(first, setting("one"))
    await sync(first)

    assert await first.store.count(UNPUSHED_MODIFICATIONS) == 0
    assert network.rows("SELECT * FROM datawallet_modifications") == []


async def test_a_datawallet_that_is_switched_on_later_holds_everything_that_is_stored(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=False)
    for number in range(230):
        await save(first, setting(f"setting{number:03}", n=number))

    first = await network.account("anna", datawallet_enabled=True)
    await sync(first)
    device = await first.account.devices.create()
    secret = await first.account.devices.shared_secret(device["id"])
    await sync(first)
    second = await network.account("anna2", secret=secret, datawallet_enabled=True)
    await sync(second)

    assert await settings_of(second) == {f"setting{number:03}": {"n": number} for number in range(230)}
    assert len(await second.account.devices.list()) == 2


async def test_what_was_changed_while_it_was_switched_off_again_is_made_up_for(network: Network) -> None:
    first, second = await two_devices(network)
    first = await network.account("anna", datawallet_enabled=False)
    await save(first, setting("one", a=1))

    first = await network.account("anna", datawallet_enabled=True)
    await sync(first, second)

    assert await settings_of(second) == {"one": {"a": 1}}


@pytest.mark.parametrize("fault", ["lose_answer", "drop"])
async def test_a_push_without_an_answer_is_neither_lost_nor_doubled(network: Network, fault: str) -> None:
    first, second = await two_devices(network)
    before = len(network.rows("SELECT * FROM datawallet_modifications"))
    await save(first, setting("one", a=1))
    getattr(first.faults, fault)("datawallet.push")

    await sync(first, second)

    assert await settings_of(second) == {"one": {"a": 1}}
    assert len(network.rows("SELECT * FROM datawallet_modifications")) == before + 2
    assert await first.store.count(UNPUSHED_MODIFICATIONS) == 0


async def test_a_push_that_was_lost_with_its_process_is_recognised_after_the_restart(network: Network) -> None:
    first, second = await two_devices(network)
    await save(first, setting("one", a=1))
    first.faults.lose_answer("datawallet.push")
    first.faults.pass_by("datawallet.modifications")
    first.faults.cut("datawallet.modifications", times=9)
    with pytest.raises(DomainError):
        await sync(first)
    first.faults.clear()
    before = len(network.rows("SELECT * FROM datawallet_modifications"))
    await save(first, setting("two", b=1))

    again = await network.reopen(first)
    await sync(again, second)

    assert await settings_of(second) == {"one": {"a": 1}, "two": {"b": 1}}
    assert len(network.rows("SELECT * FROM datawallet_modifications")) == before + 2


async def test_a_refused_push_loses_nothing(network: Network) -> None:
    first, second = await two_devices(network)
    await save(first, setting("one", a=1))
    first.faults.cut("datawallet.push", times=2)
    with pytest.raises(BackboneUnavailable):
        await sync(first)

    await sync(first, second)

    assert await settings_of(second) == {"one": {"a": 1}}


async def test_a_device_that_is_behind_pulls_before_its_push_is_accepted(network: Network) -> None:
    first, second = await two_devices(network)
    await save(first, setting("one", a=1))
    await save(second, setting("two", b=1))
    # The other device pushes between the pull and the push of this one.
    second.faults.do("datawallet.push", lambda: sync(first))

    await sync(second, first)

    expected = {"one": {"a": 1}, "two": {"b": 1}}
    assert await settings_of(first) == await settings_of(second) == expected


async def test_devices_that_change_the_same_thing_end_up_with_the_same(network: Network) -> None:
    first, second = await two_devices(network)
    await save(first, setting("one", by="first"))
    await save(second, setting("one", by="second"))

    await sync(first, second, first)

    assert await settings_of(first) == await settings_of(second) == {"one": {"by": "second"}}


async def test_many_changes_are_pushed_in_bounded_portions_and_in_order(network: Network) -> None:
    first, second = await two_devices(network)

    async def write(work: Work) -> None:
        for number in range(MAXIMUM_BATCH + 20):
            await work.create(SETTINGS, setting(f"s{number:04}", n=number))

    await first.account.context.commits.run(write)
    for number in range(30):
        await save(first, setting("s0000", n=1000 + number))
    await sync(first, second)

    found = await settings_of(second)
    assert len(found) == MAXIMUM_BATCH + 20
    assert found["s0000"] == {"n": 1029}


async def test_changes_of_another_device_cause_events_that_say_so(network: Network) -> None:
    first, second = await two_devices(network)
    message = {
        "@type": "Message",
        "id": "MSGaaaaaaaaaaaaaaaaa",
        "isOwn": True,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "createdBy": first.address,
        "recipients": [],
        "attachments": [],
        "receivedByEveryone": False,
        "content": {},
    }
    await save(first, message, "Messages")
    await sync(first, second)
    await save(first, {**message, "wasReadAt": "2026-01-02T00:00:00.000Z"}, "Messages")
    await sync(first, second)

    events = [event for event in await second.events("transport.message") if event["origin"] == "DATAWALLET"]
    assert [event["type"] for event in events] == ["transport.messageSent", "transport.messageWasReadAtChanged"]
    assert events[0]["data"]["id"] == message["id"]


async def test_what_arrives_in_parts_is_told_of_when_it_is_all_there(tmp_path: Path) -> None:
    async with Network(tmp_path, Settings(seed_identities=False, page_size=1)) as network:
        first = await network.account("anna", datawallet_enabled=True)
        device = await first.account.devices.create()
        secret = await first.account.devices.shared_secret(device["id"])
        second = await network.account("anna2", secret=secret, datawallet_enabled=True)
        await sync(first, second)
        bert = await network.account("bert")
        await network.befriend(bert, first)
        sent = await first.account.messages.send([bert.address], {"text": "Hello"})
        await sync(first, second)

        told = {
            event["type"]: event["data"]
            for event in await second.events("transport.")
            if event["origin"] == "DATAWALLET" and "data" in event
        }
        assert told["transport.messageSent"]["content"] == sent["content"]
        assert told["transport.relationshipChanged"]["templateId"]
        assert told["transport.peerRelationshipTemplateLoaded"]["content"]


async def test_the_past_of_the_identity_causes_no_events_on_a_new_device(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    bert = await network.account("bert")
    await network.befriend(first, bert)
    device = await first.account.devices.create()
    secret = await first.account.devices.shared_secret(device["id"])
    await first.account.sync.sync()

    second = await network.account("anna2", secret=secret, datawallet_enabled=True)
    await sync(second)

    assert len(await second.store.find("Relationships")) == 1
    assert await second.events("transport.relationship") == []


async def test_a_collection_of_a_newer_version_is_kept(network: Network) -> None:
    first, second = await two_devices(network)
    records = [
        {
            "@type": "DatawalletModification",
            "collection": "FromTheFuture",
            "datawalletVersion": 1,
            "localId": "TRPDWMaaaaaaaaaaaaa1",
            "objectIdentifier": "FUTaaaaaaaaaaaaaaaaa",
            "payload": {"@type": "Future", "x": 1},
            "payloadCategory": "TechnicalData",
            "type": "Create",
        }
    ]

    async def write(work: Work) -> None:
        for record in records:
            work._uow.insert(UNPUSHED_MODIFICATIONS, record)

    await first.account.context.commits.run(write)
    await sync(first, second)

    kept = await second.store.get("FromTheFuture", "FUTaaaaaaaaaaaaaaaaa")
    assert kept is not None
    assert kept["x"] == 1


async def test_a_relationship_is_not_replaced_by_one_with_a_shorter_history(network: Network) -> None:
    first, second = await two_devices(network)
    short = {
        "@type": "Relationship",
        "id": "RELaaaaaaaaaaaaaaaaa",
        "status": "Pending",
        "auditLog": [{"reason": "Creation"}],
    }
    longer = {**short, "status": "Active", "auditLog": [*short["auditLog"], {"reason": "AcceptanceOfCreation"}]}
    await put(second, longer, "Relationships")
    await save(first, short, "Relationships")
    await sync(first)

    await sync(second)

    kept = await second.store.get("Relationships", str(short["id"]))
    assert kept is not None
    assert kept["status"] == "Active"


async def test_tokens_with_passwords_reach_the_other_devices(network: Network) -> None:
    first, second = await two_devices(network)
    await save(
        first,
        {
            "@type": "Token",
            "id": "TOKaaaaaaaaaaaaaaaaa",
            "isOwn": True,
            "content": {},
            "passwordProtection": {"password": "x"},
        },
        TOKENS,
    )
    await sync(first, second)

    assert (await second.store.get(TOKENS, "TOKaaaaaaaaaaaaaaaaa") or {})["passwordProtection"] == {"password": "x"}


async def test_a_lost_answer_is_not_an_outcome_for_callers_of_sync(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    await save(first, setting("one"))
    first.faults.drop("datawallet.push", times=20)

    with pytest.raises(AnswerLost):
        await sync(first)

    first.faults.clear()
    await sync(first)
    assert await first.store.count(UNPUSHED_MODIFICATIONS) == 0


async def test_content_that_no_value_holds_comes_from_another_device_as_its_text(network: Network) -> None:
    first, second = await two_devices(network)
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    texts = {"TOKaaaaaaaaaaaaaaaaa": deep, "TOKaaaaaaaaaaaaaaaab": '{"a":1,"a":2}', "TOKaaaaaaaaaaaaaaaac": "{}"}
    base = await last_index(first)
    modifications = [
        NewModification(
            object_identifier=identifier,
            collection=TOKENS,
            type="Create",
            datawallet_version=DATAWALLET_VERSION,
            payload_category="Content",
            encrypted_payload=sealed(first, index, f'{{"content":{text}}}'),
        )
        for index, (identifier, text) in enumerate(texts.items(), base + 1)
    ]
    await DatawalletCalls(first.account.context.backbone).push(NewModifications(base, modifications))

    await sync(second)

    for identifier, text in texts.items():
        token = await second.store.get(TOKENS, identifier)
        assert token is not None
        assert token.get(EXACT_CONTENT) == (None if text == "{}" else text)


async def test_content_that_could_not_reach_other_devices_is_refused(network: Network) -> None:
    first, second = await two_devices(network)
    expiry = datetime(2099, 1, 1, tzinfo=UTC)
    content: dict[str, Any] = {}
    for _ in range(254):
        content = {"a": content}
    token = await first.account.tokens.create(content, expires_at=expiry)
    with pytest.raises(NestedTooDeep):
        await first.account.tokens.create({"a": content}, expires_at=expiry)

    await sync(first, second)

    assert (await second.store.get(TOKENS, token["id"]) or {})["content"] == content


async def last_index(party: Party) -> int:
    entry = await party.store.get(SYNC_INFO, "localDatawalletModificationIndex")
    assert entry is not None
    return int(entry["value"])


def sealed(party: Party, index: int, text: str) -> bytes:
    """Returns a payload as any device of the identity encrypts it."""
    context = party.account.context
    key = derive_key(context.keys.synchronisation, index, DATAWALLET_CONTEXT)
    return to_utf8(encrypt(key, to_utf8(text), random=context.random).to_text())
