"""What a modem's lines mean. Pure functions; names and numbers are those of 3GPP TS 27.005 and 27.007."""

import itertools
import re
from dataclasses import dataclass
from enum import Enum, auto

from otppi.model.modems import Registration, Signal


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

    @property
    def meaning(self) -> str:
        """What the number means; empty if there is none, or it is not known."""
        return "" if self.number is None else _WORDS[self.kind].get(self.number, "")

    @property
    def code(self) -> str:
        """What the modem said, without what it means."""
        name = self.kind.name.replace("_", " ")
        told = self.words if self.number is None else self.number
        return name if told == "" else f"+{name}: {told}"

    def __str__(self) -> str:
        """Return it in the form that manuals list."""
        return f"{self.code} ({self.meaning})" if self.meaning else self.code


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
# 3GPP TS 27.007, 9.2; those that a person meets.
_CME_WORDS = {
    0: "phone failure",
    3: "operation not allowed",
    4: "operation not supported",
    10: "SIM not inserted",
    11: "SIM PIN required",
    12: "SIM PUK required",
    13: "SIM failure",
    14: "SIM busy",
    15: "SIM wrong",
    16: "incorrect password",
    30: "no network service",
    31: "network timeout",
    32: "network not allowed, emergency calls only",
    50: "incorrect parameters",
    100: "unknown",
}
_WORDS = {FinalKind.CMS_ERROR: _CMS_WORDS, FinalKind.CME_ERROR: _CME_WORDS}
_NUMBERS = {kind: {said.lower(): number for number, said in words.items()} for kind, words in _WORDS.items()}

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
    if line in _ERROR_WORDS or line.startswith("MODEM ERROR: "):  # Motorola's, in the same tables
        return Final(FinalKind.ERROR)
    match = _EXTENDED.fullmatch(line)
    if not match:
        return None
    kind = FinalKind.CMS_ERROR if match[1].upper() == "CMS" else FinalKind.CME_ERROR
    words = match[2].strip()
    if words.isdigit():
        return Final(kind, int(words))
    return Final(kind, _NUMBERS[kind].get(words.lower()), words)


def leaves_outcome_unknown(final: Final) -> bool:
    """Whether an error after Ctrl-Z leaves open that the network took the message."""
    return final.kind is FinalKind.CMS_ERROR and final.number in _CMS_OUTCOME_UNKNOWN


# Lines that may come at any time. A prefix that a command asks for is its answer while it runs. ModemManager and
# gammu list the words of many makes; beside a few words without a sign in front it is the form that they share.
_UNSOLICITED = re.compile(
    r"[+^*$%#!_][A-Z0-9]+(?:[:,=]|$)|RING$|Call Ready$|SMS Ready$|PB DONE$|SMS DONE$|RDY$|NORMAL POWER DOWN|"
    r"POWERED DOWN|UNDER-VOLT|OVER-VOLT|NO CARRIER$|NO ANSWER$|BUSY$|START$|VOICE CALL: |MISSED_CALL: "
)


def is_unsolicited(line: str, expected_prefix: str) -> bool:
    """Whether a line that is no final result belongs to nobody who asked."""
    if expected_prefix and line.startswith(expected_prefix):
        return False
    return _UNSOLICITED.match(line) is not None


def may_begin_unsolicited(received: bytes) -> bool:
    """Whether bytes without a line end yet may become a line that comes by itself."""
    return received.lstrip().startswith((b"+", b"^", b"*", b"$", b"%", b"#", b"!", b"_"))


def unglued(line: str) -> tuple[str, ...]:
    """Part a result or a prompt from the unsolicited line that hangs on it; any other line stays whole.

    A line end was lost, or the modem wrote none.
    """
    for head in ("OK", "ERROR", ">"):
        rest = line.removeprefix(head).lstrip()
        if line.startswith(head) and _UNSOLICITED.match(rest):
            return head, rest
    return (line,)


def announces_second_line(line: str) -> bool:
    """Whether the next line belongs to this one: a PDU that the network delivers directly."""
    return line.startswith(("+CMT:", "+CDS:", "+CBM:"))


def is_incomplete(line: str) -> bool:
    """Whether a quoted text goes on in the next line, as USSD menus do."""
    # A text may hold quotes of its own; only the last one has the coding behind it.
    return line.startswith("+CUSD:") and line.count('"') % 2 == 1 and not re.search(r'" *, *\d+ *$', line)


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


