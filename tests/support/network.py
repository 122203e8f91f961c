"""A small network in one process: an embedded Backbone without sockets, and accounts of our transport layer on it.

`DirectGateway` carries the calls of the Backbone client's endpoints straight into the Backbone's application. That is
quick, and it can lose what a real network loses: `faults` decides for each call whether it gets through, and whether
its answer does.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx

from enmeshed_backbone.app import Backbone, build
from enmeshed_backbone.settings import Settings
from enmeshed_connector.backbone.calls import Answer, Call, Repeat
from enmeshed_connector.backbone.errors import (
    AnswerLost,
    BackboneError,
    BackboneRejected,
    BackboneUnavailable,
    CredentialsRejected,
    ForbiddenByBackbone,
    InputRejected,
    QuotaExhausted,
    RecordNotFound,
)
from enmeshed_connector.backbone.wire import decode_json
from enmeshed_connector.core.clock import SystemClock
from enmeshed_connector.core.encodings import from_base64url
from enmeshed_connector.core.ids import IdMaker
from enmeshed_connector.core.references import RelationshipTemplateReference
from enmeshed_connector.core.secret_bytes import SecretBytes, SecretText
from enmeshed_connector.crypto.stored_secrets import DeviceSharedSecret
from enmeshed_connector.storage import Store
from enmeshed_connector.storage.sqlite import SqliteDatabases
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.context import TransportSettings
from enmeshed_connector.transport.environment import Environment

T = TypeVar("T")

BASE_URL = "http://localhost:8090"
DATAWALLET_VERSION = 1


class ImpatientClock(SystemClock):
    """Real time, in which nobody waits: a sleep is remembered and takes no longer than other tasks need to run.

    Attributes:
        slept: How long was slept altogether.
        offset: What `now` and `monotonic` are ahead of the machine.
    """

    def __init__(self) -> None:
        self.slept = timedelta()
        self.offset = timedelta()

    def now(self) -> datetime:
        return super().now() + self.offset

    def monotonic(self) -> float:
        return super().monotonic() + self.offset.total_seconds()

    async def sleep(self, duration: timedelta) -> None:
        self.slept += duration
        await asyncio.sleep(0.001)

    def advance(self, by: timedelta) -> None:
        self.offset += by


@dataclass
class Faults:
    """What the network does to calls. Rules are asked in order; each is used up after its number of calls."""

    calls: list[str] = field(default_factory=list)
    """The names of all calls that were made, in order."""
    _rules: list[list[Any]] = field(default_factory=list)

    def lose_answer(self, name: str, times: int = 1) -> None:
        """The Backbone does it, and nobody hears of it."""
        self._rules.append([name, times, "lose"])

    def cut(self, name: str, times: int = 1) -> None:
        """The request never arrives, and the caller knows that."""
        self._rules.append([name, times, "cut"])

    def drop(self, name: str, times: int = 1) -> None:
        """The request never arrives, and the caller cannot know."""
        self._rules.append([name, times, "drop"])

    def pass_by(self, name: str, times: int = 1) -> None:
        """Nothing happens to it; a rule after this one is about the calls that follow."""
        self._rules.append([name, times, None])

    def do(self, name: str, action: Callable[[], Any]) -> None:
        """Runs something right before the call gets through."""
        self._rules.append([name, 1, action])

    def do_after(self, name: str, action: Callable[[], Any]) -> None:
        """Runs something once the Backbone has answered, before the caller learns of it."""
        self._rules.append([name, 1, ("after", action)])

    def clear(self) -> None:
        """All calls get through again."""
        self._rules.clear()

    def next(self, name: str) -> Any:
        """Returns what happens to this call, None for nothing."""
        self.calls.append(name)
        for rule in self._rules:
            if rule[0] in (name, "*") and rule[1] > 0:
                rule[1] -= 1
                return rule[2]
        return None

    def count(self, name: str) -> int:
        """Returns how often a call was made."""
        return self.calls.count(name)


class DirectGateway:
    """`environment.Gateway` straight into a Backbone's application."""

    def __init__(self, backbone: Backbone, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self._backbone = backbone
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=backbone.consumer),
            base_url=BASE_URL,
        )

    def anonymous(self) -> DirectCaller:
        return DirectCaller(self._client, self.faults, None)

    def for_device(self, username: str, password: SecretText) -> DirectCaller:
        return DirectCaller(self._client, self.faults, (username, password.reveal_text()))

    async def aclose(self) -> None:
        await self._client.aclose()


