"""Owners that were left empty: consumption.md, section 10.4."""

from enmeshed_connector.consumption.requests.processors.owners import item_with_owner
from tests.support.consumption import identity, relationship
from tests.support.request_items import identity_query, item_of, relationship_query

ME, PEER = (f"did:e:localhost:dids:{digit * 22}" for digit in "12")


def test_an_empty_owner_is_replaced_where_something_is_created() -> None:
    item = item_of("CreateAttribute", attribute=identity(""))
    assert item_with_owner(item, ME) == item_of("CreateAttribute", attribute=identity(ME))
    assert item["attribute"]["owner"] == ""
    assert item_with_owner(item_of("CreateAttribute", attribute=relationship(PEER)), ME)["attribute"]["owner"] == PEER


def test_what_is_asked_for_stays_as_it_was_asked() -> None:
    proposal = item_of("ProposeAttribute", query=identity_query(), attribute=identity(""))
    question = item_of("ReadAttribute", query=relationship_query(""))
    consent = item_of("Consent", consent="Yes")
    for item in (proposal, question, consent):
        assert item_with_owner(item, ME) == item
