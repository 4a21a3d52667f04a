"""What all ways to a gateway have in common."""

import json
import re
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from ssl import SSLContext
from typing import Any, ClassVar, Protocol

from otppi.brokers.errors import BrokerError, Trouble, from_os
from otppi.brokers.settings import TOPIC_PATTERN
from otppi.brokers.tls import client_context
from otppi.publisher.errors import ConfigurationError, LoginRefused, TransportError, transport_error

Document = dict[str, Any]
Credentials = tuple[str, str]  # user name and password

_PEM = "-----BEGIN "


class Mode(StrEnum):
    """What a broker promises; the gateway's subscriber must have the same one."""

    COMPATIBLE = "compatible"  # as the publisher in PHP does; what nobody takes at once is lost
    DURABLE = "durable"  # the broker keeps it until a gateway has brought it to an end


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a call may take."""

    connect_s: float = 10.0  # to connect and to log in, and then to hand the message over
    answer_s: float = 70.0  # from then to the answer; a gateway may work on a message for a minute


@dataclass(frozen=True, kw_only=True)
class Tls:
    """How the other side proves who it is, and what this side shows; files in PEM."""

    ca_file: Path | None = None  # who vouches for the server; None for those whom the system trusts
    certificate_file: Path | None = None  # the client's own certificate, and its key without a passphrase
    key_file: Path | None = None
    verify: bool = True  # off, anybody in between can read and change what is sent

    def context(self) -> SSLContext:
        """Make the context of one connection; raises ConfigurationError or BrokerError if a file cannot be used."""
        return client_context(
            ca_pem=_text_of(self.ca_file),
            certificate_pem=_text_of(self.certificate_file),
            key_pem=_text_of(self.key_file),
            verify=self.verify,
        )


def _text_of(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        text = file.read_text("utf-8", "replace")
    except OSError as error:
        raise ConfigurationError("", str(file), error.strerror or type(error).__name__) from error
    if _PEM not in text:
        # An empty file would mean: trust whom the system trusts, and show nothing.
        raise ConfigurationError("", str(file), "holds no certificate or key in PEM")
    return text


class Transport(Protocol):
    """A way to a gateway; `send` may be called from any thread and after a fork, as each call has its connection."""

    def send(self, request: Document, *, wants_answer: bool) -> Document | None:
        """Hand one request over and return the answer, or None where there is none unless it is wanted.

        Raises:
            TransportError: It was not handed over, or was not answered; `is_unknown` tells which.
        """
        ...


@dataclass
class Stage:
    """How far a call has come."""

    was_handed_over: bool = False


@contextmanager
def translated(*errors: type[Exception], peer: str = "broker") -> Iterator[Stage]:
    """Turn what a library raises into this package's errors; say in the stage when the message may have left."""
    stage = Stage()
    known: tuple[type[Exception], ...] = (BrokerError, OSError, *errors)
    try:
        yield stage
    except TransportError:
        raise
    except known as error:
        raise transport_error(from_os(error), was_handed_over=stage.was_handed_over, peer=peer) from error


class Countdown:
    """The time that is left of a limit."""

    def __init__(self, limit_s: float) -> None:
        self._end_s = time.monotonic() + limit_s

    def left_s(self) -> float:
        """Return the seconds left; raises BrokerError when there are none."""
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise BrokerError(Trouble.TIMEOUT)
        return left_s


@dataclass(frozen=True, kw_only=True)
class BrokerTransport(ABC):
    """What the transports over a broker have in common."""

    section: ClassVar[str]  # of the ini file

    host: str = "127.0.0.1"
    username: str = ""
    password: str = field(default="", repr=False)
    topic: str = "sms"
    mode: Mode = Mode.DURABLE
    tls: Tls | None = None
    limits: Limits = field(default_factory=Limits)
    # How long the gateway is to wait before it answers; None for its default.
    callback_delay_ms: int | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(TOPIC_PATTERN, self.topic):
            raise ConfigurationError(
                self.section, "topic", "may hold letters, digits and . _ / -, at most 200"
            )

    @property
    def is_durable(self) -> bool:
        """Whether the broker is to keep the message."""
        return self.mode is Mode.DURABLE

    def send(self, request: Document, *, wants_answer: bool) -> Document | None:
        """See `Transport`."""
        topic = ""
        if wants_answer:
            # Not to be guessed: whoever may use the broker could hear the answer, or give another.
            topic = self.answer_topic(f"otppi-answer-{secrets.token_hex(16)}")
            request = {**request, "callback_topic": topic}
            if self.callback_delay_ms is not None:
                request["callback_delay"] = self.callback_delay_ms
        body = json.dumps(request)
        first, *others = dict.fromkeys(self.credentials())
        try:
            return self.send_as(first, body, topic)
        except LoginRefused:
            for one in others if not self.is_durable else ():
                with suppress(LoginRefused):
                    return self.send_as(one, body, topic)
            raise

    def credentials(self) -> list[Credentials]:
        """Return what to log in with; after the first, in the compatible mode, what the publisher in PHP would."""
        return [(self.username, self.password)]

    def answer_topic(self, name: str) -> str:
        """Return what the request says of where its answer is to go."""
        return name

    @abstractmethod
    def send_as(self, credentials: Credentials, body: str, answer_topic: str) -> Document | None:
        """Hand the body over; with a topic for the answer, wait for what comes there.

        Raises:
            TransportError: See `Transport.send`.
        """


def as_answer(body: str | bytes | bytearray) -> Document | None:
    """Read what came where an answer is expected; None for anything else, which may well come there."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
