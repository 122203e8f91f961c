"""The service Attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from enmeshed.connector.v1 import attribute_pb2, attributes_service_pb2_grpc
from enmeshed.connector.v1 import attributes_service_pb2 as pb
from enmeshed_connector.api.conversion.attribute_filters import attribute_filter, forwarding_filter
from enmeshed_connector.api.conversion.attributes import attribute, forwarding_details, tag_definitions
from enmeshed_connector.api.conversion.filters import order
from enmeshed_connector.api.conversion.requests import request as request_message
from enmeshed_connector.api.conversion.values import time_of
from enmeshed_connector.api.paging import PageTokens
from enmeshed_connector.api.serialised_objects import SerialisedObjects
from enmeshed_connector.api.servicers.common import Hosts, Servicer, intent_of
from enmeshed_connector.consumption.attributes.errors import (
    AttributeDuplicate,
    ForbiddenCharacters,
    QueryInvalid,
    TagsInvalid,
)
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.content.plain_json import NotInJson, struct_to_json
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.errors import DomainError, FieldViolation, InvalidArgument, field_path
from enmeshed_connector.runtime.use_cases.attribute_sharing import AttributeSharingUseCases, RequestTexts
from enmeshed_connector.runtime.use_cases.attributes import AttributeUseCases
from enmeshed_connector.runtime.use_cases.common import Entry
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import Keyset, Sort, all_of
from enmeshed_connector.transport.errors import RecordMissing

Context = grpc.aio.ServicerContext[Any, Any]

NAME: Final = "enmeshed.connector.v1.Attributes"


class AttributesServicer(Servicer, attributes_service_pb2_grpc.AttributesServicer):
    """Attributes, own and of peers."""

    def __init__(self, hosts: Hosts, codec: ContentCodec, tokens: PageTokens, serialised: SerialisedObjects) -> None:
        """Takes the collaborators of every servicer, and what is serialised already."""
        super().__init__(hosts, codec, tokens)
        self._serialised = serialised

    async def CanCreateAttribute(
        self, request: pb.CanCreateAttributeRequest, context: Context
    ) -> pb.CanCreateAttributeResponse:
        """Tells whether an own identity attribute would be created."""
        try:
            await self._attributes.check_can_create(self._json(request.value, "value"), list(request.tags))
        except (ContentInvalid, AttributeDuplicate, TagsInvalid, ForbiddenCharacters) as problem:
            return pb.CanCreateAttributeResponse(
                is_success=False, reason=problem.reason, code=problem.official_code or "", message=problem.message
            )
        return pb.CanCreateAttributeResponse(is_success=True)

    async def CreateAttribute(self, request: pb.CreateAttributeRequest, context: Context) -> pb.CreateAttributeResponse:
        """Creates an own identity attribute."""
        view = await self._attributes.create(self._json(request.value, "value"), list(request.tags), intent_of(request))
        return pb.CreateAttributeResponse(attribute=self._attribute(view))

    async def SucceedAttribute(
        self, request: pb.SucceedAttributeRequest, context: Context
    ) -> pb.SucceedAttributeResponse:
        """Makes a new version of an own attribute; of one of a relationship the peer is told."""
        if request.WhichOneof("successor") != "identity":
            with _naming_fields(lambda field: f"relationship_{field}"):
                told = await self._sharing.succeed_relationship(
                    request.predecessor_id, self._json(request.relationship_value, "value"), intent_of(request)
                )
            return pb.SucceedAttributeResponse(
                predecessor=self._attribute(told.predecessor),
                successor=self._attribute(told.successor),
                notification_id=told.notification_id,
            )
        with _naming_fields(lambda field: f"identity.{field}"):
            predecessor, successor = await self._attributes.succeed_identity(
                request.predecessor_id,
                self._json(request.identity.value, "value"),
                list(request.identity.tags),
                intent_of(request),
            )
        return pb.SucceedAttributeResponse(
            predecessor=self._attribute(predecessor), successor=self._attribute(successor)
        )

    async def NotifyPeerAboutSuccession(
        self, request: pb.NotifyPeerAboutSuccessionRequest, context: Context
    ) -> pb.NotifyPeerAboutSuccessionResponse:
        """Tells a peer of the newest version of an own identity attribute."""
        told = await self._sharing.notify_peer(request.attribute_id, request.peer, intent_of(request))
        return pb.NotifyPeerAboutSuccessionResponse(
            predecessor=self._attribute(told.predecessor),
            successor=self._attribute(told.successor),
            notification_id=told.notification_id,
        )

    async def GetAttribute(self, request: pb.GetAttributeRequest, context: Context) -> pb.GetAttributeResponse:
        """Returns an attribute."""
        return pb.GetAttributeResponse(attribute=self._attribute(await self._attributes.get(request.id)))

    async def ListAttributes(  # type: ignore[override]
        self, request: pb.ListAttributesRequest, context: Context
    ) -> bytes:
        """Returns a page of attributes."""
        scope = request.WhichOneof("scope")
        has_latest = request.HasField("only_latest_versions")
        selected = await self._attributes.condition(
            own_identity=request.own_identity,
            shared_with_peer=request.shared_with_peer if scope == "shared_with_peer" else None,
            of_peer=request.of_peer if scope == "of_peer" else None,
            hides_technical=request.hide_technical,
            only_latest_versions=request.only_latest_versions if has_latest else None,
        )
        converter = self.converter(request.view)
        return await self.serialised_page(
            request,
            pb.ListAttributesResponse(),
            self._serialised,
            self._attributes.list,
            lambda view: attribute(converter, view),
            where=all_of(selected, attribute_filter(request.filter)),
            sort=order(request.order_by, newest_first=False),
        )

    async def ListAttributeVersions(
        self, request: pb.ListAttributeVersionsRequest, context: Context
    ) -> pb.ListAttributeVersionsResponse:
        """Returns a page of the versions of an attribute."""
        use_cases, converter = self._attributes, self.converter()

        async def fetch(_where: object, _sort: object, *, limit: int, after: Keyset | None) -> list[Entry]:
            return await use_cases.versions(
                request.id,
                shared_with_peer=request.shared_with_peer or None,
                only_latest_versions=not request.HasField("only_latest_versions") or request.only_latest_versions,
                limit=limit,
                after=after,
            )

        page = await self.page(request, fetch, lambda view: attribute(converter, view), where=None, sort=())
        return pb.ListAttributeVersionsResponse(attributes=page.items, next_page_token=page.next_page_token)

    async def ListForwardingDetails(
        self, request: pb.ListForwardingDetailsRequest, context: Context
    ) -> pb.ListForwardingDetailsResponse:
        """Returns a page of to whom an attribute was given."""
        use_cases = self._attributes

        async def fetch(_where: object, _sort: object, *, limit: int, after: Keyset | None) -> list[Entry]:
            condition, sort = forwarding_filter(request.filter), (Sort("sharedAt"),)
            return await use_cases.forwarding_details(request.id, condition, sort, limit=limit, after=after)

        page = await self.page(request, fetch, forwarding_details, where=None, sort=())
        return pb.ListForwardingDetailsResponse(details=page.items, next_page_token=page.next_page_token)

    async def DeleteAttribute(self, request: pb.DeleteAttributeRequest, context: Context) -> pb.DeleteAttributeResponse:
        """Deletes an attribute, and tells those who hold it."""
        return pb.DeleteAttributeResponse(
            notification_ids=await self._attributes.delete(request.id, intent_of(request))
        )

    async def ExecuteIdentityAttributeQuery(
        self, request: pb.ExecuteIdentityAttributeQueryRequest, context: Context
    ) -> pb.ExecuteIdentityAttributeQueryResponse:
        """Returns the own identity attributes that answer a query."""
        views = await self._attributes.execute_identity_query(self._json(request.query, "query"))
        return pb.ExecuteIdentityAttributeQueryResponse(attributes=map(self._attribute, views))

    async def ExecuteRelationshipAttributeQuery(
        self, request: pb.ExecuteRelationshipAttributeQueryRequest, context: Context
    ) -> pb.ExecuteRelationshipAttributeQueryResponse:
        """Returns the relationship attribute that answers a query."""
        view = await self._attributes.execute_relationship_query(self._json(request.query, "query"))
        if view is None:
            raise RecordMissing("relationship attribute with the key", request.query.key)
        return pb.ExecuteRelationshipAttributeQueryResponse(attribute=self._attribute(view))

    async def ExecuteThirdPartyRelationshipAttributeQuery(
        self, request: pb.ExecuteThirdPartyRelationshipAttributeQueryRequest, context: Context
    ) -> pb.ExecuteThirdPartyRelationshipAttributeQueryResponse:
        """Returns the attributes of relationships with others that answer a query."""
        views = await self._attributes.execute_third_party_query(self._json(request.query, "query"))
        return pb.ExecuteThirdPartyRelationshipAttributeQueryResponse(attributes=map(self._attribute, views))

    async def ExecuteIqlQuery(self, request: pb.ExecuteIqlQueryRequest, context: Context) -> pb.ExecuteIqlQueryResponse:
        """Returns the own identity attributes that answer a query in the identity query language."""
        views = await self._attributes.execute_iql_query(self._json(request.query, "query"))
        return pb.ExecuteIqlQueryResponse(attributes=map(self._attribute, views))

    async def ValidateIqlQuery(
        self, request: pb.ValidateIqlQueryRequest, context: Context
    ) -> pb.ValidateIqlQueryResponse:
        """Tells whether a query in the identity query language can be read."""
        try:
            self._attributes.check_iql_query(self._json(request.query, "query"))
        except QueryInvalid as problem:
            position = int(problem.facts["position"])
            return pb.ValidateIqlQueryResponse(is_valid=False, error=problem.message, error_position=position)
        except ContentInvalid as problem:
            return pb.ValidateIqlQueryResponse(is_valid=False, error=problem.message)
        return pb.ValidateIqlQueryResponse(is_valid=True)

    async def GetTagCollection(
        self, request: pb.GetTagCollectionRequest, context: Context
    ) -> pb.GetTagCollectionResponse:
        """Returns the tags that the Backbone's operator defines."""
        collection = await self._attributes.tag_collection()
        response = pb.GetTagCollectionResponse(supported_languages=collection["supportedLanguages"])
        for value_type, tags in collection["tagsForAttributeValueTypes"].items():
            tag_definitions(response.tags_for_attribute_value_types[value_type].tags, tags)
        return response

    async def ShareAttribute(self, request: pb.ShareAttributeRequest, context: Context) -> pb.ShareAttributeResponse:
        """Asks a peer to take an own identity attribute."""
        view = await self._sharing.share(
            request.attribute_id, request.peer, _texts(request.request), intent_of(request)
        )
        return pb.ShareAttributeResponse(request=request_message(self.converter(), view))

    async def CreateAndShareRelationshipAttribute(
        self, request: pb.CreateAndShareRelationshipAttributeRequest, context: Context
    ) -> pb.CreateAndShareRelationshipAttributeResponse:
        """Asks a peer to keep a new attribute of their relationship."""
        view = await self._sharing.create_and_share(
            self._json(request.attribute, "attribute"), request.peer, _texts(request.request), intent_of(request)
        )
        return pb.CreateAndShareRelationshipAttributeResponse(request=request_message(self.converter(), view))

    async def ChangeDefaultAttribute(
        self, request: pb.ChangeDefaultAttributeRequest, context: Context
    ) -> pb.ChangeDefaultAttributeResponse:
        """Makes an own identity attribute the default of its value type."""
        view = await self._attributes.change_default(request.id, intent_of(request))
        return pb.ChangeDefaultAttributeResponse(attribute=self._attribute(view))

    async def MarkAttributeViewed(
        self, request: pb.MarkAttributeViewedRequest, context: Context
    ) -> pb.MarkAttributeViewedResponse:
        """Marks an attribute as viewed."""
        view = await self._attributes.mark_viewed(request.id, intent_of(request))
        return pb.MarkAttributeViewedResponse(attribute=self._attribute(view))

    @property
    def _attributes(self) -> AttributeUseCases:
        return self.use_cases().attributes

    @property
    def _sharing(self) -> AttributeSharingUseCases:
        return self.use_cases().attribute_sharing

    def _attribute(self, view: View) -> attribute_pb2.LocalAttribute:
        return attribute(self.converter(), view)

    def _json(self, message: Message, field: str) -> JsonObject:
        return self._codec.to_json(message, field=field)


