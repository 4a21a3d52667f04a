"""What can be made to go wrong with a simulated modem, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

# For the counts in `Faults`: not only the next few sends, but all.
FOREVER: Final = 1_000_000_000


class Moment(StrEnum):
    """Where an uninvited line breaks in."""

    BEFORE_PROMPT = "before_prompt"
    AFTER_PROMPT = "after_prompt"  # behind "> ", while the PDU is being written
    BEFORE_RESULT = "before_result"  # between Ctrl-Z and +CMGS
    INSIDE_ANSWER = "inside_answer"  # between the information and the final result of any answer
    GLUED = "glued"  # behind the final result of any answer: same write, no line break of its own in front


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How a modem misbehaves; as it stands, not at all.

    Counts say how many of the next sends are hit. A count starts anew whenever faults are set; where several
    apply to one send, the order is: no prompt, silent, failing, late.
    """

    hung: bool = False  # answers nothing at all, not even what it owed
    hears_restart: bool = False  # though it hangs; AT+CFUN=1,1 cures it
    no_network: bool = False  # not registered: no signal, no operator, every send is refused

    no_prompt_sends: int = 0
    silent_sends: int = 0  # no final result after Ctrl-Z
    silent_reach_network: bool = True
    good_sends: int = 0  # so many go well before the next ones fail
    failing_sends: int = 0
    fail_with: str = "+CMS ERROR: 38"
    late_sends: int = 0  # the message is taken and the final result comes, but late
    late_s: float = 20.0
    late_answers_meanwhile: bool = False  # else the modem is deaf until the late result is out

    report_status: int = 0  # TP-ST of the report on a message that asks for one; -1: none comes
    report_s: float = 0.0  # from the result to the report

    interruption: str = ""  # a line such as `+CMTI: "SM",3`
    interruption_at: Moment = Moment.BEFORE_RESULT

    byte_gap_s: float = 0.0  # every byte alone, this long after the one before; 1/960 is 9600 baud
    lost_fraction: float = 0.0  # of the bytes in either direction
    lost_seed: int = 1


def parse_faults(document: Mapping[str, Any]) -> Faults:
    """Read faults from a JSON object; what is not named is in order.

    Raises:
        ValueError: A field is unknown or of the wrong type.
    """
    defaults = {field.name: field.default for field in fields(Faults)}
    values = dict(document)
    for name, value in document.items():
        if name not in defaults:
            raise ValueError(f"no such fault: {name}")
        if name == "interruption_at":
            values[name] = Moment(value)
            continue
        wanted = (int, float) if isinstance(defaults[name], float) else type(defaults[name])
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise ValueError(f"{name}: wrong type")
    return Faults(**values)


class Countdown:
    """The rest of a count in `Faults`."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self) -> bool:
        """Use up one; False if none was left."""
        if self._left <= 0:
            return False
        self._left -= 1
        return True
