"""The small values that all conversions share: moments, enums, references, passwords, content."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from enmeshed.connector.v1 import password_protection_pb2, reference_pb2
from enmeshed.content.v1 import content_pb2
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.errors import FieldViolation, InvalidArgument
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.runtime.use_cases.common import Protection

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_TIMESTAMP = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)


def set_time(target: Timestamp, text: str | None) -> None:
    """Fills a timestamp from a date of the network; leaves it unset for None."""
    if text is not None:
        # By hand: this runs several times for each object of a list, and `FromDatetime` takes three times as long.
        since = parse_date(text) - _EPOCH
        target.seconds = since.days * 86_400 + since.seconds
        target.nanos = since.microseconds * 1000


def time_of(message: Message, field: str) -> datetime | None:
    """Returns a timestamp field as an aware moment, None when it is unset.

    Raises:
        InvalidArgument: It is outside of the years 1 to 9999.
    """
    if not message.HasField(field):
        return None
    timestamp: Timestamp = getattr(message, field)
    try:
        return min(timestamp.ToDatetime(tzinfo=UTC), _MAX_TIMESTAMP)
    except (ValueError, OverflowError):
        raise InvalidArgument(
            f"{field} is no moment", violations=[FieldViolation(field, "must be between the years 1 and 9999")]
        ) from None


def required_time(message: Message, field: str) -> datetime:
    """Returns a timestamp field that must be set.

    Raises:
        InvalidArgument: It is unset, or outside of the years 1 to 9999.
    """
    moment = time_of(message, field)
    if moment is None:
        raise InvalidArgument(f"{field} is missing", violations=[FieldViolation(field, "must be set")])
    return moment


# What it gives depends on nothing else, and lists ask the same over and over; bounded, as peers may write any word.
@functools.lru_cache(maxsize=512)
def enum_number(enum: Any, prefix: str, word: str | None) -> int:
    """Returns the number of an enum value from the network's word (`DeletionProposed`), 0 for what is not known.

    Args:
        enum: The generated enum.
        prefix: The common prefix of its values, without the last underscore.
        word: The word, CamelCase.
    """
    if word is None:
        return 0
    name = f"{prefix}_{_WORD_START.sub('_', word).upper()}"
    return int(enum.Value(name)) if name in enum.keys() else 0  # noqa: SIM118 - a wrapper, no mapping


def enum_word(enum: Any, prefix: str, number: int) -> str:
    """Returns the network's word of an enum value: the reverse of `enum_number`."""
    return "".join(part.capitalize() for part in enum.Name(number).removeprefix(f"{prefix}_").split("_"))


def reference(view: Mapping[str, str]) -> reference_pb2.Reference:
    """Returns a reference; it is a secret."""
    return reference_pb2.Reference(truncated=view["truncated"], url=view["url"])


def password_protection(view: Mapping[str, Any], *, shows_password: bool) -> password_protection_pb2.PasswordProtection:
    """Returns a password protection, with the password only for those who may see it."""
    return password_protection_pb2.PasswordProtection(
        password=view["password"] if shows_password else "",
        is_pin=view.get("passwordIsPin", False),
        location_indicator=str(view.get("passwordLocationIndicator", "")),
    )


def wanted_protection(message: Message) -> Protection | None:
    """Returns the password that a request wants for a new thing, None when it wants none."""
    if not message.HasField("password_protection"):
        return None
    wanted: password_protection_pb2.PasswordProtection = message.password_protection  # type: ignore[attr-defined]
    return Protection(SecretText(wanted.password), wanted.is_pin, wanted.location_indicator or None)


def content_type(content: Json) -> str:
    """Returns the `@type` of a content, empty when it has none."""
    kind = content.get("@type") if isinstance(content, dict) else None
    return kind if isinstance(kind, str) else ""


def content_object(codec: ContentCodec, content: content_pb2.Content, field: str = "content") -> JsonObject:
    """Returns the JSON object that a request's content says.

    Raises:
        ContentInvalid: It is unset or no JSON.
        InvalidArgument: It is JSON, but no object.
    """
    value = codec.json_from_content(content, field)
    if not isinstance(value, dict):
        raise InvalidArgument(
            "The content must be a JSON object.", violations=[FieldViolation(field, "must be an object")]
        )
    return value
