"""Errors of this room, and the one place where an error becomes a status.

A status carries `google.rpc.Status` details: always `ErrorInfo` (reason, domain `connector.enmeshed`, metadata), and
where it helps `BadRequest` and `RetryInfo`. What is not a `DomainError` is a fault of ours and becomes INTERNAL with a
correlation id and nothing more.
"""

from __future__ import annotations

from datetime import timedelta

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from enmeshed_connector.api.reasons import public_reason
from enmeshed_connector.core.errors import Code, DomainError, FieldViolation

ERROR_DOMAIN = "connector.enmeshed"
"""`ErrorInfo.domain` of every error."""

_STATUS_CODES = {code: getattr(grpc.StatusCode, code.value) for code in Code}
_MAX_VIOLATIONS = 50
_MAX_FACT = 500
# Trailing metadata of more than 8 KiB are refused by many clients, and then the status is lost altogether. The text is
# in them twice: percent-encoded, where each byte that is not ASCII takes three, and in the details.
_MAX_TEXT_BYTES = 1200
_MAX_FACTS_BYTES = 2500
_MAX_DETAILS_BYTES = 5000


class CredentialMissing(DomainError):
    """The call has no credential."""

    reason, code = "CREDENTIAL_MISSING", Code.UNAUTHENTICATED
    default_official_code = "error.connector.unauthorized"


class CredentialInvalid(DomainError):
    """The credential is unknown, expired or revoked; which of these is not said."""

    reason, code = "CREDENTIAL_INVALID", Code.UNAUTHENTICATED
    default_official_code = "error.connector.unauthorized"


class TooManyFailedAttempts(DomainError):
    """Too many wrong credentials came from this address."""

    reason, code = "TOO_MANY_FAILED_ATTEMPTS", Code.UNAUTHENTICATED
    default_official_code = "error.connector.unauthorized"


class CredentialRevoked(DomainError):
    """The credential of an open stream was revoked or has expired. Facts: `resume_token` for subscriptions."""

    reason, code = "CREDENTIAL_REVOKED", Code.UNAUTHENTICATED
    default_official_code = "error.connector.unauthorized"


class PermissionDenied(DomainError):
    """The credential does not allow this. Facts: `permission`."""

    reason, code = "PERMISSION_DENIED", Code.PERMISSION_DENIED
    default_official_code = "error.connector.forbidden"


class AccountRequired(DomainError):
    """The server hosts several accounts, and the call names none."""

    reason, code = "ACCOUNT_REQUIRED", Code.FAILED_PRECONDITION


class AccountNotFound(DomainError):
    """This server does not host the account. Facts: `account`."""

    reason, code = "ACCOUNT_NOT_FOUND", Code.NOT_FOUND


class AccountDenied(DomainError):
    """The credential is bound to another account."""

    reason, code = "ACCOUNT_DENIED", Code.PERMISSION_DENIED


class Starting(DomainError):
    """The server or the account is starting."""

    reason, code = "STARTING", Code.UNAVAILABLE


class Draining(DomainError):
    """The server is shutting down. Facts: `resume_token` for subscriptions."""

    reason, code = "DRAINING", Code.UNAVAILABLE


class TooManyCalls(DomainError):
    """Too many calls run at once."""

    reason, code = "TOO_MANY_CALLS", Code.RESOURCE_EXHAUSTED


class TooManyTransfers(DomainError):
    """Too many transfers run at once, or their byte budget is used up."""

    reason, code = "TOO_MANY_TRANSFERS", Code.RESOURCE_EXHAUSTED


class TooManySubscriptions(DomainError):
    """Too many subscriptions are open."""

    reason, code = "TOO_MANY_SUBSCRIPTIONS", Code.RESOURCE_EXHAUSTED


class TransferStalled(DomainError):
    """The client of a transfer sent nothing, or read nothing, for too long."""

    reason, code = "TRANSFER_STALLED", Code.ABORTED


class SubscriberTooSlow(DomainError):
    """The subscriber did not read for too long. Facts: none; the last token it read is the one to resume from."""

    reason, code = "SUBSCRIBER_TOO_SLOW", Code.RESOURCE_EXHAUSTED


