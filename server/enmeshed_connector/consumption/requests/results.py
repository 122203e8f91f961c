"""Whether a request or a decision would be taken. Source: consumption.md, section 18."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from enmeshed_connector.core.errors import FieldViolation, field_path

INHERITED_FROM_ITEM: Final = "error.consumption.requests.validation.inheritedFromItem"


@dataclass(frozen=True)
class Problem:
    """What is wrong with something, and with which of its fields."""

    message: str
    """What is wrong, for people."""
    violations: tuple[FieldViolation, ...] = ()
    """The wrong fields, with paths from that which was looked at; empty: it is wrong as a whole."""

    @classmethod
    def at(cls, field: str, message: str) -> Self:
        """Returns what is wrong with one field."""
        return cls(message, (FieldViolation(field, message),))

    def within(self, *place: str) -> Problem:
        """Returns the same with paths from something around it, in which what was looked at has this place."""
        path = field_path(*place)
        if not self.violations:
            return Problem.at(path, self.message) if path else self
        return replace(self, violations=_within(path, self.violations))


@dataclass(frozen=True)
class Paths:
    """How callers name the elements of a request, or those of a list of decisions."""

    root: str
    """What holds the elements."""
    group: str
    """Where a group holds its own."""

    def element(self, container: str, place: int) -> str:
        """Returns the path of an element."""
        return field_path(container, f"items[{place}]")

    def container(self, element: str) -> str:
        """Returns the path of what holds the elements of a group."""
        return field_path(element, self.group)


DECISION_PATHS: Final = Paths(root="", group="group")
"""Decisions stand in `items` of a call, those on a group in its `group`."""


def request_paths(field: str = "content") -> Paths:
    """Returns how the elements of a request in this field are named."""
    return Paths(root=field, group="")


@dataclass(frozen=True)
class ValidationResult:
    """One result, with those of the items when it tells of a request or a group."""

    code: str = ""
    """The official code of the failure, with its prefix; empty on success."""
    message: str = ""
    """What is wrong, for people; empty on success."""
    items: tuple[ValidationResult, ...] = ()
    violations: tuple[FieldViolation, ...] = ()
    """The wrong fields, with paths from the request, from the item or from the decision that this tells of."""
    call_violations: tuple[FieldViolation, ...] = ()
    """The wrong fields beside the request, with paths from the whole of what the caller gave."""

    @property
    def is_success(self) -> bool:
        """Whether it would be taken."""
        return not self.code

    @classmethod
    def failure(cls, code: str, problem: str | Problem, field: str = "") -> Self:
        """Returns a failure.

        Args:
            code: The official code without the prefix `error.consumption.`.
            problem: What is wrong.
            field: With which field, or where that is whose fields the problem names; empty: none in particular.
        """
        found = (Problem(problem) if isinstance(problem, str) else problem).within(field)
        return cls(f"error.consumption.{code}", found.message, violations=found.violations)

    @classmethod
    def of_items(cls, items: Sequence[ValidationResult]) -> Self:
        """Returns the result of a container, which fails when one of its items does."""
        if all(item.is_success for item in items):
            return cls(items=tuple(items))
        return cls(INHERITED_FROM_ITEM, "Some items are not valid.", tuple(items))

    @property
    def first_failure(self) -> ValidationResult:
        """The failure to tell when there is room for one only: the first item's that failed by itself."""
        for item in self.items:
            if not item.is_success:
                return item.first_failure
        return self

    def located(self, paths: Paths) -> ValidationResult:
        """Returns the same with paths as callers know them. An item that fails as a whole is named itself."""
        return replace(
            self,
            violations=(*self.call_violations, *_within(paths.root, self.violations)),
            call_violations=(),
            items=tuple(self._located_items(paths, paths.root)),
        )

    def all_violations(self) -> Iterator[FieldViolation]:
        """Gives the wrong fields of this and of the items that fail by themselves."""
        yield from self.violations
        for item in self.items:
            yield from item.all_violations()

    def _located_items(self, paths: Paths, container: str) -> Iterator[ValidationResult]:
        for place, item in enumerate(self.items):
            path = paths.element(container, place)
            violations = _within(path, item.violations)
            if not (item.is_success or item.items or violations):
                violations = (FieldViolation(path, item.message),)
            yield replace(item, violations=violations, items=tuple(item._located_items(paths, paths.container(path))))


SUCCESS: Final = ValidationResult()


def _within(path: str, violations: Sequence[FieldViolation]) -> tuple[FieldViolation, ...]:
    return tuple(FieldViolation(field_path(path, each.field), each.description) for each in violations)
