"""Bringing one e-mail out: choose an account, hand over, and go on with the next where that is right."""

import itertools
import logging
import math
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from otppi.contracts.mail import MailRefused, MailSender, OutgoingMail, Relayed, Written
from otppi.gateway.ledger import Ledger, Load
from otppi.gateway.policy import SmsSettings
from otppi.lib.bus import Bus
from otppi.lib.deadline import Deadline
from otppi.lib.faults import fault
from otppi.lib.masking import without_address
from otppi.model.errors import (
    Busy,
    DeliveryError,
    MessageExpired,
    NoEmailAccount,
    OtpPiError,
    OutcomeUnknown,
    QuotaUsedUp,
    SendFailed,
)
from otppi.model.events import Channel, MessageFinished, MessageTaken, Outcome
from otppi.model.mail import DIRECT, MailAccountStatus, MailState
from otppi.model.requests import EmailAddress, Origin
from otppi.model.results import MailReceipt

log = logging.getLogger(__name__)

_SHORTEST_REST_S = 1.0
_DIRECTLY = MailAccountStatus(id=DIRECT, name="direct delivery", state=MailState.READY)


class Mailing:
    """Sends e-mail by the accounts in turns; used by every thread that serves a caller."""

    def __init__(
        self, sender: MailSender, ledger: Ledger, bus: Bus, settings: Callable[[], SmsSettings]
    ) -> None:
        self._sender = sender
        self._ledger = ledger
        self._bus = bus
        self._settings = settings
        self._turns = itertools.count()

    def deliver(
        self,
        body: Written | Relayed,
        to: EmailAddress,
        origin: Origin,
        life: Deadline,
        *,
        patience: Deadline | None = None,
        is_critical: bool = False,
        before_submit: Callable[[], None] = lambda: None,
        directly: bool = False,
    ) -> MailReceipt:
        """Send an e-mail and wait for its outcome, at most for its life and the longest wait of a caller.

        An account that surely did not send it is followed by the next. One that does not say what became of it is
        followed by another only if the message is time-critical.

        Args:
            body: What to send.
            to: The one receiver.
            origin: Who asks.
            life: When it is worth nothing.
            patience: When the caller goes on elsewhere, if it is time-critical.
            is_critical: Whether a second copy is better than none.
            before_submit: Called just before the content leaves, for each copy.
            directly: Whether it goes straight to the receiver's server rather than by the accounts.

        Raises:
            NoEmailAccount: None is active.
            QuotaUsedUp: Those that work have sent what they may.
            Busy: None can send now; surely not sent.
            MailRefused: The receiver's address, or the message, was refused for good.
            SendFailed: Surely not sent.
            OutcomeUnknown: It may have been sent.
            MessageExpired: Its life was over before an account took it.
        """
        if life.expired:
            raise MessageExpired("the message expired before an account could take it")
        settings = self._settings()
        until = life.within(settings.longest_wait_s)
        if is_critical and patience is not None:
            until = until.within(patience.remaining_s)
        mail = OutgoingMail(address=to.address, body=body, message_id=secrets.token_hex(16))
        accounts = [_DIRECTLY] if directly else self._in_turn()
        failure: OtpPiError | None = None
        unknown: OutcomeUnknown | None = None
        for position, account in enumerate(accounts):
            is_last = position == len(accounts) - 1
            turn = until if is_last or not is_critical else until.within(settings.overtake_after_s)
            try:
                return self._by(account, mail, to, origin, turn, before_submit)
            except MailRefused as error:
                raise unknown or error from None
            except OutcomeUnknown as error:
                unknown = unknown or error
                if not is_critical:
                    raise
            except (DeliveryError, Busy) as error:
                failure = _more_telling(failure, error)
            if until.expired:
                break
        if unknown is not None:
            raise unknown
        if life.expired:
            raise MessageExpired("the message expired before an account could take it")
        if isinstance(failure, SendFailed) and not directly:
            # What no account can send now is worth another try, and may wait for it; a refusal is not.
            self._refuse_if_all_rest()
        raise failure or NoEmailAccount()

    def _in_turn(self) -> Sequence[MailAccountStatus]:
        """Return the accounts that can be tried, a different one first each time."""
        active = [one for one in self._sender.accounts() if one.state is not MailState.OFF]
        if not active:
            raise NoEmailAccount
        ready = [one for one in active if one.is_ready]
        if not ready:
            raise _all_rest(active)
        turn = next(self._turns) % len(ready)
        # One whose connections are all in use is no worse, but slower.
        return sorted([*ready[turn:], *ready[:turn]], key=lambda one: one.is_busy)

    def _refuse_if_all_rest(self) -> None:
        active = [one for one in self._sender.accounts() if one.state is not MailState.OFF]
        if active and not any(one.is_ready for one in active):
            raise _all_rest(active)

    def _by(
        self,
        account: MailAccountStatus,
        mail: OutgoingMail,
        to: EmailAddress,
        origin: Origin,
        until: Deadline,
        before_submit: Callable[[], None],
    ) -> MailReceipt:
        # The reserve for codes is one of SIMs: what an account may send in a day is for all of it.
        try:
            taken = self._ledger.take(account, Load(parts=1, is_critical=True), None)
        except QuotaUsedUp as error:
            reason = "the e-mail account has sent what it may in a day"
            raise QuotaUsedUp(error.retry_after_s or math.inf, reason) from None
        began_s = time.monotonic()
        finished = MessageFinished(
            message_id=secrets.token_hex(16),  # of this try; another account may have another outcome
            modem_id=account.id,
            modem_name=account.name,
            door=origin.door,
            user=origin.user,
            masked_number=to.masked,
            parts=1,
            outcome=Outcome.SENT,
            tag=origin.tag,
            channel=Channel.EMAIL,
        )
        self._bus.publish(
            MessageTaken(
                message_id=finished.message_id,
                modem_id=finished.modem_id,
                modem_name=finished.modem_name,
                door=finished.door,
                user=finished.user,
                masked_number=finished.masked_number,
                channel=Channel.EMAIL,
            )
        )
        may_have_left = False

        def submitted() -> None:
            nonlocal may_have_left
            before_submit()
            may_have_left = True

        try:
            try:
                self._sender.send(account.id, mail, until, submitted)
            except OtpPiError:
                raise
            except Exception as error:  # noqa: BLE001 - logged without its text
                log.error("an e-mail failed", extra={"fields": fault(error)})  # noqa: TRY400 - see `fault`
                kind = OutcomeUnknown if may_have_left else SendFailed
                raise kind("internal error; see the log") from None
        except OtpPiError as error:
            is_unknown = isinstance(error, OutcomeUnknown)
            if not is_unknown:
                self._ledger.give_back(taken)
            self._bus.publish(
                replace(
                    finished,
                    outcome=Outcome.UNKNOWN if is_unknown else Outcome.FAILED,
                    reason=without_address(str(error), to.address),
                    duration_s=time.monotonic() - began_s,
                )
            )
            raise
        self._bus.publish(replace(finished, duration_s=time.monotonic() - began_s))
        return MailReceipt(account_id=account.id, account_name=account.name, message_id=finished.message_id)


def _all_rest(accounts: Sequence[MailAccountStatus]) -> Busy:
    first = min(accounts, key=lambda one: one.rest_s)
    return Busy(
        f"no e-mail account can send now: {first.reason}", retry_after_s=max(first.rest_s, _SHORTEST_REST_S)
    )


def _more_telling(one: OtpPiError | None, other: OtpPiError) -> OtpPiError:
    """Return what the caller is told of two failures: a quota only if nothing else was wrong."""
    if one is None or (isinstance(one, QuotaUsedUp) and not isinstance(other, QuotaUsedUp)):
        return other
    return one
