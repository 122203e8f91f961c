"""Tokens: small encrypted things that are handed over by reference, with or without an identity."""

from __future__ import annotations

from collections.abc import Sequence
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
from enmeshed_connector.core.ids import DEVICE, TOKEN, DeviceId, TokenId


@dataclass(frozen=True, slots=True)
class NewToken:
    """What creates a token."""

    expires_at: datetime
    """At most five minutes ahead for anonymous callers."""
    content: bytes | None = field(default=None, repr=False)
    """The UTF-8 JSON of the cipher, 10 MiB at most; None for an empty token, and always None for anonymous callers."""
    for_identity: Address | None = None
    password: bytes | None = field(default=None, repr=False)
    """The hash of the password, 1 to 200 bytes."""

    def wire(self) -> bytes:
        """Returns the exact body of the request."""
        return encode_json(
            without_nones(
                {
                    "content": self.content,
                    "expiresAt": self.expires_at,
                    "forIdentity": self.for_identity,
                    "password": None if self.password is None else encode_password(self.password),
                }
            )
        )


@dataclass(frozen=True, slots=True)
class BackboneToken:
    """A token as the Backbone hands it out."""

    id: TokenId
    """`TOK…`."""
    created_by: Address | None
    """None for a token of an anonymous caller that nobody has filled."""
    created_by_device: DeviceId | None
    created_at: datetime
    expires_at: datetime
    for_identity: Address | None
    is_password_protected: bool
    content: bytes | None = field(repr=False)
    """None for an empty token, and in the answer of `update_content`."""


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """The id and date that the Backbone gave to a new token."""

    id: TokenId
    created_at: datetime


class Tokens:
    """Creates, loads, fills and deletes tokens. Anonymous callers may create empty ones and load."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(self, token: NewToken | bytes) -> CreatedToken:
        """Creates a token; takes also the exact body that `NewToken.wire` gave.

        Repeated when the answer is lost: a token whose id nobody knows harms nobody.

        Raises:
            InputRejected: A date in the past or too far ahead, too large content.
            QuotaExhausted: `NumberOfTokens`.
        """
        if isinstance(token, bytes):
            body = token
        else:
            body = await off_loop_when_large(token.wire, len(token.content or b""))
        return await self._caller.call(
            Call("tokens.create", "POST", path_of("Tokens"), one(_created), Repeat.SAFE, body=body)
        )

    async def get(self, token_id: TokenId, password: bytes | None = None) -> BackboneToken:
        """Loads a token. A wrong password is counted; after a hundred the token is locked for everybody.

        Raises:
            RecordNotFound: Unknown, expired, for somebody else, or the password is missing or wrong.
            BackboneRejected: `token.tooManyFailedPasswordAttempts`.
        """
        return await self._caller.call(
            Call(
                "tokens.get",
                "GET",
                path_of("Tokens", token_id),
                one(_token),
                Repeat.SAFE,
                query=[] if password is None else [("password", encode_password(password))],
            )
        )

    def list(self, ids: Sequence[TokenId]) -> Pager[BackboneToken]:
        """Lists tokens by id that the caller created or has loaded before, expired ones too; others are left out.

        Raises:
            ValueError: No id is given.
        """
        if not ids:
            raise ValueError("At least one id is needed.")
        call: Call[Page[BackboneToken]] = Call(
            "tokens.list",
            "GET",
            path_of("Tokens"),
            page_of(_token),
            Repeat.SAFE,
            query=[("ids", token_id) for token_id in ids],
        )
        return Pager(self._caller, call)

    async def delete(self, token_id: TokenId) -> None:
        """Deletes an own token.

        Raises:
            RecordNotFound: Unknown.
            ForbiddenByBackbone: It is another identity's.
        """
        await self._caller.call(
            Call("tokens.delete", "DELETE", path_of("Tokens", token_id), nothing, Repeat.SAFE, gone_is_done=True)
        )

    async def update_content(
        self, token_id: TokenId, new_content: bytes, password: bytes | None = None
    ) -> BackboneToken:
        """Fills an empty token with the UTF-8 JSON of a cipher; the caller becomes its creator.

        Raises:
            RecordNotFound: As for `get`.
            BackboneRejected: `token.contentUpdateNotPossibleBecauseContentAlreadyExists`,
                `token.tooManyFailedPasswordAttempts`.
            AnswerLost: It may be filled; `get` tells by the content.
        """
        members = without_nones(
            {
                "id": token_id,
                "newContent": new_content,
                "password": None if password is None else encode_password(password),
            }
        )
        return await self._caller.call(
            Call(
                "tokens.update_content",
                "POST",
                path_of("Tokens", token_id, "UpdateContent"),
                one(_token),
                Repeat.NEVER,
                body=await off_loop_when_large(lambda: encode_json(members), len(new_content)),
            )
        )


def _created(fields: Fields) -> CreatedToken:
    return CreatedToken(fields.id(TOKEN, "id"), fields.date("createdAt"))


def _token(fields: Fields) -> BackboneToken:
    return BackboneToken(
        id=fields.id(TOKEN, "id"),
        created_by=fields.address_or_none("createdBy"),
        created_by_device=fields.id_or_none(DEVICE, "createdByDevice"),
        created_at=fields.date("createdAt"),
        expires_at=fields.date("expiresAt"),
        for_identity=fields.address_or_none("forIdentity"),
        # Backbones before this member existed had no protected tokens to tell of.
        is_password_protected=fields.boolean("isPasswordProtected", default=False),
        content=fields.data_or_none("content"),
    )
