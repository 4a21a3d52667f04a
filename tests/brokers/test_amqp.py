import json
import threading
import time

import pika
import pytest

from otppi.brokers import amqp as links
from otppi.brokers.amqp import open_link, parameters, probe
from otppi.brokers.errors import BrokerError, Trouble
from otppi.brokers.settings import AmqpSettings
from tests.broker_servers.cable import Cable
from tests.broker_servers.certificates import certificates
from tests.broker_servers.rabbitmq import VHOST
from tests.broker_servers.server import LIMITED_PASSWORD, LIMITED_USER, PASSWORD, USER


def settings_for(server, **changes):
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "virtual_host": VHOST,
        "username": USER,
        "password": PASSWORD,
        "topic": "sms",
        **changes,
    }


def section(server, **changes):
    made, errors = AmqpSettings.parse(settings_for(server, **changes))
    assert not errors, errors
    return made


class Publisher:
    """What an application server does, with the plain library."""

    def __init__(self, server):
        self.connection = pika.BlockingConnection(
            pika.ConnectionParameters("127.0.0.1", server.port, VHOST, pika.PlainCredentials(USER, PASSWORD))
        )
        self.channel = self.connection.channel()

    def publish(self, document, queue="sms", *, is_persistent=True, **properties):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        mode = {"delivery_mode": 2} if is_persistent else {}
        self.channel.basic_publish("", queue, body, pika.BasicProperties(**mode, **properties))

    def get(self, queue, timeout_s=10.0):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            method, properties, body = self.channel.basic_get(queue, auto_ack=True)
            if method is not None:
                return properties, body
            self.connection.process_data_events(0.02)
        raise AssertionError("nothing came")

    def waiting(self, queue="sms"):
        return self.channel.queue_declare(queue, passive=True).method.message_count


@pytest.fixture
def server(rabbitmq_server):
    rabbitmq_server.reset()
    return rabbitmq_server


@pytest.fixture
def publisher(server):
    one = Publisher(server)
    yield one
    one.connection.close()


@pytest.fixture
def link(server):
    """Open links; all are closed at the end of the test."""
    opened = []

    def connect(most_in_hand=2, **changes):
        opened.append(open_link(section(server, **changes), most_in_hand))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def receive(link, timeout_s=10.0):
    end = time.monotonic() + timeout_s
    while (message := link.receive(0.2)) is None:
        assert time.monotonic() < end, "nothing came"
    return message


def while_it_listens(link, do):
    """Do what waits for the thread of the connection, which is this one."""
    result = []

    def work():
        try:
            result.append(do())
        except BrokerError as error:
            result.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    while worker.is_alive():
        link.receive(0.01)
    if isinstance(result[0], BrokerError):
        raise result[0]
    return result[0]


def sms(number, **data):
    return {
        "command": "send-sms",
        "data": {"receiver": f"0812000{number:05d}", "message": f"text {number}", **data},
    }


def test_a_message_goes_out_and_leaves_the_queue(gateway, server, publisher):
    one = gateway(brokers={"amqp": settings_for(server)})
    one.wait_until(lambda: one.broker("amqp")["state"] == "connected")
    publisher.publish(sms(1))
    one.wait_until(lambda: one.texts() == ["text 1"])
    one.wait_until(lambda: one.broker("amqp")["done"] == 1)
    one.gateway.stop()
    one.gateway = None
    assert publisher.waiting() == 0


def test_every_command_is_answered_where_the_caller_waits(gateway, server, publisher):
    one = gateway(brokers={"amqp": settings_for(server)})
    one.wait_until(lambda: one.broker("amqp")["state"] == "connected")
    request = {"reference": "r1", "receiver": "081200000001", "message": "code %s"}
    publisher.publish({"command": "request-otp", "callback_topic": "answers", "data": request})
    one.wait_until(lambda: one.broker("amqp")["done"] == 1)
    properties, body = publisher.get("answers")
    assert json.loads(body)["response_code"] == "0000"
    assert 0 < int(properties.expiration) <= 60_000
    verify = {"reference": "r1", "receiver": "081200000001", "otp": one.code_sent()}
    publisher.publish({"command": "verify-otp", "callback_topic": "answers", "data": verify})
    assert json.loads(publisher.get("answers")[1])["response_code"] == "0000"


