"""Readers of the log: order, delivery, failures that pass and that last, and what the worker's lease means for them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from enmeshed_connector.core.errors import FailedPrecondition, Unavailable
from enmeshed_connector.runtime.automation.readers import (
    READER_SCHEMA,
    READERS,
    AlreadyPassed,
    LogReader,
    ReaderModule,
    Step,
    forget_readers,
)
from enmeshed_connector.storage import LeaseLost, Retention
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.work import Cause, Origin, Work
from tests.support.network import Network

TYPE = "module.test.happened"


class Recorder(ReaderModule):
    """Remembers what it was given; each of `failures` is raised once, `poison` always."""

    name = "recorder"
    types = (TYPE,)

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.failures: list[BaseException] = []
        self.poison: dict[int, Exception] = {}
        self.hangs: set[int] = set()
        self.given_up: list[int] = []

    async def handle(self, step: Step) -> None:
        number = step.event["data"]["number"]
        self.seen.append(number)
        if self.failures:
            raise self.failures.pop(0)
        if number in self.hangs:
            await asyncio.Event().wait()
        if number in self.poison:
            raise self.poison[number]

        async def change(work: Work) -> None:
            work.publish("module.test.handled", {"number": number})

        await step.commit(change)

    async def give_up(self, event: dict[str, Any], work: Work) -> None:
        work.publish("module.test.givenUp", {"number": event["data"]["number"]})


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    async with Network(tmp_path) as network:
        yield network


@pytest.fixture
async def account(network: Network) -> TransportAccount:
    transport = (await network.account("alice")).account
    await transport.context.store.declare(READER_SCHEMA)
    return transport


async def happen(account: TransportAccount, *numbers: int, origin: Origin = Origin.LOCAL) -> None:
    for number in numbers:

        async def publish(work: Work, number: int = number) -> None:
            work.publish(TYPE, {"number": number})

        await account.context.commits.run(publish, cause=Cause(origin))


async def told(account: TransportAccount, kind: str = "module.test.handled") -> list[int]:
    log = account.context.store.log
    page = await log.read(await log.oldest(), types=frozenset({kind}))
    return [one.event["data"]["number"] for one in page.events]


async def until(holds: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def reading(account: TransportAccount, module: ReaderModule, **options: Any) -> AsyncIterator[LogReader]:
    reader = LogReader(account, module, **options)
    await reader.prepare()
    task = asyncio.create_task(reader.run())
    try:
        yield reader
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_events_are_handled_in_their_order_once(account: TransportAccount) -> None:
    module = Recorder()
    async with reading(account, module):
        await happen(account, *range(20))
        await until(lambda: _has(account, 20))
    async with reading(account, module):
        await happen(account, 20)
        await until(lambda: _has(account, 21))
    assert module.seen == list(range(21))
    assert await told(account) == list(range(21))


async def _has(account: TransportAccount, count: int, kind: str = "module.test.handled") -> bool:
    return len(await told(account, kind)) >= count


async def test_a_new_reader_begins_at_the_present(account: TransportAccount) -> None:
    await happen(account, 1, 2)
    module = Recorder()
    async with reading(account, module):
        await happen(account, 3)
        await until(lambda: _has(account, 1))
    assert module.seen == [3]


async def test_a_known_reader_gets_what_happened_while_it_was_away(account: TransportAccount) -> None:
    module = Recorder()
    await LogReader(account, module).prepare()
    await happen(account, 1, 2)
    async with reading(account, module):
        await until(lambda: _has(account, 2))
    assert module.seen == [1, 2]


async def test_what_other_devices_did_is_theirs(account: TransportAccount) -> None:
    module = Recorder()
    async with reading(account, module):
        await happen(account, 1, origin=Origin.DATAWALLET)
        await happen(account, 2, origin=Origin.EXTERNAL)
        await until(lambda: _has(account, 1))
    assert module.seen == [2]


async def test_a_death_before_the_commit_repeats_the_step(account: TransportAccount) -> None:
    module = Recorder()
    module.failures = [asyncio.CancelledError()]
    reader = LogReader(account, module)
    await reader.prepare()
    await happen(account, 1, 2)
    with pytest.raises(asyncio.CancelledError):
        await reader.run()
    assert await told(account) == []
    async with reading(account, module):
        await until(lambda: _has(account, 2))
    assert module.seen == [1, 1, 2]
    assert await told(account) == [1, 2]


async def test_a_death_after_the_commit_repeats_nothing(account: TransportAccount) -> None:
    class DiesAfterwards(Recorder):
        async def handle(self, step: Step) -> None:
            await super().handle(step)
            if step.event["data"]["number"] == 1:
                raise asyncio.CancelledError

    module = DiesAfterwards()
    reader = LogReader(account, module)
    await reader.prepare()
    await happen(account, 1, 2)
    with pytest.raises(asyncio.CancelledError):
        await reader.run()
    async with reading(account, module):
        await until(lambda: _has(account, 2))
    assert module.seen == [1, 2]


async def test_a_commit_whose_answer_was_lost_is_not_made_twice(account: TransportAccount) -> None:
    module = Recorder()
    reader = LogReader(account, module)
    await reader.prepare()
    log = account.context.store.log
    place = await log.head()
    await happen(account, 1)
    (entry,) = (await log.read(place, types=frozenset({TYPE}))).events

    async def change(work: Work) -> None:
        work.publish("module.test.handled", {"number": 1})

    await reader.passing(entry, change, cause=Cause())
    with pytest.raises(AlreadyPassed):
        await reader.passing(entry, change, cause=Cause())
    assert await told(account) == [1]


async def test_a_passing_failure_is_waited_out_and_overtaken_by_nothing(account: TransportAccount) -> None:
    module = Recorder()
    module.failures = [Unavailable("away")] * 8 + [ConnectionResetError()]
    async with reading(account, module):
        await happen(account, 1, 2)
        await until(lambda: _has(account, 2))
    assert module.seen == [1] * 10 + [2]
    assert account.context.clock.slept > timedelta(seconds=60)  # type: ignore[attr-defined]  # the impatient one


@pytest.mark.parametrize("error", [FailedPrecondition("never"), ZeroDivisionError()])
async def test_a_poison_event_is_noted_and_passed(account: TransportAccount, error: Exception) -> None:
    module = Recorder()
    module.poison = {2: error}
    async with reading(account, module):
        await happen(account, 1, 2, 3)
        await until(lambda: _has(account, 2))
    assert module.seen == [1, 2, 2, 2, 2, 2, 3]
    assert await told(account) == [1, 3]
    assert await told(account, "module.test.givenUp") == [2]
    log = account.context.store.log
    page = await log.read(await log.oldest(), types=frozenset({"module.recorder.eventPassed"}))
    (note,) = (one.event["data"] for one in page.events)
    reason = "FAILED_PRECONDITION" if isinstance(error, FailedPrecondition) else "ZeroDivisionError"
    assert (note["module"], note["eventType"], note["reason"], note["attempts"]) == ("recorder", TYPE, reason, 5)


async def test_restarts_do_not_begin_to_count_anew(account: TransportAccount) -> None:
    module = Recorder()
    module.poison = {1: ZeroDivisionError()}
    await LogReader(account, module).prepare()
    await happen(account, 1, 2)
    for tries in (1, 2, 3):
        module.failures = [ZeroDivisionError(), asyncio.CancelledError()]
        with pytest.raises(asyncio.CancelledError):
            await LogReader(account, module).run()
        known = await account.context.store.get(READERS, "recorder")
        assert known is not None
        assert known["failing"]["attempts"] == tries
    async with reading(account, module):
        await until(lambda: _has(account, 1))
    assert module.seen == [1] * 8 + [2]


async def test_a_module_that_breaks_while_giving_up_holds_up_nothing(account: TransportAccount) -> None:
    class Stubborn(Recorder):
        async def give_up(self, event: dict[str, Any], work: Work) -> None:
            raise KeyError("broken")

    module = Stubborn()
    module.poison = {1: ZeroDivisionError()}
    async with reading(account, module):
        await happen(account, 1, 2)
        await until(lambda: _has(account, 1))
    assert await told(account) == [2]


async def test_an_event_that_takes_for_ever_is_passed(account: TransportAccount) -> None:
    module = Recorder()
    module.hangs = {1}
    # Longer than the other event takes on any machine.
    async with reading(account, module, tries=2, longest_step=timedelta(seconds=1)):
        await happen(account, 1, 2)
        await until(lambda: _has(account, 1))
    assert module.seen == [1, 1, 2]


async def test_a_module_that_cannot_tell_its_concerns_holds_up_nothing(account: TransportAccount) -> None:
    class Confused(Recorder):
        def concerns(self, event: dict[str, Any]) -> bool:
            return bool(1 / event["data"]["number"])

    module = Confused()
    async with reading(account, module):
        await happen(account, 0, 1)
        await until(lambda: _has(account, 2))
    assert module.seen == [0, 1]


async def test_retention_waits_for_a_reader(account: TransportAccount) -> None:
    await LogReader(account, Recorder()).prepare()
    await happen(account, 1, 2, 3)
    await account.context.store.log.trim(Retention(timedelta(), 1))
    module = Recorder()
    async with reading(account, module):
        await until(lambda: _has(account, 3))
    assert module.seen == [1, 2, 3]


async def test_a_reader_that_was_cut_off_goes_on_with_what_is_left(account: TransportAccount) -> None:
    await LogReader(account, Recorder()).prepare()
    await happen(account, 1, 2, 3)
    trimmed = await account.context.store.log.trim(Retention(timedelta(), 1, hard_cap_events=2))
    assert trimmed.truncated_cursors == ("automation/recorder",)
    module = Recorder()
    async with reading(account, module):
        await until(lambda: _has(account, 2))
    assert module.seen == [2, 3]


async def test_a_reader_without_concerns_does_not_keep_old_events(network: Network, account: TransportAccount) -> None:
    class Idle(Recorder):
        name = "idle"
        types = ("module.test.never",)

    log = account.context.store.log

    async def has_moved() -> bool:
        cursor = await log.cursor("automation/idle")
        return cursor is not None and cursor >= await log.head()

    async with reading(account, Idle()):
        await happen(account, 1)
        network.clock.advance(timedelta(minutes=2))
        # Another commit wakes it.
        await happen(account, 2)
        await until(has_moved)
        settled = await log.cursor("automation/idle")
        network.clock.advance(timedelta(minutes=2))
        # A commit without events is no reason to move.
        await log.move_cursor("somebody", await log.head())
        await asyncio.sleep(0.05)
        assert await log.cursor("automation/idle") == settled


async def test_a_reader_that_is_gone_leaves_no_place_behind(account: TransportAccount) -> None:
    await LogReader(account, Recorder()).prepare()
    await forget_readers(account, {"other"})
    assert await account.context.store.log.cursors() == {}
    await happen(account, 1)
    module = Recorder()
    async with reading(account, module):
        await happen(account, 2)
        await until(lambda: _has(account, 1))
    assert module.seen == [2]


async def test_a_worker_that_lost_its_lease_changes_nothing(account: TransportAccount) -> None:
    store = account.context.store
    lease = await store.acquire_lease("worker", "one", timedelta(seconds=1))
    account.sync.begin_work(lease)
    module = Recorder()
    reader = LogReader(account, module)
    await reader.prepare()
    await store.release_lease(lease)
    await store.acquire_lease("worker", "two", timedelta(seconds=1))
    await happen(account, 1)
    with pytest.raises(LeaseLost):
        await reader.run()
    assert await told(account) == []


async def test_repeats_of_a_step_carry_the_same_key(account: TransportAccount) -> None:
    keys: list[str] = []

    class Keyed(Recorder):
        async def handle(self, step: Step) -> None:
            keys.extend([step.ticket().key, step.ticket("second").key])
            assert step.cause.correlation_id == step.event["id"]
            await super().handle(step)

    module = Keyed()
    module.failures = [Unavailable("away")]
    async with reading(account, module):
        await happen(account, 1)
        await until(lambda: _has(account, 1))
    assert keys[:2] == keys[2:]
    assert len(set(keys)) == 2
