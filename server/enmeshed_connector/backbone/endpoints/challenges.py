"""Challenges: texts of the Backbone that prove by signature who holds a key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, path_of
from enmeshed_connector.backbone.wire import Fields, one
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.ids import CHALLENGE, DEVICE, ChallengeId, DeviceId


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge as the Backbone knows it."""

    id: ChallengeId
    """`CHL…`."""
    expires_at: datetime
    """Ten minutes after its creation; it can be read for an hour longer."""
    created_by: Address | None
    """The address of the creator; None for an anonymous one."""
    created_by_device: DeviceId | None


class Challenges:
    """Creates and reads challenges. Anonymous callers may create only."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(self) -> Challenge:
        """Creates a challenge. Repeated when the answer is lost: an unused challenge harms nobody."""
        return await self._caller.call(
            Call("challenges.create", "POST", path_of("Challenges"), one(_challenge), Repeat.SAFE, body=b"{}")
        )

    async def get(self, challenge_id: ChallengeId) -> Challenge:
        """Returns a challenge of any identity.

        Raises:
            RecordNotFound: Unknown, or expired for more than an hour.
        """
        return await self._caller.call(
            Call("challenges.get", "GET", path_of("Challenges", challenge_id), one(_challenge), Repeat.SAFE)
        )


def _challenge(fields: Fields) -> Challenge:
    return Challenge(
        id=fields.id(CHALLENGE, "id"),
        expires_at=fields.date("expiresAt"),
        created_by=fields.address_or_none("createdBy"),
        created_by_device=fields.id_or_none(DEVICE, "createdByDevice"),
    )
