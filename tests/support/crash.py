"""Processes that die at a given step: before or after any write of theirs, before or after any request.

`Crash(at=n)` lets n - 1 steps pass and ends the "process" at the n-th with `ProcessDied`, which is no `Exception`, so
that nothing handles it. A dead process takes no step more: what still runs in it fails likewise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from enmeshed_connector.backbone.calls import Call, Caller
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.storage import Lease, Log, Store, UnitOfWork
from enmeshed_connector.transport.environment import Gateway

T = TypeVar("T")


class ProcessDied(BaseException):
    """The process is gone."""


@dataclass
class Crash:
    """Where a process dies."""

    at: int | None
    steps: list[str] = field(default_factory=list)
    """What the process did, the step at which it died last."""
    is_dead: bool = False

    def die_after(self, number: int) -> None:
        """Lets the process die at the step that follows so many steps from now on."""
        self.at = len(self.steps) + number

    def step(self, label: str) -> None:
        """Takes one step, or dies."""
        if not self.is_dead:
            self.steps.append(label)
            self.is_dead = self.at is not None and len(self.steps) >= self.at
        if self.is_dead:
            raise ProcessDied(label)


_READS = frozenset({"get", "find", "find_one", "count", "idempotency"})


class CrashingStore:
    """A store whose commits, reservations, erasures and reads are steps.

    Without `reads` those are none: what is durable is then as it was after the step before.
    """

    def __init__(self, store: Store, crash: Crash, *, reads: bool = True) -> None:
        self._store = store
        self._crash = crash
        self._reads = _READS if reads else frozenset()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in self._reads:
            return found

        async def read(*arguments: Any, **options: Any) -> Any:
            self._crash.step(f"before {name} {arguments[0]}")
            return await found(*arguments, **options)

        return read

    @property
    def log(self) -> Any:
        return _CrashingLog(self._store.log, self._crash)

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]], *, lease: Lease | None = None) -> T:
        self._crash.step("before commit")
        result = await self._store.transact(work, lease=lease)
        self._crash.step("after commit")
        return result

    async def reserve(self, counter: str, amount: int = 1) -> int:
        first = await self._store.reserve(counter, amount)
        self._crash.step("after reservation")
        return first


class _CrashingLog:
    def __init__(self, log: Log, crash: Crash) -> None:
        self._log = log
        self._crash = crash

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def erase(self, subject: str) -> int:
        self._crash.step("before erasure")
        erased = await self._log.erase(subject)
        self._crash.step("after erasure")
        return erased


class CrashingGateway:
    """A gateway whose calls are steps."""

    def __init__(self, gateway: Gateway, crash: Crash) -> None:
        self._gateway = gateway
        self._crash = crash

    def anonymous(self) -> Caller:
        return _CrashingCaller(self._gateway.anonymous(), self._crash)

    def for_device(self, username: str, password: SecretText) -> Caller:
        return _CrashingCaller(self._gateway.for_device(username, password), self._crash)


class _CrashingCaller:
    def __init__(self, caller: Caller, crash: Crash) -> None:
        self._caller = caller
        self._crash = crash

    async def call(self, call: Call[T]) -> T:
        self._crash.step(f"before {call.name}")
        result = await self._caller.call(call)
        self._crash.step(f"after {call.name}")
        return result

    def stream(self, call: Call[object]) -> AbstractAsyncContextManager[Any]:
        return self._caller.stream(call)

    def event_stream(self) -> AbstractAsyncContextManager[Any]:
        return self._caller.event_stream()
