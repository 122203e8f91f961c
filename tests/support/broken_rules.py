"""Requests that each break one field rule of the contract, made from the rules themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from enmeshed.connector._rules import validate_pb2

_PACKAGE = "enmeshed.connector."
_TOO_LONG = {"string": lambda count: "x" * count, "bytes": lambda count: b"x" * count}


@dataclass(frozen=True)
class BrokenRule:
    """A request that breaks the rule of one field; others of its fields may be wrong, too."""

    path: str
    """The field, as violations name it."""
    rule: str
    request: Message

    def __str__(self) -> str:
        return f"{self.path}:{self.rule}"


def broken_rules(descriptor: Descriptor) -> Iterator[BrokenRule]:
    """Yields a request for every rule of every field, also inside of messages of ours; not for rules of messages."""
    for field in descriptor.fields:
        for path, rule, request in _of_field(descriptor, field):
            yield BrokenRule(path, rule, request)
    for oneof in descriptor.oneofs:
        if oneof.GetOptions().Extensions[validate_pb2.oneof].required:
            yield BrokenRule(oneof.name, "required", _new(descriptor))


def _of_field(descriptor: Descriptor, field: FieldDescriptor) -> Iterator[tuple[str, str, Message]]:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    kind = rules.WhichOneof("type")
    if rules.required:
        yield field.name, "required", _new(descriptor)
    if kind == "repeated":
        yield from _of_list(descriptor, field, rules.repeated)
    elif kind is not None:
        for rule, value in _wrong(kind, getattr(rules, kind)):
            request = _new(descriptor)
            setattr(request, field.name, value)
            yield field.name, rule, request
    if field.message_type is None:
        return
    for expression in rules.cel:
        request = _new(descriptor)
        getattr(request, field.name).SetInParent()
        yield field.name, expression.id, request
    if not field.message_type.full_name.startswith(_PACKAGE):
        return
    for inner in field.message_type.fields:
        for path, rule, message in _of_field(field.message_type, inner):
            request = _new(descriptor)
            target = getattr(request, field.name)
            (target.add() if field.is_repeated else target).CopyFrom(message)
            # An empty message that is not set breaks nothing.
            (target[0] if field.is_repeated else target).SetInParent()
            yield f"{field.name}{'[0]' if field.is_repeated else ''}.{path}", rule, request


def _of_list(descriptor: Descriptor, field: FieldDescriptor, rules: Any) -> Iterator[tuple[str, str, Message]]:
    def request_with(*values: Any) -> Message:
        request = _new(descriptor)
        getattr(request, field.name).extend(values)
        return request

    kind = rules.items.WhichOneof("type")
    fill: Any = {FieldDescriptor.TYPE_STRING: "x", FieldDescriptor.TYPE_BYTES: b"x"}.get(field.type, 1)
    if rules.min_items:
        yield field.name, "min_items", request_with(*[fill] * (rules.min_items - 1))
    if rules.HasField("max_items"):
        yield field.name, "max_items", request_with(*[fill] * (rules.max_items + 1))
    if rules.unique:
        yield field.name, "unique", request_with(fill, fill)
    if kind is not None:
        for rule, value in _wrong(kind, getattr(rules.items, kind)):
            yield f"{field.name}[0]", rule, request_with(value)


def _wrong(kind: str, rules: Any) -> Iterator[tuple[str, Any]]:
    """Yields the name of each rule and a value that breaks it."""
    if kind in _TOO_LONG:
        if rules.min_len:
            yield "min_len", _TOO_LONG[kind](rules.min_len - 1)
        if rules.HasField("max_len"):
            yield "max_len", _TOO_LONG[kind](rules.max_len + 1)
        if rules.HasField("len"):
            yield "len", _TOO_LONG[kind](rules.len + 1)
        if rules.HasField("pattern"):
            yield "pattern", "no such\n"
    if kind == "string":
        if rules.uuid:
            yield "uuid", "no-uuid"
        if getattr(rules, "in"):
            yield "in", "nonsense"
    if kind in ("int32", "int64", "uint32"):
        for name, step in (("gte", -1), ("lte", 1), ("gt", 0), ("lt", 0)):
            if rules.HasField(name) and not (kind == "uint32" and step < 0 == getattr(rules, name)):
                yield name, getattr(rules, name) + step
    if kind == "double" and rules.finite:
        yield "finite", math.inf
    if kind == "enum":
        if rules.defined_only:
            yield "defined_only", 999
        if rules.not_in:
            yield "not_in", rules.not_in[0]


def _new(descriptor: Descriptor) -> Message:
    return GetMessageClass(descriptor)()
