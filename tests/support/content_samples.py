"""One valid JSON of every content type, as official peers write it."""

from __future__ import annotations

from typing import Any

PEER = "did:e:example.org:dids:0000000000000000000000"
ATTRIBUTE_ID = "ATT00000000000000001"
REQUEST_ID = "REQ00000000000000001"
SCHEMA = "https://example.org/schema.json"

FILE_REFERENCE = "RklMMDAwMDAwMDAwMDAwMDAwMDF8M3xBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBfHw"
FILE_URL = (
    "http://localhost:8090/r/FIL00000000000000001#M3xBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBfHw"
)

JsonObject = dict[str, Any]


def identity_values() -> dict[str, JsonObject]:
    """Returns a value of each value type of identities."""
    address = {"city": "Heidelberg", "country": "DE", "recipient": "Ada", "state": "BW", "zipCode": "69117"}
    plain = {
        "BirthName": "Byron",
        "Citizenship": "GB",
        "CommunicationLanguage": "en",
        "DisplayName": "Ada L.",
        "EMailAddress": "ada@example.org",
        "FaxNumber": "+49 6221 1",
        "GivenName": "Ada",
        "HonorificPrefix": "Dr.",
        "HonorificSuffix": "M.Sc.",
        "IdentityFileReference": "RklMMDAwMDAwMDAwMDAwMDAwMDF8M3xr",
        "JobTitle": "Countess",
        "MaritalStatus": "married",
        "MiddleName": "Augusta",
        "Nationality": "GB",
        "PhoneNumber": "+49 6221 2",
        "Pseudonym": "A.A.L.",
        "Sex": "female",
        "Surname": "Lovelace",
        "Website": "https://www.example.org/ada",
    }
    return {name: {"@type": name, "value": value} for name, value in plain.items()} | {
        "Affiliation": {"@type": "Affiliation", "organization": "Royal", "role": "Member", "unit": "Engines"},
        "BankAccount": {
            "@type": "BankAccount",
            "accountHolder": "Ada",
            "bic": "COBADEFFXXX",
            "iban": "DE89370400440532013000",
        },
        "BirthDate": {"@type": "BirthDate", "day": 10, "month": 12, "year": 1815},
        "BirthPlace": {"@type": "BirthPlace", "city": "London", "country": "GB", "state": "England"},
        "DeliveryBoxAddress": {
            "@type": "DeliveryBoxAddress",
            **address,
            "deliveryBoxId": "P1",
            "phoneNumber": "+49 1",
            "userId": "U1",
        },
        "PostOfficeBoxAddress": {"@type": "PostOfficeBoxAddress", **address, "boxId": "B1"},
        "StreetAddress": {"@type": "StreetAddress", **address, "houseNo": "1", "street": "Hauptstr."},
        "SchematizedJSON": {"@type": "SchematizedJSON", "schemaURL": SCHEMA, "value": {"$ref": "#", "a.b": [1, None]}},
        "SchematizedXML": {"@type": "SchematizedXML", "schemaURL": SCHEMA, "value": "<a/>"},
        "VerifiableCredential": {
            "@type": "VerifiableCredential",
            "displayInformation": [{"locale": "en", "name": "ID"}],
            "displayInformationCachedImages": [
                {"@type": "DisplayInformationCachedImages", "backgroundImage": "b", "locale": "en", "logo": "l"}
            ],
            "type": "dc+sd-jwt",
            "value": "eyJ…",
        },
    }


def relationship_values() -> dict[str, JsonObject]:
    """Returns a value of each value type of relationships."""
    hints = {
        "@type": "ValueHintsOverride",
        "defaultValue": True,
        "editHelp": "help",
        "max": 4,
        "min": 0.5,
        "pattern": "^a$",
        "propertyHints": {"part": {"@type": "ValueHints", "max": 1, "propertyHints": {}}},
        "values": [{"displayName": "one", "key": 1}, {"displayName": "yes", "key": True}],
    }
    plain: dict[str, Any] = {
        "Boolean": False,
        "Country": "DE",
        "EMailAddress": "ada@example.org",
        "FileReference": "RklMMDAwMDAwMDAwMDAwMDAwMDF8M3xr",
        "Float": 1.5,
        "HEXColor": "#ff8800",
        "Integer": 42,
        "Language": "de",
        "PhoneNumber": "+49 1",
        "String": "text",
        "URL": "example.org",
        "XML": "<a/>",
    }
    values = {
        f"Proprietary{name}": {
            "@type": f"Proprietary{name}",
            "description": "what it is",
            "title": "Title",
            "value": value,
            "valueHintsOverride": hints,
        }
        for name, value in plain.items()
    }
    values["ProprietaryXML"] = values["ProprietaryXML"] | {"schemaURL": SCHEMA}
    return values | {
        "ProprietaryJSON": {"@type": "ProprietaryJSON", "title": "Title", "value": {"deep": [{"er": 1.25}]}},
        "Consent": {"@type": "Consent", "consent": "I do", "link": "https://example.org", "linkDisplayText": "More"},
    }


def identity_attribute(value: JsonObject | None = None, **more: Any) -> JsonObject:
    """Returns an identity attribute."""
    return {
        "@type": "IdentityAttribute",
        "owner": PEER,
        "value": value or {"@type": "GivenName", "value": "Ada"},
        **more,
    }


def relationship_attribute(value: JsonObject | None = None, **more: Any) -> JsonObject:
    """Returns a relationship attribute."""
    return {
        "@type": "RelationshipAttribute",
        "confidentiality": "public",
        "isTechnical": False,
        "key": "customer",
        "owner": PEER,
        "value": value or {"@type": "ProprietaryString", "title": "Customer", "value": "1"},
        **more,
    }


def queries() -> dict[str, JsonObject]:
    """Returns a query of each type."""
    return {
        "IdentityAttributeQuery": {"@type": "IdentityAttributeQuery", "tags": ["private"], "valueType": "GivenName"},
        "RelationshipAttributeQuery": {
            "@type": "RelationshipAttributeQuery",
            "attributeCreationHints": {
                "confidentiality": "private",
                "description": "what it is",
                "title": "Title",
                "valueHints": {"@type": "ValueHints", "defaultValue": "a", "propertyHints": {}},
                "valueType": "ProprietaryString",
            },
            "key": "customer",
            "owner": "",
        },
        "ThirdPartyRelationshipAttributeQuery": {
            "@type": "ThirdPartyRelationshipAttributeQuery",
            "key": "customer",
            "owner": "",
            "thirdParty": [PEER, ""],
        },
        "IQLQuery": {
            "@type": "IQLQuery",
            "attributeCreationHints": {"tags": ["private"], "valueType": "GivenName"},
            "queryString": "GivenName && #private",
        },
    }


def form_field_settings() -> dict[str, JsonObject]:
    """Returns settings of each type of form field."""
    own: dict[str, JsonObject] = {
        "StringFormFieldSettings": {"allowNewlines": True, "max": 10, "min": 1},
        "IntegerFormFieldSettings": {"max": 10, "min": -1, "unit": "m"},
        "DoubleFormFieldSettings": {"max": 1.5, "min": 0.5, "unit": "m"},
        "BooleanFormFieldSettings": {},
        "DateFormFieldSettings": {},
        "SelectionFormFieldSettings": {"allowMultipleSelection": True, "options": ["a", "b"]},
        "RatingFormFieldSettings": {"maxRating": 5},
    }
    return {name: {"@type": name, **settings} for name, settings in own.items()}


