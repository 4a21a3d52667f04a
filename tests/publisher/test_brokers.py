"""Every call over every broker, with the real servers and a consumer that does as a gateway."""

import json
import logging
import os
import socket
import threading
import time
from dataclasses import replace

import pytest

from otppi.publisher import (
    AnswerTimeout,
    CannotConnect,
    ConfigurationError,
    ConnectionLost,
    Limits,
    LoginRefused,
    MissingQueue,
    Mode,
    Publisher,
    RedisTransport,
    Refused,
    Tls,
    WsTransport,
)
from tests.broker_servers.cable import Cable
from tests.broker_servers.rabbitmq import VHOST
from tests.broker_servers.server import HOST, LIMITED_PASSWORD, LIMITED_USER, PASSWORD, USER
from tests.gateway_under_test import GatewayUnderTest
from tests.publisher.devices import MODEMS, WsDevice, WsHub

TEXT = "Selamat pagi, kode 112233"


MARKS = {
    ("AmqpTransport", Mode.DURABLE): lambda about: about["mode"] == 2 and len(about["message_id"]) == 32,
    ("AmqpTransport", Mode.COMPATIBLE): lambda about: about == {"mode": None, "message_id": None},
    ("MqttTransport", Mode.DURABLE): lambda about: about == {"qos": 1, "is_retained": False},
    ("MqttTransport", Mode.COMPATIBLE): lambda about: about == {"qos": 0, "is_retained": False},
    ("RedisTransport", Mode.DURABLE): lambda about: about == {"fields": [b"json"]},
    ("RedisTransport", Mode.COMPATIBLE): lambda about: about == {},
    ("StompTransport", Mode.DURABLE): lambda about: about["persistent"] == "true",
    ("StompTransport", Mode.COMPATIBLE): lambda about: about["persistent"] is None,
    ("WsTransport", Mode.COMPATIBLE): lambda about: about == {"opcode": 1},
}


def test_a_message_is_handed_over_as_the_gateway_expects_it(bench):
    with bench.device() as device:
        before_s = int(time.time())
        answer = bench.publisher().send_sms("081200000001", TEXT, lifetime_s=60, id="order-7")
        assert (answer.code, answer.is_answered, answer.is_success, answer.is_unknown) == (
            "1111",
            False,
            False,
            True,
        )
        got = device.next()
    data = got.document["data"]
    assert set(got.document) == {"command", "data"}
    assert got.document["command"] == "send-sms"
    assert before_s <= data["date_time"] <= time.time()
    assert data == {
        "date_time": data["date_time"],
        "expiration": data["date_time"] + 60,
        "id": "order-7",
        "receiver": "081200000001",
        "message": TEXT,
    }
    assert answer.data == {"date_time": data["date_time"]}
    assert MARKS[type(bench.transport).__name__, bench.transport.mode](got.about), got.about


def test_the_answer_comes_back_where_it_is_asked_for(bench):
    with bench.device() as device:
        publisher = bench.publisher(callback_delay_ms=3)
        assert publisher.send_sms("081200000001", TEXT, wait_for_answer=True).is_success
        request = device.next().document
        assert request["callback_delay"] == 3
        assert len(request["callback_topic"]) > 40
        assert publisher.modem_list().modems == MODEMS
        assert device.next().document["callback_topic"] != request["callback_topic"]


def test_a_gateway_that_gives_no_answer_is_waited_for_so_long_and_no_longer(bench):
    with bench.device() as device:
        device.answer = lambda document: [document["callback_topic"]]  # JSON, and no answer
        began_s = time.monotonic()
        with pytest.raises(AnswerTimeout) as caught:
            bench.publisher(limits=Limits(connect_s=5, answer_s=0.1)).modem_list()
        assert caught.value.is_unknown
        assert 0.1 <= time.monotonic() - began_s < 4
        assert device.next().document["command"] == "get-modem-list"


@pytest.mark.parametrize("name", ["amqp", "mqtt", "redis"])
def test_nobody_at_the_far_end_is_an_error_where_the_broker_can_tell(name, request):
    modes = {"amqp": tuple(Mode), "mqtt": (Mode.DURABLE,), "redis": (Mode.COMPATIBLE,)}
    for mode in modes[name]:
        with pytest.raises(MissingQueue, match="gateway set up") as caught:
            request.getfixturevalue(name).with_mode(mode).publisher().send_sms("081200000001", TEXT)
        assert not caught.value.is_unknown


