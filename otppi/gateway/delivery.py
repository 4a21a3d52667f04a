"""Bringing one message out: choose, hand over, wait, and go on with another modem where that is right."""

import queue
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from otppi.contracts.sms import ModemDirectory, OutgoingSms, Priority, SmsSender, Ticket
from otppi.gateway import router
from otppi.gateway.ledger import Ledger, Parcel, Taken
from otppi.gateway.policy import SmsSettings
from otppi.lib.deadline import Deadline
from otppi.model.errors import (
    Busy,
    DeliveryError,
    MessageExpired,
    NoModemAvailable,
    OutcomeUnknown,
    QuotaUsedUp,
)
from otppi.model.modems import ModemStatus
from otppi.model.results import SmsReceipt


class Delivery:
    """Delivers messages; stateless between them, used by every thread that serves a caller."""

    def __init__(
        self,
        sender: SmsSender,
        directory: ModemDirectory,
        ledger: Ledger,
        settings: Callable[[], SmsSettings],
    ) -> None:
        self._sender = sender
        self._directory = directory
        self._ledger = ledger
        self._settings = settings

    def deliver(self, sms: OutgoingSms, life: Deadline, patience: Deadline | None = None) -> SmsReceipt:
        """Send the message and wait for its outcome, at most for its life and the longest wait of a caller.

        With a patience it is taken back when that is over and no modem has taken it. One that was taken is waited for
        all the same, unless it is time-critical.

        A modem that surely did not send is followed by the next. One that stays silent is followed by
        another only if the message is time-critical: a second copy of a code does no harm, a missing one does.

        Raises:
            NoModemAvailable: No modem may take it now.
            QuotaUsedUp: One could, were it not for its SIM's quota.
            SendFailed: Every modem surely refused it.
            OutcomeUnknown: It may have been sent.
            MessageExpired: Its life ended before a modem took it.
            Busy: The wait would be, or was, longer than it may be.
        """
        return _Attempt(
            self._sender, self._directory, self._ledger, self._settings(), sms, life, patience
        ).run()


