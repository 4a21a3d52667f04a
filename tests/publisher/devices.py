"""What a gateway does at the far end of a broker, written with the plain libraries: takes each message, and answers."""

import json
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.broker_servers.rabbitmq import VHOST
from tests.broker_servers.server import HOST, PASSWORD, USER

_LIMIT_S = 10.0
_LOOK_S = 0.05
MODEMS = {"m0": {"id": "m0", "name": "telkomsel", "state": "ready"}}


@dataclass
class Received:
    """A message, and what the broker says of it."""

    document: dict[str, Any]
    about: dict[str, Any] = field(default_factory=dict)


class Device(ABC):
    """Listens on a thread of its own from `__enter__` on, until `__exit__`."""

    def __init__(self, topic: str, durable: bool) -> None:
        self.topic = topic
        self.durable = durable
        self.received: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self.answer: Callable[[dict[str, Any]], dict[str, Any] | None] = answer
        self._ready = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(_LIMIT_S), "it does not listen"
        return self

    def __exit__(self, *_) -> None:
        self._ending.set()
        self._thread.join(_LIMIT_S)
        assert not self._thread.is_alive()

    def next(self) -> Received:
        return self.received.get(timeout=_LIMIT_S)

    @abstractmethod
    def _run(self) -> None:
        """Listen until it is to end."""

    def _came(self, body: bytes | str, publish: Callable[[str, str], object], **about: Any) -> None:
        document = json.loads(body)
        self.received.put(Received(document, about))
        if "callback_topic" in document and (reply := self.answer(document)) is not None:
            publish(document["callback_topic"], json.dumps(reply))


def answer(document: dict[str, Any]) -> dict[str, Any]:
    """Answer as a gateway does that can do everything."""
    data = {"modem_list": MODEMS} if document["command"] == "get-modem-list" else {}
    return {"command": document["command"], "response_code": "0000", "data": data}


class AmqpDevice(Device):
    def __init__(self, server, topic: str, durable: bool) -> None:
        super().__init__(topic, durable)
        self._port = server.port

    def _run(self) -> None:
        import pika

        credentials = pika.PlainCredentials(USER, PASSWORD)
        with pika.BlockingConnection(pika.ConnectionParameters(HOST, self._port, VHOST, credentials)) as link:
            channel = link.channel()

            def publish(topic, body):
                channel.queue_declare(topic, durable=True)  # refused if the client declares it otherwise
                channel.basic_publish("", topic, body)

            def came(_, method, properties, body):
                self._came(body, publish, mode=properties.delivery_mode, message_id=properties.message_id)
                channel.basic_ack(method.delivery_tag)

            channel.queue_declare(self.topic, durable=self.durable)
            channel.basic_consume(self.topic, came)
            self._ready.set()
            while not self._ending.is_set():
                link.process_data_events(_LOOK_S)
            channel.queue_delete(self.topic)


class MqttDevice(Device):
    def __init__(self, server, topic: str, durable: bool) -> None:
        super().__init__(topic, durable)
        self._port = server.port

    def _run(self) -> None:
        from paho.mqtt import client as paho

        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.username_pw_set(USER, PASSWORD)
        client.on_connect = lambda *_: client.subscribe(self.topic, qos=1)
        client.on_subscribe = lambda *_: self._ready.set()
        client.on_message = lambda _, __, message: self._came(
            message.payload,
            lambda topic, body: client.publish(topic, body, qos=1),
            qos=message.qos,
            is_retained=message.retain,
        )
        client.connect(HOST, self._port)
        while not self._ending.is_set():
            client.loop(_LOOK_S)
        client.disconnect()


class RedisDevice(Device):
    def __init__(self, server, topic: str, durable: bool) -> None:
        super().__init__(topic, durable)
        self._port = server.port

    def _run(self) -> None:
        import redis

        with redis.Redis(HOST, self._port, username=USER, password=PASSWORD) as client:
            (self._read_stream if self.durable else self._listen)(client)

    def _listen(self, client) -> None:
        with client.pubsub() as channel:
            channel.subscribe(self.topic)
            assert channel.get_message(timeout=_LIMIT_S)["type"] == "subscribe"
            self._ready.set()
            while not self._ending.is_set():
                if message := channel.get_message(timeout=_LOOK_S):
                    self._came(message["data"], client.publish)

    def _read_stream(self, client) -> None:
        client.xgroup_create(self.topic, "otppi", "0", mkstream=True)
        self._ready.set()
        while not self._ending.is_set():
            found = client.xreadgroup("otppi", "device", {self.topic: ">"}, block=int(_LOOK_S * 1000))
            for _, entries in found or ():
                for name, fields in entries:
                    self._came(fields[b"json"], client.publish, fields=sorted(fields))
                    client.xack(self.topic, "otppi", name)


