"""How attributes come into being: owners, white space, characters, tags, defaults, views."""

import asyncio
from typing import Any

import pytest

from enmeshed_connector.consumption.attributes import repository
from enmeshed_connector.consumption.attributes.documents import DeletionStatus
from enmeshed_connector.consumption.attributes.errors import (
    AttributeDuplicate,
    DefaultsDisabled,
    ForbiddenCharacters,
    HasSuccessor,
    NotOwnIdentityAttribute,
    WrongOwner,
)
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.transport.objects import UNPUSHED_MODIFICATIONS
from enmeshed_connector.transport.work import Work
from tests.support.consumption import REQUEST, Holder, holder, identity, relationship
from tests.support.network import Network

PEER = "did:e:localhost:dids:1111111111111111111111"
OTHER = "did:e:localhost:dids:2222222222222222222222"


async def test_a_new_attribute_has_the_official_shape(alice: Holder) -> None:
    created = await alice.own("\u00a0 Ada\ufeff", ["x:tag"])
    assert await alice.get(created["id"]) == {
        "@type": "OwnIdentityAttribute",
        "content": {
            "@type": "IdentityAttribute",
            "owner": alice.address,
            "tags": ["x:tag"],
            "value": {"@type": "GivenName", "value": "Ada"},
        },
        "createdAt": created["createdAt"],
        "id": created["id"],
    }
    assert created["id"].startswith("ATT")
    (event,) = await alice.events()
    assert event["type"] == "consumption.attributeCreated"
    assert event["data"] == {**created, "numberOfForwards": 0}


async def test_shared_attributes_tell_where_they_came_from(alice: Holder) -> None:
    third = await alice.of_third_party(PEER, OTHER)
    assert (third["peer"], third["initialAttributePeer"], third["sourceReference"]) == (PEER, OTHER, REQUEST)
    assert (await alice.of_peer(PEER))["@type"] == "PeerIdentityAttribute"
    assert (await alice.own_of_relationship(PEER))["@type"] == "OwnRelationshipAttribute"
    assert (await alice.of_peer_relationship(PEER))["@type"] == "PeerRelationshipAttribute"


async def test_other_devices_learn_of_attributes_in_the_official_categories(network: Network) -> None:
    bob = await holder(network, "bob", datawallet_enabled=True)
    before = {one["localId"] for one in await bob.all(UNPUSHED_MODIFICATIONS)}
    created = await bob.own()
    await bob.forward(created, PEER)
    made = [one for one in await bob.all(UNPUSHED_MODIFICATIONS) if one["localId"] not in before]
    assert sorted((one["collection"], one["payloadCategory"], sorted(one["payload"])) for one in made) == [
        ("AttributeForwardingDetails", "TechnicalData", ["attributeId", "peer", "sharedAt", "sourceReference"]),
        ("Attributes", "TechnicalData", ["@type", "createdAt"]),
        ("Attributes", "Userdata", ["content"]),
    ]


@pytest.mark.parametrize("name", ["Ада", "A\u0000", "日本", "😀"])
async def test_characters_outside_of_the_latin_ones_are_refused(alice: Holder, name: str) -> None:
    with pytest.raises(ForbiddenCharacters) as caught:
        await alice.own(name)
    assert caught.value.official_code == "error.consumption.attributes.forbiddenCharactersInAttribute"
    assert caught.value.facts["fields"] == "value"


async def test_titles_of_relationship_attributes_may_hold_any_characters(alice: Holder) -> None:
    value = {"@type": "ProprietaryString", "title": "Имя", "value": "v"}
    content = relationship(alice.address)
    await alice.attributes.checks.new_content({**content, "value": value})
    with pytest.raises(ForbiddenCharacters):
        await alice.attributes.checks.new_content({**content, "value": {**value, "value": "Имя"}})


async def test_white_space_does_not_make_a_value_valid_or_invalid_unseen(alice: Holder) -> None:
    with pytest.raises(ContentInvalid):
        await alice.own("A" * 100 + " ")
    with pytest.raises(ContentInvalid):
        await alice.own("   ", value_type="EMailAddress")


