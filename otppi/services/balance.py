"""Asks every SIM for its balance once a day, and remembers what it said."""

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from otppi.contracts.sms import UssdSender
from otppi.gateway import balance
from otppi.gateway.balance import Alarm, Balance, Known
from otppi.gateway.policy import SmsSettings
from otppi.lib.atomicfile import write_atomically
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.lib.deadline import Deadline
from otppi.lib.threads import died
from otppi.model.checks import Check
from otppi.model.errors import Busy, OtpPiError, UnknownModem, UssdFailed
from otppi.model.events import BalanceLow
from otppi.model.modems import ModemStatus
from otppi.model.requests import Origin
from otppi.modems.settings import DAILY, ModemSettings
from otppi.settings.store import SettingsStore

log = logging.getLogger(__name__)

_ORIGIN = Origin(door="balance", user="")
_PERIOD_S = 30.0
_RETRY_S = 3600.0
_UNREADABLE = "the answer has no balance that can be read"


class Balances:
    """Does it on the thread `balance`; every method may be called from any thread."""

    def __init__(
        self,
        *,
        file: Path,
        store: SettingsStore,
        ussd: UssdSender,
        modems: Callable[[], Sequence[ModemStatus]],
        bus: Bus,
        clock: Clock,
    ) -> None:
        """Read what was known; `file` is written once for each answer."""
        self._file = file
        self._store = store
        self._ussd = ussd
        self._modems = modems
        self._bus = bus
        self._clock = clock
        self._lock = threading.Lock()  # of the file and of what it holds
        self._known = self._read()
        self._problems: dict[str, str] = {}  # by SIM
        self._retry_at_s: dict[str, float] = {}  # by SIM, on the boot clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="balance", daemon=True)

    def start(self) -> None:
        """Begin to look who is due."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the answer that it waits for."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def died(self) -> tuple[str, ...]:
        """Return the name of the thread if it ended though nobody asked it to."""
        return died(self._thread, was_asked=self._stop.is_set())

    def checks(self) -> Iterable[Check]:
        """Say how much is left on every SIM that is asked."""
        for modem, settings in self._settled():
            if settings.balance_check == DAILY or _sim(modem) in self._known:
                yield balance.check_balance(
                    modem.name,
                    self._known.get(_sim(modem)),
                    self._problems.get(_sim(modem), ""),
                    _alarm(settings),
                    self._clock.wall_s(),
                )

    def listed(self) -> list[dict[str, Any]]:
        """Return what is known of every modem's SIM, and what is wrong with it, as JSON."""
        today = date.fromtimestamp(self._clock.wall_s())
        return [
            {
                "modem": modem.name,
                "modem_id": modem.id,
                "problem": self._problems.get(_sim(modem), ""),
                "warnings": _alarm(settings).reasons(known.balance, today) if known else [],
                **(known.as_json() if known else {}),
            }
            for modem, settings in self._settled()
            for known in [self._known.get(_sim(modem))]
        ]

    def ask_now(self, modem: str) -> dict[str, Any]:
        """Ask one SIM now, by its modem's name or id; waits for the network.

        Raises:
            OtpPiError: There is no such modem, or no balance in what the network says.
        """
        for status, settings in self._settled():
            if modem in (status.id, status.name):
                self._ask(status, settings)
                return {"modem": status.name, "modem_id": status.id, **self._known[_sim(status)].as_json()}
        raise UnknownModem("there is no such modem")

    def take_message(self, modem_id: str, text: str) -> None:
        """Read the balance in a message, if the SIM was asked and the answer itself had none.

        Nothing is read otherwise: an advertisement would pass for a balance.
        """
        problems = [self._problems.get(_sim(modem)) for modem, _ in self._settled() if modem.id == modem_id]
        if _UNREADABLE in problems:
            self.take_text(modem_id, text)

    def take_text(self, modem_id: str, text: str) -> bool:
        """Read the balance in a text of the operator, whichever way it came; False if there is none in it."""
        for modem, settings in self._settled():
            if modem.id == modem_id and (found := balance.read_balance(text, settings.balance_pattern)):
                self._remember(modem, settings, found)
                return True
        return False

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD_S):
            self.ask_due()

    def ask_due(self) -> None:
        """Ask every SIM whose time has come, one after another."""
        if not self._clock.wall_is_trusted():
            return
        for modem, settings in self._settled():
            if self._stop.is_set():
                return
            if settings.balance_check != DAILY or not modem.is_ready or not self._is_due(_sim(modem)):
                continue
            try:
                self._ask(modem, settings)
            except OtpPiError as error:
                wait_s = error.retry_after_s if isinstance(error, Busy) and error.retry_after_s else _RETRY_S
                self._retry_at_s[_sim(modem)] = self._clock.boot_s() + wait_s
                log.warning(
                    "a balance could not be read",
                    extra={"fields": {"modem": modem.name, "reason": str(error)}},
                )

    def _is_due(self, sim: str) -> bool:
        if self._clock.boot_s() < self._retry_at_s.get(sim, 0.0):
            return False
        known, now_s = self._known.get(sim), self._clock.wall_s()
        # One of the future is of a clock that was set back.
        return known is None or known.at_wall_s > now_s or now_s >= balance.next_check_s(sim, known.at_wall_s)

    def _ask(self, modem: ModemStatus, settings: ModemSettings) -> None:
        try:
            text = self._converse(modem, balance.steps(settings.balance_ussd, modem.identity.imsi))
        except OtpPiError as error:
            self._problems[_sim(modem)] = str(error)
            raise
        if not self.take_text(modem.id, text):
            self._problems[_sim(modem)] = _UNREADABLE
            raise UssdFailed(_UNREADABLE)

    def _converse(self, modem: ModemStatus, steps: Sequence[str]) -> str:
        if not steps:
            raise UssdFailed(
                "the operator's code for the balance is not known; set balance_ussd of the modem"
            )
        text, is_open = "", False
        try:
            for step in steps:
                reply = self._ussd.request_ussd(modem.id, step, _ORIGIN, self._deadline())
                text, is_open = reply.text, reply.expects_reply
        finally:
            if is_open:
                with contextlib.suppress(
                    OtpPiError
                ):  # what was read counts, and a menu ends by itself as well
                    self._ussd.request_ussd(modem.id, "", _ORIGIN, self._deadline())
        return text

    def _remember(self, modem: ModemStatus, settings: ModemSettings, found: Balance) -> None:
        now_s = self._clock.wall_s()
        with self._lock:
            self._known = {**self._known, _sim(modem): Known(balance=found, at_wall_s=now_s)}
            self._problems.pop(_sim(modem), None)
            self._write()
        if reasons := _alarm(settings).reasons(found, date.fromtimestamp(now_s)):
            reason = ", ".join(reasons)
            log.warning("a balance is low", extra={"fields": {"modem": modem.name, "reason": reason}})
            self._bus.publish(
                BalanceLow(
                    modem_id=modem.id,
                    modem_name=modem.name,
                    amount=str(found.amount),
                    valid_until=found.valid_until.isoformat() if found.valid_until else "",
                    reason=reason,
                )
            )

    def _settled(self) -> Iterable[tuple[ModemStatus, ModemSettings]]:
        settings = self._store.items(ModemSettings)
        return [(modem, settings[modem.id]) for modem in self._modems() if modem.id in settings]

    def _deadline(self) -> Deadline:
        return Deadline.after(self._clock, self._store.get(SmsSettings).ussd_timeout_s)

    def _read(self) -> dict[str, Known]:
        try:
            document = json.loads(self._file.read_text())
            return {sim: Known.from_json(one) for sim, one in document.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, ArithmeticError, AttributeError, TypeError):
            log.warning("the known balances are damaged and are asked for anew")
            return {}

    def _write(self) -> None:
        document = {sim: known.as_json() for sim, known in self._known.items()}
        try:
            write_atomically(self._file, json.dumps(document).encode())
        except OSError as error:
            log.warning("the balance could not be kept", extra={"fields": {"reason": error.strerror}})


def _sim(modem: ModemStatus) -> str:
    """Return what a SIM is known by; the modem stands for one that does not tell."""
    return modem.identity.iccid or modem.identity.imsi or modem.id


def _alarm(settings: ModemSettings) -> Alarm:
    return Alarm(below=settings.balance_low, days=settings.balance_days)
