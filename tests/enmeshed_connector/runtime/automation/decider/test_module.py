"""Requests between two accounts that are decided by rules: what the peer learns, once, whatever dies meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from enmeshed_connector.consumption.account import ConsumptionAccount, ConsumptionSettings
from enmeshed_connector.consumption.requests.documents import typed
from enmeshed_connector.consumption.requests.incoming import IncomingRequests
from enmeshed_connector.core.clock import SystemClock
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.errors import FailedPrecondition, Unavailable
from enmeshed_connector.runtime.account_runtime import AccountRuntime
from enmeshed_connector.runtime.automation.decider.module import Decider
from enmeshed_connector.runtime.automation.decider.rules import parse_rules
from enmeshed_connector.runtime.automation.readers import READER_SCHEMA, LogReader
from enmeshed_connector.runtime.automation.settings import AutomationSettings
from enmeshed_connector.runtime.settings import RuntimeSettings
from enmeshed_connector.runtime.use_cases.common import NOBODY
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.objects import MESSAGES, Document
from enmeshed_connector.transport.work import Work
from tests.support.consumption import Holder, holder, identity, relationship
from tests.support.crash import Crash, CrashingStore, ProcessDied
from tests.support.network import Network, befriend

QUIET = RuntimeSettings(sync_interval=timedelta(hours=1), listens=False)
ACCEPT = {"accept": True}
PROCESSED = "consumption.messageProcessed"


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    async with Network(tmp_path) as network:
        yield network


def about(kind: str | None, response: dict[str, Any], **conditions: Any) -> dict[str, Any]:
    named = {} if kind is None else {"content.item.@type": f"{kind}RequestItem"}
    return {"requestConfig": {**named, **conditions}, "responseConfig": response}


def create(owner: str, key: str = "key", *, must: bool = True) -> Document:
    """Returns an item by which its sender adds an attribute of its own to the relationship."""
    attribute = relationship(owner, key)
    return {"@type": "CreateAttributeRequestItem", "mustBeAccepted": must, "attribute": attribute}


def read() -> Document:
    query = {"@type": "IdentityAttributeQuery", "valueType": "GivenName"}
    return {"@type": "ReadAttributeRequestItem", "mustBeAccepted": True, "query": query}


@dataclass
class Pair:
    """Alice, who decides by rules, and bob, who asks."""

    alice: AccountRuntime
    bob: AccountRuntime

    @property
    def addresses(self) -> tuple[str, str]:
        return (
            self.alice.transport.context.identity.address,
            self.bob.transport.context.identity.address,
        )

    async def ask(self, *items: Document, **more: Any) -> str:
        """Sends a request of bob to alice, which arrives; returns its id."""
        content = {"@type": "Request", "items": list(items), **more}
        request, _ = await self.bob.use_cases.outgoing_requests.send(self.addresses[0], content, NOBODY)
        await sync(self.alice)
        return str(request["id"])

    async def decided(self, request_id: str, *statuses: str) -> dict[str, Any]:
        """Returns alice's side of a request once it has one of these states."""
        found: dict[str, Any] = await until(
            lambda: _in(statuses, self.alice.use_cases.incoming_requests.get(request_id))
        )
        return found

    async def answered(self, request_id: str) -> dict[str, Any]:
        """Returns bob's side of a request once it is completed."""

        async def look() -> dict[str, Any] | None:
            await sync(self.bob)
            return await _in(("Completed",), self.bob.use_cases.outgoing_requests.get(request_id))

        found: dict[str, Any] = await until(look)
        return found


async def _in(statuses: tuple[str, ...], found: Awaitable[dict[str, Any]]) -> dict[str, Any] | None:
    request = await found
    return request if request["status"] in statuses else None


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(60):
        while not (found := await look()):
            await asyncio.sleep(0.01)
    return found


async def sync(runtime: AccountRuntime) -> None:
    await runtime.synchronisation.sync(timeout=timedelta(seconds=60))


async def events(runtime: AccountRuntime, *types: str) -> list[Document]:
    log = runtime.store.log
    page = await log.read(await log.oldest(), types=frozenset(types), limit=1000)
    return [one.event for one in page.events]


@asynccontextmanager
async def running(network: Network, name: str, *rules: dict[str, Any]) -> AsyncIterator[AccountRuntime]:
    environment = replace(await network.environment(name), clock=SystemClock())
    automation = AutomationSettings(rules=parse_rules(list(rules), "rules"))
    runtime = AccountRuntime(environment, replace(QUIET, automation=automation))
    task = asyncio.create_task(runtime.run())
    try:
        await runtime.wait_until_ready()
        yield runtime
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def pair(network: Network, *rules: dict[str, Any], is_related: bool = True) -> AsyncIterator[Pair]:
    bob, alice = await network.account("bob"), await network.account("alice")
    if is_related:
        await network.befriend(alice, bob)
    async with AsyncExitStack() as stack:
        yield Pair(
            await stack.enter_async_context(running(network, "alice", *rules)),
            await stack.enter_async_context(running(network, "bob")),
        )


