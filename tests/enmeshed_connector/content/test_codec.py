import gc
import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from enmeshed.content.v1 import (
    attribute_pb2,
    content_pb2,
    form_field_pb2,
    hints_pb2,
    identity_value_pb2,
    mail_pb2,
    notification_pb2,
    query_pb2,
    relationship_value_pb2,
    request_pb2,
    response_pb2,
)
from enmeshed_connector import content as content_room
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.core.canonical_json import dumps, loads, sort_deep
from tests.support import content_samples as samples
from tests.support.content_rules import OTHER_FORMS

CODEC = ContentCodec()

# The examples of the specification, section 18: texts as official peers write them.
EXAMPLES = [
    '{"@type":"Request","expiresAt":"2024-12-31T22:00:00.000Z","id":"REQ00000000000000001","items":[{"@type":'
    '"CreateAttributeRequestItem","attribute":{"@type":"IdentityAttribute","owner":"","value":{"@type":"GivenName",'
    '"value":"Ada"}},"mustBeAccepted":true}]}',
    '{"@type":"ResponseWrapper","requestId":"REQ00000000000000001","requestSourceReference":"MSG00000000000000001",'
    '"requestSourceType":"Message","response":{"items":[{"@type":"CreateAttributeAcceptResponseItem","attributeId":'
    '"ATT00000000000000001","result":"Accepted"}],"requestId":"REQ00000000000000001","result":"Accepted"}}',
    '{"@type":"RelationshipTemplateContent","onNewRelationship":{"items":[{"@type":"AuthenticationRequestItem",'
    '"mustBeAccepted":false,"title":"Login"}]}}',
    '{"@type":"Notification","id":"NOT00000000000000001","items":[{"@type":"PeerAttributeSucceededNotificationItem",'
    '"predecessorId":"ATT00000000000000001","successorContent":{"@type":"IdentityAttribute","owner":'
    '"did:e:example.org:dids:0000000000000000000000","value":{"@type":"GivenName","value":"Ada"}},"successorId":'
    '"ATT00000000000000002"}]}',
    '{"@type":"RelationshipAttribute","confidentiality":"public","isTechnical":false,"key":"customer","owner":"",'
    '"value":{"@type":"ProprietaryInteger","title":"Number","value":1,"valueHintsOverride":{"@type":'
    '"ValueHintsOverride","max":4,"min":1,"values":[{"displayName":"one","key":1}],"propertyHints":{}}}}',
]
STREET_ADDRESS = (
    '{"@type":"StreetAddress","city":"Heidelberg","country":"DE","houseNo":"1","recipient":"Ada","street":"Hauptstr.",'
    '"zipCode":"69117"}'
)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def same(left: Any, right: Any) -> bool:
    """Compares as JavaScript would: `5.0` is `5`, `true` is not `1`."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def every_sample() -> Iterator[dict[str, Any]]:
    for contents in samples.roots().values():
        yield from contents
    yield from samples.key_tokens().values()
    yield {"@type": "Response", **samples.response({"@type": "AcceptResponseItem", "result": "Accepted"})}
    yield samples.identity_attribute()
    yield samples.relationship_attribute()


def test_the_public_names_are_these() -> None:
    assert content_room.__all__ == ["ContentCodec", "ContentInvalid", "ContentTypeNotAllowed", "ContentValidator"]


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_become_typed_and_come_back_byte_for_byte(text: str) -> None:
    content = CODEC.content_from_text(text)
    assert content.WhichOneof("kind") not in ("json", "raw_json")
    assert CODEC.text_from_content(content) == text


def test_an_attribute_value_comes_back_byte_for_byte() -> None:
    value = CODEC.from_json(json.loads(STREET_ADDRESS), identity_value_pb2.IdentityAttributeValue)
    assert value is not None
    assert value.street_address.house_no == "1"
    assert dumps(CODEC.to_json(value)) == STREET_ADDRESS


def test_every_type_becomes_typed_and_comes_back_exactly() -> None:
    seen = set()
    for value in every_sample():
        content = CODEC.content_from_json(value)
        assert content.WhichOneof("kind") not in ("json", "raw_json"), value
        parsed = content_pb2.Content.FromString(content.SerializeToString())
        back = CODEC.json_from_content(parsed)
        assert same(back, value), value
        assert dumps(sort_deep(back)) == dumps(sort_deep(value))
        seen |= types_in(value)
    assert members(content_pb2.Content) - {"Struct"} <= seen
    assert members(request_pb2.RequestItem) <= seen
    assert members(attribute_pb2.Attribute) <= seen
    assert members(identity_value_pb2.IdentityAttributeValue) <= seen
    assert members(relationship_value_pb2.RelationshipAttributeValue) <= seen
    assert members(response_pb2.ResponseItem) <= seen
    assert members(notification_pb2.NotificationItem) <= seen
    assert members(query_pb2.AttributeQuery) <= seen
    assert members(form_field_pb2.FormFieldSettings) <= seen


def members(choice: type[Message]) -> set[str]:
    return {field.message_type.name for field in choice.DESCRIPTOR.fields if field.message_type is not None}


def types_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {value[key] for key in ("@type",) if key in value}.union(*map(types_in, value.values()))
    return set().union(*map(types_in, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("name", ["ValueHints", "RenderHints", "RenderHintsOverride"])
def test_hints_always_have_their_type_and_property_hints(name: str) -> None:
    message = getattr(hints_pb2, name)()
    assert CODEC.to_json(message, tagged=False) == {"@type": name, "propertyHints": {}}


def test_render_hints_come_back() -> None:
    value = {
        "@type": "RenderHints",
        "dataType": "EMailAddress",
        "editType": "Complex",
        "propertyHints": {
            "a": {"@type": "RenderHints", "editType": "InputLike", "propertyHints": {}, "technicalType": "Json"}
        },
        "technicalType": "Object",
    }
    hints = CODEC.from_json(value, hints_pb2.RenderHints)
    assert hints is not None
    assert hints.data_type == hints_pb2.DATA_TYPE_EMAIL_ADDRESS
    assert CODEC.to_json(hints) == value


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"cc": None},
        {"subject": 5},
        {"subject": None},
        {"bodyFormat": "Html"},
        {"@version": 1},
        {"to": "did"},
        {"to": [5]},
        {"@type": "Letter"},
        {"@type": 5},
    ],
    ids=str,
)
def test_what_a_type_does_not_hold_is_shown_as_json(change: dict[str, Any]) -> None:
    value = samples.mail(**change)
    content = CODEC.content_from_json(value)
    assert content.WhichOneof("kind") == "json"
    assert same(CODEC.json_from_content(content), value)


@pytest.mark.parametrize(
    "value",
    [
        {key: item for key, item in samples.mail().items() if key != "cc"},
        {key: item for key, item in samples.mail().items() if key != "@type"},
        samples.identity_attribute(tags=[]),
        samples.request(samples.identity_attribute()),
        samples.request({"mustBeAccepted": True}),
        samples.request({"@type": "AcceptResponseItem", "result": "Accepted"}),
        samples.request(expiresAt="2026-01-31T12:00:00Z"),
        samples.request(expiresAt=1),
        samples.request(metadata=[]),
        {"@type": "RelationshipCreationContent", "response": {"@type": "Response", **samples.response()}},
        {
            "@type": "RelationshipCreationContent",
            "response": samples.response({"@type": "AcceptResponseItem", "result": "Rejected"}),
        },
        {},
    ],
    ids=str,
)
def test_another_form_of_a_type_is_shown_as_json(value: dict[str, Any]) -> None:
    content = CODEC.content_from_json(value)
    assert content.WhichOneof("kind") == "json"
    assert same(CODEC.json_from_content(content), value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a list", [1]),
        ("a text", "text"),
        ("null", None),
        ("34 levels", {"a": nested(33)}),
        ("25 levels", {"a": nested(24)}),
        ("5,000 levels", {"a": nested(5_000)}),
        ("34 levels in a type", {"@type": "ArbitraryMessageContent", "value": nested(33)}),
        ("2^53 + 1", {"a": 2**53 + 1}),
        ("2^63", {"a": [2**63]}),
        ("2^63 in a type", {"@type": "ArbitraryMessageContent", "value": -(2**63)}),
        ("a lone surrogate", {"a": "\ud800"}),
        ("a lone surrogate in a key", {"a\udfff": 1}),
        ("a lone surrogate in a type", samples.mail(subject="\ud83d")),
    ],
)
def test_what_no_message_holds_becomes_raw(name: str, value: Any) -> None:
    content = CODEC.content_from_json(value)
    assert content.WhichOneof("kind") == "raw_json"
    text = content.raw_json.decode("utf-8")
    if name != "5,000 levels":
        assert same(json.loads(text), value)
        assert same(CODEC.json_from_content(content), value)
    else:
        assert text == '{"a":' + "[" * 5_000 + "1" + "]" * 5_000 + "}"
        with pytest.raises(ContentInvalid):
            CODEC.json_from_content(content)
    assert content_pb2.Content.FromString(content.SerializeToString()) == content


@pytest.mark.parametrize(
    "value",
    [
        {"a": nested(23)},
        {"a\0b": "\0", "$set": {"x.y": {"": 1}}},
        {"a": 2**53, "b": -(2**53), "c": 5.0, "d": -0.0, "e": 1e300, "f": 5e-324},
        {"a": None, "b": True, "c": [], "d": {}},
        {"\U0001f600": 1, "\ufb01": 2},
    ],
    ids=str,
)
def test_unusual_objects_are_shown_as_json(value: Any) -> None:
    content = CODEC.content_from_json(value)
    assert content.WhichOneof("kind") == "json"
    assert same(CODEC.json_from_content(content), value)


def test_whole_numbers_have_no_fraction() -> None:
    content = CODEC.content_from_json({"a": 5, "b": 5.5, "c": [5.0]})
    assert CODEC.text_from_content(content) == '{"a":5,"b":5.5,"c":[5]}'


def test_keys_are_ordered_by_code_unit() -> None:
    content = CODEC.content_from_json({"\ufb01": 1, "\U0001f600": 2, "b": 3, "B": 4})
    assert list(CODEC.json_from_content(content)) == ["B", "b", "\U0001f600", "\ufb01"]


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"@type":"Mail","to":[],"to":["a"],"cc":[],"subject":"","body":""}',
        '{"b":{"a":1,"a":1}}',
        '{"a":' + "[" * 5_000 + "]" * 5_000 + "}",
        '{"a":123456789012345678901234567890}',
        '{"a":' + "9" * 10_000 + "}",
        "[1, 2]",
    ],
    ids=lambda text: text[:30],
)
def test_texts_that_say_more_than_their_value_are_kept_as_they_are(text: str) -> None:
    content = CODEC.content_from_text(text)
    assert content.raw_json == text.encode()


class Finalised:
    """Garbage in a cycle, whose finaliser takes a few calls to do its work."""

    def __init__(self, done: list[int]) -> None:
        self.done = done
        self.me = self

    def __del__(self) -> None:
        self.done.append(self.sum_to(50))

    def sum_to(self, number: int) -> int:
        return number + self.sum_to(number - 1) if number else 0


def test_hostile_depth_does_not_break_what_the_garbage_collector_finalises_meanwhile() -> None:
    text, done = '{"a":' + "[" * 5_000 + "]" * 5_000 + "}", list[int]()
    threshold = gc.get_threshold()
    try:
        for containers in range(500, 1_000, 10):
            gc.collect()
            Finalised(done)
            # The collector runs when so many lists have been begun, one in the other.
            gc.set_threshold(containers)
            CODEC.content_from_text(text)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert done == [1275] * 50


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a":NaN}', '{"a":Infinity}', b"\xff", '{"a":1}x'])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ContentInvalid):
        CODEC.content_from_text(text)


@pytest.mark.parametrize(
    "content",
    [
        content_pb2.Content(),
        content_pb2.Content(raw_json=b"{"),
        content_pb2.Content(raw_json=b"\xff"),
        content_pb2.Content(raw_json=b"[" * 300 + b"]" * 300),
        content_pb2.Content(raw_json=b" " * (20 * 1024 * 1024 + 1)),
    ],
    ids=["unset", "no json", "no utf-8", "too deep", "too large"],
)
def test_bad_content_of_clients_is_refused(content: content_pb2.Content) -> None:
    with pytest.raises(ContentInvalid) as caught:
        CODEC.json_from_content(content)
    assert caught.value.violations[0].field.startswith("content")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_are_refused(number: float) -> None:
    content = content_pb2.Content()
    content.json.fields["a"].list_value.values.add().string_value = "fine"
    content.json.fields["a"].list_value.values.add().struct_value.fields["b"].number_value = number
    with pytest.raises(ContentInvalid) as caught:
        CODEC.json_from_content(content)
    assert [violation.field for violation in caught.value.violations] == ["content.a[1].b"]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_named_with_its_whole_path(number: float) -> None:
    content = content_pb2.Content()
    content.request.items.add().consent.consent = "c"
    items = content.request.items.add().group.items
    items.add().consent.consent = "c"
    items.add().create_attribute.attribute.relationship.value.proprietary_float.value = number
    with pytest.raises(ContentInvalid) as caught:
        CODEC.json_from_content(content, "creation_content")
    path = "creation_content.items[1].items[1].attribute.value.value"
    assert [violation.field for violation in caught.value.violations] == [path]
    attribute = items[1].create_attribute.attribute.relationship
    with pytest.raises(ContentInvalid) as caught:
        CODEC.to_json(attribute, field="attribute")
    assert [violation.field for violation in caught.value.violations] == ["attribute.value.value"]


def test_dates_outside_of_the_calendar_are_refused() -> None:
    content = content_pb2.Content()
    content.request.expires_at.seconds = 2**60
    with pytest.raises(ContentInvalid) as caught:
        CODEC.json_from_content(content)
    assert [violation.field for violation in caught.value.violations] == ["content.expiresAt"]


def test_a_typed_mail_of_a_client_is_written_as_official_peers_do() -> None:
    content = content_pb2.Content(mail=mail_pb2.Mail(to=["did"], subject="s", body="b"))
    assert CODEC.text_from_content(content) == '{"@type":"Mail","body":"b","cc":[],"subject":"s","to":["did"]}'


def test_a_choice_without_choice_is_an_object_that_no_rule_allows() -> None:
    content = content_pb2.Content(request=request_pb2.Request(items=[request_pb2.RequestItem()]))
    assert CODEC.json_from_content(content) == {"@type": "Request", "items": [{}]}


@pytest.mark.parametrize(("given_form", "official"), OTHER_FORMS)
def test_normalized_content_is_what_official_peers_write(given_form: Any, official: Any) -> None:
    normal = CODEC.normalize(given_form)
    assert same(normal, official)
    assert same(CODEC.normalize(normal), official)
    assert CODEC.content_from_json(normal).WhichOneof("kind") not in ("json", "raw_json")


@pytest.mark.parametrize(
    "value",
    [samples.mail(unknown=1), {"@type": "Letter"}, [1], None, {"a": nested(100)}, samples.mail(subject="\ud800")],
    ids=lambda value: str(value)[:40],
)
def test_content_that_is_not_understood_is_normal_as_it_is(value: Any) -> None:
    assert CODEC.normalize(value) is value


def test_a_tolerant_reader_takes_other_forms() -> None:
    mail = CODEC.read({"to": ["did"], "subject": "s", "body": "b"}, mail_pb2.Mail)
    assert mail == mail_pb2.Mail(to=["did"], subject="s", body="b")
    assert CODEC.from_json({"to": ["did"], "subject": "s", "body": "b"}, mail_pb2.Mail) is None
    assert CODEC.read({"to": ["did"], "subject": "s"}, mail_pb2.Mail) is None


TEXTS = st.text(alphabet=st.characters(), max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(["Mail", "Request", "\0", "$set", "a.b", "\ud800", 2**53, 2**63])
)
KEYS = TEXTS | st.sampled_from(
    ["@type", "@version", "items", "to", "cc", "subject", "body", "value", "result", "metadata"]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


@given(VALUES)
def test_any_json_survives_exactly(value: Any) -> None:
    content = content_pb2.Content.FromString(CODEC.content_from_json(value).SerializeToString())
    if content.WhichOneof("kind") == "raw_json":
        assert same(json.loads(content.raw_json), value)
    else:
        assert same(CODEC.json_from_content(content), value)


@given(st.sampled_from(list(every_sample())), st.data())
def test_any_change_of_a_type_survives_exactly(sample: dict[str, Any], data: st.DataObject) -> None:
    changed = json.loads(json.dumps(sample))
    place: Any = changed
    while True:
        steps = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not steps:
            break
        step = data.draw(st.sampled_from(steps))
        if not isinstance(place[step], dict | list) or data.draw(st.booleans()):
            place[step] = data.draw(SCALARS | st.just([]) | st.just({}))
            break
        place = place[step]
    content = CODEC.content_from_json(changed)
    if content.WhichOneof("kind") == "raw_json":
        assert same(json.loads(content.raw_json), changed)
    else:
        assert same(CODEC.json_from_content(content), changed)


@given(
    st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | VALUES.map(lambda value: json.dumps(value).encode())
)
def test_any_text_is_kept_or_refused(text: bytes) -> None:
    try:
        content = CODEC.content_from_text(text)
    except ContentInvalid:
        return
    if content.WhichOneof("kind") != "raw_json":
        assert same(CODEC.json_from_content(content), loads(text))
