"""The service Tokens."""

from __future__ import annotations

from typing import Any

import grpc

from enmeshed.connector.v1 import tokens_service_pb2 as pb
from enmeshed.connector.v1 import tokens_service_pb2_grpc
from enmeshed_connector.api.calls import current_call
from enmeshed_connector.api.conversion.filters import order, token_filter
from enmeshed_connector.api.conversion.values import content_object, required_time, wanted_protection
from enmeshed_connector.api.servicers.common import Servicer, intent_of
from enmeshed_connector.core.addresses import parse_address
from enmeshed_connector.core.secret_bytes import SecretText

Context = grpc.aio.ServicerContext[Any, Any]


class TokensServicer(Servicer, tokens_service_pb2_grpc.TokensServicer):
    """Tokens, own and of peers."""

    async def CreateToken(self, request: pb.CreateTokenRequest, context: Context) -> pb.CreateTokenResponse:
        """Creates a token."""
        token = await self.use_cases().tokens.create(
            content_object(self._codec, request.content),
            intent_of(request),
            expires_at=required_time(request, "expire_time"),
            is_ephemeral=request.is_ephemeral,
            for_identity=parse_address(request.for_identity, "for_identity") if request.for_identity else None,
            protection=wanted_protection(request),
        )
        return pb.CreateTokenResponse(token=self.converter().token(token, is_created=True))

    async def LoadToken(self, request: pb.LoadTokenRequest, context: Context) -> pb.LoadTokenResponse:
        """Loads a token by its reference."""
        token = await self.use_cases().tokens.load(
            request.reference,
            intent_of(request),
            is_ephemeral=request.is_ephemeral,
            password=SecretText(request.password) if request.password else None,
        )
        return pb.LoadTokenResponse(token=self.converter().token(token))

    async def GetToken(self, request: pb.GetTokenRequest, context: Context) -> pb.GetTokenResponse:
        """Returns a token."""
        return pb.GetTokenResponse(token=self.converter().token(await self.use_cases().tokens.get(request.id)))

    async def ListTokens(self, request: pb.ListTokensRequest, context: Context) -> pb.ListTokensResponse:
        """Returns a page of tokens."""
        if request.filter.password_protection.HasField("password"):
            current_call().require("tokens:secrets")
        page = await self.page(
            request,
            self.use_cases().tokens.list,
            self.converter(request.view).token,
            where=token_filter(request.filter),
            sort=order(request.order_by, newest_first=True),
        )
        return pb.ListTokensResponse(tokens=page.items, next_page_token=page.next_page_token)

    async def DeleteToken(self, request: pb.DeleteTokenRequest, context: Context) -> pb.DeleteTokenResponse:
        """Deletes a token."""
        await self.use_cases().tokens.delete(request.id, intent_of(request))
        return pb.DeleteTokenResponse()
