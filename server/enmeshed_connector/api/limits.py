"""How many calls run at once, counted apart by kind, in all and by credential."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from enmeshed_connector.api.calls import CallKind
from enmeshed_connector.api.errors import TooManyCalls, TooManySubscriptions, TooManyTransfers
from enmeshed_connector.core.errors import DomainError

_RETRY_AFTER: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class LimitOptions:
    """The limits."""

    short_calls: int = 256
    """Short calls at once."""
    transfers: int = 16
    """Uploads and downloads at once."""
    subscriptions: int = 2000
    """Open subscriptions."""
    public: int = 256
    """Health and reflection calls at once."""
    credential_share: float = 1.0
    """Which part of each limit one credential may take, above 0 and up to 1; at least one call."""


class Limits:
    """Counts what runs. Taking a slot never waits: a queue would only hide the overload and hold memory."""

    def __init__(self, options: LimitOptions) -> None:
        """Takes the limits.

        Args:
            options: The limits.
        """
        self._limits: Mapping[CallKind, int] = MappingProxyType(
            {
                CallKind.SHORT: options.short_calls,
                CallKind.TRANSFER: options.transfers,
                CallKind.SUBSCRIPTION: options.subscriptions,
                CallKind.PUBLIC: options.public,
            }
        )
        self._shares = {kind: max(1, int(limit * options.credential_share)) for kind, limit in self._limits.items()}
        self._running: Counter[CallKind] = Counter()
        self._by_credential: Counter[tuple[CallKind, str]] = Counter()

    @property
    def total(self) -> int:
        """How many calls of all kinds may run at once."""
        return sum(self._limits.values())

    def running(self) -> dict[str, int]:
        """Returns how many calls run, by kind."""
        return {kind.value: self._running[kind] for kind in CallKind}

    def take(self, kind: CallKind, credential: str) -> Callable[[], None]:
        """Takes a slot and returns what gives it back, to be called once.

        Args:
            kind: The kind of the call.
            credential: The id of its credential; empty for public calls.

        Raises:
            TooManyCalls: There is none, for this kind.
            TooManyTransfers: Likewise.
            TooManySubscriptions: Likewise.
        """
        key = (kind, credential)
        if self._running[kind] >= self._limits[kind]:
            raise _exhausted(kind, self._limits[kind], "in all")
        if self._by_credential[key] >= self._shares[kind]:
            raise _exhausted(kind, self._shares[kind], "with this key")
        self._running[kind] += 1
        self._by_credential[key] += 1

        def give_back() -> None:
            self._running[kind] -= 1
            self._by_credential[key] -= 1
            if not self._by_credential[key]:
                del self._by_credential[key]

        return give_back


def _exhausted(kind: CallKind, limit: int, scope: str) -> DomainError:
    error = {CallKind.TRANSFER: TooManyTransfers, CallKind.SUBSCRIPTION: TooManySubscriptions}.get(kind, TooManyCalls)
    return error(
        f"{limit} {kind.value} run {scope}, which is the limit: try again later",
        facts={"limit": str(limit), "kind": kind.value},
        retry_after=_RETRY_AFTER,
    )
