"""The failures of the Backbone as its clients see them: a status, a code and a text.

Source: specification of the Consumer API, §1.2, §1.4 and §22. The texts are this project's own.
"""

from __future__ import annotations

from typing import Any

_PREFIX = "error.platform."


class ApiError(Exception):
    """A failure that is answered with an error envelope.

    Attributes:
        status: The HTTP status.
        code: The complete code.
        data: What goes into `error.data`; only quota errors have it.
        keeps_changes: The request failed, and what it wrote stays nevertheless: a counter of wrong passwords, a lock.
    """

    def __init__(self, status: int, code: str, message: str, *, data: Any = None, keeps_changes: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.data = data
        self.keeps_changes = keeps_changes


class OAuthError(Exception):
    """A failure of the token endpoint, which has no envelope. What was counted for it stays.

    Attributes:
        status: The HTTP status.
        error: The code of OAuth 2.
        description: A text for a person.
    """

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description


def refused(code: str, message: str) -> ApiError:
    """Returns a 400 with that code, given without its common prefix."""
    return ApiError(400, _PREFIX + code, message)


def invalid_property(message: str) -> ApiError:
    """Returns the 400 of a value that binds and breaks a rule."""
    return refused("validation.invalidPropertyValue", message)


def unparsable(message: str) -> ApiError:
    """Returns the 400 of a request that does not bind at all."""
    return refused("inputCannotBeParsed", message)


def body_too_large(limit: int) -> ApiError:
    """Returns the 400 of a body over the limit, in bytes."""
    return refused("requestBodyTooLarge", f"The body of a request may have {limit} bytes at most.")


def not_found(record: str, *, keeps_changes: bool = False) -> ApiError:
    """Returns the 404 whose text begins with the kind of the record. Official clients compare the text as a whole."""
    message = (
        f"{record} not found. Make sure the ID exists and the record is not expired. If a password is required to "
        "fetch the record, make sure you passed the correct one."
    )
    return ApiError(404, _PREFIX + "recordNotFound", message, keeps_changes=keeps_changes)


def forbidden(message: str = "You may not do this.", *, keeps_changes: bool = False) -> ApiError:
    """Returns the 403 of an action that belongs to someone else."""
    return ApiError(403, _PREFIX + "forbidden", message, keeps_changes=keeps_changes)


def unexpected(message: str = "Something went wrong that should not.") -> ApiError:
    """Returns the 500 of everything that no rule foresees."""
    return ApiError(500, _PREFIX + "unexpected", message)


def quota_exhausted(metrics: list[dict[str, Any]]) -> ApiError:
    """Returns the 429, with the exhausted metrics and until when they are."""
    return ApiError(429, _PREFIX + "quotaExhausted", "A quota of this identity is exhausted.", data=metrics)
