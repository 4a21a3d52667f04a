import base64
import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from otppi.brokers import heartbeat
from otppi.brokers.errors import BrokerError, Trouble
from otppi.brokers.settings import WsSettings
from otppi.brokers.ws import open_link, probe
from tests.broker_servers.cable import Cable
from tests.broker_servers.certificates import certificates
from tests.broker_servers.server import HOST
from tests.wsbroker.running import HTPASSWD, RawClient, basic, masked, request

USER, PASSWORD = "device", "device"


class PhpBroker:
    """Does what the broker in PHP does: upgrades every connection and looks then who it is; never pings."""

    def __init__(self, tls=None):
        self.came = threading.Event()
        self.clients = []
        self._server = serve(
            self._serve, HOST, 0, ping_interval=None, close_timeout=1, compression=None, ssl=tls
        )
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        for client, _ in self.clients:
            client.close()
        self._thread.join()

    def _serve(self, client):
        topic = parse_qs(urlsplit(client.request.path).query)["topic"]
        given = client.request.headers.get("Authorization")
        if given is not None and given != basic(USER, PASSWORD):
            return  # which closes it
        if given is not None:
            self.clients.append((client, topic))
            self.came.set()
        with contextlib.suppress(ConnectionClosed):
            for content in client:
                for other, others_topic in self.clients:
                    if other is not client and others_topic == topic:
                        # Those that have gone stay in its list.
                        with contextlib.suppress(ConnectionClosed):
                            other.send(content)


class Pretender:
    """Listens, says one thing and remembers what it was asked."""

    def __init__(self, answer):
        self.asked = b""
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        self._answer = answer
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _run(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                self.asked = self.asked or client.recv(10_000)
                client.sendall(self._answer)
                while client.recv(10_000):
                    pass


@pytest.fixture(scope="module")
def broker_port(tmp_path_factory, free_port):
    """The port of a real `otppi ws-broker`."""
    htpasswd = tmp_path_factory.mktemp("ws-broker") / "htpasswd"
    htpasswd.write_text(HTPASSWD)
    port = free_port()
    command = [sys.executable, "-m", "otppi", "ws-broker", "--host", HOST, "--port", str(port)]
    process = subprocess.Popen([*command, "--htpasswd", htpasswd], stderr=subprocess.DEVNULL)
    until_s = time.monotonic() + 30
    while time.monotonic() < until_s:
        try:
            socket.create_connection((HOST, port)).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.02)
    yield port
    process.terminate()
    assert process.wait(10) == 0


@pytest.fixture(scope="module")
def php_broker():
    with PhpBroker() as broker:
        yield broker


def settings_for(port, **changes):
    return {
        "host": HOST,
        "port": port,
        "username": USER,
        "password": PASSWORD,
        "timeout_ms": 2000,
        **changes,
    }


def section(port, **changes):
    made, errors = WsSettings.parse(settings_for(port, **changes))
    assert not errors, errors
    return made


@pytest.fixture
def link():
    """Open links; all are closed at the end of the test."""
    opened = []

    def connect(port, **changes):
        opened.append(open_link(section(port, **changes), 2))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def receive(link, timeout_s=5.0):
    message = link.receive(timeout_s)
    assert message is not None, "nothing came"
    return message


def listen(link):
    """Until the connection is lost."""
    until_s = time.monotonic() + 10
    while time.monotonic() < until_s:
        assert link.receive(0.05) is None


def php_connection(port, topic, user="shop"):
    """Up to the end of the handshake, as the client in PHP does it: one read, and what came with it is gone."""
    client = RawClient(port)
    client.send(request(topic, user))
    assert b" 101 " in client.read()
    return client


def test_a_publisher_in_php_asks_and_listens_afterwards(gateway, broker_port):
    one = gateway(brokers={"ws": settings_for(broker_port)})
    one.wait_until(lambda: one.broker("ws")["state"] == "connected")
    asking = php_connection(broker_port, "sms")
    asked = {"command": "get-modem-list", "callback_topic": "modem-list-123456", "callback_delay": 50}
    asking.send(masked(json.dumps({**asked, "data": {"date_time": int(time.time())}}).encode()))
    one.wait_until(lambda: one.broker("ws")["done"] == 1)
    listening = php_connection(broker_port, "modem-list-123456")
    first, answer = listening.frame()
    assert first == 0x81  # text, and not in pieces
    assert json.loads(answer)["response_code"] == "0000"
    message = {"receiver": "081200000001", "message": "text 1", "date_time": int(time.time())}
    asking.send(masked(json.dumps({"command": "send-sms", "data": message}).encode()))
    one.wait_until(lambda: one.texts() == ["text 1"])
    asking.close()
    listening.close()


