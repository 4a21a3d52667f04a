"""The STOMP link, at RabbitMQ's plugin and at ActiveMQ."""

import itertools
import json
import time
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pika
import pytest
import stomp

from otppi.brokers import stomp as links
from otppi.brokers.errors import BrokerError, Trouble
from otppi.brokers.settings import ActiveMqSettings, StompSettings
from otppi.brokers.stomp import open_link, probe
from tests.broker_servers.cable import Cable
from tests.broker_servers.certificates import certificates
from tests.broker_servers.rabbitmq import VHOST
from tests.broker_servers.server import HOST, LIMITED_PASSWORD, LIMITED_USER, PASSWORD, USER

_NUMBERS = itertools.count()


class Broker:
    """A server with STOMP, and how its clients log in."""

    def __init__(self, section, server, port, tls_port, **login):
        self.section, self.server, self.port, self.tls_port = section, server, port, tls_port
        self.login = login
        self.key = section.key
        self.topic = f"sms{next(_NUMBERS)}"  # a queue of its own for each test: a new server takes seconds

    def values(self, **changes):
        login = {"username": USER, "password": PASSWORD, **self.login}
        return {"host": HOST, "port": self.port, "timeout_ms": 4000, "topic": self.topic, **login, **changes}

    @property
    def queue(self):
        return f"/queue/{self.topic}"

    def settings(self, **changes):
        made, errors = self.section.parse(self.values(**changes))
        assert not errors, errors
        return made


@pytest.fixture(params=["rabbitmq", "activemq"])
def broker(request):
    server = request.getfixturevalue(f"{request.param}_server")
    if request.param == "rabbitmq":
        return Broker(StompSettings, server, server.stomp_port, server.stomp_tls_port, virtual_host=VHOST)
    return Broker(ActiveMqSettings, server, server.port, server.tls_port)


class Client:
    """What an application does, with the plain library."""

    def __init__(self, broker):
        self.heard = []
        self.connection = stomp.Connection12(
            [(HOST, broker.port)],
            vhost=broker.login.get("virtual_host", HOST),
            auto_content_length=False,
            try_loopback_connect=False,
        )
        self.connection.set_listener("", self)
        self.connection.connect(USER, PASSWORD, wait=True)

    def on_message(self, frame):
        self.heard.append(frame)

    def send(self, destination, document, **headers):
        body = document if isinstance(document, str) else json.dumps(document)
        self.connection.send(destination, body, "application/json", {"persistent": "true", **headers})

    def hear(self, destination):
        self.connection.subscribe(destination, destination, "auto")

    def close(self):
        self.connection.disconnect()
        self.connection.transport.stop()

    def next(self, timeout_s=10.0):
        end = time.monotonic() + timeout_s
        while not self.heard:
            assert time.monotonic() < end, "nothing came"
            time.sleep(0.005)
        return self.heard.pop(0)


@pytest.fixture
def client(broker):
    with closing(Client(broker)) as one:
        yield one


def received(link, timeout_s=10.0):
    end = time.monotonic() + timeout_s
    while (message := link.receive(0.2)) is None:
        assert time.monotonic() < end, "nothing came"
    return message


def test_what_is_not_settled_comes_again_and_what_is_does_not(broker, client):
    with closing(open_link(broker.settings(), 4)) as link:
        client.send(broker.queue, "one")
        client.send(broker.queue, "two")
        first, second = received(link), received(link)
        assert (first.body, second.body) == (b"one", b"two")
        assert not first.is_redelivered
        link.settle(first)
        link.publish("elsewhere", b"{}")  # its receipt comes after what was sent before it
    with closing(open_link(broker.settings(), 4)) as link:
        again = received(link)
        assert again.body == b"two"
        assert again.is_redelivered
        assert again.token == second.token
        link.settle(again)
        assert link.receive(0.3) is None


def test_no_more_is_handed_over_than_may_be_in_hand(broker, client):
    with closing(open_link(broker.settings(), 3)) as link:
        for number in range(20):
            client.send(broker.queue, f"{number}")
        got = [received(link) for _ in range(3)]
        assert link.receive(0.5) is None
        link.settle(got[0])
        assert received(link).body == b"3"


def test_what_waited_before_the_first_start_is_not_lost(broker, client):
    client.send(broker.queue, "early")
    with closing(open_link(broker.settings(), 3)) as link:
        assert received(link).body == b"early"


