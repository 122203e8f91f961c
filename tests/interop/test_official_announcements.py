"""Announcements that an operator makes and official peers read."""

from __future__ import annotations

import pytest

from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import Peers
from tests.interop.official_peer.official_peer import OfficialPeer
from tests.interop.steps import FAR_FUTURE, Json

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

TEXTS = [
    {"language": "en", "title": "Maintenance", "body": "Sunday night."},
    {"language": "de", "title": "Wartung", "body": "Sonntagnacht."},
]
ACTIONS = [{"displayName": {"en": "More", "de": "Mehr"}, "link": "https://example.org/maintenance"}]


async def read(reader: OfficialPeer, announcement_id: str, language: str) -> Json | None:
    """Returns the announcement as the reader sees it, None when he does not."""
    seen = await reader.call("transport.announcements.getAnnouncements", {"language": language})
    return next((entry for entry in seen if entry["id"] == announcement_id), None)


async def test_everybody_reads_a_public_announcement_in_their_language(backbone: BackboneProcess, peers: Peers) -> None:
    anna, bert = await peers.start_many(2)
    created = await backbone.announce(severity="High", texts=TEXTS, actions=ACTIONS, expiresAt=FAR_FUTURE)

    english, german = await read(anna, created["id"], "en"), await read(bert, created["id"], "de")

    assert english is not None
    assert german is not None
    assert (english["title"], english["severity"], english["expiresAt"]) == ("Maintenance", "High", FAR_FUTURE)
    assert (german["title"], german["body"]) == ("Wartung", "Sonntagnacht.")
    assert [action["displayName"] for action in german["actions"]] == ["Mehr"]
    assert german["actions"][0]["link"] == "https://example.org/maintenance"


async def test_a_language_without_a_text_falls_back_to_english(backbone: BackboneProcess, peers: Peers) -> None:
    anna = await peers.start()
    created = await backbone.announce(texts=TEXTS)

    seen = await read(anna, created["id"], "it")

    assert seen is not None
    assert seen["title"] == "Maintenance"


async def test_an_announcement_for_some_is_hidden_from_others(backbone: BackboneProcess, peers: Peers) -> None:
    anna, bert = await peers.start_many(2)
    created = await backbone.announce(texts=TEXTS, recipients=[anna.address], isSilent=True)

    assert await read(anna, created["id"], "en") is not None
    assert await read(bert, created["id"], "en") is None
