"""Whether the server takes calls: starting, ready, draining. Health and the readiness gate read it, streams listen to
it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable


class State(enum.Enum):
    """The phases of a server, in their order."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Readiness:
    """The phase of the server. Draining is final."""

    def __init__(self) -> None:
        self._state = State.STARTING
        self._listeners: dict[object, Callable[[], None]] = {}

    @property
    def state(self) -> State:
        """The present phase."""
        return self._state

    @property
    def is_draining(self) -> bool:
        """Whether streams should end."""
        return self._state is State.DRAINING

    def ready(self) -> None:
        """Lets calls in; does nothing while draining."""
        self._change(State.READY)

    def not_ready(self) -> None:
        """Keeps calls out again, as while starting; does nothing while draining."""
        self._change(State.STARTING)

    def drain(self) -> None:
        """Keeps calls out for good and tells streams to end. Safe to repeat."""
        self._change(State.DRAINING)

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls `listener` after each change; returns what ends that."""
        token = object()
        self._listeners[token] = listener
        return lambda: self._listeners.pop(token, None) and None

    def _change(self, state: State) -> None:
        if self._state in (state, State.DRAINING):
            return
        self._state = state
        for listener in list(self._listeners.values()):
            listener()
