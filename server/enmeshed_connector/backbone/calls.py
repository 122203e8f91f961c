"""One call to the Backbone as a value, and the port through which endpoint groups make it."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from urllib.parse import quote

from enmeshed_connector.backbone.multipart import Multipart
from enmeshed_connector.core.canonical_json import Json

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

API = "/api/v2"
"""The path below which almost everything lives."""

DEFAULT_ANSWER_CAP_BYTES = 64 * 1024 * 1024
"""The largest JSON answer that is read: four messages of the largest size and some room."""


class Repeat(enum.Enum):
    """What may be done when a request was sent and its answer never came."""

    SAFE = "safe"
    """A second time changes nothing more, or leaves an orphan that harms nobody: this room repeats by itself."""
    NEVER = "never"
    """A second time might do it twice, or be answered as if the first had failed: `AnswerLost` is raised."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, taken out of its envelope."""

    status: int
    result: Json
    """The member `result`; bytes for raw answers, None when there is no body."""
    pagination: Json = None
    """The member `pagination`; None when there is none."""
    etag: str | None = None
    """The `ETag` header as it was sent, quotes included."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T_co]):
    """One request, ready to be sent as often as the rules allow, and how to read its answer."""

    name: str
    """What logs and errors call it: group and method, such as `messages.send`."""
    method: str
    path: str
    """The path below the base URL, every segment already quoted (`path_of`)."""
    read: Callable[[Answer], T_co]
    """Turns the answer into a value; raises `WireError` when it has not the promised shape."""
    repeat: Repeat
    query: Sequence[tuple[str, str]] = ()
    body: bytes | None = field(default=None, repr=False)
    """The exact JSON text to send; None for no body."""
    multipart: Multipart | None = field(default=None, repr=False)
    """A form to send instead of a body."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    gone_is_done: bool = False
    """True for deletions: 404 in answer to a repeat means that an earlier attempt got through."""
    answer_cap_bytes: int = DEFAULT_ANSWER_CAP_BYTES
    is_raw: bool = False
    """True when a success is bytes instead of an envelope; `Answer.result` is then these bytes."""
    is_event_stream: bool = False
    """True for the stream of events alone."""
    is_transfer: bool = False
    """True for contents of files: they have slots and a time limit of their own."""


class Caller(Protocol):
    """Sends calls: with the token of one device, or anonymously."""

    async def call(self, call: Call[T]) -> T:
        """Sends the call and returns what its reader makes of the answer.

        Raises:
            BackboneError: See the table in `backbone.errors`.
        """

    def stream(self, call: Call[object]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Sends the call and hands out the body of the answer in pieces, as they come; the reader of the call is not
        used.

        Faults after the first piece are raised by the iterator and not repeated here.

        Raises:
            BackboneError: See the table in `backbone.errors`.
        """

    def event_stream(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Opens the stream of server-sent events and hands out their names; see `backbone.sse`."""


def path_of(*segments: str, api: str = API) -> str:
    """Returns the path of these segments below the interface's root; whatever a segment holds, it stays one segment."""
    if any(segment in {"", ".", ".."} for segment in segments):
        raise ValueError("A path segment is empty or a dot segment.")
    return "/".join((api, *(quote(segment, safe="") for segment in segments)))


def nothing(_answer: Answer) -> None:
    """Reads an answer that has no content."""
