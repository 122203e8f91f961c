"""The two types of items that 7.0.0 does not know and 7.5.12 does: they go out as it writes them, its answers are read.

The forms were recorded from 7.5.12, built from its sources; `tests/vectors/newer_request_items.json` says how. The peer
of 7.0.0 stands in for one by sending the recorded responses under the ids of the requests that are asked here.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from enmeshed_connector.content.codec import ContentCodec
from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import Peers
from tests.interop.sides import Json, OfficialSide, OurSide, befriend, our_sides
from tests.support.connector import relate_clients

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

RECORDED = json.loads((Path(__file__).parents[1] / "vectors" / "newer_request_items.json").read_text("utf-8"))
TEXTS: dict[str, str] = {each["name"]: each["text"] for each in RECORDED["written"] + RECORDED["exchanged"]}
OFFER, AUTHORIZATION, GROUP, AUTHENTICATION = json.loads(TEXTS["request for a decision"])["items"]
REJECTING = json.loads(TEXTS["response that rejects"])


def answered_by(name: str) -> Json:
    """Returns an accepted ResponseWrapper with one item."""
    return {
        **REJECTING,
        "response": {**REJECTING["response"], "result": "Accepted", "items": [json.loads(TEXTS[name])]},
    }


ANSWERS: dict[str, tuple[list[Json], Json]] = {
    "an accepted offer": ([OFFER], json.loads(TEXTS["response that accepts an offer"])),
    "an accepted authorization request": (
        [AUTHORIZATION],
        json.loads(TEXTS["response that accepts an authorization request"]),
    ),
    "both rejected": ([OFFER, AUTHORIZATION], REJECTING),
    "an error": ([OFFER], answered_by("error")),
}
"""What is asked, and a response to it."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sides(
    backbone: BackboneProcess, peers: Peers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[OurSide, OurSide, OfficialSide]]:
    """Two accounts of ours and an official peer; the first has a relationship with each of the others."""
    async with our_sides(backbone.base_url, tmp_path_factory.mktemp("ours"), count=2) as (ours, friend):
        official = OfficialSide(await peers.start(modules=["request", "notification"]))
        await befriend(ours, official)
        await relate_clients(friend.client, ours.client)
        yield ours, friend, official


@pytest.mark.parametrize("name", ANSWERS)
async def test_the_answer_of_a_newer_peer_is_read(sides: tuple[OurSide, OurSide, OfficialSide], name: str) -> None:
    ours, _, official = sides
    items, recorded = ANSWERS[name]
    request_id = await ours.ask(official.address, *items)
    asked = (await ours.call("OutgoingRequests", "GetOutgoingRequest", id=request_id)).request
    wrapper = {
        **recorded,
        "requestId": request_id,
        "requestSourceReference": asked.source.reference,
        "response": {**recorded["response"], "requestId": request_id},
    }
    await official.peer.call(
        "transport.messages.sendMessage", {"recipients": [ours.address], "content": wrapper, "attachments": []}
    )
    response = await ours.answer(request_id)

    assert ContentCodec().json_from_content(asked.content)["items"] == items
    assert (response["result"], response["items"]) == (recorded["response"]["result"], recorded["response"]["items"])
    if OFFER in items:
        event = await ours.wait_for(
            "consumption.shareCredentialOfferRequestItemProcessedByRecipient",
            lambda event: event.credential_offer_processed.peer == official.address,
        )
        told = event.credential_offer_processed
        expected = RECORDED["events"][response["items"][0]["@type"]]
        assert told.accepted == expected["accepted"]
        assert told.credential_offer_url == OFFER["credentialOfferUrl"]


async def test_an_older_peer_goes_on_receiving(sides: tuple[OurSide, OurSide, OfficialSide]) -> None:
    ours, _, official = sides
    for asked in (OFFER, AUTHORIZATION):
        await ours.ask(official.address, asked)
    mail = {"@type": "Mail", "to": [official.address], "subject": "After", "body": "it"}
    sent = await ours.call("Messages", "SendMessage", recipients=[official.address], content={"json": mail})

    await official.sync()

    received = await official.peer.wait_for(
        "transport.messageReceived", lambda message: message["id"] == sent.message.id
    )
    assert received["content"]["subject"] == "After"


async def test_we_are_asked_and_can_only_reject(sides: tuple[OurSide, OurSide, OfficialSide]) -> None:
    ours, friend, _ = sides
    items = [OFFER, AUTHORIZATION, GROUP, AUTHENTICATION]
    request_id = await friend.ask(ours.address, *items)
    asked = await ours.is_asked(request_id)

    yes = {"accept": True}
    verdict = await ours.can_accept(request_id, [yes, yes, {"items": [yes, yes]}, yes])
    # What 7.5.12 was told to answer when its answer was recorded.
    no = [{"accept": False, "code": "no.thanks", "message": "No, thanks"}, {"accept": False}]
    await ours.accept(request_id, [*no, {"items": no}, yes])
    response = await friend.answer(request_id)

    assert asked["items"] == items
    codes = [told.get("code") for told in (*verdict["items"][:2], *verdict["items"][2]["items"])]
    assert (verdict["isSuccess"], codes) == (False, ["error.consumption.requests.invalidRequestItem"] * 4)
    rejections = REJECTING["response"]["items"]
    accepted = json.loads(TEXTS["acceptance"])
    assert response["items"] == [*rejections, {"@type": "ResponseItemGroup", "items": rejections}, accepted]
