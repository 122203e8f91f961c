"""Tags: which ones attributes may bear. Source: consumption.md, section 7."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from enmeshed_connector.backbone.endpoints.tags import Tag, Tags
from enmeshed_connector.backbone.endpoints.tags import TagCollection as BackboneTags
from enmeshed_connector.backbone.errors import BackboneError
from enmeshed_connector.consumption.attributes.documents import TAG_COLLECTION
from enmeshed_connector.consumption.attributes.errors import TagsInvalid
from enmeshed_connector.content.code_lists import LANGUAGES
from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.errors import FieldViolation
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.work import Work

_MEDIA_TYPE: Final = re.compile(r"[a-z*-]+/[a-z*-]+")
_FREE: Final = ("x:", "X:", "urn:")
_DEFINED: Final = "bkb:"
_LANGUAGE: Final = "language:"
_MEDIA: Final = "mimetype:"

_VALUE, _ETAG, _TIMESTAMP = "tagCollection", "etag", "cacheTimestamp"


@dataclass(frozen=True)
class TagCollection:
    """The tags that the operator of the Backbone defines."""

    json: JsonObject
    """`supportedLanguages` and `tagsForAttributeValueTypes`, as the Backbone writes them."""

    def defines(self, value_type: str, path: Iterable[str]) -> bool:
        """Returns whether the path leads to a tag of the value type that has none below it."""
        level: Json = self.json["tagsForAttributeValueTypes"].get(value_type)
        tag: Json = None
        for part in path:
            tag = level.get(part) if isinstance(level, dict) else None
            if tag is None:
                return False
            level = tag.get("children")
        return tag is not None and not level


class TagController:
    """Knows the tag collection of one account's Backbone, and keeps a copy of it."""

    def __init__(self, context: AccountContext, lifetime: timedelta) -> None:
        """Takes the account, and how long a copy is used without asking."""
        self._context = context
        self._lifetime = lifetime

    async def collection(self) -> TagCollection:
        """Returns the collection; at most as old as the lifetime, or as old as it must be while the Backbone is away.

        Raises:
            BackboneError: The Backbone is away, and there is no copy.
            StorageUnavailable: The database is away.
        """
        # Calls that come meanwhile wait for the first one, and find its copy.
        async with self._context.locks.hold("tags"):
            cached = await self._entry(_VALUE)
            if cached is not None and await self._is_fresh():
                return TagCollection(cached)
            etag = await self._entry(_ETAG) if cached is not None else None
            try:
                answer = await Tags(self._context.backbone).get(etag)
            except BackboneError:
                if cached is None:
                    raise
                return TagCollection(cached)
            value = cached if answer is None else _json(answer)
            await self._keep(value, etag if answer is None else answer.etag)
            return TagCollection(value)

    async def check(self, value_type: str, tags: Iterable[str], field: str = "tags") -> None:
        """Returns when all tags may be borne by attributes of the value type.

        Raises:
            TagsInvalid: Some may not; all of them are named.
            BackboneError: Whether they may cannot be found out now.
        """
        offenders = [(index, tag) for index, tag in enumerate(tags) if not await self._is_valid(value_type, tag)]
        if offenders:
            names = ", ".join(tag for _, tag in offenders)
            raise TagsInvalid(
                f"These tags cannot be used with {value_type}: {names}.",
                facts={"tags": names, "valueType": value_type},
                violations=[
                    FieldViolation(f"{field}[{index}]", "is no tag of this value type") for index, _ in offenders
                ],
            )

    async def _is_valid(self, value_type: str, tag: str) -> bool:
        if tag.startswith(_FREE):
            return True
        if tag.startswith(_LANGUAGE):
            return tag.removeprefix(_LANGUAGE) in LANGUAGES
        if tag.startswith(_MEDIA):
            return _MEDIA_TYPE.fullmatch(tag.removeprefix(_MEDIA)) is not None
        if tag[: len(_DEFINED)].lower() != _DEFINED:
            return False
        return (await self.collection()).defines(value_type, tag[len(_DEFINED) :].split(":"))

    async def _entry(self, name: str) -> Json:
        entry = await self._context.store.get(TAG_COLLECTION, name)
        return None if entry is None else entry.get("value")

    async def _is_fresh(self) -> bool:
        timestamp = await self._entry(_TIMESTAMP)
        if timestamp is None:
            return False
        age = self._context.clock.now() - parse_date(timestamp)
        # A copy from the future was made before somebody set the clock back.
        return timedelta() <= age < self._lifetime

    async def _keep(self, value: Json, etag: str | None) -> None:
        now = format_date(self._context.clock.now())

        async def keep(work: Work) -> None:
            work.write_entry(TAG_COLLECTION, _VALUE, value)
            work.write_entry(TAG_COLLECTION, _ETAG, etag)
            # Also when nothing has changed: the Backbone has just said that this is the newest.
            work.write_entry(TAG_COLLECTION, _TIMESTAMP, now)

        await self._context.commits.run(keep)


def _json(collection: BackboneTags) -> JsonObject:
    return {
        "supportedLanguages": list(collection.supported_languages),
        "tagsForAttributeValueTypes": {
            value_type: _tags(tags) for value_type, tags in collection.tags_for_attribute_value_types.items()
        },
    }


def _tags(tags: Mapping[str, Tag]) -> JsonObject:
    return {
        name: {
            "displayNames": dict(tag.display_names),
            **({"children": _tags(tag.children)} if tag.children else {}),
        }
        for name, tag in tags.items()
    }
