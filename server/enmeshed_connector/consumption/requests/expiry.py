"""Requests expire on time. Official peers find that out only when somebody looks at the request.

Source: consumption.md, section 8.2.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from enmeshed_connector.consumption.requests import events
from enmeshed_connector.consumption.requests.documents import (
    EXPIRABLE,
    REQUESTS,
    RequestStatus,
    is_overdue,
    moved,
)
from enmeshed_connector.consumption.requests.repository import next_expiry, overdue
from enmeshed_connector.consumption.waiting import first_of
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.storage import Position
from enmeshed_connector.transport import events as transport_events
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.work import Work

_AT_ONCE: Final = 100
_LONGEST_WAIT: Final = timedelta(hours=1)
"""After this the clock is looked at again: somebody may have set it."""
_SHORTEST_WAIT: Final = timedelta(milliseconds=1)
"""Moments are whole milliseconds, and a request is expired when its moment has passed."""
_NEWS: Final = events.OF_REQUESTS | {transport_events.DATAWALLET_SYNCHRONIZED}
"""After these another request may be the next to expire."""


class RequestExpiry:
    """Moves requests whose time is over to Expired."""

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context

    async def expire_due(self) -> None:
        """Moves all requests whose time is over; to be called before requests are shown or decided.

        Raises:
            StorageUnavailable: The database is away.
        """
        while due := await overdue(self._context.store, self._now(), limit=_AT_ONCE):
            ids = [request["id"] for request in due]

            async def expire(work: Work, ids: list[str] = ids) -> bool:
                is_changed = False
                for request_id in ids:
                    request = await work.get(REQUESTS, request_id)
                    if (
                        request is not None
                        and request["status"] in EXPIRABLE
                        and is_overdue(request["content"], work.now)
                    ):
                        changed = moved(request, RequestStatus.EXPIRED, work.now)
                        await work.save(REQUESTS, changed)
                        events.publish_status(work, changed)
                        is_changed = True
                return is_changed

            if not await self._context.commits.run(expire):
                # Somebody else has moved them; or another device wrote a moment in a form that sorts elsewhere.
                return

    async def run(self) -> None:
        """Moves requests as their time comes, until cancelled. For the worker of the account."""
        log = self._context.store.log
        while True:
            # Read before looking: what is committed between the two wakes.
            position = await log.head()
            await self.expire_due()
            await self._wait(position, await self._time_left())

    async def _time_left(self) -> timedelta:
        moment = await next_expiry(self._context.store)
        if moment is None:
            return _LONGEST_WAIT
        left = parse_date(moment) - self._context.clock.now() + _SHORTEST_WAIT
        return min(max(left, _SHORTEST_WAIT), _LONGEST_WAIT)

    async def _wait(self, position: Position, duration: timedelta) -> None:
        """Returns after the duration, or when requests have come or changed."""
        await first_of(self._context.clock.sleep(duration), self._wait_for_news(position))

    async def _wait_for_news(self, position: Position) -> None:
        log = self._context.store.log
        while True:
            page = await log.read(position, limit=1, types=_NEWS)
            if page.events:
                return
            position = page.next
            if page.reached_head:
                await log.wait(position, _LONGEST_WAIT)

    def _now(self) -> str:
        return format_date(self._context.clock.now())
