"""Custom modules: Python code of the operator that reacts to what happens in an account.

A module is installed as an entry point of the group `enmeshed_connector.modules`: a callable that takes the options of
the settings and returns a `Module`. Its name is that of the entry point. See `docs/automation.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.runtime.automation.readers import ReaderModule, Step
from enmeshed_connector.runtime.use_cases.bundle import UseCases
from enmeshed_connector.runtime.use_cases.common import Intent
from enmeshed_connector.runtime.views import View
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work


@dataclass(frozen=True)
class ModuleEvent:
    """Something that happened in the account."""

    id: str
    """The same whenever the event is delivered."""
    type: str
    """The name, such as `transport.messageReceived`."""
    created_at: str
    """When it was committed here, as the network writes moments."""
    origin: str
    """`LOCAL` (a call, or automation) or `EXTERNAL` (a peer, or the Backbone)."""
    correlation_id: str | None
    """That of the call or sync run that caused it."""
    data: View | None
    """What it is about, as it was when it happened, in the shape of the network's JSON."""


class ModuleAccount:
    """What a module can do while it handles an event."""

    def __init__(self, transport: TransportAccount, use_cases: UseCases, step: Step) -> None:
        """Takes the account and the step that the module takes."""
        self._transport = transport
        self._step = step
        self._published: list[tuple[str, JsonObject]] = []
        self.use_cases = use_cases
        """Everything that callers over gRPC can do, and more directly."""

    @property
    def name(self) -> str:
        """The name of the account in the settings."""
        return self._transport.context.account

    @property
    def address(self) -> str:
        """The address of the identity."""
        return self._transport.context.identity.address

    def intent(self, step: str = "") -> Intent:
        """Returns what makes a mutation of `use_cases` happen once, however often the event is handled.

        Args:
            step: Tells the mutations that are made for one event apart; each needs one of its own.
        """
        return Intent(self._step.ticket(step), self._step.cause)

    def publish(self, name: str, data: JsonObject) -> None:
        """Adds the event `module.<module>.<name>`: it appears exactly once, when the event that is handled is passed.

        Args:
            name: Letters, digits, `-` and `_`.
            data: What it tells, as JSON.
        """
        self._published.append((name, data))

    @property
    def published(self) -> tuple[tuple[str, JsonObject], ...]:
        """What was published so far."""
        return tuple(self._published)


class Module(Protocol):
    """What the callable of an entry point returns.

    A module may have the attribute `types`, a collection of the types of events that it wants; without it, it gets all.
    """

    async def handle(self, event: ModuleEvent, account: ModuleAccount) -> None:
        """Reacts to one event. Called in the order of the events, one at a time, and at least once for each.

        Raises:
            DomainError: `core.errors.Unavailable` for what passes: the event is tried until it works. Other exceptions
                count as lasting: the event is tried five times within a minute, then noted and passed.
        """


ModuleFactory = Callable[[Mapping[str, Any]], Module]
"""Makes a module from the options of the settings; raises `ValueError` when they cannot be used."""


@dataclass(frozen=True)
class NamedModule:
    """A module with its name in the settings."""

    name: str
    module: Module


class CustomReader(ReaderModule):
    """Hands events to a custom module."""

    def __init__(self, transport: TransportAccount, use_cases: UseCases, named: NamedModule) -> None:
        """Takes the account, what can be done with it, and the module."""
        self.name = named.name
        types: Collection[str] | None = getattr(named.module, "types", None)
        self.types = types
        self._transport = transport
        self._use_cases = use_cases
        self._module = named.module

    def concerns(self, event: Document) -> bool:
        """Tells whether it is the module's: it hears nothing of what it publishes itself."""
        return not str(event["type"]).startswith(f"module.{self.name}.")

    async def handle(self, step: Step) -> None:
        """Lets the module react, then passes the event together with what the module published."""
        account = ModuleAccount(self._transport, self._use_cases, step)
        event, data = step.event, step.event.get("data")
        await self._module.handle(
            ModuleEvent(
                id=event["id"],
                type=event["type"],
                created_at=event.get("createdAt", ""),
                origin=event.get("origin", ""),
                correlation_id=event.get("correlationId"),
                data=None if data is None else self._use_cases.views.event_data(event["type"], data),
            ),
            account,
        )

        async def publish(work: Work) -> None:
            for name, told in account.published:
                work.publish(f"module.{self.name}.{name}", told)

        await step.commit(publish)
