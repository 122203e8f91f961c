"""What the rules of content take and refuse: for each key of each type, values on both sides of every limit.

Source: `spec/content.md` sections 4 to 11. Tests hold our rules and the official classes against the same tables.
"""

from __future__ import annotations

from typing import Any

from enmeshed_connector.content import types
from tests.support import content_samples as samples

LINK = "https://user@www.example.org/a/b.c?d=e#f"


def item(name: str, **more: Any) -> dict[str, Any]:
    """The first sample of a request item with something changed."""
    return {**samples.request_items()[name][0], **more}


def answer(name: str, **more: Any) -> dict[str, Any]:
    return {**samples.response_items()[name][0], **more}


def without(value: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name != key}


# For each base rule of section 10.2.1: texts at its bounds, and just beyond.
S100 = (["", "a" * 100, "😀" * 50], ["a" * 101, "😀" * 50 + "a", 5, True, {}])

COUNTRY = (["DE", "AX"], ["de", "XX", "DEU", "", 5])

LANGUAGE = (["de", "iu"], ["DE", "xx", "deu", ""])

EMAIL = (
    ["a@b.de", "a.b+c@ä.example.org", "a" * 242 + "@example.org"],
    ["a@b", "a@b.c", "a b@c.de", "@b.de", "a..b@c.de", "a@b.de\n", "a" * 243 + "@example.org", ""],
)

PHONE = (["123", "+49 (6221) 1-2#3*4/5[6]x", "1" * 100], ["12", "1" * 101, "abc", "12\n3", "١٢٣"])

URL = (
    ["example.org", "https://www.example.org:80/a?b#c", "x://ä.de", "e.o" + "/" * 1021],
    ["example", "www.", "https://", "exa mple.org", "e.o" + "/" * 1022, "example.org/a.b", "a.b\n"],
)

HEX = (["#fff", "#FFAA00"], ["fff", "#ffff", "#ggg", "#fffffff1", "#fff\n"])

FILE = (["a" * 30, "a" * 150], ["a" * 29, "a" * 151])

XML = (["", "x" * 50_000], ["x" * 50_001, 5])

JSON = ([{"a": 1}, "a" * 4094, 0, False, []], [None, "a" * 4095, {"a": "b" * 4096}])

SEX = (["intersex", "female", "male"], ["Female", ""])

STATUS = (["single", "civilPartnerDeceased"], ["Single", ""])

INTEGER = ([0, -1, 5.0, 2**60], [1.5, "1", True])

NUMBER = ([0, 1.5, -2], ["1", True])

BOOLEAN = ([True, False], [0, "true"])

VALUE_RULES: dict[str, tuple[list[Any], list[Any]]] = {
    **dict.fromkeys(
        (
            "BirthName",
            "DisplayName",
            "GivenName",
            "HonorificPrefix",
            "HonorificSuffix",
            "JobTitle",
            "MiddleName",
            "Pseudonym",
            "Surname",
            "ProprietaryString",
        ),
        S100,
    ),
    **dict.fromkeys(("Citizenship", "Nationality", "ProprietaryCountry"), COUNTRY),
    **dict.fromkeys(("CommunicationLanguage", "ProprietaryLanguage"), LANGUAGE),
    **dict.fromkeys(("EMailAddress", "ProprietaryEMailAddress"), EMAIL),
    **dict.fromkeys(("PhoneNumber", "FaxNumber", "ProprietaryPhoneNumber"), PHONE),
    **dict.fromkeys(("Website", "ProprietaryURL"), URL),
    **dict.fromkeys(("IdentityFileReference", "ProprietaryFileReference"), FILE),
    **dict.fromkeys(("SchematizedXML", "ProprietaryXML"), XML),
    **dict.fromkeys(("SchematizedJSON", "ProprietaryJSON"), JSON),
    "Sex": SEX,
    "MaritalStatus": STATUS,
    "ProprietaryBoolean": BOOLEAN,
    "ProprietaryFloat": NUMBER,
    "ProprietaryHEXColor": HEX,
    "ProprietaryInteger": INTEGER,
}

