"""`enmeshed-connector demo`: the main job from beginning to end, through the public interface only."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import typer
from google.protobuf import json_format

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import event_pb2, relationship_pb2
from enmeshed.connector.v1 import files_service_pb2 as files_pb
from enmeshed.connector.v1 import messages_service_pb2 as messages_pb
from enmeshed.connector.v1 import relationship_templates_service_pb2 as templates_pb
from enmeshed.connector.v1 import relationships_service_pb2 as relationships_pb
from enmeshed_client import Connector, download, upload
from enmeshed_connector.app.databases import make_databases
from enmeshed_connector.app.logs import configure_logs
from enmeshed_connector.app.settings import LogSettings, load_settings
from enmeshed_connector.cli.dev import ACCOUNTS, playground
from enmeshed_connector.cli.loop import run
from enmeshed_connector.cli.output import print_line
from enmeshed_connector.core.clock import SystemClock

T = TypeVar("T")

_EVENT_PATIENCE_SECONDS = 30.0


class DemoFailed(Exception):
    """Something came out otherwise than it should."""


@dataclass
class _Story:
    """Prints what happens, with the time each step took."""

    began: float = field(default_factory=time.perf_counter)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        print_line(f"  {text:<66} {1000 * (time.perf_counter() - began):7.0f} ms")


def demo(
    store: Annotated[str, typer.Option("--store", help="sqlite or mongodb.")] = "sqlite",
    mongodb_uri: Annotated[
        str | None, typer.Option("--mongodb-uri", envvar="MONGODB_URI", help="The server, for --store mongodb.")
    ] = None,
    # A Backbone takes 10 MiB, and a file grows by a third when it is encrypted.
    file_bytes: Annotated[int, typer.Option("--file-bytes", min=1, max=7_800_000, help="The size of the file.")] = 1024
    * 1024,
) -> None:
    """Sends a mail with a file between two identities, sees it arrive on the event stream, and checks every byte."""
    if store not in ("sqlite", "mongodb"):
        raise typer.BadParameter("must be sqlite or mongodb", param_hint="--store")
    if store == "mongodb" and not mongodb_uri:
        raise typer.BadParameter("needs --mongodb-uri mongodb://…", param_hint="--store mongodb")
    configure_logs(LogSettings(level="error"))
    # Unique names, for a server that other things may lie on; they are gone at the end.
    suffix = os.urandom(4).hex()
    names = [f"{name}-{suffix}" for name in ACCOUNTS] if store == "mongodb" else list(ACCOUNTS)
    overrides = {}
    if store == "mongodb":
        overrides = {
            "database.driver": "motor",
            "database.connection_string": str(mongodb_uri),
            "database.server_database": f"demo-{suffix}",
        }
    try:
        run(_demo(store, names, overrides, file_bytes))
    except DemoFailed as problem:
        sys.stderr.write(f"FAILED: {problem}\n")
        sys.exit(1)


async def _demo(store: str, names: list[str], overrides: dict[str, str], file_bytes: int) -> None:
    story = _Story()
    print_line(f"Two identities, one Connector, an embedded Backbone, on {store}:")
    has_started = False
    try:
        async with playground(accounts=names, overrides=overrides) as (server, _backbone):
            has_started = True
            with story.step("both identities are registered and ready"):
                await server.wait_until_ready()
            target = f"localhost:{server.port}"
            async with Connector(target, account=names[0]) as alice, Connector(target, account=names[1]) as bob:
                await _tell(story, alice, bob, file_bytes)
    finally:
        if has_started and store == "mongodb":
            await _drop(names, overrides)
    print_line(
        f"Done in {time.perf_counter() - story.began:.1f} s: delivered, downloaded, and not a byte is different."
    )


async def _drop(names: list[str], overrides: dict[str, str]) -> None:
    """Removes what the demo left on a server that stays."""
    settings = load_settings(file=None, environment={}, flags=overrides)
    databases = make_databases(settings.database, clock=SystemClock())
    try:
        for name in (*(f"acc-{name}" for name in names), settings.database.server_database):
            await databases.drop(name)
    finally:
        await databases.close()


async def _tell(story: _Story, alice: Connector, bob: Connector, file_bytes: int) -> None:
    address_of_bob = (await bob.call(bob.account.GetIdentityInfo, account_pb.GetIdentityInfoRequest())).account.address
    arrivals = _Arrivals(bob)
    changes = _Arrivals(alice)
    async with arrivals, changes:
        with story.step("alice offers a relationship by a template"):
            expiry = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
            template = await alice.call(
                alice.relationship_templates.CreateTemplate,
                json_format.ParseDict(
                    {
                        "content": {"arbitraryRelationshipTemplateContent": {"value": {"greeting": "Hello"}}},
                        "expireTime": expiry,
                        "maxNumberOfAllocations": 1,
                    },
                    templates_pb.CreateTemplateRequest(),
                ),
            )
        with story.step("bob loads the template by its reference"):
            loaded = await bob.call(
                bob.relationship_templates.LoadTemplate,
                templates_pb.LoadTemplateRequest(reference=template.template.reference.url),
            )
        with story.step("bob asks for the relationship"):
            asked = await bob.call(
                bob.relationships.CreateRelationship,
                json_format.ParseDict(
                    {
                        "templateId": loaded.template.id,
                        "creationContent": {"arbitraryRelationshipCreationContent": {"value": {"name": "Bob"}}},
                    },
                    relationships_pb.CreateRelationshipRequest(),
                ),
            )
        relationship_id = asked.relationship.id
        with story.step("alice sees the request on her event stream"):
            await changes.wait_for(
                "transport.relationshipChanged", lambda event: event.relationship.id == relationship_id
            )
        with story.step("alice accepts"):
            await alice.call(
                alice.relationships.AcceptRelationship,
                relationships_pb.AcceptRelationshipRequest(id=relationship_id),
            )
        with story.step("bob sees that the relationship is active"):
            await arrivals.wait_for(
                "transport.relationshipChanged",
                lambda event: event.relationship.status == relationship_pb2.RELATIONSHIP_STATUS_ACTIVE,
            )
        content = os.urandom(file_bytes)
        with story.step(f"alice uploads a file of {file_bytes} bytes, encrypted"):
            file = await upload(
                alice,
                content,
                files_pb.UploadMetadata(
                    filename="demo.bin", media_type="application/octet-stream", size_bytes=len(content)
                ),
            )
        with story.step("alice sends a mail with the file attached"):
            sent = await alice.call(
                alice.messages.SendMessage,
                json_format.ParseDict(
                    {
                        "recipients": [address_of_bob],
                        "content": {"mail": {"to": [address_of_bob], "subject": "Hello", "body": "See the file."}},
                        "attachmentIds": [file.id],
                    },
                    messages_pb.SendMessageRequest(),
                ),
            )
        with story.step("bob sees the mail on his event stream"):
            received = await arrivals.wait_for(
                "transport.messageReceived", lambda event: event.message.id == sent.message.id
            )
        if received.message.content.mail.subject != "Hello":
            raise DemoFailed("the mail's subject is not the one that was sent")
        with story.step("bob downloads the file, decrypted and checked"):
            fetched = await download(
                bob.messages.DownloadAttachment(
                    messages_pb.DownloadAttachmentRequest(message_id=sent.message.id, attachment_id=file.id)
                )
            )
        if hashlib.sha512(fetched.content).digest() != hashlib.sha512(content).digest():
            raise DemoFailed("the downloaded file differs from the uploaded one")


class _Arrivals:
    """The events of an account from now on, for use inside `async with`."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._events: list[event_pb2.Event] = []
        self._news = asyncio.Condition()

    async def __aenter__(self) -> _Arrivals:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def wait_for(self, event_type: str, fits: Any) -> event_pb2.Event:
        async def find() -> event_pb2.Event:
            async with self._news:
                while True:
                    for event in self._events:
                        if event.type == event_type and fits(event):
                            return event
                    if self._task.done():
                        await self._task
                    await self._news.wait()

        return await _in_time(find(), event_type)

    async def _follow(self) -> None:
        try:
            async for received in self._connector.follow("transport.**", from_beginning=True):
                async with self._news:
                    self._events.append(received.event)
                    self._news.notify_all()
        finally:
            async with self._news:
                self._news.notify_all()


async def _in_time(wait: Awaitable[T], what: str) -> T:
    try:
        async with asyncio.timeout(_EVENT_PATIENCE_SECONDS):
            return await wait
    except TimeoutError:
        raise DemoFailed(f"no {what} within {_EVENT_PATIENCE_SECONDS:.0f} s") from None
