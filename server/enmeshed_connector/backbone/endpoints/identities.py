"""Identities: registering one, reading the own one, asking whether one is deleted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, path_of
from enmeshed_connector.backbone.wire import Fields, encode_json, one, without_nones
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.ids import DEVICE, DeviceId


@dataclass(frozen=True, slots=True)
class SignedChallenge:
    """A challenge's text and the signature over exactly this text."""

    challenge: str
    signature: bytes
    """The UTF-8 JSON of the signature object, `{"sig":…,"alg":2,…}`."""

    def members(self) -> dict[str, object]:
        """Returns the members of the JSON object."""
        return {"challenge": self.challenge, "signature": self.signature}


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """What registers an identity with its first device."""

    client_id: str
    client_secret: str = field(repr=False)
    identity_public_key: bytes
    """The UTF-8 JSON of the public key object."""
    device_password: str = field(repr=False)
    signed_challenge: SignedChallenge
    """Of an anonymous challenge, signed with the identity's key."""
    identity_version: int = 1
    communication_language: str | None = None
    """Two letters; the Backbone takes `en` when it is not given."""

    def wire(self) -> bytes:
        """Returns the exact body of the request."""
        return encode_json(
            without_nones(
                {
                    "devicePassword": self.device_password,
                    "identityPublicKey": self.identity_public_key,
                    "signedChallenge": self.signed_challenge.members(),
                    "clientId": self.client_id,
                    "clientSecret": self.client_secret,
                    "identityVersion": self.identity_version,
                    "deviceCommunicationLanguage": self.communication_language,
                }
            )
        )


@dataclass(frozen=True, slots=True)
class RegisteredDevice:
    """The first device of a new identity."""

    id: DeviceId
    """`DVC…`."""
    username: str
    """`USR…`."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RegisteredIdentity:
    """What the Backbone made of a registration."""

    address: Address
    created_at: datetime
    device: RegisteredDevice


@dataclass(frozen=True, slots=True)
class OwnIdentity:
    """The caller's identity as the Backbone knows it."""

    address: Address
    created_at: datetime
    identity_version: int
    tier_id: str
    status: str
    """`Active`, `ToBeDeleted` or `Deleting`."""
    deletion_grace_period_ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeletionState:
    """Whether the identity of a user name is gone."""

    is_deleted: bool
    deletion_date: datetime | None


class Identities:
    """Registers identities and tells of them. Anonymous callers may register and ask for deletion."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def register(self, identity: NewIdentity | bytes) -> RegisteredIdentity:
        """Registers an identity with its first device; takes also the exact body that `NewIdentity.wire` gave.

        Raises:
            BackboneRejected: `unauthorized` (client id or secret), `validation.device.invalidSignature`,
                `.challengeHasExpired`, `.addressAlreadyExists`, `.clientReachedIdentitiesLimit`, `.registrationFailed`.
            RecordNotFound: The challenge is unknown.
            AnswerLost: The identity may exist. Nothing can tell: without the answer its device has no user name.
        """
        body = identity if isinstance(identity, bytes) else identity.wire()
        return await self._caller.call(
            Call("identities.register", "POST", path_of("Identities"), one(_registered), Repeat.NEVER, body=body)
        )

    async def own(self) -> OwnIdentity:
        """Returns the caller's identity."""
        return await self._caller.call(
            Call("identities.own", "GET", path_of("Identities", "Self"), one(_own), Repeat.SAFE)
        )

    async def deletion_state(self, username: str) -> DeletionState:
        """Tells whether the identity that this device user name belongs to is deleted; False also for unknown names."""
        return await self._caller.call(
            Call(
                "identities.deletion_state",
                "GET",
                path_of("Identities", "IsDeleted"),
                one(_deletion_state),
                Repeat.SAFE,
                query=[("username", username)],
            )
        )


def _registered(fields: Fields) -> RegisteredIdentity:
    return RegisteredIdentity(fields.address("address"), fields.date("createdAt"), fields.nested("device", _device))


def _device(fields: Fields) -> RegisteredDevice:
    return RegisteredDevice(fields.id(DEVICE, "id"), fields.text("username"), fields.date("createdAt"))


def _own(fields: Fields) -> OwnIdentity:
    return OwnIdentity(
        address=fields.address("address"),
        created_at=fields.date("createdAt"),
        identity_version=fields.integer("identityVersion"),
        tier_id=fields.text("tierId"),
        status=fields.text("status"),
        deletion_grace_period_ends_at=fields.date_or_none("deletionGracePeriodEndsAt"),
    )


def _deletion_state(fields: Fields) -> DeletionState:
    return DeletionState(fields.boolean("isDeleted"), fields.date_or_none("deletionDate"))
