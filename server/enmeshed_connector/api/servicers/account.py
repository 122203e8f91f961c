"""The service Account."""

from __future__ import annotations

from typing import Any

import grpc

from enmeshed.connector.v1 import account_service_pb2 as pb
from enmeshed.connector.v1 import account_service_pb2_grpc
from enmeshed_connector.api.calls import current_call
from enmeshed_connector.api.conversion.devices import device
from enmeshed_connector.api.conversion.values import set_time
from enmeshed_connector.api.servicers.common import Servicer, time_left

Context = grpc.aio.ServicerContext[Any, Any]


class AccountServicer(Servicer, account_service_pb2_grpc.AccountServicer):
    """Who the account is, and its syncs."""

    async def GetIdentityInfo(self, request: pb.GetIdentityInfoRequest, context: Context) -> pb.GetIdentityInfoResponse:
        """Returns address and public key."""
        identity = self.use_cases().account.identity()
        return pb.GetIdentityInfoResponse(
            account=pb.AccountInfo(
                name=current_call().account_name(), address=identity["address"], public_key=identity["publicKey"]
            )
        )

    async def Sync(self, request: pb.SyncRequest, context: Context) -> pb.SyncResponse:
        """Fetches what is new and returns it."""
        synced = await self.use_cases().account.sync(time_left())
        converter = self.converter()
        return pb.SyncResponse(
            relationships=[converter.relationship(view) for view in synced.relationships],
            messages=[converter.message(view) for view in synced.messages],
            files=[converter.file(view) for view in synced.files],
            identity_deletion_processes=[converter.deletion_process(view) for view in synced.deletion_processes],
            failed_events=synced.failed_events,
            truncated=synced.is_truncated,
        )

    async def GetSyncInfo(self, request: pb.GetSyncInfoRequest, context: Context) -> pb.GetSyncInfoResponse:
        """Returns when syncs were last completed."""
        times = await self.use_cases().account.sync_times()
        response = pb.GetSyncInfoResponse()
        set_time(response.last_sync_time, times["everything"])
        set_time(response.last_datawallet_sync_time, times["datawallet"])
        return response

    async def GetOwnDevice(self, request: pb.GetOwnDeviceRequest, context: Context) -> pb.GetOwnDeviceResponse:
        """Returns this device."""
        view = await self.use_cases().account.own_device()
        return pb.GetOwnDeviceResponse(device=device(self.converter(), view))

    async def SyncDatawallet(self, request: pb.SyncDatawalletRequest, context: Context) -> pb.SyncDatawalletResponse:
        """Syncs with the other devices of the identity."""
        await self.use_cases().account.sync_datawallet(time_left())
        return pb.SyncDatawalletResponse()

    async def CheckBackboneCompatibility(
        self, request: pb.CheckBackboneCompatibilityRequest, context: Context
    ) -> pb.CheckBackboneCompatibilityResponse:
        """Returns whether the Backbone speaks a version that is spoken here."""
        found = await self.use_cases().account.compatibility()
        return pb.CheckBackboneCompatibilityResponse(
            is_compatible=found.is_compatible,
            backbone_version=found.backbone_version,
            supported_min_version=found.minimum_version,
            supported_max_version=found.maximum_version,
        )

    async def GetIdentityStatus(
        self, request: pb.GetIdentityStatusRequest, context: Context
    ) -> pb.GetIdentityStatusResponse:
        """Returns whether the identity is deleted."""
        state = await self.use_cases().account.deletion_state()
        response = pb.GetIdentityStatusResponse(is_deleted=state.is_deleted)
        if state.deletion_date is not None:
            response.deletion_time.FromDatetime(state.deletion_date)
        return response
