"""The devices of this identity, and recovery kits.

Source: connector.md, section 4; transport.md, sections 10 and 22.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from enmeshed_connector.backbone.errors import AnswerLost
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.core.references import TokenReference, parse_reference
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.derivation import PasswordProtection
from enmeshed_connector.crypto.tokens import TokenContentDeviceSharedSecret
from enmeshed_connector.runtime.etags import check_etag, etag_of
from enmeshed_connector.runtime.synchronisation import Synchronisation
from enmeshed_connector.runtime.use_cases.changes import change_once, do_once
from enmeshed_connector.runtime.use_cases.common import Entry, Intent, ReferenceKindWrong, TimeInPast, list_page
from enmeshed_connector.runtime.views import View, Views
from enmeshed_connector.storage import FilterLike, Keyset, SortLike
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.anonymous_tokens import not_empty
from enmeshed_connector.transport.objects import DEVICES, Document
from enmeshed_connector.transport.recovery import RECOVERY_KIT_LOCATION
from enmeshed_connector.transport.sync_modes import SyncMode
from enmeshed_connector.transport.work import Work

_ONBOARDING_TIME: Final = timedelta(minutes=5)
_SYNC_TIME: Final = timedelta(seconds=30)


class DeviceUseCases:
    """What callers can do with devices. Views of devices hold `etag`."""

    def __init__(self, transport: TransportAccount, views: Views, synchronisation: Synchronisation) -> None:
        """Takes the account, and how it is synced."""
        self._transport = transport
        self._context = transport.context
        self._views = views
        self._synchronisation = synchronisation

    async def get(self, device_id: str) -> View:
        """Returns a device, or raises `RecordMissing`."""
        return self._view(await self._transport.devices.get(device_id))

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next devices of a list."""
        return await list_page(
            self._context.store, DEVICES, self._view, where=where, sort=sort, limit=limit, after=after
        )

    async def update(
        self, device_id: str, intent: Intent, *, name: str | None, description: str | None, etag: str = ""
    ) -> View:
        """Sets name and description, each unless None; an empty text removes it.

        Raises:
            RecordMissing: There is no such device.
            EtagStale: It was changed since it was read.
        """

        async def change(work: Work) -> JsonObject:
            check_etag(await work.require(DEVICES, device_id, "device"), etag)
            return self._view(await self._transport.devices.change(work, device_id, name=name, description=description))

        return await change_once(self._context, intent, change)

    async def create(
        self,
        intent: Intent,
        *,
        name: str | None,
        description: str | None,
        is_admin: bool,
        profile_name: str | None,
        expires_at: datetime | None,
    ) -> tuple[View, View]:
        """Creates a device and a token with what it needs, and returns both.

        Raises:
            DatawalletDisabled: Without the datawallet the device would know nothing.
            TimeInPast: The token would be worth nothing.
            DomainError: Those of `DeviceController.create` and `TokenController.create`.
        """
        await self._transport.sync.require_datawallet()
        now = self._context.clock.now()
        if expires_at is not None and expires_at <= now:
            raise TimeInPast("The token must expire in the future.")
        device = await self._new_device(intent, name, description, is_admin=is_admin)
        # A repeat gets the token that was made, whether or not the device is onboarded by now.
        ticket = None if intent.ticket is None else intent.ticket.step("token")
        earlier = await self._context.outbox.earlier_result(ticket)
        if earlier is not None:
            return self._view(device), self._views.token(dict(earlier["token"]), is_ephemeral=True)
        secret = await self._transport.devices.shared_secret(device["id"], profile_name)
        token = await self._transport.tokens.create(
            TokenContentDeviceSharedSecret(secret).to_json(),
            expires_at=expires_at or now + _ONBOARDING_TIME,
            is_ephemeral=True,
            ticket=ticket,
            cause=intent.cause,
        )
        return self._view(device), self._views.token(token, is_ephemeral=True)

    async def create_into(
        self,
        reference: str,
        intent: Intent,
        *,
        name: str | None,
        description: str | None,
        is_admin: bool,
        profile_name: str | None,
    ) -> View:
        """Creates a device and puts what it needs into the empty token that it shows; returns the device.

        Raises:
            DatawalletDisabled: Without the datawallet the device would know nothing.
            ReferenceKindWrong: It is no reference to a token.
            TokenNotEmpty: The token is none that can be filled.
            DomainError: Those of `DeviceController.create` and `EmptyTokens.fill`.
        """
        await self._transport.sync.require_datawallet()
        try:
            parsed = parse_reference(reference)
        except MalformedValue:
            raise ReferenceKindWrong("This is no reference.") from None
        if not isinstance(parsed, TokenReference):
            raise ReferenceKindWrong("The reference does not lead to a token.")
        tokens = self._transport.empty_tokens
        present = await tokens.content(parsed)
        is_new = intent.ticket is None or (
            await self._context.outbox.earlier_result(intent.ticket.step("device")) is None
        )
        if present is not None and is_new:
            raise not_empty(parsed)
        device = await self._new_device(intent, name, description, is_admin=is_admin)
        if present is not None:
            if _device_in(present) != device["id"]:
                raise not_empty(parsed)
            return self._view(device)
        secret = await self._transport.devices.shared_secret(device["id"], profile_name)
        try:
            await tokens.fill(parsed, TokenContentDeviceSharedSecret(secret).to_json())
        except AnswerLost:
            # The new device may have it already.
            raise
        except DomainError:
            await self._transport.devices.delete(device["id"], cause=intent.cause)
            raise
        return self._view(device)

    async def delete(self, device_id: str, intent: Intent) -> None:
        """Deletes a device that was never used. Errors: of `DeviceController.delete`."""

        async def delete() -> JsonObject:
            await self._transport.devices.delete(device_id, cause=intent.cause)
            return {}

        await do_once(self._context, intent, delete)

    async def set_communication_language(self, language: str) -> None:
        """Tells the Backbone in which language it writes to this device. Errors: `BackboneError`."""
        await self._transport.devices.set_communication_language(language)

    async def create_recovery_kit(self, profile_name: str, password: SecretText, intent: Intent) -> View:
        """Makes a recovery kit in place of an earlier one and returns its token.

        Raises:
            DatawalletDisabled: Without the datawallet a recovered device would know nothing.
            DomainError: Those of `RecoveryController.create`.
        """
        protection = PasswordProtection.create(
            password, is_pin=False, location_indicator=RECOVERY_KIT_LOCATION, random=self._context.random
        )
        token = await self._transport.recovery.create(
            profile_name, protection, ticket=intent.ticket, cause=intent.cause
        )
        return self._views.token(token)

    async def has_recovery_kit(self) -> bool:
        """Tells whether there is a recovery kit."""
        return await self._transport.recovery.exists()

    async def _new_device(
        self, intent: Intent, name: str | None, description: str | None, *, is_admin: bool
    ) -> Document:
        """Makes the device, known to the other devices before anybody can become it."""
        device = await self._transport.devices.create(
            name=name,
            description=description,
            is_admin=is_admin,
            ticket=None if intent.ticket is None else intent.ticket.step("device"),
            cause=intent.cause,
        )
        await self._synchronisation.sync(SyncMode.DATAWALLET, timeout=_SYNC_TIME)
        return device

    def _view(self, document: Document) -> View:
        view = self._views.device(document, current=self._context.device.id)
        return {**view, "etag": etag_of(document)}


def _device_in(content: JsonObject) -> str | None:
    secret = content.get("sharedSecret")
    identifier = secret.get("id") if isinstance(secret, dict) else None
    return identifier if isinstance(identifier, str) else None
