"""The devices of the identity, and how a further one gets what it needs.

Source: transport.md, sections 10.1, 10.2 and 10.5.
"""

from __future__ import annotations

from collections.abc import Sequence

from enmeshed_connector.backbone.endpoints.challenges import Challenges
from enmeshed_connector.backbone.endpoints.devices import Devices, NewDevice
from enmeshed_connector.backbone.endpoints.identities import SignedChallenge
from enmeshed_connector.backbone.errors import BackboneRejected
from enmeshed_connector.core.canonical_json import Json, sort_members
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.encodings import to_utf8
from enmeshed_connector.core.ids import DEVICE, parse_id
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.challenges import challenge_text, sign_challenge
from enmeshed_connector.crypto.identities import IdentityKey
from enmeshed_connector.crypto.stored_secrets import DeviceSharedSecret
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import DeviceAlreadyOnboarded, DeviceNotDeletable, RecordMissing
from enmeshed_connector.transport.objects import ACCOUNT_INFO, DEVICES, Document, public_part, without_unset
from enmeshed_connector.transport.passwords import strong_password
from enmeshed_connector.transport.pending import (
    Done,
    NotDone,
    Operation,
    PendingOperation,
    Resolution,
    Ticket,
    Unclear,
)
from enmeshed_connector.transport.work import LOCAL_CAUSE, Cause, Work

UNKNOWN_DEVICE = 0
"""The type of a device before it says what it is."""

_TEXTS = ("name", "description")


