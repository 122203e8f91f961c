"""The tags that attributes may bear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from enmeshed_connector.backbone.calls import Answer, Call, Caller, Repeat, path_of
from enmeshed_connector.backbone.wire import Fields, WireError

_MAXIMUM_LEVELS = 32


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag with its names and the tags below it."""

    display_names: Mapping[str, str]
    """Language to name."""
    children: Mapping[str, Tag]


@dataclass(frozen=True, slots=True)
class TagCollection:
    """All tags that the Backbone knows."""

    supported_languages: tuple[str, ...]
    tags_for_attribute_value_types: Mapping[str, Mapping[str, Tag]]
    """Attribute value type to tag to its description."""
    etag: str | None
    """Names this state of the collection; hand it in the next time."""


class Tags:
    """Reads the tag collection. Anonymous callers may, too."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def get(self, known_etag: str | None = None) -> TagCollection | None:
        """Returns the collection, or None when it is still the one with the given `etag`."""
        return await self._caller.call(
            Call(
                "tags.get",
                "GET",
                path_of("Tags"),
                _collection,
                Repeat.SAFE,
                headers={} if known_etag is None else {"If-None-Match": known_etag},
            )
        )


def _collection(answer: Answer) -> TagCollection | None:
    if answer.status == 304:
        return None
    fields = Fields(answer.result, "result")
    languages = fields.members.get("supportedLanguages")
    if not isinstance(languages, list) or not all(isinstance(language, str) for language in languages):
        raise WireError("result.supportedLanguages is not a list of texts")
    types = fields.nested("tagsForAttributeValueTypes", lambda inner: inner.members)
    return TagCollection(
        supported_languages=tuple(languages),
        tags_for_attribute_value_types={name: _tags(value, 1) for name, value in types.items()},
        etag=answer.etag,
    )


def _tags(value: object, level: int) -> Mapping[str, Tag]:
    if level > _MAXIMUM_LEVELS:
        raise WireError("tags are nested too deeply")
    return {name: _tag(inner, level) for name, inner in Fields(value, "tags").members.items()}


def _tag(value: object, level: int) -> Tag:
    fields = Fields(value, "tag")
    names = fields.nested_or_none("displayNames", lambda inner: inner.members) or {}
    if not all(isinstance(name, str) for name in names.values()):
        raise WireError("tag.displayNames holds something else than texts")
    children = fields.members.get("children")
    return Tag(dict(names), {} if children is None else _tags(children, level + 1))
