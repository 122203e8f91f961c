"""What another device of the identity does with attributes causes the same events as if it had happened here."""

from __future__ import annotations

from typing import Any

from enmeshed_backbone.store import Transaction
from enmeshed_connector.backbone.errors import BackboneUnavailable
from enmeshed_connector.consumption.attributes.documents import ATTRIBUTES, DeletionStatus, with_property
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.relationship_operations import TERMINATE
from enmeshed_connector.transport.work import Work
from tests.support.consumption import Holder, holder
from tests.support.network import Network, befriend

PEER = "did:e:localhost:dids:1111111111111111111111"
OTHER = "did:e:localhost:dids:2222222222222222222222"


async def sync(*holders: Holder) -> None:
    for one in holders:
        await one.transport.sync.sync()


async def sync_page_by_page(one: Holder) -> None:
    """Receives what there is, and dies after each page; the next process begins by erasing what it must."""
    for _ in range(1000):
        one.faults.pass_by("datawallet.modifications")
        one.faults.cut("datawallet.modifications", 1000)
        try:
            await sync(one)
        except BackboneUnavailable:
            await one.transport.relationships.finish_erasures()
        else:
            return
        finally:
            one.faults.clear()
    raise AssertionError("there is no end of pages")


async def told(one: Holder) -> list[tuple[str, Any]]:
    """Returns the events about attributes so far, by their names, with what of their data tells them apart."""
    found: list[tuple[str, Any]] = []
    for event in await one.events():
        assert event["origin"] == "DATAWALLET"
        data, name = event["data"], event["type"].removeprefix("consumption.attribute")
        if name == "Succeeded":
            assert data["predecessor"]["succeededBy"] == data["successor"]["id"]
            assert data["successor"]["succeeds"] == data["predecessor"]["id"]
            found.append((name, (value_of(data["predecessor"]), value_of(data["successor"]))))
        else:
            found.append((name, value_of(data)))
    return found


def value_of(attribute: Document) -> str:
    return str(attribute["content"]["value"]["value"])


async def delete(one: Holder, attribute: Document) -> None:
    await one.run(lambda work: one.attributes.deletions.delete(attribute["id"], work))


async def test_a_new_attribute_is_told_with_all_of_it(device: Holder, other: Holder) -> None:
    created = await other.own("Ada", ["x:tag"])
    await other.forward(created, PEER)
    await sync(other, device)

    first, second = await device.events()
    assert (first["type"], second["type"]) == (
        "consumption.attributeCreated",
        "consumption.attributeForwardingDetailsChanged",
    )
    assert {name: value for name, value in first["data"].items() if name != "numberOfForwards"} == created
    assert second["data"] == {**created, "numberOfForwards": 1}
    await sync(other, device)
    assert len(await device.events()) == 2


async def test_a_succession_is_told_once_wherever_its_parts_arrive(device: Holder, other: Holder) -> None:
    first = await other.own("Ada")
    await sync(other, device)
    second = await other.succeed(first, "Augusta")
    third = await other.succeed(second, "Byron")
    await sync(other, device)

    assert sorted(await told(device)) == [
        ("Created", "Ada"),
        ("Succeeded", ("Ada", "Augusta")),
        ("Succeeded", ("Augusta", "Byron")),
    ]
    last = (await device.events())[-1]["data"]
    assert last["successor"] == {**third, "numberOfForwards": 0}
    assert last["predecessor"]["succeededBy"] == third["id"]


async def test_a_succession_is_told_once_when_the_backbone_holds_but_the_newest_of_each_object(
    paged_network: Network, device: Holder, other: Holder
) -> None:
    """Old modifications are removed when a later one says the same; then the former version is complete last."""
    await other.succeed(await other.own("Ada"), "Augusta")
    await sync(other)

    def clean_up(transaction: Transaction) -> None:
        transaction.run(
            "DELETE FROM datawallet_modifications AS old WHERE EXISTS (SELECT 1 FROM datawallet_modifications AS new "
            "WHERE new.object_identifier = old.object_identifier AND new.payload_category = old.payload_category "
            "AND new.collection = 'Attributes' AND new.idx > old.idx)"
        )

    await paged_network.backbone.services.store.write(clean_up)
    await sync(device)
    assert sorted(await told(device)) == [("Created", "Ada"), ("Succeeded", ("Ada", "Augusta"))]


async def test_an_attribute_and_its_successor_may_both_be_new(device: Holder, other: Holder) -> None:
    await other.succeed(await other.own("Ada"), "Augusta")
    await sync(other, device)
    assert await told(device) == [("Created", "Ada"), ("Succeeded", ("Ada", "Augusta"))]


