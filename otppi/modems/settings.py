"""What an owner sets for a modem and its SIM."""

from otppi.model.quota import Quota
from otppi.model.tariff import LINE, LINE_SHAPE, Tariff, TariffError, tariff
from otppi.modems.transport import SerialLine
from otppi.settings.fields import boolean, choice, integer, listing, number, secret, text
from otppi.settings.section import Section

NEVER, DAILY = "never", "daily"
# These become words in files that pppd and chat read as root: no quote but that of an AT command, no backslash, and
# nothing that either of them takes for more than a letter.
_APN_WORD = r"[A-Za-z0-9!#%&()*+,./:;<=>?@_~-]{0,64}"
_APN_WORD_SHAPE = "letters, digits and signs other than quotes, $, ^, |, \\ and brackets"
_AT_COMMAND = r"(AT[A-Za-z0-9 \"#$%&()*+,./:;<=>?@_~!-]{0,120})?"
_AT_COMMAND_SHAPE = "an AT command, without ', ^, | and \\"


class ModemSettings(Section, key="modems", title="Modems", reset_flag="RESET_MODEM", many=True):
    """The modems that the device knows."""

    name: str = text(
        pattern=r"\S(.{0,58}\S)?", shape="one to sixty characters", help="What people call the modem."
    )
    port: str = text(
        default="",
        pattern=r"[A-Za-z0-9_./:-]{0,200}",
        shape="a device such as /dev/ttyUSB0 or ttyUSB0",
        help="Serial port, for example /dev/ttyUSB0; ttyUSB0 is enough. Once the IMEI is known a device finds the "
        "modem at any port.",
    )
    imei: str = text(
        default="",
        pattern=r"([0-9]{15})?",
        shape="fifteen digits",
        help="The modem is known by it, wherever it is plugged in; learned at first contact.",
        title="IMEI",
    )
    iccid: str = text(
        default="",
        pattern=r"([0-9]{18,20}[0-9A-F]?)?",
        shape="eighteen to twenty digits",
        help="The SIM that prices, prefixes and PIN are for; learned at first contact. Another SIM is told of, and is "
        "not tried with this PIN; empty it to make these the settings of the SIM that is in.",
        title="ICCID",
    )
    prefixes: tuple[str, ...] = listing(
        default=(),
        item_pattern=r"[1-9][0-9]{0,14}",
        item_shape="digits with the country code first, such as 62812 and not 0812",
        help="Numbers that begin so are sent through this modem, written with their country code.",
    )
    is_default: bool = boolean(
        title="For all other numbers", default=False, help="Takes numbers that no modem has a prefix for."
    )
    prices: tuple[str, ...] = listing(
        default=(),
        item_pattern=LINE,
        item_shape=LINE_SHAPE,
        help="What the SIM is charged for one part of a message: PREFIXES=PRICE, and other=PRICE for all further "
        "numbers, such as 62871+62872=50, other=350. The SIM that is charged least is tried first; one whose price "
        "for a number is not known comes last. A package or promotion is a price and its steps, counted over the "
        "prefixes of the line: 62811=0, 62811=50 after 100/month is a package of a hundred free parts, "
        "62811=50, 62811=1 after 10/day a promotion. The price of the moment decides: no dearer SIM is used to "
        "reach a promotion.",
    )
    quota_per_minute: int = integer(
        default=0, minimum=0, maximum=1_000, help="Parts of messages that the SIM may send; 0 is no limit."
    )
    quota_per_hour: int = integer(
        default=0, minimum=0, maximum=100_000, help="As above, in any hour; counted in steps of five minutes."
    )
    quota_per_day: int = integer(
        default=0,
        minimum=0,
        maximum=1_000_000,
        help="As above, for a day by the clock of the device. After a power cut up to a twentieth more counts as sent.",
    )
    quota_per_month: int = integer(
        default=0, minimum=0, maximum=10_000_000, help="As above, for a month of the calendar."
    )
    gap_min_s: float = number(
        default=0,
        minimum=0,
        maximum=600,
        unit="s",
        help="Shortest pause after a message; time-critical ones do not wait for its end.",
        title="Shortest pause",
    )
    gap_max_s: float = number(
        default=0,
        minimum=0,
        maximum=600,
        unit="s",
        help="Longest pause; each is drawn by lot between the two. A message that would wait longer than its caller "
        "does is refused.",
        title="Longest pause",
    )
    active: bool = boolean(default=True, help="An inactive modem is not opened at all.")
    api_enabled: bool = boolean(
        default=True,
        help="Off, no message goes through it, whoever asks; it stays ready for USSD.",
        title="Send SMS from API",
    )
    sim_pin: str = secret(
        default="",
        pattern=r"([0-9]{4,8})?",
        shape="four to eight digits",
        help="PIN of the SIM card; empty if it has none.",
        title="SIM PIN",
    )
    balance_check: str = choice(
        (NEVER, DAILY),
        default=NEVER,
        help="Whether the SIM is asked for its balance by USSD; daily is at a minute that is different for each SIM.",
        title="Ask for the balance",
    )
    balance_ussd: str = text(
        default="",
        pattern=r".{0,200}",
        shape="at most 200 characters",
        help="Code for that, and the replies to its menus behind it, such as *888#>4; empty goes by the operator.",
        title="Balance USSD",
    )
    balance_pattern: str = text(
        default="",
        pattern=r".{0,400}",
        shape="at most 400 characters",
        help="Regular expression for the answer, with the groups amount and, if it tells, valid_until; empty reads "
        "what is usual in Indonesia.",
        title="Pattern of the answer",
    )
    balance_low: float = number(
        default=5000,
        minimum=0,
        maximum=1e9,
        help="Warn when less than this is left; 0 does not.",
        title="Warn below",
    )
    balance_days: int = integer(
        default=5,
        minimum=0,
        maximum=365,
        help="Warn so many days before the credit ends; 0 does not.",
        title="Warn so many days before",
    )
    baud_rate: int = integer(default=115200, minimum=300, maximum=4000000, unit="Bd", help="Line speed.")
    parity: str = choice(
        {"N": "None", "E": "Even", "O": "Odd", "M": "Mark", "S": "Space"},
        default="N",
        help="Parity: none, even, odd, mark or space.",
    )
    start_bits: str = choice(("1",), default="1", help="Start bits; serial lines know no other number.")
    stop_bits: str = choice(("1", "1.5", "2"), default="1", help="Stop bits.")
    internet_access: bool = boolean(
        default=False,
        help="The modem is kept for mobile internet; no message goes through it.",
        title="Keep for mobile internet",
    )
    apn: str = text(
        default="",
        pattern=r"[A-Za-z0-9._-]{0,100}",
        shape="letters, digits, dots and hyphens",
        help="Access point name of the operator; empty leaves it to the modem.",
        title="APN",
    )
    apn_username: str = text(
        default="",
        pattern=_APN_WORD,
        shape=_APN_WORD_SHAPE,
        help="User name for the APN, where the operator wants one.",
        title="APN username",
    )
    apn_password: str = secret(
        default="",
        pattern=_APN_WORD,
        shape=_APN_WORD_SHAPE,
        help="Password for the APN, where the operator wants one.",
        title="APN password",
    )
    dial_number: str = text(
        default="*99#",
        pattern=r"[*#0-9]{1,30}",
        shape="digits, * and #",
        help="What is dialled for internet; #777 with CDMA.",
        title="Number to dial",
    )
    init_dial_1: str = text(
        default="",
        pattern=_AT_COMMAND,
        shape=_AT_COMMAND_SHAPE,
        help="AT command before dialling.",
        title="First AT command",
    )
    init_dial_2: str = text(
        default="",
        pattern=_AT_COMMAND,
        shape=_AT_COMMAND_SHAPE,
        help="AT command after that.",
        title="Second AT command",
    )
    init_dial_3: str = text(
        default="",
        pattern=_AT_COMMAND,
        shape=_AT_COMMAND_SHAPE,
        help="AT command after that.",
        title="Third AT command",
    )
    init_dial_4: str = text(
        default="",
        pattern=_AT_COMMAND,
        shape=_AT_COMMAND_SHAPE,
        help="AT command after that.",
        title="Fourth AT command",
    )
    init_dial_5: str = text(
        default="",
        pattern=_AT_COMMAND,
        shape=_AT_COMMAND_SHAPE,
        help="AT command after that.",
        title="Fifth AT command",
    )
    dial_command: str = choice(
        {"ATD": "As the modem does it (ATD)", "ATDT": "By tones (ATDT)", "ATDP": "By pulses (ATDP)"},
        default="ATD",
        help="What the number is dialled with; by tone or pulse.",
        title="Dialling command",
    )
    autoreconnect: bool = boolean(
        default=True, help="Dial again when the connection ended.", title="Auto-reconnect"
    )

    @property
    def device(self) -> str:
        """The path of the port; empty if there is none."""
        return self.port if not self.port or self.port.startswith("/") else f"/dev/{self.port}"

    @property
    def line(self) -> SerialLine:
        """How the serial line is set."""
        return SerialLine(baud_rate=self.baud_rate, parity=self.parity, stop_bits=float(self.stop_bits))

    @property
    def tariff(self) -> Tariff:
        """What the SIM is charged."""
        return tariff(self.prices)

    @property
    def quota(self) -> Quota:
        """What the SIM may send."""
        return Quota(
            minute=self.quota_per_minute,
            hour=self.quota_per_hour,
            day=self.quota_per_day,
            month=self.quota_per_month,
        )

    def check(self) -> dict[str, str]:
        """See `Section`."""
        errors = {}
        try:
            tariff(self.prices)
        except TariffError as error:
            errors["prices"] = str(error)
        if not self.port and (self.internet_access or not self.imei):
            errors["port"] = "is needed for mobile internet, and where no IMEI is given"
        if self.gap_max_s < self.gap_min_s:
            errors["gap_max_s"] = "is shorter than gap_min_s"
        return errors

    def opens_like(self, other: "ModemSettings") -> bool:
        """Whether a modem set up so may go on under the other settings without being opened anew."""
        is_same_modem = self.imei in ("", other.imei)  # to learn its IMEI is no reason
        return is_same_modem and (self.device, self.line) == (other.device, other.line)

    def opens_sim_like(self, other: "ModemSettings") -> bool:
        """Whether a SIM that waits for its PIN would be given the same under the other settings."""
        return (self.sim_pin, self.iccid) == (other.sim_pin, other.iccid)
