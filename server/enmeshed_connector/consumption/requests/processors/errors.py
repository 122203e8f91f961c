"""What makes an item unacceptable. Source: consumption.md, sections 11.3 and 18."""

from __future__ import annotations

from enmeshed_connector.core.errors import FailedPrecondition


class KeyUniquenessViolated(FailedPrecondition):
    """Attributes of one relationship would have the same owner, key and value type, however the request is decided."""

    default_official_code = "error.consumption.requests.violatedKeyUniquenessOfRelationshipAttributes"


class NotAcceptable(FailedPrecondition):
    """Items of this type cannot be accepted here; they can be rejected."""

    default_official_code = "error.consumption.requests.invalidRequestItem"