PROPRIETARY = [name.removeprefix("Proprietary") for name in types.RELATIONSHIP_VALUE_TYPES if name != "Consent"]

# Type, key, what is taken, what is not.
PART_RULES: list[tuple[str, str, list[Any], list[Any]]] = [
    *(("Affiliation", key, *S100) for key in ("organization", "role", "unit")),
    ("BankAccount", "accountHolder", *S100),
    ("BankAccount", "iban", ["NO9386011117947"], ["NO9386011117948", "DE89 3704 0044 0532 0130 00", "", "ZZ"]),
    ("BankAccount", "bic", ["DEUTDEFF", "deutdeff500"], ["DEUTDEF", "DEUTZZFF", "DEUTDEFF5000", "DEUTDEFF\n"]),
    ("BirthDate", "day", [1, 31, 31.0], [0, 32, 1.5, "1", True]),
    ("BirthDate", "month", [1, 12], [0, 13]),
    ("BirthDate", "year", [1, 2025], [0, 10_000]),
    ("BirthPlace", "city", *S100),
    ("BirthPlace", "country", *COUNTRY),
    ("BirthPlace", "state", *S100),
    *(
        (name, key, *S100)
        for name, keys in {
            "StreetAddress": ("recipient", "street", "houseNo", "zipCode", "city", "state"),
            "PostOfficeBoxAddress": ("recipient", "boxId", "zipCode", "city", "state"),
            "DeliveryBoxAddress": ("recipient", "userId", "deliveryBoxId", "zipCode", "city", "state"),
        }.items()
        for key in keys
    ),
    *((name, "country", *COUNTRY) for name in ("StreetAddress", "PostOfficeBoxAddress", "DeliveryBoxAddress")),
    ("DeliveryBoxAddress", "phoneNumber", *PHONE),
    *(
        (
            name,
            "schemaURL",
            [LINK, "www.example.org", "abc:d", "abc:" + "c" * 1020],
            ["ab", "a|b", "abc:" + "c" * 1021, "abc:d\n"],
        )
        for name in ("SchematizedJSON", "SchematizedXML", "ProprietaryXML")
    ),
    ("VerifiableCredential", "value", ["x", {"a": 1}], [5, [], None]),
    ("VerifiableCredential", "type", ["x"], [5]),
    ("VerifiableCredential", "displayInformation", [[], [{}]], [{}, ["x"]]),
    ("VerifiableCredential", "displayInformationCachedImages", [[], [{}]], [{}, ["x"], [{"logo": 5}]]),
    *(
        (f"Proprietary{name}", key, right, wrong)
        for name in PROPRIETARY
        for key, right, wrong in (
            ("title", ["", "a" * 100], ["a" * 101, 5, None]),
            ("description", ["", "a" * 1000], ["a" * 1001, 5]),
        )
    ),
    (
        "ProprietaryString",
        "valueHintsOverride",
        [
            {},
            {"@type": "ValueHintsOverride"},
            {"editHelp": "a" * 500, "pattern": "a" * 1000, "min": 1.5, "max": -1, "defaultValue": "a"},
            {"values": [{"key": "a" * 100, "displayName": "a" * 100}, {"key": False, "displayName": ""}]},
            {"propertyHints": {"a": {"@type": "ValueHints", "propertyHints": {"b": {}}}}},
        ],
        [
            "text",
            {"@type": "ValueHints"},
            {"editHelp": "a" * 501},
            {"pattern": "a" * 1001},
            {"min": "1"},
            {"max": True},
            {"defaultValue": {}},
            {"values": {}},
            {"values": [{"key": "a" * 101, "displayName": ""}]},
            {"values": [{"key": 1, "displayName": "a" * 101}]},
            {"values": [{"displayName": ""}]},
            {"values": [{"key": {}, "displayName": ""}]},
            {"propertyHints": []},
            {"propertyHints": {"a": {"max": "1"}}},
        ],
    ),
    ("Consent", "consent", ["", "a" * 10_000], ["a" * 10_001, None]),
    ("Consent", "link", [LINK, "www.example.org/a"], ["ab", "a|b", "abc:" + "c" * 1021]),
    ("Consent", "linkDisplayText", ["abc", "a" * 30], ["ab", "a" * 31]),
]

