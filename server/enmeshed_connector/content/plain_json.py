"""Plain JSON as protobuf's `Struct` and `Value`, for what is no content."""

from __future__ import annotations

from google.protobuf.struct_pb2 import Struct, Value

from enmeshed_connector.content._plain_json import (
    NotInJson,
    NotRepresentable,
    fill_struct,
    fill_value,
    is_shallow,
    struct_to_json,
    value_to_json,
)
from enmeshed_connector.core.canonical_json import Json

__all__ = ["NotInJson", "as_struct", "as_value", "struct_to_json", "value_to_json"]


def as_struct(value: Json) -> Struct:
    """Returns a JSON object as a struct; an empty one for what a struct cannot hold."""
    struct = Struct()
    if isinstance(value, dict) and is_shallow(value):
        try:
            fill_struct(struct, value)
        except (NotRepresentable, UnicodeEncodeError):
            return Struct()
    return struct


def as_value(value: Json) -> Value:
    """Returns a JSON value as a message; null for what a message cannot hold."""
    message = Value()
    if is_shallow(value):
        try:
            fill_value(message, value)
        except (NotRepresentable, UnicodeEncodeError):
            return Value(null_value=0)  # type: ignore[arg-type]  # the one value of the enum
        return message
    return Value(null_value=0)  # type: ignore[arg-type]
