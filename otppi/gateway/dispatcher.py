"""Takes one request, does what it asks, returns one result or raises one of our errors."""

import math
from collections.abc import Callable
from dataclasses import asdict, replace

from otppi.contracts.sms import ModemDirectory, OutgoingSms, Priority, UssdSender
from otppi.gateway.blocklist import BlockList
from otppi.gateway.delivery import Delivery, is_time_critical
from otppi.gateway.limits import RateLimits
from otppi.gateway.otp import OtpStore
from otppi.gateway.otp_message import fill
from otppi.gateway.policy import SmsSettings
from otppi.gateway.repeats import Earlier, Repeats
from otppi.lib.clock import Clock
from otppi.lib.deadline import Deadline
from otppi.model.errors import (
    BadRequest,
    NoEmailAccount,
    OtpPiError,
    OutcomeUnknown,
    SendFailed,
    TooManyRequests,
    UnknownModem,
)
from otppi.model.number import Number
from otppi.model.requests import (
    BlockNumber,
    CancelUssd,
    Echo,
    EmailAddress,
    ListModems,
    Origin,
    Receiver,
    Request,
    RequestOtp,
    RequestUssd,
    SendMessage,
    VerifyOtp,
)
from otppi.model.results import (
    BlockListChanged,
    Echoed,
    ModemList,
    OtpSent,
    OtpVerified,
    Result,
    SmsReceipt,
    UssdCancelled,
    UssdReply,
)
from otppi.model.sms_text import SmsText, code_text

_DIGITS = "0000000000"  # stands for a code where only the length of the text matters


