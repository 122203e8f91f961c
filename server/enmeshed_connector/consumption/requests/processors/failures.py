"""What is said of an item or a decision that does not do, with the codes of official peers.

Source: consumption.md, section 18.
"""

from __future__ import annotations

from enmeshed_connector.consumption.requests.results import ValidationResult


def invalid_item(message: str) -> ValidationResult:
    """Returns that the item itself is wrong."""
    return ValidationResult.failure("requests.invalidRequestItem", message)


def invalid_decision(message: str) -> ValidationResult:
    """Returns that the item cannot be accepted so."""
    return ValidationResult.failure("requests.invalidAcceptParameters", message)


def unreadable_decision(message: str) -> ValidationResult:
    """Returns that the decision breaks a rule of its type, or its content does."""
    return ValidationResult.failure("requests.servalErrorDuringRequestItemProcessing", message)


def query_mismatch(message: str) -> ValidationResult:
    """Returns that the attribute is not what the query asks for."""
    return ValidationResult.failure("requests.attributeQueryMismatch", message)


def pending_relationship(message: str) -> ValidationResult:
    """Returns that the relationship that an attribute belongs to is not established."""
    return ValidationResult.failure("requests.cannotShareRelationshipAttributeOfPendingRelationship", message)


def key_taken(message: str) -> ValidationResult:
    """Returns that attributes of one relationship would have the same owner, key and value type."""
    return ValidationResult.failure("requests.violatedKeyUniquenessOfRelationshipAttributes", message)


def unknown_attribute(attribute_id: str) -> ValidationResult:
    """Returns that there is no such attribute."""
    return ValidationResult("error.transport.recordNotFound", f"There is no attribute {attribute_id}.")
