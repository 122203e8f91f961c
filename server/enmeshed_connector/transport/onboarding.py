"""Becoming a further device of an identity.

Source: transport.md, section 10.3. The device's keys are stored before anything is sent, and so is the new password:
when the answer to its change is lost, trying it tells which one is valid.
"""

from __future__ import annotations

from enmeshed_connector.backbone.endpoints.devices import Devices
from enmeshed_connector.backbone.errors import AnswerLost, CredentialsRejected
from enmeshed_connector.core.addresses import check_address
from enmeshed_connector.core.canonical_json import sort_members
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.signatures import SignatureKeypair
from enmeshed_connector.crypto.stored_secrets import DEVICE_CREDENTIALS, DeviceCredentials, DeviceSharedSecret
from enmeshed_connector.crypto.symmetric import SecretKey
from enmeshed_connector.transport.device_secrets import NEXT_CREDENTIALS, DeviceSecrets, write_key_ring
from enmeshed_connector.transport.environment import Environment
from enmeshed_connector.transport.errors import AccountStateInvalid
from enmeshed_connector.transport.keys import KeyRing
from enmeshed_connector.transport.objects import ACCOUNT_INFO, DEVICE_SECRETS, Document, without_unset
from enmeshed_connector.transport.passwords import strong_password
from enmeshed_connector.transport.registration import CONNECTOR_DEVICE, SETUP
from enmeshed_connector.transport.secrets import DEVICE_NONCE_SPAN
from enmeshed_connector.transport.snapshot import RECORDING
from enmeshed_connector.transport.work import Work

ONBOARDING = "_onboarding"
"""Entry of `AccountInfo`: True as long as the first password may still be the valid one."""


class Onboarding:
    """Makes this account a device of an existing identity, from wherever an earlier attempt has ended."""

    def __init__(self, environment: Environment) -> None:
        """Takes the account's environment."""
        self._environment = environment
        self._commits = environment.commits()

    async def begin(self, secret: DeviceSharedSecret, device_name: str | None = None) -> None:
        """Makes the device's keys and all that the secret tells durable.

        Args:
            secret: What an existing device gave.
            device_name: How the device is to be called; the name in the secret when not given.

        Raises:
            Mismatch: The secret's address is of another Backbone, or not that of its key.
            AccountStateInvalid: The account holds an identity already.
        """
        settings = self._environment.settings
        check_address(
            secret.identity.address,
            host=settings.host_of_addresses,
            public_key=secret.identity.public_key.data,
            field="sharedSecret.identity.address",
        )
        random = self._environment.random
        keys = KeyRing(
            device_base=SecretKey.generate(random),
            device=SignatureKeypair.generate(random).private_key,
            identity=secret.identity_private_key,
            shared_base=secret.secret_base_key,
            synchronisation=secret.synchronization_key,
        )
        secrets = self._secrets(keys.device_base)
        credentials = DeviceCredentials(id=secret.id, password=secret.password, username=secret.username)
        following = DeviceCredentials(
            id=secret.id, password=SecretText(strong_password(random)), username=secret.username
        )

        async def store(work: Work) -> None:
            if await work.read_entry(ACCOUNT_INFO, "identity") is not None:
                raise AccountStateInvalid("The account holds an identity already.")
            device: Document = sort_members(
                without_unset(
                    **{"@type": "Device"},
                    createdAt=secret.created_at,
                    createdByDevice=secret.created_by_device,
                    description=secret.description,
                    id=secret.id,
                    isAdmin=secret.identity_private_key is not None,
                    isBackupDevice=False,
                    lastLoginAt=work.now,
                    name=device_name or secret.name,
                    operatingSystem="",
                    publicKey=keys.device.public_key().to_json(verbose=False),
                    type=CONNECTOR_DEVICE,
                    username=secret.username,
                )
            )
            identity = {"@type": "Identity", **secret.identity.to_json(verbose=False)}
            work.write_entry(ACCOUNT_INFO, "identity", identity)
            work.write_entry(ACCOUNT_INFO, "device", device)
            work.write_entry(ACCOUNT_INFO, "secret_lastnonce", secret.device_index * DEVICE_NONCE_SPAN)
            work.write_entry(ACCOUNT_INFO, ONBOARDING, True)
            work.write_entry(ACCOUNT_INFO, SETUP, True)
            # Nothing is stored yet that the others could have missed.
            work.write_entry(ACCOUNT_INFO, RECORDING, settings.datawallet_enabled)
            write_key_ring(secrets, keys, work)
            secrets.write(work, DEVICE_CREDENTIALS, credentials)
            secrets.write(work, NEXT_CREDENTIALS, following)

        await self._commits.run(store, lease=self._environment.lease)

    async def finish(self) -> None:
        """Changes the first password, which others know. Safe to repeat.

        Raises:
            CredentialsRejected: The secret was used before, or the device was deleted.
            BackboneError: The Backbone is away; repeating goes on.
        """
        store = self._environment.store
        secrets = self._secrets(SecretKey.from_json(await self._environment.entry("baseKey"), "baseKey"))
        old = await secrets.load(store, DEVICE_CREDENTIALS, DeviceCredentials)
        new = await secrets.load(store, NEXT_CREDENTIALS, DeviceCredentials)
        is_repeat = await self._environment.entry(ONBOARDING) == "sending"
        if not is_repeat or not await self._is_valid(new):
            await self._note_sending()
            caller = self._environment.gateway.for_device(old.username, old.password)
            try:
                await Devices(caller).change_password(old.password.reveal_text(), new.password.reveal_text())
            except AnswerLost:
                if not await self._is_valid(new):
                    raise

        async def keep(work: Work) -> None:
            secrets.write(work, DEVICE_CREDENTIALS, new)
            work.delete_entry(DEVICE_SECRETS, NEXT_CREDENTIALS)
            work.delete_entry(ACCOUNT_INFO, ONBOARDING)

        await self._commits.run(keep, lease=self._environment.lease)

    async def _is_valid(self, credentials: DeviceCredentials) -> bool:
        try:
            await Devices(self._environment.gateway.for_device(credentials.username, credentials.password)).own()
        except CredentialsRejected:
            return False
        return True

    async def _note_sending(self) -> None:
        async def note(work: Work) -> None:
            work.write_entry(ACCOUNT_INFO, ONBOARDING, "sending")

        await self._commits.run(note, lease=self._environment.lease)

    def _secrets(self, base_key: SecretKey) -> DeviceSecrets:
        return DeviceSecrets(base_key, ids=self._environment.ids, random=self._environment.random)
