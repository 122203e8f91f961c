"""Onboards an account of the settings, while no server serves it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack

from enmeshed_connector.app.accounts import open_gateway, transport_settings, worker_name
from enmeshed_connector.app.databases import make_databases
from enmeshed_connector.app.settings import Settings, SettingsInvalid, seconds
from enmeshed_connector.core.clock import SystemClock
from enmeshed_connector.core.ids import IdMaker
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.runtime.onboarding import onboard
from enmeshed_connector.transport.environment import Environment


async def onboard_account(
    settings: Settings,
    account: str,
    reference: str,
    password: SecretText | None,
    *,
    device_name: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Makes an account of the settings a device of an existing identity, and returns its address.

    Args:
        settings: All settings.
        account: The name of the account.
        reference: The reference of an onboarding token or recovery kit.
        password: Its password.
        device_name: How the device is to be called.
        environment: The environment variables, for proxies; those of the process when None.

    Raises:
        SettingsInvalid: There is no such account.
        DomainError: Those of `runtime.onboarding.onboard`.
    """
    chosen = settings.accounts.get(account)
    if chosen is None:
        raise SettingsInvalid(f"accounts: there is no account {account}")
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        databases = make_databases(settings.database, clock=clock)
        stack.push_async_callback(databases.close)
        gateway = await open_gateway(
            stack,
            settings.backbone,
            os.environ if environment is None else environment,
            clock=clock,
            random=os.urandom,
        )
        store = await databases.open(f"acc-{account}")
        stack.push_async_callback(store.close)
        return await onboard(
            Environment(
                account=account,
                settings=transport_settings(settings.backbone, chosen),
                store=store,
                gateway=gateway,
                clock=clock,
                random=os.urandom,
                ids=IdMaker(os.urandom),
                worker=worker_name(),
            ),
            reference,
            password,
            device_name=device_name,
            lease_duration=seconds(settings.sync.lease_seconds),
        )
