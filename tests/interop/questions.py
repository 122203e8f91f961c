"""What one side asks the other in the matrix of requests: an item of each type, its answer, and what becomes of it.

Each question is asked in both directions, and its expectations are those of the official runtime.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.interop.sides import Side

Json = Any  # What the official interface takes and gives.

DELETION_DATE = "2098-01-01T00:00:00.000Z"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Question:
    """An item that is asked, and how it is accepted."""

    item: Json
    decision: Json
    """The acceptance in its official form."""
    answer_type: str
    """The type of the accepting response item, without its end `ResponseItem`."""
    accepted: Callable[[Json], Awaitable[None]] | None = None
    """Looks at both sides when the asker has the answer, and takes the response item."""
    rejected: Callable[[], Awaitable[None]] | None = None
    """The same after a rejection."""


Asking = Callable[[Side, Side], Awaitable[Question]]
"""Prepares what has to be there and returns the question of the first side to the second."""


def unique(text: str) -> str:
    """Returns a text that no other test has used."""
    return f"{text} {next(_numbers)}"


def item(name: str, **members: Json) -> Json:
    """Returns an item that must be accepted."""
    return {"@type": f"{name}RequestItem", "mustBeAccepted": True, **members}


def identity_attribute(value: Json, owner: str = "") -> Json:
    """Returns an identity attribute."""
    return {"@type": "IdentityAttribute", "owner": owner, "value": value}


def relationship_attribute(owner: str, key: str, value: str) -> Json:
    """Returns a relationship attribute with a text."""
    return {
        "@type": "RelationshipAttribute",
        "owner": owner,
        "key": key,
        "confidentiality": "public",
        "isTechnical": False,
        "value": {"@type": "ProprietaryString", "title": "Text", "value": value},
    }


def relationship_query(key: str, owner: str = "") -> Json:
    """Returns a query for a relationship attribute as `relationship_attribute` makes them."""
    hints = {"title": "Text", "valueType": "ProprietaryString", "confidentiality": "public"}
    return {
        "@type": "RelationshipAttributeQuery",
        "key": key,
        "owner": owner,
        "attributeCreationHints": hints,
    }


def named(name: str) -> Json:
    """Returns the value of a name that people give themselves."""
    return {"@type": "DisplayName", "value": name}


NAME_QUERY = {"@type": "IdentityAttributeQuery", "valueType": "DisplayName"}


async def share(giver: Side, taker: Side, value: Json) -> str:
    """Gives a new identity attribute to the other side and returns its id."""
    attribute_id = await giver.create_attribute(value)
    attribute = identity_attribute(value, giver.address)
    request_id = await giver.ask(taker.address, item("ShareAttribute", attribute=attribute, attributeId=attribute_id))
    await taker.is_asked(request_id)
    await taker.accept(request_id, [{"accept": True}])
    await giver.answer(request_id)
    return attribute_id


async def create_for_relationship(owner: Side, peer: Side, value: str) -> str:
    """Lets two sides have a relationship attribute of the first one, and returns its id, which both use."""
    attribute = relationship_attribute(owner.address, unique("key"), value)
    request_id = await owner.ask(peer.address, item("CreateAttribute", attribute=attribute))
    await peer.is_asked(request_id)
    await peer.accept(request_id, [{"accept": True}])
    return str((await owner.answer(request_id))["items"][0]["attributeId"])


async def kinds(*sides: Side, attribute_id: str) -> list[str | None]:
    """Returns the classes of local attributes in which the sides have an attribute, None where they have not."""
    found = [await side.attribute(attribute_id) for side in sides]
    return [attribute and attribute["@type"] for attribute in found]


# ---- the questions ----


async def authentication(asker: Side, answerer: Side) -> Question:
    return Question(item("Authentication", title="Log in"), {"accept": True}, "Accept")


async def consent(asker: Side, answerer: Side) -> Question:
    asked = item("Consent", consent="I do.", link="https://www.example.org", linkDisplayText="More")
    return Question(asked, {"accept": True}, "Accept")


async def create_identity_attribute(asker: Side, answerer: Side) -> Question:
    value = named(unique("Created"))

    async def accepted(answer: Json) -> None:
        assert await kinds(answerer, asker, attribute_id=answer["attributeId"]) == [
            "OwnIdentityAttribute",
            "PeerIdentityAttribute",
        ]
        for side in (asker, answerer):
            content = (await side.attribute(answer["attributeId"]))["content"]
            assert (content["owner"], content["value"]) == (answerer.address, value)
        assert [details["peer"] for details in await answerer.forwarding(answer["attributeId"])] == [asker.address]

    asked = item("CreateAttribute", attribute=identity_attribute(value))
    return Question(asked, {"accept": True}, "CreateAttributeAccept", accepted)


def create_relationship_attribute(of_asker: bool) -> Asking:
    async def asking(asker: Side, answerer: Side) -> Question:
        owner, other = (asker, answerer) if of_asker else (answerer, asker)

        async def accepted(answer: Json) -> None:
            assert await kinds(owner, other, attribute_id=answer["attributeId"]) == [
                "OwnRelationshipAttribute",
                "PeerRelationshipAttribute",
            ]
            for side, peer in ((owner, other), (other, owner)):
                attribute = await side.attribute(answer["attributeId"])
                assert (attribute["peer"], attribute["content"]["owner"]) == (peer.address, owner.address)

        # An empty owner means the one who is asked.
        attribute = relationship_attribute(asker.address if of_asker else "", unique("key"), "4711")
        return Question(
            item("CreateAttribute", attribute=attribute), {"accept": True}, "CreateAttributeAccept", accepted
        )

    return asking


async def delete_attribute(asker: Side, answerer: Side) -> Question:
    attribute_id = await share(asker, answerer, named(unique("Deleted")))

    async def accepted(answer: Json) -> None:
        assert answer["deletionDate"] == DELETION_DATE
        assert (await answerer.attribute(attribute_id))["deletionInfo"]["deletionStatus"] == "ToBeDeleted"
        (details,) = await asker.forwarding(attribute_id)
        assert details["deletionInfo"]["deletionStatus"] == "ToBeDeletedByRecipient"

    async def rejected() -> None:
        assert "deletionInfo" not in await answerer.attribute(attribute_id)
        (details,) = await asker.forwarding(attribute_id)
        assert details["deletionInfo"]["deletionStatus"] == "DeletionRequestRejected"

    decision = {"accept": True, "deletionDate": DELETION_DATE}
    asked = item("DeleteAttribute", attributeId=attribute_id)
    return Question(asked, decision, "DeleteAttributeAccept", accepted, rejected)


async def delete_relationship_attribute(asker: Side, answerer: Side) -> Question:
    attribute_id = await create_for_relationship(asker, answerer, "to be deleted")

    async def accepted(answer: Json) -> None:
        assert (await answerer.attribute(attribute_id))["deletionInfo"]["deletionStatus"] == "ToBeDeleted"
        assert (await asker.attribute(attribute_id))["deletionInfo"]["deletionStatus"] == "ToBeDeletedByRecipient"

    decision = {"accept": True, "deletionDate": DELETION_DATE}
    return Question(item("DeleteAttribute", attributeId=attribute_id), decision, "DeleteAttributeAccept", accepted)


def form_field(settings: Json, response: Json) -> Asking:
    async def asking(asker: Side, answerer: Side) -> Question:
        async def accepted(answer: Json) -> None:
            assert answer["response"] == response

        asked = item(
            "FormField", title="Field", settings={**settings, "@type": f"{settings['@type']}FormFieldSettings"}
        )
        return Question(asked, {"accept": True, "response": response}, "FormFieldAccept", accepted)

    return asking


async def propose_and_take_over(asker: Side, answerer: Side) -> Question:
    value = named(unique("Proposed"))

    async def accepted(answer: Json) -> None:
        assert answer["attribute"]["value"] == value
        assert await kinds(answerer, asker, attribute_id=answer["attributeId"]) == [
            "OwnIdentityAttribute",
            "PeerIdentityAttribute",
        ]

    asked = item("ProposeAttribute", query=NAME_QUERY, attribute=identity_attribute(value))
    decision = {"accept": True, "attribute": identity_attribute(value, answerer.address)}
    return Question(asked, decision, "ProposeAttributeAccept", accepted)


async def propose_and_correct(asker: Side, answerer: Side) -> Question:
    own = await answerer.create_attribute(named(unique("Right")))

    async def accepted(answer: Json) -> None:
        assert answer["attributeId"] == own
        assert await kinds(answerer, asker, attribute_id=own) == ["OwnIdentityAttribute", "PeerIdentityAttribute"]

    asked = item("ProposeAttribute", query=NAME_QUERY, attribute=identity_attribute(named(unique("Wrong"))))
    return Question(asked, {"accept": True, "attributeId": own}, "ProposeAttributeAccept", accepted)


async def propose_for_relationship(asker: Side, answerer: Side) -> Question:
    key = unique("key")

    async def accepted(answer: Json) -> None:
        assert await kinds(answerer, asker, attribute_id=answer["attributeId"]) == [
            "OwnRelationshipAttribute",
            "PeerRelationshipAttribute",
        ]

    asked = item("ProposeAttribute", query=relationship_query(key), attribute=relationship_attribute("", key, "4711"))
    decision = {"accept": True, "attribute": relationship_attribute(answerer.address, key, "4712")}
    return Question(asked, decision, "ProposeAttributeAccept", accepted)


def read_existing(query: Json) -> Asking:
    async def asking(asker: Side, answerer: Side) -> Question:
        value = named(unique("Existing"))
        own = await answerer.create_attribute(value)

        async def accepted(answer: Json) -> None:
            assert (answer["attributeId"], answer["attribute"]["value"]) == (own, value)
            assert await kinds(answerer, asker, attribute_id=own) == ["OwnIdentityAttribute", "PeerIdentityAttribute"]
            assert [details["peer"] for details in await answerer.forwarding(own)] == [asker.address]

        async def rejected() -> None:
            assert await asker.attribute(own) is None
            assert await answerer.forwarding(own) == []

        decision = {"accept": True, "existingAttributeId": own}
        return Question(item("ReadAttribute", query=query), decision, "ReadAttributeAccept", accepted, rejected)

    return asking


async def read_new(asker: Side, answerer: Side) -> Question:
    value = named(unique("New"))

    async def accepted(answer: Json) -> None:
        assert answer["attribute"]["value"] == value
        assert await kinds(answerer, asker, attribute_id=answer["attributeId"]) == [
            "OwnIdentityAttribute",
            "PeerIdentityAttribute",
        ]

    decision = {"accept": True, "newAttribute": identity_attribute(value, answerer.address)}
    return Question(item("ReadAttribute", query=NAME_QUERY), decision, "ReadAttributeAccept", accepted)


def read_for_relationship(of_asker: bool) -> Asking:
    async def asking(asker: Side, answerer: Side) -> Question:
        key = unique("key")
        owner, other = (asker, answerer) if of_asker else (answerer, asker)

        async def accepted(answer: Json) -> None:
            assert await kinds(owner, other, attribute_id=answer["attributeId"]) == [
                "OwnRelationshipAttribute",
                "PeerRelationshipAttribute",
            ]

        query = relationship_query(key, asker.address if of_asker else "")
        decision = {"accept": True, "newAttribute": relationship_attribute(owner.address, key, "4711")}
        return Question(item("ReadAttribute", query=query), decision, "ReadAttributeAccept", accepted)

    return asking


async def read_again(asker: Side, answerer: Side) -> Question:
    shared = await share(answerer, asker, named(unique("Known")))

    async def accepted(answer: Json) -> None:
        assert answer["attributeId"] == shared
        assert len(await answerer.forwarding(shared)) == 1

    decision = {"accept": True, "existingAttributeId": shared}
    return Question(item("ReadAttribute", query=NAME_QUERY), decision, "AttributeAlreadySharedAccept", accepted)


async def read_a_later_version(asker: Side, answerer: Side) -> Question:
    former = await share(answerer, asker, named(unique("Former")))
    later = await answerer.succeed(former, named(unique("Later")))

    async def accepted(answer: Json) -> None:
        assert (answer["predecessorId"], answer["successorId"]) == (former, later)
        assert await kinds(asker, asker, attribute_id=later) == ["PeerIdentityAttribute"] * 2
        assert (await asker.attribute(former))["succeededBy"] == later

    decision = {"accept": True, "existingAttributeId": later}
    return Question(item("ReadAttribute", query=NAME_QUERY), decision, "AttributeSuccessionAccept", accepted)


async def share_attribute(asker: Side, answerer: Side) -> Question:
    value = named(unique("Shared"))
    own = await asker.create_attribute(value)

    async def accepted(answer: Json) -> None:
        assert await kinds(asker, answerer, attribute_id=own) == ["OwnIdentityAttribute", "PeerIdentityAttribute"]
        assert [details["peer"] for details in await asker.forwarding(own)] == [answerer.address]

    async def rejected() -> None:
        assert await kinds(asker, answerer, attribute_id=own) == ["OwnIdentityAttribute", None]
        assert await asker.forwarding(own) == []

    asked = item("ShareAttribute", attribute=identity_attribute(value, asker.address), attributeId=own)
    return Question(asked, {"accept": True}, "Accept", accepted, rejected)


async def transfer_file_ownership(asker: Side, answerer: Side) -> Question:
    file = await asker.upload(b"take it")

    async def accepted(answer: Json) -> None:
        assert answer["attribute"]["value"]["@type"] == "IdentityFileReference"
        assert await kinds(answerer, asker, attribute_id=answer["attributeId"]) == [
            "OwnIdentityAttribute",
            "PeerIdentityAttribute",
        ]
        taken = await answerer.file(file["id"])
        assert (taken["owner"], taken["isOwn"]) == (answerer.address, True)
        await asker.sync()
        given = await asker.file(file["id"])
        assert (given["owner"], given["isOwn"]) == (answerer.address, False)
        assert await answerer.download(file["id"]) == b"take it"

    async def rejected() -> None:
        await asker.sync()
        assert (await asker.file(file["id"]))["owner"] == asker.address

    asked = item(
        "TransferFileOwnership",
        fileReference=file["reference"]["truncated"],
        ownershipToken=file["ownershipToken"],
    )
    return Question(asked, {"accept": True}, "TransferFileOwnershipAccept", accepted, rejected)


QUESTIONS: dict[str, Asking] = {
    "authentication": authentication,
    "consent": consent,
    "create for the identity": create_identity_attribute,
    "create for the relationship, of the asker": create_relationship_attribute(True),
    "create for the relationship, of the answerer": create_relationship_attribute(False),
    "delete": delete_attribute,
    "delete of the relationship": delete_relationship_attribute,
    "form field, text": form_field({"@type": "String", "min": 2, "max": 9, "allowNewlines": True}, "a\nb"),
    "form field, whole number": form_field({"@type": "Integer", "unit": "m", "min": 1}, 5),
    "form field, number": form_field({"@type": "Double", "max": 3.5}, 2.25),
    "form field, yes or no": form_field({"@type": "Boolean"}, False),
    "form field, date": form_field({"@type": "Date"}, "2026-01-31"),
    "form field, choice": form_field({"@type": "Selection", "options": ["a", "b"]}, "b"),
    "form field, choices": form_field(
        {"@type": "Selection", "options": ["a", "b", "c"], "allowMultipleSelection": True}, ["c", "a"]
    ),
    "form field, rating": form_field({"@type": "Rating", "maxRating": 5}, 4),
    "propose and take over": propose_and_take_over,
    "propose and correct": propose_and_correct,
    "propose for the relationship": propose_for_relationship,
    "read existing": read_existing(NAME_QUERY),
    "read existing by IQL": read_existing({"@type": "IQLQuery", "queryString": "DisplayName"}),
    "read new": read_new,
    "read for the relationship, of the answerer": read_for_relationship(False),
    "read for the relationship, of the asker": read_for_relationship(True),
    "read again": read_again,
    "read a later version": read_a_later_version,
    "share": share_attribute,
    "transfer a file": transfer_file_ownership,
}
"""Each question by what it asks."""

FIRST_QUESTIONS = (
    "authentication",
    "consent",
    "create for the identity",
    "create for the relationship, of the answerer",
    "form field, choices",
    "propose and take over",
    "read new",
    "read for the relationship, of the answerer",
    "share",
)
"""Those that a template can ask, and whose answer every asker keeps: of each type but two.

Official askers lose the answer about a file, which is asked alone. The deletion of an attribute is asked of somebody
whom the template would have to know.
"""

QUESTIONS_OF_TEMPLATES = {
    "Authentication": authentication,
    "Consent": consent,
    "CreateAttribute": create_identity_attribute,
    "FormField": QUESTIONS["form field, text"],
    "ProposeAttribute": propose_and_take_over,
    "ReadAttribute": QUESTIONS["read existing"],
    "ShareAttribute": share_attribute,
    "TransferFileOwnership": transfer_file_ownership,
}
"""A question of each type that a template can ask."""
