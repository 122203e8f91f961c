"""Deliveries of a whole Connector, brought to where they would be after days."""

from __future__ import annotations

from enmeshed_connector.consumption.deliveries import DELIVERIES
from enmeshed_connector.transport.work import Work
from tests.support.connector import RunningConnector
from tests.support.named_calls import until


async def give_up(running: RunningConnector, account: str, delivery_id: str) -> None:
    """Gives up a delivery, once it was refused, as five further refusals in a day would."""
    runtime = running.connector.accounts.runtime(account)
    context = runtime.transport.context
    # A commit without events wakes nobody.
    runtime.consumption.deliveries.wake()

    async def is_refused() -> bool:
        delivery = await context.store.get(DELIVERIES, delivery_id)
        return delivery is not None and bool(delivery.get("refusals"))

    await until(is_refused)

    async def change(work: Work) -> None:
        delivery = await work.require(DELIVERIES, delivery_id, "delivery")
        rest = {name: value for name, value in delivery.items() if name not in ("_rev", "nextAttemptAt")}
        work.store_silently(DELIVERIES, rest)

    await context.commits.run(change)


async def forget(running: RunningConnector, account: str, delivery_id: str) -> None:
    """Removes a delivery, as if another device of the identity had to make it."""

    async def change(work: Work) -> None:
        work.delete_silently(DELIVERIES, delivery_id)

    await running.connector.accounts.runtime(account).transport.context.commits.run(change)
