import contextlib
import json
import socket
import threading
import time
from queue import Empty, SimpleQueue

import paho.mqtt.client as mqtt
import pytest

from otppi.brokers.device_name import device_name
from otppi.brokers.errors import BrokerError, Trouble
from otppi.brokers.mqtt import open_link, probe
from otppi.brokers.settings import MqttSettings
from tests.broker_servers.cable import Cable
from tests.broker_servers.certificates import certificates
from tests.broker_servers.server import HOST, LIMITED_PASSWORD, LIMITED_USER, PASSWORD, USER

_LIMIT_S = 10.0

each_version = pytest.mark.parametrize("version", ["3.1.1", "5"])


def settings_for(server, **changes):
    return {
        "host": HOST,
        "port": server.port,
        "username": USER,
        "password": PASSWORD,
        "topic": "sms",
        "client_id": "device-1",
        **changes,
    }


def section(server, **changes):
    made, errors = MqttSettings.parse(settings_for(server, **changes))
    assert not errors, errors
    return made


class Publisher:
    """What an application server does, with the plain library; it may wait for an answer as OTP-Publisher does."""

    def __init__(self, server, listens_to=""):
        self.heard = SimpleQueue()
        self._is_subscribed = threading.Event()
        self._client = client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id="php", clean_session=not listens_to
        )
        client.username_pw_set(USER, PASSWORD)
        client.on_message = lambda _, __, message: self.heard.put(message)
        client.on_subscribe = lambda *_: self._is_subscribed.set()
        if listens_to:
            client.will_set(listens_to, listens_to, qos=1)
        client.connect(HOST, server.port)
        client.loop_start()
        if listens_to:
            client.subscribe(listens_to, qos=0)
            assert self._is_subscribed.wait(_LIMIT_S)

    def publish(self, document, topic="sms", qos=1, **options):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self._client.publish(topic, body, qos, **options).wait_for_publish(_LIMIT_S)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


class Owner:
    """The thread that owns a link, as the subscriber has it."""

    def __init__(self, link):
        self.link = link
        self.taken = SimpleQueue()
        self.error = None
        self._is_ending = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            while not self._is_ending:
                if (message := self.link.receive(0.02)) is not None:
                    self.taken.put(message)
        except BrokerError as error:
            self.error = error
        finally:
            self.link.close()

    def take(self):
        return self.taken.get(timeout=_LIMIT_S)

    def bodies(self, count):
        return [self.take().body for _ in range(count)]

    def lost(self):
        """Wait until the connection is lost, and say how."""
        self._thread.join(_LIMIT_S)
        assert self.error is not None
        return self.error

    def close(self):
        self._is_ending = True
        self._thread.join()


@pytest.fixture
def server(mosquitto_server):
    mosquitto_server.reset()
    return mosquitto_server


@pytest.fixture
def publisher(server):
    one = Publisher(server)
    yield one
    one.close()


@pytest.fixture
def owner(server):
    """Makes links, each with a thread of its own."""
    with contextlib.ExitStack() as ends:

        def opened(most_in_hand=2, **changes):
            one = Owner(open_link(section(server, **changes), most_in_hand))
            ends.callback(one.close)
            return one

        yield opened


def sms(number):
    return {
        "command": "send-sms",
        "data": {"receiver": f"0812000{number:05d}", "message": f"text {number}"},
    }


def test_what_a_publisher_in_php_asks_is_done_and_answered(gateway, server):
    one = gateway(brokers={"mqtt": settings_for(server, version="3.1.1", mode="compatible", qos="0")})
    one.wait_until(lambda: one.broker("mqtt")["state"] == "connected")
    asking = Publisher(server, "answers")
    request = {"reference": "r1", "receiver": "081200000001", "message": "code %s"}
    asking.publish({"command": "request-otp", "callback_topic": "answers", "data": request}, qos=0)
    answer = asking.heard.get(timeout=_LIMIT_S)
    assert json.loads(answer.payload)["response_code"] == "0000"
    verify = {"reference": "r1", "receiver": "081200000001", "otp": one.code_sent()}
    asking.publish({"command": "verify-otp", "callback_topic": "answers", "data": verify}, qos=0)
    assert json.loads(asking.heard.get(timeout=_LIMIT_S).payload)["response_code"] == "0000"
    asking.publish(b"no json", qos=0)
    one.wait_until(lambda: one.broker("mqtt")["dead"] == 1)
    asking.close()


