"""The service IdentityMetadata."""

from __future__ import annotations

from typing import Any, Final

import grpc
from google.protobuf.struct_pb2 import Value

from enmeshed.connector.v1 import identity_metadata_service_pb2 as pb
from enmeshed.connector.v1 import identity_metadata_service_pb2_grpc
from enmeshed_connector.api.conversion.filters import conditions, id_filter
from enmeshed_connector.api.servicers.common import Servicer, intent_of
from enmeshed_connector.content.plain_json import NotInJson, as_value, value_to_json
from enmeshed_connector.core.addresses import parse_address
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.core.errors import FieldViolation, InvalidArgument, field_path
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import Sort, all_of

Context = grpc.aio.ServicerContext[Any, Any]
NAME: Final = "enmeshed.connector.v1.IdentityMetadata"


class IdentityMetadataServicer(Servicer, identity_metadata_service_pb2_grpc.IdentityMetadataServicer):
    """Notes about identities."""

    async def UpsertMetadata(self, request: pb.UpsertMetadataRequest, context: Context) -> pb.UpsertMetadataResponse:
        """Creates or replaces a note."""
        view = await self.use_cases().identity_metadata.upsert(
            parse_address(request.reference, "reference"), _key(request), _value(request.value), intent_of(request)
        )
        return pb.UpsertMetadataResponse(entry=_entry(view))

    async def GetMetadata(self, request: pb.GetMetadataRequest, context: Context) -> pb.GetMetadataResponse:
        """Returns a note."""
        view = await self.use_cases().identity_metadata.get(request.reference, _key(request))
        return pb.GetMetadataResponse(entry=_entry(view))

    async def ListMetadata(self, request: pb.ListMetadataRequest, context: Context) -> pb.ListMetadataResponse:
        """Returns a page of notes."""
        page = await self.page(
            request,
            self.use_cases().identity_metadata.list,
            _entry,
            where=all_of(*conditions(request, ("reference", "reference", id_filter), ("key", "key", id_filter))),
            sort=(Sort("reference"), Sort("key")),
        )
        return pb.ListMetadataResponse(entries=page.items, next_page_token=page.next_page_token)

    async def DeleteMetadata(self, request: pb.DeleteMetadataRequest, context: Context) -> pb.DeleteMetadataResponse:
        """Deletes a note."""
        await self.use_cases().identity_metadata.delete(request.reference, _key(request), intent_of(request))
        return pb.DeleteMetadataResponse()


def _key(request: pb.UpsertMetadataRequest | pb.GetMetadataRequest | pb.DeleteMetadataRequest) -> str | None:
    return request.key if request.HasField("key") else None


def _value(message: Value) -> Json:
    try:
        value = value_to_json(message)
    except NotInJson as error:
        violation = FieldViolation(field_path("value", error.path), str(error))
        raise InvalidArgument("The value is no JSON.", violations=[violation]) from None
    if value is None:
        raise InvalidArgument("The value is null.", violations=[FieldViolation("value", "must be JSON, and not null")])
    return value


def _entry(view: View) -> pb.IdentityMetadataEntry:
    return pb.IdentityMetadataEntry(reference=view["reference"], key=view.get("key"), value=as_value(view.get("value")))
