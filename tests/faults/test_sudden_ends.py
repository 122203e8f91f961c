"""Real processes that end within a send: a sample of what `test_crash_points` goes through in this process."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from enmeshed_backbone.server import BackboneServer
from enmeshed_connector.core.errors import OutcomeUnknown
from tests.support import oracle
from tests.support.backbone import backbone
from tests.support.dying_account import EXIT_CODE, ticket_of
from tests.support.network import befriend
from tests.support.own_peer import own_account

__all__ = ["backbone"]

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("server", "clients/python", ".")
STEPS = (2, 5, 9, 13, 16, 18, 20, 22)
"""Steps of sending at which a process ends; the last ones lie around the request and the commit behind it."""


async def send_and_die(folder: Path, base_url: str, peer: str, text: str, step: int) -> bool:
    """Sends a text in a process that ends at a step; returns whether it got through before."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.support.dying_account", str(folder), base_url, peer, text, str(step)),
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("server", "clients/python", "."))},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode in (0, EXIT_CODE), process.returncode
    return output == b"sent\n"


async def test_a_message_is_sent_once_whenever_its_process_ends(backbone: BackboneServer, tmp_path: Path) -> None:
    folder, base_url = tmp_path / "anna", backbone.base_url
    async with own_account(base_url, tmp_path / "bert") as bert:
        peer = str(bert.context.identity.address)
        async with own_account(base_url, folder) as anna:
            address = str(anna.context.identity.address)
            await befriend(anna, bert)
        outcomes: set[bool] = set()
        unclear: set[str] = set()
        for step in STEPS:
            text = f"at step {step}"
            outcomes.add(await send_and_die(folder, base_url, peer, text, step))
            async with own_account(base_url, folder) as anna:
                content = {"@type": "Text", "text": text}
                try:
                    await anna.messages.send([peer], content, ticket=ticket_of(text))
                except OutcomeUnknown:
                    # For all this process knows, the Backbone may still be at it.
                    unclear.add(text)
        assert outcomes == {False, True}, "the steps do not reach over the whole send"
        async with own_account(base_url, folder, settle_after=timedelta()) as anna:
            for text in unclear:
                await anna.messages.send([peer], {"@type": "Text", "text": text}, ticket=ticket_of(text))
            await oracle.check_messages(anna.context.store, backbone.rows, address)
            assert await anna.context.store.find("_PendingOperations") == []
        await bert.sync.sync()
        received = await bert.messages.find({"isOwn": False})
        assert sorted(one["content"]["text"] for one in received) == sorted(f"at step {step}" for step in STEPS)
        oracle.check_counters(backbone.rows, address)
