"""The command line as people and containers use it: as a process."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import pytest

from enmeshed.connector.v1 import devices_service_pb2 as devices_pb
from enmeshed_connector.cli.dev import playground
from tests.support.connector import running_connector
from tests.support.self_signed import make_certificate

COMMAND = Path(sys.executable).parent / "enmeshed-connector"


async def run(*arguments: str, folder: Path, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "ENMESHED_DATABASE__FOLDER": str(folder), "COLUMNS": "200", **(environment or {})},
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    code, secret, _ = await run("keys", "create", "erp", "--scope", "messages:*", folder=tmp_path)
    assert code == 0
    assert secret.startswith("emc_")
    code, listed, _ = await run("keys", "list", "--json", folder=tmp_path)
    (key,) = json.loads(listed)
    assert (key["name"], key["scopes"], key["revoked_at"]) == ("erp", ["messages:*"], None)
    assert secret.strip() not in listed
    code, _, _ = await run("keys", "revoke", "erp", folder=tmp_path)
    assert code == 0
    _, listed, _ = await run("keys", "list", "--json", folder=tmp_path)
    assert json.loads(listed)[0]["revoked_at"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("keys", "create", "erp", "--scope", "nothing:read"), 1, "scopes[0]"),
        (("keys", "revoke", "nobody"), 1, "nobody"),
        (("config", "check", "--set", "server.port=x"), 2, "server.port"),
        (("config", "check", "--set", "server.port"), 2, "NAME=VALUE"),
        (("config", "check", "-c", "/nonexistent"), 2, "/nonexistent"),
        (("demo", "--store", "oracle"), 2, "sqlite or mongodb"),
        (("demo", "--file-bytes", "7800001"), 2, "--file-bytes"),
        (("health", "-t", "localhost:1", "--timeout", "1"), 1, ""),
        (("identity", "-t", "localhost:1"), 1, "UNAVAILABLE"),
        (("identity", "onboard", "-a", "nobody", "-r", "x"), 2, "nobody"),
        (("identity", "onboard", "-a", "main"), 2, "--reference"),
        (("keys", "create", "erp", "--scope", "**", "--days", "1e10"), 2, "--days"),
        (("health", "-t", "localhost:1", "--ca-file", "/nonexistent"), 2, "/nonexistent"),
        (("identity", "-t", "localhost:1", "--ca-file", "/nonexistent"), 2, "/nonexistent"),
        (("identity", "-t", "localhost:1", "--api-key", "emc_x\r"), 2, "API key"),
        (("events", "tail", "-t", "localhost:1", "-a", "bärbel"), 2, "account"),
        (("config", "check", "--set", "backbone.ca_file=/nonexistent"), 2, "backbone.ca_file"),
        (("config", "check", "--set", "backbone.proxy=https://x"), 2, "backbone.proxy"),
        (("config", "check", "--set", "backbone.base_url=http://backbone.example.com"), 2, "base_url"),
        (("config", "check", "--set", "api_keys.bootstrap_file=/nonexistent"), 2, "api_keys.bootstrap_file"),
        (
            ("config", "check", "--set", "server.tls_key_file=/none", "--set", "server.tls_certificate_file=/none"),
            1,
            "TLS key cannot be read",
        ),
        (("serve", "--set", "backbone.ca_file=/nonexistent"), 2, "backbone.ca_file"),
        (("dev", "--data", str(Path(__file__))), 2, "--data"),
        (("serve", "--set", "server.host=0.0.0.0", "--set", "server.port=0"), 1, "API key"),
        (("serve", "--set", "backbone.base_url=http://backbone.example.com"), 2, "base_url"),
    ],
)
async def test_what_is_wrong_is_said_in_a_line(
    tmp_path: Path, arguments: tuple[str, ...], code: int, text: str
) -> None:
    actual, _, err = await run(*arguments, folder=tmp_path)
    assert actual == code, err
    assert text in err
    assert "Traceback" not in err


async def test_a_port_in_use_is_an_error_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = await run("serve", "--set", f"server.port={port}", folder=tmp_path)
    assert code == 1
    assert str(port) in err


async def test_a_port_of_the_embedded_backbone_in_use_is_said_in_a_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = await run("dev", "--port", "0", "--backbone-port", str(port), folder=tmp_path)
    assert code == 1
    assert str(port) in err
    assert "Traceback" not in err


async def test_tables_show_whole_values_as_they_are(tmp_path: Path) -> None:
    url = "http://[fe80::1]:8090/" + "x" * 200
    arguments = ("--set", f"backbone.base_url={url}", "--set", "backbone.dangerously_allow_plain_http=true")
    code, shown, err = await run("config", "check", *arguments, folder=tmp_path, environment={"COLUMNS": "40"})
    assert code == 0, err
    assert [line.split() for line in shown.splitlines() if "base_url" in line] == [["backbone.base_url", url]]


async def test_a_key_for_an_account_that_is_not_hosted_is_noted(tmp_path: Path) -> None:
    code, secret, err = await run("keys", "create", "erp", "-s", "**", "-a", "alise", folder=tmp_path)
    assert (code, secret[:4]) == (0, "emc_")
    assert "alise" in err


async def test_following_events_says_that_the_server_is_away(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        COMMAND, "events", "tail", "-t", "localhost:1", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    assert b"localhost:1 is away" in await process.stderr.readline()
    process.terminate()
    await process.communicate()


async def test_settings_are_shown_without_secrets(tmp_path: Path) -> None:
    hush = {"ENMESHED_BACKBONE__CLIENT_SECRET": "hush"}
    code, shown, _ = await run("config", "check", "--json", folder=tmp_path, environment=hush)
    assert code == 0
    assert json.loads(shown)["database"]["folder"] == str(tmp_path)
    assert "hush" not in shown


async def test_a_running_connector_is_asked(tmp_path: Path) -> None:
    async with running_connector(tmp_path / "connector", is_related=True) as running:
        key = {"ENMESHED_API_KEY": running.api_key}
        where = ("-t", running.target)
        code, shown, _ = await run("identity", *where, "-a", "bob", "--json", folder=tmp_path, environment=key)
        assert code == 0
        assert json.loads(shown)["address"] == running.accounts["bob"]
        code, shown, _ = await run("health", *where, "--timeout", "60", folder=tmp_path)
        assert (code, shown) == (0, "SERVING\n")
        tail = ("events", "tail", *where, "-a", "bob", "--from-beginning", "-n", "2", "--json", "transport.*")
        code, shown, _ = await run(*tail, folder=tmp_path, environment=key)
        assert code == 0
        assert [json.loads(line)["type"] for line in shown.splitlines()] == [
            "transport.peerRelationshipTemplateLoaded",
            "transport.relationshipChanged",
        ]
        code, _, err = await run("identity", *where, "-a", "bob", folder=tmp_path)
        assert code == 1
        assert "CREDENTIAL_MISSING" in err


@pytest.mark.parametrize("asks_for_certificates", [False, True])
async def test_a_connector_with_tls_is_asked_by_its_own_settings(tmp_path: Path, asks_for_certificates: bool) -> None:
    made = make_certificate(tmp_path, names="DNS:*.connector.example")
    tls = {"server.tls_certificate_file": str(made.certificate), "server.tls_key_file": str(made.key)}
    if asks_for_certificates:
        tls["server.client_ca_file"] = str(made.authority)
    async with playground(accounts=["main"], overrides=tls) as (connector, _backbone):
        await connector.wait_until_ready()
        flags = {**tls, "server.port": str(connector.port)}
        environment = {f"ENMESHED_{name.upper().replace('.', '__')}": value for name, value in flags.items()}
        code, shown, _ = await run("health", "--timeout", "60", folder=tmp_path, environment=environment)
        assert (code, shown) == (0, "SERVING\n")
        # Somebody else's certificate is not taken for it.
        (tmp_path / "foreign").mkdir()
        foreign = make_certificate(tmp_path / "foreign")
        code, shown, err = await run(
            "health", "--ca-file", str(foreign.authority), folder=tmp_path, environment=environment
        )
        assert (code, shown.startswith("UNAVAILABLE")) == (1, True), err


async def test_the_demo_does_the_main_job(tmp_path: Path) -> None:
    # The largest file that a Backbone takes.
    code, told, err = await run("demo", "--file-bytes", "7800000", folder=tmp_path)
    assert code == 0, err
    assert "not a byte is different" in told


async def test_an_account_is_onboarded_from_the_token_of_another_device(tmp_path: Path) -> None:
    async with running_connector(tmp_path / "first", overrides={"accounts.alice.datawallet": "true"}) as running:
        async with running.client("alice") as alice:
            created = await alice.call(alice.service("Devices").CreateDevice, devices_pb.CreateDeviceRequest())
        settings = {
            "ENMESHED_REFERENCE": created.token.reference.truncated,
            "ENMESHED_BACKBONE__BASE_URL": running.backbone.base_url,
            "ENMESHED_ACCOUNTS__COPY__DATAWALLET": "true",
        }
        code, out, err = await run("identity", "onboard", "-a", "copy", folder=tmp_path, environment=settings)
    assert code == 0, err
    assert running.accounts["alice"] in out
    assert created.token.reference.truncated not in out + err
