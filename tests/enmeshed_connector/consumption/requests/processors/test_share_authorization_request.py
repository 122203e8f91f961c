"""Presentations can be asked for, and be rejected: consumption.md, section 12.10."""

from tests.support.request_items import INVALID_ITEM, Side, code_of

ITEM = {
    "@type": "ShareAuthorizationRequestRequestItem",
    "authorizationRequestUrl": "openid4vp://?request_uri=https%3A%2F%2Fverifier.example%2F1",
    "mustBeAccepted": True,
}


async def test_a_presentation_can_be_asked_for(alice: Side) -> None:
    assert code_of(await alice.can_create(ITEM)) == ""
    await alice.apply({"@type": "AcceptResponseItem", "result": "Accepted"}, ITEM)
    assert await alice.holder.events() == []


async def test_a_presentation_cannot_be_made_here(bob: Side) -> None:
    result = await bob.can_accept(ITEM, {"accept": True, "attributeId": "ATT00000000000000001"})
    assert code_of(result) == INVALID_ITEM
    assert "wallet" in result.message
    assert (await bob.reject(ITEM))["@type"] == "RejectResponseItem"
