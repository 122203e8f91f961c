import pytest

from enmeshed.content.v1 import hints_pb2
from enmeshed_connector.content import types
from enmeshed_connector.content.builtin_hints import override_hints, render_hints, value_hints
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.content.releases import (
    initial_attribute_peer,
    request_for_all_releases,
    types_after_7_0_0,
    with_initial_attribute_peer,
)
from enmeshed_connector.core.references import FileReference
from enmeshed_connector.core.secret_bytes import SecretBytes
from tests.support import content_samples as samples

CODEC = ContentCodec()


@pytest.mark.parametrize("name", types.IDENTITY_VALUE_TYPES + types.RELATIONSHIP_VALUE_TYPES)
def test_every_value_type_has_hints_that_the_contract_can_show(name: str) -> None:
    values, rendering = value_hints(name), render_hints(name)
    shown_values = CODEC.from_json(values, hints_pb2.ValueHints)
    shown_rendering = CODEC.from_json(rendering, hints_pb2.RenderHints)
    assert shown_values is not None
    assert shown_rendering is not None
    assert CODEC.to_json(shown_values) == values
    assert CODEC.to_json(shown_rendering) == rendering


def test_hints_are_those_of_the_specification() -> None:
    assert value_hints("GivenName") == {"@type": "ValueHints", "max": 100, "propertyHints": {}}
    assert render_hints("EMailAddress") == {
        "@type": "RenderHints",
        "dataType": "EMailAddress",
        "editType": "InputLike",
        "propertyHints": {},
        "technicalType": "String",
    }
    nationality = value_hints("Nationality")
    assert nationality is not None
    assert len(nationality["values"]) == 249
    assert nationality["values"][0] == {"displayName": "i18n://attributes.values.countries.AD", "key": "AD"}
    language = value_hints("CommunicationLanguage")
    assert language is not None
    assert len(language["values"]) == 183
    birth = value_hints("BirthDate")
    assert birth is not None
    assert birth["propertyHints"]["month"] == {
        "@type": "ValueHints",
        "editHelp": "i18n://yourBirthMonth",
        "max": 12,
        "min": 1,
        "propertyHints": {},
    }


def test_a_type_that_is_none_has_no_hints() -> None:
    assert value_hints("Address") is None
    assert render_hints("Address") is None


def test_overriding_hints_replaces_keys_and_merges_parts() -> None:
    address = value_hints("BirthPlace")
    assert address is not None
    override = {"@type": "ValueHintsOverride", "max": 5, "propertyHints": {"city": {"@type": "ValueHints", "max": 1}}}
    merged = override_hints(address, override)
    assert merged["@type"] == "ValueHints"
    assert merged["max"] == 5
    assert merged["propertyHints"]["city"] == {"@type": "ValueHints", "max": 1}
    assert merged["propertyHints"]["state"] == address["propertyHints"]["state"]


def test_the_first_peer_of_a_forwarded_attribute_is_named_for_old_and_new_releases() -> None:
    item = {"@type": "ShareAttributeRequestItem", "mustBeAccepted": True}
    named = with_initial_attribute_peer(item, samples.PEER)
    assert named["initialAttributePeer"] == named["thirdPartyAddress"] == samples.PEER
    assert list(named) == sorted(named)
    assert initial_attribute_peer(named) == samples.PEER
    assert initial_attribute_peer({"thirdPartyAddress": samples.PEER}) == samples.PEER
    assert initial_attribute_peer(item) is None


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (samples.request(*samples.request_items()["AuthenticationRequestItem"]), set()),
        (
            samples.request(*samples.request_items()["ShareCredentialOfferRequestItem"]),
            {"ShareCredentialOfferRequestItem"},
        ),
        (samples.request({"query": {"valueType": "BankAccount"}}), {"BankAccount"}),
    ],
)
def test_types_that_older_peers_cannot_read_are_found(content: object, found: set[str]) -> None:
    assert types_after_7_0_0(content) == found


def test_references_to_files_are_truncated_in_whatever_form_they_were_given() -> None:
    reference = FileReference("FIL00000000000000001", SecretBytes(bytes(32)), "https://backbone.example.org")
    one, other = [
        {
            "@type": "TransferFileOwnershipRequestItem",
            "mustBeAccepted": True,
            "ownershipToken": "t",
            "fileReference": text,
        }
        for text in (reference.to_truncated(), reference.to_url("app"))
    ]
    consent = {"@type": "ConsentRequestItem", "consent": "I do.", "mustBeAccepted": True}
    group = {"@type": "RequestItemGroup", "items": [other]}

    sent = request_for_all_releases({"@type": "Request", "items": [other, consent, group, one]})

    assert sent["items"] == [one, consent, {**group, "items": [one]}, one]