@contextmanager
def _naming_fields(rename: Callable[[str], str]) -> Iterator[None]:
    """Names the fields of errors as the contract does: rules know `value` and `tags` of any attribute."""
    try:
        yield
    except DomainError as error:
        error.rename_fields(rename)
        raise


def _texts(texts: pb.RequestTexts) -> RequestTexts:
    """Returns what a request says besides its item.

    Raises:
        InvalidArgument: The expiry is outside of the years 1 to 9999, or the metadata hold a number that JSON lacks.
    """
    try:
        metadata = struct_to_json(texts.metadata) if texts.HasField("metadata") else None
        expires_at = time_of(texts, "expire_time")
    except NotInJson as error:
        violation = FieldViolation(field_path("request.metadata", error.path), str(error))
        raise InvalidArgument("The metadata are no JSON.", violations=[violation]) from None
    except InvalidArgument as error:
        error.rename_fields(lambda field: f"request.{field}")
        raise
    return RequestTexts(
        title=texts.title if texts.HasField("title") else None,
        description=texts.description if texts.HasField("description") else None,
        metadata=metadata,
        expires_at=expires_at,
        item_description=texts.item_description if texts.HasField("item_description") else None,
        must_be_accepted=texts.must_be_accepted if texts.HasField("must_be_accepted") else True,
    )
