"""How values are written and read, and what a malformed answer does."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import enmeshed_connector.backbone as room
from enmeshed_connector.backbone.calls import Answer, path_of
from enmeshed_connector.backbone.endpoints.datawallet import NewModification, NewModifications
from enmeshed_connector.backbone.endpoints.identities import NewIdentity, SignedChallenge
from enmeshed_connector.backbone.endpoints.sync_runs import EventResult, ExternalEventSyncResult
from enmeshed_connector.backbone.endpoints.tags import Tag
from enmeshed_connector.backbone.endpoints.templates import NewTemplate
from enmeshed_connector.backbone.endpoints.tokens import NewToken
from enmeshed_connector.backbone.errors import AnswerUnusable
from enmeshed_connector.backbone.multipart import Multipart
from enmeshed_connector.backbone.retries import RetryBudget, RetryPolicy
from enmeshed_connector.backbone.wire import Fields, WireError, decode_bytes, decode_json, encode_json, many
from enmeshed_connector.core.ids import MESSAGE, ExternalEventId
from tests.enmeshed_connector.backbone.conftest import Client
from tests.enmeshed_connector.backbone.samples import NEW_MESSAGE, PEER
from tests.support.scripted_http import ScriptedServer, answer, result


def test_the_room_offers_this_and_nothing_else() -> None:
    assert room.__all__ == [
        "AnonymousBackbone",
        "Backbone",
        "BackboneGateway",
        "BackboneHttp",
        "BackboneSession",
        "BackboneTarget",
        "CallOptions",
        "CallRecord",
        "DeviceCredentials",
        "HttpSettings",
        "InsecureAddress",
        "RetryPolicy",
        "SessionSettings",
        "proxy_from_environment",
    ]


@given(st.binary(max_size=100))
def test_bytes_are_read_in_every_form_of_base64(data: bytes) -> None:
    url_safe, standard = base64.urlsafe_b64encode(data).decode(), base64.b64encode(data).decode()
    for text in (url_safe, url_safe.rstrip("="), standard, standard.rstrip("=")):
        assert decode_bytes(text) == data


@pytest.mark.parametrize("text", ["a", "ab!c", "ab c", "é", "a=bc", "ab\n", "\ud800"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        decode_bytes(text)


def test_bodies_are_the_bytes_that_official_clients_send() -> None:
    moment = datetime(2027, 1, 1, 1, 0, 0, 123999, tzinfo=timezone(timedelta(hours=1)))
    assert NewToken(moment).wire() == b'{"expiresAt":"2027-01-01T00:00:00.123Z"}'
    assert NewToken(moment, b"\xfb\xff", PEER, b"\xfb\xff").wire() == (
        b'{"content":"-_8","expiresAt":"2027-01-01T00:00:00.123Z",'
        b'"forIdentity":"did:e:localhost:dids:1e8fcd70de2cd15d57a115","password":"+/8="}'
    )
    assert NewTemplate(b"x", max_number_of_allocations=1).wire() == b'{"maxNumberOfAllocations":1,"content":"eA"}'
    assert NEW_MESSAGE.wire() == (
        b'{"attachments":[{"id":"FILabcdefghijklmnopq"}],"body":"-_8gYm9keQ","recipients":'
        b'[{"address":"did:e:localhost:dids:1e8fcd70de2cd15d57a115","encryptedKey":"a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5"}]}'
    )
    assert NewModifications(-1, [NewModification("MSG1", "Messages", "Delete", 1)]).wire() == (
        b'{"localIndex":-1,"modifications":[{"objectIdentifier":"MSG1","collection":"Messages","type":"Delete",'
        b'"datawalletVersion":1}]}'
    )
    done = ExternalEventSyncResult([EventResult(ExternalEventId("SYI1")), EventResult(ExternalEventId("SYI2"), "e.x")])
    assert done.wire() == (
        b'{"datawalletModifications":[],"externalEventResults":[{"externalEventId":"SYI1"},'
        b'{"externalEventId":"SYI2","errorCode":"e.x"}]}'
    )


def test_an_identity_is_registered_with_the_members_of_the_official_client_and_shows_no_password() -> None:
    identity = NewIdentity(
        client_id="c",
        client_secret="s3cret",
        identity_public_key=b"k",
        device_password="passw0rd",
        signed_challenge=SignedChallenge("{}", b"s"),
    )
    assert decode_json(identity.wire()) == {
        "devicePassword": "passw0rd",
        "identityPublicKey": "aw",
        "signedChallenge": {"challenge": "{}", "signature": "cw"},
        "clientId": "c",
        "clientSecret": "s3cret",
        "identityVersion": 1,
    }
    assert "s3cret" not in repr(identity)
    assert "passw0rd" not in repr(identity)


def test_what_has_no_form_on_the_wire_is_a_bug_and_found_at_once() -> None:
    with pytest.raises(TypeError):
        encode_json({"x": object()})
    with pytest.raises(TypeError):
        encode_json({"without a time zone": datetime(2026, 1, 1)})


BAD_MEMBERS: list[tuple[str, Any]] = [
    ("text", 1),
    ("text", None),
    ("integer", True),
    ("integer", "1"),
    ("integer", 1.5),
    ("boolean", 0),
    ("date", "soon"),
    ("date", 5),
    ("data", "!"),
    ("data", []),
    ("address", {}),
]


@pytest.mark.parametrize(("kind", "value"), BAD_MEMBERS)
def test_a_member_of_another_type_is_named_and_its_value_is_not(kind: str, value: Any) -> None:
    fields = Fields({"member": value}, "result")
    with pytest.raises(WireError, match=r"^result\.member is missing or of another type$"):
        getattr(fields, kind)("member")
    with pytest.raises(WireError):
        getattr(Fields({}, "result"), kind)("member")


def test_null_and_absence_are_the_same_where_a_member_may_miss() -> None:
    for fields in (Fields({}, "x"), Fields(dict.fromkeys("abcdefgh"), "x")):
        assert [fields.text_or_none("a"), fields.integer_or_none("b"), fields.date_or_none("c")] == [None] * 3
        assert [fields.data_or_none("d"), fields.address_or_none("e"), fields.id_or_none(MESSAGE, "f")] == [None] * 3
        assert fields.items("g", lambda item: item) == ()
        assert fields.boolean("h", default=False) is False


def test_ids_of_another_kind_or_length_are_refused() -> None:
    for text in ("MSGabc", "FILabcdefghijklmnopq", "MSGabcdefghijklmnop/", 5):
        with pytest.raises(WireError):
            Fields({"id": text}, "x").id(MESSAGE, "id")


def test_moments_lose_what_the_network_does_not_carry() -> None:
    fields = Fields({"a": "2026-11-24T06:00:00.1239999Z", "b": "2026-11-24T08:00:00+02:00"}, "x")
    assert fields.date("a") == datetime(2026, 11, 24, 6, 0, 0, 123000, tzinfo=UTC)
    assert fields.date("b") == datetime(2026, 11, 24, 6, tzinfo=UTC)


def test_a_list_that_is_none_is_refused() -> None:
    values: list[Any] = [None, {}, "x", [1]]
    for value in values:
        with pytest.raises(WireError):
            many(lambda fields: fields)(Answer(200, value))


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_a_path_has_no_empty_and_no_dot_segments(segment: str) -> None:
    with pytest.raises(ValueError, match="segment"):
        path_of("Tokens", segment)


def test_a_segment_stays_one_segment() -> None:
    assert path_of("Tokens", "a/b?c#d e%") == "/api/v2/Tokens/a%2Fb%3Fc%23d%20e%25"


@given(st.binary(max_size=700_000))
async def test_a_form_is_as_long_as_it_says(content: bytes) -> None:
    form = Multipart([("a", "1"), ("b", "2")], content, "boundary")
    written = b"".join([piece async for piece in form.pieces()])
    assert len(written) == form.size_bytes
    assert content in written


def test_waits_double_up_to_the_longest_and_keep_at_least_half() -> None:
    policy = RetryPolicy(first_delay=timedelta(seconds=1), longest_delay=timedelta(seconds=4))
    assert [policy.delay(n, lambda count: b"\x00" * count).total_seconds() for n in (1, 2, 3, 9)] == [0.5, 1, 2, 2]
    longest = [policy.delay(n, lambda count: b"\xff" * count).total_seconds() for n in (1, 2, 3, 9, 10_000)]
    assert longest == pytest.approx([1, 2, 4, 4, 4], abs=1e-6)


def test_a_budget_that_is_spent_is_earned_again_slowly() -> None:
    budget = RetryBudget()
    assert [budget.spend() for _ in range(11)] == [True] * 10 + [False]
    for _ in range(11):
        budget.earn()
    assert [budget.spend(), budget.spend()] == [True, False]


TAGS = {
    "supportedLanguages": ["en", "de"],
    "tagsForAttributeValueTypes": {
        "PhoneNumber": {
            "emergency": {
                "displayNames": {"en": "Emergency"},
                "children": {"first": {"displayNames": {"en": "First"}, "children": {}}},
            }
        }
    },
}


async def test_tags_come_with_their_etag_and_are_not_sent_twice(client: Client, server: ScriptedServer) -> None:
    server.script(result(TAGS, headers={"ETag": '"abc"'}), answer(304, b"", {"ETag": '"abc"'}))
    tags = await client.backbone.tags.get()
    assert tags is not None
    assert tags.supported_languages == ("en", "de")
    emergency = tags.tags_for_attribute_value_types["PhoneNumber"]["emergency"]
    assert emergency.children["first"] == Tag({"en": "First"}, {})
    assert await client.backbone.tags.get(tags.etag) is None
    assert server.requests[1].headers["if-none-match"] == '"abc"'


async def test_tags_nested_without_end_are_unusable(client: Client, server: ScriptedServer) -> None:
    tag: dict[str, Any] = {"displayNames": {}}
    for _ in range(100):
        tag = {"displayNames": {}, "children": {"x": tag}}
    endless = {"supportedLanguages": [], "tagsForAttributeValueTypes": {"T": {"x": tag}}}
    server.script(*[result(endless)] * 4)
    with pytest.raises(AnswerUnusable):
        await client.backbone.tags.get()


@pytest.mark.parametrize(("value", "major"), [("7", 7), (7, 7), ("10", 10)])
async def test_the_version_is_read_as_text_and_as_number(
    client: Client, server: ScriptedServer, value: Any, major: int
) -> None:
    server.script(result({"majorVersion": value}))
    assert await client.backbone.version.major() == major


@pytest.mark.parametrize("value", ["", "seven", "7.1", "-1", True, None, "9" * 50])
async def test_a_version_that_is_none_is_unusable(client: Client, server: ScriptedServer, value: Any) -> None:
    server.script(*[result({"majorVersion": value})] * 4)
    with pytest.raises(AnswerUnusable):
        await client.backbone.version.major()


async def test_a_backbone_without_public_references_has_none(client: Client, server: ScriptedServer) -> None:
    server.script(answer(404, b""))
    assert await client.backbone.public_references.list() == ()
