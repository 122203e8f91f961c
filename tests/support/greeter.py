"""A custom module as an operator would write one: answers mails. Also the example of docs/automation.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enmeshed_connector.runtime.automation.modules import ModuleAccount, ModuleEvent


class Greeter:
    """Answers each mail whose subject is the one of the options, and tells of it."""

    types = ("transport.messageReceived",)

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Takes the options: `subject` (needed), `answer`."""
        if "subject" not in options:
            raise ValueError("the option `subject` is missing")
        self._subject = options["subject"]
        self._answer = options.get("answer", "Hello")

    async def handle(self, event: ModuleEvent, account: ModuleAccount) -> None:
        """Answers the mail of the event, once however often the event is handled."""
        message = event.data or {}
        content = message.get("content", {})
        if content.get("@type") != "Mail" or content.get("subject") != self._subject:
            return
        sender = message["createdBy"]
        answer = {"@type": "Mail", "to": [sender], "cc": [], "subject": f"Re: {self._subject}", "body": self._answer}
        sent = await account.use_cases.messages.send([sender], answer, account.intent("answer"))
        account.publish("answered", {"message": message["id"], "answer": sent["id"]})
