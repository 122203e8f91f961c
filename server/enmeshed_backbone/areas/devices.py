"""Devices of an identity.

Source: specification of the Consumer API, §5.1.
"""

from __future__ import annotations

from typing import Any

from .. import dates, passwords
from ..errors import invalid_property, not_found, refused
from ..http.call import NO_CONTENT, Access, BodyKind, Call, Reply, Route, created, ok, paged
from ..ids import is_id
from ..store import Row, Transaction
from .challenges import require_proof
from .identities import (
    NewDevice,
    add_device,
    read_language,
    read_signed_challenge,
    require_allowed_password,
    require_identity,
    require_language,
)


def view(device: Row) -> dict[str, Any]:
    """Returns a device as clients see it."""
    last_login = device["last_login_at"]
    return {
        "id": device["id"],
        "username": device["username"],
        "createdAt": dates.network_text(device["created_at"]),
        "createdByDevice": device["created_by_device"],
        "lastLogin": None if last_login is None else {"time": dates.network_text(last_login)},
        "communicationLanguage": device["communication_language"],
        "isBackupDevice": bool(device["is_backup"]),
    }


def register(call: Call, transaction: Transaction) -> Reply:
    """Makes a further device of the caller's identity."""
    body = call.body
    password, signed = body.text("devicePassword"), read_signed_challenge(body)
    is_backup = body.flag("isBackupDevice", default=False)
    if not password:
        raise invalid_property("devicePassword must not be empty.")
    language = read_language(body, "communicationLanguage")
    identity = require_identity(transaction, call.address)
    if is_backup and transaction.one("SELECT 1 FROM devices WHERE address = ? AND is_backup", call.address):
        raise refused("validation.device.onlyOneBackupDeviceCanExist", "There is a backup device already.")
    require_proof(transaction, signed, identity["public_key"])
    require_allowed_password(password, call.services.settings)
    password_hash = passwords.hash_password(password, call.services.random)
    device = add_device(
        call.services.ids,
        transaction,
        NewDevice(call.address, password_hash, language, call.me.device_id, is_backup),
    )
    return created(
        {
            "id": device["id"],
            "username": device["username"],
            "createdAt": dates.network_text(device["created_at"]),
            "createdByDevice": device["created_by_device"],
            "isBackupDevice": is_backup,
        }
    )


def list_devices(call: Call, transaction: Transaction) -> Reply:
    """Answers the devices of the caller's identity, all or those with the given ids."""
    page, ids = call.page(), call.query.texts("ids")
    if not all(is_id("DVC", device_id) for device_id in ids):
        raise invalid_property("An id is none of a device.")
    rows = transaction.all("SELECT * FROM devices WHERE address = ? ORDER BY created_at, rowid", call.address)
    chosen = [row for row in rows if not ids or row["id"] in ids]
    return paged([view(row) for row in chosen[page.offset : page.offset + page.size]], len(chosen), page)


def get_self(call: Call, transaction: Transaction) -> Reply:
    """Answers the caller's device."""
    return ok(view(_own(call, transaction)))


def update_self(call: Call, transaction: Transaction) -> Reply:
    """Sets the language in which the caller's device wants to be spoken to."""
    language = call.body.text("communicationLanguage")
    require_language(language)
    _own(call, transaction)
    transaction.run("UPDATE devices SET communication_language = ? WHERE id = ?", language, call.me.device_id)
    return NO_CONTENT


def change_password(call: Call, transaction: Transaction) -> Reply:
    """Replaces the password of the caller's device."""
    body = call.body
    old, new = body.text("oldPassword"), body.text("newPassword")
    if not old or not new:
        raise invalid_property("oldPassword and newPassword must not be empty.")
    device = _own(call, transaction)
    policy = call.services.settings.password_policy
    if not passwords.fits(old, device["password_hash"]) or not passwords.is_allowed(new, policy):
        raise refused(
            "validation.device.changePasswordFailed", "The old password is wrong or the new one is against the policy."
        )
    password_hash = passwords.hash_password(new, call.services.random)
    transaction.run("UPDATE devices SET password_hash = ? WHERE id = ?", password_hash, device["id"])
    return NO_CONTENT


def delete(call: Call, transaction: Transaction) -> Reply:
    """Deletes a device of the caller's identity that never logged in."""
    device_id = call.parameters["id"]
    if not is_id("DVC", device_id):
        raise invalid_property("The id is none of a device.")
    device = transaction.one("SELECT * FROM devices WHERE id = ?", device_id)
    if device is None:
        raise not_found("Device")
    if device["address"] != call.address or device["last_login_at"] is not None:
        raise refused(
            "validation.device.deviceCannotBeDeleted", "Only own devices that never logged in can be deleted."
        )
    transaction.run("DELETE FROM push_registrations WHERE device_id = ?", device_id)
    transaction.run("DELETE FROM devices WHERE id = ?", device_id)
    return NO_CONTENT


def _own(call: Call, transaction: Transaction) -> Row:
    device = transaction.one("SELECT * FROM devices WHERE id = ?", call.me.device_id)
    if device is None:
        raise not_found("Device")
    return device


ROUTES = (
    Route("POST", "/api/v2/Devices", register, access=Access.WRITE, body=BodyKind.JSON),
    Route("GET", "/api/v2/Devices", list_devices),
    Route("GET", "/api/v2/Devices/Self", get_self),
    Route("PUT", "/api/v2/Devices/Self", update_self, access=Access.WRITE, body=BodyKind.JSON),
    Route("PUT", "/api/v2/Devices/Self/Password", change_password, access=Access.WRITE, body=BodyKind.JSON),
    Route("DELETE", "/api/v2/Devices/{id}", delete, access=Access.WRITE),
)
