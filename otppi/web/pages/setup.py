"""First contact: the first administrator, and then steps that can be skipped and come back to.

The step that may cut off who is doing it, the change of the Wi-Fi, is the last.
"""

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from otppi.gateway.first_administrator import FirstAdministrator
from otppi.gateway.rights import Role
from otppi.model.errors import BadRequest, HostError, OtpPiError, SettingsError, TooManyRequests
from otppi.model.modems import ModemState
from otppi.model.number import parse_number
from otppi.model.operators import OPERATORS
from otppi.web import forms, sending, zones
from otppi.web.modem_words import standing
from otppi.web.pages import network
from otppi.web.pages.access import let_in
from otppi.web.shown_once import MadePassword, ShownOnce
from otppi.web.site import SETUP, Response, Visit, get, post
from otppi.web.snippets import EXAMPLE_RECEIVER, SAFE_USER, api_addresses, snippets
from otppi.web.words import N_

_DEVICE, _MODEM, _API, _WIFI, _DONE = (
    f"{SETUP}/{name}" for name in ("device", "modem", "api", "wifi", "done")
)
_TRIAL = "/network/trial"
_API_MADE = f"{_API}/made"


@dataclass(frozen=True)
class Step:
    """One page of the set-up."""

    path: str
    title: str
    needs: str = ""  # the function without which there is no such step


STEPS = (
    Step(SETUP, N_("Administrator")),
    Step(_DEVICE, N_("Device")),
    Step(_MODEM, N_("Modem")),
    Step(_API, N_("API user")),
    Step(_WIFI, N_("Wi-Fi"), "network.trial"),
    Step(_DONE, N_("Done")),
)


# ---- the first administrator --------------------------------------------------------------------------------------


def begin(visit: Visit) -> Response:
    """Show the form for the first administrator."""
    if visit.site.device.has_administrator():
        return visit.redirect("/")
    return _first(visit)


def make(visit: Visit) -> Response:
    """Make the first administrator, and let him in."""
    if visit.site.device.has_administrator():
        return visit.redirect("/")
    user = visit.form("user").strip()
    try:
        is_made = _first_administrator(visit).make(
            user,
            visit.form("password"),
            again=visit.form("again"),
            phone=visit.form("phone").strip(),
            email=visit.form("email").strip(),
            language=visit.words.language,
            address=visit.address,
            is_beside=visit.is_beside,
            secret=visit.form("secret"),
        )
    except TooManyRequests as error:
        return _first(visit, error.status, {"secret": visit.error_text(error)})
    except OtpPiError as error:
        return _first(visit, error.status, visit.field_errors(error))
    if not is_made:
        return visit.redirect("/")
    let_in(visit, user)
    return visit.redirect(_DEVICE)


