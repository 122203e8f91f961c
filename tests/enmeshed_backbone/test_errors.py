"""Texts of errors that official clients compare."""

from __future__ import annotations

from enmeshed_backbone.errors import not_found


def test_a_missing_record_is_told_in_the_words_that_official_clients_compare() -> None:
    error = not_found("RelationshipTemplate")

    assert (error.status, error.code) == (404, "error.platform.recordNotFound")
    assert error.message == (
        "RelationshipTemplate not found. Make sure the ID exists and the record is not expired. "
        "If a password is required to fetch the record, make sure you passed the correct one."
    )
