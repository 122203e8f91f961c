"""References of relationship templates that whoever runs the Backbone makes public."""

from __future__ import annotations

from dataclasses import dataclass, field

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, path_of
from enmeshed_connector.backbone.errors import EndpointNotFound, RecordNotFound
from enmeshed_connector.backbone.wire import Fields, many


@dataclass(frozen=True, slots=True)
class PublicReference:
    """One public reference."""

    title: str
    description: str
    truncated_reference: str = field(repr=False)


class PublicTemplateReferences:
    """Reads public references."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(self) -> tuple[PublicReference, ...]:
        """Returns the public references for this client; none when the Backbone does not know the endpoint."""
        call = Call(
            "public_references.list",
            "GET",
            path_of("PublicRelationshipTemplateReferences", api="/api/poc"),
            many(_reference),
            Repeat.SAFE,
        )
        try:
            return await self._caller.call(call)
        except (RecordNotFound, EndpointNotFound):
            return ()


def _reference(fields: Fields) -> PublicReference:
    return PublicReference(
        fields.text("title"), fields.text_or_none("description") or "", fields.text("truncatedReference")
    )
