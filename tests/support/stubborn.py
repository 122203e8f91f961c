"""A custom module with a defect: nothing stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from enmeshed_connector.runtime.automation.modules import ModuleAccount, ModuleEvent


class Stubborn:
    """Works on the first new attribute until a file is removed, whoever cancels it meanwhile."""

    types = ("consumption.attributeCreated",)

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Takes the options: `works`, the file, which tells that it works."""
        self._works = Path(options["works"])

    async def handle(self, event: ModuleEvent, account: ModuleAccount) -> None:
        """Works."""
        self._works.touch()
        while self._works.exists():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue
