"""A process that opens an account, sends one message and ends itself at a given step, without any clean-up.

    python -m tests.support.dying_account FOLDER BASE_URL PEER TEXT STEP

Prints `sent` when it got through. The step counts from the first one of sending.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.pending import Ticket
from tests.support.crash import Crash, CrashingGateway, CrashingStore, ProcessDied
from tests.support.own_peer import own_environment

EXIT_CODE = 86


@dataclass
class SuddenEnd(Crash):
    """Ends the real process where a `Crash` only unwinds."""

    def step(self, label: str) -> None:
        """Takes one step, or ends the process: nothing is flushed, closed or rolled back."""
        try:
            super().step(label)
        except ProcessDied:
            os._exit(EXIT_CODE)


def ticket_of(text: str) -> Ticket:
    """Returns the key under which a text is sent, the same in every process."""
    return Ticket(f"account/method/{text}", "digest", text)


async def main(folder: Path, base_url: str, peer: str, text: str, step: int) -> None:
    """Sends the text, if it lives long enough."""
    crash = SuddenEnd(None)
    async with own_environment(base_url, folder) as environment:
        account = await open_account(
            replace(
                environment,
                store=CrashingStore(environment.store, crash),
                gateway=CrashingGateway(environment.gateway, crash),
            )
        )
        await account.start()
        crash.die_after(step)
        await account.messages.send([peer], {"@type": "Text", "text": text}, ticket=ticket_of(text))
        crash.at = None
        print("sent", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])))
