"""Mutations of this account alone, done once for each idempotency key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.runtime.use_cases.common import Intent
from enmeshed_connector.storage import IdempotencyRecord, UniqueViolation
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.work import Work

_DONE = "done"


async def change_once(
    context: AccountContext, intent: Intent, change: Callable[[Work], Awaitable[JsonObject]]
) -> JsonObject:
    """Makes a change and remembers its result in the same commit; a repeat with the same key returns that result.

    Args:
        context: The account.
        intent: Who wants it, and under which key.
        change: Reads and writes through the work; safe to repeat. Its result is never None.

    Raises:
        IdempotencyKeyReused: The key was used with another request.
        DomainError: What `change` raises; nothing was stored.
    """
    earlier = await context.outbox.earlier_result(intent.ticket)
    if earlier is not None:
        return dict(earlier)

    async def run(work: Work) -> JsonObject:
        result = await change(work)
        remember(context, work, intent, result)
        return result

    try:
        return await context.commits.run(run, cause=intent.cause)
    except UniqueViolation:
        # The same request was faster in another task or process.
        earlier = await context.outbox.earlier_result(intent.ticket)
        if earlier is None:
            raise
        return dict(earlier)


def remember(context: AccountContext, work: Work, intent: Intent, result: JsonObject) -> None:
    """Adds the result of a request to a commit, under the key of the request when it has one."""
    if intent.ticket is not None:
        ticket = intent.ticket
        work.remember(
            IdempotencyRecord(ticket.key, ticket.request_digest, _DONE, context.clock.now(), answer=result), first=True
        )


async def do_once(context: AccountContext, intent: Intent, action: Callable[[], Awaitable[JsonObject]]) -> JsonObject:
    """Does something that is safe to repeat, and remembers its result afterwards.

    For requests to the Backbone that change nothing the second time. Raises as `change_once`.
    """
    earlier = await context.outbox.earlier_result(intent.ticket)
    if earlier is not None:
        return dict(earlier)
    result = await action()

    async def note(work: Work) -> None:
        remember(context, work, intent, result)

    try:
        await context.commits.run(note, cause=intent.cause)
    except UniqueViolation:
        # Somebody else did the same meanwhile.
        return result
    return result
