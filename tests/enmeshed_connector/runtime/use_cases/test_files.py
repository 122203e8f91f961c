"""Which tags a file may bear when it is uploaded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from enmeshed_backbone.settings import Settings
from enmeshed_connector.backbone.errors import BackboneUnavailable
from enmeshed_connector.consumption.attributes.errors import TagsInvalid
from enmeshed_connector.runtime.use_cases.common import NOBODY, Intent
from enmeshed_connector.runtime.views import View
from enmeshed_connector.transport.objects import FILES
from tests.support.network import Network
from tests.support.whole_account import WholeAccount, intent, whole_account

TAGS = {
    "supportedLanguages": ["en"],
    "tagsForAttributeValueTypes": {
        "IdentityFileReference": {"contract": {"displayNames": {"en": "Contract"}}},
        "GivenName": {"call": {"displayNames": {"en": "Call"}}},
    },
}


@pytest.fixture
async def alice(tmp_path: Path) -> AsyncIterator[WholeAccount]:
    """An account on a Backbone with tags."""
    async with Network(tmp_path, Settings(seed_identities=False, tags=TAGS)) as network:
        yield await whole_account(network, "alice")


async def upload(account: WholeAccount, *tags: str, meaning: Intent = NOBODY) -> View:
    return await account.does.files.upload(
        b"bytes", meaning, filename="a.txt", mimetype="text/plain", tags=tags or None
    )


@pytest.mark.parametrize(
    "tags",
    [[], ["x:anything", "urn:a"], ["language:de"], ["mimetype:text/plain"], ["bkb:contract"]],
    ids=lambda tags: ",".join(tags),
)
async def test_a_file_bears_tags_of_its_value_type(alice: WholeAccount, tags: list[str]) -> None:
    assert (await upload(alice, *tags)).get("tags", []) == tags


async def test_a_file_with_other_tags_never_leaves_the_account(alice: WholeAccount) -> None:
    with pytest.raises(TagsInvalid) as caught:
        await upload(alice, "x:a", "nonsense", "bkb:contract", "bkb:call", "bkb:none")

    assert [each.field for each in caught.value.violations] == [f"metadata.tags[{index}]" for index in (1, 3, 4)]
    assert caught.value.facts == {"tags": "nonsense, bkb:call, bkb:none", "valueType": "IdentityFileReference"}
    assert alice.network.rows("SELECT 1 FROM files") == []
    assert await alice.all(FILES) == []


async def test_nothing_is_uploaded_while_nobody_can_tell_about_its_tags(alice: WholeAccount) -> None:
    alice.faults.cut("tags.get")
    with pytest.raises(BackboneUnavailable):
        await upload(alice, "bkb:contract")
    assert alice.network.rows("SELECT 1 FROM files") == []

    # Free tags are nobody's business.
    alice.faults.cut("tags.get")
    assert (await upload(alice, "x:a"))["tags"] == ["x:a"]
    alice.faults.clear()
    assert (await upload(alice, "bkb:contract"))["tags"] == ["bkb:contract"]


async def test_a_repeated_upload_gives_its_file_though_nobody_can_tell_about_tags(alice: WholeAccount) -> None:
    first = await upload(alice, "bkb:contract", meaning=intent("once"))
    alice.network.clock.advance(timedelta(days=1))
    alice.faults.cut("*", 100)

    assert await upload(alice, "bkb:contract", meaning=intent("once")) == first