def test_a_message_waits_at_the_broker_for_a_modem_and_through_a_restart(gateway, server, publisher):
    one = gateway(brokers={"mqtt": settings_for(server)})
    one.wait_until(lambda: one.broker("mqtt")["state"] == "connected")
    one.lines["m0"].unplug()
    one.wait_until(lambda: one.state("m0") != "ready")
    publisher.publish(sms(1))
    one.wait_until(lambda: one.broker("mqtt")["later"] >= 1)
    publisher.close()
    server.stop()
    one.wait_until(lambda: one.broker("mqtt")["state"] == "waiting")
    server.start()
    one.lines["m0"].plug()
    one.wait_until(lambda: one.texts() == ["text 1"])
    one.wait_until(lambda: one.broker("mqtt")["done"] == 1)
    one.gateway.stop()
    one.gateway = None
    again = open_link(section(server), 2)
    assert again.receive(0.1) is None
    again.close()


@each_version
def test_what_is_not_settled_comes_again(server, publisher, owner, version):
    first = owner(version=version)
    for number in range(3):
        publisher.publish(b"%d" % number)
    settled, kept = first.take(), first.take()
    assert not kept.is_redelivered
    first.link.settle(settled)
    assert first.take().body == b"2"
    first.close()
    second = owner(version=version)
    again = second.take()
    assert (again.body, again.is_redelivered) == (b"1", True)
    assert again.body_token == kept.body_token
    second.link.settle(again)
    publisher.close()
    server.stop()  # killed, it would lose what it has not written yet
    assert second.lost().trouble is Trouble.LOST
    server.start()
    third = owner(version=version)
    last = third.take()
    assert (last.body, last.is_redelivered) == (b"2", True)
    third.link.settle(last)
    third.close()
    fourth = owner(version=version)
    after = Publisher(server)
    after.publish(b"3")
    after.close()
    assert fourth.take().body == b"3"


@each_version
def test_what_is_published_without_a_promise_is_taken_as_well(publisher, owner, version):
    one = owner(version=version)
    for number in range(5):
        publisher.publish(b"%d" % number, qos=0)
        message = one.take()
        assert message.body == b"%d" % number
        one.link.settle(message)
    publisher.publish(b"5", qos=2)
    assert one.take().body == b"5"


@each_version
def test_no_more_is_handed_over_than_may_be_in_hand(publisher, owner, version):
    one = owner(3, version=version)
    for number in range(100):
        publisher.publish(b"%d" % number)
    taken = [one.take() for _ in range(3)]
    with pytest.raises(Empty):
        one.taken.get(timeout=0.2)
    for message in taken:
        one.link.settle(message)
    assert one.bodies(3) == [b"3", b"4", b"5"]


def test_what_is_handed_over_beyond_all_measure_is_asked_for_again(publisher, owner):
    owner(2, version="3.1.1").close()
    bodies = [b"%d" % number for number in range(300)]
    for body in bodies:
        publisher.publish(body)
    one = owner(2, version="3.1.1")
    for body in bodies:
        message = one.take()
        assert message.body == body
        one.link.settle(message)


@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_the_compatible_mode_has_what_is_published_while_it_listens(publisher, owner, qos):
    publisher.publish(b"too early")
    first = owner(mode="compatible", qos=qos)
    publisher.publish(b"in time", qos=2)
    taken = first.take()
    assert taken.body == b"in time"
    first.link.settle(taken)
    first.close()
    publisher.publish(b"while away")
    second = owner(mode="compatible", qos=qos)
    publisher.publish(b"in time again")
    assert second.take().body == b"in time again"


@each_version
@pytest.mark.parametrize("mode", ["durable", "compatible"])
def test_what_is_retained_is_not_sent_at_each_connection(publisher, owner, version, mode):
    publisher.publish(b"old", retain=True)
    one = owner(1, version=version, mode=mode)
    publisher.publish(b"new", retain=True)
    assert one.take().body == b"new"


def test_after_a_change_of_the_topic_the_session_has_the_new_one_alone(publisher, owner):
    owner(topic="before").close()
    publisher.publish(b"promised", "before")
    one = owner(topic="sms")
    one.link.settle(one.take())
    publisher.publish(b"to nobody", "before")
    publisher.publish(b"new")
    assert one.take().body == b"new"


