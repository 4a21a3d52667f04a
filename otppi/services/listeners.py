"""The web servers of the device, kept as the settings say."""

import logging
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bottle

from otppi.lib.threads import died
from otppi.lib.wakeup import Wakeup
from otppi.wsgi.server import PortUnavailable, WebServer
from otppi.wsgi.tls import CertificateFiles, server_context

log = logging.getLogger(__name__)

_RETRY_S = 15.0
_DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One listener as the settings want it."""

    name: str
    app: bottle.Bottle
    host: str
    port: int
    threads: int
    max_body_bytes: int
    body_limit: Callable[[Mapping[str, str]], int] | None = None  # who may send a longer one
    certificate: CertificateFiles | None = None
    problem: str = ""  # what keeps it from being opened at all


class Listeners:
    """Opens, closes and reopens web servers on the thread `listeners`.

    A port that cannot be had does not stop the others; it is tried again until it can. Once a day all plans are
    made anew, so that a certificate is renewed in time.
    """

    def __init__(self, plans: Callable[[], Sequence[Plan]], grace_s: Callable[[], float]) -> None:
        """Take what is to be opened, and how long callers of a listener that is closed may wait for an answer."""
        self._plans = plans
        self._grace_s = grace_s
        self._wakeup = Wakeup()
        self._stopping = False
        self._running: dict[Plan, WebServer] = {}
        self._planned: Sequence[Plan] = ()
        self._problems: dict[str, str] = {}  # every planned listener by name; empty if it listens
        self._thread = threading.Thread(target=self._run, name="listeners", daemon=True)

    def start(self) -> None:
        """Open what can be opened, then look after it."""
        self._apply()
        self._thread.start()

    def changed(self) -> None:
        """Look at the plans again, soon."""
        self._wakeup.ring()

    def problems(self) -> tuple[tuple[str, str], ...]:
        """Return every planned listener with what keeps it from listening, or nothing."""
        return tuple(self._problems.items())

    def listed(self) -> list[dict[str, Any]]:
        """Return the web servers that the settings want, and what keeps each from listening."""
        problems = self._problems
        return [
            {
                "name": plan.name,
                "host": plan.host,
                "port": plan.port,
                "problem": problems.get(plan.name, ""),
            }
            for plan in self._planned
        ]

    def running(self) -> tuple[tuple[Plan, WebServer], ...]:
        """Return every listener that is open."""
        return tuple(self._running.copy().items())

    def died(self) -> tuple[str, ...]:
        """Return the names of threads, those of the servers included, that ended though nobody asked them to."""
        own = died(self._thread, was_asked=self._stopping)
        return own + tuple(name for _, server in self.running() for name in server.died())

    def stop(self) -> None:
        """Take no more requests; those in hand may finish within the grace."""
        self._stopping = True
        self._wakeup.ring()
        self._thread.join()
        stoppers = [
            threading.Thread(target=server.stop, args=(self._grace_s(),), name=f"stop:{plan.name}")
            for plan, server in self._running.items()
        ]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join()
        self._wakeup.close()

    def _run(self) -> None:
        while not self._stopping:
            self._wakeup.wait(_RETRY_S if any(self._problems.values()) else _DAY_S)
            if not self._stopping:
                self._apply()

    def _apply(self) -> None:
        plans = list(self._plans())
        for plan in [plan for plan in self._running if plan not in plans]:
            self._retire(self._running.pop(plan))
        self._problems = {plan.name: self._open(plan) for plan in plans}
        self._planned = plans

    def _retire(self, server: WebServer) -> None:
        # Its port is free when this returns; whoever still waits for an answer there gets it.
        server.stop_listening()
        threading.Thread(
            target=server.stop, args=(self._grace_s(),), name="listeners:retired", daemon=True
        ).start()

    def _open(self, plan: Plan) -> str:
        """Open one listener if it is not open; return what keeps it from listening."""
        if plan in self._running:
            return ""
        problem = plan.problem
        if not problem:
            try:
                self._running[plan] = _opened(plan)
            except (PortUnavailable, ssl.SSLError) as error:
                problem = str(error)
        if problem and self._problems.get(plan.name) != problem:
            log.error("cannot listen", extra={"fields": {"door": plan.name, "reason": problem}})
        return problem


def _opened(plan: Plan) -> WebServer:
    server = WebServer(
        plan.name,
        plan.app,
        plan.host,
        plan.port,
        threads=plan.threads,
        max_body_bytes=plan.max_body_bytes,
        body_limit=plan.body_limit,
        tls=server_context(plan.certificate) if plan.certificate else None,
    )
    server.start()
    log.info("listening", extra={"fields": {"door": plan.name, "host": plan.host, "port": server.port}})
    return server
