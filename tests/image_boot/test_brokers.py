"""Messages from a broker on the far side of the Ethernet cable, and from the device's own broker for WebSockets."""

import json
import time
from collections import Counter

import pytest

from otppi.brokers.settings import WsSettings
from otppi.publisher.mqtt import MqttTransport
from otppi.publisher.publisher import Publisher
from otppi.publisher.ws import WsTransport
from tests.broker_servers.server import HOST, PASSWORD, USER
from tests.image_bench.machine import OUTSIDE, TOOLBOX
from tests.image_bench.modems import modem_rack

MQTT, WS = 1883, 9000
ACCOUNTS = "/var/lib/otppi/ws-broker.htpasswd"
# A file of each library, as its code in memory names it.
LIBRARIES = {
    "amqp": "/pika/connection.py",
    "mqtt": "/paho/mqtt/client.py",
    "redis": "/redis/client.py",
    "stomp": "/stomp/connect.py",
    "ws": "/websocket/_core.py",
}
DYNAMIC_USERS = range(61_184, 65_520)  # whom systemd makes for the time that a service runs
READY_S = 120.0
MOST_MIB = 16


@pytest.fixture(scope="module")
def line(machine, tmp_path_factory):
    """The other side of the one modem."""
    with modem_rack(machine, tmp_path_factory.mktemp("brokers")) as rack:
        machine.run(f"otppi modem add --name sender --port {rack.plug('b0')} --default")
        machine.wait_for("otppi modem list | grep -P '^sender\\t.*\\tready'", limit_s=READY_S)
        yield rack.line("b0")
    machine.run("otppi modem remove sender")


@pytest.fixture(scope="module")
def memory_before(machine, line):
    return memory(machine)


@pytest.fixture(scope="module")
def mqtt(machine, line, memory_before, mosquitto_server):
    """An application at the broker, to which the device is connected."""
    mosquitto_server.reset()
    machine.serve_outside(MQTT, mosquitto_server.port)
    switch_on(machine, "mqtt", OUTSIDE)
    wait_for_state(machine, "mqtt", "connected")
    yield Publisher(MqttTransport(host=HOST, port=mosquitto_server.port, username=USER, password=PASSWORD))
    machine.run("otppi settings reset mqtt")


def switch_on(machine, broker, host):
    values = f"{broker}.host {host} {broker}.username {USER} {broker}.enabled true {broker}.password"
    machine.run(f"printf '{PASSWORD}' | otppi settings set {values} --value-stdin")


def gateway_pid(machine):
    return int(machine.run("systemctl show otppi -p MainPID --value").said)


def memory(machine):
    """Which libraries the gateway has loaded, and how many MiB it takes."""
    pid = gateway_pid(machine)
    files = json.loads(
        machine.run(f"python3 -I {TOOLBOX}/memory.py {pid} {' '.join(LIBRARIES.values())}").said
    )
    taken_kib = int(machine.run(f"awk '/^VmRSS/ {{ print $2 }}' /proc/{pid}/status").said)
    return {name for name, file in LIBRARIES.items() if file in files}, taken_kib / 1024


def shown(machine, broker):
    listed = json.loads(machine.run("otppi broker list --json").said)
    return next(one for one in listed if one["name"] == broker)


def wait_for_state(machine, broker, state):
    machine.wait_for(f"otppi broker list | grep -P '^{broker}\\t.*\\t{state}(\\t|$)'", limit_s=READY_S)


def publish(publisher, texts):
    for text in texts:
        publisher.send_sms("081200000001", text, id=text, lifetime_s=300)


def wait_for_texts(line, texts):
    """Wait until each has left through the modem."""
    until_s = time.monotonic() + READY_S
    while missing := set(texts) - {message.text for message in line.messages}:
        assert time.monotonic() < until_s, missing
        time.sleep(0.2)


def wait_until_done(machine, broker):
    """Wait until nothing is in hand, so that no copy can follow."""
    machine.wait_for(f"otppi broker list | grep -P '^{broker}\\t.*in hand 0,'", limit_s=READY_S)


@pytest.mark.usefixtures("mqtt")
def test_only_the_library_of_the_broker_that_is_wanted_is_in_memory(machine, memory_before, capsys):
    (loaded_before, mib_before), (loaded, mib) = memory_before, memory(machine)
    assert loaded_before == set()
    assert loaded == {"mqtt"}
    assert mib - mib_before <= MOST_MIB
    with capsys.disabled():
        print(f"\nthe gateway takes {mib_before:.1f} MiB, and connected to a broker {mib:.1f}")


