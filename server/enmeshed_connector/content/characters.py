"""The characters that attributes may hold, the Latin ones of DIN SPEC 91379. Source: `spec/content.md` section 16."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from enmeshed_connector.core.canonical_json import JsonObject

_SINGLE: Final = """
    0009-000A 000D 0020-007E 00A0-00AC 00AE-017E 0187-0188 018F 0197 01A0-01A1 01AF-01B0 01B7 01CD-01DC
    01DE-01DF 01E2-01F0 01F4-01F5 01F8-01FF 0212-0213 0218-021B 021E-021F 0227-0233 0259 0268 0292 02B9-02BA
    02BE-02BF 02C8 02CC 1E02-1E03 1E06-1E07 1E0A-1E11 1E17 1E1C-1E2B 1E2F-1E37 1E3A-1E3B 1E40-1E49 1E52-1E5B
    1E5E-1E63 1E6A-1E6F 1E80-1E87 1E8C-1E97 1E9E 1EA0-1EF9 2019 2021 20AC
"""
"""Code points, or ranges of them, that stand by themselves."""

_COMBINED: Final = """
    0041 0061: 030B
    0050 0070: 0300 0304 0315 0323
    0043 0063: 0300 0304 0306 0308 0315 0323 0326 0328+0306
    0052 0072: 0306 0325 0325+0304
    0044 0064: 0302
    0053 0073: 0300 0304 031B+0304 0331
    0046 0066: 0300 0304
    0054: 0300 0304 0308 0315 031B
    0047 0067: 0300
    0074: 0300 0304 0315 031B
    0048: 0304 0326 0331
    0055 0075: 0307
    0068: 0304 0326
    005A 007A: 0300 0304 0306 0308 0327
    004A: 0301 030C
    00C7 00E7: 0306
    006A: 0301
    00DB 00FB: 0304
    004B: 0300 0302 0304 0307 0315 031B 0326 035F+0048 035F+0068
    00FF: 0301
    006B: 0300 0302 0304 0307 0315 031B 0326 035F+0068
    010C 010D: 0315 0323
    004C 006C: 0302 0325 0325+0304 0326
    0113 014D: 030D
    004D 006D: 0300 0302 0306 0310
    012A 012B: 0301
    004E 006E: 0302 0304 0306 0326
    017D 017E: 0326 0327
    1E32 1E33 1E62 1E63 1E6C 1E6D: 0304
    1EA0 1EA1 1ECC 1ECD: 0308
    1EE4 1EE5: 0304 0308
"""
"""Base letters, and the sequences of combining characters that may follow each of them."""


def _pattern() -> str:
    singles = "".join("-".join(rf"\u{code}" for code in entry.split("-")) for entry in _SINGLE.split())
    combined = []
    for line in _COMBINED.strip().splitlines():
        bases, sequences = line.split(":")
        letters = "".join(rf"\u{code}" for code in bases.split())
        # The longest sequence first: a shorter one may be its beginning.
        marks = sorted(sequences.split(), key=len, reverse=True)
        alternatives = "|".join("".join(rf"\u{code}" for code in mark.split("+")) for mark in marks)
        combined.append(f"[{letters}](?:{alternatives})")
    return f"(?:{'|'.join(combined)}|[{singles}])*+"


ALLOWED_TEXT: Final = re.compile(_pattern())
"""Matches, as a whole, text that an attribute may hold. Each alternative is decided by its first characters."""

_TITLES: Final = frozenset({"title", "description"})


def is_allowed_text(text: str) -> bool:
    """Returns whether all characters of the text may stand in an attribute. The text is not normalized first."""
    return ALLOWED_TEXT.fullmatch(text) is not None


def forbidden_character_keys(attribute: JsonObject) -> Iterator[str]:
    """Gives the keys of the attribute's value whose text holds characters that attributes may not hold.

    Looked at are the texts directly in the value; of an attribute of a relationship not its `title` and `description`.
    Tags and the key of the attribute are not looked at.

    Args:
        attribute: The JSON of an IdentityAttribute or a RelationshipAttribute that is valid otherwise.
    """
    skipped = _TITLES if attribute.get("@type") == "RelationshipAttribute" else frozenset()
    for key, item in attribute["value"].items():
        if isinstance(item, str) and key not in skipped and not is_allowed_text(item):
            yield key
