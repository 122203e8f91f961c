"""The service RelationshipTemplates."""

from __future__ import annotations

from typing import Any

import grpc

from enmeshed.connector.v1 import relationship_templates_service_pb2 as pb
from enmeshed.connector.v1 import relationship_templates_service_pb2_grpc
from enmeshed_connector.api.calls import current_call
from enmeshed_connector.api.conversion.filters import order, template_filter
from enmeshed_connector.api.conversion.values import content_object, required_time, time_of, wanted_protection
from enmeshed_connector.api.servicers.common import Servicer, intent_of
from enmeshed_connector.core.addresses import parse_address
from enmeshed_connector.core.secret_bytes import SecretText

Context = grpc.aio.ServicerContext[Any, Any]


class RelationshipTemplatesServicer(Servicer, relationship_templates_service_pb2_grpc.RelationshipTemplatesServicer):
    """Offers of relationships, own and of peers."""

    async def CreateTemplate(self, request: pb.CreateTemplateRequest, context: Context) -> pb.CreateTemplateResponse:
        """Creates a template."""
        template = await self.use_cases().templates.create(
            content_object(self._codec, request.content),
            intent_of(request),
            expires_at=required_time(request, "expire_time"),
            maximum_allocations=request.max_number_of_allocations
            if request.HasField("max_number_of_allocations")
            else None,
            for_identity=parse_address(request.for_identity, "for_identity") if request.for_identity else None,
            protection=wanted_protection(request),
        )
        return pb.CreateTemplateResponse(template=self.converter().template(template, is_created=True))

    async def LoadTemplate(self, request: pb.LoadTemplateRequest, context: Context) -> pb.LoadTemplateResponse:
        """Loads a template by a reference."""
        template = await self.use_cases().templates.load(
            request.reference,
            intent_of(request),
            password=SecretText(request.password) if request.password else None,
        )
        return pb.LoadTemplateResponse(template=self.converter().template(template))

    async def GetTemplate(self, request: pb.GetTemplateRequest, context: Context) -> pb.GetTemplateResponse:
        """Returns a template."""
        return pb.GetTemplateResponse(
            template=self.converter().template(await self.use_cases().templates.get(request.id))
        )

    async def ListTemplates(self, request: pb.ListTemplatesRequest, context: Context) -> pb.ListTemplatesResponse:
        """Returns a page of templates."""
        if request.filter.password_protection.HasField("password"):
            current_call().require("relationshipTemplates:secrets")
        page = await self.page(
            request,
            self.use_cases().templates.list,
            self.converter(request.view).template,
            where=template_filter(request.filter),
            sort=order(request.order_by, newest_first=True),
        )
        return pb.ListTemplatesResponse(templates=page.items, next_page_token=page.next_page_token)

    async def DeleteTemplate(self, request: pb.DeleteTemplateRequest, context: Context) -> pb.DeleteTemplateResponse:
        """Deletes a template."""
        await self.use_cases().templates.delete(request.id, intent_of(request))
        return pb.DeleteTemplateResponse()

    async def CreateTemplateToken(
        self, request: pb.CreateTemplateTokenRequest, context: Context
    ) -> pb.CreateTemplateTokenResponse:
        """Creates a token that leads to an own template."""
        token = await self.use_cases().templates.create_token(
            request.template_id,
            intent_of(request),
            expires_at=time_of(request, "expire_time"),
            is_ephemeral=request.is_ephemeral if request.HasField("is_ephemeral") else True,
            for_identity=parse_address(request.for_identity, "for_identity") if request.for_identity else None,
            protection=wanted_protection(request),
        )
        return pb.CreateTemplateTokenResponse(token=self.converter().token(token, is_created=True))

    async def ListPublicTemplateReferences(
        self, request: pb.ListPublicTemplateReferencesRequest, context: Context
    ) -> pb.ListPublicTemplateReferencesResponse:
        """Returns the templates that the operator of the Backbone recommends; they are few, and fit one page."""
        references = await self.use_cases().templates.public_references()
        return pb.ListPublicTemplateReferencesResponse(
            references=[
                pb.PublicTemplateReference(
                    title=reference.title,
                    description=reference.description,
                    truncated_reference=reference.truncated_reference,
                )
                for reference in references
            ]
        )
