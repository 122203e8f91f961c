"""Files: encrypted content, and the ownership that can move from one identity to another.

Source: specification of the Consumer API, §10.
"""

from __future__ import annotations

import hmac
from typing import Any

import orjson

from .. import dates
from ..errors import ApiError, forbidden, invalid_property, not_found, refused, unexpected, unparsable
from ..http import binary
from ..http.binding import parse_moment
from ..http.call import NO_CONTENT, Access, BodyKind, Call, Reply, Route, created, ok, paged
from ..ids import is_id, is_ownership_token
from ..settings import MIB
from ..store import Row, Transaction
from . import external_events, quotas

_COLUMNS = (
    "id, created_at, created_by, created_by_device, modified_at, modified_by, modified_by_device, owner, "
    "owner_signature, ownership_token, ownership_is_locked, cipher_size, cipher_hash, expires_at, encrypted_properties"
)


def upload(call: Call, transaction: Transaction) -> Reply:
    """Stores a file."""
    content = call.form.get("content")
    if not isinstance(content, bytes):
        raise unparsable("content is required, as a file part.")
    cipher_hash, signature = _form_bytes(call, "cipherHash"), _form_bytes(call, "ownerSignature")
    properties = _form_bytes(call, "encryptedProperties")
    expires_at = parse_moment(_form_text(call, "expiresAt"), "expiresAt")
    _validate(call, transaction, content, {"cipherHash": cipher_hash, "ownerSignature": signature}, properties)
    if expires_at <= transaction.now:
        raise invalid_property("expiresAt must be in the future.")
    quotas.enforce(call, transaction, quotas.Metric.FILES, quotas.Metric.USED_FILE_STORAGE)
    file_id, device_id = call.services.ids.make("FIL"), call.me.device_id
    transaction.insert(
        "files",
        id=file_id,
        created_at=transaction.now,
        created_by=call.address,
        created_by_device=device_id,
        modified_at=transaction.now,
        modified_by=call.address,
        modified_by_device=device_id,
        owner=call.address,
        owner_signature=signature,
        ownership_token=call.services.ids.ownership_token(),
        cipher_size=len(content),
        cipher_hash=cipher_hash,
        expires_at=expires_at,
        encrypted_properties=properties,
    )
    transaction.insert("file_contents", file_id=file_id, content=content)
    file = _require(call, transaction, file_id)
    result = view(file)
    del (
        result["encryptedProperties"],
        result["modifiedByDevice"],
        result["deletedByDevice"],
        result["ownershipIsLocked"],
    )
    return created(result | {"ownershipToken": file["ownership_token"]}, f"/api/v2/Files/{file_id}")


def view(file: Row) -> dict[str, Any]:
    """Returns the metadata of a file as clients see it; the ownership token is no part of it."""
    return {
        "id": file["id"],
        "createdAt": dates.network_text(file["created_at"]),
        "createdBy": file["created_by"],
        "createdByDevice": file["created_by_device"],
        "modifiedAt": dates.network_text(file["modified_at"]),
        "modifiedBy": file["modified_by"],
        "modifiedByDevice": file["modified_by_device"],
        "deletedAt": None,
        "deletedBy": None,
        "deletedByDevice": None,
        "owner": file["owner"],
        "ownerSignature": binary.encode(file["owner_signature"]),
        "ownershipIsLocked": bool(file["ownership_is_locked"]),
        "cipherSize": file["cipher_size"],
        "cipherHash": binary.encode(file["cipher_hash"]),
        "expiresAt": dates.network_text(file["expires_at"]),
        "encryptedProperties": binary.encode(file["encrypted_properties"]),
    }


def download(call: Call, transaction: Transaction) -> Reply:
    """Answers the content of a file to anyone who knows its id."""
    file = _require(call, transaction)
    content = transaction.value("SELECT content FROM file_contents WHERE file_id = ?", file["id"])
    return Reply(200, raw=("application/octet-stream", content))


def get_metadata(call: Call, transaction: Transaction) -> Reply:
    """Answers the metadata of a file to anyone who knows its id."""
    return ok(view(_require(call, transaction)))


def list_files(call: Call, transaction: Transaction) -> Reply:
    """Answers the unexpired files that the caller created, all or those with the given ids."""
    page, wanted = call.page(), call.query.texts("ids")
    if not all(is_id("FIL", file_id) for file_id in wanted):
        raise invalid_property("An id is none of a file.")
    condition = "created_by = ?1 AND expires_at > ?2"
    parameters: tuple[Any, ...] = (call.address, transaction.now)
    if wanted:
        condition += " AND id IN (SELECT value FROM json_each(?3))"
        parameters += (orjson.dumps(wanted).decode(),)
    total = transaction.value(f"SELECT count(*) FROM files WHERE {condition}", *parameters)  # noqa: S608
    rows = transaction.all(
        f"SELECT {_COLUMNS} FROM files WHERE {condition} ORDER BY created_at, rowid "  # noqa: S608
        f"LIMIT {page.size} OFFSET {page.offset}",
        *parameters,
    )
    return paged([view(row) for row in rows], total, page)


def delete(call: Call, transaction: Transaction) -> Reply:
    """Deletes a file that the caller created."""
    file = _require(call, transaction)
    if file["created_by"] != call.address:
        raise forbidden("Only the creator deletes a file.")
    remove(transaction, file["id"])
    return NO_CONTENT


