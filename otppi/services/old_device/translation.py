"""What each setting of the old product is called here, and what it means."""

import re
from collections.abc import Callable, Mapping
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
from otppi.services.old_device.mail_and_names import (
    MAIL_AND_NAMES,
    ddns_record,
    email_account,
    mend_dynu_endpoint,
)
from otppi.services.old_device.reading import (
    OF_COURSE,
    UNUSED,
    LeftOut,
    Note,
    Raw,
    To,
    Translation,
    if_given,
    read_fields,
    read_items,
    unless_zero,
)
from otppi.settings.fields import NotAccepted
from otppi.settings.paths import ONLY
from otppi.settings.section import Section
from otppi.system.buzzer.settings import BellSettings
from otppi.system.clock.settings import ClockSettings
from otppi.system.firewall.settings import OpenPort
from otppi.system.network.settings import DhcpSettings, EthernetSettings, WlanSettings
from otppi.system.schedule import CHOICES, DAILY, EVERY_12_HOURS, NEVER, HousekeepingSettings

# Those of the old installation instructions: the same for every device, so they protect nothing.
_PUBLIC_PASSPHRASES: Final = frozenset({"planetbiru"})
_ONCE_EMPTY: Final = sha256(b"").hexdigest()
# An update with an empty box set the password to these.
_EMPTY_HASHES: Final = frozenset({_ONCE_EMPTY, sha256(_ONCE_EMPTY.encode()).hexdigest()})
_HASH: Final = re.compile(r"[0-9a-f]{64}")
# Every listener of the old product; ours are opened by themselves, and the second of the pages is gone.
_OLD_SERVICE_PORTS: Final = frozenset({"22", "8888", "8889"})
_OLD_OFFSET_MS: Final = 30_000

_NEVER_APPLIED = "the old program never applied it"
_IN_ADDRESS = "is part of the address"
_RETIRED = "is not there any more"


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
            read_items(result, file, document, _open_port)
        elif file == files.MODEMS:
            read_items(result, file, document, lambda _, old: _modem(result, old, country_code))
        elif file == files.EMAIL:
            read_items(result, file, document, lambda key, old: email_account(result, key, old))
        elif file == files.DDNS:
            read_items(result, file, document, lambda key, old: ddns_record(result, key, old))
        elif file == files.BLOCKING:
            _block_list(result, document, country_code)
        elif file == files.ADMINISTRATORS:
            read_items(
                result, file, document, lambda key, old: (Administrator, *_account(key, old, "sha256"))
            )
        else:
            # The account that was shipped was hashed twice, those that were added once.
            read_items(result, file, document, lambda key, old: (ApiUser, *_account(key, old, "sha256x1or2")))
    return result


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
    return if_given(key)


def _ranges(ranges: object) -> list[str]:
    if not isinstance(ranges, list) or not all(isinstance(one, dict) for one in ranges):
        raise NotAccepted("must be a list of ranges")
    pairs = [(str(one.get("begin") or ""), str(one.get("end") or "")) for one in ranges]
    return [f"{first or last}-{last or first}" for first, last in pairs if first or last]


_NO_TLS = (
    "the old program never encrypted this connection, whatever was set: switch SSL on when the broker has it"
)


def _stomp_port(port: object) -> object:
    """Return the port of the STOMP connector in the place of that of OpenWire."""
    return 61613 if str(port) == "61616" else port


def _subscriber(
    section: type[Connection], start: str, *, tls: bool = False, **more: To | str
) -> Mapping[str, To | str]:
    """Return where the settings of one subscriber go; `more` is by what follows the start of the old name."""
    fields: dict[str, To | str] = {
        "Enable": To(section, "enabled"),
        "SSL": To(section, "tls") if tls else _NO_TLS,
        "Address": To(section, "host", if_given),
        "Port": To(section, "port", unless_zero),
        "Username": To(section, "username"),
        "Password": To(section, "password"),
        "Topic": To(section, "topic", if_given),
        "Timeout": To(section, "timeout_ms", unless_zero),
        "ReconnectDelay": To(section, "reconnect_delay_ms", unless_zero),
        "Refresh": _NEVER_APPLIED,
        "Path": UNUSED,
        **more,
    }
    return {f"{start}{name}": to for name, to in fields.items()}


