"""Making a new identity, so that no crash loses one that is in use.

Source: transport.md, section 7.1. The entry `_registration` of `AccountInfo` tells how far it has come:

- nothing: nothing is stored. Keys are made.
- `prepared`: all keys and the password are stored, nothing was sent. The same keys are registered.
- `sending`: the registration was sent, and may have been answered to nobody. The same keys are registered again; when
  the Backbone knows them already, that identity is given up, for nothing tells the user name of its device, and new
  keys are made.
- `answered`: what the Backbone answered is stored. The account is completed without any request.

After that the account is there; `_setup` tells that its datawallet must still be brought into being.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog

from enmeshed_connector.backbone.endpoints.challenges import Challenges
from enmeshed_connector.backbone.endpoints.identities import Identities, NewIdentity, SignedChallenge
from enmeshed_connector.backbone.errors import AnswerLost, BackboneError
from enmeshed_connector.core.addresses import derive_address
from enmeshed_connector.core.canonical_json import sort_members
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.encodings import to_utf8
from enmeshed_connector.core.ids import DEVICE, parse_id
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.challenges import challenge_text, sign_challenge
from enmeshed_connector.crypto.signatures import SignatureKeypair
from enmeshed_connector.crypto.stored_secrets import DEVICE_CREDENTIALS, DeviceCredentials
from enmeshed_connector.crypto.symmetric import SecretKey
from enmeshed_connector.transport.compatibility import read_compatibility
from enmeshed_connector.transport.device_secrets import REGISTRATION_SECRET, DeviceSecrets, write_key_ring
from enmeshed_connector.transport.environment import Environment
from enmeshed_connector.transport.errors import AddressMismatch, NoIdentityFound, PlatformClientInvalid
from enmeshed_connector.transport.keys import KeyRing
from enmeshed_connector.transport.objects import ACCOUNT_INFO, DEVICE_SECRETS, DEVICES, Document, without_unset
from enmeshed_connector.transport.passwords import strong_password
from enmeshed_connector.transport.snapshot import RECORDING
from enmeshed_connector.transport.work import Work

REGISTRATION = "_registration"
"""Entry of `AccountInfo`: how far the registration has come."""
SETUP = "_setup"
"""Entry of `AccountInfo`: True as long as the identity's datawallet may not exist yet."""

CONNECTOR_DEVICE = 4
"""The type of a device that is a Connector."""

_PREPARED, _SENDING, _ANSWERED = "prepared", "sending", "answered"
_ADDRESS_EXISTS = "validation.device.addressAlreadyExists"
_MAXIMUM_IDENTITIES = 3


@dataclass(frozen=True)
class _Prepared:
    """What is stored before the registration."""

    keys: KeyRing
    secrets: DeviceSecrets
    password: SecretText


