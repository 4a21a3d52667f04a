"""The settings files of an old device, as their owner brings them: a ZIP, a .tar.gz, or one JSON file.

Nothing is unpacked to the disk. Only files that the old product had are read, and of those no more than they may
have; so neither names nor sizes in the archive can do harm.
"""

import gzip
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from lzma import LZMAError
from typing import Any, Final

from otppi.model.errors import BadRequest

LARGEST_BYTES: Final = 8 << 20
_LARGEST_FILE_BYTES: Final = 1 << 20
_LARGEST_UNPACKED_BYTES: Final = 32 << 20  # of all that has to be unpacked to find the files
_MOST_ENTRIES: Final = 10_000
_MOST_NAMED: Final = 50
_LONGEST_NAMED: Final = 100

# What is read, relative to the folder /resource/data of the old device.
GENERAL = "general/general-config.json"
SERVICES = "api/services.json"
API_USERS = "api/urses.json"
BLOCKING = "api/blocking.json"
ADMINISTRATORS = "user/urses.json"
SMS = "gsm/sms.json"
MODEMS = "gsm/devices.json"
DHCP = "network/dhcpd.json"
WLAN = "network/wlan.json"
ETHERNET = "network/ethernet.json"
FIREWALL = "network/firewall.json"
BELL = "bell/bell-config.json"
AMQP = "subscriber/subscriber-amqp.json"
MQTT = "subscriber/subscriber-mqtt.json"
REDIS = "subscriber/subscriber-redis.json"
STOMP = "subscriber/subscriber-stomp.json"
ACTIVEMQ = "subscriber/subscriber-activemq.json"
WS = "subscriber/subscriber-ws.json"
EMAIL = "email/sender-account.json"
SMTP = "email/smtp.json"
DDNS = "ddns/ddns.json"
CLOUDFLARE = "ddns/vendor/cloudflare.json"
NOIP = "ddns/vendor/noip.json"
AFRAID = "ddns/vendor/afraid.json"
DYNU = "ddns/vendor/dynu.json"
READ: Final = (
    GENERAL,
    SERVICES,
    API_USERS,
    BLOCKING,
    ADMINISTRATORS,
    SMS,
    MODEMS,
    DHCP,
    WLAN,
    ETHERNET,
    FIREWALL,
    BELL,
    AMQP,
    MQTT,
    REDIS,
    STOMP,
    ACTIVEMQ,
    WS,
    EMAIL,
    SMTP,
    DDNS,
    CLOUDFLARE,
    NOIP,
    AFRAID,
    DYNU,
)
# What the old product had besides: where it is, and why it is not taken over.
_UPLOAD = "upload the certificate on the page Certificates"
_NEVER = "is not taken over: it was of use to the old program only"
LEFT: Final[Mapping[str, str]] = {
    "keystore/": _UPLOAD,
    "server/": _NEVER,
    "otp/": _NEVER,
    "report/": "reports of sent messages stay with the old device",
    "activation/": "activation: this program needs none",
}

# By what keys a single file is recognised.
_TELLING: Final[Mapping[str, frozenset[str]]] = {
    GENERAL: frozenset({"deviceName", "deviceTimeZone", "ntpServer", "dropExpireOTP"}),
    SERVICES: frozenset({"httpPort", "httpsPort", "otpPath"}),
    SMS: frozenset({"countryCode", "recipientPrefixLength"}),
    DHCP: frozenset({"ipRouter", "ranges", "defaultLeaseTime"}),
    WLAN: frozenset({"essid", "keyMgmt"}),
    BELL: frozenset({"smsFailure", "amqpDisconnected", "mqttDisconnected"}),
    AMQP: frozenset({"subscriberAmqpAddress"}),
    MQTT: frozenset({"subscriberMqttAddress"}),
    REDIS: frozenset({"subscriberRedisAddress"}),
    STOMP: frozenset({"subscriberStompAddress"}),
    ACTIVEMQ: frozenset({"subscriberActiveMQAddress"}),
    WS: frozenset({"subscriberWsAddress"}),
    SMTP: frozenset({"softwareName", "serverAddress"}),
    CLOUDFLARE: frozenset({"authApiKey", "authToken"}),
    DYNU: frozenset({"apiVersion"}),
}
# These two have the same keys.
_TELLING_ENDPOINTS: Final[Mapping[str, str]] = {"no-ip.": NOIP, "afraid.": AFRAID}


@dataclass
class OldFiles:
    """What was found."""

    documents: dict[str, Any] = field(default_factory=dict)  # file to its JSON
    left: dict[str, str] = field(default_factory=dict)  # file that is not taken over to the reason
    damaged: dict[str, str] = field(default_factory=dict)  # file that cannot be read to the reason


def read_files(content: bytes) -> OldFiles:
    """Find and read the settings.

    Raises:
        BadRequest: It is no such file, or has no settings of an old device in it.
    """
    if len(content) > LARGEST_BYTES:
        raise _refused(f"is larger than {LARGEST_BYTES >> 20} MB; leave out reports, logs and storage")
    if content.lstrip()[:1] in (b"{", b"["):
        return _single(content)
    try:
        if content.startswith(b"PK"):
            names, data = _zipped(content)
        elif content.startswith(b"\x1f\x8b"):
            names, data = _tarred(content)
        else:
            raise _refused("is neither a ZIP nor a .tar.gz nor JSON")
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        LZMAError,
        EOFError,
        OSError,
        RuntimeError,  # with a password, or packed in a way that nobody here knows
        ValueError,
    ) as error:
        raise _refused("the archive is damaged, has a password, or is packed in an unusual way") from error
    return _sorted(names, data)


def _refused(reason: str) -> BadRequest:
    return BadRequest("content", reason)


