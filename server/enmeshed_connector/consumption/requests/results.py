"""Whether a request or a decision would be taken. Source: consumption.md, section 18."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

INHERITED_FROM_ITEM: Final = "error.consumption.requests.validation.inheritedFromItem"


@dataclass(frozen=True)
class ValidationResult:
    """One result, with those of the items when it tells of a request or a group."""

    code: str = ""
    """The official code of the failure, with its prefix; empty on success."""
    message: str = ""
    """What is wrong, for people; empty on success."""
    items: tuple[ValidationResult, ...] = ()

    @property
    def is_success(self) -> bool:
        """Whether it would be taken."""
        return not self.code

    @classmethod
    def failure(cls, code: str, message: str) -> Self:
        """Returns a failure; `code` comes without the prefix `error.consumption.`."""
        return cls(f"error.consumption.{code}", message)

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


SUCCESS: Final = ValidationResult()
