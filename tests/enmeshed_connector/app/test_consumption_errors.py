"""Each error code of official peers about attributes and requests: how a caller meets it, or why nobody can.

Source: consumption.md, section 18.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from google.protobuf import json_format

from enmeshed.connector.v1 import (
    request_pb2,
)
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from tests.support.connector import RunningConnector, relate, running_connector
from tests.support.named_calls import call, failure, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

UNKNOWN = "ATT00000000000000000"
NOBODY = "did:e:localhost:dids:" + "0" * 22
EXPIRY = "2099-01-01T00:00:00Z"
YES: dict[str, Any] = {"accept": {}}
NO: dict[str, Any] = {"reject": {}}

CODES = {
    "attributes.alreadyForwarded",
    "attributes.successorIsNotAValidAttribute",
    "attributes.successionMustNotChangeKey",
    "attributes.successionPeerIsNotOwner",
    "attributes.successorMustNotYetExist",
    "attributes.predecessorDoesNotExist",
    "attributes.successorDoesNotExist",
    "attributes.successionMustChangeContent",
    "attributes.successionMustNotChangeOwner",
    "attributes.successionMustNotChangeValueType",
    "attributes.successionMustNotChangeContentType",
    "attributes.cannotSucceedAttributesWithASuccessor",
    "attributes.cannotSucceedSharedAttributesDeletedByPeer",
    "attributes.cannotSetAttributeDeletionInfo",
    "attributes.cannotSetForwardingDetailsForPeer",
    "attributes.wrongRelationshipStatusToSetDeletionInfo",
    "attributes.wrongOwnerOfAttribute",
    "attributes.wrongTypeOfAttribute",
    "attributes.senderIsNotPeerOfSharedAttribute",
    "attributes.setDefaultOwnIdentityAttributesIsDisabled",
    "attributes.invalidTags",
    "attributes.forbiddenCharactersInAttribute",
    "requests.unexpectedErrorDuringRequestItemProcessing",
    "requests.servalErrorDuringRequestItemProcessing",
    "requests.invalidAcceptParameters",
    "requests.invalidRequestItem",
    "requests.attributeQueryMismatch",
    "requests.cannotShareRelationshipAttributeOfPendingRelationship",
    "requests.wrongRelationshipStatus",
    "requests.missingRelationship",
    "requests.peerIsDeleted",
    "requests.peerIsInDeletion",
    "requests.violatedKeyUniquenessOfRelationshipAttributes",
    "requests.validation.inheritedFromItem",
    "requests.cannotShareRequestWithYourself",
    "requests.cannotCreateRequestWithExpirationDateInPast",
    "requests.cannotCreateRequestWithDuplicateId",
    "requests.canOnlyDeleteIncomingRequestThatIsExpired",
    "requests.decide.validation.invalidNumberOfItems",
    "requests.decide.validation.itemAcceptedButRequestNotAccepted",
    "requests.decide.validation.mustBeAcceptedItemNotAccepted",
    "requests.decide.validation.requestItemAnsweredAsRequestItemGroup",
    "requests.decide.validation.requestItemGroupAnsweredAsRequestItem",
}


def named(name: str) -> dict[str, Any]:
    return {"givenName": {"value": name}}


def of_relationship(key: str = "customer", value: str = "v", owner: str = "") -> dict[str, Any]:
    return {
        "key": key,
        "owner": owner,
        "confidentiality": "RELATIONSHIP_ATTRIBUTE_CONFIDENTIALITY_PUBLIC",
        "value": {"proprietaryString": {"title": "Title", "value": value}},
    }


def consent(*, must: bool) -> dict[str, Any]:
    return {"consent": {"consent": "May we?", "mustBeAccepted": must}}


def creation(key: str, *, must: bool = True) -> dict[str, Any]:
    return {"createAttribute": {"mustBeAccepted": must, "attribute": {"relationship": of_relationship(key)}}}


def asks(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"request": {"items": list(items), **more}}


async def received(client: Client, request_id: str | None = None) -> request_pb2.LocalRequest:
    """Returns a request, the only one when none is named, once it waits for a decision."""
    statuses = ["LOCAL_REQUEST_STATUS_DECISION_REQUIRED", "LOCAL_REQUEST_STATUS_MANUAL_DECISION_REQUIRED"]

    async def waiting() -> list[request_pb2.LocalRequest]:
        await call(client, "Account.Sync")
        listed = await call(client, "IncomingRequests.ListIncomingRequests", filter={"statuses": statuses})
        return [one for one in listed.requests if request_id in (None, one.id)]

    found: list[request_pb2.LocalRequest] = await until(waiting)
    (request,) = found
    return request


@dataclass(frozen=True)
class Stage:
    """Alice and Bob, who have a relationship, and what lies between them."""

    alice: Client
    bob: Client
    addresses: dict[str, str]
    given: str
    """An attribute of Alice that Bob has."""
    kept: str
    """An attribute of Alice that Bob does not have; a second version."""
    former: str
    """Its first version."""
    related: str
    """An attribute of their relationship that belongs to Alice."""
    gone: str
    """Another one, which Bob has deleted."""
    of_bob: str
    """An attribute of Bob that Alice does not have."""
    repeated: str
    """A request to Bob that brings an attribute of a key which he has accepted from another one meanwhile."""
    question: str
    """A request to Bob: something that must be accepted, a group of two, and a question for a name."""

    async def told(self, teller: str, hearer: str, kind: str, **item: Any) -> ConnectorError:
        """Has one tell the other something by a notification, and returns why it cannot be done there."""
        by_name = {"alice": self.alice, "bob": self.bob}
        client, other = by_name[teller], by_name[hearer]
        notification = {"id": f"NOT{client.idempotency_key().replace('-', '')[:17]}", "items": [{kind: item}]}
        content = {"notification": notification}
        await call(client, "Messages.SendMessage", recipients=[self.addresses[hearer]], content=content)
        await call(other, "Account.Sync")
        return await failure(other, "Notifications.RetryNotification", id=notification["id"])

    async def succeeded(self, predecessor: str, content: dict[str, Any], successor: str = UNKNOWN) -> ConnectorError:
        """Has Alice tell Bob of a successor, and returns why it is none."""
        return await self.told(
            "alice",
            "bob",
            "peerAttributeSucceeded",
            predecessorId=predecessor,
            successorId=successor,
            successorContent=content,
        )

    def of_alice(self, name: str = "Augusta") -> dict[str, Any]:
        return {"identity": {"owner": self.addresses["alice"], "value": named(name)}}

    async def decided(self, verb: str, *items: dict[str, Any]) -> ConnectorError:
        """Returns why Bob cannot decide so on the question."""
        return await failure(self.bob, f"IncomingRequests.{verb}IncomingRequest", id=self.question, items=list(items))

    async def answered(self, value: dict[str, Any]) -> ConnectorError:
        """Returns why Bob cannot answer the question for a name so."""
        attribute = {"identityAttribute": {"owner": "", "value": value}}
        answer = {"accept": {"readAttribute": {"newAttribute": attribute}}}
        return await self.decided("Accept", YES, {"group": {"items": [YES, NO]}}, answer)

    async def asked(self, *items: dict[str, Any], peer: str | None = None, **more: Any) -> ConnectorError:
        """Returns why Alice cannot ask so."""
        peer = peer or self.addresses["bob"]
        return await failure(
            self.alice, "OutgoingRequests.CreateOutgoingRequest", peer=peer, content=asks(*items, **more)
        )

    async def made(self, value: dict[str, Any], *tags: str) -> ConnectorError:
        """Returns why Alice cannot make such an attribute."""
        return await failure(self.alice, "Attributes.CreateAttribute", value=value, tags=tags)

    async def renewed(self, predecessor: str, value: dict[str, Any]) -> ConnectorError:
        """Returns why Alice cannot make such a version."""
        return await failure(
            self.alice, "Attributes.SucceedAttribute", predecessorId=predecessor, identity={"value": value}
        )


Reach = Callable[[Stage], Awaitable[ConnectorError]]
GROUP: dict[str, Any] = {"group": {"items": [YES, NO]}}

REACHED: dict[str, tuple[str, Reach]] = {
    "attributes.successorIsNotAValidAttribute": (
        "CONTENT_INVALID",
        lambda stage: stage.renewed(stage.kept, named("a" * 101)),
    ),
    "attributes.successionMustNotChangeKey": (
        "SUCCESSION_INVALID",
        lambda stage: stage.succeeded(
            stage.related, {"relationship": of_relationship("other", owner=stage.addresses["alice"])}
        ),
    ),
    "attributes.successionPeerIsNotOwner": (
        "FAILED_PRECONDITION",
        lambda stage: stage.succeeded(
            stage.given, {"identity": {"owner": stage.addresses["bob"], "value": named("Augusta")}}
        ),
    ),
    "attributes.successorMustNotYetExist": (
        "SUCCESSION_INVALID",
        lambda stage: stage.succeeded(stage.given, stage.of_alice(), stage.related),
    ),
    "attributes.predecessorDoesNotExist": (
        "NOT_FOUND",
        lambda stage: stage.succeeded(UNKNOWN, stage.of_alice(), "ATT00000000000000001"),
    ),
    "attributes.successionMustChangeContent": (
        "SUCCESSION_INVALID",
        lambda stage: stage.renewed(stage.kept, named("Second")),
    ),
    "attributes.successionMustNotChangeValueType": (
        "SUCCESSION_INVALID",
        lambda stage: stage.renewed(stage.kept, {"surname": {"value": "Second"}}),
    ),
    "attributes.successionMustNotChangeContentType": (
        "SUCCESSION_INVALID",
        lambda stage: stage.succeeded(stage.given, {"relationship": of_relationship(owner=stage.addresses["alice"])}),
    ),
    "attributes.cannotSucceedAttributesWithASuccessor": (
        "ATTRIBUTE_HAS_SUCCESSOR",
        lambda stage: stage.renewed(stage.former, named("Third")),
    ),
    "attributes.cannotSucceedSharedAttributesDeletedByPeer": (
        "ATTRIBUTE_DELETED_BY_PEER",
        lambda stage: failure(
            stage.alice,
            "Attributes.SucceedAttribute",
            predecessorId=stage.gone,
            relationshipValue={"proprietaryString": {"title": "Title", "value": "new"}},
        ),
    ),
    "attributes.wrongOwnerOfAttribute": (
        "INVALID_ARGUMENT",
        lambda stage: failure(
            stage.alice,
            "Attributes.CreateAndShareRelationshipAttribute",
            peer=stage.addresses["bob"],
            attribute=of_relationship("more", owner=stage.addresses["bob"]),
        ),
    ),
    "attributes.wrongTypeOfAttribute": (
        "WRONG_ATTRIBUTE_TYPE",
        lambda stage: stage.told("alice", "bob", "ownAttributeDeletedByOwner", attributeId=stage.of_bob),
    ),
    "attributes.senderIsNotPeerOfSharedAttribute": (
        "FAILED_PRECONDITION",
        lambda stage: stage.told("bob", "alice", "forwardedAttributeDeletedByPeer", attributeId=stage.kept),
    ),
    "attributes.setDefaultOwnIdentityAttributesIsDisabled": (
        "DEFAULT_ATTRIBUTES_DISABLED",
        lambda stage: failure(stage.alice, "Attributes.ChangeDefaultAttribute", id=stage.kept),
    ),
    "attributes.invalidTags": ("TAGS_INVALID", lambda stage: stage.made(named("Eve"), "bad")),
    "attributes.forbiddenCharactersInAttribute": (
        "FORBIDDEN_CHARACTERS",
        lambda stage: stage.made(named("Ада")),
    ),
    "requests.unexpectedErrorDuringRequestItemProcessing": (
        "DECISION_INVALID",
        lambda stage: failure(stage.bob, "IncomingRequests.AcceptIncomingRequest", id=stage.repeated, items=[YES]),
    ),
    "requests.servalErrorDuringRequestItemProcessing": (
        "DECISION_INVALID",
        lambda stage: stage.answered(named("a" * 101)),
    ),
    "requests.invalidAcceptParameters": ("DECISION_INVALID", lambda stage: stage.answered(named("Ада"))),
    "requests.attributeQueryMismatch": (
        "DECISION_INVALID",
        lambda stage: stage.answered({"surname": {"value": "Byron"}}),
    ),
    "requests.invalidRequestItem": (
        "REQUEST_INVALID",
        lambda stage: stage.asked({"deleteAttribute": {"attributeId": UNKNOWN, "mustBeAccepted": True}}),
    ),
    "requests.missingRelationship": (
        "RELATIONSHIP_MISSING",
        lambda stage: stage.asked(consent(must=True), peer=NOBODY),
    ),
    "requests.violatedKeyUniquenessOfRelationshipAttributes": (
        "ATTRIBUTE_KEY_NOT_UNIQUE",
        lambda stage: stage.asked(creation("twice"), creation("twice")),
    ),
    "requests.cannotShareRequestWithYourself": (
        "REQUEST_TO_SELF",
        lambda stage: stage.asked(consent(must=True), peer=stage.addresses["alice"]),
    ),
    "requests.cannotCreateRequestWithExpirationDateInPast": (
        "TIME_IN_PAST",
        lambda stage: stage.asked(consent(must=True), expiresAt="2020-01-01T00:00:00Z"),
    ),
    "requests.canOnlyDeleteIncomingRequestThatIsExpired": (
        "REQUEST_NOT_EXPIRED",
        lambda stage: failure(stage.bob, "IncomingRequests.DeleteIncomingRequest", id=stage.question),
    ),
    "requests.decide.validation.invalidNumberOfItems": (
        "DECISION_INVALID",
        lambda stage: stage.decided("Accept", YES),
    ),
    "requests.decide.validation.itemAcceptedButRequestNotAccepted": (
        "DECISION_INVALID",
        lambda stage: stage.decided("Reject", YES, {"group": {"items": [NO, NO]}}, NO),
    ),
    "requests.decide.validation.mustBeAcceptedItemNotAccepted": (
        "DECISION_INVALID",
        lambda stage: stage.decided("Accept", NO, GROUP, NO),
    ),
    "requests.decide.validation.requestItemAnsweredAsRequestItemGroup": (
        "DECISION_INVALID",
        lambda stage: stage.decided("Accept", GROUP, GROUP, NO),
    ),
    "requests.decide.validation.requestItemGroupAnsweredAsRequestItem": (
        "DECISION_INVALID",
        lambda stage: stage.decided("Accept", YES, YES, NO),
    ),
}
"""Which call meets a code, and with which reason."""

REACHED_ELSEWHERE: dict[str, str] = {
    "requests.validation.inheritedFromItem": "test_a_container_tells_that_an_item_fails",
    "requests.cannotShareRelationshipAttributeOfPendingRelationship": "test_while_a_relationship_is_pending",
    "requests.wrongRelationshipStatus": "test_after_a_relationship_was_terminated",
    "requests.peerIsInDeletion": "test_while_and_after_a_peer_is_deleted",
}
"""The tests below of codes that need another state, by their names."""

UNREACHED: dict[str, str] = {
    "attributes.alreadyForwarded": "calls look first, and refuse with the code of the runtime",
    "attributes.successorDoesNotExist": "versions are changed together, so that none names a missing one",
    "attributes.successionMustNotChangeOwner": "own successors keep the owner; of others the sender is compared before",
    "attributes.cannotSetAttributeDeletionInfo": "versions that a peer never got are passed over",
    "attributes.cannotSetForwardingDetailsForPeer": "official peers define it and never use it",
    "attributes.wrongRelationshipStatusToSetDeletionInfo": "the Connector sets it itself, in the right status only",
    "requests.peerIsDeleted": "the relationship ends with the peer, and its status is looked at first",
    "requests.cannotCreateRequestWithDuplicateId": "own ids are made here; a peer's second request is left alone",
}
"""Codes that no caller meets, and why."""


async def test_every_code_is_reached_or_it_is_said_why_not() -> None:
    assert sorted([*REACHED, *REACHED_ELSEWHERE, *UNREACHED]) == sorted(CODES)
    assert set(REACHED_ELSEWHERE.values()) <= globals().keys()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("connector")
    async with (
        running_connector(folder, is_related=True) as running,
        running.client("alice") as alice,
        running.client("bob") as bob,
    ):
        peer = running.accounts["bob"]

        async def own(client: Client, name: str) -> str:
            return str((await call(client, "Attributes.CreateAttribute", value=named(name))).attribute.id)

        async def accepted(asked: Any) -> str:
            """Has Bob accept what he was asked, and returns the id of the attribute that came of it at Alice's."""
            request = await received(bob, asked.request.id)
            await call(bob, "IncomingRequests.AcceptIncomingRequest", id=request.id, items=[YES])

            async def answered() -> bool:
                await call(alice, "Account.Sync")
                shown = await call(alice, "OutgoingRequests.GetOutgoingRequest", id=request.id)
                return bool(shown.request.HasField("response"))

            await until(answered)
            where = {"sourceReference": {"anyOf": [request.id]}}
            found = (await call(alice, "Attributes.ListAttributes", filter=where)).attributes
            return str(found[0].id) if found else ""

        async def bring(key: str) -> str:
            attribute = of_relationship(key)
            return await accepted(
                await call(alice, "Attributes.CreateAndShareRelationshipAttribute", peer=peer, attribute=attribute)
            )

        given = await own(alice, "Ada")
        await accepted(await call(alice, "Attributes.ShareAttribute", attributeId=given, peer=peer))
        former = await own(alice, "First")
        succeeded = await call(
            alice, "Attributes.SucceedAttribute", predecessorId=former, identity={"value": named("Second")}
        )
        related, gone = await bring("customer"), await bring("gone")
        await call(bob, "Attributes.DeleteAttribute", id=gone)

        async def is_gone() -> bool:
            await call(alice, "Account.Sync")
            attribute = (await call(alice, "Attributes.GetAttribute", id=gone)).attribute
            return bool(attribute.HasField("deletion_info"))

        await until(is_gone)
        first, repeated = [
            await call(alice, "Messages.SendRequest", peer=peer, content=asks(creation("once"))) for _ in range(2)
        ]
        await accepted(first)
        await received(bob, repeated.request.id)
        group = {"group": {"items": [consent(must=True), consent(must=False)]}}
        read = {"readAttribute": {"mustBeAccepted": False, "query": {"identity": {"valueType": "GivenName"}}}}
        question = await call(alice, "Messages.SendRequest", peer=peer, content=asks(consent(must=True), group, read))
        await received(bob, question.request.id)
        yield Stage(
            alice=alice,
            bob=bob,
            addresses=dict(running.accounts),
            given=given,
            kept=succeeded.successor.id,
            former=former,
            related=related,
            gone=gone,
            of_bob=await own(bob, "Bob"),
            repeated=repeated.request.id,
            question=question.request.id,
        )


