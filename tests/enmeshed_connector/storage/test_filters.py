"""What filters mean: by examples on every adapter, and every adapter against the definition in `values`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_connector.storage import (
    CollectionSpec,
    Filter,
    Keyset,
    Sort,
    Store,
    all_of,
    any_of,
    keyset_of,
    page_of,
    where,
)
from enmeshed_connector.storage.filters import EVERYTHING, as_filter
from enmeshed_connector.storage.values import matcher, resolve_sort, sorted_documents
from tests.support.stores import THINGS, StoreFactory

DOCUMENTS: list[dict[str, Any]] = [
    {"id": "01"},
    {"id": "02", "status": None, "tags": None, "recipients": None},
    {"id": "03", "status": "Active", "isOwn": True, "size": 1, "peer": {"address": "did:e:a"}},
    {"id": "04", "status": "Pending", "isOwn": False, "size": 1.0, "peer": {"address": "did:e:b"}},
    {"id": "05", "status": "", "size": 0, "tags": [], "peer": {}},
    {"id": "06", "status": "active", "size": "1", "tags": ["a"], "recipients": []},
    {"id": "07", "tags": ["a", "b", "a"], "recipients": [{"relationshipId": "R1"}, {"relationshipId": "R2"}]},
    {"id": "08", "tags": ["b", None, 3], "recipients": [{"relationshipId": "R1"}, {}]},
    {"id": "09", "tags": [["a"], {"x": 1}], "recipients": [[{"relationshipId": "R1"}]]},
    {"id": "10", "tags": {"x": "a"}, "recipients": {"relationshipId": "R2"}, "size": -5},
    {"id": "11", "size": 2**40, "status": "Ä", "isOwn": "True", "peer": {"address": ["did:e:a", "did:e:c"]}},
    {"id": "12", "size": 2**63, "status": "a\x00b", "isOwn": 1, "recipients": [{"relationshipId": None}]},
    {"id": "13", "size": True, "status": "😀", "other": "found", "recipients": ["R1", 5]},
    {"id": "14", "size": [1, 10], "status": ["Active", "Old"], "peer": [{"address": "did:e:d"}], "a.b": 1},
    {
        "id": "15",
        "size": 2.5,
        "status": {"name": "Active"},
        "other": ["found"],
        "peer": {"x.y": 1, "address": "did:e:e"},
    },
]

CASES: list[tuple[str, Filter, list[str]]] = [
    ("everything", EVERYTHING, [document["id"] for document in DOCUMENTS]),
    ("equal text", where("status").eq("Active"), ["03", "14"]),
    ("empty text", where("status").eq(""), ["05"]),
    ("equal number", where("size").eq(1), ["03", "04", "14"]),
    ("equal float", where("size").eq(1.0), ["03", "04", "14"]),
    ("True is not 1", where("size").eq(True), ["13"]),
    ("1 is not True", where("isOwn").eq(True), ["03"]),
    ("False", where("isOwn").eq(False), ["04"]),
    ("null or missing", where("status").eq(None), ["01", "02", "07", "08", "09", "10"]),
    ("absent", where("status").is_absent(), ["01", "02", "07", "08", "09", "10"]),
    ("absent array", where("tags").is_absent(), ["01", "02", "03", "04", "11", "12", "13", "14", "15"]),
    ("present array", where("tags").is_present(), ["05", "06", "07", "08", "09", "10"]),
    ("not null", where("status").ne(None), ["03", "04", "05", "06", "11", "12", "13", "14", "15"]),
    ("not equal holds for absent", where("status").ne("Active"), [f"{n:02}" for n in range(1, 16) if n not in (3, 14)]),
    ("contains", where("tags").contains("a"), ["06", "07"]),
    ("contains a number", where("tags").contains(3), ["08"]),
    ("not contains", where("tags").ne("b"), [f"{n:02}" for n in range(1, 16) if n not in (7, 8)]),
    ("into objects in arrays", where("recipients.relationshipId").eq("R1"), ["07", "08"]),
    ("second element", where("recipients.relationshipId").eq("R2"), ["07", "10"]),
    (
        "absent in all elements",
        where("recipients.relationshipId").is_absent(),
        [
            "01",
            "02",
            "03",
            "04",
            "05",
            "06",
            "09",
            "11",
            "12",
            "13",
            "14",
            "15",
        ],
    ),
    ("present in one element", where("recipients.relationshipId").is_present(), ["07", "08", "10"]),
    ("array of objects for an object", where("peer.address").eq("did:e:d"), ["14"]),
    ("array at the end of a path", where("peer.address").eq("did:e:c"), ["11"]),
    ("in", where("peer.address").is_in(["did:e:a", "did:e:b", "none"]), ["03", "04", "11"]),
    (
        "in with null",
        where("isOwn").is_in([None, False]),
        ["01", "02", "04", "05", "06", "07", "08", "09", "10", "13", "14", "15"],
    ),
    ("in nothing", where("status").is_in([]), []),
    ("not in", where("size").not_in([1, None]), ["05", "06", "10", "11", "12", "13", "15"]),
    ("not in nothing", where("status").not_in([]), [document["id"] for document in DOCUMENTS]),
    ("greater number", where("size").gt(1), ["11", "12", "14", "15"]),
    ("greater or equal", where("size").gte(1), ["03", "04", "11", "12", "14", "15"]),
    ("less", where("size").lt(1), ["05", "10"]),
    ("less or equal float", where("size").lte(2.5), ["03", "04", "05", "10", "14", "15"]),
    ("texts are no numbers", where("size").gte(""), ["06"]),
    ("greater text", where("status").gt("Pending"), ["06", "11", "13"]),
    ("less text", where("status").lt("B"), ["03", "05", "14"]),
    ("booleans compare with booleans", where("size").gte(False), ["13"]),
    ("one element over, one under", all_of(where("size").gt(5), where("size").lt(5)), ["14"]),
    ("prefix", where("peer.address").starts_with("did:e:"), ["03", "04", "11", "14", "15"]),
    ("empty prefix finds texts", where("status").starts_with(""), ["03", "04", "05", "06", "11", "13", "14"]),
    ("suffix", where("peer.address").ends_with(":a"), ["03", "11"]),
    ("words", where("status").has_text("ACTIVE"), ["03", "06", "14"]),
    ("path without an index", where("other").eq("found"), ["13", "15"]),
    (
        "not on a path without an index",
        ~where("other").eq("found"),
        [f"{n:02}" for n in range(1, 16) if n not in (13, 15)],
    ),
    ("present without an index", where("other").is_present(), ["13", "15"]),
    ("by id", where("id").eq("03"), ["03"]),
    ("ids", where("id").is_in(["03", "04", "99"]), ["03", "04"]),
    ("ids up to", where("id").lt("03"), ["01", "02"]),
    ("by id and more", all_of({"id": "03"}, where("status").eq("Pending")), []),
    ("and", where("tags").eq("a") & where("tags").eq("b"), ["07"]),
    ("or", where("tags").eq("a") | where("size").eq(-5), ["06", "07", "10"]),
    ("or with an index missing", any_of(where("other").eq("found"), {"id": "01"}), ["01", "13", "15"]),
    ("nothing of nothing", any_of(), []),
    ("not nothing", ~any_of(), [document["id"] for document in DOCUMENTS]),
    ("not and", ~(where("tags").eq("a") & where("tags").eq("b")), [f"{n:02}" for n in range(1, 16) if n != 7]),
    ("not or", ~(where("tags").is_present() | where("size").is_present()), ["01", "02"]),
    ("not range", ~where("size").gt(0), ["01", "02", "05", "06", "07", "08", "09", "10", "13"]),
    ("not prefix", ~where("status").starts_with("A"), [f"{n:02}" for n in range(1, 16) if n not in (3, 14)]),
    ("not not", ~~where("status").eq("Active"), ["03", "14"]),
    ("mapping", as_filter({"status": "Active", "isOwn": True}), ["03"]),
    ("mapping with null", as_filter({"status": None, "size": -5}), ["10"]),
]


async def fill(store: Store, documents: list[dict[str, Any]]) -> None:
    async with store.begin() as uow:
        for document in documents:
            uow.insert("Things", document)
        await uow.commit()


async def test_filters_mean_the_same_everywhere(store: Store) -> None:
    await fill(store, DOCUMENTS)
    for name, condition, expected in CASES:
        found = [document["id"] for document in await store.find("Things", condition)]
        assert found == expected, name
        assert await store.count("Things", condition) == len(expected), name
        first = await store.find_one("Things", condition)
        assert (first and first["id"]) == (expected[0] if expected else None), name


@pytest.mark.parametrize(("condition", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_definition_agrees_with_the_examples(condition: Filter, expected: list[str]) -> None:
    matches = matcher(condition)
    assert [document["id"] for document in DOCUMENTS if matches(document)] == expected


@pytest.mark.parametrize("path", ["", ".", "a.", "a..b", "a.0", "0", "$a", "a.$b", "a\x00"])
def test_odd_paths_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        where(path)


@pytest.mark.parametrize("value", [2**63, -(2**63), float("nan"), float("inf"), [], {}])
def test_values_that_cannot_be_compared_are_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        where("a").eq(value)


SCALARS = st.sampled_from([None, True, False, 0, 1, 2, 1.0, 1.5, -1, "", "a", "b", "ab", "1", "Ä", "😀"])
VALUES = st.recursive(
    SCALARS | st.sampled_from([2**63, "a\x00", -0.0]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "x.y", "$z"]), inner, max_size=2)
    ),
    max_leaves=6,
)
PATHS = ["p", "p.x", "p.y", "p.x.y", "q", "q.x", "free", "free.x"]
SPEC = CollectionSpec("Things", indexes=("p", "p.x", "p.y", "p.x.y", "q", "q.x"), sortable=("s", "t"))
GENERATED = st.lists(
    st.fixed_dictionaries({}, optional={"p": VALUES, "q": VALUES, "free": VALUES, "s": SCALARS, "t": SCALARS}),
    min_size=1,
    max_size=8,
)
BOUNDS = st.sampled_from([True, False, 0, 1, 1.5, "", "a", "ab"])


def conditions() -> st.SearchStrategy[Filter]:
    paths = st.sampled_from(PATHS).map(where)
    leaf = st.one_of(
        st.builds(lambda path, value: path.eq(value), paths, SCALARS),
        st.builds(lambda path, values: path.is_in(values), paths, st.lists(SCALARS, max_size=3)),
        st.builds(lambda path, value: path.gt(value), paths, BOUNDS),
        st.builds(lambda path, value: path.gte(value), paths, BOUNDS),
        st.builds(lambda path, value: path.lt(value), paths, BOUNDS),
        st.builds(lambda path, value: path.lte(value), paths, BOUNDS),
        st.builds(lambda path, value: path.starts_with(value), paths, st.sampled_from(["", "a", "😀"])),
        st.builds(lambda path: path.is_present(), paths),
        st.builds(lambda path, value: path.ends_with(value), paths, st.sampled_from(["b", ""])),
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            inner.map(lambda part: ~part),
            st.lists(inner, max_size=3).map(lambda parts: all_of(*parts)),
            st.lists(inner, max_size=3).map(lambda parts: any_of(*parts)),
        ),
        max_leaves=4,
    )


async def test_generated_filters_find_what_the_definition_says(stores: StoreFactory) -> None:
    store = await stores.open(SPEC)
    examples: list[tuple[list[dict[str, Any]], list[Filter]]] = []

    @given(GENERATED, st.lists(conditions(), min_size=3, max_size=8))
    def collect(documents: list[dict[str, Any]], filters: list[Filter]) -> None:
        examples.append((documents, filters))

    collect()
    # A round trip costs more than an example: all documents are stored once, told apart by their example.
    numbered = [
        {"id": f"{example:03}-{number}", **document}
        for example, (documents, _) in enumerate(examples)
        for number, document in enumerate(documents)
    ]
    for start in range(0, len(numbered), 500):
        await fill(store, numbered[start : start + 500])
    everything = await store.find("Things")
    assert [{k: v for k, v in document.items() if k != "_rev"} for document in everything] == numbered
    for _, filters in examples[:40] if stores.server else examples:
        for condition in filters[:3] if stores.server else filters:
            matches = matcher(condition)
            expected = [document["id"] for document in numbered if matches(document)]
            assert [document["id"] for document in await store.find("Things", condition)] == expected, condition
            assert await store.count("Things", condition) == len(expected), condition


MIXED = [None, True, False, -1, 0, 1.5, 2, "", "a", "b", "😀"]


@pytest.mark.parametrize("descending", [False, True])
async def test_orders_put_absent_first_then_numbers_texts_booleans(store: Store, descending: bool) -> None:
    documents = [{"id": f"{n:02}", "rank": value} for n, value in enumerate([*MIXED, *MIXED])]
    documents.append({"id": "99"})
    await fill(store, documents)
    order = [Sort("rank", descending)]
    expected = sorted_documents(THINGS, resolve_sort(THINGS, order), documents)
    found = await store.find("Things", sort=order)
    assert [document["id"] for document in found] == [document["id"] for document in expected]
    known = [document.get("rank") for document in found]
    assert known[:3] == ([True, True, False] if descending else [None, None, None])


@pytest.mark.parametrize(
    "sort", [["rank"], ["-rank"], ["createdAt", "-rank"], ["-createdAt", "rank"], ["-id"], [], ["-_rev"]]
)
async def test_pages_are_the_whole_in_order_without_gaps(store: Store, sort: list[str]) -> None:
    documents = [
        {"id": f"{n:02}", "rank": MIXED[n % len(MIXED)], "createdAt": None if n % 5 == 0 else f"2026-0{n % 4 + 1}"}
        for n in range(26)
    ]
    await fill(store, documents[:13])
    await fill(store, documents[13:])
    whole = [document["id"] for document in await store.find("Things", sort=sort)]
    assert sorted(whole) == [document["id"] for document in documents]
    for size in (1, 4, 25, 26):
        paged: list[str] = []
        after = None
        while True:
            page = await store.find("Things", sort=sort, limit=size, after=after)
            paged.extend(document["id"] for document in page)
            if len(page) < size:
                break
            after = keyset_of(THINGS, sort, page[-1])
        assert paged == whole


async def test_pages_keep_to_a_filter_and_survive_changes_between(store: Store) -> None:
    await fill(store, [{"id": f"{n:02}", "rank": n, "status": "odd" if n % 2 else "even"} for n in range(20)])
    first = await store.find("Things", {"status": "odd"}, sort=["-rank"], limit=3)
    assert [document["rank"] for document in first] == [19, 17, 15]
    async with store.begin() as uow:
        uow.delete("Things", "15")
        uow.insert("Things", {"id": "new", "rank": 18, "status": "odd"})
        await uow.commit()
    after = keyset_of(THINGS, ["-rank"], first[-1])
    rest = await store.find("Things", {"status": "odd"}, sort=["-rank"], after=after)
    assert [document["rank"] for document in rest] == [13, 11, 9, 7, 5, 3, 1]


async def test_limits_apply_after_filters_the_database_cannot_decide(store: Store) -> None:
    await fill(store, [{"id": f"{n:02}", "rank": n, "free": n % 3} for n in range(30)])
    found = await store.find("Things", where("free").eq(2), sort=["-rank"], limit=2)
    assert [document["rank"] for document in found] == [29, 26]
    assert await store.find("Things", limit=0) == []


async def test_wrong_orders_are_programming_errors(store: Store) -> None:
    with pytest.raises(ValueError, match="cannot be sorted"):
        await store.find("Things", sort=["status"])
    with pytest.raises(ValueError, match="twice"):
        await store.find("Things", sort=["rank", "-rank"])
    with pytest.raises(ValueError, match="not negative"):
        await store.find("Things", limit=-1)
    with pytest.raises(ValueError, match="another sort"):
        await store.find("Things", after=keyset_of(THINGS, ["rank"], {"id": "1"}))


@pytest.mark.parametrize("descending", [False, True])
async def test_a_page_of_documents_is_what_the_store_gives(store: Store, descending: bool) -> None:
    documents = [{"id": f"{n:02}", "rank": n % 3, "other": n % 2} for n in range(12)]
    await fill(store, documents)
    order, condition = [Sort("rank", descending)], where("other").eq(1)
    after: Keyset | None = None
    pages = 0
    while True:
        page = page_of(THINGS, documents, condition, sort=order, limit=2, after=after)
        found = await store.find("Things", condition, sort=order, limit=2, after=after)
        assert [document["id"] for document in page] == [document["id"] for document in found]
        if not page:
            break
        after = keyset_of(THINGS, order, page[-1])
        pages += 1
    assert pages == 3
    with pytest.raises(ValueError, match="another sort"):
        page_of(THINGS, documents, condition, sort=order, limit=2, after=Keyset((1, 2), "01"))
