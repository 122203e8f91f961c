"""Content as release 7.5.12 writes it; `tests/vectors/newer_request_items.json` says how it was recorded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from enmeshed.content.v1 import content_pb2, hints_pb2, request_pb2, response_pb2
from enmeshed_connector.content.builtin_hints import render_hints, value_hints
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.content.types import TYPES_AFTER_7_0_0
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import dumps, loads, sort_deep
from tests.support import content_samples as samples

RECORDED = json.loads((Path(__file__).parents[2] / "vectors" / "newer_request_items.json").read_text("utf-8"))
WRITTEN = RECORDED["written"] + RECORDED["exchanged"]
CODEC = ContentCodec()
RECEIVED, SENT = (ContentValidator(datetime(2026, 1, 1, tzinfo=UTC), received=received) for received in (True, False))


def typed(value: dict[str, Any]) -> Message | None:
    """Returns the message that stands for an item or for content, None when no type fits."""
    for choice in (request_pb2.RequestItem, response_pb2.ResponseItem):
        if value["@type"] in {field.message_type.name for field in choice.DESCRIPTOR.fields if field.message_type}:
            return CODEC.from_json(value, choice)
    content = CODEC.content_from_json(value)
    return None if content.WhichOneof("kind") in ("json", "raw_json") else content


def check(validator: ContentValidator, value: dict[str, Any]) -> None:
    """Raises ContentInvalid when the rules do not take an item or content."""
    name = value["@type"]
    if name in samples.request_items():
        validator.validate_request(samples.request(value))
    elif name in samples.response_items():
        validator.validate_response(samples.response(value))
    elif name == "Response":
        validator.validate_response(value)
    elif name == "IdentityAttribute":
        validator.validate_attribute(value)
    else:
        validator.validate_content(value)


@pytest.mark.parametrize("text", [pytest.param(each["text"], id=each["name"]) for each in WRITTEN])
def test_what_was_recorded_is_typed_and_comes_back_byte_for_byte(text: str) -> None:
    message = typed(json.loads(text))
    assert message is not None
    parsed = type(message).FromString(message.SerializeToString())
    back = CODEC.text_from_content(parsed) if isinstance(parsed, content_pb2.Content) else dumps(CODEC.to_json(parsed))
    # Official peers leave the keys of free objects, such as those of `displayInformation`, in the order they came in.
    assert back == dumps(sort_deep(loads(text)))


@pytest.mark.parametrize("text", [pytest.param(each["text"], id=each["name"]) for each in WRITTEN])
def test_what_was_recorded_may_be_received_and_sent(text: str) -> None:
    check(RECEIVED, json.loads(text))
    check(SENT, json.loads(text))


@pytest.mark.parametrize("case", [pytest.param(each, id=each["name"]) for each in RECORDED["read"]])
def test_what_is_received_is_taken_and_refused_as_there(case: dict[str, Any]) -> None:
    if "refused" in case:
        with pytest.raises(ContentInvalid) as caught:
            check(RECEIVED, case["given"])
        assert caught.value.violations[0].field.rpartition(".")[2] == case["refused"]
    else:
        check(RECEIVED, case["given"])


@pytest.mark.parametrize("name", RECORDED["hints"])
def test_the_hints_are_those_recorded(name: str) -> None:
    assert value_hints(name) == RECORDED["hints"][name]["valueHints"]
    assert render_hints(name) == RECORDED["hints"][name]["renderHints"]
    assert CODEC.from_json(RECORDED["hints"][name]["valueHints"], hints_pb2.ValueHints) is not None


def test_every_type_that_7_0_0_does_not_know_was_recorded() -> None:
    told = json.dumps(RECORDED)
    assert {name for name in TYPES_AFTER_7_0_0 if f'\\"@type\\":\\"{name}\\"' in told} == TYPES_AFTER_7_0_0
