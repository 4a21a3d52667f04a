"""Receivers that misbehave on purpose, so that an integrator can try every outcome without a SIM."""

from dataclasses import dataclass
from enum import StrEnum

from otppi.model.pdu import Submitted
from otppi.sim.verdict import TAKEN, Verdict


class Magic(StrEnum):
    """The magic numbers. No subscriber can have them: they are thirteen digits of an unused block."""

    FAILS = "6280000000001"
    NEVER_ANSWERS = "6280000000002"
    ANSWERS_LATE = "6280000000003"
    IS_SLOW = "6280000000004"
    FAILS_ONCE = "6280000000005"


class MagicAddress(StrEnum):
    """The same for e-mail: the mailbox of the demo takes every other address."""

    UNKNOWN = "unknown@example.com"
    BUSY = "busy@example.com"
    FULL = "full@example.com"
    SLOW = "slow@example.com"
    SILENT = "silent@example.com"


# What people are told about them, in their order.
MEANINGS: dict[Magic, str] = {
    Magic.FAILS: "every modem refuses it: +CMS ERROR: 1 (unassigned number)",
    Magic.NEVER_ANSWERS: "nothing arrives and no modem ever says so: the outcome stays unknown",
    Magic.ANSWERS_LATE: "arrives, but the modem says so only after 20 s",
    Magic.IS_SLOW: "arrives after 5 s",
    Magic.FAILS_ONCE: "the first modem refuses it (+CMS ERROR: 38), the second takes it",
}
ADDRESS_MEANINGS: dict[MagicAddress, str] = {
    MagicAddress.UNKNOWN: "the server refuses it: 550 no such user",
    MagicAddress.BUSY: "the server refuses it for the moment: 451 try again later",
    MagicAddress.FULL: "the server refuses it after it has come: 552 mailbox full",
    MagicAddress.SLOW: "arrives after 5 s",
    MagicAddress.SILENT: "arrives, but the connection breaks before the server says so: the outcome stays unknown",
}


@dataclass(frozen=True, kw_only=True)
class MagicTimes:
    """How long the slow ones take."""

    late_s: float = 20.0
    slow_s: float = 5.0


class SimNetwork:
    """The network that all simulated modems share; owned by the thread that serves them."""

    def __init__(self, times: MagicTimes) -> None:
        self._verdicts: dict[str, Verdict] = {
            Magic.FAILS: Verdict(error="+CMS ERROR: 1", reaches_network=False),
            Magic.NEVER_ANSWERS: Verdict(silent=True, reaches_network=False),
            Magic.ANSWERS_LATE: Verdict(extra_s=times.late_s),
            Magic.IS_SLOW: Verdict(extra_s=times.slow_s),
        }
        self._refused_at: str | None = None

    def verdict(self, modem: str, submitted: Submitted) -> Verdict:
        """Decide what becomes of a part that this modem submits."""
        if submitted.number == Magic.FAILS_ONCE:
            return self._fail_at_first_modem(modem, submitted)
        return self._verdicts.get(submitted.number, TAKEN)

    def _fail_at_first_modem(self, modem: str, submitted: Submitted) -> Verdict:
        # A second modem is given a long message from its first part again, so later parts say nothing new.
        if submitted.concat is not None and submitted.concat.number > 1:
            return TAKEN
        if self._refused_at in (None, modem):
            self._refused_at = modem
            return Verdict(error="+CMS ERROR: 38", reaches_network=False)
        self._refused_at = None
        return TAKEN
