"""One modem: one thread that owns its port, its state and what it does."""

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from otppi.lib.backoff import delays_s
from otppi.lib.bus import Bus
from otppi.lib.threads import died
from otppi.lib.wakeup import Wakeup
from otppi.model.errors import DeliveryError, OutcomeUnknown, SendFailed, UssdFailed
from otppi.model.events import ModemStateChanged, Outcome, SmsFinished
from otppi.model.modems import Identity, ModemState, ModemStatus, Signal
from otppi.model.pdu import submit_pdus
from otppi.model.results import SmsReceipt, UssdReply
from otppi.modems import introduction, parse
from otppi.modems.channel import AtRefused, Channel, NoAnswer, Owed
from otppi.modems.introduction import SimBlocked
from otppi.modems.refused_pins import RefusedPins
from otppi.modems.transport import PortGone, SerialLine, SerialTransport
from otppi.modems.work import Job, SmsJob, UssdJob, WorkQueue
from otppi.settings.fields import boolean, choice, integer, listing, secret, text
from otppi.settings.section import Section

log = logging.getLogger(__name__)

# How often an idle modem is asked for its signal, which is also how a silent one is noticed.
_PROBE_INTERVAL_S = 15.0
_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 10.0
_SIM_RETRY_S = 30.0
_REFERENCES_REMEMBERED = 100
# These become words in files that pppd and chat read as root: no quote but that of an AT command, no backslash, and
# nothing that either of them takes for more than a letter.
_APN_WORD = r"[A-Za-z0-9!#%&()*+,./:;<=>?@_~-]{0,64}"
_APN_WORD_SHAPE = "letters, digits and signs other than quotes, $, ^, |, \\ and brackets"
_AT_COMMAND = r"(AT[A-Za-z0-9 \"#$%&()*+,./:;<=>?@_~!-]{0,120})?"
_AT_COMMAND_SHAPE = "an AT command, without ', ^, | and \\"


