"""`enmeshed-connector keys`: API keys, straight in the database of the settings."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from enmeshed_connector.api.api_keys import SERVER_COLLECTIONS, ApiKey, ApiKeyStore
from enmeshed_connector.app.databases import make_databases
from enmeshed_connector.app.settings import Settings
from enmeshed_connector.cli.loop import run
from enmeshed_connector.cli.options import ConfigOption, JsonOption, SetOption, settings_of
from enmeshed_connector.cli.output import print_json, print_line, print_table
from enmeshed_connector.core.clock import SystemClock

T = TypeVar("T")


def make_app() -> typer.Typer:
    """Returns the commands."""
    app = typer.Typer(help="Makes, lists and revokes API keys.", no_args_is_help=True, rich_markup_mode=None)
    app.command("create")(create)
    app.command("list")(list_keys)
    app.command("revoke")(revoke)
    return app


def create(
    name: Annotated[str, typer.Argument(help="A name for people, unique: 1 to 63 of a-z, 0-9, '.', '_', '-'.")],
    scopes: Annotated[
        list[str],
        typer.Option("--scope", "-s", help="What it may do, such as messages:read, messages:* or **. Repeatable."),
    ],
    account: Annotated[str | None, typer.Option("--account", "-a", help="The only account it may use.")] = None,
    days: Annotated[
        float | None, typer.Option("--days", min=0.01, max=36_500, help="How many days it is good; default: for ever.")
    ] = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes a key and prints its secret, which is shown only now."""
    clock = SystemClock()
    expires_at = None if days is None else clock.now() + timedelta(days=days)

    async def work(keys: ApiKeyStore) -> tuple[ApiKey, str]:
        created = await keys.create(name, scopes, account=account, expires_at=expires_at)
        return created.key, created.secret

    hosted = settings_of(config, assignments).accounts
    if account is not None and account not in hosted:
        sys.stderr.write(f"note: these settings host no account {account}, only {', '.join(hosted)}\n")
    key, secret = _with_keys(config, assignments, work)
    if as_json:
        print_json({**_view(key), "secret": secret})
    else:
        print_line(secret)


def list_keys(config: ConfigOption = None, assignments: SetOption = None, as_json: JsonOption = False) -> None:
    """Lists all keys, without their secrets."""

    async def work(keys: ApiKeyStore) -> list[ApiKey]:
        return list(await keys.list())

    found = _with_keys(config, assignments, work)
    if as_json:
        print_json([_view(key) for key in found])
        return
    now = SystemClock().now()
    print_table(
        ("id", "name", "scopes", "account", "expires", "state"),
        [
            (
                key.id,
                key.name,
                " ".join(key.scopes),
                key.account or "(any)",
                f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "never",
                "good" if key.is_good(now) else ("revoked" if key.revoked_at else "expired"),
            )
            for key in found
        ],
    )


def revoke(
    key: Annotated[str, typer.Argument(help="The id or name of the key.")],
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Makes a key worthless; running servers learn of it within five seconds."""

    async def work(keys: ApiKeyStore) -> ApiKey:
        return await keys.revoke(key)

    revoked = _with_keys(config, assignments, work)
    print_line(f"revoked {revoked.id} ({revoked.name})")


def _with_keys(config: Path | None, assignments: list[str] | None, work: Callable[[ApiKeyStore], Awaitable[T]]) -> T:
    return run(_run(settings_of(config, assignments), work))


async def _run(settings: Settings, work: Callable[[ApiKeyStore], Awaitable[T]]) -> T:
    clock = SystemClock()
    databases = make_databases(settings.database, clock=clock)
    try:
        store = await databases.open(settings.database.server_database, SERVER_COLLECTIONS)
        try:
            return await work(ApiKeyStore(store, clock))
        finally:
            await store.close()
    finally:
        await databases.close()


def _view(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "account": key.account,
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }
