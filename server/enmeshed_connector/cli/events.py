"""`enmeshed-connector events`: what happens in an account."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format

from enmeshed_client import ConnectorError
from enmeshed_connector.cli.loop import run
from enmeshed_connector.cli.options import (
    DEFAULT_TARGET,
    AccountOption,
    ApiKeyOption,
    CaFileOption,
    JsonOption,
    TargetOption,
    connect,
)
from enmeshed_connector.cli.output import print_line


def make_app() -> typer.Typer:
    """Returns the commands."""
    app = typer.Typer(help="Shows events.", no_args_is_help=True, rich_markup_mode=None)
    app.command("tail")(tail)
    # With one command alone, typer would take its name away.
    app.callback()(_nothing)
    return app


def tail(
    types: Annotated[
        list[str] | None, typer.Argument(help="Types or patterns, such as 'transport.*'. Default: all.")
    ] = None,
    beginning: Annotated[bool, typer.Option("--from-beginning", help="Begins with the oldest event.")] = False,
    after: Annotated[str | None, typer.Option("--after", help="A resume token: begins right behind it.")] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="Ends after so many events.")] = None,
    target: TargetOption = DEFAULT_TARGET,
    api_key: ApiKeyOption = None,
    account: AccountOption = None,
    ca_file: CaFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prints events as they happen, across restarts of the server, until interrupted."""
    run(_tail(types or [], beginning, after, count, (target, api_key, account, ca_file), as_json))


async def _tail(
    types: list[str],
    beginning: bool,
    after: str | None,
    count: int | None,
    where: tuple[str, str | None, str | None, Path | None],
    as_json: bool,
) -> None:
    async with connect(*where) as connector:
        seen = 0
        is_away = False

        def lost(problem: ConnectorError) -> None:
            nonlocal is_away
            if not is_away:
                sys.stderr.write(f"{where[0]} is away ({problem.message}): trying again\n")
            is_away = True

        def connected() -> None:
            nonlocal is_away
            is_away = False

        async for received in connector.follow(
            *types, after=after, from_beginning=beginning, on_connected=connected, on_lost=lost
        ):
            event = received.event
            if as_json:
                members = json_format.MessageToDict(event)
                print_line(json.dumps({**members, "resumeToken": received.resume_token}, ensure_ascii=False))
            else:
                kind = event.WhichOneof("data")
                subject = getattr(getattr(event, kind), "id", "") if kind else ""
                print_line(f"{event.create_time.ToJsonString()}  {event.account:<12}  {event.type:<48}  {subject}")
            seen += 1
            if seen == count:
                return


def _nothing() -> None:
    """Shows events."""