@pytest.mark.parametrize("code", REACHED)
async def test_a_call_meets_the_code_with_its_reason_and_changes_nothing(stage: Stage, code: str) -> None:
    reason, reach = REACHED[code]
    before = await standing(stage)
    error = await reach(stage)
    assert (error.facts["code"], error.reason) == (f"error.consumption.{code}", reason)
    assert await standing(stage) == before


async def standing(stage: Stage) -> list[Any]:
    """Returns what refused calls must not change."""
    return [
        (await call(client, method)).SerializeToString(deterministic=True)
        for client in (stage.alice, stage.bob)
        for method in (
            "Attributes.ListAttributes",
            "OutgoingRequests.ListOutgoingRequests",
            "IncomingRequests.ListIncomingRequests",
        )
    ]


async def test_a_container_tells_that_an_item_fails(stage: Stage) -> None:
    unknown = {"deleteAttribute": {"attributeId": UNKNOWN, "mustBeAccepted": True}}
    content = asks(consent(must=True), {"group": {"items": [consent(must=True), unknown]}})
    result = (
        await call(
            stage.alice, "OutgoingRequests.ValidateOutgoingRequest", peer=stage.addresses["bob"], content=content
        )
    ).result
    inherited = "error.consumption.requests.validation.inheritedFromItem"
    assert (result.code, [one.code for one in result.items]) == (inherited, ["", inherited])
    assert [one.code for one in result.items[1].items] == ["", "error.consumption.requests.invalidRequestItem"]
    refused = await stage.asked(consent(must=True), {"group": {"items": [consent(must=True), unknown]}})
    assert refused.facts["code"] == "error.consumption.requests.invalidRequestItem"
    assert [violation.field for violation in refused.violations] == ["content.items[1].items[1].attributeId"]


