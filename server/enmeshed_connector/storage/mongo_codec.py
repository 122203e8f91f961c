"""Documents as BSON that every MongoDB-protocol server takes, and back, exactly.

Most of a document stands in the database as it is. What BSON or one of the servers cannot hold (names with dots,
dollars or NUL, integers past 64 bits, lone surrogates, deep nesting; FerretDB: arrays inside arrays, negative zero) is
kept as exact JSON text, the smallest part that will do: `{"_contentText": "…"}` in its place. The root members in which
that happened are listed in `_lossy`, so that queries know where the database cannot look. When a root member's own name
is such a name, the text of the whole document stands at the root, beside the members that can be queried. Documents
that are too large for BSON have their text in pieces in `_Blobs`, named by `_contentBlob`.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from ..core.canonical_json import Json, JsonObject
from . import exact_json
from .unit_of_work import Write
from .values import is_storable_text

Raw: TypeAlias = dict[str, Any]
"""A document as the driver gives and takes it."""

TEXT = "_contentText"
BLOB = "_contentBlob"
LOSSY = "_lossy"
REV = "_rev"
GONE = "_gone"

LARGE = 2 * 1024 * 1024
"""JSON text from here on goes into pieces: BSON takes up to seven bytes for one of JSON, and 16 MiB is its limit."""

# BSON allows 100 levels; what is around a document in the log takes some of them.
_MAX_LEVELS = 80
_INT64 = 2**63
# A root member up to this size stays where it can be queried when the document goes into pieces.
_QUERYABLE_CHARACTERS = 4096


def encode(write: Write, rev: int, blob: Raw | None = None) -> Raw:
    """Returns the document of a write as it stands in its collection.

    Args:
        write: The write; not a deletion.
        rev: The document's new revision.
        blob: Where its text is kept, when it is too large.
    """
    assert write.document is not None
    raw: Raw = {"_id": write.id}
    lossy: list[str] = []
    needs_text = False
    for name, member in write.document.items():
        if not _is_storable_name(name):
            needs_text = True
        elif blob is not None and not _is_small(member):
            lossy.append(name)
        else:
            value, is_lossy = _encode_value(member, 1)
            raw[name] = value
            if is_lossy:
                lossy.append(name)
    if blob is not None:
        raw[BLOB] = blob
    elif needs_text:
        raw[TEXT] = write.text
    raw[REV] = rev
    if lossy:
        raw[LOSSY] = lossy
    return raw


def tombstone(id_: str, rev: int, moment: str) -> Raw:
    """Returns what stands in the place of a deleted document for a while, so that no late writer brings it back."""
    return {"_id": id_, REV: rev, GONE: moment}


def rev_of(raw: Raw) -> int:
    """Returns the revision of a document; 0 for those older than this software."""
    return int(raw.get(REV) or 0)


def decode(raw: Raw, text: str | None = None) -> JsonObject:
    """Returns the document that `encode` was given, with its revision.

    Args:
        raw: As it came from the database.
        text: Its text from `_Blobs`, when it has a `_contentBlob`.
    """
    whole = text if text is not None else raw.get(TEXT)
    if isinstance(whole, str):
        document: JsonObject = exact_json.decode(whole)
    else:
        document = {name: _decode_value(value) for name, value in raw.items() if name not in ("_id", REV, LOSSY)}
    document[REV] = rev_of(raw)
    return document


def encode_json(value: Json) -> Any:
    """Returns any JSON value in a form that every server takes; `decode_json` gives it back."""
    return _encode_value(value, 3)[0]


def decode_json(value: Any) -> Json:
    """Returns the value that `encode_json` was given."""
    return _decode_value(value)


def _is_small(value: Json) -> bool:
    if isinstance(value, (dict, list)):
        return len(exact_json.encode(value)) <= _QUERYABLE_CHARACTERS
    return not isinstance(value, str) or len(value) <= _QUERYABLE_CHARACTERS


def _is_storable_name(name: str) -> bool:
    return bool(name) and "." not in name and not name.startswith(("$", "_content")) and is_storable_text(name)


def _encode_value(value: Json, level: int, *, in_array: bool = False) -> tuple[Any, bool]:
    """Returns a value as BSON takes it, and whether some of it became text."""
    if isinstance(value, str):
        return (value, False) if is_storable_text(value) else (_as_text(value), True)
    if value is None or isinstance(value, bool):
        return value, False
    if isinstance(value, int):
        return (value, False) if -_INT64 <= value < _INT64 else (_as_text(value), True)
    if isinstance(value, float):
        is_negative_zero = value == 0 and math.copysign(1, value) < 0
        return (_as_text(value), True) if is_negative_zero else (value, False)
    if level >= _MAX_LEVELS:
        return _as_text(value), True
    if isinstance(value, list):
        if in_array:
            return _as_text(value), True
        items = [_encode_value(item, level + 1, in_array=True) for item in value]
        return [item for item, _ in items], any(is_lossy for _, is_lossy in items)
    if not all(map(_is_storable_name, value)):
        return _as_text(value), True
    result: Raw = {}
    has_lossy = False
    for name, member in value.items():
        result[name], is_lossy = _encode_value(member, level + 1)
        has_lossy = has_lossy or is_lossy
    return result, has_lossy


def _as_text(value: Json) -> Raw:
    return {TEXT: exact_json.encode(value)}


def _decode_value(value: Any) -> Json:
    if isinstance(value, dict):
        text = value.get(TEXT)
        if isinstance(text, str):
            return exact_json.decode(text)
        return {name: _decode_value(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_decode_value(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        # Drivers give 64-bit integers as a class of their own.
        return int(value)
    return value
