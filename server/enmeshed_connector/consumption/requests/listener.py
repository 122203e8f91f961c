"""What requests take part in: each received request or response becomes durable with what brought it.

Whatever a peer sends, its message, template or relationship is stored: what does not fit is left alone, and what was
begun for it is undone. Source: consumption.md, sections 9.4, 9.5, 10.1 and 16.1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from enmeshed_connector.consumption.attributes.documents import GUARDS
from enmeshed_connector.consumption.attributes.repository import hold
from enmeshed_connector.consumption.requests import events
from enmeshed_connector.consumption.requests.documents import (
    MESSAGE,
    RELATIONSHIP,
    REQUESTS,
    TEMPLATE,
    is_overdue,
    source_of,
)
from enmeshed_connector.consumption.requests.incoming import IncomingRequests
from enmeshed_connector.consumption.requests.outgoing import OutgoingRequests
from enmeshed_connector.consumption.requests.repository import (
    uncompleted_of_template,
    unfinished_from_templates,
    with_peer,
)
from enmeshed_connector.consumption.requests.responses import ACCEPTED
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.core.ids import REQUEST, parse_id
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.listeners import TransportListener
from enmeshed_connector.transport.objects import TEMPLATES, Document
from enmeshed_connector.transport.relationship_documents import EXISTING, Status, relationship_with
from enmeshed_connector.transport.work import Work

_NO_REQUEST: Final = "NoRequest"
_ERROR: Final = "Error"
_NON_COMPLETED_REQUEST_EXISTS: Final = "NonCompletedRequestExists"
_RELATIONSHIP_EXISTS: Final = "RelationshipExists"
_REQUEST_EXPIRED: Final = "RequestExpired"


class RequestListener(TransportListener):
    """Takes requests and responses out of messages, templates and relationships."""

    def __init__(self, context: AccountContext, incoming: IncomingRequests, outgoing: OutgoingRequests) -> None:
        """Takes the account, and its requests of both directions."""
        self._context = context
        self._incoming = incoming
        self._outgoing = outgoing
        self._logger = structlog.get_logger(__name__).bind(account=context.account)

    async def message_received(self, message: Document, work: Work) -> None:
        """Receives the request in a message, or applies the response in it."""
        content = message["content"]
        kind = _type_of(content)
        if kind == "Request":
            if not await self._attempt(lambda: self._receive_request(message, work), work, message["id"]):
                events.publish_message_processed(work, message, _ERROR)
            return
        if kind == "ResponseWrapper":
            await self._attempt(lambda: self._receive_response(message, work), work, message["id"])
        events.publish_message_processed(work, message, _NO_REQUEST)

    async def message_sent(self, message: Document, work: Work) -> None:
        """Notes that an own request is with the peer, or an own response."""
        if _type_of(message["content"]) in ("Request", "ResponseWrapper") and len(message["recipients"]) == 1:
            # The message is sent, whatever it holds: that must become durable.
            await self._attempt(lambda: self._note_own(message, work), work, message["id"])

    async def template_loaded(self, template: Document, work: Work) -> None:
        """Receives the request of a peer's template."""
        if template["isOwn"]:
            return
        if not await self._attempt(lambda: self._receive_template(template, work), work, template["id"]):
            events.publish_template_processed(work, template, _ERROR)

    async def relationship_changed(self, relationship: Document, work: Work) -> None:
        """Takes the response that a relationship was asked for with, the peer's or the own one."""
        if _type_of(relationship.get("creationContent")) != "RelationshipCreationContent":
            return
        maker = relationship["auditLog"][0]["createdBy"]
        if self._context.is_own_address(maker):
            await self._attempt(lambda: self._note_asked_for(relationship, work), work, relationship["id"])
        elif relationship["status"] == Status.PENDING and len(relationship["auditLog"]) == 1:
            await self._attempt(lambda: self._receive_creation(relationship, work), work, relationship["id"])

    async def relationship_decomposed(self, relationship: Document, work: Work) -> None:
        """Removes all requests to and from the peer, and the responses that are not sent."""
        peer = relationship["peer"]["address"]
        for request in await with_peer(work, peer):
            if request["isOwn"]:
                await work.remove(REQUESTS, request["id"])
            else:
                await self._incoming.forget(request, work)
        work.delete_silently(GUARDS, _guard(peer))

    async def _note_own(self, message: Document, work: Work) -> bool:
        content, peer = message["content"], message["recipients"][0]["address"]
        source = source_of(MESSAGE, message["id"])
        if content["@type"] == "Request":
            await self._outgoing.sent(content, peer, source, work)
        else:
            await self._incoming.answered(content["response"], source, peer, work)
        return True

    async def _note_asked_for(self, relationship: Document, work: Work) -> bool:
        response, source = relationship["creationContent"]["response"], source_of(RELATIONSHIP, relationship["id"])
        await self._incoming.answered(response, source, relationship["peer"]["address"], work)
        return True

    async def _receive_request(self, message: Document, work: Work) -> bool:
        self._validator.validate_request(message["content"])
        source = source_of(MESSAGE, message["id"])
        received = await self._incoming.receive(message["content"], message["createdBy"], source, work)
        if received is None:
            self._ignore("a request", message["id"], "there is one of this id already")
        return received is not None

    async def _receive_response(self, message: Document, work: Work) -> bool:
        wrapper = message["content"]
        self._validator.validate_message_content(wrapper)
        response, peer = wrapper["response"], message["createdBy"]
        request_id = parse_id(REQUEST, response["requestId"])
        source = source_of(MESSAGE, message["id"])
        if wrapper["requestSourceType"] == TEMPLATE:
            problem = await self._answer_template(
                wrapper["requestSourceReference"], response, peer, source, message["createdAt"], work, is_new=False
            )
        else:
            request = await self._asked(request_id, peer, wrapper["requestSourceReference"], work)
            if request is None:
                problem = "there is no request of this id to this peer"
            else:
                problem = await self._outgoing.complete(request, response, source, message["createdAt"], work)
        if problem is not None:
            self._ignore("a response", message["id"], problem)
        return True

    async def _asked(self, request_id: str, peer: str, message_id: str, work: Work) -> Document | None:
        """Returns an own request as far as it is sent; None when there is none to this peer.

        The response may be faster than the answer of the Backbone to the message with the request: who knows its id has
        it from there.
        """
        request = await work.get(REQUESTS, request_id)
        if request is not None:
            if not request["isOwn"] or request["peer"] != peer:
                return None
            content = request["content"]
            return request if "source" in request else await self._note_sent(content, peer, message_id, work)
        message = await self._outgoing.being_sent(request_id)
        if message is None or [one["address"] for one in message["recipients"]] != [peer]:
            return None
        return await self._note_sent(message["content"], peer, message_id, work)

    async def _note_sent(self, content: JsonObject, peer: str, message_id: str, work: Work) -> Document | None:
        return await self._outgoing.sent(content, peer, source_of(MESSAGE, message_id), work)

    async def _receive_creation(self, relationship: Document, work: Work) -> bool:
        self._validator.validate_creation_content(relationship["creationContent"])
        response = relationship["creationContent"]["response"]
        problem: str | None
        if response["result"] != ACCEPTED:
            problem = "it rejects what it asks a relationship for"
        else:
            problem = await self._answer_template(
                relationship["templateId"],
                response,
                relationship["peer"]["address"],
                source_of(RELATIONSHIP, relationship["id"]),
                relationship["auditLog"][0]["createdAt"],
                work,
                is_new=True,
            )
        if problem is not None:
            self._ignore("a response", relationship["id"], problem)
        return True

    async def _answer_template(
        self,
        template_id: str,
        response: JsonObject,
        peer: str,
        source: JsonObject,
        made_at: str,
        work: Work,
        *,
        is_new: bool,
    ) -> str | None:
        """Applies a response to the request of an own template; returns why not, None when it was applied.

        Args:
            template_id: What the response names as source of the request.
            response: The response.
            peer: Who answers.
            source: What carried it.
            made_at: When that was made.
            work: The commit.
            is_new: Whether it is the response to the request of a new relationship.
        """
        parse_id(REQUEST, response["requestId"])
        template = await work.get(TEMPLATES, template_id)
        if template is None or not template["isOwn"]:
            return "it names no own template"
        if template.get("forIdentity") not in (None, peer):
            return "the template is for somebody else"
        content = template["content"]
        if _type_of(content) != "RelationshipTemplateContent":
            return "the template asks nothing"
        request = content.get("onNewRelationship" if is_new else "onExistingRelationship")
        if request is None:
            return "the template asks nothing of existing relationships"
        return await self._outgoing.create_and_complete(
            request, response, peer=peer, template_id=template_id, source=source, made_at=made_at, work=work
        )

    async def _receive_template(self, template: Document, work: Work) -> bool:
        """Receives the request that fits the relationship with the maker; returns False when it cannot be received."""
        content, peer = template["content"], template["createdBy"]
        if _type_of(content) != "RelationshipTemplateContent":
            events.publish_template_processed(work, template, _NO_REQUEST)
            return True
        self._validator.validate_template_content(content)
        # Two templates of one peer that are loaded at once must not both find that there is no other request.
        await hold(work, _guard(peer))
        existing = await uncompleted_of_template(work, template["id"])
        if existing is not None:
            events.publish_template_processed(work, template, _NON_COMPLETED_REQUEST_EXISTS, request_id=existing["id"])
            return True
        relationship = await relationship_with(work, peer, *EXISTING)
        request = content["onNewRelationship"]
        if relationship is not None:
            request = content.get("onExistingRelationship") if relationship["status"] == Status.ACTIVE else None
            if request is None:
                events.publish_template_processed(
                    work, template, _RELATIONSHIP_EXISTS, relationship_id=relationship["id"]
                )
                return True
        else:
            existing = await unfinished_from_templates(work, peer)
            if existing is not None:
                events.publish_template_processed(
                    work, template, _NON_COMPLETED_REQUEST_EXISTS, request_id=existing["id"]
                )
                return True
        expires_at = _expiry(request, template if relationship is None else {})
        if is_overdue({"expiresAt": expires_at}, work.now):
            events.publish_template_processed(work, template, _REQUEST_EXPIRED)
            return True
        source = source_of(TEMPLATE, template["id"])
        return await self._incoming.receive(request, peer, source, work, expires_at=expires_at) is not None

    async def _attempt(self, change: Callable[[], Awaitable[bool]], work: Work, cause_id: str) -> bool:
        """Does something with what a peer sent; when it fails, nothing of it is done, and False is returned."""
        try:
            return await work.attempt(change)
        except DomainError as error:
            if error.code.is_passing:
                raise
            self._ignore("content", cause_id, error.reason)
        except Exception:
            # A fault of ours; yet what the peer sent must not stop everything that comes after it.
            self._logger.exception("the content of a peer cannot be processed", id=cause_id)
        return False

    def _ignore(self, what: str, cause_id: str, problem: str) -> None:
        self._logger.warning("what a peer sent is left alone", what=what, id=cause_id, problem=problem)

    @property
    def _validator(self) -> ContentValidator:
        return ContentValidator(self._context.clock.now(), received=True)


def _type_of(content: Json) -> str | None:
    kind = content.get("@type") if isinstance(content, dict) else None
    return kind if isinstance(kind, str) else None


def _expiry(request: JsonObject, template: Document) -> str | None:
    """Returns the earlier one of the moments at which a request and its template expire."""
    moments = [moment for moment in (request.get("expiresAt"), template.get("expiresAt")) if moment is not None]
    return min(moments, key=parse_date, default=None)


def _guard(peer: str) -> str:
    return f"templates:{peer}"