def _first(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    return _step(
        visit,
        SETUP,
        "setup.html",
        status,
        title=visit.words("Set up this device"),
        asks_secret=not visit.is_beside,
        has_secret=_first_administrator(visit).has_secret,
        given={name: visit.form(name) for name in ("user", "phone", "email")},
        errors=errors or {},
    )


def _first_administrator(visit: Visit) -> FirstAdministrator:
    first: FirstAdministrator = visit.site.facts["first_administrator"]
    return first


# ---- name, country code, time -------------------------------------------------------------------------------------

_DEVICE_FIELDS = (("general", "device_name"), ("sms", "country_code"), ("clock", "time_zone"))


def ask_device(visit: Visit) -> Response:
    """Show what the device is called, and what time it is."""
    return _device(visit)


def take_device(visit: Visit) -> Response:
    """Save name, country code and time zone; set the clock if that was asked for."""
    given = {
        name: visit.form(name).strip() for name in (f"{section}.{name}" for section, name in _DEVICE_FIELDS)
    }
    try:
        visit.call("settings.set", values=given)
    except OtpPiError as error:
        return _device(visit, error.status, given, visit.place_errors(error))
    epoch_ms = visit.form("epoch_ms")
    if visit.ticked("take_time") and re.fullmatch("[0-9]{13}", epoch_ms) and visit.can("clock.set"):
        try:
            visit.call("clock.set", epoch_s=int(epoch_ms) / 1000)
        except HostError as error:
            return _device(visit, error.status, given, {"": visit.error_text(error)})
    return visit.redirect(_after(visit, _DEVICE))


def _device(
    visit: Visit,
    status: int = 200,
    given: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> Response:
    *fields, zone = zones.offered(visit, _fields(visit, _DEVICE_FIELDS, given, errors))
    return _step(
        visit,
        _DEVICE,
        "setup_device.html",
        status,
        fields=fields,
        zone=zone,
        now_s=time.time(),
        errors=errors or {},
    )


# ---- the first modem ----------------------------------------------------------------------------------------------


def show_modems(visit: Visit) -> Response:
    """Show which modems there are, and which were just found."""
    return _modems(visit)


def use_modem(visit: Visit) -> Response:
    """Put a modem that was found to work, with the prefixes of an operator."""
    operator = next((one for one in OPERATORS if one.key == visit.form("operator")), None)
    modems = visit.call("modem.list")
    taken = {one["name"] for one in modems}
    name = visit.form("name").strip() or _free_name(operator.name if operator else "Modem", taken)
    try:
        if name in taken:
            # It would give the present one's settings to this modem.
            raise BadRequest("", "another modem has this name")
        visit.call(
            "modem.use",
            modem=visit.form("modem"),
            name=name,
            prefixes=list(operator.prefixes) if operator else None,
            is_default=True if not modems else None,
        )
    except OtpPiError as error:
        return _modems(visit, error.status, {"use": visit.error_text(error)})
    return visit.redirect(
        _MODEM, visit.words("The modem is used from now on. It takes some seconds to get ready.")
    )


def enter_pin(visit: Visit) -> Response:
    """Enter the PIN that a SIM waits for."""
    try:
        visit.call("sim.pin.enter", modem=visit.form("modem"), pin=visit.form("pin").strip())
    except OtpPiError as error:
        return _modems(visit, error.status, {"pin": visit.error_text(error)})
    return visit.redirect(_MODEM, visit.words("The SIM card took the PIN."))


def send_test(visit: Visit) -> Response:
    """Send a test message, and say what became of it."""
    number, words = visit.form("number").strip(), visit.words
    text = words("This is a test message of {name}.", name=visit.site.device.name())
    try:
        answer = visit.call("send", number=number, text=text, modem=visit.form("modem"))
    except OtpPiError as error:
        return _modems(visit, error.status, {"test": visit.error_text(error)})
    outcome = sending.outcome(visit, answer)
    if not outcome.is_good:
        errors = outcome.errors or {"test": f"{outcome.title} {outcome.detail}".strip()}
        return _modems(visit, sending.REFUSED, errors)
    return visit.redirect(
        _MODEM, words("The network took the test message. It should be on the phone in a moment.")
    )


def _modems(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    found = visit.call("modem.found") if visit.can("modem.found") else {"modems": [], "problems": []}
    modems = visit.call("modem.list")
    # Whoever finds modems learns a moment later that one is used.
    taken = {one["port"] for one in modems}
    unused = [one for one in found["modems"] if not one["used_as"] and one["node"] not in taken]
    return _step(
        visit,
        _MODEM,
        "setup_modem.html",
        status,
        modems=modems,
        new=[one for one in unused if one["family"]],
        problems=[
            *found["problems"],
            *(f"{one['node']}: {one['problem']}" for one in unused if one["problem"]),
        ],
        looks=visit.can("modem.found"),
        operators=OPERATORS,
        chosen=visit.form("modem"),
        standing=standing,
        states=ModemState,
        number=visit.form("number") or visit.call("own.show")["phone"],
        errors=errors or {},
    )


def _free_name(wanted: str, taken: set[str]) -> str:
    if wanted not in taken:
        return wanted
    return next(name for number in range(2, len(taken) + 3) if (name := f"{wanted} {number}") not in taken)


# ---- the first API user -------------------------------------------------------------------------------------------


def ask_api_user(visit: Visit) -> Response:
    """Ask what the application is to be called."""
    return _api(visit)


def make_api_user(visit: Visit) -> Response:
    """Make an API user, and show the password once, in programs that use it."""
    user, receiver = visit.form("user").strip(), visit.form("receiver").strip()
    try:
        if not re.fullmatch(SAFE_USER, user):
            raise BadRequest("user", "has 1 to 64 letters, digits, dots, hyphens and underscores")
        if user in _api_users(visit):
            raise BadRequest("user", "there is one of this name already")
        digits = _digits(visit, receiver) if receiver else ""
        password = _new_password()
        visit.call("api_user.add", user=user, password=password)
    except OtpPiError as error:
        return _api(visit, error.status, visit.field_errors(error))
    return _led_to(visit, MadePassword(user=user, password=password, receiver=digits))


def make_api_password(visit: Visit) -> Response:
    """Make another password for an API user."""
    user = visit.form("user")
    if user not in _api_users(visit):
        return visit.redirect(_API)
    password = _new_password()
    visit.call("api_user.put", user=user, values={"password": password})
    return _led_to(visit, MadePassword(user=user, password=password))


def show_api_user(visit: Visit) -> Response:
    """Show the programs that use an API user, for some minutes with the password."""
    user = visit.query("user")
    if user not in _api_users(visit) or not re.fullmatch(SAFE_USER, user):
        return visit.redirect(_API)
    made = _shown_once(visit).look(visit.session_id, user) or MadePassword(user=user, password="")
    plain, encrypted = api_addresses(visit)
    return _step(
        visit,
        _API,
        "setup_api_made.html",
        user=user,
        password=made.password,
        plain=plain,
        encrypted=encrypted,
        is_example=not made.receiver,
        programs=snippets(
            url=plain or encrypted,
            user=user,
            password=made.password or "PASSWORD",
            receiver=made.receiver or EXAMPLE_RECEIVER,
            message=visit.words("Your code is %s"),
        ),
    )


def _led_to(visit: Visit, made: MadePassword) -> Response:
    _shown_once(visit).hold(visit.session_id, made)
    return visit.redirect(f"{_API_MADE}?user={made.user}")


def _shown_once(visit: Visit) -> ShownOnce:
    shown_once: ShownOnce = visit.site.facts["shown_once"]
    return shown_once


def _new_password() -> str:
    return secrets.token_urlsafe(18)


def _api(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    return _step(
        visit,
        _API,
        "setup_api.html",
        status,
        users=_api_users(visit),
        user=visit.form("user"),
        receiver=visit.form("receiver") or visit.call("own.show")["phone"],
        errors=errors or {},
    )


def _api_users(visit: Visit) -> Sequence[str]:
    return [one["user"] for one in visit.call("account.list", section="api_users")]


def _digits(visit: Visit, receiver: str) -> str:
    try:
        return parse_number(receiver, visit.call("settings.get", path="sms.country_code")).digits
    except ValueError as error:
        raise BadRequest("receiver", str(error)) from None


# ---- the Wi-Fi, and the end ---------------------------------------------------------------------------------------

_WIFI_FIELDS = (("wlan", "ssid"), ("wlan", "passphrase"), ("wlan", "country"))


def ask_wifi(visit: Visit) -> Response:
    """Show the name of the Wi-Fi, and what happens when it changes."""
    return _wifi(visit)


def take_wifi(visit: Visit) -> Response:
    """Put another Wi-Fi on trial."""
    given = {f"{section}.{name}": visit.form(f"{section}.{name}") for section, name in _WIFI_FIELDS}
    values = {name: value for name, value in given.items() if value or name != "wlan.passphrase"}
    present = visit.call("settings.get", path="wlan")
    if all(value == present[name.removeprefix("wlan.")] for name, value in values.items()):
        return visit.redirect(_after(visit, _WIFI))
    way = network.way_to_trial(visit)  # before the change, of which it tells then
    try:
        visit.call("settings.set", values=values)
    except SettingsError as error:
        return _wifi(visit, error.status, given, visit.place_errors(error))
    return visit.redirect(way or _DONE)


def _wifi(
    visit: Visit,
    status: int = 200,
    given: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> Response:
    ssid, *others = _fields(visit, _WIFI_FIELDS, given, errors)
    return _step(
        visit,
        _WIFI,
        "setup_wifi.html",
        status,
        fields=[replace(ssid, placeholder=_present_ssid(visit)), *others],
        minutes=round(visit.call("settings.get", path="network.confirm_s") / 60),
        trial=visit.call("network.trial"),
        trial_page=_TRIAL,
        errors=errors or {},
    )


def _present_ssid(visit: Visit) -> str:
    try:
        interfaces = visit.call("network.show")["interfaces"]
    except OtpPiError:
        return ""
    return next((one["ssid"] for one in interfaces if one["mode"] == "ap"), "")


# Address, the function without which it is of no use, icon, title, why.
_NEXT = (
    (
        "/modems",
        "modem.list",
        "modem",
        N_("Modems"),
        N_("More modems, prices, and which numbers go through which."),
    ),
    (
        "/network",
        "network.show",
        "ethernet",
        N_("Network"),
        N_("A fixed address for your application server."),
    ),
    (
        "/certificate",
        "certificate.show",
        "patch-check",
        N_("Certificate"),
        N_("What encrypted connections trust."),
    ),
    ("/administrators", "admin.list", "people", N_("Administrators"), N_("Accounts for your colleagues.")),
    ("/backup", "backup.make", "archive", N_("Backup"), N_("All settings in one encrypted file.")),
)


def show_end(visit: Visit) -> Response:
    """Say what is next."""
    http_port, https_port = visit.site.device.admin_ports()
    host, name = visit.url_host, f"{visit.call('settings.get', path='network.hostname')}.local"
    return _step(
        visit,
        _DONE,
        "setup_done.html",
        here=f"http://{host}:{http_port}/",
        elsewhere=f"http://{name}:{http_port}/",
        encrypted=f"https://{host}:{https_port}/" if https_port else "",
        next=_NEXT,
    )


# ---- what all steps have ------------------------------------------------------------------------------------------


def _steps(visit: Visit) -> list[Step]:
    return [step for step in STEPS if visit.session is None or not step.needs or visit.can(step.needs)]


def _after(visit: Visit, path: str) -> str:
    paths = [step.path for step in _steps(visit)]
    return paths[min(paths.index(path) + 1, len(paths) - 1)]


def _step(visit: Visit, path: str, template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401
    steps = _steps(visit)
    place = next(number for number, step in enumerate(steps) if step.path == path)
    shown = {
        "title": visit.words(steps[place].title),
        "steps": steps,
        "place": place,
        "after": _after(visit, path),
        **values,
    }
    return visit.page(template, status=status, **shown)


def _fields(
    visit: Visit,
    wanted: Sequence[tuple[str, str]],
    given: Mapping[str, str] | None,
    errors: Mapping[str, str] | None,
) -> list[forms.Field]:
    """Return fields of several sections, named by their settings."""
    return [
        field
        for section, name in wanted
        for field in forms.fields_of(
            visit.call("settings.describe", section=section),
            visit.call("settings.get", path=section),
            visit.words,
            names=(name,),
            prefix=f"{section}.",
            given=given,
            errors=errors,
        )
    ]


ROUTES = (
    get(SETUP, begin, role=None),
    post(SETUP, make, role=None),
    get(_DEVICE, ask_device, Role.OWNER),
    post(_DEVICE, take_device),
    get(_MODEM, show_modems, Role.OWNER),
    post(f"{_MODEM}/use", use_modem),
    post(f"{_MODEM}/pin", enter_pin),
    post(f"{_MODEM}/test", send_test),
    get(_API, ask_api_user, Role.OWNER),
    post(_API, make_api_user),
    get(_API_MADE, show_api_user, Role.OWNER),
    post(f"{_API}/password", make_api_password),
    get(_WIFI, ask_wifi, Role.OWNER),
    post(_WIFI, take_wifi),
    get(_DONE, show_end, Role.OWNER),
)
