"""The service Settings."""

from __future__ import annotations

from typing import Any, Final

import grpc
from google.protobuf.struct_pb2 import Struct

from enmeshed.connector.v1 import settings_service_pb2 as pb
from enmeshed.connector.v1 import settings_service_pb2_grpc
from enmeshed_connector.api.conversion.filters import conditions, id_filter, order, text_filter, time_filter
from enmeshed_connector.api.conversion.values import enum_number, enum_word, set_time, time_of
from enmeshed_connector.api.servicers.common import Servicer, intent_of
from enmeshed_connector.consumption.settings import SettingKey
from enmeshed_connector.content.plain_json import NotInJson, as_struct, struct_to_json
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.errors import FieldViolation, InvalidArgument, field_path
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import Filter, all_of, where

Context = grpc.aio.ServicerContext[Any, Any]
NAME: Final = "enmeshed.connector.v1.Settings"
_SCOPE: Final = "SETTING_SCOPE"


class SettingsServicer(Servicer, settings_service_pb2_grpc.SettingsServicer):
    """Settings of the identity."""

    async def CreateSetting(self, request: pb.CreateSettingRequest, context: Context) -> pb.CreateSettingResponse:
        """Creates a setting."""
        view = await self.use_cases().settings.create(
            _key(request.key),
            _value(request.value),
            intent_of(request),
            succeeds_item=request.succeeds_item or None,
            succeeds_at=time_of(request, "succeeds_time"),
        )
        return pb.CreateSettingResponse(setting=_setting(view))

    async def GetSetting(self, request: pb.GetSettingRequest, context: Context) -> pb.GetSettingResponse:
        """Returns a setting by id or key."""
        return pb.GetSettingResponse(setting=_setting(await self.use_cases().settings.get(_named(request))))

    async def ListSettings(self, request: pb.ListSettingsRequest, context: Context) -> pb.ListSettingsResponse:
        """Returns a page of settings."""
        page = await self.page(
            request,
            self.use_cases().settings.list,
            _setting,
            where=_filter(request.filter),
            sort=order("", newest_first=False),
        )
        return pb.ListSettingsResponse(settings=page.items, next_page_token=page.next_page_token)

    async def UpdateSetting(self, request: pb.UpdateSettingRequest, context: Context) -> pb.UpdateSettingResponse:
        """Replaces the value of a setting."""
        view = await self.use_cases().settings.update(
            _named(request), _value(request.value), intent_of(request), etag=request.etag
        )
        return pb.UpdateSettingResponse(setting=_setting(view))

    async def DeleteSetting(self, request: pb.DeleteSettingRequest, context: Context) -> pb.DeleteSettingResponse:
        """Deletes a setting."""
        await self.use_cases().settings.delete(request.id, intent_of(request))
        return pb.DeleteSettingResponse()


def _named(request: pb.GetSettingRequest | pb.UpdateSettingRequest) -> str | SettingKey:
    return request.id if request.WhichOneof("by") == "id" else _key(request.key)


def _key(key: pb.SettingKey) -> SettingKey:
    scope = key.scope or pb.SETTING_SCOPE_IDENTITY
    return SettingKey(key.key, enum_word(pb.SettingScope, _SCOPE, scope), key.reference or None)


def _value(value: Struct) -> JsonObject:
    try:
        return struct_to_json(value)
    except NotInJson as error:
        violation = FieldViolation(field_path("value", error.path), str(error))
        raise InvalidArgument("The value is no JSON.", violations=[violation]) from None


def _filter(condition: pb.SettingFilter) -> Filter:
    parts = conditions(
        condition,
        ("key", "key", text_filter),
        ("reference", "reference", id_filter),
        ("create_time", "createdAt", time_filter),
        ("succeeds_item", "succeedsItem", id_filter),
        ("succeeds_time", "succeedsAt", time_filter),
    )
    if condition.scopes:
        parts.append(where("scope").is_in([enum_word(pb.SettingScope, _SCOPE, one) for one in condition.scopes]))
    return all_of(*parts)


def _setting(view: View) -> pb.Setting:
    message = pb.Setting(
        id=view["id"],
        key=view["key"],
        scope=enum_number(pb.SettingScope, _SCOPE, view.get("scope")),  # type: ignore[arg-type]
        reference=view.get("reference", ""),
        value=as_struct(view.get("value")),
        succeeds_item=view.get("succeedsItem", ""),
        etag=view["etag"],
    )
    set_time(message.create_time, view["createdAt"])
    set_time(message.succeeds_time, view.get("succeedsAt"))
    return message
