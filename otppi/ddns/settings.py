"""What an owner sets for dynamic DNS: names, accounts at vendors, and where the public address is learnt."""

from otppi.settings.fields import boolean, choice, integer, secret, text
from otppi.settings.section import Section

CLOUDFLARE, NOIP, DYNU, AFRAID, DYNDNS2 = "cloudflare", "noip", "dynu", "afraid", "dyndns2"
A, AAAA = "A", "AAAA"
NIC, V2 = "nic", "v2"
INTERNET, INTERFACE = "internet", "interface"

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = rf"({_LABEL}\.)+{_LABEL}"
_HTTPS = r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?"
_HTTPS_SHAPE = "an address such as https://dns.example.com/nic/update"
_ADDRESS_OR_NOTHING = r"([^\s@<>\"(),:;\\]{1,64}@[A-Za-z0-9.-]{1,189})?"
_MINUTES = {
    "1": "1 minute",
    **{minutes: f"{minutes} minutes" for minutes in ("2", "3", "4", "5", "6", "10", "12", "15", "20", "30")},
    "60": "1 hour",
    **{str(60 * hours): f"{hours} hours" for hours in (2, 3, 4, 6, 12)},
    "1440": "1 day",
}


class DdnsRecord(Section, key="ddns", title="DDNS records", reset_flag="RESET_DDNS", many=True):
    """Names that follow the public address of the device."""

    provider: str = choice(
        {
            CLOUDFLARE: "Cloudflare",
            NOIP: "No-IP",
            DYNU: "Dynu",
            AFRAID: "FreeDNS (afraid.org)",
            DYNDNS2: "another (dyndns2)",
        },
        default=CLOUDFLARE,
        help="Who keeps the name; the account there is set once for all of its names.",
        title="Vendor",
    )
    type: str = choice(
        {A: "A: IPv4", AAAA: "AAAA: IPv6"}, default=A, help="What kind of address the name points to."
    )
    zone: str = text(
        pattern=_NAME,
        shape="a domain such as example.com",
        help="The domain, as the vendor has it.",
        title="Domain",
    )
    record_name: str = text(
        default="@",
        pattern=rf"@|\*|{_LABEL}(\.{_LABEL})*|\*\.{_LABEL}(\.{_LABEL})*",
        shape="a name such as otp or otp.example.com, or @ for the domain itself",
        help="The name before the domain, or the whole name; @ is the domain itself.",
        title="Name",
    )
    ttl: int = integer(
        default=1,
        minimum=1,
        maximum=86_400,
        unit="s",
        help="How long others remember the address; 1 leaves it to the vendor. For Cloudflare and Dynu v2 only, when "
        "the record is made there; one that exists keeps its own.",
        title="TTL",
    )
    proxied: bool = boolean(
        default=False,
        help="For Cloudflare only, when the record is made there: the name points to Cloudflare, which passes web "
        "requests on. A record that exists stays as it is.",
    )
    every_minutes: str = choice(
        _MINUTES,
        default="5",
        help="How often the public address is looked at. The vendor is asked only when it has changed, and once in 25 "
        "days so that the name does not expire.",
        title="Look every",
    )
    force_create_zone: bool = boolean(
        default=False,
        help="For Cloudflare only: make the zone in the account if it is not there.",
        title="Create the zone",
    )
    token: str = secret(
        default="",
        pattern=r"[A-Za-z0-9_=-]{0,200}",
        shape="letters, digits and - _ =, at most 200",
        help="For FreeDNS only: the token of this very name and type, from its update address. Without one the account "
        "is asked by user name and password, which confuses A and AAAA of the same name.",
        title="Update token",
    )
    active: bool = boolean(default=True, help="A record that is not active is left as it is.")

    @property
    def host(self) -> str:
        """The whole name, in small letters and without a dot at its end."""
        name, zone = self.record_name.lower(), self.zone.lower()
        if name == "@" or name == zone:
            return zone
        return name if name.endswith(f".{zone}") else f"{name}.{zone}"

    @property
    def every_s(self) -> float:
        """How often the public address is looked at."""
        return int(self.every_minutes) * 60.0


