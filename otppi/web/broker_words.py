"""How pages tell of the connections to message brokers."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from otppi.model.brokers import BrokerState
from otppi.web.site import Visit
from otppi.web.words import N_

# Level of `parts.badge` and the word.
STATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        BrokerState.OFF.value: ("off", N_("switched off")),
        BrokerState.CONNECTING.value: ("note", N_("connecting")),
        BrokerState.CONNECTED.value: ("good", N_("connected")),
        BrokerState.WAITING.value: ("bad", N_("not connected")),
    }
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """One broker in the words of the page."""

    broker: Mapping[str, Any]
    level: str
    state: str
    reason: str
    since: str  # when it began to be so; empty while it is off
    path: str


def card(visit: Visit, broker: Mapping[str, Any]) -> Card:
    """Describe one entry of "broker.list"."""
    words = visit.words
    level, state = STATES[broker["state"]]
    reason = words.said(broker["reason"])
    return Card(
        broker=broker,
        level=level,
        state=words(state),
        reason=f"{reason} ({broker['detail']})" if broker["detail"] else reason,
        since=words.duration(broker["since_s"]) if "since_s" in broker else "",
        path=f"/brokers/{broker['name']}",
    )