def test_a_publisher_in_php_finds_what_it_looks_for(gateway, server, publisher):
    """It declares the topic passively, publishes without properties, and asks for its answer with a new connection."""
    one = gateway(brokers={"amqp": settings_for(server, mode="compatible")})
    one.wait_until(lambda: one.broker("amqp")["state"] == "connected")
    publisher.channel.queue_declare("sms", passive=True)
    request = {"command": "get-modem-list", "callback_topic": "modem-list-123456", "callback_delay": 50}
    publisher.publish({**request, "data": {"date_time": 1629685778}}, is_persistent=False)
    asking = Publisher(server)
    asking.channel.queue_declare("modem-list-123456", durable=True, exclusive=False, auto_delete=False)
    asking.channel.basic_qos(prefetch_count=1)
    _, _, body = next(asking.channel.consume("modem-list-123456", inactivity_timeout=10))
    asking.connection.close()
    answer = json.loads(body)
    assert answer["response_code"] == "0000"
    assert list(answer["data"]["modem_list"]) == ["m0"]


def test_what_nothing_can_be_done_with_is_kept_apart(gateway, server, publisher):
    one = gateway(brokers={"amqp": settings_for(server)})
    one.wait_until(lambda: one.broker("amqp")["state"] == "connected")
    publisher.publish(b"no json")
    one.wait_until(lambda: one.broker("amqp")["dead"] == 1)
    properties, body = publisher.get("sms.dead")
    assert body == b"no json"
    assert "JSON" in properties.headers["x-otppi-reason"]
    assert publisher.waiting() == 0


def test_a_message_waits_at_the_broker_while_no_modem_is_ready(gateway, server, publisher):
    one = gateway(brokers={"amqp": settings_for(server)})
    one.wait_until(lambda: one.broker("amqp")["state"] == "connected")
    one.lines["m0"].unplug()
    one.wait_until(lambda: one.state("m0") != "ready")
    publisher.publish(sms(1))
    one.wait_until(lambda: one.broker("amqp")["later"] >= 1)
    one.lines["m0"].plug()
    one.wait_until(lambda: one.texts() == ["text 1"])


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({"password": "wrong"}, Trouble.LOGIN),
        ({"virtual_host": "nowhere"}, Trouble.NO_VHOST),
        ({"username": LIMITED_USER, "password": LIMITED_PASSWORD}, Trouble.FORBIDDEN),
        ({"host": "no-such-host.invalid"}, Trouble.NAME),
        ({"port": 1}, Trouble.REFUSED),
        ({"tls": True}, Trouble.NOT_TLS),
    ],
)
def test_what_keeps_it_from_connecting_is_said(server, changes, trouble):
    with pytest.raises(BrokerError) as raised:
        open_link(section(server, **changes), 2)
    assert raised.value.trouble is trouble, raised.value
    assert PASSWORD not in str(raised.value)


def test_a_queue_that_would_lose_messages_is_not_taken_for_a_durable_one(server, publisher):
    publisher.channel.queue_declare("sms")
    with pytest.raises(BrokerError) as raised:
        open_link(section(server), 2)
    assert raised.value.trouble is Trouble.OTHER_QUEUE
    open_link(section(server, mode="compatible"), 2).close()


def test_tls_trusts_the_ca_that_it_is_given(server):
    ca = certificates().ca.pem
    tls = {"tls": True, "port": server.tls_port, "timeout_ms": 5000}
    with pytest.raises(BrokerError) as raised:
        open_link(section(server, **tls), 2)
    assert raised.value.trouble is Trouble.UNTRUSTED
    open_link(section(server, **tls, ca_certificate=ca), 2).close()
    open_link(section(server, **tls, tls_verify=False), 2).close()


