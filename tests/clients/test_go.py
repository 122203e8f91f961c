"""The Go client: vetted, its own tests, its stubs, and its example against a real Connector."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.clients.conftest import CLIENTS
from tests.clients.example_contract import ExampleContract, run

# The first build compiles grpc-go.
pytestmark = [pytest.mark.golang, pytest.mark.timeout(400)]
HOME = CLIENTS / "go"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The compiled example."""
    program = tmp_path_factory.mktemp("go") / "send-and-follow"
    command = ["go", "build", "-o", str(program), "./examples/send-and-follow"]
    built = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return [str(program)]


class TestExample(ExampleContract):
    """`examples/send-and-follow`."""


def test_the_client_is_vetted_and_passes_its_own_tests() -> None:
    for arguments in (["vet", "./..."], ["test", "-count=1", "./..."]):
        done = subprocess.run(["go", *arguments], cwd=HOME, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_code_is_formatted() -> None:
    written = [str(path) for path in HOME.rglob("*.go") if "gen" not in path.relative_to(HOME).parts]
    done = subprocess.run(["gofmt", "-l", *written], capture_output=True, text=True, check=True)
    assert done.stdout == ""


async def test_the_stubs_are_what_the_protos_give() -> None:
    finished = await run([sys.executable, CLIENTS / "generate.py", "--check", "go"], cwd=CLIENTS)
    # The first run on a machine tells what it fetches.
    told = [line for line in finished.errors.splitlines() if not line.startswith("go: downloading ")]
    assert (finished.code, told) == (0, [])