TAGS = ([[], ["a" * 250], [str(number) for number in range(20)]], [["a", "a"], ["a" * 251], ["a"] * 21, "a", [5], None])

ATTRIBUTE_RULES: list[tuple[dict[str, Any], str, list[Any], list[Any]]] = [
    (samples.identity_attribute(), "owner", ["", samples.PEER], [None, 5]),
    (samples.identity_attribute(), "tags", *TAGS),
    (samples.identity_attribute(), "value", [], [None, "Ada", {"value": "Ada"}]),
    (samples.relationship_attribute(), "owner", [""], [None, 5]),
    (samples.relationship_attribute(), "key", ["", "a" * 100], ["a" * 101, None]),
    (samples.relationship_attribute(), "isTechnical", [True, False], ["yes", 0, None]),
    (samples.relationship_attribute(), "confidentiality", ["public", "private", "protected"], ["Public", None]),
    (samples.relationship_attribute(), "value", [], [None, "Ada"]),
]

HINTS = samples.queries()["RelationshipAttributeQuery"]["attributeCreationHints"]

QUERY_RULES: list[tuple[str, str, list[Any], list[Any]]] = [
    ("IdentityAttributeQuery", "valueType", ["GivenName"], ["ProprietaryString", "Address", None]),
    ("IdentityAttributeQuery", "tags", *TAGS),
    ("RelationshipAttributeQuery", "key", ["a" * 100], ["a" * 101, None]),
    ("RelationshipAttributeQuery", "owner", ["", samples.PEER], [None]),
    (
        "RelationshipAttributeQuery",
        "attributeCreationHints",
        [without(HINTS, "description"), without(HINTS, "valueHints")],
        [
            None,
            *(without(HINTS, key) for key in ("title", "valueType", "confidentiality")),
            {**HINTS, "title": "a" * 101},
            {**HINTS, "valueType": "GivenName"},
            {**HINTS, "description": "a" * 1001},
            {**HINTS, "confidentiality": "secret"},
            {**HINTS, "valueHints": {"min": "1"}},
        ],
    ),
    ("ThirdPartyRelationshipAttributeQuery", "key", ["a" * 100], ["a" * 101, None]),
    ("ThirdPartyRelationshipAttributeQuery", "owner", ["thirdParty", "recipient", ""], ["sender", None]),
    ("ThirdPartyRelationshipAttributeQuery", "thirdParty", [[""], [samples.PEER]], [[], None, samples.PEER, [5]]),
    ("IQLQuery", "queryString", ["GivenName", "#" + "a" * 4095], ["given", "", "#" + "a" * 4096, None]),
    ("IQLQuery", "attributeCreationHints", [None, {"valueType": "Sex"}], [{}, {"valueType": "Consent"}, 5]),
]

