"""What a process knows of the current revisions of documents, so that most commits need not ask the database."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from .unit_of_work import ABSENT, Key

_MAX_KNOWN = 20_000


@dataclass(frozen=True, slots=True)
class Known:
    """The state of one document at the head of the log."""

    rev: int | None
    """Its revision, or that of its deletion; None when it never existed."""
    exists: bool

    @property
    def expectation(self) -> int:
        """What a unit of work that read it now would expect."""
        return self.rev if self.exists and self.rev is not None else ABSENT


class Revisions:
    """The revisions that changed lately, exact as of the head of the log that was applied last.

    A document that is not among them was not changed since `complete_from`.
    """

    def __init__(self, complete_from: int) -> None:
        self.complete_from = complete_from
        self._known: OrderedDict[Key, Known] = OrderedDict()

    def get(self, key: Key) -> Known | None:
        """Returns what is known of a document."""
        return self._known.get(key)

    def set(self, key: Key, known: Known) -> None:
        """Notes a change, or what the database said."""
        self._known[key] = known
        self._known.move_to_end(key)
        if len(self._known) > _MAX_KNOWN:
            _, forgotten = self._known.popitem(last=False)
            self.complete_from = max(self.complete_from, forgotten.rev or 0)

    def forget_all(self, position: int) -> None:
        """Starts anew: changes up to the position are not known."""
        self._known.clear()
        self.complete_from = max(self.complete_from, position)
