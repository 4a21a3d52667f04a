"""The broker servers that other tests build on, spoken to by clients that are not ours."""

import contextlib
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
import paho.mqtt.publish as mqtt_publish
import pika
import pytest
import redis
import stomp

from tests import needs
from tests.broker_servers.cable import Cable
from tests.broker_servers.certificates import certificates
from tests.broker_servers.rabbitmq import VHOST
from tests.broker_servers.redis import RedisServer
from tests.broker_servers.server import HOST, LIMITED_PASSWORD, LIMITED_USER, PASSWORD, USER

_LIMIT_S = 10.0
_ROOT = Path(__file__).parents[2]


def _redis_login(user, password):
    return f'AUTH {user} "{password}"\r\n'.encode()


def _mqtt_login(user, password):
    fields = b"".join(len(one).to_bytes(2, "big") + one.encode() for one in ("", user, password))
    packet = b"\x00\x04MQTT\x04\xc2\x00\x3c" + fields
    return b"\x10" + bytes([len(packet)]) + packet


def _stomp_login(user, password):
    return f"CONNECT\naccept-version:1.2\nhost:{VHOST}\nlogin:{user}\npasscode:{password}\n\n\0".encode()


def _amqp_login(user, password):
    capabilities = b"\x1cauthentication_failure_closet\x01"
    properties = b"\x0ccapabilitiesF" + len(capabilities).to_bytes(4, "big") + capabilities
    response = f"\0{user}\0{password}".encode()
    start_ok = b"\x00\x0a\x00\x0b" + len(properties).to_bytes(4, "big") + properties
    start_ok += b"\x05PLAIN" + len(response).to_bytes(4, "big") + response + b"\x05en_US"
    return b"AMQP\0\0\x09\x01" + b"\x01\0\0" + len(start_ok).to_bytes(4, "big") + start_ok + b"\xce"


# Of each protocol: how a client logs in, and what is in the answer that lets it in, or not.
_REDIS = (_redis_login, b"+OK", b"-WRONGPASS")
_MQTT = (_mqtt_login, b"\x20\x02\x00\x00", b"\x20\x02\x00\x05")
_STOMP = (_stomp_login, b"CONNECTED", b"ERROR")
_AMQP = (_amqp_login, b"\x00\x0a\x00\x1e", b"\x00\x0a\x00\x32")  # Tune, Close

_PLAIN = [
    ("redis_server", "port", _REDIS),
    ("mosquitto_server", "port", _MQTT),
    ("rabbitmq_server", "port", _AMQP),
    ("rabbitmq_server", "stomp_port", _STOMP),
    ("activemq_server", "port", _STOMP),
]
_TLS = [
    ("redis_server", "tls_port", _REDIS),
    ("mosquitto_server", "tls_port", _MQTT),
    ("rabbitmq_server", "tls_port", _AMQP),
    ("rabbitmq_server", "stomp_tls_port", _STOMP),
    ("activemq_server", "tls_port", _STOMP),
]
_MUTUAL_TLS = [("mosquitto_server", "mutual_tls_port", _MQTT), ("activemq_server", "mutual_tls_port", _STOMP)]


def _at(doors):
    names = [f"{server}-{port}" for server, port, _ in doors]
    return pytest.mark.parametrize(("server", "port", "protocol"), doors, ids=names, indirect=["server"])


@pytest.fixture
def server(request):
    return request.getfixturevalue(request.param)


def _is_let_in(port, protocol, user=USER, password=PASSWORD, *, context=None, host=HOST):
    login, welcome, refusal = protocol
    with contextlib.ExitStack() as opened:
        connection = opened.enter_context(socket.create_connection((host, port), _LIMIT_S))
        if context is not None:
            connection = opened.enter_context(context.wrap_socket(connection, server_hostname=host))
        connection.sendall(login(user, password))
        heard = b""
        while welcome not in heard and refusal not in heard:
            heard += connection.recv(65_536) or pytest.fail(f"closed after {heard!r}")
        return welcome in heard