ITEM_RULES: list[tuple[str, str, list[Any], list[Any]]] = [
    *(
        (name, key, right, wrong)
        for name in samples.request_items()
        for key, right, wrong in (
            ("mustBeAccepted", [True, False], [None, 0, "true"]),
            ("description", ["a" * 500], ["a" * 501, 5, None]),
            ("metadata", [{}, None], [[], "a"]),
        )
    ),
    ("AuthenticationRequestItem", "title", ["a" * 200], ["a" * 201, None]),
    ("ConsentRequestItem", "consent", ["a" * 10_000], ["a" * 10_001, None]),
    ("ConsentRequestItem", "link", [LINK], ["a|b", "ab"]),
    ("ConsentRequestItem", "linkDisplayText", ["abc"], ["ab", "a" * 31]),
    ("ConsentRequestItem", "requiresInteraction", [False], ["a", None]),
    ("CreateAttributeRequestItem", "attribute", [], [None, {"@type": "Mail"}]),
    ("DeleteAttributeRequestItem", "attributeId", ["ATT"], [None, 5]),
    ("FormFieldRequestItem", "title", ["a" * 200], ["a" * 201, None]),
    (
        "FormFieldRequestItem",
        "settings",
        [
            {"@type": "StringFormFieldSettings", "min": 0, "max": 4096},
            {"@type": "IntegerFormFieldSettings", "min": -5, "max": 5.0, "unit": ""},
            {"@type": "SelectionFormFieldSettings", "options": ["a", "a" * 4096]},
            {"@type": "RatingFormFieldSettings", "maxRating": 10},
        ],
        [
            None,
            {},
            {"@type": "TextFormFieldSettings"},
            {"@type": "StringFormFieldSettings", "min": -1},
            {"@type": "StringFormFieldSettings", "max": 4097},
            {"@type": "StringFormFieldSettings", "max": 1.5},
            {"@type": "StringFormFieldSettings", "allowNewlines": "yes"},
            {"@type": "IntegerFormFieldSettings", "min": 1.5},
            {"@type": "IntegerFormFieldSettings", "unit": 5},
            {"@type": "DoubleFormFieldSettings", "max": "1"},
            {"@type": "SelectionFormFieldSettings"},
            {"@type": "SelectionFormFieldSettings", "options": [""]},
            {"@type": "SelectionFormFieldSettings", "options": ["a" * 4097]},
            {"@type": "SelectionFormFieldSettings", "options": ["a"], "allowMultipleSelection": 1},
            {"@type": "RatingFormFieldSettings"},
            {"@type": "RatingFormFieldSettings", "maxRating": 4},
            {"@type": "RatingFormFieldSettings", "maxRating": 11},
            {"@type": "RatingFormFieldSettings", "maxRating": 5.5},
        ],
    ),
    ("ProposeAttributeRequestItem", "query", [], [None, samples.queries()["ThirdPartyRelationshipAttributeQuery"]]),
    ("ProposeAttributeRequestItem", "attribute", [], [None]),
    ("ReadAttributeRequestItem", "query", list(samples.queries().values()), [None, {"@type": "GivenName"}]),
    ("ShareAttributeRequestItem", "attribute", [samples.identity_attribute()], [None]),
    ("ShareAttributeRequestItem", "attributeId", ["ATT"], [None]),
    ("ShareAttributeRequestItem", "initialAttributePeer", [samples.PEER, None], [5]),
    ("ShareAttributeRequestItem", "thirdPartyAddress", [samples.PEER, None], [5]),
    ("ShareAuthorizationRequestRequestItem", "authorizationRequestUrl", ["a" * 9999], [None, 5]),
    ("ShareCredentialOfferRequestItem", "credentialOfferUrl", ["a" * 9999], [None, 5]),
    (
        "TransferFileOwnershipRequestItem",
        "fileReference",
        [samples.FILE_REFERENCE, samples.FILE_URL],
        [None, 5, "a", "", samples.FILE_REFERENCE[8:]],
    ),
    ("TransferFileOwnershipRequestItem", "ownershipToken", ["a"], [None, 5]),
]

GROUP = {"@type": "RequestItemGroup", "items": [item("AuthenticationRequestItem")]}

REQUEST = samples.request(item("AuthenticationRequestItem"))

