"""What bench suites share: repeated timing, medians, ratios within one run, a table and a JSON file.

A suite is a module `tests.bench.bench_<name>` with a `main` that fills a `Report`; `make bench` runs each with
`--json FILE`. Figures are printed, never asserted: the machine decides them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

DEFAULT_REPEATS = 15
DEFAULT_BATCH_SECONDS = 0.02


@dataclass(frozen=True)
class Timing:
    """The time of one call, from several batches of calls."""

    median_seconds: float
    fastest_seconds: float
    slowest_seconds: float
    repeats: int
    calls_per_repeat: int


@dataclass(frozen=True)
class Row:
    """One figure of a suite."""

    name: str
    values: Mapping[str, float | str]
    """By column; numbers as they are, with the unit in the column's name."""
    aim: str | None = None
    """The figure that is aimed at, in words."""
    is_met: bool | None = None
    """Whether this run met the aim."""


@dataclass
class Report:
    """The figures of a suite, with the machine and the command that gave them."""

    title: str
    command: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, *, aim: str | None = None, is_met: bool | None = None, **values: float | str) -> None:
        """Adds a row; keyword arguments become its columns."""
        self.rows.append(Row(name, values, aim, is_met))

    def print(self) -> None:
        """Prints the figures as a table."""
        table = Table(title=self.title, caption=f"{self.command} · {_machine_line()}")
        columns = list(dict.fromkeys(name for row in self.rows for name in row.values))
        has_aims = any(row.aim for row in self.rows)
        table.add_column("what")
        for column in columns:
            table.add_column(column.replace("_", " "), justify="right")
        if has_aims:
            table.add_column("aim")
        for row in self.rows:
            cells = [_cell(row.values.get(column)) for column in columns]
            mark = "" if row.is_met is None else (" met" if row.is_met else " MISSED")
            table.add_row(row.name, *cells, *([f"{row.aim or ''}{mark}"] if has_aims else []))
        console = Console(width=None if sys.stdout.isatty() else 160)
        console.print(table)
        for note in self.notes:
            console.print(note)

    def write(self, path: Path) -> None:
        """Writes the figures as JSON; the folder is made when it is not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {**asdict(self), "machine": machine(), "time": datetime.now(UTC).isoformat(timespec="seconds")}
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")


def measure(
    call: Callable[[], object], *, repeats: int = DEFAULT_REPEATS, batch_seconds: float = DEFAULT_BATCH_SECONDS
) -> Timing:
    """Returns the time of one call; each repeat times as many calls as fill `batch_seconds`, at least one."""
    return measure_together({"": call}, repeats=repeats, batch_seconds=batch_seconds)[""]


def measure_together(
    calls: Mapping[str, Callable[[], object]],
    *,
    repeats: int = DEFAULT_REPEATS,
    batch_seconds: float = DEFAULT_BATCH_SECONDS,
) -> dict[str, Timing]:
    """Returns the time of one call of each; the batches take turns, so that a slow moment of the machine hits all."""
    counts = {name: _calls_for(call, batch_seconds) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            samples[name].append(_batch(call, counts[name]) / counts[name])
    return {name: timing(values, counts[name]) for name, values in samples.items()}


def timing(samples: Sequence[float], calls_per_repeat: int = 1) -> Timing:
    """Returns the summary of measured seconds per call, for suites that time by themselves."""
    return Timing(statistics.median(samples), min(samples), max(samples), len(samples), calls_per_repeat)


def ratio(timed: Timing, base: Timing) -> float:
    """Returns how many times as long the first takes as the second, by medians of the same run."""
    return timed.median_seconds / base.median_seconds


def machine() -> dict[str, Any]:
    """Returns what matters of the machine for reading the figures."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def run_suite(description: str, main: Callable[[argparse.Namespace], Report]) -> int:
    """Parses the arguments that all suites take, runs the suite, prints it and writes the JSON file when asked to.

    Args:
        description: One line, for `--help`.
        main: Gets the arguments `repeats` and `json`, gives the report.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--repeats", type=int, default=DEFAULT_REPEATS, help="timed batches per figure")
    arguments = parser.parse_args()
    report = main(arguments)
    report.print()
    if arguments.json is not None:
        report.write(arguments.json)
    return 0


def _calls_for(call: Callable[[], object], batch_seconds: float) -> int:
    call()
    count = 1
    while True:
        taken = _batch(call, count)
        if taken >= batch_seconds / 4 or taken >= 1:
            return max(1, round(count * batch_seconds / taken))
        count *= 4


def _batch(call: Callable[[], object], count: int) -> float:
    rounds = range(count)
    begin = time.perf_counter()
    for _ in rounds:
        call()
    return time.perf_counter() - begin


def _cell(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _machine_line() -> str:
    found = machine()
    return f"{found['processor']}, {found['cores']} cores, {found['system']}, {found['python']}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