class StompDevice(Device):
    def __init__(self, port: int, topic: str, durable: bool, vhost: str = VHOST) -> None:
        super().__init__(topic, durable)
        self._port = port
        self._vhost = vhost

    def _run(self) -> None:
        import stomp

        kind = "queue" if self.durable else "topic"
        client = stomp.Connection12([(HOST, self._port)], vhost=self._vhost, auto_content_length=False)
        device = self

        class Listener(stomp.ConnectionListener):
            def on_receipt(self, frame):
                device._ready.set()

            def on_message(self, frame):
                device._came(
                    frame.body,
                    lambda topic, body: client.send(topic if topic[0] == "/" else f"/{kind}/{topic}", body),
                    persistent=frame.headers.get("persistent"),
                    destination=frame.headers["destination"],
                )

        client.set_listener("device", Listener())
        client.connect(USER, PASSWORD, wait=True)
        client.subscribe(f"/{kind}/{self.topic}", "1", receipt="subscribed")
        self._ending.wait()
        client.disconnect("leaving")


class WsHub:
    """A WebSocket broker as OTP-Publisher has one: to all of the topic but the sender, and nothing is kept."""

    def __init__(self, password: str = PASSWORD) -> None:
        from websockets.sync.server import serve

        self._password = password
        self._clients: dict[str, set[Any]] = {}
        self._lock = threading.Condition()
        self._server = serve(self._serve, HOST, 0, process_request=self._check)
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._thread.join()

    def await_listener(self, topic: str) -> None:
        """Return when somebody listens: that a client has its handshake is not enough."""
        with self._lock:
            assert self._lock.wait_for(lambda: self._clients.get(topic), _LIMIT_S)

    def _check(self, connection, request):
        import base64

        expected = "Basic " + base64.b64encode(f"{USER}:{self._password}".encode()).decode()
        return None if request.headers.get("Authorization") == expected else connection.respond(401, "")

    def _serve(self, connection) -> None:
        topic = parse_qs(urlsplit(connection.request.path).query)["topic"][0]
        with self._lock:
            self._clients.setdefault(topic, set()).add(connection)
            self._lock.notify_all()
        try:
            for message in connection:
                with self._lock:
                    # Who has just had its handshake may not be among them yet.
                    self._lock.wait_for(lambda: len(self._clients[topic]) > 1, 0.5)
                    others = self._clients[topic] - {connection}
                for one in others:
                    one.send(message)
        finally:
            with self._lock:
                self._clients[topic].discard(connection)


class WsDevice(Device):
    def __init__(self, hub: WsHub, topic: str, durable: bool, password: str = PASSWORD) -> None:
        super().__init__(topic, durable)
        self._hub = hub
        self._password = password

    def _run(self) -> None:
        import websocket

        def connect(stack: ExitStack, topic: str):
            link = websocket.create_connection(
                f"ws://{HOST}:{self._hub.port}/ws/?topic={topic}",
                header=["Authorization: Basic " + _basic(self._password)],
            )
            stack.callback(link.close)
            return link

        with ExitStack() as links:
            link = connect(links, self.topic)
            link.settimeout(_LOOK_S)
            self._hub.await_listener(self.topic)
            self._ready.set()

            def publish(topic, body):
                with ExitStack() as for_answer:
                    connect(for_answer, topic).send(body)

            while not self._ending.is_set():
                try:
                    opcode, body = link.recv_data()
                except websocket.WebSocketTimeoutException:
                    continue
                self._came(body, publish, opcode=opcode)


def _basic(password: str) -> str:
    import base64

    return base64.b64encode(f"{USER}:{password}".encode()).decode()
