"""The command as a process: what it prints, what it refuses, and what is left after a kill."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from enmeshed_backbone.__main__ import SettingsError, make_parser, read_settings
from enmeshed_backbone.settings import PasswordPolicy
from tests.support.backbone import SERVER_FOLDER, BackboneProcess
from tests.support.backbone_client import (
    FUTURE,
    SYNC_HEADERS,
    Device,
    log_in,
    new_identity,
    open_http,
    relate,
)

CLIENTS = 8
ENOUGH = 15


def run(*flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "enmeshed_backbone", *flags],
        env=os.environ | {"PYTHONPATH": str(SERVER_FOLDER)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--host", "0.0.0.0", "--port", "0", "--admin-port", "0"), "--allow-non-loopback"),
        (("--token-lifetime", "59"), "--token-lifetime"),
        (("--did-host", "127.0.0.1"), "--did-host"),
        (("--page-size", "500"), "--page-size"),
        (("--port", "70000"), "port"),
        (("--max-body-bytes", "0"), "--max-body-bytes"),
        (("--admin-port", "8090"), "--admin-port"),
        (("--sync-run-duration", "99999999999999999"), "--sync-run-duration"),
        (("--grace-period-days", "nan"), "--grace-period-days"),
        (("--keep-alive-interval", "nan"), "--keep-alive-interval"),
        (("--lockout", "-1"), "--lockout"),
        (("--client-id", ""), "--client-id"),
        (("--data", ""), "--data"),
        (("--log-level", "loud"), "--log-level"),
        (("--host", "nobody.invalid"), "nobody.invalid"),
        (("--data", "/nowhere/at/all.db", "--port", "0", "--admin-port", "0"), "/nowhere/at/all.db"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(flags: tuple[str, ...], text: str) -> None:
    ended = run(*flags)

    assert ended.returncode == 2
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_help_shows_what_the_variables_say_and_no_secret() -> None:
    ended = run("--help", ENMESHED_BACKBONE_DATA="100%.db", ENMESHED_BACKBONE_CLIENT_SECRET="hidden%s")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "100%.db" in ended.stdout
    assert "hidden" not in ended.stdout


def test_every_flag_has_a_variable() -> None:
    environment = {
        "ENMESHED_BACKBONE_PORT": "1234",
        "ENMESHED_BACKBONE_DID_HOST": "backbone.example",
        "ENMESHED_BACKBONE_PASSWORD_POLICY": "production",
        "ENMESHED_BACKBONE_GRACE_PERIOD_DAYS": "0.5",
        "ENMESHED_BACKBONE_ALLOW_NON_LOOPBACK": "true",
    }
    settings = read_settings(make_parser(environment).parse_args(["--port", "99"]))

    assert settings.port == 99
    assert settings.did_host == "backbone.example"
    assert settings.password_policy is PasswordPolicy.PRODUCTION
    assert settings.grace_period_days == 0.5
    assert settings.allow_non_loopback


def test_the_defaults_are_those_of_the_official_test_environment() -> None:
    settings = read_settings(make_parser({}).parse_args([]))

    assert (settings.port, settings.admin_port, settings.did_host) == (8090, 8091, "localhost")
    assert (settings.client_id, settings.client_secret, settings.admin_api_key) == ("test", "test", "test")
    assert (settings.token_lifetime, settings.page_size, settings.max_page_size) == (300, 50, 200)
    assert (settings.sync_run_duration, settings.max_sync_errors, settings.max_unreceived_messages) == (10, 3, 20)
    assert (settings.max_message_recipients, settings.max_body_bytes) == (5, 20 * 1024 * 1024)


def test_settings_out_of_bounds_are_errors() -> None:
    with pytest.raises(SettingsError):
        read_settings(make_parser({"ENMESHED_BACKBONE_SYNC_RUN_DURATION": "0"}).parse_args([]))


async def test_it_says_that_it_is_for_development_and_shows_no_secret() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "enmeshed_backbone", "--port", "0", "--admin-port", "0", "--client-secret", "hidden"),
        env=os.environ | {"PYTHONPATH": str(SERVER_FOLDER)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    first = await process.stdout.readline()
    lines = [first, *[await process.stdout.readline() for _ in range(3)]]
    process.terminate()
    rest, errors = await process.communicate()

    assert b"DEVELOPMENT ONLY" in first
    assert b"hidden" not in b"".join(lines) + rest + errors
    assert (process.returncode, errors) == (0, b"")


async def test_a_taken_port_is_told() -> None:
    async with BackboneProcess.start() as first:
        port = first.base_url.rpartition(":")[2]
        ended = await asyncio.to_thread(run, "--port", port, "--admin-port", "0")

    assert ended.returncode == 2
    assert f":{port} " in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_tokens_and_data_survive_a_restart(tmp_path: Path) -> None:
    flags = ("--data", str(tmp_path / "backbone.db"))
    async with BackboneProcess.start(*flags) as first, open_http(first.base_url) as http:
        device = await new_identity(http)
    async with BackboneProcess.start(*flags) as second, open_http(second.base_url) as http:
        device.http = http
        assert (await device.get("Identities/Self"))["address"] == device.address
        assert (await log_in(http, device.username, device.password)).status_code == 200


class Poster:
    """A client that posts as fast as it can and notes what was acknowledged."""

    def __init__(self, device: Device, peer: Device) -> None:
        self.device = device
        self.peer = peer
        self.acknowledged: dict[str, list[str]] = {"messages": [], "tokens": [], "datawallet_modifications": []}
        self.indexes: list[int] = []

    async def work(self) -> None:
        """Posts until the server is gone."""
        index = -1
        while True:
            try:
                sent = await self.device.send(self.peer)
                if sent.status_code == 201:
                    self.acknowledged["messages"].append(sent.json()["result"]["id"])
                else:
                    # Nobody fetches while this goes on, so at some time twenty messages wait.
                    await self.peer.call("GET", "Messages", params={"pageSize": 200})
                token = await self.device.post("Tokens", {"expiresAt": FUTURE, "content": "eA"})
                self.acknowledged["tokens"].append(token["id"])
                body = {"localIndex": index, "modifications": [_item(), _item()]}
                pushed = await self.device.post("Datawallet/Modifications", body, headers=SYNC_HEADERS)
                self.acknowledged["datawallet_modifications"] += [entry["id"] for entry in pushed["modifications"]]
                index = pushed["newIndex"]
                self.indexes.append(index)
            except httpx.TransportError:
                return


def _item() -> dict[str, Any]:
    return {"type": "Create", "objectIdentifier": "o", "collection": "c", "datawalletVersion": 1}


async def test_after_a_kill_everything_acknowledged_is_there_and_nothing_half_written(tmp_path: Path) -> None:
    path = tmp_path / "backbone.db"
    async with BackboneProcess.start("--data", str(path)) as process, open_http(process.base_url) as http:
        devices = [await new_identity(http) for _ in range(CLIENTS)]
        posters = [Poster(device, devices[number - 1]) for number, device in enumerate(devices)]
        for poster in posters:
            await relate(poster.device, poster.peer)
        async with asyncio.TaskGroup() as tasks:
            for poster in posters:
                tasks.create_task(poster.work())
            while any(len(poster.indexes) < ENOUGH for poster in posters):
                await asyncio.sleep(0.01)
            await process.kill()
    assert all(poster.acknowledged["messages"] for poster in posters)

    async with BackboneProcess.start("--data", str(path)) as process, open_http(process.base_url) as http:
        for poster in posters:
            poster.device.http = http
            ids = poster.acknowledged["tokens"]
            found = await poster.device.get("Tokens", params={"ids": ids[-200:], "pageSize": 200})
            assert [token["id"] for token in found] == ids[-200:]
    _assert_complete(path, posters)


def _assert_complete(path: Path, posters: list[Poster]) -> None:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        for table in ("messages", "tokens", "datawallet_modifications"):
            stored = {row["id"] for row in connection.execute(f"SELECT id FROM {table}")}
            acknowledged = {thing for poster in posters for thing in poster.acknowledged[table]}
            assert acknowledged <= stored, table
        # A message, its recipient and its event came together.
        messages = Counter(row["id"] for row in connection.execute("SELECT id FROM messages"))
        recipients = Counter(
            row["message_id"] for row in connection.execute("SELECT message_id FROM message_recipients")
        )
        events = Counter(
            row["id"]
            for row in connection.execute(
                "SELECT json_extract(payload, '$.id') AS id FROM external_events WHERE type = 'MessageReceived'"
            )
        )
        assert messages == recipients == events
        # Both modifications of a push came together, and no index is missing.
        for poster in posters:
            rows = connection.execute(
                "SELECT idx FROM datawallet_modifications WHERE address = ? ORDER BY idx", (poster.device.address,)
            ).fetchall()
            assert [row["idx"] for row in rows] == list(range(len(rows)))
            assert len(rows) % 2 == 0
    finally:
        connection.close()
