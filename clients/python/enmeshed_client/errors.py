"""The errors of calls: a status of the Connector with everything that it tells."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, message_factory
from google.protobuf.message import DecodeError


@dataclass(frozen=True)
class FieldViolation:
    """One field of a request and what is wrong with it."""

    field: str
    description: str


class ConnectorError(Exception):
    """A call that the Connector refused, or that did not reach it.

    Attributes:
        code: The gRPC status.
        message: The text, without the reason.
        reason: Why, in a word of the contract's `ErrorReason` (`RELATIONSHIP_NOT_ACTIVE`); empty when the status did
            not come from the Connector, such as UNAVAILABLE of a lost connection.
        official_code: The code of the official Connector for the same situation (`error.transport.…`), where one
            exists.
        facts: What varies in the text.
        violations: Fields that are wrong.
        retry_after: When a repeat makes sense.
        correlation_id: What to look for in the Connector's log.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        facts: Mapping[str, str] | None = None,
        violations: tuple[FieldViolation, ...] = (),
        retry_after: timedelta | None = None,
        correlation_id: str = "",
    ) -> None:
        super().__init__(f"{reason or code.name}: {message}")
        self.code = code
        self.message = message
        self.reason = reason
        self.facts = dict(facts or {})
        self.official_code = self.facts.get("code")
        self.violations = violations
        self.retry_after = retry_after
        self.correlation_id = correlation_id

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> ConnectorError:
        """Returns what a failed call tells."""
        metadata = [*(error.trailing_metadata() or ()), *(error.initial_metadata() or ())]
        reason, facts = "", {}
        violations: tuple[FieldViolation, ...] = ()
        retry_after = None
        for kind, detail in _details(metadata):
            match kind:
                case "ErrorInfo":
                    reason, facts = detail.reason, {fact.key: fact.value for fact in detail.metadata}
                case "BadRequest":
                    violations = tuple(FieldViolation(item.field, item.description) for item in detail.field_violations)
                case "RetryInfo":
                    retry_after = detail.retry_delay.ToTimedelta()
        return cls(
            error.code(),
            error.details() or "",
            reason=reason,
            facts=facts,
            violations=violations,
            retry_after=retry_after,
            correlation_id=next((str(value) for key, value in metadata if key == "x-correlation-id"), ""),
        )


def _details(metadata: Iterable[tuple[str, str | bytes]]) -> Iterator[tuple[str, Any]]:
    """Yields the details of a status that can be read, each with the name of its type."""
    classes = _classes()
    for key, value in metadata:
        if key != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        # Damaged details tell nothing; the status itself still does.
        with contextlib.suppress(DecodeError):
            for packed in classes["Status"].FromString(value).details:
                package, _, kind = packed.type_url.rpartition("/")[2].rpartition(".")
                if package == "google.rpc" and kind in classes:
                    yield kind, classes[kind].FromString(packed.value)


# The details of a status are messages of google.rpc. Describing them here, in a pool of their own, saves users of the
# stubs another package, whose modules would have to fit the protobuf in use.
_SHAPES: Mapping[str, tuple[tuple[str, int, str], ...]] = {
    "Status": (("details", 3, "*.google.protobuf.Any"),),
    "Fact": (("key", 1, "string"), ("value", 2, "string")),
    "ErrorInfo": (("reason", 1, "string"), ("metadata", 3, "*.details.Fact")),
    "FieldViolation": (("field", 1, "string"), ("description", 2, "string")),
    "BadRequest": (("field_violations", 1, "*.details.FieldViolation"),),
    "RetryInfo": (("retry_delay", 1, ".google.protobuf.Duration"),),
}


@functools.cache
def _classes() -> Mapping[str, type[Any]]:
    file = descriptor_pb2.FileDescriptorProto(name="details.proto", package="details", syntax="proto3")
    file.dependency.extend(["google/protobuf/any.proto", "google/protobuf/duration.proto"])
    field = descriptor_pb2.FieldDescriptorProto
    for name, fields in _SHAPES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            message.field.add(
                name=field_name,
                number=number,
                label=field.LABEL_REPEATED if kind.startswith("*") else field.LABEL_OPTIONAL,
                type=field.TYPE_STRING if kind == "string" else field.TYPE_MESSAGE,
                type_name=None if kind == "string" else kind.lstrip("*"),
            )
    pool = descriptor_pool.DescriptorPool()
    for known in (any_pb2.DESCRIPTOR, duration_pb2.DESCRIPTOR):
        pool.AddSerializedFile(known.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"details.{name}")) for name in _SHAPES}
