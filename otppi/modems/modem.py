"""One modem: one thread that owns its port, its state and what it does."""

import contextlib
import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from otppi.contracts.received import MessageSink, ReportSink
from otppi.lib.backoff import delays_s
from otppi.lib.bus import Bus
from otppi.lib.faults import fault
from otppi.lib.threads import died
from otppi.lib.wakeup import Wakeup
from otppi.model.errors import DeliveryError, HostError, OutcomeUnknown
from otppi.model.events import ModemLearned, ModemStateChanged
from otppi.model.modems import (
    Identity,
    ModemState,
    ModemStatus,
    Registration,
    Signal,
    SimState,
    is_another_sim,
)
from otppi.modems import introduction
from otppi.modems.asking import Asking, UssdJob
from otppi.modems.channel import AtRefused, Channel, NoAnswer
from otppi.modems.errand import Conversation, Errand, Errands
from otppi.modems.families import family_of, family_on_usb
from otppi.modems.families.family import Family
from otppi.modems.families.generic import GENERIC
from otppi.modems.introduction import SimBlocked
from otppi.modems.matching import is_another, stranger_at
from otppi.modems.reading import Reading
from otppi.modems.recovery import Recovery, Rung
from otppi.modems.refused_pins import RefusedPins
from otppi.modems.sending import Limits, Sending, Unsent
from otppi.modems.settings import ModemSettings
from otppi.modems.transport import PortGone, SerialTransport
from otppi.modems.whereabouts import Place, Whereabouts
from otppi.work.queue import Job, SmsJob, WorkQueue

log = logging.getLogger(__name__)

