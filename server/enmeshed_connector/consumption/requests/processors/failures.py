"""What is said of an item or a decision that does not do, with the codes of official peers.

Fields are those of the item, as JSON, when an own item is wrong, and those of the decision, by their names in the
contract, when that is: a caller who decides gave nothing of the item.

Source: consumption.md, section 18.
"""

from __future__ import annotations

from enmeshed_connector.consumption.requests.results import Problem, ValidationResult


def invalid_item(problem: str | Problem, field: str = "") -> ValidationResult:
    """Returns that the item itself is wrong."""
    return ValidationResult.failure("requests.invalidRequestItem", problem, field)


def invalid_decision(problem: str | Problem, field: str = "") -> ValidationResult:
    """Returns that the item cannot be accepted so."""
    return ValidationResult.failure("requests.invalidAcceptParameters", problem, field)


def unreadable_decision(problem: str | Problem, field: str = "") -> ValidationResult:
    """Returns that the decision breaks a rule of its type, or its content does."""
    return ValidationResult.failure("requests.servalErrorDuringRequestItemProcessing", problem, field)


def query_mismatch(problem: str | Problem, field: str = "") -> ValidationResult:
    """Returns that the attribute is not what the query asks for."""
    return ValidationResult.failure("requests.attributeQueryMismatch", problem, field)


def pending_relationship(problem: str | Problem, field: str = "") -> ValidationResult:
    """Returns that the relationship that an attribute belongs to is not established."""
    return ValidationResult.failure("requests.cannotShareRelationshipAttributeOfPendingRelationship", problem, field)


def key_taken(problem: Problem) -> ValidationResult:
    """Returns that attributes of one relationship would have the same owner, key and value type."""
    return ValidationResult.failure("requests.violatedKeyUniquenessOfRelationshipAttributes", problem)


def unknown_attribute(attribute_id: str, field: str) -> ValidationResult:
    """Returns that there is no attribute of the id that is given in a field."""
    problem = Problem.at(field, f"There is no attribute {attribute_id}.")
    return ValidationResult("error.transport.recordNotFound", problem.message, violations=problem.violations)
