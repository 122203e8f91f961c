"""The errors of attributes, with the codes of official peers. Source: consumption.md, section 18."""

from __future__ import annotations

from collections.abc import Sequence

from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.core.errors import (
    Code,
    DomainError,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
)

_CODE = "error.consumption.attributes."


class SuccessorNotValid(ContentInvalid):
    """The content of a successor breaks a rule of its type."""

    default_official_code = f"{_CODE}successorIsNotAValidAttribute"

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        """Takes the fields that are wrong."""
        super().__init__(violations)


class WrongOwner(InvalidArgument):
    """The owner of the content does not fit the class of the attribute."""

    reason, code = "INVALID_ARGUMENT", Code.INVALID_ARGUMENT
    default_official_code = f"{_CODE}wrongOwnerOfAttribute"


class TagsInvalid(InvalidArgument):
    """Tags are neither in the tag collection nor in one of the forms that are always allowed."""

    reason, code = "TAGS_INVALID", Code.INVALID_ARGUMENT
    default_official_code = f"{_CODE}invalidTags"


class ForbiddenCharacters(InvalidArgument):
    """The value holds characters that attributes may not hold."""

    reason, code = "FORBIDDEN_CHARACTERS", Code.INVALID_ARGUMENT
    default_official_code = f"{_CODE}forbiddenCharactersInAttribute"


class AttributeDuplicate(DomainError):
    """There is an own identity attribute of this value already."""

    reason, code = "ATTRIBUTE_DUPLICATE", Code.ALREADY_EXISTS
    default_official_code = "error.runtime.attributes.cannotCreateDuplicateOwnIdentityAttribute"


class WrongAttributeType(FailedPrecondition):
    """The attribute is of a class for which this cannot be done."""

    reason, code = "WRONG_ATTRIBUTE_TYPE", Code.FAILED_PRECONDITION
    default_official_code = f"{_CODE}wrongTypeOfAttribute"


class NotOwnIdentityAttribute(WrongAttributeType):
    """The attribute is no own identity attribute."""

    default_official_code = "error.runtime.attributes.isNotOwnIdentityAttribute"


class NotOwnRelationshipAttribute(WrongAttributeType):
    """The attribute is no own relationship attribute."""

    default_official_code = "error.runtime.attributes.isNotOwnRelationshipAttribute"


class SuccessionInvalid(InvalidArgument):
    """A successor changes what has to stay, or nothing at all. The subclasses say what."""

    reason, code = "SUCCESSION_INVALID", Code.INVALID_ARGUMENT


class KeyChanged(SuccessionInvalid):
    """A successor must have the key of its predecessor."""

    default_official_code = f"{_CODE}successionMustNotChangeKey"


class SuccessorExists(SuccessionInvalid):
    """The id of the successor is taken."""

    default_official_code = f"{_CODE}successorMustNotYetExist"


class ContentUnchanged(SuccessionInvalid):
    """A successor must differ from its predecessor."""

    default_official_code = f"{_CODE}successionMustChangeContent"


class OwnerChanged(SuccessionInvalid):
    """A successor must have the owner of its predecessor."""

    default_official_code = f"{_CODE}successionMustNotChangeOwner"


class ContentTypeChanged(SuccessionInvalid):
    """A successor must be an identity attribute or a relationship attribute as its predecessor."""

    default_official_code = f"{_CODE}successionMustNotChangeContentType"


class ValueTypeChanged(SuccessionInvalid):
    """A successor must have the value type of its predecessor."""

    default_official_code = f"{_CODE}successionMustNotChangeValueType"


class HasSuccessor(FailedPrecondition):
    """The attribute has a newer version."""

    reason, code = "ATTRIBUTE_HAS_SUCCESSOR", Code.FAILED_PRECONDITION
    default_official_code = f"{_CODE}cannotSucceedAttributesWithASuccessor"


class DeletedByPeer(FailedPrecondition):
    """The other side has deleted the attribute."""

    reason, code = "ATTRIBUTE_DELETED_BY_PEER", Code.FAILED_PRECONDITION
    default_official_code = f"{_CODE}cannotSucceedSharedAttributesDeletedByPeer"


class PredecessorMissing(NotFound):
    """A version that the attribute names as the one before is not stored."""

    default_official_code = f"{_CODE}predecessorDoesNotExist"


class SuccessorMissing(NotFound):
    """The version that the attribute names as the one after is not stored."""

    default_official_code = f"{_CODE}successorDoesNotExist"


class AlreadyForwarded(FailedPrecondition):
    """The peer has the attribute already."""

    reason, code = "ATTRIBUTE_ALREADY_SHARED", Code.FAILED_PRECONDITION
    default_official_code = f"{_CODE}alreadyForwarded"


class DeletionInfoNotApplicable(FailedPrecondition):
    """The attribute is not shared with the peer, or deleted there."""

    default_official_code = f"{_CODE}cannotSetAttributeDeletionInfo"


class WrongStatusForDeletionInfo(FailedPrecondition):
    """Only the proposal to delete a relationship says what becomes of its attributes."""

    reason, code = "WRONG_RELATIONSHIP_STATUS", Code.FAILED_PRECONDITION
    default_official_code = f"{_CODE}wrongRelationshipStatusToSetDeletionInfo"


class DefaultsDisabled(FailedPrecondition):
    """Default attributes are switched off in the settings."""

    reason, code = "DEFAULT_ATTRIBUTES_DISABLED", Code.FAILED_PRECONDITION
    default_official_code = f"{_CODE}setDefaultOwnIdentityAttributesIsDisabled"


class SharedWhilePending(FailedPrecondition):
    """An attribute cannot be deleted while a relationship that it was shared in is pending."""

    reason, code = "RELATIONSHIP_PENDING", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.attributes.cannotDeleteSharedAttributeWhileRelationshipIsPending"


class QueryInvalid(InvalidArgument):
    """A query in the identity query language cannot be read; the fact `position` is the number of characters before
    the fault.
    """

    reason, code = "QUERY_INVALID", Code.INVALID_ARGUMENT
    default_official_code = "error.runtime.requestDeserialization"
