"""Where results say that something is wrong."""

from __future__ import annotations

from enmeshed_connector.consumption.requests.errors import DecisionInvalid, RequestInvalid, refusal
from enmeshed_connector.consumption.requests.results import (
    DECISION_PATHS,
    SUCCESS,
    Paths,
    Problem,
    ValidationResult,
    request_paths,
)
from enmeshed_connector.core.errors import FieldViolation


def fields(result: ValidationResult, paths: Paths) -> list[str]:
    return [violation.field for violation in refusal(result, RequestInvalid, paths).violations]


def test_fields_of_items_and_of_items_of_groups_have_their_whole_path() -> None:
    tags = Problem("wrong tags", (FieldViolation("tags[0]", "is none"), FieldViolation("tags[2]", "is none")))
    result = ValidationResult.of_items(
        [
            SUCCESS,
            ValidationResult.of_items([SUCCESS, ValidationResult.failure("a", "short", "attribute.key")]),
            ValidationResult.failure("b", tags, "query"),
            ValidationResult.failure("c", "as a whole"),
        ]
    )
    assert fields(result, request_paths()) == [
        "content.items[1].items[1].attribute.key",
        "content.items[2].query.tags[0]",
        "content.items[2].query.tags[2]",
        "content.items[3]",
    ]
    assert fields(result, request_paths("content.onNewRelationship"))[-1] == "content.onNewRelationship.items[3]"
    assert fields(result, DECISION_PATHS) == [
        "items[1].group.items[1].attribute.key",
        "items[2].query.tags[0]",
        "items[2].query.tags[2]",
        "items[3]",
    ]


def test_located_results_tell_of_the_same_and_containers_name_no_field() -> None:
    result = ValidationResult.of_items([SUCCESS, ValidationResult.failure("a", "short", "query.key")])
    located = result.located(request_paths())
    assert (located.code, located.violations, located.items[0]) == (result.code, (), SUCCESS)
    assert located.items[1].violations == (FieldViolation("content.items[1].query.key", "short"),)


def test_a_request_that_fails_itself_names_its_own_field_or_none() -> None:
    assert fields(ValidationResult.failure("a", "overdue", "expiresAt"), request_paths()) == ["content.expiresAt"]
    assert fields(ValidationResult.failure("a", "no relationship"), request_paths()) == []


def test_each_wrong_field_is_described_by_itself() -> None:
    problem = Problem("all of it", (FieldViolation("value", "is too long"),)).within("attribute")
    result = ValidationResult.of_items([ValidationResult.failure("a", problem)])
    error = refusal(result, DecisionInvalid, DECISION_PATHS)
    assert error.message == "all of it"
    assert error.violations == (FieldViolation("items[0].attribute.value", "is too long"),)
