"""One call on its way through the server: what is known of its method, its caller and its time.

Interceptors fill a `Call` step by step; servicers ask `current_call` for it. (Generated servicer types fix the
signature of their methods, so it cannot be handed in as an argument.)
"""

from __future__ import annotations

import contextvars
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc

from enmeshed_connector.api.errors import PermissionDenied
from enmeshed_connector.api.scopes import Scopes
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.errors import DomainError


class CallKind(enum.Enum):
    """What a call costs; each kind has a limit of its own, so that none starves another."""

    SHORT = "calls"
    """One request, one answer, soon over."""
    TRANSFER = "transfers"
    """An upload or download."""
    SUBSCRIPTION = "subscriptions"
    """A stream that stays open while nothing happens."""
    PUBLIC = "public"
    """Health and reflection: no credential, so they must not take the place of calls that have one."""


@dataclass(frozen=True)
class Method:
    """What the server knows of an RPC; one row of the permission table."""

    name: str
    """`/enmeshed.connector.v1.Messages/SendMessage`."""
    kind: CallKind
    permissions: tuple[str, ...]
    """All of these are needed; empty for public methods."""
    needs_account: bool
    """Whether it acts on an account."""
    is_public: bool = False
    """Whether it is served without a credential, and before the server is ready."""


class Revocation:
    """Tells open streams that their credential is not good any more. Shared by all calls of one credential."""

    def __init__(self) -> None:
        self._revoked = False
        self._listeners: dict[object, Callable[[], None]] = {}

    @property
    def is_revoked(self) -> bool:
        """Whether the credential was revoked or has expired."""
        return self._revoked

    def revoke(self) -> None:
        """Tells everybody who listens; safe to repeat."""
        self._revoked = True
        for listener in list(self._listeners.values()):
            listener()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls `listener` at the revocation; returns what ends that."""
        token = object()
        self._listeners[token] = listener
        return lambda: self._listeners.pop(token, None) and None


@dataclass(frozen=True)
class Credential:
    """Who calls, as far as authentication knows."""

    id: str
    """Names the credential in logs, limits and idempotency scopes; never the secret."""
    scopes: Scopes
    account: str | None = None
    """The only account that it may use; None: any."""
    revocation: Revocation = field(default_factory=Revocation, compare=False)


@dataclass
class Call:
    """One call. Belongs to the task that serves it."""

    method: Method
    context: grpc.aio.ServicerContext[Any, Any]
    clock: Clock
    metadata: Mapping[str, str]
    """The text metadata of the caller, lower case names; of repeated ones the last."""
    started: float
    """By the monotonic clock."""
    correlation_id: str = ""
    credential: Credential | None = None
    account: str | None = None
    """The name of the chosen account; None when the method needs none."""
    failure: DomainError | None = None
    """Why it failed, once that is known."""
    cancelled: bool = False
    """The caller went away, or its time was over."""
    trailing: dict[str, str] = field(default_factory=dict)
    """Trailing metadata, whatever the outcome."""
    facts: dict[str, str] = field(default_factory=dict)
    """Added to the facts of an error of this call."""
    notes: dict[str, object] = field(default_factory=dict)
    """What steps keep for themselves until they leave, by their name."""

    @property
    def peer_host(self) -> str:
        """The address of the other side of the connection, without its port."""
        peer = self.context.peer()
        kind, _, rest = peer.partition(":")
        return rest.rpartition(":")[0] if kind in ("ipv4", "ipv6") else peer

    @property
    def scopes(self) -> Scopes:
        """What the caller may do; nothing before authentication."""
        return self.credential.scopes if self.credential else _NOTHING

    def require(self, permission: str) -> None:
        """Checks a permission that depends on the request.

        Raises:
            PermissionDenied: The caller does not have it.
        """
        if not self.scopes.allow(permission):
            raise permission_denied(permission)

    def time_left(self) -> timedelta | None:
        """Returns how long the caller still waits, None when it did not say."""
        seconds = self.context.time_remaining()
        return None if seconds is None else timedelta(seconds=max(seconds, 0))

    def account_name(self) -> str:
        """Returns the name of the chosen account.

        Raises:
            RuntimeError: The method needs none; a fault in the permission table.
        """
        if self.account is None:
            raise RuntimeError(f"{self.method.name} was not given an account")
        return self.account


_NOTHING = Scopes([])
_CURRENT: contextvars.ContextVar[Call] = contextvars.ContextVar("enmeshed_connector_call")


def current_call() -> Call:
    """Returns the call that this task serves.

    Raises:
        LookupError: The task serves none.
    """
    return _CURRENT.get()


def set_current_call(call: Call) -> None:
    """Makes a call the one that this task serves; for the interceptors."""
    _CURRENT.set(call)


def permission_denied(permission: str) -> PermissionDenied:
    """Returns the error for a missing permission."""
    return PermissionDenied(
        f"permission {permission} is missing: use a key that has it", facts={"permission": permission}
    )
