"""The Admin API: what the official test suites use of it, and what a developer needs besides.

Source: specification of the Consumer API, §23. Everything under `/api/v1/Development` is this server's own.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Any

import orjson

from .. import addresses, dates
from ..errors import invalid_property, not_found, refused
from ..http import binary
from ..http.application import Guard, Scope
from ..http.call import NO_CONTENT, Access, Auth, BodyKind, Call, Reply, Route, created, ok
from ..services import Services
from ..store import Row, Transaction
from . import announcements, jobs
from .identities import require_identity
from .quotas import QUEUED_FOR_DELETION_TIER, Metric, Period

_COOKIE = "X-XSRF-COOKIE"
_XSRF_PATH = "/api/v1/xsrf"
_OWN_PATHS = "/api/v1/development/"
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_MAX_ADVANCE_DAYS = 36_500
_LAST_MS = dates.END_OF_TIME_MS - 2 * _MAX_ADVANCE_DAYS * dates.DAY_MS
"""Up to here the clock goes: what lasts for some time from then on still has an end within the calendar."""


class XsrfProtection:
    """The pair of cookie and token that the official Admin API asks of every change."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, cookie: str) -> str:
        """Returns the request token that belongs to a cookie."""
        return binary.encode(hmac.digest(self._key, cookie.encode("utf-8", "replace"), hashlib.sha256))

    def fits(self, headers: dict[bytes, bytes]) -> bool:
        """Returns whether a request has both, and they belong together."""
        given = headers.get(b"x-xsrf-token", b"")
        for part in headers.get(b"cookie", b"").decode("latin-1").replace(",", ";").split(";"):
            name, _, value = part.strip().partition("=")
            if name == _COOKIE and hmac.compare_digest(self.token(value).encode("ascii"), given):
                return True
        return False


def make_guard(api_key: str, xsrf: XsrfProtection) -> Guard:
    """Returns the check that every request to the Admin API passes first."""

    def guard(scope: Scope) -> Reply | None:
        path = scope["path"].lower()
        # Without regard to slashes in front: what looks like another path here must be none of the routes below.
        if path in (_XSRF_PATH, "/health") or not path.lstrip("/").startswith("api/"):
            return None
        headers = dict(scope["headers"])
        given = headers.get(b"x-api-key", b"")
        if api_key and not hmac.compare_digest(given, api_key.encode()):
            return Reply(401, raw=("", b""))
        # This server's own operations are for `curl` and need no cookie.
        if scope["method"] in _SAFE_METHODS or path.startswith(_OWN_PATHS) or xsrf.fits(headers):
            return None
        problem = {"title": "Bad Request", "status": 400, "detail": "xsrf-token-may-be-invalid"}
        return Reply(400, raw=("application/problem+json", orjson.dumps(problem)))

    return guard


def make_xsrf_route(services: Services, xsrf: XsrfProtection) -> Route:
    """Returns the route that gives out cookie and token."""

    def get_token(call: Call, transaction: Transaction) -> Reply:
        cookie = binary.encode(services.random(32))
        headers = (("set-cookie", f"{_COOKIE}={cookie}; path=/; samesite=strict; httponly"),)
        return Reply(200, raw=("text/plain; charset=utf-8", xsrf.token(cookie).encode()), headers=headers)

    return Route("GET", _XSRF_PATH, get_token, auth=Auth.NONE)


def list_identities(call: Call, transaction: Transaction) -> Reply:
    """Answers all identities with their devices."""
    rows = transaction.all("SELECT * FROM identities ORDER BY created_at, rowid")
    return ok([_view_identity(transaction, row) for row in rows])


def get_identity(call: Call, transaction: Transaction) -> Reply:
    """Answers one identity with its devices and quotas."""
    identity = require_identity(transaction, call.parameters["address"])
    rows = transaction.all("SELECT * FROM identity_quotas WHERE address = ?", identity["address"])
    quotas = [{**_view_quota(row), "source": "Individual"} for row in rows]
    return ok(_view_identity(transaction, identity) | {"quotas": quotas})


def create_identity_quota(call: Call, transaction: Transaction) -> Reply:
    """Limits one identity."""
    address = call.parameters["address"]
    if not addresses.is_address(address):
        raise invalid_property("The path must name an identity address.")
    require_identity(transaction, address)
    return _create_quota(call, transaction, "identity_quotas", "address", address)


def delete_identity_quota(call: Call, transaction: Transaction) -> Reply:
    """Removes the limit of one identity."""
    address, quota_id = call.parameters["address"], call.parameters["id"]
    if not transaction.run("DELETE FROM identity_quotas WHERE address = ? AND id = ?", address, quota_id):
        raise not_found("Quota")
    return NO_CONTENT