class Registration:
    """Makes the identity of an account, from wherever an earlier attempt has ended."""

    def __init__(self, environment: Environment) -> None:
        """Takes the account's environment."""
        self._environment = environment
        self._commits = environment.commits()
        self._logger = structlog.get_logger(__name__).bind(account=environment.account)

    async def run(self) -> None:
        """Returns when identity and device are stored.

        Raises:
            NoIdentityFound: The settings do not allow new identities.
            BackboneNotCompatible: The Backbone's version is not supported.
            PlatformClientInvalid: The platform client of the settings is not accepted; nothing was made.
            AddressMismatch: `address_host` is wrong; with the right one the same identity is completed.
            AnswerLost: The registration was sent and not answered. Repeating deals with it.
            BackboneError: The Backbone refused or is away; repeating goes on where it ended.
        """
        for _ in range(_MAXIMUM_IDENTITIES):
            registration = await self._environment.entry(REGISTRATION)
            if registration is None:
                await self._prepare()
                registration = await self._environment.entry(REGISTRATION)
            if registration["state"] != _ANSWERED and not await self._register(registration):
                continue
            await self._complete()
            return
        raise AnswerLost("The Backbone takes no new identity.", call="identities.register")

    async def _prepare(self) -> None:
        settings = self._environment.settings
        if not settings.allow_identity_creation:
            raise NoIdentityFound("There is no identity in this account, and the settings do not allow a new one.")
        compatibility = await read_compatibility(
            self._environment.gateway.anonymous(),
            minimum=settings.minimum_backbone_version,
            maximum=settings.maximum_backbone_version,
        )
        compatibility.check()
        random = self._environment.random
        keys = KeyRing(
            device_base=SecretKey.generate(random),
            device=SignatureKeypair.generate(random).private_key,
            identity=SignatureKeypair.generate(random).private_key,
            shared_base=SecretKey.generate(random),
            synchronisation=SecretKey.generate(random),
        )
        password = SecretText(strong_password(random))
        secrets = self._secrets(keys.device_base)

        async def store(work: Work) -> None:
            if await work.read_entry(ACCOUNT_INFO, REGISTRATION) is not None:
                return
            write_key_ring(secrets, keys, work)
            secrets.write_password(work, password)
            work.write_entry(ACCOUNT_INFO, REGISTRATION, {"state": _PREPARED})

        await self._commits.run(store, lease=self._environment.lease)

    async def _register(self, registration: dict[str, Any]) -> bool:
        """Registers the stored keys; returns False when they had to be given up."""
        prepared = await self._load()
        was_sent = registration["state"] == _SENDING
        anonymous = self._environment.gateway.anonymous()
        challenge = await Challenges(anonymous).create()
        signed = sign_challenge(
            challenge_text({"expiresAt": format_date(challenge.expires_at), "id": challenge.id, "type": "Identity"}),
            prepared.keys.identity_key(),
        )
        identity = NewIdentity(
            client_id=self._environment.settings.client_id,
            client_secret=self._environment.settings.client_secret,
            identity_public_key=to_utf8(prepared.keys.identity_key().public_key().to_text()),
            device_password=prepared.password.reveal_text(),
            signed_challenge=SignedChallenge(signed.challenge, to_utf8(signed.signature.to_text())),
            identity_version=self._environment.settings.identity_version,
        )
        await self._set({"state": _SENDING})
        try:
            registered = await Identities(anonymous).register(identity)
        except AnswerLost:
            raise
        except BackboneError as error:
            if was_sent and error.has_code(_ADDRESS_EXISTS):
                self._logger.warning("an identity whose registration was never answered is given up")
                await self._give_up()
                return False
            if not was_sent:
                await self._set({"state": _PREPARED})
            if error.has_code("unauthorized"):
                raise PlatformClientInvalid(
                    "The platform client id or secret of the settings is not accepted."
                ) from error
            raise
        await self._set(
            {
                "state": _ANSWERED,
                "address": registered.address,
                "createdAt": format_date(registered.created_at),
                "deviceId": registered.device.id,
                "username": registered.device.username,
            }
        )
        return True

    async def _complete(self) -> None:
        prepared = await self._load()
        answer = await self._environment.entry(REGISTRATION)
        settings = self._environment.settings
        public_key = prepared.keys.identity_key().public_key()
        address = derive_address(public_key.data, settings.host_of_addresses)
        if answer["address"] != address:
            raise AddressMismatch(
                "The Backbone forms addresses with another host name: set the host of addresses in the settings.",
                facts={"expected": address, "received": str(answer["address"])},
            )
        device_id = parse_id(DEVICE, answer["deviceId"], "device.id")
        credentials = DeviceCredentials(id=device_id, password=prepared.password, username=answer["username"])

        async def store(work: Work) -> None:
            identity = {"@type": "Identity", "address": address, "publicKey": public_key.to_json(verbose=False)}
            device: Document = sort_members(
                without_unset(
                    **{"@type": "Device"},
                    createdAt=answer["createdAt"],
                    createdByDevice=device_id,
                    datawalletVersion=settings.datawallet_version,
                    id=device_id,
                    isBackupDevice=False,
                    lastLoginAt=work.now,
                    name=settings.device_name,
                    operatingSystem="",
                    publicKey=prepared.keys.device.public_key().to_json(verbose=False),
                    type=CONNECTOR_DEVICE,
                    username=answer["username"],
                )
            )
            work.write_entry(ACCOUNT_INFO, "identity", identity)
            work.write_entry(ACCOUNT_INFO, "device", device)
            work.write_entry(ACCOUNT_INFO, SETUP, True)
            work.write_entry(ACCOUNT_INFO, RECORDING, settings.datawallet_enabled)
            prepared.secrets.write(work, DEVICE_CREDENTIALS, credentials)
            await work.create(DEVICES, device)
            work.delete_entry(ACCOUNT_INFO, REGISTRATION)
            work.delete_entry(DEVICE_SECRETS, REGISTRATION_SECRET)

        await self._commits.run(store, lease=self._environment.lease)

    async def _load(self) -> _Prepared:
        base_key = SecretKey.from_json(await self._environment.entry("baseKey"), "baseKey")
        secrets = self._secrets(base_key)
        store = self._environment.store
        return _Prepared(await secrets.key_ring(store), secrets, await secrets.password(store))

    async def _set(self, registration: dict[str, Any]) -> None:
        async def write(work: Work) -> None:
            work.write_entry(ACCOUNT_INFO, REGISTRATION, registration)

        await self._commits.run(write, lease=self._environment.lease)

    async def _give_up(self) -> None:
        async def forget(work: Work) -> None:
            work.delete_entry(ACCOUNT_INFO, REGISTRATION)

        # New keys overwrite the old ones in one commit with the new registration.
        await self._commits.run(forget, lease=self._environment.lease)

    def _secrets(self, base_key: SecretKey) -> DeviceSecrets:
        return DeviceSecrets(base_key, ids=self._environment.ids, random=self._environment.random)