ANSWER_RULES: list[tuple[str, str, list[Any], list[Any]]] = [
    *(
        (name, "result", [], [None, "accepted", "Rejected" if "Accept" in name else "Accepted"])
        for name in samples.response_items()
    ),
    ("RejectResponseItem", "code", ["a" * 200], ["a" * 201, None]),
    ("RejectResponseItem", "message", ["a" * 1000], ["a" * 1001]),
    ("ErrorResponseItem", "code", ["a" * 200], ["a" * 201, None]),
    ("ErrorResponseItem", "message", ["a" * 1000], ["a" * 1001, None]),
    *(
        (name, "attributeId", ["ATT"], [None, 5])
        for name, items in samples.response_items().items()
        if "attributeId" in items[0]
    ),
    *(("AttributeSuccessionAcceptResponseItem", key, ["ATT"], [None, 5]) for key in ("predecessorId", "successorId")),
    ("AttributeSuccessionAcceptResponseItem", "successorContent", [samples.relationship_attribute()], [None, {}]),
    ("DeleteAttributeAcceptResponseItem", "deletionDate", ["2026-01-31"], [None, "soon"]),
    ("FormFieldAcceptResponseItem", "response", ["a" * 4096, [], 0, False], ["", "a" * 4097, [5], {}, None]),
    ("ProposeAttributeAcceptResponseItem", "attribute", [samples.relationship_attribute()], [None, {}]),
    ("ReadAttributeAcceptResponseItem", "attribute", [samples.identity_attribute()], [None, {}]),
    ("ReadAttributeAcceptResponseItem", "initialAttributePeer", [samples.PEER], [5]),
    (
        "TransferFileOwnershipAcceptResponseItem",
        "attribute",
        [samples.identity_attribute()],
        [None, samples.relationship_attribute()],
    ),
]

ROOT_RULES: list[tuple[str, str, list[Any], list[Any]]] = [
    ("Mail", "to", [[""]], [[], None, "a", [5]]),
    ("Mail", "cc", [[], None], ["a", [5]]),
    ("Mail", "subject", ["", "a" * 300], ["a" * 301, None]),
    ("Mail", "body", ["", "a" * 50_000], ["a" * 50_001, None]),
    ("Mail", "bodyFormat", ["PlainText", "Markdown", None], ["Html", 5]),
    *(
        (name, "value", [0, "", [], {}], [None])
        for name in (
            "ArbitraryMessageContent",
            "ArbitraryRelationshipTemplateContent",
            "ArbitraryRelationshipCreationContent",
        )
    ),
    ("RelationshipTemplateContent", "title", ["a" * 200], ["a" * 201]),
    ("RelationshipTemplateContent", "metadata", [{}], [[]]),
    ("RelationshipTemplateContent", "onNewRelationship", [REQUEST], [None, {"@type": "Mail"}, {"items": []}]),
    ("RelationshipTemplateContent", "onExistingRelationship", [REQUEST, None], [{"items": []}, 5]),
    ("RelationshipCreationContent", "response", [], [None, {}, {"@type": "Request"}]),
    *(("ResponseWrapper", key, ["MSG"], [None, 5]) for key in ("requestId", "requestSourceReference")),
    ("ResponseWrapper", "requestSourceType", ["Message", "RelationshipTemplate"], ["Token", None]),
    ("ResponseWrapper", "response", [], [None, {}]),
    ("Notification", "id", ["NOT00000000000000009"], [None, 5]),
    ("Notification", "items", [], [[], None, [5], [{"@type": "Letter"}]]),
    ("TokenContentVerifiablePresentation", "value", ["a", {}], [None, 5]),
    ("TokenContentVerifiablePresentation", "type", ["a"], [5, None]),
    ("TokenContentVerifiablePresentation", "displayInformation", [[]], [[5]]),
]

