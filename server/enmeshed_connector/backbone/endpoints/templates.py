"""Relationship templates: what a future peer answers with a relationship."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, nothing, path_of
from enmeshed_connector.backbone.paging import Page, Pager, page_of
from enmeshed_connector.backbone.wire import (
    Fields,
    encode_json,
    encode_password,
    off_loop_when_large,
    one,
    without_nones,
)
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.ids import DEVICE, TEMPLATE, DeviceId, TemplateId


@dataclass(frozen=True, slots=True)
class NewTemplate:
    """What creates a template."""

    content: bytes = field(repr=False)
    """The UTF-8 JSON of the cipher, 10 MiB at most."""
    expires_at: datetime | None = None
    max_number_of_allocations: int | None = None
    """How many identities may load it; unlimited when not given."""
    for_identity: Address | None = None
    password: bytes | None = field(default=None, repr=False)
    """The hash of the password, 1 to 200 bytes."""

    def wire(self) -> bytes:
        """Returns the exact body of the request."""
        return encode_json(
            without_nones(
                {
                    "expiresAt": self.expires_at,
                    "maxNumberOfAllocations": self.max_number_of_allocations,
                    "forIdentity": self.for_identity,
                    "password": None if self.password is None else encode_password(self.password),
                    "content": self.content,
                }
            )
        )


@dataclass(frozen=True, slots=True)
class CreatedTemplate:
    """The id and date that the Backbone gave to a new template."""

    id: TemplateId
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BackboneTemplate:
    """A template as the Backbone hands it out."""

    id: TemplateId
    """`RLT…`."""
    created_by: Address
    created_by_device: DeviceId
    created_at: datetime
    content: bytes = field(repr=False)
    """The UTF-8 JSON of the cipher; empty when the Backbone has none."""
    expires_at: datetime | None
    max_number_of_allocations: int | None
    for_identity: Address | None


class RelationshipTemplates:
    """Creates, loads and deletes templates."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(self, template: NewTemplate | bytes) -> CreatedTemplate:
        """Creates a template; takes also the exact body that `NewTemplate.wire` gave.

        Repeated when the answer is lost: a template whose id nobody knows harms nobody.

        Raises:
            InputRejected: A date in the past, a limit below 1, too large content.
            QuotaExhausted: `NumberOfRelationshipTemplates`.
        """
        if isinstance(template, bytes):
            body = template
        else:
            body = await off_loop_when_large(template.wire, len(template.content))
        return await self._caller.call(
            Call(
                "templates.create",
                "POST",
                path_of("RelationshipTemplates"),
                one(_created),
                Repeat.SAFE,
                body=body,
            )
        )

    async def get(self, template_id: TemplateId, password: bytes | None = None) -> BackboneTemplate:
        """Loads a template. The first time takes one of its allocations; afterwards neither that nor a password is
        needed.

        Raises:
            RecordNotFound: Unknown, expired, for somebody else, or the password is missing or wrong.
            BackboneRejected: `validation.relationshipTemplate.maxNumberOfAllocationsExhausted`.
        """
        return await self._caller.call(
            Call(
                "templates.get",
                "GET",
                path_of("RelationshipTemplates", template_id),
                one(_template),
                Repeat.SAFE,
                query=[] if password is None else [("password", encode_password(password))],
            )
        )

    def list(self, templates: Mapping[TemplateId, bytes | None]) -> Pager[BackboneTemplate]:
        """Lists templates by id, each with its password or None; allocates none. Those that are not visible are left
        out.

        Raises:
            ValueError: No id is given.
        """
        if not templates:
            raise ValueError("At least one template is needed.")
        query: list[tuple[str, str]] = []
        for index, (template_id, password) in enumerate(templates.items()):
            query.append((f"templates.{index}.id", template_id))
            if password is not None:
                query.append((f"templates.{index}.password", encode_password(password)))
        call: Call[Page[BackboneTemplate]] = Call(
            "templates.list", "GET", path_of("RelationshipTemplates"), page_of(_template), Repeat.SAFE, query=query
        )
        return Pager(self._caller, call)

    async def delete(self, template_id: TemplateId) -> None:
        """Deletes an own template; relationships made from it stay.

        Raises:
            RecordNotFound: Unknown.
            ForbiddenByBackbone: It is another identity's.
        """
        await self._caller.call(
            Call(
                "templates.delete",
                "DELETE",
                path_of("RelationshipTemplates", template_id),
                nothing,
                Repeat.SAFE,
                gone_is_done=True,
            )
        )


def _created(fields: Fields) -> CreatedTemplate:
    return CreatedTemplate(fields.id(TEMPLATE, "id"), fields.date("createdAt"))


def _template(fields: Fields) -> BackboneTemplate:
    return BackboneTemplate(
        id=fields.id(TEMPLATE, "id"),
        created_by=fields.address("createdBy"),
        created_by_device=fields.id(DEVICE, "createdByDevice"),
        created_at=fields.date("createdAt"),
        content=fields.data_or_none("content") or b"",
        expires_at=fields.date_or_none("expiresAt"),
        max_number_of_allocations=fields.integer_or_none("maxNumberOfAllocations"),
        for_identity=fields.address_or_none("forIdentity"),
    )
