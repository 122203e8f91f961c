"""The datawallet: encrypted modifications through which the devices of one identity share what they know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, path_of
from enmeshed_connector.backbone.paging import Page, Pager, page_of
from enmeshed_connector.backbone.wire import Fields, encode_json, off_loop_when_large, one, without_nones
from enmeshed_connector.core.ids import DATAWALLET_MODIFICATION, DEVICE, DatawalletModificationId, DeviceId


@dataclass(frozen=True, slots=True)
class NewModification:
    """One modification to be pushed."""

    object_identifier: str
    """100 characters at most."""
    collection: str
    """50 characters at most."""
    type: str
    """`Create`, `Update` or `Delete`."""
    datawallet_version: int
    payload_category: str | None = None
    encrypted_payload: bytes | None = field(default=None, repr=False)
    """The UTF-8 JSON of the cipher."""

    def members(self) -> dict[str, object]:
        """Returns the members of the JSON object."""
        return without_nones(
            {
                "objectIdentifier": self.object_identifier,
                "payloadCategory": self.payload_category,
                "collection": self.collection,
                "type": self.type,
                "encryptedPayload": self.encrypted_payload,
                "datawalletVersion": self.datawallet_version,
            }
        )


@dataclass(frozen=True, slots=True)
class NewModifications:
    """What is pushed at once."""

    local_index: int
    """The highest index this device knows; -1 before the first."""
    modifications: Sequence[NewModification]

    def wire(self) -> bytes:
        """Returns the exact body of the request."""
        return encode_json(
            {
                "localIndex": self.local_index,
                "modifications": [modification.members() for modification in self.modifications],
            }
        )


@dataclass(frozen=True, slots=True)
class PushedModification:
    """The place that one pushed modification got."""

    id: DatawalletModificationId
    """`DWM…`."""
    index: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PushResult:
    """What the Backbone made of a push."""

    new_index: int
    """The highest index now."""
    modifications: tuple[PushedModification, ...]
    """In the order of the request."""


@dataclass(frozen=True, slots=True)
class Modification:
    """One modification as the Backbone hands it out."""

    id: DatawalletModificationId
    index: int
    object_identifier: str
    payload_category: str | None
    created_at: datetime
    created_by_device: DeviceId
    collection: str
    type: str
    encrypted_payload: bytes | None = field(repr=False)
    datawallet_version: int


class Datawallet:
    """Reads and extends the datawallet of the own identity. The session's supported version travels along by itself."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def version(self) -> int:
        """Returns the version of the datawallet.

        Raises:
            RecordNotFound: There is none yet: it comes into being with the first version upgrade.
        """
        return await self._caller.call(
            Call("datawallet.version", "GET", path_of("Datawallet"), one(_version), Repeat.SAFE)
        )

    def modifications(self, local_index: int | None = None) -> Pager[Modification]:
        """Lists modifications with a higher index than this, ascending by index; superseded ones are left out.

        Raises:
            BackboneRejected: `validation.datawallet.insufficientSupportedDatawalletVersion`.
        """
        call: Call[Page[Modification]] = Call(
            "datawallet.modifications",
            "GET",
            path_of("Datawallet", "Modifications"),
            page_of(_modification),
            Repeat.SAFE,
            query=[] if local_index is None else [("localIndex", str(local_index))],
        )
        return Pager(self._caller, call)

    async def push(self, modifications: NewModifications | bytes) -> PushResult:
        """Adds modifications, all or none; takes also the exact body that `NewModifications.wire` gave.

        Raises:
            BackboneRejected: `validation.datawallet.datawalletNotUpToDate`,
                `.cannotPushDatawalletModificationsDuringActiveSyncRun`, `.insufficientSupportedDatawalletVersion`.
            AnswerLost: They may be there; a pull from `local_index` tells by this device's id.
        """
        if isinstance(modifications, bytes):
            body = modifications
        else:
            body = await off_loop_when_large(modifications.wire, payload_bytes(modifications.modifications))
        return await self._caller.call(
            Call(
                "datawallet.push",
                "POST",
                path_of("Datawallet", "Modifications"),
                one(_push_result),
                Repeat.NEVER,
                body=body,
            )
        )


def payload_bytes(modifications: Sequence[NewModification]) -> int:
    """Returns the bytes in all payloads together."""
    return sum(len(modification.encrypted_payload or b"") for modification in modifications)


def read_pushed(fields: Fields) -> PushedModification:
    """Reads the place of one pushed modification."""
    return PushedModification(
        fields.id(DATAWALLET_MODIFICATION, "id"), fields.integer("index"), fields.date("createdAt")
    )


def _version(fields: Fields) -> int:
    return fields.integer("version")


def _push_result(fields: Fields) -> PushResult:
    return PushResult(fields.integer("newIndex"), fields.items("modifications", read_pushed))


def _modification(fields: Fields) -> Modification:
    return Modification(
        id=fields.id(DATAWALLET_MODIFICATION, "id"),
        index=fields.integer("index"),
        object_identifier=fields.text("objectIdentifier"),
        payload_category=fields.text_or_none("payloadCategory"),
        created_at=fields.date("createdAt"),
        created_by_device=fields.id(DEVICE, "createdByDevice"),
        collection=fields.text("collection"),
        type=fields.text("type"),
        encrypted_payload=fields.data_or_none("encryptedPayload"),
        datawallet_version=fields.integer("datawalletVersion"),
    )