@pytest.mark.parametrize("name", ["redis", "stomp", "activemq"])
def test_a_durable_message_waits_for_a_gateway_that_has_never_been_there(name, request):
    bench = request.getfixturevalue(name).with_mode(Mode.DURABLE)
    bench.publisher().send_sms("081200000001", TEXT)
    with bench.device() as device:
        assert device.next().document["data"]["message"] == TEXT


def test_a_wrong_password_is_said(bench):
    with pytest.raises(LoginRefused, match="password") as caught:
        bench.publisher(password="very wrong").send_sms("081200000001", TEXT)
    assert not caught.value.is_unknown


@pytest.mark.parametrize("name", ["amqp", "redis", "mqtt", "stomp", "activemq"])
def test_a_user_without_rights_is_refused(name, request):
    bench = request.getfixturevalue(name).with_mode(Mode.DURABLE)
    limited = {"username": LIMITED_USER, "password": LIMITED_PASSWORD}
    with bench.device():
        with pytest.raises(Refused, match="does not let this user"):
            bench.publisher(**limited).send_sms("081200000001", TEXT)
        with pytest.raises(Refused, match="does not let this user"):
            bench.publisher(**limited).modem_list()


def test_nothing_that_listens_is_said(broker, free_port):
    with pytest.raises(CannotConnect, match="Nothing listens"):
        broker.publisher(port=free_port()).send_sms("081200000001", TEXT)


# A library that gives up its socket to the garbage collector when TLS fails.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["amqp", "mqtt", "redis", "stomp"])
def test_tls_is_checked_and_can_be_had(name, request, tmp_path):
    bench = request.getfixturevalue(name).with_mode(Mode.COMPATIBLE)
    with bench.device() as device:
        with pytest.raises(CannotConnect, match="certificate of the broker is not trusted"):
            bench.over_tls().send_sms("081200000001", TEXT)
        bench.over_tls(ca_file=bench.ca_file).send_sms("081200000001", TEXT)
        assert device.next().document["data"]["message"] == TEXT
        assert bench.over_tls(verify=False).modem_list().is_success
        empty = tmp_path / "empty.pem"
        empty.touch()
        with pytest.raises(ConfigurationError, match="holds no certificate"):
            bench.over_tls(ca_file=bench.ca_file, certificate_file=empty, key_file=empty).modem_list()


def test_a_broker_that_is_silent_is_not_waited_for_for_ever(broker):
    with Cable(broker.transport.port) as cable:
        cable.hold()
        began_s = time.monotonic()
        with pytest.raises(CannotConnect):
            broker.publisher(port=cable.port, limits=Limits(connect_s=0.2, answer_s=9)).send_sms(
                "081200000001", TEXT
            )
        assert time.monotonic() - began_s < 4


def test_a_connection_that_breaks_after_the_message_left_leaves_its_outcome_unknown(broker):
    with Cable(broker.transport.port) as cable, broker.device() as device:

        def cut(_):
            cable.cut()

        device.answer = cut
        with pytest.raises(ConnectionLost, match="may have been taken") as caught:
            broker.publisher(port=cable.port).modem_list()
        assert caught.value.is_unknown
        assert device.next().document["command"] == "get-modem-list"


def test_a_broker_that_does_not_confirm_leaves_the_outcome_unknown(amqp, rabbitmq_server):
    bench = amqp.with_mode(Mode.DURABLE)
    with bench.device():
        rabbitmq_server.evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.0)")  # takes nothing more
        try:
            with pytest.raises(ConnectionLost) as caught:
                bench.publisher(limits=Limits(connect_s=0.5, answer_s=9)).send_sms("081200000001", TEXT)
        finally:
            rabbitmq_server.evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.4)")
        assert caught.value.is_unknown


def test_no_password_and_no_text_reaches_a_log_or_an_error(broker, caplog):
    caplog.set_level(logging.DEBUG)
    transport = replace(broker.transport, limits=Limits(connect_s=5, answer_s=0.05))
    with broker.device() as device:
        device.answer = lambda _: None
        Publisher(transport).send_sms("081200000001", TEXT)
        with pytest.raises(AnswerTimeout) as late:
            Publisher(transport).send_sms("081200000001", TEXT, wait_for_answer=True)
    with pytest.raises(LoginRefused) as refused:
        Publisher(replace(transport, password="very wrong")).send_sms("081200000001", TEXT)
    said = caplog.text + repr(transport) + repr(late.value) + repr(refused.value)
    assert PASSWORD not in said
    assert "very wrong" not in said
    assert TEXT not in said


