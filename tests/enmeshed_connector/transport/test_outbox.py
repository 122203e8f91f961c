from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from enmeshed_connector.backbone.errors import AnswerLost, BackboneRejected, BackboneUnavailable
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.core.errors import OutcomeUnknown
from enmeshed_connector.transport.errors import OperationRunning
from enmeshed_connector.transport.objects import PENDING_OPERATIONS, PENDING_WIRES, SETTINGS
from enmeshed_connector.transport.pending import (
    Done,
    IdempotencyKeyReused,
    NotDone,
    Operation,
    PendingOperation,
    Resolution,
    Ticket,
    Unclear,
)
from enmeshed_connector.transport.work import Work
from tests.support.network import Network, Party


class Remote(Operation):
    """A request to a Backbone that does what the test says."""

    kind = "test.remote"
    padding = ""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.answers: list[Json | Exception] = []
        self.resolution: Resolution = Unclear()
        self.withdrawn = 0
        self.gate: asyncio.Event | None = None

    async def transmit(self, pending: PendingOperation) -> Json:
        assert pending.wire.endswith(self.padding)
        self.sent.append(pending.wire.removesuffix(self.padding))
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.pop(0) if self.answers else "answer"
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def resolve(self, pending: PendingOperation) -> Resolution:
        return self.resolution

    async def complete(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        await work.save(SETTINGS, {"id": pending.plan["id"], "answer": answer})
        work.publish("test.done", {"id": pending.plan["id"]})
        return {"id": pending.plan["id"], "answer": answer}

    async def withdraw(self, pending: PendingOperation, work: Work) -> None:
        self.withdrawn += 1


class Repeatable(Remote):
    kind = "test.repeatable"
    is_repeatable = True

    async def resolve(self, pending: PendingOperation) -> Resolution:
        return NotDone()


@pytest.fixture(autouse=True, params=[0, 100_000], ids=["short", "long"])
def padding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What makes each wire long; long ones are kept apart."""
    text = "x" * int(request.param)
    monkeypatch.setattr(Remote, "padding", text)
    return text


LOST = AnswerLost("lost", call="test")
REFUSED = BackboneRejected("refused", call="test")
AWAY = BackboneUnavailable("away", call="test")
TICKET = Ticket("account/test/1", "digest", "caller's key")


async def start(network: Network, operation: Remote | None = None) -> tuple[Party, Remote]:
    party = await network.account("anna")
    operation = operation or Remote()
    party.account.context.outbox.register(operation)
    return party, operation


async def request(party: Party, operation: Remote, ticket: Ticket | None = TICKET) -> Json:
    """What each controller does."""
    outbox = party.account.context.outbox
    earlier = await outbox.earlier_result(ticket)
    if earlier is not None:
        return earlier
    wire = f"wire {len(operation.sent)}{operation.padding}"
    return await outbox.run(operation, wire=wire, plan={"id": "one"}, ticket=ticket)


async def is_nothing_left(party: Party) -> bool:
    return not await party.store.count(PENDING_OPERATIONS) and not await party.store.count(PENDING_WIRES)


async def test_an_answered_request_gives_the_same_answer_for_the_same_key(network: Network) -> None:
    party, operation = await start(network)

    first = await request(party, operation)

    assert first == {"id": "one", "answer": "answer"}
    assert await request(party, operation) == first
    assert operation.sent == ["wire 0"]
    assert len(await party.events("test.done")) == 1
    assert await is_nothing_left(party)


async def test_the_wire_is_durable_before_it_is_sent(network: Network) -> None:
    party, operation = await start(network)
    operation.gate = asyncio.Event()
    running = asyncio.create_task(request(party, operation))
    while not operation.sent:
        await asyncio.sleep(0)

    [pending] = await party.account.context.outbox.pending("test.remote")
    operation.gate.set()
    await running

    assert pending.wire == f"wire 0{operation.padding}"


@pytest.mark.parametrize("error", [REFUSED, AWAY])
async def test_a_request_that_changed_nothing_leaves_nothing_and_can_be_made_anew(
    network: Network, error: Exception
) -> None:
    party, operation = await start(network)
    operation.answers = [error]

    with pytest.raises(type(error)):
        await request(party, operation)

    assert operation.withdrawn == 1
    assert await is_nothing_left(party)
    assert await request(party, operation) == {"id": "one", "answer": "answer"}
    assert operation.sent == ["wire 0", "wire 1"]


async def test_a_lost_answer_that_is_found_is_an_answer(network: Network) -> None:
    party, operation = await start(network)
    operation.answers, operation.resolution = [LOST], Done("found")

    assert await request(party, operation) == {"id": "one", "answer": "found"}


async def test_an_unknown_outcome_names_the_key_and_stays_pending(network: Network) -> None:
    party, operation = await start(network)
    operation.answers = [LOST]

    with pytest.raises(OutcomeUnknown) as caught:
        await request(party, operation)
    assert caught.value.facts["idempotencyKey"] == "caller's key"
    with pytest.raises(OutcomeUnknown):
        await request(party, operation)
    network.clock.advance(timedelta(days=1))
    with pytest.raises(OutcomeUnknown):
        await request(party, operation)

    operation.resolution = Done("found")
    assert await request(party, operation) == {"id": "one", "answer": "found"}
    assert operation.sent == ["wire 0"]


async def outcomes(party: Party) -> list[tuple[str, Json]]:
    return [(event["type"], event["data"]) for event in await party.events("connector.outcome")]


@pytest.mark.parametrize("waits", [True, False], ids=["the caller asks again", "nobody asks"])
@pytest.mark.parametrize("has_happened", [True, False])
async def test_who_follows_the_events_learns_once_what_became_of_a_call(
    network: Network, waits: bool, has_happened: bool
) -> None:
    party, operation = await start(network)
    operation.answers = [LOST]
    ticket = replace(TICKET, method="/a.B/C")
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            await request(party, operation, ticket)
    told: dict[str, Json] = {"method": "/a.B/C", "idempotencyKey": "caller's key"}
    assert await outcomes(party) == [("connector.outcomeUnknown", told)]

    network.clock.advance(timedelta(minutes=3))
    operation.resolution = Done("found") if has_happened else NotDone()
    if waits:
        await request(party, operation, ticket)
    else:
        await party.account.context.outbox.settle()

    succeeded = has_happened or waits
    resolved = {**told, "succeeded": succeeded, **({"resourceId": "one"} if succeeded else {})}
    assert await outcomes(party) == [("connector.outcomeUnknown", told), ("connector.outcomeResolved", resolved)]


async def test_nobody_is_told_of_calls_that_were_answered(network: Network) -> None:
    party, operation = await start(network)
    await request(party, operation, replace(TICKET, method="/a.B/C"))
    operation.answers = [LOST]
    operation.resolution = Done("found")
    await request(party, operation, replace(TICKET, key="another", method="/a.B/C"))
    # Work of the account itself has no method.
    operation.answers, operation.resolution = [LOST], Unclear()
    with pytest.raises(OutcomeUnknown):
        await request(party, operation, replace(TICKET, key="third"))
    assert await outcomes(party) == []


async def test_absence_counts_only_after_the_time_to_settle_and_then_the_same_bytes_are_sent(network: Network) -> None:
    party, operation = await start(network)
    operation.answers, operation.resolution = [LOST], NotDone()
    with pytest.raises(OutcomeUnknown):
        await request(party, operation)
    with pytest.raises(OutcomeUnknown):
        await request(party, operation)

    network.clock.advance(timedelta(minutes=3))

    assert await request(party, operation) == {"id": "one", "answer": "answer"}
    assert operation.sent == ["wire 0", "wire 0"]


async def test_a_repeat_that_is_refused_because_the_first_attempt_worked_is_a_success(network: Network) -> None:
    party, operation = await start(network)
    operation.answers, operation.resolution = [LOST, REFUSED], NotDone()
    with pytest.raises(OutcomeUnknown):
        await request(party, operation)
    network.clock.advance(timedelta(minutes=3))
    outcomes = iter([NotDone(), Done("found late")])
    operation.resolve = _each(outcomes)  # type: ignore[method-assign]

    assert await request(party, operation) == {"id": "one", "answer": "found late"}


async def test_what_harms_nobody_is_sent_again_at_once(network: Network) -> None:
    party, operation = await start(network, Repeatable())
    operation.answers = [LOST]
    with pytest.raises(OutcomeUnknown):
        await request(party, operation)

    assert await request(party, operation) == {"id": "one", "answer": "answer"}
    assert operation.sent == ["wire 0", "wire 0"]


async def test_a_key_serves_one_request(network: Network) -> None:
    party, operation = await start(network)
    await request(party, operation)

    with pytest.raises(IdempotencyKeyReused):
        await request(party, operation, Ticket(TICKET.key, "another digest"))


async def test_the_same_key_at_the_same_time_is_carried_out_once(network: Network) -> None:
    party, operation = await start(network)
    operation.gate = asyncio.Event()
    first = asyncio.create_task(request(party, operation))
    while not operation.sent:
        await asyncio.sleep(0)

    with pytest.raises(OperationRunning):
        await request(party, operation)
    with pytest.raises(OperationRunning):
        await party.account.context.outbox.run(operation, wire="other", plan={"id": "two"}, ticket=TICKET)
    operation.gate.set()

    assert await first == {"id": "one", "answer": "answer"}
    assert operation.sent == ["wire 0"]


async def test_a_cancelled_request_is_settled_later(network: Network) -> None:
    party, operation = await start(network)
    operation.gate = asyncio.Event()
    running = asyncio.create_task(request(party, operation))
    while not operation.sent:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    operation.resolution = Done("found")

    await party.account.context.outbox.settle()

    assert await request(party, operation) == {"id": "one", "answer": "found"}
    assert operation.sent == ["wire 0"]


async def test_what_never_happened_is_withdrawn_once_that_is_certain(network: Network) -> None:
    party, operation = await start(network)
    operation.answers, operation.resolution = [LOST], NotDone()
    with pytest.raises(OutcomeUnknown):
        await request(party, operation)
    outbox = party.account.context.outbox

    await outbox.settle()
    assert operation.withdrawn == 0
    network.clock.advance(timedelta(minutes=3))
    await outbox.settle()

    assert operation.withdrawn == 1
    assert await is_nothing_left(party)
    assert await request(party, operation) == {"id": "one", "answer": "answer"}


async def test_a_request_that_the_backbone_will_not_talk_about_does_not_keep_others_from_being_settled(
    network: Network,
) -> None:
    party, operation = await start(network)
    operation.answers = [LOST]
    operation.resolve = _refuse  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown):
        await request(party, operation)
    other = Repeatable()
    party.account.context.outbox.register(other)
    other.answers = [LOST]
    with pytest.raises(OutcomeUnknown):
        await request(party, other, Ticket("another", "digest"))
    network.clock.advance(timedelta(minutes=3))

    await party.account.context.outbox.settle()

    assert other.withdrawn == 1
    with pytest.raises(OutcomeUnknown):
        await request(party, operation)


async def test_after_a_restart_absence_counts_from_the_restart(network: Network) -> None:
    party, operation = await start(network)
    operation.answers, operation.resolution = [LOST], NotDone()
    with pytest.raises(OutcomeUnknown):
        await request(party, operation)
    network.clock.advance(timedelta(minutes=3))

    party = await network.reopen(party)
    party.account.context.outbox.register(operation)
    await party.account.context.outbox.settle()
    assert operation.withdrawn == 0
    network.clock.advance(timedelta(minutes=3))
    await party.account.context.outbox.settle()

    assert operation.withdrawn == 1


async def test_a_request_that_another_replica_sends_once_more_is_not_withdrawn_meanwhile(network: Network) -> None:
    party, operation = await start(network)
    operation.answers, operation.resolution = [LOST], NotDone()
    with pytest.raises(OutcomeUnknown):
        await request(party, operation)
    other = await network.reopen(party)
    other.account.context.outbox.register(operation)
    await other.account.context.outbox.settle()
    network.clock.advance(timedelta(minutes=3))
    operation.gate = asyncio.Event()
    running = asyncio.create_task(request(party, operation))
    while len(operation.sent) < 2:
        await asyncio.sleep(0)

    await other.account.context.outbox.settle()
    assert operation.withdrawn == 0
    with pytest.raises(OutcomeUnknown):
        await request(other, operation)
    operation.gate.set()
    assert await running == {"id": "one", "answer": "answer"}
    assert await request(other, operation) == {"id": "one", "answer": "answer"}
    assert operation.sent == ["wire 0", "wire 0"]


async def test_a_request_that_was_withdrawn_while_it_ran_is_completed_all_the_same(network: Network) -> None:
    party, operation = await start(network)
    operation.gate, operation.resolution = asyncio.Event(), NotDone()
    running = asyncio.create_task(request(party, operation))
    while not operation.sent:
        await asyncio.sleep(0)
    other = await network.reopen(party)
    other.account.context.outbox.register(operation)
    await other.account.context.outbox.settle()
    network.clock.advance(timedelta(minutes=3))
    await other.account.context.outbox.settle()
    assert operation.withdrawn == 1
    operation.gate.set()

    assert await running == {"id": "one", "answer": "answer"}
    assert await request(other, operation) == {"id": "one", "answer": "answer"}


async def test_an_event_that_names_the_outcome_completes_the_request(network: Network) -> None:
    party, operation = await start(network)
    operation.answers = [LOST]
    with pytest.raises(OutcomeUnknown):
        await request(party, operation)
    outbox = party.account.context.outbox
    [pending] = await outbox.pending("test.remote")

    async def hear(work: Work) -> Any:
        return await outbox.adopt(pending, "heard", work)

    assert await party.account.context.commits.run(hear) == {"id": "one", "answer": "heard"}
    assert await party.account.context.commits.run(hear) is None
    assert await request(party, operation) == {"id": "one", "answer": "heard"}
    assert len(await party.events("test.done")) == 1


async def _refuse(pending: PendingOperation) -> Resolution:
    raise REFUSED


def _each(outcomes: Any) -> Any:
    async def resolve(pending: PendingOperation) -> Resolution:
        outcome: Resolution = next(outcomes)
        return outcome

    return resolve
