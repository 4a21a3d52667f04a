"""How pages tell where messages came from and what became of them."""

from collections.abc import Mapping
from types import MappingProxyType

from otppi.model.events import Channel, Outcome
from otppi.web.words import N_

# Level of `parts.badge` and of charts, and the word; in the order in which charts stack them.
OUTCOMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        Outcome.SENT.value: ("good", N_("sent")),
        Outcome.UNKNOWN.value: ("warn", N_("unknown")),
        Outcome.FAILED.value: ("bad", N_("not sent")),
    }
)
CHANNELS: Mapping[str, str] = MappingProxyType(
    {Channel.SMS.value: N_("SMS"), Channel.EMAIL.value: N_("E-mail")}
)
# By the names of "broker.list"; their names are the same in every language.
BROKERS: Mapping[str, str] = MappingProxyType(
    {
        "amqp": "RabbitMQ",
        "mqtt": "Mosquitto",
        "redis": "Redis",
        "stomp": "STOMP",
        "activemq": "ActiveMQ",
        "ws": "WebSocket",
    }
)
# By `otppi.model.requests.Origin.door`.
DOORS: Mapping[str, str] = MappingProxyType(
    {
        "rest": N_("REST API"),
        "vendor": N_("Vendor API"),
        **dict(BROKERS),
        "smtp": N_("Local SMTP server"),
        "admin": N_("Admin pages"),
        "cli": N_("Command line"),
    }
)
# By the names of "door.list".
SERVERS: Mapping[str, str] = MappingProxyType(
    {
        "rest": N_("REST API"),
        "rest-tls": N_("REST API, encrypted"),
        "vendor": N_("Vendor API"),
        "vendor-tls": N_("Vendor API, encrypted"),
        "admin": N_("Admin pages"),
        "admin-tls": N_("Admin pages, encrypted"),
        "portal": N_("Welcome page of the Wi-Fi"),
    }
)
