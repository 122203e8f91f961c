from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_connector.content.iql import And, IqlSyntaxError, Not, Or, Term, evaluate_iql, is_iql, parse_iql
from tests.support.content_texts import NO_QUERIES

GIVEN_NAME = Term(None, "", value_type="GivenName")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("GivenName", GIVEN_NAME),
        ("!GivenName", Not(GIVEN_NAME)),
        ("!!GivenName", GIVEN_NAME),
        ("GivenName=Ada", Term(("value", "value"), "=", "Ada", "GivenName")),
        ("GivenName='Ada L'", Term(("value", "value"), "=", "Ada L", "GivenName")),
        ("StreetAddress.city=Rom", Term(("value", "city"), "=", "Rom", "StreetAddress")),
        ("StreetAddress.city?", Term(("value", "city"), "?", "", "StreetAddress")),
        ("owner=did", Term(("owner",), "=", "did")),
        ("value.value=1", Term(("value", "value"), "=", "1")),
        ("tags~a", Term(("tags",), "~", "a")),
        ("#a", Term(("tags",), "~", "a")),
        ("#", Term(("tags",), "~", "")),
        (r"#'a\'b\\'", Term(("tags",), "~", r"a'b" + "\\")),
        (r"#a\'b", Term(("tags",), "~", "a'b")),
        ("#a&&B", Term(("tags",), "~", "a&&B")),
        ("BirthDate<2000-01-01", Term(("value", "value"), "<", "2000-01-01", "BirthDate")),
        (
            "GivenName && #a || Sex",
            Or((And((GIVEN_NAME, Term(("tags",), "~", "a"))), Term(None, "", value_type="Sex"))),
        ),
        ("( GivenName )", GIVEN_NAME),
        ("!( GivenName || Sex )", Not(Or((GIVEN_NAME, Term(None, "", value_type="Sex"))))),
        ("GivenName \t\r\n && \n Sex", And((GIVEN_NAME, Term(None, "", value_type="Sex")))),
    ],
)
def test_queries_are_read_by_the_grammar(text: str, tree: Any) -> None:
    assert parse_iql(text) == tree


@pytest.mark.parametrize("text", NO_QUERIES)
def test_other_texts_are_no_queries(text: str) -> None:
    assert not is_iql(text)


def test_the_error_tells_the_column() -> None:
    with pytest.raises(IqlSyntaxError) as caught:
        parse_iql("GivenName && ?")
    assert caught.value.column == 14


@given(st.text(alphabet="GSaz.=<>~?#!()&| '\\\t", max_size=30))
def test_any_text_is_a_query_or_an_error(text: str) -> None:
    if is_iql(text):
        evaluate_iql(parse_iql(text), [{"value": {"@type": "GS"}}])


ATTRIBUTES = [
    {
        "@type": "IdentityAttribute",
        "owner": "did",
        "tags": ["private", "a b"],
        "value": {"@type": "GivenName", "value": "Ada"},
    },
    {"@type": "IdentityAttribute", "owner": "", "tags": [], "value": {"@type": "GivenName", "value": "Eve"}},
    {
        "@type": "IdentityAttribute",
        "owner": "did",
        "value": {"@type": "StreetAddress", "city": "Rom", "houseNo": "1", "state": None, "more": {}},
    },
    {
        "@type": "IdentityAttribute",
        "owner": "did",
        "value": {"@type": "Number", "value": 1, "date": "2000-01-01", "yes": True},
    },
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("GivenName", [0, 1]),
        ("!GivenName", [2, 3]),
        ("GivenName=Ada", [0]),
        ("GivenName && !#private", [1]),
        ("GivenName=Ada || StreetAddress", [0, 2]),
        ("#'a b'", [0]),
        ("#b", []),
        ("owner=did && GivenName", [0]),
        ("owner=", [1]),
        ("tags?", [0]),
        ("!tags?", [1, 2, 3]),
        ("StreetAddress.city=Rom", [2]),
        ("GivenName.city=Rom", []),
        ("StreetAddress.state?", []),
        ("StreetAddress.state=null", []),
        ("StreetAddress.more?", []),
        ("value.more='[object Object]'", [2]),
        ("value.value=1", [3]),
        ("Number.yes=true", [3]),
        ("tags=private,a", []),
        ("tags='private,a b'", [0]),
        ("owner~did", []),
        ("Number.date>1999-12-31", [3]),
        ("Number.date>2000-01-01", [3]),
        ("Number.date<2000-01-01", [3]),
        ("Number.date<1999", []),
        ("Number.date>soon", []),
        ("Number.date<soon", []),
        ("Number<1970-01-02", [3]),
    ],
)
def test_queries_find_attributes(text: str, found: list[int]) -> None:
    assert evaluate_iql(parse_iql(text), ATTRIBUTES) == found


@pytest.mark.parametrize("number", [8.64e15, 8.64e15 + 2, -8.64e15 - 2, 1e300, 10**400, -(10**400)])
def test_numbers_are_moments_as_far_as_those_of_javascript_go(number: float) -> None:
    attribute = {"@type": "IdentityAttribute", "value": {"@type": "Number", "value": number}}
    is_moment = abs(number) <= 8.64e15
    assert evaluate_iql(parse_iql("Number>2000-01-01"), [attribute]) == ([0] if is_moment else [])
    assert evaluate_iql(parse_iql("Number<2000-01-01"), [attribute]) == []
