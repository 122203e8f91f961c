"""`enmeshed-connector config`: the settings, checked and explained."""

from __future__ import annotations

import os

import typer

from enmeshed_connector.app.settings import printable
from enmeshed_connector.app.settings_sample import sample
from enmeshed_connector.cli.loop import run
from enmeshed_connector.cli.options import ConfigOption, JsonOption, SetOption, settings_of
from enmeshed_connector.cli.output import print_json, print_line, print_table


def make_app() -> typer.Typer:
    """Returns the commands."""
    app = typer.Typer(help="Checks and explains settings.", no_args_is_help=True, rich_markup_mode=None)
    app.command("check")(check)
    app.command("sample")(print_sample)
    return app


def check(config: ConfigOption = None, assignments: SetOption = None, as_json: JsonOption = False) -> None:
    """Checks the settings and the files that they name, and prints them; secrets are blanked."""
    # Takes a moment to import, which other commands need not wait for.
    from enmeshed_connector.app.start_checks import check_start

    settings = settings_of(config, assignments)
    run(check_start(settings, os.environ))
    tree = printable(settings)
    if as_json:
        print_json(tree)
        return
    rows: list[tuple[str, str]] = []

    def add(prefix: str, value: object) -> None:
        if isinstance(value, dict) and value:
            for name, part in value.items():
                add(f"{prefix}.{name}" if prefix else name, part)
        else:
            rows.append((prefix, "(unset)" if value is None else str(value)))

    add("", tree)
    print_table(("setting", "value"), rows)


def print_sample() -> None:
    """Prints a settings file with every option, explained and at its default."""
    print_line(sample().rstrip())
