"""The errors of requests, with the codes of official peers. Source: consumption.md, section 18."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from enmeshed_connector.consumption.requests.results import Paths, ValidationResult
from enmeshed_connector.core.errors import Code, DomainError, FailedPrecondition, InvalidArgument

_CODE = "error.consumption.requests."


class RequestInvalid(InvalidArgument):
    """The request or one of its items is not allowed."""

    reason, code = "REQUEST_INVALID", Code.INVALID_ARGUMENT
    default_official_code = f"{_CODE}invalidRequestItem"


class DecisionInvalid(InvalidArgument):
    """The decision does not fit the request."""

    reason, code = "DECISION_INVALID", Code.INVALID_ARGUMENT
    default_official_code = f"{_CODE}invalidAcceptParameters"


class WrongRequestStatus(FailedPrecondition):
    """The state of the request does not allow this."""

    reason, code = "WRONG_REQUEST_STATUS", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.unknown"


class ResponseNotGivenUp(FailedPrecondition):
    """The response is being sent, or another device sends it."""

    reason, code = "RESPONSE_NOT_GIVEN_UP", Code.FAILED_PRECONDITION


class RequestExpired(FailedPrecondition):
    """The time in which the request can be answered is over."""

    reason, code = "REQUEST_EXPIRED", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.unknown"


class RequestNotExpired(FailedPrecondition):
    """Only expired requests can be deleted."""

    reason, code = "REQUEST_NOT_EXPIRED", Code.FAILED_PRECONDITION
    default_official_code = f"{_CODE}canOnlyDeleteIncomingRequestThatIsExpired"


class RequestAlreadySent(FailedPrecondition):
    """The request was sent before, or is being sent."""

    reason, code = "REQUEST_ALREADY_SENT", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.messages.cannotSendRequestThatWasAlreadySent"


class ExpiredRequestNotSent(RequestExpired):
    """A request that nobody could answer any more is not sent."""

    default_official_code = "error.runtime.messages.cannotSendMessageWithExpiredRequest"


class RequestContentChanged(InvalidArgument):
    """The request is not the one that was created."""

    reason, code = "REQUEST_CONTENT_CHANGED", Code.INVALID_ARGUMENT
    default_official_code = "error.runtime.validation.invalidPropertyValue"


class RequestToSelf(InvalidArgument):
    """A request cannot go to this identity itself."""

    reason, code = "REQUEST_TO_SELF", Code.INVALID_ARGUMENT


class ExpiryInPast(InvalidArgument):
    """The request would have expired before it is made."""

    reason, code = "TIME_IN_PAST", Code.INVALID_ARGUMENT


class RelationshipMissing(FailedPrecondition):
    """There is no relationship with the peer."""

    reason, code = "RELATIONSHIP_MISSING", Code.FAILED_PRECONDITION


class RelationshipUnsuitable(FailedPrecondition):
    """The state of the relationship with the peer does not allow this."""

    reason, code = "WRONG_RELATIONSHIP_STATUS", Code.FAILED_PRECONDITION


class PeerInDeletion(FailedPrecondition):
    """The peer's identity is about to be deleted."""

    reason, code = "PEER_IN_DELETION", Code.FAILED_PRECONDITION


class PeerDeleted(FailedPrecondition):
    """The peer's identity is deleted."""

    reason, code = "PEER_DELETED", Code.FAILED_PRECONDITION


class AttributeKeyNotUnique(FailedPrecondition):
    """Attributes of one relationship would have the same owner, key and value type."""

    reason, code = "ATTRIBUTE_KEY_NOT_UNIQUE", Code.FAILED_PRECONDITION


class RequestExpiresAfterTemplate(InvalidArgument):
    """A request in a template would expire after the template."""

    reason, code = "REQUEST_EXPIRES_AFTER_TEMPLATE", Code.INVALID_ARGUMENT
    default_official_code = "error.runtime.relationshipTemplates.requestCannotExpireAfterRelationshipTemplate"


class NoAcceptedRequest(FailedPrecondition):
    """The template asks something that was not accepted here."""

    reason, code = "NO_ACCEPTED_INCOMING_REQUEST", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.relationships.noAcceptedIncomingRequest"


class WrongCreationContent(InvalidArgument):
    """The creation content is not the response to the template's request."""

    reason, code = "WRONG_CREATION_CONTENT", Code.INVALID_ARGUMENT
    default_official_code = "error.runtime.relationships.wrongResponseProvidedAsCreationContent"


_BY_CODE: Final[Mapping[str, type[DomainError]]] = {
    f"{_CODE}cannotShareRequestWithYourself": RequestToSelf,
    f"{_CODE}cannotCreateRequestWithExpirationDateInPast": ExpiryInPast,
    f"{_CODE}missingRelationship": RelationshipMissing,
    f"{_CODE}wrongRelationshipStatus": RelationshipUnsuitable,
    f"{_CODE}peerIsInDeletion": PeerInDeletion,
    f"{_CODE}peerIsDeleted": PeerDeleted,
    f"{_CODE}violatedKeyUniquenessOfRelationshipAttributes": AttributeKeyNotUnique,
}


def refusal(result: ValidationResult, otherwise: type[DomainError], paths: Paths) -> DomainError:
    """Returns the error for a request or a decision that would not be taken.

    Args:
        result: A failure.
        otherwise: The class of failures that have none of their own.
        paths: How the caller names the elements.
    """
    first = result.first_failure
    violations = tuple(result.located(paths).all_violations())
    return _BY_CODE.get(first.code, otherwise)(first.message, official_code=first.code, violations=violations)
