"""How fast this machine is, so that the other rows can be read as ratios."""

import os
import socket
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.bench.processes import end
from tests.bench.rows import Extent, Measurement, Reading, Readings, RowSpec
from tests.bench.statistics_of import median, percentile

_ECHO = "import os\nwhile data := os.read(0, 4096): os.write(1, data)"
_MESSAGE = b"A" * 160
_LOOPS = 2_000_000


def _run(extent: Extent) -> Readings:
    rounds = extent.pick(2_000, 300)
    with _pty_echo() as descriptor:
        pty_us = _round_trips_us(lambda: _through_pty(descriptor), rounds)
    with _socket_echo() as caller:
        socket_us = _round_trips_us(lambda: _through_socket(caller), rounds)
    return {
        "pty_us": Reading(median(pty_us), f"p99 {percentile(pty_us, 99):.0f} us"),
        "socket_us": Reading(median(socket_us), f"p99 {percentile(socket_us, 99):.0f} us"),
        "python_mloops": Reading(_python_mloops(), f"Python {sys.version.split()[0]}"),
    }


def _round_trips_us(once: Callable[[], None], rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        began = time.perf_counter_ns()
        once()
        times.append((time.perf_counter_ns() - began) / 1000)
    return times


@contextmanager
def _pty_echo() -> Iterator[int]:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    process = subprocess.Popen([sys.executable, "-c", _ECHO], stdin=theirs, stdout=theirs)
    os.close(theirs)
    try:
        yield ours
    finally:
        end(process, 2.0)
        os.close(ours)


def _through_pty(descriptor: int) -> None:
    os.write(descriptor, _MESSAGE)
    missing = len(_MESSAGE)
    while missing:
        missing -= len(os.read(descriptor, missing))


@contextmanager
def _socket_echo() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        caller = socket.create_connection(server.getsockname(), timeout=10.0)
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted, _ = server.accept()
    with accepted, caller:
        process = subprocess.Popen(
            [sys.executable, "-c", _ECHO], stdin=accepted.fileno(), stdout=accepted.fileno()
        )
        try:
            yield caller
        finally:
            end(process, 2.0)


def _through_socket(caller: socket.socket) -> None:
    caller.sendall(_MESSAGE)
    missing = len(_MESSAGE)
    while missing:
        missing -= len(caller.recv(missing))


def _python_mloops() -> float:
    began = time.perf_counter()
    total = 0
    for number in range(_LOOPS):
        total += number
    return _LOOPS / (time.perf_counter() - began) / 1e6


BASELINE = Measurement(
    name="baseline",
    rows=(
        RowSpec(key="pty_us", title="160 bytes to another process and back by a pty, median", unit="us"),
        RowSpec(key="socket_us", title="The same by TCP on loopback, median", unit="us"),
        RowSpec(key="python_mloops", title="Turns of an empty Python loop", unit="million/s"),
    ),
    run=_run,
)
