"""The official packages are pinned all the way down, and nothing says where they come from."""

from __future__ import annotations

import json

from tests.interop.official_peer.official_peer import HOME


def test_every_package_of_the_peer_is_pinned_by_version_and_digest() -> None:
    lock = json.loads((HOME / "package-lock.json").read_text())
    packages = {path: entry for path, entry in lock["packages"].items() if path}

    assert "node_modules/@nmshd/runtime" in packages
    for path, entry in packages.items():
        assert entry["version"], path
        assert entry["integrity"].startswith("sha512-"), path


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((HOME / "package-lock.json").read_text())

    assert [path for path, entry in lock["packages"].items() if "resolved" in entry] == []
    assert "omit-lockfile-registry-resolved=true" in (HOME / ".npmrc").read_text()
