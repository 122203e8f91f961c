"""Tokens: small encrypted things that are handed over by reference.

Source: transport.md, section 19; crypto.md, section 13. Empty and anonymous tokens are in `anonymous_tokens.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from enmeshed_connector.backbone.endpoints.tokens import BackboneToken, NewToken, Tokens
from enmeshed_connector.backbone.errors import RecordNotFound
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.canonical_json import DEFAULT_MAX_BYTES, Json, JsonObject, dumps, sort_members
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.encodings import from_utf8, to_utf8
from enmeshed_connector.core.foreign_content import loads_content
from enmeshed_connector.core.ids import TOKEN, parse_id
from enmeshed_connector.core.references import TokenReference
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto import Cipher, PasswordProtection, SecretKey, decrypt, encrypt
from enmeshed_connector.storage import FilterLike, SortLike
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import RecordMissing, TokenEmpty
from enmeshed_connector.transport.objects import EXACT_CONTENT, TOKENS, Document, public_part, without_unset
from enmeshed_connector.transport.pending import Operation, PendingOperation, Ticket
from enmeshed_connector.transport.protection import (
    check_recipient,
    hash_for,
    hash_of,
    local_form,
    password_for,
    reference_parts,
)
from enmeshed_connector.transport.work import LOCAL_CAUSE, Cause, Work


class TokenController:
    """Creates, loads, lists and deletes tokens. Documents are Token (transport.md, section 8.1)."""

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context
        self._create = _CreateToken(context)
        self.operations: Sequence[Operation] = (self._create,)

    async def create(
        self,
        content: JsonObject,
        *,
        expires_at: datetime,
        is_ephemeral: bool = False,
        for_identity: Address | None = None,
        protection: PasswordProtection | None = None,
        ticket: Ticket | None = None,
        cause: Cause = LOCAL_CAUSE,
    ) -> Document:
        """Creates an own token and returns it.

        Args:
            content: Any JSON with `@type`.
            expires_at: From when on it cannot be loaded.
            is_ephemeral: Whether it is not kept here.
            for_identity: The only identity that may load it.
            protection: The password that is needed to load it.
            ticket: The caller's idempotency key.
            cause: Where the request comes from.

        Raises:
            NestedTooDeep: The content has more than 255 levels.
            BackboneError: The Backbone refuses, or is away.
        """
        earlier = await self._context.outbox.earlier_result(ticket)
        if earlier is not None:
            return dict(earlier["token"])
        key = SecretKey.generate(self._context.random)
        # Written as the member of an object, as it travels to other devices: what is too deep for that would keep back
        # all later changes.
        plain = dumps({"content": content}).removeprefix('{"content":').removesuffix("}")
        cipher = encrypt(key, to_utf8(plain), random=self._context.random)
        wire = NewToken(
            expires_at,
            cipher.to_text().encode(),
            for_identity,
            None if protection is None else await hash_of(protection.password, protection.shared.salt),
        ).wire()
        document = without_unset(
            content=content,
            createdBy=self._context.identity.address,
            createdByDevice=self._context.device.id,
            expiresAt=format_date(expires_at),
            forIdentity=for_identity,
            isOwn=True,
            passwordProtection=None if protection is None else local_form(protection.password, protection.shared),
            secretKey=key.to_json(verbose=False),
        )
        result = await self._context.outbox.run(
            self._create,
            wire=wire.decode(),
            plan={"document": document, "isEphemeral": is_ephemeral},
            ticket=ticket,
            cause=cause,
        )
        return dict(result["token"])

    async def load(
        self,
        reference: TokenReference,
        *,
        is_ephemeral: bool = False,
        password: SecretText | None = None,
        cause: Cause = LOCAL_CAUSE,
    ) -> Document:
        """Loads a token by its reference and returns it; one that is stored already is returned as it is.

        Raises:
            NoPasswordProvided: It is protected.
            NotIntendedForYou: It is for another identity; nothing was asked.
            RecordNotFound: Unknown, expired, deleted, or the password is wrong.
            TokenEmpty: Nobody has filled it yet.
            BackboneError: The Backbone refuses, or is away.
        """
        password = password_for(reference, password)
        stored = await self._context.store.get(TOKENS, reference.id)
        if stored is not None and "content" in stored:
            return public_part(stored)
        check_recipient(self._context, reference)
        received = await Tokens(self._context.backbone).get(
            parse_id(TOKEN, reference.id), await hash_for(reference, password)
        )
        document = open_token(received, reference, password, is_own=self._is_own(received))
        if is_ephemeral:
            return document

        async def keep(work: Work) -> None:
            await work.save(TOKENS, document)

        await self._context.commits.run(keep, cause=cause)
        return document

    async def get(self, token_id: str) -> Document:
        """Returns a stored token.

        Raises:
            RecordMissing: It is not stored.
        """
        document = await self._context.store.get(TOKENS, token_id)
        if document is None:
            raise RecordMissing("token", token_id)
        return public_part(document)

    async def find(
        self, where: FilterLike = None, *, sort: Sequence[SortLike] = (), limit: int | None = None
    ) -> list[Document]:
        """Returns stored tokens."""
        found = await self._context.store.find(TOKENS, where, sort=sort, limit=limit)
        return [public_part(document) for document in found]

    async def delete(self, token_id: str, *, cause: Cause = LOCAL_CAUSE) -> None:
        """Deletes a token: an own one at the Backbone, too, so that nobody can load it any more.

        Raises:
            RecordMissing: It is not stored.
            BackboneError: The Backbone is away; nothing was deleted.
        """
        document = await self.get(token_id)
        if document.get("isOwn"):
            # Not found: expired and swept away, or deleted by another device.
            with suppress(RecordNotFound):
                await Tokens(self._context.backbone).delete(parse_id(TOKEN, token_id))

        async def remove(work: Work) -> None:
            await work.remove(TOKENS, token_id)

        await self._context.commits.run(remove, cause=cause)

    def reference_of(self, document: Document) -> TokenReference:
        """Returns the reference to a token. It is a secret."""
        key = SecretKey.from_json(document["secretKey"])
        return TokenReference(document["id"], key, **reference_parts(self._context, document))

    async def forget_peer(self, peer: str, work: Work) -> None:
        """Removes the tokens of a decomposed relationship's peer."""
        for token in await work.find(TOKENS, {"createdBy": peer}):
            await work.remove(TOKENS, token["id"])

    def _is_own(self, received: BackboneToken) -> bool:
        return received.created_by is not None and self._context.is_own_address(received.created_by)


