"""What a broker in front costs: from publishing to Ctrl-Z, how many messages a second, and what a backlog takes."""

import itertools
import json
import queue
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from otppi.services.control import call
from tests.bench import processes
from tests.bench.caller import phone
from tests.bench.rig import Rig
from tests.bench.rows import CouldNotMeasure, Extent, Measurement, Reading, Readings, RowSpec
from tests.bench.simulator import count_numbers
from tests.bench.statistics_of import median
from tests.broker_servers.activemq import ActiveMqServer
from tests.broker_servers.mosquitto import MosquittoServer
from tests.broker_servers.rabbitmq import VHOST, RabbitMqServer
from tests.broker_servers.redis import RedisServer
from tests.broker_servers.server import HOST, PASSWORD, USER, BrokerServer

_LIMIT_S = 60.0
_TOPIC, _ELSEWHERE = "sms", "elsewhere"
_LIFE_S = 3000


class Wire(Protocol):
    """One connection of an application, kept open; what it published elsewhere it hears itself."""

    def publish(self, topic: str, body: bytes) -> None:
        """Hand one message over, to be kept by the broker."""
        ...

    def hear(self) -> bytes:
        """Return what came elsewhere; waits."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class _Amqp:
    def __init__(self, server: RabbitMqServer) -> None:
        import pika

        self._pika = pika
        login = pika.PlainCredentials(USER, PASSWORD)
        self._connection = pika.BlockingConnection(pika.ConnectionParameters(HOST, server.port, VHOST, login))
        self._channel = self._connection.channel()
        self._heard: list[bytes] = []
        self._channel.queue_declare(_ELSEWHERE, durable=True)
        self._channel.basic_consume(_ELSEWHERE, self._take, auto_ack=True)

    def publish(self, topic: str, body: bytes) -> None:
        self._channel.basic_publish("", topic, body, self._pika.BasicProperties(delivery_mode=2))

    def hear(self) -> bytes:
        while not self._heard:
            self._connection.process_data_events(_LIMIT_S)
        return self._heard.pop()

    def close(self) -> None:
        self._connection.close()

    def _take(self, _: Any, __: Any, ___: Any, body: bytes) -> None:
        self._heard.append(body)


class _Redis:
    def __init__(self, server: RedisServer) -> None:
        import redis

        self._client = redis.Redis(HOST, server.port, username=USER, password=PASSWORD, socket_timeout=None)
        self._last = b"$"
        self._client.xadd(_ELSEWHERE, {"json": b"first"})
        self._last = self._client.xinfo_stream(_ELSEWHERE)["last-generated-id"]

    def publish(self, topic: str, body: bytes) -> None:
        self._client.xadd(topic, {"json": body})

    def hear(self) -> bytes:
        ((_, ((self._last, fields),)),) = self._client.xread({_ELSEWHERE: self._last}, count=1, block=60_000)
        return bytes(fields[b"json"])

    def close(self) -> None:
        self._client.close()


class _Mqtt:
    def __init__(self, server: MosquittoServer) -> None:
        from paho.mqtt import client

        self._heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        subscribed: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._client = client.Client(client.CallbackAPIVersion.VERSION2, protocol=client.MQTTv5)
        self._client.username_pw_set(USER, PASSWORD)
        self._client.max_inflight_messages_set(1000)
        # Its own acknowledgements would hold up what it publishes next.
        self._client.on_socket_open = lambda _, __, line: line.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self._client.on_message = lambda _, __, message: self._heard.put(message.payload)
        self._client.on_subscribe = lambda *_: subscribed.put(None)
        self._client.on_connect = lambda *_: self._client.subscribe(_ELSEWHERE, 1)
        self._client.connect(HOST, server.port)
        self._client.loop_start()
        subscribed.get(timeout=_LIMIT_S)

    def publish(self, topic: str, body: bytes) -> None:
        self._client.publish(topic, body, qos=1)

    def hear(self) -> bytes:
        return self._heard.get(timeout=_LIMIT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class _Stomp:
    def __init__(self, port: int, vhost: str) -> None:
        import stomp

        self._heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._connection = stomp.Connection12(
            [(HOST, port)], vhost=vhost, try_loopback_connect=False, auto_content_length=False
        )
        self._connection.set_listener("", self)
        self._connection.connect(USER, PASSWORD, wait=True)
        self._connection.transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.subscribe(f"/queue/{_ELSEWHERE}", "bench", "auto")

    def on_message(self, frame: Any) -> None:
        self._heard.put(frame.body.encode())

    def publish(self, topic: str, body: bytes) -> None:
        self._connection.send(f"/queue/{topic}", body.decode(), "application/json", {"persistent": "true"})

    def hear(self) -> bytes:
        return self._heard.get(timeout=_LIMIT_S)

    def close(self) -> None:
        self._connection.disconnect()
        self._connection.transport.stop()


@dataclass(frozen=True)
class _Broker:
    name: str
    server: Callable[[], BrokerServer]
    wire: Callable[[Any], Wire]
    settings: Mapping[str, str]
    port: Callable[[Any], int] = lambda server: int(server.port)


_BROKERS = (
    _Broker("amqp", RabbitMqServer, _Amqp, {"virtual_host": VHOST}),
    _Broker("mqtt", MosquittoServer, _Mqtt, {"client_id": "bench"}),
    _Broker("redis", RedisServer, _Redis, {}),
    _Broker(
        "stomp",
        RabbitMqServer,
        lambda server: _Stomp(server.stomp_port, VHOST),
        {"virtual_host": VHOST},
        lambda server: int(server.stomp_port),
    ),
    _Broker("activemq", ActiveMqServer, lambda server: _Stomp(server.port, HOST), {}),
)


@contextmanager
def _rig(extent: Extent, broker: _Broker, submit_s: float = 0.0) -> Iterator[tuple[Rig, Wire]]:
    with broker.server() as server:
        settings = {
            f"{broker.name}.{name}": value
            for name, value in {
                "enabled": True,
                "host": HOST,
                "port": broker.port(server),
                "username": USER,
                "password": PASSWORD,
                **broker.settings,
            }.items()
        }
        with Rig(extent, modems=4, submit_s=submit_s, settings=settings) as rig:
            rig.warm_up()
            _wait(lambda: _state(rig, broker.name)["state"] == "connected", f"{broker.name} is not connected")
            with closing(broker.wire(server)) as wire:
                yield rig, wire


def _state(rig: Rig, name: str) -> dict[str, Any]:
    found = call(rig.state_dir, "broker.list", {}, _LIMIT_S)
    return next(one for one in found if one["name"] == name)


def _wait(is_true: Callable[[], object], complaint: str) -> None:
    end_s = time.monotonic() + _LIMIT_S
    while not is_true():
        if time.monotonic() > end_s:
            raise CouldNotMeasure(complaint)
        time.sleep(0.005)


def _sms(index: int) -> bytes:
    data = {"receiver": phone(index), "message": f"message {index:06d}", "id": str(index)}
    return json.dumps(
        {"command": "send-sms", "data": {**data, "expiration": int(time.time()) + _LIFE_S}}
    ).encode()


def _latency(rig: Rig, wire: Wire, numbers: Iterator[int], turns: int) -> Reading:
    there_ms, back_ms = [], []
    for _ in range(turns):
        before = len(rig.simulator.counts().ctrl_z_s)
        began_s = time.monotonic()
        wire.publish(_TOPIC, _sms(next(numbers)))
        _wait(lambda seen=before: len(rig.simulator.counts().ctrl_z_s) > seen, "a message did not arrive")
        there_ms.append(1000 * (rig.simulator.counts().ctrl_z_s[-1] - began_s))
        began_s = time.monotonic()
        wire.publish(_ELSEWHERE, b"there and back")
        wire.hear()
        back_ms.append(1000 * (time.monotonic() - began_s))
    there, back = median(there_ms), median(back_ms)
    return Reading(there - back, f"{there:.1f} ms to Ctrl-Z, {back:.1f} ms there and back at the broker")


def _burst(rig: Rig, wire: Wire, numbers: Iterator[int], count: int) -> tuple[Reading, Reading]:
    before, rig_before = rig.simulator.counts(), rig.simulator.new_messages()
    del rig_before
    wanted = [next(numbers) for _ in range(count)]
    began_s = time.monotonic()
    for number in wanted:
        wire.publish(_TOPIC, _sms(number))
    _wait(
        lambda: len(rig.simulator.counts().since(before).ctrl_z_s) >= count,
        f"not all {count} messages arrived",
    )
    span_s = max(rig.simulator.counts().since(before).ctrl_z_s) - began_s
    reached = count_numbers(rig.simulator.new_messages())
    wrong = sum(reached[phone(number)] != 1 for number in wanted)
    return Reading(count / span_s, f"{count} messages in {span_s:.1f} s"), Reading(wrong, f"of {count}")


def _backlog(rig: Rig, wire: Wire, numbers: Iterator[int], waiting: int) -> Reading:
    """Publish far more than the modems can take, and look what it takes here."""
    for number in itertools.islice(numbers, 50):
        wire.publish(_TOPIC, _sms(number))
    time.sleep(1.0)
    before_mb = processes.rss_mb(rig.pid)
    for number in itertools.islice(numbers, waiting):
        wire.publish(_TOPIC, _sms(number))
    wire.publish(_ELSEWHERE, b"the broker has all before this")
    wire.hear()
    time.sleep(1.0)
    grown_mb = processes.rss_mb(rig.pid) - before_mb
    in_hand = _state(rig, _name_of(rig))["in_hand"]
    return Reading(grown_mb, f"{before_mb:.0f} MB before; {in_hand} of {waiting} in hand")


def _name_of(rig: Rig) -> str:
    return next(one["name"] for one in call(rig.state_dir, "broker.list", {}, _LIMIT_S) if one["enabled"])


def _run(extent: Extent, broker: _Broker) -> Readings:
    numbers = itertools.count()
    with _rig(extent, broker) as (rig, wire):
        latency = _latency(rig, wire, numbers, extent.pick(100, 20))
        per_second, wrong = _burst(rig, wire, numbers, extent.pick(1000, 200))
    with _rig(extent, broker, submit_s=5.0) as (rig, wire):
        backlog = _backlog(rig, wire, numbers, extent.pick(10_000, 1_000))
    return {
        f"{broker.name}_ms": latency,
        f"{broker.name}_per_second": per_second,
        f"{broker.name}_wrong": wrong,
        f"{broker.name}_backlog_mb": backlog,
    }


def _measurement(broker: _Broker) -> Measurement:
    name = broker.name
    return Measurement(
        name=name,
        rows=(
            RowSpec(
                key=f"{name}_ms",
                title=f"{name}: publish to Ctrl-Z above its round trip",
                unit="ms",
                at_most=10,
            ),
            RowSpec(key=f"{name}_per_second", title=f"{name}: burst to 4 modems", unit="/s", at_least=200),
            RowSpec(
                key=f"{name}_wrong",
                title=f"{name}: lost or doubled",
                at_least=0,
                at_most=0,
                is_correctness=True,
            ),
            RowSpec(key=f"{name}_backlog_mb", title=f"{name}: a backlog takes", unit="MB", at_most=5),
        ),
        run=lambda extent: _run(extent, broker),
        is_long=True,
    )


BROKERS = tuple(_measurement(broker) for broker in _BROKERS)
