"""What the codec does with each message type, worked out once from its descriptor.

A plan holds, for one message type, a reader for each JSON key and the writers in the order of the keys. Readers and
writers are closures over what the descriptor says, so that nothing is looked up while content is converted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from enmeshed.content.v1 import options_pb2
from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.malformed import MalformedValue

from ._fields import (
    EPOCH,
    STRUCT,
    TIMESTAMP,
    VALUE,
    AnyDescriptor,
    AnyField,
    AnyMessage,
    Convert,
    Reader,
    Writer,
    constant_reader,
    constant_writer,
    convert_text,
    fill_struct_only,
    has_unwritten_zero,
    is_map,
    only_oneof,
    scalar_convert,
    scalar_writer,
    takes_null,
    write_timestamp,
)
from ._plain_json import (
    NotInJson,
    NotRepresentable,
    exact_double,
    fill_value,
    in_key_order,
    plain_number,
    struct_to_json,
    value_to_json,
    write_each,
    write_members,
)

_IGNORED_KEYS = frozenset({"@context", "@version"})


class ObjectPlan:
    """A message that is a JSON object."""

    __slots__ = ("last_when_empty", "message_class", "readers", "required", "result", "tagged", "type_name", "writers")

    def __init__(self, descriptor: AnyDescriptor) -> None:
        options = descriptor.GetOptions().Extensions[options_pb2.json_message]
        self.type_name: str = descriptor.name
        self.message_class: type[Message] = GetMessageClass(descriptor)
        self.tagged: bool = options.tagged
        self.result: str = options.result
        self.readers: dict[str, Reader] = {}
        self.required: frozenset[str] = frozenset()
        self.writers: tuple[tuple[str, Writer], ...] = ()
        self.last_when_empty: str | None = None

    def write(self, message: AnyMessage, *, tagged: bool) -> JsonObject:
        """Returns the object, with `@type` where it is asked for or the type always has it."""
        result: JsonObject = {"@type": self.type_name} if tagged or self.tagged else {}
        for key, write in self.writers:
            try:
                write(message, result)
            except NotInJson as error:
                error.lies_in(key)
                raise
        last = self.last_when_empty
        if last is not None and not result[last]:
            result[last] = result.pop(last)
        return result


class ChoicePlan:
    """A message that is nothing but a choice between messages, told apart by `@type`."""

    __slots__ = ("by_field", "by_type", "oneof")

    def __init__(self, oneof: str) -> None:
        self.oneof = oneof
        self.by_type: dict[str, tuple[str, ObjectPlan]] = {}
        self.by_field: dict[str, ObjectPlan] = {}

    def write(self, message: AnyMessage) -> JsonObject:
        """Returns the object of the chosen member; an empty one, which no rule allows, when nothing is chosen."""
        field = message.WhichOneof(self.oneof)
        return {} if field is None else self.by_field[field].write(getattr(message, field), tagged=True)


class ScalarChoicePlan:
    """A message that is nothing but a choice between text, number, truth value and list of texts."""

    __slots__ = ("by_kind", "list_field", "oneof")

    def __init__(self, oneof: str) -> None:
        self.oneof = oneof
        self.by_kind: dict[type, str] = {}
        self.list_field: tuple[str, str] | None = None
        """The field of the choice and the only field of its message."""

    def read(self, message: AnyMessage, value: Json) -> None:
        """Sets the member that fits the value."""
        kind = type(value)
        if kind is list:
            if self.list_field is None or not all(type(item) is str for item in value):
                raise NotRepresentable
            member = getattr(message, self.list_field[0])
            member.SetInParent()
            getattr(member, self.list_field[1]).extend(value)
            return
        field = self.by_kind.get(float if kind is int else kind)
        if field is None:
            raise NotRepresentable
        setattr(message, field, exact_double(value) if kind is int or kind is float else value)

    def write(self, message: AnyMessage) -> Json:
        """Returns the value of the chosen member, None when nothing is chosen."""
        field = message.WhichOneof(self.oneof)
        if field is None:
            return None
        value = getattr(message, field)
        if self.list_field is not None and field == self.list_field[0]:
            return list(getattr(value, self.list_field[1]))
        return plain_number(value) if type(value) is float else value


Plan: TypeAlias = ObjectPlan | ChoicePlan | ScalarChoicePlan


class Planner:
    """Makes plans and keeps them.

    Args:
        tolerant: Whether readers take what official peers take besides what they write: `@type` where it is not needed,
            defaults left out, null for something optional, dates in other forms, components as objects with `value`.
    """

    def __init__(self, *, tolerant: bool) -> None:
        self._tolerant = tolerant
        self._plans: dict[str, Plan] = {}

    def plan(self, descriptor: AnyDescriptor) -> Plan:
        """Returns the plan of a message type. Types that refer to each other share plans."""
        known = self._plans.get(descriptor.full_name)
        if known is not None:
            return known
        choice = only_oneof(descriptor)
        if choice is None:
            return self._object_plan(descriptor)
        if any(field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE for field in choice.fields):
            return self._scalar_choice_plan(descriptor, choice.name, choice.fields)
        plan = ChoicePlan(choice.name)
        self._plans[descriptor.full_name] = plan
        self.add_members(plan, choice.fields)
        return plan

    def add_members(self, plan: ChoicePlan, fields: list[AnyField]) -> None:
        """Adds fields of object types to a choice."""
        for field in fields:
            member = self.plan(field.message_type)
            if not isinstance(member, ObjectPlan):
                raise TypeError(f"{field.full_name} is not an object type")
            plan.by_type[member.type_name] = (field.name, member)
            plan.by_field[field.name] = member

    def read_object(self, plan: ObjectPlan, message: AnyMessage, value: Json, *, tagged: bool) -> None:
        """Fills an empty message from a JSON object.

        Args:
            plan: The plan of the message.
            message: The message.
            value: What should be its JSON.
            tagged: Whether `@type` belongs here.

        Raises:
            NotRepresentable: The message would not say all that the value says.
            ValueError: A text holds a lone surrogate, or a number is too large for its field.
        """
        if type(value) is not dict:
            raise NotRepresentable
        tag = value.get("@type")
        if tag is None:
            if (tagged or plan.tagged) and not self._tolerant:
                raise NotRepresentable
        elif tag != plan.type_name or not (tagged or plan.tagged or self._tolerant):
            raise NotRepresentable
        readers = plan.readers
        for key, item in value.items():
            reader = readers.get(key)
            if reader is not None:
                reader(message, item)
            elif key != "@type" and not (self._tolerant and key in _IGNORED_KEYS):
                raise NotRepresentable
        if not value.keys() >= plan.required:
            raise NotRepresentable

    def read_choice(self, plan: ChoicePlan, message: AnyMessage, value: Json) -> None:
        """Fills an empty choice from a JSON object, chosen by `@type`. Raises as `read_object`."""
        tag = value.get("@type") if type(value) is dict else None
        member = plan.by_type.get(tag) if type(tag) is str else None
        if member is None:
            raise NotRepresentable
        chosen = getattr(message, member[0])
        chosen.SetInParent()
        self.read_object(member[1], chosen, value, tagged=True)

    def _object_plan(self, descriptor: AnyDescriptor) -> ObjectPlan:
        plan = ObjectPlan(descriptor)
        # Kept before its fields are looked at, since types contain themselves through groups and hints.
        self._plans[descriptor.full_name] = plan
        writers: dict[str, Writer] = {}
        required = set()
        for field in descriptor.fields:
            options = field.GetOptions().Extensions[options_pb2.json_field]
            key = field.json_name
            may_be_absent = options.may_be_absent and self._tolerant
            plan.readers[key] = self._reader(field, null_is_absent=options.may_be_absent or takes_null(field))
            writers[key] = self._writer(field, omit_empty=options.omit_empty)
            # A field with presence may be absent; so may a list that says so, and an enum whose zero is not written.
            if not (field.has_presence or options.omit_empty or may_be_absent or has_unwritten_zero(field)):
                required.add(key)
            if options.last_when_empty:
                plan.last_when_empty = key
        if plan.result:
            plan.readers["result"] = constant_reader(plan.result)
            writers["result"] = constant_writer(plan.result)
            required.add("result")
        plan.required = frozenset(required)
        plan.writers = tuple((key, writers[key]) for key in in_key_order(writers))
        return plan

    def _scalar_choice_plan(self, descriptor: AnyDescriptor, oneof: str, fields: list[AnyField]) -> Plan:
        plan = ScalarChoicePlan(oneof)
        self._plans[descriptor.full_name] = plan
        kinds: dict[int, type] = {
            FieldDescriptor.CPPTYPE_STRING: str,
            FieldDescriptor.CPPTYPE_DOUBLE: float,
            FieldDescriptor.CPPTYPE_BOOL: bool,
        }
        for field in fields:
            if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
                plan.list_field = field.name, field.message_type.fields[0].name
            else:
                plan.by_kind[kinds[field.cpp_type]] = field.name
        return plan

    def _reader(self, field: AnyField, *, null_is_absent: bool) -> Reader:
        if is_map(field):
            reader = self._map_reader(field)
        elif field.is_repeated:
            reader = self._list_reader(field)
        elif field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            reader = self._message_reader(field)
        else:
            reader = self._scalar_reader(field)

        if not (null_is_absent and self._tolerant):
            return reader

        def read_or_skip(message: AnyMessage, value: Json) -> None:
            if value is not None:
                reader(message, value)

        return read_or_skip

    def _scalar_reader(self, field: AnyField) -> Reader:
        name, convert = field.name, self._convert(field)
        if convert is convert_text:
            # Most fields are text: without a call of its own for each.
            def read_text(message: AnyMessage, value: Json) -> None:
                if type(value) is not str:
                    raise NotRepresentable
                setattr(message, name, value)

            return read_text

        def read(message: AnyMessage, value: Json) -> None:
            setattr(message, name, convert(value))

        return read

    def _message_reader(self, field: AnyField) -> Reader:
        name, fill = field.name, self._fill(field.message_type)

        def read(message: AnyMessage, value: Json) -> None:
            member = getattr(message, name)
            member.SetInParent()
            fill(member, value)

        return read

    def _list_reader(self, field: AnyField) -> Reader:
        name = field.name
        if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
            convert = self._convert(field)

            def read_scalars(message: AnyMessage, value: Json) -> None:
                if type(value) is not list:
                    raise NotRepresentable
                getattr(message, name).extend([convert(item) for item in value])

            return self._never_empty(field, read_scalars)
        fill = self._fill(field.message_type)

        def read(message: AnyMessage, value: Json) -> None:
            if type(value) is not list:
                raise NotRepresentable
            add = getattr(message, name).add
            for item in value:
                fill(add(), item)

        return self._never_empty(field, read)

    def _never_empty(self, field: AnyField, reader: Reader) -> Reader:
        # An empty list could not be told from an absent one.
        if self._tolerant or not field.GetOptions().Extensions[options_pb2.json_field].omit_empty:
            return reader

        def read(message: AnyMessage, value: Json) -> None:
            if value == []:
                raise NotRepresentable
            reader(message, value)

        return read

    def _map_reader(self, field: AnyField) -> Reader:
        name, fill = field.name, self._fill(field.message_type.fields_by_name["value"].message_type)

        def read(message: AnyMessage, value: Json) -> None:
            if type(value) is not dict:
                raise NotRepresentable
            entries = getattr(message, name)
            for key, item in value.items():
                fill(entries[key], item)

        return read

    def _fill(self, descriptor: AnyDescriptor) -> Reader:
        """Returns what fills a message of this type, which is empty and in its place."""
        if descriptor.full_name == STRUCT:
            return fill_struct_only
        if descriptor.full_name == VALUE:
            return fill_value
        if descriptor.full_name == TIMESTAMP:
            return self._fill_timestamp
        plan = self.plan(descriptor)
        if isinstance(plan, ScalarChoicePlan):
            return plan.read
        if isinstance(plan, ChoicePlan):
            return lambda message, value: self.read_choice(plan, message, value)
        return lambda message, value: self.read_object(plan, message, value, tagged=False)

    def _fill_timestamp(self, message: AnyMessage, value: Json) -> None:
        try:
            moment = parse_date(value)
        except MalformedValue:
            raise NotRepresentable from None
        if not self._tolerant and format_date(moment) != value:
            raise NotRepresentable
        elapsed = moment - EPOCH
        message.seconds = elapsed.days * 86_400 + elapsed.seconds
        message.nanos = elapsed.microseconds * 1_000

    def _convert(self, field: AnyField) -> Convert:
        convert = scalar_convert(field)
        if not self._tolerant:
            return convert

        def convert_component(value: Json) -> Any:
            if type(value) is dict and "value" in value and value.keys() <= {"@type", "value"}:
                value = value["value"]
            return convert(value)

        return convert_component

    def _writer(self, field: AnyField, *, omit_empty: bool) -> Writer:
        name, key = field.name, field.json_name
        if is_map(field):
            write_entry = self._write(field.message_type.fields_by_name["value"].message_type)

            def write_map(message: AnyMessage, result: JsonObject) -> None:
                entries = getattr(message, name)
                result[key] = write_members(in_key_order(entries), lambda entry: write_entry(entries[entry]))

            return write_map
        if field.is_repeated:
            is_message = field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE
            write_item = self._write(field.message_type) if is_message else None

            def write_list(message: AnyMessage, result: JsonObject) -> None:
                items = getattr(message, name)
                if items or not omit_empty:
                    result[key] = list(items) if write_item is None else write_each(items, write_item)

            return write_list
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            write_member = self._write(field.message_type)

            def write_message(message: AnyMessage, result: JsonObject) -> None:
                if message.HasField(name):
                    result[key] = write_member(getattr(message, name))

            return write_message
        return scalar_writer(field)

    def _write(self, descriptor: AnyDescriptor) -> Callable[[AnyMessage], Json]:
        if descriptor.full_name == STRUCT:
            return struct_to_json
        if descriptor.full_name == VALUE:
            return value_to_json
        if descriptor.full_name == TIMESTAMP:
            return write_timestamp
        plan = self.plan(descriptor)
        if isinstance(plan, ObjectPlan):
            return lambda message: plan.write(message, tagged=False)
        return plan.write
