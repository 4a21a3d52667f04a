"""What keeps a broker from being used, in words that tell the owner what to do."""

import errno
import re
import socket
import ssl
from enum import StrEnum

from otppi.model.errors import OtpPiError


class Trouble(StrEnum):
    """The kinds of trouble; each value is the sentence that is shown."""

    NAME = "The name of the broker is not known: check the host, and the network of this device."
    REFUSED = "Nothing listens at that host and port: check both, and whether the broker runs."
    NO_ROUTE = "The broker cannot be reached: check the network, and the firewall in front of the broker."
    TIMEOUT = "The broker does not answer: check host and port, and the firewall in front of it."
    LOST = "The connection broke."
    LOGIN = "The broker refuses the user name or the password."
    FORBIDDEN = "The broker does not let this user use that topic."
    NO_QUEUE = "There is no queue of that name, and this user may not make one."
    OTHER_QUEUE = (
        "There is a queue of that name that was made otherwise: choose the other mode, or another topic."
    )
    NO_VHOST = "There is no virtual host of that name, or this user may not use it."
    CLIENT_ID = "The broker refuses the client ID."
    TAKEN_OVER = "Another connection with the same client ID has taken this one's place."
    UNTRUSTED = "The certificate of the broker is not trusted: give its CA, or check the name of the host."
    NOT_TLS = "The broker does not speak TLS at that port, or not a version that is safe."
    NEEDS_TLS = "The broker speaks TLS at that port: switch SSL on."
    OWN_CERTIFICATE = "The client certificate or its key cannot be used."
    OTHER_PROTOCOL = "Something else listens at that port."
    OTHER_VERSION = "The broker does not speak that version of MQTT: choose the other."
    OPENWIRE = "That port speaks OpenWire, which only Java clients do: use the STOMP port of the broker, usually 61613."
    NO_GROUPS = "The broker does not divide messages among devices: leave the group empty."
    NO_STREAMS = "This Redis is too old for streams: choose the compatible mode, or Redis 5 or newer."
    UNHEARD = "Nobody listens to that topic."
    PATH = "There is no WebSocket broker at that path of the host: check the path."
    HUNG_UP = "The broker hung up at once: check user name and password."
    REFUSAL = "The broker refused."


class BrokerError(OtpPiError):
    """A broker cannot be used now; `trouble` says why, `detail` what the broker or the system said itself."""

    code = "1503"
    status = 503

    def __init__(self, trouble: Trouble, detail: str = "") -> None:
        super().__init__(f"{trouble.value} ({detail})" if detail else trouble.value)
        self.trouble = trouble
        self.detail = detail

    def without(self, secret: str) -> "BrokerError":
        """Return the same error without a secret that the broker may have repeated."""
        if not secret or secret not in self.detail:
            return self
        return BrokerError(self.trouble, self.detail.replace(secret, "***"))


def from_os(error: BaseException) -> BrokerError:
    """Translate what the system says when a connection is made or breaks; looks at causes as well."""
    for one in _with_causes(error):
        if isinstance(one, BrokerError):
            return one
        trouble = _trouble_of(one)
        if trouble is not None:
            return BrokerError(trouble, _detail(one))
    return BrokerError(Trouble.LOST, _detail(error))


def _with_causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop(0)
        if one is None or one in found:
            continue
        found.append(one)
        left += [*(arg for arg in one.args if isinstance(arg, BaseException)), one.__cause__, one.__context__]
    return found


def _trouble_of(error: BaseException) -> Trouble | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble.UNTRUSTED
    if isinstance(error, ssl.SSLEOFError):
        return Trouble.LOST
    if isinstance(error, ssl.SSLError):
        is_about_ours = re.search("ALERT.*(CERTIFICATE|UNKNOWN_CA)", error.reason or "")
        return Trouble.OWN_CERTIFICATE if is_about_ours else Trouble.NOT_TLS
    if isinstance(error, socket.gaierror):
        return Trouble.NAME
    if isinstance(error, ConnectionRefusedError):
        return Trouble.REFUSED
    if isinstance(error, TimeoutError):
        return Trouble.TIMEOUT
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return Trouble.NO_ROUTE
    return None


def _detail(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__
