"""The rules of the decider, read from the form of the official Connector: `[{requestConfig, responseConfig}, …]`.

    {"requestConfig": {"content.item.@type": "CreateAttributeRequestItem", "peer": "did:e:…"},
     "responseConfig": {"accept": true}}

Source: consumption.md, section 16.2; connector.md, section 9.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from enmeshed_connector.content.characters import forbidden_character_keys
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.content.responses import rejection_violations
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.errors import FieldViolation, InvalidArgument
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.runtime.automation.decider.conditions import (
    ANY_ITEM_CONDITIONS,
    ITEM_CONDITIONS,
    ITEM_PREFIX,
    ITEM_TYPE,
    REQUEST_CONDITIONS,
    Kind,
    is_date_condition,
)

NEVER_AUTOMATIC: Final = frozenset({"AuthenticationRequestItem", "ConsentRequestItem"})
"""A request that holds one of these always waits for a manual decision."""
ACCEPTED_IN_GENERAL: Final = frozenset({"CreateAttributeRequestItem", "ShareAttributeRequestItem"})
"""What a rule without conditions on items may accept."""
RULE_MISMATCH: Final = "error.runtime.decide.requestConfigDoesNotMatchResponseConfig"

_PARTS: Final = ("requestConfig", "responseConfig")
_SOURCES: Final = ("Message", "RelationshipTemplate")
_DATA_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "DeleteAttributeRequestItem": "deletionDate",
        "ProposeAttributeRequestItem": "attribute",
        "ReadAttributeRequestItem": "newAttribute",
    }
)
"""What an acceptance holds besides, by the type of the item."""


class RulesInvalid(InvalidArgument):
    """The rules of the decider cannot be used. The violations name each place by its path."""

    reason = "SETTINGS_INVALID"


@dataclass(frozen=True)
class Rule:
    """One rule."""

    request: Mapping[str, Json]
    """The conditions on the request."""
    item: Mapping[str, Json]
    """The conditions on an item, without their prefix. Empty: the rule is about all items."""
    response: JsonObject = field(hash=False)
    """The decision for items that fit."""

    @property
    def accepts(self) -> bool:
        """Whether items that fit are accepted."""
        return self.response["accept"] is True

    @property
    def item_types(self) -> tuple[str, ...]:
        """The types of items that the rule is about; empty: all."""
        return tuple(_listed(self.item[ITEM_TYPE])) if ITEM_TYPE in self.item else ()

    def promises_too_late(self, now: datetime) -> bool:
        """Returns whether items that fit cannot be accepted any more, as the date of the deletion is over."""
        date = self.response.get("deletionDate")
        return date is not None and parse_date(date, "deletionDate") < now

    @property
    def never_applies(self) -> bool:
        """Whether the rule is about items only that are never decided automatically."""
        return bool(self.item_types) and NEVER_AUTOMATIC.issuperset(self.item_types)


def parse_rules(config: Json, path: str) -> tuple[Rule, ...]:
    """Returns the rules in their order.

    Args:
        config: The official form.
        path: The path of the list, for errors.

    Raises:
        RulesInvalid: Something in it is not allowed; the violations name all of it. The official code is that of a
            response that does not fit its conditions, when that is among it.
    """
    if not isinstance(config, list):
        raise _invalid([FieldViolation(path, "must be a list of rules")], is_mismatch=False)
    rules: list[Rule] = []
    violations: list[FieldViolation] = []
    is_mismatch = False
    for index, entry in enumerate(config):
        place = f"{path}[{index}]"
        problems = list(_problems_of_entry(entry, place))
        violations += problems
        if problems:
            continue
        rule = _rule(entry)
        mismatches = list(_mismatches(rule, f"{place}.responseConfig"))
        violations += mismatches
        is_mismatch = is_mismatch or bool(mismatches)
        rules.append(rule)
    if violations:
        raise _invalid(violations, is_mismatch=is_mismatch)
    return tuple(rules)


def _invalid(violations: list[FieldViolation], *, is_mismatch: bool) -> RulesInvalid:
    text = "; ".join(f"{violation.field}: {violation.description}" for violation in violations)
    return RulesInvalid(text, violations=violations, official_code=RULE_MISMATCH if is_mismatch else None)


def _rule(entry: JsonObject) -> Rule:
    conditions: JsonObject = entry["requestConfig"]
    return Rule(
        MappingProxyType({name: value for name, value in conditions.items() if not name.startswith(ITEM_PREFIX)}),
        MappingProxyType(
            {name[len(ITEM_PREFIX) :]: value for name, value in conditions.items() if name.startswith(ITEM_PREFIX)}
        ),
        dict(entry["responseConfig"]),
    )


def _problems_of_entry(entry: Json, place: str) -> Iterator[FieldViolation]:
    if not isinstance(entry, dict):
        yield FieldViolation(place, "must hold requestConfig and responseConfig")
        return
    for name in entry:
        if name not in _PARTS:
            yield FieldViolation(f"{place}.{name}", "is unknown: a rule holds requestConfig and responseConfig")
    for name in _PARTS:
        if not isinstance(entry.get(name), dict):
            yield FieldViolation(f"{place}.{name}", "must be given, as an object")
    if isinstance(entry.get("requestConfig"), dict):
        yield from _problems_of_conditions(entry["requestConfig"], f"{place}.requestConfig")
    if isinstance(entry.get("responseConfig"), dict):
        yield from _problems_of_response(entry["responseConfig"], f"{place}.responseConfig")


def _problems_of_conditions(conditions: JsonObject, place: str) -> Iterator[FieldViolation]:
    type_name = ITEM_PREFIX + ITEM_TYPE
    types = [one for one in _listed(conditions.get(type_name, [])) if isinstance(one, str)]
    known = [ITEM_CONDITIONS[one] for one in types if one in ITEM_CONDITIONS]
    if type_name not in conditions:
        known = [ANY_ITEM_CONDITIONS]
    for name, value in conditions.items():
        here = f"{place}.{name}"
        if not name.startswith(ITEM_PREFIX):
            kind = REQUEST_CONDITIONS.get(name)
            if kind is None:
                yield FieldViolation(here, f"is unknown; known are {', '.join(REQUEST_CONDITIONS)} and {ITEM_PREFIX}…")
                continue
        elif name == type_name:
            kind = Kind.TEXT
        else:
            kinds = [there[name[len(ITEM_PREFIX) :]] for there in known if name[len(ITEM_PREFIX) :] in there]
            if len(kinds) < len(known) and len(known) >= len(types):
                whose = f"on items of type {' or '.join(types)}" if types else "on items"
                yield FieldViolation(here, f"is no condition {whose}")
                continue
            if not kinds:
                # The type is wrong, and that is told.
                continue
            kind = kinds[0]
        if not _is_of_kind(kind, value):
            yield FieldViolation(here, f"must be {kind.value}")
        elif name == type_name and (unknown := [one for one in _listed(value) if one not in ITEM_CONDITIONS]):
            yield FieldViolation(here, f"{unknown[0]!r} is no type of request items")
        elif name == "source.type" and any(one not in _SOURCES for one in _listed(value)):
            yield FieldViolation(here, f"must be {' or '.join(_SOURCES)}")


def _problems_of_response(response: JsonObject, place: str) -> Iterator[FieldViolation]:
    accept = response.get("accept")
    if not isinstance(accept, bool):
        yield FieldViolation(f"{place}.accept", "must be true or false")
        return
    allowed = set(_DATA_OF.values()) if accept else {"code", "message"}
    if not accept:
        yield from rejection_violations(response, place)
    for name, value in response.items():
        here = f"{place}.{name}"
        if name == "accept":
            continue
        if name not in allowed:
            yield FieldViolation(here, f"is unknown; known are accept, {', '.join(sorted(allowed))}")
        elif name in ("attribute", "newAttribute"):
            yield from _problems_of_attribute(value, here)
        elif name == "deletionDate" and not (isinstance(value, str) and _is_date(value)):
            yield FieldViolation(here, "must be a date as in 2026-01-31T12:00:00.000Z")


def _problems_of_attribute(content: Json, place: str) -> Iterator[FieldViolation]:
    if not isinstance(content, dict) or not isinstance(content.get("@type"), str):
        yield FieldViolation(place, "must be the content of an attribute, with @type")
        return
    try:
        # At the end of time: a day that lies ahead may be over when the rule is needed.
        ContentValidator(datetime.max.replace(tzinfo=UTC)).validate_attribute(content, place)
    except ContentInvalid as error:
        yield from error.violations
        return
    for key in forbidden_character_keys(content):
        yield FieldViolation(f"{place}.value.{key}", "holds characters that attributes may not hold")


def _mismatches(rule: Rule, place: str) -> Iterator[FieldViolation]:
    """Yields what an acceptance has too much or too little of for the items that it is about."""
    if not rule.accepts:
        return
    given = set(rule.response) - {"accept"}
    if not rule.item_types:
        for name in sorted(given):
            yield FieldViolation(f"{place}.{name}", f"needs a condition {ITEM_PREFIX}{ITEM_TYPE} that it fits")
        return
    for item_type in rule.item_types:
        needed = {_DATA_OF[item_type]} if item_type in _DATA_OF else set()
        for name in sorted(needed - given):
            yield FieldViolation(f"{place}.{name}", f"must be given to accept items of type {item_type}")
        for name in sorted(given - needed):
            yield FieldViolation(f"{place}.{name}", f"does not fit items of type {item_type}")


def _is_of_kind(kind: Kind, value: Json) -> bool:
    if kind is Kind.TRUTH:
        return isinstance(value, bool)
    several = _listed(value)
    if not several:
        # Nothing could fulfil it.
        return False
    match kind:
        case Kind.TEXT:
            return all(isinstance(one, str) for one in several)
        case Kind.DATE:
            return all(isinstance(one, str) and is_date_condition(one) for one in several)
        case Kind.TAGS:
            return isinstance(value, list) and all(isinstance(one, str) for one in several)
        case Kind.ANY:
            return value is not None


def _is_date(text: str) -> bool:
    try:
        parse_date(text, "date")
    except MalformedValue:
        return False
    return True


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]
