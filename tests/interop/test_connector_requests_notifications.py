"""What our Connector and an official peer tell each other about attributes that they have shared."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import Peers
from tests.interop.questions import create_for_relationship, named, share, unique
from tests.interop.sides import OfficialSide, Side, befriend, our_sides

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(
    backbone: BackboneProcess, peers: Peers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Side, Side]]:
    """Our side and an official one with an active relationship."""
    async with our_sides(backbone.base_url, tmp_path_factory.mktemp("ours")) as (ours,):
        official = OfficialSide(await peers.start(modules=["request", "notification"]))
        await befriend(ours, official)
        yield ours, official


@pytest.fixture(params=["ours", "official"])
def sides(request: pytest.FixtureRequest, pair: tuple[Side, Side]) -> tuple[Side, Side]:
    """Who tells and who is told."""
    ours, official = pair
    return (ours, official) if request.param == "ours" else (official, ours)


async def deletion_status(side: Side, attribute_id: str) -> str:
    """Returns the deletion status of a local attribute."""
    return str((await side.attribute(attribute_id))["deletionInfo"]["deletionStatus"])


async def test_a_new_version_of_a_shared_attribute_arrives(sides: tuple[Side, Side]) -> None:
    owner, peer = sides
    first = await share(owner, peer, named(unique("First")))
    value = named(unique("Second"))

    second = await owner.succeed(first, value, peer.address)
    await peer.notified(second)

    theirs = await peer.attribute(second)
    assert (theirs["@type"], theirs["succeeds"]) == ("PeerIdentityAttribute", first)
    assert (theirs["content"]["value"], theirs["content"]["owner"]) == (value, owner.address)
    assert (await peer.attribute(first))["succeededBy"] == second


async def test_versions_that_were_never_told_are_jumped_over(sides: tuple[Side, Side]) -> None:
    owner, peer = sides
    first = await share(owner, peer, named(unique("First")))
    second = await owner.succeed(first, named(unique("Second")))
    third = await owner.succeed(second, named(unique("Third")), peer.address)
    await peer.notified(third)

    assert (await peer.attribute(third))["succeeds"] == first
    assert await peer.attribute(second) is None


async def test_a_new_version_of_a_relationship_attribute_arrives(sides: tuple[Side, Side]) -> None:
    owner, peer = sides
    first = await create_for_relationship(owner, peer, "1")
    value = {"@type": "ProprietaryString", "title": "Text", "value": "2"}

    second = await owner.succeed_relationship(first, value)
    await peer.notified(second)

    theirs = await peer.attribute(second)
    assert (theirs["@type"], theirs["succeeds"], theirs["content"]["value"]) == (
        "PeerRelationshipAttribute",
        first,
        value,
    )


async def test_the_peer_learns_that_the_owner_deleted_an_attribute(sides: tuple[Side, Side]) -> None:
    owner, peer = sides
    shared = await share(owner, peer, named(unique("Gone")))

    await owner.delete(shared)
    await peer.notified(shared)

    assert await owner.attribute(shared) is None
    assert await deletion_status(peer, shared) == "DeletedByEmitter"


async def test_the_owner_learns_that_the_peer_deleted_its_copy(sides: tuple[Side, Side]) -> None:
    peer, owner = sides
    shared = await share(owner, peer, named(unique("Forgotten")))

    await peer.delete(shared)
    await owner.notified(shared)

    assert await peer.attribute(shared) is None
    (details,) = await owner.forwarding(shared)
    assert details["deletionInfo"]["deletionStatus"] == "DeletedByRecipient"


async def test_the_peer_learns_that_the_owner_deleted_a_relationship_attribute(sides: tuple[Side, Side]) -> None:
    owner, peer = sides
    shared = await create_for_relationship(owner, peer, "1")

    await owner.delete(shared)
    await peer.notified(shared)

    assert await deletion_status(peer, shared) == "DeletedByEmitter"


async def test_the_owner_learns_that_the_peer_deleted_a_relationship_attribute(sides: tuple[Side, Side]) -> None:
    peer, owner = sides
    shared = await create_for_relationship(owner, peer, "1")

    await peer.delete(shared)
    await owner.notified(shared)

    assert await deletion_status(owner, shared) == "DeletedByRecipient"


async def test_an_older_version_is_named_to_a_peer_that_has_no_newer(sides: tuple[Side, Side]) -> None:
    owner, peer = sides
    first = await share(owner, peer, named(unique("First")))
    second = await owner.succeed(first, named(unique("Second")))

    await owner.delete(second)
    await peer.notified(first)

    assert await deletion_status(peer, first) == "DeletedByEmitter"