# How often an idle modem is asked for its signal, which is also how one that hangs is noticed: 5 s later.
_PROBE_INTERVAL_S = 10.0
# How often an idle modem is asked for messages that it did not tell of.
_SWEEP_INTERVAL_S = 300.0
_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 10.0
# A modem that is told to start anew, or gets new power, hears for a while what it will not remember.
_AFTER_RESTART_S = 3.0
_SIM_RETRY_S = 30.0
_SEARCH_INTERVAL_S = 3.0
_STOP_GRACE_S = 5.0
_SIM_STATES = {SimState.PIN_NEEDED: ModemState.PIN_NEEDED, SimState.PUK_NEEDED: ModemState.PUK_BLOCKED}
# These a restart of the modem may cure; others wait for a person.
_SIM_TROUBLE = frozenset({SimState.FAILED, SimState.BUSY})
_RECOVERING = {
    None: "it is waited for",
    Rung.REOPEN: "its port is opened anew",
    Rung.RESTART: "it is told to start anew",
    Rung.REPLUG: "its USB port is switched off and on",
}
_TROUBLES: Mapping[type[Exception], ModemState] = {
    PortGone: ModemState.ABSENT,
    AtRefused: ModemState.RECOVERING,
}
_Trouble = NoAnswer | AtRefused | PortGone


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
        restart_usb: Callable[[str], None] | None,
    ) -> None:
        self.id = modem_id
        self._settings = settings
        self._queue = queue
        self._bus = bus
        self._own_limits = limits
        self._refused_pins = refused_pins
        self._whereabouts = whereabouts
        self._restart_usb = restart_usb
        self._wakeup = Wakeup()
        self._stopping = False
        self._state = ModemState.STARTING
        self._reason = ""
        self._identity = Identity()
        self._family = GENERIC
        self._was_met = False
        self._unlocked_by = settings
        self._was_restarted_for_sim = False
        self._stick = ""  # the USB device that it was at last
        self._signal: Signal | None = None
        self._registration = Registration.UNKNOWN
        self._store_fill: float | None = None
        self._versions = itertools.count(1)
        self._version = 0  # of what `status` tells; another one for each change
        # By whether a message is in hand, and whether that one is not answered; for one version.
        self._statuses: tuple[int, dict[tuple[bool, bool], ModemStatus]] = (0, {})
        self._sending = Sending(modem_id, bus, reports, self._limits)
        self._reading = Reading(modem_id, messages, reports)
        self._sweep_at_s = 0.0  # monotonic
        self._asking = Asking(modem_id, lambda: limits().ussd_session_s)
        self.errands = Errands(lambda: self.status().in_words)
        self._recovery = Recovery()
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
        self._learn_sim()
        self._wakeup.ring()

    def start(self) -> None:
        """Begin to look for the port."""
        self._thread.start()

    def look_again(self) -> None:
        """Look for the port now, if it is not there; returns at once."""
        self._wakeup.ring()

    def ask(self, errand: Errand[Any]) -> None:
        """Let it do something for a person when it comes to it; returns at once."""
        self.errands.put(errand)
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
        asked_at_s = self._sending.asked_at_s
        is_busy = asked_at_s is not None
        hangs = asked_at_s is not None and time.monotonic() - asked_at_s > self._limits().silent_after_s
        if self._statuses[0] != (version := self._version):
            self._statuses = (version, {})
        # Read once: another thread may put those of a newer version in their place.
        _, statuses = self._statuses
        if (status := statuses.get((is_busy, hangs))) is None:
            status = statuses[is_busy, hangs] = self._made_status(is_busy=is_busy, hangs=hangs)
        return status

    def _made_status(self, *, is_busy: bool, hangs: bool) -> ModemStatus:
        settings, state, reason = self._settings, self._state, self._reason
        if hangs:
            state, reason = ModemState.HUNG, "has not answered the message in hand"
        elif is_busy and state is ModemState.READY:
            state = ModemState.BUSY
        return ModemStatus(
            id=self.id,
            name=settings.name,
            port=settings.port,
            state=state,
            reason=reason,
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
            swapped_sim=(settings.iccid[-4:], self._identity.iccid[-4:])
            if is_another_sim(settings.iccid, self._identity.iccid)
            else None,
        )

    def _limits(self) -> Limits:
        limits = self._own_limits()
        return replace(limits, answer_s=self._family.answer_limit_s or limits.answer_s)

    def _run(self) -> None:
        try:
            self._live()
        finally:
            self._whereabouts.release(self.id, self)

    def _live(self) -> None:
        while not self._stopping:
            try:
                if self._tried_port():
                    continue
            except Exception as error:  # noqa: BLE001 - logged without its text
                # One bad modem must not take its thread down and stay away for ever.
                fields = {"modem": self.settings.name, **fault(error)}
                log.error("a modem failed", extra={"fields": fields})  # noqa: TRY400 - see `fault`
                self._become(ModemState.FAILED, "internal error; see the log")
            rest_s = self._recovery.rest_s(time.monotonic())
            self._wakeup.wait(max(_FIRST_RETRY_S, min(next(self._delays), rest_s)))

    def _tried_port(self) -> bool:
        """Work with the modem as long as that goes; False if it is to be tried again after a pause."""
        try:
            self._with_port()
        except PortGone as error:
            self._whereabouts.release(self.id, self)
            self._sending.forget_owed()
            self._sweep_at_s = 0.0  # another SIM may come
            self._lost(error)
            return False
        except (NoAnswer, AtRefused) as error:
            self._recover(error)
            return False
        return True

    def _place(self) -> Place:
        place = self._whereabouts.of(self.id) or Place(node=self.settings.device)
        if not place.node:
            raise PortGone(place.why or "it has not been found")
        # While a stick starts anew it is seen without its ports, and the settings are all there is.
        self._stick = place.stick or self._stick
        return place

    def _with_port(self) -> None:
        place = self._place()
        self._whereabouts.claim(self.id, place.node, self)
        transport = SerialTransport(place.node, self.settings.line, self._wakeup)
        try:
            self._live_at(Channel(transport, self._hear), place)
        finally:
            self.errands.close()
            transport.close()

    def _live_at(self, channel: Channel, place: Place) -> None:
        """Set the modem up, as often as it takes, and let it do its work."""
        is_set_up = False
        while not self._stopping:
            try:
                if not is_set_up:
                    self._set_up(channel, place)
                    is_set_up = True
                if self._registration.forbids_messages:
                    self._search(channel)
                else:
                    self._serve(channel)
                if self._run_errand(channel):
                    is_set_up = False
            except SimBlocked as error:
                self._wait_for_sim(channel, error)
                is_set_up = False
            except NoAnswer as error:
                if not is_set_up:
                    raise
                self._become(ModemState.HUNG, str(error))
                if not (self._recovery.may_drain(time.monotonic()) and channel.resynchronise()):
                    raise
                # It may have started anew by itself, so it is set up again even though it answers.
                is_set_up = False

    def _set_up(self, channel: Channel, place: Place) -> None:
        if self._state is ModemState.ABSENT:
            self._become(ModemState.STARTING)
        introduction.set_up(channel)
        family, own = introduction.meet(channel, place.usb)
        self._recognise(place.node, own.imei)
        self._family, self._was_met = family, True
        self._identity = own
        self.errands.open()
        self._unlock(channel)
        self._was_restarted_for_sim = False
        introduction.prepare_sending(channel, family)
        self._identity = introduction.identity(channel, family, own)
        self._learn_sim()
        self._reading.set_up(channel, family, self._identity.iccid)
        if time.monotonic() >= self._sweep_at_s:
            self._sweep(channel)
        self._asking.opened(family.ussd)
        self._probe(channel)
        self._recovery.answered(time.monotonic())

    def _unlock(self, channel: Channel) -> None:
        self._unlocked_by = by = self.settings
        introduction.unlock(channel, self.id, by.sim_pin, self._refused_pins, self._family, iccid=by.iccid)

    def _wait_for_sim(self, channel: Channel, blocked: SimBlocked) -> None:
        """Wait for a person, for a SIM that is put in, or until it is time to look again."""
        self._become(_SIM_STATES.get(blocked.state, ModemState.SIM_BLOCKED), str(blocked))
        self._recovery.answered(time.monotonic())
        asks_at_s = time.monotonic() + _SIM_RETRY_S
        while (rest_s := asks_at_s - time.monotonic()) > 0:
            if self._run_errand(channel) or not self.settings.opens_sim_like(self._unlocked_by):
                return
            if self._stopping:
                return
            channel.idle(min(rest_s, _PROBE_INTERVAL_S))
            channel.command("AT")
        if blocked.state in _SIM_TROUBLE and not self._was_restarted_for_sim:
            self._was_restarted_for_sim = True
            self._tell_to_restart(channel, self._family)
            channel.idle(_AFTER_RESTART_S)

    def _run_errand(self, channel: Channel) -> bool:
        if (errand := self.errands.take()) is None:
            return False
        conversation = Conversation(channel=channel, family=self._family, identity=self._identity)
        if errand.takes_long:
            self._become(ModemState.STARTING, "a person works on it")
        errand.perform(conversation)
        return True

    def _lost(self, error: PortGone) -> None:
        """Take note that the port is gone: pulled out, or about to come back from a restart."""
        if self._recovery.took_port_away:
            self._recover(error)
            return
        self._recovery.forget()
        self._was_met, self._stick = False, ""  # what comes there next may be something else
        if self._state is not ModemState.ABSENT:
            self._delays = delays_s(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        self._become(ModemState.ABSENT, str(error))

    def _recover(self, trouble: _Trouble) -> None:
        """Do the next thing that may bring the modem back; waits some seconds at most."""
        if self._stopping:
            return
        is_gone = isinstance(trouble, PortGone)
        rung = self._recovery.next_rung(time.monotonic(), self._possible_rungs(), is_gone=is_gone)
        if self._recovery.has_failed:
            self._become(ModemState.FAILED, str(trouble))
        else:
            self._become(ModemState.RECOVERING, f"{trouble}; {_RECOVERING[rung]}")
        if rung is None:
            return
        self._delays = delays_s(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        if rung is Rung.RESTART:
            self._restart()
        elif rung is Rung.REPLUG:
            self._replug()

    def _possible_rungs(self) -> frozenset[Rung]:
        rungs = {Rung.REOPEN}
        # What never answered as a modem does may be something else.
        if self._was_met or self.settings.imei:
            rungs.add(Rung.RESTART)
        if self._restart_usb is not None and self._stick and (self._was_met or self._is_modem_by_usb()):
            rungs.add(Rung.REPLUG)
        return frozenset(rungs)

    def _is_modem_by_usb(self) -> bool:
        place = self._whereabouts.of(self.id)
        return place is not None and family_on_usb(place.usb) is not None

    def _restart(self) -> None:
        self._delays = delays_s(_AFTER_RESTART_S, _LONGEST_RETRY_S)
        with contextlib.suppress(PortGone):
            place = self._place()
            family = self._family if self._was_met else family_of(place.usb, "", "")
            transport = SerialTransport(place.node, self.settings.line, self._wakeup)
            with contextlib.closing(transport):
                self._tell_to_restart(Channel(transport, self._hear), family)

    def _tell_to_restart(self, channel: Channel, family: Family) -> None:
        self._sending.forget_owed()
        introduction.restart(channel, family)

    def _replug(self) -> None:
        self._delays = delays_s(_AFTER_RESTART_S, _LONGEST_RETRY_S)
        if self._restart_usb is None:
            return
        self._sending.forget_owed()
        self._whereabouts.release(self.id, self)
        try:
            self._restart_usb(self._stick)
        except HostError as error:
            fields = {"modem": self.settings.name, "reason": str(error)}
            log.warning("a USB device could not be switched off and on", extra={"fields": fields})

    def _recognise(self, port: str, imei: str) -> None:
        """See that it is the modem of the settings before anything is done to its SIM."""
        if is_another(self.settings, imei):
            raise PortGone(stranger_at(port, self.settings, imei))
        if imei and not self.settings.imei:
            self._bus.publish(ModemLearned(modem_id=self.id, imei=imei))

    def _learn_sim(self) -> None:
        if self._identity.iccid and not self.settings.iccid:
            self._bus.publish(ModemLearned(modem_id=self.id, iccid=self._identity.iccid))

    def _search(self, channel: Channel) -> None:
        """Wait for the network; no job comes meanwhile."""
        self._become(ModemState.SEARCHING, self._registration.value)
        asks_at_s = time.monotonic() + _SEARCH_INTERVAL_S
        while not (self._stopping or self.errands) and (rest_s := asks_at_s - time.monotonic()) > 0:
            channel.idle(rest_s)
        self._probe(channel)
        self._unlock(channel)  # somebody may have taken the SIM out

    def _serve(self, channel: Channel) -> None:
        """Do jobs until it is to stop, has lost the network, or is to do something that takes long."""
        if self._stopping:
            return
        self._queue.join(self.id, self._wakeup)
        self._become(ModemState.READY)
        self._delays = delays_s(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        probe_at_s = time.monotonic() + _PROBE_INTERVAL_S
        try:
            while not self._stopping and not self._registration.forbids_messages:
                self._asking.tick(channel)
                if self._reading.has_news:
                    self._reading.attend(channel)
                if (errand := self.errands.first()) is not None:
                    if errand.takes_long:
                        return  # others take the messages meanwhile
                    self._run_errand(channel)
                    self._identity = introduction.identity(channel, self._family, self._identity)
                    self._version = next(self._versions)
                    continue
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
            self._become(_TROUBLES.get(type(error.cause), ModemState.HUNG), str(error.cause))
            job.fail(error.outcome)
            raise error.cause from None
        self._queue.note_duration(self.id, finished.duration_s)
        self._rest()
        self._recovery.forget()
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