class VendorSettings(Section, key="ddns_vendor", title="DDNS vendor"):
    """What the accounts at all vendors have in common; each vendor is a section of its own."""

    active: bool = boolean(default=False, help="Whether this account is used.")
    endpoint: str = text(
        default="https://dns.example.com/nic/update",
        pattern=_HTTPS,
        shape=_HTTPS_SHAPE,
        help="Where the vendor is asked.",
    )

    def check(self) -> dict[str, str]:
        """See `Section`."""
        if self.endpoint.startswith("http:"):
            return {"endpoint": "is not encrypted, and would show the password to everybody on the way"}
        return {}


class CloudflareSettings(
    VendorSettings, key="cloudflare", title="Cloudflare", reset_flag="RESET_VENDOR_CLOUDFLARE"
):
    """The account at Cloudflare."""

    endpoint: str = text(
        default="https://api.cloudflare.com/client/v4",
        pattern=_HTTPS,
        shape=_HTTPS_SHAPE,
        help="Where Cloudflare is asked.",
        title="Cloudflare endpoint",
    )
    auth_token: str = secret(
        default="",
        pattern=r"[!-~]{0,200}",
        shape="at most 200 characters without spaces",
        help="An API token with the permission Zone, DNS, Edit for this zone alone. It is the better way: the API key "
        "opens the whole account.",
        title="API token",
    )
    account_id: str = text(
        default="",
        pattern=r"[A-Za-z0-9]{0,64}",
        shape="letters and digits",
        help="Only needed to create zones.",
        title="Account ID",
    )
    auth_email: str = text(
        default="",
        pattern=_ADDRESS_OR_NOTHING,
        shape="an e-mail address",
        help="With the API key: the e-mail address of the account.",
        title="E-mail",
    )
    auth_api_key: str = secret(
        default="",
        pattern=r"[!-~]{0,200}",
        shape="at most 200 characters without spaces",
        help="The Global API Key; used only if there is no token.",
        title="API key",
    )

    def check(self) -> dict[str, str]:
        """See `Section`."""
        errors = super().check()
        if self.active and not self.auth_token and not (self.auth_email and self.auth_api_key):
            errors["auth_token"] = "is needed, or e-mail and API key"  # noqa: S105 - says so
        return errors


class _WithPassword(VendorSettings, key="ddns_account", title="DDNS account"):
    username: str = text(
        default="",
        pattern=r"[^\x00-\x1f\x7f:]{0,200}",
        shape="at most 200 characters, no colon",
        help="User name at the vendor.",
    )
    password: str = secret(
        default="", pattern=r".{0,200}", shape="at most 200 characters", help="Password at the vendor."
    )
    company: str = text(
        default="",
        pattern=r"[^\x00-\x1f\x7f]{0,60}",
        shape="at most 60 characters",
        help="Who asks: the vendor is told in the name of the program.",
        title="Company name",
    )
    email: str = text(
        default="",
        pattern=_ADDRESS_OR_NOTHING,
        shape="an e-mail address",
        help="Whom the vendor can write to when the program misbehaves; No-IP blocks programs that do not tell.",
        title="Maintainer e-mail",
    )

    def check(self) -> dict[str, str]:
        """See `Section`."""
        errors = super().check()
        if self.active and not self.username:
            errors["username"] = "is needed"
        if self.active and not self.password:
            errors["password"] = "is needed"  # noqa: S105 - says so
        return errors


class NoIpSettings(_WithPassword, key="noip", title="No-IP", reset_flag="RESET_VENDOR_NOIP"):
    """The account at No-IP."""

    endpoint: str = text(
        default="https://dynupdate.no-ip.com/nic/update",
        pattern=_HTTPS,
        shape=_HTTPS_SHAPE,
        help="Where No-IP is asked.",
        title="No-IP endpoint",
    )


