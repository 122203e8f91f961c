"""Etags: what a caller gives back to change only what it has seen."""

from __future__ import annotations

import hashlib

from enmeshed_connector.core.canonical_json import dumps, sort_members
from enmeshed_connector.core.errors import Code, DomainError
from enmeshed_connector.transport.objects import Document, public_part


class EtagStale(DomainError):
    """The thing was changed since it was read. Read it again, then decide."""

    reason, code = "CONCURRENT_CHANGE", Code.ABORTED


def etag_of(document: Document) -> str:
    """Returns a digest of a document: the same on all replicas and after a restart."""
    return hashlib.sha256(dumps(sort_members(public_part(document))).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def check_etag(document: Document, etag: str) -> None:
    """Checks that a document is as the caller saw it; an empty etag fits always.

    Raises:
        EtagStale: It is not.
    """
    if etag and etag != etag_of(document):
        raise EtagStale("It was changed since it was read: read it again.", facts={"id": str(document.get("id", ""))})
