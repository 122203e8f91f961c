"""Recovery kits: a device that nobody uses, kept in a token behind a password.

Source: transport.md, section 22; crypto.md, section 16. Whoever has the token's reference and the password becomes that
device, by the normal onboarding.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from enmeshed_connector.crypto.derivation import PasswordProtection
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.devices import DeviceController
from enmeshed_connector.transport.errors import DeviceNotDeletable
from enmeshed_connector.transport.objects import DEVICES, TOKENS, Document
from enmeshed_connector.transport.pending import Ticket
from enmeshed_connector.transport.sync import SyncController
from enmeshed_connector.transport.sync_modes import SyncMode
from enmeshed_connector.transport.tokens import TokenController
from enmeshed_connector.transport.work import LOCAL_CAUSE, Cause

RECOVERY_KIT_LOCATION = 0
"""The location indicator of passwords of recovery kits."""
_DEVICE_NAME = "Backup Device"
_NEVER = datetime(9999, 12, 31, tzinfo=UTC)
_SECRET_CONTENT = "TokenContentDeviceSharedSecret"  # noqa: S105 - a type


class RecoveryController:
    """Makes recovery kits."""

    def __init__(
        self, context: AccountContext, devices: DeviceController, tokens: TokenController, sync: SyncController
    ) -> None:
        """Takes the account, and who makes devices and tokens."""
        self._context = context
        self._devices = devices
        self._tokens = tokens
        self._sync = sync

    async def create(
        self,
        profile_name: str,
        protection: PasswordProtection,
        *,
        ticket: Ticket | None = None,
        cause: Cause = LOCAL_CAUSE,
    ) -> Document:
        """Makes a kit in place of an earlier one and returns its token (a Token document); its reference is the kit.

        Args:
            profile_name: How the identity is called where it is recovered.
            protection: The password, with location indicator 0.
            ticket: The caller's idempotency key.
            cause: Where the request comes from.

        Raises:
            DatawalletDisabled: Without the datawallet a recovered device would know nothing.
            IdentityKeyMissing: This is not an admin device.
            BackboneError: The Backbone refuses, or is away.
        """
        await self._sync.require_datawallet()
        for_device, for_token = (None, None) if ticket is None else (ticket.step("device"), ticket.step("token"))
        outbox = self._context.outbox
        earlier = await outbox.earlier_result(for_token)
        if earlier is not None:
            return dict(earlier["token"])
        if await outbox.earlier_result(for_device) is None:
            await self.delete_existing(cause=cause)
        device = await self._devices.create(
            name=_DEVICE_NAME, is_admin=True, is_backup_device=True, ticket=for_device, cause=cause
        )
        secret = await self._devices.shared_secret(device["id"], profile_name)
        token = await self._tokens.create(
            {"@type": _SECRET_CONTENT, "sharedSecret": secret.to_json(verbose=False)},
            expires_at=_NEVER,
            protection=protection,
            ticket=for_token,
            cause=cause,
        )
        # The other replicas leave it to the worker's next sync.
        if self._sync.is_worker:
            await self._sync.sync(SyncMode.DATAWALLET)
        return token

    async def exists(self) -> bool:
        """Tells whether there is a kit."""
        return bool(await self._backup_devices())

    async def delete_existing(self, *, cause: Cause = LOCAL_CAUSE) -> None:
        """Makes existing kits useless: deletes their devices, as far as they were not used, and their tokens.

        Raises:
            BackboneError: The Backbone is away; repeating goes on.
        """
        for device in await self._backup_devices():
            await self._delete_tokens_of(device["id"], cause)
            try:
                await self._devices.delete(device["id"], cause=cause)
            except DeviceNotDeletable:
                # It was used, and is an ordinary device now.
                continue

    async def forget_used(self, *, cause: Cause = LOCAL_CAUSE) -> None:
        """Deletes the kit that this device was recovered from: it opens nothing any more.

        Raises:
            BackboneError: The Backbone is away; repeating goes on.
        """
        await self._delete_tokens_of(self._context.device.id, cause)

    async def _delete_tokens_of(self, device_id: str, cause: Cause) -> None:
        where = {"content.@type": _SECRET_CONTENT, "content.sharedSecret.id": device_id}
        for token in await self._context.store.find(TOKENS, where):
            await self._tokens.delete(token["id"], cause=cause)

    async def _backup_devices(self) -> Sequence[Document]:
        return await self._context.store.find(DEVICES, {"isBackupDevice": True})