def list_tiers(call: Call, transaction: Transaction) -> Reply:
    """Answers all tiers."""
    rows = transaction.all(
        "SELECT t.*, (SELECT count(*) FROM identities WHERE tier_id = t.id) AS used FROM tiers AS t ORDER BY t.rowid"
    )
    return ok([{"id": row["id"], "name": row["name"], "numberOfIdentities": row["used"]} for row in rows])


def create_tier_quota(call: Call, transaction: Transaction) -> Reply:
    """Limits all identities of a tier that have no limit of their own."""
    tier_id = call.parameters["id"]
    _require_changeable(transaction, tier_id)
    return _create_quota(call, transaction, "tier_quotas", "tier_id", tier_id)


def delete_tier_quota(call: Call, transaction: Transaction) -> Reply:
    """Removes a limit of a tier."""
    tier_id, quota_id = call.parameters["id"], call.parameters["quotaId"]
    _require_changeable(transaction, tier_id)
    if not transaction.run("DELETE FROM tier_quotas WHERE tier_id = ? AND id = ?", tier_id, quota_id):
        raise not_found("Quota")
    return NO_CONTENT


def list_metrics(call: Call, transaction: Transaction) -> Reply:
    """Answers everything that quotas can limit."""
    return ok([{"key": metric.value, "displayName": metric.value} for metric in Metric])


def list_clients(call: Call, transaction: Transaction) -> Reply:
    """Answers the OAuth clients, without their secrets."""
    rows = transaction.all("SELECT * FROM clients ORDER BY rowid")
    return ok(
        [
            {
                "clientId": row["id"],
                "displayName": row["display_name"],
                "defaultTier": row["default_tier"],
                "createdAt": dates.network_text(row["created_at"]),
                "maxIdentities": row["max_identities"],
            }
            for row in rows
        ]
    )


def update_client(call: Call, transaction: Transaction) -> Reply:
    """Sets how many identities a client may have; null for any number."""
    limit = call.body.integer_or_none("maxIdentities", 0, 2**31 - 1)
    client_id = call.parameters["id"]
    count = transaction.value("SELECT count(*) FROM identities WHERE client_id = ?", client_id)
    if limit is not None and limit < count:
        raise refused("validation.device.maxIdentitiesLessThanCurrentIdentities", f"It has {count} identities.")
    if not transaction.run("UPDATE clients SET max_identities = ? WHERE id = ?", limit, client_id):
        raise not_found("OAuthClient")
    return ok({"clientId": client_id, "maxIdentities": limit})


def reset_token(call: Call, transaction: Transaction) -> Reply:
    """Unlocks a token after too many wrong passwords."""
    if not transaction.run("UPDATE tokens SET failed_accesses = 0 WHERE id = ?", call.parameters["id"]):
        raise not_found("Token")
    return NO_CONTENT


def validate_api_key(call: Call, transaction: Transaction) -> Reply:
    """Answers that the key is right; with a wrong one nobody gets here."""
    return Reply(200, raw=("application/json", b'{"isValid":true}'))


def get_clock(call: Call, transaction: Transaction) -> Reply:
    """Answers the server's time and how far it is ahead."""
    return ok(_view_clock(call.services))


def advance_clock(call: Call, transaction: Transaction) -> Reply:
    """Moves the server's time forward, for good: everything that expires in between has expired."""
    seconds = call.body.number_or_none("seconds")
    if seconds is None or not 0 <= seconds <= _MAX_ADVANCE_DAYS * 86_400:
        raise invalid_property(f"seconds must be from 0 to {_MAX_ADVANCE_DAYS} days.")
    clock = call.services.clock
    if clock.now_ms() + seconds * 1000 > _LAST_MS:
        raise invalid_property("The clock would leave the calendar.")
    clock.advance(timedelta(seconds=seconds))
    transaction.run(
        "INSERT INTO meta (name, value) VALUES ('clock_offset_ms', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1",
        clock.offset // timedelta(milliseconds=1),
    )
    return ok(_view_clock(call.services))


def run_deletion_job(call: Call, transaction: Transaction) -> Reply:
    """Carries out all deletions that are due, and sends reminders for the others."""
    reminders = jobs.send_reminders(call.services, transaction)
    deleted = jobs.delete_due_identities(call.services, transaction)
    return ok({"deletedIdentities": deleted, "reminders": reminders})


def run_housekeeping(call: Call, transaction: Transaction) -> Reply:
    """Removes what expired long ago."""
    return ok(jobs.clean_up(transaction))


