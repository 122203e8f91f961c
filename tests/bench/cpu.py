"""Where the processor time of a process goes: by room of the Connector, and of other processes as a whole.

The whole is exact: the clock of the process, and those of its threads. The main thread's share is divided among the
rooms by samples: a timer that counts processor time interrupts it, and the innermost frame of a room gets the sample.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

import enmeshed_connector

SAMPLE_SECONDS = 0.001
_ROOT = str(Path(enmeshed_connector.__file__).parent) + os.sep
_TICKS = os.sysconf("SC_CLK_TCK")
_HTTP_PACKAGES = ("/aiohttp/", "/httpx/", "/httpx_aiohttp/", "/anyio/", "/multidict/", "/yarl/")
PARTS = {"crypto": "crypto", "backbone": "http", "storage": "storage"}
"""How rooms are called in reports; all others are `other`."""


@dataclass
class CpuUse:
    """What a stretch of work cost this process.

    Attributes:
        seconds: Processor time of all threads.
        thread_seconds: That of the threads beside the main one; here these are the writers and readers of SQLite.
        wall_seconds: How long it took.
        samples: How often the main thread was found in each part.
    """

    seconds: float = 0.0
    thread_seconds: float = 0.0
    wall_seconds: float = 0.0
    samples: Counter[str] = field(default_factory=Counter)

    def milliseconds_by_part(self, count: int) -> dict[str, float]:
        """Returns the milliseconds of processor time of one of `count` units of work: in all, and by part."""
        main, sampled = self.seconds - self.thread_seconds, max(self.samples.total(), 1)
        parts = {part: main * self.samples[part] / sampled for part in (*PARTS.values(), "other")}
        parts["storage"] += self.thread_seconds
        each = {part: seconds / count * 1000 for part, seconds in parts.items()}
        return {"all": self.seconds / count * 1000, **each}


class CpuMeter:
    """Measures the processor time of this process in a `with` block, in the main thread."""

    def __init__(self) -> None:
        self.use = CpuUse()

    def __enter__(self) -> CpuUse:
        """Begins; what it returns is filled at the end of the block."""
        self._threads = {thread: _thread_seconds(thread) for thread in _other_threads()}
        self._wall, self._process = time.perf_counter(), time.process_time()
        self._before = signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_SECONDS, SAMPLE_SECONDS)
        return self.use

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends the measurement."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self._before)
        self.use.seconds = time.process_time() - self._process
        self.use.wall_seconds = time.perf_counter() - self._wall
        self.use.thread_seconds = sum(
            _thread_seconds(thread) - self._threads.get(thread, 0.0) for thread in _other_threads()
        )

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        is_http = False
        while frame is not None:
            name = frame.f_code.co_filename
            if name.startswith(_ROOT):
                self.use.samples[PARTS.get(name[len(_ROOT) :].partition(os.sep)[0], "other")] += 1
                return
            is_http = is_http or any(package in name for package in _HTTP_PACKAGES)
            frame = frame.f_back
        self.use.samples["http" if is_http else "other"] += 1


def process_seconds(pid: int) -> float:
    """Returns the processor time that another process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid: int | None = None) -> int:
    """Returns how much memory of a process is in RAM; this process's when None."""
    for line in Path(f"/proc/{pid or os.getpid()}/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the system does not tell")


def _other_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread is not threading.main_thread()]


def _thread_seconds(thread: threading.Thread) -> float:
    assert thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