def test_the_broker_in_php_is_heard_and_answers_go_by_a_second_connection(link, php_broker):
    device, shop = link(php_broker.port), link(php_broker.port, topic="answers")
    publisher = link(php_broker.port, topic="elsewhere")
    publisher.publish("sms", b'{"command":"echo"}')
    message = receive(device)
    assert (message.body, message.token, device.keeps) == (b'{"command":"echo"}', "", False)
    device.publish("answers", b"{}")
    assert receive(shop).body == b"{}"
    assert device.receive(0.05) is None
    assert not device.give_back(message)
    assert not device.bury(message, "no reason")
    device.settle(message)


@pytest.mark.parametrize(
    "content", ["text", b"\xff binary", ["in ", "pieces"]], ids=["text", "binary", "in pieces"]
)
def test_frames_of_every_kind_are_messages(link, php_broker, content):
    php_broker.came.clear()
    device = link(php_broker.port)
    assert php_broker.came.wait(5)
    php_broker.clients[-1][0].send(content)
    body = receive(device).body
    assert body == (content if isinstance(content, bytes) else "".join(content).encode())


def test_a_frame_that_comes_slowly_is_put_together(link, php_broker):
    php_broker.came.clear()
    device = link(php_broker.port)
    assert php_broker.came.wait(5)
    line = php_broker.clients[-1][0].socket
    frame = b"\x81\x7e\x01\x00" + 256 * b"x"
    for piece in (frame[:1], frame[1:3], frame[3:100]):
        line.sendall(piece)
        assert device.receive(0.05) is None
    line.sendall(frame[100:])
    assert receive(device).body == 256 * b"x"


def test_a_ping_of_the_broker_is_answered(link, php_broker):
    php_broker.came.clear()
    device = link(php_broker.port)
    assert php_broker.came.wait(5)
    answered = php_broker.clients[-1][0].ping("are you there")
    assert device.receive(0.1) is None
    assert answered.wait(5)


@pytest.mark.parametrize("connect", [lambda settings: open_link(settings, 2), probe], ids=["open", "probe"])
@pytest.mark.parametrize("changes", [{"password": "wrong"}, {"username": "", "password": ""}])
def test_that_the_broker_in_php_hangs_up_is_said(php_broker, connect, changes):
    with pytest.raises(BrokerError) as raised:
        connect(section(php_broker.port, **changes))
    assert raised.value.trouble is Trouble.HUNG_UP


@pytest.mark.parametrize("connect", [lambda settings: open_link(settings, 2), probe], ids=["open", "probe"])
@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({"username": "wrong password"}, Trouble.LOGIN),
        ({"host": "no-such-host.invalid"}, Trouble.NAME),
        ({"port": 1}, Trouble.REFUSED),
        ({"tls": True}, Trouble.NOT_TLS),
    ],
)
def test_what_keeps_it_from_connecting_is_said(broker_port, connect, changes, trouble):
    with pytest.raises(BrokerError) as raised:
        connect(section(**{"port": broker_port, "password": "s3cret", **changes}))
    assert raised.value.trouble is trouble, raised.value
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", Trouble.LOGIN),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", Trouble.PATH),
        (b"HTTP/1.1 200 OK\r\n\r\n", Trouble.PATH),
        (b"HTTP/1.1 301 Moved Permanently\r\nLocation: /ws\r\n\r\n", Trouble.PATH),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", Trouble.REFUSAL),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Trouble.OTHER_PROTOCOL),
        (b"", Trouble.TIMEOUT),
    ],
)
def test_an_answer_that_is_no_upgrade_is_explained(answer, trouble):
    with Pretender(answer) as other, pytest.raises(BrokerError) as raised:
        open_link(section(other.port, timeout_ms=500), 2)
    assert raised.value.trouble is trouble


