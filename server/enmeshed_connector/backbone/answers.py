"""From what came back to a value or an error: statuses, envelopes, codes, quotas. Pure.

Source: backbone-api.md sections 1.2, 1.4 and 22; transport.md sections 5 and 26.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from enmeshed_connector.backbone.calls import Answer, Call, Repeat
from enmeshed_connector.backbone.errors import (
    PLATFORM,
    AnswerLost,
    AnswerTooLarge,
    AnswerUnusable,
    BackboneBusy,
    BackboneError,
    BackboneRedirected,
    BackboneRejected,
    BackboneUnauthorized,
    BackboneUnavailable,
    BodyTooLarge,
    EndpointNotFound,
    ExhaustedMetric,
    ForbiddenByBackbone,
    InputRejected,
    QuotaExhausted,
    RecordNotFound,
)
from enmeshed_connector.backbone.faults import HttpFault
from enmeshed_connector.backbone.wire import WireError, decode_json
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.malformed import MalformedValue

T = TypeVar("T")

ERROR_CAP_BYTES = 64 * 1024
"""As much of an error's body is read; what is longer has no envelope that counts."""

_INPUT_CODES = frozenset(
    {
        f"{PLATFORM}inputCannotBeParsed",
        f"{PLATFORM}validation.invalidPropertyValue",
        f"{PLATFORM}validation.invalidId",
        f"{PLATFORM}validation.pagination.invalidPageSize",
        f"{PLATFORM}validation.invalidDeviceCommunicationLanguage",
        # Rules of the server's framework that it forgets to give a name of its own.
        "InclusiveBetweenValidator",
        "PredicateValidator",
        "MaximumLengthValidator",
    }
)
_RECORD_TYPE = re.compile(r"([A-Za-z]{1,60}) not found\.")
_SAFE_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,199}\Z")
_SAFE_ID = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_OFFICIAL_CAUSES = {
    "address": "error.transport.request.addressNotFound",
    "timeout": "error.transport.request.aborted",
    "deadline": "error.transport.request.aborted",
    "queue": "error.transport.request.aborted",
    "silence": "error.transport.request.aborted",
    "status": f"{PLATFORM}unexpected",
}


def is_success(call: Call[object], status: int) -> bool:
    """Tells whether a status promises what the call asks for; 304 counts only for calls that named a known state."""
    return 200 <= status < 300 or (status == 304 and "If-None-Match" in call.headers)


def value_of(call: Call[T], status: int, headers: Mapping[str, str], body: bytes) -> T:
    """Returns what the reader of the call makes of a successful answer.

    Raises:
        BackboneError: It cannot be read, or holds an error in spite of its status.
    """
    try:
        if call.is_raw:
            return call.read(Answer(status, body))
        if status in {204, 205, 304}:
            return call.read(Answer(status, None, etag=headers.get("etag")))
        envelope = decode_json(body)
        if not isinstance(envelope, dict):
            raise WireError("the answer is not an object")
        if envelope.get("error") is not None:
            raise error_of(call, status, headers, body, now=None)
        if "result" not in envelope:
            raise WireError("the answer has no result")
        return call.read(Answer(status, envelope["result"], envelope.get("pagination"), headers.get("etag")))
    except WireError as error:
        raise unusable(call, status, str(error)) from None


def unusable(call: Call[object], status: int, what: str) -> BackboneError:
    """Returns the error for a success that cannot be read."""
    if call.repeat is Repeat.NEVER:
        return AnswerLost(
            f"{call.name}: the Backbone did something, and its answer cannot be read ({what}).",
            call=call.name,
            status=status,
            facts={"cause": "unusable"},
            official_code=AnswerUnusable.default_official_code,
        )
    return AnswerUnusable(f"{call.name}: the Backbone's answer cannot be read ({what}).", call=call.name, status=status)


def too_large(call: Call[object], status: int) -> BackboneError:
    """Returns the error for a success that is larger than the cap of its call."""
    facts = {"capBytes": str(call.answer_cap_bytes)}
    if call.repeat is Repeat.NEVER:
        return AnswerLost(
            f"{call.name}: the Backbone did something, and its answer is too large to be read.",
            call=call.name,
            status=status,
            facts={**facts, "cause": "too large"},
            official_code=AnswerTooLarge.default_official_code,
        )
    return AnswerTooLarge(
        f"{call.name}: the Backbone's answer has over {call.answer_cap_bytes} bytes.",
        call=call.name,
        status=status,
        facts=facts,
    )


def unanswered(call: Call[object], fault: HttpFault) -> BackboneError:
    """Returns the error for an attempt without a complete answer."""
    official = _OFFICIAL_CAUSES.get(fault.cause, "error.transport.request.network")
    facts = {"cause": fault.cause}
    if fault.sent and call.repeat is Repeat.NEVER:
        return AnswerLost(
            f"{call.name}: the request was sent, and no answer came. Look at the Backbone before repeating it.",
            call=call.name,
            facts=facts,
            official_code=official,
        )
    unavailable = BackboneUnavailable(
        f"{call.name}: the Backbone cannot be reached or does not answer ({fault.cause}). Repeat it later.",
        call=call.name,
        facts=facts,
        official_code=official,
    )
    unavailable.may_be_done = fault.sent
    return unavailable


