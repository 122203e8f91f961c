"""What can go wrong in the store, as errors that callers tell apart."""

from __future__ import annotations

from typing import ClassVar

from ..core.errors import Code, DomainError


class StorageUnavailable(DomainError):
    """The database is away, locked, full or answers with an error; nothing of this call was stored. A repeat is
    safe.
    """

    reason: ClassVar[str] = "STORAGE_UNAVAILABLE"
    code: ClassVar[Code] = Code.UNAVAILABLE


class CommitOutcomeUnknown(DomainError):
    """The database went away while a commit was under way: it is stored as a whole or not at all, and we cannot tell.

    Look for its idempotency record, or for a document it wrote, once the database is back.
    """

    reason: ClassVar[str] = "OUTCOME_UNKNOWN"
    code: ClassVar[Code] = Code.UNKNOWN


class RevisionConflict(DomainError):
    """Another commit changed, made or deleted a document that this one read or writes. Read again and retry.

    `Store.transact` does so by itself and raises this when its budget is used up. Facts: `collection`, `id`.
    """

    reason: ClassVar[str] = "REVISION_CONFLICT"
    code: ClassVar[Code] = Code.ABORTED


class UniqueViolation(DomainError):
    """A document with this id, or with the same values in a unique index, exists. Facts: `collection`, `id`,
    `index`.
    """

    reason: ClassVar[str] = "ALREADY_EXISTS"
    code: ClassVar[Code] = Code.ALREADY_EXISTS


class LeaseLost(DomainError):
    """Another process took the lease that this commit or renewal was bound to; stop the work it stood for.

    Facts: `lease`.
    """

    reason: ClassVar[str] = "LEASE_LOST"
    code: ClassVar[Code] = Code.ABORTED


class PositionTruncated(DomainError):
    """Events after this position were removed by retention. Facts: `oldest`, the token to go on from."""

    reason: ClassVar[str] = "RESUME_TOKEN_EXPIRED"
    code: ClassVar[Code] = Code.OUT_OF_RANGE


class PositionInvalid(DomainError):
    """The text is no position of this log: altered, of another account, or ahead of everything that was written."""

    reason: ClassVar[str] = "RESUME_TOKEN_INVALID"
    code: ClassVar[Code] = Code.INVALID_ARGUMENT


class InvalidDocument(DomainError):
    """A document cannot be stored: no id, not JSON, too deep or too large, or a sort path that holds no scalar.

    Facts: `collection`, and `id` when there is one.
    """

    reason: ClassVar[str] = "INVALID_DOCUMENT"
    code: ClassVar[Code] = Code.INVALID_ARGUMENT


class StoreCorrupt(DomainError):
    """The database holds something that this version cannot have written; a human must look."""

    reason: ClassVar[str] = "DATA_LOSS"
    code: ClassVar[Code] = Code.DATA_LOSS
