"""Lists that the Backbone hands out page by page.

The Backbone chooses how many items a page has (usually fifty), and some items may be megabytes. A page that would
pass the cap of an answer is asked for again in smaller pages of 10, 5 and at last one item, from the same place on,
instead of failing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from enmeshed_connector.backbone.calls import Answer, Call, Caller
from enmeshed_connector.backbone.errors import AnswerTooLarge
from enmeshed_connector.backbone.wire import Fields, WireError, read_items

T = TypeVar("T")

_SMALLER_SIZES = (10, 5, 1)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    number: int
    """Counts from 1."""
    size: int | None
    """How many items a full page has; None when the Backbone did not say: then everything is on this page."""
    total_pages: int
    total_records: int | None
    """None when the Backbone did not say: then everything is on this page."""


def page_of(read: Callable[[Fields], T]) -> Callable[[Answer], Page[T]]:
    """Makes a reader of pages whose items are objects. An answer without `pagination` is the only page."""

    def read_answer(answer: Answer) -> Page[T]:
        if answer.result is None:
            raise WireError("result is missing")
        items = read_items(answer.result, read, "result")
        if answer.pagination is None:
            return Page(items, 1, None, 1, None)
        pagination = Fields(answer.pagination, "pagination")
        return Page(
            items,
            pagination.integer("pageNumber"),
            pagination.integer("pageSize"),
            pagination.integer("totalPages"),
            pagination.integer_or_none("totalRecords"),
        )

    return read_answer


class Pager(Generic[T]):
    """A paged list: iterate over it for all items in order, or over its pages in either direction.

    Order: that of the Backbone, ascending by creation or by index. Items that are added while the pages are read appear
        at the end; items that are removed meanwhile may shift others out of sight, as at the Backbone itself.
    Every iteration starts anew. Each page is one call with its own retries; errors are those of `Caller.call`.
    """

    def __init__(self, caller: Caller, call: Call[Page[T]]) -> None:
        self._caller = caller
        self._call = call

    async def __aiter__(self) -> AsyncIterator[T]:
        """Yields all items in order."""
        async for page in self.pages():
            for item in page.items:
                yield item

    async def collect(self) -> tuple[T, ...]:
        """Returns all items in order."""
        return tuple([item async for item in self])

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Yields the pages in order; an empty list has one page without items."""
        number, seen = 1, 0
        size: int | None = None
        while True:
            try:
                page = await self._page(number, size)
            except AnswerTooLarge:
                # The smaller size divides what was seen, so the next small page begins with the first unseen item.
                size = _smaller(size, divides=seen)
                if size is None:
                    raise
                number = seen // size + 1
                continue
            yield page
            # An empty page ends the list whatever its numbers say: an endless list of nothing must not keep the
            # caller busy.
            if number >= page.total_pages or not page.items:
                return
            number += 1
            seen += len(page.items)

    async def pages_backwards(self) -> AsyncIterator[Page[T]]:
        """Yields the pages from the last to the first, to find what was added most recently.

        What is added meanwhile may be missing; what is removed meanwhile may repeat items.
        """
        size: int | None = None
        while True:
            try:
                first = await self._page(1, size)
                break
            except AnswerTooLarge:
                size = _smaller(size, divides=0)
                if size is None:
                    raise
        number = first.total_pages
        page_size = first.size
        while number > 1:
            try:
                page = await self._page(number, size)
            except AnswerTooLarge:
                covered = number * (page_size or 1)
                size = _smaller(size, divides=covered)
                if size is None:
                    raise
                number, page_size = covered // size, size
                continue
            yield page
            number -= 1
        if size == first.size or size is None or first.size is None:
            yield first
        else:
            yield await self._page(1, size)

    async def _page(self, number: int, size: int | None) -> Page[T]:
        query = list(self._call.query)
        # Like official clients: no page number on the first request, no page size unless the Backbone's own does not
        # fit.
        if number > 1:
            query.append(("pageNumber", str(number)))
        if size is not None:
            query.append(("pageSize", str(size)))
        return await self._caller.call(replace(self._call, query=query))


def _smaller(size: int | None, *, divides: int) -> int | None:
    """Returns the next smaller page size that divides the number of items; None after the smallest."""
    return next((other for other in _SMALLER_SIZES if (size is None or other < size) and divides % other == 0), None)
