"""A Connector as a process of its own, which can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

_ROOT = Path(__file__).resolve().parents[2]
_PATHS = (_ROOT / "server", _ROOT / "clients" / "python")
_SERVE = "from enmeshed_connector.cli import main; main()"
START_SECONDS = 60
STOP_SECONDS = 30
_LOG_LINES = 400


class ConnectorProcess:
    """One run of `enmeshed-connector serve` on a free port, for use inside `async with`; killed when that ends.

    Attributes:
        log: The last lines that it has logged.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        """Takes settings by their environment variables, without the prefix: `DATABASE__FOLDER`."""
        self._settings = {f"ENMESHED_{name}": value for name, value in settings.items()}
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._port: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The running process."""
        assert self._process is not None
        return self._process

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.returncode is None

    async def __aenter__(self) -> ConnectorProcess:
        """Starts it; it need not listen yet."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ENMESHED_")}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", _SERVE, "serve"),
            env=inherited
            | {"PYTHONPATH": os.pathsep.join(map(str, _PATHS)), "ENMESHED_SERVER__PORT": "0"}
            | {"ENMESHED_LOG__FORMAT": "json"}
            | self._settings,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Kills it unless it has ended."""
        await self.kill()

    async def port(self) -> int:
        """Returns where it listens, as soon as it does.

        Raises:
            RuntimeError: It ended before.
        """
        async with asyncio.timeout(START_SECONDS):
            return await asyncio.shield(self._port)

    async def kill(self) -> None:
        """Ends it as a power cut would, from its own point of view: SIGKILL."""
        if self.is_running:
            self.process.kill()
        await self._ended()

    async def stop(self) -> int:
        """Asks it to end and returns its exit code."""
        if self.is_running:
            self.process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            await self._ended()
        return int(self.process.returncode or 0)

    async def _ended(self) -> None:
        await self.process.wait()
        if self._reader is not None:
            await self._reader
        if not self._port.done():
            self._port.cancel()

    async def _read(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            text = line.decode(errors="replace").rstrip()
            self.log.append(text)
            if not self._port.done() and '"server listens"' in text:
                self._port.set_result(int(json.loads(text)["port"]))
        if not self._port.done():
            self._port.set_exception(RuntimeError("the Connector ended before it listened:\n" + "\n".join(self.log)))
            # Nobody may be waiting for it.
            self._port.exception()
