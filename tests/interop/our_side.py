"""Our side of an interoperability test: an account over the real Backbone client, used as its callers use it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from enmeshed_connector.consumption.attributes.controller import AttributeController, AttributeSettings
from enmeshed_connector.consumption.deliveries import Deliveries
from enmeshed_connector.consumption.requests.incoming import IncomingRequests
from enmeshed_connector.consumption.requests.outgoing import OutgoingRequests
from enmeshed_connector.consumption.requests.processors.registry import Processors
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.runtime.synchronisation import Synchronisation
from enmeshed_connector.runtime.use_cases.account import AccountUseCases, SyncView
from enmeshed_connector.runtime.use_cases.bundle import UseCases
from enmeshed_connector.runtime.use_cases.common import NOBODY
from enmeshed_connector.runtime.use_cases.devices import DeviceUseCases
from enmeshed_connector.runtime.use_cases.files import FileUseCases
from enmeshed_connector.runtime.use_cases.messages import MessageUseCases
from enmeshed_connector.runtime.use_cases.relationships import RelationshipUseCases
from enmeshed_connector.runtime.use_cases.templates import TemplateUseCases
from enmeshed_connector.runtime.use_cases.tokens import TokenUseCases
from enmeshed_connector.runtime.views import Views
from enmeshed_connector.transport import relationship_operations as steps
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.relationship_operations import Step
from enmeshed_connector.transport.sync_modes import SyncMode
from tests.interop.steps import Addressee

FAR_FUTURE = datetime(2099, 1, 1, tzinfo=UTC)

Json = Any  # What callers of the use cases take and get.


class TransportUseCases:
    """The use cases that need no more than the transport layer, for the account's worker."""

    def __init__(self, transport: TransportAccount) -> None:
        """Takes an open account."""
        context = transport.context
        synchronisation = Synchronisation(
            context.store, context.commits, transport.sync, ids=context.ids, clock=context.clock
        )
        synchronisation.become_worker(True)
        self.views = Views(context.settings.base_url)
        self.account = AccountUseCases(transport, self.views, synchronisation)
        # Nothing of these listens: the account stays one of the transport layer.
        attributes = AttributeController(context, AttributeSettings())
        processors = Processors(context, attributes, transport.files)
        outgoing = OutgoingRequests(context, processors)
        incoming = IncomingRequests(context, processors, Deliveries(transport))
        self.templates = TemplateUseCases(transport, self.views, outgoing)
        self.relationships = RelationshipUseCases(transport, self.views, incoming)
        self.messages = MessageUseCases(transport, self.views, _take_request)
        self.devices = DeviceUseCases(transport, self.views, synchronisation)
        self.files = FileUseCases(transport, self.views, attributes.tags)
        self.tokens = TokenUseCases(transport, self.views)


async def _take_request(content: JsonObject, peer: str) -> None:
    """Lets every request be sent: here is nobody who knows of them."""


class OurSide:
    """One account of ours. What it returns has the members of the official interface, as official peers' results have.

    Nothing arrives without a call of `sync`, as with official peers, unless the account is hosted.
    """

    def __init__(self, transport: TransportAccount, use_cases: UseCases | None = None) -> None:
        """Takes an open account, and what callers can do with it; without that, this is the account's worker."""
        self.transport = transport
        self.does: UseCases | TransportUseCases = use_cases or TransportUseCases(transport)

    @property
    def address(self) -> str:
        """The address of the identity."""
        return str(self.transport.context.identity.address)

    @property
    def device_id(self) -> str:
        """The id of this device."""
        return str(self.transport.context.device.id)

    async def sync(self) -> SyncView:
        """Fetches what is new and returns it; nothing of it may be unusable."""
        result = await self.does.account.sync(timedelta(seconds=30))
        assert result.failed_events == 0
        return result

    async def sync_datawallet(self) -> None:
        """Exchanges what is new with the other devices."""
        await self.transport.sync.sync(SyncMode.DATAWALLET)

    async def events(self, about: str = "") -> list[tuple[str, str, Json]]:
        """Returns type (without `transport.` for official ones), origin and data of the events in the log, in order.

        Those whose content was erased are left out.

        Args:
            about: The id of what they must be about; empty for all.
        """
        log = self.transport.context.store.log
        page = await log.read(await log.oldest(), limit=10_000)
        entries = [entry.event for entry in page.events]
        return [
            (entry["type"].removeprefix("transport."), entry["origin"], entry.get("data"))
            for entry in entries
            if "origin" in entry
            and (not about or about in ((entry.get("data") or {}).get(name) for name in ("id", "relationshipId")))
        ]

    async def told(self, about: str) -> list[str]:
        """Returns type and origin of all events about something, in order: `messageReceived EXTERNAL`."""
        return [f"{kind} {origin}" for kind, origin, _ in await self.events(about)]

    async def offer(self, content: Json = None, **limits: Json) -> Json:
        """Makes a relationship template and returns it; `limits` are those of `TemplateUseCases.create`."""
        content = content or {"@type": "ArbitraryRelationshipTemplateContent", "value": {"offer": True}}
        return await self.does.templates.create(content, NOBODY, expires_at=FAR_FUTURE, **limits)

    async def load(self, template: Json, password: str | None = None) -> Json:
        """Loads a peer's template by its reference."""
        secret = None if password is None else SecretText(password)
        return await self.does.templates.load(template["reference"]["truncated"], NOBODY, password=secret)

    async def ask(self, template: Json) -> Json:
        """Loads the template and asks for a relationship, which is pending then."""
        content = {"@type": "ArbitraryRelationshipCreationContent", "value": {"ask": True}}
        return await self.does.relationships.create((await self.load(template))["id"], content, NOBODY)

    async def take(self, step: Step, relationship_id: str) -> Json:
        """Takes one step of a relationship's life."""
        return await self.does.relationships.take(step, relationship_id, NOBODY)

    async def accept(self, relationship_id: str) -> Json:
        """Accepts a relationship."""
        return await self.take(steps.ACCEPT, relationship_id)

    async def decompose(self, relationship_id: str) -> None:
        """Leaves a relationship for good."""
        await self.does.relationships.decompose(relationship_id, NOBODY)

    async def relationship(self, relationship_id: str) -> Json:
        """Returns a relationship."""
        return await self.does.relationships.get(relationship_id)

    async def send_mail(self, *recipients: Addressee, body: str, attachments: Sequence[str] = ()) -> Json:
        """Sends a mail to peers of both kinds and returns the message."""
        addresses = [recipient.address for recipient in recipients]
        mail = {"@type": "Mail", "to": addresses, "subject": "Test", "body": body}
        return await self.does.messages.send(addresses, mail, NOBODY, attachments=attachments)

    async def receive(self, message_id: str) -> Json:
        """Fetches what is new and returns the message of that id, which must be among it, told of once."""
        synced = await self.sync()
        (message,) = [message for message in synced.messages if message["id"] == message_id]
        assert await self.told(message_id) == ["messageReceived EXTERNAL"]
        return message

    async def upload(self, content: bytes, filename: str = "note.txt", **more: Json) -> Json:
        """Uploads a file and returns its metadata."""
        return await self.does.files.upload(
            content, NOBODY, filename=filename, mimetype="text/plain", expires_at=FAR_FUTURE, **more
        )

    async def download(self, file_id: str) -> bytes:
        """Returns the content of a stored file."""
        return (await self.does.files.download(file_id))[1]
