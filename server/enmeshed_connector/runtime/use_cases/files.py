"""Files. Source: connector.md, section 3.6."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from enmeshed_connector.consumption.attributes.tags import TagController
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.ids import FILE, parse_id
from enmeshed_connector.core.references import FileReference, Reference, TokenReference, parse_reference
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.symmetric import SecretKey
from enmeshed_connector.crypto.tokens import TokenContentFile, parse_token_content
from enmeshed_connector.runtime.use_cases.common import (
    Entry,
    Intent,
    Protection,
    ReferenceKindWrong,
    TimeInPast,
    TokenContentUnsuitable,
    list_page,
)
from enmeshed_connector.runtime.views import View, Views
from enmeshed_connector.storage import FilterLike, Keyset, SortLike
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.objects import FILES

NEVER = "9999-12-31T00:00:00.000Z"
"""The expiry of files that do not expire."""
_VALUE_TYPE = "IdentityFileReference"
"""Whose tags a file may bear: whoever takes it over keeps it as such an attribute, with its tags."""


class FileUseCases:
    """What callers can do with files."""

    def __init__(self, transport: TransportAccount, views: Views, tags: TagController) -> None:
        """Takes the account, and who knows the tags."""
        self._transport = transport
        self._views = views
        self._tags = tags

    @property
    def limit_bytes(self) -> int:
        """The largest file that is taken."""
        return self._transport.context.settings.maximum_file_bytes

    async def upload(
        self,
        content: bytes,
        intent: Intent,
        *,
        filename: str,
        mimetype: str,
        expires_at: datetime | None = None,
        title: str | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> View:
        """Uploads a file.

        Raises:
            TimeInPast: It would be expired.
            TagsInvalid: It may not bear its tags.
            BackboneError: Whether it may cannot be found out now.
            DomainError: Those of `FileController.upload`.
        """
        earlier = await self._transport.context.outbox.earlier_result(intent.ticket)
        if earlier is not None:
            return await self.get(earlier["id"])
        if expires_at is not None and expires_at <= self._transport.context.clock.now():
            raise TimeInPast("A file must expire in the future.")
        await self._tags.check(_VALUE_TYPE, tags or (), "metadata.tags")
        file = await self._transport.files.upload(
            content,
            filename=filename,
            mimetype=mimetype,
            expires_at=expires_at or parse_date(NEVER),
            title=title,
            description=description,
            tags=tags,
            ticket=intent.ticket,
            cause=intent.cause,
        )
        return self._views.file(file)

    async def load(self, reference: str, intent: Intent, *, password: SecretText | None = None) -> View:
        """Loads a file by a reference to it or to a token that leads to it.

        Raises:
            MalformedValue: It is no reference.
            ReferenceKindWrong: It leads to a template.
            TokenContentUnsuitable: The token holds something else.
            DomainError: Those of `FileController.load` and `TokenController.load`.
        """
        found = await self.resolve(parse_reference(reference), password)
        return self._views.file(await self._transport.files.load(found, cause=intent.cause))

    async def resolve(self, reference: Reference, password: SecretText | None) -> FileReference:
        """Returns the reference to a file, following a token."""
        if isinstance(reference, FileReference):
            return reference
        if not isinstance(reference, TokenReference):
            raise ReferenceKindWrong("The reference leads neither to a file nor to a token.")
        token = await self._transport.tokens.load(reference, is_ephemeral=True, password=password)
        content = parse_token_content(token["content"])
        if not isinstance(content, TokenContentFile):
            raise TokenContentUnsuitable("The token does not lead to a file.")
        return FileReference(content.file_id, content.secret_key)

    async def get(self, file_id: str) -> View:
        """Returns a file, or raises `RecordMissing`."""
        return self._views.file(await self._transport.files.get(file_id))

    async def get_by_reference(self, reference: str) -> View:
        """Returns a stored file by its reference, of which only the id is used; nothing is loaded."""
        return await self.get(FileReference.parse(reference).id)

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next files of a list."""
        return await list_page(
            self._transport.context.store,
            FILES,
            self._views.file,
            where=where,
            sort=sort,
            limit=limit,
            after=after,
        )

    async def download(self, file_id: str) -> tuple[View, bytes]:
        """Returns a file with its content. Errors: of `FileController.download`."""
        file, content = await self._transport.files.download(file_id)
        return self._views.file(file), content

    async def delete(self, file_id: str, intent: Intent) -> None:
        """Deletes a file. Errors: of `FileController.delete`."""
        await self._transport.files.delete(file_id, cause=intent.cause)

    async def regenerate_ownership_token(self, file_id: str, intent: Intent) -> View:
        """Makes a new ownership token. Errors: of `FileController.regenerate_ownership_token`."""
        return self._views.file(await self._transport.files.regenerate_ownership_token(file_id, cause=intent.cause))

    async def create_token(
        self,
        file_id: str,
        intent: Intent,
        *,
        expires_at: datetime | None = None,
        is_ephemeral: bool = True,
        for_identity: Address | None = None,
        protection: Protection | None = None,
    ) -> View:
        """Creates a token that leads to a file. Errors: `RecordMissing`, those of `TokenController.create`."""
        file = await self._transport.files.get(file_id)
        content = TokenContentFile(parse_id(FILE, file_id), SecretKey.from_json(file["secretKey"], "secretKey"))
        token = await self._transport.tokens.create(
            content.to_json(),
            expires_at=expires_at or parse_date(file["expiresAt"]),
            is_ephemeral=is_ephemeral,
            for_identity=for_identity,
            protection=None if protection is None else protection.create(self._transport.context.random),
            ticket=intent.ticket,
            cause=intent.cause,
        )
        return self._views.token(token, is_ephemeral=is_ephemeral)
