import json
import socket
import threading
import time

import pytest
import redis

from otppi.brokers import heartbeat
from otppi.brokers import redis as links
from otppi.brokers.errors import BrokerError, Trouble
from otppi.brokers.redis import open_link, probe
from otppi.brokers.settings import RedisSettings
from tests import needs
from tests.broker_servers.cable import Cable
from tests.broker_servers.certificates import certificates
from tests.broker_servers.redis import RedisServer
from tests.broker_servers.server import HOST, LIMITED_PASSWORD, LIMITED_USER, PASSWORD, USER

COMPATIBLE = {"mode": "compatible"}


def settings_for(server, **changes):
    return {
        "host": HOST,
        "port": server.port,
        "username": USER,
        "password": PASSWORD,
        "timeout_ms": 1000,
        **changes,
    }


def section(server, **changes):
    made, errors = RedisSettings.parse(settings_for(server, **changes))
    assert not errors, errors
    return made


def sms(number, **more):
    return {
        "command": "send-sms",
        "data": {"receiver": f"0812000{number:05d}", "message": f"text {number}"},
        **more,
    }


class Publisher:
    """What an application server does, with the plain library."""

    def __init__(self, server):
        self.client = redis.Redis(host=HOST, port=server.port, username=USER, password=PASSWORD, protocol=2)

    def add(self, document, stream="sms"):
        body = document if isinstance(document, bytes) else json.dumps(document)
        return self.client.xadd(stream, {"json": body})

    def pending(self, group="otppi"):
        return self.client.xpending("sms", group)["pending"]


@pytest.fixture
def server(redis_server):
    redis_server.reset()
    return redis_server


@pytest.fixture
def publisher(server):
    one = Publisher(server)
    yield one
    one.client.close()


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