_REGISTRATIONS = {
    0: Registration.IDLE,
    1: Registration.HOME,
    2: Registration.SEARCHING,
    3: Registration.DENIED,
    4: Registration.UNKNOWN,
    5: Registration.ROAMING,
    6: Registration.HOME,  # 6 and 7: for short messages only
    7: Registration.ROAMING,
    8: Registration.DENIED,  # emergency calls only
    9: Registration.HOME,  # 9 and 10: calls not preferred
    10: Registration.ROAMING,
}


def registration(line: str) -> Registration | None:
    """Read `+CREG: [<n>,]<stat>[,…]`, and the same of +CGREG and +CEREG (TS 27.007, 7.2, 10.1.20, 10.1.22).

    An answer has <n> in front and an unsolicited line has not; a place follows in quotes or in more digits.
    """
    match = re.match(r"\+C[GE]?REG: *(\d{1,2})(?: *, *(\d{1,2})(?= *(?:,|$)))?", line)
    return _REGISTRATIONS.get(int(match[2] or match[1])) if match else None


def information(line: str) -> str:
    """Return what an answer tells, without its prefix and quotes."""
    return re.sub(r"^[+^*$%#!][A-Z0-9]+: *", "", line).strip('" ')


def imei(line: str) -> str:
    """Return the IMEI (TS 23.003, 6.2); an IMEISV, which some modems tell, has the same first fourteen digits."""
    match = re.search(r"(?<!\d)(\d{14})(\d|\d\d)(?!\d)", line)
    if not match:
        return ""
    return match[0] if len(match[0]) == 15 else match[1] + _luhn_digit(match[1])


def is_whole_imei(digits: str) -> bool:
    """Whether it has fifteen digits and the check digit is right (TS 23.003, annex B)."""
    return re.fullmatch(r"[0-9]{15}", digits) is not None and digits[-1] == _luhn_digit(digits[:-1])


def _luhn_digit(digits: str) -> str:
    doubled = "".join(
        str(2 * int(digit)) if i % 2 == 0 else digit for i, digit in enumerate(reversed(digits))
    )
    return str(-sum(map(int, doubled)) % 10)


def iccid(line: str) -> str:
    """Return the number of a SIM (ITU-T E.118: 89, then up to eighteen digits).

    Some modems add a filler F, and some tell the bytes of the card as they are, each with its digits swapped.
    """
    match = re.search(r"(?<![0-9A-Fa-f])(?:89\d{16,18}|98[0-9A-Fa-f]{17,18})", line)
    if not match:
        return ""
    digits = match[0] if match[0].startswith("89") else _swapped(match[0])
    return digits if digits.isdigit() else ""


def _swapped(nibbles: str) -> str:
    pairs = zip(nibbles[1::2], nibbles[::2], strict=False)
    return "".join(high + low for high, low in pairs).rstrip("Ff")


def operator_name(line: str) -> str:
    """Return the name in `+COPS: <mode>,<format>,"<name>"` (TS 27.007, 7.3)."""
    match = re.search(r'"([^"]*)"', line)
    return match[1] if match else ""


def quoted(line: str) -> str:
    """Return the first quoted text of a line, else what follows its colon."""
    match = re.search(r'"([^"]*)"', line)
    return match[1] if match else line.partition(":")[2].strip()


@dataclass(frozen=True)
class StoredAt:
    """Where a modem has put what came: `+CMTI: <mem>,<index>`, or `+CDSI:` for a report (TS 27.005, 3.4.1)."""

    store: str
    index: int
    is_report: bool


def stored_at(line: str) -> StoredAt | None:
    """Read the notice of a stored message or report."""
    match = re.match(r'\+(CMTI|CDSI): *"?(\w+)"? *, *(\d{1,5})', line)
    return StoredAt(match[2], int(match[3]), match[1] == "CDSI") if match else None


def brought_pdu(line: str) -> str | None:
    """Return the PDU of a message or report that was not stored: `+CMT:` or `+CDS:` and the line behind it."""
    match = re.fullmatch(r"\+(?:CMT|CDS):[^\n]*\n *([0-9A-Fa-f]+) *", line)
    return match[1] if match else None


