"""The permission tables against the protos, scopes, and which events a reader gets."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from enmeshed.connector import v1
from enmeshed.connector.v1 import event_pb2
from enmeshed_connector.api.errors import EventTypeUnknown, PermissionDenied
from enmeshed_connector.api.event_selection import EventSelection, patterns_overlap
from enmeshed_connector.api.permissions import (
    ALL_PERMISSIONS,
    EVENTS,
    METHODS,
    event_pattern,
    event_permission,
)
from enmeshed_connector.api.scopes import EVERYTHING, Scopes, check_scopes
from enmeshed_connector.core.errors import InvalidArgument

PROTOS = Path(__file__).parents[3] / "protos" / "enmeshed" / "connector" / "v1"


def contract_methods() -> set[str]:
    names = set()
    for module in pkgutil.iter_modules(v1.__path__):
        if module.name.endswith("_service_pb2"):
            file = importlib.import_module(f"{v1.__name__}.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                names |= {f"/{service.full_name}/{method.name}" for method in service.methods}
    return names


def test_every_call_of_the_contract_has_a_row_and_no_row_is_left_over() -> None:
    assert {name for name in METHODS if name.startswith("/enmeshed.")} == contract_methods()
    assert all(METHODS[name].permissions for name in contract_methods())


def test_the_comment_of_each_call_names_the_permissions_of_its_row() -> None:
    for path in PROTOS.glob("*_service.proto"):
        text = path.read_text()
        service = re.search(r"^service (\w+)", text, re.MULTILINE)
        assert service
        for comment, call in re.findall(r"((?:^  //.*\n)+)  rpc (\w+)\(", text, re.MULTILINE):
            method = METHODS[f"/enmeshed.connector.v1.{service[1]}/{call}"]
            flat = " ".join(line.strip().removeprefix("//").strip() for line in comment.splitlines())
            for permission in method.permissions:
                assert f"`{permission}`" in flat, f"{service[1]}.{call} does not name {permission}"


def test_every_event_type_of_the_contract_has_the_permission_that_its_comment_names() -> None:
    text = (PROTOS / "event.proto").read_text()
    documented = {}
    for types, permission in re.findall(r"^// \| (`[^|]+) \| [^|]+ \| `([^`]+)` \|$", text, re.MULTILINE):
        prefix = ""
        for name in re.findall(r"`([^`]+)`", types):
            if not name.startswith("."):
                prefix = name.partition(".")[0]
            documented[prefix + name if name.startswith(".") else name] = permission
    documented = {name.replace("<relationship id>", "*"): permission for name, permission in documented.items()}
    assert documented == {name: permission for name, permission in EVENTS.items() if not name.startswith("module.")}


@pytest.mark.parametrize(
    ("pattern", "permission", "granted"),
    [
        ("messages:read", "messages:read", True),
        ("messages:read", "messages:write", False),
        ("messages:*", "messages:write", True),
        ("*:read", "messages:read", True),
        ("*:read", "files:secrets", False),
        ("messages", "messages:read", False),
        ("messages:**", "messages:read", True),
        ("messages:**", "messages", True),
        ("*", "messages:read", False),
        ("**", "messages:read", True),
        ("**:secrets", "files:secrets", True),
        ("**:secrets", "files:read", False),
        ("mess*", "messages:read", False),
    ],
)
def test_a_pattern_grants_what_fits_it(pattern: str, permission: str, granted: bool) -> None:
    assert Scopes([pattern]).allow(permission) is granted


def test_no_scope_grants_nothing_and_scopes_are_equal_by_their_patterns() -> None:
    assert Scopes([]).missing(["account:read"]) == "account:read"
    assert Scopes(["a:b", "**"]) == Scopes(["**", "a:b", "a:b"])
    assert all(EVERYTHING.allow(permission) for permission in ALL_PERMISSIONS)


def test_a_scope_that_grants_nothing_is_refused() -> None:
    check_scopes(["messages:read", "**", "*:secrets", "monitoring:*"], ALL_PERMISSIONS)
    for wrong in ("mesages:read", "read", "messages:read:", "**:**:**:nothing", "a" * 500):
        with pytest.raises(InvalidArgument):
            check_scopes([wrong], ALL_PERMISSIONS)


# --- events


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("transport.messageReceived", "transport.messageReceived", True),
        ("transport.*", "transport.messageReceived", True),
        ("transport.*", "consumption.relationshipEvent.REL1", False),
        ("consumption.*", "consumption.relationshipEvent.REL1", False),
        ("consumption.**", "consumption.relationshipEvent.REL1", True),
        ("**", "transport.messageReceived", True),
        ("**.messageReceived", "transport.messageReceived", True),
        ("*.messageReceived", "transport.messageReceived", True),
        ("transport", "transport.messageReceived", False),
    ],
)
def test_event_patterns_tell_parts_apart(pattern: str, name: str, fits: bool) -> None:
    assert (event_pattern(pattern).fullmatch(name) is not None) is fits
    assert patterns_overlap(pattern, name) is fits


def test_types_made_up_at_run_time_have_permissions_too() -> None:
    assert event_permission("consumption.relationshipEvent.REL1") == "messages:read"
    assert event_permission("module.mine.happened") == "modules:read"
    assert event_permission("transport.unheardOf") is None


def test_a_wildcard_skips_what_may_not_be_seen_and_naming_it_is_refused() -> None:
    scopes = Scopes(["events:read", "messages:read"])
    everything = EventSelection([], scopes)
    assert everything.wants({"type": "transport.messageReceived"})
    assert not everything.wants({"type": "transport.relationshipChanged"})
    assert not everything.wants({"type": "transport.unheardOf"})
    assert "transport.relationshipChanged" not in everything.types
    with pytest.raises(PermissionDenied) as denied:
        EventSelection(["transport.relationshipChanged"], scopes)
    assert denied.value.facts == {"permission": "relationships:read"}


@pytest.mark.parametrize("unknown", ["transport.messageRecieved", "transprot.*", "module", "transport.*.x"])
def test_types_and_patterns_that_fit_nothing_are_refused(unknown: str) -> None:
    with pytest.raises(EventTypeUnknown) as refused:
        EventSelection([unknown], EVERYTHING)
    assert refused.value.facts == {"type": unknown}


def test_types_are_listed_exactly_only_where_they_can_be() -> None:
    assert EventSelection(["transport.messageSent"], EVERYTHING).exact_types == frozenset(["transport.messageSent"])
    assert EventSelection(["transport.*"], EVERYTHING).exact_types is not None
    assert EventSelection([], EVERYTHING).exact_types is None
    assert EventSelection(["module.mine.**"], EVERYTHING).exact_types is None
    assert EventSelection(["consumption.**"], EVERYTHING).exact_types is None
    assert EventSelection([], Scopes(["files:read"])).exact_types is not None


def test_origins_narrow_the_selection() -> None:
    selection = EventSelection([], EVERYTHING, [event_pb2.ORIGIN_BACKBONE])
    assert selection.wants({"type": "transport.messageReceived", "origin": "EXTERNAL"})
    assert not selection.wants({"type": "transport.messageReceived", "origin": "LOCAL"})


def test_hostile_patterns_cost_nothing() -> None:
    pattern = ".".join(["**"] * 66)
    assert patterns_overlap(pattern, "module.**")
    assert not patterns_overlap(pattern + ".x.y", "transport.messageReceived")
    EventSelection([pattern] * 100, EVERYTHING)