def test_probing_takes_no_message(server, publisher):
    assert "not there yet" in probe(section(server))
    publisher.channel.queue_declare("sms", durable=True)
    publisher.publish(sms(1))
    publisher.connection.process_data_events(0.1)
    assert probe(section(server)).endswith("wait in the queue: 1.")
    assert publisher.waiting() == 1


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, ("guest", "guest")),
        ({"password": "changed"}, ("guest", "changed")),
        ({"username": "shop"}, ("shop", "")),
    ],
)
def test_the_password_that_guest_is_born_with_need_not_be_given(settings, sent):
    credentials = parameters(AmqpSettings(**settings)).credentials
    assert (credentials.username, credentials.password) == sent


def test_a_dead_letter_is_copied_unchanged_and_settled_by_who_asked_for_it(link, publisher):
    body = b"x\0\nSEND\n\xff"
    one = link()
    publisher.publish(body)
    message = receive(one)
    assert while_it_listens(one, lambda: one.bury(message, "not JSON"))
    assert publisher.get("sms.dead")[1] == body
    one.close()
    assert publisher.waiting() == 1
    assert not one.bury(message, "not JSON")  # of a closed link: nothing


def test_what_was_settled_last_is_said_before_the_connection_ends(link, publisher):
    one = link()
    publisher.publish(b"{}")
    one.settle(receive(one))
    one.close()
    assert publisher.waiting() == 0


def test_a_queue_that_counts_what_is_given_back_gets_nothing_back(link, publisher):
    publisher.channel.queue_declare("sms", durable=True, arguments={"x-queue-type": "quorum"})
    one = link(1)
    publisher.publish(b"{}")
    message = receive(one)
    for _ in range(2):
        if not one.give_back(message):
            break
        message = receive(one)
    assert message.deliveries <= 2
    assert not one.give_back(message)
    one.settle(message)


def test_a_classic_queue_takes_back_as_often_as_wanted(link, publisher):
    one = link(1)
    publisher.publish(b"{}")
    for _ in range(3):
        message = receive(one)
        assert one.give_back(message)
        assert message.deliveries == 1


def test_what_its_waiter_has_given_up_on_is_not_done_later(link, publisher):
    one = link(timeout_ms=500)
    publisher.channel.queue_declare("answers", durable=True)
    with pytest.raises(BrokerError) as raised:
        one.publish("answers", b"late")  # nobody listens
    assert raised.value.trouble is Trouble.TIMEOUT
    while_it_listens(one, lambda: one.publish("answers", b"in time"))
    assert publisher.get("answers")[1] == b"in time"


def test_a_channel_that_the_broker_closes_ends_the_connection(link, publisher):
    one = link()
    publisher.publish(b"{}")
    message = receive(one)
    one.settle(message)
    one.settle(message)
    with pytest.raises(BrokerError) as raised:
        receive(one)
    assert raised.value.trouble is Trouble.LOST


def test_no_more_queues_are_made_for_answers_than_somebody_takes(link, publisher, monkeypatch):
    monkeypatch.setattr(links, "_MOST_ANSWER_QUEUES", 3)
    one = link()
    for number in range(3):
        while_it_listens(one, lambda name=f"answers-{number}": one.publish(name, b"{}"))
    with pytest.raises(BrokerError) as raised:
        while_it_listens(one, lambda: one.publish("answers-3", b"{}"))
    assert raised.value.trouble is Trouble.UNHEARD
    while_it_listens(one, lambda: one.publish("answers-0", b"{}"))  # this one is there
    publisher.get("answers-1")
    while_it_listens(one, lambda: one.publish("answers-3", b"{}"))
    publisher.get("answers-2")
    one.close()
    assert publisher.waiting("answers-0") == 2
    assert publisher.waiting("answers-3") == 1
    for gone in ("answers-1", "answers-2"):
        with pytest.raises(pika.exceptions.ChannelClosedByBroker):
            publisher.connection.channel().queue_declare(gone, passive=True)


def test_taking_leave_of_a_broker_that_is_silent_does_not_last(server, monkeypatch):
    monkeypatch.setattr(links, "_LEAVE_S", 0.3)
    with Cable(server.port) as cable:
        one = open_link(section(server, port=cable.port), 2)
        cable.hold()
        began_s = time.monotonic()
        one.close()
        assert time.monotonic() - began_s < 3
