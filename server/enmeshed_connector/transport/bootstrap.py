"""Opening an account: makes, onboards or finds its identity, and gives the controllers over it.

Source: transport.md, section 7.
"""

from __future__ import annotations

from enmeshed_connector.core.addresses import parse_address
from enmeshed_connector.core.ids import DEVICE, parse_id
from enmeshed_connector.crypto.signatures import SignaturePublicKey
from enmeshed_connector.crypto.stored_secrets import DEVICE_CREDENTIALS, DeviceCredentials, DeviceSharedSecret
from enmeshed_connector.crypto.symmetric import SecretKey
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.counters import MessageKeyCounters
from enmeshed_connector.transport.device_secrets import DeviceSecrets
from enmeshed_connector.transport.environment import Environment
from enmeshed_connector.transport.errors import AccountStateInvalid, SecretNotFound
from enmeshed_connector.transport.keys import OwnDevice, OwnIdentity
from enmeshed_connector.transport.objects import ACCOUNT_INFO
from enmeshed_connector.transport.onboarding import ONBOARDING, Onboarding
from enmeshed_connector.transport.pending import Outbox
from enmeshed_connector.transport.registration import Registration
from enmeshed_connector.transport.reservations import Reservations
from enmeshed_connector.transport.schema import TRANSPORT_SCHEMA
from enmeshed_connector.transport.secrets import SecretStore
from enmeshed_connector.transport.slots import KeySlots
from enmeshed_connector.transport.snapshot import RECORDING
from enmeshed_connector.transport.work import Work


async def open_account(
    environment: Environment, *, secret: DeviceSharedSecret | None = None, device_name: str | None = None
) -> TransportAccount:
    """Returns the account, ready for use.

    An account with an identity is opened without any request. One without gets a new identity, or becomes a device of
    an existing one when a secret is given; whatever interrupts that, the next call goes on where it ended.
    `TransportAccount.start` then completes what is left and syncs.

    Args:
        environment: The collaborators.
        secret: The onboarding secret that an existing device of the identity gave.
        device_name: How the new device is to be called, with a secret.

    Raises:
        AccountStateInvalid: A secret was given for an account that has an identity; or what is stored does not fit
            together.
        SecretNotFound: Keys are missing in the database.
        DomainError: See `Registration.run` and `Onboarding`.
    """
    await environment.store.declare(*TRANSPORT_SCHEMA)
    identity, device = await environment.entry("identity"), await environment.entry("device")
    if (identity is None) != (device is None):
        raise AccountStateInvalid("The database holds an identity without a device, or the other way round.")
    if identity is None:
        if secret is None:
            await Registration(environment).run()
        else:
            await Onboarding(environment).begin(secret, device_name)
    elif secret is not None and not (device["id"] == secret.id and await environment.entry(ONBOARDING)):
        raise AccountStateInvalid("The account holds an identity already.")
    if await environment.entry(ONBOARDING):
        await Onboarding(environment).finish()
    await _note_recording(environment)
    return TransportAccount(await _login(environment), environment.collections)


async def _login(environment: Environment) -> AccountContext:
    store, settings = environment.store, environment.settings
    identity, device = await environment.entry("identity"), await environment.entry("device")
    base_key = await environment.entry("baseKey")
    if base_key is None:
        raise SecretNotFound("The base key of this device is missing.")
    secrets = DeviceSecrets(SecretKey.from_json(base_key, "baseKey"), ids=environment.ids, random=environment.random)
    keys = await secrets.key_ring(store)
    credentials = await secrets.load(store, DEVICE_CREDENTIALS, DeviceCredentials)
    commits = environment.commits()
    reservations = Reservations(store)
    own_device = OwnDevice(
        parse_id(DEVICE, device["id"], "device.id"),
        credentials.username,
        is_first=device.get("createdByDevice") == device["id"],
    )
    slots = KeySlots(
        store,
        commits,
        own_device,
        ids=environment.ids,
        random=environment.random,
        datawallet_enabled=settings.datawallet_enabled,
    )
    return AccountContext(
        account=environment.account,
        settings=settings,
        store=store,
        commits=commits,
        outbox=Outbox(
            store,
            commits,
            ids=environment.ids,
            clock=environment.clock,
            settle_after=settings.settle_after,
            worker=environment.worker,
        ),
        backbone=environment.gateway.for_device(credentials.username, credentials.password),
        anonymous=environment.gateway.anonymous(),
        clock=environment.clock,
        random=environment.random,
        ids=environment.ids,
        identity=OwnIdentity(
            parse_address(identity["address"], "identity.address"),
            SignaturePublicKey.from_json(identity["publicKey"], "identity.publicKey"),
        ),
        device=own_device,
        keys=keys,
        secrets=SecretStore(
            store,
            keys.shared_base,
            reservations,
            first_nonce=int(await environment.entry("secret_lastnonce") or 0),
            ids=environment.ids,
            clock=environment.clock,
            random=environment.random,
        ),
        counters=MessageKeyCounters(reservations, slots),
        slots=slots,
    )


async def _note_recording(environment: Environment) -> None:
    """Notes that the datawallet is switched off: what changes from now on, other devices will miss."""
    if environment.settings.datawallet_enabled or await environment.entry(RECORDING) is not True:
        return

    async def note(work: Work) -> None:
        work.write_entry(ACCOUNT_INFO, RECORDING, False)

    await environment.commits().run(note)
