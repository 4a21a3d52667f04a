"""All kinds of brokers. The library of one is loaded when it is first used, and no sooner: each takes memory."""

import importlib
from types import ModuleType

from otppi.brokers.link import Kind, Link
from otppi.brokers.settings import (
    ActiveMqSettings,
    AmqpSettings,
    Connection,
    MqttSettings,
    RedisSettings,
    StompSettings,
    WsSettings,
)


class _Module:
    """One file of this package, which has `open_link` and `probe` as `Kind` wants them."""

    def __init__(self, name: str) -> None:
        self._name = f"otppi.brokers.{name}"

    def open(self, settings: Connection, most_in_hand: int) -> Link:
        link: Link = self._loaded().open_link(settings, most_in_hand)
        return link

    def probe(self, settings: Connection) -> str:
        return str(self._loaded().probe(settings))

    def _loaded(self) -> ModuleType:
        return importlib.import_module(self._name)


def _kind(section: type[Connection], module: str) -> Kind:
    return Kind(section=section, open=_Module(module).open, probe=_Module(module).probe)


KINDS: tuple[Kind, ...] = (
    _kind(AmqpSettings, "amqp"),
    _kind(MqttSettings, "mqtt"),
    _kind(RedisSettings, "redis"),
    _kind(StompSettings, "stomp"),
    _kind(ActiveMqSettings, "stomp"),
    _kind(WsSettings, "ws"),
)
