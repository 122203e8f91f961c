"""What the README and the integration example print is run as it stands."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from enmeshed_connector.cli.dev import playground

ROOT = Path(__file__).parents[2]


EXAMPLE = "docs/integration-example.md"


def block(marker: str, document: str = "README.md") -> str:
    match = re.search(rf"<!-- {marker}: [^>]*-->\n```\w+\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    assert match, f"{document} has no block {marker}"
    return match[1]


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with playground() as (connector, _):
        await connector.wait_until_ready()
        yield connector.port


async def run(*command: str, port: int, text: str) -> str:
    search_path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PATH": search_path},
    )
    output, _ = await process.communicate(text.replace("localhost:50051", f"localhost:{port}").encode())
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_the_walk_delivers_a_mail_with_a_file_and_the_python_example_another(port: int) -> None:
    walked = (await run("bash", "-e", "-u", "-o", "pipefail", "-s", port=port, text=block("walk"))).splitlines()
    assert re.fullmatch(r"did:e:localhost:dids:[0-9a-f]{22}", walked[0])
    assert walked[1].startswith("REL")
    assert walked[2] == "RELATIONSHIP_STATUS_ACTIVE"
    assert walked[3].startswith("FIL")
    assert walked[4].startswith("MSG")
    assert walked[5:] == ["Hello", "Hello", "hello"]
    told = await run(sys.executable, "-", port=port, text=block("python"))
    assert told.splitlines()[-1] == "From Python"


async def test_the_integration_example_wins_a_customer_by_grpcurl(port: int) -> None:
    command = ("bash", "-e", "-u", "-o", "pipefail", "-s")
    told = (await run(*command, port=port, text=block("story", EXAMPLE))).splitlines()
    assert (told[0][:3], told[2][:3]) == ("ATT", "REQ")
    assert [told[1], *told[3:]] == [
        "true",
        "true",
        "LOCAL_REQUEST_STATUS_COMPLETED",
        "RELATIONSHIP_STATUS_ACTIVE",
        "Bob",
        "Welcome",
        "Welcome",
    ]


async def test_the_integration_example_wins_a_customer_in_python(port: int) -> None:
    told = await run(sys.executable, "-", port=port, text=block("python", EXAMPLE))
    assert told.splitlines() == ["Bob wants to be a customer", "Welcome, Bob", "Welcome"]


async def test_the_core_exchanges_a_message() -> None:
    assert (await run(sys.executable, "-", port=0, text=block("core"))).splitlines()[-1] == "Hello, Bob"
