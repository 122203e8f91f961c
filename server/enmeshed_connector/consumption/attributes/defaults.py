"""Default attributes: for each value type the own identity attribute that is offered first.

Official peers raise an error when they find two defaults of one value type, as two devices can make them. Here all but
the new one lose the mark as soon as the default changes. Source: consumption.md, section 4.1.
"""

from __future__ import annotations

from enmeshed_connector.consumption.attributes.documents import ATTRIBUTES, Kind, kind_of, value_type_of, with_property
from enmeshed_connector.consumption.attributes.errors import (
    DefaultsDisabled,
    HasSuccessor,
    NotOwnIdentityAttribute,
)
from enmeshed_connector.consumption.attributes.repository import find, hold, require
from enmeshed_connector.storage import all_of, where
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work


class Defaults:
    """Keeps the marks of default attributes. All functions take part in a commit."""

    def __init__(self, *, is_enabled: bool) -> None:
        """Takes whether there are defaults; without, marks are only passed on to successors."""
        self._is_enabled = is_enabled

    async def of_new(self, attribute: Document, work: Work) -> Document:
        """Returns a new attribute with the mark, when its value type has no default yet."""
        if not self._is_enabled:
            return attribute
        value_type = value_type_of(attribute["content"])
        await hold(work, f"default:{value_type}")
        has_default = await self._marked(value_type, work)
        return attribute if has_default else with_property(attribute, "isDefault", True)

    async def change(self, attribute_id: str, work: Work) -> Document:
        """Makes an attribute the default of its value type, and returns it.

        Raises:
            DefaultsDisabled: There are no defaults.
            RecordMissing: There is no such attribute.
            NotOwnIdentityAttribute: It is of another class.
            HasSuccessor: It has a newer version.
        """
        if not self._is_enabled:
            raise DefaultsDisabled("Default attributes are switched off in the settings of this account.")
        attribute = await require(work, attribute_id)
        if kind_of(attribute) is not Kind.OWN_IDENTITY:
            raise NotOwnIdentityAttribute(
                f"Attribute {attribute_id} is no own identity attribute.", facts={"id": attribute_id}
            )
        if "succeededBy" in attribute:
            raise HasSuccessor(
                f"Attribute {attribute_id} has a newer version.",
                official_code="error.runtime.attributes.hasSuccessor",
                facts={"id": attribute_id, "succeededBy": attribute["succeededBy"]},
            )
        value_type = value_type_of(attribute["content"])
        await hold(work, f"default:{value_type}")
        for former in await self._marked(value_type, work):
            if former["id"] != attribute_id:
                await work.save(ATTRIBUTES, with_property(former, "isDefault", None))
        changed = with_property(attribute, "isDefault", True)
        await work.save(ATTRIBUTES, changed)
        return changed

    async def pass_on(self, deleted: Document, work: Work) -> None:
        """Marks the newest other attribute of the value type, when the default is deleted for good."""
        if not self._is_enabled or not deleted.get("isDefault"):
            return
        value_type = value_type_of(deleted["content"])
        await hold(work, f"default:{value_type}")
        candidates = await find(
            work,
            all_of(
                where("@type").eq(Kind.OWN_IDENTITY.value),
                where("content.value.@type").eq(value_type),
                where("succeededBy").is_absent(),
                where("id").ne(deleted["id"]),
            ),
        )
        if candidates and not any(one.get("isDefault") for one in candidates):
            await work.save(ATTRIBUTES, with_property(candidates[-1], "isDefault", True))

    async def _marked(self, value_type: str, work: Work) -> list[Document]:
        return await find(
            work,
            all_of(
                where("@type").eq(Kind.OWN_IDENTITY.value),
                where("content.value.@type").eq(value_type),
                where("isDefault").eq(True),
            ),
        )
