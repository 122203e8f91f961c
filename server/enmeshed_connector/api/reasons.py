"""Reasons as callers see them: the values of the proto enum `ErrorReason`.

Rooms below name what went wrong in their own words. Where two words mean the same to a caller, or one says more than a
caller can use, this table gives the public one; the log keeps the original.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_GROUPS: Final[Mapping[str, str]] = {
    "PEER_DATA_INVALID": "SIGNATURE_NOT_VALID SIGNATURE_INVALID CONTENT_NOT_READABLE DECRYPTION_FAILED "
    "KEY_EXCHANGE_FAILED COUNTER_OUT_OF_ORDER HASH_MISMATCH RECIPIENT_MISMATCH",
    "BACKBONE_AUTHENTICATION_FAILED": "PLATFORM_CLIENT_INVALID BACKBONE_CLIENT_REJECTED BACKBONE_CREDENTIALS_REJECTED "
    "BACKBONE_UNAUTHORIZED",
    "BACKBONE_UNAVAILABLE": "BACKBONE_FAILED BACKBONE_ANSWER_UNUSABLE BACKBONE_ENDPOINT_NOT_FOUND "
    "BACKBONE_DEVICE_LOCKED_OUT",
    "BACKBONE_INCOMPATIBLE": "BACKBONE_NOT_COMPATIBLE ADDRESS_MISMATCH",
    "BACKBONE_REJECTED": "BACKBONE_REDIRECTED",
    "BACKBONE_QUOTA_EXHAUSTED": "BACKBONE_BUSY",
    "INVALID_ARGUMENT": "BACKBONE_INPUT_REJECTED",
    "NOT_FOUND": "BACKBONE_RECORD_NOT_FOUND",
    "CONTENT_TOO_LARGE": "BACKBONE_BODY_TOO_LARGE",
    "MESSAGE_TOO_LARGE": "BACKBONE_ANSWER_TOO_LARGE",
    "CONTENT_INVALID": "INVALID_DOCUMENT",
    "CONCURRENT_CHANGE": "REVISION_CONFLICT LEASE_LOST",
    "IDEMPOTENCY_KEY_IN_USE": "OPERATION_RUNNING",
    "STORED_DATA_UNREADABLE": "DATA_LOSS ACCOUNT_STATE_INVALID DATAWALLET_NOT_READABLE",
    "FAILED_PRECONDITION": "SECRET_NOT_FOUND WRONG_SECRET_TYPE",
    "DATAWALLET_VERSION_UNSUPPORTED": "DATAWALLET_VERSION_TOO_LOW DATAWALLET_VERSION_TOO_HIGH",
    "UNAVAILABLE": "KEY_SLOT_NOT_CLAIMED SYNC_RUNNING_ELSEWHERE NOT_THE_WORKER",
    "NOT_SUPPORTED": "EXTERNAL_EVENT_TYPE_UNKNOWN",
    "PASSWORD_REQUIRED": "NO_PASSWORD_PROVIDED",
    "CHALLENGE_REQUIRES_ACTIVE_RELATIONSHIP": "ACTIVE_RELATIONSHIP_REQUIRED",
}

PUBLIC_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {inner: public for public, inners in _GROUPS.items() for inner in inners.split()}
)
"""The public reason of each reason that is not public itself."""

NEVER_SENT: Final = frozenset({"SETTINGS_INVALID", "START_REFUSED"})
"""Reasons of errors that happen before there is a caller."""


def public_reason(reason: str) -> str:
    """Returns the reason as callers see it."""
    return PUBLIC_REASONS.get(reason, reason)
