"""Documents as JSON text that gives back exactly what went in.

Most documents go through orjson. The rest (integers past 64 bits, lone surrogates, more than 254 levels) goes through
the standard library; such a text starts with a blank, by which it is known when read.
"""

from __future__ import annotations

import json
import math

import orjson

from ..core.canonical_json import Json
from .port import MAX_DOCUMENT_DEPTH

_EXACT = " "


def encode(value: Json) -> str:
    """Returns the JSON text of a value; tuples count as lists, members of string enumerations as their values.

    Raises:
        ValueError: It is not JSON, holds NaN or an infinity, or is nested deeper than 320 levels. Says what, not the
            value.
    """
    try:
        data = orjson.dumps(value)
    except (TypeError, RecursionError):
        return _encode_exactly(value)
    # Not-a-number becomes null in orjson's output without a word; without a null there is none.
    if b"null" in data:
        check(value)
    return data.decode("utf-8")


def decode(text: str) -> Json:
    """Returns the value of a text that `encode` made."""
    return json.loads(text) if text.startswith(_EXACT) else orjson.loads(text)


def check(value: Json) -> None:
    """Checks that a value is JSON, in a time linear in its size and without recursion.

    Raises:
        ValueError: As `encode`.
    """
    pending = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, (dict, list, tuple)):
            if depth >= MAX_DOCUMENT_DEPTH:
                raise ValueError(f"is nested deeper than {MAX_DOCUMENT_DEPTH} levels")
            if isinstance(item, dict):
                if not all(isinstance(name, str) for name in item):
                    raise ValueError("has a member whose name is no text")
                pending.extend((member, depth + 1) for member in item.values())
            else:
                pending.extend((member, depth + 1) for member in item)
        elif isinstance(item, float):
            if not math.isfinite(item):
                raise ValueError("has a number that JSON has not")
        elif item is not None and not isinstance(item, (str, int)):
            raise ValueError(f"has a {type(item).__name__}, which is not JSON")


def _encode_exactly(value: Json) -> str:
    check(value)
    return _EXACT + json.dumps(value, allow_nan=False, separators=(",", ":"))
