"""What a modem's lines mean. Pure functions; names and numbers are those of 3GPP TS 27.005 and 27.007."""

import re
from dataclasses import dataclass
from enum import Enum, auto

from otppi.model.modems import Signal


class FinalKind(Enum):
    """How a command ended."""

    OK = auto()
    ERROR = auto()
    CME_ERROR = auto()
    CMS_ERROR = auto()


@dataclass(frozen=True)
class Final:
    """The line that ends a command."""

    kind: FinalKind
    number: int | None = None
    words: str = ""

    def __str__(self) -> str:
        """Return it in the form that manuals list."""
        name = self.kind.name.replace("_", " ")
        if self.number is not None:
            known = _CMS_WORDS.get(self.number) if self.kind is FinalKind.CMS_ERROR else None
            return f"+{name}: {self.number}" + (f" ({known})" if known else "")
        return f"+{name}: {self.words}" if self.words else name


# 3GPP TS 27.005, 3.2.5, and TS 24.011 annex E; those that a gateway meets.
_CMS_WORDS = {
    1: "unassigned number",
    8: "operator determined barring",
    10: "call barred",
    21: "short message transfer rejected",
    27: "destination out of service",
    28: "unidentified subscriber",
    29: "facility rejected",
    30: "unknown subscriber",
    38: "network out of order",
    41: "temporary failure",
    42: "congestion",
    47: "resources unavailable",
    50: "requested facility not subscribed",
    69: "requested facility not implemented",
    300: "ME failure",
    301: "SMS service of ME reserved",
    302: "operation not allowed",
    303: "operation not supported",
    304: "invalid PDU mode parameter",
    305: "invalid text mode parameter",
    310: "SIM not inserted",
    311: "SIM PIN required",
    312: "PH-SIM PIN required",
    313: "SIM failure",
    314: "SIM busy",
    315: "SIM wrong",
    316: "SIM PUK required",
    320: "memory failure",
    321: "invalid memory index",
    322: "memory full",
    330: "SMSC address unknown",
    331: "no network service",
    332: "network timeout",
    340: "no +CNMA acknowledgement expected",
    500: "unknown error",
}
_CMS_NUMBERS = {words.lower(): number for number, words in _CMS_WORDS.items()}

# Words that some firmware uses for ERROR. COMMAND NOT SUPPORT and TOO MANY PARAMETERS are Huawei's
# (they stand in ModemManager's and gammu's tables of final results).
_ERROR_WORDS = frozenset({"ERROR", "COMMAND NOT SUPPORT", "TOO MANY PARAMETERS", "OPERATION NOT SUPPORTED"})

_EXTENDED = re.compile(r"\+(CM[ES]) ERROR: *(.*)", re.IGNORECASE)

# A timeout of the network's acknowledgement: the message may have arrived (TS 27.005, 3.2.5).
_CMS_OUTCOME_UNKNOWN = frozenset({332})


def final_result(line: str) -> Final | None:
    """Return how the command ended if this line says so."""
    if line == "OK":
        return Final(FinalKind.OK)
    if line in _ERROR_WORDS:
        return Final(FinalKind.ERROR)
    match = _EXTENDED.fullmatch(line)
    if not match:
        return None
    kind = FinalKind.CMS_ERROR if match[1].upper() == "CMS" else FinalKind.CME_ERROR
    words = match[2].strip()
    if words.isdigit():
        return Final(kind, int(words))
    number = _CMS_NUMBERS.get(words.lower()) if kind is FinalKind.CMS_ERROR else None
    return Final(kind, number, words)


def leaves_outcome_unknown(final: Final) -> bool:
    """Whether an error after Ctrl-Z leaves open that the network took the message."""
    return final.kind is FinalKind.CMS_ERROR and final.number in _CMS_OUTCOME_UNKNOWN


# Lines that may come at any time. A prefix that a command asks for is its answer while it runs.
_UNSOLICITED = re.compile(
    r"[+^*$%#][A-Z0-9]+[:,=]|\^[A-Z]+$|RING$|Call Ready$|SMS Ready$|PB DONE$|SMS DONE$|RDY$|NORMAL POWER DOWN|"
    r"UNDER-VOLT|OVER-VOLT|NO CARRIER$|START$"
)


def is_unsolicited(line: str, expected_prefix: str) -> bool:
    """Whether a line that is no final result belongs to nobody who asked."""
    if expected_prefix and line.startswith(expected_prefix):
        return False
    return _UNSOLICITED.match(line) is not None


def announces_second_line(line: str) -> bool:
    """Whether the next line belongs to this one: a PDU that the network delivers directly."""
    return line.startswith(("+CMT:", "+CDS:", "+CBM:"))


def is_incomplete(line: str) -> bool:
    """Whether a quoted text goes on in the next line, as USSD menus do."""
    return line.startswith("+CUSD:") and line.count('"') % 2 == 1


def message_reference(line: str) -> int | None:
    """Return TP-MR from `+CMGS: <mr>` (TS 27.005, 4.3)."""
    match = re.match(r"\+CMGS: *(\d+)", line)
    return int(match[1]) if match else None


def signal(line: str) -> Signal | None:
    """Return the signal of `+CSQ: <rssi>,<ber>` (TS 27.007, 8.5); None while it is unknown (99)."""
    match = re.match(r"\+CSQ: *(\d+), *(\d+)", line)
    if not match or int(match[1]) > 31:
        return None
    return Signal(csq=int(match[1]), bit_error_rate=int(match[2]))


def operator_name(line: str) -> str:
    """Return the name in `+COPS: <mode>,<format>,"<name>"` (TS 27.007, 7.3)."""
    match = re.search(r'"([^"]*)"', line)
    return match[1] if match else ""


def quoted(line: str) -> str:
    """Return the first quoted text of a line, else what follows its colon."""
    match = re.search(r'"([^"]*)"', line)
    return match[1] if match else line.partition(":")[2].strip()


@dataclass(frozen=True)
class UssdAnswer:
    """`+CUSD: <m>[,<str>,<dcs>]` (TS 27.007, 7.15)."""

    status: int
    text: str

    @property
    def expects_reply(self) -> bool:
        """Whether the network waits for a choice."""
        return self.status == 1


def ussd_answer(line: str) -> UssdAnswer | None:
    """Read a USSD answer; a text in UCS-2 (by its data coding scheme, TS 23.038, 5) comes as hex."""
    match = re.fullmatch(r'\+CUSD: *(\d)(?: *, *"(.*)"(?: *, *(\d+))?)? *', line, re.DOTALL)
    if not match:
        return None
    text = match[2] or ""
    coding = int(match[3] or 15)
    if _is_ucs2(coding) and re.fullmatch(r"(?:[0-9A-Fa-f]{4})+", text):
        text = bytes.fromhex(text).decode("utf-16-be", errors="replace")
    return UssdAnswer(int(match[1]), text)


def _is_ucs2(coding: int) -> bool:
    if coding == 0x11:
        return True
    return coding & 0xC0 == 0x40 and coding & 0x0C == 0x08