class _Attempt:
    """What is known of one message while its caller waits."""

    def __init__(
        self,
        sender: SmsSender,
        directory: ModemDirectory,
        ledger: Ledger,
        settings: SmsSettings,
        sms: OutgoingSms,
        life: Deadline,
        patience: Deadline | None,
    ) -> None:
        self._sender = sender
        self._directory = directory
        self._ledger = ledger
        self._settings = settings
        self._sms = replace(sms, before_taking=self._take)
        self._life = life
        self._until = life.within(settings.longest_wait_s)
        self._patience = patience or self._until
        self._is_critical = sms.priority is Priority.TIME_CRITICAL
        self._parcel = Parcel(number=sms.number, parts=sms.text.part_count, is_critical=self._is_critical)
        self._modems: Mapping[str, ModemStatus] = {}  # as they stood when last looked at
        self._quota_wait_s: float | None = None  # as of then, too
        self._taken: dict[str, Taken] = {}  # by modem; only the modem's thread touches its own
        self._done: queue.SimpleQueue[Ticket] = queue.SimpleQueue()
        self._open: dict[Ticket, list[str]] = {}  # handed over and not ended, with the modems asked
        self._tried: set[str] = set()
        self._unknown: OutcomeUnknown | None = None
        self._failure: DeliveryError | None = None
        self._overtake_at_s = float("inf")  # monotonic

    def run(self) -> SmsReceipt:
        self._hand_over(self._first_asked(self._groups()))
        while self._open:
            receipt = self._await_one()
            if receipt is not None:
                self._withdraw_all()
                return receipt
            if not self._open:
                groups = self._groups()
                self._hand_over(groups[0] if groups else [])
        raise self._end()

    def _first_asked(self, groups: list[list[str]]) -> list[str]:
        """Return the cheapest group, and so many dearer ones with it as it takes not to wait for too long."""
        asked: list[str] = []
        wait_s = 0.0
        for group in groups:
            asked = [*asked, *group]
            wait_s = self._sender.expected_wait_s(asked)
            if wait_s <= self._patience.remaining_s:
                # A time-critical message does not stay with its first group, however long that is busy.
                return groups[0] if self._is_critical else asked
        if asked:
            raise Busy("all modems are busy for longer than the message may wait", retry_after_s=wait_s)
        return asked

    def _groups(self) -> list[list[str]]:
        modems = self._directory.snapshot()
        self._modems = {modem.id: modem for modem in modems}
        only = self._sms.only_modem
        allowed = [modem for modem in modems if only in ("", modem.id)]
        plan = router.plan(self._parcel, allowed, self._ledger)
        self._quota_wait_s = plan.quota_wait_s
        untried = ([one for one in group if one not in self._tried] for group in plan.groups)
        return [group for group in untried if group]

    def _hand_over(self, eligible: list[str]) -> None:
        if not eligible or self._until.expired or self._patience.expired:
            return
        self._overtake_at_s = time.monotonic() + self._settings.overtake_after_s
        # It may have ended when `submit` returns; its end then lies in `_done`, which only this thread reads.
        ticket = self._sender.submit(self._sms, eligible, self._ended)
        self._open[ticket] = eligible

    def _take(self, modem_id: str) -> None:
        """Count the message; called on the modem's thread, as is `_ended`."""
        modems = self._modems
        modem = modems[modem_id]
        otherwise = None
        if modem.tariff.fares:  # else nothing is known to be saved
            otherwise = router.cost_in_turns(self._parcel, tuple(modems.values()), self._ledger)
        self._taken[modem_id] = self._ledger.take(modem, self._parcel, otherwise)

    def _ended(self, ticket: Ticket) -> None:
        try:
            self._sms.after_sending(ticket.result())
        except OutcomeUnknown:
            pass  # it may have been sent, and so counts
        except DeliveryError:
            if (taken := self._taken.pop(ticket.modem_id or "", None)) is not None:
                self._ledger.give_back(taken)
        finally:
            self._done.put(ticket)

    def _await_one(self) -> SmsReceipt | None:
        """Wait for the next news; a receipt ends the message, None means that the loop looks again."""
        wait_s = self._time_left_s()
        if self._is_critical:
            wait_s = min(wait_s, max(0.0, self._overtake_at_s - time.monotonic()))
        try:
            ticket = self._done.get(timeout=wait_s)
        except queue.Empty:
            if self._time_left_s() <= 0:
                self._give_up()
            elif self._is_critical:
                self._overtake()
            return None
        asked = self._open.pop(ticket)
        try:
            return ticket.result()
        except OutcomeUnknown as error:
            self._unknown = error
            if not self._is_critical:
                raise
        except DeliveryError as error:
            self._failure = error
        self._tried.update([ticket.modem_id] if ticket.modem_id else asked)
        return None

    def _overtake(self) -> None:
        """Go on elsewhere: the modem in hand is silent, or none came free for the message yet."""
        self._overtake_at_s = time.monotonic() + self._settings.overtake_after_s
        for ticket, asked in list(self._open.items()):
            if ticket.modem_id is not None:
                self._tried.add(ticket.modem_id)
                continue
            wider = [one for group in self._groups() for one in group]
            if set(wider) > set(asked):
                # Where it cannot be withdrawn, a modem took it just now and has its time.
                if ticket.withdraw():
                    del self._open[ticket]
                    self._hand_over(wider)
                return
        if all(ticket.modem_id is not None for ticket in self._open):
            self._hand_over([one for group in self._groups() for one in group])

    def _time_left_s(self) -> float:
        """Return how long what is open is waited for; what must not come twice, and was taken, to the very end."""
        is_bound = not self._is_critical and all(one.modem_id is not None for one in self._open)
        return (self._until if is_bound else self._patience).remaining_s

    def _give_up(self) -> None:
        self._withdraw_all()
        if self._open and not self._is_critical and not self._until.expired:
            return  # a modem took it just now
        if self._open:
            self._unknown = OutcomeUnknown("the modem did not answer in time")
            self._open.clear()

    def _withdraw_all(self) -> None:
        for ticket in list(self._open):
            if ticket.withdraw():
                del self._open[ticket]

    def _end(self) -> DeliveryError | MessageExpired | Busy:
        if self._unknown is not None:
            return self._unknown
        if self._failure is not None:
            return self._failure
        if self._life.expired:
            return MessageExpired("the message expired before a modem could take it")
        if self._until.expired or self._patience.expired:
            return Busy("no modem came free in time", retry_after_s=self._settings.overtake_after_s)
        if self._quota_wait_s is not None:
            return QuotaUsedUp(self._quota_wait_s)
        if (only := self._modems.get(self._sms.only_modem)) is not None:
            return NoModemAvailable(f"the modem {only.name} cannot send it: {router.objection(only)}")
        return NoModemAvailable("no modem is ready for this number")


def is_time_critical(life: Deadline, settings: SmsSettings) -> bool:
    """Whether a message lives so shortly that it must not wait for a silent modem."""
    return life.remaining_s <= settings.time_critical_life_s