class ModemSettings(Section, key="modems", title="Modems", reset_flag="RESET_MODEM", many=True):
    """The modems that the device knows."""

    name: str = text(pattern=r"\S(.{0,58}\S)?", help="What people call the modem.")
    port: str = text(
        pattern=r"[A-Za-z0-9_./:-]{1,200}",
        shape="a device such as /dev/ttyUSB0 or ttyUSB0",
        help="Serial port, for example /dev/ttyUSB0; ttyUSB0 is enough.",
    )
    prefixes: tuple[str, ...] = listing(
        default=(),
        item_pattern=r"[1-9][0-9]{0,14}",
        item_shape="digits with the country code first, such as 62812 and not 0812",
        help="Numbers that begin so are sent through this modem, written with their country code.",
    )
    is_default: bool = boolean(default=False, help="Takes numbers that no modem has a prefix for.")
    active: bool = boolean(default=True, help="An inactive modem is not opened at all.")
    api_enabled: bool = boolean(
        default=True,
        help="Off, no message goes through it, whoever asks; it stays ready for USSD.",
        title="Send SMS from API",
    )
    sim_pin: str = secret(
        default="",
        pattern=r"([0-9]{4,8})?",
        help="PIN of the SIM card; empty if it has none.",
        title="SIM PIN",
    )
    baud_rate: int = integer(default=115200, minimum=300, maximum=4000000, unit="Bd", help="Line speed.")
    parity: str = choice(
        ("N", "E", "O", "M", "S"), default="N", help="Parity: none, even, odd, mark or space."
    )
    start_bits: str = choice(("1",), default="1", help="Start bits; serial lines know no other number.")
    stop_bits: str = choice(("1", "1.5", "2"), default="1", help="Stop bits.")
    internet_access: bool = boolean(
        default=False, help="The modem is kept for mobile internet; no message goes through it."
    )
    apn: str = text(
        default="",
        pattern=r"[A-Za-z0-9._-]{0,100}",
        shape="letters, digits, dots and hyphens",
        help="Access point name of the operator; empty leaves it to the modem.",
        title="APN",
    )
    apn_username: str = text(
        default="",
        pattern=_APN_WORD,
        shape=_APN_WORD_SHAPE,
        help="User name for the APN, where the operator wants one.",
        title="APN username",
    )
    apn_password: str = secret(
        default="",
        pattern=_APN_WORD,
        help="Password for the APN, where the operator wants one.",
        title="APN password",
    )
    dial_number: str = text(
        default="*99#",
        pattern=r"[*#0-9]{1,30}",
        shape="digits, * and #",
        help="What is dialled for internet; #777 with CDMA.",
    )
    init_dial_1: str = text(
        default="", pattern=_AT_COMMAND, shape=_AT_COMMAND_SHAPE, help="AT command before dialling."
    )
    init_dial_2: str = text(
        default="", pattern=_AT_COMMAND, shape=_AT_COMMAND_SHAPE, help="AT command after that."
    )
    init_dial_3: str = text(
        default="", pattern=_AT_COMMAND, shape=_AT_COMMAND_SHAPE, help="AT command after that."
    )
    init_dial_4: str = text(
        default="", pattern=_AT_COMMAND, shape=_AT_COMMAND_SHAPE, help="AT command after that."
    )
    init_dial_5: str = text(
        default="", pattern=_AT_COMMAND, shape=_AT_COMMAND_SHAPE, help="AT command after that."
    )
    dial_command: str = choice(
        ("ATD", "ATDT", "ATDP"), default="ATD", help="What the number is dialled with; by tone or pulse."
    )
    autoreconnect: bool = boolean(
        default=True, help="Dial again when the connection ended.", title="Auto-reconnect"
    )

    @property
    def device(self) -> str:
        """The path of the port."""
        return self.port if self.port.startswith("/") else f"/dev/{self.port}"

    @property
    def line(self) -> SerialLine:
        """How the serial line is set."""
        return SerialLine(baud_rate=self.baud_rate, parity=self.parity, stop_bits=float(self.stop_bits))

    def opens_like(self, other: "ModemSettings") -> bool:
        """Whether a modem set up so may go on under the other settings without being opened anew."""
        return (self.device, self.line, self.sim_pin) == (other.device, other.line, other.sim_pin)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a modem may take, in seconds; read anew for each message."""

    answer_s: float
    silent_after_s: float


@dataclass(frozen=True)
class _Late:
    """A message whose result is missing."""

    finished: SmsFinished
    owed: Owed

    def may_still_come(self, newest: int | None) -> bool:
        """Whether its result can be told from those of newer messages: references come round after 256."""
        if self.owed.reference is None or newest is None:
            return False
        return (newest - self.owed.reference) % 256 < _REFERENCES_REMEMBERED


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
    ) -> None:
        self.id = modem_id
        self._settings = settings
        self._queue = queue
        self._bus = bus
        self._limits = limits
        self._refused_pins = refused_pins
        self._wakeup = Wakeup()
        self._stopping = False
        self._state = ModemState.STARTING
        self._reason = ""
        self._identity = Identity()
        self._signal: Signal | None = None
        self._versions = itertools.count(1)
        self._version = 0  # of what `status` tells; another one for each change
        self._status = (0, self._made_status())
        self._asked_at_s: float | None = None  # monotonic; set while a send waits for the modem's answer
        self._concat_reference = 0
        self._ussd_line = ""
        self._delays = delays_s(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        self._last_reference: int | None = None
        self._late: _Late | None = None  # the last message whose outcome stayed unknown
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

    def ask_to_stop(self) -> None:
        """Take no further job; returns at once."""
        self._stopping = True
        self._wakeup.ring()

    def stop(self, timeout_s: float) -> None:
        """Finish the message in hand, give the port back and end the thread."""
        self.ask_to_stop()
        self._thread.join(timeout_s)
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
        asked_at_s = self._asked_at_s
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
            identity=self._identity,
            signal=self._signal,
        )

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._with_port()
                continue
            except PortGone as error:
                self._late = None  # what was owed is gone with the device
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
        transport = SerialTransport(self.settings.device, self.settings.line, self._wakeup)
        try:
            channel = Channel(transport, self._hear)
            self._become(ModemState.STARTING)
            introduction.set_up(channel)
            introduction.unlock(channel, self.id, self.settings.sim_pin, self._refused_pins)
            introduction.prepare_sending(channel)
            self._identity = introduction.identity(channel)
            self._version = next(self._versions)
            self._probe(channel)
            self._serve(channel)
        finally:
            transport.close()

    def _serve(self, channel: Channel) -> None:
        self._queue.join(self.id, self._wakeup)
        self._become(ModemState.READY)
        self._delays = delays_s(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        probe_at_s = time.monotonic() + _PROBE_INTERVAL_S
        try:
            while not self._stopping:
                job = self._queue.next_for(self.id)
                if job is not None:
                    self._perform(channel, job)
                    probe_at_s = time.monotonic() + _PROBE_INTERVAL_S
                elif time.monotonic() >= probe_at_s:
                    self._probe(channel)
                    probe_at_s = time.monotonic() + _PROBE_INTERVAL_S
                else:
                    channel.idle(probe_at_s - time.monotonic())
        finally:
            self._queue.leave(self.id, self._wakeup)

    def _perform(self, channel: Channel, job: Job) -> None:
        try:
            if isinstance(job, SmsJob):
                self._send(channel, job)
            elif isinstance(job, UssdJob):
                self._ask_network(channel, job)
        except (AtRefused, NoAnswer, PortGone):
            raise  # the job has had its answer; the modem itself is in question
        except Exception:
            # Whoever waits for this job must hear an end of it, whatever went wrong here.
            job.fail(OutcomeUnknown("the modem stopped in the middle of it"))
            raise

    def _send(self, channel: Channel, job: SmsJob) -> None:
        sms, began_s = job.sms, time.monotonic()
        self._concat_reference = (self._concat_reference + 1) % 256
        pdus = submit_pdus(
            sms.number.digits,
            sms.number.is_short_code,
            sms.text,
            concat_reference=self._concat_reference,
            validity_s=sms.validity_s,
        )
        submitted = False

        def submitting() -> None:
            nonlocal submitted
            submitted = True
            sms.before_submit()

        finished = SmsFinished(
            modem_id=self.id,
            modem_name=self.settings.name,
            door=sms.origin.door,
            user=sms.origin.user,
            masked_number=sms.number.masked,
            parts=len(pdus),
            outcome=Outcome.SENT,
        )
        references = []
        was_owed = self._late is not None
        try:
            for pdu in pdus:
                submitted = False
                self._asked_at_s = time.monotonic()
                self._last_reference = channel.send_pdu(
                    pdu,
                    submitting,
                    self._limits().answer_s,
                    self._late.owed if self._late is not None else None,
                )
                references.append(self._last_reference)
        except (AtRefused, NoAnswer, PortGone) as error:
            outcome = _delivery_error(error, submitted, bool(references))
            self._not_sent(finished, outcome, began_s, was_owed)
            if isinstance(error, AtRefused) and submitted:
                job.fail(outcome)
                return
            # The modem itself is in question: what it refuses before the prompt is no message. Whoever hears of
            # the outcome and sends again must find it so.
            self._doubt(error)
            job.fail(outcome)
            raise
        finally:
            self._asked_at_s = None
        if self._late is not None and not self._late.may_still_come(self._last_reference):
            self._late = None
        duration_s = time.monotonic() - began_s
        self._queue.note_duration(self.id, duration_s)
        receipt = SmsReceipt(
            modem_id=self.id, modem_name=self.settings.name, parts=len(pdus), references=tuple(references)
        )
        job.finish(receipt)
        self._bus.publish(replace(finished, duration_s=duration_s))

    def _not_sent(
        self, finished: SmsFinished, outcome: DeliveryError, began_s: float, was_owed: bool
    ) -> None:
        unknown = isinstance(outcome, OutcomeUnknown)
        finished = replace(
            finished,
            outcome=Outcome.UNKNOWN if unknown else Outcome.FAILED,
            reason=str(outcome),
            duration_s=time.monotonic() - began_s,
        )
        if unknown:
            # TP-MR counts up by one for every message (TS 23.040, 9.2.3.6). With another result missing already,
            # nobody knows which of the two used one up.
            foretold = None if was_owed or self._last_reference is None else (self._last_reference + 1) % 256
            self._late = _Late(finished, Owed(foretold))
        self._bus.publish(finished)

    def _ask_network(self, channel: Channel, job: UssdJob) -> None:
        self._ussd_line = ""
        try:
            # 15 is the default alphabet of cell broadcast, language unspecified (TS 23.038, 5).
            channel.command(f'AT+CUSD=1,"{job.ussd_code}",15', timeout_s=job.deadline.remaining_s)
            while not self._ussd_line and not job.deadline.expired:
                channel.idle(job.deadline.remaining_s)
        except AtRefused as error:
            job.fail(UssdFailed(str(error)))
            return
        except (NoAnswer, PortGone) as error:
            self._doubt(error)
            job.fail(UssdFailed(str(error)))
            raise
        answer = parse.ussd_answer(self._ussd_line)
        if answer is None:
            job.fail(UssdFailed("the network did not answer"))
            return
        job.finish(
            UssdReply(
                modem_id=self.id,
                text=answer.text,
                raw=self._ussd_line,
                expects_reply=answer.expects_reply,
            )
        )

    def _probe(self, channel: Channel) -> None:
        try:
            self._signal = introduction.signal(channel)
        except AtRefused:
            self._signal = None
        self._version = next(self._versions)

    def _hear(self, line: str) -> None:
        if line.startswith("+CUSD:"):
            self._ussd_line = line
        elif line.startswith("+CMGS:") and self._late is not None:
            late, self._late = self._late, None
            if self._last_reference is None or (self._last_reference + 1) % 256 == late.owed.reference:
                self._last_reference = late.owed.reference  # no newer message has been confirmed meanwhile
            self._bus.publish(replace(late.finished, outcome=Outcome.SENT, reason="", late=True))

    def _doubt(self, error: PortGone | NoAnswer | AtRefused) -> None:
        self._become(ModemState.ABSENT if isinstance(error, PortGone) else ModemState.SILENT, str(error))

    def _become(self, state: ModemState, reason: str = "") -> None:
        if (state, reason) == (self._state, self._reason):
            return
        if state is not ModemState.READY:
            self._signal = None
        self._state, self._reason = state, reason
        self._version = next(self._versions)
        log.info(
            "modem changed state",
            extra={"fields": {"modem": self.settings.name, "state": state.value, "reason": reason}},
        )
        self._bus.publish(
            ModemStateChanged(modem_id=self.id, modem_name=self.settings.name, state=state, reason=reason)
        )


def _delivery_error(error: Exception, submitted: bool, has_left_in_part: bool) -> DeliveryError:
    """Say whether a failed send is surely not sent, or unknown."""
    if has_left_in_part:
        return OutcomeUnknown(f"a part of it was sent, then: {error}")
    if isinstance(error, AtRefused):
        if submitted and parse.leaves_outcome_unknown(error.final):
            return OutcomeUnknown(str(error))
        return SendFailed(str(error))
    if submitted:
        return OutcomeUnknown(f"the modem did not say what became of it: {error}")
    return SendFailed(str(error))
