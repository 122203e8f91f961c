"""The document store: port, filter language, and adapters for SQLite and MongoDB.

Domain rooms import from here: the port's types, the filter words and the errors. The composition root takes an adapter
from `sqlite` or `mongo`.
"""

from __future__ import annotations

from .errors import (
    CommitOutcomeUnknown,
    InvalidDocument,
    LeaseLost,
    PositionInvalid,
    PositionTruncated,
    RevisionConflict,
    StorageUnavailable,
    StoreCorrupt,
    UniqueViolation,
)
from .filters import Filter, FilterLike, Scalar, all_of, any_of, where
from .port import (
    CollectionSpec,
    Databases,
    IdempotencyRecord,
    Keyset,
    Lease,
    Log,
    LogEvent,
    LogPage,
    Position,
    Retention,
    Sort,
    SortLike,
    Store,
    StoreOptions,
    TrimResult,
    UnitOfWork,
)
from .values import keyset_maker, keyset_of, page_of

__all__ = [
    "CollectionSpec",
    "CommitOutcomeUnknown",
    "Databases",
    "Filter",
    "FilterLike",
    "IdempotencyRecord",
    "InvalidDocument",
    "Keyset",
    "Lease",
    "LeaseLost",
    "Log",
    "LogEvent",
    "LogPage",
    "Position",
    "PositionInvalid",
    "PositionTruncated",
    "Retention",
    "RevisionConflict",
    "Scalar",
    "Sort",
    "SortLike",
    "StorageUnavailable",
    "Store",
    "StoreCorrupt",
    "StoreOptions",
    "TrimResult",
    "UniqueViolation",
    "UnitOfWork",
    "all_of",
    "any_of",
    "keyset_maker",
    "keyset_of",
    "page_of",
    "where",
]
