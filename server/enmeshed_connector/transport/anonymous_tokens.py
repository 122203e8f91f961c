"""Empty tokens, which somebody else fills, and tokens that are loaded by a device that has no identity yet.

Source: transport.md, sections 10.4 and 19.4.
"""

from __future__ import annotations

from enmeshed_connector.backbone.calls import Caller
from enmeshed_connector.backbone.endpoints.tokens import Tokens
from enmeshed_connector.backbone.errors import AnswerLost, BackboneRejected
from enmeshed_connector.core.canonical_json import JsonObject, dumps, loads_object
from enmeshed_connector.core.encodings import from_utf8, to_utf8
from enmeshed_connector.core.ids import TOKEN, parse_id
from enmeshed_connector.core.references import TokenReference
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto import Cipher, SecretKey, decrypt, encrypt
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import NotIntendedForYou, TokenEmpty, TokenNotEmpty
from enmeshed_connector.transport.protection import hash_for, password_for

_FILLED = "validation.token.contentUpdateNotPossibleBecauseContentAlreadyExists"


async def load_anonymously(caller: Caller, reference: TokenReference, password: SecretText | None = None) -> JsonObject:
    """Returns what a token holds, without credentials.

    Args:
        caller: Calls without credentials.
        reference: The reference to the token.
        password: Its password, where it is protected.

    Raises:
        NotIntendedForYou: It is for one identity, and here is none.
        NoPasswordProvided: It is protected.
        RecordNotFound: Unknown, expired, deleted, or the password is wrong.
        TokenEmpty: Nobody has filled it yet.
        BackboneError: The Backbone refuses, or is away.
    """
    if reference.for_identity_truncated is not None:
        raise NotIntendedForYou(f"{reference.id} is personalised for an identity.", facts={"id": reference.id})
    password = password_for(reference, password)
    content = await _content(caller, reference, await hash_for(reference, password))
    if content is None:
        raise TokenEmpty(f"Token {reference.id} is empty: somebody must fill it first.", facts={"id": reference.id})
    return content


class EmptyTokens:
    """Looks into tokens that others made to be filled, and fills them."""

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context

    async def content(self, reference: TokenReference) -> JsonObject | None:
        """Returns what the token holds, None when it is empty.

        Raises:
            TokenNotEmpty: It is protected, and the reference does not hold the password, as those of empty tokens do.
            RecordNotFound: Unknown, expired or deleted.
            BackboneError: The Backbone is away.
        """
        return await _content(self._context.backbone, reference, await _hash_inside(reference))

    async def fill(self, reference: TokenReference, content: JsonObject) -> None:
        """Fills an empty token; whoever has the reference can read what is in it then.

        Raises:
            TokenNotEmpty: Somebody was faster.
            AnswerLost: It may be filled, and the Backbone cannot be asked.
            BackboneError: The Backbone refuses, or is away.
        """
        random = self._context.random
        cipher = encrypt(SecretKey(reference.key), to_utf8(dumps(content)), random=random)
        try:
            await Tokens(self._context.backbone).update_content(
                parse_id(TOKEN, reference.id), cipher.to_text().encode(), await _hash_inside(reference)
            )
        except AnswerLost:
            if await self.content(reference) != content:
                raise
        except BackboneRejected as error:
            if error.has_code(_FILLED):
                raise not_empty(reference) from error
            raise


def not_empty(reference: TokenReference) -> TokenNotEmpty:
    """Returns the error for a token that cannot be filled."""
    return TokenNotEmpty(f"Token {reference.id} is no empty token.", facts={"id": reference.id})


async def _hash_inside(reference: TokenReference) -> bytes | None:
    """Returns the hash of the password that the reference itself holds, as official version 7.0.0 makes empty tokens.

    Raises:
        TokenNotEmpty: It is protected by a password that travels another way.
    """
    protection = reference.password_protection
    if protection is None:
        return None
    if protection.password is None:
        raise not_empty(reference)
    return await hash_for(reference, protection.password)


async def _content(caller: Caller, reference: TokenReference, password: bytes | None) -> JsonObject | None:
    received = await Tokens(caller).get(parse_id(TOKEN, reference.id), password)
    if received.content is None:
        return None
    plain = decrypt(SecretKey(reference.key), Cipher.from_text(received.content, "content"))
    return loads_object(from_utf8(plain, "content"), field="content")