class Dispatcher:
    """The one way in for every door; its methods are called on the threads that serve callers, and wait."""

    def __init__(
        self,
        *,
        delivery: Delivery,
        directory: ModemDirectory,
        ussd: UssdSender,
        otp: OtpStore,
        limits: RateLimits,
        repeats: Repeats,
        blocklist: BlockList,
        settings: Callable[[], SmsSettings],
        clock: Clock,
    ) -> None:
        self._delivery = delivery
        self._directory = directory
        self._ussd = ussd
        self._otp = otp
        self._limits = limits
        self._repeats = repeats
        self._blocklist = blocklist
        self._settings = settings
        self._clock = clock

    def handle(self, request: Request) -> Result:
        """Do what is asked; waits for modems where it must.

        Raises:
            OtpPiError: Whatever was refused or failed, with its code on the wire.
        """
        match request:
            case SendMessage():
                return self._send_message(request)
            case RequestOtp():
                return self._request_otp(request)
            case VerifyOtp():
                self._otp.verify(request.reference, _key(request.receiver), request.params, request.code)
                return OtpVerified()
            case BlockNumber():
                self._blocklist.set([request.number], blocked=request.blocked)
                return BlockListChanged()
            case ListModems():
                return ModemList(modems=self._directory.snapshot())
            case RequestUssd():
                return self._ask_network(request.modem, request.ussd_code, request.origin)
            case CancelUssd():
                self._ask_network(request.modem, "", request.origin)
                return UssdCancelled()
            case Echo():
                return Echoed()
            case _:
                raise TypeError(f"no use case for {type(request).__name__}")

    def _send_message(self, request: SendMessage) -> SmsReceipt:
        number = self._phone(request.receiver)
        sms = OutgoingSms(
            number=number,
            text=self._coded(request.text),
            origin=request.origin,
            priority=self._priority(request.life),
            only_modem=self._modem_id(request.modem) if request.modem else "",
            validity_s=_validity_s(request.life),
        )
        if not request.repeat_token:
            return self._delivery.deliver(sms, request.life)
        return self._send_once(request, sms)

    def _send_once(self, request: SendMessage, sms: OutgoingSms) -> SmsReceipt:
        """Send a message that its caller named; the same one again gets the first outcome."""
        key = self._repeats.key(
            request.origin, request.command, sms.number.digits, request.repeat_token, request.text
        )
        # What was in flight when the service died: a second copy of a code does no harm, a missing one does.
        is_critical = sms.priority is Priority.TIME_CRITICAL
        seen = self._repeats.begin(key, request.life.remaining_s, retry_interrupted=is_critical)
        if isinstance(seen, Earlier):
            # The first may live longer than its repeat, and its end is the end of both.
            return _first_outcome(seen, Deadline.after(self._clock, self._settings().longest_wait_s))
        try:
            receipt = self._delivery.deliver(replace(sms, before_submit=seen.submitted), request.life)
        except OutcomeUnknown as error:
            seen.finished({"code": error.code, "error": str(error)})
            raise
        except OtpPiError as error:
            seen.forget(
                {"code": error.code, "error": str(error)}
            )  # surely not sent: the next try is a fresh one
            raise
        except BaseException:
            # A fault of ours: nobody may wait for this one's end, and nobody knows it.
            seen.finished({"code": OutcomeUnknown.code, "error": "internal error"})
            raise
        seen.finished(asdict(receipt))
        return receipt

    def _request_otp(self, request: RequestOtp) -> OtpSent:
        number = self._phone(request.receiver)
        if number.is_short_code:
            raise BadRequest("data.receiver", "a code cannot be sent to a short code")
        self._coded(fill(request.template, _DIGITS, request.web_host, request.app_hash))
        key = _key(number)
        issued = self._otp.issue(request.reference, key, request.params, request.life.remaining_s)
        try:
            taken = self._limits.take(key, request.origin.user, request.origin.address)
        except TooManyRequests:
            self._otp.revoke(request.reference, issued.token)
            raise
        text = fill(request.template, issued.code, request.web_host, request.app_hash)
        sms = OutgoingSms(
            number=number,
            text=self._coded(text),
            origin=request.origin,
            priority=Priority.TIME_CRITICAL,
            validity_s=issued.life_s,
            before_submit=lambda: self._otp.submitted(request.reference, issued.token),
        )
        try:
            receipt = self._delivery.deliver(sms, request.life)
        except OutcomeUnknown:
            raise  # it may be on its way, so the code stays alive
        except OtpPiError:
            self._otp.revoke(request.reference, issued.token)
            self._limits.give_back(taken)
            raise
        return OtpSent(receipt=receipt, life_s=math.ceil(issued.life_s))

    def _ask_network(self, modem_name: str, text: str, origin: Origin) -> UssdReply:
        modem_id = self._modem_id(modem_name)
        deadline = Deadline.after(self._clock, self._settings().ussd_timeout_s)
        return self._ussd.request_ussd(modem_id, text, origin, deadline)

    def _modem_id(self, modem_name: str) -> str:
        for modem in self._directory.snapshot():
            if modem_name in (modem.id, modem.name):
                return modem.id
        raise UnknownModem("there is no such modem")

    def _phone(self, receiver: Receiver) -> Number:
        if isinstance(receiver, EmailAddress):
            raise NoEmailAccount
        self._blocklist.check(receiver)
        return receiver

    def _coded(self, text: str) -> SmsText:
        most = self._settings().max_parts
        try:
            coded = code_text(text)
        except ValueError:
            raise BadRequest("data.message", f"needs more than {most} parts") from None
        if coded.part_count > most:
            raise BadRequest("data.message", f"needs {coded.part_count} parts, more than the {most} allowed")
        return coded

    def _priority(self, life: Deadline) -> Priority:
        return Priority.TIME_CRITICAL if is_time_critical(life, self._settings()) else Priority.NORMAL


def _key(receiver: Receiver) -> str:
    """Return what a code is bound to: canonical digits, or the address in lower case."""
    return receiver.address.lower() if isinstance(receiver, EmailAddress) else receiver.digits


def _first_outcome(earlier: Earlier, deadline: Deadline) -> SmsReceipt:
    """Answer a repeat as its first was answered, waiting for it if it is still under way."""
    outcome = earlier.wait(deadline)
    if outcome is None:
        raise OutcomeUnknown("the same message is on its way, or was, and its outcome is not known")
    if "code" not in outcome:
        return SmsReceipt(**{**outcome, "references": tuple(outcome["references"])})
    if outcome["code"] == OutcomeUnknown.code:
        raise OutcomeUnknown(outcome["error"])
    # The first surely failed a moment ago; this caller may try afresh like the first one may.
    raise SendFailed(outcome["error"])


def _validity_s(life: Deadline) -> float | None:
    remaining_s = life.remaining_s
    return remaining_s if math.isfinite(remaining_s) else None
