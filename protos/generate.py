"""Writes the Python stubs of the contract, and tells whether the committed ones are what the protos give.

    python protos/generate.py           writes clients/python/enmeshed/{content,connector}
    python protos/generate.py --check   writes nothing; fails and lists what differs

The same protos and tools always give the same bytes. Whatever else lies in the folders of generated modules is removed
(or, with `--check`, reported).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROTOS = Path(__file__).resolve().parent
CLIENT = PROTOS.parent / "clients" / "python"

OWNED = ("enmeshed/content", "enmeshed/connector/v1", "enmeshed/connector/_rules")
"""Folders below the client that hold generated files and nothing else."""

RULES_MODULE = "enmeshed.connector._rules"
RULES_INIT = '''"""The field rules (`buf.validate`) as a module: another installation's, else a copy.

A process may hold a proto file once. So the copy does not have the public name, and is not loaded beside another.
"""

try:
    from buf.validate import validate_pb2
except ImportError:
    from enmeshed.connector._rules import _validate_pb2 as validate_pb2

__all__ = ["validate_pb2"]
'''
RULES_STUB = """from enmeshed.connector._rules import _validate_pb2 as validate_pb2

__all__ = ["validate_pb2"]
"""


def run_protoc(target: Path, files: list[str], *, services: bool) -> None:
    """Runs protoc with the plugins for messages, types and, on demand, services.

    Args:
        target: Where the modules go, by the folders of their packages.
        files: Proto files, relative to `protos/`.
        services: Whether to write the modules of services, too.
    """
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{PROTOS}",
        f"--python_out={target}",
        f"--mypy_out=quiet:{target}",
    ]
    if services:
        command += [f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}"]
    # The plugins are scripts of the same environment, which need not be on the search path.
    search_path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    subprocess.run([*command, *files], check=True, env={**os.environ, "PATH": search_path})  # noqa: S603


def generate(target: Path) -> None:
    """Writes every generated file below `target`, laid out as `clients/python`.

    Args:
        target: An empty folder.
    """
    files = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "enmeshed").rglob("*.proto"))
    services = [name for name in files if re.search(r"^service ", (PROTOS / name).read_text(), re.MULTILINE)]
    messages = [name for name in files if name not in services]
    run_protoc(target, [*messages, "buf/validate/validate.proto"], services=False)
    if services:
        run_protoc(target, services, services=True)

    rules = target / "enmeshed" / "connector" / "_rules"
    rules.mkdir(parents=True)
    for suffix in ("py", "pyi"):
        (target / "buf" / "validate" / f"validate_pb2.{suffix}").rename(rules / f"_validate_pb2.{suffix}")
    (target / "buf" / "validate").rmdir()
    (target / "buf").rmdir()
    (rules / "__init__.py").write_text(RULES_INIT)
    (rules / "__init__.pyi").write_text(RULES_STUB)

    for path in sorted(target.rglob("*.py*")):
        text = path.read_text()
        changed = text.replace(
            "from buf.validate import validate_pb2 as", f"from {RULES_MODULE} import validate_pb2 as"
        )
        if changed != text and path.parent != rules:
            path.write_text(changed)
    for folder in ("enmeshed/content", "enmeshed/content/v1", "enmeshed/connector/v1"):
        if (target / folder).is_dir():
            (target / folder / "__init__.py").touch()
            (target / folder / "py.typed").touch()
    (rules / "py.typed").touch()


def files_below(root: Path) -> dict[str, bytes]:
    """Returns the content of each file in the folders of generated modules, by its path below `root`."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for folder in OWNED
        for path in (root / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def main(arguments: list[str] | None = None) -> int:
    """Writes the stubs or checks them.

    Args:
        arguments: The command line without the name of the program; that of the process when absent.

    Returns:
        0, or 1 when `--check` found a difference.
    """
    parser = argparse.ArgumentParser(description="Writes the Python stubs from protos/ into clients/python/.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when the committed stubs differ")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = files_below(Path(folder))
    present = files_below(CLIENT)
    differing = sorted(name for name in fresh.keys() | present.keys() if fresh.get(name) != present.get(name))
    if options.check:
        for name in differing:
            state = "missing" if name not in present else "stray" if name not in fresh else "different"
            sys.stderr.write(f"{state}: clients/python/{name}\n")
        if differing:
            sys.stderr.write("The stubs are not what protos/ gives: run `make proto`.\n")
        return 1 if differing else 0
    for name in differing:
        path = CLIENT / name
        if name not in fresh:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(fresh[name])
    sys.stdout.write(f"{len(fresh)} files, {len(differing)} changed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
