"""Files: encrypted once, shared by reference, owned by one identity.

Source: transport.md, section 18; crypto.md, section 12.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from enmeshed_connector.backbone.endpoints.files import FileMetadata as BackboneFile
from enmeshed_connector.backbone.endpoints.files import Files, NewFile
from enmeshed_connector.backbone.errors import BackboneRejected, ForbiddenByBackbone, RecordNotFound
from enmeshed_connector.core.canonical_json import Json, dumps, loads_object, sort_members
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.encodings import from_base64url, to_base64url, to_utf8
from enmeshed_connector.core.ids import FILE, parse_id, random_text
from enmeshed_connector.core.references import FileReference
from enmeshed_connector.crypto.files import FileMetadata, open_file, open_metadata, seal_file, seal_metadata
from enmeshed_connector.crypto.signatures import Signature
from enmeshed_connector.crypto.symmetric import SecretKey
from enmeshed_connector.storage import FilterLike, SortLike
from enmeshed_connector.transport import events
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import FileOwnershipLocked, FileTooLarge, NotOwnedByYou, RecordMissing
from enmeshed_connector.transport.external_events import ExternalEvent, ExternalEventProcessor, payload_text
from enmeshed_connector.transport.objects import FILES, Document, public_part, without_unset
from enmeshed_connector.transport.pending import Done, NotDone, Operation, PendingOperation, Resolution, Ticket
from enmeshed_connector.transport.work import LOCAL_CAUSE, Cause, Work

T = TypeVar("T")

ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyz0123456789"
_BEFORE_BODY = "\n"
"""Between the parts of an upload's wire: JSON without line breaks, and the cipher, which is JSON itself and too long to
be written as a member and parsed again."""
_SIZE_REFUSED = "InclusiveBetweenValidator"
"""The Backbone's code for content that is empty or too large; a cipher is never empty."""
_INLINE_BYTES = 64 * 1024
"""Content up to this size is encrypted on the event loop; a thread would cost more than it saves."""


