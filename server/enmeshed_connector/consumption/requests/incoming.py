"""Requests of peers: received, decided, answered, forgotten. Source: consumption.md, section 10."""

from __future__ import annotations

from collections.abc import Sequence

from enmeshed_connector.consumption.attributes.documents import same_json
from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.deliveries import Deliveries, Delivery
from enmeshed_connector.consumption.requests import events
from enmeshed_connector.consumption.requests.decisions import DecisionChecks, decisions_of
from enmeshed_connector.consumption.requests.documents import (
    DECIDABLE,
    MESSAGE,
    REQUESTS,
    RequestStatus,
    is_group,
    is_overdue,
    moved,
    request_document,
    stored_content,
)
from enmeshed_connector.consumption.requests.errors import (
    DecisionInvalid,
    NoAcceptedRequest,
    RequestExpired,
    RequestNotExpired,
    ResponseNotGivenUp,
    WrongCreationContent,
    WrongRequestStatus,
    refusal,
)
from enmeshed_connector.consumption.requests.processors.base import Asked
from enmeshed_connector.consumption.requests.processors.owners import request_with_owners
from enmeshed_connector.consumption.requests.processors.registry import Processors
from enmeshed_connector.consumption.requests.repository import decided_of_template, require
from enmeshed_connector.consumption.requests.responses import (
    ACCEPTED,
    check_readable,
    creation_content,
    response_content,
    response_group,
    response_wrapper,
    stored_response,
)
from enmeshed_connector.consumption.requests.results import DECISION_PATHS, ValidationResult
from enmeshed_connector.core.canonical_json import JsonObject, sort_members
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.ids import REQUEST, parse_id
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.relationship_documents import Status, relationship_with
from enmeshed_connector.transport.work import Work

_PREPARED = "_prepared"
"""What a decision carries from `prepare` to its commit."""
RESPONSES = "response:"
"""What the ids of the deliveries of responses begin with."""


def delivery_id(request_id: str) -> str:
    """Returns the id of the delivery of a response."""
    return f"{RESPONSES}{request_id}"


