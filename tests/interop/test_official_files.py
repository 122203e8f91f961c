"""Files between official peers: reading, handing over, locking."""

from __future__ import annotations

import os

import pytest
import pytest_asyncio

from tests.interop.conftest import Peers
from tests.interop.official_peer.official_peer import OfficialPeer, OfficialPeerError
from tests.interop.steps import Json, answer, connect, send_request, upload

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

Pair = tuple[OfficialPeer, OfficialPeer]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def friends(peers: Peers) -> Pair:
    """Two peers with an active relationship, whose request modules run."""
    anna, bert = await peers.start_many(2, modules=["request"])
    await connect(anna, bert)
    return anna, bert


async def load(reader: OfficialPeer, file: Json) -> Json:
    return await reader.call("transport.files.getOrLoadFile", {"reference": file["reference"]["truncated"]})


async def test_a_file_is_read_by_everybody_who_has_its_reference(friends: Pair) -> None:
    anna, bert = friends
    content = os.urandom(1_000_000)
    file = await upload(anna, content, "large.bin", title="Large")

    loaded = await load(bert, file)

    assert (loaded["owner"], loaded["isOwn"], loaded["title"]) == (anna.address, False, "Large")
    assert (await bert.call("transport.files.downloadFile", {"id": file["id"]}))["content"] == content


async def test_a_deleted_file_is_not_found(friends: Pair) -> None:
    anna, bert = friends
    file = await upload(anna, b"soon gone")
    await anna.call("transport.files.deleteFile", {"fileId": file["id"]})

    with pytest.raises(OfficialPeerError) as gone:
        await load(bert, file)

    assert gone.value.code == "error.runtime.recordNotFound"


async def test_an_accepted_transfer_makes_the_peer_the_owner(friends: Pair) -> None:
    anna, bert = friends
    file = await upload(anna, b"take it")
    item = {
        "@type": "TransferFileOwnershipRequestItem",
        "mustBeAccepted": True,
        "fileReference": file["reference"]["truncated"],
        "ownershipToken": file["ownershipToken"],
    }

    request = await send_request(anna, bert, [item])
    await answer(bert, request["id"], [{"accept": True}])
    await anna.sync()
    told = await anna.wait_for("transport.fileOwnershipClaimed", lambda claimed: claimed["id"] == file["id"])

    assert told["owner"] == bert.address
    his = await load(bert, file)
    assert (his["owner"], his["isOwn"]) == (bert.address, True)
    assert his["ownershipToken"] != file["ownershipToken"]
    assert (await bert.call("transport.files.downloadFile", {"id": file["id"]}))["content"] == b"take it"


async def test_a_stale_ownership_token_locks_the_file_until_its_owner_makes_a_new_one(friends: Pair) -> None:
    anna, bert = friends
    file = await upload(anna, b"not so fast")
    item = {
        "@type": "TransferFileOwnershipRequestItem",
        "mustBeAccepted": True,
        "fileReference": file["reference"]["truncated"],
        "ownershipToken": file["ownershipToken"],
    }
    request = await send_request(anna, bert, [item])
    await anna.call("transport.files.regenerateFileOwnershipToken", {"id": file["id"]})

    verdict = await bert.call(
        "consumption.incomingRequests.canAccept", {"requestId": request["id"], "items": [{"accept": True}]}
    )
    await anna.sync()
    told = await anna.wait_for("transport.fileOwnershipLocked", lambda locked: locked["id"] == file["id"])
    unlocked = await anna.call("transport.files.regenerateFileOwnershipToken", {"id": file["id"]})

    assert verdict["isSuccess"] is False
    assert verdict["items"][0]["code"] == "error.consumption.requests.invalidRequestItem"
    assert told["ownershipIsLocked"] is True
    assert unlocked.get("ownershipIsLocked") is None
    assert unlocked["ownershipToken"] != file["ownershipToken"]
