"""The errors of the domain: what went wrong, in words that a caller can act on.

Every error class names a `reason`, the canonical gRPC code it is answered with, and typed facts. One interceptor of
`api/` turns an error into a status; nothing else builds one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import ClassVar


class Code(enum.Enum):
    """The canonical codes of gRPC by name, so that rooms below `api/` need not import grpc."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    UNAVAILABLE = "UNAVAILABLE"
    UNKNOWN = "UNKNOWN"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    DATA_LOSS = "DATA_LOSS"
    INTERNAL = "INTERNAL"

    @property
    def is_passing(self) -> bool:
        """Whether the failure says nothing about what was asked: a repeat may succeed."""
        return self in (
            Code.UNAVAILABLE,
            Code.UNKNOWN,
            Code.ABORTED,
            Code.RESOURCE_EXHAUSTED,
            Code.DEADLINE_EXCEEDED,
        )


@dataclass(frozen=True)
class FieldViolation:
    """One field of a request and what is wrong with it."""

    field: str
    """The path of the field, with dots and indexes: `content.items[2].query.valueType`."""
    description: str
    """What is wrong, without the value: it may be a secret."""


def field_path(*parts: str) -> str:
    """Returns the path of a field from its parts: `content`, `items[0]`. Empty parts are left out."""
    path = ""
    for part in parts:
        path += f".{part}" if path and part and not part.startswith("[") else part
    return path


class DomainError(Exception):
    """The base of every error that a caller may see.

    Subclasses set `reason` and `code`. The text is short, names the thing by id and says what to do; it never holds
    keys, payloads, passwords or host names.

    Attributes:
        reason: UPPER_SNAKE, 63 characters at most; a value of the proto enum `ErrorReason`.
        code: The canonical code.
        official_code: The code string of the official runtime (`error.runtime.…`), where one exists.
        facts: What varies in the text, as strings; becomes `ErrorInfo.metadata`.
        violations: Fields that are wrong; becomes `BadRequest`.
        retry_after: When a repeat makes sense; becomes `RetryInfo`.
    """

    reason: ClassVar[str] = "INTERNAL"
    code: ClassVar[Code] = Code.INTERNAL
    default_official_code: ClassVar[str | None] = None

    def __init__(
        self,
        message: str,
        *,
        official_code: str | None = None,
        facts: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.official_code = official_code if official_code is not None else self.default_official_code
        self.facts: Mapping[str, str] = MappingProxyType(dict(facts or {}))
        self.violations = tuple(violations)
        self.retry_after = retry_after

    def rename_fields(self, rename: Callable[[str], str]) -> None:
        """Names the fields as the caller gave them, where a check knew them by other names."""
        self.violations = tuple(FieldViolation(rename(each.field), each.description) for each in self.violations)


class InvalidArgument(DomainError):
    """A value has the wrong shape or range. The violations name the fields."""

    reason, code = "INVALID_ARGUMENT", Code.INVALID_ARGUMENT


class NotFound(DomainError):
    """There is no such thing in this account."""

    reason, code = "NOT_FOUND", Code.NOT_FOUND
    default_official_code = "error.runtime.recordNotFound"


class FailedPrecondition(DomainError):
    """The thing exists, but its state does not allow this operation."""

    reason, code = "FAILED_PRECONDITION", Code.FAILED_PRECONDITION


class Unavailable(DomainError):
    """Something that this needs is away for now, and nothing was changed. A repeat is safe."""

    reason, code = "UNAVAILABLE", Code.UNAVAILABLE


class OutcomeUnknown(DomainError):
    """The request was sent and no answer came. Repeat with the same idempotency key to learn the outcome."""

    reason, code = "OUTCOME_UNKNOWN", Code.UNKNOWN
