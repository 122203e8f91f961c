"""Files: encrypted contents, their encrypted metadata, and who owns them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime

from enmeshed_connector.backbone.calls import Answer, Call, Caller, Repeat, nothing, path_of
from enmeshed_connector.backbone.multipart import Multipart
from enmeshed_connector.backbone.paging import Page, Pager, page_of
from enmeshed_connector.backbone.wire import Fields, WireError, encode_json, one
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.encodings import to_base64url
from enmeshed_connector.core.ids import DEVICE, FILE, DeviceId, FileId

CONTENT_CAP_BYTES = 20 * 1024 * 1024
"""The largest content that is downloaded unless the caller says otherwise; the Backbone takes 10 MiB."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """What uploads a file."""

    content: bytes = field(repr=False)
    """The encrypted content, 1 byte to 10 MiB."""
    cipher_hash: bytes
    """SHA-512 of the content."""
    owner: Address
    """The own address; sent as official clients do, the Backbone takes the caller."""
    owner_signature: bytes
    """The UTF-8 JSON of the signature object."""
    encrypted_properties: bytes = field(repr=False)
    """The UTF-8 JSON of the cipher of the metadata, 1 MiB at most."""
    expires_at: datetime
    boundary: str = field(repr=False)
    """Separates the parts of the form: letters and digits from the random source, 30 or more."""

    def form(self) -> Multipart:
        """Returns the form to send; the same each time."""
        fields = [
            ("cipherHash", to_base64url(self.cipher_hash)),
            ("owner", self.owner),
            ("ownerSignature", to_base64url(self.owner_signature)),
            ("expiresAt", format_date(self.expires_at)),
            ("encryptedProperties", to_base64url(self.encrypted_properties)),
        ]
        return Multipart(fields, self.content, self.boundary)


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """What the Backbone made of an upload."""

    id: FileId
    """`FIL…`."""
    created_at: datetime
    created_by: Address
    created_by_device: DeviceId
    modified_at: datetime | None
    modified_by: Address | None
    deleted_at: datetime | None
    deleted_by: Address | None
    owner: Address
    owner_signature: bytes
    ownership_token: str = field(repr=False)
    """20 characters; whoever knows them may claim the file."""
    cipher_size: int
    """Bytes of the encrypted content."""
    cipher_hash: bytes
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """What the Backbone tells of a file; never with its ownership token."""

    id: FileId
    created_at: datetime
    created_by: Address
    created_by_device: DeviceId
    modified_at: datetime | None
    modified_by: Address | None
    modified_by_device: DeviceId | None
    deleted_at: datetime | None
    deleted_by: Address | None
    deleted_by_device: DeviceId | None
    owner: Address
    owner_signature: bytes
    ownership_is_locked: bool
    cipher_size: int
    cipher_hash: bytes
    expires_at: datetime
    encrypted_properties: bytes = field(repr=False)


class Files:
    """Uploads, downloads and manages files."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def upload(self, file: NewFile) -> UploadedFile:
        """Uploads a file.

        Raises:
            BackboneRejected: Empty or too large content (code `InclusiveBetweenValidator`).
            QuotaExhausted: `NumberOfFiles`, `UsedFileStorageSpace`.
            AnswerLost: The file may exist; the own files tell by `cipher_hash` (`list().pages_backwards()`).
        """
        return await self._caller.call(
            Call(
                "files.upload",
                "POST",
                path_of("Files"),
                one(_uploaded),
                Repeat.NEVER,
                multipart=file.form(),
                is_transfer=True,
            )
        )

    async def metadata(self, file_id: FileId) -> FileMetadata:
        """Returns the metadata of any file whose id is known.

        Raises:
            RecordNotFound: Unknown, deleted or expired.
        """
        return await self._caller.call(
            Call("files.metadata", "GET", path_of("Files", file_id, "Metadata"), one(_metadata), Repeat.SAFE)
        )

    def list(self, ids: Sequence[FileId] = ()) -> Pager[FileMetadata]:
        """Lists files that the caller created and that are not expired, all or by id, ascending by creation."""
        call: Call[Page[FileMetadata]] = Call(
            "files.list",
            "GET",
            path_of("Files"),
            page_of(_metadata),
            Repeat.SAFE,
            query=[("ids", file_id) for file_id in ids],
        )
        return Pager(self._caller, call)

    async def download(self, file_id: FileId, *, cap_bytes: int = CONTENT_CAP_BYTES) -> bytes:
        """Returns the encrypted content of any file whose id is known; a download that breaks off is started again.

        Raises:
            RecordNotFound: Unknown, deleted or expired.
            AnswerTooLarge: The content has more bytes than the cap.
        """
        return await self._caller.call(self._content_call(file_id, cap_bytes))

    def open(
        self, file_id: FileId, *, cap_bytes: int = CONTENT_CAP_BYTES
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Hands out the encrypted content piece by piece as it comes: `async with files.open(id) as pieces`.

        A download that breaks off is not started again; the iterator raises. Errors are those of `download`.
        """
        return self._caller.stream(self._content_call(file_id, cap_bytes))

    async def delete(self, file_id: FileId) -> None:
        """Deletes a file that the caller created, its content with it.

        Raises:
            RecordNotFound: Unknown.
            ForbiddenByBackbone: Somebody else created it.
        """
        await self._caller.call(
            Call("files.delete", "DELETE", path_of("Files", file_id), nothing, Repeat.SAFE, gone_is_done=True)
        )

    async def regenerate_ownership_token(self, file_id: FileId) -> str:
        """Makes and returns a new ownership token and unlocks the file; the last one made is the valid one.

        Raises:
            ForbiddenByBackbone: The caller does not own it.
        """
        return await self._caller.call(
            Call(
                "files.regenerate_ownership_token",
                "PATCH",
                path_of("Files", file_id, "RegenerateOwnershipToken"),
                one(_new_ownership_token),
                Repeat.SAFE,
            )
        )

    async def claim_ownership(self, file_id: FileId, ownership_token: str) -> str:
        """Makes the caller the owner and returns the new ownership token. A wrong token locks the file.

        Raises:
            BackboneRejected: `validation.file.cannotClaimOwnershipOfOwnFile`.
            ForbiddenByBackbone: The token is wrong or the file is locked.
            AnswerLost: The caller may own it: the metadata tell, and then a new token can be made.
        """
        return await self._caller.call(
            Call(
                "files.claim_ownership",
                "PATCH",
                path_of("Files", file_id, "ClaimOwnership"),
                one(_new_ownership_token),
                Repeat.NEVER,
                body=encode_json({"ownershipToken": ownership_token}),
            )
        )

    async def validate_ownership_token(self, file_id: FileId, ownership_token: str) -> bool:
        """Tells whether this is the ownership token. A wrong one from somebody who is not the owner locks the file."""
        return await self._caller.call(
            Call(
                "files.validate_ownership_token",
                "POST",
                path_of("Files", file_id, "ValidateOwnershipToken"),
                one(_is_valid),
                Repeat.SAFE,
                body=encode_json({"ownershipToken": ownership_token}),
            )
        )

    @staticmethod
    def _content_call(file_id: FileId, cap_bytes: int) -> Call[bytes]:
        return Call(
            "files.download",
            "GET",
            path_of("Files", file_id),
            _content,
            Repeat.SAFE,
            answer_cap_bytes=cap_bytes,
            is_transfer=True,
            is_raw=True,
        )


def _content(answer: Answer) -> bytes:
    if not isinstance(answer.result, bytes):
        raise WireError("result is not raw content")
    return answer.result


def _uploaded(fields: Fields) -> UploadedFile:
    return UploadedFile(
        id=fields.id(FILE, "id"),
        created_at=fields.date("createdAt"),
        created_by=fields.address("createdBy"),
        created_by_device=fields.id(DEVICE, "createdByDevice"),
        modified_at=fields.date_or_none("modifiedAt"),
        modified_by=fields.address_or_none("modifiedBy"),
        deleted_at=fields.date_or_none("deletedAt"),
        deleted_by=fields.address_or_none("deletedBy"),
        owner=fields.address("owner"),
        owner_signature=fields.data("ownerSignature"),
        ownership_token=fields.text("ownershipToken"),
        cipher_size=fields.integer("cipherSize"),
        cipher_hash=fields.data("cipherHash"),
        expires_at=fields.date("expiresAt"),
    )


def _metadata(fields: Fields) -> FileMetadata:
    return FileMetadata(
        id=fields.id(FILE, "id"),
        created_at=fields.date("createdAt"),
        created_by=fields.address("createdBy"),
        created_by_device=fields.id(DEVICE, "createdByDevice"),
        modified_at=fields.date_or_none("modifiedAt"),
        modified_by=fields.address_or_none("modifiedBy"),
        modified_by_device=fields.id_or_none(DEVICE, "modifiedByDevice"),
        deleted_at=fields.date_or_none("deletedAt"),
        deleted_by=fields.address_or_none("deletedBy"),
        deleted_by_device=fields.id_or_none(DEVICE, "deletedByDevice"),
        owner=fields.address("owner"),
        owner_signature=fields.data("ownerSignature"),
        ownership_is_locked=fields.boolean("ownershipIsLocked", default=False),
        cipher_size=fields.integer("cipherSize"),
        cipher_hash=fields.data("cipherHash"),
        expires_at=fields.date("expiresAt"),
        encrypted_properties=fields.data("encryptedProperties"),
    )


def _new_ownership_token(fields: Fields) -> str:
    return fields.text("newOwnershipToken")


def _is_valid(fields: Fields) -> bool:
    return fields.boolean("isValid")
