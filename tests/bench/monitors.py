"""What ten open pages with live news cost, and whether messages are any slower for them."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench import processes
from tests.bench.burst import one_burst
from tests.bench.caller import Connection, sms
from tests.bench.rig import Rig
from tests.bench.rows import CouldNotMeasure, Extent, Measurement, Reading, Readings, RowSpec
from tests.bench.statistics_of import median
from tests.web.admin_client import AdminClient

_MONITORS = 10
_MESSAGES_PER_S = 20
_ON_ONE_ADDRESS = 5  # of one address the gateway takes eight
_LIMIT_S = 30.0


@dataclass(frozen=True)
class _Pace:
    cpu_share: float  # of a core, the gateway alone
    median_ms: float


class _Monitors:
    """Pages that listen, all read by one thread."""

    def __init__(self, owner: AdminClient) -> None:
        self.events = 0
        self._sockets = [
            _listening(owner, f"127.0.0.{2 + number // _ON_ONE_ADDRESS}") for number in range(_MONITORS)
        ]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, name="monitors")
        self._thread.start()

    def close(self) -> None:
        """Close all pages."""
        self._stopped.set()
        self._thread.join()
        for one in self._sockets:
            one.close()

    def _read(self) -> None:
        while not self._stopped.is_set():
            for one in select.select(self._sockets, [], [], 0.1)[0]:
                data = one.recv(65_536)
                if not data:
                    return
                self.events += data.count(b"data: ")


def _listening(owner: AdminClient, address: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", owner.port), _LIMIT_S, source_address=(address, 0))
    cookies = "; ".join(f"{name}={value}" for name, value in owner.cookies.items())
    sock.sendall(f"GET /live/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n\r\n".encode())
    if not sock.recv(12).endswith(b" 200"):
        sock.close()
        raise CouldNotMeasure("a monitor was not let in")
    return sock


@contextlib.contextmanager
def _monitors(owner: AdminClient) -> Iterator[_Monitors]:
    monitors = _Monitors(owner)
    try:
        yield monitors
    finally:
        monitors.close()


def _paced(rig: Rig, first: int, count: int) -> _Pace:
    connection = Connection(rig.port)
    took_ms = []
    cpu_s, began_s = processes.cpu_s(rig.pid), time.monotonic()
    try:
        for turn in range(count):
            time.sleep(max(0.0, began_s + turn / _MESSAGES_PER_S - time.monotonic()))
            answer = connection.exchange(sms(first + turn), _LIMIT_S)
            if answer.code != "0000":
                raise CouldNotMeasure(f"a message was answered with {answer.code}")
            took_ms.append(1000 * answer.took_s)
    finally:
        connection.close()
    share = (processes.cpu_s(rig.pid) - cpu_s) / (time.monotonic() - began_s)
    return _Pace(share, median(took_ms))


def _run(extent: Extent) -> Readings:
    times, count, turns = extent.pick(3, 1), extent.pick(1000, 150), extent.pick(200, 40)
    first = 0
    quiet_bursts, watched_bursts = [], []
    with Rig(extent, modems=4) as rig:
        rig.warm_up()
        owner = rig.owner()
        quiet = _paced(rig, first, turns)
        with _monitors(owner) as monitors:
            watched = _paced(rig, first := first + turns, turns)
            events = monitors.events
        first += turns
        for _ in range(times):
            quiet_bursts.append(one_burst(rig, first, count).per_second)
            with _monitors(owner):
                watched_bursts.append(one_burst(rig, first := first + count, count).per_second)
            first += count
    per_page_s = events / _MONITORS / (turns / _MESSAGES_PER_S)
    if per_page_s < 1:
        raise CouldNotMeasure(f"the monitors were told {per_page_s:.1f} events a second")
    without, beside = median(quiet_bursts), median(watched_bursts)
    return {
        "monitors_cpu_percent": Reading(
            100 * (watched.cpu_share - quiet.cpu_share),
            f"{per_page_s:.0f} events/s for each page; the messages themselves {quiet.cpu_share:.1%}",
        ),
        "monitors_burst_percent": Reading(
            100 * beside / without, f"{beside:.0f} messages/s, without monitors {without:.0f}"
        ),
        "monitors_delay_ms": Reading(
            watched.median_ms - quiet.median_ms,
            f"{watched.median_ms:.2f} ms, without {quiet.median_ms:.2f} ms",
        ),
    }


MONITORS = Measurement(
    name="monitors",
    rows=(
        RowSpec(
            key="monitors_cpu_percent",
            title="10 open monitors, 20 messages/s",
            unit="% of a core",
            at_most=5.0,
        ),
        RowSpec(
            key="monitors_burst_percent",
            title="Burst beside 10 open monitors, of that without",
            unit="%",
            at_least=90.0,
        ),
        RowSpec(
            key="monitors_delay_ms", title="Answer beside 10 open monitors, later by", unit="ms", at_most=1.0
        ),
    ),
    run=_run,
)
