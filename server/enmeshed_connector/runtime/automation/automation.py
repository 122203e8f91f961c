"""All automation of one account: what listens, and what the worker runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from enmeshed_connector.consumption.account import ConsumptionAccount
from enmeshed_connector.runtime.automation.decider.module import Decider
from enmeshed_connector.runtime.automation.mails import MailEvents
from enmeshed_connector.runtime.automation.modules import CustomReader
from enmeshed_connector.runtime.automation.readers import LogReader, ReaderModule, forget_readers
from enmeshed_connector.runtime.automation.relationships import AcceptRelationships, DecomposeRelationships
from enmeshed_connector.runtime.automation.settings import AutomationSettings
from enmeshed_connector.runtime.use_cases.bundle import UseCases
from enmeshed_connector.transport.account import TransportAccount


class Automation:
    """The automation of one open account."""

    def __init__(
        self,
        transport: TransportAccount,
        consumption: ConsumptionAccount,
        use_cases: UseCases,
        settings: AutomationSettings,
    ) -> None:
        """Builds the modules and lets them listen; does no I/O. To be called before the account is synced."""
        self._transport = transport
        modules: list[ReaderModule] = [Decider(transport, consumption.incoming_requests, settings.rules)]
        if settings.accepts is not None:
            modules.append(AcceptRelationships(transport, settings.accepts))
        modules += [CustomReader(transport, use_cases, named) for named in settings.modules]
        self._readers = [LogReader(transport, module) for module in modules]
        self._decomposing = (
            None if settings.decomposes is None else DecomposeRelationships(transport, settings.decomposes)
        )
        if settings.tells_of_mails:
            transport.listeners.register(MailEvents())

    async def prepare(self) -> None:
        """Gives each reader that is new its place in the log. To be called before the account takes calls.

        Raises:
            StorageUnavailable: The database is away; safe to repeat.
        """
        await forget_readers(self._transport, {reader.name for reader in self._readers})
        for reader in self._readers:
            await reader.prepare()

    def tasks(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """Returns what the worker runs: each goes on until cancelled, and is called again after a passing failure."""
        tasks: list[Callable[[], Awaitable[None]]] = [reader.run for reader in self._readers]
        if self._decomposing is not None:
            tasks.append(self._decomposing.run)
        return tuple(tasks)
