"""What is unknown here can be shown and rejected."""

from typing import Any

import pytest

from enmeshed_connector.content.requests import OLD_REQUEST_ITEM_TYPES
from tests.support.request_items import INVALID_ITEM, Side, code_of


@pytest.mark.parametrize("name", [*OLD_REQUEST_ITEM_TYPES, "Mail", "", 5, None])
async def test_items_of_unknown_types_can_be_rejected_only(alice: Side, bob: Side, name: Any) -> None:
    item = {"@type": name, "mustBeAccepted": True}
    assert code_of(await alice.can_create(item)) == INVALID_ITEM
    assert code_of(await bob.can_accept(item)) == INVALID_ITEM
    assert (await bob.reject(item))["@type"] == "RejectResponseItem"
    assert alice.processor(name).response_types == frozenset()
    await alice.apply({"@type": "RejectResponseItem", "result": "Rejected"}, item)


async def test_an_item_without_a_type_is_of_an_unknown_one(bob: Side) -> None:
    assert code_of(await bob.can_accept({"mustBeAccepted": False})) == INVALID_ITEM
