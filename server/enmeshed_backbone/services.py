"""The collaborators of all handlers, built once per server and handed down."""

from __future__ import annotations

from dataclasses import dataclass

from .clock import AdjustableClock
from .http.access import TokenSigner
from .ids import IdMaker, RandomSource
from .settings import Settings
from .sse import EventHub
from .store import Store


@dataclass(frozen=True)
class Services:
    """What handlers may use besides the transaction of their request."""

    settings: Settings
    clock: AdjustableClock
    random: RandomSource
    ids: IdMaker
    store: Store
    hub: EventHub
    signer: TokenSigner