def test_a_message_that_is_published_leaves_through_the_modem(machine, line, mqtt):
    publish(mqtt, ["one"])
    wait_for_texts(line, ["one"])
    wait_until_done(machine, "mqtt")
    told = shown(machine, "mqtt")
    assert (told["state"], told["host"], told["done"], told["reason"]) == ("connected", OUTSIDE, 1, "")
    assert "let this device in" in machine.run("otppi broker test mqtt").said


def test_a_gateway_that_is_killed_is_started_again_and_loses_nothing(machine, line, mqtt, capsys):
    texts = [f"killed-{number}" for number in range(20)]
    pid, before = gateway_pid(machine), len(line.messages)
    publish(mqtt, texts)
    assert line.wait_for_sent(before + 4, READY_S)
    machine.run(f"kill -9 {pid}")
    sent_before_kill = len(line.messages) - before
    begun_s = time.monotonic()
    wait_for_texts(line, texts)
    took_s = time.monotonic() - begun_s
    assert sent_before_kill < len(texts)
    assert gateway_pid(machine) not in (0, pid)
    wait_until_done(machine, "mqtt")
    arrived = Counter(message.text for message in line.messages[before:])
    copies = arrived.total() - len(texts)
    assert copies <= 1  # there is one modem
    with capsys.disabled():
        print(
            f"\nkilled after {sent_before_kill} of {len(texts)}, all sent {took_s:.0f} s later, copies: {copies}"
        )


def test_what_is_published_while_the_cable_is_out_arrives_when_it_is_back(machine, line, mqtt, capsys):
    texts = [f"cable-{number}" for number in range(3)]
    before = len(line.messages)
    begun_s = time.monotonic()
    machine.pull_ethernet()
    try:
        publish(mqtt, texts)
        wait_for_state(machine, "mqtt", "waiting")
        told = shown(machine, "mqtt")
        noticed_s = time.monotonic() - begun_s
        assert len(line.messages) == before
    finally:
        machine.plug_ethernet()
    begun_s = time.monotonic()
    wait_for_texts(line, texts)
    healed_s = time.monotonic() - begun_s
    wait_until_done(machine, "mqtt")
    assert len(line.messages) == before + len(texts)
    with capsys.disabled():
        print(
            f"\n{told['reason']} ({told['detail']}): noticed after {noticed_s:.0f} s, healed after {healed_s:.0f} s"
        )


@pytest.mark.usefixtures("mqtt")
def test_a_wrong_password_is_said_where_the_owner_looks(machine):
    machine.run("otppi settings set mqtt.password wrong-one")
    wait_for_state(machine, "mqtt", "waiting")
    reason = shown(machine, "mqtt")["reason"]
    assert "password" in reason
    tested = machine.run("otppi broker test mqtt", check=False)
    assert tested.code == 1
    assert reason in tested.said
    # Given right, it heals without a restart.
    switch_on(machine, "mqtt", OUTSIDE)
    wait_for_state(machine, "mqtt", "connected")


@pytest.fixture
def websocket_broker(machine):
    """As the owner switches it on: accounts, a start, an open port."""
    assert machine.run("systemctl is-active otppi-ws-broker", check=False).said == "inactive"
    machine.run(f"printf '{PASSWORD}\\n' | otppi ws-broker password {USER} --htpasswd {ACCOUNTS}")
    machine.run("systemctl restart otppi-ws-broker")
    machine.run(f"otppi port add {WS}")
    yield WsTransport(
        host=HOST, port=machine.ports[WS], path=WsSettings().path, username=USER, password=PASSWORD
    )
    machine.run("otppi settings reset ws")
    machine.run(f"systemctl stop otppi-ws-broker; rm {ACCOUNTS}; otppi port remove tcp{WS}")


def test_the_devices_own_websocket_broker_hands_over_as_nobody(machine, line, websocket_broker):
    switch_on(machine, "ws", "127.0.0.1")
    wait_for_state(machine, "ws", "connected")
    publish(Publisher(websocket_broker), ["frame"])
    wait_for_texts(line, ["frame"])
    pid = machine.run("systemctl show otppi-ws-broker -p MainPID --value").said
    assert int(machine.run(f"stat -c %u /proc/{pid}").said) in DYNAMIC_USERS
