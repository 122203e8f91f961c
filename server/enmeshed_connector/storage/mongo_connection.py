"""The connection to a MongoDB-protocol server, through Motor or PyMongo's own asynchronous client.

The durability of architecture decision 4 is set here, once for everything: writes are acknowledged by a majority and
journaled, reads see what a majority has, from the primary.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import pymongo
from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import monitoring
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WTimeoutError,
)

from ..core.errors import DomainError
from .errors import InvalidDocument, StorageUnavailable

Driver = Literal["motor", "pymongo"]

# The drivers' own types differ; both give the same methods, which is what this adapter is about.
Client = Any
Collection = Any

DUPLICATE_KEY = 11000
_TOO_LARGE = frozenset({10334, 17280, 17420})
"""Codes of a server that does not take a document, or an index entry, of this size."""

_SELECTION_SECONDS = 5
_SOCKET_SECONDS = 20


def connect(uri: str, driver: Driver, listeners: Sequence[monitoring.CommandListener] = ()) -> Client:
    """Returns a client; connects when it is first used. Belongs to the running event loop.

    Args:
        uri: The connection string. Its concerns are overridden by ours.
        driver: Which client.
        listeners: Told of every command, for tests and diagnosis.
    """
    options: dict[str, Any] = {
        "w": "majority",
        "journal": True,
        "readConcernLevel": "majority",
        "readPreference": "primary",
        # Retried here, where it is known what may be repeated; standalone servers cannot do it anyway.
        "retryWrites": False,
        "serverSelectionTimeoutMS": _SELECTION_SECONDS * 1000,
        "connectTimeoutMS": _SELECTION_SECONDS * 1000,
        "socketTimeoutMS": _SOCKET_SECONDS * 1000,
        "appname": "enmeshed-connector",
        "event_listeners": list(listeners),
    }
    if driver == "motor":
        return AsyncIOMotorClient(uri, io_loop=asyncio.get_running_loop(), **options)
    return pymongo.AsyncMongoClient(uri, **options)


async def close(client: Client) -> None:
    """Closes a client of either driver."""
    if inspect.iscoroutinefunction(client.close):
        await client.close()
    else:
        # Motor says goodbye to the server before it returns, which may take as long as the server is away.
        await asyncio.to_thread(client.close)


def was_never_sent(error: Exception) -> bool:
    """Returns whether a command certainly did not reach a server."""
    return isinstance(error, ServerSelectionTimeoutError)


def is_transient(error: Exception) -> bool:
    """Returns whether the server went away or is changing its primary, so that a repeat may succeed."""
    return isinstance(error, (ConnectionFailure, ExecutionTimeout, WTimeoutError, WriteConcernError))


def is_duplicate(error: PyMongoError) -> bool:
    """Returns whether nothing else went wrong than that documents with these ids exist."""
    if isinstance(error, BulkWriteError):
        errors = error.details.get("writeErrors") or []
        no_concern = not error.details.get("writeConcernErrors")
        return no_concern and bool(errors) and all(item.get("code") == DUPLICATE_KEY for item in errors)
    return isinstance(error, DuplicateKeyError)


def storage_error(error: Exception) -> DomainError:
    """Returns what callers see of an error of the driver; without its text, which names hosts and may hold data."""
    if isinstance(error, (DocumentTooLarge, BSONError)) or _is_too_large(error):
        return InvalidDocument("a document is larger than the database takes, or holds what it cannot")
    return StorageUnavailable(f"the database cannot be used: {type(error).__name__}")


def _is_too_large(error: Exception) -> bool:
    codes = {error.code} if isinstance(error, OperationFailure) else set()
    if isinstance(error, BulkWriteError):
        codes |= {item.get("code") for item in error.details.get("writeErrors") or []}
    return not codes.isdisjoint(_TOO_LARGE)


@asynccontextmanager
async def errors_translated() -> AsyncIterator[None]:
    """Turns errors of the driver into those of the port."""
    try:
        yield
    except PyMongoError as error:
        raise storage_error(error) from error
