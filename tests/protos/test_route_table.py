"""The table of the official Connector's routes names a call for each, or a reason, and every call of the contract."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from grpc_health.v1 import health_pb2

from enmeshed.connector import v1

TABLE = Path(__file__).parents[2] / "docs" / "route-table.md"
OFFICIAL = json.loads((Path(__file__).parent / "official_routes.json").read_text())
"""What there is to be said something about: `routes` (`GET /Files`) and `useCases` (`drafts.getDraft`)."""

NOT_OFFERED = "not offered: "


class Row(NamedTuple):
    """A line of the table."""

    what: str
    """The route or the use case; in the list of ours the call itself."""
    calls: tuple[str, ...]
    """`Service.Call` without package, empty where nothing is offered."""
    note: str


def rows(text: str, heading: str) -> list[Row]:
    """Returns the lines below a heading; those of `+ ours` have their call in the first column."""
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"there is no section {heading}"
    lines = [line.strip("| ").split(" | ") for line in section[1].splitlines() if line.startswith("| `")]
    if heading == "+ ours":
        return [Row(spans(line[0])[0], spans(line[0]), line[1]) for line in lines]
    width = 4 if heading == "Routes" else 3
    padded = [[*line, ""][:width] for line in lines]
    return [Row(spans(line[0])[0], spans(line[-2]), line[-1].removesuffix(" |")) for line in padded]


def spans(cell: str) -> tuple[str, ...]:
    """Returns what stands between back quotes."""
    return tuple(re.findall(r"`([^`]+)`", cell))


def contract() -> dict[str, MethodDescriptor]:
    """Returns every call of the contract by the name that the table uses for it."""
    modules = [importlib.import_module(f"{v1.__name__}.{module.name}") for module in pkgutil.iter_modules(v1.__path__)]
    files = [module.DESCRIPTOR for module in modules if module.__name__.endswith("_pb2")]
    return {
        f"{service.name}.{method.name}": method
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    }


def of_others() -> dict[str, MethodDescriptor]:
    """Returns the calls that gRPC itself defines, by their full names."""
    service = health_pb2.DESCRIPTOR.services_by_name["Health"]
    return {method.full_name: method for method in service.methods}


def faults(text: str) -> list[str]:
    """Returns what is wrong with the table, empty when nothing is."""
    routes, use_cases, ours = (rows(text, name) for name in ("Routes", "Use cases that no route offers", "+ ours"))
    known, found = contract() | of_others(), []
    for expected, there in ((OFFICIAL["routes"], routes), (OFFICIAL["useCases"], use_cases)):
        names = [row.what for row in there]
        found += [f"missing: {name}" for name in expected if name not in names]
        found += [f"not official: {name}" for name in names if name not in expected]
        found += [f"twice: {name}" for name in sorted({name for name in names if names.count(name) > 1})]
    for row in (*routes, *use_cases, *ours):
        if bool(row.calls) is row.note.startswith(NOT_OFFERED):
            found.append(f"neither call nor reason, or both: {row.what}")
        found += [f"no such call: {call}" for call in row.calls if call not in known]
        found += [
            f"no such field: {span} of {row.what}"
            for span in spans(row.note)
            if row.calls and row.calls[0] in known and "." not in span and " " not in span
            if not has_field(known[row.calls[0]].input_type, span)
        ]
    named = [call for row in (*routes, *use_cases) for call in row.calls]
    found += [f"not ours alone: {row.what}" for row in ours if row.what in named]
    found += [f"not in the table: {call}" for call in contract() if call not in {*named, *(row.what for row in ours)}]
    return found


def has_field(message: Descriptor, name: str) -> bool:
    """Tells whether a request, or the filter in it, has a field."""
    inner = message.fields_by_name.get("filter")
    return name in message.fields_by_name or (
        inner is not None and inner.message_type is not None and name in inner.message_type.fields_by_name
    )


def test_the_table_says_something_of_every_official_route_and_of_every_call() -> None:
    assert faults(TABLE.read_text()) == []


def line_of(name: str) -> str:
    (line,) = [line for line in TABLE.read_text().splitlines() if line.startswith(f"| `{name}` |")]
    return line


def test_a_missing_line_is_found() -> None:
    for name in ("PUT /Relationships/CanCreate", "drafts.getDraft"):
        assert f"missing: {name}" in faults(TABLE.read_text().replace(line_of(name) + "\n", ""))


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        ("GET /Announcements", "`Announcements.ListAnnouncements`", "–", "neither call nor reason, or both"),
        ("GET /favicon.ico", NOT_OFFERED, "", "neither call nor reason, or both"),
        ("GET /Announcements", "ListAnnouncements", "ListNews", "no such call: Announcements.ListNews"),
        ("GET /Announcements", "ListAnnouncements", "ListNews", "not in the table: Announcements.ListAnnouncements"),
        ("Events.Subscribe", "Events.Subscribe", "Events.ListEvents", "not in the table: Events.Subscribe"),
        ("settings.upsertSettingByKey", "`key`", "`keys`", "no such field: keys"),
        ("GET /Announcements", "GET /Announcements", "GET /News", "not official: GET /News"),
    ],
)
def test_a_wrong_line_is_found(name: str, old: str, new: str, fault: str) -> None:
    line = line_of(name)
    assert old in line
    found = faults(TABLE.read_text().replace(line, line.replace(old, new)))
    assert any(text.startswith(fault) for text in found), found
