"""The errors of this room, with the codes that official peers use for them.

An error is either *deterministic*, so that the same input fails in the same way for ever, or it comes from something
that is away for now. `external_events.py` relies on the difference: only deterministic failures are reported to the
Backbone.

Source: transport.md, section 26.
"""

from __future__ import annotations

from enmeshed_connector.core.errors import Code, DomainError, FailedPrecondition, InvalidArgument, NotFound


class TransportError(DomainError):
    """The base of the errors that have no closer meaning for a caller."""

    reason, code = "TRANSPORT_FAILED", Code.INTERNAL


class RecordMissing(NotFound):
    """There is no such object in this account."""

    reason, code = "NOT_FOUND", Code.NOT_FOUND

    def __init__(self, kind: str, identifier: str, *, official_code: str | None = None) -> None:
        super().__init__(
            f"There is no {kind} {identifier}.", official_code=official_code, facts={"kind": kind, "id": identifier}
        )


class SignatureNotValid(FailedPrecondition):
    """A signature does not fit what it should sign."""

    reason, code = "SIGNATURE_NOT_VALID", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.signatureNotValid"


class ContentNotReadable(FailedPrecondition):
    """Something that a peer or another device wrote cannot be decrypted or parsed."""

    reason, code = "CONTENT_NOT_READABLE", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.unknown"


class NotIntendedForYou(FailedPrecondition):
    """A personalised object is for another identity."""

    reason, code = "NOT_INTENDED_FOR_YOU", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.general.notIntendedForYou"


class NoPasswordProvided(InvalidArgument):
    """A password-protected object was asked for without its password."""

    reason, code = "NO_PASSWORD_PROVIDED", Code.INVALID_ARGUMENT
    default_official_code = "error.transport.noPasswordProvided"


class NotSupported(FailedPrecondition):
    """The network has no such operation."""

    reason, code = "NOT_SUPPORTED", Code.UNIMPLEMENTED
    default_official_code = "error.runtime.notSupported"


class NoIdentityFound(FailedPrecondition):
    """The account holds no identity, and creating one is not allowed by the settings."""

    reason, code = "NO_IDENTITY", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.general.noIdentityFound"


class PlatformClientInvalid(FailedPrecondition):
    """The platform client id or secret of the settings is not accepted."""

    reason, code = "PLATFORM_CLIENT_INVALID", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.general.platformClientInvalid"


class AccountStateInvalid(TransportError):
    """What is stored of the account does not fit together; nothing is changed until somebody has looked at it."""

    reason, code = "ACCOUNT_STATE_INVALID", Code.DATA_LOSS


class AddressMismatch(TransportError):
    """The Backbone's address for the new identity is not the one that follows from its key.

    Usually `address_host` must be set: the Backbone forms addresses with another host name than the one it is reached
    by.
    """

    reason, code = "ADDRESS_MISMATCH", Code.FAILED_PRECONDITION


class BackboneNotCompatible(FailedPrecondition):
    """The Backbone's major version is outside the range that this Connector speaks."""

    reason, code = "BACKBONE_NOT_COMPATIBLE", Code.FAILED_PRECONDITION


class SecretNotFound(TransportError):
    """A secret that this device should hold is missing."""

    reason, code = "SECRET_NOT_FOUND", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.secrets.secretNotFound"


class WrongSecretType(TransportError):
    """A secret is there, but of another kind."""

    reason, code = "WRONG_SECRET_TYPE", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.secrets.wrongSecretType"


class IdentityKeyMissing(FailedPrecondition):
    """This device is not an admin device: it does not hold the identity key, which this operation signs with."""

    reason, code = "IDENTITY_KEY_MISSING", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.secrets.secretNotFound"


class DeviceAlreadyOnboarded(FailedPrecondition):
    """The device has its own keys already; its onboarding secret is not given out any more."""

    reason, code = "DEVICE_ALREADY_ONBOARDED", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.devices.alreadyOnboarded"


class DeviceNotDeletable(FailedPrecondition):
    """Only devices that were never used can be deleted."""

    reason, code = "DEVICE_NOT_DELETABLE", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.devices.couldNotDeleteDevice"


class DatawalletDisabled(FailedPrecondition):
    """The operation shares data among devices, and the account's datawallet is switched off."""

    reason, code = "DATAWALLET_DISABLED", Code.FAILED_PRECONDITION


class DatawalletVersionTooLow(FailedPrecondition):
    """Another device upgraded the datawallet beyond what this Connector understands."""

    reason, code = "DATAWALLET_VERSION_TOO_LOW", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.datawallet.insufficientSupportedDatawalletVersion"


class DatawalletVersionTooHigh(TransportError):
    """The datawallet would have to be lowered, which is impossible."""

    reason, code = "DATAWALLET_VERSION_TOO_HIGH", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.datawallet.currentBiggerThanTarget"


class DatawalletNotReadable(TransportError):
    """A modification of another device cannot be decrypted or has an unknown kind; nothing of the pull was applied."""

    reason, code = "DATAWALLET_NOT_READABLE", Code.DATA_LOSS


class SyncRunningElsewhere(DomainError):
    """Another device of this identity runs a sync at this moment. It ends or expires within seconds; then try again."""

    reason, code = "SYNC_RUNNING_ELSEWHERE", Code.UNAVAILABLE
    default_official_code = "error.platform.validation.syncRun.cannotStartSyncRunWhenAnotherSyncRunIsRunning"


class NotTheWorker(DomainError):
    """Another process does this for the account (architecture.md, decision 7)."""

    reason, code = "NOT_THE_WORKER", Code.UNAVAILABLE


