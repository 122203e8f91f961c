"""What can go wrong between this process and the Backbone, as errors of the domain.

Two questions decide which class is raised: did the request leave this process, and may it be repeated? The full table:

| what happened | repeatable call (see `Repeat`) | any other call |
|---|---|---|
| nothing was sent: no connection, name, TLS or free slot in time | `BackboneUnavailable` | `BackboneUnavailable` |
| sent, no complete answer: cut, silent, timed out | `BackboneUnavailable` after the retries | `AnswerLost` |
| 5xx | `BackboneUnavailable` after the retries | `AnswerLost` |
| a success that cannot be read (not JSON, wrong shape) | `AnswerUnusable` | `AnswerLost` |
| a success larger than the cap | `AnswerTooLarge` | `AnswerLost` |
| 4xx | a subclass of `BackboneRejected` | the same |
| 404 without the platform's envelope | `EndpointNotFound` | the same |
| 429 with the data of a quota / without | `QuotaExhausted` / `BackboneBusy` | the same |
| 3xx | `BackboneRedirected` | the same |
| no token was granted | `CredentialsRejected`, `DeviceLockedOut` or `ClientRejected` | the same |

An error's text and facts name the call, the code and ids of the error; never a host, a body, a header or a password.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from enmeshed_connector.core.errors import Code, DomainError, NotFound, OutcomeUnknown, Unavailable

PLATFORM = "error.platform."
"""The common prefix of the platform's codes."""


