"""TransferFileOwnershipRequestItem: the peer is asked to own a file. Source: consumption.md, section 12.8.

Ownership changes at the Backbone, before the commit that answers. So that an end of the process between the two does no
harm, it is noted first for which request a file is claimed; then the file may be this identity's own already.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from enmeshed_connector.backbone.errors import RecordNotFound
from enmeshed_connector.consumption.attributes.controller import AttributeController
from enmeshed_connector.consumption.attributes.errors import ForbiddenCharacters, TagsInvalid
from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.requests.processors.base import Asked, ItemProcessor
from enmeshed_connector.consumption.requests.processors.failures import invalid_item
from enmeshed_connector.consumption.requests.processors.received import Received
from enmeshed_connector.consumption.requests.results import SUCCESS, Problem, ValidationResult
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.content.responses import ACCEPTING_TYPES
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.core.references import FileReference
from enmeshed_connector.crypto.errors import DecryptionFailed
from enmeshed_connector.storage import CollectionSpec
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.files import FileController
from enmeshed_connector.transport.objects import FILES, Document
from enmeshed_connector.transport.work import Work

OWNERSHIP_CLAIMS: Final = "_OwnershipClaims"
"""For which request a file is claimed: `id` is that of the file, `requestId`. Never synchronised."""
OWNERSHIP_CLAIM_SCHEMA: Final = CollectionSpec(OWNERSHIP_CLAIMS)

_REFERENCE: Final = "fileReference"
_VALUE_TYPE: Final = "IdentityFileReference"
_MAX_REFERENCE: Final = 150
"""Characters of an IdentityFileReference. Source: content.md, section 10.2.1."""


class TransferFileOwnershipProcessor(ItemProcessor):
    """Items that hand over a file."""

    response_types = frozenset(ACCEPTING_TYPES["TransferFileOwnershipRequestItem"])

    def __init__(
        self, context: AccountContext, attributes: AttributeController, files: FileController, received: Received
    ) -> None:
        """Takes the account, who keeps its attributes, and who keeps its files."""
        self._context = context
        self._attributes = attributes
        self._files = files
        self._received = received

    async def can_create(self, item: JsonObject, asked: Asked, reader: Reader) -> ValidationResult:
        """Tells whether it is an own file, and the token the one of the Backbone."""
        if isinstance(reader, Work):
            # The request of a template was answered, so the file is the answerer's by now.
            return SUCCESS
        reference = _reference(item)
        file = None if reference is None else await reader.get(FILES, reference.id)
        if file is None:
            return invalid_item("There is no such file; only an own one can be handed over.", _REFERENCE)
        if not file["isOwn"]:
            return invalid_item(f"File {file['id']} is owned by another identity.", _REFERENCE)
        if self._is_expired(file):
            return invalid_item(f"File {file['id']} has expired.", _REFERENCE)
        problem = await self._problem_at_backbone(item, file)
        return SUCCESS if problem is None else invalid_item(problem)

    async def can_accept(
        self, item: JsonObject, decision: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        """Tells whether the file is the peer's, and the token the one of the Backbone; a wrong token locks the file.

        Raises:
            BackboneError: The Backbone is away.
        """
        if isinstance(reader, Work):
            return SUCCESS if "_prepared" in decision else invalid_item("The file has not been claimed.")
        reference = _reference(item)
        if reference is None:
            return invalid_item("The reference of the file cannot be read.")
        try:
            file = await self._files.fetch(reference)
        except (RecordNotFound, DecryptionFailed, MalformedValue):
            return invalid_item(f"File {reference.id} cannot be loaded.")
        if self._is_expired(file):
            return invalid_item(f"File {file['id']} has expired.")
        if file["isOwn"]:
            claim = await reader.get(OWNERSHIP_CLAIMS, file["id"])
            if claim is not None and claim["requestId"] == asked.request_id:
                return SUCCESS
            return invalid_item(f"File {file['id']} is owned by this identity already.")
        if file["owner"] != asked.peer:
            return invalid_item(f"File {file['id']} is not owned by {asked.peer}.")
        problem = await self._problem_at_backbone(item, file)
        return SUCCESS if problem is None else invalid_item(problem.message)

    async def prepare(self, item: JsonObject, decision: JsonObject, asked: Asked) -> JsonObject | None:
        """Claims the file, and returns its id as `fileId`.

        Raises:
            FileOwnershipLocked: The token is wrong, or the file is locked.
            BackboneError: The Backbone refuses, or is away.
        """
        request_id, _ = asked.settled()
        reference = FileReference.parse(item["fileReference"])

        async def note(work: Work) -> None:
            work.store_silently(OWNERSHIP_CLAIMS, {"id": reference.id, "requestId": request_id})

        # Two calls at once would make two new tokens, of which the first is worth nothing.
        async with self._context.locks.hold(f"claim:{reference.id}"):
            file = await self._files.load(reference)
            await self._context.commits.run(note)
            await self._files.claim_ownership(file["id"], item["ownershipToken"])
        return {"fileId": file["id"]}

    async def accept(self, item: JsonObject, decision: JsonObject, asked: Asked, work: Work) -> JsonObject:
        """Keeps the reference of the file as an attribute, which the peer gets."""
        request_id, peer = asked.settled()
        file = await work.require(FILES, decision["_prepared"]["fileId"], "file")
        checked = self._attributes.checks.content_without_tags(self._content(file))
        attribute = await self._attributes.create_own_identity(checked, work)
        await self._attributes.forwarding.add(attribute["id"], peer, request_id, work)
        work.delete_silently(OWNERSHIP_CLAIMS, file["id"])
        return {
            "@type": "TransferFileOwnershipAcceptResponseItem",
            "attribute": {name: value for name, value in attribute["content"].items() if name != "@type"},
            "attributeId": attribute["id"],
            "result": "Accepted",
        }

    async def reject(self, item: JsonObject, decision: JsonObject, asked: Asked, work: Work) -> JsonObject:
        """Forgets that the file was to be claimed; what was claimed stays."""
        reference = _reference(item)
        if reference is not None:
            work.delete_silently(OWNERSHIP_CLAIMS, reference.id)
        return await super().reject(item, decision, asked, work)

    async def apply(self, response_item: JsonObject, item: JsonObject, asked: Asked, work: Work) -> None:
        """Stores the peer's reference of the file that was ours."""
        if response_item.get("result") != "Accepted" or not self._received.is_readable(response_item):
            return
        content = {**response_item["attribute"], "@type": "IdentityAttribute"}
        answered, handed_over = _reference({"fileReference": content["value"].get("value")}), _reference(item)
        if content["value"]["@type"] != _VALUE_TYPE or answered is None or handed_over is None:
            return
        if answered.id == handed_over.id:
            await self._received.peer_identity(response_item["attributeId"], content, asked, work)

    async def _problem_at_backbone(self, item: JsonObject, file: Document) -> Problem | None:
        """Returns why the file cannot become an attribute of its next owner; paths begin at the item."""
        try:
            self._attributes.checks.content_without_tags(self._content(file))
            await self._attributes.tags.check(_VALUE_TYPE, file.get("tags") or [])
        except (ContentInvalid, ForbiddenCharacters, TagsInvalid) as error:
            # Of the fields of the attribute the item has none: it gives the reference of the file.
            return Problem.at(_REFERENCE, error.message)
        token = item.get("ownershipToken")
        try:
            is_valid = isinstance(token, str) and await self._files.validate_ownership_token(file["id"], token)
        except RecordNotFound:
            return Problem.at(_REFERENCE, f"File {file['id']} is not at the Backbone.")
        return None if is_valid else Problem.at("ownershipToken", f"The ownership token of file {file['id']} is wrong.")

    def _is_expired(self, file: Document) -> bool:
        return parse_date(file["expiresAt"]) <= self._context.clock.now()

    def _content(self, file: Document) -> JsonObject:
        reference = self._files.reference_of(file)
        text = reference.to_truncated()
        if len(text) > _MAX_REFERENCE:
            # Without the address of the Backbone it is meant for the reader's own, which is the same.
            text = replace(reference, backbone_base_url=None).to_truncated()
        return self._attributes.own_content({"@type": _VALUE_TYPE, "value": text}, list(file.get("tags") or []))


def _reference(item: JsonObject) -> FileReference | None:
    try:
        return FileReference.parse(item["fileReference"])
    except MalformedValue:
        return None
