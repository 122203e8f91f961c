"""Ids of the network: 20 characters, an upper-case prefix that tells the kind and random letters and digits.

Source: `spec/crypto.md` section 6, `spec/transport.md` section 3.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NewType, TypeVar, cast

from .malformed import WrongAlphabet, WrongForm, WrongLength, WrongPrefix, WrongType

ID_LENGTH = 20
"""Characters of an id, prefix included."""

ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

FileId = NewType("FileId", str)
RelationshipId = NewType("RelationshipId", str)
MessageId = NewType("MessageId", str)
TemplateId = NewType("TemplateId", str)
TokenId = NewType("TokenId", str)
DeviceId = NewType("DeviceId", str)
ChallengeId = NewType("ChallengeId", str)
DatawalletModificationId = NewType("DatawalletModificationId", str)
SyncRunId = NewType("SyncRunId", str)
ExternalEventId = NewType("ExternalEventId", str)
DeletionProcessId = NewType("DeletionProcessId", str)
Username = NewType("Username", str)
AnnouncementId = NewType("AnnouncementId", str)
DevicePushId = NewType("DevicePushId", str)
SecretContainerId = NewType("SecretContainerId", str)
RelationshipSecretId = NewType("RelationshipSecretId", str)
TemplateKeyId = NewType("TemplateKeyId", str)
LocalModificationId = NewType("LocalModificationId", str)
AttributeId = NewType("AttributeId", str)
ForwardingId = NewType("ForwardingId", str)
RequestId = NewType("RequestId", str)
NotificationId = NewType("NotificationId", str)
DraftId = NewType("DraftId", str)
SettingId = NewType("SettingId", str)
IdentityMetadataId = NewType("IdentityMetadataId", str)
LocalId = NewType("LocalId", str)

T = TypeVar("T", bound=str)

_ALPHANUMERIC = re.compile(r"[A-Za-z0-9]*\Z")
_PREFIX = re.compile(r"[A-Z]{0,6}\Z")


@dataclass(frozen=True)
class IdKind(Generic[T]):
    """A kind of id: what its ids begin with, and the type they have."""

    name: str
    """What an error calls it."""
    prefix: str
    """At most six upper-case letters; empty for ids that carry no kind."""

    def __post_init__(self) -> None:
        if not _PREFIX.match(self.prefix):
            raise ValueError("an id prefix is at most six upper-case letters")


FILE: IdKind[FileId] = IdKind("file", "FIL")
RELATIONSHIP: IdKind[RelationshipId] = IdKind("relationship", "REL")
MESSAGE: IdKind[MessageId] = IdKind("message", "MSG")
TEMPLATE: IdKind[TemplateId] = IdKind("relationship template", "RLT")
TOKEN: IdKind[TokenId] = IdKind("token", "TOK")
DEVICE: IdKind[DeviceId] = IdKind("device", "DVC")
CHALLENGE: IdKind[ChallengeId] = IdKind("challenge", "CHL")
DATAWALLET_MODIFICATION: IdKind[DatawalletModificationId] = IdKind("datawallet modification", "DWM")
SYNC_RUN: IdKind[SyncRunId] = IdKind("sync run", "SYR")
EXTERNAL_EVENT: IdKind[ExternalEventId] = IdKind("external event", "SYI")
DELETION_PROCESS: IdKind[DeletionProcessId] = IdKind("identity deletion process", "IDP")
USERNAME: IdKind[Username] = IdKind("user name", "USR")
ANNOUNCEMENT: IdKind[AnnouncementId] = IdKind("announcement", "ANC")
DEVICE_PUSH: IdKind[DevicePushId] = IdKind("device push identifier", "DPI")
SECRET_CONTAINER: IdKind[SecretContainerId] = IdKind("secret container", "TRPSEC")
RELATIONSHIP_SECRET: IdKind[RelationshipSecretId] = IdKind("relationship secret", "TRPRSE")
TEMPLATE_KEY: IdKind[TemplateKeyId] = IdKind("template key", "TRPRTK")
LOCAL_MODIFICATION: IdKind[LocalModificationId] = IdKind("local datawallet modification", "TRPDWM")
ATTRIBUTE: IdKind[AttributeId] = IdKind("attribute", "ATT")
FORWARDING: IdKind[ForwardingId] = IdKind("attribute forwarding details", "ATTFD")
REQUEST: IdKind[RequestId] = IdKind("request", "REQ")
NOTIFICATION: IdKind[NotificationId] = IdKind("notification", "NOT")
DRAFT: IdKind[DraftId] = IdKind("draft", "LCLDRF")
SETTING: IdKind[SettingId] = IdKind("setting", "LCLSET")
IDENTITY_METADATA: IdKind[IdentityMetadataId] = IdKind("identity metadata", "IDM")
LOCAL: IdKind[LocalId] = IdKind("local id", "")


def parse_id(kind: IdKind[T], text: str, field: str = "id") -> T:
    """Returns the text as an id of the kind.

    Args:
        kind: The kind it must be of.
        text: The id, exactly as it was given: nothing is trimmed.
        field: The path of the value, for the error.

    Raises:
        WrongType: The value is not text.
        WrongLength: It has not exactly 20 characters.
        WrongPrefix: It is the id of another kind.
        WrongAlphabet: It holds something besides letters and digits of ASCII.
    """
    if not isinstance(text, str):
        raise WrongType(field, f"must be the id of a {kind.name}, as text")
    if len(text) != ID_LENGTH:
        raise WrongLength(field, f"must be the id of a {kind.name}: {ID_LENGTH} characters")
    if not text.startswith(kind.prefix):
        raise WrongPrefix(field, f"must be the id of a {kind.name}: it begins with {kind.prefix}")
    if not _ALPHANUMERIC.match(text):
        raise WrongAlphabet(field, f"must be the id of a {kind.name}: letters and digits only")
    return cast(T, text)


def find_id(prefix: str, text: str, field: str = "id") -> str:
    """Returns the first id with this prefix anywhere in the text: the loose check that official peers make.

    Use `parse_id` for whatever is stored or sent on.

    Raises:
        WrongForm: The text holds no such id.
    """
    match = re.search(f"{re.escape(prefix)}[A-Za-z0-9]{{{ID_LENGTH - len(prefix)}}}", text)
    if match is None:
        raise WrongForm(field, f"must hold an id that begins with {prefix}")
    return match[0]


class IdMaker:
    """Makes ids of local kinds from a source of random bytes."""

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        self._random = random

    def new(self, kind: IdKind[T]) -> T:
        """Returns a fresh id of the kind; every letter and digit is equally likely."""
        return cast(T, kind.prefix + random_text(ID_LENGTH - len(kind.prefix), ID_ALPHABET, self._random))


def random_text(length: int, alphabet: str, random: Callable[[int], bytes] = os.urandom) -> str:
    """Returns a random text over an alphabet of 2 to 256 characters, each equally likely.

    Bytes past the last whole multiple of the alphabet are drawn again, since a remainder would favour its beginning.
    """
    limit = 256 - 256 % len(alphabet)
    characters: list[str] = []
    while len(characters) < length:
        drawn = random(length - len(characters) + 8)
        characters.extend(alphabet[byte % len(alphabet)] for byte in drawn if byte < limit)
    return "".join(characters[:length])
