"""AMQP 0-9-1, as RabbitMQ speaks it.

All work on the connection is done on the thread that calls `receive`: pika's connection belongs to one thread, and
others hand their work over to it.
"""

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

import pika
from pika import exceptions
from pika.adapters.blocking_connection import BlockingChannel

from otppi.brokers.errors import BrokerError, Trouble, from_os
from otppi.brokers.link import ANSWER_LIFE_S, DEAD_LIFE_S, Message
from otppi.brokers.reach import reach
from otppi.brokers.settings import AmqpSettings
from otppi.brokers.tls import client_context

# Of a connection that fails it says in six lines what the subscriber says in one.
logging.getLogger("pika").setLevel(logging.CRITICAL)

_HEARTBEAT_S = 30
_PERSISTENT, _TRANSIENT = 2, 1
# A queue that we made for answers is taken away when the last answer in it has died.
_ANSWERS_GONE_S = 2 * ANSWER_LIFE_S
_MOST_ANSWER_QUEUES = 200

# AMQP 0-9-1, 1.2: reply codes.
_ACCESS_REFUSED, _NOT_FOUND, _PRECONDITION_FAILED, _NOT_ALLOWED = 403, 404, 406, 530

T = TypeVar("T")


def parameters(settings: AmqpSettings, name: str = "otppi") -> pika.ConnectionParameters:
    """Return how a connection is made; raises BrokerError for certificates that cannot be used."""
    tls = None
    if settings.tls:
        context = client_context(
            ca_pem=settings.ca_certificate,
            certificate_pem=settings.client_certificate,
            key_pem=settings.client_key,
            verify=settings.tls_verify,
        )
        tls = pika.SSLOptions(context, settings.host)
    return pika.ConnectionParameters(
        host=settings.host,
        port=settings.port,
        virtual_host=settings.virtual_host,
        credentials=pika.PlainCredentials(settings.username, settings.login_password),
        ssl_options=tls,
        heartbeat=_HEARTBEAT_S,
        socket_timeout=settings.timeout_s,
        stack_timeout=settings.timeout_s,
        blocked_connection_timeout=settings.timeout_s,
        client_properties={"connection_name": name},
    )


def connect(settings: AmqpSettings, name: str = "otppi") -> pika.BlockingConnection:
    """Connect and log in; raises BrokerError."""
    reach(settings.host, settings.port, settings.timeout_s)
    try:
        return pika.BlockingConnection(parameters(settings, name))
    except (exceptions.AMQPError, OSError) as error:
        raise _translated(error) from error


def probe(settings: AmqpSettings) -> str:
    """See `Kind.probe`."""
    connection = connect(settings, "otppi-test")
    try:
        waiting = connection.channel().queue_declare(settings.topic, passive=True).method.message_count
    except exceptions.ChannelClosedByBroker as error:
        if error.reply_code != _NOT_FOUND:
            raise _translated(error) from error
        return "The broker let this device in. The queue is not there yet and will be made."
    except exceptions.AMQPError as error:
        raise _translated(error) from error
    finally:
        _close(connection)
    return f"The broker let this device in. Messages that wait in the queue: {waiting}."


def open_link(settings: AmqpSettings, most_in_hand: int) -> "AmqpLink":
    """See `Kind.open`."""
    return AmqpLink(settings, most_in_hand)


