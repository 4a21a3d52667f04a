"""What the command line can do to a state folder, whether a gateway owns it or not."""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from otppi.gateway import answers
from otppi.gateway.accounts import Administrator, ApiUser, refuse_user_name
from otppi.gateway.admin_tokens import AdminToken, remove_administrator
from otppi.gateway.new_passwords import refuse_weak
from otppi.model.errors import BadRequest, SettingsError
from otppi.model.modems import ModemStatus
from otppi.model.operators import OPERATORS, with_prefixes
from otppi.modems import parse
from otppi.modems.matching import is_another
from otppi.modems.settings import ModemSettings
from otppi.services.blocked_numbers import BlockedNumbers
from otppi.services.sections import SECTIONS
from otppi.services.ssh import ports_with_ssh
from otppi.settings.export import export_settings, import_settings
from otppi.settings.section import Section, shown
from otppi.settings.store import SettingsStore
from otppi.system.firewall.settings import OpenPort
from otppi.vendors.settings import VendorRouteSettings

Function = Callable[..., Any]
_WHOLE_NUMBERS = ("imei", "imsi", "iccid", "smsCenter")


class Administration:
    """Changes and shows settings; every method takes and returns JSON values."""

    def __init__(
        self, store: SettingsStore, modems: Callable[[], Sequence[ModemStatus]] | None = None
    ) -> None:
        """Take the store of the folder, and the live modems where a gateway runs."""
        self._store = store
        self._modems = modems

    def functions(self) -> dict[str, Function]:
        """Return the calls that the command line may make."""
        return {
            "settings.get": self.get,
            "settings.set": self.set,
            "settings.describe": self.describe,
            "settings.put": self.put,
            "port.add": self.add_port,
            "ssh.ports": self.open_ssh,
            "settings.reset": self.reset,
            "settings.remove": self.remove,
            "settings.export": self.export,
            "settings.import": self.import_document,
            "settings.check": self.check,
            "modem.add": self.add_modem,
            "modem.apn": self.set_apn,
            "modem.list": self.list_modems,
            "modem.put": self.set_modem,
            "modem.price": self.price_modem,
            "vendor_route.put": self.set_vendor_route,
            "api_user.add": self.add_api_user,
            "api_user.put": self.put_api_user,
            "admin.add": self.add_administrator,
            "account.list": self.list_accounts,
            **BlockedNumbers(self._store).functions(),
        }

    def get(self, path: str | None) -> Any:  # noqa: ANN401 - JSON
        """Return one value, one section, or everything; secrets are shown as whether they are set."""
        if path:
            return self._store.get_path(path)
        return {section.key: self._store.get_path(section.key) for section in SECTIONS}

    def set(self, values: Mapping[str, Any]) -> Sequence[str]:
        """Change values by their names, all of them or none; returns which sections are not as before."""
        with self._modems_by_name():
            return [section.key for section in self._store.set_paths(values)]

    def describe(self, section: str) -> Mapping[str, Any]:
        """Return what forms need to know of a section and its settings."""
        kind = _section(section)
        return {
            "key": kind.key,
            "title": kind.title,
            "description": kind.description,
            "many": kind.many,
            "settings": [one.as_json() for one in kind.describe()],
        }

    def put(self, section: str, item: str, values: Mapping[str, Any], is_new: bool = False) -> None:
        """Make an item of a section that has many, or change one; what is not given stays as it is."""
        kind = _section(section)
        if is_new and item in self._store.items(kind):
            raise SettingsError({f"{section}.{item}": "there is one of this name already"})
        with self._modems_by_name():
            self._store.put(kind, item, values)

    def reset(self, section: str) -> None:
        """Give a section its factory value."""
        self._store.reset(_section(section))

    def remove(self, section: str, item: str) -> None:
        """Remove an item of a section that has many."""
        kind = _section(section)
        item_id = self._id_of(kind, item)
        if kind is Administrator:
            remove_administrator(self._store, item_id)
        else:
            self._store.remove(kind, item_id)

    def export(self, passphrase: str | None) -> Mapping[str, Any]:
        """Return all settings as a document; without a passphrase secrets are left out."""
        return export_settings(self._store, passphrase)

    def import_document(
        self, document: Mapping[str, Any], passphrase: str | None, by: str = ""
    ) -> Mapping[str, Any]:
        """Take over an exported document, all of it or nothing.

        Accounts of administrators and their tokens have functions with rules of their own: only the command line takes
        them from a document.
        """
        document, left_out = _without_accounts(document, is_afar=bool(by))
        report = import_settings(self._store, document, passphrase)
        report.ignored += left_out
        return report.as_json()

    def check(self) -> Mapping[str, str]:
        """Return what is wrong in the stored settings: field to reason; empty if all is well."""
        return self._by_name(self._store.problems)

    def add_modem(
        self,
        name: str,
        port: str | None,
        prefixes: Sequence[str] | None,
        is_default: bool | None,
        imei: str | None = None,
    ) -> Mapping[str, str]:
        """Add a modem that a person describes, or change the one of this name; what is None stays as it is.

        A zero is let pass as check digit, since some modems tell that of themselves.
        """
        self._check_imei(imei, name, self._modem_named(name))
        return self.put_modem(name, port, prefixes, is_default, imei)

    def set_modem(self, modem: str, values: Mapping[str, Any]) -> Mapping[str, str]:
        """Change a modem by its id or name, or add one where that is empty: all of it or nothing.

        A price may be for the name of an operator of the presets as well. What is not given stays as it is, and so does
        the IMEI of a modem that is told no other port.
        """
        modem_id = self._modem_id_of(modem) if modem else uuid.uuid4().hex
        present = self._store.items(ModemSettings).get(modem_id)
        name = str(values.get("name") or (present.name if present is not None else "")) or modem_id
        if self._modem_named(name) not in ("", modem_id):
            raise SettingsError({f"modems.{name}.name": "another modem has this name"})
        self._check_imei(str(values.get("imei") or ""), name, modem_id)
        return self._keep_modem(modem_id, name, values)

    def put_modem(
        self,
        name: str,
        port: str | None,
        prefixes: Sequence[str] | None,
        is_default: bool | None,
        imei: str | None,
    ) -> Mapping[str, str]:
        """Do the same for a modem that told its IMEI itself, which another may have as well."""
        modem_id = self._modem_named(name) or uuid.uuid4().hex
        wanted = {
            "name": name,
            "port": port,
            "prefixes": prefixes,
            "is_default": is_default,
            "imei": imei,
        }
        given = {key: value for key, value in wanted.items() if value is not None}
        return self._keep_modem(modem_id, name, given)

    def _modem_named(self, name: str) -> str:
        known = {one.name: modem_id for modem_id, one in self._store.items(ModemSettings).items()}
        return known.get(name, "")

    def _keep_modem(self, modem_id: str, name: str, values: Mapping[str, Any]) -> Mapping[str, str]:
        """Put values into the settings of a modem.

        Another port without an IMEI may mean another modem, so the known IMEI is forgotten with the old port.
        """
        present = self._store.items(ModemSettings).get(modem_id)
        new = dict(values)
        if "imei" not in new and present is not None and new.get("port", present.port) != present.port:
            new["imei"] = ""
        if "prices" in new:
            new["prices"] = _with_prefixes(new["prices"])
        with self._modems_by_name({modem_id: name}):
            self._store.put(ModemSettings, modem_id, new)
        return {"id": modem_id, "name": name}

    def _check_imei(self, imei: str | None, name: str, modem_id: str) -> None:
        if not imei:
            return
        if not (parse.is_whole_imei(imei) or re.fullmatch("[0-9]{14}0", imei)):
            reason = "has fifteen digits, and the last one checks the others; one is wrong"
            raise SettingsError({f"modems.{name}.imei": reason})
        others = [
            one for key, one in self._store.items(ModemSettings).items() if key != modem_id and one.imei
        ]
        if taken := [one.name for one in others if not is_another(one, imei)]:
            raise SettingsError({f"modems.{name}.imei": f"is that of {taken[0]}, and modems are known by it"})

    def set_apn(self, modem: str, operator: str) -> Mapping[str, str]:
        """Set what a modem dials for mobile internet to the preset of an operator, and return that."""
        preset = next((one for one in OPERATORS if one.key == operator.lower()), None)
        if preset is None:
            known = ", ".join(one.key for one in OPERATORS)
            raise BadRequest("operator", f"there is no preset of this name; there are {known}")
        access = {
            "apn": preset.apn,
            "apn_username": preset.apn_username,
            "apn_password": preset.apn_password,
            "dial_number": preset.dial_number,
        }
        self._store.put(ModemSettings, self._modem_id_of(modem), access)
        return {"name": preset.name, **access}

    def price_modem(self, modem: str, prices: Sequence[str]) -> Sequence[str]:
        """Set the tariff of a modem, if one is given, and return it.

        A price may be for the name of an operator of the presets as well; its prefixes are put in its place.
        """
        modem_id = self._modem_id_of(modem)
        if prices:
            with self._modems_by_name():
                self._store.put(ModemSettings, modem_id, {"prices": _with_prefixes(prices)})
        return self._store.items(ModemSettings)[modem_id].prices

    def set_vendor_route(self, route: str, values: Mapping[str, Any]) -> Mapping[str, str]:
        """Change an account at an SMS vendor by its id or name, or add one where that is empty.

        A price may be for the name of an operator of the presets as well. What is not given stays as it is.
        """
        route_id = self._id_of(VendorRouteSettings, route) if route else uuid.uuid4().hex
        if route and route_id not in self._store.items(VendorRouteSettings):
            raise SettingsError({f"vendor_routes.{route}": "there is no such account"})
        new = dict(values)
        if "prices" in new:
            new["prices"] = _with_prefixes(new["prices"])
        self._store.put(VendorRouteSettings, route_id, new)
        return {"id": route_id, "name": self._store.items(VendorRouteSettings)[route_id].name}

    def add_port(self, port: str, protocol: str, **limits: str | None) -> Mapping[str, str]:
        """Open a port, or change the one of this number and protocol; what is None stays as it is."""
        item_id = f"{protocol}{port}"
        given = {name: value for name, value in limits.items() if value is not None}
        self._store.put(OpenPort, item_id, {"port": port, "protocol": protocol, "open": True, **given})
        return {"id": item_id}

    def open_ssh(self, is_open: bool) -> None:
        """Open or close the ports of SSH; who may log in is not for the gateway to say."""
        with self._store.exclusively():
            ports = ports_with_ssh(self._store.items(OpenPort), is_on=is_open)
            self._store.replace({OpenPort: ports})

    def list_accounts(self, section: str) -> Sequence[Mapping[str, Any]]:
        """Return the accounts of a section; never their passwords."""
        return [
            {"user": user, **{key: value for key, value in shown(one).items() if key != "password"}}
            for user, one in self._store.items(_section(section)).items()
        ]

    def list_modems(self, by: str = "") -> Sequence[Mapping[str, Any]]:
        """Return all modems; with their live state if a gateway runs. Only the command line sees whole numbers."""
        if self._modems is not None:
            settings = self._store.items(ModemSettings)
            listed = [_live(modem, settings.get(modem.id)) for modem in self._modems()]
            return [_by_their_ends(modem) for modem in listed] if by else listed
        return [
            {
                "id": modem_id,
                "name": modem.name,
                "port": modem.port,
                "prefixes": list(modem.prefixes),
                "defaultModem": modem.is_default,
                "active": modem.active,
                "state": "unknown",
                "reason": "no gateway runs",
            }
            for modem_id, modem in self._store.items(ModemSettings).items()
        ]

    def add_api_user(self, user: str, password: str) -> None:
        """Add an API user, or give an existing one a new password."""
        refuse_user_name(user)
        self._store.put(ApiUser, user, {"password": password})

    def put_api_user(self, user: str, values: Mapping[str, Any], is_new: bool = False) -> None:
        """Add an API user, or change one; what is not given stays as it is, and so does the password if empty."""
        given = {name: value for name, value in values.items() if value or name != "password"}
        with self._store.exclusively():
            is_there = user in self._store.items(ApiUser)
            if is_new and is_there:
                raise BadRequest("user", "there is one of this name already")
            if is_new:
                refuse_user_name(user)
            elif not is_there:
                raise BadRequest("user", "there is no such API user")
            self._store.put(ApiUser, user, given)

    def add_administrator(self, user: str, password: str) -> None:
        """Add an administrator, or give an existing one a new password."""
        refuse_user_name(user)
        refuse_weak(user, password)
        self._store.put(Administrator, user, {"password": password})

    def _id_of(self, kind: type[Section], item: str) -> str:
        """Return the id of what was called by its id or name; what is neither is returned as it is."""
        items = self._store.items(kind)
        named = [one for one, section in items.items() if getattr(section, "name", "") == item]
        if item not in items and len(named) > 1:
            raise SettingsError({f"{kind.key}.{item}": "several have this name; give the id"})
        return named[0] if item not in items and named else item

    def _modem_id_of(self, modem: str) -> str:
        modem_id = self._id_of(ModemSettings, modem)
        if modem_id not in self._store.items(ModemSettings):
            raise SettingsError({f"modems.{modem}": "there is no such modem"})
        return modem_id

    @contextmanager
    def _modems_by_name(self, new: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
        """Let errors call modems what people call them; `new` has names by the ids of those not there yet."""
        try:
            yield
        except SettingsError as error:
            raise type(error)(self._by_name(error.errors, new)) from error

    def _by_name(
        self, errors: Mapping[str, str], new: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, str]:
        named = {key: one.name for key, one in self._store.items(ModemSettings).items()} | dict(new)
        return {_with_name(place, named): reason for place, reason in errors.items()}


def _live(modem: ModemStatus, settings: ModemSettings | None) -> Mapping[str, Any]:
    """Return what the API tells of a modem, and what its owner sees beside that."""
    identity = modem.identity
    return {
        **answers.modem(modem),
        "prefixes": list(modem.prefixes),
        "apiEnabled": modem.api_enabled,
        "model": f"{identity.manufacturer} {identity.model}".strip(),
        "prices": list(settings.prices) if settings is not None else [],
        "storeFill": modem.store_fill,
        "swappedSim": list(modem.swapped_sim) if modem.swapped_sim is not None else None,
    }


def _by_their_ends(modem: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a modem for every role: the last digits tell a card or a modem from another."""
    return {**modem, **{name: f"…{modem[name][-4:]}" for name in _WHOLE_NUMBERS if modem[name]}}


def _without_accounts(document: Mapping[str, Any], *, is_afar: bool) -> tuple[Mapping[str, Any], list[str]]:
    """Return a document without accounts where they are not for it to change, and what was left out."""
    sections = document.get("sections")
    if not isinstance(sections, Mapping):
        return document, []
    left_out = [key for key in (Administrator.key, AdminToken.key) if key in sections]
    if not is_afar:
        # With nobody left the pages would be open to whoever comes first.
        left_out = [key for key in left_out if key == Administrator.key and not sections[key]]
    kept = {key: body for key, body in sections.items() if key not in left_out}
    return {**document, "sections": kept}, left_out


def _with_prefixes(prices: str | Sequence[str]) -> list[str]:
    """Return the lines of a tariff, which a form gives as one text, with prefixes in the place of operators."""
    lines = re.split(r"[,\n]", prices) if isinstance(prices, str) else prices
    return [with_prefixes(str(line).strip()) for line in lines if str(line).strip()]


def _with_name(place: str, modems: Mapping[str, str]) -> str:
    section, _, rest = place.partition(".")
    item_id, dot, field = rest.partition(".")
    if section != ModemSettings.key or item_id not in modems:
        return place
    return f"{section}.{modems[item_id]}{dot}{field}"


def _section(key: str) -> type[Section]:
    for section in SECTIONS:
        if section.key == key:
            return section
    raise SettingsError({key: f"no such section; there are {', '.join(one.key for one in SECTIONS)}"})