def _require_changeable(transaction: Transaction, tier_id: str) -> None:
    if transaction.one("SELECT 1 FROM tiers WHERE id = ?", tier_id) is None:
        raise not_found("Tier")
    if tier_id == QUEUED_FOR_DELETION_TIER:
        raise refused("quotas.cannotCreateOrDeleteQuotaOnQueuedForDeletionTier", "The quotas of this tier are fixed.")


def _create_quota(call: Call, transaction: Transaction, table: str, column: str, owner: str) -> Reply:
    body = call.body
    metric_key, maximum = body.text("metricKey"), body.integer("max", -(2**31), 2**31 - 1)
    period = body.choice("period", Period)
    if metric_key not in {metric.value for metric in Metric}:
        raise refused("quotas.unsupportedMetricKey", "There is no such metric.")
    if maximum < 0:
        raise refused("quotas.invalidValueForMaxLimitInQuota", "max must be 0 or more.")
    known = transaction.one(
        f"SELECT 1 FROM {table} WHERE {column} = ? AND metric = ? AND period = ?",  # noqa: S608
        owner,
        metric_key,
        period.value,
    )
    if known is not None:
        raise refused("quotas.duplicateQuota", "There is a quota for this metric and period.")
    quota_id = call.services.ids.make("TQD" if table == "tier_quotas" else "QUO")
    values: dict[str, Any] = {"metric": metric_key, "max": maximum, "period": period.value, column: owner}
    transaction.insert(table, id=quota_id, **values)
    return created({"id": quota_id, "max": maximum, "period": period.value, "metric": {"key": metric_key}})


def _view_identity(transaction: Transaction, identity: Row) -> dict[str, Any]:
    devices = transaction.all("SELECT * FROM devices WHERE address = ? ORDER BY created_at, rowid", identity["address"])
    return {
        "address": identity["address"],
        "createdAt": dates.network_text(identity["created_at"]),
        "clientId": identity["client_id"],
        "identityVersion": identity["identity_version"],
        "tierId": identity["tier_id"],
        "status": identity["status"],
        "deletionGracePeriodEndsAt": dates.network_text_or_none(identity["grace_period_ends_at"]),
        "devices": [
            {
                "id": device["id"],
                "username": device["username"],
                "createdAt": dates.network_text(device["created_at"]),
                "lastLogin": dates.network_text_or_none(device["last_login_at"]),
            }
            for device in devices
        ],
    }


def _view_quota(row: Row) -> dict[str, Any]:
    return {"id": row["id"], "metric": {"key": row["metric"]}, "max": row["max"], "period": row["period"]}


def _view_clock(services: Services) -> dict[str, Any]:
    offset = services.clock.offset
    return {"now": dates.network_text(services.clock.now_ms()), "offsetInSeconds": offset.total_seconds()}


def _open(method: str, path: str, handler: Any, **more: Any) -> Route:
    return Route(method, f"/api/v1/{path}", handler, auth=Auth.NONE, **more)


_WRITE: dict[str, Any] = {"access": Access.WRITE}
_CHANGE: dict[str, Any] = {"access": Access.WRITE, "body": BodyKind.JSON}

ROUTES = (
    *(
        Route(route.method, route.path, route.handler, route.access, Auth.NONE, route.body)
        for route in announcements.ADMIN_ROUTES
    ),
    _open("GET", "Identities", list_identities),
    _open("GET", "Identities/{address}", get_identity),
    _open("POST", "Identities/{address}/Quotas", create_identity_quota, **_CHANGE),
    _open("DELETE", "Identities/{address}/Quotas/{id}", delete_identity_quota, **_WRITE),
    _open("GET", "Tiers", list_tiers),
    _open("POST", "Tiers/{id}/Quotas", create_tier_quota, **_CHANGE),
    _open("DELETE", "Tiers/{id}/Quotas/{quotaId}", delete_tier_quota, **_WRITE),
    _open("GET", "Metrics", list_metrics),
    _open("GET", "Clients", list_clients),
    _open("PUT", "Clients/{id}", update_client, **_CHANGE),
    _open("PATCH", "Tokens/{id}/ResetAccessFailedCount", reset_token, **_WRITE),
    _open("GET", "ValidateApiKey", validate_api_key),
    _open("GET", "Development/Clock", get_clock),
    _open("POST", "Development/Clock", advance_clock, **_CHANGE),
    _open("POST", "Development/DeletionJob", run_deletion_job, **_WRITE),
    _open("POST", "Development/Housekeeping", run_housekeeping, **_WRITE),
)