@pytest.fixture
def hurried(monkeypatch):
    """What else takes a minute."""
    monkeypatch.setattr(links, "_LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(links, "_ABANDONED_S", 1.0)
    monkeypatch.setattr(links, "_OTHERS_FIRST_S", 0.5)
    monkeypatch.setattr(heartbeat, "_SILENCE_S", 0.1)
    monkeypatch.setattr(links, "_LISTENER_LATE_S", 0.2)


def receive(link, timeout_s=5.0):
    message = link.receive(timeout_s)
    assert message is not None, "nothing came"
    return message


def listen(link):
    """Until the connection is lost."""
    until_s = time.monotonic() + 10
    while time.monotonic() < until_s:
        assert link.receive(0.05) is None


def bodies(link, count, timeout_s=0.2):
    """What comes, at most so many."""
    came = []
    while len(came) < count and (message := link.receive(timeout_s)) is not None:
        came.append(message)
    return [one.body for one in came]


def test_a_message_goes_out_and_leaves_the_stream(gateway, server, publisher):
    publisher.add(sms(1))
    one = gateway(brokers={"redis": settings_for(server)})
    one.wait_until(lambda: one.texts() == ["text 1"])
    server.kill()
    one.wait_until(lambda: one.broker("redis")["state"] == "waiting")
    server.start()
    publisher.add(sms(2))
    one.wait_until(lambda: one.texts() == ["text 1", "text 2"])
    one.wait_until(lambda: one.broker("redis")["in_hand"] == 0)
    one.gateway.stop()
    one.gateway = None
    assert (publisher.client.xlen("sms"), publisher.pending()) == (0, 0)


def test_every_command_is_answered_where_the_caller_listens(gateway, server, publisher):
    one = gateway(brokers={"redis": settings_for(server)})
    answers = publisher.client.pubsub(ignore_subscribe_messages=True)
    answers.subscribe("answers")
    request = {"reference": "r1", "receiver": "081200000001", "message": "code %s"}
    publisher.add({"command": "request-otp", "callback_topic": "answers", "data": request})
    assert json.loads(next(answers.listen())["data"])["response_code"] == "0000"
    verify = {"reference": "r1", "receiver": "081200000001", "otp": one.code_sent()}
    publisher.add({"command": "verify-otp", "callback_topic": "answers", "data": verify})
    assert json.loads(next(answers.listen())["data"])["response_code"] == "0000"
    answers.close()


def test_what_nothing_can_be_done_with_is_kept_apart_for_a_day(gateway, server, publisher):
    one = gateway(brokers={"redis": settings_for(server)})
    publisher.add(b"no json")
    publisher.client.xadd("sms", {"body": "{}", "colour": "red"})
    one.wait_until(lambda: one.broker("redis")["dead"] == 2)
    one.wait_until(lambda: publisher.client.xlen("sms") == 0)
    first, second = (fields for _, fields in publisher.client.xrange("sms.dead"))
    assert first[b"json"] == b"no json"
    assert b"JSON" in first[b"reason"]
    assert second == {b"body": b"{}", b"colour": b"red", b"reason": b"it has no field json"}
    assert 86_000 < publisher.client.ttl("sms.dead") <= 86_400


def test_a_message_waits_at_the_broker_while_no_modem_is_ready(gateway, server, publisher):
    one = gateway(brokers={"redis": settings_for(server)})
    one.lines["m0"].unplug()
    one.wait_until(lambda: one.state("m0") != "ready")
    publisher.add(sms(1))
    one.wait_until(lambda: one.broker("redis")["later"] >= 1)
    assert publisher.pending() == 1
    one.lines["m0"].plug()
    one.wait_until(lambda: one.texts() == ["text 1"])


def test_a_publisher_in_php_publishes_first_and_listens_afterwards(gateway, server):
    one = gateway(brokers={"redis": settings_for(server, **COMPATIBLE)})
    one.wait_until(lambda: one.broker("redis")["state"] == "connected")
    request = json.dumps(
        {
            "command": "get-modem-list",
            "callback_topic": "modem-list-123456",
            "callback_delay": 1,
            "data": {"date_time": int(time.time())},
        }
    )
    with socket.create_connection((HOST, server.port), 10) as php:
        read = php.makefile("rb")
        php.sendall(f"AUTH {PASSWORD!r}\r\n".encode())
        assert read.readline() == b"+OK\r\n"
        php.sendall(b"*3\r\n$7\r\nPUBLISH\r\n$3\r\nsms\r\n$%d\r\n%s\r\n" % (len(request), request.encode()))
        assert read.readline() == b":1\r\n"
        # The answer is under way already and finds nobody.
        one.wait_until(lambda: one.broker("redis")["received"] == 1)
        time.sleep(0.1)
        php.sendall(b"*2\r\n$9\r\nSUBSCRIBE\r\n$17\r\nmodem-list-123456\r\n")
        lines = [read.readline() for _ in range(13)]
    assert lines[8] == b"message\r\n"
    assert json.loads(lines[12])["response_code"] == "0000"


def test_no_more_are_handed_over_than_may_be_in_hand(link, publisher):
    for number in range(100):
        publisher.add(b"%d" % number)
    one = link(3)
    came = [receive(one) for _ in range(3)]
    assert [message.body for message in came] == [b"0", b"1", b"2"]
    assert one.receive(0.1) is None
    assert publisher.pending() == 3
    one.settle(came[1])
    assert receive(one).body == b"3"
    assert one.receive(0.1) is None


def test_room_that_becomes_free_is_used_at_once(link, publisher):
    for number in range(2):
        publisher.add(b"%d" % number)
    one = link(1)
    first = receive(one)
    worker = threading.Timer(0.1, one.settle, [first])
    worker.start()
    began_s = time.monotonic()
    assert receive(one, 30).body == b"1"
    assert time.monotonic() - began_s < 5
    worker.join()


def test_each_message_has_a_name_of_its_own(link, publisher):
    one, ids = link(), [publisher.add(b"same") for _ in range(2)]
    came = [receive(one) for _ in ids]
    assert [message.token for message in came] == [f"redis {id.decode()}" for id in ids]
    assert not any(message.is_redelivered for message in came)


@pytest.mark.parametrize("is_killed", [False, True], ids=["connection closed", "broker killed"])
def test_what_was_not_settled_comes_again_before_what_is_new(link, server, publisher, is_killed):
    for body in (b"a", b"b", b"c"):
        publisher.add(body)
    one = link(2)
    before = [receive(one) for _ in range(2)]
    one.settle(before[0])
    if is_killed:
        server.kill()
        with pytest.raises(BrokerError) as raised:
            one.receive(5)
        assert raised.value.trouble is Trouble.LOST
        server.start()
    one.close()
    one.settle(before[1])  # of a closed link: nothing
    again = link(2)
    first, second = receive(again), receive(again)
    assert (first.body, first.token) == (b"b", before[1].token)
    assert (first.is_redelivered, first.deliveries) == (True, 2)
    assert (second.body, second.is_redelivered) == (b"c", False)


def test_what_was_deleted_while_it_was_in_hand_does_not_come_again(link, publisher):
    publisher.add(b"a")
    deleted = publisher.add(b"b")
    one = link()
    assert bodies(one, 2) == [b"a", b"b"]
    one.close()
    publisher.client.xdel("sms", deleted)
    assert bodies(link(), 2) == [b"a"]
    assert publisher.pending() == 1


@pytest.mark.usefixtures("hurried")
def test_devices_divide_the_work_and_what_a_dead_one_had_goes_to_the_others(link, publisher):
    for number in range(4):
        publisher.add(b"%d" % number)
    dying, living = link(2, consumer="dying"), link(4, consumer="living")
    assert bodies(dying, 2) == [b"0", b"1"]
    assert bodies(living, 2) == [b"2", b"3"]
    dying.close()
    left = [receive(living) for _ in range(2)]
    assert sorted(message.body for message in left) == [b"0", b"1"]
    assert all(message.is_redelivered and message.deliveries == 2 for message in left)


@pytest.mark.usefixtures("hurried")
def test_nothing_is_taken_from_a_device_that_lives_however_long_it_waits_for_a_modem(link, publisher):
    publisher.add(b"a")
    waiting, other = link(1, consumer="waiting"), link(1, consumer="other")
    held = receive(waiting)
    until_s = time.monotonic() + 1.5 * links._ABANDONED_S
    while time.monotonic() < until_s:
        assert waiting.receive(0.05) is None
        assert other.receive(0.05) is None
    waiting.settle(held)
    assert publisher.pending() == 0


@pytest.mark.usefixtures("hurried")
def test_what_is_given_back_goes_to_another_device_first_and_may_come_back(link, publisher):
    publisher.add(b"a")
    giving, other = link(1, consumer="giving"), link(1, consumer="other")
    for _ in range(2):
        message = receive(giving)
        assert giving.give_back(message)
        message = receive(other)
        assert message.deliveries == 1  # waiting for a modem is no harm that it does
        assert other.give_back(message)
    giving.settle(receive(giving))


def test_what_another_group_still_wants_is_not_deleted(link, publisher):
    publisher.client.xgroup_create("sms", "audit", id="0", mkstream=True)
    publisher.add(b"a")
    one = link()
    one.settle(receive(one))
    assert (publisher.pending(), publisher.client.xlen("sms")) == (0, 1)
    assert len(publisher.client.xreadgroup("audit", "me", {"sms": ">"})[0][1]) == 1


def test_a_stream_that_is_deleted_is_made_anew(link, publisher):
    one = link()
    publisher.add(b"a")
    held = receive(one)
    deleting = threading.Timer(0.2, publisher.client.flushall)
    deleting.start()
    assert one.receive(0.4) is None
    deleting.join()
    publisher.add(b"b")
    assert receive(one).body == b"b"
    one.settle(held)
    assert publisher.pending() == 1


def test_an_answer_waits_a_little_for_who_asked(link, publisher):
    one = link()
    late = publisher.client.pubsub()
    listening = threading.Timer(0.2, late.subscribe, ["answers"])
    listening.start()
    one.publish("answers", b"yes")
    listening.join()
    assert [late.get_message(timeout=5)["data"] for _ in range(2)] == [1, b"yes"]
    late.close()


@pytest.mark.usefixtures("hurried")
def test_an_answer_that_nobody_hears_is_noted_and_news_is_not_waited_with(link):
    one = link(received_topic="news")
    began_s = time.monotonic()
    with pytest.raises(BrokerError) as raised:
        one.publish("news", b"{}")
    news_s = time.monotonic() - began_s
    with pytest.raises(BrokerError) as raised:
        one.publish("answers", b"{}")
    assert raised.value.trouble is Trouble.UNHEARD
    assert news_s < links._LISTENER_LATE_S < time.monotonic() - began_s


def test_a_dead_letter_that_cannot_be_kept_is_said(link, publisher):
    publisher.client.set("sms.dead", "something else")
    publisher.add(b"a")
    one = link()
    with pytest.raises(BrokerError) as raised:
        one.bury(receive(one), "no reason")
    assert raised.value.trouble is Trouble.OTHER_QUEUE
    assert publisher.pending() == 1


def test_the_compatible_mode_takes_what_is_published_while_it_listens(link, publisher):
    publisher.client.publish("sms", b"lost")
    one = link(**COMPATIBLE)
    assert publisher.client.publish("sms", b"\xff{") == 1
    message = receive(one)
    assert (message.body, message.token, one.keeps) == (b"\xff{", "", False)
    assert not one.give_back(message)
    assert not one.bury(message, "no reason")
    one.settle(message)
    assert one.receive(0.05) is None


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("mode", ["durable", "compatible"])
def test_a_silent_network_is_noticed(server, publisher, mode):
    with Cable(server.port) as cable:
        one = open_link(section(server, mode=mode, port=cable.port, timeout_ms=500), 2)
        until_s = time.monotonic() + 0.8  # longer than may pass without a sign of life
        while time.monotonic() < until_s:
            assert one.receive(0.1) is None
        cable.hold()
        with pytest.raises(BrokerError) as raised:
            listen(one)
        assert raised.value.trouble is Trouble.TIMEOUT
        one.close()


@pytest.mark.parametrize("mode", ["durable", "compatible"])
@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({"password": "wrong"}, Trouble.LOGIN),
        ({"username": "", "password": "wrong"}, Trouble.LOGIN),
        ({"username": "", "password": ""}, Trouble.LOGIN),
        ({"username": LIMITED_USER, "password": LIMITED_PASSWORD}, Trouble.FORBIDDEN),
        ({"host": "no-such-host.invalid"}, Trouble.NAME),
        ({"port": 1}, Trouble.REFUSED),
        ({"tls": True, "timeout_ms": 500}, Trouble.NOT_TLS),
    ],
)
def test_what_keeps_it_from_connecting_is_said(server, mode, changes, trouble):
    for connect in (lambda settings: open_link(settings, 2), probe):
        with pytest.raises(BrokerError) as raised:
            connect(section(server, mode=mode, **changes))
        assert raised.value.trouble is trouble, raised.value
        assert PASSWORD not in str(raised.value)


def test_the_password_alone_is_that_of_the_default_user(link):
    assert link(username="").receive(0.01) is None


def test_a_port_of_tls_is_recognised(server):
    with pytest.raises(BrokerError) as raised:
        open_link(section(server, port=server.tls_port), 2)
    assert raised.value.trouble is Trouble.NEEDS_TLS


@pytest.mark.parametrize(
    ("greeting", "trouble"),
    [(b"SSH-2.0-OpenSSH_9.2\r\n", Trouble.OTHER_PROTOCOL), (b"", Trouble.TIMEOUT)],
)
def test_something_else_at_the_port_is_recognised(server, greeting, trouble):
    with socket.create_server((HOST, 0)) as other:

        def greet():
            connection, _ = other.accept()
            connection.sendall(greeting)
            connection.recv(1000)
            connection.recv(1000)  # until the other hangs up
            connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(BrokerError) as raised:
            open_link(section(server, port=other.getsockname()[1], timeout_ms=500), 2)
        assert raised.value.trouble is trouble
    thread.join()


def test_a_key_that_is_no_stream_is_not_read(server, publisher):
    publisher.client.rpush("sms", "a list")
    for connect in (lambda settings: open_link(settings, 2), probe):
        with pytest.raises(BrokerError) as raised:
            connect(section(server))
        assert raised.value.trouble is Trouble.OTHER_QUEUE
    open_link(section(server, **COMPATIBLE), 2).close()


