"""One account at a vendor at work: takes messages as a modem does, several at a time."""

import logging
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from otppi.contracts.received import ReportSink
from otppi.contracts.sms import OutgoingSms
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock
from otppi.lib.faults import fault
from otppi.lib.threads import died
from otppi.lib.wakeup import Wakeup
from otppi.model.errors import DeliveryError, OutcomeUnknown, SendFailed
from otppi.model.events import MessageFinished, MessageTaken, Outcome
from otppi.model.modems import ModemState, ModemStatus
from otppi.model.results import SmsReceipt
from otppi.vendors.account import Account
from otppi.vendors.settings import MOST_IN_FLIGHT, VendorRouteSettings
from otppi.vendors.standing import standing_of
from otppi.vendors.trouble import VendorTrouble
from otppi.vendors.upkeep import Credit, Upkeep
from otppi.work.queue import Job, SmsJob, WorkQueue
from otppi.work.standing import Hold

log = logging.getLogger(__name__)

# Where the vendor says that it is asked too often and the like, the same message asks again.
_PAUSES_S = (0.5, 1.0, 2.0)
_LONGEST_WAIT_S = 3600.0
_STOP_GRACE_S = 5.0


class VendorRoute:
    """Takes messages from the queue on the thread `vendor:NAME`; others of that name wait for the vendor's answers.

    Public methods may be called from any thread.
    """

    def __init__(
        self,
        route_id: str,
        settings: VendorRouteSettings,
        *,
        queue: WorkQueue,
        bus: Bus,
        reports: ReportSink,
        clock: Clock,
    ) -> None:
        self.id = route_id
        self._account = Account(settings, clock)
        self._queue = queue
        self._bus = bus
        self._reports = reports
        self._clock = clock
        self._wakeup = Wakeup()
        self._stopping = threading.Event()
        self._standing = standing_of(route_id, lambda: self.settings.name, bus, clock)
        self._upkeep = Upkeep(
            route_id, lambda: self._account, self._standing, bus=bus, reports=reports, clock=clock
        )
        self._lock = threading.Lock()  # of what follows
        self._in_flight = 0
        self._is_looked_after = False
        name = f"vendor:{settings.name}"
        self._hands = ThreadPoolExecutor(MOST_IN_FLIGHT + 1, thread_name_prefix=name)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def settings(self) -> VendorRouteSettings:
        """The settings it works by; new ones end every rest."""
        return self._account.settings

    @settings.setter
    def settings(self, settings: VendorRouteSettings) -> None:
        if settings != self.settings:
            self._account = Account(settings, self._clock)
            self._upkeep.ask_soon()
            self.end_rest()

    @property
    def credit(self) -> Credit | None:
        """What was left when the vendor was asked last; None if it has not said."""
        return self._upkeep.credit

    def start(self) -> None:
        """Begin to take messages."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Take no further message; returns at once."""
        self._stopping.set()
        self._wakeup.ring()

    def stop(self) -> None:
        """Finish the messages in hand and end the threads."""
        self.ask_to_stop()
        self._thread.join()
        self._hands.shutdown()
        self._wakeup.close()

    @property
    def has_died(self) -> bool:
        """Whether its thread ended though nobody asked it to."""
        return bool(died(self._thread, was_asked=self._stopping.is_set()))

    def status(self) -> ModemStatus:
        """Return the account as it stands."""
        state, reason = self._standing.now
        if state is ModemState.READY and self._in_flight >= self.settings.in_flight:
            state = ModemState.BUSY
        return status_of(self.id, self.settings, state, reason)

    def ask_balance(self) -> Credit:
        """Ask what is left; waits for the vendor.

        Raises:
            VendorTrouble: It did not say it.
        """
        return self._upkeep.ask_balance()

    def end_rest(self) -> None:
        """Let the account be tried again; returns at once."""
        self._standing.end_rest()
        self._wakeup.ring()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._live()
            except Exception:
                # One bad route must not take its thread down and stay away for ever.
                log.exception("a vendor route failed", extra={"fields": {"vendor": self.settings.name}})
                self._standing.hold(VendorTrouble("internal error; see the log", Hold.PERSON))

    def _live(self) -> None:
        if (rest_s := self._standing.rest_s) > 0:
            self._wakeup.wait(min(rest_s, self._look_after()))
            return
        self._queue.join(self.id, self._wakeup)
        try:
            while not (self._stopping.is_set() or self._standing.rest_s):
                self._standing.begin()  # a rest may have begun and ended unnoticed
                due_s = self._look_after()
                job = self._queue.next_for(self.id) if self._in_flight < self.settings.in_flight else None
                if job is None:
                    self._wakeup.wait(due_s)
                else:
                    self._begin(job)
        finally:
            self._queue.leave(self.id, self._wakeup)

    def _look_after(self) -> float:
        """Have somebody ask what is due; returns how long nothing is."""
        if self._is_looked_after:
            return _LONGEST_WAIT_S
        if (due_s := self._upkeep.due_s) > 0:
            return min(due_s, _LONGEST_WAIT_S)
        self._is_looked_after = True
        self._hands.submit(self._do_upkeep)
        return _LONGEST_WAIT_S

    def _do_upkeep(self) -> None:
        try:
            self._upkeep.work()
        except Exception:
            log.exception("a vendor route failed", extra={"fields": {"vendor": self.settings.name}})
        finally:
            self._is_looked_after = False
            self._wakeup.ring()

    def _begin(self, job: Job) -> None:
        with self._lock:
            self._in_flight += 1
        self._hands.submit(self._perform, job)

    def _perform(self, job: Job) -> None:
        try:
            if isinstance(job, SmsJob):
                self._send(job)
            else:
                job.fail(job.no_modem())
        except Exception as error:  # noqa: BLE001 - logged without its text
            # Whoever waits for this job must hear an end of it, whatever went wrong here.
            fields = {"vendor": self.settings.name, **fault(error)}
            log.error("a vendor route failed", extra={"fields": fields})  # noqa: TRY400 - see `fault`
            job.fail(OutcomeUnknown("the way to the vendor stopped in the middle of it"))
        finally:
            with self._lock:
                self._in_flight -= 1
            self._wakeup.ring()

    def _send(self, job: SmsJob) -> None:
        sms, account, began_s = job.sms, self._account, time.monotonic()
        try:
            if self._standing.rest_s:
                raise SendFailed(self._standing.now[1])
            sms.before_taking(self.id)
        except DeliveryError as error:
            job.fail(error)
            return
        finished = self._taken(sms)
        try:
            reference = self._sent(sms, account)
        except VendorTrouble as trouble:
            outcome = OutcomeUnknown(str(trouble)) if trouble.may_have_left else SendFailed(str(trouble))
            # Whoever hears of the outcome and sends again must find the account so; other settings may be better.
            if account is self._account:
                self._standing.hold(trouble)
            self._bus.publish(
                replace(
                    finished,
                    outcome=Outcome.UNKNOWN if trouble.may_have_left else Outcome.FAILED,
                    reason=str(trouble),
                    duration_s=time.monotonic() - began_s,
                )
            )
            job.fail(outcome)
            return
        duration_s = time.monotonic() - began_s
        self._standing.went_well()
        self._queue.note_duration(self.id, duration_s / self.settings.in_flight)
        if reference is not None and self._reports.wanted:
            self._upkeep.expect(reference, sms.number, finished.message_id)
        job.finish(
            SmsReceipt(
                modem_id=self.id,
                modem_name=finished.modem_name,
                parts=finished.parts,
                references=() if reference is None else (reference,),
                message_id=finished.message_id,
            )
        )
        self._bus.publish(replace(finished, duration_s=duration_s))

    def _taken(self, sms: OutgoingSms) -> MessageFinished:
        """Tell the bus that a message is begun; returns what it is told in the end if all goes well."""
        finished = MessageFinished(
            message_id=secrets.token_hex(16),
            modem_id=self.id,
            modem_name=self.settings.name,
            door=sms.origin.door,
            user=sms.origin.user,
            masked_number=sms.number.masked,
            parts=sms.text.part_count,
            outcome=Outcome.SENT,
            tag=sms.origin.tag,
        )
        self._bus.publish(
            MessageTaken(
                message_id=finished.message_id,
                modem_id=finished.modem_id,
                modem_name=finished.modem_name,
                door=finished.door,
                user=finished.user,
                masked_number=finished.masked_number,
            )
        )
        return finished

    def _sent(self, sms: OutgoingSms, account: Account) -> int | None:
        """Send a message, asking again where the vendor wants that; returns the vendor's id of it."""
        text = sms.text.whole()
        for pause_s in _PAUSES_S:
            try:
                return account.send(sms.number, text, sms.before_submit)
            except VendorTrouble as trouble:
                if not trouble.passes_soon or self._stopping.wait(pause_s):
                    raise
        return account.send(sms.number, text, sms.before_submit)


def status_of(
    route_id: str,
    settings: VendorRouteSettings,
    state: ModemState = ModemState.ABSENT,
    reason: str = "not active",
) -> ModemStatus:
    """Return an account as it stands; by itself one that is not active."""
    return ModemStatus(
        id=route_id,
        name=settings.name,
        port="",
        state=state,
        reason=reason,
        active=settings.active,
        prefixes=settings.prefixes,
        is_vendor=True,
        is_last_resort=settings.last_resort,
        tariff=settings.tariff,
        quota=settings.quota,
    )
