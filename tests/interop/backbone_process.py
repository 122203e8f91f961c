"""The embedded Backbone as its users have it: a process of its own, started by its command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import httpx

SERVER = Path(__file__).resolve().parents[2] / "server"
STOP_SECONDS = 10
API_KEY = "test"


class BackboneProcess:
    """A running Backbone with both of its APIs.

    Attributes:
        base_url: The Consumer API, which clients use.
        admin_url: The Admin API.
    """

    def __init__(self, base_url: str, admin_url: str) -> None:
        self.base_url = base_url
        self.admin_url = admin_url

    @classmethod
    @contextmanager
    def start(cls, *flags: str) -> Iterator[Self]:
        """Starts a Backbone with an empty database in memory on free ports, for the length of a block.

        Args:
            flags: Further flags of the command `enmeshed-backbone`.

        Raises:
            RuntimeError: It ends before it listens; its log is on standard error.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "enmeshed_backbone", "--port", "0", "--admin-port", "0", *flags],
            env=os.environ | {"PYTHONPATH": str(SERVER)},
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield cls(_read_url(process, "Consumer API"), _read_url(process, "Admin API"))
            finally:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()

    async def announce(self, **announcement: Any) -> Any:
        """Makes an announcement the way the official test suites do, and returns it.

        Args:
            announcement: The members of the request; `severity` is Low and `isSilent` false unless given.
        """
        async with self._admin() as client:
            token = await client.get("/api/v1/xsrf")
            answer = await client.post(
                "/api/v1/Announcements",
                headers={"x-xsrf-token": token.text},
                json={"severity": "Low", "isSilent": False, "actions": [], **announcement},
            )
        assert answer.status_code == 201, answer.text
        return answer.json()["result"]

    async def move_clock(self, by: timedelta) -> None:
        """Moves the clock of the Backbone forward."""
        await self._post("/api/v1/Development/Clock", {"seconds": by.total_seconds()})

    async def run_deletion_job(self) -> Any:
        """Carries out the deletions that are due and returns what was done."""
        return await self._post("/api/v1/Development/DeletionJob", None)

    async def _post(self, path: str, body: Any) -> Any:
        async with self._admin() as client:
            answer = await client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def _admin(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.admin_url, headers={"x-api-key": API_KEY}, trust_env=False)


def _read_url(process: subprocess.Popen[str], label: str) -> str:
    """Reads what the command prints until the line with that address."""
    assert process.stdout is not None
    for line in process.stdout:
        match = re.match(rf"{label}:\s+(\S+)", line)
        if match:
            return match[1]
    raise RuntimeError(f"The Backbone ended with {process.wait()} before it was ready.")