def _trusting(ca, client=None, folder=None):
    context = ssl.create_default_context(cadata=ca.pem)
    if client is not None:
        (folder / "client.pem").write_text(client.pem + client.key_pem)
        context.load_cert_chain(folder / "client.pem")
    return context


@_at(_PLAIN)
def test_lets_in_who_knows_the_password(server, port, protocol):
    assert _is_let_in(getattr(server, port), protocol)
    assert _is_let_in(getattr(server, port), protocol, LIMITED_USER, LIMITED_PASSWORD)
    assert not _is_let_in(getattr(server, port), protocol, USER, LIMITED_PASSWORD)


@_at(_TLS)
def test_has_a_certificate_of_its_ca(server, port, protocol):
    knowing = _trusting(certificates().ca)
    assert _is_let_in(getattr(server, port), protocol, context=knowing)
    assert _is_let_in(getattr(server, port), protocol, context=knowing, host="localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        _is_let_in(getattr(server, port), protocol, context=_trusting(certificates().foreign_ca))


def _lets_in_known_clients_only(port, protocol, folder):
    pairs = certificates()
    assert _is_let_in(port, protocol, context=_trusting(pairs.ca, pairs.client, folder))
    for client in (None, pairs.foreign_client):
        with pytest.raises((ssl.SSLError, ConnectionResetError, BrokenPipeError)):
            _is_let_in(port, protocol, context=_trusting(pairs.ca, client, folder))


@_at(_MUTUAL_TLS)
def test_demands_a_certificate_of_the_client(server, port, protocol, tmp_path):
    _lets_in_known_clients_only(getattr(server, port), protocol, tmp_path)


def test_a_redis_can_demand_a_certificate_of_the_client(tmp_path):
    needs.programs("redis-server")
    with RedisServer(demands_client_certificate=True) as server:
        _lets_in_known_clients_only(server.tls_port, _REDIS, tmp_path)


def test_redis_keeps_what_it_has_acknowledged(redis_server):
    with redis.Redis(HOST, redis_server.port, username=USER, password=PASSWORD) as client:
        client.xadd("kept", {"text": "hello"})
        redis_server.kill()
        redis_server.start()
        assert [fields for _, fields in client.xrange("kept")] == [{b"text": b"hello"}]
        redis_server.reset()
        assert not client.exists("kept")


def test_mosquitto_keeps_the_messages_of_a_session(mosquitto_server):
    reader = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "reader", clean_session=False)
    reader.username_pw_set(USER, PASSWORD)
    subscribed, heard = [], []
    reader.on_subscribe = lambda *answer: subscribed.append(answer)
    reader.on_message = lambda client, _, message: heard.append(message.payload)
    reader.connect(HOST, mosquitto_server.port)
    reader.subscribe("kept", qos=1)
    _until(lambda: subscribed, reader.loop)
    reader.disconnect()
    login = {"username": USER, "password": PASSWORD}
    mqtt_publish.single("kept", "hello", qos=1, hostname=HOST, port=mosquitto_server.port, auth=login)
    mosquitto_server.kill()
    mosquitto_server.start()
    reader.connect(HOST, mosquitto_server.port)
    _until(lambda: heard, reader.loop)
    assert heard == [b"hello"]
    reader.disconnect()


def test_rabbitmq_keeps_what_is_durable(rabbitmq_server):
    login = pika.PlainCredentials(USER, PASSWORD)
    parameters = pika.ConnectionParameters(HOST, rabbitmq_server.port, VHOST, login)
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("kept", durable=True)
        channel.basic_publish("", "kept", b"hello", pika.BasicProperties(delivery_mode=2))
    rabbitmq_server.kill()
    rabbitmq_server.start()
    with pika.BlockingConnection(parameters) as connection:
        assert connection.channel().basic_get("kept")[2] == b"hello"
    with socket.create_connection((HOST, rabbitmq_server.stomp_port), _LIMIT_S) as other:
        other.sendall(_stomp_login(USER, PASSWORD))
        assert other.recv(65_536).startswith(b"CONNECTED")
        rabbitmq_server.reset()
        with contextlib.suppress(ConnectionResetError):
            while other.recv(65_536):
                pass
    with pika.BlockingConnection(parameters) as connection:
        with pytest.raises(pika.exceptions.ChannelClosedByBroker):
            connection.channel().queue_declare("kept", passive=True)


