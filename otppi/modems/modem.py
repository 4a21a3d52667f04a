"""One modem: one thread that owns its port, its state and what it does."""

import itertools
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from otppi.contracts.received import MessageSink, ReportSink
from otppi.lib.backoff import delays_s
from otppi.lib.bus import Bus
from otppi.lib.threads import died
from otppi.lib.wakeup import Wakeup
from otppi.model.errors import DeliveryError, OutcomeUnknown
from otppi.model.events import ModemLearned, ModemStateChanged
from otppi.model.modems import Identity, ModemState, ModemStatus, Registration, Signal
from otppi.modems import introduction
from otppi.modems.asking import Asking
from otppi.modems.channel import AtRefused, Channel, NoAnswer
from otppi.modems.families.generic import GENERIC
from otppi.modems.introduction import SimBlocked
from otppi.modems.matching import is_another, stranger_at
from otppi.modems.reading import Reading
from otppi.modems.refused_pins import RefusedPins
from otppi.modems.sending import Limits, Sending, Unsent
from otppi.modems.settings import ModemSettings
from otppi.modems.transport import PortGone, SerialTransport
from otppi.modems.whereabouts import Place, Whereabouts
from otppi.modems.work import Job, SmsJob, UssdJob, WorkQueue

log = logging.getLogger(__name__)

# How often an idle modem is asked for its signal, which is also how a silent one is noticed.
_PROBE_INTERVAL_S = 15.0
# How often an idle modem is asked for messages that it did not tell of.
_SWEEP_INTERVAL_S = 300.0
_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 10.0
_SIM_RETRY_S = 30.0
_SEARCH_INTERVAL_S = 3.0
_STOP_GRACE_S = 5.0


class Modem:
    """Owns one modem from plugging in to unplugging, on the thread `modem:NAME`.

    Public methods may be called from any thread; everything else runs on the modem's own.
    """

    def __init__(
        self,
        modem_id: str,
        settings: ModemSettings,
        *,
        queue: WorkQueue,
        bus: Bus,
        limits: Callable[[], Limits],
        refused_pins: RefusedPins,
        messages: MessageSink,
        reports: ReportSink,
        whereabouts: Whereabouts,
    ) -> None:
        self.id = modem_id
        self._settings = settings
        self._queue = queue
        self._bus = bus
        self._own_limits = limits
        self._refused_pins = refused_pins
        self._whereabouts = whereabouts
        self._wakeup = Wakeup()
        self._stopping = False
        self._state = ModemState.STARTING
        self._reason = ""
        self._identity = Identity()
        self._family = GENERIC
        self._signal: Signal | None = None
        self._registration = Registration.UNKNOWN
        self._store_fill: float | None = None
        self._versions = itertools.count(1)
        self._version = 0  # of what `status` tells; another one for each change
        self._status = (0, self._made_status())
        self._sending = Sending(modem_id, bus, reports, self._limits)
        self._reading = Reading(modem_id, messages, reports)
        self._sweep_at_s = 0.0  # monotonic
        self._asking = Asking(modem_id, lambda: limits().ussd_session_s)
        self._delays = delays_s(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        self._thread = threading.Thread(target=self._run, name=f"modem:{settings.name}", daemon=True)

    @property
    def settings(self) -> ModemSettings:
        """The settings it works by; new ones must open the port as the old ones do (`opens_like`)."""
        return self._settings

    @settings.setter
    def settings(self, settings: ModemSettings) -> None:
        self._settings = settings
        self._version = next(self._versions)

    def start(self) -> None:
        """Begin to look for the port."""
        self._thread.start()

    def look_again(self) -> None:
        """Look for the port now, if it is not there; returns at once."""
        self._wakeup.ring()

    def ask_to_stop(self) -> None:
        """Take no further job; returns at once."""
        self._stopping = True
        self._wakeup.ring()

    def stop(self) -> None:
        """Finish the message in hand, give the port back and end the thread."""
        self.ask_to_stop()
        # A message in hand may take as long as the modem may take to answer it.
        self._thread.join(self._limits().answer_s + _STOP_GRACE_S)
        if self._thread.is_alive():
            log.error("a modem did not stop in time", extra={"fields": {"modem": self.settings.name}})
        else:
            self._wakeup.close()

    @property
    def has_died(self) -> bool:
        """Whether its thread ended though nobody asked it to."""
        return bool(died(self._thread, was_asked=self._stopping))

    def status(self) -> ModemStatus:
        """Return the modem as it stands."""
        # Asked for every message, so it is made once for each change and not for each question.
        version, (made_for, status) = self._version, self._status
        if made_for != version:
            status = self._made_status()
            self._status = (version, status)
        asked_at_s = self._sending.asked_at_s
        if asked_at_s is not None and time.monotonic() - asked_at_s > self._limits().silent_after_s:
            return replace(status, state=ModemState.SILENT, reason="has not answered the message in hand")
        return status

    def _made_status(self) -> ModemStatus:
        settings = self._settings
        return ModemStatus(
            id=self.id,
            name=settings.name,
            port=settings.port,
            state=self._state,
            reason=self._reason,
            active=settings.active,
            api_enabled=settings.api_enabled,
            is_default=settings.is_default,
            prefixes=settings.prefixes,
            internet_access=settings.internet_access,
            tariff=settings.tariff,
            quota=settings.quota,
            identity=self._identity,
            signal=self._signal,
            registration=self._registration,
            store_fill=self._store_fill,
        )

    def _limits(self) -> Limits:
        limits = self._own_limits()
        return replace(limits, answer_s=self._family.answer_limit_s or limits.answer_s)

    def _run(self) -> None:
        try:
            self._live()
        finally:
            self._whereabouts.release(self.id)

    def _live(self) -> None:
        while not self._stopping:
            try:
                self._with_port()
                continue
            except PortGone as error:
                self._whereabouts.release(self.id)
                self._sending.forget_owed()
                self._sweep_at_s = 0.0  # another SIM may come
                self._doubt(error)
            except SimBlocked as error:
                self._become(ModemState.SIM_BLOCKED, str(error))
                self._wakeup.wait(_SIM_RETRY_S)
                continue
            except (NoAnswer, AtRefused) as error:
                self._doubt(error)
            except Exception:
                # One bad modem must not take its thread down and stay away for ever.
                log.exception("a modem failed", extra={"fields": {"modem": self.settings.name}})
                self._become(ModemState.SILENT, "internal error")
            self._wakeup.wait(next(self._delays))

    def _with_port(self) -> None:
        place = self._whereabouts.of(self.id) or Place(node=self.settings.device)
        if not place.node:
            raise PortGone(place.why or "it has not been found")
        self._whereabouts.claim(self.id, place.node)
        transport = SerialTransport(place.node, self.settings.line, self._wakeup)
        try:
            channel = Channel(transport, self._hear)
            self._become(ModemState.STARTING)
            introduction.set_up(channel)
            family, own = introduction.meet(channel, place.usb)
            self._recognise(place.node, own.imei)
            self._family = family
            introduction.unlock(channel, self.id, self.settings.sim_pin, self._refused_pins, family)
            introduction.prepare_sending(channel, family)
            self._identity = introduction.identity(channel, family, own)
            self._version = next(self._versions)
            self._reading.set_up(channel, family, self._identity.iccid)
            if time.monotonic() >= self._sweep_at_s:
                self._sweep(channel)
            self._asking.opened(family.ussd)
            self._probe(channel)
            while not self._stopping:
                if self._registration.forbids_messages:
                    self._search(channel)
                else:
                    self._serve(channel)
        finally:
            transport.close()

    def _recognise(self, port: str, imei: str) -> None:
        """See that it is the modem of the settings before anything is done to its SIM."""
        if is_another(self.settings, imei):
            raise PortGone(stranger_at(port, self.settings, imei))
        if imei and not self.settings.imei:
            self._bus.publish(ModemLearned(modem_id=self.id, imei=imei))

    def _search(self, channel: Channel) -> None:
        """Wait for the network; no job comes meanwhile."""
        self._become(ModemState.SEARCHING, self._registration.value)
        asks_at_s = time.monotonic() + _SEARCH_INTERVAL_S
        while not self._stopping and (rest_s := asks_at_s - time.monotonic()) > 0:
            channel.idle(rest_s)
        self._probe(channel)

    def _serve(self, channel: Channel) -> None:
        """Do jobs until it is to stop or has lost the network."""
        self._queue.join(self.id, self._wakeup)
        self._become(ModemState.READY)
        self._delays = delays_s(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        probe_at_s = time.monotonic() + _PROBE_INTERVAL_S
        try:
            while not self._stopping and not self._registration.forbids_messages:
                self._asking.tick(channel)
                if self._reading.has_news:
                    self._reading.attend(channel)
                job = self._queue.next_for(self.id)
                if job is not None:
                    self._perform(channel, job)
                    probe_at_s = time.monotonic() + _PROBE_INTERVAL_S
                elif time.monotonic() >= probe_at_s:
                    self._probe(channel)
                    probe_at_s = time.monotonic() + _PROBE_INTERVAL_S
                elif time.monotonic() >= self._sweep_at_s:
                    self._sweep(channel)
                elif not self._reading.has_news:  # more may have been heard meanwhile
                    idle_s = self._queue.asks_again_in_s(self.id)
                    channel.idle(min(probe_at_s - time.monotonic(), idle_s, self._asking.rest_s))
        finally:
            self._queue.leave(self.id, self._wakeup)
            self._asking.closed()

    def _perform(self, channel: Channel, job: Job) -> None:
        try:
            if isinstance(job, SmsJob):
                self._send(channel, job)
            elif isinstance(job, UssdJob):
                self._asking.take(channel, job)
        except (AtRefused, NoAnswer, PortGone):
            raise  # the job has had its answer; the modem itself is in question
        except Exception:
            # Whoever waits for this job must hear an end of it, whatever went wrong here.
            job.fail(OutcomeUnknown("the modem stopped in the middle of it"))
            raise

    def _send(self, channel: Channel, job: SmsJob) -> None:
        try:
            job.sms.before_taking(self.id)
        except DeliveryError as error:
            job.fail(error)
            return
        self._asking.message_goes_out()
        try:
            receipt, finished = self._sending.send(channel, job, self.settings.name, self._reading.sim)
        except Unsent as error:
            if not error.is_in_question:
                self._rest()
                job.fail(error.outcome)
                return
            # Whoever hears of the outcome and sends again must find the modem so.
            self._doubt(error.cause)
            job.fail(error.outcome)
            raise error.cause from None
        self._queue.note_duration(self.id, finished.duration_s)
        self._rest()
        job.finish(receipt)
        self._bus.publish(finished)

    def _rest(self) -> None:
        settings = self.settings
        if settings.gap_max_s:
            # Fit for looking like a person, not for keeping a secret.
            self._queue.rest(self.id, random.uniform(settings.gap_min_s, settings.gap_max_s))  # noqa: S311

    def _probe(self, channel: Channel) -> None:
        try:
            self._signal = introduction.signal(channel)
        except AtRefused:
            self._signal = None
        self._registration = introduction.registration(channel)
        self._version = next(self._versions)

    def _sweep(self, channel: Channel) -> None:
        # Noted before it is tried: a modem that falls silent over it gets to send until the next time.
        self._sweep_at_s = time.monotonic() + _SWEEP_INTERVAL_S
        fill = self._reading.sweep(channel)
        self._store_fill = fill.fraction if fill is not None else None
        self._version = next(self._versions)

    def _hear(self, line: str) -> None:
        if self._reading.hear(line):
            return
        if line.startswith("+CUSD:"):
            self._asking.hear(line)
        elif line.startswith("+CMGS:"):
            self._sending.hear_late_result()

    def _doubt(self, error: PortGone | NoAnswer | AtRefused) -> None:
        self._become(ModemState.ABSENT if isinstance(error, PortGone) else ModemState.SILENT, str(error))

    def _become(self, state: ModemState, reason: str = "") -> None:
        if (state, reason) == (self._state, self._reason):
            return
        if state is not ModemState.READY:
            self._signal = None
        if state not in (ModemState.READY, ModemState.SEARCHING):
            self._registration = Registration.UNKNOWN
        self._state, self._reason = state, reason
        self._version = next(self._versions)
        log.info(
            "modem changed state",
            extra={"fields": {"modem": self.settings.name, "state": state.value, "reason": reason}},
        )
        self._bus.publish(
            ModemStateChanged(modem_id=self.id, modem_name=self.settings.name, state=state, reason=reason)
        )
