"""One message through one modem: its parts, their results, and the result that comes too late."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from otppi.contracts.received import AwaitedReport, ReportSink
from otppi.lib.bus import Bus
from otppi.model.errors import DeliveryError, OutcomeUnknown, SendFailed
from otppi.model.events import MessageFinished, MessageTaken, Outcome
from otppi.model.pdu import submit_pdus
from otppi.model.results import SmsReceipt
from otppi.modems import parse
from otppi.modems.channel import AtRefused, Channel, NoAnswer, Owed, Untold
from otppi.modems.transport import PortGone
from otppi.work.queue import SmsJob

_REFERENCES_REMEMBERED = 100


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a modem may take, in seconds; read anew for each message."""

    answer_s: float
    silent_after_s: float
    ussd_session_s: float  # how long an open USSD menu waits for a reply


class Unsent(Exception):
    """A message did not go through, or nobody knows; its caller has not been told yet."""

    def __init__(
        self, outcome: DeliveryError, cause: AtRefused | NoAnswer | PortGone, *, is_in_question: bool
    ) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome
        self.cause = cause
        # What it refuses before the prompt is no message: it is the modem then, not the message.
        self.is_in_question = is_in_question


@dataclass(frozen=True)
class _Late:
    """A message whose result is missing."""

    finished: MessageFinished
    owed: Owed

    def may_still_come(self, newest: int | None) -> bool:
        """Whether its result can be told from those of newer messages: references come round after 256."""
        if self.owed.reference is None or newest is None:
            return False
        return (newest - self.owed.reference) % 256 < _REFERENCES_REMEMBERED


class Sending:
    """What one modem remembers from message to message; used by its thread alone, but for `asked_at_s`."""

    def __init__(self, modem_id: str, bus: Bus, reports: ReportSink, limits: Callable[[], Limits]) -> None:
        self.asked_at_s: float | None = None  # monotonic; set while a message waits for the modem's answer
        self._modem_id = modem_id
        self._bus = bus
        self._reports = reports
        self._limits = limits
        self._concat_reference = 0
        self._last_reference: int | None = None
        self._late: _Late | None = None  # the last message whose outcome stayed unknown

    def send(
        self, channel: Channel, job: SmsJob, modem_name: str, sim: str
    ) -> tuple[SmsReceipt, MessageFinished]:
        """Send all parts; returns what the modem confirmed, and what the bus is to be told of it.

        Raises:
            Unsent: Not all of it went through; the bus has been told.
        """
        sms, began_s = job.sms, time.monotonic()
        self._concat_reference = (self._concat_reference + 1) % 256
        message_id, wants_report = secrets.token_hex(16), self._reports.wanted
        pdus = submit_pdus(
            sms.number.digits,
            sms.number.is_short_code,
            sms.text,
            concat_reference=self._concat_reference,
            validity_s=sms.validity_s,
            wants_report=wants_report,
        )
        submitted = False

        def submitting() -> None:
            nonlocal submitted
            submitted = True
            sms.before_submit()

        finished = MessageFinished(
            message_id=message_id,
            modem_id=self._modem_id,
            modem_name=modem_name,
            door=sms.origin.door,
            user=sms.origin.user,
            masked_number=sms.number.masked,
            parts=len(pdus),
            outcome=Outcome.SENT,
            tag=sms.origin.tag,
        )
        self._bus.publish(
            MessageTaken(
                message_id=message_id,
                modem_id=self._modem_id,
                modem_name=modem_name,
                door=finished.door,
                user=finished.user,
                masked_number=finished.masked_number,
            )
        )
        references = []
        was_owed = self._late is not None
        try:
            for pdu in pdus:
                submitted = False
                self.asked_at_s = time.monotonic()
                self._last_reference = channel.send_pdu(
                    pdu,
                    submitting,
                    self._limits().answer_s,
                    self._late.owed if self._late is not None else None,
                )
                references.append(self._last_reference)
                if wants_report:
                    self._reports.expect(
                        AwaitedReport(
                            modem_id=self._modem_id,
                            sim=sim,
                            reference=self._last_reference,
                            number=sms.number,
                            message_id=message_id,
                            parts=len(pdus),
                        )
                    )
        except (AtRefused, NoAnswer, PortGone) as error:
            outcome = _delivery_error(error, submitted, bool(references))
            self._not_sent(finished, outcome, began_s, was_owed)
            if isinstance(error, Untold) and error.reference is not None:
                self._late, self._last_reference = None, error.reference
            answered = isinstance(error, AtRefused | Untold) and submitted
            raise Unsent(outcome, error, is_in_question=not answered) from error
        finally:
            self.asked_at_s = None
        if self._late is not None and not self._late.may_still_come(self._last_reference):
            self._late = None
        receipt = SmsReceipt(
            modem_id=self._modem_id,
            modem_name=modem_name,
            parts=len(pdus),
            references=tuple(references),
            message_id=message_id,
        )
        return receipt, replace(finished, duration_s=time.monotonic() - began_s)

    def forget_owed(self) -> None:
        """The device went away or started anew: what it owed is gone, and it may count its messages anew."""
        self._late = self._last_reference = None

    def hear_late_result(self) -> None:
        """A `+CMGS` came that nobody waits for: the result of a message whose outcome was called unknown."""
        if self._late is None:
            return
        late, self._late = self._late, None
        if self._last_reference is None or (self._last_reference + 1) % 256 == late.owed.reference:
            self._last_reference = late.owed.reference  # no newer message has been confirmed meanwhile
        self._bus.publish(replace(late.finished, outcome=Outcome.SENT, reason="", late=True))

    def _not_sent(
        self, finished: MessageFinished, outcome: DeliveryError, began_s: float, was_owed: bool
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
