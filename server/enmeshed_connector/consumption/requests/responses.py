"""Responses: what they look like, and whether one that a peer sent answers the request.

Official peers apply a response without looking at any of this; no response that they make is refused here.
Source: consumption.md, sections 9.4 and 10.4; content.md, sections 7 and 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from enmeshed_connector.consumption.requests.documents import is_group
from enmeshed_connector.consumption.requests.errors import DecisionInvalid
from enmeshed_connector.consumption.requests.processors.registry import Processors
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import JsonObject, sort_members

ACCEPTED: Final = "Accepted"
REJECTED: Final = "Rejected"
RESPONSE_GROUP: Final = "ResponseItemGroup"


def response_content(request_id: str, items: list[JsonObject], *, accepts: bool) -> JsonObject:
    """Returns a response in the form in which it is stored, and travels inside of other content."""
    return {"items": items, "requestId": request_id, "result": ACCEPTED if accepts else REJECTED}


def response_group(items: list[JsonObject]) -> JsonObject:
    """Returns the answers to the items of a group."""
    return {"@type": RESPONSE_GROUP, "items": items}


def check_readable(response: JsonObject, now: datetime) -> None:
    """Returns when a response that was made here is one that peers can read; one that they cannot would be lost.

    Attributes in it may have come from a peer themselves, in a form that is read and not made.

    Raises:
        DecisionInvalid: It breaks a rule of its types. The violations name its fields, from `response` on.
    """
    try:
        ContentValidator(now, received=True).validate_response(response)
    except ContentInvalid as error:
        code = "error.consumption.requests.servalErrorDuringRequestItemProcessing"
        raise DecisionInvalid(error.message, official_code=code, violations=error.violations) from None


def response_wrapper(response: JsonObject, *, source_type: str, source_reference: str) -> JsonObject:
    """Returns the content of the message that carries a response.

    Args:
        response: The response.
        source_type: What brought the request, `Message` or `RelationshipTemplate`.
        source_reference: The id of that.
    """
    return {
        "@type": "ResponseWrapper",
        "requestId": response["requestId"],
        "requestSourceReference": source_reference,
        "requestSourceType": source_type,
        "response": response,
    }


def creation_content(response: JsonObject) -> JsonObject:
    """Returns the content of a relationship that is asked for with a response."""
    return {"@type": "RelationshipCreationContent", "response": response}


def stored_response(response: JsonObject) -> JsonObject:
    """Returns a response as it is stored: without its own type."""
    return sort_members({name: value for name, value in response.items() if not name.startswith("@")})


def answers(content: JsonObject, response: JsonObject) -> Iterator[tuple[JsonObject, JsonObject]]:
    """Yields each item of a request with its answer; both fit, see `problem_of`."""
    for element, answer in zip(content["items"], response["items"], strict=True):
        if is_group(element):
            yield from zip(element["items"], answer["items"], strict=True)
        else:
            yield element, answer


def problem_of(content: JsonObject, response: JsonObject, processors: Processors) -> str | None:
    """Returns why a response is none to the request, None when it is one.

    Args:
        content: The request.
        response: A response by the rules of its own types.
        processors: Know which answers there are to an item.
    """
    elements, given = content["items"], response["items"]
    if len(elements) != len(given):
        return "it has another number of items"
    for element, answer in zip(elements, given, strict=True):
        is_answer_to_group = answer["@type"] == RESPONSE_GROUP
        if is_group(element) != is_answer_to_group:
            return "its groups are others"
        if is_answer_to_group and len(element["items"]) != len(answer["items"]):
            return "a group has another number of items"
    accepts = response["result"] == ACCEPTED
    for item, answer in answers(content, response):
        problem = _problem_of_item(item, answer, accepts, processors)
        if problem is not None:
            return problem
    return None


def _problem_of_item(item: JsonObject, answer: JsonObject, accepts: bool, processors: Processors) -> str | None:
    if answer["result"] == ACCEPTED:
        if not accepts:
            return "it rejects the request and accepts an item"
        if answer["@type"] not in processors.for_item(item).response_types:
            return "an item is answered by a type that does not answer it"
    elif accepts and item["mustBeAccepted"]:
        return "it accepts the request without an item that must be accepted"
    return None
