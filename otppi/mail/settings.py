"""What an owner sets for sending e-mail."""

from otppi.model.quota import Quota
from otppi.settings.fields import boolean, certificate, choice, integer, number, secret, text
from otppi.settings.section import Section

# RFC 5321, 4.1.2 as far as servers in use have it; the domain in letters of ASCII.
ADDRESS = r"[^\s@<>\"(),:;\\\[\]]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,187}[A-Za-z0-9])?"
HOST = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
_ONE_LINE = r"[^\x00-\x1f\x7f]{0,%d}"

SSL, STARTTLS, PLAIN = "ssl", "starttls", "none"
_MOST_CONNECTIONS = 8


class EmailSettings(Section, key="email", title="E-mail", reset_flag="RESET_EMAIL"):
    """What all e-mail accounts have in common."""

    sender_name: str = text(
        default="",
        pattern=_ONE_LINE % 100,
        shape="at most a hundred characters",
        help="The name that receivers see before the address; empty for the name of the device. An account may have "
        "its own.",
    )
    subject: str = text(
        default="Message",
        pattern=_ONE_LINE % 200,
        shape="at most two hundred characters",
        help="The subject of messages that bring none.",
    )
    code_subject: str = text(
        default="Your verification code",
        pattern=_ONE_LINE % 200,
        shape="at most two hundred characters",
        help="The subject of codes that bring none. An e-mail is a weaker way for a code than an SMS: NIST SP "
        "800-63B-4, 3.1.3.1, does not accept it as proof of who somebody is.",
        title="Subject of codes",
    )
    idle_s: int = integer(
        default=30,
        minimum=0,
        maximum=300,
        unit="s",
        help="How long a connection is kept open for the next message.",
        title="Keep connections open",
    )


class EmailAccountSettings(
    Section, key="email_accounts", title="E-mail accounts", reset_flag="RESET_EMAIL", many=True
):
    """Accounts at SMTP servers, used in turns."""

    name: str = text(
        pattern=r"\S(.{0,58}\S)?", shape="one to sixty characters", help="What people call the account."
    )
    active: bool = boolean(default=True, help="An account that is not active sends nothing.")
    host: str = text(
        pattern=HOST,
        shape="a host name or an IP address",
        help="The SMTP server: smtp.gmail.com for Gmail.",
        title="SMTP host",
    )
    port: int = integer(
        default=587,
        minimum=1,
        maximum=65535,
        help="587 with STARTTLS and 465 with SSL are usual; 25 is between servers.",
        title="SMTP port",
    )
    security: str = choice(
        {STARTTLS: "STARTTLS", SSL: "SSL on connect", PLAIN: "not encrypted"},
        default=STARTTLS,
        help="How the connection is encrypted. STARTTLS is never left out because a server does not offer it.",
        title="Encryption",
    )
    auth: bool = boolean(
        default=True, help="Whether the server wants a user name and a password.", title="Authentication"
    )
    sender_address: str = text(
        pattern=ADDRESS,
        shape="an e-mail address",
        help="The address that messages come from, and the user name unless there is another below.",
    )
    sender_name: str = text(
        default="",
        pattern=_ONE_LINE % 100,
        shape="at most a hundred characters",
        help="The name that receivers see; empty for that of the e-mail settings.",
    )
    username: str = text(
        default="",
        pattern=_ONE_LINE % 200,
        shape="at most two hundred characters",
        help="The user name, where it is not the sender's address.",
    )
    password: str = secret(
        default="",
        pattern=r".{0,500}",
        shape="at most 500 characters",
        help="Gmail takes no account password here, but an app password, which is made in the Google account under "
        "Security, 2-Step Verification.",
        title="Sender password",
    )
    tls_verify: bool = boolean(
        default=True,
        help="Off, whoever is on the way can pose as the server and read password and codes.",
        title="Check the certificate",
    )
    ca_certificate: str = certificate(
        help="Who vouches for the server's certificate, if it is nobody that the device trusts anyway.",
        title="CA certificate",
    )
    allow_insecure: bool = boolean(
        default=False,
        help="Whoever is on the way can read passwords and codes. For a server on this machine or a trusted cable.",
        title="Allow sending unencrypted",
    )
    limit_per_day: int = integer(
        default=500,
        minimum=0,
        maximum=1_000_000,
        help="Messages a day; 0 is no limit. A free Gmail account may send 500. When an account has sent its share "
        "the others go on.",
        title="Messages in a day",
    )
    connections: int = integer(
        default=2,
        minimum=1,
        maximum=_MOST_CONNECTIONS,
        help="How many connections may be open at a time; many servers refuse more than a few.",
        title="Connections at once",
    )
    timeout_s: float = number(
        default=20,
        minimum=1,
        maximum=120,
        unit="s",
        help="How long the server may be silent before another account is tried.",
        title="Wait for the server at most",
    )

    @property
    def quota(self) -> Quota:
        """What the account may send, in messages."""
        return Quota(day=self.limit_per_day)

    @property
    def user(self) -> str:
        """Whom the server is told."""
        return self.username or self.sender_address

    @property
    def domain(self) -> str:
        """The domain of the sender's address."""
        return self.sender_address.rpartition("@")[2]

    def check(self) -> dict[str, str]:
        """See `Section`."""
        errors = {}
        if self.security == PLAIN and not self.allow_insecure:
            errors["security"] = "choose STARTTLS or SSL, or allow sending unencrypted"
        if self.auth and not self.password:
            errors["password"] = "is needed, or switch authentication off"  # noqa: S105 - says so
        return errors