class DirectCaller:
    """`backbone.calls.Caller` without a network."""

    def __init__(self, client: httpx.AsyncClient, faults: Faults, credentials: tuple[str, str] | None) -> None:
        self._client = client
        self._faults = faults
        self._credentials = credentials
        self._token: str | None = None

    async def call(self, call: Call[T]) -> T:
        fault = self._faults.next(call.name)
        if fault == "cut":
            raise BackboneUnavailable("cut by the test", call=call.name, facts={"cause": "network"})
        if fault == "drop":
            raise self._lost(call)
        if callable(fault):
            result = fault()
            if asyncio.iscoroutine(result):
                await result
        response = await self._send(call)
        if response.status_code == 401:
            self._token = None
            response = await self._send(call)
        if fault == "lose":
            raise self._lost(call)
        if isinstance(fault, tuple):
            result = fault[1]()
            if asyncio.iscoroutine(result):
                await result
        return self._read(call, response)

    @asynccontextmanager
    async def stream(self, call: Call[object]) -> AsyncIterator[AsyncIterator[bytes]]:
        self._faults.next(call.name)
        response = await self._send(call)
        if response.status_code >= 400:
            self._read(call, response)

        async def pieces() -> AsyncIterator[bytes]:
            yield response.content

        yield pieces()

    def event_stream(self) -> Any:
        raise NotImplementedError("no event stream without a network")

    async def _send(self, call: Call[Any]) -> httpx.Response:
        headers = {"X-Supported-Datawallet-Version": str(DATAWALLET_VERSION), **call.headers}
        if self._credentials is not None:
            headers["Authorization"] = f"Bearer {await self._access_token(call)}"
        content: Any = call.body
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if call.multipart is not None:
            headers["Content-Type"] = call.multipart.content_type
            content = b"".join([piece async for piece in call.multipart.pieces()])
        query = f"?{urlencode(list(call.query))}" if call.query else ""
        return await self._client.request(call.method, call.path + query, content=content, headers=headers)

    async def _access_token(self, call: Call[Any]) -> str:
        assert self._credentials is not None
        if self._token is None:
            username, password = self._credentials
            response = await self._client.post(
                "/connect/token",
                data={
                    "grant_type": "password",
                    "client_id": "test",
                    "client_secret": "test",
                    "username": username,
                    "password": password,
                },
            )
            if response.status_code != 200:
                raise CredentialsRejected("not accepted", call=call.name, status=response.status_code)
            self._token = response.json()["access_token"]
        return self._token

    def _read(self, call: Call[T], response: httpx.Response) -> T:
        body = decode_json(response.content) if response.content[:1] == b"{" else {}
        if response.status_code < 400 and call.is_raw:
            return call.read(Answer(response.status_code, response.content))
        if response.status_code < 400:
            return call.read(
                Answer(response.status_code, body.get("result"), body.get("pagination"), response.headers.get("etag"))
            )
        error = body.get("error") or {}
        kinds: dict[int, type[BackboneRejected]] = {
            404: RecordNotFound,
            403: ForbiddenByBackbone,
            429: QuotaExhausted,
        }
        kind = kinds.get(response.status_code, BackboneRejected)
        if str(error.get("code")).endswith("invalidPropertyValue"):
            kind = InputRejected
        failure = kind(
            f"{call.name} was refused: {error.get('code')}",
            call=call.name,
            status=response.status_code,
            platform_code=error.get("code"),
            error_id=error.get("id"),
        )
        if isinstance(failure, RecordNotFound):
            failure.record_type = str(error.get("message", "")).partition(" ")[0] or None
        raise failure

    def _lost(self, call: Call[Any]) -> BackboneError:
        if call.repeat is Repeat.SAFE:
            return BackboneUnavailable("lost by the test", call=call.name, facts={"cause": "cut"})
        return AnswerLost("lost by the test", call=call.name)


