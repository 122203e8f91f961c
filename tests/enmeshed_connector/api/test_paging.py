"""Page tokens and pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed.connector.v1 import file_pb2, files_service_pb2, filters_pb2, messages_service_pb2
from enmeshed_connector.api.errors import PageTokenInvalid
from enmeshed_connector.api.paging import PAGING_COLLECTIONS, PageTokens, collect_page, load_page_key
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.encodings import from_base64url, to_base64url
from enmeshed_connector.storage import Keyset
from tests.support.api_server import databases

TOKENS = PageTokens(b"k" * 32)
KEYSET = Keyset(("2026-11-24T06:00:00.000Z",), "FIL00000000000000001")


def request(**fields: Any) -> files_service_pb2.ListFilesRequest:
    return files_service_pb2.ListFilesRequest(**fields)


def test_a_token_leads_back_to_where_the_page_ended() -> None:
    token = TOKENS.make(KEYSET, request(page_size=5), "alice")
    assert TOKENS.read(request(page_token=token, page_size=500), "alice") == KEYSET
    assert TOKENS.read(request(), "alice") is None


def test_a_token_is_bound_to_account_call_and_other_fields() -> None:
    token = TOKENS.make(KEYSET, request(), "alice")
    filtered = request(page_token=token, filter=files_service_pb2.FileFilter(is_own=True))
    ordered = request(page_token=token, order_by="create_time")
    other_call = messages_service_pb2.ListMessagesRequest(page_token=token)
    for tokens, asked, account in (
        (TOKENS, request(page_token=token), "bob"),
        (TOKENS, filtered, "alice"),
        (TOKENS, ordered, "alice"),
        (TOKENS, other_call, "alice"),
        (PageTokens(b"x" * 32), request(page_token=token), "alice"),
    ):
        with pytest.raises(PageTokenInvalid):
            tokens.read(asked, account)


@given(st.data())
def test_no_altered_token_is_taken(data: st.DataObject) -> None:
    token = TOKENS.make(KEYSET, request(), "alice")
    raw = bytearray(from_base64url(token, "token"))
    index = data.draw(st.integers(0, len(raw) - 1))
    raw[index] ^= data.draw(st.integers(1, 255))
    with pytest.raises(PageTokenInvalid):
        TOKENS.read(request(page_token=to_base64url(bytes(raw))), "alice")


@given(st.text(max_size=100))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    if not text:
        return
    with pytest.raises(PageTokenInvalid):
        TOKENS.read(request(page_token=text), "alice")


def listing(count: int, size: int = 0) -> list[JsonObject]:
    return [{"id": f"{number:04d}", "title": "x" * size} for number in range(count)]


async def page_of(documents: list[JsonObject], **fields: Any) -> tuple[list[str], str, int]:
    fetched = 0

    async def fetch(after: Keyset | None, limit: int) -> list[JsonObject]:
        nonlocal fetched
        found = [document for document in documents if after is None or document["id"] > after.id][:limit]
        fetched += len(found)
        return found

    page = await collect_page(
        fetch,
        lambda document: file_pb2.File(id=document["id"], title=document["title"]),
        request=request(**fields),
        account="alice",
        tokens=TOKENS,
        end_of=lambda document: Keyset((), document["id"]),
    )
    return [item.id for item in page.items], page.next_page_token, fetched


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 120])
@pytest.mark.parametrize("size", [0, 1, 7, 50, 100, 1000])
async def test_pages_together_hold_everything_once(count: int, size: int) -> None:
    documents = listing(count)
    found: list[str] = []
    token = ""
    while True:
        ids, token, _ = await page_of(documents, page_size=size, page_token=token)
        assert len(ids) <= min(size or 50, 500)
        found += ids
        if not token:
            break
        assert ids
    assert found == [document["id"] for document in documents]


async def test_what_arrives_or_goes_between_two_pages_neither_repeats_nor_hides_anything() -> None:
    documents = listing(10)
    first, token, _ = await page_of(documents, page_size=4)
    changed = [{"id": "0000a", "title": ""}, *documents[1:3], *documents[5:]]
    second, _, _ = await page_of(changed, page_size=10, page_token=token)
    assert first == ["0000", "0001", "0002", "0003"]
    assert second == ["0005", "0006", "0007", "0008", "0009"]


async def test_a_page_ends_at_two_mebibytes_but_holds_one_thing_at_least() -> None:
    ids, token, fetched = await page_of(listing(100, size=300_000), page_size=500)
    assert len(ids) == 6
    assert token
    assert fetched <= 51
    ids, token, _ = await page_of(listing(2, size=3_000_000), page_size=500)
    assert (ids, bool(token)) == (["0000"], True)
    ids, token, _ = await page_of(listing(2, size=3_000_000), page_size=500, page_token=token)
    assert (ids, bool(token)) == (["0001"], False)


async def test_the_key_of_tokens_is_the_same_after_a_restart_and_in_every_replica(tmp_path: Path) -> None:
    async with databases(tmp_path) as one, databases(tmp_path) as two:
        stores = [await opened.open("server", PAGING_COLLECTIONS) for opened in (one, two)]
        keys = [await load_page_key(store) for store in (*stores, *stores)]
        for store in stores:
            await store.close()
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32


def test_a_view_does_not_change_what_a_token_is_for_by_accident() -> None:
    messages = messages_service_pb2.ListMessagesRequest(view=filters_pb2.VIEW_BASIC)
    token = TOKENS.make(KEYSET, messages, "alice")
    with pytest.raises(PageTokenInvalid):
        TOKENS.read(messages_service_pb2.ListMessagesRequest(page_token=token), "alice")
