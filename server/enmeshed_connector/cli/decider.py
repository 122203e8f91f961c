"""`enmeshed-connector decider`: the rules for incoming requests, checked and tried without a server."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enmeshed_connector.app.settings import Settings
from enmeshed_connector.cli.options import ConfigOption, JsonOption, SetOption, settings_of
from enmeshed_connector.cli.output import print_json, print_line, print_table
from enmeshed_connector.core.clock import SystemClock

if TYPE_CHECKING:
    from enmeshed_connector.runtime.automation.decider.rules import Rule

AccountOption = Annotated[
    str | None, typer.Option("--account", "-a", help="The account. Needed where the settings have several.")
]


def make_app() -> typer.Typer:
    """Returns the commands."""
    app = typer.Typer(help="Checks and tries the rules for requests.", no_args_is_help=True, rich_markup_mode=None)
    app.command("check")(check)
    app.command("try")(try_request)
    return app


def check(config: ConfigOption = None, assignments: SetOption = None, as_json: JsonOption = False) -> None:
    """Checks the rules of all accounts and lists them."""
    # Takes a moment to import, which other commands need not wait for.
    from enmeshed_connector.app.automation import rules_of

    settings = settings_of(config, assignments)
    now = SystemClock().now()
    found = {name: rules_of(name, account.decider) for name, account in settings.accounts.items()}
    if as_json:
        print_json(
            {
                name: [
                    {
                        "requestConditions": dict(rule.request),
                        "itemConditions": dict(rule.item),
                        "response": rule.response,
                        "neverApplies": rule.never_applies,
                        "promisesTooLate": rule.promises_too_late(now),
                    }
                    for rule in rules
                ]
                for name, rules in found.items()
            }
        )
        return
    print_table(
        ("account", "rule", "request", "items", "answer", "note"),
        [
            (
                name,
                str(index),
                _shown(rule.request) or "any",
                _shown(rule.item) or "any",
                _shown(rule.response),
                _note(rule, now),
            )
            for name, rules in found.items()
            for index, rule in enumerate(rules)
        ],
    )
    for name, rules in found.items():
        if not rules:
            print_line(f"{name}: no rules; each request waits for a person")


def try_request(
    request: Annotated[
        Path,
        typer.Option(
            "--request", "-r", help="A JSON file: the content of a request, or a local request with its peer."
        ),
    ],
    account: AccountOption = None,
    peer: Annotated[str | None, typer.Option("--peer", help="The address of the one who asks.")] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="How it comes, Message or RelationshipTemplate.")
    ] = None,
    is_related: Annotated[
        bool, typer.Option("--relationship/--no-relationship", help="Whether there is a relationship with the peer.")
    ] = False,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows which rule decides which item of a request, and what would be answered. Sends and stores nothing."""
    from enmeshed_connector.app.automation import rules_of
    from enmeshed_connector.runtime.automation.decider.decisions import Verdict, decide

    settings = settings_of(config, assignments)
    name = _account(settings, account)
    rules = rules_of(name, settings.accounts[name].decider)
    verdict = decide(rules, _request(request, peer, source), relationship_exists=is_related)
    if as_json:
        print_json(
            {
                "account": name,
                "verdict": verdict.verdict.value,
                "why": verdict.why,
                "items": [
                    {
                        "path": list(item.path),
                        "type": item.item_type,
                        "rule": item.rule,
                        "decision": item.decision,
                    }
                    for item in verdict.items
                ],
                "decisions": list(verdict.decisions),
            }
        )
        return
    print_table(
        ("item", "type", "rule", "decision"),
        [
            (
                ".".join(map(str, item.path)),
                item.item_type,
                "(none)" if item.rule is None else str(item.rule),
                "(undecided)" if item.decision is None else json.dumps(item.decision, ensure_ascii=False),
            )
            for item in verdict.items
        ],
    )
    if verdict.verdict is Verdict.MANUAL:
        print_line(f"waits for a person: {verdict.why}")
    else:
        print_line(f"{verdict.verdict.value}s the request, if it can be decided so when it comes")


def _note(rule: Rule, now: datetime) -> str:
    if rule.never_applies:
        return "never applies: a person always decides about these"
    if rule.promises_too_late(now):
        return "decides nothing any more: its deletionDate is over, so a person decides"
    return ""


def _account(settings: Settings, name: str | None) -> str:
    names = list(settings.accounts)
    if name is None and len(names) == 1:
        return names[0]
    if name not in settings.accounts:
        raise typer.BadParameter(f"one of {', '.join(names)}", param_hint="--account")
    return name


def _request(path: Path, peer: str | None, source: str | None) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--request") from None
    if not isinstance(read, dict):
        raise typer.BadParameter(f"{path}: is no object", param_hint="--request")
    request: dict[str, Any] = dict(read) if "content" in read else {"content": read}
    if peer is not None:
        request["peer"] = peer
    if source is not None:
        request["source"] = {"type": source}
    return request


def _shown(values: Any) -> str:
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
