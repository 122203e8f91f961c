"""What is raised for content that breaks a rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from enmeshed_connector.core.errors import FieldViolation, InvalidArgument


class ContentInvalid(InvalidArgument):
    """Content, or a part of it, cannot be read as its type or breaks a rule of it. The violations name the fields.

    The official code is that of the official runtime: `error.runtime.requestDeserialization`.
    """

    reason: ClassVar[str] = "CONTENT_INVALID"
    default_official_code: ClassVar[str | None] = "error.runtime.requestDeserialization"

    def __init__(self, violations: Sequence[FieldViolation], *, official_code: str | None = None) -> None:
        super().__init__(_text(violations), official_code=official_code, violations=violations)

    def rename_fields(self, rename: Callable[[str], str]) -> None:
        """Names the fields as the caller gave them, also in the text."""
        super().rename_fields(rename)
        self.message = _text(self.violations)
        self.args = (self.message,)


class ContentTypeNotAllowed(ContentInvalid):
    """The `@type` of content is missing, unknown, or not allowed in this place."""

    reason: ClassVar[str] = "CONTENT_TYPE_NOT_ALLOWED"
    default_official_code: ClassVar[str | None] = "error.runtime.unknownType"


def _text(violations: Sequence[FieldViolation]) -> str:
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return f"{first.field} {first.description}{more}"