# The settings of files that are there once: where each goes, or why it does not.
_FIELDS: Final[Mapping[str, Mapping[str, To | str]]] = MappingProxyType(
    {
        files.GENERAL: {
            "deviceName": To(GeneralSettings, "device_name"),
            "dropExpireOTP": To(GeneralSettings, "drop_expired"),
            "otpExpirationOffset": To(GeneralSettings, "expiration_offset_ms", _offset),
            "inspectModemInterval": To(GeneralSettings, "modems_inspect_s", _seconds),
            "deviceTimeZone": To(ClockSettings, "time_zone"),
            "ntpServer": To(ClockSettings, "ntp_server", if_given),
            "ntpUpdateInterval": To(ClockSettings, "ntp_interval", _ntp_interval),
            "restartService": To(HousekeepingSettings, "restart_service", _restart),
            "restartDevice": To(HousekeepingSettings, "restart_device", _restart),
        },
        files.SERVICES: {
            "httpPort": To(ApiSettings, "http_port"),
            "httpsPort": To(ApiSettings, "https_port"),
            "httpEnable": To(ApiSettings, "http_enabled"),
            "httpsEnable": To(ApiSettings, "https_enabled"),
            "otpPath": To(ApiSettings, "otp_path", if_given),
            "messagePath": To(ApiSettings, "message_path", if_given),
            "smsPath": To(ApiSettings, "sms_path", if_given),
            "emailPath": To(ApiSettings, "email_path", if_given),
            "blockingPath": To(ApiSettings, "blocking_path", if_given),
            "unblockingPath": To(ApiSettings, "unblocking_path", if_given),
        },
        files.SMS: {
            "countryCode": To(SmsSettings, "country_code"),
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
                UNUSED,
            ),
        },
        files.BELL: {
            "smsFailure": To(BellSettings, "sms_failure", _tone),
            **{
                f"{old}Disconnected": To(BellSettings, f"{old.lower()}_disconnected", _tone)
                for old in ("amqp", "mqtt", "redis", "ws", "activeMQ", "stomp")
            },
        },
        files.WLAN: {
            "essid": To(WlanSettings, "ssid", if_given),
            "key": To(WlanSettings, "passphrase", _passphrase),
            "ipAddress": To(WlanSettings, "address", if_given),
            "keyMgmt": "it is WPA2, and WPA3 where the radio can",
            "prefix": _IN_ADDRESS,
            "netmask": _IN_ADDRESS,
            "gateway": "the access point is no way out",
            "dns1": "clients are told that of the DHCP settings",
        },
        files.DHCP: {
            "domainName": To(DhcpSettings, "domain_name"),
            "domainNameServers": To(DhcpSettings, "domain_name_servers"),
            "ipRouter": To(DhcpSettings, "router"),
            "netmask": To(DhcpSettings, "netmask"),
            "subnetMask": To(DhcpSettings, "subnet_mask"),
            "domainNameServersAddress": To(DhcpSettings, "domain_name_servers_address"),
            "defaultLeaseTime": To(DhcpSettings, "default_lease_s", if_given),
            "maxLeaseTime": To(DhcpSettings, "max_lease_s", if_given),
            "ranges": To(DhcpSettings, "ranges", _ranges),
        },
        files.ETHERNET: {
            "ipAddress": To(EthernetSettings, "address", if_given),
            "gateway": To(EthernetSettings, "gateway"),
            "dns1": To(EthernetSettings, "dns1"),
            "dns2": To(EthernetSettings, "dns2"),
            "prefix": _IN_ADDRESS,
            "netmask": _IN_ADDRESS,
        },
        files.AMQP: _subscriber(
            AmqpSettings, "subscriberAmqp", tls=True, Version="AMQP 0-9-1 is spoken; version 1.0 is not"
        ),
        files.MQTT: _subscriber(
            MqttSettings,
            "subscriberMqtt",
            ClientID=To(MqttSettings, "client_id"),
            Qos=To(MqttSettings, "qos", str),
        ),
        files.REDIS: _subscriber(
            RedisSettings,
            "subscriberRedis",
            Username="it named the connection, and was no user of the broker",
        ),
        files.STOMP: _subscriber(StompSettings, "subscriberStomp", Database=UNUSED),
        files.ACTIVEMQ: _subscriber(
            ActiveMqSettings,
            "subscriberActiveMQ",
            Port=To(ActiveMqSettings, "port", _stomp_port),
            ClientID=To(ActiveMqSettings, "client_id"),
            TimeToLeave=To(ActiveMqSettings, "time_to_live_ms", unless_zero),
        ),
        **MAIL_AND_NAMES,
        files.WS: _subscriber(WsSettings, "subscriberWs", tls=True, Path=To(WsSettings, "path", if_given)),
    }
)
_SUBSCRIBERS: Final = frozenset({files.AMQP, files.MQTT, files.REDIS, files.STOMP, files.ACTIVEMQ, files.WS})


