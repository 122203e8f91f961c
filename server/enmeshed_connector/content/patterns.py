"""The regular expressions of the network, each in a form that takes linear time. Source: `spec/content.md`.

The links are written with possessive repetitions. They match the same texts as the originals: what each repetition
could give back, the next ones take as well. All are meant for `fullmatch`.
"""

from __future__ import annotations

import re
from typing import Final

_MAIL_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LETTER = "[A-Za-z0-9ÄäÖöÜüß]"
_LETTER_OR_HYPHEN = "[A-Za-z0-9ÄäÖöÜüß-]"
_LABEL = f"{_LETTER}(?:{_LETTER_OR_HYPHEN}{{0,61}}{_LETTER})?"

EMAIL: Final = re.compile(
    rf"{_MAIL_ATOM}(?:\.{_MAIL_ATOM})*@(?:{_LABEL}\.)+{_LETTER}{_LETTER_OR_HYPHEN}{{0,61}}{_LETTER}"
)
"""An email address."""

URL: Final = re.compile(
    rf"(?:[A-Za-z]+://)?(?:www\.|(?!www\.))(?:{_LABEL}\.)+{_LABEL}(?::[0-9]+)?"
    r"(?:/[A-Za-zÄäÖöÜüß0-9?#@!$&'()*+,;=%-]*)*"
)
"""A URL, whose scheme may be left out."""

PHONE: Final = re.compile(r"[0-9+\-x#*()/\[\] ]{3,100}")
"""A phone or fax number."""

HEX_COLOR: Final = re.compile(r"#(?:[0-9A-Fa-f]{3}){1,2}")
"""A colour."""

_USER = r"[\-;:&=+$,\w]++@"
_HOST = r"[A-Za-z0-9.\-]++"
_SCHEME = r"[A-Za-z]{3,9}+:(?://)?+"


def _link(path: str) -> str:
    tail = rf"(?:/[{path}]*+)?+\??+[\-+=&;%@.\w]*+\#?+[.!/\\\w]*+"
    return rf"(?:{_SCHEME}(?:{_USER})?{_HOST}|(?:www\.|{_USER}){_HOST}){tail}"


LINK: Final = re.compile(_link(r"+~%/.\w\-"), re.ASCII | re.IGNORECASE)
"""A link of a consent."""

SCHEMA_URL: Final = re.compile(_link(r"+~%/\\.\w\-"), re.ASCII)
"""The URL of a schema."""
