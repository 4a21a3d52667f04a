"""What an owner sets for the local SMTP server."""

from ipaddress import ip_address

from otppi.settings.fields import boolean, choice, integer, text
from otppi.settings.section import Section

ACCOUNTS, DIRECTLY = "accounts", "direct"


class SubmissionSettings(Section, key="smtp", title="Local SMTP server", reset_flag="RESET_SMTP"):
    """Applications on the network hand over e-mail here, with the name and password of an API user."""

    active: bool = boolean(default=False, help="Whether applications may hand over e-mail by SMTP.")
    software_name: str = text(
        default="OTP-Pi",
        pattern=r"[A-Za-z0-9._/-]{1,40}",
        shape="letters, digits and . _ / -, at most 40",
        help="What the server calls itself in its greeting.",
    )
    server_name: str = text(
        default="",
        pattern=r"([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)?",
        shape="a host name",
        help="The name it goes by, here and when it delivers mail itself; empty for the device's own name.",
    )
    server_address: str = text(
        default="0.0.0.0",  # noqa: S104 - the network of the device is where its clients are
        pattern=r"[0-9A-Fa-f.:]{2,45}",
        shape="an IP address",
        help="Where it listens; 127.0.0.1 for programs on this device only.",
        title="Address",
    )
    server_port: int = integer(
        default=25,
        minimum=1,
        maximum=65535,
        help="587 and 2525 are usual as well; 25 is what the old product had.",
        title="Port",
    )
    require_tls: bool = boolean(
        default=True,
        help="Names and passwords are taken over encrypted connections only (STARTTLS, with the certificate of the "
        "device). Off, whoever is on the way can read them.",
        title="Only with encryption",
    )
    delivery: str = choice(
        {ACCOUNTS: "by the e-mail accounts", DIRECTLY: "straight to the server of the receiver"},
        default=ACCOUNTS,
        help="Mail that comes straight from a small device is often refused or put away as spam: its address has no "
        "good name and many internet providers close port 25. It may go unencrypted, and no certificate is checked. "
        "The accounts are the better way.",
        title="How mail goes on",
    )
    max_message_kb: int = integer(
        default=1024,
        minimum=16,
        maximum=25_600,
        unit="kB",
        help="Longer messages are refused.",
        title="Largest message",
    )
    messages_per_minute: int = integer(
        default=120,
        minimum=1,
        maximum=10_000,
        help="Messages from one API user in a minute; more are refused for the moment. They count in the daily limits "
        "of the e-mail accounts, which codes by e-mail need as well.",
        title="Messages in a minute",
    )

    def check(self) -> dict[str, str]:
        """See `Section`."""
        try:
            ip_address(self.server_address)
        except ValueError:
            return {"server_address": "must be an IP address"}
        return {}
