"""Whether a request or an item fulfils the conditions of a rule. No I/O, no clock.

| condition | is fulfilled when |
|---|---|
| a date (`createdAt`, `content.expiresAt`) | it is that moment, or later (`>…`), or earlier (`<…`); all of a list |
| `…tags` | one tag is common |
| `relationshipAlreadyExists` | true: there is a relationship with the peer, of whatever status; false: there is none |
| anything else | the values are equal; of several one |

What the request does not hold fulfils no condition.

Source: consumption.md, section 16.2; connector.md, section 9.1.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.malformed import MalformedValue

RELATIONSHIP_EXISTS: Final = "relationshipAlreadyExists"
ITEM_PREFIX: Final = "content.item."
ITEM_TYPE: Final = "@type"


class Kind(enum.Enum):
    """How the value of a condition is written and compared."""

    TEXT = "a text, or a list of texts"
    DATE = "a date, perhaps behind > or <, or a list of these"
    TAGS = "a list of tags"
    TRUTH = "true or false"
    ANY = "a value, or a list of values"


def _table(*rows: tuple[Kind, str]) -> Mapping[str, Kind]:
    return MappingProxyType({name: kind for kind, names in rows for name in names.split()})


REQUEST_CONDITIONS: Final = _table(
    (Kind.TEXT, "peer source.type content.title content.description"),
    (Kind.DATE, "createdAt content.expiresAt"),
    (Kind.ANY, "content.metadata"),
    (Kind.TRUTH, RELATIONSHIP_EXISTS),
)
"""The conditions on the request as a whole."""

_EVERY_ITEM = _table((Kind.TEXT, "@type description"), (Kind.TRUTH, "mustBeAccepted"), (Kind.ANY, "metadata"))
_ATTRIBUTE = _table(
    (
        Kind.TEXT,
        "attribute.@type attribute.key attribute.confidentiality attribute.value.@type attribute.value.title "
        "attribute.value.description",
    ),
    (Kind.TAGS, "attribute.tags"),
    (Kind.TRUTH, "attribute.isTechnical"),
    (Kind.ANY, "attribute.value.value"),
)
_OWNER = _table((Kind.TEXT, "attribute.owner"))
_QUERY = _table(
    (
        Kind.TEXT,
        "query.@type query.valueType query.key query.queryString query.attributeCreationHints.title "
        "query.attributeCreationHints.description query.attributeCreationHints.valueType "
        "query.attributeCreationHints.confidentiality",
    ),
    (Kind.TAGS, "query.tags query.attributeCreationHints.tags"),
)
_QUERY_OWNER = _table((Kind.TEXT, "query.owner"))

ITEM_CONDITIONS: Final[Mapping[str, Mapping[str, Kind]]] = MappingProxyType(
    {
        "AuthenticationRequestItem": _EVERY_ITEM,
        "ConsentRequestItem": _EVERY_ITEM,
        "CreateAttributeRequestItem": {**_EVERY_ITEM, **_ATTRIBUTE, **_OWNER},
        "DeleteAttributeRequestItem": _EVERY_ITEM,
        "FormFieldRequestItem": _EVERY_ITEM,
        "ProposeAttributeRequestItem": {**_EVERY_ITEM, **_ATTRIBUTE, **_QUERY},
        "ReadAttributeRequestItem": {**_EVERY_ITEM, **_QUERY, **_QUERY_OWNER},
        "ShareAttributeRequestItem": {**_EVERY_ITEM, **_ATTRIBUTE, **_OWNER},
        "ShareAuthorizationRequestRequestItem": _EVERY_ITEM,
        "ShareCredentialOfferRequestItem": _EVERY_ITEM,
        "TransferFileOwnershipRequestItem": _EVERY_ITEM,
    }
)
"""The conditions on items, without their prefix, by the type of the item."""
ANY_ITEM_CONDITIONS: Final[Mapping[str, Kind]] = MappingProxyType(
    {name: kind for conditions in ITEM_CONDITIONS.values() for name, kind in conditions.items()}
)
"""Those on items of whatever type; they are fulfilled by items of types that have them."""


def request_fulfils(conditions: Mapping[str, Json], request: JsonObject, *, relationship_exists: bool) -> bool:
    """Tells whether a request fulfils all conditions.

    Args:
        conditions: By their names in `REQUEST_CONDITIONS`, with values of the right kind.
        request: The local request: `peer`, `createdAt`, `source`, `content`.
        relationship_exists: Whether there is a relationship with the peer, of whatever status.
    """
    return all(
        value is relationship_exists
        if name == RELATIONSHIP_EXISTS
        else _fulfils(REQUEST_CONDITIONS[name], value, _member(request, name))
        for name, value in conditions.items()
    )


def item_fulfils(conditions: Mapping[str, Json], item: JsonObject) -> bool:
    """Tells whether an item fulfils all conditions.

    Args:
        conditions: By their names in `ITEM_CONDITIONS`, without prefix, with values of the right kind.
        item: The request item.
    """
    known = ITEM_CONDITIONS.get(item.get(ITEM_TYPE, ""), {}) if isinstance(item.get(ITEM_TYPE), str) else {}
    return all(
        name in known and _fulfils(known[name], value, _member(item, name)) for name, value in conditions.items()
    )


def is_date_condition(text: str) -> bool:
    """Tells whether a text is a date that conditions may hold."""
    try:
        parse_date(text.lstrip("<>") if text[:1] in ("<", ">") and text[1:2] not in ("<", ">") else text, "date")
    except MalformedValue:
        return False
    return True


_ABSENT: Final = object()


def _member(value: Json, path: str) -> object:
    """Returns what is at a dotted path, or `_ABSENT`."""
    found: object = value
    for name in path.split("."):
        if not isinstance(found, dict) or name not in found:
            return _ABSENT
        found = found[name]
    return found


def _fulfils(kind: Kind, wanted: Json, found: object) -> bool:
    if found is _ABSENT:
        return False
    several = wanted if isinstance(wanted, list) else [wanted]
    if kind is Kind.TAGS:
        return isinstance(found, list) and any(tag in found for tag in several)
    if kind is Kind.DATE:
        return isinstance(found, str) and all(_date_fulfils(date, found) for date in several)
    return any(_are_equal(one, found) for one in several)


def _date_fulfils(wanted: str, found: str) -> bool:
    try:
        moment = parse_date(found, "date")
        if wanted.startswith(">"):
            return moment > parse_date(wanted[1:], "date")
        if wanted.startswith("<"):
            return moment < parse_date(wanted[1:], "date")
        return moment == parse_date(wanted, "date")
    except MalformedValue:
        # A peer may have written anything.
        return False


def _are_equal(one: object, other: object) -> bool:
    """Compares JSON: in Python, true equals 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_are_equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_are_equal(a, b) for a, b in zip(one, other, strict=True))
    return isinstance(one, bool) is isinstance(other, bool) and one == other