class PageTokenInvalid(DomainError):
    """The page token is altered, of another call, of other fields or of another account."""

    reason, code = "PAGE_TOKEN_INVALID", Code.INVALID_ARGUMENT


class ResumeTokenInvalid(DomainError):
    """The resume token is altered, or of another account."""

    reason, code = "RESUME_TOKEN_INVALID", Code.INVALID_ARGUMENT


class ResumeTokenExpired(DomainError):
    """The events after the token are not kept any more. Facts: `oldest_resume_token`."""

    reason, code = "RESUME_TOKEN_EXPIRED", Code.OUT_OF_RANGE


class EventTypeUnknown(DomainError):
    """No event type has this name, or fits this pattern. Facts: `type`."""

    reason, code = "EVENT_TYPE_UNKNOWN", Code.INVALID_ARGUMENT


class MethodUnknown(DomainError):
    """The server does not know the method. Facts: `method`."""

    reason, code = "UNIMPLEMENTED", Code.UNIMPLEMENTED


class Internal(DomainError):
    """A fault of ours. Facts: `correlation_id`."""

    reason, code = "INTERNAL", Code.INTERNAL


class StartRefused(DomainError):
    """The server does not start as it is configured; the text says what to change."""

    reason, code = "START_REFUSED", Code.FAILED_PRECONDITION


def as_domain_error(error: BaseException, correlation_id: str) -> DomainError:
    """Returns what a caller may know of an error.

    Args:
        error: Anything but a cancellation.
        correlation_id: Under which the rest stands in the log.
    """
    if isinstance(error, DomainError) and error.code is not Code.INTERNAL:
        return error
    return Internal(
        f"internal error; report it with correlation id {correlation_id}", facts={"correlation_id": correlation_id}
    )


def status_code_of(error: DomainError) -> grpc.StatusCode:
    """Returns the gRPC code of an error."""
    code: grpc.StatusCode = _STATUS_CODES[error.code]
    return code


def status_of(error: DomainError) -> grpc.Status:
    """Returns the status of an error, with its details.

    Details are cut to what fits into trailing metadata; what is cut are violations past
    50, the longest facts, and the ends of long texts.
    """
    text = _cut_text(error.message)
    facts = {name: _cut(fact, _MAX_FACT) for name, fact in error.facts.items()}
    while sum(len(name) + len(fact.encode()) for name, fact in facts.items()) > _MAX_FACTS_BYTES:
        del facts[max(facts, key=lambda name: len(facts[name].encode()))]
    if error.official_code is not None:
        facts["code"] = error.official_code
    status = status_pb2.Status(code=status_code_of(error).value[0], message=text)
    status.details.append(
        _packed(error_details_pb2.ErrorInfo(reason=public_reason(error.reason), domain=ERROR_DOMAIN, metadata=facts))
    )
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(max(error.retry_after, timedelta(0)))
        status.details.append(_packed(retry))
    if error.violations:
        status.details.append(_packed(_bad_request(error.violations, _MAX_DETAILS_BYTES - status.ByteSize())))
    result: grpc.Status = rpc_status.to_status(status)
    return result


def _bad_request(violations: tuple[FieldViolation, ...], room: int) -> error_details_pb2.BadRequest:
    """Returns the violations that fit into so many bytes; the first one always."""
    request = error_details_pb2.BadRequest()
    for violation in violations[:_MAX_VIOLATIONS]:
        entry = request.field_violations.add()
        entry.field, entry.description = _cut(violation.field, _MAX_FACT), _cut(violation.description, _MAX_FACT)
        if len(request.field_violations) > 1 and request.ByteSize() > room:
            del request.field_violations[-1]
            break
    return request


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _cut(text: str, limit: int) -> str:
    # Lone surrogates cannot be written as UTF-8, and a header must not be refused because of a text that is shown in
    # it.
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _cut_text(text: str) -> str:
    """Returns the beginning of a text that takes no more than its share when it is percent-encoded."""
    clean = _cut(text, _MAX_TEXT_BYTES)
    room = _MAX_TEXT_BYTES - 9
    for index, character in enumerate(clean):
        room -= 1 if character.isascii() and character.isprintable() else 3 * len(character.encode())
        if room < 0:
            return clean[:index] + "…"
    return clean
