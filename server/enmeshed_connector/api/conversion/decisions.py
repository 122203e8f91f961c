"""Decisions on requests: messages of the contract as the network's objects. Source: consumption.md, section 10.2."""

from __future__ import annotations

from collections.abc import Iterable

from enmeshed.connector.v1 import request_pb2
from enmeshed.content.v1 import form_field_pb2
from enmeshed_connector.api.conversion.values import content_object, required_time
from enmeshed_connector.consumption.requests.results import DECISION_PATHS
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.errors import InvalidArgument, field_path


def decisions(
    codec: ContentCodec, items: Iterable[request_pb2.DecideRequestItem], container: str = ""
) -> list[JsonObject]:
    """Returns the decisions on the elements of a request, or on the items of a group.

    Args:
        codec: What reads content.
        items: The decisions.
        container: The path of what holds them.

    Raises:
        ContentInvalid, InvalidArgument: The content of an answer is none.
    """
    return [_decision(codec, item, DECISION_PATHS.element(container, place)) for place, item in enumerate(items)]


def _decision(codec: ContentCodec, item: request_pb2.DecideRequestItem, path: str) -> JsonObject:
    match item.WhichOneof("decision"):
        case "group":
            return {"items": decisions(codec, item.group.items, DECISION_PATHS.container(path))}
        case "reject":
            texts = {"code": item.reject.code, "message": item.reject.message}
            return {"accept": False, **{name: text for name, text in texts.items() if text}}
    try:
        return {"accept": True, **_parameters(codec, item.accept)}
    except InvalidArgument as error:
        parameters = f"accept.{item.accept.WhichOneof('parameters')}"
        error.rename_fields(lambda field: field_path(path, parameters, field))
        raise


def _parameters(codec: ContentCodec, accept: request_pb2.AcceptRequestItem) -> JsonObject:
    """Returns what else an acceptance says; paths of errors begin at the message that says it."""
    match accept.WhichOneof("parameters"):
        case "read_attribute":
            read = accept.read_attribute
            if read.WhichOneof("answer") == "new_attribute":
                attribute = content_object(codec, read.new_attribute, "new_attribute")
                return {"newAttribute": attribute, **_tags(read.tags)}
            return {"existingAttributeId": read.existing_attribute_id, **_tags(read.tags)}
        case "propose_attribute":
            propose = accept.propose_attribute
            if propose.WhichOneof("answer") == "attribute":
                return {"attribute": content_object(codec, propose.attribute, "attribute"), **_tags(propose.tags)}
            return {"attributeId": propose.attribute_id, **_tags(propose.tags)}
        case "delete_attribute":
            return {"deletionDate": format_date(required_time(accept.delete_attribute, "deletion_time"))}
        case "form_field":
            return {"response": _answer(accept.form_field.response)}
        case "share_authorization_request":
            return {"attributeId": accept.share_authorization_request.attribute_id}
    return {}


def _tags(tags: Iterable[str]) -> JsonObject:
    given = list(tags)
    return {"tags": given} if given else {}


def _answer(answer: form_field_pb2.FormFieldAnswer) -> Json:
    match answer.WhichOneof("kind"):
        case "text":
            return answer.text
        case "number":
            # JSON has one kind of number; a whole one is written without a fraction.
            return int(answer.number) if answer.number.is_integer() else answer.number
        case "boolean":
            return answer.boolean
        case "selection":
            return list(answer.selection.options)
    return None