REQUIRED_PARTS: dict[str, list[str]] = {
    "Affiliation": ["organization"],
    "BankAccount": ["accountHolder", "iban"],
    "BirthDate": ["day", "month", "year"],
    "BirthPlace": ["city", "country"],
    "StreetAddress": ["recipient", "street", "houseNo", "zipCode", "city", "country"],
    "PostOfficeBoxAddress": ["recipient", "boxId", "zipCode", "city", "country"],
    "DeliveryBoxAddress": ["recipient", "userId", "deliveryBoxId", "zipCode", "city", "country"],
    "VerifiableCredential": ["value", "type"],
    "ProprietaryJSON": ["title", "value"],
    "ProprietaryXML": ["title", "value"],
    "Consent": ["consent"],
}
"""The keys that values of a type must have, besides `value` of simple ones."""

DATES_OF_BIRTH: list[tuple[tuple[int, int, int], list[str]]] = [
    ((31, 1, 2026), []),
    ((29, 2, 2024), []),
    ((1, 2, 2026), ["value"]),
    ((29, 2, 2025), ["value.day"]),
    ((31, 4, 2025), ["value.day"]),
]
"""Day, month and year, and what is wrong; asked on 31 January 2026."""

NO_VALUE_TYPES = ["Address", "PersonName", "City", "Statement", "Street", "getName", ""]
"""Names of types that attributes cannot have, on the contrary to what older releases or their parts suggest."""

HOSTILE_LINKS = ["a:" + "a" * 1021 + "|", "http://" + "a" * 1016 + "|", "www." + "-" * 1019 + "|"]
"""Texts for which the original expressions take minutes."""

RULES_BETWEEN_KEYS: list[tuple[dict[str, Any], str]] = [
    (without(item("ConsentRequestItem"), "link"), "linkDisplayText"),
    (item("ProposeAttributeRequestItem", attribute=samples.relationship_attribute()), "query"),
    (item("ProposeAttributeRequestItem", query=samples.queries()["RelationshipAttributeQuery"]), "query"),
    (
        item("ProposeAttributeRequestItem", query={"@type": "IdentityAttributeQuery", "valueType": "Surname"}),
        "attribute.value.@type",
    ),
    (
        item(
            "ProposeAttributeRequestItem",
            query={**samples.queries()["IQLQuery"], "attributeCreationHints": {"valueType": "Surname"}},
        ),
        "attribute.value.@type",
    ),
    (
        item(
            "ProposeAttributeRequestItem",
            query=samples.queries()["RelationshipAttributeQuery"],
            attribute=samples.relationship_attribute(samples.relationship_values()["ProprietaryURL"]),
        ),
        "attribute.value.@type",
    ),
]
"""Request items that break a rule between their keys, and what is told to be wrong."""

REQUEST_RULES: list[tuple[str, list[Any], list[Any]]] = [
    ("id", ["REQ00000000000000001", None], [5]),
    ("expiresAt", ["2026-01-31", "2026-01-31T12:00:00+01:00", None], ["soon", "2026-02-30", {}, True]),
    (
        "items",
        [[GROUP]],
        [[], None, {}, [{}], [5], [samples.mail()], [GROUP | {"items": []}], [GROUP | {"items": [GROUP]}]],
    ),
    ("title", ["a" * 200], ["a" * 201, None]),
    ("description", ["a" * 500], ["a" * 501, None]),
    ("metadata", [{}, None], ["a"]),
]

GROUP_RULES: list[tuple[str, list[Any], list[Any]]] = [
    ("title", ["a" * 200], ["a" * 201]),
    ("description", ["a" * 500], ["a" * 501]),
    ("metadata", [{}], [[]]),
]

ACCEPT = answer("AcceptResponseItem")

RESPONSE_RULES: list[tuple[str, list[Any], list[Any]]] = [
    ("result", ["Accepted", "Rejected"], ["Error", None]),
    ("requestId", ["REQ"], [None, 5]),
    (
        "items",
        [[{"@type": "ResponseItemGroup", "items": [ACCEPT]}]],
        [
            [],
            None,
            [{"@type": "ResponseItemGroup", "items": []}],
            [{"@type": "ResponseItemGroup", "items": [{"@type": "ResponseItemGroup", "items": [ACCEPT]}]}],
            [item("AuthenticationRequestItem")],
        ],
    ),
]

