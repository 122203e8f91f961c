"""Checks content by the rules of its types: what is sent strictly, what is received as tolerantly as peers do.

Every check returns nothing for content that is right. Else it raises `ContentInvalid` with the path of each field that
is wrong, or `ContentTypeNotAllowed` when a type is unknown or has no place there. Values are never part of a text.
"""

from __future__ import annotations

from datetime import datetime

from enmeshed_connector.core.canonical_json import Json, JsonObject

from .attributes import ATTRIBUTE, READ_QUERY
from .carriers import ANY_ROOT, CREATION_CONTENT, MESSAGE_CONTENT, TEMPLATE_CONTENT
from .errors import ContentInvalid, ContentTypeNotAllowed
from .notifications import NOTIFICATION
from .requests import REQUEST
from .responses import RESPONSE
from .rules import Check, OneOf, Rule
from .types import CREATION_CONTENT_TYPES
from .values import IDENTITY_VALUES, RELATIONSHIP_VALUES


class ContentValidator:
    """Checks content at one moment and in one direction.

    Args:
        now: The moment: a date of birth must not lie after it.
        received: Whether the content came from a peer. Then names and forms of older releases are right, too.
    """

    def __init__(self, now: datetime, *, received: bool = False) -> None:
        self._now = now
        self._received = received

    def validate_content(self, value: Json, path: str = "content") -> None:
        """Checks anything that may be the root of content.

        Args:
            value: The JSON.
            path: What the paths of fields begin with.

        Raises:
            ContentInvalid: A rule is broken.
            ContentTypeNotAllowed: A type is missing, unknown or not allowed in its place.
        """
        self._validate(ANY_ROOT, value, path)

    def validate_message_content(self, value: Json, path: str = "content") -> None:
        """Checks what may travel in a message. Raises as `validate_content`."""
        self._validate(MESSAGE_CONTENT, value, path)

    def validate_template_content(self, value: Json, path: str = "content") -> None:
        """Checks what may stand in a relationship template. Raises as `validate_content`."""
        self._validate(TEMPLATE_CONTENT, value, path)

    def validate_creation_content(
        self, value: Json, path: str = "creation_content", *, template_content: JsonObject | None = None
    ) -> None:
        """Checks what may create a relationship, with the content of the template where it is known.

        Raises as `validate_content`; a creation content that does not go with the template has no place there.
        """
        self._validate(CREATION_CONTENT, value, path)
        if template_content is None:
            return
        tag = template_content.get("@type")
        expected = CREATION_CONTENT_TYPES.get(tag) if isinstance(tag, str) else None
        if value["@type"] != expected:
            check = Check(self._now, tolerant=self._received)
            check.fail_type(
                path, f"must be {expected}" if expected else "does not go with any content of this template"
            )
            _raise(check)

    def validate_request(self, value: Json, path: str = "content") -> None:
        """Checks a request; `@type` may be left out. Raises as `validate_content`."""
        self._validate(REQUEST, value, path)

    def validate_response(self, value: Json, path: str = "response") -> None:
        """Checks a response; `@type` may be left out. Raises as `validate_content`."""
        self._validate(RESPONSE, value, path)

    def validate_notification(self, value: Json, path: str = "content") -> None:
        """Checks a notification; `@type` may be left out. Raises as `validate_content`."""
        self._validate(NOTIFICATION, value, path)

    def validate_attribute(self, value: Json, path: str = "content") -> None:
        """Checks an identity or relationship attribute. Raises as `validate_content`."""
        self._validate(ATTRIBUTE, value, path)

    def validate_attribute_value(self, value: Json, path: str = "value") -> None:
        """Checks a value of an attribute of either kind. Raises as `validate_content`."""
        self._validate(OneOf({**IDENTITY_VALUES, **RELATIONSHIP_VALUES}), value, path)

    def validate_query(self, value: Json, path: str = "query") -> None:
        """Checks a query for attributes. Raises as `validate_content`."""
        self._validate(READ_QUERY, value, path)

    def _validate(self, rule: Rule, value: Json, path: str) -> None:
        check = Check(self._now, tolerant=self._received)
        rule.check(value, path, check)
        _raise(check)


def _raise(check: Check) -> None:
    if not check.violations:
        return
    # The kind of the first fault decides which error it is, all of them are told.
    first = check.violations[0]
    is_type_error = check.has_unknown_type and first.field.rpartition(".")[2] in ("@type", "@version")
    raise (ContentTypeNotAllowed if is_type_error else ContentInvalid)(check.violations)
