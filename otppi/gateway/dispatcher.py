"""Takes one request, does what it asks, returns one result or raises one of our errors."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import TypeVar

from otppi.contracts.mail import Relayed, Written
from otppi.contracts.sms import ModemDirectory, OutgoingSms, Priority, UssdSender
from otppi.gateway.blocklist import BlockList
from otppi.gateway.delivery import Delivery, is_time_critical
from otppi.gateway.fallback import Way, deliver_along
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


@dataclass(frozen=True, kw_only=True)
class _Message:
    """What goes to each receiver of a request."""

    request: SendMessage | RequestOtp
    sms_text: str = field(repr=False)
    mail_text: str = field(repr=False)
    is_critical: bool
    validity_s: float | None
    only_modem: str = ""
    submitted: Callable[[], None] = lambda: None  # called just before it may leave
    first: First | None = None  # of those that come again


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
        ways = self._ways(request)
        # What can be refused is refused before anything is remembered.
        if _has_number(ways):
            self._coded(request.text)
        message = _Message(
            request=request,
            sms_text=request.text,
            mail_text=request.text,
            is_critical=is_time_critical(request.life, self._settings()),
            only_modem=self._modem_id(request.modem) if request.modem and _has_number(ways) else "",
            validity_s=_validity_s(request.life),
        )
        if not request.repeat_token:
            return self._deliver(message, ways)
        key = self._repeats.key(
            request.origin,
            request.command,
            _key(request.receiver),
            request.repeat_token,
            request.text,
            *([request.subject] if request.subject or request.fallback else []),
            *(_key(one.receiver) for one in request.fallback),
        )
        arrival = request.origin.arrival
        return self._once(
            key,
            request.life.remaining_s,
            lambda first: self._deliver(replace(message, first=first), ways),
            _receipt,
            # What was in flight when the service died: a second copy of a code does no harm, a missing one does.
            retry_interrupted=message.is_critical,
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
        ways = self._ways(request)
        if any(isinstance(way.receiver, Number) and way.receiver.is_short_code for way in ways):
            raise BadRequest("data.receiver", "a code cannot be sent to a short code")
        if _has_number(ways):
            self._coded(fill(request.template, _DIGITS, request.web_host, request.app_hash))
        return self._once_for_broker(
            request,
            request.life.remaining_s,
            lambda first: self._send_code(request, ways, first),
            lambda outcome: OtpSent(receipt=_receipt(outcome), life_s=math.ceil(request.life.remaining_s)),
        )

    def _send_code(self, request: RequestOtp, ways: Sequence[Way], first: First | None) -> OtpSent:
        key = _key(request.receiver)
        issued = self._otp.issue(request.reference, key, request.params, request.life.remaining_s)
        try:
            taken = self._limits.take(key, request.origin.user, request.origin.address)
        except TooManyRequests:
            self._otp.revoke(request.reference, issued.token)
            raise
        message = _Message(
            request=request,
            sms_text=fill(request.template, issued.code, request.web_host, request.app_hash),
            # The lines for browsers and apps are read in SMS only.
            mail_text=fill(request.template, issued.code),
            is_critical=True,
            validity_s=issued.life_s,
            submitted=lambda: self._otp.submitted(request.reference, issued.token),
            first=first,
        )
        try:
            receipt = self._deliver(message, ways, limit=lambda to: self._one_more_receiver(to, key))
        except OutcomeUnknown:
            raise  # it may be on its way, so the code stays alive
        except OtpPiError:
            self._otp.revoke(request.reference, issued.token)
            self._limits.give_back(taken)
            raise
        return OtpSent(receipt=receipt, life_s=math.ceil(issued.life_s))

    @contextmanager
    def _one_more_receiver(self, to: Receiver, first_key: str) -> Iterator[None]:
        """Count a code for another receiver than the first; who asks is counted once."""
        if _key(to) == first_key:
            yield
            return
        taken = self._limits.take(_key(to), "", "")
        try:
            yield
        except OutcomeUnknown:
            raise  # it may be on its way, and counts
        except OtpPiError:
            self._limits.give_back(taken)
            raise

    def _ways(self, request: SendMessage | RequestOtp) -> Sequence[Way]:
        """Return who may get a message, in their order.

        Raises:
            NumberBlocked: Nobody may.
        """
        ways = [
            Way(place=0, receiver=request.receiver),
            *(
                Way(place=place, receiver=one.receiver, after_s=one.after_s)
                for place, one in enumerate(request.fallback, 1)
            ),
        ]
        allowed = []
        blocked: NumberBlocked | None = None
        for way in ways:
            try:
                if isinstance(way.receiver, Number):
                    self._blocklist.check(way.receiver)
            except NumberBlocked as error:
                blocked = error
            else:
                allowed.append(way)
        if blocked is not None and not allowed:
            raise blocked
        return allowed

    def _deliver(
        self,
        message: "_Message",
        ways: Sequence[Way],
        limit: Callable[[Receiver], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> Receipt:
        """Send a message to the first receiver that it gets through to."""

        def attempt(way: Way, patience: Deadline, confirmed: Callable[[Receipt], None]) -> Receipt:
            with limit(way.receiver):
                return self._send(message, way, patience, confirmed)

        until = message.request.life.within(self._settings().longest_wait_s)
        if len(ways) == 1:
            receipt = attempt(ways[0], until, lambda _: None)
            return replace(receipt, fallback=ways[0].place)
        return deliver_along(ways, until, attempt, may_repeat=message.is_critical)

    def _send(
        self, message: "_Message", way: Way, patience: Deadline, confirmed: Callable[[Receipt], None]
    ) -> Receipt:
        request, first = message.request, message.first

        def submitted() -> None:
            message.submitted()
            if first is not None:
                first.submitted()

        def sent(receipt: SmsReceipt) -> None:
            # Noted on the modem's thread: what a kill finds in flight is then one for each modem.
            if first is not None:
                first.finished(asdict(replace(receipt, fallback=way.place)))
            confirmed(receipt)

        if isinstance(way.receiver, EmailAddress):
            return self._mailing.deliver(
                Written(
                    subject=request.subject,
                    text=message.mail_text,
                    is_code=isinstance(request, RequestOtp),
                ),
                way.receiver,
                request.origin,
                request.life,
                patience=patience,
                is_critical=message.is_critical,
                before_submit=submitted,
            )
        sms = OutgoingSms(
            number=way.receiver,
            text=self._coded(message.sms_text),
            origin=request.origin,
            priority=Priority.TIME_CRITICAL if message.is_critical else Priority.NORMAL,
            only_modem=message.only_modem,
            validity_s=message.validity_s,
            before_submit=submitted,
            after_sending=sent,
        )
        return self._delivery.deliver(sms, request.life, patience)

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


def _has_number(ways: Sequence[Way]) -> bool:
    return any(isinstance(way.receiver, Number) for way in ways)


def _first_outcome(earlier: Earlier, deadline: Deadline) -> Outcome:
    """Return what came of the first, waiting for it if it is still under way; raises what it was refused with."""
    outcome = earlier.wait(deadline)
    if outcome is None:
        raise OutcomeUnknown("the same message is on its way, or was, and its outcome is not known")
    if "code" in outcome:
        raise EarlierError(outcome["code"], outcome["status"], outcome["error"])
    return outcome


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
