"""Documents go in and come out, exactly, on every adapter."""

from __future__ import annotations

from typing import Any

import pytest

from enmeshed_connector.storage import (
    CollectionSpec,
    InvalidDocument,
    RevisionConflict,
    Store,
    UniqueViolation,
    where,
)
from tests.support.stores import StoreFactory


async def insert(store: Store, *documents: dict[str, Any], collection: str = "Things") -> None:
    async with store.begin() as uow:
        for document in documents:
            uow.insert(collection, document)
        await uow.commit()


def without_rev(document: dict[str, Any] | None) -> dict[str, Any]:
    assert document is not None
    return {name: member for name, member in document.items() if name != "_rev"}


async def test_a_document_comes_out_as_it_went_in(store: Store) -> None:
    document = {
        "id": "1",
        "@type": "Thing",
        "n": None,
        "b": True,
        "i": 7,
        "f": 0.25,
        "deep": {"list": [1, {"x": "ü"}, []]},
    }
    await insert(store, document)
    found = await store.get("Things", "1")
    assert without_rev(found) == document
    assert list(without_rev(found)) == list(document)


LOSSY: list[tuple[str, Any]] = [
    ("dot in a name", {"https://schema.org/name": 1}),
    ("dollar in a name", {"$ref": "x", "a$b": 2}),
    ("NUL in a name", {"a\x00b": 1}),
    ("empty name", {"": 1}),
    ("NUL in a text", "a\x00b"),
    ("lone surrogate", "a\ud800b"),
    ("lone surrogate in a name", {"\udfff": 1}),
    ("past 63 bits", 2**63),
    ("past 64 bits", 2**64 + 1),
    ("far past a double", -(10**400)),
    ("integer and float", [1, 1.0, -1, -1.5, 1e300, 5e-324]),
    ("negative zero", [-0.0, {"x": -0.0}]),
    ("arrays in arrays", [[1, [2, [3]]], [], [[]]]),
    (
        "our own marks",
        {"_contentText": "{}", "x": {"_contentBlob": 1, "_lossy": ["a"], "_rev": 3, "_id": 4, "_gone": 5}},
    ),
    ("index-like names", {"10": 1, "2": 2, "1": 3}),
    ("largest integers", [2**63 - 1, -(2**63), 2**53 + 1, 2**31, -(2**31) - 1]),
    ("every type in one", [None, True, False, 0, 1, "", "true", {}, []]),
]


@pytest.mark.parametrize("value", [value for _, value in LOSSY], ids=[name for name, _ in LOSSY])
async def test_what_databases_cannot_hold_comes_out_identical(store: Store, value: Any) -> None:
    document = {"id": "1", "status": "x", "content": value, "after": 1}
    await insert(store, document)
    found = without_rev(await store.get("Things", "1"))
    assert repr(found) == repr(document)
    assert [without_rev(each) for each in await store.find("Things", {"status": "x"})] == [document]


@pytest.mark.parametrize("name", ["a.b", "$a", "", "a\x00b", "\ud800"])
async def test_hostile_names_at_the_root_come_out_in_order(store: Store, name: str) -> None:
    document = {"id": "1", name: {"x": [1]}, "status": "x", "z": 1}
    await insert(store, document)
    found = without_rev(await store.get("Things", "1"))
    assert list(found.items()) == list(document.items())
    assert await store.count("Things", {"status": "x"}) == 1


@pytest.mark.parametrize("depth", [90, 300])
async def test_deep_documents_come_out_identical(store: Store, depth: int) -> None:
    value: Any = "bottom"
    for level in range(depth):
        value = {"x": value} if level % 2 else [value]
    await insert(store, {"id": "1", "content": value})
    assert without_rev(await store.get("Things", "1"))["content"] == value


async def test_large_documents_come_out_identical(store: Store) -> None:
    content = {"text": "ä" * 5_000_000, "numbers": list(range(300_000)), "items": [{"a.b": i} for i in range(1000)]}
    await insert(store, {"id": "1", "status": "big", "content": content}, {"id": "2", "content": content})
    found = await store.find("Things", {"status": "big"})
    assert [document["id"] for document in found] == ["1"]
    assert found[0]["content"] == content
    async with store.begin() as uow:
        document = await uow.get("Things", "1")
        assert document is not None
        uow.replace("Things", document | {"content": "small"})
        await uow.commit()
    assert without_rev(await store.get("Things", "1"))["content"] == "small"


async def test_a_revision_grows_with_every_change(store: Store) -> None:
    await insert(store, {"id": "1", "v": 1})
    first = await store.get("Things", "1")
    assert first is not None
    async with store.begin() as uow:
        uow.replace("Things", first | {"v": 2})
        await uow.commit()
    second = await store.get("Things", "1")
    assert second is not None
    assert second["_rev"] > first["_rev"]
    assert second["v"] == 2


async def test_documents_are_not_shared_with_the_store(store: Store) -> None:
    document: dict[str, Any] = {"id": "1", "list": [1]}
    async with store.begin() as uow:
        uow.insert("Things", document)
        document["list"].append(2)
        seen = await uow.get("Things", "1")
        assert seen is not None
        seen["list"].append(3)
        await uow.commit()
    found = await store.get("Things", "1")
    assert found is not None
    found["list"].append(4)
    assert without_rev(await store.get("Things", "1")) == {"id": "1", "list": [1]}


