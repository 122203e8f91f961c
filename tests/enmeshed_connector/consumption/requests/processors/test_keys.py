"""No request brings two attributes of the same key: consumption.md, section 11.3."""

from typing import Any

import pytest

from enmeshed_connector.consumption.requests.processors.errors import KeyUniquenessViolated
from enmeshed_connector.consumption.requests.processors.keys import (
    check_key_uniqueness_for_acceptance,
    check_key_uniqueness_for_creation,
)
from tests.support.consumption import identity, relationship
from tests.support.request_items import INVALID_DECISION, code_of, identity_query, item_of, relationship_query

ME, PEER = (f"did:e:localhost:dids:{digit * 22}" for digit in "12")
VIOLATED = "requests.violatedKeyUniquenessOfRelationshipAttributes"


def create(owner: str, key: str = "key", *, must: bool = True) -> dict[str, Any]:
    return item_of("CreateAttribute", must=must, attribute=relationship(owner, key))


def read(owner: str, key: str = "key", *, must: bool = True, **hints: Any) -> dict[str, Any]:
    return item_of("ReadAttribute", must=must, query=relationship_query(owner, key, **hints))


def propose(key: str = "key", *, must: bool = True) -> dict[str, Any]:
    return item_of("ProposeAttribute", must=must, query=relationship_query("", key), attribute=relationship("", key))


def group(*items: Any) -> dict[str, Any]:
    return {"@type": "RequestItemGroup", "items": list(items)}


NAMES = item_of("ReadAttribute", query=identity_query())


@pytest.mark.parametrize(
    ("items", "peer", "is_unique"),
    [
        ([create(ME), create(PEER)], PEER, True),
        ([create(ME), create(ME)], PEER, False),
        ([create(ME), create(ME, "other")], PEER, True),
        ([create(ME), group(read(ME))], PEER, False),
        ([create(ME), read(ME, valueType="ProprietaryURL")], PEER, True),
        ([group(create(ME)), group(create(ME))], PEER, False),
        ([create(ME), create(ME, must=False)], PEER, True),
        ([create(""), propose()], PEER, False),
        ([create(""), create(PEER)], PEER, False),
        ([create(""), read(PEER)], PEER, False),
        # Who that will be is not known yet.
        ([create(""), create(PEER)], None, True),
        ([create(""), read("")], None, False),
        ([NAMES, NAMES, item_of("CreateAttribute", attribute=identity(""))], PEER, True),
        ([item_of("Consent", consent="Yes")], PEER, True),
    ],
)
def test_what_must_be_accepted_can_be_accepted_together(items: Any, peer: str | None, is_unique: bool) -> None:
    result = check_key_uniqueness_for_creation({"items": items}, peer)
    assert code_of(result) == ("" if is_unique else VIOLATED)


YES, NO = {"accept": True}, {"accept": False}


@pytest.mark.parametrize(
    ("items", "decisions", "is_unique"),
    [
        ([create(PEER), create(PEER, must=False)], [YES, YES], False),
        ([create(PEER), create(PEER, must=False)], [YES, NO], True),
        ([create(PEER, must=False), create(PEER, must=False)], [NO, YES], True),
        ([create(PEER), group(create(PEER, must=False))], [YES, {"items": [YES]}], False),
        ([create(PEER), group(create(PEER, must=False))], [YES, {"items": [NO]}], True),
        ([create("", must=False), propose(must=False)], [YES, YES], False),
        ([create("", must=False), create(ME, must=False)], [YES, YES], False),
        # A decision of another structure is found elsewhere.
        ([create(PEER), group(create(PEER, must=False))], [YES, YES], True),
        ([create(PEER), create(PEER, must=False)], [YES], True),
    ],
)
def test_what_is_accepted_goes_together(items: Any, decisions: Any, is_unique: bool) -> None:
    result = check_key_uniqueness_for_acceptance({"items": items}, decisions, ME)
    assert code_of(result) == ("" if is_unique else INVALID_DECISION)


def test_what_can_never_be_accepted_is_no_matter_of_the_decision() -> None:
    with pytest.raises(KeyUniquenessViolated) as caught:
        check_key_uniqueness_for_acceptance({"items": [create(PEER), create(PEER)]}, [YES, YES], ME)
    assert caught.value.official_code == f"error.consumption.{VIOLATED}"
    assert caught.value.facts["key"] == "key"
    assert [wrong.field for wrong in caught.value.violations] == ["items[1].accept"]


@pytest.mark.parametrize(
    ("items", "path"),
    [
        ([NAMES, create(ME), create(ME)], "items[2].attribute.key"),
        ([create(ME), group(NAMES, read(ME)), create(ME)], "items[1].items[1].query.key"),
        ([create(""), propose()], "items[1].query.key"),
    ],
)
def test_the_second_item_of_a_key_is_named(items: Any, path: str) -> None:
    result = check_key_uniqueness_for_creation({"items": items}, PEER)
    assert [wrong.field for wrong in result.violations] == [path]


@pytest.mark.parametrize(
    ("items", "decisions", "path"),
    [
        ([create(PEER, must=False)] * 3, [YES, NO, YES], "items[2].accept"),
        (
            [create(PEER), group(NAMES, create(PEER, must=False))],
            [YES, {"items": [NO, YES]}],
            "items[1].group.items[1].accept",
        ),
    ],
)
def test_the_second_decision_on_a_key_is_named(items: Any, decisions: Any, path: str) -> None:
    result = check_key_uniqueness_for_acceptance({"items": items}, decisions, ME)
    assert [wrong.field for wrong in result.violations] == [path]
