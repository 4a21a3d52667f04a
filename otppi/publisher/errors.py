"""What keeps a publisher from doing what it was asked, and whether it may have been done all the same."""

from typing import ClassVar

from otppi.brokers.errors import BrokerError, Trouble
from otppi.model.errors import OtpPiError

_UNKNOWN_OUTCOME = "1408"


class PublisherError(OtpPiError):
    """Anything that a publisher cannot do; what the gateway refuses is an `Answer` instead."""

    is_unknown: ClassVar[bool] = False  # whether the message may be on its way nevertheless


class ConfigurationError(PublisherError):
    """A key of the ini file, or an argument in its place, is wrong; `section` and `key` name it."""

    def __init__(self, section: str, key: str, reason: str) -> None:
        super().__init__(f"[{section}] {key}: {reason}" if section else f"{key}: {reason}")
        self.section = section
        self.key = key


class CodesUnavailable(PublisherError):
    """The folder of the codes that are made on this side cannot be used now; nothing was published or accepted."""


class TransportError(PublisherError):
    """The way to the gateway cannot be used; `trouble` says why, `detail` what the other side or the system said."""

    words: ClassVar[str] = ""  # instead of those of the trouble

    def __init__(self, trouble: Trouble, detail: str = "", *, peer: str = "broker") -> None:
        words = self.words or trouble.value.replace("broker", peer).replace("this device", "this machine")
        super().__init__(f"{words} ({detail})" if detail else words)
        self.trouble = trouble
        self.detail = detail


class CannotConnect(TransportError):
    """No connection was made: nothing was handed over."""


class LoginRefused(TransportError):
    """The user name, the password or the client certificate was refused; nothing was handed over."""


class MissingQueue(TransportError):
    """Nobody would ever get the message: there is no queue of that name, or nobody listens. It was not taken."""

    words = "There is no queue of that name, or nobody listens to the topic: is the gateway set up for it?"


class Refused(TransportError):
    """The connection was made, and the message refused; it was not taken."""


class ConnectionLost(TransportError):
    """The connection broke after the message left: it may have been taken."""

    code = _UNKNOWN_OUTCOME
    is_unknown = True
    words = "The connection broke after the message had left: it may have been taken."


class AnswerTimeout(ConnectionLost):
    """The message left, and no answer came in time: it may have been taken."""

    words = "No answer came in time: the message may have been taken."


_KINDS: dict[Trouble, type[TransportError]] = {
    Trouble.LOGIN: LoginRefused,
    Trouble.NO_VHOST: LoginRefused,
    Trouble.CLIENT_ID: LoginRefused,
    Trouble.OWN_CERTIFICATE: LoginRefused,
    Trouble.HUNG_UP: LoginRefused,
    Trouble.NO_QUEUE: MissingQueue,
    Trouble.UNHEARD: MissingQueue,
    Trouble.FORBIDDEN: Refused,
    Trouble.OTHER_QUEUE: Refused,
    Trouble.NO_STREAMS: Refused,
    Trouble.REFUSAL: Refused,
}


def transport_error(error: BrokerError, *, was_handed_over: bool, peer: str = "broker") -> TransportError:
    """Return the error of this tree for what a connection said; once handed over, only that it is unknown."""
    kind = _KINDS.get(error.trouble, CannotConnect)
    if was_handed_over:
        kind = AnswerTimeout if error.trouble is Trouble.TIMEOUT else ConnectionLost
    return kind(error.trouble, error.detail, peer=peer)
