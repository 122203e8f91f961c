"""What accounts are made of, from the settings: a way to the Backbone, and the settings of the transport room."""

from __future__ import annotations

import os
import socket
import ssl
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import structlog

from enmeshed_connector.app.settings import AccountSettings, BackboneSettings, SettingsInvalid, seconds
from enmeshed_connector.backbone import (
    BackboneGateway,
    BackboneHttp,
    BackboneTarget,
    HttpSettings,
    SessionSettings,
    proxy_from_environment,
)
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.transport.context import TransportSettings


def worker_name() -> str:
    """Returns a name for this process, which no other one has."""
    return f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"


async def open_gateway(
    stack: AsyncExitStack,
    settings: BackboneSettings,
    environment: Mapping[str, str],
    *,
    clock: Clock,
    random: Callable[[int], bytes],
) -> BackboneGateway:
    """Returns the way to the Backbone; it is open as long as the stack.

    Args:
        stack: Closes it.
        settings: Those of the Backbone.
        environment: The environment variables, for proxies.
        clock: Tells time.
        random: Spreads retries.

    Raises:
        SettingsInvalid: The Backbone's address, the proxy or the file of certificates cannot be used.
    """
    proxy, exceptions = proxy_from_environment(environment)
    try:
        http = BackboneHttp(
            HttpSettings(
                max_connections=settings.max_connections,
                silence_seconds=settings.timeout_seconds,
                ca_file=settings.ca_file,
                proxy_url=settings.proxy or proxy,
                no_proxy=() if settings.proxy else exceptions,
                dangerously_allow_plain_http=settings.dangerously_allow_plain_http,
            )
        )
    except ssl.SSLError:
        raise SettingsInvalid("backbone.ca_file: holds no PEM certificate") from None
    except OSError as error:
        raise SettingsInvalid(f"backbone.ca_file: {error.strerror}") from None
    except ValueError as error:
        source = "backbone.proxy" if settings.proxy else "the proxy of the environment"
        raise SettingsInvalid(f"{source}: {error}") from None
    await stack.enter_async_context(http)
    secret = SecretText(settings.client_secret.get_secret_value())
    target = BackboneTarget(settings.base_url, settings.client_id, secret)
    session = SessionSettings(call_timeout=seconds(settings.timeout_seconds))
    try:
        return BackboneGateway(
            http, target, settings=session, clock=clock, random=random, correlation=_current_correlation
        )
    except ValueError as error:
        raise SettingsInvalid(f"backbone.base_url: {error}") from None


def _current_correlation() -> str | None:
    correlation_id = structlog.contextvars.get_contextvars().get("correlation_id")
    return correlation_id if isinstance(correlation_id, str) else None


def transport_settings(backbone: BackboneSettings, account: AccountSettings) -> TransportSettings:
    """Returns the settings of the transport room for one account."""
    return TransportSettings(
        base_url=backbone.base_url.rstrip("/"),
        client_id=backbone.client_id,
        client_secret=backbone.client_secret.get_secret_value(),
        address_host=backbone.address_host,
        allow_identity_creation=account.create_identity,
        datawallet_enabled=account.datawallet,
        settle_after=seconds(2 * backbone.timeout_seconds),
    )
