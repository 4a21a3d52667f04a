"""What a family of modems may differ in; plain data, so that a new family is a file without code."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from otppi.model.ports import UsbId

_RESTART = "AT+CFUN=1,1"  # TS 27.007, 8.2


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which interfaces of a USB device take AT commands, by number.

    Where a layout is known it is taken as complete: no byte is sent to an interface that is not in `at`.
    """

    at: tuple[int, ...]  # best first
    other: Mapping[int, str] = field(default_factory=dict)  # what the others are for, in words


class Sweep(Enum):
    """How the messages of a store are read."""

    LIST = auto()  # AT+CMGL
    BY_INDEX = auto()  # AT+CMGR for each index


class UssdForm(Enum):
    """How a USSD code stands in AT+CUSD."""

    PLAIN = auto()  # as it is, in the character set of AT+CSCS (TS 27.007, 7.15)
    PACKED = auto()  # as packed 7-bit characters (TS 23.038, 6.1.2.3) in hex


@dataclass(frozen=True, kw_only=True)
class Question:
    """A command that tells one thing, and where that stands in its answer."""

    command: str
    prefix: str  # of the line that has it
    pattern: re.Pattern[str] = field(default_factory=lambda: re.compile(""))


@dataclass(frozen=True, kw_only=True)
class Family:
    """How one family of modems differs from 3GPP TS 27.005 and 27.007; as it stands, not at all.

    Words for ERROR and lines that come by themselves are not here: they are told from answers by their form,
    for all modems alike (`parse`).
    """

    name: str
    # Known by its USB id, without a byte being sent ...
    usb_vendors: frozenset[int] = frozenset()  # whose products are all of this family
    products: frozenset[UsbId] = frozenset()  # others of it, under the id of another vendor
    layouts: Mapping[UsbId, Layout] = field(default_factory=dict)
    # ... else by what AT+CGMI and AT+CGMM answer.
    words: re.Pattern[str] | None = None
    # Where no layout is known: USB class, subclass and protocol of interfaces for AT, best first; ...
    at_kinds: tuple[tuple[int, int, int], ...] = ()
    # ... of those that must be left alone; ...
    other_kinds: Mapping[tuple[int, int, int], str] = field(default_factory=dict)
    # ... and the numbers that are usual.
    usual: tuple[int, ...] = ()
    # What is said to it; a modem may refuse any of it.
    init: tuple[str, ...] = ()  # after the standard commands
    init_with_sim: tuple[str, ...] = ()  # once the SIM is open
    restart: str = _RESTART
    # Most modems give their ICCID by one of the commands that are tried for all; this one is tried first.
    iccid: Question | None = None
    # Groups `pin` and, if it tells, `puk`. TS 27.007, 8.65, is what all are asked that have no command of their own.
    pin_tries: Question = Question(
        command='AT+CPINR="SIM PIN"', prefix="+CPINR:", pattern=re.compile(r"SIM PIN\"? *, *(?P<pin>\d+)")
    )
    imei_write: str = ""  # with {imei}; empty where no command is publicly known
    # Messages.
    answer_limit_s: float | None = None  # from Ctrl-Z to the result, by the manual; None: nothing is known
    store: str = "SM"
    first_index: int = 1  # of a message in the store
    sweep: Sweep = Sweep.LIST
    # The first that is taken holds: reports directly (+CDS), stored (+CDSI), none. `AT+CSMS` stays 0, so that
    # nothing has to be acknowledged with AT+CNMA (TS 27.005, 3.4.4).
    indications: tuple[str, ...] = ("AT+CNMI=2,1,0,1,0", "AT+CNMI=2,1,0,2,0", "AT+CNMI=2,1,0,0,0")
    ussd: UssdForm = UssdForm.PLAIN

    def has(self, usb: UsbId) -> bool:
        """Whether a USB device is of this family."""
        return usb.vendor in self.usb_vendors or usb in self.products or usb in self.layouts

    @property
    def restarts(self) -> tuple[str, ...]:
        """What is said to one that is to start anew, and may answer nothing: its family's command and the standard's.

        Some sticks know their family's and do nothing about it.
        """
        return tuple(dict.fromkeys((self.restart, _RESTART)))
