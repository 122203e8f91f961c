"""Credential offers can be made, and be rejected: consumption.md, section 12.9."""

from typing import Any

import pytest

from tests.support.request_items import INVALID_ITEM, Side, code_of, item_of

URL = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fissuer.example%2F1"
OFFER = item_of("ShareCredentialOffer", credentialOfferUrl=URL)


async def test_an_offer_can_be_made(alice: Side) -> None:
    assert code_of(await alice.can_create(OFFER)) == ""
    assert code_of(await alice.facing(None).can_create(OFFER)) == ""


async def test_an_offer_cannot_be_accepted_here(bob: Side) -> None:
    result = await bob.can_accept(OFFER)
    assert code_of(result) == INVALID_ITEM
    assert "wallet" in result.message
    assert (await bob.reject(OFFER))["@type"] == "RejectResponseItem"


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        ({"@type": "AcceptResponseItem", "result": "Accepted"}, True),
        ({"@type": "RejectResponseItem", "result": "Rejected"}, False),
        ({"@type": "ErrorResponseItem", "result": "Error", "code": "c", "message": "m"}, False),
    ],
)
async def test_it_is_told_what_the_peer_did(alice: Side, answer: Any, accepted: bool) -> None:
    await alice.apply(answer, OFFER)
    (event,) = await alice.holder.events()
    assert event["type"] == "consumption.shareCredentialOfferRequestItemProcessedByRecipient"
    assert event["data"] == {"accepted": accepted, "credentialOfferUrl": URL, "peer": alice.peer}
