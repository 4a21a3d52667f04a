"""Restarting, switching off, and putting settings back to the factory's."""

from dataclasses import dataclass

from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError
from otppi.web.ddns_words import VENDORS
from otppi.web.outcomes import BROKERS
from otppi.web.pages.network import way_to_trial
from otppi.web.site import Response, Visit, get, post
from otppi.web.words import N_


@dataclass(frozen=True)
class Switch:
    """One button of the page."""

    function: str
    icon: str
    title: str
    meaning: str
    question: str
    doing: str


SWITCHES = {
    "service": Switch(
        "power.restart-service",
        "arrow-clockwise",
        N_("Restart the program"),
        N_("Takes less than a minute. Helps when something does not work as it should."),
        N_(
            "Restart the program? Messages in hand are finished first; for up to a minute nothing is sent, and "
            "everybody has to log in again."
        ),
        N_("The program restarts. This page goes on by itself as soon as it answers again."),
    ),
    "reboot": Switch(
        "power.reboot",
        "arrow-repeat",
        N_("Restart the device"),
        N_("Takes one to two minutes. The modems and the Wi-Fi start anew as well."),
        N_(
            "Restart the whole device? Messages in hand are finished first; for one to two minutes nothing is "
            "sent, the Wi-Fi is gone for a while, and everybody has to log in again."
        ),
        N_(
            "The device restarts, which takes one to two minutes. This page goes on by itself as soon as it "
            "answers again. If your phone leaves the Wi-Fi of the device meanwhile, join it again."
        ),
    ),
    "off": Switch(
        "power.off",
        "power",
        N_("Switch off"),
        N_("For pulling the plug without harm. To switch on again, pull the plug and put it back."),
        N_(
            "Switch the device off? Messages in hand are finished first, then nothing is sent until somebody who "
            "stands beside the device pulls its plug and puts it back."
        ),
        N_(
            "The device switches off. Wait until its green light does not blink any more before you pull the plug."
        ),
    ),
}
_BROKER_RESET = N_(
    "Address, user and topics of the broker. No messages are taken from there before you set it up anew."
)
_DDNS_VENDOR_RESET = N_("The account at this vendor of dynamic DNS with its password or keys.")
# What each flag of a reset deletes, by the name that a USB stick uses as well.
RESETS = {
    "RESET_USER": (
        N_("Administrators"),
        N_(
            "All administrators and the tokens of programs for these pages. You are logged out, and whoever proves "
            "to be beside the device sets it up anew."
        ),
    ),
    "RESET_API": (
        N_("API and admin pages"),
        N_(
            "Ports, addresses and paths of the API, of the vendor API and of these pages, which are at port 8888 "
            "afterwards."
        ),
    ),
    "RESET_API_USER": (
        N_("API users"),
        N_(
            "All users of the API and accounts of the vendor API with their passwords. No program can send before you "
            "add one."
        ),
    ),
    "RESET_SMS": (N_("Sending SMS"), N_("Country code, waiting times and limits of messages.")),
    "RESET_MODEM": (
        N_("Modems"),
        N_("All modems with their numbers, prices, quotas and PINs. Nothing is sent before you add one."),
    ),
    "RESET_BLOCKING": (N_("Block list"), N_("All numbers that are blocked; they get messages again.")),
    "RESET_EMAIL": (
        N_("E-mail"),
        N_(
            "All e-mail accounts with their passwords, and what they have in common. Nothing is sent to e-mail "
            "addresses before you add one."
        ),
    ),
    "RESET_SMTP": (
        N_("Local SMTP server"),
        N_("Its address, port and limits; it is switched off."),
    ),
    **{f"RESET_SUBSCRIBER_{name.upper()}": (title, _BROKER_RESET) for name, title in BROKERS.items()},
    "RESET_DDNS": (
        N_("Dynamic DNS"),
        N_(
            "All names that follow the address of the device, the account at another vendor (dyndns2), and where the "
            "device learns its address. The names stay at their vendors as they are."
        ),
    ),
    **{
        f"RESET_VENDOR_{name.upper()}": (VENDORS[name].title, _DDNS_VENDOR_RESET)
        for name in ("cloudflare", "noip", "dynu", "afraid")
    },
    "RESET_WLAN": (
        N_("Access point"),
        N_("Name, passphrase and address of the device's own Wi-Fi: those of its printed sheet count again."),
    ),
    "RESET_DHCP": (
        N_("DHCP of the access point"),
        N_("Which addresses guests of the device's own Wi-Fi get."),
    ),
    "RESET_ETHERNET": (
        N_("Ethernet"),
        N_("A fixed address, gateway and name servers: the cable gets its address from your router again."),
    ),
    "RESET_FIREWALL": (N_("Firewall"), N_("How strict the firewall is, and all ports that you opened.")),
    "RESET_KEYSTORE": (
        N_("Certificate"),
        N_(
            "The certificate and its key. The device makes a new one, and browsers and programs ask again whether "
            "they may trust it."
        ),
    ),
}
_PATH = "/power"
_RESET = f"{_PATH}/reset"


def show(visit: Visit) -> Response:
    """Show what can be switched."""
    return _drawn(visit, "")


def switch(visit: Visit, what: str) -> Response:
    """Restart or switch off; the page that is shown then waits."""
    visit.call(SWITCHES[what].function)
    return visit.json({}) if visit.wants_json else _drawn(visit, what)


def choose(visit: Visit) -> Response:
    """Show what can be put back to the factory's."""
    return _choice(visit)


def reset(visit: Visit) -> Response:
    """Put what was chosen back to the factory's."""
    flags = visit.form_all("flags")
    if not flags:
        return _choice(visit, 422, {"": visit.words("Please choose at least one part.")})
    if visit.form("name").strip() != visit.site.device.name():
        return _choice(visit, 422, {"name": visit.words("This is not the name of the device.")}, flags)
    known = {one["flag"]: one for one in visit.call("reset.list")}
    way = way_to_trial(visit)
    try:
        done = visit.call("reset.apply", flags=flags, on_trial=True)
    except OtpPiError as error:
        return _choice(visit, error.status, {"": visit.error_text(error)}, flags)
    # Drawn at once: without administrators nobody is logged in any more.
    return visit.page(
        "reset_done.html",
        title=visit.words("Reset"),
        done=done,
        way_to_trial=way if any(known[flag]["is_network"] for flag in flags if flag in known) else "",
        sessions_end="RESET_USER" in done["done"],
    )


def _drawn(visit: Visit, doing: str) -> Response:
    can = {name: one for name, one in SWITCHES.items() if visit.can(one.function)}
    return visit.page("power.html", title=visit.words("Restart and reset"), switches=can, doing=doing)


def _choice(
    visit: Visit, status: int = 200, errors: dict[str, str] | None = None, chosen: list[str] | None = None
) -> Response:
    return visit.page(
        "reset.html",
        status=status,
        title=visit.words("Reset to the factory's settings"),
        listed=visit.call("reset.list"),
        meanings=RESETS,
        errors=errors or {},
        chosen=chosen or [],
    )


ROUTES = (
    get(_PATH, show, Role.OWNER),
    post(f"{_PATH}/<what:re:{'|'.join(SWITCHES)}>", switch),
    get(_RESET, choose, Role.OWNER),
    post(_RESET, reset),
)
