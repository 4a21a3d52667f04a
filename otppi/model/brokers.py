"""How it stands with a connection to a message broker."""

from enum import StrEnum


class BrokerState(StrEnum):
    """Where a subscriber is."""

    OFF = "off"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"  # not connected; it tries again before long
