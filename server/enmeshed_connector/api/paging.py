"""Pages: opaque tokens that cannot be altered, and pages that end at a number of bytes."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from google.protobuf.message import Message

from enmeshed_connector.api.errors import PageTokenInvalid
from enmeshed_connector.core.canonical_json import dump_bytes, loads
from enmeshed_connector.core.encodings import from_base64url, to_base64url
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.storage import CollectionSpec, Keyset, Store, UniqueViolation, UnitOfWork

MAX_PAGE_BYTES: Final = 2 * 1024 * 1024
"""A page ends here whatever `page_size` says; its first thing is on it whatever its size."""

SECRETS: Final = "_ServerSecrets"
PAGING_COLLECTIONS: Final = (CollectionSpec(SECRETS),)
"""What this module keeps in the `server` database."""

_KEY_ID: Final = "pageTokens"
_TAG_BYTES: Final = 16
# Fetched at once: what is too much for the page was read for nothing, and stays in memory for that long.
_CHUNK: Final = 50

M = TypeVar("M", bound=Message | bytes)
D = TypeVar("D")


async def load_page_key(store: Store, random: Callable[[int], bytes] = os.urandom) -> bytes:
    """Returns the key of page tokens, made at the first start; the same in every replica and after every restart.

    Args:
        store: The `server` database, opened with `PAGING_COLLECTIONS`.
        random: The source of the key.
    """
    fresh = random(32).hex()

    async def work(uow: UnitOfWork) -> str:
        document = await uow.get(SECRETS, _KEY_ID)
        if document is None:
            uow.insert(SECRETS, {"id": _KEY_ID, "key": fresh})
            return fresh
        key: str = document["key"]
        return key

    try:
        return bytes.fromhex(await store.transact(work))
    except UniqueViolation:
        # Another replica was faster.
        return bytes.fromhex(await store.transact(work))


class PageTokens:
    """Makes and reads page tokens. A token holds where the page ended, and a tag over that, the call and its other
    fields.
    """

    def __init__(self, key: bytes) -> None:
        """Takes the key.

        Args:
            key: 32 bytes, from `load_page_key`.
        """
        self._key = key

    def make(self, keyset: Keyset, request: Message, account: str) -> str:
        """Returns the token of the page that follows.

        Args:
            keyset: Where this page ended.
            request: The request, to which the token is bound but for `page_size` and `page_token`.
            account: The account, to which it is bound too.
        """
        payload = dump_bytes([*keyset.values, keyset.id])
        return to_base64url(self._tag(payload, request, account) + payload)

    def read(self, request: Message, account: str) -> Keyset | None:
        """Returns where the page before ended, None when the request asks for the first page.

        Args:
            request: Has a field `page_token`.
            account: The account of the call.

        Raises:
            PageTokenInvalid: The token is altered, or was made for another call, other fields or another account.
        """
        token: str = request.page_token  # type: ignore[attr-defined] # every list request has it
        if not token:
            return None
        try:
            data = from_base64url(token, "page_token")
            tag, payload = data[:_TAG_BYTES], data[_TAG_BYTES:]
            if not hmac.compare_digest(tag, self._tag(payload, request, account)):
                raise _invalid()
            *values, identifier = loads(payload)
        except (MalformedValue, ValueError):
            raise _invalid() from None
        return Keyset(tuple(values), identifier)

    def _tag(self, payload: bytes, request: Message, account: str) -> bytes:
        bound = type(request)()
        bound.CopyFrom(request)
        bound.ClearField("page_size")
        bound.ClearField("page_token")
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in (
            request.DESCRIPTOR.full_name.encode(),
            account.encode(),
            bound.SerializeToString(deterministic=True),
            payload,
        ):
            mac.update(len(part).to_bytes(8, "big") + part)
        return mac.digest()[:_TAG_BYTES]


@dataclass(frozen=True)
class Page(Generic[M]):
    """What goes into a list answer."""

    items: list[M]
    next_page_token: str


def page_size_of(request: Message, default: int = 50, maximum: int = 500) -> int:
    """Returns how many things a request asks for at most."""
    asked: int = request.page_size  # type: ignore[attr-defined] # every list request has it
    return min(asked or default, maximum)


async def collect_page(
    fetch: Callable[[Keyset | None, int], Awaitable[list[D]]],
    convert: Callable[[D], M],
    *,
    request: Message,
    account: str,
    tokens: PageTokens,
    end_of: Callable[[D], Keyset],
    default_size: int = 50,
    max_bytes: int = MAX_PAGE_BYTES,
) -> Page[M]:
    """Returns a page of a list.

    Args:
        fetch: Returns at most so many documents after a place, in the order of the list.
        convert: Makes the message of a document, or that message serialised.
        request: A list request.
        account: The account of the call.
        tokens: Makes the token of the next page.
        end_of: Returns where a page ends whose last document this is.
        default_size: What `page_size` 0 means.
        max_bytes: Where a page ends.

    Raises:
        PageTokenInvalid: The page token is not good.
    """
    after = tokens.read(request, account)
    size = page_size_of(request, default_size)
    items: list[M] = []
    total = 0
    while True:
        wanted = min(_CHUNK, size - len(items))
        # One more tells whether there is a next page. The wait also lets other calls run between two chunks.
        documents = await fetch(after, wanted + 1)
        taken = 0
        for document in documents[:wanted]:
            item = convert(document)
            total += len(item) if isinstance(item, bytes) else item.ByteSize()
            if items and total > max_bytes:
                break
            items.append(item)
            taken += 1
        if taken == len(documents):
            return Page(items, "")
        if taken:
            after = end_of(documents[taken - 1])
        if taken < wanted or len(items) == size:
            return Page(items, _next(after, tokens, request, account))


def _next(after: Keyset | None, tokens: PageTokens, request: Message, account: str) -> str:
    return tokens.make(after, request, account) if after is not None else ""


def _invalid() -> PageTokenInvalid:
    return PageTokenInvalid("the page token does not belong to this request: begin with the first page")
