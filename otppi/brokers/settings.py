"""How each broker is reached, and what is promised there."""

from otppi.settings.fields import boolean, certificate, choice, integer, private_key, secret, text
from otppi.settings.section import Section

DURABLE, COMPATIBLE = "durable", "compatible"

_HOST = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
_HOST_SHAPE = "a host name or an IP address"
# No wildcard of any broker, and nothing that would end a line of a protocol.
TOPIC_PATTERN = r"[A-Za-z0-9._/-]{1,200}"
_GUEST = "guest"  # the user that RabbitMQ is born with, and its password
_TOPIC_SHAPE = "letters, digits and . _ / -, at most 200"


def _mode(compatible: str, durable: str) -> str:
    return choice(
        {DURABLE: "durable: nothing is lost", COMPATIBLE: "compatible: as older publishers expect"},
        default=DURABLE,
        help=f"Durable: {durable} Compatible: {compatible}",
        title="Mode",
    )


class Connection(Section, key="broker", title="Broker"):
    """What the connections to all brokers have in common; each kind of broker is a section of its own."""

    enabled: bool = boolean(
        default=False, help="Whether messages are taken from this broker.", title="Enable"
    )
    mode: str = _mode("", "")
    tls: bool = boolean(default=False, help="Encrypt the connection.", title="SSL")
    host: str = text(default="127.0.0.1", pattern=_HOST, shape=_HOST_SHAPE, help="Where the broker is.")
    port: int = integer(default=0, minimum=0, maximum=65535, help="")
    username: str = text(default="", help="User name at the broker, empty for none.")
    password: str = secret(default="", help="Password at the broker.")
    topic: str = text(
        default="sms",
        pattern=TOPIC_PATTERN,
        shape=_TOPIC_SHAPE,
        help="Topic, queue or channel that publishers send to.",
    )
    received_topic: str = text(
        default="",
        pattern=rf"({TOPIC_PATTERN})?",
        shape=f"{_TOPIC_SHAPE}, or empty",
        help="Where received messages and delivery reports are published, with their texts; empty for nowhere. What "
        "comes while the broker is away is in the inbox alone.",
        title="Topic for what is received",
    )
    most_in_hand: int = integer(
        default=0,
        minimum=0,
        maximum=64,
        help="How many messages may be in hand at once; 0 is two for each modem and two more.",
    )
    timeout_ms: int = integer(
        default=5_000, minimum=500, maximum=120_000, unit="ms", help="How long the broker may take to answer."
    )
    reconnect_delay_ms: int = integer(
        default=1_000,
        minimum=100,
        maximum=600_000,
        unit="ms",
        help="How long to wait before the first new attempt; each further one waits longer, up to a minute or this.",
    )
    refresh_s: int = integer(
        default=0,
        minimum=0,
        maximum=86_400,
        unit="s",
        help="How often the connection is made anew while all is well; 0 is never.",
        title="Refresh connection",
    )
    tls_verify: bool = boolean(
        default=True,
        help="The broker must have a certificate that is vouched for, with the name of the host. Off, anybody in "
        "between can read and change the messages.",
        title="Check the certificate",
    )
    ca_certificate: str = certificate(
        help="Who vouches for the broker, as PEM; empty for the authorities that the system knows.",
        title="CA certificate",
    )
    client_certificate: str = certificate(
        help="What this device shows to a broker that asks for it, as PEM.", title="Client certificate"
    )
    client_key: str = private_key(help="The key of the client certificate, as PEM.", title="Client key")

    def check(self) -> dict[str, str]:
        """See `Section.check`."""
        wrong = {}
        if self.topic == self.received_topic:
            # What is published there would come back as a request.
            wrong["received_topic"] = "must be another topic"
        if bool(self.client_certificate) != bool(self.client_key):
            missing = "client_key" if self.client_certificate else "client_certificate"
            wrong[missing] = "give certificate and key, or none"
        return wrong

    @property
    def is_durable(self) -> bool:
        """Whether a message is taken from the broker only when its outcome is final."""
        return self.mode == DURABLE

    @property
    def timeout_s(self) -> float:
        """How long the broker may take to answer."""
        return self.timeout_ms / 1000

    @property
    def dead_topic(self) -> str:
        """Where messages go that nothing can be done with."""
        return f"{self.topic}.dead"


class AmqpSettings(Connection, key="amqp", title="RabbitMQ", reset_flag="RESET_SUBSCRIBER_AMQP"):
    """Messages from RabbitMQ, or another broker that speaks AMQP 0-9-1."""

    mode: str = _mode(
        "the queue is gone when the broker restarts, as publishers of OTP-Publisher expect it.",
        "the queue and its messages survive a restart of the broker.",
    )
    port: int = integer(default=5672, minimum=1, maximum=65535, help="5672, or 5671 with SSL.")
    username: str = text(
        default=_GUEST,
        help="User name at the broker; guest is mostly let in from the broker's own machine only.",
    )
    password: str = secret(
        default="", help="Password at the broker; empty for that of guest, which is guest as well."
    )
    virtual_host: str = text(default="/", help="Virtual host of the broker.")

    @property
    def login_password(self) -> str:
        """What is sent as password: that of guest is known, and no secret has a default."""
        return self.password or (_GUEST if self.username == _GUEST else "")


