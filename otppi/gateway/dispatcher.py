"""Takes one request, does what it asks, returns one result or raises one of our errors."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TypeVar

from otppi.contracts.mail import Relayed, Written
from otppi.contracts.sms import ModemDirectory, OutgoingSms, Priority, UssdSender
from otppi.gateway.blocklist import BlockList
from otppi.gateway.delivery import Delivery, is_time_critical
from otppi.gateway.fallback import deliver_along
from otppi.gateway.limits import RateLimits
from otppi.gateway.mailing import Mailing
from otppi.gateway.otp import OtpStore
from otppi.gateway.otp_message import fill
from otppi.gateway.policy import SmsSettings
from otppi.gateway.repeats import Earlier, EarlierError, First, Outcome, Repeats
from otppi.lib.clock import Clock
from otppi.lib.deadline import Deadline
from otppi.model.errors import (
    BadRequest,
    NumberBlocked,
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
    Fallback,
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
    MailReceipt,
    ModemList,
    OtpSent,
    OtpVerified,
    Receipt,
    Result,
    SmsReceipt,
    UssdCancelled,
    UssdReply,
)
from otppi.model.sms_text import SmsText, code_text

R = TypeVar("R", Receipt, OtpSent, OtpVerified, UssdReply)

_DIGITS = "0000000000"  # stands for a code where only the length of the text matters


class Dispatcher:
    """The one way in for every door; its methods are called on the threads that serve callers, and wait."""

    def __init__(
        self,
        *,
        delivery: Delivery,
        mailing: Mailing,
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
        self._mailing = mailing
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

    def relay(self, origin: Origin, mail: Relayed, to: EmailAddress, *, directly: bool) -> MailReceipt:
        """Hand on a finished e-mail; waits for the server's answer, at most as long as any caller.

        Args:
            origin: Who handed it over.
            mail: The e-mail.
            to: The one receiver.
            directly: Whether it goes straight to the receiver's server rather than by the accounts.

        Raises:
            OtpPiError: As `Mailing.deliver`.
        """
        return self._mailing.deliver(mail, to, origin, Deadline.never(self._clock), directly=directly)

    def _send_message(self, request: SendMessage) -> Receipt:
        receiver, fallback = self._unblocked(request.receiver, request.fallback)
        is_critical = is_time_critical(request.life, self._settings())
        modem = self._modem_id(request.modem) if request.modem else ""
        # What can be refused is refused before anything is remembered.
        if _has_number(receiver, fallback):
            self._coded(request.text)

        def deliver(first: First | None) -> Receipt:
            def attempt(to: Receiver, life: Deadline) -> Receipt:
                if isinstance(to, EmailAddress):
                    return self._mail(request, to, request.text, life, first, is_critical=is_critical)
                sms = OutgoingSms(
                    number=to,
                    text=self._coded(request.text),
                    origin=request.origin,
                    priority=Priority.TIME_CRITICAL if is_critical else Priority.NORMAL,
                    only_modem=modem,
                    validity_s=_validity_s(request.life),
                )
                return self._delivery.deliver(sms if first is None else _noted_by(first, sms), life)

            return self._along(request, receiver, fallback, attempt, may_repeat=is_critical)

        if not request.repeat_token:
            return deliver(None)
        key = self._repeats.key(
            request.origin,
            request.command,
            _key(request.receiver),
            request.repeat_token,
            request.text,
            *(_key(one.receiver) for one in request.fallback),
        )
        arrival = request.origin.arrival
        return self._once(
            key,
            request.life.remaining_s,
            deliver,
            _receipt,
            # What was in flight when the service died: a second copy of a code does no harm, a missing one does.
            retry_interrupted=is_critical,
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
        receiver, fallback = self._unblocked(request.receiver, request.fallback)
        for one in (receiver, *(other.receiver for other in fallback)):
            if isinstance(one, Number) and one.is_short_code:
                raise BadRequest("data.receiver", "a code cannot be sent to a short code")
        if _has_number(receiver, fallback):
            self._coded(fill(request.template, _DIGITS, request.web_host, request.app_hash))
        return self._once_for_broker(
            request,
            request.life.remaining_s,
            lambda first: self._send_code(request, receiver, fallback, first),
            lambda outcome: OtpSent(receipt=_receipt(outcome), life_s=math.ceil(request.life.remaining_s)),
        )

    def _send_code(
        self, request: RequestOtp, receiver: Receiver, fallback: Sequence[Fallback], first: First | None
    ) -> OtpSent:
        key = _key(request.receiver)
        issued = self._otp.issue(request.reference, key, request.params, request.life.remaining_s)
        try:
            taken = self._limits.take(key, request.origin.user, request.origin.address)
        except TooManyRequests:
            self._otp.revoke(request.reference, issued.token)
            raise

        def submitted() -> None:
            self._otp.submitted(request.reference, issued.token)

        def attempt(to: Receiver, life: Deadline) -> Receipt:
            if _key(to) != key:
                # Who asks is counted once, each receiver for itself.
                self._limits.take(_key(to), "", "")
            if isinstance(to, EmailAddress):
                # The lines for browsers and apps are read in SMS only.
                text = fill(request.template, issued.code)
                return self._mail(request, to, text, life, first, is_critical=True, submitted=submitted)
            sms = OutgoingSms(
                number=to,
                text=self._coded(fill(request.template, issued.code, request.web_host, request.app_hash)),
                origin=request.origin,
                priority=Priority.TIME_CRITICAL,
                validity_s=issued.life_s,
                before_submit=submitted,
            )
            return self._delivery.deliver(sms if first is None else _noted_by(first, sms), life)

        try:
            receipt = self._along(request, receiver, fallback, attempt, may_repeat=True)
        except OutcomeUnknown:
            raise  # it may be on its way, so the code stays alive
        except OtpPiError:
            self._otp.revoke(request.reference, issued.token)
            self._limits.give_back(taken)
            raise
        return OtpSent(receipt=receipt, life_s=math.ceil(issued.life_s))

    def _mail(
        self,
        request: SendMessage | RequestOtp,
        to: EmailAddress,
        text: str,
        life: Deadline,
        first: First | None,
        *,
        is_critical: bool,
        submitted: Callable[[], None] = lambda: None,
    ) -> MailReceipt:
        def noted() -> None:
            submitted()
            if first is not None:
                first.submitted()

        written = Written(subject=request.subject, text=text, is_code=isinstance(request, RequestOtp))
        return self._mailing.deliver(
            written, to, request.origin, life, is_critical=is_critical, before_submit=noted
        )

    def _along(
        self,
        request: SendMessage | RequestOtp,
        receiver: Receiver,
        fallback: Sequence[Fallback],
        attempt: Callable[[Receiver, Deadline], Receipt],
        *,
        may_repeat: bool,
    ) -> Receipt:
        if not fallback and receiver is request.receiver:
            return attempt(receiver, request.life)
        until = request.life.within(self._settings().longest_wait_s)
        receipt = deliver_along(receiver, fallback, until, attempt, may_repeat=may_repeat)
        # Counted as the caller numbers them, whoever was left out because he is blocked.
        asked_for = [request.receiver, *(one.receiver for one in request.fallback)]
        tried = [receiver, *(one.receiver for one in fallback)]
        return replace(receipt, fallback=_place(asked_for, tried[receipt.fallback]))

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

    def _unblocked(
        self, receiver: Receiver, fallback: Sequence[Fallback]
    ) -> tuple[Receiver, Sequence[Fallback]]:
        """Return who may get a message: the first of them, and the others.

        Raises:
            NumberBlocked: Nobody may.
        """
        try:
            self._check_blocked(receiver)
        except NumberBlocked:
            if not fallback:
                raise
            return self._unblocked(fallback[0].receiver, fallback[1:])
        allowed = []
        for one in fallback:
            with suppress(NumberBlocked):
                self._check_blocked(one.receiver)
                allowed.append(one)
        return receiver, allowed

    def _check_blocked(self, receiver: Receiver) -> None:
        if isinstance(receiver, Number):
            self._blocklist.check(receiver)

    def _coded(self, text: str) -> SmsText:
        most = self._settings().max_parts
        try:
            coded = code_text(text)
        except ValueError:
            raise BadRequest("data.message", f"needs more than {most} parts") from None
        if coded.part_count > most:
            raise BadRequest("data.message", f"needs {coded.part_count} parts, more than the {most} allowed")
        return coded


def _key(receiver: Receiver) -> str:
    """Return what a code is bound to: canonical digits, or the address in lower case."""
    return receiver.address.lower() if isinstance(receiver, EmailAddress) else receiver.digits


def _has_number(receiver: Receiver, fallback: Sequence[Fallback]) -> bool:
    return any(isinstance(one, Number) for one in (receiver, *(other.receiver for other in fallback)))


def _place(receivers: Sequence[Receiver], wanted: Receiver) -> int:
    return next(place for place, one in enumerate(receivers) if one is wanted)


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


def _outcome(result: Receipt | OtpSent | OtpVerified | UssdReply) -> Outcome:
    """Return what a repeat is told; no text and no number is in it."""
    match result:
        case SmsReceipt() | MailReceipt():
            return asdict(result)
        case OtpSent():
            return asdict(result.receipt)
        case _:
            return {}


def _receipt(outcome: Outcome) -> Receipt:
    if "account_id" in outcome:
        return MailReceipt(**outcome)
    return SmsReceipt(**{**outcome, "references": tuple(outcome["references"])})


def _forgotten_reply(_: Outcome) -> UssdReply:
    raise OutcomeUnknown("the code was dialled, and what the network said is not kept")


def _validity_s(life: Deadline) -> float | None:
    remaining_s = life.remaining_s
    return remaining_s if math.isfinite(remaining_s) else None
