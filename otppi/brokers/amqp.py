"""AMQP 0-9-1, as RabbitMQ speaks it.

All work on the connection is done on the thread that calls `receive`: pika's connection belongs to one thread, and
others hand their work over to it.
"""

import contextlib
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import pika
from pika import exceptions
from pika.adapters.blocking_connection import BlockingChannel
from pika.adapters.utils.connection_workflow import AMQPConnectorStackTimeout

from otppi.brokers.errors import BrokerError, Trouble, from_os
from otppi.brokers.link import ANSWER_LIFE_S, DEAD_LIFE_S, Message
from otppi.brokers.reach import context_for, reach
from otppi.brokers.settings import AmqpSettings

# Of a connection that fails it says in six lines what the subscriber says in one.
logging.getLogger("pika").setLevel(logging.CRITICAL)

_HEARTBEAT_S = 30
_PERSISTENT, _TRANSIENT = 2, 1
# A queue that we made for answers is taken away when the last answer in it has died.
_ANSWERS_GONE_S = 2 * ANSWER_LIFE_S
_MOST_ANSWER_QUEUES = 200
_LOOKED_AT = 10  # of them, for one that is not needed any more
_LEAVE_S = 2.0  # for the last that is said before the line is cut

# AMQP 0-9-1, 1.2: reply codes.
_ACCESS_REFUSED, _NOT_FOUND, _PRECONDITION_FAILED, _NOT_ALLOWED = 403, 404, 406, 530

T = TypeVar("T")


