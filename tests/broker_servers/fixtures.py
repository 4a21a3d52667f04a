"""The brokers as fixtures: each is started when a test first asks for it, and serves the whole run."""

from collections.abc import Iterator

import pytest

from tests import needs
from tests.broker_servers import activemq
from tests.broker_servers.activemq import ActiveMqServer
from tests.broker_servers.mosquitto import MosquittoServer
from tests.broker_servers.rabbitmq import RabbitMqServer
from tests.broker_servers.redis import RedisServer


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    needs.programs("redis-server")
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMqServer]:
    needs.programs("rabbitmq-server", "epmd")
    with RabbitMqServer() as server:
        yield server


@pytest.fixture(scope="session")
def mosquitto_server() -> Iterator[MosquittoServer]:
    needs.programs("mosquitto", "mosquitto_passwd")
    with MosquittoServer() as server:
        yield server


@pytest.fixture(scope="session")
def activemq_server() -> Iterator[ActiveMqServer]:
    needs.programs("java")
    needs.file(activemq.JAR)
    with ActiveMqServer() as server:
        yield server
