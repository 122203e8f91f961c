"""Each type has its processor, and its own answers: content.md, section 8."""

from typing import Any

import pytest

from enmeshed_connector.consumption.requests.processors.errors import NotAcceptable
from enmeshed_connector.content.requests import REQUEST_ITEM_TYPES
from enmeshed_connector.content.responses import ACCEPTING_TYPES
from tests.support.request_items import INVALID_ITEM, Side, code_of, exchange, item_of


def test_each_type_that_can_be_asked_has_its_answers(alice: Side) -> None:
    assert {name: alice.processor(name).response_types for name in REQUEST_ITEM_TYPES} == {
        name: frozenset(answers) for name, answers in ACCEPTING_TYPES.items()
    }


@pytest.mark.parametrize("item", [item_of("Authentication", title="Log in"), item_of("Consent", consent="I agree.")])
async def test_some_items_need_no_more_than_a_yes_or_no(alice: Side, bob: Side, item: Any) -> None:
    assert await exchange(alice, bob, item) == {"@type": "AcceptResponseItem", "result": "Accepted"}
    refusal = await bob.reject(item, message="No.")
    assert refusal == {"@type": "RejectResponseItem", "message": "No.", "result": "Rejected"}
    await alice.apply(refusal, item)
    assert await alice.holder.events() == await bob.holder.events() == []


@pytest.mark.parametrize(
    "item",
    [
        item_of("ShareCredentialOffer", credentialOfferUrl="openid-credential-offer://offer"),
        item_of("ShareAuthorizationRequest", authorizationRequestUrl="openid4vp://request"),
        item_of("FreeText", freeText="Text"),
    ],
)
async def test_nobody_accepts_what_cannot_be_accepted(bob: Side, item: Any) -> None:
    if item["@type"].startswith("ShareAuthorization"):
        item = {**item, "@type": "ShareAuthorizationRequestRequestItem"}
    assert code_of(await bob.can_accept(item)) == INVALID_ITEM
    processor = bob.processor(item["@type"])
    with pytest.raises(NotAcceptable):
        await bob.holder.run(lambda work: processor.accept(item, {"accept": True}, bob.asked, work))
    assert (await bob.reject(item))["result"] == "Rejected"
