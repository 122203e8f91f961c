"""What an interceptor is here: a step that a call enters and leaves."""

from __future__ import annotations

from typing import Protocol

from google.protobuf.message import Message

from enmeshed_connector.api.calls import Call


class Step:
    """One concern of every call. Steps are entered in their order and left in the opposite one."""

    async def enter(self, call: Call) -> None:
        """Looks at a call before it is served.

        Raises:
            DomainError: The call is refused.
        """

    def leave(self, call: Call) -> None:
        """Ends what `enter` began; called once for each `enter` that returned, whatever came of the call."""


class RequestCheck(Protocol):
    """Looks at each request message before the servicer sees it, in client streams each frame."""

    def __call__(self, call: Call, request: Message) -> None:
        """Checks a message.

        Raises:
            DomainError: The message is refused.
        """
