"""The account itself: who it is, how it is synced, challenges. Source: connector.md, sections 3.1 and 3.5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from enmeshed_connector.core.canonical_json import loads_object
from enmeshed_connector.crypto.signatures import Signature
from enmeshed_connector.runtime.etags import etag_of
from enmeshed_connector.runtime.synchronisation import Synchronisation
from enmeshed_connector.runtime.views import View, Views
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.challenges import ChallengeType
from enmeshed_connector.transport.compatibility import Compatibility
from enmeshed_connector.transport.objects import FILES, IDENTITY_DELETION_PROCESSES, MESSAGES, RELATIONSHIPS
from enmeshed_connector.transport.sync_modes import SyncMode

_MOST_SHOWN = 500
"""How many changed things of a kind a sync shows at most; all of them are in the database and the events."""


@dataclass(frozen=True)
class SyncView:
    """What a sync changed."""

    relationships: list[View] = field(default_factory=list)
    messages: list[View] = field(default_factory=list)
    files: list[View] = field(default_factory=list)
    deletion_processes: list[View] = field(default_factory=list)
    failed_events: int = 0
    is_truncated: bool = False
    """Whether more was changed than is shown."""


@dataclass(frozen=True)
class DeletionView:
    """Whether the identity still exists."""

    is_deleted: bool
    deletion_date: datetime | None


class AccountUseCases:
    """What callers can ask of the account itself."""

    def __init__(self, transport: TransportAccount, views: Views, synchronisation: Synchronisation) -> None:
        """Takes the account."""
        self._transport = transport
        self._views = views
        self._synchronisation = synchronisation

    def identity(self) -> View:
        """Returns address and public key."""
        identity = self._transport.context.identity
        return {"address": identity.address, "publicKey": identity.public_key.to_base64(verbose=False)}

    async def sync(self, timeout: timedelta) -> SyncView:
        """Fetches what is new and returns it.

        Raises:
            SyncRunningElsewhere: Another device of the identity is syncing.
            BackboneError, NoWorker: The Backbone, or the worker of this account, is away.
        """
        result = await self._synchronisation.sync(timeout=timeout)
        changed = result.changed
        store = self._transport.context.store

        async def shown(collection: str) -> list[View]:
            convert = {
                RELATIONSHIPS: self._views.relationship,
                MESSAGES: self._views.message,
                FILES: self._views.file,
                IDENTITY_DELETION_PROCESSES: self._views.deletion_process,
            }[collection]
            documents = [await store.get(collection, one) for one in changed.get(collection, ())[:_MOST_SHOWN]]
            return [convert(document) for document in documents if document is not None]

        return SyncView(
            await shown(RELATIONSHIPS),
            await shown(MESSAGES),
            await shown(FILES),
            await shown(IDENTITY_DELETION_PROCESSES),
            len(result.failed_events),
            any(len(ids) > _MOST_SHOWN for ids in changed.values()),
        )

    async def sync_datawallet(self, timeout: timedelta) -> None:
        """Shares what is new with the other devices of the identity, and takes over what they did.

        Raises:
            DatawalletDisabled: It is switched off for this account.
            SyncRunningElsewhere, BackboneError, NoWorker: As `sync`.
        """
        await self._transport.sync.require_datawallet()
        await self._synchronisation.sync(SyncMode.DATAWALLET, timeout=timeout)

    async def sync_times(self) -> Mapping[str, str | None]:
        """Returns when syncs were last completed: `everything` and `datawallet`."""
        times = await self._transport.sync.times()
        return {"everything": times.everything, "datawallet": times.datawallet}

    async def own_device(self) -> View:
        """Returns this device."""
        device = await self._transport.devices.own()
        return {
            **self._views.device(device, current=self._transport.context.device.id),
            "etag": etag_of(device),
        }

    async def compatibility(self) -> Compatibility:
        """Returns whether the Backbone's version is one that this Connector speaks."""
        return await self._transport.backbone_news.compatibility()

    async def deletion_state(self) -> DeletionView:
        """Returns whether the identity is deleted, as the Backbone tells."""
        state = await self._transport.identity_deletion.is_deleted()
        return DeletionView(state.is_deleted, state.deletion_date)

    async def create_challenge(self, kind: str, relationship_id: str | None) -> View:
        """Returns a challenge of the Backbone, signed. Errors: of `ChallengeController.create`.

        Args:
            kind: `Identity`, `Device` or `Relationship`.
            relationship_id: For that type.
        """
        signed = await self._transport.challenges.create(ChallengeType(kind), relationship_id)
        members = loads_object(signed.challenge, field="challenge")
        return {
            **{name: members[name] for name in ("id", "expiresAt", "createdBy", "createdByDevice") if name in members},
            "type": kind,
            "challengeString": signed.challenge,
            "signature": signed.signature.to_base64(verbose=False),
        }

    async def validate_challenge(self, challenge: str, signature: str) -> tuple[bool, View | None]:
        """Returns whether a peer's proof holds, and the relationship with the peer.

        Raises:
            MalformedValue: The signature or the text cannot be read.
            DomainError: Those of `ChallengeController.validate`.
        """
        parsed = Signature.from_base64(signature, "signature")
        validity = await self._transport.challenges.validate(challenge, parsed)
        relationship = validity.relationship
        return validity.is_valid, None if relationship is None else self._views.relationship(relationship)
