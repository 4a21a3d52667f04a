"""What is known of a modem."""

from dataclasses import dataclass
from enum import StrEnum


class ModemState(StrEnum):
    """What a modem is doing, in words that a person understands."""

    ABSENT = "absent"  # its port does not exist or cannot be opened
    STARTING = "starting"  # being identified and set up
    SIM_BLOCKED = "SIM needs attention"  # no SIM, or one that waits for a PIN, a PUK or a person
    READY = "ready"
    SILENT = "silent"  # it owes an answer for longer than it may


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a modem told about itself and its SIM; empty where it did not say."""

    manufacturer: str = ""
    model: str = ""
    revision: str = ""
    imei: str = ""
    imsi: str = ""
    iccid: str = ""
    operator: str = ""
    sms_center: str = ""


@dataclass(frozen=True, kw_only=True)
class Signal:
    """Signal strength as `AT+CSQ` reports it (3GPP TS 27.007, 8.5)."""

    csq: int
    bit_error_rate: int

    @property
    def rssi_dbm(self) -> int:
        """Received power."""
        return 2 * self.csq - 113

    @property
    def condition(self) -> str:
        """The word of the old product for it."""
        if self.csq < 10:
            return "Marginal"
        if self.csq < 15:
            return "OK"
        return "Good" if self.csq < 20 else "Excellent"


@dataclass(frozen=True, kw_only=True)
class ModemStatus:
    """A modem as it stands at one moment."""

    id: str
    name: str
    port: str
    state: ModemState
    reason: str = ""
    active: bool = True
    api_enabled: bool = True
    is_default: bool = False
    prefixes: tuple[str, ...] = ()
    internet_access: bool = False
    identity: Identity = Identity()
    signal: Signal | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it can be given a message now."""
        return self.active and self.state is ModemState.READY
