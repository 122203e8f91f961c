"""What the rules decide about a request. No I/O, no clock: the same for the account's worker and for dry runs.

Rules are tried in their order. A rule whose conditions on the request are fulfilled decides all items that fulfil its
conditions on items and are not decided yet. Once all items are decided, later rules are not looked at.

Source: consumption.md, section 16.2; connector.md, section 9.1.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.runtime.automation.decider.conditions import item_fulfils, request_fulfils
from enmeshed_connector.runtime.automation.decider.rules import ACCEPTED_IN_GENERAL, NEVER_AUTOMATIC, Rule

_GROUP = "RequestItemGroup"


class Verdict(enum.Enum):
    """What is to be done with a request."""

    ACCEPT = "accept"
    REJECT = "reject"
    MANUAL = "manual"


@dataclass(frozen=True)
class ItemVerdict:
    """What became of one item."""

    path: tuple[int, ...]
    """Its index in the request, or those of its group and itself."""
    item_type: str
    rule: int | None
    """The index of the rule that decided it; None: no rule did."""
    decision: JsonObject | None


@dataclass(frozen=True)
class RequestVerdict:
    """What became of a request."""

    verdict: Verdict
    items: tuple[ItemVerdict, ...]
    """All items, those of groups too, in their order."""
    decisions: tuple[JsonObject, ...] = ()
    """The parameters of the decision (consumption.md, section 10.2); empty when a person must decide."""
    why: str = ""
    """Why a person must decide."""


def decide(rules: Sequence[Rule], request: JsonObject, *, relationship_exists: bool) -> RequestVerdict:
    """Returns what the rules say of a request. Whatever a peer has written, it never raises.

    Args:
        rules: In their order.
        request: The local request: `peer`, `createdAt`, `source`, `content`.
        relationship_exists: Whether there is a relationship with the peer, of whatever status.
    """
    content = request.get("content")
    elements: Json = content.get("items") if isinstance(content, dict) else None
    leaves = list(_leaves(elements))
    if not leaves or any(item is None for _, item in leaves):
        return RequestVerdict(Verdict.MANUAL, (), why="The request has no items that can be read.")
    items: list[tuple[tuple[int, ...], JsonObject]] = [(path, item) for path, item in leaves if item is not None]
    decided: dict[tuple[int, ...], int] = {}
    never = next((_type(item) for _, item in items if _type(item) in NEVER_AUTOMATIC), None)
    if never is None:
        for index, rule in enumerate(rules):
            if len(decided) == len(items):
                break
            if request_fulfils(rule.request, request, relationship_exists=relationship_exists):
                for path, item in items:
                    if path not in decided and _is_about(rule, item):
                        decided[path] = index
    verdicts = tuple(
        ItemVerdict(
            path,
            _type(item),
            decided.get(path),
            dict(rules[decided[path]].response) if path in decided else None,
        )
        for path, item in items
    )
    if never is not None:
        return RequestVerdict(Verdict.MANUAL, verdicts, why=f"A {never} is never decided automatically.")
    if len(decided) < len(items):
        return RequestVerdict(Verdict.MANUAL, verdicts, why="No rule decides some of its items.")
    is_accepted = any(rules[index].accepts for index in decided.values())
    by_path = {verdict.path: verdict.decision or {} for verdict in verdicts}
    return RequestVerdict(
        Verdict.ACCEPT if is_accepted else Verdict.REJECT, verdicts, tuple(_mirrored(elements, by_path, ()))
    )


def _is_about(rule: Rule, item: JsonObject) -> bool:
    if rule.item:
        return item_fulfils(rule.item, item)
    return not rule.accepts or _type(item) in ACCEPTED_IN_GENERAL


def _leaves(elements: Json, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], JsonObject | None]]:
    """Yields all items with their paths; None for what is none."""
    if not isinstance(elements, list) or not elements:
        yield path, None
        return
    for index, element in enumerate(elements):
        here = (*path, index)
        if not isinstance(element, dict):
            yield here, None
        elif element.get("@type") == _GROUP and not path:
            yield from _leaves(element.get("items"), here)
        else:
            yield here, element


def _mirrored(
    elements: Json, by_path: dict[tuple[int, ...], JsonObject], path: tuple[int, ...]
) -> Iterator[JsonObject]:
    """Yields the decisions in the shape of the request."""
    for index, element in enumerate(elements):
        here = (*path, index)
        if here in by_path:
            yield by_path[here]
        else:
            yield {"items": list(_mirrored(element["items"], by_path, here))}


def _type(item: JsonObject) -> str:
    found = item.get("@type")
    return found if isinstance(found, str) else ""
