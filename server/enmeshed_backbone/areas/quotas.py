"""Quotas: how much of something an identity may make in a period, counted from the data itself.

Source: specification of the Consumer API, §19.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .. import dates
from ..errors import quota_exhausted
from ..http.call import Call, Reply, Route, ok
from ..store import Transaction

QUEUED_FOR_DELETION_TIER = "TIR00000000000000001"


class Metric(enum.Enum):
    """What is counted."""

    SENT_MESSAGES = "NumberOfSentMessages"
    RELATIONSHIPS = "NumberOfRelationships"
    RELATIONSHIP_TEMPLATES = "NumberOfRelationshipTemplates"
    FILES = "NumberOfFiles"
    USED_FILE_STORAGE = "UsedFileStorageSpace"
    TOKENS = "NumberOfTokens"
    DELETION_PROCESSES = "NumberOfStartedDeletionProcesses"
    DATAWALLET_MODIFICATIONS = "NumberOfCreatedDatawalletModifications"
    DEVICES = "NumberOfCreatedDevices"
    CHALLENGES = "NumberOfCreatedChallenges"


class Period(enum.Enum):
    """Calendar periods in UTC; weeks start on Monday."""

    HOUR = "Hour"
    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"
    YEAR = "Year"
    TOTAL = "Total"

    def bounds(self, now_ms: int) -> tuple[int, int]:
        """Returns the first and the last millisecond of the period that a moment is in."""
        if self is Period.TOTAL:
            return 0, dates.END_OF_TIME_MS
        now = dates.to_moment(now_ms)
        hour = now.replace(minute=0, second=0, microsecond=0)
        day = hour.replace(hour=0)
        starts: dict[Period, tuple[datetime, datetime]] = {
            Period.HOUR: (hour, hour + timedelta(hours=1)),
            Period.DAY: (day, day + timedelta(days=1)),
            Period.WEEK: (monday := day - timedelta(days=day.weekday()), monday + timedelta(days=7)),
            Period.MONTH: (first := day.replace(day=1), (first + timedelta(days=32)).replace(day=1)),
            Period.YEAR: (year := day.replace(month=1, day=1), year.replace(year=year.year + 1)),
        }
        start, end = starts[self]
        return dates.to_millis(start), dates.to_millis(end) - 1


@dataclass(frozen=True)
class Quota:
    """One rule that applies to an identity."""

    source: str
    metric: Metric
    max: int
    period: Period


_UNLIMITED_WHILE_QUEUED = {Metric.DATAWALLET_MODIFICATIONS, Metric.DELETION_PROCESSES}

_COUNTS = {
    Metric.SENT_MESSAGES: "SELECT count(*) FROM messages WHERE created_by = ?1 AND created_at BETWEEN ?2 AND ?3",
    Metric.RELATIONSHIPS: (
        "SELECT count(*) FROM relationships WHERE created_at BETWEEN ?2 AND ?3 AND (sender = ?1 AND (status IN "
        "('Pending', 'Active', 'Terminated') OR status = 'DeletionProposed' AND NOT sender_has_decomposed) OR "
        "receiver = ?1 AND (status IN ('Active', 'Terminated') OR status = 'DeletionProposed' AND NOT "
        "receiver_has_decomposed))"
    ),
    Metric.RELATIONSHIP_TEMPLATES: (
        "SELECT count(*) FROM templates WHERE created_by = ?1 AND created_at BETWEEN ?2 AND ?3"
    ),
    Metric.FILES: "SELECT count(*) FROM files WHERE created_by = ?1 AND created_at BETWEEN ?2 AND ?3",
    Metric.USED_FILE_STORAGE: (
        "SELECT ifnull(sum(cipher_size), 0) / 1048576 FROM files WHERE created_by = ?1 AND created_at BETWEEN ?2 AND ?3"
    ),
    Metric.TOKENS: "SELECT count(*) FROM tokens WHERE created_by = ?1 AND created_at BETWEEN ?2 AND ?3",
    Metric.DELETION_PROCESSES: (
        "SELECT count(*) FROM deletion_processes WHERE address = ?1 AND created_at BETWEEN ?2 AND ?3"
    ),
    Metric.DATAWALLET_MODIFICATIONS: (
        "SELECT count(*) FROM datawallet_modifications WHERE address = ?1 AND created_at BETWEEN ?2 AND ?3"
    ),
    Metric.DEVICES: "SELECT count(*) FROM devices WHERE address = ?1 AND created_at BETWEEN ?2 AND ?3",
    Metric.CHALLENGES: "SELECT count(*) FROM challenges WHERE created_by = ?1 AND created_at BETWEEN ?2 AND ?3",
}


def enforce(call: Call, transaction: Transaction, *metrics: Metric) -> None:
    """Raises the 429 when one of the metrics is exhausted for the caller. Anonymous callers are never limited."""
    if call.caller is None:
        return
    exhausted: list[dict[str, Any]] = []
    applied = applied_quotas(transaction, call.caller.address)
    for metric in metrics:
        ends = [
            quota.period.bounds(transaction.now)[1]
            for quota in applied
            if quota.metric is metric and usage(transaction, call.caller.address, quota) >= quota.max
        ]
        if ends:
            exhausted.append({"metricKey": metric.value, "isExhaustedUntil": dates.round_trip_text(max(ends))})
    if exhausted:
        raise quota_exhausted(exhausted)


def usage(transaction: Transaction, address: str, quota: Quota) -> int:
    """Returns how much of a quota is used in its present period."""
    start, end = quota.period.bounds(transaction.now)
    count: int = transaction.value(_COUNTS[quota.metric], address, start, end)
    return count


def applied_quotas(transaction: Transaction, address: str) -> list[Quota]:
    """Returns the rules of an identity: its own, and those of its tier for metrics that it has no own rule for."""
    tier = transaction.value("SELECT tier_id FROM identities WHERE address = ?", address)
    own = [
        Quota("Individual", Metric(row["metric"]), row["max"], Period(row["period"]))
        for row in transaction.all("SELECT * FROM identity_quotas WHERE address = ? ORDER BY rowid", address)
    ]
    overridden = {quota.metric for quota in own}
    return own + [quota for quota in _tier_quotas(transaction, tier) if quota.metric not in overridden]


def _tier_quotas(transaction: Transaction, tier: str | None) -> list[Quota]:
    if tier == QUEUED_FOR_DELETION_TIER:
        return [Quota("Tier", metric, 0, Period.TOTAL) for metric in Metric if metric not in _UNLIMITED_WHILE_QUEUED]
    return [
        Quota("Tier", Metric(row["metric"]), row["max"], Period(row["period"]))
        for row in transaction.all("SELECT * FROM tier_quotas WHERE tier_id = ? ORDER BY rowid", tier)
    ]


def list_quotas(call: Call, transaction: Transaction) -> Reply:
    """Answers the rules of the caller, grouped by metric."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for quota in applied_quotas(transaction, call.address):
        groups.setdefault(quota.metric.value, []).append(
            {
                "source": quota.source,
                "metricKey": quota.metric.value,
                "max": quota.max,
                "usage": usage(transaction, call.address, quota),
                "period": quota.period.value,
            }
        )
    return ok([{"metricKey": metric, "quotas": quotas} for metric, quotas in groups.items()])


ROUTES = (Route("GET", "/api/v2/Quotas", list_quotas),)
