"""What holds for all tests: how much hypothesis tries, the same on every run of the CI, and what failures show."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Time per example is the machine's; suites share two cores.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, max_examples=200, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# Their assertions tell what differed, as those of the tests do.
pytest.register_assert_rewrite("tests.support")
