"""What an owner wants of a device before its first boot: `otppi.toml`, written by hand or by `provisioning/`."""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import tomli_w

from otppi.gateway.accounts import Administrator
from otppi.lib.passwords import is_stored_form
from otppi.model.errors import SettingsError
from otppi.services.ssh import ports_with_ssh
from otppi.settings.fields import NotAccepted
from otppi.settings.paths import ONLY
from otppi.settings.section import Section, assemble, values_of
from otppi.settings.store import SettingsStore
from otppi.settings.suggestion import did_you_mean
from otppi.system.clock.settings import ClockSettings
from otppi.system.firewall.settings import OpenPort
from otppi.system.network.born import BornSecrets, born
from otppi.system.network.settings import EthernetSettings, NetworkSettings, WlanSettings
from otppi.system.ssh.keys import PublicKey, read_key

LONGEST_BYTES: Final = 16 * 1024
_LONGEST_SHOWN_NAME = 40
_LONGEST_REASON = 200
_LONGEST_USER_NAME = 64
_MOST_NAME_SERVERS = 2
_SHORTEST_SETUP_SECRET, _LONGEST_SETUP_SECRET = 12, 63
_TABLES = ("ethernet", "administrator")
_LISTS = ("ethernet.dns", "ssh_key")


class _Place(NamedTuple):
    section: type[Section]
    name: str


_PLACES: Mapping[str, _Place] = MappingProxyType(
    {
        "ssid": _Place(WlanSettings, "ssid"),
        "passphrase": _Place(WlanSettings, "passphrase"),
        "country": _Place(WlanSettings, "country"),
        "hostname": _Place(NetworkSettings, "hostname"),
        "time_zone": _Place(ClockSettings, "time_zone"),
        "ethernet.address": _Place(EthernetSettings, "address"),
        "ethernet.gateway": _Place(EthernetSettings, "gateway"),
    }
)
_OTHERS = ("setup_secret", "ethernet.dns", "administrator.name", "administrator.password", "ssh_key")
NAMES: Final = (*_PLACES, *_OTHERS)
# What is named in the note that takes the place of an applied file; everything else in it is secret.
_SHOWN = tuple(name for name in NAMES if name not in ("passphrase", "setup_secret", "administrator.password"))
# These the device is born with; a reset of the access point goes back to them.
_BORN = ("ssid", "passphrase", "setup_secret")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Valid by itself; whether it fits the settings that a device has already shows when it is applied."""

    given: Mapping[str, Any] = field(repr=False)  # dotted name to value, as in the file

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for, as by a file of comments."""
        return not self.given

    @property
    def born(self) -> Mapping[str, str]:
        """Return what the device is to be born with."""
        return {name: self.given[name] for name in _BORN if name in self.given}

    @property
    def ssh_keys(self) -> tuple[PublicKey, ...] | None:
        """Who may log in by SSH and nobody else; None leaves that as it is."""
        lines = self.given.get("ssh_key")
        return None if lines is None else tuple(map(read_key, lines))

    def as_toml(self) -> str:
        """Return the file."""
        return tomli_w.dumps(_nested(self.given))

    def note(self) -> str:
        """Return what takes the place of an applied file: comments, and no secret."""
        shown = {name: value for name, value in self.given.items() if name in _SHOWN}
        hidden = [name for name in self.given if name not in _SHOWN]
        lines = [
            "The device has taken over what was in this file:",
            *tomli_w.dumps(_nested(shown)).splitlines(),
            *(f"{name} = (removed from the card)" for name in hidden),
            "",
            "Write a new file of this name to change something; it is applied at the next start, once.",
        ]
        return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def parse(data: bytes) -> Preset:
    """Read a file that anybody could have written.

    Raises:
        SettingsError: All mistakes, by their names in the file; values are not repeated.
    """
    given = dict(_flat(_document(data)))
    errors: dict[str, str] = {}
    accepted: dict[str, Any] = {}
    for name, value in given.items():
        try:
            # No key is an order as well: SSH is switched off.
            if (read := _read(name, value)) not in ("", ()) or name == "ssh_key":
                accepted[name] = read
        except NotAccepted as error:
            errors[_shown_name(name)] = str(error)
    errors = {**_mistakes_together(accepted, given), **errors}
    if errors:
        raise SettingsError(errors)
    return Preset(given=MappingProxyType(accepted))


