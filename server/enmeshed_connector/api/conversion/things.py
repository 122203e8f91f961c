"""Templates, relationships, messages, files, tokens, devices and deletion processes: views as messages of the contract.

`Converter` holds what a conversion depends on: the codec, and what the caller may see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from enmeshed.connector.v1 import (
    device_pb2,
    file_pb2,
    identity_deletion_process_pb2,
    message_pb2,
    relationship_pb2,
    template_pb2,
    token_pb2,
)
from enmeshed.content.v1 import content_pb2
from enmeshed_connector.api.conversion.values import (
    content_type,
    enum_number,
    password_protection,
    reference,
    set_time,
)
from enmeshed_connector.api.scopes import Scopes
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.runtime.views import View

_KEY_HOLDING_TOKENS = frozenset(
    {"TokenContentFile", "TokenContentRelationshipTemplate", "TokenContentDeviceSharedSecret"}
)


@dataclass(frozen=True)
class Converter:
    """Converts views for one caller."""

    codec: ContentCodec
    scopes: Scopes
    """What the caller may do; decides on references, passwords and ownership tokens."""
    is_full: bool = True
    """Whether content is shown (view FULL)."""

    def basic(self) -> Converter:
        """Returns the converter of the view BASIC."""
        return Converter(self.codec, self.scopes, is_full=False)

    def message(self, view: View, attachments: Sequence[View] = ()) -> message_pb2.Message:
        """Returns a message.

        Args:
            view: The message.
            attachments: Its files, where they are shown.
        """
        message = message_pb2.Message(
            id=view["id"],
            is_own=view["isOwn"],
            content_type=content_type(view["content"]),
            created_by=view["createdBy"],
            created_by_device=view["createdByDevice"],
            attachment_ids=view["attachments"],
        )
        if self.is_full:
            self._fill_content(message.content, view, "content")
        for recipient in view["recipients"]:
            entry = message.recipients.add(
                address=recipient["address"],
                received_by_device=recipient.get("receivedByDevice", ""),
                relationship_id=recipient.get("relationshipId", ""),
            )
            set_time(entry.receive_time, recipient.get("receivedAt"))
        set_time(message.create_time, view["createdAt"])
        set_time(message.read_time, view.get("wasReadAt"))
        message.attachments.extend(self.file(file, shows_reference=False) for file in attachments)
        return message

    def relationship(self, view: View) -> relationship_pb2.Relationship:
        """Returns a relationship."""
        statuses = relationship_pb2.RelationshipStatus
        message = relationship_pb2.Relationship(
            id=view["id"],
            template_id=view.get("templateId", ""),
            status=enum_number(statuses, "RELATIONSHIP_STATUS", view["status"]),  # type: ignore[arg-type]
            peer=view["peer"],
        )
        identity = view["peerIdentity"]
        message.peer_identity.address = identity["address"]
        message.peer_identity.public_key = identity["publicKey"]
        info = view.get("peerDeletionInfo")
        if info is not None:
            message.peer_deletion_info.deletion_status = enum_number(  # type: ignore[assignment]
                relationship_pb2.PeerDeletionStatus, "PEER_DELETION_STATUS", info["deletionStatus"]
            )
            set_time(message.peer_deletion_info.deletion_time, info["deletionDate"])
        if self.is_full and "creationContent" in view:
            self._fill_content(message.creation_content, view, "creationContent")
        for entry in view["auditLog"]:
            converted = message.audit_log.add(
                created_by=entry["createdBy"],
                created_by_device=entry.get("createdByDevice", ""),
                reason=enum_number(
                    relationship_pb2.RelationshipAuditLogReason, "RELATIONSHIP_AUDIT_LOG_REASON", entry["reason"]
                ),
                old_status=enum_number(statuses, "RELATIONSHIP_STATUS", entry.get("oldStatus")),
                new_status=enum_number(statuses, "RELATIONSHIP_STATUS", entry["newStatus"]),
            )
            set_time(converted.create_time, entry["createdAt"])
        return message

    def template(self, view: View, *, is_created: bool = False) -> template_pb2.RelationshipTemplate:
        """Returns a template; `is_created` in the answer of the call that created it, which shows the reference."""
        shows_secrets = is_created or self.scopes.allow("relationshipTemplates:secrets")
        message = template_pb2.RelationshipTemplate(
            id=view["id"],
            is_own=view["isOwn"],
            created_by=view["createdBy"],
            created_by_device=view["createdByDevice"],
            for_identity=view.get("forIdentity", ""),
            max_number_of_allocations=view.get("maxNumberOfAllocations"),
            content_type=content_type(view["content"]),
        )
        set_time(message.create_time, view["createdAt"])
        set_time(message.expire_time, view.get("expiresAt"))
        if "passwordProtection" in view:
            protection = password_protection(view["passwordProtection"], shows_password=shows_secrets)
            message.password_protection.CopyFrom(protection)
        if self.is_full:
            self._fill_content(message.content, view, "content")
        if shows_secrets:
            message.reference.CopyFrom(reference(view["reference"]))
        return message

    def token(self, view: View, *, is_created: bool = False) -> token_pb2.Token:
        """Returns a token; `is_created` in the answer of the call that created it, which shows the reference."""
        shows_secrets = is_created or self.scopes.allow("tokens:secrets")
        kind = content_type(view["content"])
        message = token_pb2.Token(
            id=view["id"],
            is_own=view["isOwn"],
            created_by=view.get("createdBy", ""),
            created_by_device=view.get("createdByDevice", ""),
            for_identity=view.get("forIdentity", ""),
            content_type=kind,
            is_ephemeral=view["isEphemeral"],
        )
        set_time(message.create_time, view["createdAt"])
        set_time(message.expire_time, view["expiresAt"])
        if "passwordProtection" in view:
            protection = password_protection(view["passwordProtection"], shows_password=shows_secrets)
            message.password_protection.CopyFrom(protection)
        # Of a content that is kept as text it is not known whether it holds a key.
        may_hold_key = kind in _KEY_HOLDING_TOKENS or "exactContent" in view
        if self.is_full and (not may_hold_key or self.scopes.allow("tokens:secrets")):
            self._fill_content(message.content, view, "content")
        if shows_secrets:
            message.reference.CopyFrom(reference(view["reference"]))
        return message

    def file(self, view: View, *, is_created: bool = False, shows_reference: bool = True) -> file_pb2.File:
        """Returns a file.

        Args:
            view: The file.
            is_created: In the answer of the call that created it, which shows the reference.
            shows_reference: False where a file is shown beside something else.
        """
        shows_secrets = shows_reference and (is_created or self.scopes.allow("files:secrets"))
        message = file_pb2.File(
            id=view["id"],
            is_own=view["isOwn"],
            filename=view["filename"],
            size_bytes=view["filesize"],
            media_type=view["mimetype"],
            title=view.get("title"),
            description=view.get("description"),
            tags=view.get("tags", []),
            created_by=view["createdBy"],
            created_by_device=view["createdByDevice"],
            owner=view["owner"],
            ownership_is_locked=view.get("ownershipIsLocked", False),
        )
        set_time(message.create_time, view["createdAt"])
        set_time(message.expire_time, view["expiresAt"])
        if shows_secrets:
            message.ownership_token = view.get("ownershipToken", "")
            message.reference.CopyFrom(reference(view["reference"]))
        return message

    def _fill_content(self, target: content_pb2.Content, view: View, name: str) -> None:
        text = view.get("exactContent")
        if text is None:
            self.codec.fill_content(target, view[name])
        else:
            target.CopyFrom(self.codec.content_from_text(text))

    def deletion_process(self, view: View) -> identity_deletion_process_pb2.IdentityDeletionProcess:
        """Returns an identity deletion process."""
        message = identity_deletion_process_pb2.IdentityDeletionProcess(
            id=view["id"],
            status=enum_number(  # type: ignore[arg-type]
                identity_deletion_process_pb2.IdentityDeletionProcessStatus,
                "IDENTITY_DELETION_PROCESS_STATUS",
                view["status"],
            ),
            created_by_device=view.get("createdByDevice", ""),
            cancelled_by_device=view.get("cancelledByDevice", ""),
        )
        set_time(message.create_time, view.get("createdAt"))
        set_time(message.grace_period_end_time, view.get("gracePeriodEndsAt"))
        set_time(message.cancel_time, view.get("cancelledAt"))
        return message

    def device(self, view: View) -> device_pb2.Device:
        """Returns a device."""
        number = view.get("type", 0)
        known = number if number in device_pb2.DeviceType.values() else 0
        message = device_pb2.Device(
            id=view["id"],
            type=known,  # type: ignore[arg-type]  # checked above
            name=view.get("name", ""),
            description=view.get("description", ""),
            created_by_device=view["createdByDevice"],
            operating_system=view.get("operatingSystem", ""),
            public_key=view.get("publicKey", ""),
            username=view.get("username", ""),
            is_admin=view["isAdmin"],
            is_current=view["isCurrentDevice"],
            is_offboarded=view.get("isOffboarded", False),
            is_backup=view.get("isBackupDevice", False),
        )
        set_time(message.create_time, view["createdAt"])
        set_time(message.last_login_time, view.get("lastLoginAt"))
        return message
