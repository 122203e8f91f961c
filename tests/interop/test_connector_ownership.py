"""Files whose ownership goes from an account of ours to an official peer, and the other way."""

from __future__ import annotations

import pytest
import pytest_asyncio

from enmeshed_connector.core.ids import REQUEST
from enmeshed_connector.runtime.use_cases.common import NOBODY
from enmeshed_connector.transport.errors import FileOwnershipLocked
from tests.interop.conftest import OurAccounts, Peers
from tests.interop.official_peer.official_peer import OfficialPeer
from tests.interop.our_side import OurSide
from tests.interop.steps import Json, answer, ask, receive, upload

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ours(accounts: OurAccounts) -> OurSide:
    """An account of ours."""
    return await accounts.open()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def official(ours: OurSide, peers: Peers) -> OfficialPeer:
    """An official peer whose request module runs, with an active relationship to ours."""
    peer = await peers.start(modules=["request"])
    relationship = await ask(peer, await ours.offer())
    await ours.sync()
    await ours.accept(relationship["id"])
    await peer.sync()
    return peer


async def hand_over(ours: OurSide, official: OfficialPeer, file: Json) -> str:
    """Sends the request by which files change hands, and returns its id."""
    request_id = ours.transport.context.ids.new(REQUEST)
    item = {
        "@type": "TransferFileOwnershipRequestItem",
        "mustBeAccepted": True,
        "fileReference": file["reference"]["truncated"],
        "ownershipToken": file["ownershipToken"],
    }
    sent = await ours.transport.messages.send(
        [official.address], {"@type": "Request", "id": request_id, "items": [item]}
    )
    await receive(official, sent["id"])
    await official.wait_for(
        "consumption.incomingRequestStatusChanged",
        lambda changed: changed["request"]["id"] == request_id and changed["newStatus"] == "DecisionRequired",
    )
    return request_id


async def test_an_official_peer_becomes_the_owner_of_our_file(ours: OurSide, official: OfficialPeer) -> None:
    file = await ours.upload(b"take it", tags=["x:tag"])
    request_id = await hand_over(ours, official, file)

    await answer(official, request_id, [{"accept": True}])
    await ours.sync()

    mine = await ours.does.files.get(file["id"])
    assert (mine["owner"], mine["isOwn"]) == (official.address, False)
    assert "ownershipToken" not in mine
    assert await ours.told(file["id"]) == ["connector.fileStored LOCAL", "fileOwnershipClaimed EXTERNAL"]
    theirs = await official.call("transport.files.getFile", {"id": file["id"]})
    assert (theirs["owner"], theirs["isOwn"]) == (official.address, True)
    assert theirs["ownershipToken"] != file["ownershipToken"]
    assert (await official.call("transport.files.downloadFile", {"id": file["id"]}))["content"] == b"take it"
    assert await ours.download(file["id"]) == b"take it"


async def test_a_stale_token_locks_our_file_until_we_make_a_new_one(ours: OurSide, official: OfficialPeer) -> None:
    file = await ours.upload(b"not so fast")
    request_id = await hand_over(ours, official, file)
    await ours.does.files.regenerate_ownership_token(file["id"], NOBODY)

    verdict = await official.call(
        "consumption.incomingRequests.canAccept", {"requestId": request_id, "items": [{"accept": True}]}
    )
    await ours.sync()
    locked = await ours.does.files.get(file["id"])
    unlocked = await ours.does.files.regenerate_ownership_token(file["id"], NOBODY)

    assert verdict["isSuccess"] is False
    assert locked["ownershipIsLocked"] is True
    assert unlocked.get("ownershipIsLocked") is None
    assert (await ours.told(file["id"]))[-1] == "fileOwnershipLocked EXTERNAL"


async def test_we_become_the_owner_of_an_official_file(ours: OurSide, official: OfficialPeer) -> None:
    file = await upload(official, b"take it")
    await ours.does.files.load(file["reference"]["truncated"], NOBODY)

    mine = await ours.transport.files.claim_ownership(file["id"], file["ownershipToken"])
    await official.sync()
    told = await official.wait_for("transport.fileOwnershipClaimed", lambda claimed: claimed["id"] == file["id"])

    assert (mine["owner"], mine["isOwn"], told["owner"]) == (ours.address, True, ours.address)
    assert mine["ownershipToken"] != file["ownershipToken"]
    assert await ours.download(file["id"]) == b"take it"


async def test_our_wrong_token_locks_an_official_file(ours: OurSide, official: OfficialPeer) -> None:
    file = await upload(official, b"not so fast")
    await ours.does.files.load(file["reference"]["truncated"], NOBODY)

    is_valid = await ours.transport.files.validate_ownership_token(file["id"], "w" * 20)
    with pytest.raises(FileOwnershipLocked):
        await ours.transport.files.claim_ownership(file["id"], file["ownershipToken"])
    await official.sync()
    told = await official.wait_for("transport.fileOwnershipLocked", lambda locked: locked["id"] == file["id"])

    assert is_valid is False
    assert told["ownershipIsLocked"] is True
