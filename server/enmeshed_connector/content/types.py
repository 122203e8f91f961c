"""The names of the content types, as `@type` spells them. Source: `spec/content.md`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EDITABLE_IDENTITY_VALUE_TYPES: Final = (
    "Affiliation",
    "BankAccount",
    "BirthDate",
    "BirthName",
    "BirthPlace",
    "Citizenship",
    "CommunicationLanguage",
    "DeliveryBoxAddress",
    "DisplayName",
    "EMailAddress",
    "FaxNumber",
    "GivenName",
    "HonorificPrefix",
    "HonorificSuffix",
    "IdentityFileReference",
    "JobTitle",
    "MaritalStatus",
    "MiddleName",
    "Nationality",
    "PhoneNumber",
    "PostOfficeBoxAddress",
    "Pseudonym",
    "SchematizedJSON",
    "Sex",
    "StreetAddress",
    "Surname",
    "VerifiableCredential",
    "Website",
)
"""Value types of identity attributes that user interfaces let people edit."""

IDENTITY_VALUE_TYPES: Final = (*EDITABLE_IDENTITY_VALUE_TYPES, "SchematizedXML")
"""All value types of identity attributes."""

RELATIONSHIP_VALUE_TYPES: Final = (
    "ProprietaryBoolean",
    "ProprietaryCountry",
    "ProprietaryEMailAddress",
    "ProprietaryFileReference",
    "ProprietaryFloat",
    "ProprietaryHEXColor",
    "ProprietaryInteger",
    "ProprietaryLanguage",
    "ProprietaryPhoneNumber",
    "ProprietaryString",
    "ProprietaryURL",
    "ProprietaryJSON",
    "ProprietaryXML",
    "Consent",
)
"""All value types of relationship attributes."""

VALUE_TYPE_QUERY_MAPPING: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"Address": ("StreetAddress", "DeliveryBoxAddress", "PostOfficeBoxAddress")}
)
"""What a list of attributes finds for a name that stands for several value types. `Address` is no value type."""

MESSAGE_CONTENT_TYPES: Final = ("Mail", "Request", "ResponseWrapper", "Notification", "ArbitraryMessageContent")
"""What may travel in a message."""

TEMPLATE_CONTENT_TYPES: Final = ("RelationshipTemplateContent", "ArbitraryRelationshipTemplateContent")
"""What may stand in a relationship template."""

CREATION_CONTENT_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "RelationshipTemplateContent": "RelationshipCreationContent",
        "ArbitraryRelationshipTemplateContent": "ArbitraryRelationshipCreationContent",
    }
)
"""The content of a template to the content with which a relationship is created from it."""

TYPES_AFTER_7_0_0: Final = frozenset(
    {
        "BankAccount",
        "MaritalStatus",
        "SchematizedJSON",
        "ShareAuthorizationRequestRequestItem",
        "ShareCredentialOfferRequestItem",
        "TokenContentVerifiablePresentation",
        "VerifiableCredential",
    }
)
"""Types that releases up to 7.0.0 do not know. Such a peer cannot read an object that holds one of them."""