def _one(result: Translation, file: str, document: Any) -> None:  # noqa: ANN401 - JSON
    if not isinstance(document, dict):
        result.unclear.append(Note(file, "", "is not the object that was expected"))
        return
    if file in (files.WLAN, files.ETHERNET):
        document = _with_prefix(document)
    for section, values in read_fields(result, file, document, _FIELDS[file]).items():
        result.add(file, section, ONLY, values)
    ethernet = result.raw.get(EthernetSettings, {}).get(ONLY)
    if file == files.ETHERNET and ethernet is not None and "address" in ethernet:
        ethernet["method"] = "static"
    if file in _SUBSCRIBERS:
        for values in (
            result.raw[section][ONLY] for section in result.raw if issubclass(section, Connection)
        ):
            values["mode"] = COMPATIBLE  # what the publishers of the old device expect
    if file == files.DYNU:
        mend_dynu_endpoint(result)
    # The old product restarted at midnight; ours has a time of its own.
    housekeeping = result.raw.get(HousekeepingSettings, {}).get(ONLY)
    if file == files.GENERAL and housekeeping is not None:
        for name in ("restart_service", "restart_device"):
            if housekeeping.get(name, NEVER) != NEVER:
                housekeeping[f"{name}_at"] = "00:00"


def _with_prefix(old: Mapping[str, Any]) -> Mapping[str, Any]:
    address, mask = old.get("ipAddress"), old.get("prefix") or old.get("netmask")
    return {**old, "ipAddress": f"{address}/{mask}"} if address and mask else old


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
    if_given(value)
    if not parse.is_whole_imei(str(value)):
        raise LeftOut("it is not whole; the modem tells it at first contact")
    return value


def _modem_fields(country_code: str) -> Mapping[str, To | str]:
    to = {
        "port": To(ModemSettings, "port"),
        "imei": To(ModemSettings, "imei", _imei),
        "recipientPrefix": To(ModemSettings, "prefixes", _prefixes(country_code)),
        "simCardPIN": To(ModemSettings, "sim_pin", if_given),
        "internetAccess": To(ModemSettings, "internet_access"),
        "smsAPI": To(ModemSettings, "api_enabled"),
        "defaultModem": To(ModemSettings, "is_default"),
        "active": To(ModemSettings, "active"),
        "apn": To(ModemSettings, "apn", if_given),
        "apnUsername": To(ModemSettings, "apn_username", if_given),
        "apnPassword": To(ModemSettings, "apn_password", if_given),
        "dialNumner": To(ModemSettings, "dial_number", if_given),
        "dialCommand": To(ModemSettings, "dial_command", if_given),
        **{f"initDial{count}": To(ModemSettings, f"init_dial_{count}", if_given) for count in range(1, 6)},
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
        **dict.fromkeys(("id", "name", *told), OF_COURSE),
        **dict.fromkeys(unused, UNUSED),
        **dict.fromkeys(line, _NEVER_APPLIED),
    }


def _modem(result: Translation, old: Mapping[str, Any], country_code: str) -> tuple[type[Section], str, Raw]:
    name = " ".join(str(old.get("name") or old.get("port") or "").split())[:60]
    taken = {str(one["name"]) for one in result.raw.get(ModemSettings, {}).values()}
    if name in taken:
        name = f"{name[:30]} ({str(old.get('port') or '')[:25]})"
    if not name or name in taken:
        raise NotAccepted("has no name and port of its own")
    read = read_fields(result, files.MODEMS, old, _modem_fields(country_code), item=name)
    return ModemSettings, name, {"name": name, **read.get(ModemSettings, {})}
