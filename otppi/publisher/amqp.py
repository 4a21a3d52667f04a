"""AMQP 0-9-1, as RabbitMQ speaks it."""

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from otppi.brokers.errors import BrokerError, Trouble
from otppi.publisher.errors import MissingQueue, Refused
from otppi.publisher.transport import BrokerTransport, Credentials, Document, Stage, as_answer, translated

if TYPE_CHECKING:
    import pika
    from pika.channel import Channel
    from pika.spec import Basic

_PERSISTENT = 2
_LEAVE_S = 1.0  # for taking leave of a broker that has done its part


@dataclass(frozen=True, kw_only=True)
class AmqpTransport(BrokerTransport):
    """Publishes to the queue of the topic, which the gateway has declared.

    In both modes the broker confirms that it has the message, and says if there is no such queue. Durable messages
    survive a restart of the broker.
    """

    section: ClassVar[str] = "AMQP"

    port: int = 5672
    username: str = "guest"
    password: str = field(default="guest", repr=False)
    vhost: str = "/"

    def send_as(self, credentials: Credentials, body: str, answer_topic: str) -> Document | None:
        """See `BrokerTransport`."""
        import pika  # a process that uses another broker need not have it

        with translated(pika.exceptions.AMQPError) as stage:
            parameters = pika.ConnectionParameters(
                host=self.host,
                port=self.port,
                virtual_host=self.vhost,
                credentials=pika.PlainCredentials(*credentials),
                ssl_options=pika.SSLOptions(self.tls.context(), self.host) if self.tls is not None else None,
                socket_timeout=self.limits.connect_s,
                stack_timeout=self.limits.connect_s,
                client_properties={"connection_name": "otppi publisher"},
            )
            return _Errand(self, parameters, stage, body, answer_topic).run()


class _Errand:
    """One connection from its opening to its end; each method but `run` is called by pika when a step is done.

    pika's blocking connection would be shorter, and waits without end for a broker that does not confirm.
    """

    def __init__(
        self,
        transport: AmqpTransport,
        parameters: "pika.ConnectionParameters",
        stage: Stage,
        body: str,
        answer_topic: str,
    ) -> None:
        self._transport = transport
        self._parameters = parameters
        self._stage = stage
        self._body = body
        self._answer_topic = answer_topic
        self._answer: Document | None = None
        self._error: Exception | None = None
        self._is_taken = False  # the broker has the message
        self._is_ending = False
        self._timer: object = None

    def run(self) -> Document | None:
        import pika

        self._connection = pika.SelectConnection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_end,
            on_close_callback=self._on_end,
        )
        self._loop = self._connection.ioloop
        try:
            self._loop.start()
        finally:
            self._loop.close()
        if self._error is not None:
            raise self._error
        return self._answer

    def _on_open(self, _: object) -> None:
        self._limit(self._transport.limits.connect_s)
        self._connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: "Channel") -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_channel_closed)
        if self._answer_topic:
            # As the publisher in PHP declares it: with anything else the gateway's declaration would be refused.
            channel.queue_declare(self._answer_topic, durable=True, callback=self._on_answer_queue)
        else:
            self._on_listening(None)

    def _on_answer_queue(self, _: object) -> None:
        self._channel.basic_consume(
            self._answer_topic, self._on_message, auto_ack=True, callback=self._on_listening
        )

    def _on_listening(self, _: object) -> None:
        self._channel.add_on_return_callback(self._on_returned)
        self._channel.confirm_delivery(self._on_confirmed, callback=self._on_confirming)

    def _on_confirming(self, _: object) -> None:
        import pika

        properties = None
        if self._transport.is_durable:
            # Its id lets the gateway recognise what the broker hands over twice.
            properties = pika.BasicProperties(
                content_type="application/json",
                delivery_mode=_PERSISTENT,
                message_id=secrets.token_hex(16),
            )
        self._stage.was_handed_over = True
        self._channel.basic_publish(
            "", self._transport.topic, self._body.encode(), properties, mandatory=True
        )

    def _on_returned(self, *_: object) -> None:
        self._leave(MissingQueue(Trouble.NO_QUEUE))

    def _on_confirmed(self, frame: Any) -> None:  # noqa: ANN401 - pika's frames have no common type
        from pika.spec import Basic

        if isinstance(frame.method, Basic.Nack):
            self._leave(Refused(Trouble.REFUSAL, "nack"))
        elif self._answer_topic and self._error is None:
            self._is_taken = True
            self._limit(self._transport.limits.answer_s)
            self._answer_or_wait()
        else:
            self._leave(None)

    def _on_message(self, _: object, __: "Basic.Deliver", ___: object, body: bytes) -> None:
        if self._answer is None:
            self._answer = as_answer(body)
        self._answer_or_wait()

    def _answer_or_wait(self) -> None:
        # The answer may be faster than the confirmation.
        if self._answer is not None and self._is_taken:
            self._leave(None)

    def _limit(self, limit_s: float) -> None:
        if self._timer is not None:
            self._loop.remove_timeout(self._timer)
        self._timer = self._loop.call_later(limit_s, self._on_late)

    def _on_late(self) -> None:
        if self._is_ending:
            # pika has no other way to hang up on a broker that does not take leave.
            self._connection._adapter_disconnect_stream()
        else:
            self._leave(BrokerError(Trouble.TIMEOUT))

    def _leave(self, error: Exception | None) -> None:
        """End the connection, whatever became of the message; the first reason counts."""
        if self._is_ending:
            return
        self._is_ending = True
        self._error = error
        self._limit(_LEAVE_S)
        if self._answer_topic and self._channel.is_open:
            self._channel.queue_delete(self._answer_topic, callback=self._on_left)
        else:
            self._on_left(None)

    def _on_left(self, _: object) -> None:
        if self._connection.is_open:
            self._connection.close()

    def _on_channel_closed(self, _: object, reason: Exception) -> None:
        from pika import exceptions

        from otppi.brokers.amqp import translated as broker_error

        if isinstance(reason, exceptions.ChannelClosedByBroker) and not self._is_taken:
            self._stage.was_handed_over = False  # a broker that closes a channel has refused what came last
        self._leave(broker_error(reason))

    def _on_end(self, _: object, reason: Exception | str) -> None:
        from otppi.brokers.amqp import translated as broker_error

        if not self._is_ending:
            self._error = broker_error(reason)
        self._loop.stop()
