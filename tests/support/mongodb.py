"""A MongoDB-protocol server for tests and for development: a process of its own, on a free loopback port.

Which one: the `mongod` of this machine, else FerretDB with its SQLite backend (built by the Go toolchain from the
pinned module in `ferretdb/`), else the server of the `secantusdb` package. With `CI` set FerretDB is always among
those that are tested, and a machine that cannot build it fails. With `ENMESHED_TEST_MONGODB_URI` set, only that
server is used.

    python -m tests.support.mongodb                 starts one and prints its connection string
    python -m tests.support.mongodb -- COMMAND …    runs a command with MONGODB_URI set to one
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["mongod", "ferretdb", "secantusdb", "external"]

URI_VARIABLE = "ENMESHED_TEST_MONGODB_URI"
ROOT = Path(__file__).resolve().parents[2]
MODULE = Path(__file__).resolve().parent / "ferretdb"
CACHE = ROOT / ".cache" / "ferretdb"
START_SECONDS = 60
STOP_SECONDS = 15


def kinds_to_test() -> list[Kind]:
    """Returns the servers that the suites run on, the best one first.

    Raises:
        RuntimeError: CI is set and FerretDB cannot be built here.
    """
    if os.environ.get(URI_VARIABLE):
        return ["external"]
    kinds: list[Kind] = []
    if shutil.which("mongod"):
        kinds.append("mongod")
    if shutil.which("go"):
        if not kinds or os.environ.get("CI"):
            kinds.append("ferretdb")
    elif os.environ.get("CI"):
        raise RuntimeError("CI is set and Go is absent: the tests on FerretDB cannot run")
    return kinds or ["secantusdb"]


def prepare(kinds: Sequence[Kind]) -> None:
    """Builds what the servers need; takes minutes the first time, so not within a test's time limit."""
    if "ferretdb" in kinds:
        ferretdb_binary()


@dataclass
class MongoServer:
    """One server with its data folder. May be killed and started again on the same port with the same data.

    Attributes:
        kind: Which server.
        folder: Its data.
        port: Its loopback port.
    """

    kind: Kind
    folder: Path
    port: int
    external_uri: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def uri(self) -> str:
        """The connection string."""
        return self.external_uri or f"mongodb://127.0.0.1:{self.port}/"

    @property
    def can_be_killed(self) -> bool:
        """Whether the process is ours."""
        return self.kind != "external"

    def start(self) -> None:
        """Starts the process and waits until it listens."""
        if self.kind == "external":
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                _command(self.kind, self.folder, self.port), stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while not _listens(self.port):
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.kind} ended with {self.process.returncode}: {log.name}")
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.kind} did not listen within {START_SECONDS} seconds")
            time.sleep(0.02)

    def kill(self) -> None:
        """Ends the process at once, as a power cut would (what the kernel has in hand still reaches the disk)."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends the process in order."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
        self.process = None


@contextlib.contextmanager
def running_server(kind: Kind | None = None, folder: Path | None = None, port: int = 0) -> Iterator[MongoServer]:
    """Runs a server for the length of a block.

    Args:
        kind: Which one; the best that can be had when None.
        folder: Where its data is; a temporary folder when None.
        port: The loopback port; a free one when 0.
    """
    chosen = kind or kinds_to_test()[0]
    with tempfile.TemporaryDirectory(prefix="mongodb-", ignore_cleanup_errors=True) as temporary:
        data = (folder or Path(temporary) / "data").resolve()
        external = os.environ.get(URI_VARIABLE, "") if chosen == "external" else ""
        server = MongoServer(chosen, data, port or _free_port(), external)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def ferretdb_binary() -> Path:
    """Returns the FerretDB program, built when it is not in the cache; the module's checksums pin what it is made
    of."""
    content = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    binary = CACHE / hashlib.sha256(content).hexdigest()[:16] / "ferretdb"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        # Several test processes may want it at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            environment = os.environ | {"GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0"}
            fresh = binary.with_suffix(".new")
            command = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(fresh), "."]
            print("building FerretDB with Go, once; about two minutes on two cores", file=sys.stderr, flush=True)
            subprocess.run(command, cwd=MODULE, env=environment, check=True)
            fresh.rename(binary)
    return binary


def _command(kind: Kind, folder: Path, port: int) -> list[str]:
    if kind == "mongod":
        return ["mongod", "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1", "--quiet"]
    if kind == "ferretdb":
        return [str(ferretdb_binary()), "-listen", f"127.0.0.1:{port}", "-folder", str(folder)]
    program = Path(sys.executable).with_name("secantusd-py")
    options = ["--standalone", "--sync-on-commit", "--log-level", "ERROR"]
    return [str(program), "--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder), *options]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    """Starts a server for a person and runs until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.mongodb", description=main.__doc__)
    parser.add_argument("--kind", choices=("mongod", "ferretdb", "secantusdb"), help="which server; default: the best")
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "mongodb", help="where its data is")
    parser.add_argument("--port", type=int, default=27017, help="the loopback port, 0 for a free one")
    parser.add_argument("command", nargs="*", help="run this with MONGODB_URI set, then end; after --")
    parser.add_argument("--build", action="store_true", help="only build what needs building")
    arguments = parser.parse_args()
    if arguments.build:
        prepare(kinds_to_test())
        return
    if arguments.command:
        with running_server(arguments.kind) as server:
            environment = os.environ | {"MONGODB_URI": server.uri}
            sys.exit(subprocess.run(arguments.command, env=environment, check=False).returncode)
    with running_server(arguments.kind, arguments.folder, arguments.port) as server:
        print(f"{server.kind} listens at {server.uri} with its data in {server.folder}; Ctrl-C ends it", flush=True)
        assert server.process is not None
        with contextlib.suppress(KeyboardInterrupt):
            server.process.wait()


if __name__ == "__main__":
    main()