class Network:
    """One Backbone and the databases of the accounts on it; what it opens is closed at its end."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self._folder = folder
        self._settings = settings or Settings(seed_identities=False)
        self._stack = AsyncExitStack()
        self.clock = ImpatientClock()
        self.databases = SqliteDatabases(folder, clock=self.clock)
        self._stores: dict[str, Store] = {}
        self.faults: dict[str, Faults] = {}
        """What happens to the calls of each account that was opened last under its name."""
        self._random = os.urandom

    async def __aenter__(self) -> Network:
        await self._stack.__aenter__()
        self.backbone = await build(self._settings)
        self._stack.push_async_callback(self.backbone.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for store in self._stores.values():
            await store.close()
        await self._stack.__aexit__(kind, error, traceback)

    async def environment(self, name: str, **settings: Any) -> Environment:
        """Returns the environment of an account, whose database is opened when it is not open."""
        if name not in self._stores:
            self._stores[name] = await self.databases.open(f"acc-{name}")
        gateway = DirectGateway(self.backbone)
        self.faults[name] = gateway.faults
        self._stack.push_async_callback(gateway.aclose)
        return Environment(
            account=name,
            settings=replace(TransportSettings(base_url=BASE_URL, client_id="test", client_secret="test"), **settings),
            store=self._stores[name],
            gateway=gateway,
            clock=self.clock,
            random=self._random,
            ids=IdMaker(self._random),
            worker="test",
        )

    async def account(self, name: str, *, secret: DeviceSharedSecret | None = None, **settings: Any) -> Party:
        """Opens an account, which is made when it does not exist, and starts it."""
        environment = await self.environment(name, **settings)
        account = await open_account(environment, secret=secret)
        await account.start()
        return Party(account, self.faults[name])

    async def befriend(self, templator: Party, requestor: Party) -> str:
        """Makes an active relationship between two accounts, both synced, and returns its id."""
        return await befriend(templator.account, requestor.account)

    async def reopen(self, party: Party) -> Party:
        """Opens the account of a party anew, as after a restart: nothing but the database is left."""
        context = party.account.context
        environment = replace(await self.environment(context.account), settings=context.settings)
        account = await open_account(environment)
        await account.start()
        return Party(account, self.faults[context.account])

    async def close(self, name: str) -> None:
        """Closes the database of an account, as the end of its process does."""
        await self._stores.pop(name).close()

    async def back_up(self, name: str) -> None:
        """Copies the database of an account, which is closed for that."""
        await self.close(name)
        for file in self._folder.glob(f"acc-{name}*"):
            shutil.copy(file, self._folder / f"backup-{file.name}")

    async def restore(self, name: str) -> None:
        """Puts the copy in the place of the account's database, which is closed for that."""
        await self.close(name)
        for file in self._folder.glob(f"acc-{name}*"):
            file.unlink()
        for file in self._folder.glob(f"backup-acc-{name}*"):
            shutil.copy(file, self._folder / file.name.removeprefix("backup-"))

    def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """Returns what a query finds in the Backbone's own data."""
        return self.backbone.services.store.read(
            lambda transaction: [dict(row) for row in transaction.all(sql, *parameters)]
        )


@dataclass(frozen=True)
class Party:
    """One account on the network."""

    account: TransportAccount
    faults: Faults

    @property
    def store(self) -> Store:
        """Its database."""
        return self.account.context.store

    @property
    def address(self) -> str:
        """Its address."""
        return str(self.account.context.identity.address)

    async def events(self, prefix: str = "") -> list[dict[str, Any]]:
        """Returns all events of its log whose type starts so, in order."""
        page = await self.store.log.read(await self.store.log.oldest(), limit=10_000)
        return [entry.event for entry in page.events if entry.event["type"].startswith(prefix)]


async def befriend(templator: TransportAccount, requestor: TransportAccount) -> str:
    """Makes an active relationship between two accounts, both synced, and returns its id."""
    template = await templator.templates.create(
        {"@type": "ArbitraryRelationshipTemplateContent", "value": {}},
        expires_at=templator.context.clock.now() + timedelta(days=1),
    )
    await requestor.templates.load(reference_to(template))
    content = {"@type": "ArbitraryRelationshipCreationContent", "value": {}}
    relationship = await requestor.relationships.create(template["id"], content)
    await templator.sync.sync()
    await templator.relationships.accept(relationship["id"])
    await requestor.sync.sync()
    return str(relationship["id"])


def reference_to(template: dict[str, Any]) -> RelationshipTemplateReference:
    """Returns the reference of a template that its owner has stored."""
    key = SecretBytes(from_base64url(template["secretKey"]["key"], "key"))
    return RelationshipTemplateReference(template["id"], key, BASE_URL)