def parameters(settings: AmqpSettings, name: str = "otppi") -> pika.ConnectionParameters:
    """Return how a connection is made; raises BrokerError for certificates that cannot be used."""
    return pika.ConnectionParameters(
        host=settings.host,
        port=settings.port,
        virtual_host=settings.virtual_host,
        credentials=pika.PlainCredentials(settings.username, settings.login_password),
        ssl_options=pika.SSLOptions(context_for(settings), settings.host) if settings.tls else None,
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
        raise translated(error) from error


def probe(settings: AmqpSettings) -> str:
    """See `Kind.probe`."""
    connection = connect(settings, "otppi-test")
    try:
        waiting = connection.channel().queue_declare(settings.topic, passive=True).method.message_count
    except exceptions.ChannelClosedByBroker as error:
        if error.reply_code != _NOT_FOUND:
            raise translated(error) from error
        return "The broker let this device in. The queue is not there yet and will be made."
    except exceptions.AMQPError as error:
        raise translated(error) from error
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
        self._counts_deliveries = False  # as quorum queues do
        self._orders: deque[Callable[[], None]] = deque()
        self._answer_queues: OrderedDict[str, float] = (
            OrderedDict()
        )  # that we made, and when they were used last
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
            raise translated(error) from error

    def receive(self, timeout_s: float) -> Message | None:
        """See `Link`."""
        try:
            if not self._inbox:
                self._connection.process_data_events(timeout_s)
            self._drop_old_answer_queues()
        except (exceptions.AMQPError, OSError) as error:
            raise translated(error) from error
        if self._is_cancelled:
            raise BrokerError(Trouble.NO_QUEUE, "it was deleted")
        if not self._channel.is_open:
            raise BrokerError(Trouble.LOST, "the broker closed the channel")
        return self._inbox.popleft() if self._inbox else None

    def settle(self, message: Message) -> None:
        """See `Link`."""
        self._later(lambda: self._channel.basic_ack(message.handle))

    def give_back(self, message: Message) -> bool:
        """See `Link`."""
        if self._counts_deliveries:
            return False  # it would count as an attempt, and too many of them make a dead letter
        self._later(lambda: self._channel.basic_nack(message.handle, requeue=True))
        return True

    def bury(self, message: Message, reason: str) -> bool:
        """See `Link`."""
        if self._is_closed:
            return False

        def bury() -> None:
            dead = self._settings.dead_topic
            self._publishing.queue_declare(dead, durable=True)
            self._send(dead, message.body, DEAD_LIFE_S, _PERSISTENT, {"x-otppi-reason": reason[:200]})

        self._now(bury)
        return True

    def publish(self, topic: str, body: bytes) -> None:
        """See `Link`; to the queue of that name, which is made as OTP-Publisher makes it if it is not there."""

        def publish() -> None:
            try:
                self._send(topic, body, ANSWER_LIFE_S, _TRANSIENT)
            except exceptions.UnroutableError:
                self._make_answer_queue(topic)
                self._send(topic, body, ANSWER_LIFE_S, _TRANSIENT)
            if topic in self._answer_queues:
                self._note_use(topic)

        self._now(publish)

    def close(self) -> None:
        """See `Link`."""
        if self._is_closed:
            return
        self._is_closed = True
        _close(self._connection, self._say_the_last)

    def _say_the_last(self) -> None:
        while self._orders:
            with contextlib.suppress(exceptions.AMQPError, OSError):
                self._do_orders()
        for queue in list(self._answer_queues):
            self._drop_answer_queue(queue)

    def _came(self, _: BlockingChannel, method: Any, properties: pika.BasicProperties, body: bytes) -> None:  # noqa: ANN401 - pika's
        headers = properties.headers or {}
        count = headers.get("x-delivery-count")
        self._counts_deliveries |= count is not None
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
            is_otherwise_durable = "arg 'durable'" in error.reply_text and self._settings.is_durable
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
        if len(self._answer_queues) >= _MOST_ANSWER_QUEUES:
            for one in list(self._answer_queues)[:_LOOKED_AT]:
                self._drop_answer_queue(one)
        if len(self._answer_queues) >= _MOST_ANSWER_QUEUES:
            raise BrokerError(Trouble.UNHEARD, "too many answers wait that nobody takes")
        # Exactly as the client declares it: with anything else it would be refused.
        self._publishing.queue_declare(queue, durable=True, exclusive=False, auto_delete=False)
        self._answer_queues[queue] = time.monotonic()

    def _note_use(self, queue: str) -> None:
        self._answer_queues[queue] = time.monotonic()
        self._answer_queues.move_to_end(queue)

    def _drop_old_answer_queues(self) -> None:
        while self._answer_queues:
            queue, used_s = next(iter(self._answer_queues.items()))
            if time.monotonic() - used_s <= _ANSWERS_GONE_S:
                return
            self._drop_answer_queue(queue)

    def _drop_answer_queue(self, queue: str) -> None:
        """Take away one that we made, unless somebody uses it."""
        try:
            found = self._publishing.queue_declare(queue, passive=True).method
            if found.message_count or found.consumer_count:
                self._note_use(queue)
                return
            self._publishing.queue_delete(queue, if_unused=True, if_empty=True)
        except exceptions.ChannelClosedByBroker:
            self._publishing = self._publishing_channel()  # it is gone, or in use after all
        del self._answer_queues[queue]

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
        if self._is_closed:
            return  # what was not settled comes again
        self._orders.append(do)
        with contextlib.suppress(exceptions.ConnectionWrongStateError):
            self._connection.add_callback_threadsafe(self._do_orders)

    def _do_orders(self) -> None:
        while self._orders:
            self._orders.popleft()()

    def _now(self, do: Callable[[], T]) -> T:
        """Have something done on the thread of the connection and wait for it."""
        if self._is_closed:
            raise BrokerError(Trouble.LOST)
        done: Future[T] = Future()

        def run() -> None:
            if not done.set_running_or_notify_cancel():
                return  # who wanted it has given up
            try:
                done.set_result(do())
            except exceptions.ChannelClosedByBroker as error:
                done.set_exception(error)
                self._publishing = self._publishing_channel()
            except (exceptions.AMQPError, OSError, BrokerError) as error:
                done.set_exception(error)

        self._later(run)
        try:
            return done.result(self._settings.timeout_s)
        except (exceptions.AMQPError, OSError) as error:
            done.cancel()
            raise translated(error) from error


def _close(connection: pika.BlockingConnection, farewell: Callable[[], None] = lambda: None) -> None:
    """Say what is left to be said and hang up; the line is cut when that lasts too long."""
    with contextlib.suppress(Exception):
        # pika has no other way to hang up on a broker that says nothing: each of its calls waits without end.
        connection._impl._adapter_call_later(_LEAVE_S, connection._impl._adapter_disconnect_stream)
    with contextlib.suppress(Exception):
        farewell()
    with contextlib.suppress(Exception):
        if connection.is_open:
            connection.close()
    with contextlib.suppress(Exception):
        connection._cleanup()  # which it forgets when the line is cut meanwhile


def translated(error: BaseException | str) -> BrokerError:
    """Return what an error of pika, or the words that it has instead of one, is for the owner."""
    if isinstance(error, str):
        return BrokerError(Trouble.LOST, error[:200])
    match _innermost(error):
        case exceptions.ProbableAuthenticationError():
            return BrokerError(Trouble.LOGIN)
        case exceptions.ProbableAccessDeniedError():
            return BrokerError(Trouble.NO_VHOST)
        case exceptions.ChannelClosedByBroker() | exceptions.ConnectionClosedByBroker() as closed:
            return _refusal(closed.reply_code, closed.reply_text)
        case exceptions.UnroutableError():
            return BrokerError(Trouble.NO_QUEUE)
        case exceptions.IncompatibleProtocolError():
            return BrokerError(Trouble.OTHER_PROTOCOL)
        case AMQPConnectorStackTimeout() | exceptions.ConnectionOpenAborted():
            return BrokerError(Trouble.TIMEOUT)
        case other:
            return from_os(other)


def _innermost(error: BaseException) -> BaseException:
    """Return what happened, out of what pika wraps around it: for each address that it tried, and each layer."""
    inner = (
        getattr(error, "exception", None) or (getattr(error, "exceptions", None) or error.args or (None,))[-1]
    )
    return _innermost(inner) if isinstance(inner, BaseException) else error


def _refusal(code: int, text: str) -> BrokerError:
    troubles = {
        _ACCESS_REFUSED: Trouble.LOGIN if "login" in text.lower() else Trouble.FORBIDDEN,
        _NOT_FOUND: Trouble.NO_QUEUE,
        _PRECONDITION_FAILED: Trouble.OTHER_QUEUE,
        _NOT_ALLOWED: Trouble.NO_VHOST,
    }
    return BrokerError(troubles.get(code, Trouble.REFUSAL), text[:200])
