"""Announcements of whoever runs the Backbone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, path_of
from enmeshed_connector.backbone.wire import Fields, many
from enmeshed_connector.core.ids import ANNOUNCEMENT, AnnouncementId


@dataclass(frozen=True, slots=True)
class AnnouncementAction:
    """Something that an announcement offers to do."""

    display_name: str
    link: str | None


@dataclass(frozen=True, slots=True)
class Announcement:
    """One announcement in one language."""

    id: AnnouncementId
    """`ANC…`."""
    created_at: datetime
    expires_at: datetime | None
    severity: str
    """`Low`, `Medium` or `High`."""
    title: str
    body: str
    iql_query: str | None
    actions: tuple[AnnouncementAction, ...]


class Announcements:
    """Reads announcements."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(self, language: str) -> tuple[Announcement, ...]:
        """Returns all announcements for the own identity, in no order; English where a translation is missing.

        Args:
            language: Two letters of ISO 639-1.
        """
        return await self._caller.call(
            Call(
                "announcements.list",
                "GET",
                path_of("Announcements"),
                many(_announcement),
                Repeat.SAFE,
                query=[("language", language)],
            )
        )


def _announcement(fields: Fields) -> Announcement:
    return Announcement(
        id=fields.id(ANNOUNCEMENT, "id"),
        created_at=fields.date("createdAt"),
        expires_at=fields.date_or_none("expiresAt"),
        severity=fields.text("severity"),
        title=fields.text("title"),
        body=fields.text("body"),
        iql_query=fields.text_or_none("iqlQuery"),
        actions=fields.items("actions", _action),
    )


def _action(fields: Fields) -> AnnouncementAction:
    return AnnouncementAction(fields.text("displayName"), fields.text_or_none("link"))
