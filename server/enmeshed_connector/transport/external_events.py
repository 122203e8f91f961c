"""External events: what the Backbone tells this identity, and who deals with it.

Each type has one `ExternalEventProcessor`, registered in the table of `account.py`. The sync engine (`sync_runs.py`)
hands the events of a run to their processors one after the other, in order:

    class MessageReceivedProcessor(ExternalEventProcessor):
        type = "MessageReceived"
        shares_commit = True

        async def fetch(self, events): ...            # optional: reads from the Backbone for many events at once
        async def process(self, event, fetched, work): ...   # decrypts, checks, writes and publishes through `work`

A processor makes no commit of its own. What it wrote becomes durable together with the mark that the event was
processed, so that nothing happens twice when a run is read again; only then is the run finalised (architecture.md,
decision 6).

**Failures.** What `process` raises is either *for now* (`is_transient`: the Backbone or the database is away) and ends
the run, unfinalised, so that it is resumed later; or it is final, and then the event is set aside in `_FailedEvents`,
reported with its code, and the events behind it go on. Everything that is not transient is final, a bug of ours
included: a poisoned event must never block an account.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from enmeshed_connector.backbone.endpoints.sync_runs import ExternalEvent
from enmeshed_connector.backbone.errors import (
    AnswerTooLarge,
    AuthenticationFailed,
    BackboneError,
    BackboneRejected,
    BackboneUnauthorized,
)
from enmeshed_connector.core.errors import Code, DomainError
from enmeshed_connector.core.malformed import MissingValue, WrongType
from enmeshed_connector.storage import StoreCorrupt
from enmeshed_connector.transport.errors import ExternalEventTypeUnknown
from enmeshed_connector.transport.work import Work

__all__ = [
    "UNKNOWN_ERROR",
    "ExternalEvent",
    "ExternalEventProcessor",
    "ProcessorTable",
    "error_code_of",
    "is_transient",
    "payload_text",
]

UNKNOWN_ERROR = "error.transport.unknown"
"""The code that failures without a code of their own are reported with."""

_MAXIMUM_CODE_LENGTH = 100


class ExternalEventProcessor(abc.ABC):
    """Deals with the events of one type."""

    type: ClassVar[str]
    """The type, as the Backbone writes it."""
    shares_commit: ClassVar[bool] = False
    """True when several events of this type in a row may become durable in one commit: what one writes must not matter
    for how the next one is read, apart from documents looked up by id through `work`."""

    async def fetch(self, events: Sequence[ExternalEvent]) -> Mapping[str, Any]:
        """Reads from the Backbone what these events need, and returns it by event id; runs before the first is
        processed.

        For types that come in numbers. What is missing in the result is read by `process`. Changes nothing here or
        there.

        Raises:
            BackboneError: Transient errors end the run.
        """
        return {}

    @abc.abstractmethod
    async def process(
        self, event: ExternalEvent, fetched: Any, work: Work
    ) -> None:  # what `fetch` returned; None without
        """Writes everything that follows from the event.

        Runs perhaps several times for one commit, and again for an event whose commit was lost: it must find out from
        the documents what is done already.

        Raises:
            DomainError: Transient errors end the run, all others set this event aside.
        """


class ProcessorTable:
    """The processors by type."""

    def __init__(self, processors: Iterable[ExternalEventProcessor] = ()) -> None:
        """Takes processors of different types."""
        self._by_type: dict[str, ExternalEventProcessor] = {}
        self.register(*processors)

    def register(self, *processors: ExternalEventProcessor) -> None:
        """Adds processors.

        Raises:
            ValueError: A type has a processor already.
        """
        for processor in processors:
            if processor.type in self._by_type:
                raise ValueError(f"external event {processor.type} has a processor already")
            self._by_type[processor.type] = processor

    def find(self, event_type: str) -> ExternalEventProcessor | None:
        """Returns the processor of a type, None when there is none."""
        return self._by_type.get(event_type)

    def processor_for(self, event_type: str) -> ExternalEventProcessor:
        """Returns the processor of a type.

        Raises:
            ExternalEventTypeUnknown: There is none.
        """
        processor = self.find(event_type)
        if processor is None:
            raise ExternalEventTypeUnknown(
                "There is no processor for external events of this type.", facts={"type": event_type[:100]}
            )
        return processor


def payload_text(event: ExternalEvent, name: str) -> str:
    """Returns a text of the event's payload.

    Raises:
        MalformedValue: It is missing, or something else.
    """
    value = event.payload.get(name)
    if value is None:
        raise MissingValue(f"payload.{name}", "is missing")
    if not isinstance(value, str):
        raise WrongType(f"payload.{name}", "must be text")
    return value


def is_transient(error: BaseException) -> bool:
    """Tells whether the same event may well be processed later, since only something around it is in the way."""
    if isinstance(error, asyncio.CancelledError | TimeoutError | OSError | MemoryError):
        return True
    if isinstance(error, AuthenticationFailed | BackboneUnauthorized | StoreCorrupt):
        return True
    if isinstance(error, AnswerTooLarge):
        # It will be as large the next time.
        return False
    if isinstance(error, BackboneRejected):
        # Without a code of the platform it is something in front of the Backbone that refuses, and that will be mended.
        return error.platform_code is None or error.code is Code.RESOURCE_EXHAUSTED
    if isinstance(error, BackboneError):
        return True
    return isinstance(error, DomainError) and error.code.is_passing


def error_code_of(error: Exception) -> str:
    """Returns the code that a final failure is reported with: the official one of the error, where it has one."""
    code = error.official_code if isinstance(error, DomainError) else None
    # Official peers report errors of the Backbone and of parsing without their codes.
    if code is None or isinstance(error, BackboneError) or not code.startswith("error.transport."):
        return UNKNOWN_ERROR
    return code[:_MAXIMUM_CODE_LENGTH]