class FileController:
    """Files of one account. Documents are File (transport.md, section 8.1)."""

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context
        self._api = Files(context.backbone)
        self._upload = _UploadFile(context)
        self.operations: Sequence[Operation] = (self._upload,)
        self.processors: Sequence[ExternalEventProcessor] = (_OwnershipLocked(), _OwnershipClaimed(self))

    async def upload(
        self,
        content: bytes,
        *,
        filename: str,
        mimetype: str,
        expires_at: datetime,
        title: str | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        ticket: Ticket | None = None,
        cause: Cause = LOCAL_CAUSE,
    ) -> Document:
        """Encrypts and uploads a file and returns its document.

        Raises:
            FileTooLarge: It is over the limit of the settings, 10 MiB by default, or its cipher, which is a third
                larger, over that of the Backbone.
            OutcomeUnknown: No answer came.
            BackboneError: The Backbone refuses, or is away.
        """
        limit = self._context.settings.maximum_file_bytes
        if len(content) > limit:
            raise FileTooLarge(
                f"The file has {len(content)} bytes; {limit} are allowed.",
                facts={"sizeBytes": str(len(content)), "limitBytes": str(limit)},
            )
        earlier = await self._context.outbox.earlier_result(ticket)
        if earlier is not None:
            return await self.get(earlier["id"])
        content_key = SecretKey.generate(self._context.random)
        metadata_key = SecretKey.generate(self._context.random)

        def seal() -> tuple[str, Document]:
            sealed = seal_file(content, content_key, self._context.keys.device, random=self._context.random)
            metadata = FileMetadata(
                filename,
                len(content),
                mimetype,
                sealed.plaintext_hash,
                content_key,
                title,
                description,
                None,
                None if tags is None else tuple(tags),
            )
            head = {
                "boundary": random_text(40, ALPHANUMERIC, self._context.random),
                "cipherHash": sealed.cipher_hash,
                "encryptedProperties": seal_metadata(metadata, metadata_key, random=self._context.random),
                "expiresAt": format_date(expires_at),
                "ownerSignature": sealed.owner_signature.to_text(),
            }
            document = without_unset(
                cipherHash=sealed.cipher_hash,
                cipherKey=content_key.to_json(verbose=False),
                description=description,
                expiresAt=format_date(expires_at),
                filename=filename,
                filesize=len(content),
                isOwn=True,
                mimetype=mimetype,
                owner=self._context.identity.address,
                ownerSignature=sealed.owner_signature.to_json(verbose=False),
                plaintextHash=sealed.plaintext_hash,
                secretKey=metadata_key.to_json(verbose=False),
                tags=None if tags is None else list(tags),
                title=title,
            )
            return f"{dumps(head)}{_BEFORE_BODY}{sealed.body.decode('ascii')}", document

        wire, document = await _in_thread_when_large(seal, len(content))
        try:
            result = await self._context.outbox.run(
                self._upload, wire=wire, plan={"document": document}, ticket=ticket, cause=cause
            )
        except BackboneRejected as error:
            if not error.has_code(_SIZE_REFUSED):
                raise
            raise FileTooLarge(
                f"The file has {len(content)} bytes, which makes a cipher that the Backbone refuses for its size.",
                facts={"sizeBytes": str(len(content)), "cipherBytes": str(len(wire) - wire.index(_BEFORE_BODY) - 1)},
            ) from None
        return await self.get(result["id"])

    async def load(self, reference: FileReference, *, cause: Cause = LOCAL_CAUSE) -> Document:
        """Loads what is known of a file by its reference and returns it; one that is stored is returned as it is.

        Raises:
            RecordNotFound: Unknown, deleted or expired.
            DecryptionFailed: The key of the reference does not fit.
            BackboneError: The Backbone refuses, or is away.
        """
        stored = await self._context.store.get(FILES, reference.id)
        if stored is not None:
            return public_part(stored)
        document = await self.fetch(reference)

        async def keep(work: Work) -> Document:
            return await self.keep(document, work)

        return public_part(await self._context.commits.run(keep, cause=cause))

    async def fetch(self, reference: FileReference) -> Document:
        """Returns the document of a file from the Backbone, without storing it; errors as `load`."""
        return self._document(await self._api.metadata(parse_id(FILE, reference.id)), SecretKey(reference.key))

    async def keep(self, document: Document, work: Work) -> Document:
        """Stores a fetched file unless it is stored, and returns what is stored."""
        stored = await work.get(FILES, document["id"])
        if stored is not None:
            return stored
        await work.create(FILES, document)
        work.publish(events.FILE_STORED, document)
        return document

    async def download(self, file_id: str) -> tuple[Document, bytes]:
        """Returns a stored file with its content, checked against both hashes.

        Raises:
            RecordMissing: It is not stored.
            RecordNotFound: The Backbone has deleted it, or it is expired.
            HashMismatch, DecryptionFailed: It was altered.
            BackboneError: The Backbone is away.
        """
        document = await self.get(file_id)
        # The JSON of the cipher is a third larger than the content, and a little around it.
        cap = document["filesize"] * 4 // 3 + 4096
        body = await self._api.download(parse_id(FILE, file_id), cap_bytes=cap)
        key = SecretKey.from_json(document["cipherKey"])

        def unseal() -> bytes:
            return open_file(body, key, cipher_hash=document["cipherHash"], plaintext_hash=document["plaintextHash"])

        return document, await _in_thread_when_large(unseal, len(body))

    async def get(self, file_id: str) -> Document:
        """Returns a stored file.

        Raises:
            RecordMissing: It is not stored.
        """
        document = await self._context.store.get(FILES, file_id)
        if document is None:
            raise RecordMissing("file", file_id)
        return public_part(document)

    async def find(
        self, where: FilterLike = None, *, sort: Sequence[SortLike] = (), limit: int | None = None
    ) -> list[Document]:
        """Returns stored files."""
        found = await self._context.store.find(FILES, where, sort=sort, limit=limit)
        return [public_part(document) for document in found]

    async def delete(self, file_id: str, *, cause: Cause = LOCAL_CAUSE) -> None:
        """Deletes a file: an own one at the Backbone, too.

        Raises:
            RecordMissing: It is not stored.
            BackboneError: The Backbone refuses, or is away; nothing was deleted.
        """
        document = await self.get(file_id)
        if document["isOwn"]:
            # Not found: expired and swept away, or deleted by another device.
            with suppress(RecordNotFound):
                await self._api.delete(parse_id(FILE, file_id))

        async def remove(work: Work) -> None:
            removed = await work.remove(FILES, file_id)
            if removed is not None:
                work.publish(events.FILE_DELETED, removed)

        await self._context.commits.run(remove, cause=cause)

    def reference_of(self, document: Document) -> FileReference:
        """Returns the reference to a stored file. It is a secret."""
        return FileReference(
            document["id"], SecretKey.from_json(document["secretKey"]), self._context.settings.base_url
        )

    async def regenerate_ownership_token(self, file_id: str, *, cause: Cause = LOCAL_CAUSE) -> Document:
        """Makes a new ownership token for an own file, unlocks it, and returns the file.

        Raises:
            RecordMissing: It is not stored.
            NotOwnedByYou: Another identity owns it.
            BackboneError: The Backbone is away.
        """
        await self.get(file_id)
        try:
            token = await self._api.regenerate_ownership_token(parse_id(FILE, file_id))
        except ForbiddenByBackbone:
            raise NotOwnedByYou(f"File {file_id} is owned by another identity.", facts={"id": file_id}) from None

        async def keep(work: Work) -> Document:
            document = await work.require(FILES, file_id, "file")
            changed = sort_members({**_without(document, "ownershipIsLocked"), "ownershipToken": token})
            await work.save(FILES, changed)
            return changed

        return public_part(await self._context.commits.run(keep, cause=cause))

    async def validate_ownership_token(self, file_id: str, token: str) -> bool:
        """Tells whether this is the ownership token; a wrong one of somebody who is not the owner locks the file."""
        return await self._api.validate_ownership_token(parse_id(FILE, file_id), token)

    async def claim_ownership(self, file_id: str, token: str, *, cause: Cause = LOCAL_CAUSE) -> Document:
        """Makes this identity the owner of a loaded file and returns the file.

        Safe to repeat: when the file is owned already, a new token is made for it.

        Raises:
            RecordMissing: It was not loaded.
            FileOwnershipLocked: The token is wrong, or the file is locked.
            BackboneError: The Backbone is away.
        """
        document = await self.get(file_id)
        identifier = parse_id(FILE, file_id)
        key = SecretKey.from_json(document["secretKey"])
        remote = await self._api.metadata(identifier)
        try:
            new_token = (
                await self._api.regenerate_ownership_token(identifier)
                if self._context.is_own_address(remote.owner)
                else await self._api.claim_ownership(identifier, token)
            )
        except ForbiddenByBackbone:
            raise FileOwnershipLocked(
                f"The ownership token of file {file_id} is wrong, or the file is locked.", facts={"id": file_id}
            ) from None
        refreshed = self._document(await self._api.metadata(identifier), key)

        async def keep(work: Work) -> Document:
            stored = await work.require(FILES, file_id, "file")
            changed = sort_members({**_local_part(stored), **refreshed, "isOwn": True, "ownershipToken": new_token})
            await work.save(FILES, changed)
            return changed

        return public_part(await self._context.commits.run(keep, cause=cause))

    async def refresh(self, document: Document, work: Work) -> Document:
        """Returns a stored file brought to the state of the Backbone, without a token; stores it."""
        remote = await self._api.metadata(parse_id(FILE, document["id"]))
        refreshed = self._document(remote, SecretKey.from_json(document["secretKey"]))
        changed = sort_members({**_local_part(document), **refreshed})
        await work.save(FILES, changed)
        return changed

    def _document(self, remote: BackboneFile, key: SecretKey) -> Document:
        metadata = open_metadata(to_base64url(remote.encrypted_properties), key)
        return sort_members(
            without_unset(
                **{"@type": "File"},
                cipherHash=to_base64url(remote.cipher_hash),
                cipherKey=metadata.secret_key.to_json(verbose=False),
                createdAt=format_date(remote.created_at),
                createdBy=remote.created_by,
                createdByDevice=remote.created_by_device,
                deletedAt=None if remote.deleted_at is None else format_date(remote.deleted_at),
                deletedBy=remote.deleted_by,
                deletedByDevice=remote.deleted_by_device,
                description=metadata.description,
                expiresAt=format_date(remote.expires_at),
                filemodified=metadata.file_modified,
                filename=metadata.filename,
                filesize=metadata.filesize,
                id=remote.id,
                isOwn=self._context.is_own_address(remote.owner),
                mimetype=metadata.mimetype,
                owner=remote.owner,
                ownerSignature=Signature.from_text(remote.owner_signature, "ownerSignature").to_json(verbose=False),
                plaintextHash=metadata.plaintext_hash,
                secretKey=key.to_json(verbose=False),
                tags=None if metadata.tags is None else list(metadata.tags),
                title=metadata.title,
            )
        )


