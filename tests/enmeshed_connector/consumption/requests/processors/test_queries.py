"""Which queries can be asked, and which attributes answer them: consumption.md, sections 11.1 and 11.2."""

from typing import Any

import pytest

from enmeshed_connector.consumption.requests.processors.queries import (
    QueryTags,
    mismatch,
    query_violation,
    tags_of_query,
    third_parties,
)
from tests.support.consumption import identity, relationship
from tests.support.request_items import identity_query, iql_query, relationship_query, third_party_query

S, R, T = (f"did:e:localhost:dids:{digit * 22}" for digit in "123")


@pytest.mark.parametrize(
    ("query", "peer", "is_right"),
    [
        (third_party_query(T), R, True),
        (third_party_query(T, ""), R, True),
        (third_party_query(R), None, True),
        (third_party_query(T, S), R, False),
        (third_party_query(T, S), None, False),
        (third_party_query(T, R), R, False),
        (third_party_query(T) | {"thirdParty": R}, R, False),
        (iql_query("GivenName && #a"), R, True),
        (iql_query("(GivenName"), R, False),
        (identity_query(), R, True),
        (relationship_query(), R, True),
    ],
)
def test_a_query_is_not_about_those_who_take_part(query: Any, peer: str | None, is_right: bool) -> None:
    assert (query_violation(query, S, peer) is None) is is_right


CONSENT = {"@type": "Consent", "consent": "I agree"}


@pytest.mark.parametrize(
    ("query", "content", "fits"),
    [
        (identity_query(), identity(R), True),
        (identity_query(), identity(S), False),
        (identity_query(), identity(R, value_type="Surname"), False),
        (identity_query(), relationship(R), False),
        (identity_query(tags=[]), identity(R), True),
        (identity_query(tags=["x:a", "x:b"]), identity(R, tags=["x:b"]), True),
        (identity_query(tags=["x:a"]), identity(R, tags=["x:b"]), False),
        (identity_query(tags=["x:a"]), identity(R), False),
        (iql_query(), identity(R), True),
        # The text of a query says what is looked for, not what is allowed.
        (iql_query("Surname"), identity(R), True),
        (iql_query(), identity(S), False),
        (iql_query(), relationship(R), False),
        (relationship_query(), relationship(R), True),
        (relationship_query(), relationship(S), False),
        (relationship_query(S), relationship(S), True),
        (relationship_query(S), relationship(R), False),
        (relationship_query(T), relationship(T), True),
        (relationship_query(), identity(R), False),
        (relationship_query(key="other"), relationship(R), False),
        (relationship_query(confidentiality="private"), relationship(R), False),
        (relationship_query(valueType="ProprietaryURL"), relationship(R), False),
        (relationship_query(title="Other"), relationship(R), False),
        (relationship_query(description="Text"), relationship(R), False),
        (
            relationship_query(description="Text"),
            relationship(R) | {"value": {**relationship(R)["value"], "description": "Text"}},
            True,
        ),
        (relationship_query(), relationship(R) | {"value": {**relationship(R)["value"], "description": "Text"}}, False),
        (relationship_query(valueType="Consent"), relationship(R) | {"value": CONSENT}, True),
        (third_party_query(T), identity(R), False),
        (third_party_query(T, key="other"), relationship(R), False),
        (third_party_query(T), relationship(S), False),
        (third_party_query("", T), relationship(S), False),
        (third_party_query(T, owner="recipient"), relationship(R), True),
        (third_party_query(T, owner="recipient"), relationship(T), False),
        (third_party_query(T, owner="thirdParty"), relationship(T), True),
        (third_party_query(T, owner="thirdParty"), relationship(R), False),
        (third_party_query("", owner="thirdParty"), relationship(T), True),
        (third_party_query("", owner="thirdParty"), relationship(R), False),
        (third_party_query("", owner="thirdParty"), relationship(S), False),
        (third_party_query(T), relationship(R), True),
        (third_party_query(T), relationship(T), True),
        (third_party_query(R), relationship(T), False),
        (third_party_query(""), relationship(T), True),
    ],
)
def test_an_attribute_answers_the_query_that_asks_for_it(query: Any, content: Any, fits: bool) -> None:
    assert (mismatch(query, content, answering=R, asking=S) is None) is fits


def test_a_proposal_has_no_owner_yet() -> None:
    assert mismatch(identity_query(), identity(""), answering="", asking=S) is None
    assert mismatch(relationship_query(), relationship(""), answering="", asking=S) is None
    assert mismatch(identity_query(), identity(R), answering="", asking=S) is not None


def test_tags_of_queries_belong_to_a_value_type() -> None:
    assert tags_of_query(identity_query(tags=["x:a"])) == QueryTags("GivenName", ["x:a"], "")
    assert tags_of_query(identity_query()) == QueryTags("GivenName", [], "")
    hints = QueryTags("Surname", ["x:b"], "attributeCreationHints")
    assert tags_of_query(iql_query(valueType="Surname", tags=["x:b"])) == hints
    assert tags_of_query(iql_query()) is None
    assert tags_of_query(relationship_query()) is None


def test_a_single_third_party_of_a_peer_stands_for_a_list() -> None:
    assert third_parties({**third_party_query(), "thirdParty": T}) == [T]
    assert third_parties(third_party_query(T, "")) == [T, ""]