async def test_a_successor_is_told_when_the_former_version_comes_after_it(device: Holder, other: Holder) -> None:
    first = await other.own("Ada")
    await sync(other, device)

    # As a device may write it: the former version first, and the new one much later.
    async def point(work: Work) -> None:
        await work.save(ATTRIBUTES, with_property(first, "succeededBy", "ATT00000000000000002"))

    async def follow(work: Work) -> None:
        content = {**first["content"], "value": {"@type": "GivenName", "value": "Augusta"}}
        successor = {**first, "id": "ATT00000000000000002", "content": content, "succeeds": first["id"]}
        await work.create(ATTRIBUTES, successor)

    await other.run(point)
    await sync(other, device)
    assert await told(device) == [("Created", "Ada")]
    await other.run(follow)
    await sync(other, device)
    assert await told(device) == [("Created", "Ada"), ("Succeeded", ("Ada", "Augusta"))]


async def test_a_successor_waits_until_the_former_version_knows_of_it(device: Holder, other: Holder) -> None:
    first = await other.own("Ada")
    await sync(other, device)
    content = {**first["content"], "value": {"@type": "GivenName", "value": "Augusta"}}
    successor = {**first, "id": "ATT00000000000000002", "content": content, "succeeds": first["id"]}

    await other.run(lambda work: work.create(ATTRIBUTES, successor))
    await sync(other, device)
    assert await told(device) == [("Created", "Ada")]
    await other.run(lambda work: work.save(ATTRIBUTES, with_property(first, "succeededBy", successor["id"])))
    await sync(other, device)
    assert await told(device) == [("Created", "Ada"), ("Succeeded", ("Ada", "Augusta"))]


async def test_of_two_devices_that_make_a_new_version_at_once_each_is_told_of_the_others(
    device: Holder, other: Holder
) -> None:
    first = await other.own("Ada")
    await sync(other, device)
    await device.succeed(first, "Mine")
    await other.succeed(first, "Theirs")
    await sync(other, device, other)
    assert [event["type"].removeprefix("consumption.attribute") for event in await device.events()] == [
        "Created",
        "Succeeded",
        "Succeeded",
    ]
    assert [(event["origin"], value_of(event["data"]["successor"])) for event in (await device.events())[1:]] == [
        ("LOCAL", "Mine"),
        ("DATAWALLET", "Theirs"),
    ]
    assert [
        (event["origin"], value_of(event["data"]["successor"]))
        for event in await other.events()
        if event["type"].endswith("Succeeded")
    ] == [("LOCAL", "Theirs"), ("DATAWALLET", "Mine")]


async def test_a_deletion_is_told_with_what_was_there(device: Holder, other: Holder) -> None:
    first = await other.own("Ada")
    second = await other.succeed(first, "Augusta")
    kept = await other.own("Kept", value_type="Surname")
    await other.forward(second, PEER)
    await sync(other, device)
    await delete(other, second)
    await sync(other, device)

    deleted = [event["data"] for event in await device.events() if event["type"].endswith("Deleted")]
    assert sorted(value_of(one) for one in deleted) == ["Ada", "Augusta"]
    assert [one["id"] for one in await device.all()] == [kept["id"]]


async def test_the_version_after_a_deleted_one_is_not_new(device: Holder, other: Holder) -> None:
    first = await other.own("Ada")
    await other.succeed(first, "Augusta")
    await sync(other, device)
    await delete(other, first)
    await sync(other, device)
    assert await told(device) == [("Created", "Ada"), ("Succeeded", ("Ada", "Augusta")), ("Deleted", "Ada")]


async def test_what_is_gone_before_it_arrives_is_told_as_far_as_it_was_there(device: Holder, other: Holder) -> None:
    await delete(other, await other.own("Ada"))
    await sync(other, device)
    assert await told(device) in ([], [("Created", "Ada"), ("Deleted", "Ada")])


async def test_the_first_view_is_told_once(device: Holder, other: Holder) -> None:
    created = await other.own("Ada")
    await sync(other, device)
    await other.run(lambda work: other.attributes.mark_viewed(created["id"], work))
    await sync(other, device)
    await device.run(lambda work: device.attributes.mark_viewed(created["id"], work))
    await sync(device, other)
    assert await told(device) == [("Created", "Ada"), ("WasViewedAtChanged", "Ada")]
    assert (await device.events())[-1]["data"]["wasViewedAt"]