@dataclass(frozen=True)
class Listed:
    """A message in a store, as `+CMGL:` and `+CMGR:` tell it (TS 27.005, 4.1 and 4.2)."""

    index: int
    status: int  # 0 and 1 were received, 2 and 3 were written there
    tpdu_octets: int  # without the SMSC field
    pdu: str

    @property
    def was_received(self) -> bool:
        """Whether it came from the network."""
        return self.status in (0, 1)

    @property
    def is_whole(self) -> bool:
        """Whether the PDU is as long as it was said to be; bytes may get lost on a serial line."""
        smsc_octets = int(self.pdu[:2], 16) if len(self.pdu) >= 2 else 0
        return len(self.pdu) == 2 * (1 + smsc_octets + self.tpdu_octets)


# Between status and length may stand a name from the phone book.
_LISTED = re.compile(r"\+CMGL: *(?P<index>\d{1,5}) *, *(?P<status>\d) *,(?:.*,)? *(?P<octets>\d{1,3}) *")
_SHOWN = re.compile(r"\+CMGR: *(?P<status>\d) *,(?:.*,)? *(?P<octets>\d{1,3}) *")


def listed(lines: list[str], index: int | None = None) -> list[Listed]:
    """Read the lines of `AT+CMGL`, or with the index that was asked for those of `AT+CMGR`.

    A line with the PDU follows each line with its place; what is not in that order is left out.
    """
    found = []
    for place, pdu in itertools.pairwise(lines):
        match = (_LISTED if index is None else _SHOWN).fullmatch(place)
        if match and re.fullmatch("[0-9A-Fa-f]{2,}", pdu):
            at = int(match["index"]) if index is None else index
            found.append(Listed(at, int(match["status"]), int(match["octets"]), pdu))
    return found


@dataclass(frozen=True)
class StoreFill:
    """How full a store is."""

    store: str
    used: int
    total: int

    @property
    def fraction(self) -> float | None:
        """The same up to 1; None if there is no store."""
        return self.used / self.total if self.total else None


def store_fill(line: str) -> StoreFill | None:
    """Read the first store of `+CPMS: "<mem1>",<used>,<total>,…` (TS 27.005, 3.2.2)."""
    match = re.match(r'\+CPMS: *"?([A-Z]{2})"? *, *(\d{1,5}) *, *(\d{1,5})', line)
    return StoreFill(match[1], int(match[2]), int(match[3])) if match else None


def message_service(line: str) -> int | None:
    """Read `+CSMS: <service>,…` (TS 27.005, 3.2.1); with 1 what is brought must be acknowledged (3.4.4)."""
    match = re.match(r"\+CSMS: *(\d)", line)
    return int(match[1]) if match else None


def lock_is_on(line: str) -> bool | None:
    """Read `+CLCK: <status>` (TS 27.007, 7.4)."""
    match = re.match(r"\+CLCK: *([01])", line)
    return match[1] == "1" if match else None


def own_number(line: str) -> str | None:
    """Return the number in `+CNUM: [<alpha>],"<number>",<type>` (TS 27.007, 7.1)."""
    match = re.match(r'\+CNUM: *(?:"[^"]*"|[^",]*) *, *"?(\+?\d{3,20})"? *,', line)
    return match[1] if match else None


def operator_is_chosen(line: str) -> bool | None:
    """Whether a person chose the operator that `+COPS: <mode>,…` names (TS 27.007, 7.3)."""
    match = re.match(r"\+COPS: *(\d)", line)
    return match[1] in ("1", "4") if match else None


@dataclass(frozen=True, kw_only=True)
class FoundOperator:
    """An operator in reach (TS 27.007, 7.3)."""

    code: str  # of country and network
    name: str
    status: str  # unknown, available, current or forbidden


_OPERATOR_STATUS = ("unknown", "available", "current", "forbidden")
_FOUND_OPERATOR = re.compile(r'\(([0-3]) *, *"([^"]*)" *, *"?([^",]*)"? *, *"(\d{5,6})"')


def found_operators(lines: list[str]) -> list[FoundOperator]:
    """Read the answer to `AT+COPS=?`, which may go on in further lines; each operator once.

    An operator is listed for each radio technology that it has.
    """
    found: dict[str, FoundOperator] = {}
    for status, name, short_name, code in _FOUND_OPERATOR.findall("".join(lines)):
        one = FoundOperator(code=code, name=name or short_name, status=_OPERATOR_STATUS[int(status)])
        if code not in found or one.status == "current":
            found[code] = one
    return list(found.values())