def test_compatible_takes_from_the_topic_and_answers_there(broker, client):
    with closing(open_link(broker.settings(mode="compatible"), 4)) as link:
        assert not link.keeps
        client.hear(f"/topic/{broker.topic}-answers")
        client.send(f"/topic/{broker.topic}", {"command": "echo"})
        assert json.loads(received(link).body) == {"command": "echo"}
        link.publish(f"{broker.topic}-answers", b'{"a":1}')
        frame = client.next()
        assert json.loads(frame.body) == {"a": 1}
        assert "content-length" not in frame.headers or broker.key == "stomp"


def test_an_answer_waits_for_who_comes_late(broker, client):
    with closing(open_link(broker.settings(), 4)) as link:
        link.publish(f"{broker.topic}-answers", b'{"a":1}')
    client.hear(f"{broker.queue}-answers")
    assert json.loads(client.next().body) == {"a": 1}


def test_a_dead_letter_is_kept_apart_with_its_reason(broker, client):
    with closing(open_link(broker.settings(), 4)) as link:
        client.send(broker.queue, "no json")
        message = received(link)
        assert link.bury(message, "not JSON")
        client.hear(f"{broker.queue}.dead")
        frame = client.next()
        assert (frame.body, frame.headers["x-otppi-reason"]) == ("no json", "not JSON")
    assert not link.bury(message, "not JSON")  # of a closed link: nothing
    with closing(open_link(broker.settings(), 4)) as link:
        link.settle(received(link))  # it is settled by who asked for the copy
    with closing(open_link(broker.settings(), 4)) as link:
        assert link.receive(0.3) is None


@pytest.mark.parametrize("filler", [b"\xff", b"\0" * 1_000_000], ids=["no text", "long"])
def test_a_dead_letter_is_kept_as_it_came_whatever_is_in_it(broker, client, filler):
    body = b"x\0\nSEND\ndestination:/queue/%b-victim\n\ninjected\0" % broker.topic.encode() + filler
    client.connection.send(broker.queue, body, headers={"content-length": str(len(body))})
    dead = broker.settings(topic=f"{broker.topic}.dead")
    with closing(open_link(broker.settings(), 4)) as link, closing(open_link(dead, 4)) as other:
        message = received(link)
        assert message.body == body
        assert link.bury(message, "not JSON")
        assert received(other).body == body
        link.settle(message)
    with closing(open_link(broker.settings(topic=f"{broker.topic}-victim"), 4)) as victim:
        assert victim.receive(0.3) is None


def test_headers_of_the_publisher_do_not_pass_for_those_of_activemq(activemq_server):
    broker = Broker(ActiveMqSettings, activemq_server, activemq_server.port, 0)
    odd = {"ack": "mine", "subscription": "mine", "redelivered": "true", "message-id": "mine"}
    with closing(open_link(broker.settings(), 4)) as link, closing(Client(broker)) as client:
        client.send(broker.queue, "one", **odd)
        message = received(link)
        assert (message.body, message.is_redelivered) == (b"one", False)
        link.settle(message)
        client.send(broker.queue, "two")
        assert received(link).body == b"two"
    with closing(open_link(broker.settings(), 4)) as link:
        assert received(link).body == b"two"


def test_headers_of_amqp_that_stomp_does_not_know_do_no_harm(rabbitmq_server):
    broker = Broker(StompSettings, rabbitmq_server, rabbitmq_server.stomp_port, 0, virtual_host=VHOST)
    login = pika.PlainCredentials(USER, PASSWORD)
    odd = {
        "content-length": "1",
        "ack": 5,
        "redelivered": {"a": [1, None, True, b"\xff"]},
        "message-id": "a\r\nb:c",
        "deep": {"when": datetime.now(UTC), "how much": Decimal("1.5")},
    }
    with (
        closing(open_link(broker.settings(), 4)) as link,
        pika.BlockingConnection(pika.ConnectionParameters(HOST, rabbitmq_server.port, VHOST, login)) as amqp,
    ):
        channel = amqp.channel()
        channel.basic_publish("", broker.topic, b"one", pika.BasicProperties(headers=odd))
        # RabbitMQ does not escape it, and for STOMP the message ends there.
        channel.basic_publish("", broker.topic, b"two", pika.BasicProperties(headers={"a": "b\0c"}))
        channel.basic_publish("", broker.topic, b"three")
        came = [received(link) for _ in range(3)]
        assert [message.body for message in came] == [b"one", b"", b"three"]
        for message in came:
            link.settle(message)
    with closing(open_link(broker.settings(), 4)) as link:
        assert link.receive(0.3) is None


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
def test_taking_leave_of_a_broker_that_is_silent_does_not_last(broker, is_tls, monkeypatch):
    monkeypatch.setattr(links, "_LEAVE_S", 0.3)
    with Cable(broker.tls_port if is_tls else broker.port) as cable:
        link = open_link(broker.settings(port=cable.port, tls=is_tls, tls_verify=False), 2)
        cable.hold()
        began_s = time.monotonic()
        link.close()
        link.close()
        assert time.monotonic() - began_s < 3


