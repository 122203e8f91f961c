"""What rooms above add to a commit of this room: a received message may hold a request, a new template may ask one.

A `TransportListener` gets the work of the commit, so that what it writes becomes durable together with what it heard of
(a received request with its message). It must not reach outside, and must be safe to run again.
"""

from __future__ import annotations

from collections.abc import Iterable

from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work


class TransportListener:
    """Hears of changes inside their commit; does nothing by itself."""

    async def template_loaded(self, template: Document, work: Work) -> None:
        """A template of a peer was loaded, perhaps not for the first time."""

    async def message_received(self, message: Document, work: Work) -> None:
        """A message of a peer was stored."""

    async def message_sent(self, message: Document, work: Work) -> None:
        """An own message was stored."""

    async def relationship_changed(self, relationship: Document, work: Work) -> None:
        """A relationship is new, or its audit log got longer."""

    async def relationship_decomposed(self, relationship: Document, work: Work) -> None:
        """A relationship was removed here."""


class Listeners(TransportListener):
    """All listeners of one account, told one after the other in the order of their registration."""

    def __init__(self, listeners: Iterable[TransportListener] = ()) -> None:
        """Takes the first listeners."""
        self._listeners = list(listeners)

    def register(self, listener: TransportListener) -> None:
        """Adds a listener; to be called before the account begins to work."""
        self._listeners.append(listener)

    async def template_loaded(self, template: Document, work: Work) -> None:
        """Tells all listeners."""
        for listener in self._listeners:
            await listener.template_loaded(template, work)

    async def message_received(self, message: Document, work: Work) -> None:
        """Tells all listeners."""
        for listener in self._listeners:
            await listener.message_received(message, work)

    async def message_sent(self, message: Document, work: Work) -> None:
        """Tells all listeners."""
        for listener in self._listeners:
            await listener.message_sent(message, work)

    async def relationship_changed(self, relationship: Document, work: Work) -> None:
        """Tells all listeners."""
        for listener in self._listeners:
            await listener.relationship_changed(relationship, work)

    async def relationship_decomposed(self, relationship: Document, work: Work) -> None:
        """Tells all listeners."""
        for listener in self._listeners:
            await listener.relationship_decomposed(relationship, work)
