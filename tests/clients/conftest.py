"""What the tests of clients share: the rules about Node.js and Go, and a Connector."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.connector import RunningConnector, running_connector
from tests.support.mongodb import running_server

CLIENTS = Path(__file__).resolve().parents[2] / "clients"


def missing_for(item: pytest.Item) -> str | None:
    """Returns what a test needs and this machine does not have."""
    if item.get_closest_marker("node"):
        packages = CLIENTS / "typescript" / "node_modules" / "@grpc" / "grpc-js"
        if shutil.which("node") is None or not packages.is_dir():
            return "needs Node.js 20 and `npm ci --prefix clients/typescript`"
    if item.get_closest_marker("golang") and shutil.which("go") is None:
        return "needs Go 1.24"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips tests whose language is not installed, and fails them in CI."""
    missing = missing_for(item)
    if missing is not None:
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)


@pytest.fixture(params=["sqlite", "mongodb"])
async def connector(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningConnector]:
    """A Connector whose accounts alice and bob have an active relationship, on each kind of database."""
    overrides: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        if request.param == "mongodb":
            server = stack.enter_context(running_server(folder=tmp_path / "mongodb"))
            overrides = {"database.driver": "motor", "database.connection_string": server.uri}
        async with running_connector(tmp_path / "connector", overrides=overrides, is_related=True) as running:
            yield running
