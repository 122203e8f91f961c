"""Runs the asynchronous part of a command, on the faster loop where there is one."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
from collections.abc import Coroutine
from typing import TypeVar, cast

T = TypeVar("T")


def run(main: Coroutine[None, None, T]) -> T:
    """Runs a coroutine to its end and returns its result."""
    if importlib.util.find_spec("uvloop") is None:
        # Windows has none.
        return asyncio.run(main)
    return cast(T, importlib.import_module("uvloop").run(main))


async def until_stopped() -> None:
    """Returns at the first SIGTERM or SIGINT; the second one ends the process as usual."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    await stopped.wait()