class _UploadFile(Operation):
    """Uploads a file. After a lost answer the own files tell, by the hash of the cipher."""

    kind = "files.upload"

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    async def transmit(self, pending: PendingOperation) -> Json:
        text, _, body = pending.wire.partition(_BEFORE_BODY)
        head = loads_object(text, field="wire")
        uploaded = await Files(self._context.backbone).upload(
            NewFile(
                content=body.encode("ascii"),
                cipher_hash=from_base64url(head["cipherHash"], "cipherHash"),
                owner=self._context.identity.address,
                owner_signature=to_utf8(head["ownerSignature"]),
                encrypted_properties=from_base64url(head["encryptedProperties"], "encryptedProperties"),
                expires_at=parse_date(head["expiresAt"]),
                boundary=head["boundary"],
            )
        )
        return _answer(uploaded.id, uploaded.created_at, uploaded.created_by_device, uploaded.ownership_token)

    async def resolve(self, pending: PendingOperation) -> Resolution:
        wanted = from_base64url(pending.plan["document"]["cipherHash"], "cipherHash")
        api = Files(self._context.backbone)
        async for page in api.list().pages_backwards():
            for remote in page.items:
                if remote.cipher_hash == wanted:
                    # The token of the first answer is lost; only the owner can make another one.
                    token = await api.regenerate_ownership_token(remote.id)
                    return Done(_answer(remote.id, remote.created_at, remote.created_by_device, token))
        return NotDone()

    async def complete(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        if await work.get(FILES, answer["id"]) is None:
            document = sort_members(
                {
                    "@type": "File",
                    **pending.plan["document"],
                    **answer,
                    "createdBy": self._context.identity.address,
                }
            )
            await work.create(FILES, document)
            work.publish(events.FILE_STORED, document)
        return {"id": answer["id"]}


class _OwnershipLocked(ExternalEventProcessor):
    """Somebody gave a wrong ownership token for an own file."""

    type = "FileOwnershipLocked"

    async def process(self, event: ExternalEvent, fetched: Any, work: Work) -> None:
        document = await work.get(FILES, payload_text(event, "fileId"))
        if document is not None:
            changed = sort_members({**document, "ownershipIsLocked": True})
            await work.save(FILES, changed)
            work.publish(events.FILE_OWNERSHIP_LOCKED, changed)


class _OwnershipClaimed(ExternalEventProcessor):
    """Another identity owns a file now that was ours."""

    type = "FileOwnershipClaimed"

    def __init__(self, files: FileController) -> None:
        self._files = files

    async def process(self, event: ExternalEvent, fetched: Any, work: Work) -> None:
        document = await work.get(FILES, payload_text(event, "fileId"))
        if document is not None:
            changed = await self._files.refresh(document, work)
            work.publish(events.FILE_OWNERSHIP_CLAIMED, changed)


def _answer(file_id: str, created_at: datetime, device_id: str, token: str) -> Json:
    return {
        "id": file_id,
        "createdAt": format_date(created_at),
        "createdByDevice": device_id,
        "ownershipToken": token,
    }


def _without(document: Mapping[str, Any], *names: str) -> Document:
    return {name: value for name, value in document.items() if name not in names}


def _local_part(document: Mapping[str, Any]) -> Document:
    """Returns what only this identity knows of a file, which a refresh must not lose."""
    return {name: document[name] for name in ("metadata", "metadataModifiedAt") if name in document}


async def _in_thread_when_large(work: Callable[[], T], size_bytes: int) -> T:
    return work() if size_bytes <= _INLINE_BYTES else await asyncio.to_thread(work)