def request_items() -> dict[str, list[JsonObject]]:
    """Returns items of each type: one for each form it can have."""
    common = {"description": "why", "metadata": {"mine": {"a": 1}}, "mustBeAccepted": True}
    own: dict[str, list[JsonObject]] = {
        "AuthenticationRequestItem": [{"title": "Login"}],
        "ConsentRequestItem": [
            {"consent": "I do", "link": "www.example.org", "linkDisplayText": "More", "requiresInteraction": True}
        ],
        "CreateAttributeRequestItem": [
            {"attribute": identity_attribute(tags=["private"])},
            *({"attribute": identity_attribute(value)} for value in identity_values().values()),
            *({"attribute": relationship_attribute(value)} for value in relationship_values().values()),
        ],
        "DeleteAttributeRequestItem": [{"attributeId": ATTRIBUTE_ID}],
        "FormFieldRequestItem": [{"settings": each, "title": "Field"} for each in form_field_settings().values()],
        "ProposeAttributeRequestItem": [
            {"attribute": identity_attribute(), "query": queries()["IdentityAttributeQuery"]},
            {"attribute": identity_attribute(), "query": queries()["IQLQuery"]},
            {"attribute": relationship_attribute(), "query": queries()["RelationshipAttributeQuery"]},
        ],
        "ReadAttributeRequestItem": [{"query": query} for query in queries().values()],
        "ShareAttributeRequestItem": [
            {
                "attribute": relationship_attribute(),
                "attributeId": ATTRIBUTE_ID,
                "initialAttributePeer": PEER,
                "thirdPartyAddress": PEER,
            }
        ],
        "ShareAuthorizationRequestRequestItem": [{"authorizationRequestUrl": "openid4vp://?request=1"}],
        "ShareCredentialOfferRequestItem": [{"credentialOfferUrl": "openid-credential-offer://?offer=1"}],
        "TransferFileOwnershipRequestItem": [{"fileReference": FILE_REFERENCE, "ownershipToken": "token"}],
    }
    return {name: [{"@type": name, **common, **item} for item in items] for name, items in own.items()}


def request(*items: JsonObject, **more: Any) -> JsonObject:
    """Returns a request."""
    return {"@type": "Request", "items": list(items), **more}


def response_items() -> dict[str, list[JsonObject]]:
    """Returns answers of each type: one for each form it can have."""
    accepted: dict[str, list[JsonObject]] = {
        "AcceptResponseItem": [{}],
        "AttributeAlreadySharedAcceptResponseItem": [{"attributeId": ATTRIBUTE_ID}],
        "AttributeSuccessionAcceptResponseItem": [
            {"predecessorId": ATTRIBUTE_ID, "successorContent": identity_attribute(), "successorId": ATTRIBUTE_ID}
        ],
        "CreateAttributeAcceptResponseItem": [{"attributeId": ATTRIBUTE_ID}],
        "DeleteAttributeAcceptResponseItem": [{"deletionDate": "2026-01-31T12:00:00.120Z"}],
        "FormFieldAcceptResponseItem": [{"response": answer} for answer in ("a", 1, 1.5, False, ["a", "b"])],
        "ProposeAttributeAcceptResponseItem": [{"attribute": identity_attribute(), "attributeId": ATTRIBUTE_ID}],
        "ReadAttributeAcceptResponseItem": [
            {"attribute": relationship_attribute(), "attributeId": ATTRIBUTE_ID, "thirdPartyAddress": PEER},
            {"attribute": relationship_attribute(), "attributeId": ATTRIBUTE_ID, "initialAttributePeer": PEER},
        ],
        "TransferFileOwnershipAcceptResponseItem": [
            {
                "attribute": {"owner": PEER, "value": identity_values()["IdentityFileReference"]},
                "attributeId": ATTRIBUTE_ID,
            }
        ],
    }
    return {
        name: [{"@type": name, **item, "result": "Accepted"} for item in items] for name, items in accepted.items()
    } | {
        "RejectResponseItem": [
            {"@type": "RejectResponseItem", "code": "no", "message": "No", "result": "Rejected"},
            {"@type": "RejectResponseItem", "result": "Rejected"},
        ],
        "ErrorResponseItem": [{"@type": "ErrorResponseItem", "code": "no", "message": "No", "result": "Error"}],
    }


def response(*items: JsonObject, result: str = "Accepted") -> JsonObject:
    """Returns a response without `@type`, as it stands in its carriers."""
    return {"items": list(items), "requestId": REQUEST_ID, "result": result}


def notification_items() -> dict[str, JsonObject]:
    """Returns a notification item of each type."""
    succeeded = {"predecessorId": ATTRIBUTE_ID, "successorContent": identity_attribute(), "successorId": ATTRIBUTE_ID}
    return {
        "PeerAttributeSucceededNotificationItem": {"@type": "PeerAttributeSucceededNotificationItem", **succeeded}
    } | {
        name: {"@type": name, "attributeId": ATTRIBUTE_ID}
        for name in (
            "OwnAttributeDeletedByOwnerNotificationItem",
            "PeerRelationshipAttributeDeletedByPeerNotificationItem",
            "ForwardedAttributeDeletedByPeerNotificationItem",
        )
    }


