"""Queries of items: whether they can be asked, and whether an attribute is what they ask for.

Source: consumption.md, sections 11.1 and 11.2.
"""

from __future__ import annotations

from enmeshed_connector.consumption.attributes.checks import IDENTITY, RELATIONSHIP
from enmeshed_connector.consumption.attributes.documents import value_type_of
from enmeshed_connector.content.iql import is_iql
from enmeshed_connector.core.canonical_json import JsonObject

IDENTITY_QUERY = "IdentityAttributeQuery"
RELATIONSHIP_QUERY = "RelationshipAttributeQuery"
THIRD_PARTY_QUERY = "ThirdPartyRelationshipAttributeQuery"
IQL_QUERY = "IQLQuery"

_CONSENT = "Consent"


def third_parties(query: JsonObject) -> list[str]:
    """Returns the addresses of a third-party query; a single one from a peer stands for a list. `""` is anybody."""
    parties = query["thirdParty"]
    return [parties] if isinstance(parties, str) else list(parties)


def query_violation(query: JsonObject, own_address: str, peer: str | None) -> str | None:
    """Returns why this identity cannot ask it, None when it can.

    Args:
        query: A query that is valid by the rules of its type.
        own_address: The address of the one who asks.
        peer: Who is asked, where that is known.
    """
    if query["@type"] == THIRD_PARTY_QUERY:
        parties = third_parties(query)
        if own_address in parties:
            return "The one who asks is no third party."
        if peer is not None and peer in parties:
            return "The one who is asked is no third party."
    if query["@type"] == IQL_QUERY and not is_iql(query["queryString"]):
        return "The query string cannot be read."
    return None


def tags_of_query(query: JsonObject) -> tuple[str, list[str]] | None:
    """Returns the tags of a query with the value type that they belong to, None for one that cannot have any."""
    if query["@type"] == IDENTITY_QUERY:
        return query["valueType"], query.get("tags") or []
    hints = query.get("attributeCreationHints") if query["@type"] == IQL_QUERY else None
    return None if hints is None else (hints["valueType"], hints.get("tags") or [])


def mismatch(query: JsonObject, content: JsonObject, *, answering: str, asking: str) -> str | None:
    """Returns why an attribute is not what a query asks for, None when it is.

    Args:
        query: A query that is valid by the rules of its type.
        content: The content of an attribute, valid likewise.
        answering: The address of the one who answers; empty when a proposal is made.
        asking: The address of the one who asks.
    """
    kind = query["@type"]
    expected = IDENTITY if kind in (IDENTITY_QUERY, IQL_QUERY) else RELATIONSHIP
    if content["@type"] != expected:
        return f"The attribute must be of type {expected}."
    if kind in (IDENTITY_QUERY, IQL_QUERY):
        return _identity_mismatch(query, content, answering)
    if content["key"] != query["key"]:
        return "The key of the attribute is not the one asked for."
    if kind == THIRD_PARTY_QUERY:
        return _third_party_mismatch(query, content["owner"], answering=answering, asking=asking)
    return _relationship_mismatch(query, content, answering)


def _identity_mismatch(query: JsonObject, content: JsonObject, answering: str) -> str | None:
    if content["owner"] != answering:
        return "The owner of the attribute must be the one who answers."
    if query["@type"] == IQL_QUERY:
        return None
    if value_type_of(content) != query["valueType"]:
        return f"The value must be of type {query['valueType']}."
    tags = query.get("tags") or []
    if tags and not set(tags) & set(content.get("tags") or []):
        return "The attribute bears none of the tags asked for."
    return None


def _relationship_mismatch(query: JsonObject, content: JsonObject, answering: str) -> str | None:
    hints, value = query["attributeCreationHints"], content["value"]
    if content["owner"] != (query["owner"] or answering):
        return "The owner of the attribute is not the one asked for."
    if content["confidentiality"] != hints["confidentiality"]:
        return f"The confidentiality must be {hints['confidentiality']}."
    if value["@type"] != hints["valueType"]:
        return f"The value must be of type {hints['valueType']}."
    # A consent has no title.
    if value["@type"] != _CONSENT:
        for name in ("title", "description"):
            if value.get(name) != hints.get(name):
                return f"The {name} of the value is not the one asked for."
    return None


def _third_party_mismatch(query: JsonObject, owner: str, *, answering: str, asking: str) -> str | None:
    parties = third_parties(query)
    is_of_anybody = "" in parties
    fits = {
        "recipient": owner == answering,
        "thirdParty": owner in parties or (is_of_anybody and owner != answering),
        "": owner == answering or owner in parties or is_of_anybody,
    }
    if owner == asking or not fits[query["owner"]]:
        return "The owner of the attribute is not one of those asked for."
    return None
