"""Requests of this identity: made, sent, answered, discarded. Source: consumption.md, section 9."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime

from enmeshed_connector.consumption.attributes.documents import same_json
from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.requests import events
from enmeshed_connector.consumption.requests.decisions import check_peer_lives
from enmeshed_connector.consumption.requests.documents import (
    MESSAGE,
    REQUESTS,
    TEMPLATE,
    RequestStatus,
    is_group,
    is_overdue,
    items_of,
    moved,
    request_document,
    source_of,
    stored_content,
)
from enmeshed_connector.consumption.requests.errors import (
    ExpiredRequestNotSent,
    RequestAlreadySent,
    RequestContentChanged,
    RequestExpiresAfterTemplate,
    RequestInvalid,
    WrongRequestStatus,
    refusal,
)
from enmeshed_connector.consumption.requests.processors.base import Asked
from enmeshed_connector.consumption.requests.processors.keys import check_key_uniqueness_for_creation
from enmeshed_connector.consumption.requests.processors.owners import request_with_owners
from enmeshed_connector.consumption.requests.processors.registry import Processors
from enmeshed_connector.consumption.requests.repository import require
from enmeshed_connector.consumption.requests.responses import answers, problem_of, stored_response
from enmeshed_connector.consumption.requests.results import SUCCESS, ValidationResult, request_paths
from enmeshed_connector.content.releases import request_for_all_releases
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import Json, JsonObject, sort_members
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.errors import FieldViolation, InvalidArgument
from enmeshed_connector.core.ids import REQUEST
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.message_operations import SendMessage
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.relationship_documents import Status, relationship_with
from enmeshed_connector.transport.work import Work


class OutgoingRequests:
    """Requests of this identity to peers. Documents are LocalRequest (consumption.md, section 8)."""

    def __init__(self, context: AccountContext, processors: Processors) -> None:
        """Takes the account, and who knows the types of items."""
        self._context = context
        self._processors = processors

    async def get(self, reader: Reader, request_id: str) -> Document:
        """Returns a request, or raises `RecordMissing`."""
        return await require(reader, request_id, is_own=True)

    async def can_create(self, content: JsonObject, peer: str | None, field: str = "content") -> ValidationResult:
        """Tells whether a request may be made, outside of any commit.

        Args:
            content: A request without id.
            peer: Who is asked; None while that is not known, in a template.
            field: What the paths of wrong fields begin with.

        Raises:
            ContentInvalid, ContentTypeNotAllowed: It breaks a rule of its type.
            InvalidArgument: It has an id.
            BackboneError: It cannot be found out now.
        """
        now = self._context.clock.now()
        ContentValidator(now).validate_request(content, field)
        if "id" in content:
            raise InvalidArgument(
                "A new request has no id.", violations=[FieldViolation(f"{field}.id", "must not be set")]
            )
        return await self._check(content, peer, format_date(now))

    async def template_content(self, content: JsonObject, expires_at: datetime) -> JsonObject:
        """Returns the content of an own template whose requests may be made, the first one with an expiry.

        Args:
            content: Content of a template, checked by the rules of its type.
            expires_at: When the template expires.

        Raises:
            RequestExpiresAfterTemplate: The request of a new relationship can be answered for longer than the template.
            DomainError: Those of `can_create`, and why a request may not be made, see `errors.refusal`.
        """
        if content["@type"] != "RelationshipTemplateContent":
            return content
        requests: JsonObject = {}
        for name in ("onNewRelationship", "onExistingRelationship"):
            if content.get(name) is not None:
                result = await self.can_create(content[name], None, f"content.{name}")
                if not result.is_success:
                    raise refusal(result, RequestInvalid, request_paths(f"content.{name}"))
                requests[name] = request_for_all_releases(content[name])
        request = requests["onNewRelationship"]
        moment = request.get("expiresAt")
        if moment is None:
            request = sort_members({**request, "expiresAt": format_date(expires_at)})
        elif parse_date(moment) > expires_at:
            path = "content.onNewRelationship.expiresAt"
            raise RequestExpiresAfterTemplate(
                "The request must not expire after its template.",
                violations=[FieldViolation(path, "must not be after the template's")],
            )
        return sort_members({**content, **requests, "onNewRelationship": request})

    async def new_content(self, content: JsonObject, peer: str) -> JsonObject:
        """Returns the content of a request that may be made, with a fresh id, in the form in which it is stored.

        Raises:
            DomainError: Those of `can_create`, and why it may not be made, see `errors.refusal`.
        """
        result = await self.can_create(content, peer)
        if not result.is_success:
            raise refusal(result, RequestInvalid, request_paths())
        return stored_content(request_for_all_releases(content), self._context.ids.new(REQUEST))

    async def create(self, content: JsonObject, peer: str, work: Work) -> Document:
        """Stores a draft and returns it; `content` is what `new_content` returned."""
        draft = request_document(content, peer=peer, is_own=True, now=work.now, status=RequestStatus.DRAFT)
        await work.create(REQUESTS, draft)
        events.publish(work, events.OUTGOING_CREATED, draft)
        return draft

    async def check_sendable(self, content: Json, peer: str) -> None:
        """Returns when a request may be sent to a peer now: it is a draft for it, unchanged.

        Raises:
            RecordMissing: There is no request of this id.
            RequestContentChanged: It was made for somebody else, or says something else.
            ExpiredRequestNotSent: It is expired.
            RequestAlreadySent: It is no draft any more.
        """
        request_id = content.get("id")
        if not isinstance(request_id, str):
            raise RequestContentChanged("A request is sent with the id that it was made with.")
        request = await self.get(self._context.store, request_id)
        facts = {"id": request_id, "status": request["status"]}
        said = {name: value for name, value in content.items() if name != "@type"}
        if request["peer"] != peer or not same_json(said, request["content"]):
            raise RequestContentChanged(
                f"Request {request_id} was made for another peer, or with another content.", facts=facts
            )
        now = format_date(self._context.clock.now())
        if request["status"] == RequestStatus.EXPIRED or is_overdue(request["content"], now):
            raise ExpiredRequestNotSent(f"Request {request_id} is expired.", facts=facts)
        if request["status"] != RequestStatus.DRAFT or await self.being_sent(request_id) is not None:
            raise RequestAlreadySent(f"Request {request_id} was sent before.", facts=facts)

    async def being_sent(self, request_id: str) -> Document | None:
        """Returns the own message with a request that may be with the peer already, None when there is none."""
        for pending in await self._context.outbox.pending(SendMessage.kind):
            document: Document = pending.plan["document"]
            content = document["content"]
            if isinstance(content, dict) and content.get("@type") == "Request" and content.get("id") == request_id:
                return document
        return None

    async def discard(self, request_id: str, work: Work) -> None:
        """Deletes a draft.

        Raises:
            RecordMissing: There is no such request.
            WrongRequestStatus: It is no draft.
        """
        request = await self.get(work, request_id)
        if request["status"] != RequestStatus.DRAFT:
            raise WrongRequestStatus(
                f"Request {request_id} is {request['status']}; this needs {RequestStatus.DRAFT}.",
                facts={"id": request_id, "status": request["status"]},
            )
        await work.remove(REQUESTS, request_id)

    async def sent(self, content: JsonObject, peer: str, source: JsonObject, work: Work) -> Document | None:
        """Notes that a request was sent, in the commit of the message; returns None when that is known already.

        A request that is not stored was made together with its message, or was discarded while that was on its way: it
        comes into being now.

        Args:
            content: What the message holds.
            peer: Whom it went to.
            source: The message.
            work: The commit.
        """
        request = await work.get(REQUESTS, content["id"])
        if request is None:
            request = await self.create(stored_content(content, content["id"]), peer, work)
        elif not request["isOwn"] or request["peer"] != peer or "source" in request:
            return None
        if request["status"] == RequestStatus.DRAFT:
            changed = moved(request, RequestStatus.OPEN, work.now, source=source)
            await work.save(REQUESTS, changed)
            events.publish_status(work, changed)
        else:
            # It expired on its way; a response that was made in time still counts.
            changed = sort_members({**request, "source": source})
            await work.save(REQUESTS, changed)
        asked = Asked(changed["id"], peer)
        for item in items_of(changed["content"]):
            await self._processors.for_item(item).sent(item, asked, work)
        return changed

    async def complete(
        self, request: Document, response: JsonObject, source: JsonObject, made_at: str, work: Work
    ) -> str | None:
        """Applies the response of the peer, unless it does not fit; returns why it does not, None when it was applied.

        Args:
            request: An own request.
            response: By the rules of its type a response of the request's peer.
            source: What carried it.
            made_at: When that was made.
            work: The commit of that.
        """
        if request["status"] not in (RequestStatus.OPEN, RequestStatus.EXPIRED):
            return f"the request is {request['status']}"
        if is_overdue(request["content"], made_at):
            return "it was made after the request had expired"
        problem = problem_of(request["content"], response, self._processors)
        if problem is not None:
            return problem
        changed = await self._apply(request, response, source, work)
        await work.save(REQUESTS, changed)
        events.publish_status(work, changed)
        return None

    async def create_and_complete(
        self,
        request: JsonObject,
        response: JsonObject,
        *,
        peer: str,
        template_id: str,
        source: JsonObject,
        made_at: str,
        work: Work,
    ) -> str | None:
        """Makes the request of a template that was answered, and applies the response; returns as `complete`.

        Args:
            request: The request of the template that was answered.
            response: By the rules of its type a response of the peer, which gave it the id.
            peer: Who answered.
            template_id: The own template.
            source: What carried the response.
            made_at: When that was made.
            work: The commit of that.
        """
        request_id = response["requestId"]
        if await work.get(REQUESTS, request_id) is not None:
            return "there is a request of this id already"
        content = stored_content(request, request_id)
        if is_overdue(content, made_at):
            return "it was made after the request had expired"
        problem = problem_of(content, response, self._processors)
        if problem is not None:
            return problem
        result = await self._check_items(content, Asked(request_id, peer), work)
        if result.is_success:
            result = check_key_uniqueness_for_creation(content, peer)
        if not result.is_success:
            return f"the request cannot be made to this peer: {result.first_failure.message}"
        draft = request_document(content, peer=peer, is_own=True, now=work.now, status=RequestStatus.DRAFT)
        asked = moved(draft, RequestStatus.OPEN, work.now, source=source_of(TEMPLATE, template_id))
        changed = await self._apply(asked, response, source, work)
        await work.create(REQUESTS, changed)
        events.publish(work, events.OUTGOING_CREATED_AND_COMPLETED, changed)
        if source["type"] != MESSAGE:
            events.publish(work, events.OUTGOING_FROM_RELATIONSHIP, changed)
        return None

    async def _apply(self, request: Document, response: JsonObject, source: JsonObject, work: Work) -> Document:
        asked = Asked(request["id"], request["peer"])
        for item, answer in answers(request["content"], response):
            await self._processors.for_item(item).apply(answer, item, asked, work)
        kept = {"content": stored_response(deepcopy(response)), "createdAt": work.now, "source": source}
        content = request_with_owners(request["content"], response["items"], request["peer"])
        return moved(request, RequestStatus.COMPLETED, work.now, content=content, response=kept)

    async def _check(self, content: JsonObject, peer: str | None, now: str) -> ValidationResult:
        store = self._context.store
        for result in (
            self._check_frame(content, peer, now),
            SUCCESS if peer is None else await self._check_peer(peer),
            await self._check_items(content, Asked(None, peer), store),
        ):
            if not result.is_success:
                return result
        return check_key_uniqueness_for_creation(content, peer)

    def _check_frame(self, content: JsonObject, peer: str | None, now: str) -> ValidationResult:
        if peer is not None and self._context.is_own_address(peer):
            failure = ValidationResult.failure(
                "requests.cannotShareRequestWithYourself", "A request cannot go to this identity itself."
            )
            return replace(failure, call_violations=(FieldViolation("peer", "must not be this identity"),))
        if is_overdue(content, now):
            return ValidationResult.failure(
                "requests.cannotCreateRequestWithExpirationDateInPast",
                "The request would be expired already.",
                "expiresAt",
            )
        return SUCCESS

    async def _check_peer(self, peer: str) -> ValidationResult:
        relationship = await relationship_with(self._context.store, peer)
        if relationship is None:
            return ValidationResult.failure("requests.missingRelationship", "There is no relationship with the peer.")
        if relationship["status"] not in (Status.PENDING, Status.ACTIVE):
            return ValidationResult.failure(
                "requests.wrongRelationshipStatus",
                f"The relationship is {relationship['status']}; this needs Pending or Active.",
            )
        return check_peer_lives(relationship)

    async def _check_items(self, content: JsonObject, asked: Asked, reader: Reader) -> ValidationResult:
        return ValidationResult.of_items(await self._check_each(content["items"], asked, reader))

    async def _check_each(self, elements: Sequence[JsonObject], asked: Asked, reader: Reader) -> list[ValidationResult]:
        results = []
        for element in elements:
            if is_group(element):
                results.append(ValidationResult.of_items(await self._check_each(element["items"], asked, reader)))
            else:
                results.append(await self._processors.for_item(element).can_create(element, asked, reader))
        return results
