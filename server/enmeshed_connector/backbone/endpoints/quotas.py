"""Quotas of the own identity."""

from __future__ import annotations

from dataclasses import dataclass

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, path_of
from enmeshed_connector.backbone.wire import Fields, many


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit and how much of it is used."""

    metric: str
    source: str
    """`Individual` or `Tier`; an individual quota overrides that of the tier."""
    maximum: int
    usage: int
    period: str
    """`Hour`, `Day`, `Week`, `Month`, `Year` or `Total`: calendar periods in UTC."""


class Quotas:
    """Reads quotas."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(self) -> tuple[Quota, ...]:
        """Returns all quotas of the own identity, grouped by metric."""
        groups = await self._caller.call(Call("quotas.list", "GET", path_of("Quotas"), many(_group), Repeat.SAFE))
        return tuple(quota for group in groups for quota in group)


def _group(fields: Fields) -> tuple[Quota, ...]:
    metric = fields.text("metricKey")
    return fields.items("quotas", lambda quota: _quota(quota, metric))


def _quota(fields: Fields, metric: str) -> Quota:
    return Quota(
        metric=fields.text_or_none("metricKey") or metric,
        source=fields.text("source"),
        maximum=fields.integer("max"),
        usage=fields.integer("usage"),
        period=fields.text("period"),
    )