async def test_while_a_relationship_is_pending(tmp_path: Path) -> None:
    async with (
        running_connector(tmp_path) as running,
        running.client("alice") as alice,
        running.client("bob") as bob,
    ):
        made = await call(
            alice,
            "RelationshipTemplates.CreateTemplate",
            content={"relationshipTemplateContent": {"onNewRelationship": asks(creation("customer"))["request"]}},
            expireTime=EXPIRY,
        )
        await call(bob, "RelationshipTemplates.LoadTemplate", reference=made.template.reference.truncated)
        request = await received(bob)
        await call(bob, "IncomingRequests.AcceptIncomingRequest", id=request.id, items=[YES])

        async def pending() -> Any:
            return (await call(bob, "Relationships.ListRelationships")).relationships

        await until(pending)
        (attribute,) = (await call(bob, "Attributes.ListAttributes")).attributes
        content = json_format.MessageToDict(attribute.content)["relationshipAttribute"]
        share = {
            "mustBeAccepted": True,
            "attributeId": attribute.id,
            "attribute": {"relationship": content},
            "initialAttributePeer": running.accounts["alice"],
        }
        template = {"relationshipTemplateContent": {"onNewRelationship": asks({"shareAttribute": share})["request"]}}
        refused = await failure(bob, "RelationshipTemplates.CreateTemplate", content=template, expireTime=EXPIRY)
        assert refused.reason == "REQUEST_INVALID"
        assert refused.facts["code"].endswith("requests.cannotShareRelationshipAttributeOfPendingRelationship")
        assert [violation.field for violation in refused.violations] == [
            "content.onNewRelationship.items[0].attributeId"
        ]


