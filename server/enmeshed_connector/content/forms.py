"""Form fields: their settings, and whether an answer fits. Source: `spec/content.md` section 6.1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.errors import FieldViolation
from enmeshed_connector.core.malformed import MalformedValue

from .rules import (
    Boolean,
    Check,
    ListOf,
    Number,
    ObjectType,
    OneOf,
    Text,
    by_name,
    is_integer,
    is_number,
    optional,
    required,
    utf16_length,
)

MAX_ANSWER_CHARACTERS: Final = 4096
"""The greatest length of a text that answers a field, and of an option."""

_TEXT_BOUND: Final = Number(0, MAX_ANSWER_CHARACTERS, whole=True)
_ANSWER_TEXT: Final = Text(min=1, max=MAX_ANSWER_CHARACTERS)

FORM_FIELD_SETTINGS: Final = OneOf(
    by_name(
        ObjectType(
            "StringFormFieldSettings",
            {"allowNewlines": optional(Boolean()), "min": optional(_TEXT_BOUND), "max": optional(_TEXT_BOUND)},
        ),
        ObjectType(
            "IntegerFormFieldSettings",
            {
                "unit": optional(Text()),
                "min": optional(Number(whole=True)),
                "max": optional(Number(whole=True)),
            },
        ),
        ObjectType(
            "DoubleFormFieldSettings",
            {"unit": optional(Text()), "min": optional(Number()), "max": optional(Number())},
        ),
        ObjectType("BooleanFormFieldSettings", {}),
        ObjectType("DateFormFieldSettings", {}),
        ObjectType(
            "SelectionFormFieldSettings",
            {"options": required(ListOf(_ANSWER_TEXT)), "allowMultipleSelection": optional(Boolean())},
        ),
        ObjectType("RatingFormFieldSettings", {"maxRating": required(Number(5, 10, whole=True))}),
    )
)
"""What may be filled in."""


class FormFieldAnswerRule:
    """What was filled in: text, a number, true or false, or a list of texts."""

    def check(self, value: Json, path: str, check: Check) -> None:
        """Notes a wrong kind and a text of a wrong length."""
        if isinstance(value, str):
            _ANSWER_TEXT.check(value, path, check)
        elif isinstance(value, list):
            ListOf(Text()).check(value, path, check)
        elif not isinstance(value, bool) and not is_number(value):
            check.fail(path, "must be text, a number, true or false, or a list of texts")


def settings_violation(settings: JsonObject) -> FieldViolation | None:
    """Returns which of the settings of a field cannot be asked for, None when all can; its path begins at them.

    The check of the sender; bounds that are 0 are none.

    Args:
        settings: The JSON of settings that are valid as content.
    """
    least, greatest = settings.get("min"), settings.get("max")
    if least and greatest and greatest < least:
        return FieldViolation("max", "must not be less than min")
    if settings["@type"] == "SelectionFormFieldSettings":
        options = settings["options"]
        if not options:
            return FieldViolation("options", "must have one or more items")
        if len(set(options)) != len(options):
            return FieldViolation("options", "must not have an item twice")
    return None


def answer_violation(settings: JsonObject, response: Json) -> FieldViolation | None:
    """Returns why an answer does not fit a field, None when it does; the path begins at the answer.

    The check of the recipient when it accepts. An answer of text must have 1 to 4,096 characters besides.

    Args:
        settings: The JSON of the settings of the field.
        response: What was filled in.
    """
    kind = settings.get("@type")
    if kind == "SelectionFormFieldSettings" and settings.get("allowMultipleSelection"):
        return _selection_violation(settings["options"], response)
    test = _ANSWERS.get(kind) if isinstance(kind, str) else None
    problem = "answers a field of unknown kind" if test is None else test(settings, response)
    if problem is None and isinstance(response, str) and not 1 <= utf16_length(response) <= MAX_ANSWER_CHARACTERS:
        problem = f"must be 1 to {MAX_ANSWER_CHARACTERS} characters long"
    return None if problem is None else FieldViolation("", problem)


def _bounds(settings: JsonObject, measure: float, what: str) -> str | None:
    # A bound of 0 is no bound, as official peers have it.
    least, greatest = settings.get("min"), settings.get("max")
    if greatest and measure > greatest:
        return f"must not be {what} than {greatest}" if what else f"must be {greatest} at most"
    if least and measure < least:
        return f"must be {least} or more{' characters long' if what else ''}"
    return None


def _text(settings: JsonObject, response: Json) -> str | None:
    return _bounds(settings, utf16_length(response), "longer") if isinstance(response, str) else "must be text"


def _integer(settings: JsonObject, response: Json) -> str | None:
    return _bounds(settings, response, "") if is_integer(response) else "must be a whole number"


def _double(settings: JsonObject, response: Json) -> str | None:
    return _bounds(settings, response, "") if is_number(response) else "must be a number"


def _boolean(_: JsonObject, response: Json) -> str | None:
    return None if isinstance(response, bool) else "must be true or false"


def _date(_: JsonObject, response: Json) -> str | None:
    try:
        parse_date(response)
    except MalformedValue as error:
        return error.violations[0].description
    return None


def _option(settings: JsonObject, response: Json) -> str | None:
    return None if isinstance(response, str) and response in settings["options"] else "must be one of the options"


def _selection_violation(options: Sequence[str], response: Json) -> FieldViolation | None:
    if not isinstance(response, list) or not response or not all(isinstance(item, str) for item in response):
        return FieldViolation("", "must be a list of one or more options")
    offered, chosen = frozenset(options), set[str]()
    for place, option in enumerate(response):
        if option in chosen:
            return FieldViolation(f"[{place}]", "must not be an option that is there already")
        if option not in offered:
            return FieldViolation(f"[{place}]", "must be one of the options")
        chosen.add(option)
    return None


def _rating(settings: JsonObject, response: Json) -> str | None:
    if is_integer(response) and 1 <= response <= settings["maxRating"]:
        return None
    return f"must be a whole number from 1 to {settings['maxRating']}"


_ANSWERS: Final[Mapping[str, Callable[[JsonObject, Json], str | None]]] = MappingProxyType(
    {
        "StringFormFieldSettings": _text,
        "IntegerFormFieldSettings": _integer,
        "DoubleFormFieldSettings": _double,
        "BooleanFormFieldSettings": _boolean,
        "DateFormFieldSettings": _date,
        "SelectionFormFieldSettings": _option,
        "RatingFormFieldSettings": _rating,
    }
)
