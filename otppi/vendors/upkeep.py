"""What an account at a vendor is asked beside messages: what is left, and what became of those that it took."""

import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from otppi.contracts.received import AwaitedReport, ReceivedReport, ReportSink
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.model.events import BalanceLow
from otppi.model.modems import ModemState
from otppi.model.number import Number
from otppi.model.received_pdu import Party, StatusReport
from otppi.model.tariff import shown_money
from otppi.vendors.account import MOST_IDS, Account, Report
from otppi.vendors.trouble import NothingThere, VendorTrouble
from otppi.work.standing import Standing

log = logging.getLogger(__name__)

_BALANCE_EVERY_S = 6 * 3600.0
_BALANCE_RETRY_S = 900.0
_FIRST_GAP_S = 10.0
_LONGEST_GAP_S = 600.0
_REPORTS_END_S = 3600.0
_MOST_AWAITED = 5_000
# TP-ST of TS 23.040, 9.2.3.15: delivered, and failed for good.
_DELIVERED, _FAILED = 0x00, 0x40


@dataclass(frozen=True, kw_only=True)
class Credit:
    """What an account has left, and when that was asked by the wall clock."""

    amount: Decimal
    at_wall_s: float
    warning: str  # empty if it is enough


@dataclass(kw_only=True)
class _Awaited:
    """A message whose report is asked for; times are of the boot clock."""

    number: Number
    ends_at_s: float
    asks_at_s: float
    gap_s: float = _FIRST_GAP_S


class Upkeep:
    """Every method may be called from any thread; those that ask wait for the vendor."""

    def __init__(
        self,
        route_id: str,
        account: Callable[[], Account],
        standing: Standing[ModemState],
        *,
        bus: Bus,
        reports: ReportSink,
        clock: Clock,
    ) -> None:
        self._route_id = route_id
        self._account = account
        self._standing = standing
        self._bus = bus
        self._reports = reports
        self._clock = clock
        self._lock = threading.Lock()  # of what is awaited
        self._awaited: dict[int, _Awaited] = {}
        self._asks_reports_at_s = math.inf  # on the boot clock, as the next
        self._asks_balance_at_s = 0.0
        self.credit: Credit | None = None

    @property
    def due_s(self) -> float:
        """How long until `work` has something to do."""
        return max(0.0, min(self._asks_reports_at_s, self._asks_balance_at_s) - self._clock.boot_s())

    def ask_soon(self) -> None:
        """Have the balance asked for at the next `work`."""
        self._asks_balance_at_s = 0.0

    def expect(self, reference: int, number: Number, message_id: str) -> None:
        """Ask for the report of a message, for an hour and less and less often."""
        # The vendor tells of a message as a whole.
        self._reports.expect(
            AwaitedReport(
                modem_id=self._route_id,
                sim=self._route_id,
                reference=reference,
                number=number,
                message_id=message_id,
                parts=1,
            )
        )
        now_s = self._clock.boot_s()
        one = _Awaited(number=number, ends_at_s=now_s + _REPORTS_END_S, asks_at_s=now_s + _FIRST_GAP_S)
        with self._lock:
            self._awaited[reference] = one
            self._asks_reports_at_s = min(self._asks_reports_at_s, one.asks_at_s)
            while len(self._awaited) > _MOST_AWAITED:
                del self._awaited[next(iter(self._awaited))]

    def work(self) -> None:
        """Ask what is due; what the vendor does not answer is asked again later."""
        if self._clock.boot_s() >= self._asks_balance_at_s:
            self._ask_due_balance()
        if ids := self._due_reports():
            try:
                self._take_reports(self._account().reports(ids))
            except VendorTrouble as trouble:
                fields = {"vendor": self._account().settings.name, "reason": str(trouble)}
                log.info("a vendor told nothing of its messages", extra={"fields": fields})

    def _ask_due_balance(self) -> None:
        account = self._account()
        try:
            self.ask_balance()
        except VendorTrouble as trouble:
            self._asks_balance_at_s = min(self._asks_balance_at_s, self._clock.boot_s() + _BALANCE_RETRY_S)
            # One that tells no balance may send all the same, and other settings may be better.
            is_of_others = isinstance(trouble, NothingThere) or account is not self._account()
            if not (trouble.may_have_left or is_of_others):
                self._standing.hold(trouble)

    def ask_balance(self) -> Credit:
        """Ask what is left.

        Raises:
            VendorTrouble: The vendor did not say it.
        """
        account = self._account()
        self._asks_balance_at_s = self._clock.boot_s() + _BALANCE_EVERY_S
        amount, below = account.balance(), account.settings.balance_low
        warning = f"less than {below:g} is left" if amount < Decimal(str(below)) else ""
        self.credit = credit = Credit(amount=amount, at_wall_s=self._clock.wall_s(), warning=warning)
        if warning:
            name = account.settings.name
            log.warning("a balance is low", extra={"fields": {"vendor": name, "reason": warning}})
            self._bus.publish(
                BalanceLow(
                    modem_id=self._route_id,
                    modem_name=name,
                    amount=shown_money(amount),
                    valid_until="",
                    reason=warning,
                    is_vendor=True,
                )
            )
        return credit

    def _due_reports(self) -> Sequence[int]:
        """Return the ids to ask for now, and put off when they are asked for next."""
        now_s = self._clock.boot_s()
        with self._lock:
            self._awaited = {key: one for key, one in self._awaited.items() if now_s < one.ends_at_s}
            due = list(
                islice((key for key, one in self._awaited.items() if now_s >= one.asks_at_s), MOST_IDS)
            )
            for one in map(self._awaited.__getitem__, due):
                one.gap_s = min(2 * one.gap_s, _LONGEST_GAP_S)
                one.asks_at_s = now_s + one.gap_s
            self._asks_reports_at_s = min((one.asks_at_s for one in self._awaited.values()), default=math.inf)
        return due

    def _take_reports(self, told: Sequence[Report]) -> None:
        for report in told:
            with self._lock:
                awaited = self._awaited.pop(report.id, None)
            if awaited is not None:
                self._reports.report(
                    ReceivedReport(
                        modem_id=self._route_id,
                        sim=self._route_id,
                        report=StatusReport(
                            reference=report.id,
                            receiver=Party(f"+{awaited.number.digits}"),
                            status=_DELIVERED if report.is_delivered else _FAILED,
                        ),
                    )
                )