def test_the_request_is_that_of_older_devices():
    with Pretender(b"HTTP/1.1 404 Not Found\r\n\r\n") as other:
        settings = section(other.port, path="/ws/?key=1&topic=old&more=a%20b", topic="shop/sms")
        with pytest.raises(BrokerError):
            open_link(settings, 2)
    lines = other.asked.decode().split("\r\n")
    assert lines[0] == "GET /ws/?key=1&more=a%20b&topic=shop%2Fsms HTTP/1.1"
    assert f"Host: {HOST}:{other.port}" in lines
    assert f"Authorization: Basic {base64.b64encode(b'device:device').decode()}" in lines
    assert not [line for line in lines if line.startswith("Origin")]


def test_no_proxy_of_the_environment_comes_in_between(link, php_broker, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://{HOST}:1")
    assert link(php_broker.port).receive(0.01) is None


def test_tls_trusts_the_ca_that_it_is_given_and_shows_its_own_certificate(tmp_path):
    made = certificates()
    (tmp_path / "server.pem").write_text(made.server.pem + made.server.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    context.load_verify_locations(cadata=made.ca.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    with PhpBroker(context) as broker:
        with pytest.raises(BrokerError) as raised:
            open_link(section(broker.port, tls=True), 2)
        assert raised.value.trouble is Trouble.UNTRUSTED
        with pytest.raises(BrokerError) as raised:
            open_link(section(broker.port), 2)
        assert raised.value.trouble is Trouble.NEEDS_TLS
        with pytest.raises(BrokerError) as raised:
            open_link(section(broker.port, tls=True, tls_verify=False), 2)
        assert raised.value.trouble is Trouble.OWN_CERTIFICATE
        shown = {"client_certificate": made.client.pem, "client_key": made.client.key_pem}
        for more in ({"tls_verify": False}, {"ca_certificate": made.ca.pem}):
            device = open_link(section(broker.port, tls=True, **shown, **more), 2)
            device.publish("sms", b"x" * 40_000)
            assert len(receive(device).body) == 40_000
            device.close()


def test_a_silent_network_is_noticed(php_broker, monkeypatch):
    monkeypatch.setattr(heartbeat, "_SILENCE_S", 0.1)
    with Cable(php_broker.port) as cable:
        device = open_link(section(cable.port, timeout_ms=500), 2)
        until_s = time.monotonic() + 0.8  # longer than may pass without a sign of life
        while time.monotonic() < until_s:
            assert device.receive(0.1) is None
        cable.hold()
        with pytest.raises(BrokerError) as raised:
            listen(device)
        assert raised.value.trouble is Trouble.TIMEOUT
        with pytest.raises(BrokerError) as raised:
            device.publish("answers", b"{}")
        assert raised.value.trouble is Trouble.TIMEOUT
        device.close()


def test_a_broken_connection_is_lost(php_broker):
    with Cable(php_broker.port) as cable:
        device = open_link(section(cable.port), 2)
        cable.cut()
        with pytest.raises(BrokerError) as raised:
            listen(device)
        assert raised.value.trouble is Trouble.LOST
        with pytest.raises(BrokerError) as raised:
            device.publish("answers", b"{}")
        assert raised.value.trouble is Trouble.REFUSED
        device.close()


@pytest.mark.parametrize(("status", "trouble"), [(1001, Trouble.LOST), (1008, Trouble.LOGIN)])
def test_why_the_broker_ends_the_connection_is_said(link, php_broker, status, trouble):
    php_broker.came.clear()
    device = link(php_broker.port)
    assert php_broker.came.wait(5)
    closing = threading.Thread(target=php_broker.clients[-1][0].close, args=(status, "because"))
    closing.start()
    with pytest.raises(BrokerError) as raised:
        listen(device)
    assert (raised.value.trouble, raised.value.detail) == (trouble, f"{status} because")
    device.close()
    closing.join()


def test_probing_takes_nothing_that_waits_for_the_subscription(link, broker_port):
    publisher = php_connection(broker_port, "late")
    publisher.send(masked(b"sent a moment too early"))
    assert probe(section(broker_port, topic="late")) == "The broker let this device in."
    assert receive(link(broker_port, topic="late")).body == b"sent a moment too early"
    publisher.close()
