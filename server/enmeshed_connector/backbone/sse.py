"""Server-sent events: the decoder of the stream. Pure.

Source: backbone-api.md section 5.4. The Backbone sends the names of what happened and never any content.
"""

from __future__ import annotations

from datetime import timedelta

STREAM_PATH = "/api/v1/sse"
"""The path below the base URL, the one that official Connectors use."""

CONNECTION_OPENED = "ConnectionOpened"
EXTERNAL_EVENT_CREATED = "ExternalEventCreated"
DATAWALLET_MODIFICATIONS_CREATED = "DatawalletModificationsCreated"
KEEP_ALIVE = "keep-alive"

SILENCE = timedelta(minutes=9)
"""A stream without a byte for so long is dead: two keep-alive intervals of the Backbone and some."""

_LONGEST_LINE_BYTES = 16 * 1024
_LONGEST_NAME = 200


class StreamGarbage(ValueError):
    """The stream holds something that is no stream of events."""


class EventDecoder:
    """Takes a stream in pieces of any size and gives the names of the complete events in it.

    Only names matter; data, ids and comments are read over. No more than one line is kept, of 16 KiB at most.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._skips_line_feed = False
        self._name: str | None = None
        self._has_data = False

    def feed(self, piece: bytes) -> list[str]:
        """Returns the names of the events that this piece completes, in order; `message` for one without a name.

        Raises:
            StreamGarbage: A line is too long.
        """
        if not piece:
            return []
        if self._skips_line_feed:
            # The two characters of one line end may arrive in two pieces.
            piece = piece.removeprefix(b"\n")
            self._skips_line_feed = False
        data = self._rest + piece
        self._skips_line_feed = data.endswith(b"\r")
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop()
        names: list[str] = []
        for line in lines:
            self._take(line, names)
        if len(self._rest) > _LONGEST_LINE_BYTES:
            raise StreamGarbage("a line of the event stream is too long")
        return names

    def _take(self, line: bytes, names: list[str]) -> None:
        if len(line) > _LONGEST_LINE_BYTES:
            raise StreamGarbage("a line of the event stream is too long")
        if not line:
            if self._has_data:
                names.append(self._name or "message")
            self._name, self._has_data = None, False
            return
        field, _, value = line.partition(b":")
        if field == b"data":
            self._has_data = True
        elif field == b"event":
            self._name = value.removeprefix(b" ").decode("utf-8", "replace")[:_LONGEST_NAME]
