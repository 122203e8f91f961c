"""Which attributes answer a query for one of a relationship with others."""

from __future__ import annotations

import pytest

from tests.support.consumption import Holder

PEER = "did:e:localhost:dids:1111111111111111111111"
OTHER = "did:e:localhost:dids:2222222222222222222222"
NOBODY = "did:e:localhost:dids:3333333333333333333333"


@pytest.mark.parametrize(
    ("owner", "parties", "expected"),
    [
        ("recipient", [PEER], ["own, PEER"]),
        ("thirdParty", [PEER], ["PEER's"]),
        ("", [PEER], ["PEER's", "own, PEER"]),
        ("", [PEER, OTHER], ["OTHER's", "PEER's", "own, OTHER", "own, PEER"]),
        ("", [NOBODY], []),
        # With anybody, but belonging to this identity or to one that is named.
        ("recipient", [""], ["own, OTHER", "own, PEER"]),
        ("", ["", NOBODY], ["own, OTHER", "own, PEER"]),
        ("", [PEER, ""], ["PEER's", "own, OTHER", "own, PEER"]),
        ("thirdParty", [""], []),
        ("thirdParty", ["", OTHER], ["OTHER's"]),
    ],
)
async def test_third_parties_are_those_that_are_named_or_anybody(
    alice: Holder, owner: str, parties: list[str], expected: list[str]
) -> None:
    stored = {
        "own, PEER": await alice.own_of_relationship(PEER),
        "own, OTHER": await alice.own_of_relationship(OTHER),
        "PEER's": await alice.of_peer_relationship(PEER),
        "OTHER's": await alice.of_peer_relationship(OTHER),
    }
    await alice.own_of_relationship(PEER, "another")
    await alice.of_peer_relationship(PEER, "key", confidentiality="private")
    names = {attribute["id"]: name for name, attribute in stored.items()}
    query = {"@type": "ThirdPartyRelationshipAttributeQuery", "key": "key", "owner": owner, "thirdParty": parties}

    found = await alice.attributes.queries.third_party(alice.transport.context.store, query)

    assert sorted(names[attribute["id"]] for attribute in found) == expected
