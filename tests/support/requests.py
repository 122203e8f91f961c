"""Requests between accounts on a small network, below the public interface: what peers send need not be right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from enmeshed_connector.consumption.account import ConsumptionAccount, ConsumptionSettings
from enmeshed_connector.consumption.attributes.controller import AttributeSettings
from enmeshed_connector.consumption.requests.documents import REQUESTS, typed
from enmeshed_connector.consumption.schema import CONSUMPTION_COLLECTIONS
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.objects import TRANSPORT_COLLECTIONS, Document, SynchronizedCollections
from tests.support.consumption import Holder, holder
from tests.support.network import Network, befriend, reference_to

YES: Document = {"accept": True}
NO: Document = {"accept": False, "code": "no"}


def consent(text: str = "May we?", *, must: bool = True) -> Document:
    """Returns an item that needs a yes."""
    return {"@type": "ConsentRequestItem", "consent": text, "mustBeAccepted": must}


def group(*items: Document) -> Document:
    """Returns a group of items."""
    return {"@type": "RequestItemGroup", "items": list(items)}


def asks(*items: Document, **more: Any) -> Document:
    """Returns a request without id."""
    return {"@type": "Request", "items": list(items or (consent(),)), **more}


def accepted(**more: Any) -> Document:
    """Returns the answer that accepts an item."""
    return {"@type": "AcceptResponseItem", "result": "Accepted", **more}


def rejected() -> Document:
    """Returns the answer that rejects an item."""
    return {"@type": "RejectResponseItem", "result": "Rejected"}


def response(request_id: str, *items: Document, result: str = "Accepted") -> Document:
    """Returns a response."""
    return {"items": list(items or (accepted(),)), "requestId": request_id, "result": result}


def wrapper(answer: Document, source: str, *, source_type: str = "Message") -> Document:
    """Returns the content of a message that carries a response."""
    return {
        "@type": "ResponseWrapper",
        "requestId": answer.get("requestId", "REQ00000000000000000"),
        "requestSourceReference": source,
        "requestSourceType": source_type,
        "response": answer,
    }


@dataclass(frozen=True)
class Asking:
    """An account that asks and answers."""

    holder: Holder
    network: Network

    @property
    def address(self) -> str:
        """The address of the identity."""
        return self.holder.address

    @property
    def consumption(self) -> ConsumptionAccount:
        """What content means for it."""
        return self.holder.consumption

    async def draft(self, peer: Asking, content: Document | None = None) -> Document:
        """Makes a request and returns it."""
        outgoing = self.consumption.outgoing_requests
        checked = await outgoing.new_content(content or asks(), peer.address)
        return await self.holder.run(lambda work: outgoing.create(checked, peer.address, work))

    async def ask(self, peer: Asking, content: Document | None = None) -> Document:
        """Makes a request, sends it, lets the peer receive it and returns it."""
        draft = await self.draft(peer, content)
        await self.tell(peer, typed("Request", draft["content"]))
        return await self.request(draft["id"])

    async def tell(self, peer: Asking, content: Any) -> Document:
        """Sends anything in a message, lets the peer receive it, and returns the message."""
        message = await self.holder.transport.messages.send([peer.address], content)
        await peer.sync()
        return message

    async def template(self, **requests: Any) -> Document:
        """Makes a template and returns it."""
        transport = self.holder.transport
        moment = transport.context.clock.now() + timedelta(days=1)
        for_identity = requests.pop("for_identity", None)
        content = {"@type": "RelationshipTemplateContent", **requests}
        checked = await self.consumption.outgoing_requests.template_content(content, moment)
        return await transport.templates.create(checked, expires_at=moment, for_identity=for_identity)

    async def load(self, template: Document) -> None:
        """Loads a template of a peer."""
        await self.holder.transport.templates.load(reference_to(template))

    async def accept(self, request_id: str, *decisions: Document) -> Document:
        """Accepts a request, without sending the response."""
        incoming = self.consumption.incoming_requests
        items = list(decisions or (YES,))
        assert (await incoming.can_accept(request_id, items)).is_success
        prepared = await incoming.prepare(request_id, items)
        return await self.holder.run(lambda work: incoming.accept(request_id, prepared, work))

    async def sync(self) -> None:
        """Receives what there is."""
        await self.holder.transport.sync.sync()

    async def request(self, request_id: str) -> Document:
        """Returns a request as it is stored."""
        found = await self.holder.transport.context.store.get(REQUESTS, request_id)
        assert found is not None
        return found

    async def requests(self) -> list[Document]:
        """Returns all requests."""
        return await self.holder.all(REQUESTS)

    async def statuses(self) -> list[str]:
        """Returns the states of all requests."""
        return [request["status"] for request in await self.requests()]

    async def results(self) -> list[str]:
        """Returns what came of all received messages and loaded templates."""
        return [event["data"]["result"] for event in await self.holder.events() if event["type"].endswith("Processed")]

    async def restarted(self) -> Asking:
        """Returns the account as a new process opens it: nothing but the database is left."""
        context = self.holder.transport.context
        environment = await self.network.environment(context.account)
        collections = SynchronizedCollections(TRANSPORT_COLLECTIONS, CONSUMPTION_COLLECTIONS)
        transport = await open_account(replace(environment, settings=context.settings, collections=collections))
        # Before the start, which completes what was begun: who listens must hear of that.
        consumption = ConsumptionAccount(transport, ConsumptionSettings(AttributeSettings()))
        await transport.start()
        return replace(self, holder=Holder(transport, consumption, self.network.faults[context.account]))


async def asking(network: Network, name: str, **settings: Any) -> Asking:
    """Opens an account."""
    return Asking(await holder(network, name, **settings), network)


async def relate(one: Asking, other: Asking) -> str:
    """Makes an active relationship between two accounts and returns its id."""
    return await befriend(one.holder.transport, other.holder.transport)