async def test_without_rules_a_person_decides(network: Network) -> None:
    async with pair(network) as both:
        request_id = await both.ask(create(both.addresses[1]))
        request = await both.decided(request_id, "ManualDecisionRequired")
        (told,) = await events(both.alice, PROCESSED)
    assert told["data"]["result"] == "ManualRequestDecisionRequired"
    assert told["data"]["message"]["id"] == request["source"]["reference"]
    assert told["origin"] == "LOCAL"
    assert "wasAutomaticallyDecided" not in request


async def test_a_rule_accepts_and_the_peer_learns_of_it(network: Network) -> None:
    async with pair(network, about("CreateAttribute", ACCEPT, relationshipAlreadyExists=True)) as both:
        request_id = await both.ask(create(both.addresses[1]))
        request = await both.decided(request_id, "Decided", "Completed")
        answered = await both.answered(request_id)
        (told,) = await events(both.alice, PROCESSED)
    assert request["wasAutomaticallyDecided"] is True
    assert told["data"]["result"] == "RequestAutomaticallyDecided"
    assert answered["response"]["content"]["result"] == "Accepted"


async def test_a_rule_rejects_and_the_peer_learns_why(network: Network) -> None:
    rejection = {"accept": False, "code": "private", "message": "We tell nobody."}
    async with pair(network, about("CreateAttribute", ACCEPT), about("ReadAttribute", rejection)) as both:
        request_id = await both.ask(read())
        answered = await both.answered(request_id)
    (item,) = answered["response"]["content"]["items"]
    assert answered["response"]["content"]["result"] == "Rejected"
    assert (item["code"], item["message"]) == ("private", "We tell nobody.")


async def test_a_rule_answers_a_query_with_a_new_attribute(network: Network) -> None:
    rule = about("ReadAttribute", {"accept": True, "newAttribute": identity("", "Alice")})
    async with pair(network, rule) as both:
        request_id = await both.ask(read())
        answered = await both.answered(request_id)
    (item,) = answered["response"]["content"]["items"]
    assert item["attribute"]["value"] == {"@type": "GivenName", "value": "Alice"}
    assert item["attribute"]["owner"] == both.addresses[0]


async def test_an_answer_that_does_not_fit_the_query_leaves_it_to_a_person(network: Network) -> None:
    rule = about("ReadAttribute", {"accept": True, "newAttribute": identity("", "Alice", value_type="Surname")})
    async with pair(network, rule) as both:
        request_id = await both.ask(read())
        await both.decided(request_id, "ManualDecisionRequired")
        (told,) = await events(both.alice, PROCESSED)
    assert told["data"]["result"] == "ManualRequestDecisionRequired"


async def test_requests_are_decided_in_the_order_in_which_they_came(network: Network) -> None:
    async with pair(network, about(None, {"accept": False})) as both:
        asked = [await both.ask(create(both.addresses[1], f"key{number}")) for number in range(8)]
        for request_id in asked:
            await both.decided(request_id, "Decided", "Completed")
        changes = await events(both.alice, "consumption.incomingRequestStatusChanged")
    decided = [one["data"]["request"]["id"] for one in changes if one["data"]["newStatus"] == "Decided"]
    assert decided == asked


async def test_a_request_of_a_template_is_decided_too(network: Network) -> None:
    rules = [about("CreateAttribute", ACCEPT, relationshipAlreadyExists=False)]
    async with pair(network, *rules, is_related=False) as both:
        wish = {"@type": "CreateAttributeRequestItem", "mustBeAccepted": True, "attribute": identity("")}
        content = {
            "@type": "RelationshipTemplateContent",
            "onNewRelationship": {"@type": "Request", "items": [wish]},
        }
        template = await both.bob.use_cases.templates.create(
            content, NOBODY, expires_at=SystemClock().now() + timedelta(days=1)
        )
        await both.alice.use_cases.templates.load(template["reference"]["truncated"], NOBODY)

        async def relationship_of_bob() -> Any:
            await sync(both.bob)
            return await both.bob.transport.relationships.find()

        (asked,) = await until(relationship_of_bob)
        (told,) = await events(both.alice, "consumption.relationshipTemplateProcessed")
    assert asked["creationContent"]["response"]["result"] == "Accepted"
    assert told["data"]["result"] == "RequestAutomaticallyDecided"
    assert told["data"]["template"]["id"] == template["id"]
    assert told["data"]["requestId"] == asked["creationContent"]["response"]["requestId"]


