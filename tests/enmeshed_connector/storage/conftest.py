"""Fixtures of the storage suites: everything that takes `stores` or `store` runs on every adapter."""

from __future__ import annotations

import pytest

from tests.support.mongodb import kinds_to_test, prepare
from tests.support.stores import BACKENDS, mongo_servers, store, stores

__all__ = ["mongo_servers", "store", "stores"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs tests on every backend, or on those that a module names in `RUNS_ON`."""
    if "stores" in metafunc.fixturenames:
        # While tests are collected there is no time limit.
        prepare(kinds_to_test())
        metafunc.parametrize("stores", getattr(metafunc.module, "RUNS_ON", BACKENDS), indirect=True)
