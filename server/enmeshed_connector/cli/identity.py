"""`enmeshed-connector identity`: who an account is, and how it becomes a device of an identity that exists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from enmeshed.connector.v1 import account_service_pb2 as pb
from enmeshed_connector.cli.loop import run
from enmeshed_connector.cli.options import (
    DEFAULT_TARGET,
    AccountOption,
    ApiKeyOption,
    CaFileOption,
    ConfigOption,
    JsonOption,
    SetOption,
    TargetOption,
    connect,
    settings_of,
)
from enmeshed_connector.cli.output import print_json, print_line, print_table
from enmeshed_connector.core.secret_bytes import SecretText


def make_app() -> typer.Typer:
    """Returns the commands; without one, `identity` shows who an account is."""
    app = typer.Typer(
        help="Shows the identity of an account, or makes the account a device of an existing identity.",
        invoke_without_command=True,
        rich_markup_mode=None,
    )
    app.callback()(identity)
    app.command("onboard")(onboard)
    return app


def identity(
    context: typer.Context,
    target: TargetOption = DEFAULT_TARGET,
    api_key: ApiKeyOption = None,
    account: AccountOption = None,
    ca_file: CaFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows the identity of an account of a running Connector, and when it was last synchronised."""
    if context.invoked_subcommand is not None:
        return
    found = run(_ask(target, api_key, account, ca_file))
    if as_json:
        print_json(found)
    else:
        print_table(("", ""), [(name, value or "never") for name, value in found.items()])


def onboard(
    account: Annotated[str, typer.Option("--account", "-a", help="The account; it has no identity yet.")],
    reference: Annotated[
        str,
        typer.Option(
            "--reference",
            "-r",
            envvar="ENMESHED_REFERENCE",
            help="The reference of an onboarding token or recovery kit. Whoever has it has the identity.",
        ),
    ],
    password: Annotated[
        str | None, typer.Option("--password", envvar="ENMESHED_PASSWORD", help="The password of a recovery kit.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="How the device is to be called.")] = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Makes an account a device of an existing identity, while no server serves it. Safe to repeat."""
    # This takes a second to import, which showing an identity need not wait for.
    from enmeshed_connector.app.onboarding import onboard_account

    settings = settings_of(config, assignments)
    secret = None if password is None else SecretText(password)
    address = run(onboard_account(settings, account, reference, secret, device_name=name))
    if as_json:
        print_json({"account": account, "address": address})
    else:
        print_line(f"{account} is a device of {address} now")


async def _ask(target: str, api_key: str | None, account: str | None, ca_file: Path | None) -> dict[str, str | None]:
    async with connect(target, api_key, account, ca_file) as connector:
        info = await connector.call(connector.account.GetIdentityInfo, pb.GetIdentityInfoRequest(), timeout=10)
        sync = await connector.call(connector.account.GetSyncInfo, pb.GetSyncInfoRequest(), timeout=10)
    last = sync.last_sync_time.ToJsonString() if sync.HasField("last_sync_time") else None
    return {
        "account": info.account.name,
        "address": info.account.address,
        "public_key": info.account.public_key,
        "last_sync": last,
    }