def mail(**more: Any) -> JsonObject:
    """Returns a mail."""
    return {"@type": "Mail", "body": "Text", "cc": [], "subject": "Subject", "to": [PEER], **more}


def roots() -> dict[str, list[JsonObject]]:
    """Returns contents of each type that may be a root and has rules, with everything that may be in them."""
    every_item = [item for items in request_items().values() for item in items]
    every_answer = [item for items in response_items().values() for item in items]
    full = request(
        *every_item,
        {"@type": "RequestItemGroup", "description": "d", "items": every_item, "metadata": {}, "title": "Group"},
        description="d",
        expiresAt="2026-01-31T12:00:00.000Z",
        id=REQUEST_ID,
        metadata={"a": {}},
        title="Request",
    )
    inner = {key: item for key, item in full.items() if key not in ("@type", "id")}
    arbitrary: list[Any] = [{"a": [None, {}]}, "text", 0, False, []]
    answer = response(*every_answer, {"@type": "ResponseItemGroup", "items": every_answer})
    return {
        "Mail": [mail(), mail(bodyFormat="Markdown", cc=["did:e:example.org:dids:0000000000000000000001"])],
        "Request": [full, *(request(item) for item in every_item)],
        "ResponseWrapper": [
            {
                "@type": "ResponseWrapper",
                "requestId": REQUEST_ID,
                "requestSourceReference": "MSG00000000000000001",
                "requestSourceType": source,
                "response": answer,
            }
            for source in ("Message", "RelationshipTemplate")
        ],
        "Notification": [
            {"@type": "Notification", "id": "NOT00000000000000001", "items": list(notification_items().values())}
        ],
        "RelationshipTemplateContent": [
            {
                "@type": "RelationshipTemplateContent",
                "metadata": {"a": 1},
                "onExistingRelationship": inner,
                "onNewRelationship": inner,
                "title": "Template",
            }
        ],
        "RelationshipCreationContent": [{"@type": "RelationshipCreationContent", "response": answer}],
        **{
            name: [{"@type": name, "value": value} for value in arbitrary]
            for name in (
                "ArbitraryMessageContent",
                "ArbitraryRelationshipTemplateContent",
                "ArbitraryRelationshipCreationContent",
            )
        },
        "TokenContentVerifiablePresentation": [
            {
                "@type": "TokenContentVerifiablePresentation",
                "displayInformation": [{"a": 1}],
                "type": "dc+sd-jwt",
                "value": {"vp": 1},
            }
        ],
    }


def key_tokens() -> dict[str, JsonObject]:
    """Returns the contents of tokens that the transport makes."""
    key = {"alg": 3, "key": "a2V5"}
    return {
        "TokenContentFile": {"@type": "TokenContentFile", "fileId": "FIL00000000000000001", "secretKey": key},
        "TokenContentRelationshipTemplate": {
            "@type": "TokenContentRelationshipTemplate",
            "forIdentity": PEER,
            "passwordProtection": {"passwordLocationIndicator": 0, "passwordType": "pin4", "salt": "c2FsdA"},
            "secretKey": key,
            "templateId": "RLT00000000000000001",
        },
        "TokenContentDeviceSharedSecret": {
            "@type": "TokenContentDeviceSharedSecret",
            "sharedSecret": {
                "createdAt": "2026-01-31T12:00:00.000Z",
                "createdByDevice": "DVC00000000000000001",
                "description": "d",
                "deviceIndex": 1,
                "id": "DVC00000000000000002",
                "identity": {"address": PEER, "publicKey": {"alg": 3, "pub": "cHVi"}},
                "identityPrivateKey": {"alg": 3, "prv": "cHJ2"},
                "isBackupDevice": False,
                "name": "n",
                "password": "p",
                "profileName": "pn",
                "secretBaseKey": key,
                "synchronizationKey": key,
                "username": "u",
            },
        },
    }
