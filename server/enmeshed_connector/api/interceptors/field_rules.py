"""The field rules of the protos, and idempotency keys for mutations that come without one."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

import protovalidate
from google.protobuf.message import Message

from enmeshed_connector.api.calls import Call
from enmeshed_connector.core.errors import FieldViolation, InvalidArgument

IDEMPOTENCY_KEY: Final = "x-idempotency-key"
"""Trailing metadata: the key under which the server knows a mutation, the caller's or its own."""

_KEY_FIELD: Final = "idempotency_key"
_MAX_VIOLATIONS: Final = 50


def _new_key() -> str:
    return str(uuid.uuid4())


class FieldRules:
    """Checks request messages by the `buf.validate` options of their fields. Servicers need not check shapes again."""

    def __init__(self, make_key: Callable[[], str] = _new_key) -> None:
        """Takes what makes keys.

        Args:
            make_key: Makes an idempotency key, a UUID.
        """
        self._validator = protovalidate.Validator()
        self._make_key = make_key
        self._has_key: dict[str, bool] = {}
        self._fields: dict[str, bool] = {}

    def __call__(self, call: Call, request: Message) -> None:
        """Checks a message, and gives a mutation its idempotency key.

        Raises:
            InvalidArgument: A field breaks a rule; the violations name each.
        """
        if call.method.is_public or not self._has_fields(request):
            return
        violations = self._validator.collect_violations(request)
        if violations:
            named = [FieldViolation(_path(violation), _text(violation)) for violation in violations[:_MAX_VIOLATIONS]]
            first = named[0]
            text = f"{first.field or 'the request'}: {first.description}"
            if len(violations) > 1:
                text += f" (and {len(violations) - 1} more)"
            raise InvalidArgument(text, violations=named, official_code="error.runtime.validation.invalidPropertyValue")
        self._take_key(call, request)

    def _has_fields(self, request: Message) -> bool:
        """Tells whether there is anything to check; many requests are empty, and even looking costs."""
        name = request.DESCRIPTOR.full_name
        known = self._fields.get(name)
        if known is None:
            known = self._fields[name] = bool(request.DESCRIPTOR.fields)
        return known

    def _take_key(self, call: Call, request: Message) -> None:
        name = request.DESCRIPTOR.full_name
        has_key = self._has_key.get(name)
        if has_key is None:
            has_key = self._has_key[name] = _KEY_FIELD in request.DESCRIPTOR.fields_by_name
        if not has_key:
            return
        key = getattr(request, _KEY_FIELD)
        if not key:
            key = self._make_key()
            setattr(request, _KEY_FIELD, key)
        note_idempotency_key(call, key)


def note_idempotency_key(call: Call, key: str) -> None:
    """Returns the key to the caller: in the trailing metadata, and in the facts when the outcome is unknown."""
    call.trailing[IDEMPOTENCY_KEY] = key
    call.facts[_KEY_FIELD] = key


def _path(violation: protovalidate.Violation) -> str:
    path = ""
    field = violation.proto.field
    for element in field.elements if field is not None else ():
        path += f".{element.field_name}" if path else element.field_name
        if element.subscript is not None:
            value = element.subscript.value
            path += f"[{value!r}]" if isinstance(value, str) else f"[{value}]"
    return path


def _text(violation: protovalidate.Violation) -> str:
    proto = violation.proto
    return proto.message or proto.rule_id or "is not allowed"