class BackboneError(DomainError):
    """The base of every error of this room.

    Attributes:
        call: The name of the call, such as `messages.send`.
        status: The HTTP status of the answer; None when there was none.
        platform_code: The platform's whole code, `error.platform.…`; None when the answer held none.
        error_id: The platform's id of this occurrence, `ERR…`; None when the answer held none.
        may_be_done: Whether the Backbone may have done what was asked in spite of the error.
    """

    may_be_done: bool = False

    reason, code = "BACKBONE_FAILED", Code.UNAVAILABLE

    def __init__(
        self,
        message: str,
        *,
        call: str,
        status: int | None = None,
        platform_code: str | None = None,
        error_id: str | None = None,
        trace_id: str | None = None,
        official_code: str | None = None,
        facts: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        all_facts = {"call": call, **(facts or {})}
        for name, value in (
            ("status", status),
            ("platformCode", platform_code),
            ("errorId", error_id),
            ("traceId", trace_id),
        ):
            if value is not None:
                all_facts[name] = str(value)
        super().__init__(
            message,
            official_code=official_code or _told_as(platform_code),
            facts=all_facts,
            retry_after=retry_after,
        )
        self.call = call
        self.status = status
        self.platform_code = platform_code
        self.error_id = error_id

    def has_code(self, *codes: str) -> bool:
        """Tells whether the platform's code is one of these, given without the prefix `error.platform.`."""
        return self.platform_code is not None and self.platform_code.removeprefix(PLATFORM) in codes


def _told_as(platform_code: str | None) -> str | None:
    # Source: connector.md, section 12.1.
    return "error.runtime.recordNotFound" if platform_code == f"{PLATFORM}recordNotFound" else platform_code


class BackboneUnavailable(BackboneError, Unavailable):
    """The Backbone did not do this, or did something that a repeat makes good. Repeating is safe.

    The fact `cause` is one of `network`, `address`, `tls`, `proxy`, `timeout`, `deadline`, `queue`, `silence`,
    `cut`, `status`.
    """

    reason, code = "BACKBONE_UNAVAILABLE", Code.UNAVAILABLE
    default_official_code = "error.transport.request.network"


class AnswerLost(BackboneError, OutcomeUnknown):
    """The request was sent and no usable answer came: the Backbone may have done it, or may still be doing it.

    Only raised for calls that must not be repeated blindly; the caller looks at the Backbone for what became of it
    (architecture, decision 8). "Absent there" counts only once `settled_after` has passed.

    Attributes:
        settled_after: From the moment this is raised, how long the Backbone may still be working on the request.
    """

    reason, code = "OUTCOME_UNKNOWN", Code.UNKNOWN
    default_official_code = "error.transport.request.aborted"

    may_be_done = True
    settled_after: timedelta = timedelta(seconds=60)


class AnswerUnusable(BackboneError):
    """The answer to a call that may be repeated was not what the Backbone's interface promises."""

    may_be_done = True

    reason, code = "BACKBONE_ANSWER_UNUSABLE", Code.UNAVAILABLE
    default_official_code = "error.transport.request.resultUndefined"


class AnswerTooLarge(BackboneError):
    """The answer to a call that may be repeated is larger than the cap of the call; it was not read to its end."""

    reason, code = "BACKBONE_ANSWER_TOO_LARGE", Code.RESOURCE_EXHAUSTED
    default_official_code = "error.transport.request.bodyLengthExceeded"


class BackboneRedirected(BackboneError):
    """The address of the Backbone answers with a redirect. None is followed: tokens and passwords would travel along.

    The base URL in the settings must be the final one.
    """

    reason, code = "BACKBONE_REDIRECTED", Code.FAILED_PRECONDITION
    default_official_code = f"{PLATFORM}unexpected"


class BackboneRejected(BackboneError):
    """The Backbone understood and refused; nothing was changed. `platform_code` says why."""

    reason, code = "BACKBONE_REJECTED", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.request.badRequest"


class InputRejected(BackboneRejected):
    """The Backbone finds the request malformed or out of range."""

    reason, code = "BACKBONE_INPUT_REJECTED", Code.INVALID_ARGUMENT


class RecordNotFound(BackboneRejected, NotFound):
    """The Backbone has no such thing for this identity: unknown, expired, foreign, or behind another password.

    Attributes:
        record_type: The kind the Backbone names in its text, such as `Identity`; None when the text is of another form.
    """

    reason, code = "BACKBONE_RECORD_NOT_FOUND", Code.NOT_FOUND
    default_official_code = "error.transport.request.notFound"

    record_type: str | None = None


class EndpointNotFound(BackboneError):
    """Something that is not the Backbone's interface answers 404: a wrong base URL, or a gateway without the Backbone.

    This says nothing about any record, and goes away when the gateway or the setting is mended.
    """

    reason, code = "BACKBONE_ENDPOINT_NOT_FOUND", Code.UNAVAILABLE
    default_official_code = "error.transport.request.notFound"


class ForbiddenByBackbone(BackboneRejected):
    """The Backbone does not allow this identity to do that with that thing."""

    reason, code = "BACKBONE_FORBIDDEN", Code.PERMISSION_DENIED
    default_official_code = f"{PLATFORM}forbidden"


class BackboneUnauthorized(BackboneRejected):
    """The Backbone refuses a token that it has just granted."""

    reason, code = "BACKBONE_UNAUTHORIZED", Code.FAILED_PRECONDITION
    default_official_code = f"{PLATFORM}unauthorized"


class BodyTooLarge(BackboneRejected):
    """The request is larger than the Backbone takes (20 MiB by default)."""

    reason, code = "BACKBONE_BODY_TOO_LARGE", Code.INVALID_ARGUMENT
    default_official_code = "error.transport.request.bodyLengthExceeded"


@dataclass(frozen=True, slots=True)
class ExhaustedMetric:
    """One quota that is used up."""

    metric: str
    """The metric's key, such as `NumberOfSentMessages`."""
    exhausted_until: datetime | None
    """When the quota's period ends; None when the Backbone gave no date that can be read."""


class QuotaExhausted(BackboneRejected):
    """A quota of this identity at the Backbone is used up; nothing was changed.

    `retry_after` is the time until the last of the exhausted quotas ends; facts hold `metric` and `exhaustedUntil`.

    Attributes:
        metrics: The quotas that are used up.
    """

    reason, code = "BACKBONE_QUOTA_EXHAUSTED", Code.RESOURCE_EXHAUSTED
    default_official_code = f"{PLATFORM}quotaExhausted"

    metrics: Sequence[ExhaustedMetric] = ()


class BackboneBusy(BackboneRejected):
    """Something in front of the Backbone limits the rate (429 without a quota); nothing was changed."""

    reason, code = "BACKBONE_BUSY", Code.RESOURCE_EXHAUSTED
    default_official_code = f"{PLATFORM}unexpected"


class AuthenticationFailed(BackboneError):
    """The base of the three ways in which no token is granted. Nothing of the call itself was sent."""

    reason, code = "BACKBONE_AUTHENTICATION_FAILED", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.request.noAuthGrant"


class CredentialsRejected(AuthenticationFailed):
    """The device's user name or password is not accepted: changed elsewhere, or device or identity is gone.

    Three wrong passwords lock a device out for ten minutes; so after this answer no further attempt is made for a
    while, and the same error comes back at once with `retry_after`.
    """

    reason, code = "BACKBONE_CREDENTIALS_REJECTED", Code.FAILED_PRECONDITION


class DeviceLockedOut(AuthenticationFailed):
    """Too many wrong passwords were sent for this device; the Backbone waits for ten minutes."""

    reason, code = "BACKBONE_DEVICE_LOCKED_OUT", Code.UNAVAILABLE


class ClientRejected(AuthenticationFailed):
    """The platform client id or secret in the settings is not accepted."""

    reason, code = "BACKBONE_CLIENT_REJECTED", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.request.noAuthPossible"
