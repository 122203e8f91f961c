"""Attributes and the queries for them. Source: `spec/content.md` sections 9.2, 9.3 and 11."""

from __future__ import annotations

from typing import Final

from .hints import VALUE_HINTS
from .iql import is_iql
from .rules import Boolean, Check, ListOf, ObjectType, OneOf, Rule, Text, by_name, one_of, optional, required
from .types import IDENTITY_VALUE_TYPES, RELATIONSHIP_VALUE_TYPES
from .values import IDENTITY_VALUES, RELATIONSHIP_VALUES

ID: Final = Text()
"""An id. Its form is checked where ids are used; content only says that it is text."""

ADDRESS: Final = Text()
"""An address. May be empty, which has a meaning in several places."""

KEY: Final = Text(max=100)
TAGS: Final = ListOf(Text(max=250), max=20, unique=True)
CONFIDENTIALITY: Final = one_of("public", "private", "protected")

IDENTITY_ATTRIBUTE: Final = ObjectType(
    "IdentityAttribute",
    {"owner": required(ADDRESS), "value": required(OneOf(IDENTITY_VALUES)), "tags": optional(TAGS)},
)

RELATIONSHIP_ATTRIBUTE: Final = ObjectType(
    "RelationshipAttribute",
    {
        "owner": required(ADDRESS),
        "value": required(OneOf(RELATIONSHIP_VALUES)),
        "key": required(KEY),
        "isTechnical": optional(Boolean()),
        "confidentiality": required(CONFIDENTIALITY),
    },
)

ATTRIBUTE: Final = OneOf(by_name(IDENTITY_ATTRIBUTE, RELATIONSHIP_ATTRIBUTE))
"""Either kind of attribute."""

_IDENTITY_VALUE_TYPE: Final = Text(allowed=frozenset(IDENTITY_VALUE_TYPES), meaning="a value type of identities")
_RELATIONSHIP_VALUE_TYPE: Final = Text(
    allowed=frozenset(RELATIONSHIP_VALUE_TYPES), meaning="a value type of relationships"
)

IDENTITY_QUERY: Final = ObjectType(
    "IdentityAttributeQuery", {"valueType": required(_IDENTITY_VALUE_TYPE), "tags": optional(TAGS)}
)

RELATIONSHIP_QUERY: Final = ObjectType(
    "RelationshipAttributeQuery",
    {
        "key": required(KEY),
        "owner": required(ADDRESS),
        "attributeCreationHints": required(
            ObjectType(
                "RelationshipAttributeCreationHints",
                {
                    "title": required(Text(max=100)),
                    "valueType": required(_RELATIONSHIP_VALUE_TYPE),
                    "description": optional(Text(max=1000)),
                    "valueHints": optional(VALUE_HINTS),
                    "confidentiality": required(CONFIDENTIALITY),
                },
            )
        ),
    },
)


class _ThirdParties:
    """A list of addresses; from a peer also a single one."""

    _list: Rule = ListOf(ADDRESS, min=1)

    def check(self, value: object, path: str, check: Check) -> None:
        """Checks the list."""
        self._list.check([value] if check.tolerant and isinstance(value, str) else value, path, check)


THIRD_PARTY_QUERY: Final = ObjectType(
    "ThirdPartyRelationshipAttributeQuery",
    {
        "key": required(KEY),
        "owner": required(one_of("thirdParty", "recipient", "")),
        "thirdParty": required(_ThirdParties()),
    },
)

IQL_QUERY: Final = ObjectType(
    "IQLQuery",
    {
        "queryString": required(Text(max=4096, test=is_iql, meaning="a query of the identity query language")),
        "attributeCreationHints": optional(
            ObjectType("IQLQueryCreationHints", {"valueType": required(_IDENTITY_VALUE_TYPE), "tags": optional(TAGS)})
        ),
    },
)

READ_QUERY: Final = OneOf(by_name(IDENTITY_QUERY, RELATIONSHIP_QUERY, THIRD_PARTY_QUERY, IQL_QUERY))
"""The queries of an item that reads an attribute."""

PROPOSE_QUERY: Final = OneOf(by_name(IDENTITY_QUERY, RELATIONSHIP_QUERY, IQL_QUERY))
"""The queries of an item that proposes an attribute."""