class RedisWithoutStreams(RedisServer):
    """As it was before version 5."""

    def __init__(self):
        super().__init__()
        unknown = ("XGROUP", "XREADGROUP", "XACK", "XADD", "XLEN")
        lines = "".join(f'rename-command {command} ""\n' for command in unknown)
        self._conf.write_text(self._conf.read_text() + lines)


def test_a_redis_without_streams_is_recognised():
    needs.programs("redis-server")
    with RedisWithoutStreams() as old:
        for connect in (lambda settings: open_link(settings, 2), probe):
            with pytest.raises(BrokerError) as raised:
                connect(section(old))
            assert raised.value.trouble is Trouble.NO_STREAMS
        open_link(section(old, **COMPATIBLE), 2).close()


def test_a_replica_that_may_not_be_written_to_ends_the_connection(link, server, publisher):
    one = link()
    publisher.client.replicaof(HOST, server.port + 1)
    try:
        with pytest.raises(BrokerError) as raised:
            listen(one)
        assert "read only replica" in raised.value.detail or raised.value.trouble is Trouble.LOST
        with pytest.raises(BrokerError) as raised:
            link()
        assert "read only replica" in raised.value.detail
    finally:
        publisher.client.replicaof("NO", "ONE")
    assert link().receive(0.01) is None