async def test_each_class_has_its_owner(alice: Holder) -> None:
    checks, attributes = alice.attributes.checks, alice.attributes
    own = await checks.new_content(identity(alice.address))
    of_peer = await checks.new_content(identity(PEER))
    own_relationship = await checks.new_content(relationship(alice.address))
    peer_relationship = await checks.new_content(relationship(PEER))
    foreign = await checks.new_content(relationship("did:e:localhost:dids:3333333333333333333333"))
    me, new = alice.address, "ATT00000000000000001"
    wrong: list[Any] = [
        lambda work: attributes.create_own_identity(of_peer, work),
        lambda work: attributes.create_peer_identity(new, own, PEER, REQUEST, work),
        lambda work: attributes.create_peer_identity(new, of_peer, OTHER, REQUEST, work),
        lambda work: attributes.create_peer_identity(new, own, me, REQUEST, work),
        lambda work: attributes.create_own_relationship(peer_relationship, PEER, REQUEST, work),
        lambda work: attributes.create_own_relationship(own_relationship, me, REQUEST, work),
        lambda work: attributes.create_peer_relationship(own_relationship, PEER, REQUEST, work),
        lambda work: attributes.create_peer_relationship(peer_relationship, OTHER, REQUEST, work),
        lambda work: attributes.create_third_party(new, foreign, PEER, OTHER, REQUEST, work),
        lambda work: attributes.create_third_party(new, own_relationship, PEER, me, REQUEST, work),
        lambda work: attributes.create_third_party(new, peer_relationship, PEER, PEER, REQUEST, work),
    ]
    for create in wrong:
        with pytest.raises(WrongOwner) as caught:
            await alice.run(create)
        assert caught.value.official_code == "error.consumption.attributes.wrongOwnerOfAttribute"
    assert await alice.all() == []


