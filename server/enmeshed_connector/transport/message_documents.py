"""Messages as they are stored. Source: transport.md, section 8.1."""

from __future__ import annotations

from enmeshed_connector.transport.objects import Document


def subjects_of_message(message: Document) -> list[str]:
    """Returns under what events about a message are erased once one of its relationships is decomposed."""
    return [one["relationshipId"] for one in message["recipients"] if "relationshipId" in one]
