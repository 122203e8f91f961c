from __future__ import annotations

import json

import pytest

from enmeshed_connector.crypto.exchange import ExchangeKeypair
from enmeshed_connector.crypto.signatures import SignatureKeypair
from enmeshed_connector.crypto.symmetric import SecretKey
from enmeshed_connector.transport.errors import SecretNotFound, WrongSecretType
from enmeshed_connector.transport.objects import SECRETS, Document
from enmeshed_connector.transport.sync_modes import SyncMode
from enmeshed_connector.transport.work import Work
from tests.support.network import Network, Party


async def keep(party: Party, name: str, secret: ExchangeKeypair | SignatureKeypair) -> Document:
    container = await party.account.context.secrets.seal(name, secret)

    async def write(work: Work) -> None:
        await work.create(SECRETS, container)

    await party.account.context.commits.run(write)
    return container


async def test_a_secret_is_found_by_its_name_and_looks_like_an_official_one(network: Network) -> None:
    party = await network.account("anna")
    keypair = ExchangeKeypair.generate()

    container = await keep(party, "TRPRTKaaaaaaaaaaaaaa", keypair)

    assert await party.account.context.secrets.load("TRPRTKaaaaaaaaaaaaaa", ExchangeKeypair) == keypair
    assert list(container) == [
        "@type",
        "active",
        "cipher",
        "createdAt",
        "description",
        "id",
        "name",
        "nonce",
        "validFrom",
    ]
    assert set(container["cipher"]) == {"cph", "alg", "nnc"}
    assert keypair.private_key.to_json(verbose=False)["prv"] not in json.dumps(container)


async def test_a_replaced_secret_stays_as_an_inactive_one(network: Network) -> None:
    party = await network.account("anna")
    secrets = party.account.context.secrets
    old, new = ExchangeKeypair.generate(), SignatureKeypair.generate()
    await keep(party, "TRPRSEaaaaaaaaaaaaaa", old)
    container = await secrets.seal("TRPRSEaaaaaaaaaaaaaa", new)

    await party.account.context.commits.run(lambda work: secrets.replace("TRPRSEaaaaaaaaaaaaaa", container, work))

    assert await secrets.load("TRPRSEaaaaaaaaaaaaaa", ExchangeKeypair, SignatureKeypair) == new
    stored = await party.store.find(SECRETS, {"name": "TRPRSEaaaaaaaaaaaaaa"})
    assert sorted(document["active"] for document in stored) == [False, True]
    await party.account.context.commits.run(lambda work: secrets.delete_all("TRPRSEaaaaaaaaaaaaaa", work))
    assert await party.store.find(SECRETS, {"name": "TRPRSEaaaaaaaaaaaaaa"}) == []


async def test_a_missing_secret_and_one_of_another_kind_are_told_apart(network: Network) -> None:
    party = await network.account("anna")
    secrets = party.account.context.secrets
    await keep(party, "TRPRTKaaaaaaaaaaaaaa", ExchangeKeypair.generate())

    with pytest.raises(SecretNotFound):
        await secrets.load("TRPRTKbbbbbbbbbbbbbb", ExchangeKeypair)
    for _ in range(2):
        with pytest.raises(WrongSecretType):
            await secrets.load("TRPRTKaaaaaaaaaaaaaa", SignatureKeypair)
        await secrets.load("TRPRTKaaaaaaaaaaaaaa", ExchangeKeypair)


async def test_containers_of_different_devices_are_numbered_apart_and_open_everywhere(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    device = await first.account.devices.create()
    secret = await first.account.devices.shared_secret(device["id"])
    await first.account.sync.sync(SyncMode.DATAWALLET)
    second = await network.account("anna2", secret=secret, datawallet_enabled=True)
    keypair = ExchangeKeypair.generate()

    by_first = await keep(first, "TRPRTKaaaaaaaaaaaaaa", ExchangeKeypair.generate())
    by_second = await keep(second, "TRPRTKbbbbbbbbbbbbbb", keypair)
    await second.account.sync.sync(SyncMode.DATAWALLET)
    await first.account.sync.sync(SyncMode.DATAWALLET)

    assert by_first["nonce"] < 1_000_000 < 2_000_000 < by_second["nonce"] < 3_000_000
    assert await first.account.context.secrets.load("TRPRTKbbbbbbbbbbbbbb", ExchangeKeypair) == keypair


async def test_keys_and_passwords_are_sealed_in_the_database(network: Network) -> None:
    party = await network.account("anna")
    keys = party.account.context.keys
    stored = json.dumps(await party.store.find("DeviceSecrets"))

    for secret in (keys.device, keys.identity_key()):
        assert secret.to_json(verbose=False)["prv"] not in stored
    for key in (keys.shared_base, keys.synchronisation):
        assert isinstance(key, SecretKey)
        assert key.to_json(verbose=False)["key"] not in stored
    assert '"password"' not in stored
    assert "redacted" not in repr(keys)
    assert keys.shared_base.to_json(verbose=False)["key"] not in repr(keys)


async def test_a_missing_key_is_named_when_the_account_is_opened(network: Network) -> None:
    party = await network.account("anna")

    async def lose(work: Work) -> None:
        work.delete_entry("DeviceSecrets", "device_signature")

    await party.account.context.commits.run(lose)

    with pytest.raises(SecretNotFound) as caught:
        await network.reopen(party)
    assert caught.value.facts["name"] == "device_signature"
