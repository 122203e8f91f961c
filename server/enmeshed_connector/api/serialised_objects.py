"""Objects of lists as the bytes that were last sent of them, so that each state of an object is serialised once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

_MAX_BYTES: Final = 8 * 1024 * 1024
# Larger ones would push out many that are asked for as often.
_MAX_OBJECT_BYTES: Final = 64 * 1024
# What an entry takes besides the bytes, roughly: its key and its places.
_ENTRY_BYTES: Final = 512


class SerialisedObjects:
    """Keeps serialised messages in memory, bounded in bytes; the one that was not used for longest goes first.

    Nothing has to be told when an object changes: its state is part of the key, and a revision never comes back.
    """

    def __init__(self, *, max_bytes: int = _MAX_BYTES) -> None:
        """Takes the bound.

        Args:
            max_bytes: How much may be kept, roughly.
        """
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, key: Hashable, serialise: Callable[[], bytes]) -> bytes:
        """Returns the bytes of an object in one state.

        Args:
            key: What the bytes depend on, all of it.
            serialise: Makes them, when they are not kept.
        """
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        made = serialise()
        if len(made) <= _MAX_OBJECT_BYTES:
            self._kept[key] = made
            self._bytes += len(made) + _ENTRY_BYTES
            while self._bytes > self._max_bytes:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= len(gone) + _ENTRY_BYTES
        return made
