"""Turns the JSON that peers exchange into `enmeshed.content.v1.Content` and back, losing nothing.

One codec serves all types: it knows them from the descriptors of the generated messages and from the JSON options in
`protos/enmeshed/content/v1/options.proto`.
"""

from __future__ import annotations

import json
from typing import NoReturn, TypeVar

from google.protobuf.message import Message

from enmeshed.content.v1 import content_pb2
from enmeshed_connector.core.canonical_json import Json, JsonObject, dumps, is_too_deep, loads
from enmeshed_connector.core.errors import FieldViolation, field_path
from enmeshed_connector.core.malformed import MalformedJson, MalformedValue

from ._plain_json import NotInJson, NotRepresentable, exact_text, fill_struct, is_shallow, struct_to_json
from ._plans import ChoicePlan, ObjectPlan, Planner, ScalarChoicePlan
from .errors import ContentInvalid

M = TypeVar("M", bound=Message)

MAX_RAW_BYTES = 20 * 1024 * 1024
"""The largest `raw_json` that is taken."""


class ContentCodec:
    """Converts content between JSON and messages.

    Holds what it works out from the descriptors; one codec serves a whole process and may be used from several threads
    once it is made.
    """

    def __init__(self) -> None:
        self._exact = Planner(tolerant=False)
        self._tolerant = Planner(tolerant=True)
        self._exact_roots = _roots(self._exact)
        self._tolerant_roots = _roots(self._tolerant)

    def content_from_json(self, value: Json, text: str | bytes | None = None) -> content_pb2.Content:
        """Returns the content that says exactly what a JSON value says.

        A typed message when the value has the `@type` and nothing but the keys of one, written as official peers write
        it; else `json`, when the value is an object, no more than 24 levels deep, without lone surrogates and whole
        numbers past 2^53; else `raw_json`. `json_from_content` gives the same value again: the order of keys, and `5.0`
        for `5`, are no difference.

        Args:
            value: The JSON, as `core.canonical_json.loads` gives it.
            text: Its exact text, where it is known; becomes `raw_json` when that is needed. Else a text is written.
        """
        content = content_pb2.Content()
        self.fill_content(content, value, text)
        return content

    def fill_content(self, content: content_pb2.Content, value: Json, text: str | bytes | None = None) -> None:
        """Puts into an empty content what `content_from_json` returns; spares the copy where the content has its place.

        Args:
            content: The content, empty.
            value: The JSON, as `core.canonical_json.loads` gives it.
            text: Its exact text, where it is known.
        """
        if type(value) is dict and is_shallow(value):
            if self._read_typed(content, value):
                return
            try:
                content.json.SetInParent()
                fill_struct(content.json, value)
            except (NotRepresentable, ValueError):
                content.Clear()
            else:
                return
        if text is None:
            text = exact_text(value)
        content.raw_json = text if isinstance(text, bytes) else text.encode("utf-8")

    def content_from_text(self, text: str | bytes) -> content_pb2.Content:
        """Returns the content that says exactly what a JSON text says, also where its value does not tell all.

        As `content_from_json`; besides, a text with keys that occur twice, with integers of more than 64 bits, or
        nested deeper than this project follows becomes `raw_json`.

        Raises:
            ContentInvalid: The text is not JSON; not said of one that is nested too deep to be looked at.
        """
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        # The parser recurses; whatever the garbage collector finalises meanwhile would fail where recursion ends.
        if is_too_deep(data):
            return content_pb2.Content(raw_json=data)
        try:
            value = json.loads(
                data, object_pairs_hook=_unique_members, parse_constant=_refuse, parse_int=_small_integer
            )
        except _NotPlain:
            return content_pb2.Content(raw_json=data)
        except ValueError:
            raise _not_json() from None
        return self.content_from_json(value, data)

    def json_from_content(self, content: content_pb2.Content, field: str = "content") -> Json:
        """Returns the JSON of a content, keys in the order of official peers.

        Args:
            content: The content.
            field: Its path in the call, with which the paths of its fields begin.

        Raises:
            ContentInvalid: No form is set, `raw_json` is not JSON, is over 20 MiB or is nested deeper than this project
                follows, or a number or date is none that JSON has.
        """
        kind = content.WhichOneof("kind")
        if kind is None:
            raise ContentInvalid([FieldViolation(field, "must be set")])
        try:
            if kind == "json":
                return struct_to_json(content.json)
            if kind == "raw_json":
                return loads(content.raw_json, field=f"{field}.raw_json", max_bytes=MAX_RAW_BYTES)
            return self._exact_roots.by_field[kind].write(getattr(content, kind), tagged=True)
        except MalformedValue as error:
            raise ContentInvalid(error.violations) from None
        except NotInJson as error:
            raise _not_in_json(error, field) from None

    def text_from_content(self, content: content_pb2.Content) -> str:
        """Returns the JSON text of a content: `raw_json` as it is, other forms as official peers write them.

        Raises:
            ContentInvalid: As `json_from_content`.
        """
        value = self.json_from_content(content)
        if content.WhichOneof("kind") == "raw_json":
            return content.raw_json.decode("utf-8-sig")
        return dumps(value)

    def from_json(self, value: Json, message_class: type[M]) -> M | None:
        """Returns the message of a class of `enmeshed.content.v1` that says exactly what the JSON says, else None.

        Args:
            value: The JSON. Has `@type` when the class is a choice (`Attribute`, `RequestItem`); else as that may be.
            message_class: The class.
        """
        return self._read(self._exact, value, message_class)

    def read(self, value: Json, message_class: type[M]) -> M | None:
        """Returns the message that a tolerant peer reads: as `from_json`, but also other forms of the same.

        Those are: `@type` where it is not needed, defaults left out, null for what is optional, dates in other forms,
        components as objects with `value`. None when keys are unknown or values do not fit.
        """
        return self._read(self._tolerant, value, message_class)

    def to_json(self, message: Message, *, field: str = "content", tagged: bool = True) -> JsonObject:
        """Returns the JSON of a message of `enmeshed.content.v1`; of a choice, that of its member.

        Args:
            message: The message.
            field: Its path in the call, with which the paths of its fields begin.
            tagged: Whether to write `@type` at the root.

        Raises:
            ContentInvalid: A number or date is none that JSON has.
        """
        plan = self._exact.plan(message.DESCRIPTOR)
        try:
            if isinstance(plan, ObjectPlan):
                return plan.write(message, tagged=tagged)
            if isinstance(plan, ChoicePlan):
                return plan.write(message)
        except NotInJson as error:
            raise _not_in_json(error, field) from None
        raise TypeError(f"{message.DESCRIPTOR.full_name} is not an object in JSON")

    def normalize(self, value: Json) -> Json:
        """Returns content as official peers write it: with its defaults, and `@type` where they put it.

        What is no known type, has unknown keys or cannot be read comes back as it is, so nothing is lost.
        """
        if type(value) is not dict or not is_shallow(value):
            return value
        content = content_pb2.Content()
        tag = value.get("@type")
        member = self._tolerant_roots.by_type.get(tag) if type(tag) is str else None
        if member is None:
            return value
        name, plan = member
        try:
            message = getattr(content, name)
            self._tolerant.read_object(plan, message, value, tagged=True)
            return plan.write(message, tagged=True)
        except (NotRepresentable, ValueError):
            return value

    def _read_typed(self, content: content_pb2.Content, value: JsonObject) -> bool:
        tag = value.get("@type")
        member = self._exact_roots.by_type.get(tag) if type(tag) is str else None
        if member is None:
            return False
        chosen = getattr(content, member[0])
        chosen.SetInParent()
        try:
            self._exact.read_object(member[1], chosen, value, tagged=True)
        except (NotRepresentable, ValueError):
            content.Clear()
            return False
        return True

    def _read(self, planner: Planner, value: Json, message_class: type[M]) -> M | None:
        plan = planner.plan(message_class.DESCRIPTOR)
        message = message_class()
        if not is_shallow(value):
            return None
        try:
            if isinstance(plan, ChoicePlan):
                planner.read_choice(plan, message, value)
            elif isinstance(plan, ScalarChoicePlan):
                plan.read(message, value)
            else:
                tagged = plan.tagged or (type(value) is dict and "@type" in value)
                planner.read_object(plan, message, value, tagged=tagged)
        except (NotRepresentable, ValueError):
            return None
        return message


class _NotPlain(Exception):
    """A text says more than its value would."""


def _unique_members(members: list[tuple[str, Json]]) -> JsonObject:
    result = dict(members)
    if len(result) != len(members):
        raise _NotPlain
    return result


def _small_integer(digits: str) -> int:
    # Longer ones are past 2^53, and converting thousands of digits takes more than linear time.
    if len(digits) > 20:
        raise _NotPlain
    return int(digits)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _not_in_json(error: NotInJson, field: str) -> ContentInvalid:
    return ContentInvalid([FieldViolation(field_path(field, error.path), str(error))])


def _not_json() -> ContentInvalid:
    return ContentInvalid(MalformedJson("content", "is not JSON").violations)


def _roots(planner: Planner) -> ChoicePlan:
    """Returns the choice between all types that may be a root; `json` and `raw_json` are not among them."""
    plan = ChoicePlan("kind")
    package = content_pb2.DESCRIPTOR.package
    fields = [
        field
        for field in content_pb2.Content.DESCRIPTOR.fields
        if field.message_type is not None and field.message_type.file.package == package
    ]
    planner.add_members(plan, fields)
    return plan