def apply(preset: Preset, store: SettingsStore, born_file: Path) -> BornSecrets:
    """Put a preset into the settings and into what the device is born with; doing it again changes nothing.

    A device that is born already keeps what may be on its label: another SSID and passphrase become settings, and
    another set-up secret is not taken. Of SSH only the ports are settings; its keys are root's (`ssh_keys`).

    Args:
        preset: What is wanted.
        store: All settings, with the guards that whoever writes them asks.
        born_file: See `born`.

    Raises:
        SettingsError: It does not fit the settings, by names in the file; nothing has changed.
        OSError: It could not be written; it may be half done, and doing it again completes it.
    """
    secrets = born(born_file, preset.born) if born_file.exists() else None
    try:
        store.replace(_changes(preset, store, secrets))
    except SettingsError as error:
        raise type(error)(_by_name_in_file(error.errors)) from error
    return secrets or born(born_file, preset.born)


def _document(data: bytes) -> dict[str, Any]:
    if len(data) > LONGEST_BYTES:
        raise SettingsError({"otppi.toml": f"is larger than {LONGEST_BYTES} bytes"})
    try:
        # Editors of Windows put a mark in front.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError({"otppi.toml": "is not UTF-8; choose UTF-8 where the editor saves it"}) from error
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        is_told = isinstance(error, tomllib.TOMLDecodeError)
        reason = str(error)[:_LONGEST_REASON] if is_told else "it cannot be read"
        raise SettingsError({"otppi.toml": f"is not TOML: {reason}"}) from error