class MqttSettings(Connection, key="mqtt", title="Mosquitto", reset_flag="RESET_SUBSCRIBER_MQTT"):
    """Messages from Mosquitto, or another MQTT broker."""

    mode: str = _mode(
        "what is published while the device is away is lost.",
        "the broker keeps what is published while the device is away; publish with QoS 1.",
    )
    port: int = integer(default=1883, minimum=1, maximum=65535, help="1883, or 8883 with SSL.")
    version: str = choice(
        {"3.1.1": "3.1.1", "5": "5"},
        default="5",
        help="Version of MQTT that the broker speaks.",
        title="Version",
    )
    client_id: str = text(
        default="",
        pattern=r"[A-Za-z0-9._-]{0,64}",
        shape="at most 64 letters, digits and . _ -",
        help="Name of this device at the broker, of which there may be one only; empty for the device's own. The group "
        "is added to it.",
        title="Client ID",
    )
    qos: str = choice(
        {"0": "0: at most once", "1": "1: at least once", "2": "2: exactly once"},
        default="1",
        help="QoS of the subscription in the compatible mode. The durable mode always has 1: with 2 a message would "
        "be gone from the broker before it is sent, and what comes twice is recognised here.",
        title="QoS",
    )
    share_group: str = text(
        default="",
        pattern=r"[A-Za-z0-9._-]{0,64}",
        shape="at most 64 letters, digits and . _ -",
        help="Devices of the same group divide the messages among them, with MQTT 5; empty, each gets all. Mosquitto "
        "deals its part to a device that is away as well, and keeps it for that device alone: where another is to "
        "finish the work of one that died, use a queue of RabbitMQ, Redis or ActiveMQ.",
        title="Group of devices",
    )
    session_h: int = integer(
        default=24,
        minimum=1,
        maximum=720,
        unit="h",
        help="For how long the broker keeps messages for a device that is away, with MQTT 5; with 3.1.1 the broker has "
        "a setting for that.",
        title="Keep for",
    )

    def check(self) -> dict[str, str]:
        """See `Section.check`."""
        wrong = super().check()
        if self.share_group and self.version != "5":
            wrong["share_group"] = "needs version 5"
        return wrong


class RedisSettings(Connection, key="redis", title="Redis", reset_flag="RESET_SUBSCRIBER_REDIS"):
    """Messages from Redis."""

    mode: str = _mode(
        "PUBLISH and SUBSCRIBE; what is published while the device is away is lost.",
        "a stream of this name (XADD, field json), read by a group; nothing is lost. What is done is deleted from the "
        "stream, unless another group reads it as well.",
    )
    port: int = integer(default=6379, minimum=1, maximum=65535, help="6379 as a rule.")
    username: str = text(default="", help="ACL user; empty for the default user.")
    database: int = integer(
        default=0, minimum=0, maximum=1023, help="Number of the database of the stream; channels are in none."
    )
    group: str = text(
        default="otppi",
        pattern=r"[A-Za-z0-9._-]{1,64}",
        shape="1 to 64 letters, digits and . _ -",
        help="Consumer group of the stream. Devices of the same group divide the messages among them.",
        title="Group of devices",
    )
    consumer: str = text(
        default="",
        pattern=r"[A-Za-z0-9._-]{0,64}",
        shape="at most 64 letters, digits and . _ -",
        help="Name of this device in the group, of which there may be one only; empty for the device's own.",
        title="Consumer",
    )


class StompSettings(Connection, key="stomp", title="STOMP", reset_flag="RESET_SUBSCRIBER_STOMP"):
    """Messages from a broker that speaks STOMP, such as RabbitMQ with its plugin."""

    mode: str = _mode(
        "/topic/NAME; what is published while the device is away is lost.", "/queue/NAME; nothing is lost."
    )
    port: int = integer(default=61613, minimum=1, maximum=65535, help="61613, or 61614 with SSL.")
    virtual_host: str = text(
        default="/", help="Virtual host of the broker; / for RabbitMQ. Others mostly do not look at it."
    )


class ActiveMqSettings(Connection, key="activemq", title="ActiveMQ", reset_flag="RESET_SUBSCRIBER_ACTIVEMQ"):
    """Messages from ActiveMQ, over its STOMP connector."""

    mode: str = _mode(
        "/topic/NAME; what is published while the device is away is lost.", "/queue/NAME; nothing is lost."
    )
    port: int = integer(
        default=61613,
        minimum=1,
        maximum=65535,
        help="61613, the STOMP connector. The usual 61616 speaks OpenWire, which only Java clients do.",
    )
    client_id: str = text(
        default="",
        pattern=r"[A-Za-z0-9._-]{0,64}",
        shape="at most 64 letters, digits and . _ -",
        help="Client ID at the broker; empty for none.",
        title="Client ID",
    )
    time_to_live_ms: int = integer(
        default=60_000,
        minimum=1_000,
        maximum=86_400_000,
        unit="ms",
        help="How long an answer waits at the broker for whoever asked.",
        title="Time to live",
    )


class WsSettings(Connection, key="ws", title="WebSocket", reset_flag="RESET_SUBSCRIBER_WS"):
    """Messages from a WSMessageBroker, such as `otppi ws-broker`."""

    mode: str = choice(
        {COMPATIBLE: "compatible: as older publishers expect"},
        default=COMPATIBLE,
        help="The broker keeps nothing: what is published while the device is away is lost.",
        title="Mode",
    )
    port: int = integer(default=9000, minimum=1, maximum=65535, help="9000 as a rule; 443 with SSL.")
    path: str = text(
        default="/",
        pattern=r"/[A-Za-z0-9._~/?=&%-]{0,200}",
        shape="a path such as /ws",
        help="Path of the address; the topic is added to it.",
    )