UNKNOWN_ROOTS: list[dict[str, Any]] = [{}, {"@type": "Letter"}, {"@type": 5}, {"@type": "GivenName", "value": "Ada"}]

VERSIONS: list[tuple[Any, bool]] = [(1, True), ("1", True), ("1.9", True), (2, False), ("x", False), ("11", False)]
"""What `@version` may be."""

OLD_MAIL: dict[str, Any] = {"@type": "Mail", "to": ["did"], "subject": "s", "content": "b"}
OLD_FORMS: list[dict[str, Any]] = [
    OLD_MAIL,
    samples.request(
        {
            **without(item("ShareAttributeRequestItem"), "attributeId"),
            "sourceAttributeId": "ATT",
            "title": "Share",
            "requireManualDecision": True,
        }
    ),
    samples.request(without(item("TransferFileOwnershipRequestItem"), "ownershipToken")),
    samples.request({"@type": "FreeTextRequestItem", "mustBeAccepted": True, "freeText": "Hello"}),
    samples.request(
        {
            "@type": "RegisterAttributeListenerRequestItem",
            "mustBeAccepted": True,
            "query": samples.queries()["IdentityAttributeQuery"],
        }
    ),
    samples.request(
        item(
            "ReadAttributeRequestItem",
            query={**samples.queries()["ThirdPartyRelationshipAttributeQuery"], "thirdParty": samples.PEER},
        )
    ),
    samples.request(item("AuthenticationRequestItem"), expiresAt=1_700_000_000_000),
    {
        "@type": "RelationshipCreationContent",
        "response": samples.response(
            {"@type": "ShareAttributeAcceptResponseItem", "attributeId": "ATT", "result": "Accepted"},
            {"@type": "FreeTextAcceptResponseItem", "freeText": "Hello", "result": "Accepted"},
            {"@type": "RegisterAttributeListenerAcceptResponseItem", "listenerId": "a" * 30, "result": "Accepted"},
        ),
    },
    *(
        {"@type": "Notification", "id": "NOT", "items": [{"@type": f"{name}NotificationItem", "attributeId": "ATT"}]}
        for name in (
            "OwnSharedAttributeDeletedByOwner",
            "PeerSharedAttributeDeletedByPeer",
            "ThirdPartyRelationshipAttributeDeletedByPeer",
            "ThirdPartyOwnedRelationshipAttributeDeletedByPeer",
        )
    ),
    samples.request(
        item(
            "CreateAttributeRequestItem",
            attribute=samples.identity_attribute(
                {"@type": "BirthDate", "day": {"value": 1}, "month": {"@type": "BirthMonth", "value": 2}, "year": 2000}
            ),
        )
    ),
]
"""Forms of older releases: read, and not sent."""


def form_settings(kind: str, **more: Any) -> dict[str, Any]:
    """Returns settings of a form field."""
    return {"@type": f"{kind}FormFieldSettings", **more}


FORM_SETTINGS: list[tuple[dict[str, Any], str]] = [
    (form_settings("String", min=5, max=5), ""),
    (form_settings("String", min=5, max=4), "max"),
    (form_settings("String", min=5, max=0), ""),
    (form_settings("Integer", min=-1, max=-2), "max"),
    (form_settings("Integer", min=0, max=-2), ""),
    (form_settings("Double", min=1.5, max=1.4), "max"),
    (form_settings("Double", min=1.5), ""),
    (form_settings("Selection", options=["a"]), ""),
    (form_settings("Selection", options=[]), "options"),
    (form_settings("Selection", options=["a", "a"]), "options"),
]
"""Settings of form fields that follow the rules of their type, and which cannot be asked for; empty: all can."""

