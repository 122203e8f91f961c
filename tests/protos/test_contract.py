"""The contract: lint, the breaking check, and rules that buf does not know."""

from __future__ import annotations

import importlib
import pkgutil
import re
import shutil
import subprocess
from pathlib import Path

import protovalidate
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, ServiceDescriptor

from enmeshed.connector import v1

ROOT = Path(__file__).parents[2]
PROTOS = ROOT / "protos"
BUF = ROOT / ".venv" / "bin" / "buf"


def buf(*arguments: str) -> subprocess.CompletedProcess[str]:
    binary = str(BUF) if BUF.exists() else "buf"
    return subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=110, check=False)


def files() -> list[object]:
    return [
        importlib.import_module(f"{v1.__name__}.{module.name}").DESCRIPTOR
        for module in pkgutil.iter_modules(v1.__path__)
        if module.name.endswith("_pb2")
    ]


def services() -> list[ServiceDescriptor]:
    return [service for file in files() for service in file.services_by_name.values()]  # type: ignore[attr-defined]


def messages() -> list[Descriptor]:
    return [message for file in files() for message in file.message_types_by_name.values()]  # type: ignore[attr-defined]


def test_the_protos_pass_lint() -> None:
    done = buf("lint", str(PROTOS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_protos_break_nothing_of_the_baseline() -> None:
    done = buf("breaking", str(PROTOS), "--against", str(PROTOS / "baseline.binpb"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "caught"),
    [
        ("message.proto", "string content_type = 4;", "string content_kind = 4;", "content_type"),
        ("message.proto", "bool is_own = 2;", "string is_own = 2;", "is_own"),
        ("relationship.proto", "RELATIONSHIP_STATUS_ACTIVE = 2", "RELATIONSHIP_STATUS_ACTIVE = 22", "ACTIVE"),
        ("message.proto", "  string created_by = 5;\n", "", "created_by"),
    ],
)
def test_a_forbidden_change_is_caught(tmp_path: Path, file: str, old: str, new: str, caught: str) -> None:
    changed = tmp_path / "protos"
    shutil.copytree(PROTOS, changed, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    path = changed / "enmeshed" / "connector" / "v1" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    done = buf("breaking", str(changed), "--against", str(PROTOS / "baseline.binpb"))
    assert done.returncode != 0
    assert caught in done.stdout


def test_added_fields_and_calls_are_no_break(tmp_path: Path) -> None:
    changed = tmp_path / "protos"
    shutil.copytree(PROTOS, changed, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    path = changed / "enmeshed" / "connector" / "v1" / "message.proto"
    path.write_text(
        path.read_text().replace("  bool is_own = 2;", "  bool is_own = 2;\n  // New.\n  bool is_new = 90;")
    )
    done = buf("breaking", str(changed), "--against", str(PROTOS / "baseline.binpb"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_field_rules_of_every_message_can_be_checked() -> None:
    validator = protovalidate.Validator()
    for message in messages():
        validator.collect_violations(message_factory.GetMessageClass(message)())


def test_no_message_bears_the_name_of_a_service() -> None:
    assert not {message.name for message in messages()} & {service.name for service in services()}


READING = re.compile(r"^(Get|List|Can(?=[A-Z])|Check|Parse|Render|Validate|Execute|Download|Subscribe|Watch)")


def test_every_mutation_takes_an_idempotency_key_and_no_reading_call_does() -> None:
    # A token never moves a place backwards, so a repeat is safe by itself.
    without = {"AcknowledgeEvents"}
    for service in services():
        for method in service.methods:
            takes = "idempotency_key" in method.input_type.fields_by_name
            if method.name == "UploadFile":
                metadata = method.input_type.fields_by_name["metadata"].message_type
                assert metadata is not None
                takes = "idempotency_key" in metadata.fields_by_name
            assert takes is (not READING.match(method.name) and method.name not in without), method.full_name


def test_every_list_pages_in_the_same_way() -> None:
    for service in services():
        for method in service.methods:
            if not method.name.startswith("List"):
                continue
            request, response = method.input_type.fields_by_name, method.output_type.fields_by_name
            assert {"page_size", "page_token"} <= set(request.keys()), method.full_name
            assert "next_page_token" in response, method.full_name


def test_every_idempotency_key_has_the_same_number_and_rule() -> None:
    validator = protovalidate.Validator()
    for message in messages():
        field = message.fields_by_name.get("idempotency_key")
        if field is None or not message.name.endswith(("Request", "Metadata")):
            continue
        assert field.number == 15, message.full_name
        made = message_factory.GetMessageClass(message)(idempotency_key="no uuid")
        assert any(violation.proto.rule_id == "string.uuid" for violation in validator.collect_violations(made)), (
            message.full_name
        )


def test_every_call_documents_permission_and_repeat() -> None:
    for path in (PROTOS / "enmeshed" / "connector" / "v1").glob("*_service.proto"):
        for comment, call in re.findall(r"((?:^  //.*\n)+)  rpc (\w+)\(", path.read_text(), re.MULTILINE):
            flat = " ".join(line.strip().removeprefix("//").strip() for line in comment.splitlines())
            assert re.search(r"Needs permissions? `", flat), f"{path.name}: {call}"
            assert "afe to repeat" in flat or "Delivery:" in flat, f"{path.name}: {call}"


def test_every_reason_that_a_call_names_exists() -> None:
    known = set(re.findall(r"ERROR_REASON_(\w+) =", (PROTOS / "enmeshed/connector/v1/error_reason.proto").read_text()))
    for path in (PROTOS / "enmeshed" / "connector" / "v1").glob("*_service.proto"):
        for comment, call in re.findall(r"((?:^  //.*\n)+)  rpc (\w+)\(", path.read_text(), re.MULTILINE):
            flat = " ".join(line.strip().removeprefix("//").strip() for line in comment.splitlines())
            _, _, errors = flat.partition("Errors:")
            for name in re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)+\b", errors):
                assert name in known, f"{path.name}: {call} names {name}"
