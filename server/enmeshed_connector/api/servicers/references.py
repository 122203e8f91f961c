"""The service References."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import grpc
import segno

from enmeshed.connector.v1 import reference_pb2, references_service_pb2_grpc
from enmeshed.connector.v1 import references_service_pb2 as pb
from enmeshed_connector.api.servicers.common import Servicer, intent_of
from enmeshed_connector.core.references import (
    FileReference,
    Reference,
    RelationshipTemplateReference,
    TokenReference,
    parse_reference,
)
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.runtime.views import LOCATIONS

Context = grpc.aio.ServicerContext[Any, Any]

_DEFAULT_SCALE = 8


class ReferencesServicer(Servicer, references_service_pb2_grpc.ReferencesServicer):
    """References of any kind."""

    async def ParseReference(self, request: pb.ParseReferenceRequest, context: Context) -> pb.ParseReferenceResponse:
        """Returns what a reference says, without asking anybody."""
        reference = parse_reference(request.reference)
        response = pb.ParseReferenceResponse(
            kind=_kind(reference),
            id=reference.id,
            backbone_base_url=reference.backbone_base_url or "",
            for_identity_truncated=reference.for_identity_truncated or "",
        )
        protection = reference.password_protection
        if protection is not None:
            response.is_password_protected = True
            if protection.password_type.startswith("pin"):
                response.is_pin = True
                response.pin_length = int(protection.password_type.removeprefix("pin"))
            indicator = protection.location_indicator
            if indicator is not None:
                response.location_indicator = LOCATIONS.get(indicator, str(indicator))
        response.reference.truncated = reference.to_truncated()
        if reference.backbone_base_url is not None:
            response.reference.url = reference.to_url()
        return response

    async def LoadReference(self, request: pb.LoadReferenceRequest, context: Context) -> pb.LoadReferenceResponse:
        """Loads whatever a reference leads to."""
        loaded = await self.use_cases().tokens.load_anything(
            request.reference,
            intent_of(request),
            password=SecretText(request.password) if request.password else None,
        )
        converter = self.converter()
        match loaded.kind:
            case "file":
                return pb.LoadReferenceResponse(file=converter.file(loaded.view))
            case "template":
                return pb.LoadReferenceResponse(template=converter.template(loaded.view))
        return pb.LoadReferenceResponse(token=converter.token(loaded.view))

    async def RenderQrCode(self, request: pb.RenderQrCodeRequest, context: Context) -> pb.RenderQrCodeResponse:
        """Draws a reference as QR code."""
        reference = parse_reference(request.reference)
        text = reference.to_url() if reference.backbone_base_url is not None else reference.to_truncated()
        # Drawing takes some 100 ms for a long reference.
        return await asyncio.to_thread(_render, text, reference.id, request.format, request.scale or _DEFAULT_SCALE)


def _kind(reference: Reference) -> reference_pb2.ReferenceKind.ValueType:
    if isinstance(reference, RelationshipTemplateReference):
        return reference_pb2.REFERENCE_KIND_TEMPLATE
    if isinstance(reference, TokenReference):
        return reference_pb2.REFERENCE_KIND_TOKEN
    if isinstance(reference, FileReference):
        return reference_pb2.REFERENCE_KIND_FILE
    return reference_pb2.REFERENCE_KIND_UNSPECIFIED


def _render(text: str, identifier: str, form: pb.QrCodeFormat.ValueType, scale: int) -> pb.RenderQrCodeResponse:
    code = segno.make_qr(text)
    if form == pb.QR_CODE_FORMAT_TEXT:
        drawn = io.StringIO()
        code.terminal(out=drawn, compact=True)
        return pb.RenderQrCodeResponse(
            data=drawn.getvalue().encode(), media_type="text/plain; charset=utf-8", filename=f"{identifier}.txt"
        )
    data = io.BytesIO()
    if form == pb.QR_CODE_FORMAT_SVG:
        code.save(data, kind="svg", scale=scale)
        return pb.RenderQrCodeResponse(data=data.getvalue(), media_type="image/svg+xml", filename=f"{identifier}.svg")
    code.save(data, kind="png", scale=scale)
    return pb.RenderQrCodeResponse(data=data.getvalue(), media_type="image/png", filename=f"{identifier}.png")
