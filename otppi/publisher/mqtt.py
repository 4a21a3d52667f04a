"""MQTT 3.1.1 and 5, as Mosquitto speaks them."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from otppi.brokers.errors import BrokerError, Trouble
from otppi.publisher.errors import MissingQueue, Refused
from otppi.publisher.transport import (
    BrokerTransport,
    Countdown,
    Credentials,
    Document,
    as_answer,
    translated,
)

if TYPE_CHECKING:
    from paho.mqtt import client as paho
    from paho.mqtt.reasoncodes import ReasonCode

_LOOP_S = 1.0
# MQTT 5, 2.4: reason codes; the library translates those of MQTT 3.1.1.
_NOBODY_LISTENS = 16
_TROUBLES = {132: Trouble.OTHER_VERSION, 133: Trouble.CLIENT_ID, 134: Trouble.LOGIN, 135: Trouble.LOGIN}
_NOT_AUTHORIZED = 135


@dataclass(frozen=True, kw_only=True)
class MqttTransport(BrokerTransport):
    """Publishes to the topic: with QoS 1 when durable, else with QoS 0; never retained.

    With version 5 the broker says if nobody listens, neither now nor by a session that waits for its client.
    """

    section: ClassVar[str] = "MQTT"

    port: int = 1883
    client_id: str = "otppi"  # each call adds something of its own, so that none sends another away
    version: str = ""  # "3.1.1" or "5"; empty for 5 when durable, else what the publisher in PHP speaks

    def credentials(self) -> list[Credentials]:
        """See `BrokerTransport`; the publisher in PHP publishes without any."""
        return [(self.username, self.password), ("", "")]

    def send_as(self, credentials: Credentials, body: str, answer_topic: str) -> Document | None:
        """See `BrokerTransport`."""
        with translated() as stage:
            session = _Session(self, credentials)
            try:
                if answer_topic:
                    session.subscribe(answer_topic)
                stage.was_handed_over = True
                session.publish(body)
                return session.answer(self.limits.answer_s) if answer_topic else None
            finally:
                session.leave()


@dataclass
class _Heard:
    """What the broker has said so far."""

    connected: "ReasonCode | None" = None
    subscribed: "ReasonCode | None" = None
    published: "ReasonCode | None" = None
    unsubscribed: bool | None = None
    answer: Document | None = field(default=None, repr=False)


class _Session:
    """One connection, worked on by the thread that calls; raises BrokerError."""

    def __init__(self, transport: MqttTransport, credentials: Credentials) -> None:
        """Connect and log in."""
        from paho.mqtt import client as paho  # a process that uses another broker need not have it
        from paho.mqtt import enums

        self._transport = transport
        self._limit_s = transport.limits.connect_s
        self._heard = _Heard()
        version = transport.version or ("5" if transport.is_durable else "3.1.1")
        self._client = client = paho.Client(
            enums.CallbackAPIVersion.VERSION2,
            client_id=f"{transport.client_id}-{secrets.token_hex(8)}",
            protocol=paho.MQTTv5 if version == "5" else paho.MQTTv311,
        )
        self._listen(client)
        client.connect_timeout = self._limit_s
        if transport.tls is not None:
            client.tls_set_context(transport.tls.context())
        if credentials[0]:
            client.username_pw_set(*credentials)
        client.connect(transport.host, transport.port)
        try:
            self._await(lambda: self._heard.connected, self._limit_s)
        except BrokerError:
            self.leave()
            raise
        reason = self._heard.connected
        if reason is not None and reason.is_failure:
            self.leave()
            raise BrokerError(_TROUBLES.get(reason.value, Trouble.REFUSAL), reason.getName())

    def subscribe(self, topic: str) -> None:
        self._client.subscribe(topic, qos=1)
        self._await(lambda: self._heard.subscribed, self._limit_s)
        reason = self._heard.subscribed
        if reason is not None and reason.is_failure:
            raise Refused(Trouble.FORBIDDEN, reason.getName())

    def publish(self, body: str) -> None:
        """Return when the broker has the message."""
        transport = self._transport
        if not transport.is_durable:
            self._client.publish(transport.topic, body.encode(), qos=0)
            # Nobody acknowledges QoS 0. But the broker reads one packet after the other, and answers this one.
            self._client.unsubscribe(f"otppi-nothing-{secrets.token_hex(8)}")
            self._await(lambda: self._heard.unsubscribed, self._limit_s)
            return
        self._client.publish(transport.topic, body.encode(), qos=1)
        self._await(lambda: self._heard.published, self._limit_s)
        reason = self._heard.published
        if reason is not None and reason.value == _NOBODY_LISTENS:
            raise MissingQueue(Trouble.UNHEARD, reason.getName())
        if reason is not None and reason.is_failure:
            trouble = Trouble.FORBIDDEN if reason.value == _NOT_AUTHORIZED else Trouble.REFUSAL
            raise Refused(trouble, reason.getName())

    def answer(self, limit_s: float) -> Document | None:
        self._await(lambda: self._heard.answer, limit_s)
        return self._heard.answer

    def leave(self) -> None:
        self._client.disconnect()

    def _await(self, heard: Callable[[], object], limit_s: float) -> None:
        countdown = Countdown(limit_s)
        while heard() is None:
            code = self._client.loop(min(countdown.left_s(), _LOOP_S))
            if code != 0 and heard() is None:
                raise BrokerError(Trouble.LOST, code.name)

    def _listen(self, client: "paho.Client") -> None:
        heard = self._heard

        # The library's own signatures; of each only the reason counts.
        def on_connect(_: Any, __: Any, ___: Any, reason: "ReasonCode", ____: Any) -> None:  # noqa: ANN401
            heard.connected = reason

        def on_subscribe(_: Any, __: Any, ___: int, reasons: "list[ReasonCode]", ____: Any) -> None:  # noqa: ANN401
            heard.subscribed = reasons[0]

        def on_publish(_: Any, __: Any, ___: int, reason: "ReasonCode", ____: Any) -> None:  # noqa: ANN401
            heard.published = reason

        def on_unsubscribe(*_: object) -> None:
            heard.unsubscribed = True

        def on_message(_: Any, __: Any, message: "paho.MQTTMessage") -> None:  # noqa: ANN401
            heard.answer = heard.answer or as_answer(message.payload)

        client.on_connect = on_connect
        client.on_subscribe = on_subscribe
        client.on_publish = on_publish
        client.on_unsubscribe = on_unsubscribe
        client.on_message = on_message
