"""Content between JSON and messages, and its rules: `python -m tests.bench.bench_content [--json FILE]`.

Sizes are those of compact JSON text. Parsing and writing the text itself is not part of the figures.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import Any

from enmeshed.content.v1 import content_pb2
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import dump_bytes
from tests.bench.harness import Report, Timing, measure, measure_together, run_suite
from tests.support import content_samples as samples

AIM_MICROSECONDS_PER_KIB = 150.0


def main(arguments: argparse.Namespace) -> Report:
    """Returns the figures."""
    report = Report("Content: JSON to message and back", "python -m tests.bench.bench_content")
    codec, validator = ContentCodec(), ContentValidator(datetime.now(UTC))
    report.add("making a codec", microseconds=measure(ContentCodec, repeats=arguments.repeats).median_seconds * 1e6)
    for name, value in _contents().items():
        content = codec.content_from_json(value)
        size = len(dump_bytes(value))
        timings = measure_together(
            {
                "to message": lambda value=value: codec.content_from_json(value),  # type: ignore[misc]
                "to JSON": lambda content=content: codec.json_from_content(content),  # type: ignore[misc]
                "rules": lambda value=value: _validate(validator, value),  # type: ignore[misc]
                "protobuf": lambda content=content: content_pb2.Content.FromString(content.SerializeToString()),  # type: ignore[misc]
            },
            repeats=arguments.repeats,
        )
        kind = content.WhichOneof("kind")
        for step, timed in timings.items():
            if step != "rules" or kind not in ("json", "raw_json"):
                _add(report, f"{name}: {step}", size, timed, has_aim=step.startswith("to "))
    return report


def _contents() -> dict[str, Any]:
    items = samples.request_items()
    attributes = items["CreateAttributeRequestItem"]
    plain = {"name": "Ada", "numbers": [1, 2.5, 3], "nested": {"a": {"b": [True, None, "text"]}}}
    return {
        "mail": samples.mail(body="Lorem ipsum dolor sit amet. " * 30),
        "request, one item": samples.request(items["ReadAttributeRequestItem"][0]),
        "request, all items": samples.roots()["Request"][0],
        "request, attributes": samples.request(*attributes),
        "response": samples.roots()["ResponseWrapper"][0],
        "JSON of one's own": {"@type": "ArbitraryMessageContent", "value": [plain] * 10},
        "object of unknown type": {"@type": "Unknown", "value": [plain] * 10},
        "raw: a number past 2^53": {"@type": "Unknown", "value": [plain] * 10, "big": 2**60},
    }


def _validate(validator: ContentValidator, value: Any) -> None:
    if value["@type"] != "Unknown":
        validator.validate_content(value)


def _add(report: Report, name: str, size: int, timed: Timing, *, has_aim: bool) -> None:
    per_kib = timed.median_seconds * 1e6 / (size / 1024)
    report.add(
        name,
        aim=f"under {AIM_MICROSECONDS_PER_KIB:.0f} µs per KiB" if has_aim else None,
        is_met=per_kib < AIM_MICROSECONDS_PER_KIB if has_aim else None,
        bytes=size,
        microseconds=timed.median_seconds * 1e6,
        microseconds_per_kib=per_kib,
    )


if __name__ == "__main__":
    sys.exit(run_suite("Content between JSON and messages, and its rules.", main))
