"""A file is handed over: consumption.md, section 12.8."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from enmeshed_connector.backbone.endpoints.files import Files
from enmeshed_connector.backbone.errors import AnswerLost, BackboneUnavailable
from enmeshed_connector.consumption.attributes.documents import FORWARDING_DETAILS
from enmeshed_connector.consumption.requests.processors.transfer_file_ownership import OWNERSHIP_CLAIMS
from enmeshed_connector.core.references import FileReference
from enmeshed_connector.transport.objects import FILES, Document
from tests.support.consumption import identity
from tests.support.network import Network
from tests.support.request_items import CAROL, INVALID_ITEM, REQUEST, Side, code_of, exchange, item_of

UNKNOWN = "FIL00000000000000404"


async def upload(side: Side, *, tags: list[str] | None = None, days: int = 2) -> Document:
    transport = side.holder.transport
    return await transport.files.upload(
        b"content",
        filename="a.txt",
        mimetype="text/plain",
        expires_at=transport.context.clock.now() + timedelta(days=days),
        tags=tags,
    )


def transfer(side: Side, file: Document, *, token: str | None = None, reference: str | None = None) -> dict[str, Any]:
    text = reference or side.holder.transport.files.reference_of(file).to_truncated()
    return item_of("TransferFileOwnership", fileReference=text, ownershipToken=token or file["ownershipToken"])


async def test_the_peer_owns_the_file_and_both_have_its_reference(alice: Side, bob: Side) -> None:
    file = await upload(alice, tags=["x:a"])
    answer = await exchange(alice, bob, transfer(alice, file))
    (own,), (copy,) = await bob.holder.all(), await alice.holder.all()
    assert answer == {
        "@type": "TransferFileOwnershipAcceptResponseItem",
        "attribute": {name: value for name, value in own["content"].items() if name != "@type"},
        "attributeId": own["id"],
        "result": "Accepted",
    }
    assert (own["@type"], own["content"]["tags"]) == ("OwnIdentityAttribute", ["x:a"])
    reference = FileReference.parse(own["content"]["value"]["value"])
    assert (reference.id, reference.backbone_base_url) == (file["id"], "http://localhost:8090")
    assert (copy["@type"], copy["id"], copy["content"]) == ("PeerIdentityAttribute", own["id"], own["content"])
    (details,) = await bob.holder.all(FORWARDING_DETAILS)
    assert (details["attributeId"], details["peer"], details["sourceReference"]) == (own["id"], bob.peer, REQUEST)
    (at_bob,) = await bob.holder.all(FILES)
    assert (at_bob["isOwn"], at_bob["owner"]) == (True, bob.holder.address)
    assert await bob.holder.transport.files.validate_ownership_token(file["id"], at_bob["ownershipToken"])
    assert await bob.holder.all(OWNERSHIP_CLAIMS) == []
    await alice.holder.transport.sync.sync()
    assert (await alice.holder.all(FILES))[0]["owner"] == bob.holder.address


async def test_only_own_files_with_their_token_can_be_handed_over(alice: Side, bob: Side) -> None:
    file = await upload(alice, tags=["x:a"])
    assert code_of(await alice.can_create(transfer(alice, file))) == ""
    assert code_of(await alice.facing(None).can_create(transfer(alice, file))) == ""
    assert code_of(await alice.can_create(transfer(alice, file, token="wrong"))) == INVALID_ITEM
    assert code_of(await alice.can_create(transfer(alice, file, reference="none"))) == INVALID_ITEM
    unknown = replace(alice.holder.transport.files.reference_of(file), id=UNKNOWN).to_truncated()
    assert code_of(await alice.can_create(transfer(alice, file, reference=unknown))) == INVALID_ITEM
    foreign = await upload(bob)
    await alice.holder.transport.files.load(bob.holder.transport.files.reference_of(foreign))
    assert code_of(await alice.can_create(transfer(bob, foreign))) == INVALID_ITEM
    tagged = await upload(alice, tags=["unknown"])
    assert code_of(await alice.can_create(transfer(alice, tagged))) == INVALID_ITEM


async def test_an_expired_file_stays(alice: Side, bob: Side, network: Network) -> None:
    file = await upload(alice, days=1)
    item = transfer(alice, file)
    network.clock.advance(timedelta(days=2))
    assert code_of(await alice.can_create(item)) == INVALID_ITEM
    assert code_of(await bob.can_accept(item)) == INVALID_ITEM


async def test_a_file_that_the_backbone_lost_stays(alice: Side, bob: Side) -> None:
    file = await upload(alice)
    item = transfer(alice, file)
    await alice.holder.transport.files.delete(file["id"])
    assert code_of(await alice.can_create(item)) == INVALID_ITEM
    assert code_of(await bob.can_accept(item)) == INVALID_ITEM


async def test_a_file_that_another_device_deleted_stays(alice: Side) -> None:
    file = await upload(alice)
    await Files(alice.holder.transport.context.backbone).delete(file["id"])
    assert code_of(await alice.can_create(transfer(alice, file))) == INVALID_ITEM


async def test_only_what_the_peer_owns_is_taken(alice: Side, bob: Side) -> None:
    file = await upload(alice)
    item = transfer(alice, file)
    assert code_of(await bob.can_accept(item)) == ""
    assert code_of(await bob.facing(CAROL).can_accept(item)) == INVALID_ITEM
    own = await upload(bob)
    assert code_of(await bob.can_accept(transfer(bob, own))) == INVALID_ITEM
    assert code_of(await bob.can_accept(transfer(alice, file, reference="none"))) == INVALID_ITEM
    other_key = alice.holder.transport.files.reference_of(await upload(alice))
    wrong_key = replace(other_key, id=file["id"]).to_truncated()
    assert code_of(await bob.can_accept(transfer(alice, file, reference=wrong_key))) == INVALID_ITEM
    tagged = await upload(alice, tags=["unknown"])
    assert code_of(await bob.can_accept(transfer(alice, tagged))) == INVALID_ITEM
    without = {name: value for name, value in item.items() if name != "ownershipToken"}
    assert code_of(await bob.can_accept(without)) == INVALID_ITEM
    # Last, as the Backbone locks the file for that.
    assert code_of(await bob.can_accept(transfer(alice, file, token="wrong"))) == INVALID_ITEM
    # Nothing was kept for the checks.
    assert [one["id"] for one in await bob.holder.all(FILES)] == [own["id"]]


async def test_a_check_fails_while_the_backbone_is_away(alice: Side, bob: Side) -> None:
    item = transfer(alice, await upload(alice))
    bob.holder.faults.cut("files.metadata", 5)
    with pytest.raises(BackboneUnavailable):
        await bob.can_accept(item)


@pytest.mark.parametrize("fault", ["lose_answer", "drop"])
async def test_a_claim_whose_answer_is_lost_can_be_repeated(alice: Side, bob: Side, fault: str) -> None:
    file = await upload(alice)
    item = transfer(alice, file)
    getattr(bob.holder.faults, fault)("files.claim_ownership")
    with pytest.raises(AnswerLost):
        await bob.accept(item)
    assert await bob.holder.all() == []
    answer = await bob.accept(item)
    assert answer["@type"] == "TransferFileOwnershipAcceptResponseItem"
    (at_bob,) = await bob.holder.all(FILES)
    assert await bob.holder.transport.files.validate_ownership_token(file["id"], at_bob["ownershipToken"])


async def test_a_file_that_was_claimed_is_taken_though_the_answer_was_not_stored(alice: Side, bob: Side) -> None:
    file = await upload(alice)
    item = transfer(alice, file)
    processor = bob.processor(item["@type"])
    await processor.prepare(item, {"accept": True}, bob.asked)
    # Another request for the same file is not answered by that.
    other = Side(bob.holder, bob.peer, "REQ00000000000OTHER1")
    assert code_of(await other.can_accept(item)) == INVALID_ITEM
    assert (await bob.accept(item))["result"] == "Accepted"
    assert await bob.holder.all(OWNERSHIP_CLAIMS) == []
    assert code_of(await bob.can_accept(item)) == INVALID_ITEM


async def test_nothing_is_accepted_that_was_not_claimed(alice: Side, bob: Side) -> None:
    item = transfer(alice, await upload(alice))
    processor = bob.processor(item["@type"])
    result = await bob.holder.run(lambda work: processor.can_accept(item, {"accept": True}, bob.asked, work))
    assert code_of(result) == INVALID_ITEM


async def test_a_rejection_forgets_that_it_was_to_be_claimed(alice: Side, bob: Side) -> None:
    item = transfer(alice, await upload(alice))
    bob.holder.faults.drop("files.claim_ownership")
    with pytest.raises(AnswerLost):
        await bob.accept(item)
    assert len(await bob.holder.all(OWNERSHIP_CLAIMS)) == 1
    answer = await bob.reject(item, message="No.")
    assert answer == {"@type": "RejectResponseItem", "message": "No.", "result": "Rejected"}
    assert await bob.holder.all(OWNERSHIP_CLAIMS) == []
    assert (await bob.reject({**item, "fileReference": "none"}))["result"] == "Rejected"
    await alice.apply(answer, item)
    assert await alice.holder.all() == []


async def test_a_reference_that_would_be_too_long_is_written_without_the_backbone(alice: Side, bob: Side) -> None:
    file = await upload(alice)
    item = transfer(alice, file)
    context = bob.holder.transport.context
    long = replace(context, settings=replace(context.settings, base_url="https://backbone.example/" + "a" * 60))
    files = type(bob.holder.transport.files)(long)
    assert len(files.reference_of(await files.load(FileReference.parse(item["fileReference"]))).to_truncated()) > 150
    bob.holder.transport.files = files
    await exchange(alice, bob, item)
    (own,) = await bob.holder.all()
    reference = FileReference.parse(own["content"]["value"]["value"])
    assert (reference.id, reference.backbone_base_url) == (file["id"], None)


async def test_answers_about_something_else_are_left_out(alice: Side, bob: Side) -> None:
    file, other = await upload(alice), await upload(alice)
    item = transfer(alice, file)
    reference_of = alice.holder.transport.files.reference_of
    right = {"@type": "IdentityFileReference", "value": reference_of(file).to_truncated()}
    wrong: list[Any] = [
        {"@type": "IdentityFileReference", "value": reference_of(other).to_truncated()},
        {"@type": "IdentityFileReference", "value": "a" * 40},
        {"@type": "GivenName", "value": "Bob"},
        {"@type": "BirthPlace", "city": "Berlin", "country": "DE"},
    ]

    def answer(value: Any, owner: str) -> dict[str, Any]:
        return {
            "@type": "TransferFileOwnershipAcceptResponseItem",
            "attribute": {"owner": owner, "value": value},
            "attributeId": "ATT00000000000000001",
            "result": "Accepted",
        }

    for value in wrong:
        await alice.apply(answer(value, alice.peer or ""), item)
    await alice.apply(answer(right, CAROL), item)
    await alice.apply(answer(right, alice.holder.address), item)
    await alice.apply({**answer(right, alice.peer or ""), "attribute": identity(alice.peer or "")}, item)
    assert await alice.holder.all() == []
    await alice.apply(answer(right, alice.peer or ""), item)
    assert len(await alice.holder.all()) == 1


async def test_two_calls_at_once_leave_the_token_that_is_right(alice: Side, bob: Side) -> None:
    file = await upload(alice)
    item = transfer(alice, file)
    processor = bob.processor(item["@type"])
    await asyncio.gather(*(processor.prepare(item, {"accept": True}, bob.asked) for _ in range(3)))
    (at_bob,) = await bob.holder.all(FILES)
    assert await bob.holder.transport.files.validate_ownership_token(file["id"], at_bob["ownershipToken"])
