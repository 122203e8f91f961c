"""The two types of items that 7.0.0 does not know and 7.5.11 does: they go out in that form, and answers are read.

The forms are those of the specification of content (section 6), not recordings: no newer peer could be installed here.
The peer of 7.0.0 stands in for one by sending the response that the specification gives for these items.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from enmeshed_connector.content.codec import ContentCodec
from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import Peers
from tests.interop.questions import item
from tests.interop.sides import Json, OfficialSide, OurSide, befriend, our_sides
from tests.support.connector import relate_clients

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

SHAPES: dict[str, Json] = {
    "ShareCredentialOffer": {
        "@type": "ShareCredentialOfferRequestItem",
        "credentialOfferUrl": "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fissuer.example%2Foffers%2F1",
        "description": "Your certificate",
        "mustBeAccepted": True,
    },
    "ShareAuthorizationRequest": {
        "@type": "ShareAuthorizationRequestRequestItem",
        "authorizationRequestUrl": "openid4vp://?request_uri=https%3A%2F%2Fverifier.example%2Frequests%2F1",
        "mustBeAccepted": True,
    },
}
ANSWERS: dict[str, Json] = {
    "Accepted": {"@type": "AcceptResponseItem", "result": "Accepted"},
    "Rejected": {"@type": "RejectResponseItem", "result": "Rejected", "code": "no.thanks"},
}


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


@pytest.mark.parametrize("result", ANSWERS)
@pytest.mark.parametrize("name", SHAPES)
async def test_the_answer_of_a_newer_peer_is_read(
    sides: tuple[OurSide, OurSide, OfficialSide], name: str, result: str
) -> None:
    ours, _, official = sides
    request_id = await ours.ask(official.address, SHAPES[name])
    asked = (await ours.call("OutgoingRequests", "GetOutgoingRequest", id=request_id)).request
    wrapper = {
        "@type": "ResponseWrapper",
        "requestId": request_id,
        "requestSourceReference": asked.source.reference,
        "requestSourceType": "Message",
        "response": {"result": result, "requestId": request_id, "items": [ANSWERS[result]]},
    }
    await official.peer.call(
        "transport.messages.sendMessage", {"recipients": [ours.address], "content": wrapper, "attachments": []}
    )
    response = await ours.answer(request_id)

    assert ContentCodec().json_from_content(asked.content)["items"] == [SHAPES[name]]
    assert (response["result"], response["items"]) == (result, [ANSWERS[result]])
    if name == "ShareCredentialOffer":
        event = await ours.wait_for("consumption.shareCredentialOfferRequestItemProcessedByRecipient")
        told = event.credential_offer_processed
        assert (told.accepted, told.peer) == (result == "Accepted", official.address)
        assert told.credential_offer_url == SHAPES[name]["credentialOfferUrl"]


async def test_an_older_peer_goes_on_receiving(sides: tuple[OurSide, OurSide, OfficialSide]) -> None:
    ours, _, official = sides
    for asked in SHAPES.values():
        await ours.ask(official.address, asked)
    mail = {"@type": "Mail", "to": [official.address], "subject": "After", "body": "it"}
    sent = await ours.call("Messages", "SendMessage", recipients=[official.address], content={"json": mail})

    await official.sync()

    received = await official.peer.wait_for(
        "transport.messageReceived", lambda message: message["id"] == sent.message.id
    )
    assert received["content"]["subject"] == "After"


@pytest.mark.parametrize("name", SHAPES)
async def test_we_are_asked_and_can_only_reject(sides: tuple[OurSide, OurSide, OfficialSide], name: str) -> None:
    ours, friend, _ = sides
    optional = {**item("Authentication", title="Log in"), "mustBeAccepted": False}
    request_id = await friend.ask(ours.address, optional, {**SHAPES[name], "mustBeAccepted": False})
    asked = await ours.is_asked(request_id)

    verdict = await ours.can_accept(request_id, [{"accept": True}, {"accept": True}])
    await ours.accept(request_id, [{"accept": True}, {"accept": False, "code": "no.wallet"}])
    response = await friend.answer(request_id)

    assert asked["items"][1] == {**SHAPES[name], "mustBeAccepted": False}
    assert verdict["isSuccess"] is False
    assert verdict["items"][1]["code"] == "error.consumption.requests.invalidRequestItem"
    assert [answer["@type"] for answer in response["items"]] == ["AcceptResponseItem", "RejectResponseItem"]