class AmqpLink:
    """See `Link`."""

    keeps = True

    def __init__(self, settings: AmqpSettings, most_in_hand: int) -> None:
        """Connect, declare the queue and subscribe; raises BrokerError."""
        self._settings = settings
        self._inbox: deque[Message] = deque()
        self._is_closed = False
        self._is_cancelled = False
        self._answer_queues: OrderedDict[str, tuple[float, bool]] = (
            OrderedDict()
        )  # used last, and whether ours
        self._connection = connect(settings)
        try:
            self._declare(settings.topic)
            self._channel = channel = self._connection.channel()
            self._publishing = self._publishing_channel()
            channel.add_on_cancel_callback(self._cancelled)
            channel.basic_qos(prefetch_count=most_in_hand)
            channel.basic_consume(settings.topic, self._came)
        except exceptions.AMQPError as error:
            _close(self._connection)
            raise _translated(error) from error

    def receive(self, timeout_s: float) -> Message | None:
        """See `Link`."""
        try:
            if not self._inbox:
                self._connection.process_data_events(timeout_s)
            self._drop_old_answer_queues()
        except (exceptions.AMQPError, OSError) as error:
            raise _translated(error) from error
        if self._is_cancelled:
            raise BrokerError(Trouble.NO_QUEUE, "it was deleted")
        return self._inbox.popleft() if self._inbox else None

    def settle(self, message: Message) -> None:
        """See `Link`."""
        self._later(lambda: self._channel.basic_ack(message.handle))

    def give_back(self, message: Message) -> bool:
        """See `Link`."""
        self._later(lambda: self._channel.basic_nack(message.handle, requeue=True))
        return True

    def bury(self, message: Message, reason: str) -> bool:
        """See `Link`."""

        def bury() -> None:
            dead = self._settings.dead_topic
            self._publishing.queue_declare(dead, durable=True)
            self._send(dead, message.body, DEAD_LIFE_S, _PERSISTENT, {"x-otppi-reason": reason[:200]})
            self._channel.basic_ack(message.handle)

        self._now(bury)
        return True

    def publish(self, topic: str, body: bytes) -> None:
        """See `Link`; to the queue of that name, which is made as OTP-Publisher makes it if it is not there."""

        def publish() -> None:
            self._make_answer_queue(topic)
            self._send(topic, body, ANSWER_LIFE_S, _TRANSIENT)

        self._now(publish)

    def close(self) -> None:
        """See `Link`."""
        self._is_closed = True
        _close(self._connection)

    def _came(self, _: BlockingChannel, method: Any, properties: pika.BasicProperties, body: bytes) -> None:  # noqa: ANN401 - pika's
        headers = properties.headers or {}
        count = headers.get("x-delivery-count", 0)  # of quorum queues
        self._inbox.append(
            Message(
                body=body,
                handle=method.delivery_tag,
                token=f"amqp {properties.message_id}" if properties.message_id else "",
                is_redelivered=method.redelivered,
                deliveries=count + 1 if isinstance(count, int) else 1,
            )
        )

    def _cancelled(self, _: object) -> None:
        self._is_cancelled = True

    def _declare(self, queue: str) -> None:
        """Make the queue unless it is there; one of other properties will do if it keeps what we promise."""
        try:
            with self._connection.channel() as channel:
                channel.queue_declare(queue, durable=self._settings.is_durable)
        except exceptions.ChannelClosedByBroker as error:
            is_otherwise_durable = "'durable'" in error.reply_text and self._settings.is_durable
            if error.reply_code not in (_ACCESS_REFUSED, _PRECONDITION_FAILED) or is_otherwise_durable:
                raise
            try:
                with self._connection.channel() as channel:
                    channel.queue_declare(queue, passive=True)
            except exceptions.ChannelClosedByBroker:
                raise error from None

    def _publishing_channel(self) -> BlockingChannel:
        # A channel of its own: the broker closes a channel for any mistake, and the one that consumes must stay.
        channel = self._connection.channel()
        channel.confirm_delivery()
        return channel

    def _make_answer_queue(self, queue: str) -> None:
        known = self._answer_queues.pop(queue, None)
        is_ours = known[1] if known is not None else False
        if known is None:
            try:
                self._publishing.queue_declare(queue, passive=True)
            except exceptions.ChannelClosedByBroker as error:
                if error.reply_code != _NOT_FOUND:
                    raise
                self._publishing = self._publishing_channel()
                is_ours = True
        if is_ours:
            # Exactly as the client declares it: with anything else it would be refused.
            self._publishing.queue_declare(queue, durable=True, exclusive=False, auto_delete=False)
        self._answer_queues[queue] = (time.monotonic(), is_ours)

    def _drop_old_answer_queues(self) -> None:
        while self._answer_queues:
            queue, (used_s, is_ours) = next(iter(self._answer_queues.items()))
            is_old = time.monotonic() - used_s > _ANSWERS_GONE_S
            if not is_old and len(self._answer_queues) <= _MOST_ANSWER_QUEUES:
                return
            del self._answer_queues[queue]
            if is_ours and is_old:
                try:
                    self._publishing.queue_delete(queue, if_unused=True, if_empty=True)
                except exceptions.ChannelClosedByBroker:
                    self._publishing = self._publishing_channel()  # it is in use after all

    def _send(
        self, queue: str, body: bytes, life_s: float, mode: int, headers: dict[str, str] | None = None
    ) -> None:
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=mode,
            expiration=str(int(life_s * 1000)),
            headers=headers,
        )
        self._publishing.basic_publish("", queue, body, properties, mandatory=True)

    def _later(self, do: Callable[[], None]) -> None:
        """Have something done on the thread of the connection."""

        def unless_closed() -> None:
            if not self._is_closed:
                do()

        try:
            self._connection.add_callback_threadsafe(unless_closed)
        except exceptions.ConnectionWrongStateError:
            return  # closed: what was not settled comes again

    def _now(self, do: Callable[[], T]) -> T:
        """Have something done on the thread of the connection and wait for it."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(do())
            except exceptions.ChannelClosedByBroker as error:
                done.set_exception(error)
                self._publishing = self._publishing_channel()
            except exceptions.AMQPError as error:
                done.set_exception(error)

        self._later(run)
        try:
            return done.result(self._settings.timeout_s)
        except exceptions.AMQPError as error:
            raise _translated(error) from error
        except FutureTimeoutError:
            raise BrokerError(Trouble.TIMEOUT) from None


def _close(connection: pika.BlockingConnection) -> None:
    try:
        if connection.is_open:
            connection.close()
    except (exceptions.AMQPError, OSError):
        return  # it is gone all the same


def _translated(error: BaseException) -> BrokerError:
    match error:
        case exceptions.ProbableAuthenticationError():
            return BrokerError(Trouble.LOGIN)
        case exceptions.ProbableAccessDeniedError():
            return BrokerError(Trouble.NO_VHOST)
        case exceptions.ChannelClosedByBroker() | exceptions.ConnectionClosedByBroker():
            return _refusal(error.reply_code, error.reply_text)
        case exceptions.UnroutableError():
            return BrokerError(Trouble.NO_QUEUE)
        case exceptions.IncompatibleProtocolError():
            return BrokerError(Trouble.OTHER_PROTOCOL)
        case _:
            return from_os(error)


def _refusal(code: int, text: str) -> BrokerError:
    troubles = {
        _ACCESS_REFUSED: Trouble.LOGIN if "login" in text.lower() else Trouble.FORBIDDEN,
        _NOT_FOUND: Trouble.NO_QUEUE,
        _PRECONDITION_FAILED: Trouble.OTHER_QUEUE,
        _NOT_ALLOWED: Trouble.NO_VHOST,
    }
    return BrokerError(troubles.get(code, Trouble.REFUSAL), text[:200])
