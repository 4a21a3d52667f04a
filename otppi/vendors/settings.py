"""What an owner sets for an account at an SMS vendor."""

from urllib.parse import SplitResult, urlsplit

from otppi.model.quota import Quota
from otppi.model.tariff import LINE, LINE_SHAPE, Tariff, TariffError, tariff
from otppi.settings.fields import boolean, certificate, choice, integer, listing, number, secret, text
from otppi.settings.section import Section

V1, V2 = "V1", "V2"
MOST_IN_FLIGHT = 8


class VendorRouteSettings(Section, key="vendor_routes", title="SMS vendors", many=True):
    """Accounts at SMS vendors, which send over the internet."""

    name: str = text(
        pattern=r"\S(.{0,58}\S)?", shape="one to sixty characters", help="What people call the account."
    )
    active: bool = boolean(default=True, help="An account that is not active sends nothing.")
    last_resort: bool = boolean(
        title="Only when no modem can",
        default=True,
        help="Messages go this way only when no modem can send them, whatever the price. Off, the account is compared "
        "with the SIM cards by price, like one of them.",
    )
    url: str = text(
        pattern=r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?",
        shape="an address such as https://sms.example.com:20003",
        help="Address of the vendor, without the names of its functions: https://sms.example.com:20003, and not "
        "https://sms.example.com:20003/sendsms.",
        title="Address",
    )
    allow_insecure: bool = boolean(
        title="Allow http://",
        default=False,
        help="Many vendors know nothing else. Whoever is on the way can read the messages and, with V1, the password.",
    )
    verify_tls: bool = boolean(
        title="Check the certificate",
        default=True,
        help="Off, whoever is on the way can pose as the vendor.",
    )
    ca: str = certificate(
        title="Certificate of the CA",
        help="Who vouches for the vendor's certificate, if it is nobody that the device trusts anyway.",
    )
    dialect: str = choice(
        {V1: "V1: account and password", V2: "V2: account and signature"},
        default=V1,
        help="How the vendor wants to be asked.",
    )
    account: str = text(
        pattern=r"\S{1,100}", shape="one to a hundred characters without spaces", help="Name of the account."
    )
    password: str = secret(
        default="",
        pattern=r".{0,200}",
        shape="at most 200 characters",
        help="Password of the account for V1; it stands in every address that the vendor is asked by.",
    )
    api_key: str = secret(
        default="",
        pattern=r".{0,200}",
        shape="at most 200 characters",
        help="API key of the account for V2, which is not its password. The clock of the device must be right.",
    )
    prefixes: tuple[str, ...] = listing(
        default=(),
        item_pattern=r"[1-9][0-9]{0,14}",
        item_shape="digits with the country code first, such as 62812 and not 0812",
        help="Of several that cost the same, what has the longest prefix of a number is tried first.",
    )
    prices: tuple[str, ...] = listing(
        default=(),
        item_pattern=LINE,
        item_shape=LINE_SHAPE,
        help="What the vendor charges for one part of a message, as in the prices of a modem: 62811+62812=230, "
        "other=350.",
    )
    quota_per_minute: int = integer(
        default=0,
        minimum=0,
        maximum=10_000,
        help="Parts of messages that the account may send; 0 is no limit.",
    )
    quota_per_hour: int = integer(
        default=0,
        minimum=0,
        maximum=1_000_000,
        help="As above, in any hour; counted in steps of five minutes.",
    )
    quota_per_day: int = integer(
        default=0,
        minimum=0,
        maximum=10_000_000,
        help="As above, for a day by the clock of the device. After a power cut up to a twentieth more counts as sent.",
    )
    quota_per_month: int = integer(
        default=0, minimum=0, maximum=100_000_000, help="As above, for a month of the calendar."
    )
    balance_low: float = number(
        default=5000,
        minimum=0,
        maximum=1e12,
        help="Warn when less than this is left; 0 does not.",
        title="Warn below",
    )
    in_flight: int = integer(
        title="Messages at once",
        default=4,
        minimum=1,
        maximum=MOST_IN_FLIGHT,
        help="How many messages may wait for the vendor's answer at a time.",
    )
    timeout_s: float = number(
        title="Wait for the vendor at most",
        default=30,
        minimum=1,
        maximum=120,
        unit="s",
        help="How long the vendor may be silent before the outcome of a message is unknown.",
    )

    @property
    def address(self) -> SplitResult:
        """The parts of the vendor's address."""
        return urlsplit(self.url)

    @property
    def secret(self) -> str:
        """What the dialect proves the account by."""
        return self.password if self.dialect == V1 else self.api_key

    @property
    def tariff(self) -> Tariff:
        """What the account is charged."""
        return tariff(self.prices)

    @property
    def quota(self) -> Quota:
        """What the account may send."""
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
        try:
            is_possible = self.address.port != 0
        except ValueError:
            is_possible = False
        if not is_possible:
            errors["url"] = "has a port that cannot be"
        elif self.address.scheme == "http" and not self.allow_insecure:
            errors["url"] = "is not encrypted; allow that, or use https://"
        return errors