def test_devices_of_a_group_divide_the_work_and_what_one_was_dealt_waits_for_it(publisher, owner):
    alone = owner(client_id="alone")
    first, second = (owner(100, share_group="shop", client_id=f"device-{n}") for n in (1, 2))
    for number in range(10):
        publisher.publish(b"%d" % number)
    dealt = first.bodies(5), second.bodies(5)
    assert sorted(dealt[0] + dealt[1]) == [b"%d" % number for number in range(10)]
    assert alone.bodies(2) == [b"0", b"1"]
    second.close()
    for number in range(10, 14):
        publisher.publish(b"%d" % number)
    assert len(first.bodies(2)) == 2
    again = owner(100, share_group="shop", client_id="device-2")
    taken = [again.take() for _ in range(7)]
    assert [one.body for one in taken[:5]] == dealt[1]
    assert [one.is_redelivered for one in taken] == [True] * 5 + [False] * 2


def test_a_device_has_a_name_of_its_own_that_stays(server, owner):
    for mode in ("durable", "durable", "compatible", "compatible"):
        owner(client_id="", mode=mode).close()
    owner(client_id="", share_group="shop").close()
    lines = server.log.read_text().splitlines()
    names = [line.partition(" as ")[2].split()[0] for line in lines if "New client connected" in line]
    assert names[:2] == [device_name()] * 2
    assert names[4] == f"{device_name()}-shop"
    assert len(set(names)) == 4


@each_version
def test_who_has_the_same_client_id_takes_the_place(owner, version):
    first = owner(version=version)
    owner(version=version)
    error = first.lost()
    assert error.trouble in (Trouble.LOST, Trouble.TAKEN_OVER)
    assert "same client ID" in str(error)


@each_version
def test_an_answer_is_published_once_and_not_retained(server, owner, version):
    listening = Publisher(server, "answers")
    owner(version=version).link.publish("answers", b"{}")
    heard = listening.heard.get(timeout=_LIMIT_S)
    assert (heard.payload, heard.retain) == (b"{}", False)
    listening.close()
    late = Publisher(server, "answers")
    late.publish(b"next", "answers")
    assert late.heard.get(timeout=_LIMIT_S).payload == b"next"
    late.close()


def test_an_answer_that_cannot_be_published_fails(server, owner):
    def trouble(one):
        with pytest.raises(BrokerError) as raised:
            one.link.publish("answers", b"{}")
        return raised.value.trouble

    limited = owner(username=LIMITED_USER, password=LIMITED_PASSWORD, client_id="limited")
    assert trouble(limited) is Trouble.FORBIDDEN
    assert trouble(owner()) is Trouble.UNHEARD
    with Cable(server.port) as cable:
        hanging = owner(port=cable.port, timeout_ms=500, client_id="hanging")
        cable.hold()
        assert trouble(hanging) is Trouble.TIMEOUT
        cable.cut()
        assert hanging.lost().trouble is Trouble.LOST
        assert trouble(hanging) is Trouble.LOST


@each_version
@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({"password": "wrong"}, Trouble.LOGIN),
        ({"username": ""}, Trouble.LOGIN),
        ({"host": "no-such-host.invalid"}, Trouble.NAME),
        ({"port": 1}, Trouble.REFUSED),
        ({"tls": True}, Trouble.NOT_TLS),
    ],
)
def test_what_keeps_it_from_connecting_is_said(server, version, changes, trouble):
    for use in (probe, lambda settings: open_link(settings, 2)):
        with pytest.raises(BrokerError) as raised:
            use(section(server, version=version, **changes))
        assert raised.value.trouble is trouble, raised.value
        assert PASSWORD not in str(raised.value)


def test_a_port_that_is_not_mqtts_is_recognised(server, redis_server):
    def trouble(**changes):
        with pytest.raises(BrokerError) as raised:
            open_link(section(server, timeout_ms=500, **changes), 2)
        return raised.value.trouble

    assert trouble(port=server.tls_port) is Trouble.NEEDS_TLS
    assert trouble(port=redis_server.port) is Trouble.TIMEOUT
    with answering(b"220 mail.example ESMTP\r\n") as port:
        assert trouble(port=port) is Trouble.OTHER_PROTOCOL


def test_tls_trusts_the_ca_that_it_is_given_and_shows_its_own_certificate(server):
    pairs = certificates()
    own = {"client_certificate": pairs.client.pem, "client_key": pairs.client.key_pem}
    foreign = {"client_certificate": pairs.foreign_client.pem, "client_key": pairs.foreign_client.key_pem}

    def trouble(port=server.tls_port, **changes):
        try:
            open_link(section(server, tls=True, port=port, **changes), 2).close()
        except BrokerError as error:
            return error.trouble

    assert trouble() is Trouble.UNTRUSTED
    assert trouble(tls_verify=False) is None
    assert trouble(ca_certificate=pairs.foreign_ca.pem) is Trouble.UNTRUSTED
    ca = {"ca_certificate": pairs.ca.pem}
    assert trouble(**ca) is None
    assert trouble(server.mutual_tls_port, **ca, **own) is None
    assert trouble(server.mutual_tls_port, **ca) is Trouble.OWN_CERTIFICATE
    assert trouble(server.mutual_tls_port, **ca, **foreign) is Trouble.OWN_CERTIFICATE
    broken = {"client_certificate": pairs.client.pem, "client_key": pairs.foreign_client.key_pem}
    assert trouble(server.mutual_tls_port, **ca, **broken) is Trouble.OWN_CERTIFICATE