async def refused_request(running: RunningConnector, client: Client) -> tuple[str, str]:
    """Returns the reason and the code for which Bob cannot be asked anything."""
    refused = await failure(
        client,
        "OutgoingRequests.CreateOutgoingRequest",
        peer=running.accounts["bob"],
        content=asks(consent(must=True)),
    )
    return refused.reason, refused.facts["code"]


async def test_after_a_relationship_was_terminated(tmp_path: Path) -> None:
    async with running_connector(tmp_path) as running, running.client("alice") as alice:
        relationship = await relate(running)
        await call(alice, "Relationships.TerminateRelationship", id=relationship)
        assert await refused_request(running, alice) == (
            "WRONG_RELATIONSHIP_STATUS",
            "error.consumption.requests.wrongRelationshipStatus",
        )


async def test_while_and_after_a_peer_is_deleted(tmp_path: Path) -> None:
    async with (
        running_connector(tmp_path, is_related=True) as running,
        running.client("alice") as alice,
        running.client("bob") as bob,
    ):
        await call(bob, "IdentityDeletion.StartDeletionProcess", gracePeriodDays=0.00001)

        async def status() -> str:
            await call(alice, "Account.Sync")
            (relationship,) = (await call(alice, "Relationships.ListRelationships")).relationships
            return str(relationship.peer_deletion_info)

        await until(status)
        assert await refused_request(running, alice) == (
            "PEER_IN_DELETION",
            "error.consumption.requests.peerIsInDeletion",
        )
        before = await status()
        backbone = running.backbone
        key = {"x-api-key": backbone.settings.admin_api_key}
        async with httpx.AsyncClient(base_url=backbone.admin_url, headers=key, trust_env=False) as admin:

            async def deleted() -> bool:
                answer = await admin.post("/api/v1/Development/DeletionJob")
                assert answer.is_success, answer.text
                return await status() != before

            await until(deleted)
        assert await refused_request(running, alice) == (
            "WRONG_RELATIONSHIP_STATUS",
            "error.consumption.requests.wrongRelationshipStatus",
        )
