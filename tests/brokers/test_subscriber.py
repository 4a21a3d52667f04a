"""The loop of all brokers, at a broker that is in memory, in front of a real gateway."""

import json
import queue
import time

import pytest

from otppi.brokers.errors import BrokerError, Trouble
from otppi.brokers.link import Kind, Message
from otppi.brokers.settings import AmqpSettings
from otppi.brokers.subscriber import Subscriber
from otppi.mail.settings import PLAIN, EmailAccountSettings
from otppi.sim.faults import Faults
from tests.gateway_under_test import Sim
from tests.mail_server import PASSWORD as MAIL_PASSWORD
from tests.mail_server import USER as MAIL_USER
from tests.mail_server import MailServer


class MemoryBroker:
    """A queue, its dead letters, and what was answered; a link to it is made by `open`."""

    def __init__(self, *, keeps=True, may_give_back=True):
        self.keeps, self.may_give_back = keeps, may_give_back
        self.waiting = queue.SimpleQueue()
        self.settled, self.dead, self.answers, self.given_back = [], [], [], []
        self.links = []
        self.bury_error = None

    def put(self, document, *, name="", redelivered=False):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.waiting.put(Message(body=body, handle=body, token=name, is_redelivered=redelivered))

    def open(self, settings, most_in_hand):
        self.links.append(MemoryLink(self))
        return self.links[-1]


class MemoryLink:
    def __init__(self, broker):
        self.broker, self.keeps, self.is_closed = broker, broker.keeps, False

    def receive(self, timeout_s):
        try:
            return self.broker.waiting.get(timeout=min(timeout_s, 0.05))
        except queue.Empty:
            return None

    def settle(self, message):
        if not self.is_closed:
            self.broker.settled.append(message.body)

    def give_back(self, message):
        if self.broker.may_give_back:
            self.broker.given_back.append(message.body)
        return self.broker.may_give_back

    def bury(self, message, reason):
        if self.broker.bury_error is not None:
            raise self.broker.bury_error
        self.broker.dead.append((message.body, reason))
        return True

    def publish(self, topic, body):
        self.broker.answers.append((topic, json.loads(body)))

    def close(self):
        self.is_closed = True


@pytest.fixture
def one(gateway):
    return gateway(modems=(Sim(), Sim(name="off", active=False)))


@pytest.fixture
def subscribe(one):
    running = []

    def start(broker, **settings):
        kind = Kind(section=AmqpSettings, open=broker.open, probe=lambda _: "")
        made = AmqpSettings(topic="sms", received_topic="news", reconnect_delay_ms=100, **settings)
        running.append(Subscriber(kind, made, one.gateway.door, one.gateway.bus, 4))
        running[-1].start()
        return running[-1]

    yield start
    for each in running:
        each.end()
        each.join(1.0)


def sms(text="hello", **data):
    return {"command": "send-sms", "data": {"receiver": "081200000001", "message": text, **data}}


def until(is_true, timeout_s=10.0):
    end = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.005)


def test_equal_messages_without_a_name_are_two_messages_even_if_one_has_to_wait(one, subscribe):
    broker = MemoryBroker()
    subscribe(broker)
    broker.put(sms())
    until(lambda: len(broker.settled) == 1)
    one.lines["m0"].unplug()
    one.wait_until(lambda: one.state("m0") != "ready")
    broker.put(sms())
    until(lambda: one.texts() and broker.links)
    time.sleep(0.7)  # it is tried again meanwhile
    one.lines["m0"].plug()
    until(lambda: len(broker.settled) == 2)
    assert one.texts() == ["hello", "hello"]


def test_what_is_handed_over_again_is_not_sent_again(one, subscribe):
    broker = MemoryBroker()
    subscribe(broker)
    broker.put(sms())
    until(lambda: len(broker.settled) == 1)
    broker.put(sms(), redelivered=True)
    until(lambda: len(broker.settled) == 2)
    assert one.texts() == ["hello"]


def test_a_name_that_a_publisher_gives_twice_does_not_answer_for_another_request(one, subscribe):
    broker = MemoryBroker()
    subscribe(broker)
    right = {"reference": "r1", "receiver": "081200000001"}
    broker.put({"command": "request-otp", "data": {**right, "message": "code %s"}}, name="same")
    until(lambda: one.texts())
    verify = {"command": "verify-otp", "callback_topic": "a"}
    broker.put({**verify, "data": {**right, "otp": one.code_sent()}}, name="same")
    until(lambda: len(broker.answers) == 1)
    broker.put({**verify, "data": {**right, "reference": "r2", "otp": "0"}}, name="same")
    until(lambda: len(broker.answers) == 2)
    assert [document["response_code"] for _, document in broker.answers] == ["0000", "1202"]


