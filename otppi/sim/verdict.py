"""What becomes of one message between Ctrl-Z and the modem's final result."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The fate of one submit; as it stands, the message is taken at once and the modem says so."""

    reaches_network: bool = True
    error: str = ""  # the final result if it does not, for example `+CMS ERROR: 38`
    silent: bool = False  # no final result, ever; the modem answers the next command
    extra_s: float = 0.0  # added to the time that the modem needs for a submit
    answers_meanwhile: bool = False  # the modem answers other commands while this result is outstanding


TAKEN = Verdict()
