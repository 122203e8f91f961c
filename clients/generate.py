"""Writes the TypeScript and Go stubs of the contract, and tells whether the committed ones are what the protos give.

    python clients/generate.py                  writes both languages
    python clients/generate.py typescript       writes one
    python clients/generate.py --check          writes nothing; fails and lists what differs

protoc is that of grpcio-tools; the plugins are those that the clients pin: TypeScript's in its `package-lock.json`
(`npm ci --prefix clients/typescript` first), Go's in its `go.mod`. The same protos and plugins always give the same
bytes. The stubs are committed so that `go get` and `npm` need neither Python nor protoc. Python's own are written by
`protos/generate.py`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import google.rpc
from google.protobuf import descriptor_pb2

CLIENTS = Path(__file__).resolve().parent
PROTOS = CLIENTS.parent / "protos"
GO_MODULE = "connector.enmeshed/client"
GO_TOOLS = ("google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc")
RULES = "buf/validate/validate.proto"

OWNED = {"typescript": "typescript/src/gen", "go": "go/gen"}
"""Folders that hold generated files and nothing else, by language."""


def run(command: list[str], **options: str) -> None:
    """Runs a command; what it prints goes where this program prints."""
    subprocess.run(command, check=True, env={**os.environ, **options})  # noqa: S603 - fixed commands


def protoc(*arguments: str) -> None:
    """Runs protoc."""
    run([sys.executable, "-m", "grpc_tools.protoc", *arguments])


def contract() -> list[str]:
    """Returns the proto files of the contract, relative to `protos/`."""
    return sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "enmeshed").rglob("*.proto"))


def generate_typescript(target: Path) -> None:
    """Writes the messages and descriptions of services, with field rules and the details of errors.

    Args:
        target: An empty folder.
    """
    plugin = CLIENTS / "typescript" / "node_modules" / ".bin" / "protoc-gen-es"
    if not plugin.exists():
        sys.exit("needs Node.js 20 and `npm ci --prefix clients/typescript`")
    details = Path(next(iter(google.rpc.__path__))).parent.parent
    protoc(
        f"-I{PROTOS}",
        f"-I{details}",
        f"--plugin=protoc-gen-es={plugin}",
        f"--es_out={target}",
        "--es_opt=target=ts,import_extension=js",
        *contract(),
        RULES,
        "google/rpc/status.proto",
        "google/rpc/error_details.proto",
    )


def generate_go(target: Path) -> None:
    """Writes the messages and the services.

    Field rules are left out: a Go program may register a proto file once, so a copy of `buf/validate` would stop every
    program that uses the original, and the thin client does not check them.

    Args:
        target: An empty folder.
    """
    files = contract()
    packages = [
        f"M{name}={GO_MODULE}/gen/{Path(name).parent};{Path(name).parent.parent.name}{Path(name).parent.name}"
        for name in files
    ]
    options = ",".join(["paths=source_relative", *packages])
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        try:
            run(["go", "-C", str(CLIENTS / "go"), "build", "-o", f"{work}/", *GO_TOOLS], GOTOOLCHAIN="local")
        except FileNotFoundError:
            sys.exit("needs Go")
        described = work / "contract.binpb"
        protoc(f"-I{PROTOS}", "--include_imports", "--include_source_info", f"--descriptor_set_out={described}", *files)
        described.write_bytes(without_rules(described.read_bytes()))
        plugins = [f"--plugin={work / Path(tool).name}" for tool in GO_TOOLS]
        outputs = [f"--go_out={target}", f"--go_opt={options}", f"--go-grpc_out={target}", f"--go-grpc_opt={options}"]
        protoc(f"--descriptor_set_in={described}", *plugins, *outputs, *files)


def without_rules(described: bytes) -> bytes:
    """Returns a set of descriptors without the field rules and the import of their file."""
    files = descriptor_pb2.FileDescriptorSet.FromString(described)
    for file in files.file:
        kept = [name for name in file.dependency if name != RULES]
        if len(kept) < len(file.dependency):
            del file.dependency[:]
            file.dependency.extend(kept)
            for message in file.message_type:
                forget_rules(message)
    remaining = [file for file in files.file if file.name != RULES]
    return descriptor_pb2.FileDescriptorSet(file=remaining).SerializeToString(deterministic=True)


def forget_rules(message: descriptor_pb2.DescriptorProto) -> None:
    """Removes the options that this program does not know, those of `buf.validate`, from a message and all in it."""
    for options in (message, *message.field, *message.oneof_decl):
        if options.HasField("options"):
            options.options.DiscardUnknownFields()  # type: ignore[attr-defined]  # absent from the types
    for nested in message.nested_type:
        forget_rules(nested)


def files_below(root: Path) -> dict[str, bytes]:
    """Returns the content of each file below `root`, by its path."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def main(arguments: list[str] | None = None) -> int:
    """Writes the stubs or checks them.

    Args:
        arguments: The command line without the name of the program; that of the process when absent.

    Returns:
        0, or 1 when `--check` found a difference.
    """
    parser = argparse.ArgumentParser(description="Writes the TypeScript and Go stubs from protos/ into clients/.")
    parser.add_argument("languages", nargs="*", choices=[*OWNED, []], help="typescript, go; both when absent")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when the committed stubs differ")
    options = parser.parse_args(arguments)
    found = 0
    for language in options.languages or OWNED:
        with tempfile.TemporaryDirectory() as name:
            {"typescript": generate_typescript, "go": generate_go}[language](Path(name))
            fresh = files_below(Path(name))
        home = CLIENTS / OWNED[language]
        present = files_below(home)
        differing = sorted(path for path in fresh.keys() | present.keys() if fresh.get(path) != present.get(path))
        found += len(differing)
        if options.check:
            for path in differing:
                state = "missing" if path not in present else "stray" if path not in fresh else "different"
                sys.stderr.write(f"{state}: clients/{OWNED[language]}/{path}\n")
            continue
        for path in differing:
            if path in fresh:
                (home / path).parent.mkdir(parents=True, exist_ok=True)
                (home / path).write_bytes(fresh[path])
            else:
                (home / path).unlink()
        sys.stdout.write(f"{language}: {len(fresh)} files, {len(differing)} changed\n")
    if options.check and found:
        sys.stderr.write("The stubs are not what protos/ gives: run `make clients-proto`.\n")
    return 1 if options.check and found else 0


if __name__ == "__main__":
    sys.exit(main())
