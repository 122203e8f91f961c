"""Lists that come page by page: complete, in order, bounded, in either direction."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from enmeshed_connector.backbone.calls import Call, Caller, Repeat
from enmeshed_connector.backbone.endpoints.tokens import BackboneToken
from enmeshed_connector.backbone.errors import AnswerTooLarge, AnswerUnusable
from enmeshed_connector.backbone.paging import Page, Pager, page_of
from enmeshed_connector.core.ids import TokenId
from tests.enmeshed_connector.backbone.conftest import Client
from tests.enmeshed_connector.backbone.samples import TOKEN_ID, token
from tests.support.scripted_http import Request, ScriptedServer, result

CAP = 6_000


class Shelf:
    """Answers list requests as the Backbone does, from a list of its own."""

    def __init__(self, items: list[dict[str, Any]], page_size: int = 50) -> None:
        self.items = items
        self.page_size = page_size

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        number = int(request.query.get("pageNumber", ["1"])[0])
        size = int(request.query.get("pageSize", [str(self.page_size)])[0])
        total = -(-len(self.items) // size)
        pagination = {"pageNumber": number, "pageSize": size, "totalPages": total, "totalRecords": len(self.items)}
        page = self.items[(number - 1) * size : number * size]
        writer.write(result(page, pagination=pagination if total > 1 else None))


def listed(client: Client) -> Pager[BackboneToken]:
    return client.backbone.tokens.list([TOKEN_ID])


def small_cap(client: Client) -> Pager[BackboneToken]:
    """Returns the same list with a cap that a page of large items passes."""
    pager = listed(client)
    object.__setattr__(pager._call, "answer_cap_bytes", CAP)
    return pager


def numbers(tokens: Any) -> list[int]:
    return [int(token.id[3:]) for token in tokens]


@pytest.mark.parametrize("count", [0, 1, 50, 51, 149])
async def test_all_items_of_all_pages_come_in_order(client: Client, server: ScriptedServer, count: int) -> None:
    server.script(*[Shelf([token(number) for number in range(count)])] * 3)
    assert numbers(await listed(client).collect()) == list(range(count))
    assert [request.query.get("pageNumber") for request in server.requests] == [None, ["2"], ["3"]][
        : max(1, -(-count // 50))
    ]
    assert all("pageSize" not in request.query for request in server.requests)


async def test_pages_come_backwards_from_the_newest(client: Client, server: ScriptedServer) -> None:
    server.script(*[Shelf([token(number) for number in range(120)])] * 3)
    pages = [numbers(page.items) async for page in listed(client).pages_backwards()]
    assert pages == [list(range(100, 120)), list(range(50, 100)), list(range(50))]
    assert len(server.requests) == 3


async def test_looking_backwards_asks_only_for_what_is_looked_at(client: Client, server: ScriptedServer) -> None:
    server.script(*[Shelf([token(number) for number in range(1000)])] * 2)
    async for page in listed(client).pages_backwards():
        assert numbers(page.items)[-1] == 999
        break
    assert len(server.requests) == 2


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    "large", [set(), {0}, {37}, {49, 50}, {119}, set(range(100, 120)), set(range(0, 120, 7)), set(range(120))]
)
async def test_items_too_large_for_a_common_page_come_in_smaller_ones_without_gap_or_repeat(
    client: Client, server: ScriptedServer, large: set[int], backwards: bool
) -> None:
    # A page of 50 or 10 small items fits the cap or does not, five do; one large item fits alone.
    items = [token(number, "x" * (4000 if number in large else 4)) for number in range(120)]
    server.script(*[Shelf(items)] * 400)
    pager = small_cap(client)
    if backwards:
        pages = [numbers(page.items) async for page in pager.pages_backwards()]
        found = [number for page in reversed(pages) for number in page]
    else:
        found = numbers(await pager.collect())
    assert found == list(range(120))


async def test_one_item_over_the_cap_is_an_error(client: Client, server: ScriptedServer) -> None:
    server.script(*[Shelf([token(0), token(1, "x" * 8000)])] * 9)
    with pytest.raises(AnswerTooLarge):
        await small_cap(client).collect()


async def test_another_page_size_of_the_backbone_is_respected(client: Client, server: ScriptedServer) -> None:
    server.script(*[Shelf([token(number) for number in range(7)], page_size=3)] * 3)
    assert numbers(await listed(client).collect()) == list(range(7))


async def test_an_endless_list_of_empty_pages_ends(client: Client, server: ScriptedServer) -> None:
    pagination = {"pageNumber": 1, "pageSize": 50, "totalPages": 10**9, "totalRecords": 10**9}
    server.script(result([token(0)], pagination=pagination), result([], pagination=pagination))
    assert numbers(await listed(client).collect()) == [0]


@pytest.mark.parametrize("pagination", [[], {"pageNumber": 1}, {"pageNumber": 1, "pageSize": "50", "totalPages": 2}])
async def test_a_pagination_that_cannot_be_read_is_unusable(
    client: Client, server: ScriptedServer, pagination: Any
) -> None:
    server.script(*[result([], pagination=pagination)] * 4)
    with pytest.raises(AnswerUnusable):
        await listed(client).collect()


def test_lists_by_id_need_an_id(client: Client) -> None:
    for ask in (client.backbone.tokens.list, client.backbone.relationships.list):
        with pytest.raises(ValueError, match="one id"):
            ask([])
    with pytest.raises(ValueError, match="one template"):
        client.backbone.templates.list({})


async def test_ids_and_passwords_are_written_as_the_backbone_reads_them(client: Client, server: ScriptedServer) -> None:
    server.script(result([]), result([]))
    await client.backbone.tokens.list([TOKEN_ID, TokenId("TOK00000000000000000")]).collect()
    assert server.requests[0].target == f"/api/v2/Tokens?ids={TOKEN_ID}&ids=TOK00000000000000000"
    templates = {"RLTabcdefghijklmnopq": b"\xfb\xff\x00", "RLT00000000000000000": None}
    await client.backbone.templates.list(templates).collect()  # type: ignore[arg-type]  # Ids of the test's own.
    assert server.requests[1].query == {
        "templates.0.id": ["RLTabcdefghijklmnopq"],
        "templates.0.password": ["+/8A"],
        "templates.1.id": ["RLT00000000000000000"],
    }
    assert "password=%2B/8A" in server.requests[1].target


def test_a_pager_can_be_made_for_any_caller(client: Client) -> None:
    caller: Caller = client.session
    call: Call[Page[str]] = Call("x", "GET", "/x", page_of(lambda fields: fields.text("id")), Repeat.SAFE)
    assert Pager(caller, call) is not None
