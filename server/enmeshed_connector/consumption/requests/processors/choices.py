"""What is answered with: an attribute that exists, or a new one. Source: consumption.md, section 10.2."""

from __future__ import annotations

from dataclasses import dataclass

from enmeshed_connector.consumption.attributes.checks import AttributeChecks
from enmeshed_connector.consumption.attributes.errors import ForbiddenCharacters
from enmeshed_connector.consumption.requests.processors.failures import invalid_decision, unreadable_decision
from enmeshed_connector.consumption.requests.processors.owners import content_with_owner
from enmeshed_connector.consumption.requests.results import Problem, ValidationResult
from enmeshed_connector.content.attributes import TAGS
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.content.rules import Check
from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.clock import Clock


@dataclass(frozen=True)
class Existing:
    """An attribute that is stored."""

    attribute_id: str
    tags: tuple[str, ...]
    """What it gets besides the tags that it bears."""


@dataclass(frozen=True)
class New:
    """An attribute that is made for the answer."""

    content: JsonObject
    """As it is stored, with this identity as owner where none was given."""


@dataclass(frozen=True)
class Names:
    """The members of a decision, which differ between reading and proposing."""

    path: str
    """The path of what holds them in the contract, where their names are those of the decision in lower case."""
    existing: str
    new: str

    @property
    def existing_field(self) -> str:
        """The path of the id of an existing attribute."""
        return f"{self.path}.{_lower(self.existing)}"

    @property
    def new_field(self) -> str:
        """The path of a new attribute."""
        return f"{self.path}.{_lower(self.new)}"

    @property
    def tags_field(self) -> str:
        """The path of the tags that an existing attribute gets."""
        return f"{self.path}.tags"


class Choices:
    """Reads decisions."""

    def __init__(self, own_address: str, clock: Clock, checks: AttributeChecks) -> None:
        """Takes the address of this identity, the clock, and who checks attributes."""
        self._own_address = own_address
        self._clock = clock
        self._checks = checks

    def read(self, decision: JsonObject, names: Names) -> Existing | New | ValidationResult:
        """Returns what is chosen, or why the decision does not do: it gives both or none, or breaks a rule."""
        attribute_id, content, tags = decision.get(names.existing), decision.get(names.new), decision.get("tags")
        if (attribute_id is None) == (content is None):
            return unreadable_decision(f"Give either {names.existing} or {names.new}.", names.path)
        if attribute_id is not None:
            if not isinstance(attribute_id, str):
                return unreadable_decision(f"{names.existing} must be text.", names.existing_field)
            problem = None if tags is None else self._tags_problem(tags, names)
            return unreadable_decision(problem) if problem else Existing(attribute_id, tuple(tags or ()))
        if tags is not None:
            return unreadable_decision(
                f"tags cannot be given together with {names.new}, which has its own.", names.tags_field
            )
        return self._new(content, names)

    def _new(self, content: Json, names: Names) -> New | ValidationResult:
        try:
            if not isinstance(content, dict) or not isinstance(content.get("owner"), str):
                return unreadable_decision(
                    f"{names.new} must be an attribute with an owner, which may be empty.", names.new_field
                )
            return New(self._checks.content_without_tags(content_with_owner(content, self._own_address)).json)
        except ForbiddenCharacters as error:
            return invalid_decision(Problem(error.message, error.violations), names.new_field)
        except ContentInvalid as error:
            return unreadable_decision(Problem(error.message, error.violations), names.new_field)

    def _tags_problem(self, tags: Json, names: Names) -> Problem | None:
        check = Check(self._clock.now(), tolerant=False)
        TAGS.check(tags, names.tags_field, check)
        if not check.violations:
            return None
        return Problem(f"tags {check.violations[0].description}.", tuple(check.violations))


def _lower(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
