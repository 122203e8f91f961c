"""An account that is hosted as in production: its worker syncs by itself, and a restart loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from enmeshed_connector.runtime.account_runtime import AccountRuntime
from enmeshed_connector.runtime.settings import RuntimeSettings
from enmeshed_connector.storage import Position
from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import Peers
from tests.interop.our_side import Json, OurSide
from tests.interop.steps import change, offer, receive, send_mail
from tests.support.own_peer import own_environment

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


@asynccontextmanager
async def hosted(backbone: BackboneProcess, folder: Path) -> AsyncIterator[OurSide]:
    """Hosts the account of a folder for the length of a block; news reach it by the event stream alone."""
    async with own_environment(backbone.base_url, folder) as environment:
        runtime = AccountRuntime(environment, RuntimeSettings())
        running = asyncio.create_task(runtime.run())
        try:
            await runtime.wait_until_ready()
            yield OurSide(runtime.transport, runtime.use_cases)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def next_of(ours: OurSide, kind: str, after: Position) -> tuple[Json, Position]:
    """Waits for the next event of a type behind a place in the log, and returns it with its place."""
    log = ours.transport.context.store.log
    async with asyncio.timeout(60):
        while True:
            page = await log.read(after, types=frozenset({kind}), limit=1)
            if page.events:
                return page.events[0].event, page.events[0].position
            await log.wait(page.next, timedelta(seconds=60))


async def test_news_arrive_without_being_asked_for_and_a_restart_loses_nothing(
    backbone: BackboneProcess, peers: Peers, tmp_path: Path
) -> None:
    official = await peers.start()
    async with hosted(backbone, tmp_path) as ours:
        address = ours.address
        start = await ours.transport.context.store.log.head()
        relationship = await ours.ask(await offer(official))
        await official.sync()
        await change(official, "acceptRelationship", relationship["id"])
        statuses, place = [], start
        for _ in range(2):
            event, place = await next_of(ours, "transport.relationshipChanged", place)
            statuses.append((event["data"]["status"], event["origin"]))
        assert statuses == [("Pending", "LOCAL"), ("Active", "EXTERNAL")]
        first = await send_mail(official, ours, body="While you are there.")
        event, place = await next_of(ours, "transport.messageReceived", place)
        assert (event["data"]["id"], event["origin"]) == (first["id"], "EXTERNAL")
        sent = await ours.send_mail(official, body="Here I am.")
        assert (await receive(official, sent["id"]))["content"]["body"] == "Here I am."

    second = await send_mail(official, ours, body="While you are away.")

    async with hosted(backbone, tmp_path) as ours:
        event, place = await next_of(ours, "transport.messageReceived", place)
        assert (event["data"]["id"], event["data"]["content"]["body"]) == (second["id"], "While you are away.")
        sent = await ours.send_mail(official, body="Back again.")
        assert (await receive(official, sent["id"]))["content"]["body"] == "Back again."
        third = await send_mail(official, ours, body="And now?")
        event, _ = await next_of(ours, "transport.messageReceived", place)
        assert event["data"]["id"] == third["id"]
        assert ours.address == address
        assert len([name for name, _, _ in await ours.events() if name == "messageReceived"]) == 3
