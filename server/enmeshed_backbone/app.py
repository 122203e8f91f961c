"""The composition root: builds both APIs from settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

from enmeshed_connector.core.clock import Clock, SystemClock

from . import seed
from .areas import (
    admin,
    announcements,
    challenges,
    datawallet,
    decomposition,
    deletion,
    devices,
    feature_flags,
    files,
    identities,
    messages,
    notifications,
    oauth,
    push,
    quotas,
    reactivation,
    relationships,
    sync_runs,
    technical,
    templates,
    tokens,
)
from .clock import AdjustableClock
from .http.access import TokenSigner
from .http.application import Application
from .http.call import Route
from .ids import IdMaker, RandomSource
from .services import Services
from .settings import Settings
from .sse import EventHub
from .store import Store

_AREAS = (
    oauth,
    identities,
    devices,
    push,
    challenges,
    templates,
    relationships,
    reactivation,
    decomposition,
    messages,
    files,
    tokens,
    datawallet,
    sync_runs,
    deletion,
    feature_flags,
    announcements,
    notifications,
    quotas,
    technical,
)

_ADMIN_BODY_LIMIT = 1024 * 1024


def consumer_routes() -> list[Route]:
    """Returns every operation of the Consumer API; the event stream is none of them."""
    return [route for area in _AREAS for route in area.ROUTES]


@dataclass(frozen=True)
class Backbone:
    """One Backbone: its two APIs and what they share."""

    services: Services
    consumer: Application
    admin: Application

    async def close(self) -> None:
        """Ends all event streams and closes the database."""
        self.services.hub.close()
        await self.services.store.close()


async def build(settings: Settings, *, clock: Clock | None = None, random: RandomSource = os.urandom) -> Backbone:
    """Returns a Backbone with an open and seeded database.

    Args:
        settings: What to build.
        clock: The time of the machine, when it shall be another.
        random: The source of ids, keys and salts.

    Raises:
        StoreError: The database cannot be opened.
    """
    adjustable = AdjustableClock(clock or SystemClock())
    hub = EventHub()
    store = Store(settings.data, now=adjustable.now_ms, on_pushes=hub.publish)
    store.open()
    try:
        ids = IdMaker(random)
        key = await store.write(lambda transaction: seed.prepare(transaction, settings, ids, random))
        offset_ms = store.read(
            lambda transaction: transaction.value("SELECT value FROM meta WHERE name = 'clock_offset_ms'")
        )
    except BaseException:
        await store.close()
        raise
    adjustable.advance(timedelta(milliseconds=offset_ms or 0))
    signer = TokenSigner(key, issuer=f"http://{settings.did_host}")
    services = Services(settings, adjustable, random, ids, store, hub, signer)
    stream = push.SseEndpoint(services)
    consumer = Application(
        services,
        consumer_routes(),
        streams={"/api/v1/sse": stream, "/api/v2/sse": stream},
        body_limit=settings.max_body_bytes,
    )
    xsrf = admin.XsrfProtection(key)
    admin_app = Application(
        services,
        [admin.make_xsrf_route(services, xsrf), *admin.ROUTES, *technical.HEALTH_ROUTES],
        body_limit=_ADMIN_BODY_LIMIT,
        guard=admin.make_guard(settings.admin_api_key, xsrf),
    )
    return Backbone(services, consumer, admin_app)
