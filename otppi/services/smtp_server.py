"""The local SMTP server, kept as the settings say."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otppi.gateway.accounts import ApiAccounts, ApiUser
from otppi.gateway.policy import SmsSettings
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.lib.threads import died
from otppi.lib.wakeup import Wakeup
from otppi.model.checks import Check, Level
from otppi.model.events import SettingsChanged
from otppi.services.certificates import Certificates
from otppi.settings.store import SettingsStore
from otppi.submission.settings import SubmissionSettings
from otppi.submission.terms import Relay, Tally, Terms
from otppi.system.network.settings import NetworkSettings
from otppi.wsgi.server import PortUnavailable
from otppi.wsgi.tls import CannotMakeCertificate, CertificateFiles, server_context

if TYPE_CHECKING:
    from otppi.submission.server import SubmissionServer

log = logging.getLogger(__name__)

_RETRY_S = 15.0
_DAY_S = 86_400.0
# Beside the time that a caller may wait.
_GRACE_S = 15.0
_SECTIONS = frozenset({SubmissionSettings.key, NetworkSettings.key})
_ADVICE = (
    "It is tried again by itself. Choose another address or port in the settings of the local SMTP server."
)


def server_name(store: SettingsStore) -> str:
    """Return the name that the device goes by among mail servers (RFC 5321, 4.1.1.1)."""
    return store.get(SubmissionSettings).server_name or f"{store.get(NetworkSettings).hostname.lower()}.local"


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """The server as the settings want it."""

    host: str
    port: int
    terms: Terms
    certificate: CertificateFiles | None


class SmtpServer:
    """Opens, closes and reopens the server on the thread `smtp-keeper`.

    An address or port that cannot be had is tried again until it can. Once a day the certificate is looked at anew, so
    that a renewed one is shown. A message in hand ends where it began.
    """

    def __init__(
        self,
        *,
        store: SettingsStore,
        accounts: ApiAccounts,
        certificates: Certificates,
        relay: Relay,
        bus: Bus,
        clock: Clock,
    ) -> None:
        """Take the parts of the gateway; `relay` hands a message on and waits for its outcome."""
        self._store = store
        self._accounts = accounts
        self._certificates = certificates
        self._relay = relay
        self._bus = bus
        self._clock = clock
        self._tally = Tally()
        self._wakeup = Wakeup()
        self._stopping = False
        self._running: tuple[_Plan, SubmissionServer] | None = None
        self._retired: list[threading.Thread] = []
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name="smtp-keeper", daemon=True)

    def start(self) -> None:
        """Listen if the settings say so, then look after it."""
        self._bus.subscribe("smtp", self._settings_changed, SettingsChanged)
        self._apply()
        self._thread.start()

    def changed(self) -> None:
        """Look at settings and certificate again, soon."""
        self._wakeup.ring()

    def stop(self) -> None:
        """Take no more messages; those in hand may finish."""
        self._stopping = True
        self._wakeup.ring()
        self._thread.join()
        self._retire()
        for one in self._retired:
            one.join()
        self._wakeup.close()

    def died(self) -> tuple[str, ...]:
        """Return the names of threads that ended by mistake."""
        running = self._running
        return died(self._thread, was_asked=self._stopping) + (running[1].died() if running else ())

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the calls of pages and command line."""
        return {"smtp.show": self.show}

    def show(self) -> dict[str, Any]:
        """Return whether the local SMTP server listens, what keeps it from that, and what it took since the start.

        Also what whoever sets up a program has to know of its settings.
        """
        settings, running = self._store.get(SubmissionSettings), self._running
        return {
            "active": settings.active,
            "listening": running is not None,
            "address": settings.server_address,
            "port": settings.server_port,
            "problem": self._problem,
            "connections": running[1].connections if running else 0,
            "accepted": self._tally.accepted,
            "refused": self._tally.refused,
            "delivery": settings.delivery,
            "requires_tls": settings.require_tls,
        }

    def checks(self) -> Iterable[Check]:
        """Say whether applications can hand over mail."""
        if not self._store.get(SubmissionSettings).active:
            return
        level, finding, advice = Level.GREEN, "listens", ""
        if self._problem:
            level, finding, advice = Level.RED, self._problem, _ADVICE
        elif self._running is None:
            level, finding, advice = Level.YELLOW, "starting", "Wait a few seconds."
        yield Check(name="local SMTP server", level=level, finding=finding, advice=advice)

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.section in _SECTIONS:
            self._wakeup.ring()

    def _run(self) -> None:
        while not self._stopping:
            self._wakeup.wait(_RETRY_S if self._problem else _DAY_S)
            if not self._stopping:
                self._apply()

    def _apply(self) -> None:
        problem = ""
        try:
            plan = self._plan()
        except (CannotMakeCertificate, OSError) as error:
            plan, problem = None, f"there is no certificate: {error}"
        if self._running is not None and self._running[0] != plan:
            self._retire()
        if plan is not None and self._running is None:
            try:
                self._running = (plan, self._opened(plan))
            except PortUnavailable as error:
                problem = str(error)
            except OSError as error:  # `ssl.SSLError` is one
                problem = f"the certificate cannot be used: {error}"
        if problem and problem != self._problem:
            log.error("cannot listen", extra={"fields": {"door": "smtp", "reason": problem}})
        self._problem = problem

    def _plan(self) -> _Plan | None:
        settings = self._store.get(SubmissionSettings)
        if not settings.active:
            return None
        terms = Terms(
            name=server_name(self._store),
            software=settings.software_name,
            requires_tls=settings.require_tls,
            max_message_bytes=settings.max_message_kb * 1024,
            messages_per_minute=settings.messages_per_minute,
        )
        return _Plan(
            host=settings.server_address,
            port=settings.server_port,
            terms=terms,
            certificate=self._certificates.files(),
        )

    def _opened(self, plan: _Plan) -> "SubmissionServer":
        # Here, as they load what a gateway without the server has no use for.
        from otppi.submission.desk import Desk
        from otppi.submission.server import SubmissionServer

        desk = Desk(
            plan.terms,
            log_in=self._accounts.check,
            stored_hash=self._stored_hash,
            relay=self._relay,
            clock=self._clock,
            tally=self._tally,
        )
        tls = server_context(plan.certificate) if plan.certificate else None
        server = SubmissionServer(plan.host, plan.port, desk, tls)
        server.start()
        log.info("listening", extra={"fields": {"door": "smtp", "host": plan.host, "port": server.port}})
        return server

    def _stored_hash(self, user: str) -> str:
        account = self._store.items(ApiUser).get(user)
        return account.password if account is not None and account.active and not account.blocked else ""

    def _retire(self) -> None:
        """Give the port back; messages in hand end on a thread of their own."""
        if self._running is None:
            return
        _, server = self._running
        self._running = None
        server.stop_listening()
        grace_s = self._store.get(SmsSettings).longest_wait_s + _GRACE_S
        ending = threading.Thread(target=server.stop, args=(grace_s,), name="smtp:retired", daemon=True)
        ending.start()
        self._retired = [*(one for one in self._retired if one.is_alive()), ending]