async def test_insert_refuses_an_id_that_exists(store: Store) -> None:
    await insert(store, {"id": "1", "v": 1})
    with pytest.raises(UniqueViolation) as caught:
        await insert(store, {"id": "2"}, {"id": "1", "v": 2})
    assert caught.value.facts["id"] == "1"
    assert await store.get("Things", "2") is None
    assert without_rev(await store.get("Things", "1"))["v"] == 1


async def test_put_stores_whether_or_not_there_is_a_document(store: Store) -> None:
    for value in (1, 2):
        async with store.begin() as uow:
            uow.put("Map", {"name": "a", "value": value})
            await uow.commit()
    assert without_rev(await store.get("Map", "a")) == {"name": "a", "value": 2}


async def test_delete_removes_and_the_id_can_be_used_again(store: Store) -> None:
    for round_ in range(3):
        await insert(store, {"id": "1", "round": round_})
        assert without_rev(await store.get("Things", "1"))["round"] == round_
        async with store.begin() as uow:
            uow.delete("Things", "1")
            await uow.commit()
        assert await store.get("Things", "1") is None
        assert await store.find("Things") == []
        assert await store.count("Things") == 0
        assert await store.find("Things", ~where("status").eq("x")) == []


async def test_deleting_nothing_is_fine(store: Store) -> None:
    async with store.begin() as uow:
        uow.delete("Things", "none")
        await uow.commit()
    assert await store.get("Things", "none") is None


async def test_delete_with_an_old_revision_is_a_conflict(store: Store) -> None:
    await insert(store, {"id": "1"})
    old = await store.get("Things", "1")
    assert old is not None
    async with store.begin() as uow:
        uow.replace("Things", old | {"v": 2})
        await uow.commit()
    with pytest.raises(RevisionConflict):
        async with store.begin() as uow:
            uow.delete("Things", "1", rev=old["_rev"])
            await uow.commit()
    assert await store.get("Things", "1") is not None


async def test_replacing_what_was_not_read_is_a_programming_error(store: Store) -> None:
    async with store.begin() as uow:
        with pytest.raises(ValueError, match="was not read"):
            uow.replace("Things", {"id": "1"})


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"id": ""},
        {"id": 5},
        {"id": "x" * 513},
        {"id": "a\x00b"},
        {"id": "\ud800"},
        {"id": "1", "x": float("nan")},
        {"id": "1", "x": [float("inf"), None]},
        {"id": "1", "x": {1: 2}},
        {"id": "1", "x": object()},
        {"id": "1", "x": b"bytes"},
        {"id": "1", "_id": 1},
        {"id": "1", "_lossy": []},
        {"id": "1", "_contentText": ""},
        {"id": "1", "createdAt": ["2026"]},
        {"id": "1", "rank": {"a": 1}},
        {"id": "1", "rank": 2**70},
    ],
)
async def test_what_is_no_document_is_refused(store: Store, document: dict[str, Any]) -> None:
    async with store.begin() as uow:
        with pytest.raises(InvalidDocument):
            uow.insert("Things", document)


async def test_nesting_past_the_limit_is_refused(store: Store) -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    async with store.begin() as uow:
        with pytest.raises(InvalidDocument):
            uow.insert("Things", {"id": "1", "content": value})


async def test_undeclared_collections_are_a_programming_error(store: Store) -> None:
    with pytest.raises(ValueError, match="not declared"):
        await store.get("Nothing", "1")


async def test_collections_can_be_declared_later_and_again(stores: StoreFactory) -> None:
    store = await stores.open(CollectionSpec("Things"))
    await insert(store, {"id": "1", "status": "a", "tags": ["x", "y"]}, {"id": "2", "status": "b"})
    await store.declare(
        CollectionSpec("Things", indexes=("status", "tags"), sortable=("status",)), CollectionSpec("More")
    )
    assert [document["id"] for document in await store.find("Things", {"tags": "y"})] == ["1"]
    assert [document["id"] for document in await store.find("Things", sort=["-status"])] == ["2", "1"]
    assert await store.find("More") == []


async def test_two_id_fields_for_one_collection_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="two id fields"):
        await store.declare(CollectionSpec("Map", id_field="id"))


@pytest.mark.parametrize("name", ["_Log", "_meta", "a b", "", "x" * 65, 'a"b'])
async def test_names_that_are_taken_or_odd_are_refused(store: Store, name: str) -> None:
    with pytest.raises(ValueError):
        await store.declare(CollectionSpec(name))


async def test_databases_are_listed_dropped_and_made_anew(stores: StoreFactory) -> None:
    store = await stores.open()
    await insert(store, {"id": "1"})
    await store.close()
    databases = stores.databases()
    await databases.check()
    assert store.name in await databases.names()
    await databases.drop(store.name)
    assert store.name not in await databases.names()
    await databases.drop(store.name)
    await databases.close()
    assert await (await stores.open()).find("Things") == []


async def test_what_was_stored_is_there_after_closing_and_opening(stores: StoreFactory) -> None:
    store = await stores.open()
    await insert(store, {"id": "1", "tags": ["a", "b"]})
    await store.close()
    again = await stores.open()
    assert [document["id"] for document in await again.find("Things", {"tags": "b"})] == ["1"]
    await insert(again, {"id": "2"})
    assert await again.count("Things") == 2


@pytest.mark.parametrize("name", ["", "a/b", "..", "a.b", "x" * 64, "ü"])
async def test_odd_names_of_databases_are_refused(stores: StoreFactory, name: str) -> None:
    databases = stores.databases()
    with pytest.raises(ValueError):
        await databases.open(name)
    await databases.close()
