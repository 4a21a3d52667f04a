"""Processes that the benchmark starts and ends, and what the kernel tells of them."""

import subprocess
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def end(process: "subprocess.Popen[bytes]", patience_s: float) -> None:
    """Ask a process to end and, if it does not, end it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process, dead threads included, to the nanosecond.

    The number of another process's clock is made as clock_getcpuclockid(3) makes it.
    """
    return time.clock_gettime((~pid << 3) | 2)


def rss_mb(pid: int) -> float:
    """Return how much memory a process has in use."""
    return _status(pid, "VmRSS:") / 1024


def written_bytes(pid: int) -> int:
    """Return how much a process made the kernel write to disks (proc_pid_io(5), write_bytes)."""
    return _field(Path(f"/proc/{pid}/io").read_text(), "write_bytes:")


def switches(pid: int) -> int:
    """Return how often the living threads of a process went to sleep, which is how often they woke up."""
    return sum(
        _field((task / "status").read_text(), "voluntary_ctxt_switches:")
        for task in Path(f"/proc/{pid}/task").iterdir()
    )


def _status(pid: int, name: str) -> int:
    return _field(Path(f"/proc/{pid}/status").read_text(), name)


def _field(text: str, name: str) -> int:
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name))
