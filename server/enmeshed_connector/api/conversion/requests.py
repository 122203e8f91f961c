"""Local requests and their decisions: views as messages of the contract. Source: connector.md, sections 3.8, 5.3."""

from __future__ import annotations

from enmeshed.connector.v1 import request_pb2
from enmeshed_connector.api.conversion.things import Converter
from enmeshed_connector.api.conversion.values import enum_number, set_time
from enmeshed_connector.api.reasons import public_reason
from enmeshed_connector.consumption.requests.results import Paths, ValidationResult
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.runtime.views import View


def request(converter: Converter, view: View) -> request_pb2.LocalRequest:
    """Returns a local request."""
    message = request_pb2.LocalRequest(
        id=view["id"],
        is_own=view["isOwn"],
        peer=view["peer"],
        status=request_status(view["status"]),
        was_automatically_decided=view.get("wasAutomaticallyDecided", False),
    )
    set_time(message.create_time, view["createdAt"])
    content = view["content"]
    set_time(message.expire_time, content.get("expiresAt"))
    _set_source(message.source, view.get("source"))
    if converter.is_full:
        converter.codec.fill_content(message.content, _typed("Request", content))
        for entry in view.get("statusLog", ()):
            converted = message.status_log.add(
                old_status=request_status(entry["oldStatus"]), new_status=request_status(entry["newStatus"])
            )
            set_time(converted.create_time, entry["createdAt"])
    answer = view.get("response")
    if answer is not None:
        message.response.accepted = answer["content"].get("result") == "Accepted"
        set_time(message.response.create_time, answer["createdAt"])
        _set_source(message.response.source, answer.get("source"))
        if converter.is_full:
            converter.codec.fill_content(message.response.content, _typed("Response", answer["content"]))
    if "responseDelivery" in view:
        _set_delivery(message.response_delivery, view["responseDelivery"])
    return message


def request_status(word: str) -> request_pb2.LocalRequestStatus.ValueType:
    """Returns the state of a request from the network's word."""
    return enum_number(request_pb2.LocalRequestStatus, "LOCAL_REQUEST_STATUS", word)  # type: ignore[return-value]


def validation_result(result: ValidationResult, paths: Paths) -> request_pb2.RequestValidationResult:
    """Returns whether a request or a decision would be taken, with the wrong fields as the caller named them."""
    return _result(result.located(paths))


def _result(result: ValidationResult) -> request_pb2.RequestValidationResult:
    return request_pb2.RequestValidationResult(
        is_success=result.is_success,
        code=result.code,
        message=result.message,
        items=[_result(item) for item in result.items],
        field=result.violations[0].field if result.violations else "",
    )


def _set_delivery(target: request_pb2.ResponseDelivery, view: View) -> None:
    target.done = view["done"]
    target.attempts = view.get("attempts", 0)
    set_time(target.next_attempt_time, view.get("nextAttemptAt"))
    target.last_error_reason = public_reason(view.get("lastErrorReason", ""))


def _set_source(target: request_pb2.RequestSource, view: View | None) -> None:
    if view is None:
        return
    target.type = enum_number(  # type: ignore[assignment]
        request_pb2.RequestSourceType, "REQUEST_SOURCE_TYPE", view["type"]
    )
    target.reference = view["reference"]


def _typed(kind: str, content: Json) -> Json:
    """Returns content with its type, which stored requests and responses leave out."""
    return content if "@type" in content else {"@type": kind, **content}