FORM_ANSWERS: list[tuple[dict[str, Any], list[Any], list[Any]]] = [
    (form_settings("String"), ["a", "a\nb", "a" * 4096], ["", "a" * 4097, 5, None, ["a"], True]),
    (form_settings("String", min=2, max=3), ["ab", "abc", "😀"], ["a", "abcd", "😀😀"]),
    (form_settings("String", min=0, max=0), ["abc"], [""]),
    (form_settings("Integer", min=-1, max=3), [-1, 3, 2.0], [-2, 4, 1.5, "1", True, None]),
    (form_settings("Integer", min=0, max=0), [-5, 5], []),
    (form_settings("Double", min=0.5, max=1.5), [0.5, 1, 1.5], [0.4, 1.6, "1", False]),
    (form_settings("Boolean"), [True, False], [0, "true", None]),
    (form_settings("Date"), ["2026-01-31", "2026-01-31T12:00:00.000Z"], ["soon", "2026-02-30", "", 5]),
    (form_settings("Selection", options=["a", "b"]), ["a"], ["c", "", ["a"], 5, None]),
    (
        form_settings("Selection", options=["a", "b"], allowMultipleSelection=True),
        [["a"], ["b", "a"]],
        ["a", [], ["c"], ["a", "a"], [5], None],
    ),
    (form_settings("Rating", maxRating=5), [1, 5, 3.0], [0, 6, 2.5, "3", True]),
    (form_settings("Unknown"), [], ["a"]),
    ({}, [], ["a"]),
]
"""Settings of form fields, and which answers fit them."""

OTHER_FORMS: list[tuple[Any, Any]] = [
    (
        {"@type": "Mail", "to": ["did"], "subject": "s", "body": "b"},
        {"@type": "Mail", "to": ["did"], "cc": [], "subject": "s", "body": "b"},
    ),
    (
        {"@type": "Mail", "@version": 1, "to": ["did"], "cc": None, "bodyFormat": None, "subject": "", "body": ""},
        {"@type": "Mail", "to": ["did"], "cc": [], "subject": "", "body": ""},
    ),
    (
        {
            "@type": "RelationshipCreationContent",
            "response": {
                "@type": "Response",
                "result": "Accepted",
                "requestId": "REQ",
                "items": [
                    {
                        "@type": "TransferFileOwnershipAcceptResponseItem",
                        "result": "Accepted",
                        "attributeId": "ATT",
                        "attribute": samples.identity_attribute(),
                    }
                ],
            },
        },
        {
            "@type": "RelationshipCreationContent",
            "response": {
                "result": "Accepted",
                "requestId": "REQ",
                "items": [
                    {
                        "@type": "TransferFileOwnershipAcceptResponseItem",
                        "result": "Accepted",
                        "attributeId": "ATT",
                        "attribute": {
                            key: item for key, item in samples.identity_attribute().items() if key != "@type"
                        },
                    }
                ],
            },
        },
    ),
    (
        samples.identity_attribute(
            {"@type": "BirthDate", "day": {"@type": "BirthDay", "value": 1}, "month": {"value": 2}, "year": 2000}
        ),
        samples.identity_attribute({"@type": "BirthDate", "day": 1, "month": 2, "year": 2000}),
    ),
    (
        samples.request(item("AuthenticationRequestItem"), expiresAt="2026-01-31T12:00:00+01:00"),
        samples.request(item("AuthenticationRequestItem"), expiresAt="2026-01-31T11:00:00.000Z"),
    ),
    (
        samples.relationship_attribute(
            {"@type": "ProprietaryFloat", "title": "", "value": 1, "valueHintsOverride": {"min": 1}}
        ),
        samples.relationship_attribute(
            {
                "@type": "ProprietaryFloat",
                "title": "",
                "value": 1,
                "valueHintsOverride": {"@type": "ValueHintsOverride", "min": 1, "propertyHints": {}},
            }
        ),
    ),
]
"""Content in forms that peers take, and what official peers write for it."""
