"""Every broker in its durable mode, while broker, gateway and network are killed at random moments."""

import pytest

from otppi.brokers.settings import AmqpSettings
from otppi.publisher.amqp import AmqpTransport
from tests.broker_servers.rabbitmq import VHOST
from tests.broker_servers.server import HOST, PASSWORD, USER
from tests.brokers.under_fire import Target, under_fire
from tests.service_process import services


def amqp(server):
    return Target(
        section=AmqpSettings,
        settings={"host": HOST, "virtual_host": VHOST, "username": USER, "password": PASSWORD},
        server=server,
        port=server.port,
        transport=AmqpTransport(host=HOST, port=server.port, vhost=VHOST, username=USER, password=PASSWORD),
    )


TARGETS = {"amqp": ("rabbitmq_server", amqp)}


@pytest.fixture
def make_service(tmp_path, free_port):
    with services(tmp_path, free_port) as make:
        yield make


@pytest.mark.parametrize("name", TARGETS)
def test_every_message_arrives_and_only_what_was_in_flight_at_a_kill_is_doubled(name, make_service, request):
    fixture, target = TARGETS[name]
    server = request.getfixturevalue(fixture)
    server.reset()
    outcome = under_fire(make_service, target(server))
    assert outcome.is_as_promised, outcome
    print(outcome)
