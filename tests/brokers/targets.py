"""Every broker in its durable mode, as gateway and publisher are set for it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from redis import Redis

from otppi.brokers.settings import (
    ActiveMqSettings,
    AmqpSettings,
    MqttSettings,
    RedisSettings,
    StompSettings,
    WsSettings,
)
from otppi.publisher.amqp import AmqpTransport
from otppi.publisher.mqtt import MqttTransport
from otppi.publisher.redis import RedisTransport
from otppi.publisher.stomp import StompTransport
from otppi.publisher.ws import WsTransport
from tests.broker_servers.rabbitmq import VHOST
from tests.broker_servers.server import HOST, PASSWORD, USER
from tests.brokers.under_fire import Target

_LOGIN = {"host": HOST, "username": USER, "password": PASSWORD}


def amqp(server: Any) -> Target:
    return Target(
        section=AmqpSettings,
        settings={**_LOGIN, "virtual_host": VHOST},
        server=server,
        port=server.port,
        transport=AmqpTransport(**_LOGIN, port=server.port, vhost=VHOST),
    )


def stomp(server: Any) -> Target:
    return Target(
        section=StompSettings,
        settings={**_LOGIN, "virtual_host": VHOST},
        server=server,
        port=server.stomp_port,
        transport=StompTransport(**_LOGIN, port=server.stomp_port, vhost=VHOST),
    )


def activemq(server: Any) -> Target:
    return Target(
        section=ActiveMqSettings,
        settings=_LOGIN,
        server=server,
        port=server.port,
        transport=StompTransport(**_LOGIN, port=server.port),
    )


def mqtt(server: Any) -> Target:
    return Target(
        section=MqttSettings,
        settings={**_LOGIN, "share_group": "shop"},
        server=server,
        port=server.port,
        transport=MqttTransport(**_LOGIN, port=server.port),
        name_setting="client_id",
        gives_to_others=False,
        survives_a_kill=False,
    )


def redis(server: Any) -> Target:
    return Target(
        section=RedisSettings,
        settings=_LOGIN,
        server=server,
        port=server.port,
        transport=RedisTransport(**_LOGIN, port=server.port),
        name_setting="consumer",
        let_time_pass=lambda: _a_minute_later(server),
    )


def ws(server: Any) -> Target:
    return Target(
        section=WsSettings,
        settings=_LOGIN,
        server=server,
        port=server.port,
        transport=WsTransport(**_LOGIN, port=server.port, path="/"),
    )


def _a_minute_later(server: Any) -> None:
    """Let what the first device had in hand be as old as it is when others take it."""
    with Redis(HOST, server.port, username=USER, password=PASSWORD) as client:
        pending = client.xpending_range("sms", "otppi", "-", "+", 100, "device0")
        if ids := [one["message_id"] for one in pending]:
            client.xclaim("sms", "otppi", "device0", 0, ids, idle=60_000, justid=True)


# By the name of the broker: the fixture of its server, and what is made of it.
TARGETS: Mapping[str, tuple[str, Callable[[Any], Target]]] = MappingProxyType(
    {
        "amqp": ("rabbitmq_server", amqp),
        "stomp": ("rabbitmq_server", stomp),
        "activemq": ("activemq_server", activemq),
        "mqtt": ("mosquitto_server", mqtt),
        "redis": ("redis_server", redis),
    }
)
