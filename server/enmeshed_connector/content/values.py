"""The values of attributes. Source: `spec/content.md` section 10."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime
from functools import partial
from typing import Final

from enmeshed_connector.core.canonical_json import JsonObject

from . import patterns
from .code_lists import COUNTRIES, LANGUAGES
from .hints import VALUE_HINTS_OVERRIDE
from .iban import is_bic, is_iban
from .rules import (
    AnyJson,
    Boolean,
    Check,
    Component,
    FreeObject,
    ListOf,
    Number,
    ObjectType,
    Property,
    Rule,
    Text,
    by_name,
    one_of,
    optional,
    required,
)

MAX_CREDENTIAL_CHARACTERS: Final = 52_428_800
"""The greatest length of the compact JSON of a credential or presentation."""

S100: Final = Text(max=100)
COUNTRY: Final = Text(allowed=COUNTRIES, meaning="a country of ISO 3166-1, two upper-case letters")
LANGUAGE: Final = Text(min=2, max=2, allowed=LANGUAGES, meaning="a language of ISO 639-1, two lower-case letters")
EMAIL: Final = Text(min=3, max=254, pattern=patterns.EMAIL, meaning="an email address")
PHONE: Final = Text(min=3, max=100, pattern=patterns.PHONE, meaning="digits, blanks and signs of +-x#*()/[]")
URL: Final = Text(min=3, max=1024, pattern=patterns.URL, meaning="a URL")
HEX: Final = Text(min=4, max=9, pattern=patterns.HEX_COLOR, meaning="a colour as in #f80 or #ff8800")
FILE_REFERENCE: Final = Text(min=30, max=150)
XML: Final = Text(max=50_000)
JSON_4096: Final = AnyJson(max=4096)
SCHEMA_URL: Final = optional(Text(min=3, max=1024, pattern=patterns.SCHEMA_URL, meaning="the URL of a schema"))
LINK: Final = Text(min=3, max=1024, pattern=patterns.LINK, meaning="a link")
LINK_TEXT: Final = Text(min=3, max=30)
CREDENTIAL: Final = AnyJson(max=MAX_CREDENTIAL_CHARACTERS, text_or_object=True)


def link_text_needs_link(value: JsonObject, path: str, check: Check) -> None:
    """Notes a text for a link that is not there."""
    if "linkDisplayText" in value and value.get("link") is None:
        check.fail(f"{path}.linkDisplayText", "must not be given without link")


def _plain(value: JsonObject, key: str) -> int:
    part = value[key]
    return int(part["value"] if isinstance(part, dict) else part)


def _is_past_day(value: JsonObject, path: str, check: Check) -> None:
    year, month, day = (_plain(value, key) for key in ("year", "month", "day"))
    if day > monthrange(year, month)[1]:
        check.fail(f"{path}.day", "must be a day of the month")
    elif date(year, month, day) > _day(check.now):
        check.fail(path, "must not be in the future")


def _day(moment: datetime) -> date:
    return moment.date()


def _simple(name: str, rule: Rule, **more: Property) -> ObjectType:
    return ObjectType(name, {"value": required(rule), **more})


def _composite(name: str, *, required_parts: dict[str, Rule], **optional_parts: Rule) -> ObjectType:
    return ObjectType(
        name,
        {key: required(Component(rule)) for key, rule in required_parts.items()}
        | {key: optional(Component(rule)) for key, rule in optional_parts.items()},
    )


_TITLED: Final = {"title": required(Text(max=100)), "description": optional(Text(max=1000))}
_HINTED: Final = _TITLED | {"valueHintsOverride": optional(VALUE_HINTS_OVERRIDE)}


def _proprietary(name: str, rule: Rule, **more: Property) -> ObjectType:
    return ObjectType(f"Proprietary{name}", _HINTED | {"value": required(rule)} | more)


CACHED_IMAGES: Final = ObjectType(
    "DisplayInformationCachedImages",
    {"locale": optional(Text()), "logo": optional(Text()), "backgroundImage": optional(Text())},
)

CREDENTIAL_PROPERTIES: Final = {
    "value": required(CREDENTIAL),
    "type": Property(Text(), required_to_send=True),
    "displayInformation": optional(ListOf(FreeObject())),
}
"""What a credential and a presentation have in common."""

_INTEGER_1_TO: Final = partial(Number, 1, whole=True)
_ADDRESS: Final[dict[str, Rule]] = {"zipCode": S100, "city": S100, "country": COUNTRY, "recipient": S100}

IDENTITY_VALUES: Final = by_name(
    *(
        _simple(name, S100)
        for name in (
            "BirthName",
            "DisplayName",
            "GivenName",
            "HonorificPrefix",
            "HonorificSuffix",
            "JobTitle",
            "MiddleName",
            "Pseudonym",
            "Surname",
        )
    ),
    _simple("Citizenship", COUNTRY),
    _simple("Nationality", COUNTRY),
    _simple("CommunicationLanguage", LANGUAGE),
    _simple("EMailAddress", EMAIL),
    _simple("PhoneNumber", PHONE),
    _simple("FaxNumber", PHONE),
    _simple("Website", URL),
    _simple("IdentityFileReference", FILE_REFERENCE),
    _simple("Sex", one_of("intersex", "female", "male")),
    _simple(
        "MaritalStatus",
        one_of(
            "single",
            "married",
            "separated",
            "divorced",
            "widowed",
            "civilPartnership",
            "civilPartnershipDissolved",
            "civilPartnerDeceased",
        ),
    ),
    _simple("SchematizedXML", XML, schemaURL=SCHEMA_URL),
    _simple("SchematizedJSON", JSON_4096, schemaURL=SCHEMA_URL),
    _composite("Affiliation", required_parts={"organization": S100}, role=S100, unit=S100),
    _composite(
        "BankAccount",
        required_parts={
            "accountHolder": S100,
            "iban": Text(min=14, max=34, test=is_iban, meaning="an IBAN without blanks, with right check digits"),
        },
        bic=Text(min=8, max=11, test=is_bic, meaning="a BIC"),
    ),
    ObjectType(
        "BirthDate",
        {
            "day": required(Component(_INTEGER_1_TO(31))),
            "month": required(Component(_INTEGER_1_TO(12))),
            "year": required(Component(_INTEGER_1_TO(9999))),
        },
        (_is_past_day,),
    ),
    _composite("BirthPlace", required_parts={"city": S100, "country": COUNTRY}, state=S100),
    _composite("StreetAddress", required_parts=_ADDRESS | {"street": S100, "houseNo": S100}, state=S100),
    _composite("PostOfficeBoxAddress", required_parts=_ADDRESS | {"boxId": S100}, state=S100),
    _composite(
        "DeliveryBoxAddress",
        required_parts=_ADDRESS | {"userId": S100, "deliveryBoxId": S100},
        phoneNumber=PHONE,
        state=S100,
    ),
    ObjectType(
        "VerifiableCredential",
        CREDENTIAL_PROPERTIES | {"displayInformationCachedImages": optional(ListOf(CACHED_IMAGES))},
    ),
)
"""The value types of identity attributes."""

RELATIONSHIP_VALUES: Final = by_name(
    _proprietary("Boolean", Boolean()),
    _proprietary("Country", COUNTRY),
    _proprietary("EMailAddress", EMAIL),
    _proprietary("FileReference", FILE_REFERENCE),
    _proprietary("Float", Number()),
    _proprietary("HEXColor", HEX),
    _proprietary("Integer", Number(whole=True)),
    _proprietary("Language", LANGUAGE),
    _proprietary("PhoneNumber", PHONE),
    _proprietary("String", S100),
    _proprietary("URL", URL),
    _proprietary("XML", XML, schemaURL=SCHEMA_URL),
    ObjectType("ProprietaryJSON", _TITLED | {"value": required(JSON_4096)}),
    ObjectType(
        "Consent",
        {"consent": required(Text(max=10_000)), "link": optional(LINK), "linkDisplayText": optional(LINK_TEXT)},
        (link_text_needs_link,),
    ),
)
"""The value types of relationship attributes."""