def _flat(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if key in _TABLES and isinstance(value, dict):
            yield from ((f"{key}.{name}", inner) for name, inner in value.items())
        else:
            yield key, value


def _nested(given: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, value in given.items():
        table, _, key = name.rpartition(".")
        target = document.setdefault(table, {}) if table else document
        target[key] = list(value) if isinstance(value, tuple) else value
    return document


def _read(name: str, value: object) -> Any:  # noqa: ANN401 - of the setting
    if name in _TABLES:
        raise NotAccepted(f"is a table: write [{name}] on a line of its own")
    if name not in NAMES:
        # Half a name, such as `address`, was meant for a table.
        whole = {one.rpartition(".")[2]: one for one in NAMES}.get(name, name)
        raise NotAccepted(f"there is no such name{did_you_mean(whole, NAMES)}")
    if name in _LISTS and isinstance(value, list):
        if not all(isinstance(one, str) for one in value):
            raise NotAccepted("must be a list of texts in quotes")
        return _READERS[name](value)
    if not isinstance(value, str):
        raise NotAccepted("must be text in quotes")
    if not value:
        return ""
    reader = _READERS.get(name)
    return reader(value) if reader is not None else _by_declaration(name, value)


def _by_declaration(name: str, value: str) -> Any:  # noqa: ANN401 - of the setting
    place = _PLACES[name]
    return place.section.declared[place.name].read(value)


def _ssid(value: str) -> str:
    ssid: str = _by_declaration("ssid", value)
    if not ssid or not ssid.isprintable():
        raise NotAccepted("must be 1 to 32 bytes that can be printed")
    return ssid


def _setup_secret(value: str) -> str:
    fits = _SHORTEST_SETUP_SECRET <= len(value) <= _LONGEST_SETUP_SECRET
    if not fits or not all("!" <= letter <= "~" for letter in value):
        raise NotAccepted(
            f"must be {_SHORTEST_SETUP_SECRET} to {_LONGEST_SETUP_SECRET} letters, digits or signs of a US "
            "keyboard, without spaces"
        )
    return value


def _name_servers(value: str | Sequence[str]) -> tuple[str, ...]:
    asked = [one.strip() for one in value.split(",")] if isinstance(value, str) else value
    setting = EthernetSettings.declared["dns1"]
    servers = tuple(setting.read(one) for one in asked)
    if len(servers) > _MOST_NAME_SERVERS:
        raise NotAccepted(f"must not be more than {_MOST_NAME_SERVERS}")
    return tuple(filter(None, servers))


def _user_name(value: str) -> str:
    is_valid = value.isprintable() and ":" not in value and value == value.strip()
    if not is_valid or len(value) > _LONGEST_USER_NAME:
        raise NotAccepted(f"must be 1 to {_LONGEST_USER_NAME} printable characters without a colon")
    return value


def _hash(value: str) -> str:
    if not (value.startswith("scrypt$") and is_stored_form(value)):
        raise NotAccepted(
            "must be a hash (scrypt$...) as provisioning/cards.py writes it: everybody who holds the card could "
            "read a password in the clear"
        )
    return value


def _ssh_keys(value: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(read_key(one).line for one in ([value] if isinstance(value, str) else value))


_READERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "ssid": _ssid,
        "setup_secret": _setup_secret,
        "ethernet.dns": _name_servers,
        "administrator.name": _user_name,
        "administrator.password": _hash,
        "ssh_key": _ssh_keys,
    }
)


def _mistakes_together(accepted: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong between values that are fine by themselves."""
    errors: dict[str, str] = {}
    for section, raw in _by_section(accepted).items():
        errors |= {f"{section.key}.{name}": reason for name, reason in section.parse(raw)[1].items()}
    errors = _by_name_in_file(errors)
    for one, other in (("name", "password"), ("password", "name")):
        if given.get(f"administrator.{one}") and not given.get(f"administrator.{other}"):
            errors[f"administrator.{other}"] = f"is required with administrator.{one}"
    if accepted.get("ethernet.gateway") and not given.get("ethernet.address"):
        errors["ethernet.address"] = "is required with ethernet.gateway"
    return errors


def _by_section(given: Mapping[str, Any]) -> dict[type[Section], dict[str, object]]:
    raw: dict[type[Section], dict[str, object]] = {}
    for name, value in given.items():
        if place := _PLACES.get(name):
            raw.setdefault(place.section, {})[place.name] = value
    if "ethernet.address" in given:
        raw[EthernetSettings] |= {"method": "static"}
    if "ethernet.dns" in given:
        servers = dict(zip(("dns1", "dns2"), (*given["ethernet.dns"], ""), strict=False))
        raw[EthernetSettings] = raw.get(EthernetSettings, {}) | servers
    return raw


def _changes(
    preset: Preset, store: SettingsStore, secrets: BornSecrets | None
) -> dict[type[Section], Mapping[str, Section]]:
    raw = _by_section(preset.given)
    for name in ("ssid", "passphrase"):
        if name in preset.given:
            is_born = secrets is None or getattr(secrets, name) == preset.given[name]
            raw[WlanSettings][name] = "" if is_born else preset.given[name]
    changes: dict[type[Section], Mapping[str, Section]] = {
        section: {ONLY: _laid_over(section, values, store.get(section))} for section, values in raw.items()
    }
    if user := preset.given.get("administrator.name"):
        password = {"password": preset.given["administrator.password"], "active": True, "blocked": False}
        present = store.items(Administrator)
        changes[Administrator] = {**present, user: _laid_over(Administrator, password, present.get(user))}
    if (keys := preset.ssh_keys) is not None:
        changes[OpenPort] = ports_with_ssh(store.items(OpenPort), is_on=bool(keys))
    return changes


def _laid_over(section: type[Section], raw: Mapping[str, object], present: Section | None) -> Section:
    made, errors = assemble(section, raw, values_of(present) if present is not None else {})
    if made is None:
        raise SettingsError({f"{section.key}.{name}": reason for name, reason in errors.items()})
    return made


def _by_name_in_file(errors: Mapping[str, str]) -> dict[str, str]:
    names = {f"{place.section.key}.{place.name}": name for name, place in _PLACES.items()}
    names |= {"ethernet.dns1": "ethernet.dns", "ethernet.dns2": "ethernet.dns"}
    return {names.get(name, name): reason for name, reason in errors.items()}


def _shown_name(name: str) -> str:
    """Return a name that anybody could have chosen as it can be shown on a console."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:_LONGEST_SHOWN_NAME])
