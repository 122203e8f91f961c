"""What the example `send-and-follow` does in every language."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from enmeshed.connector.v1 import account_service_pb2, messages_service_pb2
from tests.support.connector import RunningConnector

STRANGER = "did:e:localhost:dids:0123456789abcdef012345"
RUN_SECONDS = 90


@dataclass(frozen=True)
class Finished:
    """A program that has ended."""

    code: int
    output: str
    errors: str


async def run(command: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str] | None = None) -> Finished:
    """Runs a program to its end; kills it when that takes too long."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ENMESHED_")}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=inherited | dict(environment or {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(RUN_SECONDS):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Finished(process.returncode or 0, output.decode(), errors.decode())


class ExampleContract:
    """The tests; a module per language gives the fixture `example`, the command that runs it."""

    async def test_a_mail_gets_through_and_its_event_is_seen(
        self, connector: RunningConnector, example: list[str], tmp_path: Path
    ) -> None:
        flags = ["--address", connector.target, "--account", "alice", "--recipient", connector.accounts["bob"]]
        flags += ["--subject", "From an example"]
        finished = await run([*example, *flags], cwd=tmp_path, environment={"ENMESHED_API_KEY": connector.api_key})
        assert (finished.code, finished.errors) == (0, "")
        lines = finished.output.splitlines()
        identifier = next(line.removeprefix("sent ") for line in lines if line.startswith("sent "))
        assert f"event transport.messageSent {identifier}" in lines

        async with connector.client("bob") as bob:
            await bob.call(bob.account.Sync, account_service_pb2.SyncRequest())
            listed = await bob.call(bob.messages.ListMessages, messages_service_pb2.ListMessagesRequest())
        assert [(item.id, item.content.mail.subject) for item in listed.messages] == [(identifier, "From an example")]

    async def test_settings_come_from_the_environment(
        self, connector: RunningConnector, example: list[str], tmp_path: Path
    ) -> None:
        environment = {
            "ENMESHED_ADDRESS": connector.target,
            "ENMESHED_API_KEY": connector.api_key,
            "ENMESHED_ACCOUNT": "bob",
            "ENMESHED_RECIPIENT": connector.accounts["alice"],
        }
        finished = await run(example, cwd=tmp_path, environment=environment)
        assert (finished.code, finished.errors) == (0, "")

    async def test_a_refusal_is_told_with_its_reason(
        self, connector: RunningConnector, example: list[str], tmp_path: Path
    ) -> None:
        for recipient, key, reason in (
            (STRANGER, connector.api_key, "RELATIONSHIP_NOT_ACTIVE"),
            ("nobody", connector.api_key, "recipients"),
            (connector.accounts["bob"], "wrong-key-0123456789-0123456789-0123456789", "CREDENTIAL_INVALID"),
        ):
            flags = ["--address", connector.target, "--account", "alice", "--recipient", recipient]
            finished = await run([*example, *flags], cwd=tmp_path, environment={"ENMESHED_API_KEY": key})
            assert finished.code == 1
            assert reason in finished.errors

    async def test_without_a_recipient_it_says_what_is_missing(self, example: list[str], tmp_path: Path) -> None:
        finished = await run(example, cwd=tmp_path)
        assert finished.code == 2
        assert "--recipient" in finished.errors