def test_a_redis_without_streams_is_named_and_the_message_that_it_repeats_is_not():
    replies = {
        "PING": b"+PONG\r\n",
        "XADD": f"-ERR unknown command 'XADD', with args: 'sms' '{TEXT}'\r\n".encode(),
    }

    def old_redis(listener):
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            while line := lines.readline():
                words = [(lines.readline(), lines.readline())[1] for _ in range(int(line[1:]))]
                connection.sendall(replies.get(words[0].strip().decode(), b"+OK\r\n"))

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=old_redis, args=[listener])
        thread.start()
        with pytest.raises(Refused, match="too old for streams") as caught:
            Publisher(RedisTransport(port=listener.getsockname()[1])).send_sms("081200000001", TEXT)
        thread.join(10)
    assert TEXT not in str(caught.value)


@pytest.mark.parametrize("name", ["amqp", "stomp"])
def test_no_queue_of_an_answer_is_left_behind(name, request, rabbitmq_server):
    bench = request.getfixturevalue(name).with_mode(Mode.DURABLE)
    queues = f'[binary_to_list(element(4, amqqueue:get_name(Q))) || Q <- rabbit_amqqueue:list(<<"{VHOST}">>)]'
    with bench.device():
        before = json.loads(rabbitmq_server.evaluate(queues))
        assert bench.publisher().modem_list().is_success
        GatewayUnderTest.wait_until(lambda: set(json.loads(rabbitmq_server.evaluate(queues))) <= set(before))


def test_each_call_has_its_own_connection_so_a_fork_shares_none(redis):
    bench = redis.with_mode(Mode.COMPATIBLE)
    publisher = bench.publisher()
    with bench.device() as device:
        publisher.send_sms("081200000001", "parent")
        child = os.fork()
        if not child:
            os._exit(0 if publisher.modem_list().is_success else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert publisher.modem_list().is_success
        assert device.next().document["data"]["message"] == "parent"


def test_without_an_account_the_publisher_in_php_reaches_an_open_broker_and_so_does_ours(redis_server):
    """It never logs in to Redis, whatever its ini file says; a password in there must not be in the way."""
    import redis as library

    with library.Redis(HOST, redis_server.port, username=USER, password=PASSWORD) as client:
        client.acl_setuser("default", enabled=True, nopass=True)
        try:
            transport = RedisTransport(
                host=HOST,
                port=redis_server.port,
                username="kamshory",
                password="kamshory",
                mode=Mode.COMPATIBLE,
                topic="open",
            )
            with client.pubsub() as channel:
                channel.subscribe("open")
                assert channel.get_message(timeout=5)["type"] == "subscribe"
                assert Publisher(transport).send_sms("081200000001", TEXT).code == "1111"
            with pytest.raises(LoginRefused):
                Publisher(replace(transport, mode=Mode.DURABLE)).send_sms("081200000001", TEXT)
        finally:
            client.acl_setuser("default", enabled=True, reset_passwords=True, passwords=[f"+{PASSWORD}"])


def test_a_websocket_account_with_the_user_name_for_a_password_still_works():
    with WsHub(password=USER) as hub, WsDevice(hub, "sms", False, password=USER) as device:
        transport = WsTransport(host=HOST, port=hub.port, username=USER, password="of the file")
        assert Publisher(transport).modem_list().is_success
        assert device.next().document["command"] == "get-modem-list"


def test_the_port_of_openwire_is_recognised(activemq_server, activemq):
    with pytest.raises(CannotConnect, match="OpenWire"):
        activemq.publisher(
            port=activemq_server.openwire_port, limits=Limits(connect_s=0.3, answer_s=1)
        ).send_sms("081200000001", TEXT)


def test_a_password_is_not_sent_in_the_clear_to_a_port_of_tls(stomp):
    with pytest.raises(CannotConnect, match="switch SSL on"):
        stomp.publisher(port=stomp.tls_port, limits=Limits(connect_s=0.5, answer_s=1)).send_sms(
            "081200000001", TEXT
        )


def test_a_client_certificate_is_shown_where_it_is_demanded(mosquitto_server, mqtt, tmp_path):
    from tests.broker_servers.certificates import certificates

    client = certificates().client
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    certificate.write_text(client.pem)
    key.write_text(client.key_pem)
    tls = Tls(ca_file=mosquitto_server.ca_file, certificate_file=certificate, key_file=key)
    bench = mqtt.with_mode(Mode.DURABLE)
    with bench.device() as device:
        bench.publisher(port=mosquitto_server.mutual_tls_port, tls=tls).send_sms("081200000001", TEXT)
        assert device.next().document["data"]["message"] == TEXT
