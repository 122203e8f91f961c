"""`enmeshed-connector identity`: who an account is."""

from __future__ import annotations

from pathlib import Path

from enmeshed.connector.v1 import account_service_pb2 as pb
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
from enmeshed_connector.cli.output import print_json, print_table


def identity(
    target: TargetOption = DEFAULT_TARGET,
    api_key: ApiKeyOption = None,
    account: AccountOption = None,
    ca_file: CaFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows the identity of an account of a running Connector, and when it was last synchronised."""
    found = run(_ask(target, api_key, account, ca_file))
    if as_json:
        print_json(found)
    else:
        print_table(("", ""), [(name, value or "never") for name, value in found.items()])


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
