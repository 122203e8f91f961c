"""Settings of the identity, shared by its devices.

Source: consumption.md, sections 2 and 14. Functions here work inside a commit of the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from enmeshed_connector.consumption.attributes.repository import hold
from enmeshed_connector.core.canonical_json import Json, sort_members
from enmeshed_connector.core.errors import InvalidArgument
from enmeshed_connector.core.ids import SETTING, IdMaker
from enmeshed_connector.storage import CollectionSpec, Filter, where
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.objects import SETTINGS, Document, without_unset
from enmeshed_connector.transport.slots import SLOT_SETTING
from enmeshed_connector.transport.work import Work

SETTING_SCHEMA: Final = CollectionSpec(SETTINGS, indexes=("key", "scope", "reference"), sortable=("createdAt",))

VISIBLE: Final[Filter] = where("key").ne(SLOT_SETTING)
"""Holds for the settings of callers. This Connector keeps one of its own among them, on which message keys depend."""


@dataclass(frozen=True)
class SettingKey:
    """What settings are found by."""

    key: str
    scope: str = "Identity"
    """`Identity`, `Device` or `Relationship`."""
    reference: str | None = None
    """The id of the device or relationship."""

    def filter(self) -> Filter:
        """Returns the condition on settings of this key."""
        return (
            where("key").eq(self.key) & where("scope").eq(self.scope) & where("reference").eq(self.reference) & VISIBLE
        )


async def create(
    work: Work,
    ids: IdMaker,
    key: SettingKey,
    value: Json,
    *,
    succeeds_item: str | None = None,
    succeeds_at: str | None = None,
) -> Document:
    """Adds a setting and returns it; several may have the same key.

    Raises:
        InvalidArgument: The key is that of a setting of this Connector itself.
    """
    if key.key == SLOT_SETTING:
        raise InvalidArgument("This key is reserved.")
    document = sort_members(
        without_unset(
            **{"@type": "Setting"},
            createdAt=work.now,
            id=ids.new(SETTING),
            key=key.key,
            reference=key.reference,
            scope=key.scope,
            succeedsAt=succeeds_at,
            succeedsItem=succeeds_item,
            value=value,
        )
    )
    await work.create(SETTINGS, document)
    return document


async def require(work: Work, setting_id: str) -> Document:
    """Returns a setting.

    Raises:
        RecordMissing: There is none of this id.
    """
    document = await work.require(SETTINGS, setting_id, "setting")
    if document.get("key") == SLOT_SETTING:
        raise RecordMissing("setting", setting_id)
    return document


async def newest(work: Work, key: SettingKey) -> Document | None:
    """Returns the newest setting of a key; None when there is none, and will be none but by this commit."""
    found = await work.find_one(SETTINGS, key.filter(), sort=["-createdAt"])
    if found is None:
        # Two commits at once must not both find that there is none.
        await hold(work, "settings")
        found = await work.find_one(SETTINGS, key.filter(), sort=["-createdAt"])
    return found


async def set_value(work: Work, setting: Document, value: Json) -> Document:
    """Replaces the value of a setting and returns the setting."""
    changed = setting | {"value": value}
    await work.save(SETTINGS, changed)
    return changed


async def delete(work: Work, setting_id: str) -> None:
    """Deletes a setting.

    Raises:
        RecordMissing: There is none of this id.
    """
    await require(work, setting_id)
    await work.remove(SETTINGS, setting_id)
