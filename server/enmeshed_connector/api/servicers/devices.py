"""The service Devices."""

from __future__ import annotations

from typing import Any, Final

import grpc

from enmeshed.connector.v1 import devices_service_pb2 as pb
from enmeshed.connector.v1 import devices_service_pb2_grpc
from enmeshed_connector.api.conversion.devices import device
from enmeshed_connector.api.conversion.filters import order
from enmeshed_connector.api.conversion.values import time_of
from enmeshed_connector.api.servicers.common import Servicer, intent_of
from enmeshed_connector.core.errors import FieldViolation, InvalidArgument
from enmeshed_connector.core.secret_bytes import SecretText

Context = grpc.aio.ServicerContext[Any, Any]
NAME: Final = "enmeshed.connector.v1.Devices"
_CHANGEABLE: Final = ("name", "description")


class DevicesServicer(Servicer, devices_service_pb2_grpc.DevicesServicer):
    """The devices of the identity."""

    async def ListDevices(self, request: pb.ListDevicesRequest, context: Context) -> pb.ListDevicesResponse:
        """Returns a page of devices."""
        converter = self.converter()
        page = await self.page(
            request,
            self.use_cases().devices.list,
            lambda view: device(converter, view),
            where=None,
            sort=order("", newest_first=False),
        )
        return pb.ListDevicesResponse(devices=page.items, next_page_token=page.next_page_token)

    async def GetDevice(self, request: pb.GetDeviceRequest, context: Context) -> pb.GetDeviceResponse:
        """Returns a device."""
        view = await self.use_cases().devices.get(request.id)
        return pb.GetDeviceResponse(device=device(self.converter(), view))

    async def UpdateDevice(self, request: pb.UpdateDeviceRequest, context: Context) -> pb.UpdateDeviceResponse:
        """Changes name or description of a device."""
        paths = set(request.update_mask.paths)
        if not paths or not paths.issubset(_CHANGEABLE):
            raise InvalidArgument(
                "The mask must name what to change: `name`, `description` or both.",
                violations=[FieldViolation("update_mask", "must name `name`, `description` or both")],
            )
        view = await self.use_cases().devices.update(
            request.id,
            intent_of(request),
            name=request.name if "name" in paths else None,
            description=request.description if "description" in paths else None,
            etag=request.etag,
        )
        return pb.UpdateDeviceResponse(device=device(self.converter(), view))

    async def CreateDevice(self, request: pb.CreateDeviceRequest, context: Context) -> pb.CreateDeviceResponse:
        """Creates a further device, and a token with all it needs."""
        expires_at = time_of(request, "expire_time")
        converter, use_cases = self.converter(), self.use_cases().devices
        name, description = request.name or None, request.description or None
        if request.empty_token_reference:
            if expires_at is not None:
                raise InvalidArgument(
                    "The empty token has a time of its own.",
                    violations=[FieldViolation("expire_time", "must not be set with `empty_token_reference`")],
                )
            view = await use_cases.create_into(
                request.empty_token_reference,
                intent_of(request),
                name=name,
                description=description,
                is_admin=request.is_admin,
                profile_name=request.profile_name or None,
            )
            return pb.CreateDeviceResponse(device=device(converter, view))
        view, token = await use_cases.create(
            intent_of(request),
            name=name,
            description=description,
            is_admin=request.is_admin,
            profile_name=request.profile_name or None,
            expires_at=expires_at,
        )
        return pb.CreateDeviceResponse(device=device(converter, view), token=converter.token(token, is_created=True))

    async def DeleteDevice(self, request: pb.DeleteDeviceRequest, context: Context) -> pb.DeleteDeviceResponse:
        """Deletes a device that was never used."""
        await self.use_cases().devices.delete(request.id, intent_of(request))
        return pb.DeleteDeviceResponse()

    async def SetCommunicationLanguage(
        self, request: pb.SetCommunicationLanguageRequest, context: Context
    ) -> pb.SetCommunicationLanguageResponse:
        """Tells the Backbone in which language it writes to this device."""
        await self.use_cases().devices.set_communication_language(request.language)
        return pb.SetCommunicationLanguageResponse()

    async def CreateRecoveryKit(
        self, request: pb.CreateRecoveryKitRequest, context: Context
    ) -> pb.CreateRecoveryKitResponse:
        """Creates a recovery kit."""
        token = await self.use_cases().devices.create_recovery_kit(
            request.profile_name, SecretText(request.password), intent_of(request)
        )
        return pb.CreateRecoveryKitResponse(token=self.converter().token(token, is_created=True))

    async def CheckRecoveryKit(
        self, request: pb.CheckRecoveryKitRequest, context: Context
    ) -> pb.CheckRecoveryKitResponse:
        """Tells whether there is a recovery kit."""
        return pb.CheckRecoveryKitResponse(exists=await self.use_cases().devices.has_recovery_kit())
