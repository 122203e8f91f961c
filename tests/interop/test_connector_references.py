"""Templates, tokens and files that accounts of ours and official peers hand to each other by reference."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest
import pytest_asyncio

from enmeshed_connector.backbone.errors import BackboneRejected, RecordNotFound
from enmeshed_connector.core.addresses import Address, parse_address
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.runtime.use_cases.common import NOBODY, Protection
from enmeshed_connector.transport.errors import NoPasswordProvided, NotIntendedForYou, TokenEmpty
from tests.interop import steps
from tests.interop.conftest import OurAccounts, Peers
from tests.interop.official_peer.official_peer import OfficialPeer, OfficialPeerError
from tests.interop.our_side import FAR_FUTURE, OurSide
from tests.interop.steps import Json, offer, upload

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

CONTENT = {"numbers": [1, 2.5], "text": "Für dich 👋"}
FORMS = ["truncated", "url"]

PROTECTIONS = [
    pytest.param({"password": "open sesame"}, id="password"),
    pytest.param({"password": "pass wörd 👋", "passwordLocationIndicator": "Website"}, id="password-location"),
    pytest.param({"password": "1234", "passwordIsPin": True}, id="pin"),
    pytest.param({"password": "0123456789012345", "passwordIsPin": True, "passwordLocationIndicator": 99}, id="pin-99"),
    pytest.param({"password": "4711", "passwordIsPin": True, "passwordLocationIndicator": "SMS"}, id="pin-sms"),
]
PINNED = {"password": "4711", "passwordIsPin": True, "passwordLocationIndicator": "Letter"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ours(accounts: OurAccounts) -> OurSide:
    """An account of ours."""
    return await accounts.open()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def officials(peers: Peers) -> Sequence[OfficialPeer]:
    """Two official peers; references need no relationships."""
    return await peers.start_many(2)


@pytest.fixture(scope="module")
def official(officials: Sequence[OfficialPeer]) -> OfficialPeer:
    """The official peer that most is for."""
    return officials[0]


def to_protection(official_form: Json) -> Protection | None:
    """Returns how our callers name a protection that official peers name so."""
    if official_form is None:
        return None
    location = official_form.get("passwordLocationIndicator")
    return Protection(
        SecretText(official_form["password"]),
        official_form.get("passwordIsPin", False),
        None if location is None else str(location),
    )


def secret(text: str | None) -> SecretText | None:
    return None if text is None else SecretText(text)


async def create_token(ours: OurSide, protection: Json = None, for_identity: str | None = None) -> Json:
    return await ours.does.tokens.create(
        CONTENT,
        NOBODY,
        expires_at=FAR_FUTURE,
        for_identity=None if for_identity is None else parse_address(for_identity),
        protection=to_protection(protection),
    )


async def load_token(ours: OurSide, token: Json, password: str | None = None, form: str = "truncated") -> Json:
    return await ours.does.tokens.load(token["reference"][form], NOBODY, is_ephemeral=True, password=secret(password))


async def official_token(official: OfficialPeer, **protection: Json) -> Json:
    params = {"content": CONTENT, "expiresAt": steps.FAR_FUTURE, "ephemeral": False, **protection}
    return await official.call("transport.tokens.createOwnToken", params)


async def load_officially(
    official: OfficialPeer,
    token: Json,
    password: str | None = None,
    *,
    form: str = "truncated",
    anonymously: bool = False,
) -> Json:
    params = {"reference": token["reference"][form]} | ({"password": password} if password else {})
    if anonymously:
        return await official.call("anonymous.tokens.loadPeerToken", params)
    return await official.call("transport.tokens.loadPeerToken", params | {"ephemeral": True})


SHARED = ("id", "content", "createdBy", "createdByDevice", "createdAt", "expiresAt", "forIdentity", "reference")


def assert_same(mine: Json, theirs: Json, *more: str) -> None:
    """Both sides see the same thing, each of them being its owner or not."""
    names = (*SHARED, "passwordProtection", *more)
    assert {name: mine.get(name) for name in names} == {name: theirs.get(name) for name in names}
    assert mine["isOwn"] is not theirs["isOwn"]


@pytest.mark.parametrize("form", FORMS)
async def test_our_token_is_read(ours: OurSide, official: OfficialPeer, form: str) -> None:
    token = await create_token(ours)

    loaded = await load_officially(official, token, form=form)

    assert_same(token, loaded)
    assert loaded["content"] == CONTENT
    assert (await load_officially(official, token, anonymously=True))["content"] == CONTENT


@pytest.mark.parametrize("form", FORMS)
async def test_an_official_token_is_read(ours: OurSide, official: OfficialPeer, form: str) -> None:
    token = await official_token(official)

    loaded = await load_token(ours, token, form=form)

    assert_same(loaded, token)


@pytest.mark.parametrize("protection", PROTECTIONS)
async def test_our_protected_token_opens_with_its_password_only(
    ours: OurSide, official: OfficialPeer, protection: Json
) -> None:
    token = await create_token(ours, protection)

    with pytest.raises(OfficialPeerError) as without:
        await load_officially(official, token)
    with pytest.raises(OfficialPeerError) as wrong:
        await load_officially(official, token, "4321")

    assert without.value.code == "error.transport.noPasswordProvided"
    assert wrong.value.code == "error.runtime.recordNotFound"
    loaded = await load_officially(official, token, protection["password"])
    assert_same(token, loaded)
    assert loaded["passwordProtection"] == protection


@pytest.mark.parametrize("protection", PROTECTIONS)
async def test_an_official_protected_token_opens_with_its_password_only(
    ours: OurSide, official: OfficialPeer, protection: Json
) -> None:
    token = await official_token(official, passwordProtection=protection)

    with pytest.raises(NoPasswordProvided):
        await load_token(ours, token)
    with pytest.raises(RecordNotFound):
        await load_token(ours, token, "4321")

    loaded = await load_token(ours, token, protection["password"])
    assert_same(loaded, token)
    assert loaded["passwordProtection"] == protection


async def test_our_token_for_one_identity_opens_for_it_only(ours: OurSide, officials: Sequence[OfficialPeer]) -> None:
    anna, bert = officials
    token = await create_token(ours, PINNED, anna.address)

    with pytest.raises(OfficialPeerError) as refused:
        await load_officially(bert, token, "4711")
    with pytest.raises(OfficialPeerError) as nobody:
        await load_officially(bert, token, "4711", anonymously=True)

    assert refused.value.code == "error.transport.general.notIntendedForYou"
    assert nobody.value.code == "error.transport.general.notIntendedForYou"
    assert_same(token, await load_officially(anna, token, "4711"))


async def test_an_official_token_for_one_identity_opens_for_it_only(
    ours: OurSide, official: OfficialPeer, accounts: OurAccounts
) -> None:
    token = await official_token(official, forIdentity=ours.address, passwordProtection=PINNED)

    with pytest.raises(NotIntendedForYou):
        await load_token(await accounts.open(), token, "4711")

    assert_same(await load_token(ours, token, "4711"), token)


async def test_a_token_that_leads_nowhere_is_loaded_as_a_token(ours: OurSide, official: OfficialPeer) -> None:
    mine, theirs = await create_token(ours), await official_token(official)

    loaded = await official.call(
        "transport.account.loadItemFromReference", {"reference": mine["reference"]["truncated"]}
    )
    found = await ours.does.tokens.load_anything(theirs["reference"]["truncated"], NOBODY)

    assert (loaded["type"], loaded["value"]["id"]) == ("Token", mine["id"])
    assert (found.kind, found.view["id"]) == ("token", theirs["id"])


async def test_a_deleted_token_is_found_by_neither(ours: OurSide, official: OfficialPeer) -> None:
    mine, theirs = await create_token(ours), await official_token(official)
    await ours.does.tokens.delete(mine["id"], NOBODY)
    await official.call("transport.tokens.deleteToken", {"tokenId": theirs["id"]})

    with pytest.raises(OfficialPeerError) as gone:
        await load_officially(official, mine)
    with pytest.raises(RecordNotFound):
        await load_token(ours, theirs)

    assert gone.value.code == "error.runtime.recordNotFound"


async def test_an_empty_official_token_has_nothing_to_read(ours: OurSide, official: OfficialPeer) -> None:
    empty = await official.call("anonymous.tokens.createEmptyToken")

    with pytest.raises(TokenEmpty):
        await load_token(ours, empty)


@pytest.mark.parametrize("protection", PROTECTIONS)
async def test_our_protected_template_opens_with_its_password_only(
    ours: OurSide, official: OfficialPeer, protection: Json
) -> None:
    template = await ours.offer(protection=to_protection(protection))

    with pytest.raises(OfficialPeerError) as wrong:
        await steps.load(official, template, "4321")

    assert wrong.value.code == "error.runtime.recordNotFound"
    assert_same(template, await steps.load(official, template, protection["password"]), "maxNumberOfAllocations")


@pytest.mark.parametrize("protection", PROTECTIONS)
async def test_an_official_protected_template_opens_with_its_password_only(
    ours: OurSide, official: OfficialPeer, protection: Json
) -> None:
    template = await offer(official, passwordProtection=protection, maxNumberOfAllocations=3)

    with pytest.raises(NoPasswordProvided):
        await ours.load(template)
    with pytest.raises(RecordNotFound):
        await ours.load(template, "4321")

    assert_same(await ours.load(template, protection["password"]), template, "maxNumberOfAllocations")
    assert await ours.told(template["id"]) == ["peerRelationshipTemplateLoaded LOCAL"]


async def test_our_template_for_one_identity_opens_for_it_only(
    ours: OurSide, officials: Sequence[OfficialPeer]
) -> None:
    anna, bert = officials
    template = await ours.offer(for_identity=parse_address(anna.address))

    with pytest.raises(OfficialPeerError) as refused:
        await steps.load(bert, template)

    assert refused.value.code == "error.transport.general.notIntendedForYou"
    assert_same(template, await steps.load(anna, template))


async def test_an_official_template_for_one_identity_opens_for_it_only(
    ours: OurSide, official: OfficialPeer, accounts: OurAccounts
) -> None:
    template = await offer(official, forIdentity=ours.address)

    with pytest.raises(NotIntendedForYou):
        await (await accounts.open()).load(template)

    assert_same(await ours.load(template), template)


async def test_a_template_that_is_used_up_is_refused_on_both_sides(
    ours: OurSide, officials: Sequence[OfficialPeer], accounts: OurAccounts
) -> None:
    anna, bert = officials
    mine, theirs = await ours.offer(maximum_allocations=1), await offer(anna, maxNumberOfAllocations=1)
    await steps.load(bert, mine)
    await ours.load(theirs)

    with pytest.raises(OfficialPeerError) as refused:
        await steps.load(anna, mine)
    with pytest.raises(BackboneRejected) as typed:
        await (await accounts.open()).load(theirs)

    code = "error.platform.validation.relationshipTemplate.maxNumberOfAllocationsExhausted"
    assert (refused.value.code, typed.value.official_code) == (code, code)


@pytest.mark.parametrize("is_personal", [False, True], ids=["for all", "personal"])
@pytest.mark.parametrize("protection", [None, PINNED], ids=["open", "pin"])
async def test_our_template_is_found_through_a_token(
    ours: OurSide, official: OfficialPeer, protection: Json, is_personal: bool
) -> None:
    recipient: Address | None = parse_address(official.address) if is_personal else None
    wanted = to_protection(protection)
    template = await ours.offer(protection=wanted, for_identity=recipient)
    token = await ours.does.templates.create_token(template["id"], NOBODY, protection=wanted, for_identity=recipient)
    password = {} if protection is None else {"password": protection["password"]}

    loaded = await official.call(
        "transport.relationshipTemplates.loadPeerRelationshipTemplate",
        {"reference": token["reference"]["truncated"], **password},
    )
    found = await official.call(
        "transport.account.loadItemFromReference", {"reference": token["reference"]["url"], **password}
    )

    assert_same(template, loaded)
    assert (found["type"], found["value"]["id"]) == ("RelationshipTemplate", template["id"])
    assert token["isEphemeral"] is True


@pytest.mark.parametrize("is_personal", [False, True], ids=["for all", "personal"])
@pytest.mark.parametrize("protection", [None, PINNED], ids=["open", "pin"])
async def test_an_official_template_is_found_through_a_token(
    ours: OurSide, official: OfficialPeer, protection: Json, is_personal: bool
) -> None:
    limits: dict[str, Json] = {"forIdentity": ours.address} if is_personal else {}
    limits |= {} if protection is None else {"passwordProtection": protection}
    template = await offer(official, **limits)
    token = await official.call(
        "transport.relationshipTemplates.createTokenForOwnRelationshipTemplate",
        {"templateId": template["id"], "ephemeral": True, **limits},
    )
    password = secret(None if protection is None else protection["password"])

    loaded = await ours.does.templates.load(token["reference"]["url"], NOBODY, password=password)
    found = await ours.does.tokens.load_anything(token["reference"]["truncated"], NOBODY, password=password)

    assert_same(loaded, template)
    assert (found.kind, found.view["id"]) == ("template", template["id"])


FILE = ("id", "filename", "mimetype", "filesize", "title", "description", "tags", "owner", "expiresAt", "reference")


def shown(file: Json) -> dict[str, Any]:
    return {name: file.get(name) for name in FILE}


@pytest.mark.parametrize("size", [0, 1, 65_537, 1_000_000])
@pytest.mark.parametrize("form", FORMS)
async def test_our_file_is_read(ours: OurSide, official: OfficialPeer, form: str, size: int) -> None:
    content = os.urandom(size)
    file = await ours.upload(content, "größe.bin", title="Größe", description="Some bytes", tags=["x:one", "x:two"])

    loaded = await official.call("transport.files.getOrLoadFile", {"reference": file["reference"][form]})

    assert shown(loaded) == shown(file)
    assert (loaded["isOwn"], loaded.get("ownershipToken")) == (False, None)
    assert (await official.call("transport.files.downloadFile", {"id": file["id"]}))["content"] == content


@pytest.mark.parametrize("size", [1, 65_537, 1_000_000])
@pytest.mark.parametrize("form", FORMS)
async def test_an_official_file_is_read(ours: OurSide, official: OfficialPeer, form: str, size: int) -> None:
    content = os.urandom(size)
    file = await upload(official, content, "größe.bin", title="Größe", description="Some bytes", tags=["x:one"])

    loaded = await ours.does.files.load(file["reference"][form], NOBODY)

    assert shown(loaded) == shown(file)
    assert (loaded["isOwn"], loaded.get("ownershipToken")) == (False, None)
    assert await ours.download(file["id"]) == content
    assert await ours.told(file["id"]) == ["connector.fileStored LOCAL"]


@pytest.mark.parametrize("protection", [None, PINNED], ids=["open", "pin"])
async def test_our_file_is_found_through_a_token(ours: OurSide, official: OfficialPeer, protection: Json) -> None:
    file = await ours.upload(b"hello")
    token = await ours.does.files.create_token(
        file["id"], NOBODY, protection=to_protection(protection), for_identity=parse_address(official.address)
    )
    password = {} if protection is None else {"password": protection["password"]}

    loaded = await official.call(
        "transport.files.getOrLoadFile", {"reference": token["reference"]["truncated"], **password}
    )
    found = await official.call(
        "transport.account.loadItemFromReference", {"reference": token["reference"]["url"], **password}
    )

    assert (found["type"], found["value"]["id"]) == ("File", file["id"])
    assert shown(loaded) == shown(file)
    assert (await official.call("transport.files.downloadFile", {"id": file["id"]}))["content"] == b"hello"


@pytest.mark.parametrize("protection", [None, PINNED], ids=["open", "pin"])
async def test_an_official_file_is_found_through_a_token(
    ours: OurSide, official: OfficialPeer, protection: Json
) -> None:
    file = await upload(official, b"hello")
    limits = {"forIdentity": ours.address} | ({} if protection is None else {"passwordProtection": protection})
    token = await official.call(
        "transport.files.createTokenForFile", {"fileId": file["id"], "expiresAt": steps.FAR_FUTURE, **limits}
    )
    password = secret(None if protection is None else protection["password"])

    loaded = await ours.does.files.load(token["reference"]["truncated"], NOBODY, password=password)
    found = await ours.does.tokens.load_anything(token["reference"]["url"], NOBODY, password=password)

    assert (found.kind, found.view["id"]) == ("file", file["id"])
    assert shown(loaded) == shown(file)
    assert await ours.download(file["id"]) == b"hello"


async def test_a_deleted_file_is_found_by_neither(ours: OurSide, official: OfficialPeer) -> None:
    mine, theirs = await ours.upload(b"mine"), await upload(official, b"theirs")
    await ours.does.files.delete(mine["id"], NOBODY)
    await official.call("transport.files.deleteFile", {"fileId": theirs["id"]})

    with pytest.raises(OfficialPeerError) as gone:
        await official.call("transport.files.getOrLoadFile", {"reference": mine["reference"]["truncated"]})
    with pytest.raises(RecordNotFound):
        await ours.does.files.load(theirs["reference"]["truncated"], NOBODY)

    assert gone.value.code == "error.runtime.recordNotFound"
    assert await ours.told(mine["id"]) == ["connector.fileStored LOCAL", "connector.fileDeleted LOCAL"]
