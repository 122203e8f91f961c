"""Hints: how to enter and show values. Source: `spec/content.md` section 13."""

from __future__ import annotations

from typing import Final

from .rules import ListOf, MapOf, Number, ObjectType, Property, Rule, Scalar, Text, optional, required

VALUE_HINTS_VALUE: Final = ObjectType(
    "ValueHintsValue", {"key": required(Scalar(max=100)), "displayName": required(Text(max=100))}
)
"""One of the values to choose from."""


def _value_hints() -> Rule:
    return VALUE_HINTS


_VALUE_HINT_PROPERTIES: Final[dict[str, Property]] = {
    "editHelp": optional(Text(max=500)),
    "min": optional(Number()),
    "max": optional(Number()),
    "pattern": optional(Text(max=1000)),
    "values": optional(ListOf(VALUE_HINTS_VALUE)),
    "defaultValue": optional(Scalar()),
    "propertyHints": optional(MapOf(_value_hints), null=True),
}

VALUE_HINTS: Final = ObjectType("ValueHints", _VALUE_HINT_PROPERTIES)
"""How to enter a value."""

VALUE_HINTS_OVERRIDE: Final = ObjectType("ValueHintsOverride", _VALUE_HINT_PROPERTIES)
"""What to change of the hints of a value type."""
