"""One account, open: all controllers over one `AccountContext`, and the tables they fill.

To add a concern: build its controller in `TransportAccount.__init__`, and let it contribute what it has of

- `processors`: its processors of external events,
- `operations`: its kinds of requests that must not happen twice.
"""

from __future__ import annotations

from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.external_events import ProcessorTable


class TransportAccount:
    """The transport layer of one account."""

    def __init__(self, context: AccountContext) -> None:
        """Builds the controllers; does no I/O. `bootstrap.open_account` makes the context."""
        self.context = context
        self.processors = ProcessorTable()
        # Each controller: `self.messages = MessageController(context, …)`, then
        # `self.processors.register(*self.messages.processors)`, `context.outbox.register(*self.messages.operations)`.