def remove(transaction: Transaction, file_id: str) -> None:
    """Removes a file with its content."""
    transaction.run("DELETE FROM file_contents WHERE file_id = ?", file_id)
    transaction.run("DELETE FROM files WHERE id = ?", file_id)


def regenerate_token(call: Call, transaction: Transaction) -> Reply:
    """Gives the owner a new ownership token and unlocks the ownership."""
    file = _require(call, transaction)
    if file["owner"] != call.address:
        raise forbidden("Only the owner renews the ownership token.")
    return _renew(call, transaction, file)


def claim(call: Call, transaction: Transaction) -> Reply:
    """Makes the caller the owner when the token is right; a wrong one locks the ownership."""
    token, file = _read_token(call), _require(call, transaction)
    if file["owner"] == call.address:
        raise refused("validation.file.cannotClaimOwnershipOfOwnFile", "The file is yours already.")
    if file["ownership_is_locked"]:
        raise forbidden("The ownership is locked.")
    if not _fits(token, file):
        _lock(call, transaction, file)
        raise forbidden("The ownership token is wrong; the ownership is locked now.", keeps_changes=True)
    reply = _renew(call, transaction, file)
    external_events.emit(
        call.services.ids,
        transaction,
        file["owner"],
        "FileOwnershipClaimed",
        {"fileId": file["id"], "newOwnerAddress": call.address},
    )
    return reply


def validate_token(call: Call, transaction: Transaction) -> Reply:
    """Answers whether a token would allow to claim; a wrong one of anyone but the owner locks the ownership."""
    token, file = _read_token(call), _require(call, transaction)
    is_valid = not file["ownership_is_locked"] and _fits(token, file)
    if not is_valid and not file["ownership_is_locked"] and file["owner"] != call.address:
        _lock(call, transaction, file)
    return ok({"isValid": is_valid})


def _validate(
    call: Call, transaction: Transaction, content: bytes, bounded: dict[str, bytes], properties: bytes
) -> None:
    if not 1 <= len(content) <= call.services.settings.max_content_bytes:
        # The official server leaks the code of its validation library here.
        raise ApiError(400, "InclusiveBetweenValidator", "The content is empty or too large.")
    for name, high in (("cipherHash", 128), ("ownerSignature", 512)):
        if not 1 <= len(bounded[name]) <= high:
            raise invalid_property(f"{name} must have 1 to {high} bytes.")
    if len(properties) > MIB:
        raise invalid_property(f"encryptedProperties has {MIB} bytes at most.")


def _form_text(call: Call, name: str) -> str:
    value = call.form.get(name.lower())
    if not isinstance(value, str):
        raise unparsable(f"{name} is required.")
    return value


def _form_bytes(call: Call, name: str) -> bytes:
    try:
        return binary.decode(_form_text(call, name))
    except ValueError:
        raise unexpected(f"{name} must be base64url.") from None


def _read_token(call: Call) -> str:
    token = call.body.text("ownershipToken")
    if not is_ownership_token(token):
        raise invalid_property("ownershipToken has up to 20 characters of a fixed set.")
    return token


def _require(call: Call, transaction: Transaction, file_id: str | None = None) -> Row:
    file_id = file_id or call.parameters["id"]
    if not is_id("FIL", file_id):
        raise invalid_property("The id is none of a file.")
    file = transaction.one(
        f"SELECT {_COLUMNS} FROM files WHERE id = ? AND expires_at > ?",  # noqa: S608
        file_id,
        transaction.now,
    )
    if file is None:
        raise not_found("File")
    return file


def _fits(token: str, file: Row) -> bool:
    return hmac.compare_digest(token.encode(), file["ownership_token"].encode())


def _renew(call: Call, transaction: Transaction, file: Row) -> Reply:
    token = call.services.ids.ownership_token()
    transaction.run(
        "UPDATE files SET owner = ?1, ownership_token = ?2, ownership_is_locked = 0, modified_at = ?3, "
        "modified_by = ?1, modified_by_device = ?4 WHERE id = ?5",
        call.address,
        token,
        transaction.now,
        call.me.device_id,
        file["id"],
    )
    return ok({"newOwnershipToken": token})


def _lock(call: Call, transaction: Transaction, file: Row) -> None:
    transaction.run("UPDATE files SET ownership_is_locked = 1 WHERE id = ?", file["id"])
    external_events.emit(call.services.ids, transaction, file["owner"], "FileOwnershipLocked", {"fileId": file["id"]})


ROUTES = (
    Route("POST", "/api/v2/Files", upload, access=Access.WRITE, body=BodyKind.MULTIPART),
    Route("GET", "/api/v2/Files", list_files),
    Route("GET", "/api/v2/Files/{id}", download),
    Route("GET", "/api/v2/Files/{id}/Metadata", get_metadata),
    Route("DELETE", "/api/v2/Files/{id}", delete, access=Access.WRITE),
    Route("PATCH", "/api/v2/Files/{id}/RegenerateOwnershipToken", regenerate_token, access=Access.WRITE),
    Route("PATCH", "/api/v2/Files/{id}/ClaimOwnership", claim, access=Access.WRITE, body=BodyKind.JSON),
    Route("POST", "/api/v2/Files/{id}/ValidateOwnershipToken", validate_token, access=Access.WRITE, body=BodyKind.JSON),
)
