"""Permissions and the patterns that grant them.

A permission is a name with parts between colons, such as `messages:read`. A credential has patterns, called scopes: `*`
stands for one part, `**` for any number of parts, none included. `**` alone grants everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from enmeshed_connector.core.errors import FieldViolation, InvalidArgument

_PART = r"(?:[A-Za-z][A-Za-z0-9]*|\*\*?)"
_SCOPE = re.compile(rf"{_PART}(?::{_PART}){{0,4}}")


class Scopes:
    """What a credential may do. Immutable; equal when the patterns are."""

    __slots__ = ("_allowed", "_expression", "patterns")

    def __init__(self, patterns: Iterable[str]) -> None:
        """Takes the patterns, checked by `check_scopes` before.

        Args:
            patterns: Such as `messages:*`; their order does not matter.
        """
        self.patterns = tuple(sorted(set(patterns)))
        self._expression = re.compile("|".join(map(_expression, self.patterns)) or "(?!)")
        # Bounded by the number of permissions that exist: only names of the permission tables are asked for.
        self._allowed: dict[str, bool] = {}

    def allow(self, permission: str) -> bool:
        """Tells whether one of the patterns grants the permission."""
        allowed = self._allowed.get(permission)
        if allowed is None:
            allowed = self._allowed[permission] = self._expression.fullmatch(permission) is not None
        return allowed

    def missing(self, permissions: Iterable[str]) -> str | None:
        """Returns the first of the permissions that is not granted, None when all are."""
        return next((permission for permission in permissions if not self.allow(permission)), None)

    def __eq__(self, other: object) -> bool:
        """Tells whether both have the same patterns."""
        return isinstance(other, Scopes) and other.patterns == self.patterns

    def __hash__(self) -> int:
        """Returns a hash of the patterns."""
        return hash(self.patterns)

    def __repr__(self) -> str:
        """Returns the patterns."""
        return f"Scopes({list(self.patterns)})"


def check_scopes(patterns: Iterable[str], known: Iterable[str]) -> None:
    """Checks patterns before they are stored.

    Args:
        patterns: At least one.
        known: The permissions that exist.

    Raises:
        InvalidArgument: There are none, one has the wrong form, or one grants no permission that exists (a typing error
        would
            otherwise make a key that silently may do less than meant).
    """
    names = tuple(known)
    given = list(patterns)
    violations = [] if given else [FieldViolation("scopes", "name at least one, such as messages:read")]
    for index, pattern in enumerate(given):
        if not _SCOPE.fullmatch(pattern):
            violations.append(FieldViolation(f"scopes[{index}]", "has not the form of messages:read, messages:* or **"))
        elif not any(re.fullmatch(_expression(pattern), name) for name in names):
            violations.append(FieldViolation(f"scopes[{index}]", "grants no permission that exists"))
    if violations:
        raise InvalidArgument("the scopes are not valid", violations=violations)


def _expression(pattern: str) -> str:
    """Returns the regular expression of a pattern, without groups that repeat over each other."""
    expression = ""
    for index, part in enumerate(pattern.split(":")):
        colon = ":" if index else ""
        if part == "**":
            # With the colon before it, since it may stand for nothing; at the beginning without.
            expression += r"(?::[^:]+)*" if index else r"[^:]+(?::[^:]+)*"
        else:
            expression += colon + (r"[^:]+" if part == "*" else re.escape(part))
    return expression


EVERYTHING = Scopes(["**"])
"""Grants every permission."""
