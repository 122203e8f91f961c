"""What every type of request item can do; by itself, what items without meaning for this room do.

Items, decisions and response items are the network's own JSON: items with `@type`, decisions as in consumption.md,
section 10.2 (`{"accept": true, "existingAttributeId": "ATT…"}`), response items as in content.md, section 8.

A check reads and changes nothing. It is asked twice: outside of a commit with the store, where it may ask the Backbone
(for tags), and inside with the `Work`, on what the commit sees, where it must not (tags were looked at before). What
changes something takes part in a commit: it must not reach outside, and must be safe to run again.
"""

from __future__ import annotations

from dataclasses import dataclass

from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.requests.results import SUCCESS, ValidationResult
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.transport.work import Work


@dataclass(frozen=True)
class Asked:
    """The request that an item belongs to."""

    request_id: str | None
    """None while an outgoing request has none: it is validated only, or part of a template."""
    peer: str | None
    """The address of the other side; None while it is not known: an outgoing request of a template."""

    def settled(self) -> tuple[str, str]:
        """Returns the id and the peer of a request that has both: of any that is sent or answered.

        Raises:
            ValueError: It lacks one of them.
        """
        if self.request_id is None or self.peer is None:
            raise ValueError("the request is neither sent nor received")
        return self.request_id, self.peer


class ItemProcessor:
    """Items that need no more than a yes or no."""

    response_types: frozenset[str] = frozenset({"AcceptResponseItem"})
    """The `@type`s of response items that accept such an item."""
    parameters: frozenset[str] = frozenset()
    """What a decision that accepts such an item may hold besides."""

    async def can_create(self, item: JsonObject, asked: Asked, reader: Reader) -> ValidationResult:
        """Tells whether this identity may ask it."""
        return SUCCESS

    async def can_accept(
        self, item: JsonObject, decision: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        """Tells whether this identity may accept it so.

        Raises:
            DomainError: What makes the request unacceptable however it is decided.
        """
        return SUCCESS

    async def can_reject(
        self, item: JsonObject, decision: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        """Tells whether this identity may reject it so."""
        return SUCCESS

    async def prepare(self, item: JsonObject, decision: JsonObject, asked: Asked) -> JsonObject | None:
        """Does outside, before the commit, what the acceptance needs; safe to repeat.

        Called after `can_accept` succeeded with the store, for each accepted item. Its result is handed to `can_accept`
        with the work and to `accept` as `decision['_prepared']`; None, when nothing is needed, is not handed on.

        Raises:
            DomainError: It cannot be accepted now; nothing of the acceptance is stored.
        """
        return None

    async def accept(self, item: JsonObject, decision: JsonObject, asked: Asked, work: Work) -> JsonObject:
        """Does what follows from this identity's acceptance, and returns the response item.

        Called after `can_accept` succeeded on what the same commit sees. The caller then replaces an empty owner in the
        item that it keeps, by this identity: `owners.request_with_owners`.
        """
        return {"@type": "AcceptResponseItem", "result": "Accepted"}

    async def reject(self, item: JsonObject, decision: JsonObject, asked: Asked, work: Work) -> JsonObject:
        """Does what follows from this identity's rejection, and returns the response item."""
        told: JsonObject = {name: decision[name] for name in ("code", "message") if name in decision}
        return {"@type": "RejectResponseItem", "result": "Rejected", **told}

    async def sent(self, item: JsonObject, asked: Asked, work: Work) -> None:
        """Does what follows from sending it to the peer, in the commit of the message."""

    async def apply(self, response_item: JsonObject, item: JsonObject, asked: Asked, work: Work) -> None:
        """Does what follows from the peer's answer, and publishes its events.

        Called only with a response item of one of `response_types`, of an error or of a rejection. Whatever the peer
        says must not be able to stop the commit: what does not fit is left out. When the answer accepts the item, the
        caller then replaces an empty owner in the item that it keeps, by the peer: `owners.request_with_owners`.
        """
