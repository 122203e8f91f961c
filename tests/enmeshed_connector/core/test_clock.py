from __future__ import annotations

from datetime import UTC, datetime, timedelta

from enmeshed_connector.core.clock import Clock, SystemClock


async def test_the_clock_of_the_machine_is_aware_and_never_runs_backwards() -> None:
    clock: Clock = SystemClock()
    before, started = datetime.now(UTC), clock.monotonic()
    await clock.sleep(timedelta(0))
    await clock.sleep(timedelta(seconds=-1))
    assert clock.now().tzinfo is UTC
    assert clock.now() >= before
    assert clock.monotonic() >= started