def test_tls_trusts_the_ca_that_it_is_given(server):
    tls = {"tls": True, "port": server.tls_port}
    with pytest.raises(BrokerError) as raised:
        open_link(section(server, **tls), 2)
    assert raised.value.trouble is Trouble.UNTRUSTED
    for more in ({"ca_certificate": certificates().ca.pem}, {"tls_verify": False}):
        one = open_link(section(server, **tls, **more), 2)
        assert one.receive(0.1) is None
        one.close()


def test_a_client_certificate_is_shown_where_it_is_demanded():
    needs.programs("redis-server")
    made = certificates()
    with RedisServer(demands_client_certificate=True) as strict:
        tls = {"tls": True, "port": strict.tls_port, "ca_certificate": made.ca.pem}
        with pytest.raises(BrokerError) as raised:
            open_link(section(strict, **tls), 2)
        assert raised.value.trouble is Trouble.OWN_CERTIFICATE
        shown = {"client_certificate": made.client.pem, "client_key": made.client.key_pem}
        open_link(section(strict, **tls, **shown), 2).close()


def test_messages_come_over_tls_as_soon_as_they_are_there(link, server, publisher):
    one = link(tls=True, port=server.tls_port, ca_certificate=certificates().ca.pem)
    adding = threading.Timer(0.1, publisher.add, [b"x" * 60_000])
    adding.start()
    began_s = time.monotonic()
    assert len(receive(one, 30).body) == 60_000
    assert time.monotonic() - began_s < 5
    adding.join()


def test_a_user_needs_these_rights_and_no_others(link, publisher):
    durable = ["+@stream", "+expire", "+publish", "+ping", "+select"]
    compatible = ["+subscribe", "+publish", "+ping"]
    for name, rights in (
        ("durable", [*durable, "~sms", "~sms.dead", "&*"]),
        ("compatible", [*compatible, "&*"]),
    ):
        publisher.client.execute_command("ACL", "SETUSER", name, "on", ">secret", "resetkeys", *rights)
    publisher.add(b"a")
    publisher.add(b"b")
    one = link(username="durable", password="secret")
    first, second = receive(one), receive(one)
    assert one.bury(first, "no reason")
    one.settle(first)
    one.settle(second)
    assert publisher.client.xlen("sms") == 0
    other = link(username="compatible", password="secret", **COMPATIBLE)
    one.publish("sms", b"c")
    assert receive(other).body == b"c"


def test_another_database_is_another_broker(link, server, publisher):
    publisher.add(b"in database 0")
    assert link(database=3).receive(0.1) is None
    with pytest.raises(BrokerError) as raised:
        link(database=1000)
    assert "out of range" in raised.value.detail


def test_probing_takes_no_message(server, publisher):
    assert probe(section(server)).endswith("Messages in the stream: 0.")
    assert not publisher.client.exists("sms")
    publisher.add(sms(1))
    assert probe(section(server)).endswith("Messages in the stream: 1.")
    assert probe(section(server, **COMPATIBLE)) == "The broker let this device in."


@pytest.mark.usefixtures("hurried")
def test_what_a_dead_device_had_is_found_behind_all_that_others_have_in_hand(link, publisher, monkeypatch):
    monkeypatch.setattr(links, "_MOST_PENDING", 3)
    for number in range(5):
        publisher.add(b"%d" % number)
    waiting, dying, living = (link(3, consumer=name) for name in ("waiting", "dying", "living"))
    assert len(bodies(waiting, 3)) == 3
    assert bodies(dying, 2) == [b"3", b"4"]
    dying.close()
    found, until_s = [], time.monotonic() + 10
    while len(found) < 2 and time.monotonic() < until_s:
        assert waiting.receive(0.05) is None
        found += bodies(living, 1, 0.05)
    assert found == [b"3", b"4"]


def test_a_dead_letter_is_copied_and_settled_by_who_asked_for_it(link, publisher):
    publisher.add(b"\xff")
    one = link()
    message = receive(one)
    assert one.bury(message, "no reason")
    assert publisher.client.xrange("sms.dead")[0][1][b"json"] == b"\xff"
    assert publisher.pending() == 1
    one.close()
    assert not one.bury(message, "no reason")  # of a closed link: nothing
    assert publisher.client.xlen("sms.dead") == 1


def test_closing_does_not_fail_or_wait_when_the_network_is_silent(server):
    with Cable(server.port) as cable:
        one = open_link(section(server, port=cable.port), 2)
        cable.hold()
        began_s = time.monotonic()
        one.close()
        one.close()
        assert time.monotonic() - began_s < 1
