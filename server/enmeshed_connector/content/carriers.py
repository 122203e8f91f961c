"""The roots: what stands in messages, templates, creations of relationships and tokens.

Source: `spec/content.md` sections 3 and 4.
"""

from __future__ import annotations

from typing import Final

from .attributes import ADDRESS
from .notifications import NOTIFICATION
from .requests import METADATA, REQUEST, TITLE
from .responses import RESPONSE, RESPONSE_WRAPPER
from .rules import AnyJson, ListOf, ObjectType, OneOf, Text, by_name, one_of, optional, required
from .types import CREATION_CONTENT_TYPES, MESSAGE_CONTENT_TYPES, TEMPLATE_CONTENT_TYPES
from .values import CREDENTIAL_PROPERTIES

_ARBITRARY: Final = {"value": required(AnyJson())}

MAIL: Final = ObjectType(
    "Mail",
    {
        "to": required(ListOf(ADDRESS, min=1)),
        "cc": optional(ListOf(ADDRESS), null=True),
        "subject": required(Text(max=300)),
        "body": required(Text(max=50_000), alias="content"),
        "bodyFormat": optional(one_of("PlainText", "Markdown"), null=True),
    },
)

_ROOTS: Final = by_name(
    MAIL,
    REQUEST,
    RESPONSE_WRAPPER,
    NOTIFICATION,
    ObjectType("ArbitraryMessageContent", _ARBITRARY),
    ObjectType("ArbitraryRelationshipTemplateContent", _ARBITRARY),
    ObjectType("ArbitraryRelationshipCreationContent", _ARBITRARY),
    ObjectType(
        "RelationshipTemplateContent",
        {
            "title": optional(TITLE),
            "metadata": optional(METADATA),
            "onNewRelationship": required(REQUEST),
            "onExistingRelationship": optional(REQUEST),
        },
    ),
    ObjectType("RelationshipCreationContent", {"response": required(RESPONSE)}),
    ObjectType("TokenContentVerifiablePresentation", CREDENTIAL_PROPERTIES),
)

ANY_ROOT: Final = OneOf(_ROOTS)
"""Everything that may be a root."""

MESSAGE_CONTENT: Final = OneOf({name: _ROOTS[name] for name in MESSAGE_CONTENT_TYPES})
TEMPLATE_CONTENT: Final = OneOf({name: _ROOTS[name] for name in TEMPLATE_CONTENT_TYPES})
CREATION_CONTENT: Final = OneOf({name: _ROOTS[name] for name in CREATION_CONTENT_TYPES.values()})
