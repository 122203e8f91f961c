"""FormFieldRequestItem: the peer is asked to fill in something. Source: consumption.md, 12.7; content.md, 6.1."""

from __future__ import annotations

from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.requests.processors.base import Asked, ItemProcessor
from enmeshed_connector.consumption.requests.processors.failures import invalid_decision, invalid_item
from enmeshed_connector.consumption.requests.results import SUCCESS, Problem, ValidationResult
from enmeshed_connector.content.forms import answer_violation, settings_violation
from enmeshed_connector.content.responses import ACCEPTING_TYPES
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.transport.work import Work

_RESPONSE = "accept.form_field.response"


class FormFieldProcessor(ItemProcessor):
    """Items that ask for an answer which is kept nowhere but in the response."""

    response_types = frozenset(ACCEPTING_TYPES["FormFieldRequestItem"])
    parameters = frozenset({"response"})

    async def can_create(self, item: JsonObject, asked: Asked, reader: Reader) -> ValidationResult:
        """Tells whether the settings go together."""
        wrong = settings_violation(item["settings"])
        if wrong is None:
            return SUCCESS
        message = f"The settings do not go together: {wrong.field} {wrong.description}."
        return invalid_item(Problem(message, (wrong,)), "settings")

    async def can_accept(
        self, item: JsonObject, decision: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        """Tells whether the answer fits."""
        wrong = answer_violation(item["settings"], decision.get("response"))
        if wrong is None:
            return SUCCESS
        if not wrong.field:
            return invalid_decision(f"The response {wrong.description}.", _RESPONSE)
        problem = Problem(f"The response is wrong: {wrong.field} {wrong.description}.", (wrong,))
        return invalid_decision(problem, f"{_RESPONSE}.selection.options")

    async def accept(self, item: JsonObject, decision: JsonObject, asked: Asked, work: Work) -> JsonObject:
        """Returns the answer."""
        return {"@type": "FormFieldAcceptResponseItem", "response": decision["response"], "result": "Accepted"}
