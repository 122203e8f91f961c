"""What a start reads besides the settings; `config check` reads it too, so that it refuses what a start would."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack

from enmeshed_connector.api.tls import TlsOptions, server_credentials
from enmeshed_connector.app.accounts import open_gateway
from enmeshed_connector.app.automation import automation_of
from enmeshed_connector.app.settings import ServerSettings, Settings, SettingsInvalid
from enmeshed_connector.core.clock import SystemClock


async def check_start(settings: Settings, environment: Mapping[str, str]) -> None:
    """Checks what the settings name: rules, modules, files of TLS and keys, proxy. Nothing is connected or written.

    Args:
        settings: All of them.
        environment: The environment variables, for proxies.

    Raises:
        SettingsInvalid: A start would be refused for it.
        StartRefused: Likewise.
    """
    automation_of(settings)
    tls = tls_options(settings.server)
    if tls is not None:
        server_credentials(tls)
    bootstrap_keys(settings)
    async with AsyncExitStack() as stack:
        await open_gateway(stack, settings.backbone, environment, clock=SystemClock(), random=os.urandom)


def tls_options(settings: ServerSettings) -> TlsOptions | None:
    """Returns the files of TLS, None when it is off."""
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    return TlsOptions(settings.tls_certificate_file, settings.tls_key_file, settings.client_ca_file)


def bootstrap_keys(settings: Settings) -> str:
    """Returns what is in the bootstrap file of API keys; empty when there is none.

    Raises:
        SettingsInvalid: It cannot be read.
    """
    path = settings.api_keys.bootstrap_file
    if path is None:
        return ""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"api_keys.bootstrap_file: {error}") from None
