"""The embedded Backbone for tests: in this process, and as a process of its own that can be killed."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio

from enmeshed_backbone.server import BackboneServer

SERVER_FOLDER = Path(__file__).resolve().parents[2] / "server"
START_SECONDS = 30
STOP_SECONDS = 10


@pytest_asyncio.fixture
async def backbone() -> AsyncIterator[BackboneServer]:
    """Gives a fresh Backbone in memory on free loopback ports."""
    async with BackboneServer() as server:
        yield server


@dataclass
class BackboneProcess:
    """A running `python -m enmeshed_backbone`.

    Attributes:
        base_url: The Consumer API.
        admin_url: The Admin API.
    """

    base_url: str
    admin_url: str
    process: asyncio.subprocess.Process

    @classmethod
    @asynccontextmanager
    async def start(cls, *flags: str) -> AsyncIterator[BackboneProcess]:
        """Runs the command on free ports for the length of a block.

        Args:
            flags: Further flags; two runs with the same `--data FILE` share what the first has stored.

        Raises:
            RuntimeError: It ended before it listened.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "enmeshed_backbone", "--port", "0", "--admin-port", "0", *flags),
            env=os.environ | {"PYTHONPATH": str(SERVER_FOLDER)},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                base_url, admin_url = await _read_url(process, "Consumer API"), await _read_url(process, "Admin API")
            yield cls(base_url, admin_url, process)
        finally:
            await _stop(process)

    async def kill(self) -> None:
        """Ends the process as a power cut would, from the process's point of view."""
        self.process.kill()
        await self.process.wait()


async def _read_url(process: asyncio.subprocess.Process, label: str) -> str:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        match = re.match(rf"{label}:\s+(\S+)", line.decode())
        if match:
            return match[1]
    raise RuntimeError(f"The Backbone ended with {await process.wait()} before it was ready.")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
