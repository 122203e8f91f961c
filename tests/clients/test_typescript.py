"""The TypeScript client: compiled strictly, its own tests, its stubs, and its example against a real Connector."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.clients.conftest import CLIENTS
from tests.clients.example_contract import ExampleContract, run

pytestmark = pytest.mark.node
HOME = CLIENTS / "typescript"


@pytest.fixture(scope="module")
def example() -> list[str]:
    """The compiled example."""
    built = subprocess.run(["npm", "run", "--silent", "build"], cwd=HOME, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return ["node", str(HOME / "dist" / "examples" / "send-and-follow.js")]


class TestExample(ExampleContract):
    """`examples/send-and-follow.ts`."""


async def test_the_client_passes_its_own_tests(example: list[str]) -> None:
    # One process for all: the machine is shared with other tests.
    finished = await run(["node", "--test", HOME / "dist" / "test" / "client.test.js"], cwd=HOME)
    assert finished.code == 0, finished.output


async def test_the_stubs_are_what_the_protos_give() -> None:
    finished = await run([sys.executable, CLIENTS / "generate.py", "--check", "typescript"], cwd=CLIENTS)
    assert (finished.code, finished.errors) == (0, "")


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (HOME / "package-lock.json").read_text()
