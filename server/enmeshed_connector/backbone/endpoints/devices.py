"""Devices of the own identity and their registration for pushes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, nothing, path_of
from enmeshed_connector.backbone.endpoints.identities import SignedChallenge
from enmeshed_connector.backbone.paging import Page, Pager, page_of
from enmeshed_connector.backbone.wire import Fields, encode_json, one, without_nones
from enmeshed_connector.core.ids import DEVICE, DEVICE_PUSH, DeviceId, DevicePushId


@dataclass(frozen=True, slots=True)
class NewDevice:
    """What registers a further device."""

    password: str = field(repr=False)
    """Its first password, to be changed by the device at its first login."""
    signed_challenge: SignedChallenge
    """Of the caller's own challenge, signed with the identity's key."""
    is_backup_device: bool = False
    communication_language: str | None = None

    def wire(self) -> bytes:
        """Returns the exact body of the request."""
        return encode_json(
            without_nones(
                {
                    "devicePassword": self.password,
                    "signedChallenge": self.signed_challenge.members(),
                    "isBackupDevice": self.is_backup_device,
                    "communicationLanguage": self.communication_language,
                }
            )
        )


@dataclass(frozen=True, slots=True)
class CreatedDevice:
    """What the Backbone made of a new device."""

    id: DeviceId
    username: str
    created_at: datetime
    created_by_device: DeviceId
    is_backup_device: bool


@dataclass(frozen=True, slots=True)
class BackboneDevice:
    """A device as the Backbone knows it."""

    id: DeviceId
    username: str
    created_at: datetime
    created_by_device: DeviceId
    last_login: datetime | None
    """None as long as the device is not onboarded."""
    communication_language: str | None
    is_backup_device: bool


class Devices:
    """Manages the devices of the own identity."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(self, device: NewDevice | bytes) -> CreatedDevice:
        """Registers a further device; takes also the exact body that `NewDevice.wire` gave.

        Raises:
            BackboneRejected: `validation.device.onlyOneBackupDeviceCanExist`, `.invalidSignature`,
                `.challengeHasExpired`, `.registrationFailed`, `validation.invalidDeviceCommunicationLanguage`.
            AnswerLost: The device may exist; `list` tells by its creation date and login.
        """
        body = device if isinstance(device, bytes) else device.wire()
        return await self._caller.call(
            Call("devices.create", "POST", path_of("Devices"), one(_created), Repeat.NEVER, body=body)
        )

    def list(self, ids: Sequence[DeviceId] = ()) -> Pager[BackboneDevice]:
        """Lists devices of the own identity: all, or those of these ids."""
        call: Call[Page[BackboneDevice]] = Call(
            "devices.list",
            "GET",
            path_of("Devices"),
            page_of(_device),
            Repeat.SAFE,
            query=[("ids", device_id) for device_id in ids],
        )
        return Pager(self._caller, call)

    async def own(self) -> BackboneDevice:
        """Returns the calling device."""
        return await self._caller.call(
            Call("devices.own", "GET", path_of("Devices", "Self"), one(_device), Repeat.SAFE)
        )

    async def set_communication_language(self, language: str) -> None:
        """Sets the language of pushes to the calling device.

        Raises:
            BackboneRejected: `validation.invalidDeviceCommunicationLanguage`.
        """
        await self._caller.call(
            Call(
                "devices.set_communication_language",
                "PUT",
                path_of("Devices", "Self"),
                nothing,
                Repeat.SAFE,
                body=encode_json({"communicationLanguage": language}),
            )
        )

    async def change_password(self, old: str, new: str) -> None:
        """Changes the password of the calling device. The token in use stays good; hand the new password to the
        session.

        Raises:
            BackboneRejected: `validation.device.changePasswordFailed`.
            AnswerLost: Either password may be the valid one: try the new one first, for wrong ones are counted.
        """
        await self._caller.call(
            Call(
                "devices.change_password",
                "PUT",
                path_of("Devices", "Self", "Password"),
                nothing,
                Repeat.NEVER,
                body=encode_json({"oldPassword": old, "newPassword": new}),
            )
        )

    async def delete(self, device_id: DeviceId) -> None:
        """Deletes a device of the own identity that never logged in.

        Raises:
            RecordNotFound: There is no such device.
            BackboneRejected: `validation.device.deviceCannotBeDeleted`.
        """
        await self._caller.call(
            Call("devices.delete", "DELETE", path_of("Devices", device_id), nothing, Repeat.SAFE, gone_is_done=True)
        )

    async def register_push(
        self, platform: str, *, handle: str, app_id: str, environment: str = "Production"
    ) -> DevicePushId:
        """Registers the calling device for pushes in place of an earlier registration; returns the identifier `DPI…`.

        The stream of server-sent events does this by itself.
        """
        return await self._caller.call(
            Call(
                "devices.register_push",
                "PUT",
                path_of("Devices", "Self", "PushNotifications"),
                one(_push_identifier),
                Repeat.SAFE,
                body=encode_json({"platform": platform, "handle": handle, "appId": app_id, "environment": environment}),
            )
        )

    async def unregister_push(self) -> None:
        """Ends the registration for pushes; without one it does nothing."""
        await self._caller.call(
            Call(
                "devices.unregister_push",
                "DELETE",
                path_of("Devices", "Self", "PushNotifications"),
                nothing,
                Repeat.SAFE,
                gone_is_done=True,
            )
        )

    async def send_test_push(self, data: object = None) -> None:
        """Sends the push `Test` to all devices of the own identity, with any JSON."""
        await self._caller.call(
            Call(
                "devices.send_test_push",
                "POST",
                path_of("Devices", "Self", "PushNotifications", "SendTestNotification"),
                nothing,
                Repeat.NEVER,
                body=encode_json({} if data is None else data),
            )
        )


def _created(fields: Fields) -> CreatedDevice:
    return CreatedDevice(
        id=fields.id(DEVICE, "id"),
        username=fields.text("username"),
        created_at=fields.date("createdAt"),
        created_by_device=fields.id(DEVICE, "createdByDevice"),
        is_backup_device=fields.boolean("isBackupDevice", default=False),
    )


def _device(fields: Fields) -> BackboneDevice:
    return BackboneDevice(
        id=fields.id(DEVICE, "id"),
        username=fields.text("username"),
        created_at=fields.date("createdAt"),
        created_by_device=fields.id(DEVICE, "createdByDevice"),
        last_login=fields.nested_or_none("lastLogin", lambda login: login.date_or_none("time")),
        communication_language=fields.text_or_none("communicationLanguage"),
        is_backup_device=fields.boolean("isBackupDevice", default=False),
    )


def _push_identifier(fields: Fields) -> DevicePushId:
    return fields.id(DEVICE_PUSH, "devicePushIdentifier")
