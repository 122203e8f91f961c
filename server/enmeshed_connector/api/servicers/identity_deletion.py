"""The service IdentityDeletion."""

from __future__ import annotations

from typing import Any, Final

import grpc

from enmeshed.connector.v1 import identity_deletion_service_pb2 as pb
from enmeshed.connector.v1 import identity_deletion_service_pb2_grpc
from enmeshed_connector.api.conversion.filters import order
from enmeshed_connector.api.servicers.common import Servicer, intent_of

Context = grpc.aio.ServicerContext[Any, Any]
NAME: Final = "enmeshed.connector.v1.IdentityDeletion"


class IdentityDeletionServicer(Servicer, identity_deletion_service_pb2_grpc.IdentityDeletionServicer):
    """The deletion of the identity."""

    async def StartDeletionProcess(
        self, request: pb.StartDeletionProcessRequest, context: Context
    ) -> pb.StartDeletionProcessResponse:
        """Starts the deletion."""
        days = request.grace_period_days if request.HasField("grace_period_days") else None
        process = await self.use_cases().identity_deletion.start(days, intent_of(request))
        return pb.StartDeletionProcessResponse(process=self.converter().deletion_process(process))

    async def CancelDeletionProcess(
        self, request: pb.CancelDeletionProcessRequest, context: Context
    ) -> pb.CancelDeletionProcessResponse:
        """Cancels the deletion that is running."""
        process = await self.use_cases().identity_deletion.cancel(intent_of(request))
        return pb.CancelDeletionProcessResponse(process=self.converter().deletion_process(process))

    async def GetDeletionProcess(
        self, request: pb.GetDeletionProcessRequest, context: Context
    ) -> pb.GetDeletionProcessResponse:
        """Returns a deletion."""
        process = await self.use_cases().identity_deletion.get(request.id or None)
        return pb.GetDeletionProcessResponse(process=self.converter().deletion_process(process))

    async def ListDeletionProcesses(
        self, request: pb.ListDeletionProcessesRequest, context: Context
    ) -> pb.ListDeletionProcessesResponse:
        """Returns a page of deletions."""
        page = await self.page(
            request,
            self.use_cases().identity_deletion.list,
            self.converter().deletion_process,
            where=None,
            sort=order("", newest_first=True),
        )
        return pb.ListDeletionProcessesResponse(processes=page.items, next_page_token=page.next_page_token)
