"""All modems of the device: made and unmade as the settings say."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock
from typing import TypeVar

from otppi.contracts.received import MessageSink, ReportSink
from otppi.contracts.sms import OutgoingSms, Ticket
from otppi.lib.bus import Bus
from otppi.lib.deadline import Deadline
from otppi.model.errors import ModemUnavailable, UnknownModem
from otppi.model.modems import ModemState, ModemStatus
from otppi.model.requests import Origin
from otppi.model.results import UssdReply
from otppi.modems.asking import UssdJob
from otppi.modems.errand import Conversation, Errand
from otppi.modems.modem import Modem
from otppi.modems.refused_pins import RefusedPins
from otppi.modems.sending import Limits
from otppi.modems.settings import ModemSettings
from otppi.modems.whereabouts import Whereabouts
from otppi.work.queue import SmsJob, WorkQueue

log = logging.getLogger(__name__)

T = TypeVar("T")


class ModemPool:
    """Implements `SmsSender`, `UssdSender` and `ModemDirectory` on real serial ports."""

    def __init__(
        self,
        *,
        bus: Bus,
        limits: Callable[[], Limits],
        refused_pins: RefusedPins,
        messages: MessageSink,
        reports: ReportSink,
        queue: WorkQueue | None = None,
        whereabouts: Whereabouts | None = None,
        restart_usb: Callable[[str], None] | None = None,
    ) -> None:
        """Compose.

        Args:
            bus: Hears what becomes of modems and messages.
            limits: How long a modem may take.
            refused_pins: PINs not to be tried again.
            messages: Takes what is received.
            reports: Takes delivery reports.
            queue: Where messages wait, if others than modems take them from there as well.
            whereabouts: Where modems are, if somebody looks for them; else their settings say it.
            restart_usb: Switches a USB device off and on by its name in /sys/bus/usb/devices; may wait some seconds
                and raise `HostError`.
        """
        self._queue = queue or WorkQueue()
        self._bus = bus
        self._limits = limits
        self._refused_pins = refused_pins
        self._messages = messages
        self._reports = reports
        self._whereabouts = whereabouts or Whereabouts()
        self._restart_usb = restart_usb
        self._lock = Lock()  # one `apply` at a time; readers take the mapping as it is
        self._settings: Mapping[str, ModemSettings] = {}
        self._modems: dict[str, Modem] = {}

    def apply(self, settings: Mapping[str, ModemSettings]) -> None:
        """Start, stop and restart modems until they are as the settings say; waits for those that stop."""
        with self._lock:
            wanted = {
                modem_id: one for modem_id, one in settings.items() if one.active and not one.internet_access
            }
            kept = {
                modem_id: modem
                for modem_id, modem in self._modems.items()
                if modem_id in wanted and modem.settings.opens_like(wanted[modem_id])
            }
            for modem_id, modem in kept.items():
                modem.settings = wanted[modem_id]
            gone = [modem for modem_id, modem in self._modems.items() if modem_id not in kept]
            self._stop(gone)
            added = {
                modem_id: self._make(modem_id, one)
                for modem_id, one in wanted.items()
                if modem_id not in kept
            }
            self._modems = kept | added
            self._settings = dict(settings)
            for modem in added.values():
                modem.start()

    def stop(self) -> None:
        """Let every modem finish the message in hand, then give all ports back."""
        self.apply({})

    def snapshot(self) -> tuple[ModemStatus, ...]:
        """See `ModemDirectory`."""
        modems = self._modems
        return tuple(
            modems[modem_id].status() if modem_id in modems else _resting(modem_id, one)
            for modem_id, one in self._settings.items()
        )

    def look_again(self, modem_ids: Iterable[str]) -> None:
        """Let modems that have no port look for it now."""
        with self._lock:  # a modem that stops gives its bell back
            for modem_id in modem_ids:
                if (modem := self._modems.get(modem_id)) is not None:
                    modem.look_again()

    def died(self) -> tuple[str, ...]:
        """Return the names of modems whose thread ended though nobody asked it to."""
        return tuple(modem.settings.name for modem in self._modems.values() if modem.has_died)

    def waiting_for(self, modem_id: str) -> int:
        """Count the messages that this modem might take next."""
        return self._queue.waiting_for(modem_id)

    def submit(self, sms: OutgoingSms, eligible: Sequence[str], on_done: Callable[[Ticket], None]) -> Ticket:
        """See `SmsSender`."""
        job = SmsJob(self._queue, sms, eligible, on_done)
        self._queue.put(job)
        return job

    def expected_wait_s(self, eligible: Sequence[str]) -> float:
        """See `SmsSender`."""
        return self._queue.expected_wait_s(eligible)

    def request_ussd(self, modem_id: str, text: str, origin: Origin, deadline: Deadline) -> UssdReply:
        """See `UssdSender`."""
        if modem_id not in self._settings:
            raise UnknownModem("there is no such modem")
        job = UssdJob(modem_id, text, origin, deadline, lambda: self._why_not_ready(modem_id))
        self._queue.put(job)
        return job.wait(self._queue)

    def converse(
        self,
        modem_id: str,
        action: Callable[[Conversation], T],
        deadline: Deadline,
        *,
        takes_long: bool = False,
    ) -> T:
        """Do something at one modem for a person: on the modem's thread, between two messages; waits for it.

        Args:
            modem_id: Which one; it may wait for its PIN or for the network, but its port must be open.
            action: What is done; must end by itself.
            deadline: Until when it must have begun.
            takes_long: Whether other modems should take the messages meanwhile.

        Raises:
            UnknownModem: There is no such modem.
            ModemUnavailable: It is not there, is busy, or did not answer.
            OtpPiError: What `action` raises.
        """
        if modem_id not in self._settings:
            raise UnknownModem("there is no such modem")
        errand = Errand(action, deadline, takes_long=takes_long)
        with self._lock:  # a modem that stops gives its bell back
            modem = self._modems.get(modem_id)
            if modem is None:
                raise ModemUnavailable("the modem is not active, or is kept for mobile internet")
            modem.ask(errand)
        return errand.wait(modem.errands)

    def _why_not_ready(self, modem_id: str) -> str:
        status = next((one for one in self.snapshot() if one.id == modem_id), None)
        if status is None or status.is_ready:  # gone while the job waited; the state follows
            return "it was until now"
        return status.in_words

    def _make(self, modem_id: str, settings: ModemSettings) -> Modem:
        return Modem(
            modem_id,
            settings,
            queue=self._queue,
            bus=self._bus,
            limits=self._limits,
            refused_pins=self._refused_pins,
            messages=self._messages,
            reports=self._reports,
            whereabouts=self._whereabouts,
            restart_usb=self._restart_usb,
        )

    def _stop(self, modems: Sequence[Modem]) -> None:
        for modem in modems:
            modem.ask_to_stop()
        for modem in modems:
            modem.stop()


def _resting(modem_id: str, settings: ModemSettings) -> ModemStatus:
    return ModemStatus(
        id=modem_id,
        name=settings.name,
        port=settings.port,
        state=ModemState.ABSENT,
        reason="kept for mobile internet" if settings.active else "not active",
        active=settings.active,
        api_enabled=settings.api_enabled,
        is_default=settings.is_default,
        prefixes=settings.prefixes,
        internet_access=settings.internet_access,
        tariff=settings.tariff,
        quota=settings.quota,
    )
