"""Passwords of devices.

Source: transport.md, section 2. Nobody types them; they only have to pass the rules of a Backbone.
"""

from __future__ import annotations

from collections.abc import Callable

from enmeshed_connector.core.ids import random_text

_LOWER = "abcdefghijkmnpqrstuvwxyz"
_UPPER = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_DIGITS = "123456789"
_SPECIAL = "!?-_.:,;#+"
_ALL = _LOWER + _UPPER + _DIGITS + _SPECIAL


def strong_password(random: Callable[[int], bytes]) -> str:
    """Returns a random password of 45 to 50 characters with a special character, both cases and a digit."""
    length = 45 + _below(6, random)
    characters = [random_text(1, kind, random) for kind in (_SPECIAL, _LOWER, _UPPER, _DIGITS)]
    characters += random_text(length - len(characters), _ALL, random)
    for last in range(len(characters) - 1, 0, -1):
        other = _below(last + 1, random)
        characters[last], characters[other] = characters[other], characters[last]
    return "".join(characters)


def _below(limit: int, random: Callable[[int], bytes]) -> int:
    # Sixteen bytes leave a bias far below one in 2^100.
    return int.from_bytes(random(16), "big") % limit
