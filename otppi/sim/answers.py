"""What a simulated modem answers to commands that do not send (3GPP TS 27.005 and 27.007, ITU-T V.250)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from otppi.sim.at_line import split_arguments
from otppi.sim.card import SimCard
from otppi.sim.mail import Mail
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
    "+CSCA": ('"+6280000000000",145', r'"\+?\d+"(,\d+)?'),
    "+CPMS": ('"SM"', r'"(SM|ME|MT|SR)"(,"(SM|ME|MT)"){0,2}'),
    "+COPS": ("0", r"[0-4](,.*)?"),
}
_TESTS = {
    "+CMMS": "(0-2)",
    "+CMEE": "(0-2)",
    "+CMGF": "(0,1)",
    "+CNMI": "(0-2),(0-3),(0,2),(0-2),(0,1)",
    "+CSCS": '("GSM","IRA","UCS2","HEX")',
    "+CPMS": '("SM","ME"),("SM","ME"),("SM","ME")',
}
_NEEDS_OPEN_CARD = frozenset({"+CIMI", "+CRSM=", "+CSCA?", "+CSCA=", "+CPMS?", "+CPMS=", "+CUSD="})

INCORRECT_PARAMETERS = "+CME ERROR: 50"


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
        self._imei = imei
        self._special: dict[str, Callable[[str], Answer]] = {
            "+CPIN?": lambda _: Answer((f"+CPIN: {card.state}",)),
            "+CPINR=": lambda _: Answer((f"+CPINR: SIM PIN,{card.pin_tries_left},3",)),
            "+CPIN=": self._enter_pin,
            "+CRSM=": self._read_card_file,
            "+CIMI": lambda _: Answer((card.printed.imsi,)),
            "+CGSN": lambda _: Answer((imei,)),
            "+GSN": lambda _: Answer((imei,)),
            "+CGMI": lambda _: Answer(("Simulated",)),
            "+CGMM": lambda _: Answer(("GSM",)),
            "+CGMR": lambda _: Answer(("1",)),
            "+CSQ": lambda _: Answer((f"+CSQ: {self._csq},{0 if self.has_network else 99}",)),
            "+COPS?": lambda _: self._operator(),
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
        self.reset()

    def reset(self) -> None:
        """Return to factory settings, as after power-up, ATZ and AT&F."""
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
        if _BASIC.fullmatch(command):
            return self._basic(command)
        match = _EXTENDED.fullmatch(command)
        if not match:
            return Answer(final=self.personality.unknown)
        name, kind, arguments = match.groups()
        if name + kind in _NEEDS_OPEN_CARD and not self.card.is_open:
            return Answer(final="+CME ERROR: 11")
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
            "imei": self._imei,
            "operator": printed.operator,
            "csq": str(self._csq),
            "pin_state": self.card.state,
            "pin_tries": str(self.card.pin_tries_left),
            "puk_tries": str(self.card.puk_tries_left),
        }
        return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), line)

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
            return Answer(final=INCORRECT_PARAMETERS)
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
        return Answer() if is_right else Answer(final="+CME ERROR: 16")

    def _operator(self) -> Answer:
        mode = self.registers["+COPS"]
        if not self.has_network:
            return Answer(("+COPS: 0",))
        if mode == "3,2":
            return Answer((f'+COPS: 0,2,"{self.card.printed.imsi[:5]}"',))
        return Answer((f'+COPS: 0,0,"{self.card.printed.operator}"',))

    def _card_number(self, name: str, _: str) -> Answer:
        return Answer((f"{name}: {self.card.printed.iccid}",))

    def _read_card_file(self, arguments: str) -> Answer:
        if arguments != "176,12258,0,0,10":  # the file with the number of the card
            return Answer(final=INCORRECT_PARAMETERS)
        digits = self.card.printed.iccid.ljust(20, "F")
        swapped = "".join(low + high for high, low in zip(digits[::2], digits[1::2], strict=True))
        return Answer((f'+CRSM: 144,0,"{swapped}"',))

    def _registration(self, name: str, _: str) -> Answer:
        return Answer((f"{name}: {self.registers[name]},{1 if self.has_network else 2}",))

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
