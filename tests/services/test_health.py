"""Health by real threads, a real bus, real servers, and a real socket where systemd would listen."""

import logging
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from otppi.lib.bus import Bus
from otppi.lib.clock import SystemClock
from otppi.lib.servicenotice import ServiceNotice
from otppi.model.checks import Level
from otppi.services.health import BusProbe, Health, WebDoor, WebProbe, nobody_died, readable
from otppi.wsgi.server import WebServer
from otppi.wsgi.tls import ensure_certificate, server_context

WATCHDOG_S = 0.15


@pytest.fixture
def systemd(tmp_path):
    """Where systemd listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        yield sock


@contextmanager
def watching(systemd, **probes):
    health = Health(probes, ServiceNotice(systemd.getsockname()), WATCHDOG_S)
    health.start()
    try:
        yield health
    finally:
        health.stop()


def is_fed(systemd, within_s: float = 5.0) -> bool:
    """Whether the watchdog is fed in the next rounds; what was sent before is forgotten."""
    systemd.setblocking(False)
    try:
        while systemd.recv(100):
            pass
    except BlockingIOError:
        pass
    systemd.settimeout(within_s)
    try:
        return systemd.recv(100) == b"WATCHDOG=1"
    except TimeoutError:
        return False


def wait_until_ill(health) -> str:
    end_s = time.monotonic() + 5
    while time.monotonic() < end_s:
        for check in health.checks():
            if check.level is Level.RED:
                assert check.advice
                return f"{check.name}: {check.finding}"
        time.sleep(0.01)
    pytest.fail("nothing fell ill")


@contextmanager
def serving(app, threads=2, host="127.0.0.1"):
    server = WebServer("test", app, host, 0, threads=threads, max_body_bytes=1000)
    server.start()
    try:
        yield server
    finally:
        server.stop(1.0)


def door(server, host="127.0.0.1", progress=lambda: 0):
    return WebDoor(name="rest", host=host, port=server.port, is_tls=False, progress=progress)


def well(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def test_while_all_are_well_the_watchdog_is_fed_again_and_again(systemd):
    with watching(systemd, store=readable(lambda: 1)) as health:
        assert is_fed(systemd)
        assert is_fed(systemd)
        (check,) = health.checks()
    assert check.level is Level.GREEN
    assert check.finding == "all 1 parts work, watched by systemd"
    assert not is_fed(systemd, 6 * WATCHDOG_S)


def test_a_dead_thread_starves_it_and_is_logged_once(systemd, caplog):
    stop = threading.Event()
    worker = threading.Thread(target=stop.wait, name="modem:m0")
    worker.start()

    def died():
        return () if worker.is_alive() else (worker.name,)

    with caplog.at_level(logging.INFO), watching(systemd, threads=nobody_died(died)) as health:
        assert is_fed(systemd)
        stop.set()
        worker.join()
        assert wait_until_ill(health) == "health of threads: ended by mistake: modem:m0"
        assert not is_fed(systemd, 6 * WATCHDOG_S)
    assert [record.getMessage() for record in caplog.records] == ["a part is ill"]


def test_a_blocked_server_starves_it_until_it_answers_again(systemd):
    may_go_on = threading.Event()

    def slow(environ, start_response):
        may_go_on.wait(10)
        return well(environ, start_response)

    may_go_on.set()
    with serving(slow) as server:
        probe = WebProbe(lambda: [door(server)], limit_s=0.5)
        with watching(systemd, web=probe) as health:
            assert is_fed(systemd)
            may_go_on.clear()
            assert wait_until_ill(health).startswith("health of web: rest: TimeoutError after 0.")
            assert not is_fed(systemd, 6 * WATCHDOG_S)
            may_go_on.set()
            assert is_fed(systemd)


def test_a_server_that_serves_others_while_we_wait_in_the_crowd_is_well(systemd):
    release = threading.Event()
    progress = iter(range(1000))

    def slow(environ, start_response):
        release.wait(10)
        return well(environ, start_response)

    with serving(slow, threads=1) as server:
        probe = WebProbe(lambda: [door(server, progress=lambda: next(progress))], limit_s=0.1)
        assert probe() == ""
        release.set()


def test_a_server_that_is_gone_is_ill_and_one_that_was_never_opened_is_not_asked():
    with serving(well) as server:
        doors = [door(server)]
    assert WebProbe(lambda: doors)().startswith("rest: ConnectionRefusedError")
    assert WebProbe(list)() == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1"])  # noqa: S104 - for the time of a test
def test_a_server_is_asked_wherever_it_listens(host):
    with serving(well, host=host) as server:
        assert WebProbe(lambda: [door(server, host=host)])() == ""


def test_a_server_that_speaks_tls_is_asked_in_tls(tmp_path):
    certificate = ensure_certificate(tmp_path / "tls", ["localhost"], SystemClock())
    server = WebServer(
        "tls", well, "127.0.0.1", 0, threads=1, max_body_bytes=1000, tls=server_context(certificate)
    )
    server.start()
    try:
        shut = WebDoor(name="rest-tls", host="127.0.0.1", port=server.port, is_tls=True, progress=lambda: 0)
        assert WebProbe(lambda: [shut])() == ""
    finally:
        server.stop(1.0)


def test_a_bus_that_delivers_is_well_and_one_that_does_not_is_ill():
    bus = Bus()
    probe = BusProbe(bus, limit_s=0.2)
    assert probe() == probe() == ""
    bus.stop()
    assert probe() == "news does not arrive within 0.2 s"


def test_a_subscriber_that_is_slow_does_not_make_the_bus_ill():
    bus, release = Bus(), threading.Event()
    bus.subscribe("slow", lambda _: release.wait(10), object)
    probe = BusProbe(bus)
    assert probe() == probe() == ""
    release.set()
    bus.stop()


def test_a_probe_that_fails_itself_counts_as_ill(systemd, caplog):
    def broken() -> object:
        raise KeyError("general")

    with watching(systemd, store=readable(broken)) as health:
        assert wait_until_ill(health) == "health of store: cannot be asked: KeyError"
        assert not is_fed(systemd, 6 * WATCHDOG_S)


def test_without_a_watchdog_it_looks_all_the_same():
    health = Health({"store": readable(lambda: 1)}, ServiceNotice(""), None)
    health.start()
    health.stop()
    (check,) = health.checks()
    assert check.finding == "all 1 parts work, not watched by systemd"
