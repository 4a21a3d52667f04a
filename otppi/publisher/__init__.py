"""What an application server needs to have messages sent by an OTP-Pi that it may not be able to reach.

Imports nothing of the gateway's host, modems or pages, and of the libraries for brokers only the chosen one, when it is
used. See the README beside this file.
"""

from otppi.publisher.amqp import AmqpTransport
from otppi.publisher.answer import Answer, ModemList, UssdReply
from otppi.publisher.codes import OwnCodes
from otppi.publisher.errors import (
    AnswerTimeout,
    CannotConnect,
    CodesUnavailable,
    ConfigurationError,
    ConnectionLost,
    LoginRefused,
    MissingQueue,
    PublisherError,
    Refused,
    TransportError,
)
from otppi.publisher.mqtt import MqttTransport
from otppi.publisher.publisher import Publisher
from otppi.publisher.redis import RedisTransport
from otppi.publisher.rest import RestTransport
from otppi.publisher.stomp import StompTransport
from otppi.publisher.transport import Limits, Mode, Tls, Transport
from otppi.publisher.ws import WsTransport

__all__ = [
    "AmqpTransport",
    "Answer",
    "AnswerTimeout",
    "CannotConnect",
    "CodesUnavailable",
    "ConfigurationError",
    "ConnectionLost",
    "Limits",
    "LoginRefused",
    "MissingQueue",
    "Mode",
    "ModemList",
    "MqttTransport",
    "OwnCodes",
    "Publisher",
    "PublisherError",
    "RedisTransport",
    "Refused",
    "RestTransport",
    "StompTransport",
    "Tls",
    "Transport",
    "TransportError",
    "UssdReply",
    "WsTransport",
]
