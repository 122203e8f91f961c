"""Runs a file of crypto vectors: `python -m tests.vectors.run FILE`; prints `N passed, N failed` last.

A vector passes when the product gives exactly its outcome: all `out` members equal, or a typed error whose reason
stands in the committed table `reasons.json`. A kind of case that is not known fails, and so does a file without cases.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.core.malformed import MalformedValue
from tests.vectors import ops_flows, ops_primitives

HERE = Path(__file__).parent
OPERATIONS = {**ops_primitives.OPERATIONS, **ops_flows.OPERATIONS}
CHECKS = {**ops_primitives.CHECKS, **ops_flows.CHECKS}


class VectorFailed(Exception):
    """A vector has another outcome than the product."""


@dataclass(frozen=True)
class Vector:
    """One case of a file."""

    id: str
    op: str
    members: dict[str, Any]

    @property
    def is_negative(self) -> bool:
        """Whether the product must refuse it."""
        return bool(self.members.get("fails")) or self.members.get("out") == {"valid": False}

    @property
    def kind_of_refusal(self) -> str:
        """What the table of reasons is keyed by besides ids, so that it serves other files of the same shape."""
        return f"{self.op}: {self.members.get('note') or self.members.get('upstreamError') or 'refused'}"


@cache
def reasons() -> dict[str, dict[str, str]]:
    """Returns the committed table: the reason of each negative vector by id, and of each kind of refusal."""
    table: dict[str, dict[str, str]] = json.loads((HERE / "reasons.json").read_text("utf-8"))
    return table


def vectors_of(path: Path) -> Iterator[Vector]:
    """Yields the cases of a file; raises VectorFailed when it has another shape or no cases."""
    document = json.loads(path.read_text("utf-8"))
    groups = document.get("groups") if isinstance(document, dict) else None
    if not isinstance(groups, dict):
        raise VectorFailed(f"{path}: not a file of vectors: `groups` is missing")
    count = 0
    for name, group in groups.items():
        for place, members in enumerate(group["vectors"]):
            count += 1
            yield Vector(members.get("id", f"{name}[{place}]"), members["op"], members)
    if not count:
        raise VectorFailed(f"{path}: holds no vectors")
    stated = document.get("meta", {}).get("counts", {}).get("total", count)
    if stated != count:
        raise VectorFailed(f"{path}: holds {count} vectors and states {stated}")


def refusal(vector: Vector) -> str:
    """Returns why the product refuses a negative vector: error class, field or official code."""
    try:
        outcome = _outcome(vector)
    except DomainError as error:
        return reason_of(error)
    raise VectorFailed(f"{vector.id}: must be refused and gave {sorted(outcome)}")


def reason_of(error: DomainError) -> str:
    """Returns the reason of an error as the table holds it."""
    if isinstance(error, MalformedValue):
        return f"{type(error).__name__} {error.field}"
    return f"{type(error).__name__} {error.official_code}" if error.official_code else type(error).__name__


def check(vector: Vector) -> None:
    """Returns when the vector passes; raises VectorFailed, or whatever the product raised, otherwise."""
    if not vector.is_negative:
        outcome, expected = _outcome(vector), vector.members["out"]
        if not expected:
            raise VectorFailed(f"{vector.id}: expects nothing that could be compared")
        for name, value in expected.items():
            if name not in outcome:
                raise VectorFailed(f"{vector.id}: nothing here gives `{name}`")
            if not _fits(outcome[name], value):
                raise VectorFailed(f"{vector.id}: `{name}` differs")
        return
    found = refusal(vector)
    wanted = reasons()["byKind"].get(vector.kind_of_refusal)
    if wanted is not None and found not in wanted.split(" | "):
        raise VectorFailed(f"{vector.id}: refused for `{found}`, not for `{wanted}`")


def _outcome(vector: Vector) -> dict[str, Any]:
    given, op = vector.members["in"], vector.op
    if op in CHECKS:
        CHECKS[op](given)
        return {"valid": True}
    if op in ops_flows.WITH_RECORDED:
        return ops_flows.WITH_RECORDED[op](given, vector.members["out"])
    if op not in OPERATIONS:
        raise VectorFailed(f"{vector.id}: unknown kind of case `{op}`")
    return OPERATIONS[op](given)


def _fits(found: Any, expected: Any) -> bool:
    # Nested objects of the vectors list only some of the forms.
    if isinstance(found, dict) and isinstance(expected, dict):
        return all(name in found and _fits(found[name], value) for name, value in expected.items())
    return type(found) is type(expected) and bool(found == expected)


def main(arguments: list[str] | None = None) -> int:
    """Runs the vectors of a file and returns the exit code: 0 when all of them pass."""
    parser = argparse.ArgumentParser(prog="python -m tests.vectors.run", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="JSON file of vectors, shaped as tests/vectors/crypto.json")
    path = parser.parse_args(arguments).file
    passed = failed = 0
    try:
        for vector in vectors_of(path):
            try:
                check(vector)
                passed += 1
            except Exception as error:
                failed += 1
                print(f"FAILED {vector.id} ({vector.op}): {type(error).__name__}: {error}")
    except (VectorFailed, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        failed += 1
        print(f"FAILED {path}: {type(error).__name__}: {error}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