def test_activemq_keeps_its_queues(activemq_server):
    heard = []

    class Listener(stomp.ConnectionListener):
        def on_receipt(self, frame):
            heard.append(frame.headers["receipt-id"])

        def on_message(self, frame):
            heard.append(frame.body)

    def connected():
        connection = stomp.Connection12([(HOST, activemq_server.port)], reconnect_attempts_max=1)
        connection.set_listener("", Listener())
        connection.connect(USER, PASSWORD, wait=True)
        return connection

    writer = connected()
    writer.send("/queue/kept", "hello", persistent="true", receipt="taken")
    _until(lambda: heard == ["taken"])
    activemq_server.kill()
    activemq_server.start()
    reader = connected()
    reader.subscribe("/queue/kept", id="1")
    _until(lambda: heard == ["taken", "hello"])
    reader.disconnect()


def _until(is_so, meanwhile=lambda: time.sleep(0.005)):
    deadline = time.monotonic() + _LIMIT_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not come"
        meanwhile()


def test_ends_with_the_process_that_started_it():
    needs.programs("redis-server")
    body = "import time\nfrom tests.broker_servers.redis import RedisServer\n"
    body += "server = RedisServer()\nserver.start()\nprint(server.pid, server.directory, flush=True)\ntime.sleep(60)"
    command = [sys.executable, "-c", body]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        pid, folder = process.stdout.readline().split()
        process.kill()
    _until(lambda: not Path(f"/proc/{pid}/exe").exists())
    shutil.rmtree(folder)


class _Echo(socketserver.StreamRequestHandler):
    def handle(self):
        with contextlib.suppress(ConnectionResetError):
            while line := self.rfile.readline():
                self.server.heard.append(line)
                self.wfile.write(line)


@pytest.fixture
def echo():
    with socketserver.ThreadingTCPServer((HOST, 0), _Echo) as server:
        server.heard = []
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.fixture
def cable(echo):
    with Cable(echo.server_address[1]) as cable:
        yield cable


def _connected(cable):
    return socket.create_connection((HOST, cable.port), _LIMIT_S)


def test_a_cable_passes_everything_on_and_says_when_it_ends(cable):
    much = b"x" * 300_000 + b"\n"
    with _connected(cable) as client, client.makefile("rb") as answers:
        client.sendall(b"hello\n" + much)
        client.shutdown(socket.SHUT_WR)
        assert answers.read() == b"hello\n" + much


def test_a_cut_cable_resets_and_refuses_until_it_is_mended(cable):
    with _connected(cable) as client:
        client.sendall(b"hello\n")
        assert client.recv(10) == b"hello\n"
        cable.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(10)
    with pytest.raises(ConnectionRefusedError):
        _connected(cable)
    cable.mend()
    with _connected(cable) as client:
        client.sendall(b"again\n")
        assert client.recv(10) == b"again\n"


def test_a_held_cable_keeps_connections_and_delivers_when_it_is_mended(cable, echo):
    with _connected(cable) as client:
        client.sendall(b"one\n")
        assert client.recv(10) == b"one\n"
        cable.hold()
        client.sendall(b"two\n")
        with _connected(cable) as other:
            other.sendall(b"other\n")
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(10)
            assert echo.heard == [b"one\n"]
            client.settimeout(_LIMIT_S)
            cable.mend()
            assert client.recv(10) == b"two\n"
            assert other.recv(10) == b"other\n"


def test_a_cable_that_holds_answers_still_passes_the_questions(cable, echo):
    with _connected(cable) as client:
        cable.hold_answers()
        client.sendall(b"hello\n")
        _until(lambda: echo.heard == [b"hello\n"])
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(10)
        cable.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(10)
