"""From an ini file to a transport: the keys of OTP-Publisher's `config.ini`, and some of our own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otppi.publisher.amqp import AmqpTransport
from otppi.publisher.codes import OwnCodes
from otppi.publisher.errors import ConfigurationError
from otppi.publisher.ini import Unreadable, read
from otppi.publisher.mqtt import MqttTransport
from otppi.publisher.redis import RedisTransport
from otppi.publisher.rest import RestTransport
from otppi.publisher.stomp import StompTransport
from otppi.publisher.transport import BrokerTransport, Limits, Mode, Tls, Transport
from otppi.publisher.ws import WsTransport
from otppi.settings.suggestion import did_you_mean

_GENERAL = "GENERAL"
_KINDS: tuple[type[BrokerTransport], ...] = (
    AmqpTransport,
    MqttTransport,
    RedisTransport,
    StompTransport,
    WsTransport,
)
_BROKERS = {kind.section: kind for kind in _KINDS}
# Its own sender reads the delay of all brokers here.
_OLD_DELAY = ("AMQP", "callback_delay")
_MILLISECONDS_PER_DAY = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Configured:
    """What the file asks for."""

    transport: Transport
    codes: OwnCodes | None
    wait_for_answer: bool


def configured(path: Path) -> Configured:
    """Read the file; only [GENERAL] and the section of its method count.

    Raises:
        ConfigurationError: The file cannot be read, or a key is wrong. Values are not repeated: some are secrets.
    """
    try:
        sections = read(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError("", str(path), error.strerror or type(error).__name__) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError("", str(path), "is not in UTF-8") from error
    except Unreadable as error:
        raise ConfigurationError("", str(path), str(error)) from None
    general = _Keys(_GENERAL, sections.get(_GENERAL, {}))
    method = general.text("method", "REST").upper()
    if method not in {"REST", *_BROKERS}:
        raise ConfigurationError(_GENERAL, "method", f"must be REST, {', '.join(_BROKERS)}")
    old_delay = sections.get(_OLD_DELAY[0], {}).get(_OLD_DELAY[1], "")
    keys = _Keys(method, {"callback_delay": old_delay, **sections.get(method, {})})
    found = Configured(
        transport=_rest(keys) if method == "REST" else _broker(_BROKERS[method], keys),
        codes=_codes(general),
        wait_for_answer=general.switch("wait_for_answer", False),
    )
    keys.refuse_others(ignored={"callback_delay"})
    general.refuse_others(ignored={"username", "password"})  # for the publisher's own callers, in PHP
    return found


class _Keys:
    """One section; remembers which keys exist."""

    def __init__(self, section: str, values: Mapping[str, str]) -> None:
        self.section = section
        self._values = values
        self._known: set[str] = set()

    def text(self, key: str, default: str, *, may_be_empty: bool = False) -> str:
        self._known.add(key)
        value = self._values.get(key, default)
        if not value and not may_be_empty:
            raise self.wrong(key, "is empty")
        return value

    def number(self, key: str, default: int, least: int, most: int) -> int:
        value = self.text(key, str(default))
        if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            raise self.wrong(key, f"must be a number from {least} to {most}")
        return int(value)

    def seconds(self, key: str, default: float) -> float:
        value = self.text(key, str(default))
        try:
            seconds = float(value)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= 3600:
            raise self.wrong(key, "must be a number of seconds, at most 3600")
        return seconds

    def switch(self, key: str, default: bool) -> bool:
        value = self.text(key, "1" if default else "", may_be_empty=True).lower()
        if value in {"1", "true", "on", "yes"}:
            return True
        if value in {"", "0", "false", "off", "no", "none"}:
            return False
        raise self.wrong(key, "must be true or false")

    def file(self, key: str) -> Path | None:
        value = self.text(key, "", may_be_empty=True)
        if value and not Path(value).is_file():
            raise self.wrong(key, "there is no such file")
        return Path(value) if value else None

    def refuse_others(self, ignored: set[str]) -> None:
        """Refuse keys that nobody has asked for: a misspelt `tls` would send passwords in the clear."""
        for key in self._values:
            if key not in self._known | ignored:
                raise self.wrong(key, f"there is no such key{did_you_mean(key, self._known)}")

    def wrong(self, key: str, reason: str) -> ConfigurationError:
        return ConfigurationError(self.section, key, reason)


def _rest(keys: _Keys) -> RestTransport:
    defaults = RestTransport()
    return RestTransport(
        url=keys.text("url", defaults.url),
        username=keys.text("username", "", may_be_empty=True),
        password=keys.text("password", "", may_be_empty=True),
        tls=_tls(keys),
        limits=_limits(keys),
    )


def _broker(kind: type[BrokerTransport], keys: _Keys) -> BrokerTransport:
    defaults = kind()
    uses_tls = keys.switch("tls", False)
    tls = _tls(keys)
    if tls != Tls() and not uses_tls:
        raise keys.wrong("tls", "is off, and keys for it are given")
    delay = keys.text("callback_delay", "", may_be_empty=True)
    return kind(
        host=keys.text("host", defaults.host),
        username=keys.text("username", defaults.username, may_be_empty=True),
        password=keys.text("password", defaults.password, may_be_empty=True),
        topic=keys.text("topic", defaults.topic),
        mode=_mode(keys, kind),
        tls=tls if uses_tls else None,
        limits=_limits(keys),
        callback_delay_ms=keys.number("callback_delay", 0, 0, _MILLISECONDS_PER_DAY) if delay else None,
        **_own(kind, defaults, keys),
    )


def _own(kind: type[BrokerTransport], defaults: Any, keys: _Keys) -> dict[str, Any]:  # noqa: ANN401 - any of them
    """Read the keys that only one kind of broker has."""
    own: dict[str, Any] = {"port": keys.number("port", defaults.port, 1, 65535)}
    if kind in {AmqpTransport, StompTransport}:
        own["vhost"] = keys.text("vhost", defaults.vhost)
    if kind is MqttTransport:
        own["client_id"] = keys.text("client_id", defaults.client_id)
        own["version"] = keys.text("version", "", may_be_empty=True)
        if own["version"] not in {"", "3.1.1", "5"}:
            raise keys.wrong("version", "must be 3.1.1 or 5")
    if kind is RedisTransport:
        own["database"] = keys.number("database", 0, 0, 1023)
    if kind is WsTransport:
        own["path"] = keys.text("path", defaults.path)
    return own


def _mode(keys: _Keys, kind: type[BrokerTransport]) -> Mode:
    try:
        mode = Mode(keys.text("mode", Mode.COMPATIBLE.value))
    except ValueError:
        raise keys.wrong("mode", "must be compatible or durable") from None
    if mode is Mode.DURABLE and kind is WsTransport:
        raise keys.wrong("mode", "a WebSocket broker keeps nothing: it can only be compatible")
    return mode


def _tls(keys: _Keys) -> Tls:
    certificate, key = keys.file("certificate_file"), keys.file("key_file")
    if (certificate is None) != (key is None):
        raise keys.wrong(
            "key_file" if key is None else "certificate_file", "give certificate and key, or none"
        )
    return Tls(
        ca_file=keys.file("ca_file"),
        certificate_file=certificate,
        key_file=key,
        verify=keys.switch("verify", True),
    )


def _limits(keys: _Keys) -> Limits:
    defaults = Limits()
    return Limits(
        connect_s=keys.seconds("connect_timeout_s", defaults.connect_s),
        answer_s=keys.seconds("timeout_s", defaults.answer_s),
    )


def _codes(general: _Keys) -> OwnCodes | None:
    is_wanted = general.switch("manage_otp", False)
    folder = Path(general.text("cache_dir", "", may_be_empty=True))
    max_life_s = general.number("cache_max_age", 300, 1, _MILLISECONDS_PER_DAY)
    length = general.number("otp_length", 6, 4, 10)
    country_code = general.text("country_code", "62")
    if not is_wanted:
        return None
    if not folder.is_absolute():
        raise general.wrong(
            "cache_dir", "must be the whole path of a folder on this machine, such as /run/shop/otp"
        )
    return OwnCodes(folder, max_life_s=max_life_s, length=length, country_code=country_code)
