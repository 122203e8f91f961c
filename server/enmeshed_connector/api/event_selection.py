"""Which events a reader gets: by type, by permission, by origin."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from enmeshed.connector.v1 import event_pb2
from enmeshed_connector.api.calls import permission_denied
from enmeshed_connector.api.errors import EventTypeUnknown
from enmeshed_connector.api.permissions import EVENTS, event_pattern, event_permission
from enmeshed_connector.api.scopes import Scopes
from enmeshed_connector.core.canonical_json import JsonObject

_ORIGIN_WORDS = {
    event_pb2.ORIGIN_LOCAL: "LOCAL",
    event_pb2.ORIGIN_BACKBONE: "EXTERNAL",
    event_pb2.ORIGIN_DATAWALLET: "DATAWALLET",
}
# Types that are made up at run time (of relationships, of modules) are many; past this the memory is emptied.
_MAX_REMEMBERED = 10_000


class EventSelection:
    """What one reader gets. Patterns skip what the reader may not see; naming it exactly is an error."""

    def __init__(self, types: Sequence[str], scopes: Scopes, origins: Iterable[int] = ()) -> None:
        """Takes what is asked for.

        Args:
            types: Exact types and patterns; empty: everything that the reader may see.
            scopes: What the reader may see.
            origins: Numbers of `Origin`; empty: all.

        Raises:
            EventTypeUnknown: A type does not exist, or a pattern fits none.
            PermissionDenied: A type that is named exactly needs a permission that the reader does not have.
        """
        self._scopes = scopes
        self._types = tuple(types) or ("**",)
        self._patterns = [event_pattern(pattern) for pattern in self._types]
        self._origins = frozenset(_ORIGIN_WORDS[event_pb2.Origin.ValueType(origin)] for origin in origins)
        self._wanted: dict[str, bool] = {}
        for pattern in types:
            self._check(pattern)
        fixed = [name for name in EVENTS if "*" not in name]
        self.types = tuple(sorted(name for name in fixed if self.wants_type(name)))
        """The known types that the reader gets; those that are made up at run time are not among them."""

    @property
    def exact_types(self) -> frozenset[str] | None:
        """All types that the reader gets, where they can be listed; None when types made up at run time may be among
        them.
        """
        for name, permission in EVENTS.items():
            is_open = "*" in name and self._scopes.allow(permission)
            if is_open and any(patterns_overlap(pattern, name) for pattern in self._types):
                return None
        return frozenset(self.types)

    def wants_type(self, event_type: str) -> bool:
        """Tells whether the reader gets events of a type."""
        wanted = self._wanted.get(event_type)
        if wanted is None:
            permission = event_permission(event_type)
            wanted = (
                permission is not None
                and self._scopes.allow(permission)
                and any(pattern.fullmatch(event_type) for pattern in self._patterns)
            )
            if len(self._wanted) >= _MAX_REMEMBERED:
                self._wanted.clear()
            self._wanted[event_type] = wanted
        return wanted

    def wants(self, event: JsonObject) -> bool:
        """Tells whether the reader gets an event of the log."""
        return self.wants_type(event["type"]) and (not self._origins or event.get("origin") in self._origins)

    def _check(self, pattern: str) -> None:
        if "*" in pattern:
            if not any(patterns_overlap(pattern, name) for name in EVENTS):
                raise EventTypeUnknown("a pattern fits no event type", facts={"type": pattern[:200]})
            return
        permission = event_permission(pattern)
        if permission is None:
            raise EventTypeUnknown("there is no such event type", facts={"type": pattern[:200]})
        if not self._scopes.allow(permission):
            raise permission_denied(permission)


def patterns_overlap(one: str, other: str) -> bool:
    """Tells whether some event type fits both patterns."""
    left, right = one.split("."), other.split(".")

    @functools.cache
    def overlap(at: int, to: int) -> bool:
        if at == len(left) or to == len(right):
            return all(part == "**" for part in left[at:]) and all(part == "**" for part in right[to:])
        if left[at] == "**":
            return overlap(at + 1, to) or overlap(at, to + 1)
        if right[to] == "**":
            return overlap(at, to + 1) or overlap(at + 1, to)
        return ("*" in (left[at], right[to]) or left[at] == right[to]) and overlap(at + 1, to + 1)

    return overlap(0, 0)