@contextlib.contextmanager
def answering(*answers):
    """A broker that says what Mosquitto does not: one answer to each question, and then it is silent."""

    def serve():
        line, _ = listener.accept()
        with line, contextlib.suppress(ConnectionError):
            for answer in answers:
                line.recv(4096)
                line.sendall(answer)
            while line.recv(4096):
                pass

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(_LIMIT_S)


WELCOME = b"\x20\x03\x00\x00\x00"
IMPATIENT_WELCOME = b"\x20\x06\x00\x00\x03\x13\x00\x01"  # who is silent for a second must ask
# Of a subscription, with the number that it has in a connection, and what it is granted.
SUBSCRIBED = b"\x90\x04\x00\x01\x00"
SUBSCRIBED_3 = b"\x90\x03\x00\x01"


@pytest.mark.parametrize(
    ("answers", "trouble", "version"),
    [
        ([b"\x20\x02\x00\x01"], Trouble.OTHER_VERSION, "5"),
        ([b"\x20\x03\x00\x85\x00"], Trouble.CLIENT_ID, "5"),
        ([b"\x20\x03\x00\x88\x00"], Trouble.REFUSAL, "5"),
        ([b"\x20\x02\x00\x02"], Trouble.CLIENT_ID, "3.1.1"),
        ([b"\x20\x02\x00\x04"], Trouble.LOGIN, "3.1.1"),
        ([WELCOME, SUBSCRIBED + b"\x87"], Trouble.FORBIDDEN, "5"),
        ([WELCOME, SUBSCRIBED + b"\x9e"], Trouble.NO_GROUPS, "5"),
        ([WELCOME, SUBSCRIBED + b"\x00"], Trouble.REFUSAL, "5"),
        ([b"\x20\x02\x00\x00", SUBSCRIBED_3 + b"\x80"], Trouble.FORBIDDEN, "3.1.1"),
        ([WELCOME, SUBSCRIBED + b"\x01\xe0\x01\x8e"], Trouble.TAKEN_OVER, "5"),
        ([WELCOME, SUBSCRIBED + b"\x01\xe0\x01\x8b"], Trouble.LOST, "5"),
        ([WELCOME, SUBSCRIBED + b"\x01\xff\x00"], Trouble.OTHER_PROTOCOL, "5"),
        ([IMPATIENT_WELCOME, SUBSCRIBED + b"\x01"], Trouble.TIMEOUT, "5"),
    ],
)
def test_what_other_brokers_say_is_understood(server, answers, trouble, version):
    with answering(*answers) as port, pytest.raises(BrokerError) as raised:
        with contextlib.closing(open_link(section(server, port=port, version=version), 2)) as link:
            link.receive(_LIMIT_S)
    assert raised.value.trouble is trouble, raised.value


@pytest.mark.parametrize("changes", [{}, {"share_group": "shop"}, {"mode": "compatible", "version": "3.1.1"}])
def test_probing_takes_no_message_and_disturbs_nobody(server, publisher, owner, changes):
    one = owner(100, **changes)
    assert probe(section(server, **changes)).startswith("The broker let this device in")
    for number in range(4):
        publisher.publish(b"%d" % number)
    assert one.bodies(4) == [b"0", b"1", b"2", b"3"]


def test_a_link_that_waits_rests(server, publisher):
    link = open_link(section(server), 2)
    publisher.publish(b"1")
    link.settle(link.receive(_LIMIT_S))  # rings
    began_s = time.thread_time()
    assert link.receive(0.3) is None
    assert time.thread_time() - began_s < 0.1
    link.close()


def test_messages_flow_over_tls(server, publisher, owner):
    one = owner(tls=True, port=server.tls_port, ca_certificate=certificates().ca.pem)
    bodies = [b"%d" % number * 700 for number in range(100)]
    for body in bodies:
        publisher.publish(body)
    for body in bodies:
        message = one.take()
        assert message.body == body
        one.link.settle(message)
    publisher.close()
    server.kill()
    assert one.lost().trouble is Trouble.LOST
    server.start()
