"""How commands show things to people (tables) and to machines (`--json`)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text


def print_json(value: Any) -> None:
    """Prints a value as one JSON document."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_line(text: str) -> None:
    """Prints a line to standard output, as it is."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table for people; no value is cut, however narrow the terminal is."""
    lines = [columns, *rows]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    out = Console(soft_wrap=True)
    for number, line in enumerate(lines):
        cells = (value + " " * (width - cell_len(value)) for value, width in zip(line, widths, strict=True))
        text = "  ".join(cells).rstrip()
        if text:
            # As a Text, for brackets in a value are no markup.
            out.print(Text(text, style="" if number else "bold"))


def console() -> Console:
    """Returns what writes for people while something goes on: standard error, so that output can be piped."""
    return Console(stderr=True)
