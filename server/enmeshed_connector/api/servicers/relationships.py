"""The service Relationships."""

from __future__ import annotations

from typing import Any

import grpc

from enmeshed.connector.v1 import relationship_pb2, relationships_service_pb2_grpc
from enmeshed.connector.v1 import relationships_service_pb2 as pb
from enmeshed_connector.api.conversion.attributes import attribute
from enmeshed_connector.api.conversion.filters import order, relationship_filter
from enmeshed_connector.api.conversion.values import content_object
from enmeshed_connector.api.servicers.common import Servicer, intent_of
from enmeshed_connector.consumption.requests.errors import NoAcceptedRequest, WrongCreationContent
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.transport.errors import RelationshipError
from enmeshed_connector.transport.objects import CREATED_AT
from enmeshed_connector.transport.relationship_operations import (
    ACCEPT,
    ACCEPT_REACTIVATION,
    REJECT,
    REJECT_REACTIVATION,
    REQUEST_REACTIVATION,
    REVOKE,
    REVOKE_REACTIVATION,
    TERMINATE,
    Step,
)

Context = grpc.aio.ServicerContext[Any, Any]


class RelationshipsServicer(Servicer, relationships_service_pb2_grpc.RelationshipsServicer):
    """Relationships with peers."""

    async def CanCreateRelationship(
        self, request: pb.CanCreateRelationshipRequest, context: Context
    ) -> pb.CanCreateRelationshipResponse:
        """Tells whether a relationship can be asked for."""
        has_content = request.HasField("creation_content")
        content = content_object(self._codec, request.creation_content, "creation_content") if has_content else None
        try:
            await self.use_cases().relationships.check_can_create(request.template_id, content)
        except (RelationshipError, ContentInvalid, NoAcceptedRequest, WrongCreationContent) as problem:
            return pb.CanCreateRelationshipResponse(
                is_success=False, reason=problem.reason, code=problem.official_code or "", message=problem.message
            )
        return pb.CanCreateRelationshipResponse(is_success=True)

    async def CreateRelationship(
        self, request: pb.CreateRelationshipRequest, context: Context
    ) -> pb.CreateRelationshipResponse:
        """Asks for a relationship."""
        relationship = await self.use_cases().relationships.create(
            request.template_id,
            content_object(self._codec, request.creation_content, "creation_content"),
            intent_of(request),
        )
        return pb.CreateRelationshipResponse(relationship=self.converter().relationship(relationship))

    async def GetRelationship(self, request: pb.GetRelationshipRequest, context: Context) -> pb.GetRelationshipResponse:
        """Returns a relationship by its id or peer."""
        use_cases = self.use_cases().relationships
        by_id = request.WhichOneof("by") == "id"
        view = await (use_cases.get(request.id) if by_id else use_cases.get_by_address(request.peer))
        return pb.GetRelationshipResponse(relationship=self.converter().relationship(view))

    async def ListRelationships(
        self, request: pb.ListRelationshipsRequest, context: Context
    ) -> pb.ListRelationshipsResponse:
        """Returns a page of relationships."""
        page = await self.page(
            request,
            self.use_cases().relationships.list,
            self.converter(request.view).relationship,
            where=relationship_filter(request.filter),
            sort=order(request.order_by, newest_first=False, path=CREATED_AT),
        )
        return pb.ListRelationshipsResponse(relationships=page.items, next_page_token=page.next_page_token)

    async def AcceptRelationship(
        self, request: pb.AcceptRelationshipRequest, context: Context
    ) -> pb.AcceptRelationshipResponse:
        """Accepts a relationship that a peer asked for."""
        return pb.AcceptRelationshipResponse(relationship=await self._take(ACCEPT, request))

    async def RejectRelationship(
        self, request: pb.RejectRelationshipRequest, context: Context
    ) -> pb.RejectRelationshipResponse:
        """Rejects a relationship that a peer asked for."""
        return pb.RejectRelationshipResponse(relationship=await self._take(REJECT, request))

    async def RevokeRelationship(
        self, request: pb.RevokeRelationshipRequest, context: Context
    ) -> pb.RevokeRelationshipResponse:
        """Takes back an own request for a relationship."""
        return pb.RevokeRelationshipResponse(relationship=await self._take(REVOKE, request))

    async def TerminateRelationship(
        self, request: pb.TerminateRelationshipRequest, context: Context
    ) -> pb.TerminateRelationshipResponse:
        """Ends an active relationship."""
        return pb.TerminateRelationshipResponse(relationship=await self._take(TERMINATE, request))

    async def RequestReactivation(
        self, request: pb.RequestReactivationRequest, context: Context
    ) -> pb.RequestReactivationResponse:
        """Asks for a terminated relationship back."""
        return pb.RequestReactivationResponse(relationship=await self._take(REQUEST_REACTIVATION, request))

    async def AcceptReactivation(
        self, request: pb.AcceptReactivationRequest, context: Context
    ) -> pb.AcceptReactivationResponse:
        """Agrees to have a relationship back."""
        return pb.AcceptReactivationResponse(relationship=await self._take(ACCEPT_REACTIVATION, request))

    async def RejectReactivation(
        self, request: pb.RejectReactivationRequest, context: Context
    ) -> pb.RejectReactivationResponse:
        """Refuses to have a relationship back."""
        return pb.RejectReactivationResponse(relationship=await self._take(REJECT_REACTIVATION, request))

    async def RevokeReactivation(
        self, request: pb.RevokeReactivationRequest, context: Context
    ) -> pb.RevokeReactivationResponse:
        """Takes back the wish to have a relationship back."""
        return pb.RevokeReactivationResponse(relationship=await self._take(REVOKE_REACTIVATION, request))

    async def DecomposeRelationship(
        self, request: pb.DecomposeRelationshipRequest, context: Context
    ) -> pb.DecomposeRelationshipResponse:
        """Leaves a relationship for good."""
        await self.use_cases().relationships.decompose(request.id, intent_of(request))
        return pb.DecomposeRelationshipResponse()

    async def ListRelationshipAttributes(
        self, request: pb.ListRelationshipAttributesRequest, context: Context
    ) -> pb.ListRelationshipAttributesResponse:
        """Returns a page of the attributes that were exchanged in a relationship."""
        use_cases, converter = self.use_cases(), self.converter()
        relationship = await use_cases.relationships.get(request.id)
        page = await self.page(
            request,
            use_cases.attributes.list,
            lambda view: attribute(converter, view),
            where=await use_cases.attributes.exchanged_condition(
                relationship["peer"],
                hides_technical=request.hide_technical,
                only_latest_versions=not request.HasField("only_latest_versions") or request.only_latest_versions,
            ),
            sort=order("", newest_first=False),
        )
        return pb.ListRelationshipAttributesResponse(attributes=page.items, next_page_token=page.next_page_token)

    async def _take(self, step: Step, request: Any) -> relationship_pb2.Relationship:
        view = await self.use_cases().relationships.take(step, request.id, intent_of(request))
        return self.converter().relationship(view)