@pytest.mark.parametrize("delay", [10**400, "1e999", -1, "soon", None, [], True, 5])
def test_whatever_the_delay_is_the_message_is_settled(one, subscribe, delay):
    broker = MemoryBroker()
    subscribe(broker)
    broker.put({"command": "echo", "callback_topic": "a", "callback_delay": delay, "data": {}})
    until(lambda: len(broker.settled) == 1)
    assert len(broker.answers) == 1


@pytest.mark.parametrize(
    "topic", ["sms", "sms.dead", "news", "/queue/sms", "/topic/sms", "/amq/queue/sms", "/queue//x", "a b", 5]
)
def test_nothing_is_answered_where_it_would_be_a_request_or_news(one, subscribe, topic):
    broker = MemoryBroker()
    subscribe(broker)
    broker.put({"command": "echo", "callback_topic": topic, "data": {}})
    until(lambda: len(broker.settled) == 1)
    assert broker.answers == []


def test_what_is_no_request_is_buried_and_then_settled(subscribe):
    broker = MemoryBroker()
    subscribe(broker)
    for body in (b"no json", b"\xff\xfe", b"[1]", b'{"command":"x","data":{}}', b"1" * 70_000, b"[" * 5_000):
        broker.put(body)
    until(lambda: len(broker.settled) == 6)
    assert {body for body, _ in broker.dead} == set(broker.settled)


def test_a_dead_letter_that_nobody_confirmed_is_not_settled(subscribe):
    broker = MemoryBroker()
    broker.bury_error = BrokerError(Trouble.TIMEOUT)
    subscribe(broker)
    broker.put(b"no json")
    until(lambda: len(broker.links) == 2)  # the connection is made anew, and the message comes again
    assert broker.settled == []
    broker.bury_error = BrokerError(Trouble.FORBIDDEN)
    broker.put(b"no json")
    until(lambda: broker.settled == [b"no json"])


def test_what_every_modem_refuses_is_tried_three_times_and_then_buried(one, subscribe):
    broker = MemoryBroker()
    subscribe(broker)
    one.lines["m0"].set_faults(Faults(failing_sends=100))
    broker.put(sms())
    until(lambda: broker.dead)
    assert broker.given_back == []
    assert one.texts() == []


def test_a_list_of_which_something_was_sent_stays_here(one, subscribe, monkeypatch):
    monkeypatch.setattr("otppi.brokers.subscriber._GIVE_BACK_AFTER_S", 0.2)
    broker = MemoryBroker()
    subscribe(broker)
    broker.put({"command": "send-message", "data": [sms("first", id=1), sms("second", modem_id="off")]})
    until(lambda: one.texts() == ["first"])
    broker.put(sms("third", modem_id="off"))
    until(lambda: broker.given_back)
    assert [json.loads(body)["data"]["message"] for body in broker.given_back] == ["third"]
    assert one.texts() == ["first"]


def test_a_new_connection_does_not_wait_for_what_no_modem_can_take(subscribe, monkeypatch):
    monkeypatch.setattr("otppi.brokers.subscriber._REFRESH_GRACE_S", 0.2)
    broker = MemoryBroker(may_give_back=False)
    subscribe(broker, refresh_s=1)
    broker.put(sms(modem_id="off"))
    until(lambda: len(broker.links) == 2)
    broker.put({"command": "echo", "data": {}})
    until(lambda: len(broker.settled) == 1)


def test_ending_does_not_wait_for_what_the_broker_keeps(subscribe):
    broker = MemoryBroker(may_give_back=False)
    one = subscribe(broker)
    broker.put(sms(modem_id="off"))
    until(lambda: one.show()["later"])
    began_s = time.monotonic()
    one.end()
    one.join(30.0)
    assert time.monotonic() - began_s < 5.0
    assert broker.settled == []
    assert one.died() == ()


def test_an_email_waits_at_the_broker_while_its_server_is_away_and_arrives_once(one, subscribe):
    server = MailServer(PLAIN)
    one.gateway.store.put(
        EmailAccountSettings,
        "office",
        {
            "name": "office",
            "host": "127.0.0.1",
            "port": server.port,
            "security": PLAIN,
            "allow_insecure": True,
            "sender_address": MAIL_USER,
            "password": MAIL_PASSWORD,
        },
    )
    one.wait_until(one.gateway.mail.accounts)
    broker = MemoryBroker()
    subscribe(broker)
    broker.put(
        {
            "command": "send-email",
            "callback_topic": "answers",
            "data": {"receiver": "person@example.com", "subject": "s", "message": "halo"},
        }
    )
    until(lambda: not one.gateway.mail.accounts()[0].is_ready)
    with server:
        until(lambda: broker.settled)
    assert broker.dead == []
    assert len(server.messages) == 1
    until(lambda: broker.answers)
    ((topic, answer),) = broker.answers
    assert (topic, answer["response_code"], answer["data"]["channel"]) == ("answers", "0000", "email")