def _sorted(names: list[str], data: Mapping[str, bytes]) -> OldFiles:
    found, root = OldFiles(), _root(names)
    for name in names:
        inside = name.removeprefix(root) if name.startswith(root) else ""
        if name in data and inside in READ:
            try:
                found.documents[inside] = _json(data[name])
            except ValueError as error:
                found.damaged[inside] = str(error)
        elif len(found.left) < _MOST_NAMED and (reason := _reason(inside)):
            found.left[_shown(inside)] = reason
    if not found.documents and not found.damaged:
        raise _refused(f"has no settings of an old device in it, such as {GENERAL}")
    return found


def _reason(inside: str) -> str:
    if not inside or not _is_harmless(inside):
        return ""
    known = (reason for place, reason in LEFT.items() if inside.startswith(place))
    return next(known, "")


def _shown(name: str) -> str:
    return name if len(name) <= _LONGEST_NAMED else f"{name[:_LONGEST_NAMED]}…"


def _root(names: list[str]) -> str:
    """Return the folder in the archive that is /resource/data of the old device: the one with most of its files."""
    roots: dict[str, int] = {}
    for name in names:
        for known in READ:
            if (name == known or name.endswith(f"/{known}")) and _is_harmless(name):
                root = name.removesuffix(known)
                roots[root] = roots.get(root, 0) + 1
    # Of equal ones the outermost: a copy lies deeper than what it is of.
    return min(roots, key=lambda root: (-roots[root], len(root), root)) if roots else ""


def _is_harmless(name: str) -> bool:
    parts = name.split("/")
    return name.isprintable() and "\\" not in name and ":" not in name and not {"", ".", ".."} & set(parts)


def _plain(name: str) -> str:
    return name.removeprefix("./")


def _is_wanted(name: str) -> bool:
    return _is_harmless(name) and any(name == known or name.endswith(f"/{known}") for known in READ)


def _zipped(content: bytes) -> tuple[list[str], dict[str, bytes]]:
    names, data, left = list[str](), dict[str, bytes](), _LARGEST_UNPACKED_BYTES
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if len(entries) > _MOST_ENTRIES:
            raise _refused(f"has more than {_MOST_ENTRIES} files in it")
        for entry in entries:
            name = _plain(entry.filename)
            if entry.is_dir():
                continue
            names.append(name)
            if _is_wanted(name):
                with archive.open(entry) as file:
                    data[name] = _bounded(file.read)
                left -= len(data[name])
                if left < 0:
                    raise _refused("unpacks to more than the settings of a device can be")
    return names, data


class _Bounded(io.RawIOBase):
    """A stream that ends in an error when more comes out of it than can be good."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        super().__init__()
        self._read = read
        self._left = _LARGEST_UNPACKED_BYTES

    def read(self, size: int = -1) -> bytes:
        data = self._read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise _refused("unpacks to more than the settings of a device can be")
        return data


def _tarred(content: bytes) -> tuple[list[str], dict[str, bytes]]:
    names, data = list[str](), dict[str, bytes]()
    with (
        gzip.GzipFile(fileobj=io.BytesIO(content)) as unpacked,
        tarfile.open(fileobj=_Bounded(unpacked.read), mode="r|") as archive,
    ):
        for member in _members(archive):
            name = _plain(member.name)
            if not member.isreg():
                continue
            names.append(name)
            if _is_wanted(name) and (file := archive.extractfile(member)) is not None:
                data[name] = _bounded(file.read)
    return names, data


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for count, member in enumerate(archive):
        if count >= _MOST_ENTRIES:
            raise _refused(f"has more than {_MOST_ENTRIES} files in it")
        yield member


def _bounded(read: Callable[[int], bytes]) -> bytes:
    # One byte more than is good, so that it shows.
    return read(_LARGEST_FILE_BYTES + 1)


def _json(data: bytes) -> Any:  # noqa: ANN401 - JSON
    if len(data) > _LARGEST_FILE_BYTES:
        raise ValueError(f"is larger than {_LARGEST_FILE_BYTES >> 20} MB")
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not JSON, or damaged") from error


def _no_number(_: str) -> None:
    raise ValueError("no number")


def _single(content: bytes) -> OldFiles:
    """Read one file, and find out which it is, since a name may have been changed on the way."""
    try:
        document = _json(content)
    except ValueError as error:
        raise _refused(str(error)) from error
    return OldFiles(documents={_recognised(document): document})


def _recognised(document: Any) -> str:  # noqa: ANN401 - JSON
    items = list(document.values()) if isinstance(document, dict) else document
    for name, telling in _TELLING.items():
        if isinstance(document, dict) and telling & document.keys():
            return name
    if isinstance(document, dict) and "ipAddress" in document:
        return ETHERNET
    if isinstance(document, dict) and "endpoint" in document:
        return _vendor(str(document["endpoint"]))
    if items and all(isinstance(one, bool) for one in items):
        return BLOCKING
    if items and all(isinstance(one, dict) for one in items):
        if all("protocol" in one and "port" in one for one in items):
            return FIREWALL
        if all("recipientPrefix" in one or "imei" in one for one in items):
            return MODEMS
        if all("senderAddress" in one for one in items):
            return EMAIL
        if all("recordName" in one for one in items):
            return DDNS
        if all("username" in one for one in items):
            raise _refused(
                "these are accounts, of the API or of administrators: bring the whole folder, which tells"
            )
    raise _refused("is no file of settings that an old device had")


def _vendor(endpoint: str) -> str:
    for telling, name in _TELLING_ENDPOINTS.items():
        if telling in endpoint:
            return name
    raise _refused(
        "this is an account at a vendor of dynamic DNS: bring the whole folder, which tells at which"
    )