def error_of(
    call: Call[object],
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime | None,
) -> BackboneError:
    """Returns the error for an answer that is no success.

    Args:
        call: What was asked.
        status: The status of the answer.
        headers: Its headers.
        body: Its body or the beginning of it, of any content.
        now: The present, from which the end of a quota is counted; None when no quota can be meant.
    """
    envelope = _error_envelope(body)
    code = _matching(_SAFE_CODE, envelope.get("code"))
    common: dict[str, Any] = {  # Any: keyword arguments of several types.
        "call": call.name,
        "status": status,
        "platform_code": code,
        "error_id": _matching(_SAFE_ID, envelope.get("id")),
        "trace_id": _matching(_SAFE_ID, headers.get("x-trace-id")),
    }
    said = code or f"status {status}"
    text = f"{call.name}: the Backbone refuses this ({said})."
    if status >= 500 or status < 300:
        return _failed(call, said, common, _retry_after(headers))
    if status < 400:
        return BackboneRedirected(
            f"{call.name}: the Backbone's address answers with a redirect. Set the base URL to the final address.",
            **common,
        )
    if status == 429:
        return _exhausted(envelope, text, common, headers, now)
    if status == 413 or code == f"{PLATFORM}requestBodyTooLarge":
        return BodyTooLarge(text, **common)
    if status == 401:
        return BackboneUnauthorized(text, **{**common, "official_code": f"{PLATFORM}unauthorized"})
    if status == 403:
        return ForbiddenByBackbone(text, **{**common, "official_code": f"{PLATFORM}forbidden"})
    if status == 404 and not envelope:
        return EndpointNotFound(
            f"{call.name}: no such endpoint; the base URL is wrong, or a gateway answers for the Backbone.",
            **common,
        )
    if status == 404:
        not_found = RecordNotFound(text, **common)
        message = envelope.get("message")
        match = _RECORD_TYPE.match(message) if isinstance(message, str) else None
        not_found.record_type = match[1] if match else None
        return not_found
    return (InputRejected if code in _INPUT_CODES else BackboneRejected)(text, **common)


def _failed(
    call: Call[object],
    said: str,
    common: dict[str, Any],  # Any: as above.
    retry_after: timedelta | None,
) -> BackboneError:
    facts = {"cause": "status"}
    # The official runtime has this code whatever a failing server says.
    official = f"{PLATFORM}unexpected"
    if call.repeat is Repeat.NEVER:
        return AnswerLost(
            f"{call.name}: the Backbone failed ({said}) and may have done it all the same. Look before repeating it.",
            **common,
            facts=facts,
            official_code=official,
        )
    failed = BackboneUnavailable(
        f"{call.name}: the Backbone failed ({said}). Repeat it later.",
        **common,
        facts=facts,
        official_code=official,
        retry_after=retry_after,
    )
    failed.may_be_done = True
    return failed


def _exhausted(
    envelope: Mapping[str, Json],
    text: str,
    common: dict[str, Any],  # Any: as above.
    headers: Mapping[str, str],
    now: datetime | None,
) -> BackboneError:
    data = envelope.get("data", envelope.get("details"))
    metrics = tuple(_metric(item) for item in data if isinstance(item, dict)) if isinstance(data, list) else ()
    if not metrics and common["platform_code"] != f"{PLATFORM}quotaExhausted":
        return BackboneBusy(text, **common, retry_after=_retry_after(headers) or timedelta(seconds=1))
    ends = [metric.exhausted_until for metric in metrics if metric.exhausted_until is not None]
    facts = {"metric": ",".join(metric.metric for metric in metrics)}
    retry_after = None
    if ends:
        facts["exhaustedUntil"] = format_date(max(ends))
        retry_after = None if now is None else max(max(ends) - now, timedelta())
    error = QuotaExhausted(text, **common, facts=facts, retry_after=retry_after)
    error.metrics = metrics
    return error


def _metric(item: Mapping[str, Json]) -> ExhaustedMetric:
    try:
        end = parse_date(item["isExhaustedUntil"])
    except (KeyError, MalformedValue):
        end = None
    return ExhaustedMetric(_matching(_SAFE_CODE, item.get("metricKey")) or "unknown", end)


def _error_envelope(body: bytes) -> Mapping[str, Json]:
    if len(body) >= ERROR_CAP_BYTES:
        return {}
    try:
        envelope = decode_json(body)
    except WireError:
        return {}
    error = envelope.get("error") if isinstance(envelope, dict) else None
    return error if isinstance(error, dict) else {}


def _matching(pattern: re.Pattern[str], value: object) -> str | None:
    # Texts from outside go into errors and logs only in a form that can carry nothing else.
    return value if isinstance(value, str) and pattern.match(value) else None


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    text = headers.get("retry-after", "")
    return timedelta(seconds=int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else None
