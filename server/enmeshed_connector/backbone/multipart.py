"""Forms with a file, written piece by piece so that the file is never copied as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Multipart:
    """A `multipart/form-data` body: text fields first, then one binary part.

    It can be written as often as needed, and gives the same bytes each time.
    """

    fields: Sequence[tuple[str, str]]
    """Names and values of the text fields, in the order in which they are written. Names are ours, values ASCII."""
    content: bytes = field(repr=False)
    """The bytes of the binary part, which is named `content` and has the file name `cipher.bin`."""
    boundary: str
    """A text of ASCII letters and digits, random, so that it does not occur in the content."""

    @property
    def content_type(self) -> str:
        """The value of the `Content-Type` header."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def size_bytes(self) -> int:
        """The value of the `Content-Length` header."""
        return len(self._head()) + len(self.content) + len(self._tail())

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yields the whole body in pieces of at most 256 KiB, besides the head."""
        yield self._head()
        view = memoryview(self.content)
        for start in range(0, len(view), _PIECE_BYTES):
            yield bytes(view[start : start + _PIECE_BYTES])
        yield self._tail()

    def _head(self) -> bytes:
        parts = [
            f'--{self.boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in self.fields
        ]
        parts.append(
            f'--{self.boundary}\r\nContent-Disposition: form-data; name="content"; filename="cipher.bin"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        return "".join(parts).encode("ascii")

    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode("ascii")
