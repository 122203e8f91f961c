"""Makes an account a device of an identity that exists: by an onboarding token, or by a recovery kit.

Source: transport.md, sections 10.3, 10.4 and 22.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

from enmeshed_connector.core.errors import DomainError, FailedPrecondition
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.core.references import TokenReference, parse_reference
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.errors import UnknownSecretType
from enmeshed_connector.crypto.stored_secrets import DeviceSharedSecret
from enmeshed_connector.crypto.tokens import TokenContentDeviceSharedSecret, parse_token_content
from enmeshed_connector.runtime.account_runtime import ACCOUNT_COLLECTIONS, ACCOUNT_SCHEMA
from enmeshed_connector.runtime.pacing import end
from enmeshed_connector.runtime.use_cases.common import ReferenceKindWrong, TokenContentUnsuitable
from enmeshed_connector.runtime.worker import WORKER_LEASE
from enmeshed_connector.storage import Lease
from enmeshed_connector.transport.anonymous_tokens import load_anonymously
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.environment import Environment
from enmeshed_connector.transport.errors import DatawalletDisabled
from enmeshed_connector.transport.onboarding import ONBOARDING


class AccountTaken(FailedPrecondition):
    """The account holds an identity, or another process works for it."""


async def onboard(
    environment: Environment,
    reference: str,
    password: SecretText | None = None,
    *,
    device_name: str | None = None,
    lease_duration: timedelta = timedelta(seconds=15),
) -> str:
    """Onboards an account that has no identity yet, brings it up to date, and returns the address of its identity.

    Whatever interrupts it, doing the same again goes on where it ended.

    Args:
        environment: The account's.
        reference: The reference of the token, or of the recovery kit.
        password: The password of the kit.
        device_name: How the device is to be called; as in the token when not given.
        lease_duration: How long a dead worker of this account is waited for.

    Raises:
        DatawalletDisabled: The settings of the account keep it from knowing what the other devices know.
        AccountTaken: The account holds another identity or device, or is being served.
        ReferenceKindWrong: The reference leads to no token.
        TokenContentUnsuitable: The token does not make anybody a device.
        DomainError: Those of `load_anonymously` and `open_account`, of the Backbone and the database.
    """
    if not environment.settings.datawallet_enabled:
        raise DatawalletDisabled(f"Set accounts.{environment.account}.datawallet = true, then onboard.")
    environment = replace(environment, collections=ACCOUNT_COLLECTIONS)
    await environment.store.declare(*ACCOUNT_SCHEMA)
    secret = await _load(environment, reference, password)
    async with _worker(environment, lease_duration) as lease:
        device = await environment.entry("device")
        if device is not None and device["id"] != secret.id:
            raise AccountTaken(f"Account {environment.account} holds an identity already.")
        is_done = device is not None and not await environment.entry(ONBOARDING)
        transport = await open_account(
            replace(environment, lease=lease), secret=None if is_done else secret, device_name=device_name
        )
        transport.sync.begin_work(lease)
        await transport.start()
        await transport.sync.sync()
        if secret.is_backup_device:
            await transport.recovery.forget_used()
            await transport.sync.sync()
        return transport.context.identity.address


async def _load(environment: Environment, reference: str, password: SecretText | None) -> DeviceSharedSecret:
    try:
        parsed = parse_reference(reference)
    except MalformedValue:
        raise ReferenceKindWrong("This is no reference.") from None
    if not isinstance(parsed, TokenReference):
        raise ReferenceKindWrong("The reference does not lead to a token.")
    found = await load_anonymously(environment.gateway.anonymous(), parsed, password)
    try:
        content = parse_token_content(found)
    except UnknownSecretType:
        content = None
    if not isinstance(content, TokenContentDeviceSharedSecret):
        raise TokenContentUnsuitable("The token makes nobody a device of an identity.")
    return content.shared_secret


@asynccontextmanager
async def _worker(environment: Environment, duration: timedelta) -> AsyncIterator[Lease]:
    """Is the account's only worker for the length of a block."""
    store = environment.store
    try:
        async with asyncio.timeout((duration * 1.5).total_seconds()):
            lease = await store.acquire_lease(WORKER_LEASE, environment.worker, duration)
    except TimeoutError:
        raise AccountTaken(f"Account {environment.account} is being served: stop the server first.") from None

    async def renew() -> None:
        # When this fails, commits under the lease are refused: they tell.
        with suppress(DomainError):
            while True:
                await environment.clock.sleep(duration / 4)
                await store.renew_lease(lease)

    renewal = asyncio.create_task(renew())
    try:
        yield lease
    finally:
        await end([renewal])
        with suppress(DomainError):
            await store.release_lease(lease)
