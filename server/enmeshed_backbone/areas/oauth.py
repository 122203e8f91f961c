"""The token endpoint: devices log in here.

Source: specification of the Consumer API, §3.
"""

from __future__ import annotations

import unicodedata

import orjson

from .. import dates, passwords
from ..errors import OAuthError
from ..http.access import Caller
from ..http.call import Access, Auth, BodyKind, Call, Reply, Route
from ..store import Row, Transaction

ATTEMPTS_BEFORE_LOCKOUT = 3


def username_key(username: str) -> str:
    """Returns the form by which usernames are compared."""
    return unicodedata.normalize("NFC", username.strip()).upper()


def is_client(transaction: Transaction, client_id: str, secret: str) -> bool:
    """Returns whether there is such a client and this is its secret."""
    stored = transaction.value("SELECT secret_hash FROM clients WHERE id = ?", client_id)
    return stored is not None and passwords.fits(secret, stored)


def issue_token(call: Call, transaction: Transaction) -> Reply:
    """Answers an access token for the credentials of a device, and notes the login."""
    grant_type = call.form.get("grant_type")
    if not grant_type:
        raise OAuthError(400, "invalid_request", "The mandatory 'grant_type' parameter is missing.")
    if grant_type != "password":
        raise OAuthError(400, "unsupported_grant_type", "The grant type must be 'password'.")
    username, password = call.form.get("username"), call.form.get("password")
    if not username or not password:
        raise OAuthError(400, "invalid_request", "The mandatory 'username' and 'password' parameters are missing.")
    client_id = call.form.get("client_id", "")
    if not is_client(transaction, client_id, call.form.get("client_secret", "")):
        raise OAuthError(401, "invalid_client", "The client credentials are invalid.")
    device = _log_in(call, transaction, username, password)
    settings = call.services.settings
    caller = Caller(device["address"], device["id"], device["username"], device["user_id"], client_id)
    token = call.services.signer.issue(
        caller,
        now_ms=transaction.now,
        lifetime_seconds=settings.token_lifetime,
        token_id=call.services.ids.guid(),
    )
    body = {"access_token": token, "token_type": "Bearer", "expires_in": settings.token_lifetime}
    return Reply(200, raw=("application/json;charset=UTF-8", orjson.dumps(body)), headers=(("pragma", "no-cache"),))


def _log_in(call: Call, transaction: Transaction, username: str, password: str) -> Row:
    device = transaction.one("SELECT * FROM devices WHERE username_key = ?", username_key(username))
    if device is None:
        raise _wrong_credentials()
    identity = transaction.one("SELECT * FROM identities WHERE address = ?", device["address"])
    if identity is None or is_past_grace_period(identity, transaction.now):
        raise _wrong_credentials()
    if device["locked_until"] is not None and device["locked_until"] > transaction.now:
        raise _locked_out()
    if not passwords.fits(password, device["password_hash"]):
        _count_failure(call, transaction, device)
    transaction.run(
        "UPDATE devices SET last_login_at = ?, failed_logins = 0, locked_until = NULL, is_backup = 0 WHERE id = ?",
        transaction.now,
        device["id"],
    )
    if device["is_backup"]:
        transaction.push(device["address"], "BackupDeviceUsed")
    return device


def is_past_grace_period(identity: Row, now: int) -> bool:
    """Returns whether the identity waits for the deletion job, or is under it."""
    if identity["status"] == "Deleting":
        return True
    return bool(identity["status"] == "ToBeDeleted" and identity["grace_period_ends_at"] <= now)


def _count_failure(call: Call, transaction: Transaction, device: Row) -> None:
    failures = device["failed_logins"] + 1
    if failures < ATTEMPTS_BEFORE_LOCKOUT:
        transaction.run("UPDATE devices SET failed_logins = ? WHERE id = ?", failures, device["id"])
        raise _wrong_credentials()
    until = transaction.now + call.services.settings.lockout * dates.SECOND_MS
    transaction.run("UPDATE devices SET failed_logins = 0, locked_until = ? WHERE id = ?", until, device["id"])
    raise _locked_out()


def _wrong_credentials() -> OAuthError:
    return OAuthError(400, "invalid_grant", "The username or the password is wrong.")


def _locked_out() -> OAuthError:
    return OAuthError(400, "access_denied", "The device is locked after too many wrong passwords. Try again later.")


ROUTES = (Route("POST", "/connect/token", issue_token, access=Access.WRITE, auth=Auth.NONE, body=BodyKind.FORM),)
