import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def generate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The generator, writing into an empty folder from a contract of one file."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "protos" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    protos = tmp_path / "protos"
    (protos / "enmeshed" / "content" / "v1").mkdir(parents=True)
    (protos / "enmeshed" / "content" / "v1" / "a.proto").write_text(
        'syntax = "proto3";\npackage enmeshed.content.v1;\nimport "buf/validate/validate.proto";\n'
        "message A {\n  string a = 1 [(buf.validate.field).required = true];\n}\n"
    )
    (protos / "buf").symlink_to(ROOT / "protos" / "buf")
    monkeypatch.setattr(module, "PROTOS", protos)
    monkeypatch.setattr(module, "CLIENT", tmp_path / "client")
    return module


def test_what_was_written_is_found_to_be_right(generate: ModuleType, tmp_path: Path) -> None:
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    text = (tmp_path / "client/enmeshed/content/v1/a_pb2.py").read_text()
    assert "from enmeshed.connector._rules import validate_pb2 as" in text
    assert not (tmp_path / "client/buf").exists()


def test_files_that_differ_or_do_not_belong_there_are_told_and_put_right(
    generate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate.main([])
    folder = tmp_path / "client/enmeshed/content/v1"
    (folder / "a_pb2.py").write_text("changed")
    (folder / "a_pb2.pyi").unlink()
    (folder / "b_pb2.py").write_text("")
    capsys.readouterr()
    assert generate.main(["--check"]) == 1
    told = capsys.readouterr().err
    assert "different: clients/python/enmeshed/content/v1/a_pb2.py\n" in told
    assert "missing: clients/python/enmeshed/content/v1/a_pb2.pyi\n" in told
    assert "stray: clients/python/enmeshed/content/v1/b_pb2.py\n" in told
    generate.main([])
    assert generate.main(["--check"]) == 0


def run(code: str, *paths: Path) -> str:
    """Runs Python with nothing of this project on its path but what is given."""
    search = ":".join(map(str, (*paths, ROOT / "clients" / "python")))
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": search},
    )
    return result.stdout.strip()


def test_the_rules_come_from_another_installation_where_there_is_one(tmp_path: Path) -> None:
    code = "from enmeshed.connector._rules import validate_pb2; print(validate_pb2.__name__)"
    assert run(code) == "enmeshed.connector._rules._validate_pb2"
    # A process may hold the file once: an installation with other bytes and ours side by side would fail.
    other = tmp_path / "other" / "buf" / "validate"
    other.mkdir(parents=True)
    proto = (ROOT / "protos/buf/validate/validate.proto").read_text() + "\nmessage Newer {}\n"
    (other / "validate.proto").write_text(proto)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"-I{tmp_path / 'other'}",
            f"--python_out={tmp_path / 'other'}",
            str(other / "validate.proto"),
        ],
        check=True,
    )
    assert run(code, tmp_path / "other") == "buf.validate.validate_pb2"
    both = f"{code}; import buf.validate.validate_pb2 as other; print(other is validate_pb2)"
    assert run(both, tmp_path / "other").endswith("True")
