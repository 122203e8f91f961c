"""What holds for all tests: how much hypothesis tries, and that it tries the same on every run of the CI."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Time per example is the machine's; suites share two cores.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, max_examples=200, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
