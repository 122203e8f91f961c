"""Ways to tell who calls. Failures are counted by address and delayed without holding a call slot."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from enmeshed_connector.api.api_keys import ApiKeys
from enmeshed_connector.api.calls import Credential
from enmeshed_connector.api.errors import CredentialInvalid, CredentialMissing, TooManyFailedAttempts
from enmeshed_connector.api.scopes import EVERYTHING
from enmeshed_connector.core.clock import Clock

API_KEY: Final = "x-api-key"
"""Metadata: the API key."""

LOCAL: Final = Credential("local", EVERYTHING)
"""Who calls a server on loopback for which no key was ever made."""


class Authenticator(Protocol):
    """Finds the credential of a call."""

    async def authenticate(self, metadata: Mapping[str, str], peer_host: str) -> Credential:
        """Returns who calls.

        Args:
            metadata: The metadata of the call.
            peer_host: The address that the call came from.

        Raises:
            CredentialMissing: There is no credential.
            CredentialInvalid: It is not good.
            TooManyFailedAttempts: It is not good, and many from this address were not either.
        """


@dataclass(frozen=True)
class FailureOptions:
    """What happens to those who present wrong credentials."""

    free_failures: int = 3
    """So many within the window are answered at once."""
    window: timedelta = timedelta(minutes=1)
    """Failures are forgotten when there was none for so long."""
    delay: timedelta = timedelta(seconds=1)
    """How long each further answer is delayed."""
    max_delayed: int = 256
    """How many answers are delayed at once; others are refused without delay, so that waiting costs us nothing."""
    max_addresses: int = 10_000
    """How many addresses are remembered; those heard of longest ago are forgotten first."""


class FailureDelays:
    """Counts wrong credentials by address and slows down those who guess."""

    def __init__(self, options: FailureOptions, clock: Clock) -> None:
        """Takes what it counts with.

        Args:
            options: How much is too much.
            clock: The time.
        """
        self._options = options
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._delayed = 0

    def failures(self, host: str) -> int:
        """Returns how many failures of an address are remembered."""
        count, latest = self._failures.get(host, (0, 0.0))
        return count if self._clock.monotonic() - latest < self._options.window.total_seconds() else 0

    def is_suspect(self, host: str) -> bool:
        """Tells whether an address has used up its free failures."""
        return self.failures(host) >= self._options.free_failures

    async def failed(self, host: str) -> None:
        """Counts a failure and waits as long as its answer is to be delayed.

        Raises:
            TooManyFailedAttempts: Too many came from this address, or too many wait already.
        """
        count = self.failures(host) + 1
        self._failures[host] = (count, self._clock.monotonic())
        self._failures.move_to_end(host)
        while len(self._failures) > self._options.max_addresses:
            self._failures.popitem(last=False)
        if count <= self._options.free_failures:
            return
        if self._delayed < self._options.max_delayed:
            self._delayed += 1
            try:
                await self._clock.sleep(self._options.delay)
            finally:
                self._delayed -= 1
        raise TooManyFailedAttempts(
            "too many wrong keys came from this address: check the key", retry_after=self._options.delay
        )


class ApiKeyAuthenticator:
    """Takes API keys from `x-api-key`. On loopback, as long as no key was ever made, everybody may do everything."""

    def __init__(self, keys: ApiKeys, failures: FailureDelays, *, trusts_local: bool) -> None:
        """Takes its collaborators.

        Args:
            keys: Knows the keys.
            failures: Counts wrong ones.
            trusts_local: Whether the server listens on loopback only.
        """
        self._keys = keys
        self._failures = failures
        self._trusts_local = trusts_local

    async def authenticate(self, metadata: Mapping[str, str], peer_host: str) -> Credential:
        """Returns who calls; see `Authenticator`.

        Raises:
            CredentialMissing: There is no key.
            CredentialInvalid: It is unknown, expired or revoked.
            TooManyFailedAttempts: Likewise, and many from this address were before.
            StorageUnavailable: The keys could not be read for too long, so a revoked one could not be told.
        """
        secret = metadata.get(API_KEY)
        if not secret:
            if self._trusts_local and self._keys.never_had_any:
                return LOCAL
            raise CredentialMissing(f"name an API key in the metadata {API_KEY}")
        # Those who guess must not make us ask the database for each guess.
        credential = await self._keys.find(secret, may_look_up=not self._failures.is_suspect(peer_host))
        if credential is None:
            await self._failures.failed(peer_host)
            raise CredentialInvalid("the API key is not valid")
        return credential
