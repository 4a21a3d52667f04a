"""Takes one request, does what it asks, returns one result or raises one of our errors."""

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TypeVar

from otppi.contracts.sms import ModemDirectory, OutgoingSms, Priority, UssdSender
from otppi.gateway.blocklist import BlockList
from otppi.gateway.delivery import Delivery, is_time_critical
from otppi.gateway.limits import RateLimits
from otppi.gateway.otp import OtpStore
from otppi.gateway.otp_message import fill
from otppi.gateway.policy import SmsSettings
from otppi.gateway.repeats import Earlier, EarlierError, First, Outcome, Repeats
from otppi.lib.clock import Clock
from otppi.lib.deadline import Deadline
from otppi.model.errors import (
    BadRequest,
    NoEmailAccount,
    OtpError,
    OtpPiError,
    OutcomeUnknown,
    TooManyRequests,
    UnknownModem,
    UssdFailed,
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

R = TypeVar("R", SmsReceipt, OtpSent, OtpVerified, UssdReply)

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
                return self._verify_otp(request)
            case BlockNumber():
                self._blocklist.set([request.number], blocked=request.blocked)
                return BlockListChanged()
            case ListModems():
                # Clients look for a SIM and a signal in each.
                return ModemList(modems=tuple(one for one in self._directory.snapshot() if not one.is_vendor))
            case RequestUssd():
                return self._request_ussd(request)
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
        key = self._repeats.key(
            request.origin, request.command, number.digits, request.repeat_token, request.text
        )
        arrival = request.origin.arrival
        return self._once(
            key,
            request.life.remaining_s,
            lambda first: self._delivery.deliver(_noted_by(first, sms), request.life),
            _receipt,
            # What was in flight when the service died: a second copy of a code does no harm, a missing one does.
            retry_interrupted=sms.priority is Priority.TIME_CRITICAL,
            is_another=arrival is not None
            and not arrival.is_repeat
            and request.repeat_token == arrival.token,
        )

    def _once(
        self,
        key: bytes,
        life_s: float,
        do: Callable[[First], R],
        again: Callable[[Outcome], R],
        *,
        retry_interrupted: bool = False,
        is_another: bool = False,
    ) -> R:
        """Do something that must not be done twice; who comes with the same key again gets the first outcome."""
        seen = self._repeats.begin(key, life_s, retry_interrupted=retry_interrupted, is_another=is_another)
        if isinstance(seen, Earlier):
            # The first may live longer than its repeat, and its end is the end of both.
            deadline = Deadline.after(self._clock, self._settings().longest_wait_s)
            return again(_first_outcome(seen, deadline))
        try:
            result = do(seen)
        except (OutcomeUnknown, OtpError, UssdFailed) as error:
            seen.finished(_refusal(error))
            raise
        except OtpPiError as error:
            seen.forget(_refusal(error))  # surely not done: the next try is a fresh one
            raise
        except BaseException:
            # A fault of ours: nobody may wait for this one's end, and nobody knows it.
            seen.finished(_refusal(OutcomeUnknown("internal error")))
            raise
        seen.finished(_outcome(result))
        return result

    def _once_for_broker(
        self,
        request: RequestOtp | VerifyOtp | RequestUssd,
        life_s: float,
        do: Callable[[First | None], R],
        again: Callable[[Outcome], R],
    ) -> R:
        """Do what any caller may ask for anew, once for each message of a broker that hands one over again."""
        arrival = request.origin.arrival
        if arrival is None:
            return do(None)
        key = self._repeats.key(request.origin, request.command, "", arrival.token)
        return self._once(key, life_s, do, again, is_another=not arrival.is_repeat)

    def _request_otp(self, request: RequestOtp) -> OtpSent:
        number = self._phone(request.receiver)
        if number.is_short_code:
            raise BadRequest("data.receiver", "a code cannot be sent to a short code")
        self._coded(fill(request.template, _DIGITS, request.web_host, request.app_hash))
        return self._once_for_broker(
            request,
            request.life.remaining_s,
            lambda first: self._send_code(request, number, first),
            lambda outcome: OtpSent(receipt=_receipt(outcome), life_s=math.ceil(request.life.remaining_s)),
        )

    def _send_code(self, request: RequestOtp, number: Number, first: First | None) -> OtpSent:
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
            receipt = self._delivery.deliver(sms if first is None else _noted_by(first, sms), request.life)
        except OutcomeUnknown:
            raise  # it may be on its way, so the code stays alive
        except OtpPiError:
            self._otp.revoke(request.reference, issued.token)
            self._limits.give_back(taken)
            raise
        return OtpSent(receipt=receipt, life_s=math.ceil(issued.life_s))

    def _verify_otp(self, request: VerifyOtp) -> OtpVerified:
        def verify(_: First | None) -> OtpVerified:
            self._otp.verify(request.reference, _key(request.receiver), request.params, request.code)
            return OtpVerified()

        return self._once_for_broker(request, math.inf, verify, lambda _: OtpVerified())

    def _request_ussd(self, request: RequestUssd) -> UssdReply:
        def dial(first: First | None) -> UssdReply:
            if first is not None:
                first.submitted()
            return self._ask_network(request.modem, request.ussd_code, request.origin)

        return self._once_for_broker(request, math.inf, dial, _forgotten_reply)

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


def _first_outcome(earlier: Earlier, deadline: Deadline) -> Outcome:
    """Return what came of the first, waiting for it if it is still under way; raises what it was refused with."""
    outcome = earlier.wait(deadline)
    if outcome is None:
        raise OutcomeUnknown("the same message is on its way, or was, and its outcome is not known")
    if "code" in outcome:
        raise EarlierError(outcome["code"], outcome["status"], outcome["error"])
    return outcome


def _noted_by(first: First, sms: OutgoingSms) -> OutgoingSms:
    """Have the way of a message noted on its modem's thread: what a kill finds in flight is then one for each modem."""

    def submitted() -> None:
        sms.before_submit()
        first.submitted()

    return replace(
        sms, before_submit=submitted, after_sending=lambda receipt: first.finished(asdict(receipt))
    )


def _refusal(error: OtpPiError) -> Outcome:
    return {"code": error.code, "status": error.status, "error": str(error)}


def _outcome(result: SmsReceipt | OtpSent | OtpVerified | UssdReply) -> Outcome:
    """Return what a repeat is told; no text and no number is in it."""
    match result:
        case SmsReceipt():
            return asdict(result)
        case OtpSent():
            return asdict(result.receipt)
        case _:
            return {}


def _receipt(outcome: Outcome) -> SmsReceipt:
    return SmsReceipt(**{**outcome, "references": tuple(outcome["references"])})


def _forgotten_reply(_: Outcome) -> UssdReply:
    raise OutcomeUnknown("the code was dialled, and what the network said is not kept")


def _validity_s(life: Deadline) -> float | None:
    remaining_s = life.remaining_s
    return remaining_s if math.isfinite(remaining_s) else None
