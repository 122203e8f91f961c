"""Poisoned items among those that arrive: each is kept as a failed event and never blocks what is behind it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from enmeshed_backbone.areas import external_events
from enmeshed_backbone.server import BackboneServer
from enmeshed_connector.backbone.endpoints.messages import Messages, NewMessage, NewMessageRecipient
from enmeshed_connector.backbone.endpoints.relationships import NewRelationship, Relationships
from enmeshed_connector.core.addresses import parse_address
from enmeshed_connector.core.encodings import from_base64url
from enmeshed_connector.core.ids import FILE, RELATIONSHIP, TEMPLATE, parse_id
from enmeshed_connector.crypto.messages import MessageRecipient, message_text, sign_message
from enmeshed_connector.crypto.relationship_secrets import RelationshipSecrets
from enmeshed_connector.crypto.signatures import SignatureKeypair, SignatureLabel
from enmeshed_connector.crypto.symmetric import SecretKey, seal_text
from enmeshed_connector.transport.account import TransportAccount
from tests.support import oracle
from tests.support.backbone import backbone
from tests.support.network import Network, Party, reference_to
from tests.support.own_peer import own_account

__all__ = ["backbone"]

MIB = 1024 * 1024
DELIVERIES = 3
"""How often the Backbone delivers an event that fails."""


async def send(sender: TransportAccount, receiver: TransportAccount, text: str) -> str:
    content = {"@type": "Text", "text": text}
    return str((await sender.messages.send([receiver.context.identity.address], content))["id"])


async def told(account: TransportAccount) -> list[str]:
    log = [entry.event for entry in await oracle.log_of(account.context.store)]
    return [event["data"]["content"]["text"] for event in log if event["type"] == "transport.messageReceived"]


async def secrets_of(sender: TransportAccount, receiver: TransportAccount) -> RelationshipSecrets:
    relationship = await sender.relationships.with_peer(receiver.context.identity.address)
    assert relationship is not None
    return await sender.relationships.secrets_of(relationship)


async def post(
    sender: TransportAccount,
    receiver: TransportAccount,
    body: bytes,
    encrypted_key: bytes = b"x" * 40,
    attachments: tuple[str, ...] = (),
) -> str:
    """Sends a message past everything that makes good ones; returns its id."""
    recipient = NewMessageRecipient(receiver.context.identity.address, encrypted_key)
    message = NewMessage(body, [recipient], [parse_id(FILE, identifier) for identifier in attachments])
    return (await Messages(sender.context.backbone).send(message)).id


async def post_sealed(
    sender: TransportAccount,
    receiver: TransportAccount,
    text: str,
    *,
    sign: Callable[[str, MessageRecipient], str] = lambda text, recipient: sign_message(text, [recipient]),
    attachments: tuple[str, ...] = (),
) -> str:
    """Sends a message that is encrypted as it should be, whatever is in it; returns its id."""
    secrets = await secrets_of(sender, receiver)
    relationship = await sender.relationships.with_peer(receiver.context.identity.address)
    assert relationship is not None
    counter = await sender.context.counters.next(relationship["relationshipSecretId"])
    key = SecretKey.generate()
    encrypted = secrets.encrypt(key.to_text(verbose=False).encode(), counter=counter).to_base64()
    recipient = MessageRecipient(parse_address(receiver.context.identity.address), secrets, counter)
    body = seal_text(key, sign(text, recipient))
    return await post(sender, receiver, from_base64url(body, "body"), from_base64url(encrypted, "key"), attachments)


def text_for(receiver: TransportAccount, content: Any = None) -> str:
    content = {"@type": "Text", "text": "poison"} if content is None else content
    return message_text(content, [receiver.context.identity.address], receiver.context.clock.now())


def nested(opening: str, closing: str, levels: int, middle: str) -> str:
    return opening * levels + middle + closing * levels


Poison = Callable[[TransportAccount, TransportAccount], Awaitable[str]]


async def _nonsense(sender: TransportAccount, receiver: TransportAccount) -> str:
    return await post(sender, receiver, b"\x00\xff nonsense")


async def _other_key(sender: TransportAccount, receiver: TransportAccount) -> str:
    body = seal_text(SecretKey.generate(), sign_message(text_for(receiver), []))
    secrets = await secrets_of(sender, receiver)
    key = secrets.encrypt(SecretKey.generate().to_text(verbose=False).encode(), counter=2**31 + 1).to_base64()
    return await post(sender, receiver, from_base64url(body, "body"), from_base64url(key, "key"))


def _sealed(sign: Callable[[str, MessageRecipient], str]) -> Poison:
    async def poison(sender: TransportAccount, receiver: TransportAccount) -> str:
        return await post_sealed(sender, receiver, text_for(receiver), sign=sign)

    return poison


def _signed_by_another(text: str, recipient: MessageRecipient) -> str:
    signed = json.loads(sign_message(text, [recipient]))
    signature = SignatureKeypair.generate().private_key.sign(text.encode(), SignatureLabel.RELATIONSHIP)
    signed["signatures"][0]["signature"] = signature.to_text(verbose=False)
    return json.dumps(signed)


def _altered(text: str, recipient: MessageRecipient) -> str:
    signed = json.loads(sign_message(text, [recipient]))
    signed["message"] = signed["message"].replace("poison", "Poison")
    return json.dumps(signed)


def _for_somebody_else(text: str, recipient: MessageRecipient) -> str:
    signed = json.loads(sign_message(text, [recipient]))
    signed["signatures"][0]["recipient"] = "did:e:localhost:dids:0000000000000000000000"
    return json.dumps(signed)


def _text(make: Callable[[str], str]) -> Poison:
    """Returns a poison that is encrypted and signed as it should be: it is what its sender wrote that is wrong."""

    async def poison(sender: TransportAccount, receiver: TransportAccount) -> str:
        return await post_sealed(sender, receiver, make(text_for(receiver)))

    return poison


async def _missing_attachment(sender: TransportAccount, receiver: TransportAccount) -> str:
    text = json.loads(text_for(receiver))
    text["attachments"] = [{"id": "FIL00000000000000000", "key": SecretKey.generate().to_json(verbose=False)}]
    return await post_sealed(sender, receiver, json.dumps(text))


POISONS: dict[str, Poison] = {
    "nonsense": _nonsense,
    "encrypted with another key": _other_key,
    "signed by another": _sealed(_signed_by_another),
    "altered after signing": _sealed(_altered),
    "signed for another": _sealed(_for_somebody_else),
    "no JSON inside": _sealed(lambda text, recipient: "{"),
    "a list inside": _sealed(lambda text, recipient: "[1]"),
    "nested 5000 levels around the signature": _sealed(lambda text, recipient: nested('{"a":', "}", 5000, "1")),
    "no recipients": _text(lambda text: json.dumps({"@type": "MessageContentWrapper", "content": {}})),
    "recipients of another shape": _text(lambda text: json.dumps({**json.loads(text), "recipients": {"a": 1}})),
    "no content": _text(lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "content"})),
    "attachments of another shape": _text(lambda text: json.dumps({**json.loads(text), "attachments": "x"})),
    "attachments that the envelope lacks": _missing_attachment,
    "a million brackets": _text(lambda text: text.replace('"poison"', "[" * 1_000_000)),
}


async def pair(network: Network) -> tuple[Party, Party]:
    anna, bert = await network.account("anna"), await network.account("bert")
    await network.befriend(anna, bert)
    await anna.account.sync.sync()
    return anna, bert


@pytest.mark.parametrize("name", POISONS)
async def test_a_poisoned_message_is_kept_as_failed_and_the_others_arrive(network: Network, name: str) -> None:
    anna, bert = await pair(network)
    await send(bert.account, anna.account, "before")
    poisoned = await POISONS[name](bert.account, anna.account)
    await send(bert.account, anna.account, "after")

    result = await anna.account.sync.sync()

    assert await told(anna.account) == ["before", "after"]
    [failed], _ = await anna.account.sync.failed_events.list()
    assert failed.event.payload == {"id": poisoned}
    assert result.failed_events == (failed.event.id,)
    assert await anna.store.get("Messages", poisoned) is None
    # The Backbone delivers it until it gives up; the account goes on meanwhile and afterwards.
    for round_number in range(DELIVERIES):
        await send(bert.account, anna.account, f"round {round_number}")
        await anna.account.sync.sync()
    anna = await network.reopen(anna)
    await send(bert.account, anna.account, "at last")
    await anna.account.sync.sync()
    rounds = [f"round {round_number}" for round_number in range(DELIVERIES)]
    assert await told(anna.account) == ["before", "after", *rounds, "at last"]
    [failed], _ = await anna.account.sync.failed_events.list()
    assert failed.failures == DELIVERIES
    errors = network.rows("SELECT error_code FROM sync_errors WHERE external_event_id = ?", failed.event.id)
    assert [row["error_code"] for row in errors] == [failed.error_code] * DELIVERIES
    told_of = await anna.events("connector.externalEventFailed")
    assert [event["data"]["id"] for event in told_of] == [failed.event.id] * DELIVERIES


async def test_content_as_deep_as_allowed_is_kept_exactly(network: Network) -> None:
    anna, bert = await pair(network)
    # Names, numbers and characters that databases and parsers like to change, nested almost as deep as is read.
    middle = '{"$a.b":1.50,"n":12345678901234567,"s":"\\ud800","":null}'
    content = nested('{"a":[', "]}", 120, middle)
    text = text_for(anna.account).replace('"poison"', content)
    message = await post_sealed(bert.account, anna.account, text)

    await anna.account.sync.sync()

    assert (await anna.account.sync.failed_events.list())[0] == []
    stored = (await anna.account.messages.get(message))["content"]["text"]
    for _ in range(120):
        stored = stored["a"][0]
    assert stored == {"$a.b": 1.5, "n": 12345678901234567, "s": "\ud800", "": None}


PAYLOADS: dict[str, tuple[str, str]] = {
    "unknown type": ("SomethingNew", '{"id": "x"}'),
    "type of 10,000 characters": ("X" * 10_000, "{}"),
    "no id": ("MessageReceived", "{}"),
    "an id of another shape": ("MessageReceived", '{"id": {"a": 1}}'),
    "an id with a path": ("MessageReceived", '{"id": "MSG/../../Files/0000"}'),
    "a message that is not there": ("MessageReceived", '{"id": "MSG00000000000000000"}'),
    "a relationship that is not there": ("RelationshipStatusChanged", '{"relationshipId": "REL00000000000000000"}'),
    "a file without an id": ("FileOwnershipLocked", '{"fileId": 7}'),
    "a payload nested 200 levels": ("MessageReceived", nested('{"a":', "}", 200, "1")),
    "a peer that is not known": ("PeerDeleted", '{"relationshipId": "REL00000000000000000"}'),
}


@pytest.mark.parametrize("name", PAYLOADS)
async def test_a_poisoned_external_event_blocks_nothing(network: Network, name: str) -> None:
    anna, bert = await pair(network)
    await send(bert.account, anna.account, "before")
    event_type, payload = PAYLOADS[name]
    services = network.backbone.services
    await services.store.write(
        lambda transaction: external_events.emit(services.ids, transaction, anna.address, event_type, {})
    )
    await services.store.write(
        lambda transaction: transaction.run(
            "UPDATE external_events SET payload = ? WHERE owner = ? AND idx = (SELECT max(idx) FROM external_events"
            " WHERE owner = ?)",
            payload,
            anna.address,
            anna.address,
        )
    )
    await send(bert.account, anna.account, "after")

    await anna.account.sync.sync()

    assert await told(anna.account) == ["before", "after"]
    [failed], _ = await anna.account.sync.failed_events.list()
    assert failed.event.type == event_type


@pytest.mark.parametrize("content", [b"nonsense", b"{}", b'{"a":' * 5000, b"[" * 5000, b"\xff" * MIB])
async def test_a_poisoned_request_for_a_relationship_blocks_nothing(network: Network, content: bytes) -> None:
    anna, bert = await pair(network)
    mallory = await network.account("mallory")
    template = await anna.account.templates.create(
        {"@type": "ArbitraryRelationshipTemplateContent", "value": {}},
        expires_at=network.clock.now() + timedelta(days=1),
    )
    await mallory.account.templates.load(reference_to(template))
    request = NewRelationship(parse_id(TEMPLATE, template["id"]), content)
    await Relationships(mallory.account.context.backbone).create(request.wire())
    await send(bert.account, anna.account, "after")

    await anna.account.sync.sync()

    assert await told(anna.account) == ["after"]
    assert await anna.store.find("Relationships", {"peer.address": mallory.address}) == []
    [failed], _ = await anna.account.sync.failed_events.list()
    assert failed.event.type == "RelationshipStatusChanged"


@pytest.mark.parametrize("content", [b"nonsense", b"{}", b'{"a":' * 5000])
async def test_a_poisoned_acceptance_blocks_nothing(network: Network, content: bytes) -> None:
    anna, bert = await pair(network)
    mallory = await network.account("mallory")
    template = await mallory.account.templates.create(
        {"@type": "ArbitraryRelationshipTemplateContent", "value": {}},
        expires_at=network.clock.now() + timedelta(days=1),
    )
    await anna.account.templates.load(reference_to(template))
    asked = await anna.account.relationships.create(
        template["id"], {"@type": "ArbitraryRelationshipCreationContent", "value": {}}
    )
    await Relationships(mallory.account.context.backbone).accept(parse_id(RELATIONSHIP, asked["id"]), content)
    await send(bert.account, anna.account, "after")

    await anna.account.sync.sync()

    assert await told(anna.account) == ["after"]
    assert (await anna.account.relationships.get(asked["id"]))["status"] == "Pending"
    [failed], _ = await anna.account.sync.failed_events.list()
    assert failed.event.payload["relationshipId"] == asked["id"]


async def test_ten_mebibytes_of_nonsense_again_and_again_block_nothing(
    backbone: BackboneServer, tmp_path: Path
) -> None:
    # Together they are larger than any answer that the client reads.
    poisons = 5
    async with (
        own_account(backbone.base_url, tmp_path / "a") as anna,
        own_account(backbone.base_url, tmp_path / "b") as bert,
    ):
        template = await anna.templates.create(
            {"@type": "ArbitraryRelationshipTemplateContent", "value": {}},
            expires_at=anna.context.clock.now() + timedelta(days=1),
        )
        await bert.templates.load(anna.templates.reference_of(template))
        asked = await bert.relationships.create(
            template["id"], {"@type": "ArbitraryRelationshipCreationContent", "value": {}}
        )
        await anna.sync.sync()
        await anna.relationships.accept(asked["id"])
        await bert.sync.sync()
        await send(bert, anna, "before")
        for _ in range(poisons):
            await post(bert, anna, b"x" * 10 * MIB)
        await send(bert, anna, "after")

        await anna.sync.sync()

        assert await told(anna) == ["before", "after"]
        failed, _ = await anna.sync.failed_events.list()
        assert len(failed) == poisons
