"""What an owner may set about time."""

import re
from collections.abc import Mapping
from functools import cache
from ipaddress import ip_address
from types import MappingProxyType
from zoneinfo import available_timezones

from otppi.settings.fields import boolean, choice, integer, listing, text
from otppi.settings.section import Section

# RFC 1123, 2.1: letters, digits and hyphens, no hyphen at either end of a label.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_LONGEST_HOST_NAME = 253
_MOST_SERVERS = 8

# The longest time between two questions; None where nobody is asked.
INTERVALS_S: Mapping[str, int | None] = MappingProxyType(
    {"never": None, "1 h": 3600, "6 h": 6 * 3600, "12 h": 12 * 3600, "daily": 24 * 3600}
)


class ClockSettings(Section, key="clock", title="Date and time"):
    """How the device knows what time it is."""

    time_zone: str = text(
        default="Asia/Jakarta",
        pattern=r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}",
        shape="a zone such as Asia/Jakarta",
        help="Zone in which times are shown and scheduled.",
    )
    ntp_enabled: bool = boolean(
        title="Time from the network",
        default=True,
        help="Time servers are asked; off, the clock is set by hand.",
    )
    ntp_server: tuple[str, ...] = listing(
        title="Time servers",
        default=("pool.ntp.org",),
        item_pattern=r"[A-Za-z0-9.:-]{1,253}",
        item_shape="a host name or an address",
        help="Where the time is asked for: host names or addresses, the first that answers counts.",
    )
    ntp_interval: str = choice(
        {"never": "never", "1 h": "1 hour", "6 h": "6 hours", "12 h": "12 hours", "daily": "1 day"},
        default="6 h",
        title="Longest pause between two questions",
        help="How long the device may go without asking for the time. After a start it asks every minute or so, "
        "and ever more rarely as the answers agree. Never: the time is not taken from the network.",
    )
    rtc_bus: int = integer(
        title="I2C bus of the real-time clock",
        default=1,
        minimum=-1,
        maximum=63,
        help="Number of the I2C bus of the real-time clock; -1 looks for it.",
    )

    @property
    def asks_network(self) -> bool:
        """Whether time is taken from the network at all."""
        return self.ntp_enabled and INTERVALS_S[self.ntp_interval] is not None

    def check(self) -> dict[str, str]:
        """See `Section`."""
        errors = {}
        if self.time_zone not in zones():
            errors["time_zone"] = "there is no such zone; write it like Asia/Jakarta"
        wrong = [name for name in self.ntp_server if not is_server(name)]
        if wrong:
            errors["ntp_server"] = f"{', '.join(wrong)}: neither a host name nor an address"
        elif len(self.ntp_server) > _MOST_SERVERS:
            errors["ntp_server"] = f"must not be more than {_MOST_SERVERS}"
        elif self.asks_network and not self.ntp_server:
            errors["ntp_server"] = "is required while the time is taken from the network"
        return errors


@cache
def zones() -> frozenset[str]:
    """Return the names of all zones that the system knows."""
    return frozenset(available_timezones())


def is_server(name: str) -> bool:
    """Return whether this can be the host name or the address of a time server."""
    if re.fullmatch(r"[0-9.]+", name) or ":" in name:
        return _is_address(name)
    return len(name) <= _LONGEST_HOST_NAME and _HOST_NAME.fullmatch(name) is not None


def _is_address(name: str) -> bool:
    try:
        return not ip_address(name).is_unspecified
    except ValueError:
        return False