class IncomingRequests:
    """Requests of peers to this identity. Documents are LocalRequest (consumption.md, section 8)."""

    def __init__(self, context: AccountContext, processors: Processors, deliveries: Deliveries) -> None:
        """Takes the account, who knows the types of items, and who brings responses to peers."""
        self._context = context
        self._processors = processors
        self._deliveries = deliveries
        self._checks = DecisionChecks(context.identity.address, processors)

    async def get(self, reader: Reader, request_id: str) -> Document:
        """Returns a request, or raises `RecordMissing`."""
        return await require(reader, request_id, is_own=False)

    async def receive(
        self,
        request: JsonObject,
        peer: str,
        source: JsonObject,
        work: Work,
        *,
        expires_at: str | None = None,
    ) -> Document | None:
        """Stores the request of a peer and checks it; returns None when there is one of its id already.

        Args:
            request: The request, checked by the rules of its type.
            peer: Who asks.
            source: What brought it.
            work: The commit of that.
            expires_at: When it expires, if not when it says.

        Raises:
            MalformedValue: Its id is none of a request.
        """
        given = request.get("id")
        request_id = self._context.ids.new(REQUEST) if given is None else parse_id(REQUEST, given)
        if await work.get(REQUESTS, request_id) is not None:
            return None
        content = stored_content(request, request_id, expires_at=expires_at)
        received = request_document(
            content, peer=peer, is_own=False, now=work.now, status=RequestStatus.OPEN, source=source
        )
        following = RequestStatus.EXPIRED if is_overdue(content, work.now) else RequestStatus.DECISION_REQUIRED
        checked = moved(received, following, work.now)
        await work.create(REQUESTS, checked)
        events.publish(work, events.INCOMING_RECEIVED, received)
        events.publish_status(work, checked)
        return checked

    async def require_manual_decision(self, request_id: str, work: Work) -> Document:
        """Hands a request over to somebody who decides it, and returns it; one that was handed over stays as it is.

        Raises:
            RecordMissing: There is no such request.
            WrongRequestStatus, RequestExpired: It waits for no decision.
        """
        request = await self._undecided(request_id, work)
        if request["status"] == RequestStatus.MANUAL_DECISION_REQUIRED:
            return request
        return await self._move(request, RequestStatus.MANUAL_DECISION_REQUIRED, work)

    async def can_accept(self, request_id: str, items: Sequence[JsonObject]) -> ValidationResult:
        """Tells whether a request may be accepted so, outside of any commit.

        Raises:
            RecordMissing: There is no such request.
            WrongRequestStatus, RequestExpired: It waits for no decision.
            BackboneError: It cannot be found out now.
        """
        return await self._can_decide(request_id, items, accepts=True)

    async def can_reject(self, request_id: str, items: Sequence[JsonObject]) -> ValidationResult:
        """Tells whether a request may be rejected so; raises as `can_accept`."""
        return await self._can_decide(request_id, items, accepts=False)

    async def prepare(self, request_id: str, items: Sequence[JsonObject]) -> list[JsonObject]:
        """Does outside what the acceptance of items needs, and returns the decisions for `accept`.

        To be called when `can_accept` has succeeded.

        Raises:
            RecordMissing: There is no such request.
            DomainError: It cannot be accepted now.
        """
        request = await self.get(self._context.store, request_id)
        asked = Asked(request["id"], request["peer"])
        prepared = []
        for element, decision in zip(request["content"]["items"], items, strict=True):
            if is_group(element):
                pairs = zip(element["items"], decisions_of(decision), strict=True)
                prepared.append({"items": [await self._prepare_item(*pair, asked) for pair in pairs]})
            else:
                prepared.append(await self._prepare_item(element, decision, asked))
        return prepared

    async def accept(
        self, request_id: str, items: Sequence[JsonObject], work: Work, *, by_automation: bool = False
    ) -> Document:
        """Accepts a request, with all that follows here, and has the response brought to the peer; returns it.

        Args:
            request_id: The request.
            items: The decisions that `prepare` returned.
            work: The commit.
            by_automation: Whether nobody was asked.

        Raises:
            RecordMissing: There is no such request.
            WrongRequestStatus, RequestExpired: It waits for no decision.
            DomainError: It cannot be accepted so, see `errors.refusal`.
        """
        return await self._decide(request_id, items, work, accepts=True, by_automation=by_automation)

    async def reject(
        self, request_id: str, items: Sequence[JsonObject], work: Work, *, by_automation: bool = False
    ) -> Document:
        """Rejects a request and has the peer told, except of a template's without relationship; as `accept`."""
        return await self._decide(request_id, items, work, accepts=False, by_automation=by_automation)

    async def retry(self, request_id: str, work: Work) -> None:
        """Has a response whose delivery was given up, or is put off after a failure, tried again at once.

        Raises:
            RecordMissing: There is no such request.
            WrongRequestStatus: It is not Decided.
            ResponseNotGivenUp: Its response is being sent, or another device has to send it.
        """
        request = await self.get(work, request_id)
        facts = {"id": request_id, "status": request["status"]}
        if request["status"] != RequestStatus.DECIDED:
            raise WrongRequestStatus(
                f"Request {request_id} is {request['status']}; this needs {RequestStatus.DECIDED}.", facts=facts
            )
        if not await self._deliveries.revive(delivery_id(request_id), work):
            raise ResponseNotGivenUp(
                f"The response to request {request_id} was neither given up nor put off on this device.", facts=facts
            )

    async def answered(self, response: JsonObject, source: JsonObject, peer: str, work: Work) -> None:
        """Completes a request whose response was just sent; nothing happens when none waits for this one.

        Args:
            response: What was sent.
            source: What carried it.
            peer: Whom it went to.
            work: The commit of that.
        """
        request = await work.get(REQUESTS, response["requestId"])
        if request is None or request["isOwn"] or request["peer"] != peer:
            return
        if request["status"] != RequestStatus.DECIDED or not same_json(response, request["response"]["content"]):
            return
        kept = sort_members({**request["response"], "source": source})
        await self._move({**request, "response": kept}, RequestStatus.COMPLETED, work)
        await self._deliveries.done(delivery_id(request["id"]), work)

    async def check_creation_content(self, template: Document, content: JsonObject) -> None:
        """Returns when a relationship may be asked for with this content: it is the response that was decided on.

        Args:
            template: A loaded template.
            content: Content of a relationship's creation, checked by the rules of its type.

        Raises:
            NoAcceptedRequest: The request of the template was not accepted.
            WrongCreationContent: The response is another one.
        """
        if content["@type"] != "RelationshipCreationContent":
            return
        facts = {"templateId": template["id"]}
        decided = [one["response"]["content"] for one in await decided_of_template(self._context.store, template["id"])]
        accepting = [response for response in decided if response["result"] == ACCEPTED]
        if not accepting:
            raise NoAcceptedRequest(f"The request of template {template['id']} was not accepted here.", facts=facts)
        if not any(same_json(stored_response(content["response"]), response) for response in accepting):
            raise WrongCreationContent(
                f"The content is not the response to the request of template {template['id']}.", facts=facts
            )

    async def delete(self, request_id: str, work: Work) -> None:
        """Deletes an expired request.

        Raises:
            RecordMissing: There is no such request.
            RequestNotExpired: It is in another state.
        """
        request = await self.get(work, request_id)
        if request["status"] != RequestStatus.EXPIRED:
            raise RequestNotExpired(
                f"Request {request_id} is {request['status']}.", facts={"id": request_id, "status": request["status"]}
            )
        await work.remove(REQUESTS, request_id)

    async def forget(self, request: Document, work: Work) -> None:
        """Removes a request of a peer that is left for good, and its response if that was not sent."""
        await work.remove(REQUESTS, request["id"])
        await self._deliveries.done(delivery_id(request["id"]), work)

    async def response_given_up(self, delivery: Document, work: Work) -> None:
        """Tells that a response does not reach its peer, in the commit that gives its delivery up."""
        request = await work.get(REQUESTS, delivery["id"].removeprefix(RESPONSES))
        if request is not None:
            events.publish(work, events.RESPONSE_DELIVERY_FAILED, request)

    async def _can_decide(self, request_id: str, items: Sequence[JsonObject], *, accepts: bool) -> ValidationResult:
        store = self._context.store
        request = await self.get(store, request_id)
        self._check_undecided(request, format_date(self._context.clock.now()))
        return await self._checks.check(request, items, store, accepts=accepts)

    async def _decide(
        self, request_id: str, items: Sequence[JsonObject], work: Work, *, accepts: bool, by_automation: bool
    ) -> Document:
        request = await self._undecided(request_id, work)
        result = await self._checks.check(request, items, work, accepts=accepts)
        if not result.is_success:
            raise refusal(result, DecisionInvalid, DECISION_PATHS)
        answers = [
            await self._answer(element, decision, Asked(request_id, request["peer"]), work)
            for element, decision in zip(request["content"]["items"], items, strict=True)
        ]
        content = response_content(request_id, answers, accepts=accepts)
        check_readable(content, self._context.clock.now())
        request = {
            **request,
            "content": request_with_owners(request["content"], answers, self._context.identity.address),
            "response": {"content": content, "createdAt": work.now},
        }
        if by_automation:
            request["wasAutomaticallyDecided"] = True
        decided = await self._move(request, RequestStatus.DECIDED, work)
        source = request["source"]
        is_related = await relationship_with(work, request["peer"], Status.ACTIVE) is not None
        if source["type"] == MESSAGE or is_related:
            wrapper = response_wrapper(content, source_type=source["type"], source_reference=source["reference"])
            delivery = Delivery.message(id=delivery_id(request_id), peer=request["peer"], content=wrapper)
        elif accepts:
            delivery = Delivery.relationship(
                id=delivery_id(request_id),
                peer=request["peer"],
                template_id=source["reference"],
                creation_content=creation_content(content),
            )
        else:
            # There is no way to tell the maker of a template that nobody wants it.
            return await self._move(decided, RequestStatus.COMPLETED, work)
        await self._deliveries.enqueue(delivery, work)
        return decided

    async def _prepare_item(self, item: JsonObject, decision: JsonObject, asked: Asked) -> JsonObject:
        if decision.get("accept") is not True:
            return decision
        prepared = await self._processors.for_item(item).prepare(item, decision, asked)
        return decision if prepared is None else {**decision, _PREPARED: prepared}

    async def _answer(self, element: JsonObject, decision: JsonObject, asked: Asked, work: Work) -> JsonObject:
        if is_group(element):
            pairs = zip(element["items"], decisions_of(decision), strict=True)
            return response_group([await self._answer(*pair, asked, work) for pair in pairs])
        processor = self._processors.for_item(element)
        if decision.get("accept") is True:
            return await processor.accept(element, decision, asked, work)
        return await processor.reject(element, decision, asked, work)

    async def _undecided(self, request_id: str, work: Work) -> Document:
        request = await self.get(work, request_id)
        self._check_undecided(request, work.now)
        return request

    def _check_undecided(self, request: Document, now: str) -> None:
        facts = {"id": request["id"], "status": request["status"]}
        if request["status"] == RequestStatus.EXPIRED or (
            request["status"] in DECIDABLE and is_overdue(request["content"], now)
        ):
            raise RequestExpired(f"Request {request['id']} is expired.", facts=facts)
        if request["status"] not in DECIDABLE:
            raise WrongRequestStatus(
                f"Request {request['id']} is {request['status']}; this needs {' or '.join(DECIDABLE)}.", facts=facts
            )

    async def _move(self, request: Document, status: RequestStatus, work: Work) -> Document:
        changed = moved(request, status, work.now)
        await work.save(REQUESTS, changed)
        events.publish_status(work, changed)
        return changed
