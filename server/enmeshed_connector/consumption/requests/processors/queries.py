"""Queries of items: whether they can be asked, and whether an attribute is what they ask for.

Source: consumption.md, sections 11.1 and 11.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from enmeshed_connector.consumption.attributes.checks import IDENTITY, RELATIONSHIP
from enmeshed_connector.consumption.attributes.documents import value_type_of
from enmeshed_connector.consumption.requests.results import Problem
from enmeshed_connector.content.iql import is_iql
from enmeshed_connector.core.canonical_json import JsonObject

IDENTITY_QUERY = "IdentityAttributeQuery"
RELATIONSHIP_QUERY = "RelationshipAttributeQuery"
THIRD_PARTY_QUERY = "ThirdPartyRelationshipAttributeQuery"
IQL_QUERY = "IQLQuery"

_CONSENT = "Consent"


@dataclass(frozen=True)
class QueryTags:
    """The tags that a query asks for."""

    value_type: str
    """Whose tags they are."""
    tags: list[str]
    place: str
    """Where in the query they and the value type stand; empty: in itself."""


def third_parties(query: JsonObject) -> list[str]:
    """Returns the addresses of a third-party query; a single one from a peer stands for a list. `""` is anybody."""
    parties = query["thirdParty"]
    return [parties] if isinstance(parties, str) else list(parties)


def query_violation(query: JsonObject, own_address: str, peer: str | None) -> Problem | None:
    """Returns why this identity cannot ask it, None when it can. Paths begin at the query.

    Args:
        query: A query that is valid by the rules of its type.
        own_address: The address of the one who asks.
        peer: Who is asked, where that is known.
    """
    if query["@type"] == THIRD_PARTY_QUERY:
        for place, party in enumerate(third_parties(query)):
            if party == own_address:
                return Problem.at(f"thirdParty[{place}]", "The one who asks is no third party.")
            if party == peer:
                return Problem.at(f"thirdParty[{place}]", "The one who is asked is no third party.")
    if query["@type"] == IQL_QUERY and not is_iql(query["queryString"]):
        return Problem.at("queryString", "The query string cannot be read.")
    return None


def tags_of_query(query: JsonObject) -> QueryTags | None:
    """Returns the tags of a query, None for one that cannot have any."""
    if query["@type"] == IDENTITY_QUERY:
        return QueryTags(query["valueType"], query.get("tags") or [], "")
    hints = query.get("attributeCreationHints") if query["@type"] == IQL_QUERY else None
    return None if hints is None else QueryTags(hints["valueType"], hints.get("tags") or [], "attributeCreationHints")


def mismatch(query: JsonObject, content: JsonObject, *, answering: str, asking: str) -> Problem | None:
    """Returns why an attribute is not what a query asks for, None when it is. Paths begin at the attribute.

    Args:
        query: A query that is valid by the rules of its type.
        content: The content of an attribute, valid likewise.
        answering: The address of the one who answers; empty when a proposal is made.
        asking: The address of the one who asks.
    """
    kind = query["@type"]
    expected = IDENTITY if kind in (IDENTITY_QUERY, IQL_QUERY) else RELATIONSHIP
    if content["@type"] != expected:
        return Problem.at("@type", f"The attribute must be of type {expected}.")
    if kind in (IDENTITY_QUERY, IQL_QUERY):
        return _identity_mismatch(query, content, answering)
    if content["key"] != query["key"]:
        return Problem.at("key", "The key of the attribute is not the one asked for.")
    if kind == THIRD_PARTY_QUERY:
        return _third_party_mismatch(query, content["owner"], answering=answering, asking=asking)
    return _relationship_mismatch(query, content, answering)


def _identity_mismatch(query: JsonObject, content: JsonObject, answering: str) -> Problem | None:
    if content["owner"] != answering:
        return Problem.at("owner", "The owner of the attribute must be the one who answers.")
    if query["@type"] == IQL_QUERY:
        return None
    if value_type_of(content) != query["valueType"]:
        return Problem.at("value.@type", f"The value must be of type {query['valueType']}.")
    tags = query.get("tags") or []
    if tags and not set(tags) & set(content.get("tags") or []):
        return Problem.at("tags", "The attribute bears none of the tags asked for.")
    return None


def _relationship_mismatch(query: JsonObject, content: JsonObject, answering: str) -> Problem | None:
    hints, value = query["attributeCreationHints"], content["value"]
    if content["owner"] != (query["owner"] or answering):
        return Problem.at("owner", "The owner of the attribute is not the one asked for.")
    if content["confidentiality"] != hints["confidentiality"]:
        return Problem.at("confidentiality", f"The confidentiality must be {hints['confidentiality']}.")
    if value["@type"] != hints["valueType"]:
        return Problem.at("value.@type", f"The value must be of type {hints['valueType']}.")
    # A consent has no title.
    if value["@type"] != _CONSENT:
        for name in ("title", "description"):
            if value.get(name) != hints.get(name):
                return Problem.at(f"value.{name}", f"The {name} of the value is not the one asked for.")
    return None


def _third_party_mismatch(query: JsonObject, owner: str, *, answering: str, asking: str) -> Problem | None:
    parties = third_parties(query)
    is_of_anybody = "" in parties
    fits = {
        "recipient": owner == answering,
        "thirdParty": owner in parties or (is_of_anybody and owner != answering),
        "": owner == answering or owner in parties or is_of_anybody,
    }
    if owner == asking or not fits[query["owner"]]:
        return Problem.at("owner", "The owner of the attribute is not one of those asked for.")
    return None
