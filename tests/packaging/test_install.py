"""What the container image is built with: `make install`, and the Connector it gives."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


async def run(*command: str | Path, cwd: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=dict(os.environ)
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is absent")
@pytest.mark.timeout(300)
async def test_make_install_gives_a_connector_without_tools_that_does_the_main_job(tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    environment = Path(sys.prefix)
    await run("make", "install", f"PREFIX={prefix}", f"PYTHON={sys.executable}", f"VENV={environment}", cwd=ROOT)
    command = prefix / "bin" / "enmeshed-connector"
    assert "0.1.0" in await run(command, "--version", cwd=tmp_path)
    assert "not a byte is different" in await run(command, "demo", "--file-bytes", "1000", cwd=tmp_path)
    installed = {path.name for path in (prefix / "bin").iterdir()}
    assert not installed & {"pytest", "ruff", "mypy", "secantusd-py", "buf"}