class DynuSettings(_WithPassword, key="dynu", title="Dynu", reset_flag="RESET_VENDOR_DYNU"):
    """The account at Dynu."""

    api_version: str = choice(
        {NIC: "IP update protocol (user name and password)", V2: "API v2 (API key)"},
        default=NIC,
        help="How Dynu is asked.",
        title="API version",
    )
    endpoint: str = text(
        default="https://api.dynu.com/nic/update",
        pattern=_HTTPS,
        shape=_HTTPS_SHAPE,
        help="Where Dynu is asked; for API v2 it is https://api.dynu.com/v2.",
        title="Dynu endpoint",
    )
    api_key: str = secret(
        default="",
        pattern=r"[!-~]{0,200}",
        shape="at most 200 characters without spaces",
        help="For API v2: the key of the control panel, API Credentials.",
        title="API key",
    )

    def check(self) -> dict[str, str]:
        """See `Section`."""
        errors = super().check()
        if self.active and self.api_version == V2:
            for name in ("username", "password"):
                errors.pop(name, None)
            if not self.api_key and not (self.username and self.password):
                errors["api_key"] = "is needed"
        return errors


class AfraidSettings(
    _WithPassword, key="afraid", title="FreeDNS (afraid.org)", reset_flag="RESET_VENDOR_AFRAID"
):
    """The account at FreeDNS."""

    endpoint: str = text(
        default="https://freedns.afraid.org/nic/update",
        pattern=_HTTPS,
        shape=_HTTPS_SHAPE,
        help="Where FreeDNS is asked by user name and password.",
        title="FreeDNS endpoint",
    )
    token_endpoint: str = text(
        default="https://sync.afraid.org/u",
        pattern=_HTTPS,
        shape=_HTTPS_SHAPE,
        help="Where FreeDNS is asked for records that have an update token.",
        title="Endpoint for tokens",
    )

    def check(self) -> dict[str, str]:
        """See `Section`."""
        errors = super().check()
        for name in ("username", "password"):
            errors.pop(name, None)  # each record may have a token
        if self.token_endpoint.startswith("http:"):
            errors["token_endpoint"] = "is not encrypted, and would show the token to everybody on the way"  # noqa: S105
        return errors


class Dyndns2Settings(
    _WithPassword, key="dyndns2", title="Another vendor (dyndns2)", reset_flag="RESET_DDNS"
):
    """An account at any other vendor that speaks the protocol of DynDNS, which most do."""

    endpoint: str = text(
        default="https://members.dyndns.org/nic/update",
        pattern=_HTTPS,
        shape=_HTTPS_SHAPE,
        help="Where the vendor is asked; its help pages call it the update address.",
        title="Endpoint",
    )


class PublicAddressSettings(Section, key="ddns_address", title="Public address", reset_flag="RESET_DDNS"):
    """Where the device learns its public address."""

    source: str = choice(
        {INTERNET: "asked on the internet", INTERFACE: "the address of an interface"},
        default=INTERNET,
        help="Behind a router it has to be asked; a device with a public address of its own knows it.",
        title="Learnt from",
    )
    interface: str = text(
        default="eth0",
        pattern=r"[A-Za-z0-9_.-]{1,15}",
        shape="a name such as eth0",
        help="The interface that has the public address.",
    )
    first_url: str = text(
        default="https://icanhazip.com",
        pattern=_HTTPS,
        shape="an address such as https://icanhazip.com",
        help="Who is asked; answers with the address as plain text.",
        title="First source",
    )
    second_url: str = text(
        default="https://api64.ipify.org",
        pattern=_HTTPS,
        shape="an address such as https://api64.ipify.org",
        help="Who else is asked. Nothing is published unless both say the same.",
        title="Second source",
    )

    def check(self) -> dict[str, str]:
        """See `Section`."""
        errors = {
            name: "is not encrypted, and anybody on the way could answer"
            for name in ("first_url", "second_url")
            if getattr(self, name).startswith("http:")
        }
        if self.first_url == self.second_url:
            errors["second_url"] = "must be another than the first"
        return errors


VENDORS: tuple[type[VendorSettings], ...] = (
    CloudflareSettings,
    NoIpSettings,
    DynuSettings,
    AfraidSettings,
    Dyndns2Settings,
)
