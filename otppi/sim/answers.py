"""What a simulated modem answers to commands that do not send (3GPP TS 27.005 and 27.007, ITU-T V.250)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from otppi.sim.at_line import split_arguments
from otppi.sim.card import SimCard
from otppi.sim.mail import Mail
from otppi.sim.operators import NO_SERVICE, WRONG_PARAMETERS, Operators
from otppi.sim.personality import Personality

_EXTENDED = re.compile(r"([+^*$%#_!][A-Z0-9]+)(=\?|\?|=|)(.*)", re.DOTALL)
_BASIC = re.compile(r"(?:[EFHILMOQVXZ]|&[CDFKSVW]|S\d+)[\d=?]*")

# Settings that are only remembered: what they are after a reset, and what they may be set to.
_REGISTERS = {
    "+CMEE": ("0", "[0-2]"),
    "+CMGF": ("0", "[01]"),
    "+CMMS": ("0", "[0-2]"),
    "+CNMI": ("0,0,0,0,0", r"\d(,\d){0,4}"),
    "+CSMS": ("0", "[01]"),
    "+CREG": ("0", "[0-2]"),
    "+CGREG": ("0", "[0-2]"),
    "+CEREG": ("0", "[0-2]"),
    "+CFUN": ("1", r"[014](,[01])?"),
    "+CUSD": ("0", "[0-2]"),
    "+CSCS": ('"GSM"', '"(GSM|IRA|UCS2|HEX)"'),
    "+CPMS": ('"SM"', r'"(SM|ME|MT|SR)"(,"(SM|ME|MT)"){0,2}'),
}
_TESTS = {
    "+CMMS": "(0-2)",
    "+CMEE": "(0-2)",
    "+CMGF": "(0,1)",
    "+CNMI": "(0-2),(0-3),(0,2),(0-2),(0,1)",
    "+CSCS": '("GSM","IRA","UCS2","HEX")',
    "+CPMS": '("SM","ME"),("SM","ME"),("SM","ME")',
}
_NEEDS_OPEN_CARD = frozenset(
    {
        *("+CIMI", "+CRSM=", "+CSCA?", "+CSCA=", "+CPMS?", "+CPMS=", "+CUSD="),
        *("+CLCK=", "+CPWD=", "+CNUM", "+COPS=?"),
    }
)

# Facilities that a modem may lock; here it is the SIM alone (TS 27.007, 7.4).
_LOCK = re.compile(r'"SC",([012])(?:,"(\d{4,8})")?')
_NEW_PASSWORD = re.compile(r'"SC","(\d{4,8})","(\d{4,8})"')
_SMS_CENTER = re.compile(r'("\+?\d+")(?:,(\d+))?')
_NOT_ALLOWED, _WRONG_PASSWORD = "+CME ERROR: 3", "+CME ERROR: 16"


@dataclass(frozen=True)
class Answer:
    """Lines of information and the final result; an error stands there by its number."""

    lines: tuple[str, ...] = ()
    final: str = "OK"


class Answers:
    """The memory and the manners of one modem, without its line."""

    def __init__(self, personality: Personality, card: SimCard, imei: str) -> None:
        self.personality = personality
        self.card = card
        self.has_network = True
        # Commands that a gateway must never give, without their content.
        self.offences: list[str] = []
        self.mail = Mail(card.messages, lambda: self.registers)
        self.operators = Operators(card.printed)
        self.imei = self._written_imei = imei
        self._special: dict[str, Callable[[str], Answer]] = {
            "+CPIN?": lambda _: Answer((f"+CPIN: {card.state}",)),
            "+CPINR=": lambda _: Answer((f"+CPINR: SIM PIN,{card.pin_tries_left},3",)),
            "+CPIN=": self._enter_pin,
            "+CRSM=": self._read_card_file,
            "+CIMI": lambda _: Answer((card.printed.imsi,)),
            "+CLCK=": self._lock,
            "+CPWD=": self._change_pin,
            "+CSCA?": lambda _: Answer((f"+CSCA: {card.sms_center}",)),
            "+CSCA=": self._set_sms_center,
            "+CNUM": lambda _: self._own_number(),
            "+CGSN": lambda _: Answer((self.imei,)),
            "+GSN": lambda _: Answer((self.imei,)),
            "+CGMI": lambda _: Answer(("Simulated",)),
            "+CGMM": lambda _: Answer(("GSM",)),
            "+CGMR": lambda _: Answer(("1",)),
            "+CSQ": lambda _: Answer((f"+CSQ: {self._csq},{0 if self.has_network else 99}",)),
            "+COPS?": lambda _: Answer((f"+COPS: {self._operator()}",)),
            "+COPS=?": lambda _: self._found_operators(),
            "+COPS=": self._choose_operator,
            "+CSMS?": lambda _: Answer((f"+CSMS: {self.registers['+CSMS']},1,1,1",)),
            "+CSMS=": self._choose_service,
            "+CPMS?": lambda _: Answer(("+CPMS: " + self._fill(with_names=True),)),
            "+CPMS=": self._choose_store,
            "+CMGL": partial(self._mail, self.mail.listed),
            "+CMGL=": partial(self._mail, self.mail.listed),
            "+CMGR=": partial(self._mail, self.mail.read),
            "+CMGD=": partial(self._mail, self.mail.delete),
            "+CNMA": partial(self._mail, self.mail.acknowledge),
            "+CNMA=": partial(self._mail, self.mail.acknowledge),
            "+CMGW=": self._write_to_card,
            "+CMGW": self._write_to_card,
        }
        for name in ("+CCID", "+ICCID"):
            self._special[name] = self._special[name + "?"] = partial(self._card_number, name)
        for name in ("+CREG", "+CGREG", "+CEREG"):
            self._special[name + "?"] = partial(self._registration, name)
        self.power_up()

    def power_up(self) -> None:
        """Start anew; an IMEI that was written counts from now on."""
        self.imei = self._written_imei
        self.reset()

    def reset(self) -> None:
        """Return to factory settings, as ATZ and AT&F do."""
        self.echo = True
        self.verbose = True
        self.registers = {name: default for name, (default, _) in _REGISTERS.items()}

    @property
    def is_in_text_mode(self) -> bool:
        """Whether AT+CMGF=1 was given."""
        return self.registers["+CMGF"] == "1"

    @property
    def character_set(self) -> str:
        """How texts stand on the line."""
        return self.registers["+CSCS"].strip('"')

    @property
    def error_form(self) -> str:
        """The mode of AT+CMEE: `0` plain, `1` numbers, `2` words."""
        return self.registers["+CMEE"]

    def answer(self, command: str) -> Answer:
        """Carry out one command as `split_line` returns it."""
        if (own := self.personality.answers.get(command)) is not None:
            return self._from_table(own)
        if imei := self.personality.written_imei(command):
            self._written_imei = imei
            return Answer()
        if _BASIC.fullmatch(command):
            return self._basic(command)
        match = _EXTENDED.fullmatch(command)
        if not match:
            return Answer(final=self.personality.unknown)
        name, kind, arguments = match.groups()
        if name + kind in _NEEDS_OPEN_CARD and not self.card.is_open:
            return Answer(final="+CME ERROR: 11" if self.card.state == "SIM PIN" else "+CME ERROR: 12")
        if special := self._special.get(name + kind):
            return special(arguments)
        if kind == "=?":
            return self._test(name)
        if name in _REGISTERS and kind:
            return self._register(name, kind, arguments)
        return Answer(final=self.personality.unknown)

    def fill(self, line: str) -> str:
        """Put what the modem has into the placeholders of a personality."""
        printed = self.card.printed
        values = {
            "iccid": printed.iccid,
            "imsi": printed.imsi,
            "imei": self.imei,
            "operator": printed.operator,
            "csq": str(self._csq),
            "pin_state": self.card.state,
            "pin_tries": str(self.card.pin_tries_left),
            "puk_tries": str(self.card.puk_tries_left),
        }
        return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), line)

    @property
    def _registered(self) -> int:
        return self.operators.registration if self.has_network else 2

    @property
    def _csq(self) -> int:
        return 21 if self.has_network else 99

    def _from_table(self, table: tuple[str, ...]) -> Answer:
        lines = tuple(self.fill(line) for line in table)
        if lines[-1] in ("OK", "ERROR", self.personality.unknown) or lines[-1].startswith(
            ("+CME ERROR", "+CMS ERROR")
        ):
            return Answer(lines[:-1], lines[-1])
        return Answer(lines)

    def _basic(self, command: str) -> Answer:
        if command.startswith(("Z", "&F")):
            self.reset()
        elif command[0] == "E":
            self.echo = command == "E1"
        elif command[0] == "V":
            self.verbose = command == "V1"
        elif command[0] == "I":
            return Answer(("Simulated GSM",))
        return Answer()

    def _register(self, name: str, kind: str, value: str) -> Answer:
        if kind == "?":
            return Answer((f"{name}: {self.registers[name]}",))
        if not re.fullmatch(_REGISTERS[name][1], value):
            return Answer(final=WRONG_PARAMETERS)
        self.registers[name] = value
        return Answer()

    def _test(self, name: str) -> Answer:
        if name in _TESTS:
            return Answer((f"{name}: {_TESTS[name]}",))
        if name in _REGISTERS or name + "=" in self._special or name == "+CMGS":
            return Answer()
        return Answer(final=self.personality.unknown)

    def _enter_pin(self, arguments: str) -> Answer:
        if self.card.state == "READY":
            return Answer(final="+CME ERROR: 3")
        code, *new_pin = split_arguments(arguments)
        if self.card.state == "SIM PIN":
            is_right = self.card.enter_pin(code)
        elif new_pin:
            is_right = self.card.enter_puk(code, new_pin[0])
        else:
            return Answer(final="+CME ERROR: 12")
        return self._after_password(is_right)

    def _lock(self, arguments: str) -> Answer:
        match = _LOCK.fullmatch(arguments)
        if match is None or (match[1] != "2") != bool(match[2]):
            return Answer(final=WRONG_PARAMETERS)
        if match[1] == "2":
            return Answer((f"+CLCK: {int(self.card.asks_for_pin)}",))
        asks = match[1] == "1"
        if asks == self.card.asks_for_pin:
            return Answer(final=_NOT_ALLOWED)
        return self._after_password(self.card.ask_for_pin(match[2], asks=asks))

    def _change_pin(self, arguments: str) -> Answer:
        match = _NEW_PASSWORD.fullmatch(arguments)
        if match is None:
            return Answer(final=WRONG_PARAMETERS)
        if not self.card.asks_for_pin:
            return Answer(final=_NOT_ALLOWED)
        return self._after_password(self.card.change_pin(match[1], match[2]))

    def _after_password(self, is_right: bool) -> Answer:
        return Answer() if is_right else Answer(final=_WRONG_PASSWORD)

    def _set_sms_center(self, arguments: str) -> Answer:
        match = _SMS_CENTER.fullmatch(arguments)
        if match is None:
            return Answer(final=WRONG_PARAMETERS)
        self.card.sms_center = f"{match[1]},{match[2] or (145 if '+' in match[1] else 129)}"
        return Answer()

    def _own_number(self) -> Answer:
        number = self.card.printed.number
        return Answer((f'+CNUM: "","{number}",{145 if number.startswith("+") else 129}',) if number else ())

    def _operator(self) -> str:
        return self.operators.present() if self.has_network else "0"

    def _found_operators(self) -> Answer:
        if not self.has_network:
            return Answer(final=NO_SERVICE)
        return Answer((f"+COPS: {self.operators.found()}",))

    def _choose_operator(self, values: str) -> Answer:
        error = self.operators.set(values)
        return Answer(final=error) if error else Answer()

    def _card_number(self, name: str, _: str) -> Answer:
        return Answer((f"{name}: {self.card.printed.iccid}",))

    def _read_card_file(self, arguments: str) -> Answer:
        if arguments != "176,12258,0,0,10":  # the file with the number of the card
            return Answer(final=WRONG_PARAMETERS)
        digits = self.card.printed.iccid.ljust(20, "F")
        swapped = "".join(low + high for high, low in zip(digits[::2], digits[1::2], strict=True))
        return Answer((f'+CRSM: 144,0,"{swapped}"',))

    def _registration(self, name: str, _: str) -> Answer:
        return Answer((f"{name}: {self.registers[name]},{self._registered}",))

    def _choose_service(self, value: str) -> Answer:
        stored = self._register("+CSMS", "=", value)
        return Answer(("+CSMS: 1,1,1",)) if stored.final == "OK" else stored

    def _choose_store(self, value: str) -> Answer:
        stored = self._register("+CPMS", "=", value)
        return Answer(("+CPMS: " + self._fill(with_names=False),)) if stored.final == "OK" else stored

    def _fill(self, *, with_names: bool) -> str:
        return ",".join(
            f'"{name}",{used},{room}' if with_names else f"{used},{room}"
            for name, used, room in self.mail.fill()
        )

    def _mail(self, do: Callable[[str], tuple[list[str], str]], arguments: str) -> Answer:
        if not self.card.is_open:
            return Answer(final="+CMS ERROR: 311")
        if self.is_in_text_mode:
            return Answer(final="+CMS ERROR: 303")
        if not re.fullmatch(r"[\d,]*", arguments):
            return Answer(final="+CMS ERROR: 302")
        lines, final = do(arguments)
        return Answer(tuple(lines), final)

    def _write_to_card(self, _: str) -> Answer:
        self.offences.append("+CMGW")
        return Answer(final="+CMS ERROR: 302")
