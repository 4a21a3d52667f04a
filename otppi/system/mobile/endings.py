"""Why a connection ended, in words: the exit codes of pppd, and those of whoever starts it."""

from enum import IntEnum

_SUBSCRIPTION = "Check APN, user name, password and whether the SIM card has data left."
_SIGNAL = "Check the SIM card, the coverage, the APN and the dial number."
_MODEM = "Check that the modem is plugged in and that its port is right; unplug it and plug it in again."


class Ending(IntEnum):
    """Exit codes of ours, beside those of pppd."""

    MODEM_UNUSABLE = 75  # its port cannot be opened, or it does not answer
    SIM_BLOCKED = 76
    NOTHING_TO_DO = 77  # no modem is kept for internet, or its only call is over; nobody needs to try again
    BAD_SETTINGS = 78


# pppd(8), exit status: what happened and what helps.
_WORDS = {
    0: ("the operator ended the connection", _SUBSCRIPTION),
    1: ("pppd failed", "Restart the device."),
    2: ("pppd refused its options", "Look at the settings of the modem."),
    3: ("pppd did not run as root", "Flash the device again."),
    4: ("the kernel has no PPP", "Flash the device again."),
    5: ("it was stopped", "It is dialled again by itself; or: otppi mobile redial"),
    6: ("another program holds the modem", "Restart the device."),
    7: ("the port cannot be opened", _MODEM),
    8: ("the modem did not connect", _SIGNAL),
    10: ("the operator agreed to no connection", _SUBSCRIPTION),
    11: ("the operator did not prove who it is", _SUBSCRIPTION),
    12: ("the connection was idle", "It is dialled again by itself; or: otppi mobile redial"),
    13: ("the connection was limited in time", "It is dialled again by itself; or: otppi mobile redial"),
    15: ("the operator does not answer any more", _SIGNAL),
    16: ("the modem hung up", _SIGNAL),
    17: ("the line loops back: the modem never left command mode", _MODEM),
    19: ("the operator refused user name or password", _SUBSCRIPTION),
    Ending.MODEM_UNUSABLE: ("the modem cannot be opened or does not answer", _MODEM),
    Ending.SIM_BLOCKED: (
        "the SIM card needs attention",
        "Check the SIM card and the PIN in the modem's settings.",
    ),
    Ending.BAD_SETTINGS: ("the settings cannot be used", "Look at the settings of the modem."),
}


def explained(code: int | None) -> tuple[str, str]:
    """Return what happened and what helps."""
    if code is None:
        return "it is not known why it ended", "Its words are in the log: journalctl -u otppi-mobile"
    return _WORDS.get(
        code, (f"pppd ended with code {code}", "Its words are in the log: journalctl -u otppi-mobile")
    )