@dataclass
class Waiting:
    """Alice without a worker, and bob, whose requests wait for her."""

    network: Network
    alice: Holder
    bob: Holder

    async def ask(self, **more: Any) -> str:
        """Lets a request of bob arrive at alice; returns its id."""
        outgoing = self.bob.consumption.outgoing_requests
        number = self.network.faults["bob"].count("messages.send")
        content = {"@type": "Request", "items": [create(self.bob.address, f"key{number}")], **more}
        checked = await outgoing.new_content(content, self.alice.address)
        created = await self.bob.run(lambda work: outgoing.create(checked, self.alice.address, work))
        message = typed("Request", created["content"])
        await self.bob.transport.messages.send([self.alice.address], message)
        await self.alice.transport.sync.sync()
        return str(created["id"])

    async def status_log(self, request_id: str) -> list[str]:
        store = self.alice.transport.context.store
        request = await self.alice.consumption.incoming_requests.get(store, request_id)
        return [entry["newStatus"] for entry in request["statusLog"]]

    async def results(self) -> list[str]:
        return [one["data"]["result"] for one in await self.alice.events(types=PROCESSED)]

    async def has_results(self, count: int = 1) -> bool:
        return len(await self.results()) >= count


async def waiting(network: Network) -> Waiting:
    """Makes alice, whose decider has its place, and bob, who has a relationship with her."""
    bob, alice = await holder(network, "bob"), await holder(network, "alice")
    await befriend(alice.transport, bob.transport)
    await alice.transport.context.store.declare(READER_SCHEMA)
    await reader_of(alice).prepare()
    return Waiting(network, alice, bob)


def reader_of(alice: Holder, *rules: dict[str, Any], incoming: IncomingRequests | None = None) -> LogReader:
    requests = incoming or alice.consumption.incoming_requests
    return LogReader(alice.transport, Decider(alice.transport, requests, parse_rules(list(rules), "rules")))


async def read_until(reader: LogReader, holds: Callable[[], Awaitable[Any]]) -> BaseException | None:
    """Lets the reader read until something holds, or it dies; returns what it died of."""
    task = asyncio.create_task(reader.run())
    try:
        async with asyncio.timeout(60):
            while not task.done() and not await holds():
                await asyncio.sleep(0.005)
        return task.exception() if task.done() else None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def never() -> bool:
    return False


@pytest.mark.parametrize(
    ("rules", "result", "log"),
    [
        ([about("CreateAttribute", ACCEPT)], "RequestAutomaticallyDecided", ["DecisionRequired", "Decided"]),
        ([about(None, {"accept": False})], "RequestAutomaticallyDecided", ["DecisionRequired", "Decided"]),
        ([], "ManualRequestDecisionRequired", ["DecisionRequired", "ManualDecisionRequired"]),
    ],
)
async def test_whatever_dies_a_request_is_decided_once(
    network: Network, rules: list[dict[str, Any]], result: str, log: list[str]
) -> None:
    """The process dies at each step of the decision in turn, until it has got through."""
    waits = await waiting(network)
    request_id = await waits.ask()
    environment = await network.environment("alice")
    deaths: list[str] = []
    while not await waits.has_results():
        crash = Crash(None)
        transport = await open_account(replace(environment, store=CrashingStore(environment.store, crash)))
        reopened = replace(
            waits.alice, transport=transport, consumption=ConsumptionAccount(transport, ConsumptionSettings())
        )
        crash.die_after(len(deaths) + 1)
        died = await read_until(reader_of(reopened, *rules), never)
        assert isinstance(died, ProcessDied)
        deaths.append(str(died))
    assert deaths[-2:] == ["before commit", "after commit"]
    # What comes after it shows that the reader goes on behind it.
    await waits.ask()
    assert await read_until(reader_of(waits.alice, *rules), lambda: waits.has_results(2)) is None
    assert await waits.results() == [result, result]
    assert await waits.status_log(request_id) == log


async def test_one_that_a_person_decided_meanwhile_is_left_alone(network: Network) -> None:
    waits = await waiting(network)
    request_id = await waits.ask()
    incoming = waits.alice.consumption.incoming_requests
    await waits.alice.run(lambda work: incoming.reject(request_id, [{"accept": False}], work))
    second = await waits.ask()
    await read_until(reader_of(waits.alice, about("CreateAttribute", ACCEPT)), waits.has_results)
    (told,) = await waits.alice.events(types=PROCESSED)
    assert told["data"]["message"]["content"]["id"] == second
    assert await waits.status_log(request_id) == ["DecisionRequired", "Decided"]


