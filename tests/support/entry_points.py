"""Entry points as an installed distribution would have them."""

from __future__ import annotations

from pathlib import Path

import pytest


def install_entry_point(monkeypatch: pytest.MonkeyPatch, folder: Path, group: str, **targets: str) -> None:
    """Makes entry points known to this process until the test ends.

    Args:
        monkeypatch: Of the test.
        folder: An empty one, where the distribution stands.
        group: The group.
        targets: Names and what they lead to, `package.module:object`.
    """
    information = folder / "standin-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: standin\nVersion: 1.0\n")
    lines = [f"[{group}]", *(f"{name} = {target}" for name, target in targets.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(folder)
