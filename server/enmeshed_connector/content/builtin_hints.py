"""The hints that each value type has by itself: how to enter and show it. Source: `spec/content.md` section 13."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from enmeshed_connector.core.canonical_json import Json, JsonObject, sort_members

from .code_lists import COUNTRIES, LANGUAGES

_EMAIL_PATTERN: Final = (
    r"^[A-Za-z0-9!#$%&'*+\/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+\/=?^_`{|}~-]+)*@"
    r"([A-Za-z0-9ÄäÖöÜüß]([A-Za-z0-9ÄäÖöÜüß-]{0,61}[A-Za-z0-9ÄäÖöÜüß])?\.)+"
    r"[A-Za-z0-9ÄäÖöÜüß][A-Za-z0-9ÄäÖöÜüß-]{0,61}[A-Za-z0-9ÄäÖöÜüß]$"
)
_URL_PATTERN: Final = (
    r"^([A-Za-z]+:\/\/)?((www\.)|(?!www\.))([A-Za-z0-9ÄäÖöÜüß]([A-Za-zÄäÖöÜüß0-9-]{0,61}[A-Za-zÄäÖöÜüß0-9])?\.)+"
    r"([A-Za-z0-9ÄäÖöÜüß]([A-Za-zÄäÖöÜüß0-9-]{0,61}[A-Za-zÄäÖöÜüß0-9])?)(:[0-9]+)?"
    r"(\/[A-Za-zÄäÖöÜüß0-9?#@!$&'()*+,;=%-]*)*$"
)
_PHONE_PATTERN: Final = r"^[\d+\-x#*()/[\] ]{3,100}$"
_HEX_PATTERN: Final = "^#([0-9A-F]{3}){1,2}$/i"


@dataclass(frozen=True)
class _Hints:
    technical: str
    edit: str
    data: str | None = None
    value: Mapping[str, Json] = field(default_factory=dict)
    choices: tuple[str, tuple[str, ...]] | None = None
    """The name of the list in keys of translations, and its values."""
    parts: Mapping[str, _Hints] = field(default_factory=dict)

    def value_hints(self) -> JsonObject:
        hints: JsonObject = {"@type": "ValueHints", **self.value}
        if self.choices is not None:
            name, keys = self.choices
            hints["values"] = [{"displayName": f"i18n://attributes.values.{name}.{key}", "key": key} for key in keys]
        hints["propertyHints"] = {key: part.value_hints() for key, part in sorted(self.parts.items())}
        return sort_members(hints)

    def render_hints(self) -> JsonObject:
        hints: JsonObject = {"@type": "RenderHints", "editType": self.edit, "technicalType": self.technical}
        if self.data is not None:
            hints["dataType"] = self.data
        hints["propertyHints"] = {key: part.render_hints() for key, part in sorted(self.parts.items())}
        return sort_members(hints)


def _text(data: str | None = None, **value: Json) -> _Hints:
    return _Hints("String", "InputLike", data, value)


_S100: Final = _text(max=100)
_COUNTRY: Final = _Hints(
    "String", "SelectLike", "Country", {"min": 2, "max": 2}, ("countries", tuple(sorted(COUNTRIES)))
)
_LANGUAGE: Final = _Hints(
    "String", "SelectLike", "Language", {"min": 2, "max": 2}, ("languages", tuple(sorted(LANGUAGES)))
)
_EMAIL: Final = _text("EMailAddress", min=3, max=254, pattern=_EMAIL_PATTERN)
_PHONE: Final = _text("PhoneNumber", min=3, max=100, pattern=_PHONE_PATTERN)
_URL: Final = _text("URL", min=3, max=1024, pattern=_URL_PATTERN)
_FILE: Final = _Hints("String", "SelectLike", "FileReference", {"min": 30, "max": 150})
_XML: Final = _text("XML", max=50_000)
_JSON: Final = _Hints("Json", "TextArea")
_UNKNOWN: Final = _Hints("Unknown", "TextArea")


def _complex(**parts: _Hints) -> _Hints:
    return _Hints("Object", "Complex", parts=parts)


def _calendar(data: str, greatest: int, **more: Json) -> _Hints:
    return _Hints("Integer", "SelectLike", data, {"min": 1, "max": greatest, **more})


def _choice(name: str, *keys: str) -> _Hints:
    return _Hints("String", "ButtonLike", None, {"max": 100}, (name, keys))


_PLACE: Final = {"city": _S100, "country": _COUNTRY, "state": _S100}
_ADDRESS: Final = _PLACE | {"recipient": _S100, "zipCode": _S100}

_BY_TYPE: Final[Mapping[str, _Hints]] = MappingProxyType(
    dict.fromkeys(
        (
            "BirthName",
            "DisplayName",
            "GivenName",
            "HonorificPrefix",
            "HonorificSuffix",
            "JobTitle",
            "MiddleName",
            "ProprietaryString",
            "Pseudonym",
            "Surname",
        ),
        _S100,
    )
    | dict.fromkeys(("Citizenship", "Nationality", "ProprietaryCountry"), _COUNTRY)
    | dict.fromkeys(("CommunicationLanguage", "ProprietaryLanguage"), _LANGUAGE)
    | dict.fromkeys(("EMailAddress", "ProprietaryEMailAddress"), _EMAIL)
    | dict.fromkeys(("PhoneNumber", "FaxNumber", "ProprietaryPhoneNumber"), _PHONE)
    | dict.fromkeys(("Website", "ProprietaryURL"), _URL)
    | dict.fromkeys(("IdentityFileReference", "ProprietaryFileReference"), _FILE)
    | dict.fromkeys(("SchematizedXML", "ProprietaryXML"), _XML)
    | dict.fromkeys(("SchematizedJSON", "ProprietaryJSON"), _JSON)
    | {
        "VerifiableCredential": _UNKNOWN,
        "ProprietaryBoolean": _Hints("Boolean", "InputLike"),
        "ProprietaryFloat": _Hints("Float", "ButtonLike"),
        "ProprietaryInteger": _Hints("Integer", "ButtonLike"),
        "ProprietaryHEXColor": _text("HEXColor", min=4, max=9, pattern=_HEX_PATTERN),
        "Sex": _choice("sex", "intersex", "female", "male"),
        "MaritalStatus": _choice(
            "maritalStatus",
            "single",
            "married",
            "separated",
            "divorced",
            "widowed",
            "civilPartnership",
            "civilPartnershipDissolved",
            "civilPartnerDeceased",
        ),
        "Affiliation": _complex(organization=_S100, role=_S100, unit=_S100),
        "BankAccount": _complex(accountHolder=_S100, iban=_text(min=14, max=34), bic=_text(min=8, max=11)),
        "BirthDate": _complex(
            day=_calendar("Day", 31),
            month=_calendar("Month", 12, editHelp="i18n://yourBirthMonth"),
            year=_calendar("Year", 9999),
        ),
        "BirthPlace": _complex(**_PLACE),
        "StreetAddress": _complex(**_ADDRESS, street=_S100, houseNo=_S100),
        "PostOfficeBoxAddress": _complex(**_ADDRESS, boxId=_S100),
        "DeliveryBoxAddress": _complex(**_ADDRESS, userId=_S100, deliveryBoxId=_S100, phoneNumber=_PHONE),
        "Consent": _complex(
            consent=_Hints("String", "TextArea", None, {"max": 10_000}),
            link=_text("URL", min=3, max=1024),
            linkDisplayText=_text(min=3, max=30),
        ),
    }
)


def value_hints(value_type: str) -> JsonObject | None:
    """Returns the JSON of the ValueHints of a value type, a fresh one; None when there is no such type."""
    hints = _BY_TYPE.get(value_type)
    return None if hints is None else hints.value_hints()


def render_hints(value_type: str) -> JsonObject | None:
    """Returns the JSON of the RenderHints of a value type, a fresh one; None when there is no such type."""
    hints = _BY_TYPE.get(value_type)
    return None if hints is None else hints.render_hints()


def override_hints(hints: JsonObject, override: JsonObject) -> JsonObject:
    """Returns hints of either kind with those of an override in their place; the hints of parts are merged by name.

    Args:
        hints: The JSON of ValueHints or RenderHints.
        override: The JSON of a ValueHintsOverride or RenderHintsOverride.
    """
    changes = {key: item for key, item in override.items() if key not in ("@type", "propertyHints")}
    parts = {**hints.get("propertyHints", {}), **override.get("propertyHints", {})}
    return sort_members({**hints, **changes, "propertyHints": sort_members(parts)})
