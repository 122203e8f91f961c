"""What all use cases share: the caller's intent, pages, errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

from enmeshed_connector.core.errors import Code, DomainError, FailedPrecondition, InvalidArgument
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.derivation import PasswordProtection
from enmeshed_connector.runtime.views import LOCATIONS, View
from enmeshed_connector.storage import CollectionSpec, FilterLike, Keyset, SortLike, Store, keyset_maker
from enmeshed_connector.transport.context import RandomSource
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.pending import Ticket
from enmeshed_connector.transport.schema import TRANSPORT_SCHEMA
from enmeshed_connector.transport.work import LOCAL_CAUSE, Cause


@dataclass(frozen=True)
class Intent:
    """Who wants something, and under which idempotency key."""

    ticket: Ticket | None = None
    cause: Cause = LOCAL_CAUSE


NOBODY = Intent()
"""The intent of things that happen without a caller's key."""


State: TypeAlias = tuple[str | int, ...]


class Entry(NamedTuple):
    """One object of a page."""

    make_view: Callable[[], View]
    """Makes `view`, which is not needed where what it leads to is known."""
    place: Callable[[], Keyset]
    """Makes `after`, for which few objects are asked."""
    state: State = ()
    """All that the view depends on, as far as that can be told in few words; else empty."""

    @property
    def view(self) -> View:
        """The object as callers see it."""
        return self.make_view()

    @property
    def after(self) -> Keyset:
        """The place of a page's end after it."""
        return self.place()


@dataclass(frozen=True)
class Protection:
    """The password that a caller wants for a new template or token."""

    password: SecretText
    is_pin: bool = False
    location: str | None = None
    """A name (`Email`) or a number from `50` to `99`."""

    def create(self, random: RandomSource) -> PasswordProtection:
        """Returns the protection with a fresh salt.

        Raises:
            MalformedValue: The password is empty or not the PIN that it should be, or the location is unknown.
        """
        return PasswordProtection.create(
            self.password, is_pin=self.is_pin, location_indicator=_indicator(self.location), random=random
        )


class ContentTypeNotAllowedHere(InvalidArgument):
    """Content of this type cannot be used for this."""

    reason, code = "CONTENT_TYPE_NOT_ALLOWED", Code.INVALID_ARGUMENT
    default_official_code = "error.runtime.validation.invalidPropertyValue"


class TimeInPast(InvalidArgument):
    """A moment that must lie ahead does not."""

    reason, code = "TIME_IN_PAST", Code.INVALID_ARGUMENT
    default_official_code = "error.runtime.validation.invalidPropertyValue"


class ReferenceKindWrong(InvalidArgument):
    """The reference leads to another kind of thing."""

    reason, code = "REFERENCE_INVALID", Code.INVALID_ARGUMENT
    default_official_code = "error.runtime.validation.invalidPropertyValue"


class TokenContentUnsuitable(FailedPrecondition):
    """The token holds something else than what is needed here."""

    reason, code = "TOKEN_CONTENT_INVALID", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.invalidTokenContent"


class MustBeInherited(FailedPrecondition):
    """A token of a template must be personalised as the template is."""

    reason, code = "PERSONALIZATION_MUST_BE_INHERITED", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.relationshipTemplates.personalizationMustBeInherited"


class ProtectionMustBeInherited(FailedPrecondition):
    """A token of a template must have the template's password."""

    reason, code = "PASSWORD_PROTECTION_MUST_BE_INHERITED", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.relationshipTemplates.passwordProtectionMustBeInherited"


class TemplateNotOwn(FailedPrecondition):
    """Only own templates can be put into a token."""

    reason, code = "TEMPLATE_NOT_OWN", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.relationshipTemplates.cannotCreateTokenForPeerTemplate"


class PeerInDeletion(DomainError):
    """A recipient's identity is about to be deleted."""

    reason, code = "PEER_IN_DELETION", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.messages.peerIsInDeletion"


class NoActiveRelationship(DomainError):
    """This content needs an active relationship with every recipient."""

    reason, code = "RELATIONSHIP_NOT_ACTIVE", Code.FAILED_PRECONDITION
    default_official_code = "error.runtime.messages.hasNoActiveRelationship"


class RecipientsMismatch(InvalidArgument):
    """The recipients of a mail are not those of its message."""

    reason, code = "RECIPIENTS_MISMATCH", Code.INVALID_ARGUMENT
    default_official_code = "error.runtime.validation.invalidPropertyValue"


async def list_page(
    store: Store,
    collection: str,
    view: Callable[[Document], View],
    *,
    where: FilterLike,
    sort: Sequence[SortLike],
    limit: int,
    after: Keyset | None,
    specs: Sequence[CollectionSpec] = TRANSPORT_SCHEMA,
) -> list[Entry]:
    """Returns the next objects of a list, at most `limit`, each with the place after it.

    Raises:
        ValueError: The keyset belongs to another order.
        StorageUnavailable: The database is away.
    """
    spec = next(spec for spec in specs if spec.name == collection)
    documents = await store.find(collection, where, sort=sort, limit=limit, after=after)
    place_of = keyset_maker(spec, sort)
    return [Entry(partial(view, document), partial(place_of, document), state_of(document)) for document in documents]


def state_of(document: Document, *facts: str | int) -> State:
    """Returns the state of an object: its id, its revision, and what else its view depends on.

    A revision is a place in the log, so an object that is deleted and comes back has another one.
    """
    rev = document["_rev"]
    # Nothing is known of the changes of documents that are older than this software.
    return (document["id"], rev, *facts) if rev else ()


def _indicator(location: str | None) -> int | None:
    if not location:
        return None
    if location.isascii() and location.isdigit():
        return int(location)
    by_name = {name: number for number, name in LOCATIONS.items() if number != 0}
    if location not in by_name:
        raise InvalidArgument("The password location is unknown.")
    return by_name[location]
