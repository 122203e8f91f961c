"""Decides the requests of peers as soon as they can be decided. Source: consumption.md, section 16.2.

A decision, the event that tells of it, and the place in the log are one commit: each request is decided once, however
often the process dies. What the rules do not decide, or what cannot be decided as they say, waits for a person.
"""

from __future__ import annotations

from typing import Final

import structlog

from enmeshed_connector.consumption.requests.documents import MESSAGE, RequestStatus, is_overdue
from enmeshed_connector.consumption.requests.errors import RequestExpired, WrongRequestStatus
from enmeshed_connector.consumption.requests.events import (
    INCOMING_STATUS_CHANGED,
    publish_message_processed,
    publish_template_processed,
)
from enmeshed_connector.consumption.requests.incoming import IncomingRequests
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.runtime.automation.decider.decisions import RequestVerdict, Verdict, decide
from enmeshed_connector.runtime.automation.decider.rules import Rule
from enmeshed_connector.runtime.automation.readers import AlreadyPassed, ReaderModule, Step, passes, place_of
from enmeshed_connector.storage import LeaseLost
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.objects import MESSAGES, TEMPLATES, Document
from enmeshed_connector.transport.relationship_documents import relationship_with
from enmeshed_connector.transport.work import Work

AUTOMATICALLY_DECIDED: Final = "RequestAutomaticallyDecided"
MANUAL_DECISION_REQUIRED: Final = "ManualRequestDecisionRequired"
ERROR: Final = "Error"


class Decider(ReaderModule):
    """Decides by rules, or hands over to a person."""

    name = "decider"
    types = (INCOMING_STATUS_CHANGED,)

    def __init__(self, transport: TransportAccount, incoming: IncomingRequests, rules: tuple[Rule, ...]) -> None:
        """Takes the account, its requests and the rules in their order."""
        self._context = transport.context
        self._incoming = incoming
        self._rules = rules
        self._logger = structlog.get_logger(__name__).bind(account=transport.context.account)

    def concerns(self, event: Document) -> bool:
        """Tells whether a request has become one that can be decided."""
        return bool(event["data"]["newStatus"] == RequestStatus.DECISION_REQUIRED)

    async def handle(self, step: Step) -> None:
        """Decides the request, unless somebody else has, or its time is over."""
        store = self._context.store
        try:
            request = await self._incoming.get(store, step.event["data"]["request"]["id"])
        except RecordMissing:
            return
        if request["status"] != RequestStatus.DECISION_REQUIRED or is_overdue(
            request["content"], format_date(self._context.clock.now())
        ):
            return
        is_related = await relationship_with(store, request["peer"]) is not None
        verdict = decide(self._rules, request, relationship_exists=is_related)
        if verdict.verdict is not Verdict.MANUAL and await self._decide(step, request, verdict):
            return

        async def hand_over(work: Work) -> None:
            try:
                await self._incoming.require_manual_decision(request["id"], work)
            except (WrongRequestStatus, RequestExpired, RecordMissing):
                # Somebody was faster, or it is too late by now.
                return
            await self._tell(request, MANUAL_DECISION_REQUIRED, work)

        await step.commit(hand_over)

    async def give_up(self, event: Document, work: Work) -> None:
        """Tells that the request could not even be handed over."""
        await self._tell(event["data"]["request"], ERROR, work)

    async def _decide(self, step: Step, request: Document, verdict: RequestVerdict) -> bool:
        """Decides as the rules say; returns False when that is not possible."""
        identifier, items = request["id"], list(verdict.decisions)
        accepts = verdict.verdict is Verdict.ACCEPT
        facts = {"request_id": identifier, "verdict": verdict.verdict.value}
        try:
            check = self._incoming.can_accept if accepts else self._incoming.can_reject
            result = await check(identifier, items)
            if not result.is_success:
                failure = result.first_failure
                self._logger.info("a request cannot be decided by the rules", **facts, code=failure.code)
                return False
            decisions = await self._incoming.prepare(identifier, items) if accepts else items
            decide_so = self._incoming.accept if accepts else self._incoming.reject

            async def change(work: Work) -> None:
                await decide_so(identifier, decisions, work, by_automation=True)
                await self._tell(request, AUTOMATICALLY_DECIDED, work)

            await step.commit(change)
        except (AlreadyPassed, LeaseLost):
            raise
        except DomainError as error:
            if passes(error):
                raise
            self._logger.info("a request cannot be decided by the rules", **facts, reason=error.reason)
            return False
        except Exception as error:
            # A fault of ours: a person can still decide, and somebody must look at it.
            self._logger.error(
                "a request could not be decided", **facts, reason=type(error).__name__, place=place_of(error)
            )
            return False
        return True

    async def _tell(self, request: Document, result: str, work: Work) -> None:
        """Publishes what came of the message or template that brought the request, if that is still there."""
        source = request["source"]
        if source["type"] == MESSAGE:
            message = await work.get(MESSAGES, source["reference"])
            if message is not None:
                publish_message_processed(work, message, result)
            return
        template = await work.get(TEMPLATES, source["reference"])
        if template is not None:
            publish_template_processed(work, template, result, request_id=None if result == ERROR else request["id"])
