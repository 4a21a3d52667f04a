"""USSD through one modem: the request under way, the menu that waits for a choice, and who may choose."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from otppi.lib.deadline import Deadline
from otppi.model import ussd
from otppi.model.errors import Busy, DeliveryError, OtpPiError, UssdFailed
from otppi.model.requests import Origin
from otppi.model.results import UssdReply
from otppi.modems import parse
from otppi.modems.channel import AtRefused, Channel, NoAnswer
from otppi.modems.families.family import UssdForm
from otppi.modems.transport import PortGone
from otppi.work.queue import Job, WorkQueue

# An ending without a text may be the modem's own, before the network has spoken; so long after the request the real
# answer is still waited for.
_LATE_ANSWER_S = 20.0
# Some modems report the end of a session that was cancelled; within this time it is not that of the next one.
_ECHO_OF_CANCEL_S = 3.0
# 15 is the default alphabet, language unspecified (TS 23.038, clause 5).
_DCS = 15
_DISTURBED = "; a message went out in between, which ends a session on some modems"


class UssdJob(Job):
    """A USSD request to one modem, and the caller who waits for it; an empty text cancels the open session."""

    def __init__(
        self, modem_id: str, text: str, origin: Origin, deadline: Deadline, how_it_is: Callable[[], str]
    ) -> None:
        super().__init__([modem_id])
        self.text = text
        self.origin = origin
        self.deadline = deadline
        self._how_it_is = how_it_is
        self._done = threading.Event()
        self._outcome: UssdReply | OtpPiError | None = None

    @property
    def is_cancel(self) -> bool:
        """Whether it asks for nothing but the end of the session."""
        return not self.text

    @property
    def is_done(self) -> bool:
        """Whether its caller has been told the end of it."""
        return self._done.is_set()

    def finish(self, reply: UssdReply) -> None:
        """Tell the caller what the network said."""
        self._outcome = reply
        self._done.set()

    def fail(self, error: OtpPiError) -> None:
        """Tell the caller what went wrong."""
        self._outcome = error
        self._done.set()

    def no_modem(self) -> DeliveryError:
        """See `Job`."""
        return UssdFailed(f"the modem is not ready ({self._how_it_is()})")

    def wait(self, queue: "WorkQueue") -> UssdReply:
        """Wait for the answer, at most until the deadline; a request not begun by then is taken back."""
        self._done.wait(self.deadline.remaining_s)
        if not self._done.is_set() and queue.withdraw(self):
            raise UssdFailed("the modem is busy")
        # Once begun, the modem's own limits end it shortly after the deadline.
        self._done.wait()
        if isinstance(self._outcome, UssdReply):
            return self._outcome
        if self._outcome is None:
            raise RuntimeError("a USSD job ended without an outcome")
        raise self._outcome


@dataclass
class _Pending:
    """A request that the network has not answered."""

    job: UssdJob
    asked_at_s: float
    deadline: Deadline
    ending: str = ""  # how it ends if nothing better comes


@dataclass
class _Session:
    """A menu that waits for the choice of whoever opened it."""

    origin: Origin
    deadline: Deadline
    is_disturbed: bool = False


class Asking:
    """The USSD of one modem; used by its thread alone.

    Nothing here holds the thread until the network has answered: `hear` takes what comes, and messages go out
    meanwhile. One request is under way at a time; others wait for it.
    """

    def __init__(self, modem_id: str, session_s: Callable[[], float]) -> None:
        """Take how long an open menu waits for a choice before it is cancelled."""
        self._modem_id = modem_id
        self._session_s = session_s
        self._form = UssdForm.PLAIN
        self._character_set: str | None = None
        self._pending: _Pending | None = None
        self._waiting: deque[UssdJob] = deque()
        self._session: _Session | None = None
        self._ended = ""  # what became of the last session, for whoever wants to go on with it
        self._cancelled_at_s = -_ECHO_OF_CANCEL_S

    @property
    def rest_s(self) -> float:
        """Seconds until `tick` has something to do; infinite if nothing is open."""
        if self._pending is not None:
            return self._pending.deadline.remaining_s
        return self._session.deadline.remaining_s if self._session is not None else float("inf")

    def opened(self, form: UssdForm) -> None:
        """Begin with a modem that was just set up."""
        self._form = form
        self._character_set = None

    def closed(self) -> None:
        """End everything: the modem went away, or is started anew."""
        jobs = [*([self._pending.job] if self._pending is not None else []), *self._waiting]
        self._pending = None
        self._waiting.clear()
        if self._session is not None:
            self._session, self._ended = None, "the modem was started anew, which ended the session"
        for job in jobs:
            job.fail(UssdFailed("the modem stopped in the middle of it"))

    def take(self, channel: Channel, job: UssdJob) -> None:
        """Begin a job, or let it wait for the one under way; it ends by `hear` or `tick`.

        Raises:
            NoAnswer, PortGone: The modem is in question; `closed` ends what is open.
        """
        if self._pending is not None:
            self._waiting.append(job)
            return
        self._begin(channel, job)

    def hear(self, line: str) -> None:
        """Take a `+CUSD` line, whenever it comes."""
        answer = ussd.read_answer(
            line, self._character_set or "", is_packed=self._form is UssdForm.PACKED
        ) or ussd.UssdAnswer(0, "")
        if self._pending is None:
            if self._session is not None and not answer.expects_reply:
                self._ended = answer.ending + _why_ended(self._session)
                self._session = None
            return
        job = self._pending.job
        if not answer.text and not answer.expects_reply:
            self._doubt(self._pending, answer)
            return
        self._pending = self._session = None
        if answer.expects_reply:
            self._session = _Session(job.origin, Deadline.after(job.deadline.clock, self._session_s()))
        job.finish(
            UssdReply(modem_id=self._modem_id, text=answer.text, raw=line, expects_reply=answer.expects_reply)
        )

    def message_goes_out(self) -> None:
        """Note that a message is sent while a session may be open."""
        if self._session is not None:
            self._session.is_disturbed = True

    def tick(self, channel: Channel) -> None:
        """Do what is due: end what took too long, and begin what waited for that.

        Raises:
            NoAnswer, PortGone: As for `take`.
        """
        pending = self._pending
        if pending is not None and pending.deadline.expired:
            self._pending = None
            pending.job.fail(UssdFailed(pending.ending or "the network did not answer in time"))
            # What comes later would be taken for the answer to the next request.
            self._cancel(channel)
        if self._session is not None and self._session.deadline.expired:
            self._cancel(channel)
            self._ended = "no reply came in time, so the session was cancelled"
        while self._waiting and self._pending is None:
            job = self._waiting.popleft()
            if job.deadline.expired:
                job.fail(UssdFailed("the modem was busy with another USSD request"))
            else:
                self._begin(channel, job)

    def _begin(self, channel: Channel, job: UssdJob) -> None:
        try:
            self._prepare(channel)
            self._carry_out(channel, job)
        except (NoAnswer, PortGone):
            if self._pending is None and not job.is_done:
                self._waiting.append(job)  # `closed` ends it, once the modem takes no further job
            raise

    def _prepare(self, channel: Channel) -> None:
        if self._character_set is None:
            self._character_set = _character_set(channel)
            # A menu may be open from before the port was opened, and a code would be taken for the reply to it.
            _end_session(channel)
        channel.idle(0)  # what has come already is not the answer to what is asked now

    def _carry_out(self, channel: Channel, job: UssdJob) -> None:
        session = self._session
        if session is not None and not _may_use(job, session):
            reason = "another user has a USSD session open at this modem"
            job.fail(Busy(reason, retry_after_s=max(1.0, session.deadline.remaining_s)))
        elif job.is_cancel:
            if session is not None:
                self._cancel(channel)
                self._ended = "the session was cancelled"
            job.finish(UssdReply(modem_id=self._modem_id, text="", raw="", expects_reply=False))
        elif ussd.is_code(job.text):
            if session is not None:
                self._cancel(channel)
            self._dial(channel, job)
        elif session is None:
            reason = self._ended or "no USSD session is open"
            job.fail(UssdFailed(f"{reason}; begin with a code, from * or # to #"))
        else:
            self._dial(channel, job)

    def _dial(self, channel: Channel, job: UssdJob) -> None:
        self._ended = ""
        pending = self._pending = _Pending(job, time.monotonic(), job.deadline)
        try:
            self._write(channel, job)
        except AtRefused as error:
            if self._pending is not pending:
                return  # the answer came first, so it was no refusal of this
            session, self._pending = self._session, None
            job.fail(UssdFailed(str(error) + _why_ended(session)))
            if session is not None:
                self._cancel(channel)
        except NoAnswer:
            # Where OK comes only with the network's answer, it is the network that is silent; `tick` cancels, and
            # finds out whether the modem is too.
            if self._pending is not pending:
                raise

    def _write(self, channel: Channel, job: UssdJob) -> None:
        if self._form is UssdForm.PACKED:
            try:
                self._command(channel, job, ussd.packed_hex(job.text))
            except AtRefused as error:
                if error.final.kind is not parse.FinalKind.ERROR:
                    raise
                # Firmware of the same family that takes codes as they are, and says so without a reason.
                self._form = UssdForm.PLAIN
            else:
                return
        self._command(channel, job, ussd.in_character_set(job.text, self._character_set or ""))

    def _command(self, channel: Channel, job: UssdJob, written: str) -> None:
        # A reply may be a PIN, so it is never shown.
        channel.command(
            f'AT+CUSD=1,"{written}",{_DCS}', timeout_s=job.deadline.remaining_s, shown='AT+CUSD=1,"…"'
        )

    def _doubt(self, pending: _Pending, answer: ussd.UssdAnswer) -> None:
        now_s = time.monotonic()
        if answer.status != 2:
            grace_s = pending.asked_at_s + _LATE_ANSWER_S - now_s
        else:
            grace_s = self._cancelled_at_s + _ECHO_OF_CANCEL_S - now_s
        pending.ending = answer.ending + _why_ended(self._session)
        pending.deadline = pending.job.deadline.within(max(0.0, grace_s))

    def _cancel(self, channel: Channel) -> None:
        self._session = None
        self._cancelled_at_s = time.monotonic()
        _end_session(channel)


def _end_session(channel: Channel) -> None:
    with contextlib.suppress(AtRefused):  # some refuse where nothing is open
        channel.command("AT+CUSD=2")


def _why_ended(session: _Session | None) -> str:
    return _DISTURBED if session is not None and session.is_disturbed else ""


def _may_use(job: UssdJob, session: _Session) -> bool:
    """Whether a job may go on with a session or end it: its opener may, and the device's owner may end any."""
    is_opener = (job.origin.door, job.origin.user) == (session.origin.door, session.origin.user)
    return is_opener or (job.is_cancel and job.origin.door == "cli")


def _character_set(channel: Channel) -> str:
    try:
        lines = channel.command("AT+CSCS?", expect="+CSCS:")
    except AtRefused:
        return ""
    return parse.quoted(lines[0]).upper() if lines else ""