class ActiveRelationshipRequired(FailedPrecondition):
    """A challenge of type Relationship needs an active relationship."""

    reason, code = "ACTIVE_RELATIONSHIP_REQUIRED", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.challenges.challengeTypeRequiresActiveRelationship"


class ExternalEventTypeUnknown(TransportError):
    """The Backbone sent an external event of a type that no processor is registered for."""

    reason, code = "EXTERNAL_EVENT_TYPE_UNKNOWN", Code.UNIMPLEMENTED
    default_official_code = "error.transport.unknown"


class OperationRunning(DomainError):
    """The same operation with the same key is being carried out at this moment."""

    reason, code = "OPERATION_RUNNING", Code.ABORTED


class TokenEmpty(FailedPrecondition):
    """The token has no content yet."""

    reason, code = "TOKEN_EMPTY", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.tokens.emptyToken"


class TokenNotEmpty(FailedPrecondition):
    """The token that is to be filled holds something already, or never was one to be filled."""

    reason, code = "TOKEN_NOT_EMPTY", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.devices.referenceNotPointingToAnEmptyToken"


class DeletionProcessActive(FailedPrecondition):
    """The deletion of this identity is running already."""

    reason, code = "DELETION_PROCESS_ACTIVE", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.identityDeletionProcess.activeIdentityDeletionProcessAlreadyExists"


class NoActiveDeletionProcess(FailedPrecondition):
    """No deletion of this identity is running."""

    reason, code = "NO_ACTIVE_DELETION_PROCESS", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.identityDeletionProcess.noActiveIdentityDeletionProcess"


class PushNotificationCodeUnknown(InvalidArgument):
    """The Backbone's operator has defined no text of this code."""

    reason, code = "PUSH_NOTIFICATION_CODE_UNKNOWN", Code.INVALID_ARGUMENT
    default_official_code = "error.platform.validation.notification.codeDoesNotExist"


class RelationshipError(FailedPrecondition):
    """The base of what a relationship's state does not allow."""


class RelationshipExists(RelationshipError):
    """There is a relationship to this peer that is not over yet."""

    reason, code = "RELATIONSHIP_EXISTS", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.relationships.relationshipCurrentlyExists"


class TemplateExpired(RelationshipError):
    """The template can no longer be answered; ask for a new one."""

    reason, code = "TEMPLATE_EXPIRED", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.relationships.relationshipTemplateIsExpired"


class NotYetDecomposedByPeer(RelationshipError):
    """The peer has not yet decomposed a former relationship, or this identity has not at the Backbone."""

    reason, code = "RELATIONSHIP_NOT_YET_DECOMPOSED_BY_PEER", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.relationships.relationshipNotYetDecomposedByPeer"


class TemplateOwnerDeleted(RelationshipError):
    """The identity that made the template does not exist any more."""

    reason, code = "TEMPLATE_OWNER_DELETED", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.relationships.deletedOwnerOfRelationshipTemplate"


class TemplateOwnerInDeletion(RelationshipError):
    """The identity that made the template is about to be deleted."""

    reason, code = "TEMPLATE_OWNER_IN_DELETION", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.relationships.activeIdentityDeletionProcessOfOwnerOfRelationshipTemplate"


class WrongRelationshipStatus(RelationshipError):
    """The relationship's status does not allow this step."""

    reason, code = "WRONG_RELATIONSHIP_STATUS", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.relationships.wrongRelationshipStatus"


class OperationOnlyAllowedForPeer(RelationshipError):
    """Only the other side of the relationship may take this step now."""

    reason, code = "OPERATION_ONLY_ALLOWED_FOR_PEER", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.relationships.operationOnlyAllowedForPeer"


class ReactivationNotRequested(RelationshipError):
    """Nobody has asked for this relationship to be reactivated."""

    reason, code = "REACTIVATION_NOT_REQUESTED", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.relationships.reactivationNotRequested"


class ReactivationAlreadyRequested(RelationshipError):
    """The reactivation was asked for already and is not answered yet."""

    reason, code = "REACTIVATION_ALREADY_REQUESTED", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.relationships.reactivationAlreadyRequested"


class RelationshipNotActive(FailedPrecondition):
    """A recipient has no relationship with this identity that messages can go through."""

    reason, code = "RELATIONSHIP_NOT_ACTIVE", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.messages.hasNeitherActiveNorTerminatedRelationship"


class PeerDeleted(FailedPrecondition):
    """A recipient's identity was deleted."""

    reason, code = "PEER_DELETED", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.messages.peerIsDeleted"


class FileNotInMessage(NotFound):
    """The file is not attached to this message."""

    reason, code = "FILE_NOT_IN_MESSAGE", Code.NOT_FOUND
    default_official_code = "error.runtime.messages.fileNotFoundInMessage"


class FileTooLarge(InvalidArgument):
    """The file is larger than the network takes."""

    reason, code = "FILE_TOO_LARGE", Code.INVALID_ARGUMENT
    default_official_code = "error.transport.files.maxFileSizeExceeded"


class FileOwnershipLocked(FailedPrecondition):
    """The ownership token is wrong, or somebody else gave a wrong one before: the owner must make a new token."""

    reason, code = "FILE_OWNERSHIP_LOCKED", Code.FAILED_PRECONDITION
    default_official_code = "error.platform.forbidden"


class NotOwnedByYou(FailedPrecondition):
    """Only the owner may do this."""

    reason, code = "NOT_OWNED_BY_YOU", Code.FAILED_PRECONDITION
    default_official_code = "error.platform.forbidden"
