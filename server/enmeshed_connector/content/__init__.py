"""Content types, their rules, and the codec between JSON and `enmeshed.content.v1`.

Further public modules: `types` (names), `forms`, `iql`, `characters`, `builtin_hints`, `releases`, `code_lists`,
`requests` and `responses` (which items there are, and which answers accept them).
"""

from __future__ import annotations

from .codec import ContentCodec
from .errors import ContentInvalid, ContentTypeNotAllowed
from .validation import ContentValidator

__all__ = ["ContentCodec", "ContentInvalid", "ContentTypeNotAllowed", "ContentValidator"]
