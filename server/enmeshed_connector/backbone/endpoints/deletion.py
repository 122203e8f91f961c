"""Deletion processes of the own identity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, path_of
from enmeshed_connector.backbone.wire import Fields, encode_json, many, one, without_nones
from enmeshed_connector.core.ids import DELETION_PROCESS, DEVICE, DeletionProcessId, DeviceId


@dataclass(frozen=True, slots=True)
class DeletionProcess:
    """One attempt to delete the own identity."""

    id: DeletionProcessId
    """`IDP…`."""
    status: str
    """`Active`, `Cancelled` or `Deleting`."""
    created_at: datetime | None
    created_by_device: DeviceId | None
    grace_period_ends_at: datetime | None
    """None once it is cancelled."""
    cancelled_at: datetime | None
    """None with Backbones that do not tell."""
    cancelled_by_device: DeviceId | None


class DeletionProcesses:
    """Starts, reads and cancels the deletion of the own identity."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def start(self, length_of_grace_period_in_days: float | None = None) -> DeletionProcess:
        """Starts the deletion; the Backbone waits for its own default (14 days) when no length is given.

        Raises:
            BackboneRejected: `validation.device.onlyOneActiveDeletionProcessAllowed`.
            AnswerLost: It may have started; `list` tells.
        """
        return await self._caller.call(
            Call(
                "deletion.start",
                "POST",
                path_of("Identities", "Self", "DeletionProcesses"),
                one(_process),
                Repeat.NEVER,
                body=encode_json(without_nones({"lengthOfGracePeriodInDays": length_of_grace_period_in_days})),
            )
        )

    async def list(self) -> tuple[DeletionProcess, ...]:
        """Returns all processes that the Backbone still keeps."""
        return await self._caller.call(
            Call(
                "deletion.list", "GET", path_of("Identities", "Self", "DeletionProcesses"), many(_process), Repeat.SAFE
            )
        )

    async def get(self, process_id: DeletionProcessId) -> DeletionProcess:
        """Returns one process.

        Raises:
            RecordNotFound: Unknown.
        """
        return await self._caller.call(
            Call(
                "deletion.get",
                "GET",
                path_of("Identities", "Self", "DeletionProcesses", process_id),
                one(_process),
                Repeat.SAFE,
            )
        )

    async def cancel(self, process_id: DeletionProcessId) -> DeletionProcess:
        """Cancels an active process within its grace period.

        Raises:
            RecordNotFound: Unknown.
            BackboneRejected: `validation.device.deletionProcessIsNotInRequiredStatus`, `.gracePeriodHasAlreadyExpired`.
            AnswerLost: It may be cancelled; `get` tells.
        """
        return await self._caller.call(
            Call(
                "deletion.cancel",
                "PUT",
                path_of("Identities", "Self", "DeletionProcesses", process_id, "Cancel"),
                one(_process),
                Repeat.NEVER,
                body=b"{}",
            )
        )


def _process(fields: Fields) -> DeletionProcess:
    return DeletionProcess(
        id=fields.id(DELETION_PROCESS, "id"),
        status=fields.text("status"),
        created_at=fields.date_or_none("createdAt"),
        created_by_device=fields.id_or_none(DEVICE, "createdByDevice"),
        grace_period_ends_at=fields.date_or_none("gracePeriodEndsAt"),
        cancelled_at=fields.date_or_none("cancelledAt"),
        cancelled_by_device=fields.id_or_none(DEVICE, "cancelledByDevice"),
    )
