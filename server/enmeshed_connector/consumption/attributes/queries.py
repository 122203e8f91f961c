"""Which attributes answer a query. Source: consumption.md, section 6.

Keys and tags are compared exactly, where official peers read some texts as numbers or patterns.
"""

from __future__ import annotations

from enmeshed_connector.consumption.attributes.checks import IDENTITY, RELATIONSHIP
from enmeshed_connector.consumption.attributes.documents import Kind
from enmeshed_connector.consumption.attributes.errors import QueryInvalid
from enmeshed_connector.consumption.attributes.repository import Reader, find
from enmeshed_connector.content.iql import IqlSyntaxError, Query, evaluate_iql, parse_iql
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.storage import Filter, all_of, any_of, where
from enmeshed_connector.transport.objects import Document

_SHAREABLE = where("content.confidentiality").ne("private")


class AttributeQueries:
    """Executes queries of one identity. They are valid by the rules of their types; answers come oldest first."""

    def __init__(self, own_address: str) -> None:
        """Takes the address of this identity."""
        self._own_address = own_address

    async def identity(self, reader: Reader, query: JsonObject) -> list[Document]:
        """Returns the own identity attributes, all versions, of a value type and with one of the tags, if any is
        given.
        """
        parts: list[Filter] = [
            where("content.@type").eq(IDENTITY),
            where("content.owner").eq(self._own_address),
            where("content.value.@type").eq(query["valueType"]),
        ]
        if query.get("tags"):
            parts.append(where("content.tags").is_in(query["tags"]))
        return await find(reader, all_of(*parts))

    async def relationship(self, reader: Reader, query: JsonObject) -> Document | None:
        """Returns the oldest relationship attribute of a key and owner that is not private; None without."""
        owner = query["owner"] or self._own_address
        condition = all_of(
            where("content.@type").eq(RELATIONSHIP),
            where("content.key").eq(query["key"]),
            where("content.owner").eq(owner),
            _SHAREABLE,
        )
        found = await find(reader, condition, limit=1)
        return found[0] if found else None

    async def third_party(self, reader: Reader, query: JsonObject) -> list[Document]:
        """Returns the attributes of relationships with the third parties that are not private.

        With `""` among the third parties the relationship may be with anybody, but the owner is this identity or one of
        those that are named.
        """
        parties = query["thirdParty"]
        named = [party for party in parties if party]
        owners = {
            "recipient": where("content.owner").eq(self._own_address),
            "thirdParty": where("content.owner").is_in(named),
            "": any_of(where("content.owner").eq(self._own_address), where("content.owner").is_in(named)),
        }
        conditions = [
            where("content.@type").eq(RELATIONSHIP),
            where("content.key").eq(query["key"]),
            owners[query["owner"]],
            _SHAREABLE,
        ]
        if "" not in parties:
            conditions.append(where("peer").is_in(named))
        return await find(reader, all_of(*conditions))

    async def iql(self, reader: Reader, text: str) -> list[Document]:
        """Returns the own identity attributes, all versions, that a query in the identity query language finds.

        Raises:
            QueryInvalid: It is no query.
        """
        query = read_iql(text)
        attributes = await find(reader, where("@type").eq(Kind.OWN_IDENTITY.value))
        return [attributes[index] for index in evaluate_iql(query, [one["content"] for one in attributes])]


def read_iql(text: str) -> Query:
    """Returns the tree of a query.

    Raises:
        QueryInvalid: It is no query.
    """
    try:
        return parse_iql(text)
    except IqlSyntaxError as error:
        position = error.column - 1
        raise QueryInvalid(
            f"The query cannot be read behind its first {position} characters.", facts={"position": str(position)}
        ) from None
