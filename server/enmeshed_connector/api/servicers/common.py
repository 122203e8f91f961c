"""What all servicers share: whose use cases, under which key, and pages."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol, TypeVar

from google.protobuf.message import Message

from enmeshed.connector.v1 import filters_pb2
from enmeshed_connector.api.calls import Call, current_call
from enmeshed_connector.api.conversion.things import Converter
from enmeshed_connector.api.paging import Page, PageTokens, collect_page
from enmeshed_connector.api.serialised_objects import SerialisedObjects
from enmeshed_connector.api.wire_format import length_delimited
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.runtime.use_cases.bundle import UseCases
from enmeshed_connector.runtime.use_cases.common import Entry, Intent
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import Keyset, Sort
from enmeshed_connector.transport.pending import Ticket
from enmeshed_connector.transport.work import Cause

M = TypeVar("M", bound=Message)
T = TypeVar("T", bound=Message | bytes)

IDEMPOTENCY_KEY: Final = "x-idempotency-key"
"""Trailing metadata of mutations: the key that was used, the caller's or one that was made."""

_DEFAULT_TIME: Final = timedelta(seconds=60)


class Hosts(Protocol):
    """Knows the hosted accounts."""

    def use_cases(self, account: str) -> UseCases:
        """Returns what callers can do with an account.

        Raises:
            DomainError: It is not open.
        """


class Servicer:
    """The base of all servicers."""

    def __init__(self, hosts: Hosts, codec: ContentCodec, tokens: PageTokens) -> None:
        """Takes the collaborators.

        Args:
            hosts: Knows the accounts.
            codec: Converts content.
            tokens: Makes page tokens.
        """
        self._hosts = hosts
        self._codec = codec
        self._tokens = tokens

    def use_cases(self) -> UseCases:
        """Returns the use cases of the account that the present call chose."""
        return self._hosts.use_cases(current_call().account_name())

    def converter(self, view: int = filters_pb2.VIEW_UNSPECIFIED) -> Converter:
        """Returns what converts for the present caller.

        Args:
            view: The view that the request asks for.
        """
        return Converter(self._codec, current_call().scopes, is_full=view != filters_pb2.VIEW_BASIC)

    async def page(
        self,
        request: Message,
        fetch: Callable[..., Awaitable[list[Entry]]],
        convert: Callable[[View], M],
        *,
        where: object,
        sort: Sequence[Sort],
    ) -> Page[M]:
        """Returns a page of a list.

        Args:
            request: The list request.
            fetch: The `list` of a use case.
            convert: Makes the message of a view.
            where: The filter of the store.
            sort: The order.

        Raises:
            PageTokenInvalid: The page token is not good.
        """
        return await self._page(request, fetch, lambda entry: convert(entry.view), where=where, sort=sort)

    async def serialised_page(
        self,
        request: Message,
        answer: Message,
        objects: SerialisedObjects,
        fetch: Callable[..., Awaitable[list[Entry]]],
        convert: Callable[[View], Message],
        *,
        where: object,
        sort: Sequence[Sort],
    ) -> bytes:
        """Returns a page of a list as the serialised answer, for objects that are large and listed often.

        Args:
            request: The list request; what is shown of an object depends on nothing of it but its `view`.
            answer: The empty answer: a repeated message, and a `next_page_token`.
            objects: What is serialised already.
            fetch: The `list` of a use case.
            convert: Makes the message of a view, the same for every caller.
            where: The filter of the store.
            sort: The order.

        Raises:
            PageTokenInvalid: The page token is not good.
        """
        (listed,) = (field for field in answer.DESCRIPTOR.fields if field.message_type is not None)
        is_basic = request.view == filters_pb2.VIEW_BASIC  # type: ignore[attr-defined]  # every list request has it
        kind = (listed.full_name, current_call().account_name(), is_basic)

        def serialised(entry: Entry) -> bytes:
            def make() -> bytes:
                return length_delimited(listed.number, convert(entry.view).SerializeToString())

            return objects.get((kind, entry.state), make) if entry.state else make()

        page = await self._page(request, fetch, serialised, where=where, sort=sort)
        answer.next_page_token = page.next_page_token  # type: ignore[attr-defined]  # every list answer has it
        return b"".join((*page.items, answer.SerializeToString()))

    async def _page(
        self,
        request: Message,
        fetch: Callable[..., Awaitable[list[Entry]]],
        convert: Callable[[Entry], T],
        *,
        where: object,
        sort: Sequence[Sort],
    ) -> Page[T]:
        async def entries(after: Keyset | None, limit: int) -> list[Entry]:
            return await fetch(where, sort, limit=limit, after=after)

        return await collect_page(
            entries,
            convert,
            request=request,
            account=current_call().account_name(),
            tokens=self._tokens,
            end_of=lambda entry: entry.after,
        )


def intent_of(request: Message, *digests: bytes) -> Intent:
    """Returns what the present caller wants done once.

    A request without an idempotency key gets one, which the trailing metadata tell.

    Args:
        request: A mutation, with a field `idempotency_key`.
        digests: Digests of what belongs to the request and is not in it (uploaded bytes).
    """
    call = current_call()
    key: str = request.idempotency_key or str(uuid.uuid4())  # type: ignore[attr-defined]  # every mutation has it
    call.trailing[IDEMPOTENCY_KEY] = key
    call.facts["idempotency_key"] = key
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("idempotency_key")
    digest = hashlib.sha256(bare.SerializeToString(deterministic=True))
    for part in digests:
        digest.update(part)
    credential = call.credential.id if call.credential else ""
    scope = f"{call.account_name()}/{call.method.name}/{credential}/{key}"
    return Intent(Ticket(scope, digest.hexdigest(), key, call.method.name), cause_of(call))


def cause_of(call: Call) -> Cause:
    """Returns the cause of what a call changes."""
    return Cause(correlation_id=call.correlation_id or None)


def time_left() -> timedelta:
    """Returns how long the present caller still waits, a minute when it did not say."""
    return current_call().time_left() or _DEFAULT_TIME