async def test_of_two_equal_attributes_created_at_once_one_is_refused(alice: Holder) -> None:
    checked = await alice.attributes.checks.new_content(identity(alice.address))

    async def create() -> None:
        await alice.run(lambda work: alice.attributes.create_own_identity(checked, work, refuses_duplicate=True))

    results = await asyncio.gather(*(create() for _ in range(4)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["AttributeDuplicate"] * 3 + ["NoneType"]
    assert len(await alice.all()) == 1


async def test_only_the_newest_version_counts_as_the_same_value(alice: Holder) -> None:
    first = await alice.own("Ada", ["x:a"])
    store, checks = alice.transport.context.store, alice.attributes.checks
    ada = await checks.new_content(identity(alice.address, " Ada "))
    with pytest.raises(AttributeDuplicate) as caught:
        await alice.attributes.check_duplicate(store, ada)
    assert caught.value.facts["id"] == first["id"]
    await alice.succeed(first, "Augusta")
    await alice.attributes.check_duplicate(store, ada)


@pytest.mark.parametrize("name", ["Ada\u00a0Byron", " \u00a0Ada"])
async def test_an_equal_value_is_found_whatever_white_space_it_holds(alice: Holder, name: str) -> None:
    first = await alice.own(name)
    await alice.own("Augusta")
    checked = await alice.attributes.checks.new_content(identity(alice.address, f" {name} "))
    with pytest.raises(AttributeDuplicate) as caught:
        await alice.attributes.check_duplicate(alice.transport.context.store, checked)
    assert caught.value.facts["id"] == first["id"]


async def test_a_new_attribute_does_not_wait_for_changes_of_others_of_its_type(alice: Holder) -> None:
    other = await alice.own("Augusta")
    checked = await alice.attributes.checks.new_content(identity(alice.address, "Ada"))
    attempts = 0

    async def create(work: Work) -> None:
        nonlocal attempts
        attempts += 1
        await alice.attributes.create_own_identity(checked, work, refuses_duplicate=True)
        await alice.run(lambda another: alice.attributes.mark_viewed(other["id"], another))

    await alice.run(create)
    assert attempts == 1


async def test_same_values_of_others_are_found_until_they_are_deleted(alice: Holder) -> None:
    store = alice.transport.context.store
    received, third = await alice.of_peer(PEER, "Bob"), await alice.of_third_party(PEER, OTHER)
    key = await alice.own_of_relationship(PEER, "key")
    found = await repository.same_peer_identity(store, PEER, identity(PEER, "Bob "))
    assert found is not None
    assert found["id"] == received["id"]
    assert await repository.same_peer_identity(store, OTHER, identity(OTHER, "Bob")) is None
    assert await repository.same_third_party(store, PEER, third["content"]) is not None
    assert await repository.same_third_party(store, PEER, relationship(PEER, "other")) is None
    conditions = {"owner": alice.address, "key": "key", "value_type": "ProprietaryString", "peer": PEER}
    assert [one["id"] for one in await repository.with_key(store, **conditions)] == [key["id"]]

    async def delete(work: Any) -> None:
        for attribute, status in (
            (received, DeletionStatus.DELETED_BY_EMITTER),
            (third, DeletionStatus.DELETED_BY_EMITTER),
            (key, DeletionStatus.TO_BE_DELETED_BY_RECIPIENT),
        ):
            await set_deletion_of_attribute(attribute, status, work.now, work)

    await alice.run(delete)
    assert await repository.same_peer_identity(store, PEER, identity(PEER, "Bob")) is None
    assert await repository.same_third_party(store, PEER, third["content"]) is None
    assert await repository.with_key(store, **conditions) == []


async def test_viewing_is_noted_once(alice: Holder) -> None:
    created = await alice.own()
    first = await alice.run(lambda work: alice.attributes.mark_viewed(created["id"], work))
    assert await alice.run(lambda work: alice.attributes.mark_viewed(created["id"], work)) | {"_rev": 0} == first | {
        "_rev": 0
    }
    assert await alice.event_names() == ["attributeCreated", "attributeWasViewedAtChanged"]


class TestDefaults:
    @pytest.fixture
    async def bob(self, network: Network) -> Holder:
        return await holder(network, "bob", sets_defaults=True)

    async def defaults(self, bob: Holder) -> set[str]:
        return {one["id"] for one in await bob.all() if one.get("isDefault")}

    async def test_the_first_of_each_type_becomes_the_default(self, bob: Holder) -> None:
        first = await bob.own("Ada")
        await bob.own("Bob")
        other = await bob.own("Lovelace", value_type="Surname")
        assert await self.defaults(bob) == {first["id"], other["id"]}

    async def test_of_two_created_at_once_one_is_the_default(self, bob: Holder) -> None:
        await asyncio.gather(*(bob.own(str(number)) for number in range(4)))
        assert len(await self.defaults(bob)) == 1

    async def test_the_default_can_be_changed_and_is_passed_on(self, bob: Holder) -> None:
        first, second = await bob.own("Ada"), await bob.own("Bob")
        await bob.run(lambda work: bob.attributes.defaults.change(second["id"], work))
        assert await self.defaults(bob) == {second["id"]}
        successor = await bob.succeed(second, "Bobby")
        assert await self.defaults(bob) == {successor["id"]}
        await bob.run(lambda work: bob.attributes.deletions.delete(successor["id"], work))
        assert await self.defaults(bob) == {first["id"]}

    async def test_only_newest_own_identity_attributes_can_be_defaults(self, bob: Holder) -> None:
        first = await bob.own("Ada")
        await bob.succeed(first, "Bob")
        with pytest.raises(HasSuccessor) as succeeded:
            await bob.run(lambda work: bob.attributes.defaults.change(first["id"], work))
        assert succeeded.value.official_code == "error.runtime.attributes.hasSuccessor"
        received = await bob.of_peer(PEER)
        with pytest.raises(NotOwnIdentityAttribute):
            await bob.run(lambda work: bob.attributes.defaults.change(received["id"], work))

    async def test_without_defaults_they_cannot_be_changed(self, alice: Holder) -> None:
        created = await alice.own()
        with pytest.raises(DefaultsDisabled):
            await alice.run(lambda work: alice.attributes.defaults.change(created["id"], work))
