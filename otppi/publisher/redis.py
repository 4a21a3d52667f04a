"""Redis: PUBLISH as the publisher in PHP does, or a stream that keeps what is added."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from otppi.brokers.errors import Trouble
from otppi.publisher.errors import MissingQueue
from otppi.publisher.transport import (
    BrokerTransport,
    Countdown,
    Credentials,
    Document,
    as_answer,
    translated,
)

if TYPE_CHECKING:
    import redis
    from redis.client import PubSub

_FIELD = "json"  # of an entry of the stream


@dataclass(frozen=True, kw_only=True)
class RedisTransport(BrokerTransport):
    """Adds to the stream of the topic when durable, else publishes to the channel of that name."""

    section: ClassVar[str] = "REDIS"

    port: int = 6379
    database: int = 0  # of the stream; channels belong to none

    def credentials(self) -> list[Credentials]:
        """See `BrokerTransport`; the publisher in PHP never logs in, and older gateways had no user names."""
        return [(self.username, self.password), ("", self.password), ("", "")]

    def send_as(self, credentials: Credentials, body: str, answer_topic: str) -> Document | None:
        """See `BrokerTransport`."""
        import redis  # a process that uses another broker need not have it

        from otppi.brokers.redis import translated as broker_error

        with translated() as stage:
            try:
                with self._client(credentials) as client, client.pubsub() as answers:
                    if answer_topic:
                        self._subscribe(answers, answer_topic)
                    client.ping()  # connects
                    stage.was_handed_over = True
                    if not self._hand_over(client, body):
                        raise MissingQueue(Trouble.UNHEARD, f"topic {self.topic}")
                    return self._answer(answers) if answer_topic else None
            except redis.exceptions.ResponseError as error:
                stage.was_handed_over = False  # Redis refuses before it does anything
                raise broker_error(error) from error
            except redis.exceptions.RedisError as error:
                raise broker_error(error) from error

    def _client(self, credentials: Credentials) -> "redis.Redis":
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        username, password = credentials
        tls = self.tls
        if tls is not None:
            tls.context()  # raises for files that cannot be used; the library would hide the reason
        return redis.Redis(
            host=self.host,
            port=self.port,
            db=self.database if self.is_durable else 0,
            username=username or None,
            password=password or None,
            socket_timeout=self.limits.connect_s,
            socket_connect_timeout=self.limits.connect_s,
            retry=Retry(NoBackoff(), 0),  # it would publish again what it does not know to have arrived
            protocol=2,
            driver_info=None,  # a user with few rights may not introduce his library
            ssl=tls is not None,
            ssl_ca_certs=str(tls.ca_file) if tls is not None and tls.ca_file is not None else None,
            ssl_certfile=str(tls.certificate_file) if tls is not None and tls.certificate_file else None,
            ssl_keyfile=str(tls.key_file) if tls is not None and tls.key_file else None,
            ssl_cert_reqs="required" if tls is None or tls.verify else "none",
            ssl_check_hostname=tls is None or tls.verify,
        )

    def _subscribe(self, answers: "PubSub", topic: str) -> None:
        answers.subscribe(topic)
        countdown = Countdown(self.limits.connect_s)
        while (answers.get_message(timeout=countdown.left_s()) or {}).get("type") != "subscribe":
            pass

    def _hand_over(self, client: "redis.Redis", body: str) -> bool:
        """Return whether somebody has it: the stream, or at least one who listens."""
        if self.is_durable:
            return bool(client.xadd(self.topic, {_FIELD: body}))
        return bool(client.publish(self.topic, body))

    def _answer(self, answers: "PubSub") -> Document:
        countdown = Countdown(self.limits.answer_s)
        while True:
            message = answers.get_message(ignore_subscribe_messages=True, timeout=countdown.left_s())
            answer = as_answer(message["data"]) if message is not None else None
            if answer is not None:
                return answer