class DeviceController:
    """Lists, makes, changes and deletes devices. Documents are Device (transport.md, section 8.1), passwords
    included.
    """

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context
        self._create = _CreateDevice(context)
        self.operations: Sequence[Operation] = (self._create,)

    async def own(self) -> Document:
        """Returns this device."""
        return await self.get(self._context.device.id)

    async def get(self, device_id: str) -> Document:
        """Returns a device of the identity.

        Raises:
            RecordMissing: It is not known here.
        """
        document = await self._context.store.get(DEVICES, device_id)
        if document is None:
            raise RecordMissing("device", device_id)
        return public_part(document)

    async def list(self) -> list[Document]:
        """Returns all devices of the identity that are known here, by id."""
        return [public_part(document) for document in await self._context.store.find(DEVICES)]

    async def create(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        is_admin: bool = False,
        is_backup_device: bool = False,
        ticket: Ticket | None = None,
        cause: Cause = LOCAL_CAUSE,
    ) -> Document:
        """Registers a further device and returns it; `shared_secret` gives what it needs to begin.

        Args:
            name: How it is to be called.
            description: Free text.
            is_admin: Whether it gets the identity's key.
            is_backup_device: Whether it is kept for recovery; the Backbone allows one.
            ticket: The caller's idempotency key.
            cause: Where the request comes from.

        Raises:
            IdentityKeyMissing: This is not an admin device.
            BackboneError: The Backbone refuses, or is away.
            OutcomeUnknown: It was asked for and no answer came.
        """
        earlier = await self._context.outbox.earlier_result(ticket)
        if earlier is not None:
            return await self.get(str(earlier["id"]))
        context = self._context
        key = context.keys.identity_key()
        challenge = await Challenges(context.backbone).create()
        text = challenge_text(
            without_unset(
                createdBy=challenge.created_by,
                createdByDevice=challenge.created_by_device,
                expiresAt=format_date(challenge.expires_at),
                id=challenge.id,
                type="Identity",
            )
        )
        password = strong_password(context.random)
        wire = NewDevice(
            password,
            SignedChallenge(text, to_utf8(sign_challenge(text, key).signature.to_text())),
            is_backup_device,
        ).wire()
        document = without_unset(
            **{"@type": "Device"},
            description=description,
            initialPassword=password,
            isAdmin=is_admin,
            isBackupDevice=is_backup_device,
            name=name,
            type=UNKNOWN_DEVICE,
        )
        result = await context.outbox.run(
            self._create, wire=wire.decode(), plan={"document": document}, ticket=ticket, cause=cause
        )
        return await self.get(str(result["id"]))

    async def shared_secret(self, device_id: str, profile_name: str | None = None) -> DeviceSharedSecret:
        """Returns what a device that was made here needs to begin; whoever has it can be this device.

        Raises:
            RecordMissing: There is no such device.
            DeviceAlreadyOnboarded: It has begun already.
            IdentityKeyMissing: It is to be an admin device, and this is none.
        """
        device = await self.get(device_id)
        if "publicKey" in device or not device.get("initialPassword"):
            raise DeviceAlreadyOnboarded(f"The device {device_id} is onboarded already.", facts={"id": device_id})
        keys = self._context.keys
        identity = self._context.identity
        return DeviceSharedSecret(
            id=parse_id(DEVICE, device_id),
            created_at=device["createdAt"],
            created_by_device=parse_id(DEVICE, device["createdByDevice"], "createdByDevice"),
            device_index=await self._context.store.count(DEVICES),
            identity=IdentityKey(identity.address, identity.public_key),
            secret_base_key=keys.shared_base,
            synchronization_key=keys.synchronisation,
            username=device["username"],
            password=SecretText(device["initialPassword"]),
            identity_private_key=keys.identity_key() if device.get("isAdmin") is True else None,
            is_backup_device=device.get("isBackupDevice") is True,
            name=device.get("name"),
            description=device.get("description"),
            profile_name=profile_name,
        )

    async def update(
        self, device_id: str, *, name: str | None = None, description: str | None = None, cause: Cause = LOCAL_CAUSE
    ) -> Document:
        """Sets name and description of a device, each unless None, and returns it. An empty text removes it.

        Raises:
            RecordMissing: There is no such device.
        """

        async def change(work: Work) -> Document:
            return await self.change(work, device_id, name=name, description=description)

        return await self._context.commits.run(change, cause=cause)

    async def change(
        self, work: Work, device_id: str, *, name: str | None = None, description: str | None = None
    ) -> Document:
        """Does as `update` within a commit of the caller.

        Raises:
            RecordMissing: There is no such device.
        """
        device = await work.require(DEVICES, device_id, "device")
        changed = device | without_unset(name=name, description=description)
        changed = {name: value for name, value in changed.items() if name not in _TEXTS or value}
        await work.save(DEVICES, changed)
        if device_id == self._context.device.id:
            work.write_entry(ACCOUNT_INFO, "device", public_part(changed))
        return public_part(changed)

    async def delete(self, device_id: str, *, cause: Cause = LOCAL_CAUSE) -> None:
        """Deletes a device that was never used. Safe to repeat.

        Raises:
            RecordMissing: There is no such device.
            DeviceNotDeletable: It was used already.
            BackboneError: The Backbone is away.
        """
        device = await self.get(device_id)
        if "publicKey" in device:
            raise DeviceNotDeletable(f"The device {device_id} is onboarded.", facts={"id": device_id})
        try:
            await Devices(self._context.backbone).delete(parse_id(DEVICE, device_id))
        except BackboneRejected as error:
            if error.has_code("validation.device.deviceCannotBeDeleted"):
                raise DeviceNotDeletable(
                    f"The device {device_id} was used already.", facts={"id": device_id}
                ) from error
            # What the Backbone does not know needs no deletion there.
            if not error.has_code("recordNotFound"):
                raise

        async def forget(work: Work) -> None:
            await work.remove(DEVICES, device_id)

        await self._context.commits.run(forget, cause=cause)

    async def set_communication_language(self, language: str) -> None:
        """Sets the language in which the Backbone writes to this device.

        Args:
            language: Two letters of ISO 639-1.

        Raises:
            BackboneError: The Backbone refuses it, or is away.
        """
        await Devices(self._context.backbone).set_communication_language(language)

    async def mark_offboarded(self, *, cause: Cause = LOCAL_CAUSE) -> None:
        """Notes for the other devices that this one will not be used any more."""

        async def change(work: Work) -> None:
            device = await work.require(DEVICES, self._context.device.id, "device")
            changed = device | {"isOffboarded": True}
            await work.save(DEVICES, changed)
            work.write_entry(ACCOUNT_INFO, "device", public_part(changed))

        await self._context.commits.run(change, cause=cause)


class _CreateDevice(Operation):
    """The registration of a further device."""

    kind = "devices.create"

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    async def transmit(self, pending: PendingOperation) -> Json:
        created = await Devices(self._context.backbone).create(pending.wire.encode())
        return {
            "id": created.id,
            "username": created.username,
            "createdAt": format_date(created.created_at),
            "createdByDevice": created.created_by_device,
        }

    async def resolve(self, pending: PendingOperation) -> Resolution:
        """Looks for a device of this device's making that is unknown here and has never logged in."""
        known = {document["id"] for document in await self._context.store.find(DEVICES)}
        found = [
            device
            async for device in Devices(self._context.backbone).list()
            if device.id not in known
            and device.created_by_device == self._context.device.id
            and device.last_login is None
            and device.is_backup_device == pending.plan["document"]["isBackupDevice"]
        ]
        if not found:
            return NotDone()
        if len(found) > 1:
            # Those of other lost requests; which password belongs to which cannot be told.
            return Unclear()
        device = found[0]
        return Done(
            {
                "id": device.id,
                "username": device.username,
                "createdAt": format_date(device.created_at),
                "createdByDevice": device.created_by_device,
            }
        )

    async def complete(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        if await work.get(DEVICES, answer["id"]) is None:
            parse_date(answer["createdAt"])
            await work.create(DEVICES, sort_members({**pending.plan["document"], **answer}))
        return {"id": answer["id"]}
