"""What each setting of the old product is called here, and what it means."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

from otppi.api.settings import ApiSettings
from otppi.brokers.settings import (
    COMPATIBLE,
    ActiveMqSettings,
    AmqpSettings,
    Connection,
    MqttSettings,
    RedisSettings,
    StompSettings,
    WsSettings,
)
from otppi.gateway.accounts import Administrator, ApiUser
from otppi.gateway.blocklist import BlockedNumber
from otppi.gateway.policy import GeneralSettings, SmsSettings
from otppi.model.number import parse_number
from otppi.modems import parse
from otppi.modems.settings import ModemSettings
from otppi.services.old_device import files
from otppi.settings.fields import NotAccepted
from otppi.settings.paths import ONLY
from otppi.settings.section import Section
from otppi.system.buzzer.settings import BellSettings
from otppi.system.clock.settings import ClockSettings
from otppi.system.firewall.settings import OpenPort
from otppi.system.network.settings import DhcpSettings, EthernetSettings, WlanSettings
from otppi.system.schedule import CHOICES, DAILY, EVERY_12_HOURS, NEVER, HousekeepingSettings

Raw = dict[str, object]

# Those of the old installation instructions: the same for every device, so they protect nothing.
_PUBLIC_PASSPHRASES: Final = frozenset({"planetbiru"})
_ONCE_EMPTY: Final = sha256(b"").hexdigest()
# An update with an empty box set the password to these.
_EMPTY_HASHES: Final = frozenset({_ONCE_EMPTY, sha256(_ONCE_EMPTY.encode()).hexdigest()})
_HASH: Final = re.compile(r"[0-9a-f]{64}")
# Every listener of the old product; ours are opened by themselves, and the second of the pages is gone.
_OLD_SERVICE_PORTS: Final = frozenset({"22", "8888", "8889"})
_OLD_OFFSET_MS: Final = 30_000

_UNUSED = "the old program did not use it"
_NEVER_APPLIED = "the old program never applied it"
_OF_COURSE = ""  # said of every modem it would only hide what matters
_IN_ADDRESS = "is part of the address"
_RETIRED = "is not there any more"


class LeftOut(Exception):
    """A value is understood and not taken over; the text says why."""


@dataclass(frozen=True)
class Note:
    """Something that is not taken over; of a whole file where no name is given."""

    file: str
    name: str
    reason: str


@dataclass
class Translation:
    """What the files say, in our words; nothing has been compared with the device yet."""

    raw: dict[type[Section], dict[str, Raw]] = field(default_factory=dict)
    sources: dict[type[Section], str] = field(default_factory=dict)  # the file that a section comes from
    left: list[Note] = field(default_factory=list)
    unclear: list[Note] = field(default_factory=list)

    def add(self, file: str, section: type[Section], item_id: str, values: Mapping[str, object]) -> None:
        """Note values of an item."""
        self.raw.setdefault(section, {}).setdefault(item_id, {}).update(values)
        self.sources.setdefault(section, file)


def translated(found: files.OldFiles, country_code: str) -> Translation:
    """Translate all files; `country_code` counts where the old device had none."""
    result = Translation(
        left=[Note(file, "", reason) for file, reason in found.left.items()],
        unclear=[Note(file, "", reason) for file, reason in found.damaged.items()],
    )
    sms = found.documents.get(files.SMS)
    old_code = str(sms.get("countryCode", "")) if isinstance(sms, dict) else ""
    if re.fullmatch(SmsSettings.declared["country_code"].pattern, old_code):
        country_code = old_code
    for file, document in found.documents.items():
        if file in _FIELDS:
            _one(result, file, document)
        elif file == files.FIREWALL:
            _many(result, file, document, _open_port)
        elif file == files.MODEMS:
            _many(result, file, document, lambda _, old: _modem(result, old, country_code))
        elif file == files.BLOCKING:
            _block_list(result, document, country_code)
        elif file == files.ADMINISTRATORS:
            _many(result, file, document, lambda key, old: (Administrator, *_account(key, old, "sha256")))
        else:
            # The account that was shipped was hashed twice, those that were added once.
            _many(result, file, document, lambda key, old: (ApiUser, *_account(key, old, "sha256x1or2")))
    return result


@dataclass(frozen=True)
class _To:
    """Where a value goes, and how it is read; several settings may be made of one value."""

    section: type[Section]
    name: str
    read: Callable[[Any], object] = lambda value: value


def _seconds(milliseconds: object) -> float:
    try:
        return int(str(milliseconds)) / 1000
    except ValueError as error:
        raise NotAccepted("must be a whole number") from error


def _offset(milliseconds: object) -> object:
    if str(milliseconds) == str(_OLD_OFFSET_MS):
        raise LeftOut("30 s were the old factory value, and too short for a second modem to take over")
    return milliseconds


def _tone(value: object) -> bool:
    if str(value) not in ("0", "1", "2"):
        raise NotAccepted("must be 0, 1 or 2")
    return str(value) != "0"


def _ntp_interval(cron: object) -> str:
    known = {
        "": "never",
        "0 0 * * * ?": "1 h",
        "0 0 */6 * * ?": "6 h",
        "0 0 */12 * * ?": "12 h",
        "0 0 0 * * ?": "daily",
    }
    return _known(known, cron)


def _restart(cron: object) -> str:
    days = {day[:3].upper(): day for day in CHOICES if day.endswith("day")}
    known = {"": NEVER, "0 0 */12 * * ?": EVERY_12_HOURS, "0 0 0 * * ?": DAILY}
    return _known({**known, **{f"0 0 0 ? * {short}": day for short, day in days.items()}}, cron)


def _known(known: Mapping[str, str], cron: object) -> str:
    word = known.get(str(cron).strip())
    if word is None:
        raise NotAccepted("is a time that the old pages did not offer")
    return word


def _passphrase(key: object) -> object:
    if key in _PUBLIC_PASSPHRASES:
        raise LeftOut("it is the factory's, and so everybody's; the one that was born on this device stays")
    return _if_given(key)


def _if_given(value: object) -> object:
    if value in ("", None, []):
        raise LeftOut("")
    return value


def _ranges(ranges: object) -> list[str]:
    if not isinstance(ranges, list) or not all(isinstance(one, dict) for one in ranges):
        raise NotAccepted("must be a list of ranges")
    pairs = [(str(one.get("begin") or ""), str(one.get("end") or "")) for one in ranges]
    return [f"{first or last}-{last or first}" for first, last in pairs if first or last]


_NO_TLS = (
    "the old program never encrypted this connection, whatever was set: switch SSL on when the broker has it"
)


def _unless_zero(value: object) -> object:
    if str(value) in ("", "0", "None"):
        raise LeftOut(_OF_COURSE)
    return value


def _stomp_port(port: object) -> object:
    """Return the port of the STOMP connector in the place of that of OpenWire."""
    return 61613 if str(port) == "61616" else port


def _subscriber(
    section: type[Connection], start: str, *, tls: bool = False, **more: _To | str
) -> Mapping[str, _To | str]:
    """Return where the settings of one subscriber go; `more` is by what follows the start of the old name."""
    fields: dict[str, _To | str] = {
        "Enable": _To(section, "enabled"),
        "SSL": _To(section, "tls") if tls else _NO_TLS,
        "Address": _To(section, "host", _if_given),
        "Port": _To(section, "port", _unless_zero),
        "Username": _To(section, "username"),
        "Password": _To(section, "password"),
        "Topic": _To(section, "topic", _if_given),
        "Timeout": _To(section, "timeout_ms", _unless_zero),
        "ReconnectDelay": _To(section, "reconnect_delay_ms", _unless_zero),
        "Refresh": _NEVER_APPLIED,
        "Path": _UNUSED,
        **more,
    }
    return {f"{start}{name}": to for name, to in fields.items()}


# The settings of files that are there once: where each goes, or why it does not.
_FIELDS: Final[Mapping[str, Mapping[str, _To | str]]] = MappingProxyType(
    {
        files.GENERAL: {
            "deviceName": _To(GeneralSettings, "device_name"),
            "dropExpireOTP": _To(GeneralSettings, "drop_expired"),
            "otpExpirationOffset": _To(GeneralSettings, "expiration_offset_ms", _offset),
            "inspectModemInterval": _To(GeneralSettings, "modems_inspect_s", _seconds),
            "deviceTimeZone": _To(ClockSettings, "time_zone"),
            "ntpServer": _To(ClockSettings, "ntp_server", _if_given),
            "ntpUpdateInterval": _To(ClockSettings, "ntp_interval", _ntp_interval),
            "restartService": _To(HousekeepingSettings, "restart_service", _restart),
            "restartDevice": _To(HousekeepingSettings, "restart_device", _restart),
        },
        files.SERVICES: {
            "httpPort": _To(ApiSettings, "http_port"),
            "httpsPort": _To(ApiSettings, "https_port"),
            "httpEnable": _To(ApiSettings, "http_enabled"),
            "httpsEnable": _To(ApiSettings, "https_enabled"),
            "otpPath": _To(ApiSettings, "otp_path", _if_given),
            "messagePath": _To(ApiSettings, "message_path", _if_given),
            "smsPath": _To(ApiSettings, "sms_path", _if_given),
            "emailPath": _To(ApiSettings, "email_path", _if_given),
            "blockingPath": _To(ApiSettings, "blocking_path", _if_given),
            "unblockingPath": _To(ApiSettings, "unblocking_path", _if_given),
        },
        files.SMS: {
            "countryCode": _To(SmsSettings, "country_code"),
            "recipientPrefixLength": "the longest prefix wins, whatever its length",
            "logSMS": _RETIRED,
            "monitorSMS": _RETIRED,
            **dict.fromkeys(
                (
                    "connectionType",
                    "smsCenter",
                    "incommingInterval",
                    "timeRange",
                    "maxPerTimeRange",
                    "imei",
                    "simCardPIN",
                ),
                _UNUSED,
            ),
        },
        files.BELL: {
            "smsFailure": _To(BellSettings, "sms_failure", _tone),
            **{
                f"{old}Disconnected": _To(BellSettings, f"{old.lower()}_disconnected", _tone)
                for old in ("amqp", "mqtt", "redis", "ws", "activeMQ", "stomp")
            },
        },
        files.WLAN: {
            "essid": _To(WlanSettings, "ssid", _if_given),
            "key": _To(WlanSettings, "passphrase", _passphrase),
            "ipAddress": _To(WlanSettings, "address", _if_given),
            "keyMgmt": "it is WPA2, and WPA3 where the radio can",
            "prefix": _IN_ADDRESS,
            "netmask": _IN_ADDRESS,
            "gateway": "the access point is no way out",
            "dns1": "clients are told that of the DHCP settings",
        },
        files.DHCP: {
            "domainName": _To(DhcpSettings, "domain_name"),
            "domainNameServers": _To(DhcpSettings, "domain_name_servers"),
            "ipRouter": _To(DhcpSettings, "router"),
            "netmask": _To(DhcpSettings, "netmask"),
            "subnetMask": _To(DhcpSettings, "subnet_mask"),
            "domainNameServersAddress": _To(DhcpSettings, "domain_name_servers_address"),
            "defaultLeaseTime": _To(DhcpSettings, "default_lease_s", _if_given),
            "maxLeaseTime": _To(DhcpSettings, "max_lease_s", _if_given),
            "ranges": _To(DhcpSettings, "ranges", _ranges),
        },
        files.ETHERNET: {
            "ipAddress": _To(EthernetSettings, "address", _if_given),
            "gateway": _To(EthernetSettings, "gateway"),
            "dns1": _To(EthernetSettings, "dns1"),
            "dns2": _To(EthernetSettings, "dns2"),
            "prefix": _IN_ADDRESS,
            "netmask": _IN_ADDRESS,
        },
        files.AMQP: _subscriber(
            AmqpSettings, "subscriberAmqp", tls=True, Version="AMQP 0-9-1 is spoken; version 1.0 is not"
        ),
        files.MQTT: _subscriber(
            MqttSettings,
            "subscriberMqtt",
            ClientID=_To(MqttSettings, "client_id"),
            Qos=_To(MqttSettings, "qos", str),
        ),
        files.REDIS: _subscriber(
            RedisSettings,
            "subscriberRedis",
            Username="it named the connection, and was no user of the broker",
        ),
        files.STOMP: _subscriber(StompSettings, "subscriberStomp", Database=_UNUSED),
        files.ACTIVEMQ: _subscriber(
            ActiveMqSettings,
            "subscriberActiveMQ",
            Port=_To(ActiveMqSettings, "port", _stomp_port),
            ClientID=_To(ActiveMqSettings, "client_id"),
            TimeToLeave=_To(ActiveMqSettings, "time_to_live_ms", _unless_zero),
        ),
        files.WS: _subscriber(WsSettings, "subscriberWs", tls=True, Path=_To(WsSettings, "path", _if_given)),
    }
)
_SUBSCRIBERS: Final = frozenset({files.AMQP, files.MQTT, files.REDIS, files.STOMP, files.ACTIVEMQ, files.WS})


def _one(result: Translation, file: str, document: Any) -> None:  # noqa: ANN401 - JSON
    if not isinstance(document, dict):
        result.unclear.append(Note(file, "", "is not the object that was expected"))
        return
    if file in (files.WLAN, files.ETHERNET):
        document = _with_prefix(document)
    for section, values in _read(result, file, document, _FIELDS[file]).items():
        result.add(file, section, ONLY, values)
    ethernet = result.raw.get(EthernetSettings, {}).get(ONLY)
    if file == files.ETHERNET and ethernet is not None and "address" in ethernet:
        ethernet["method"] = "static"
    if file in _SUBSCRIBERS:
        for values in (
            result.raw[section][ONLY] for section in result.raw if issubclass(section, Connection)
        ):
            values["mode"] = COMPATIBLE  # what the publishers of the old device expect
    # The old product restarted at midnight; ours has a time of its own.
    housekeeping = result.raw.get(HousekeepingSettings, {}).get(ONLY)
    if file == files.GENERAL and housekeeping is not None:
        for name in ("restart_service", "restart_device"):
            if housekeeping.get(name, NEVER) != NEVER:
                housekeeping[f"{name}_at"] = "00:00"


def _read(
    result: Translation, file: str, old: Mapping[str, Any], fields: Mapping[str, _To | str], item: str = ""
) -> dict[type[Section], Raw]:
    values: dict[type[Section], Raw] = {}
    for key, value in old.items():
        where = f"{item}: {key}" if item else key
        to = fields.get(key)
        if isinstance(to, _To):
            try:
                read = to.read(value)
                to.section.declared[to.name].read(read)
                values.setdefault(to.section, {})[to.name] = read
            except LeftOut as reason:
                if str(reason):
                    result.left.append(Note(file, where, str(reason)))
            except NotAccepted as reason:
                result.unclear.append(Note(file, where, str(reason)))
        elif to is None:
            result.unclear.append(Note(file, where, "is not a setting that the old product had"))
        elif to and value not in ("", None, 0, False):
            result.left.append(Note(file, where, to))
    return values


def _with_prefix(old: Mapping[str, Any]) -> Mapping[str, Any]:
    address, mask = old.get("ipAddress"), old.get("prefix") or old.get("netmask")
    return {**old, "ipAddress": f"{address}/{mask}"} if address and mask else old


def _items(document: Any) -> Iterator[tuple[str, Mapping[str, Any] | None]]:  # noqa: ANN401 - JSON
    pairs = document.items() if isinstance(document, dict) else (("", one) for one in document)
    for key, one in pairs:
        yield str(key), one if isinstance(one, dict) else None


def _many(
    result: Translation,
    file: str,
    document: Any,  # noqa: ANN401 - JSON
    read: Callable[[str, Mapping[str, Any]], tuple[type[Section], str, Raw]],
) -> None:
    if not isinstance(document, dict | list):
        result.unclear.append(Note(file, "", "is not the list that was expected"))
        return
    for position, (key, old) in enumerate(_items(document), start=1):
        if old is None:
            result.unclear.append(Note(file, str(position), "is not an object"))
            continue
        try:
            section, item_id, values = read(key, old)
        except LeftOut as reason:
            result.left.append(Note(file, _called(key, old) or str(position), str(reason)))
        except NotAccepted as reason:
            result.unclear.append(Note(file, _called(key, old) or str(position), str(reason)))
        else:
            result.add(file, section, item_id, values)


def _called(key: str, old: Mapping[str, Any]) -> str:
    return str(old.get("username") or old.get("name") or old.get("id") or key)


def _account(key: str, old: Mapping[str, Any], form: str) -> tuple[str, Raw]:
    user = str(old.get("username") or key).strip()
    if not user or ":" in user or not user.isprintable() or len(user) > 64:
        raise NotAccepted("a user name has 1 to 64 printable characters and no colon")
    kept = str(old.get("password") or "").lower()
    if not kept or kept in _EMPTY_HASHES:
        raise LeftOut("it has no password; make the account anew")
    if not _HASH.fullmatch(kept):
        raise NotAccepted("its password is not kept as the old product kept them")
    contact = {name: str(old.get(name) or "") for name in ("name", "email", "phone")}
    return user, {
        "password": f"{form}${kept}",
        **{name: value for name, value in contact.items() if value},
        "active": old.get("active", False),
        "blocked": old.get("blocked", False),
    }


def _open_port(_: str, old: Mapping[str, Any]) -> tuple[type[Section], str, Raw]:
    port, protocol = str(old.get("port") or ""), str(old.get("protocol") or "tcp").lower()
    if protocol == "tcp" and port in _OLD_SERVICE_PORTS:
        raise LeftOut("the ports of the device's own services are opened by themselves")
    if not port or protocol not in ("tcp", "udp"):
        raise NotAccepted("is not a port with its protocol")
    return (
        OpenPort,
        f"{protocol}{port}",
        {"port": port, "protocol": protocol, "open": old.get("active", False)},
    )


def _block_list(result: Translation, document: Any, country_code: str) -> None:  # noqa: ANN401 - JSON
    if not isinstance(document, dict):
        result.unclear.append(Note(files.BLOCKING, "", "is not the object that was expected"))
        return
    for position, (number, is_blocked) in enumerate(document.items(), start=1):
        try:
            digits = parse_number(number, country_code).digits
        except ValueError as error:
            # Not repeated: it may be a number with a slip in it.
            result.unclear.append(Note(files.BLOCKING, f"entry {position}", str(error)))
            continue
        known = result.raw.get(BlockedNumber, {}).get(digits, {})
        # One number may have been written in two ways.
        blocked = is_blocked is True or known.get("blocked") is True
        result.add(files.BLOCKING, BlockedNumber, digits, {"blocked": blocked})


def _prefixes(country_code: str) -> Callable[[object], list[str]]:
    def read(text: object) -> list[str]:
        given = [one.strip().removeprefix("+") for one in re.split(r"[,;\s]+", str(text or ""))]
        return [country_code + one[1:] if one.startswith("0") else one for one in given if one]

    return read


def _imei(value: object) -> object:
    _if_given(value)
    if not parse.is_whole_imei(str(value)):
        raise LeftOut("it is not whole; the modem tells it at first contact")
    return value


def _modem_fields(country_code: str) -> Mapping[str, _To | str]:
    to = {
        "port": _To(ModemSettings, "port"),
        "imei": _To(ModemSettings, "imei", _imei),
        "recipientPrefix": _To(ModemSettings, "prefixes", _prefixes(country_code)),
        "simCardPIN": _To(ModemSettings, "sim_pin", _if_given),
        "internetAccess": _To(ModemSettings, "internet_access"),
        "smsAPI": _To(ModemSettings, "api_enabled"),
        "defaultModem": _To(ModemSettings, "is_default"),
        "active": _To(ModemSettings, "active"),
        "apn": _To(ModemSettings, "apn", _if_given),
        "apnUsername": _To(ModemSettings, "apn_username", _if_given),
        "apnPassword": _To(ModemSettings, "apn_password", _if_given),
        "dialNumner": _To(ModemSettings, "dial_number", _if_given),
        "dialCommand": _To(ModemSettings, "dial_command", _if_given),
        **{f"initDial{count}": _To(ModemSettings, f"init_dial_{count}", _if_given) for count in range(1, 6)},
    }
    told = (
        "manufacturer",
        "model",
        "revision",
        "iccid",
        "smsCenter",
        "provider",
        "copsOperator",
        "msisdn",
        "imsi",
    )
    unused = ("incommingInterval", "timeRange", "maxPerTimeRange", "autoreconnect")
    line = ("baudRate", "parityBit", "startBits", "stopBits")
    return {
        **to,
        "deleteSentSMS": "nothing is stored on the SIM",
        **dict.fromkeys(("id", "name", *told), _OF_COURSE),
        **dict.fromkeys(unused, _UNUSED),
        **dict.fromkeys(line, _NEVER_APPLIED),
    }


def _modem(result: Translation, old: Mapping[str, Any], country_code: str) -> tuple[type[Section], str, Raw]:
    name = " ".join(str(old.get("name") or old.get("port") or "").split())[:60]
    taken = {str(one["name"]) for one in result.raw.get(ModemSettings, {}).values()}
    if name in taken:
        name = f"{name[:30]} ({str(old.get('port') or '')[:25]})"
    if not name or name in taken:
        raise NotAccepted("has no name and port of its own")
    read = _read(result, files.MODEMS, old, _modem_fields(country_code), item=name)
    return ModemSettings, name, {"name": name, **read.get(ModemSettings, {})}
