"""When and how the buzzer sounds."""

from datetime import time

from otppi.settings.fields import boolean, choice, integer, text
from otppi.settings.section import Section

# GPIO numbers of the documentation; the others belong to I2C (2, 3), UART and what the board needs itself.
_PINS = (0, 1, 4, 7, 8, 9, 10, 11, 14, 15, 17, 18, 21, 22, 23, 24, 25, 26, 27)
_TIME = r"(([01][0-9]|2[0-3]):[0-5][0-9])?"
_TIME_SHAPE = "a time such as 22:00, or empty"


class BellSettings(Section, key="bell", title="Bell"):
    """What makes the buzzer sound."""

    sms_failure: bool = boolean(
        default=True,
        help="A message could not be sent, or its modem never said what became of it.",
        title="SMS failure",
    )
    modem_failure: bool = boolean(
        default=True, help="A modem hangs and could not be brought back by itself.", title="Modem failure"
    )
    balance_low: bool = boolean(
        default=True, help="A SIM has little credit left, or not for long.", title="Balance low"
    )
    amqp_disconnected: bool = boolean(default=True, help="RabbitMQ is lost.", title="AMQP disconnected")
    mqtt_disconnected: bool = boolean(default=True, help="Mosquitto is lost.", title="MQTT disconnected")
    redis_disconnected: bool = boolean(default=True, help="Redis is lost.")
    activemq_disconnected: bool = boolean(
        default=True, help="ActiveMQ is lost.", title="ActiveMQ disconnected"
    )
    stomp_disconnected: bool = boolean(
        default=True, help="The STOMP broker is lost.", title="STOMP disconnected"
    )
    ws_disconnected: bool = boolean(
        default=True, help="The WebSocket server is lost.", title="WebSocket disconnected"
    )
    quiet_from: str = text(
        default="22:00",
        pattern=_TIME,
        shape=_TIME_SHAPE,
        help="From then on nothing sounds but a factory reset and the test; empty for no quiet hours.",
    )
    quiet_until: str = text(
        default="06:00", pattern=_TIME, shape=_TIME_SHAPE, help="The end of the quiet hours."
    )
    gpio_pin: str = choice(
        tuple(map(str, _PINS)),
        default="26",
        help="The GPIO number that the passive buzzer is at.",
        title="GPIO pin",
    )
    tempo: int = integer(
        default=80, minimum=40, maximum=300, unit="/min", help="Beats in a minute; more is faster."
    )
    octave: int = integer(default=-2, minimum=-3, maximum=2, help="More is a higher tone.")

    def check(self) -> dict[str, str]:
        """See `Section.check`."""
        if bool(self.quiet_from) != bool(self.quiet_until):
            return {"quiet_until" if self.quiet_from else "quiet_from": "give both times, or none"}
        return {}

    @property
    def pin(self) -> int:
        """The GPIO number."""
        return int(self.gpio_pin)

    def rings_for(self, broker: str) -> bool:
        """Whether the loss of a broker is heard."""
        return bool(getattr(self, f"{broker}_disconnected", False))

    def is_quiet(self, at: time) -> bool:
        """Whether a time of day is within the quiet hours; equal ends are none."""
        if not self.quiet_from:
            return False
        begin, end = time.fromisoformat(self.quiet_from), time.fromisoformat(self.quiet_until)
        return begin <= at < end if begin <= end else at >= begin or at < end