async def test_to_whom_an_attribute_is_given_is_told_as_often_as_it_changes(device: Holder, other: Holder) -> None:
    created = await other.own("Ada")
    await other.forward(created, PEER)
    await sync(other, device)
    await other.forward(created, OTHER)
    await sync(other, device)
    forwarding = other.attributes.forwarding

    async def promise(work: Work) -> None:
        promised = DeletionStatus.TO_BE_DELETED_BY_RECIPIENT
        await forwarding.set_deletion(created["id"], PEER, promised, work.now, work)

    await other.run(promise)
    await sync(other, device)
    # A promise is no event, there as here; that it is forgotten, as the peer gets the attribute anew, is one.
    assert [name for name, _ in await told(device)] == ["Created", *["ForwardingDetailsChanged"] * 2]
    await other.forward(created, PEER)
    await sync(other, device)
    assert [name for name, _ in await told(device)] == ["Created", *["ForwardingDetailsChanged"] * 3]
    await other.run(lambda work: forwarding.remove(created["id"], work, peer=PEER))
    await sync(other, device)
    assert [event["data"]["numberOfForwards"] for event in (await device.events())[1:]] == [1, 2, 2, 1]


async def test_deletion_statuses_and_defaults_are_no_events_there_and_here(device: Holder, other: Holder) -> None:
    held = await other.of_peer(PEER)
    await other.own("Ada")
    await sync(other, device)

    async def promise(work: Work) -> None:
        await set_deletion_of_attribute(held, DeletionStatus.TO_BE_DELETED, work.now, work)

    await other.run(promise)
    await sync(other, device)
    assert await told(device) == [("Created", "Bob"), ("Created", "Ada")]
    assert (await device.get(held["id"]) or {})["deletionInfo"]["deletionStatus"] == "ToBeDeleted"


async def test_nothing_of_a_peer_whose_relationship_was_left_stays_in_the_log(
    paged_network: Network, device: Holder, other: Holder
) -> None:
    peer = await holder(paged_network, "peer")
    relationship = await befriend(other.transport, peer.transport)
    held = await other.of_peer(peer.address, "Secret")
    await other.of_peer_relationship(peer.address)
    kept = await other.own("Ada")
    await other.forward(kept, peer.address)
    await sync(other, device)
    assert ("Created", "Secret") in await told(device)
    await other.transport.relationships.take(TERMINATE, relationship)
    await peer.transport.sync.sync()
    await other.transport.relationships.decompose(relationship)
    await sync(other)
    await sync_page_by_page(device)
    await device.transport.relationships.finish_erasures()

    assert await device.get(held["id"]) is None
    log = device.transport.context.store.log
    events = [entry.event for entry in (await log.read(await log.oldest(), limit=1000)).events]
    assert "Secret" not in str(events)
    assert [event["data"]["id"] for event in events if event["type"].endswith("ForwardingDetailsChanged")] == (
        [kept["id"]] * 2
    )


async def test_what_another_device_writes_may_be_of_any_form(device: Holder, other: Holder) -> None:
    created = await other.own("Ada")
    odd: list[Document] = [
        {"@type": "Unknown", "content": {}, "createdAt": created["createdAt"]},
        {"@type": "OwnIdentityAttribute", "content": "text", "createdAt": created["createdAt"]},
        {"@type": "OwnIdentityAttribute", "content": {}, "createdAt": 1},
        {**created, "peer": 1},
        {**created, "succeeds": {}},
        {**created, "succeededBy": ["x"]},
    ]
    for number, document in enumerate(odd):
        changed = {**document, "id": f"ATT0000000000000000{number}"}
        await other.run(lambda work, changed=changed: work.create(ATTRIBUTES, changed))  # type: ignore[misc]
    details = [{"attributeId": created["id"]}, {"attributeId": 1, "peer": PEER}, {"deletionInfo": "x"}]
    for number, document in enumerate(details):
        changed = {**document, "id": f"ATTFWD0000000000000{number}"}
        await other.run(
            lambda work, changed=changed: work.create("AttributeForwardingDetails", changed)  # type: ignore[misc]
        )
    await sync(other, device)
    assert await told(device) == [("Created", "Ada")]
    assert await device.transport.context.store.count(ATTRIBUTES) == 1 + len(odd)


async def test_a_new_device_is_told_nothing_of_what_was_before(paged_network: Network, device: Holder) -> None:
    await device.succeed(await device.own("Ada"), "Augusta")
    made = await device.transport.devices.create(is_admin=True)
    secret = await device.transport.devices.shared_secret(made["id"])
    await sync(device)
    new = await holder(paged_network, "new", secret=secret, datawallet_enabled=True)
    await sync(new)
    assert await told(new) == []
    assert len(await new.all()) == 2
