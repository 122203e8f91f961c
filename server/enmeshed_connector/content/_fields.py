"""What the descriptor of a field says, and how values of scalar fields and well-known types are converted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor

from enmeshed.content.v1 import options_pb2
from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.dates import format_date

from ._plain_json import NotInJson, NotRepresentable, exact_double, fill_struct, plain_number

# Generated classes are reached by name here, so their fields cannot be typed.
AnyMessage: TypeAlias = Any
# Their stubs name the classes of one of two implementations, and make optional what the kind of a field settles.
AnyDescriptor: TypeAlias = Any
AnyField: TypeAlias = Any
Reader: TypeAlias = Callable[[AnyMessage, Json], None]
Writer: TypeAlias = Callable[[AnyMessage, JsonObject], None]
Convert: TypeAlias = Callable[[Json], Any]

STRUCT, VALUE, TIMESTAMP = "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.Timestamp"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_INTEGER_TYPES = frozenset({FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64})


def only_oneof(descriptor: AnyDescriptor) -> AnyDescriptor | None:
    """Returns the `oneof` that all fields of the message belong to, None when there is no such one."""
    oneofs = [oneof for oneof in descriptor.oneofs if not _is_synthetic(oneof)]
    if len(oneofs) == 1 and len(oneofs[0].fields) == len(descriptor.fields):
        return oneofs[0]
    return None


def _is_synthetic(oneof: AnyDescriptor) -> bool:
    # The compiler makes a `oneof` for each optional field, named after it.
    return len(oneof.fields) == 1 and oneof.name == f"_{oneof.fields[0].name}"


def is_map(field: AnyField) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def takes_null(field: AnyField) -> bool:
    # Official peers take null for an optional object, dates among them.
    return (
        field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE
        and not field.is_repeated
        and field.message_type.full_name != VALUE
    )


def has_unwritten_zero(field: AnyField) -> bool:
    return field.enum_type is not None and not _texts(field.enum_type).get(0)


def _texts(descriptor: AnyDescriptor) -> dict[int, str]:
    texts = {}
    for value in descriptor.values:
        options = value.GetOptions()
        if options.HasExtension(options_pb2.json_text):
            texts[value.number] = options.Extensions[options_pb2.json_text]
    return texts


def scalar_convert(field: AnyField) -> Convert:
    """Returns what turns a JSON value into what the field takes, or raises NotRepresentable."""
    if field.enum_type is not None:
        numbers = {text: number for number, text in _texts(field.enum_type).items()}

        def convert_enum(value: Json) -> int:
            number = numbers.get(value) if type(value) is str else None
            if number is None:
                raise NotRepresentable
            return number

        return convert_enum
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return exact_double
    if field.cpp_type in _INTEGER_TYPES:
        return _convert_integer
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _convert_boolean
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING and field.type == FieldDescriptor.TYPE_STRING:
        return convert_text
    raise TypeError(f"{field.full_name} has a kind that content does not use")


def convert_text(value: Json) -> str:
    if type(value) is str:
        return value
    raise NotRepresentable


def _convert_boolean(value: Json) -> bool:
    if type(value) is bool:
        return value
    raise NotRepresentable


def _convert_integer(value: Json) -> int:
    number = exact_double(value)
    if number.is_integer():
        return int(number)
    raise NotRepresentable


def scalar_writer(field: AnyField) -> Writer:
    name, key = field.name, field.json_name
    if field.enum_type is not None:
        texts = _texts(field.enum_type)

        def write_enum(message: AnyMessage, result: JsonObject) -> None:
            text = texts.get(getattr(message, name))
            if text is not None:
                result[key] = text

        return write_enum
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        has_presence = field.has_presence

        def write_number(message: AnyMessage, result: JsonObject) -> None:
            if not has_presence or message.HasField(name):
                result[key] = plain_number(getattr(message, name))

        return write_number
    if field.has_presence:

        def write_optional(message: AnyMessage, result: JsonObject) -> None:
            if message.HasField(name):
                result[key] = getattr(message, name)

        return write_optional

    def write(message: AnyMessage, result: JsonObject) -> None:
        result[key] = getattr(message, name)

    return write


def constant_reader(expected: str) -> Reader:
    def read(_: AnyMessage, value: Json) -> None:
        if value != expected:
            raise NotRepresentable

    return read


def constant_writer(constant: str) -> Writer:
    def write(_: AnyMessage, result: JsonObject) -> None:
        result["result"] = constant

    return write


def fill_struct_only(message: AnyMessage, value: Json) -> None:
    if type(value) is not dict:
        raise NotRepresentable
    fill_struct(message, value)


def write_timestamp(message: AnyMessage) -> str:
    # Seconds and nanoseconds outside of the years 1 to 9999 make an OverflowError.
    try:
        moment = EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1_000)
    except OverflowError:
        raise NotInJson("is not a date within the years 1 to 9999") from None
    return format_date(moment)
