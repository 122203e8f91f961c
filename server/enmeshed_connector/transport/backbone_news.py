"""What whoever runs the Backbone makes known: announcements, and references of public templates. Nothing of it is
stored.

Source: transport.md, section 23.
"""

from __future__ import annotations

from enmeshed_connector.backbone.endpoints.announcements import Announcement, Announcements
from enmeshed_connector.backbone.endpoints.public_references import PublicReference, PublicTemplateReferences
from enmeshed_connector.transport.compatibility import Compatibility, read_compatibility
from enmeshed_connector.transport.context import AccountContext


class BackboneNewsController:
    """Reads what the Backbone makes known."""

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context

    async def announcements(self, language: str) -> tuple[Announcement, ...]:
        """Returns the announcements for this identity, in English where a translation is missing.

        Args:
            language: Two letters of ISO 639-1.

        Raises:
            BackboneError: The Backbone refuses the language, or is away.
        """
        return await Announcements(self._context.backbone).list(language)

    async def public_template_references(self) -> tuple[PublicReference, ...]:
        """Returns the references of public templates; none with Backbones that do not have them.

        Raises:
            BackboneError: The Backbone is away.
        """
        return await PublicTemplateReferences(self._context.backbone).list()

    async def compatibility(self) -> Compatibility:
        """Returns whether the Backbone's version is supported here.

        Raises:
            BackboneError: The Backbone is away.
        """
        settings = self._context.settings
        return await read_compatibility(
            self._context.anonymous,
            minimum=settings.minimum_backbone_version,
            maximum=settings.maximum_backbone_version,
        )
