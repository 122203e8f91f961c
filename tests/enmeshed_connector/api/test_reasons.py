"""Each error that a caller can get has a documented reason, and the code that its documentation says."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import enmeshed_connector
from enmeshed.connector.v1 import error_reason_pb2
from enmeshed_connector.api.reasons import NEVER_SENT, PUBLIC_REASONS, public_reason
from enmeshed_connector.core.errors import Code, DomainError

PROTO = Path(__file__).parents[3] / "protos" / "enmeshed" / "connector" / "v1" / "error_reason.proto"


def documented_codes() -> dict[str, str]:
    rows = re.findall(r"^  // ([A-Z_]+)\. (?:.*\n  //)*.*\n  ERROR_REASON_(\w+) = ", PROTO.read_text(), re.MULTILINE)
    return {name: code for code, name in rows}


def error_classes() -> Iterator[type[DomainError]]:
    for module in pkgutil.walk_packages(enmeshed_connector.__path__, "enmeshed_connector."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    waiting = [DomainError]
    while waiting:
        found = waiting.pop()
        waiting += found.__subclasses__()
        if found.__module__.startswith("enmeshed_connector."):
            yield found


def test_every_value_of_the_enum_documents_a_code() -> None:
    names = {name.removeprefix("ERROR_REASON_") for name, _ in error_reason_pb2.ErrorReason.items()} - {"UNSPECIFIED"}
    assert documented_codes().keys() == names
    assert set(documented_codes().values()) <= {code.value for code in Code}


def test_every_error_class_has_a_documented_reason_and_its_code() -> None:
    documented = documented_codes()
    wrong = []
    for found in error_classes():
        # What is INTERNAL is told as INTERNAL, whatever its reason; see `as_domain_error`.
        if found.code is Code.INTERNAL or found.reason in NEVER_SENT:
            continue
        reason = public_reason(found.reason)
        if documented.get(reason) != found.code.value:
            wrong.append(f"{found.__module__}.{found.__name__}: {reason} {found.code.value}")
    assert wrong == []


def test_no_public_reason_is_translated() -> None:
    assert not PUBLIC_REASONS.keys() & documented_codes().keys()
    assert set(PUBLIC_REASONS.values()) <= documented_codes().keys()
