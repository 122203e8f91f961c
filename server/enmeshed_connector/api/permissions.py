"""The permission tables: one row for each RPC, and one for each event type.

The server refuses to start when an RPC that it serves has no row (`check_methods`). A test compares both tables with
the protos. Scopes of the official Connector do not tell reading from writing; here each service has `:read`, `:write`,
and where keys or passwords are shown `:secrets`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from google.protobuf.descriptor import ServiceDescriptor

from enmeshed_connector.api.calls import CallKind, Method
from enmeshed_connector.api.errors import StartRefused

PACKAGE: Final = "enmeshed.connector.v1"

_SHORT: Final = CallKind.SHORT
_TRANSFER: Final = CallKind.TRANSFER
_SUBSCRIPTION: Final = CallKind.SUBSCRIPTION

# Service, then permission, then the calls that need it. A call under several permissions needs all of them.
_ROWS: Final[Mapping[str, Mapping[str, str]]] = {
    "Account": {
        "account:read": "GetIdentityInfo GetSyncInfo GetOwnDevice CheckBackboneCompatibility GetIdentityStatus",
        "account:write": "Sync SyncDatawallet",
    },
    "RelationshipTemplates": {
        "relationshipTemplates:read": "GetTemplate ListTemplates ListPublicTemplateReferences",
        "relationshipTemplates:write": "CreateTemplate LoadTemplate DeleteTemplate CreateTemplateToken",
    },
    "Relationships": {
        "relationships:read": "CanCreateRelationship GetRelationship ListRelationships ListRelationshipAttributes",
        "relationships:write": "CreateRelationship AcceptRelationship RejectRelationship RevokeRelationship "
        "TerminateRelationship RequestReactivation AcceptReactivation RejectReactivation RevokeReactivation "
        "DecomposeRelationship",
        "attributes:read": "ListRelationshipAttributes",
    },
    "Messages": {
        "messages:read": "GetMessage ListMessages DownloadAttachment GetAttachment",
        "messages:write": "SendMessage MarkMessageRead MarkMessageUnread SendRequest",
        "outgoingRequests:write": "SendRequest",
    },
    "Files": {
        "files:read": "DownloadFile GetFile ListFiles",
        "files:write": "UploadFile LoadFile DeleteFile CreateFileToken RegenerateOwnershipToken",
    },
    "Tokens": {
        "tokens:read": "GetToken ListTokens",
        "tokens:write": "CreateToken LoadToken DeleteToken",
    },
    "References": {
        "references:read": "ParseReference RenderQrCode",
        "references:write": "LoadReference",
    },
    "Challenges": {
        "challenges:read": "ValidateChallenge",
        "challenges:write": "CreateChallenge",
    },
    "Events": {
        "events:read": "Subscribe ListEvents ListFailedEvents GetSubscription ListSubscriptions",
        "events:write": "RetryFailedEvent CreateSubscription DeleteSubscription AcknowledgeEvents",
    },
    "Attributes": {
        "attributes:read": "CanCreateAttribute GetAttribute ListAttributes ListAttributeVersions ListForwardingDetails "
        "ExecuteIdentityAttributeQuery ExecuteRelationshipAttributeQuery ExecuteThirdPartyRelationshipAttributeQuery "
        "ExecuteIqlQuery ValidateIqlQuery GetTagCollection",
        "attributes:write": "CreateAttribute SucceedAttribute NotifyPeerAboutSuccession DeleteAttribute ShareAttribute "
        "CreateAndShareRelationshipAttribute ChangeDefaultAttribute MarkAttributeViewed",
        "messages:write": "ShareAttribute CreateAndShareRelationshipAttribute",
        "outgoingRequests:write": "ShareAttribute CreateAndShareRelationshipAttribute",
    },
    "IncomingRequests": {
        "incomingRequests:read": "GetIncomingRequest ListIncomingRequests CanAcceptIncomingRequest "
        "CanRejectIncomingRequest",
        "incomingRequests:write": "AcceptIncomingRequest RejectIncomingRequest RetryIncomingRequest "
        "DeleteIncomingRequest",
    },
    "OutgoingRequests": {
        "outgoingRequests:read": "ValidateOutgoingRequest GetOutgoingRequest ListOutgoingRequests WatchOutgoingRequest",
        "outgoingRequests:write": "CreateOutgoingRequest DiscardOutgoingRequest",
    },
    "Notifications": {
        "notifications:read": "GetNotification ListNotifications",
        "notifications:write": "RetryNotification",
    },
    "PushNotifications": {"pushNotifications:write": "SendPushNotification"},
    "IdentityMetadata": {
        "identityMetadata:read": "GetMetadata ListMetadata",
        "identityMetadata:write": "UpsertMetadata DeleteMetadata",
    },
    "IdentityDeletion": {
        "identityDeletion:read": "GetDeletionProcess ListDeletionProcesses",
        "identityDeletion:write": "StartDeletionProcess CancelDeletionProcess",
    },
    "Announcements": {"announcements:read": "ListAnnouncements"},
    "Devices": {
        "devices:read": "ListDevices GetDevice CheckRecoveryKit",
        "devices:write": "UpdateDevice CreateDevice DeleteDevice SetCommunicationLanguage CreateRecoveryKit",
        "devices:secrets": "CreateDevice CreateRecoveryKit",
    },
    "Settings": {
        "settings:read": "GetSetting ListSettings",
        "settings:write": "CreateSetting UpdateSetting DeleteSetting",
    },
    "Drafts": {
        "drafts:read": "GetDraft ListDrafts",
        "drafts:write": "CreateDraft UpdateDraft DeleteDraft",
    },
    "Monitoring": {
        "monitoring:version": "GetVersion",
        "monitoring:statistics": "GetStatistics",
        "monitoring:support": "GetSupportInfo",
    },
}

_KINDS: Final[Mapping[str, CallKind]] = {
    "Events/Subscribe": _SUBSCRIPTION,
    "OutgoingRequests/WatchOutgoingRequest": _SUBSCRIPTION,
    "Files/UploadFile": _TRANSFER,
    "Files/DownloadFile": _TRANSFER,
    "Messages/DownloadAttachment": _TRANSFER,
}
_WITHOUT_ACCOUNT: Final = frozenset({"Monitoring"})
_PUBLIC: Final = (
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)
_CHANNELZ: Final = (
    "/grpc.channelz.v1.Channelz/GetTopChannels",
    "/grpc.channelz.v1.Channelz/GetServers",
    "/grpc.channelz.v1.Channelz/GetServer",
    "/grpc.channelz.v1.Channelz/GetServerSockets",
    "/grpc.channelz.v1.Channelz/GetChannel",
    "/grpc.channelz.v1.Channelz/GetSubchannel",
    "/grpc.channelz.v1.Channelz/GetSocket",
)

SECRETS: Final = ("relationshipTemplates:secrets", "tokens:secrets", "files:secrets", "devices:secrets")
"""Permissions that show keys, references, ownership tokens and passwords."""

MODULE_EVENTS: Final = "modules:read"
"""The permission of events that custom modules publish (`module.…`)."""

_EVENT_ROWS: Final[Mapping[str, Mapping[str, str]]] = {
    "runtime.": {"account:read": "initializing initialized modulesLoaded modulesInitialized modulesStarted"},
    "transport.": {
        "messages:read": "messageReceived messageSent messageDelivered messageWasReadAtChanged",
        "relationshipTemplates:read": "peerRelationshipTemplateLoaded relationshipTemplateAllocationsExhausted",
        "relationships:read": "relationshipChanged relationshipReactivationRequested relationshipReactivationCompleted "
        "relationshipDecomposedBySelf peerToBeDeleted peerDeletionCancelled peerDeleted",
        "identityDeletion:read": "identityDeletionProcessStatusChanged",
        "account:read": "datawalletSynchronized",
        "files:read": "fileOwnershipLocked fileOwnershipClaimed",
    },
    "consumption.": {
        "attributes:read": "attributeCreated attributeDeleted attributeSucceeded attributeForwardingDetailsChanged "
        "attributeWasViewedAtChanged ownAttributeDeletedByOwner peerRelationshipAttributeDeletedByPeer "
        "forwardedAttributeDeletedByPeer",
        "incomingRequests:read": "incomingRequestReceived incomingRequestStatusChanged",
        "outgoingRequests:read": "outgoingRequestCreated outgoingRequestCreatedAndCompleted "
        "outgoingRequestFromRelationshipCreationCreatedAndCompleted outgoingRequestStatusChanged "
        "shareCredentialOfferRequestItemProcessedByRecipient",
        "messages:read": "messageProcessed mailReceived relationshipEvent.*",
        "relationshipTemplates:read": "relationshipTemplateProcessed",
    },
    "connector.": {
        "events:read": "cursorTruncated externalEventFailed externalEventRecovered outcomeUnknown outcomeResolved",
        "notifications:read": "notificationStatusChanged",
        "files:read": "fileStored fileDeleted",
        "incomingRequests:read": "responseDeliveryFailed",
    },
    "module.": {MODULE_EVENTS: "*.**"},
}


def _methods() -> dict[str, Method]:
    needed: dict[str, list[str]] = {}
    for service, permissions in _ROWS.items():
        for permission, calls in permissions.items():
            for call in calls.split():
                needed.setdefault(f"{service}/{call}", []).append(permission)
    methods = {}
    for short, permissions_needed in needed.items():
        name = f"/{PACKAGE}.{short}"
        needs_account = short.partition("/")[0] not in _WITHOUT_ACCOUNT
        methods[name] = Method(name, _KINDS.get(short, _SHORT), tuple(permissions_needed), needs_account)
    for name in _PUBLIC:
        methods[name] = Method(name, CallKind.PUBLIC, (), needs_account=False, is_public=True)
    for name in _CHANNELZ:
        methods[name] = Method(name, _SHORT, ("monitoring:support",), needs_account=False)
    return methods


METHODS: Final[Mapping[str, Method]] = MappingProxyType(_methods())
"""The row of each RPC, by its full name."""

EVENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        prefix + name: permission
        for prefix, permissions in _EVENT_ROWS.items()
        for permission, names in permissions.items()
        for name in names.split()
    }
)
"""The permission of each event type. Names with `*` or `**` stand for the types that fit them."""

ALL_PERMISSIONS: Final = frozenset(
    [permission for method in METHODS.values() for permission in method.permissions] + [*EVENTS.values(), *SECRETS]
)
"""Every permission that exists."""


def check_methods(services: Iterable[ServiceDescriptor]) -> None:
    """Checks that each RPC of the services has a row.

    Raises:
        StartRefused: One has none.
    """
    missing = [
        f"/{service.full_name}/{method.name}"
        for service in services
        for method in service.methods
        if f"/{service.full_name}/{method.name}" not in METHODS
    ]
    if missing:
        raise StartRefused(f"no row in the permission table for {', '.join(missing)}")


def event_pattern(pattern: str) -> re.Pattern[str]:
    """Returns the expression of a pattern of event types: `*` is one part between dots, `**` any number of parts."""
    expression = ""
    for index, part in enumerate(pattern.split(".")):
        if part == "**":
            expression += r"(?:\.[^.]+)*" if index else r"[^.]+(?:\.[^.]+)*"
        else:
            expression += (r"\." if index else "") + (r"[^.]+" if part == "*" else re.escape(part))
    return re.compile(expression)


_EVENT_PATTERNS: Final = tuple((event_pattern(name), permission) for name, permission in EVENTS.items() if "*" in name)


def event_permission(event_type: str) -> str | None:
    """Returns the permission of an event type, None when there is no such type."""
    permission = EVENTS.get(event_type)
    if permission is not None:
        return permission
    return next((permission for pattern, permission in _EVENT_PATTERNS if pattern.fullmatch(event_type)), None)