def test_what_was_settled_last_is_said_before_the_connection_ends(broker, client):
    tls = {"tls": True, "tls_verify": False, "port": broker.tls_port}
    for number in range(3):
        client.send(broker.queue, f"{number}")
        with closing(open_link(broker.settings(**tls), 4)) as link:
            message = received(link)
            assert message.body == b"%d" % number
            link.settle(message)


def test_what_is_given_back_is_handed_to_the_next(broker, client):
    with closing(open_link(broker.settings(), 1)) as link:
        client.send(broker.queue, "one")
        message = received(link)
        assert link.give_back(message) == (broker.key == "stomp")
        if broker.key == "stomp":
            assert received(link).is_redelivered


def test_a_command_goes_through_and_is_answered(gateway, broker, client):
    one = gateway(brokers={broker.key: broker.values()})
    one.wait_until(lambda: one.broker(broker.key)["state"] == "connected")
    data = {"reference": "r", "receiver": "081200000001", "message": "code %s"}
    client.hear(f"{broker.queue}-answers")
    client.send(
        broker.queue, {"command": "request-otp", "callback_topic": f"{broker.topic}-answers", "data": data}
    )
    assert json.loads(client.next().body)["response_code"] == "0000"
    assert len(one.texts()) == 1


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({"password": "wrong"}, Trouble.LOGIN),
        ({"username": LIMITED_USER, "password": LIMITED_PASSWORD}, Trouble.FORBIDDEN),
        ({"port": 1}, Trouble.REFUSED),
        ({"host": "no-such-host.invalid"}, Trouble.NAME),
        ({"tls": True, "timeout_ms": 1000}, Trouble.NOT_TLS),
    ],
)
def test_what_keeps_it_from_connecting_is_said(broker, changes, trouble):
    with pytest.raises(BrokerError) as raised:
        open_link(broker.settings(**changes), 2)
    assert raised.value.trouble is trouble, raised.value
    assert PASSWORD not in str(raised.value)


def test_tls_trusts_the_ca_that_it_is_given(broker):
    tls = {"tls": True, "port": broker.tls_port}
    with pytest.raises(BrokerError) as raised:
        open_link(broker.settings(**tls), 2)
    assert raised.value.trouble is Trouble.UNTRUSTED
    client = certificates().client
    own = {"client_certificate": client.pem, "client_key": client.key_pem}
    open_link(broker.settings(**tls, ca_certificate=certificates().ca.pem, **own), 2).close()
    open_link(broker.settings(**tls, tls_verify=False), 2).close()


def test_a_port_of_tls_is_recognised(broker):
    with pytest.raises(BrokerError) as raised:
        open_link(broker.settings(port=broker.tls_port), 2)
    assert raised.value.trouble is Trouble.NEEDS_TLS


def test_the_port_of_openwire_is_recognised(activemq_server):
    broker = Broker(ActiveMqSettings, activemq_server, activemq_server.openwire_port, 0)
    with pytest.raises(BrokerError) as raised:
        open_link(broker.settings(), 2)
    assert raised.value.trouble is Trouble.OPENWIRE


def test_a_virtual_host_that_is_not_there_is_said(rabbitmq_server):
    broker = Broker(StompSettings, rabbitmq_server, rabbitmq_server.stomp_port, 0, virtual_host="nowhere")
    with pytest.raises(BrokerError) as raised:
        open_link(broker.settings(), 2)
    assert raised.value.trouble in (Trouble.NO_VHOST, Trouble.LOGIN), raised.value


def test_a_broken_connection_is_noticed(broker):
    with Cable(broker.port) as cable, closing(open_link(broker.settings(port=cable.port), 2)) as link:
        cable.cut()
        with pytest.raises(BrokerError):
            received(link)


def test_messages_survive_connections_that_break_often(broker, client):
    """ActiveMQ counts redeliveries and gives up after six; a connection that breaks must not count."""
    client.send(broker.queue, "one")
    with Cable(broker.port) as cable:
        for _ in range(8):
            with closing(open_link(broker.settings(port=cable.port), 2)) as link:
                assert received(link).body == b"one"
                cable.cut()
            cable.mend()
        with closing(open_link(broker.settings(), 2)) as link:
            assert received(link).body == b"one"


def test_probing_takes_no_message(broker, client):
    client.send(broker.queue, "one")
    assert "let this device in" in probe(broker.settings())
    with closing(open_link(broker.settings(), 2)) as link:
        assert not received(link).is_redelivered
