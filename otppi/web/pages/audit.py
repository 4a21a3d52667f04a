"""The audit trail: who changed what, in sentences."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from otppi.gateway.functions import HIDDEN
from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError
from otppi.web.site import Response, Visit, get
from otppi.web.words import N_, Words

_PATH = "/audit"
_COUNT = 50

# What is no function of the device, but noted by the pages themselves, stands at the end.
SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "admin.disable_totp": N_("switched off the second factor of an administrator"),
        "admin.put": N_("added or changed an administrator"),
        "admin.remove": N_("removed an administrator"),
        "api_user.add": N_("added an API user, or changed its password"),
        "api_user.put": N_("added or changed an API user"),
        "backup.make": N_("made a backup"),
        "backup.restore": N_("restored a backup"),
        "balance.ask": N_("asked for the balance of a SIM card"),
        "bell.stop": N_("stopped the buzzer"),
        "bell.test": N_("tried the buzzer"),
        "broker.reconnect": N_("had the connection to a message broker made anew"),
        "broker.test": N_("tested the connection to a message broker"),
        "certificate.drop": N_("went back to the device's own certificate"),
        "certificate.put": N_("put in a certificate"),
        "certificate.renew": N_("renewed the device's own certificate"),
        "clock.set": N_("set the clock"),
        "ddns.update": N_("had a name of dynamic DNS updated"),
        "email_account.test": N_("sent a test message by an e-mail account"),
        "inbox.delete": N_("deleted received messages"),
        "inbox.mark": N_("marked received messages"),
        "inbox.reply": N_("replied to a message"),
        "mobile.redial": N_("had mobile internet dialled anew"),
        "modem.add": N_("added or changed a modem"),
        "modem.apn": N_("set the mobile internet of a modem"),
        "modem.look": N_("looked for modems"),
        "modem.price": N_("changed the prices of a modem"),
        "modem.put": N_("added or changed a modem"),
        "modem.test": N_("tested a modem"),
        "modem.use": N_("put a modem to use"),
        "number.block": N_("blocked or unblocked a number"),
        "number.block_all": N_("blocked numbers"),
        "number.remove": N_("removed a number from the block list"),
        "old_device.apply": N_("took over the settings of an old device"),
        "own.close_session": N_("logged out a browser of their own"),
        "own.disable_totp": N_("switched off their own second factor"),
        "own.enable_totp": N_("switched on their own second factor"),
        "own.password": N_("changed their own password"),
        "own.put": N_("changed their own account"),
        "port.add": N_("opened or changed a port of the firewall"),
        "power.off": N_("shut the device down"),
        "power.reboot": N_("restarted the device"),
        "power.restart-service": N_("restarted the service"),
        "report.delete_before": N_("deleted old rows of the report"),
        "reset.apply": N_("reset parts of the device"),
        "send": N_("sent a message"),
        "session.close": N_("logged somebody out"),
        "settings.export": N_("exported the settings"),
        "settings.import": N_("imported settings"),
        "settings.put": N_("added or changed an entry of the settings"),
        "settings.remove": N_("removed an entry of the settings"),
        "settings.reset": N_("put settings back to their factory values"),
        "settings.set": N_("changed settings"),
        "sim.center": N_("set the SMS centre of a SIM card"),
        "sim.imei": N_("wrote the IMEI of a modem"),
        "sim.operator": N_("chose an operator for a modem"),
        "sim.operators": N_("looked for operators"),
        "sim.pin.change": N_("changed the PIN of a SIM card"),
        "sim.pin.enter": N_("entered the PIN of a SIM card"),
        "sim.pin.remove": N_("switched off the PIN of a SIM card"),
        "sim.pin.set": N_("switched on the PIN of a SIM card"),
        "sim.register": N_("registered a modem with an operator"),
        "sim.scan": N_("looked for operators"),
        "sim.unblock": N_("unblocked a SIM card by its PUK"),
        "token.make": N_("made a token of the admin API"),
        "token.remove": N_("removed a token of the admin API"),
        "ussd": N_("dialled a USSD code"),
        "ussd.cancel": N_("ended a USSD session"),
        "vendor_route.put": N_("added or changed an account at an SMS vendor"),
        "vendor_route.test": N_("tested an account at an SMS vendor"),
        "download": N_("downloaded a file"),
        "log_in": N_("logged in"),
        "log_out": N_("logged out"),
        "network.confirm": N_("confirmed a change of the network"),
        "recovery.begin": N_("asked for a code for a new password"),
        "recovery.finish": N_("set a new password by a code"),
        "setup": N_("made the first administrator"),
    }
)
# What functions call their arguments; settings have titles of their own.
_ARGUMENTS: Mapping[str, str] = MappingProxyType(
    {
        "any_modem": N_("Through any modem"),
        "blocked": N_("Blocked"),
        "broker": N_("Broker"),
        "by token": N_("By the token"),
        "changed": N_("Changed"),
        "code": N_("Code"),
        "day": N_("Day"),
        "email": N_("E-mail"),
        "file": N_("File"),
        "flags": N_("Parts"),
        "id": N_("Name in the list"),
        "is_default": N_("Default modem"),
        "is_new": N_("New"),
        "is_read": N_("Read"),
        "item": N_("Entry"),
        "language": N_("Language"),
        "message_ids": N_("Messages"),
        "modem": N_("Modem"),
        "name": N_("Name"),
        "note": N_("Note"),
        "number": N_("Number"),
        "numbers": N_("Numbers"),
        "operator": N_("Operator"),
        "passphrase": N_("Passphrase of the file"),
        "password": N_("Password"),
        "own_password": N_("Own password"),
        "new_password": N_("New password"),
        "phone": N_("Phone"),
        "pin": N_("PIN"),
        "new_pin": N_("New PIN"),
        "port": N_("Port"),
        "prefixes": N_("Prefixes"),
        "protocol": N_("Protocol"),
        "puk": N_("PUK"),
        "reference": N_("Reference"),
        "role": N_("Role"),
        "route": N_("Account at an SMS vendor"),
        "section": N_("Settings"),
        "sections": N_("Parts"),
        "text": N_("Text"),
        "user": N_("User"),
        "with_messages": N_("With messages"),
        "wrong": N_("Wrong"),
    }
)
_VALUES = "values"
# The section whose settings the values of a function are, where it does not say so itself.
_SECTIONS: Mapping[str, str] = MappingProxyType(
    {"api_user.put": "api_users", "modem.put": "modems", "vendor_route.put": "vendor_routes"}
)
# Describes a section of settings; None if there is no such section.
Describe = Callable[[str], Mapping[str, Any] | None]


def show(visit: Visit) -> Response:
    """Show a page of the trail, of everybody or of one user."""
    user, offset = visit.query("user"), visit.query_number("offset")
    page = visit.call("audit.list", offset=offset, count=_COUNT, user=user)
    query = urlencode({"user": user}) + "&" if user else ""
    known: dict[str, Mapping[str, Any] | None] = {}

    def describe(section: str) -> Mapping[str, Any] | None:
        if section not in known:
            try:
                known[section] = visit.call("settings.describe", section=section)
            except OtpPiError:
                known[section] = None
        return known[section]

    return visit.page(
        "audit.html",
        title=visit.words("Audit trail"),
        rows=[_row(visit.words, describe, one) for one in page["rows"]],
        total=page["total"],
        offset=offset,
        count=_COUNT,
        user=user,
        users=[one["user"] for one in visit.call("admin.list")],
        path=f"{_PATH}?{query}",
    )


def _row(words: Words, describe: Describe, row: Mapping[str, Any]) -> dict[str, Any]:
    sentence, details = SENTENCES.get(row["what"]), dict(row["details"])
    section = str(details.get("section") or _SECTIONS.get(row["what"], ""))
    values = details.pop(_VALUES, None)
    if "section" in details and (described := describe(section)) is not None:
        details["section"] = words.said(described["title"])
    told = list(_told(words, "", details))
    if isinstance(values, Mapping):
        told += _settings(words, describe, section, values)
    elif values is not None:
        told += _told(words, _VALUES, values)
    return {**row, "sentence": words(sentence) if sentence else "", "told": told}


def _settings(
    words: Words, describe: Describe, section: str, values: Mapping[str, object]
) -> Iterator[tuple[str, str]]:
    """Return values of settings with their titles; of no one section each is called by section and name."""
    for path, value in values.items():
        key, _, name = path.partition(".")
        if section:
            key, name = section, path
        described = describe(key) or {"settings": ()}
        setting = next((one for one in described["settings"] if one["name"] == name), None)
        if setting is None:
            yield from _told(words, path, value)
            continue
        title = words.said(setting["title"])
        if not section:
            title = words("{section}, {setting}", section=words.said(described["title"]), setting=title)
        if setting["kind"] == "boolean" and value in ("true", "false"):
            value = value == "true"
        elif value in setting["choices"]:
            value = setting["choice_titles"][setting["choices"].index(value)]
        yield from _told(words, title, value)


def _told(words: Words, name: str, value: object) -> Iterator[tuple[str, str]]:
    """Return what was noted of an argument as lines, a name and a text; what is empty is left out."""
    title = words(_ARGUMENTS[name]) if name in _ARGUMENTS else name
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _told(words, f"{name}.{key}" if name else str(key), one)
    elif isinstance(value, list):
        if text := ", ".join(text for one in value for _, text in _told(words, name, one)):
            yield title, text
    elif isinstance(value, bool):
        yield title, words("yes") if value else words("no")
    elif value == HIDDEN:
        yield title, words("hidden")
    elif value not in (None, ""):
        yield title, words.said(str(value))


ROUTES = (get(_PATH, show, Role.OWNER),)
