"""The peer is asked to fill in something: consumption.md, section 12.7; content.md, section 6.1."""

from typing import Any

import pytest

from tests.support.request_items import INVALID_DECISION, INVALID_ITEM, Side, code_of, exchange, item_of


def field(kind: str, **settings: Any) -> dict[str, Any]:
    return item_of("FormField", title="Field", settings={"@type": f"{kind}FormFieldSettings", **settings})


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (field("String", min=5, max=4), INVALID_ITEM),
        (field("String", min=4, max=5), ""),
        (field("Integer", min=5, max=4), INVALID_ITEM),
        (field("Double", min=1.5, max=1.0), INVALID_ITEM),
        (field("Double", min=1.5, max=0), ""),
        (field("Selection", options=[]), INVALID_ITEM),
        (field("Selection", options=["a", "a"]), INVALID_ITEM),
        (field("Selection", options=["a", "b"]), ""),
        (field("Boolean"), ""),
        (field("Date"), ""),
        (field("Rating", maxRating=5), ""),
    ],
)
async def test_settings_go_together(alice: Side, item: Any, code: str) -> None:
    assert code_of(await alice.can_create(item)) == code


@pytest.mark.parametrize(
    ("item", "response", "fits"),
    [
        (field("String", max=3), "abc", True),
        (field("String", max=3), "abcd", False),
        (field("String"), "", False),
        (field("String"), 5, False),
        (field("Integer", min=2), 2, True),
        (field("Integer", min=2), 1, False),
        (field("Integer"), 1.5, False),
        (field("Double"), 1.5, True),
        (field("Boolean"), False, True),
        (field("Boolean"), "false", False),
        (field("Date"), "2026-01-31", True),
        (field("Date"), "tomorrow", False),
        (field("Selection", options=["a", "b"]), "a", True),
        (field("Selection", options=["a", "b"]), "c", False),
        (field("Selection", options=["a", "b"], allowMultipleSelection=True), ["b", "a"], True),
        (field("Selection", options=["a", "b"], allowMultipleSelection=True), [], False),
        (field("Rating", maxRating=5), 5, True),
        (field("Rating", maxRating=5), 6, False),
        (field("Rating", maxRating=5), None, False),
    ],
)
async def test_the_answer_fits_the_field(alice: Side, bob: Side, item: Any, response: Any, fits: bool) -> None:
    decision = {"accept": True, "response": response}
    assert code_of(await bob.can_accept(item, decision)) == ("" if fits else INVALID_DECISION)
    if fits:
        answer = await exchange(alice, bob, item, decision)
        assert answer == {"@type": "FormFieldAcceptResponseItem", "response": response, "result": "Accepted"}


async def test_an_answer_must_be_given(bob: Side) -> None:
    assert code_of(await bob.can_accept(field("String"))) == INVALID_DECISION
