"""One bench for each broker: the transport, and the device at its far end."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from otppi.publisher import (
    AmqpTransport,
    Limits,
    Mode,
    MqttTransport,
    Publisher,
    RedisTransport,
    StompTransport,
    Tls,
    WsTransport,
)
from otppi.publisher.transport import BrokerTransport
from tests.broker_servers.rabbitmq import VHOST
from tests.broker_servers.server import HOST, PASSWORD, USER
from tests.gateway_under_test import GatewayUnderTest
from tests.publisher.devices import (
    AmqpDevice,
    Device,
    MqttDevice,
    RedisDevice,
    StompDevice,
    WsDevice,
    WsHub,
)

_numbers = itertools.count()


@pytest.fixture(scope="session")
def real(tmp_path_factory, free_port):
    """A gateway that every test of this folder may ask; block no number for good."""
    gateway = GatewayUnderTest(tmp_path_factory.mktemp("publisher"), free_port)
    gateway.start()
    yield gateway
    gateway.stop()


@dataclass(frozen=True)
class Bench:
    """A broker, a mode, and a topic that no other test uses."""

    transport: BrokerTransport
    new_device: Callable[[str, bool], Device]
    tls_port: int = 0
    ca_file: Any = None

    def with_mode(self, mode: Mode) -> "Bench":
        topic = f"sms-{next(_numbers)}"
        return replace(self, transport=replace(self.transport, mode=mode, topic=topic))

    def device(self) -> Device:
        return self.new_device(self.transport.topic, self.transport.is_durable)

    def publisher(self, **changes: Any) -> Publisher:
        return Publisher(replace(self.transport, **changes))

    def over_tls(self, **options: Any) -> Publisher:
        return self.publisher(port=self.tls_port, tls=Tls(**options))


def _bench(kind, port, new_device, server=None, tls_port=0, **own) -> Bench:
    limits = Limits(connect_s=5, answer_s=10)
    transport = kind(host=HOST, port=port, username=USER, password=PASSWORD, limits=limits, **own)
    return Bench(transport, new_device, tls_port, getattr(server, "ca_file", None))


@pytest.fixture(scope="session")
def amqp(rabbitmq_server) -> Bench:
    server = rabbitmq_server
    return _bench(
        AmqpTransport, server.port, lambda *a: AmqpDevice(server, *a), server, server.tls_port, vhost=VHOST
    )


@pytest.fixture(scope="session")
def mqtt(mosquitto_server) -> Bench:
    server = mosquitto_server
    return _bench(MqttTransport, server.port, lambda *a: MqttDevice(server, *a), server, server.tls_port)


@pytest.fixture(scope="session")
def redis(redis_server) -> Bench:
    server = redis_server
    return _bench(RedisTransport, server.port, lambda *a: RedisDevice(server, *a), server, server.tls_port)


@pytest.fixture(scope="session")
def stomp(rabbitmq_server) -> Bench:
    server = rabbitmq_server
    return _bench(
        StompTransport,
        server.stomp_port,
        lambda *a: StompDevice(server.stomp_port, *a),
        server,
        server.stomp_tls_port,
        vhost=VHOST,
    )


@pytest.fixture(scope="session")
def activemq(activemq_server) -> Bench:
    server = activemq_server
    return _bench(
        StompTransport,
        server.port,
        lambda *a: StompDevice(server.port, *a, vhost="/"),
        server,
        server.tls_port,
    )


@pytest.fixture(scope="session")
def ws():
    with WsHub() as hub:
        yield _bench(WsTransport, hub.port, lambda *a: WsDevice(hub, *a))


BROKERS = ("amqp", "mqtt", "redis", "stomp", "activemq", "ws")
MODES = [(name, mode) for name in BROKERS for mode in Mode if (name, mode) != ("ws", Mode.DURABLE)]


@pytest.fixture(params=MODES, ids=lambda one: f"{one[0]}-{one[1]}")
def bench(request) -> Bench:
    """Each broker in each of its modes."""
    name, mode = request.param
    return request.getfixturevalue(name).with_mode(mode)


@pytest.fixture(params=BROKERS)
def broker(request) -> Bench:
    """Each broker, in the mode that is there for all."""
    return request.getfixturevalue(request.param).with_mode(Mode.COMPATIBLE)