@pytest.mark.parametrize("rules", [[], [about("CreateAttribute", ACCEPT)]])
async def test_one_that_a_person_decides_at_the_same_time_is_no_failure(
    network: Network, rules: list[dict[str, Any]]
) -> None:
    class Overtaken(IncomingRequests):
        looks: list[str]

        async def get(self, reader: Any, request_id: str) -> Document:
            found = await super().get(reader, request_id)
            if reader is waits.alice.transport.context.store:
                self.looks.append(request_id)
                if self.looks == [first]:
                    await waits.alice.run(lambda work: self.reject(first, [{"accept": False}], work))
            return found

    waits = await waiting(network)
    first = await waits.ask()
    second = await waits.ask()
    overtaken = Overtaken.__new__(Overtaken)
    vars(overtaken).update(vars(waits.alice.consumption.incoming_requests), looks=[])
    await read_until(reader_of(waits.alice, *rules, incoming=overtaken), waits.has_results)
    assert await waits.status_log(first) == ["DecisionRequired", "Decided"]
    (told,) = await waits.alice.events(types=PROCESSED)
    assert told["data"]["message"]["content"]["id"] == second
    # It is not tried again, as what fails is; to accept takes a second look.
    assert overtaken.looks.count(first) == 1 + len(rules)


async def test_an_expired_one_is_left_alone(network: Network) -> None:
    waits = await waiting(network)
    await waits.ask(expiresAt=format_date(network.clock.now() + timedelta(minutes=5)))
    network.clock.advance(timedelta(minutes=10))
    second = await waits.ask()
    await read_until(reader_of(waits.alice, about("CreateAttribute", ACCEPT)), waits.has_results)
    (told,) = await waits.alice.events(types=PROCESSED)
    assert told["data"]["message"]["content"]["id"] == second
    assert await waits.alice.events(types="module.") == []


async def test_one_whose_message_is_gone_is_decided_all_the_same(network: Network) -> None:
    waits = await waiting(network)
    request_id = await waits.ask()

    async def remove(work: Work) -> None:
        for message in await work.find(MESSAGES):
            await work.remove(MESSAGES, message["id"])

    await waits.alice.run(remove)
    await waits.ask()
    await read_until(reader_of(waits.alice), waits.has_results)
    assert await waits.results() == ["ManualRequestDecisionRequired"]
    assert await waits.status_log(request_id) == ["DecisionRequired", "ManualDecisionRequired"]


async def test_one_that_cannot_even_be_handed_over_is_told_and_passed(network: Network) -> None:
    class Broken(IncomingRequests):
        async def require_manual_decision(self, request_id: str, work: Work) -> Document:
            raise FailedPrecondition("never")

    waits = await waiting(network)
    await waits.ask()
    broken = Broken.__new__(Broken)
    vars(broken).update(vars(waits.alice.consumption.incoming_requests))
    await read_until(reader_of(waits.alice, incoming=broken), waits.has_results)
    assert await waits.results() == ["Error"]
    (passed,) = await waits.alice.events(types="module.decider.eventPassed")
    assert (passed["data"]["reason"], passed["data"]["attempts"]) == ("FAILED_PRECONDITION", 5)


async def test_a_fault_in_deciding_leaves_it_to_a_person(network: Network) -> None:
    class Faulty(IncomingRequests):
        async def accept(self, *arguments: Any, **options: Any) -> Document:
            raise ZeroDivisionError

    waits = await waiting(network)
    request_id = await waits.ask()
    faulty = Faulty.__new__(Faulty)
    vars(faulty).update(vars(waits.alice.consumption.incoming_requests))
    reader = reader_of(waits.alice, about("CreateAttribute", ACCEPT), incoming=faulty)
    await read_until(reader, waits.has_results)
    assert await waits.status_log(request_id) == ["DecisionRequired", "ManualDecisionRequired"]


async def test_a_backbone_that_is_away_is_waited_for(network: Network) -> None:
    class Away(IncomingRequests):
        outages = 3

        async def can_accept(self, request_id: str, items: Any) -> Any:
            if self.outages:
                self.outages -= 1
                raise Unavailable("away")
            return await super().can_accept(request_id, items)

    waits = await waiting(network)
    request_id = await waits.ask()
    away = Away.__new__(Away)
    vars(away).update(vars(waits.alice.consumption.incoming_requests))
    await read_until(reader_of(waits.alice, about("CreateAttribute", ACCEPT), incoming=away), waits.has_results)
    assert await waits.results() == ["RequestAutomaticallyDecided"]
    assert await waits.status_log(request_id) == ["DecisionRequired", "Decided"]
