"""Tokens between official peers: with a password, for one identity, anonymous, and as references."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.interop.conftest import Peers
from tests.interop.official_peer.official_peer import OfficialPeer, OfficialPeerError
from tests.interop.steps import FAR_FUTURE, Json, offer, upload

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

Friends = tuple[OfficialPeer, OfficialPeer, OfficialPeer]
CONTENT = {"text": "For your eyes.", "numbers": [1, 2.5]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def three(peers: Peers) -> Friends:
    """Three peers without relationships, which tokens do not need."""
    anna, bert, carl = await peers.start_many(3)
    return anna, bert, carl


async def create(owner: OfficialPeer, **protection: Json) -> Json:
    return await owner.call(
        "transport.tokens.createOwnToken",
        {"content": CONTENT, "expiresAt": FAR_FUTURE, "ephemeral": False, **protection},
    )


async def load(reader: OfficialPeer, token: Json, password: str | None = None, anonymously: bool = False) -> Json:
    params = {"reference": token["reference"]["truncated"]} | ({"password": password} if password else {})
    if anonymously:
        return await reader.call("anonymous.tokens.loadPeerToken", params)
    return await reader.call("transport.tokens.loadPeerToken", params | {"ephemeral": False})


async def test_a_token_is_read_by_everybody_who_has_its_reference(three: Friends) -> None:
    anna, bert, _ = three
    token = await create(anna)

    loaded = await load(bert, token)

    assert (loaded["id"], loaded["content"], loaded["createdBy"]) == (token["id"], CONTENT, anna.address)
    assert (await load(bert, token, anonymously=True))["content"] == CONTENT


async def test_a_token_with_a_password_opens_with_it_only(three: Friends) -> None:
    anna, bert, _ = three
    token = await create(anna, passwordProtection={"password": "1234", "passwordIsPin": True})

    with pytest.raises(OfficialPeerError) as without:
        await load(bert, token)
    with pytest.raises(OfficialPeerError) as wrong:
        await load(bert, token, "4321")
    with pytest.raises(OfficialPeerError) as wrong_anonymously:
        await load(bert, token, "4321", anonymously=True)

    assert without.value.code == "error.transport.noPasswordProvided"
    assert wrong.value.code == "error.runtime.recordNotFound"
    assert wrong_anonymously.value.code == "error.runtime.recordNotFound"
    assert (await load(bert, token, "1234"))["content"] == CONTENT
    assert (await load(bert, token, "1234", anonymously=True))["content"] == CONTENT


async def test_a_token_for_one_identity_opens_for_it_only(three: Friends) -> None:
    anna, bert, carl = three
    token = await create(anna, forIdentity=bert.address)

    with pytest.raises(OfficialPeerError) as refused:
        await load(carl, token)
    with pytest.raises(OfficialPeerError) as nobody:
        await load(carl, token, anonymously=True)

    assert refused.value.code == "error.transport.general.notIntendedForYou"
    assert nobody.value.code == "error.transport.general.notIntendedForYou"
    assert (await load(bert, token))["content"] == CONTENT


async def test_a_token_for_one_identity_with_a_password_needs_both(three: Friends) -> None:
    anna, bert, carl = three
    token = await create(anna, forIdentity=bert.address, passwordProtection={"password": "both"})

    with pytest.raises(OfficialPeerError):
        await load(carl, token, "both")
    with pytest.raises(OfficialPeerError) as wrong:
        await load(bert, token, "neither")

    assert wrong.value.code == "error.runtime.recordNotFound"
    assert (await load(bert, token, "both"))["content"] == CONTENT


async def test_a_deleted_token_is_not_found(three: Friends) -> None:
    anna, bert, _ = three
    token = await create(anna)
    await anna.call("transport.tokens.deleteToken", {"tokenId": token["id"]})

    with pytest.raises(OfficialPeerError) as gone:
        await load(bert, token)

    assert gone.value.code == "error.runtime.recordNotFound"


async def test_an_empty_token_has_nothing_to_read_until_it_is_filled(three: Friends) -> None:
    anna, *_ = three
    empty = await anna.call("anonymous.tokens.createEmptyToken")

    with pytest.raises(OfficialPeerError) as nothing:
        await load(anna, empty, anonymously=True)

    assert nothing.value.code == "error.transport.tokens.emptyToken"


async def test_tokens_stand_for_files_and_templates(three: Friends) -> None:
    anna, bert, _ = three
    file = await upload(anna, b"hello")
    template = await offer(anna)
    for_file = await anna.call("transport.files.createTokenForFile", {"fileId": file["id"], "expiresAt": FAR_FUTURE})
    for_template = await anna.call(
        "transport.relationshipTemplates.createTokenForOwnRelationshipTemplate", {"templateId": template["id"]}
    )

    found_file = await bert.call("transport.account.loadItemFromReference", {"reference": for_file["reference"]["url"]})
    found_template = await bert.call(
        "transport.account.loadItemFromReference", {"reference": for_template["reference"]["truncated"]}
    )

    assert (found_file["type"], found_file["value"]["id"]) == ("File", file["id"])
    assert (found_template["type"], found_template["value"]["id"]) == ("RelationshipTemplate", template["id"])
    assert (await bert.call("transport.files.downloadFile", {"id": file["id"]}))["content"] == b"hello"
