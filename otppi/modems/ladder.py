"""What is done, step by step, to bring a modem back that does not answer. Pure; the modem's thread does it."""

from collections.abc import Sequence
from enum import Enum


class Rung(Enum):
    """A step, each harder on the modem than the one before."""

    REOPEN = "opening the port anew"
    RESTART = "restarting the modem (AT+CFUN=1,1)"
    REPLUG = "switching its USB socket off and on"
    ALARM = "waiting for a person"


# From the silence to the last step 90 s may pass; a modem that starts anew takes up to 20 s of them twice.
_STEPS = (Rung.REOPEN, Rung.REOPEN, Rung.RESTART, Rung.REPLUG, Rung.ALARM)


class Ladder:
    """How far a modem has been gone after; its owner's thread alone uses it."""

    def __init__(self, *, without: Sequence[Rung] = ()) -> None:
        """Begin at the bottom.

        Args:
            without: Steps that this modem cannot take, such as REPLUG at the pins of the board.
        """
        self._steps = tuple(one for one in _STEPS if one not in without)
        self._at = 0

    def next(self) -> Rung:
        """Return the next step. After the last one it begins anew, for an appliance never gives up."""
        rung = self._steps[self._at]
        self._at = (self._at + 1) % len(self._steps)
        return rung

    def reset(self) -> None:
        """The modem answers again, or is another one."""
        self._at = 0
