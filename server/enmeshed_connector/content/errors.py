"""What is raised for content that breaks a rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from enmeshed_connector.core.errors import FieldViolation, InvalidArgument


class ContentInvalid(InvalidArgument):
    """Content, or a part of it, cannot be read as its type or breaks a rule of it. The violations name the fields.

    The official code is that of the official runtime: `error.runtime.requestDeserialization`.
    """

    reason: ClassVar[str] = "CONTENT_INVALID"
    default_official_code: ClassVar[str | None] = "error.runtime.requestDeserialization"

    def __init__(self, violations: Sequence[FieldViolation], *, official_code: str | None = None) -> None:
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        super().__init__(f"{first.field} {first.description}{more}", official_code=official_code, violations=violations)


class ContentTypeNotAllowed(ContentInvalid):
    """The `@type` of content is missing, unknown, or not allowed in this place."""

    reason: ClassVar[str] = "CONTENT_TYPE_NOT_ALLOWED"
    default_official_code: ClassVar[str | None] = "error.runtime.unknownType"
