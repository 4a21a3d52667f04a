"""What is known of a modem."""

from dataclasses import dataclass
from enum import StrEnum

from otppi.model.quota import NO_QUOTA, Quota
from otppi.model.tariff import UNKNOWN_TARIFF, Tariff


class ModemState(StrEnum):
    """What a modem is doing, in words that a person understands."""

    ABSENT = "absent"  # its port does not exist or cannot be opened
    STARTING = "starting"  # being identified and set up, or a person works on it
    PIN_NEEDED = "PIN needed"
    PUK_BLOCKED = "PUK blocked"
    SIM_BLOCKED = "SIM needs attention"  # there is none, or it is locked to another network or device
    SEARCHING = "searching"  # it has its SIM and no network
    READY = "ready"
    BUSY = "busy"  # a message is in its hand; the next one may wait for it
    HUNG = "hung"  # it owes an answer for longer than it may
    RECOVERING = "recovering"  # it hung, and is brought back step by step
    FAILED = "failed"  # nothing of that helped; it is tried on, and a person should look
    RESTING = "resting"  # a vendor does not take messages now; it is asked again after a while


class Registration(StrEnum):
    """Whether the network has the modem (3GPP TS 27.007, 7.2)."""

    HOME = "registered"
    ROAMING = "registered, roaming"
    SEARCHING = "searching for a network"
    DENIED = "denied by the network"
    IDLE = "not registered and not searching"
    UNKNOWN = "unknown"

    @property
    def is_registered(self) -> bool:
        """Whether messages can be sent."""
        return self in (Registration.HOME, Registration.ROAMING)

    @property
    def forbids_messages(self) -> bool:
        """Whether it is sure that messages cannot be sent; a modem that does not tell may be registered."""
        return not self.is_registered and self is not Registration.UNKNOWN


class SimState(StrEnum):
    """What the SIM waits for (3GPP TS 27.007, 8.3)."""

    READY = "ready"
    ABSENT = "no SIM card"
    PIN_NEEDED = "PIN needed"
    PUK_NEEDED = "PUK needed"
    LOCKED = "locked to another network or device"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class PinTries:
    """How often a code may still be entered wrongly; None where the modem does not tell."""

    pin: int
    puk: int | None = None


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


def is_another_sim(known: str, told: str) -> bool:
    """Whether an ICCID is surely not the known one; an empty one tells nothing.

    What a modem adds to an ICCID, or leaves out, is at its end: a check digit, a filler (ITU-T E.118).
    """
    return not (known.startswith(told) or told.startswith(known))


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


# Ends the reason of a modem whose SIM may forgive only one more wrong PIN.
LEFT_TO_A_PERSON = "left to a person"


@dataclass(frozen=True, kw_only=True)
class ModemStatus:
    """A modem, or an account at a vendor, as it stands at one moment."""

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
    is_vendor: bool = False  # messages leave by a vendor: there is no port, no SIM and no USSD
    is_last_resort: bool = False  # only for what no other can send
    tariff: Tariff = UNKNOWN_TARIFF
    quota: Quota = NO_QUOTA
    identity: Identity = Identity()
    signal: Signal | None = None
    registration: Registration = Registration.UNKNOWN
    # How full the store of received messages is, up to 1; None if it is not known.
    store_fill: float | None = None
    # The ends of two ICCIDs if the SIM is another than the settings were made for: that one's and this one's.
    swapped_sim: tuple[str, str] | None = None

    @property
    def counted_as(self) -> str:
        """What its messages are counted under: its SIM, or itself while that is not known."""
        return self.identity.iccid or self.id

    @property
    def in_words(self) -> str:
        """Its state, with the reason."""
        return f"{self.state.value}: {self.reason}" if self.reason else self.state.value

    @property
    def is_ready(self) -> bool:
        """Whether it can be given a message."""
        return self.active and self.state in (ModemState.READY, ModemState.BUSY)