def open_token(
    received: BackboneToken, reference: TokenReference, password: SecretText | None, *, is_own: bool
) -> Document:
    """Returns the document of a token that was just received.

    Raises:
        TokenEmpty: Nobody has filled it yet.
        DecryptionFailed: The key of the reference does not fit.
        MalformedValue: What is in it is no JSON object.
    """
    if received.content is None or received.created_by is None:
        raise TokenEmpty(f"Token {reference.id} is empty: somebody must fill it first.", facts={"id": reference.id})
    key = SecretKey(reference.key)
    plain = from_utf8(decrypt(key, Cipher.from_text(received.content, "content")), "content")
    content, content_text = loads_content(plain, field="content", max_bytes=DEFAULT_MAX_BYTES)
    protection = reference.password_protection
    return sort_members(
        without_unset(
            **{"@type": "Token", EXACT_CONTENT: content_text},
            content=content,
            createdAt=format_date(received.created_at),
            createdBy=received.created_by,
            createdByDevice=received.created_by_device,
            expiresAt=format_date(received.expires_at),
            forIdentity=received.for_identity,
            id=received.id,
            isOwn=is_own,
            passwordProtection=None if protection is None or password is None else local_form(password, protection),
            secretKey=key.to_json(verbose=False),
        )
    )


class _CreateToken(Operation):
    """Creates a token; an orphaned one harms nobody, so a repeat simply sends it again."""

    kind = "tokens.create"
    is_repeatable = True

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    async def transmit(self, pending: PendingOperation) -> Json:
        created = await Tokens(self._context.backbone).create(pending.wire.encode())
        return {"id": created.id, "createdAt": format_date(created.created_at)}

    async def complete(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        token = sort_members({"@type": "Token", **pending.plan["document"], **answer})
        if not pending.plan["isEphemeral"] and await work.get(TOKENS, token["id"]) is None:
            await work.create(TOKENS, token)
        # The result is the whole token: an ephemeral one is nowhere else.
        return {"token": token}
