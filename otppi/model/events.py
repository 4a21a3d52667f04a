"""What may happen, as told on the bus. No event holds a message text, a code or an unmasked number."""

from dataclasses import dataclass
from enum import StrEnum

from otppi.model.brokers import BrokerState
from otppi.model.mail import MailState
from otppi.model.modems import ModemState
from otppi.model.received_pdu import ReportOutcome


class Channel(StrEnum):
    """By what way a message goes to its receiver."""

    SMS = "sms"
    EMAIL = "email"


class Outcome(StrEnum):
    """What became of a message at one modem or account."""

    SENT = "sent"
    FAILED = "failed"  # surely not sent
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class MessageTaken:
    """A modem, or an account, begins with a message; `MessageFinished` follows, with the same id."""

    message_id: str
    modem_id: str  # or the account's, as is the name
    modem_name: str
    door: str
    user: str
    masked_number: str  # of e-mail, the masked address
    channel: Channel = Channel.SMS


@dataclass(frozen=True, kw_only=True)
class MessageFinished:
    """A modem, or an account, is done with a message, one way or another."""

    message_id: str  # as in `SmsReceipt` and `MailReceipt`
    modem_id: str  # or the account's, as is the name
    modem_name: str
    door: str
    user: str
    masked_number: str  # of e-mail, the masked address
    parts: int
    outcome: Outcome
    reason: str = ""
    duration_s: float = 0.0  # from the moment the modem took it
    late: bool = False  # the answer came after the outcome had been called unknown
    tag: str = ""  # see `Origin`
    channel: Channel = Channel.SMS


@dataclass(frozen=True, kw_only=True)
class SmsReceived:
    """A message is in the inbox; its text is there and not here.

    Comes once more, under the same id, when the missing parts of an incomplete message have come after all, or if the
    service died before the SIM's copy was deleted.
    """

    message_id: str  # empty if received messages are not kept
    modem_id: str
    masked_sender: str  # a name is not masked
    parts: int
    is_complete: bool = True


@dataclass(frozen=True, kw_only=True)
class DeliveryReported:
    """The network said what became of a message, or never will; comes once for each message."""

    message_id: str
    modem_id: str  # that sent it
    masked_number: str
    outcome: ReportOutcome
    status: int | None = None  # TP-ST of the part that decided (TS 23.040, 9.2.3.15); None if no report came


@dataclass(frozen=True, kw_only=True)
class ModemStateChanged:
    """A modem, or an account at a vendor, came, went, became ready or fell silent."""

    modem_id: str
    modem_name: str
    state: ModemState
    reason: str = ""
    is_vendor: bool = False


@dataclass(frozen=True, kw_only=True)
class BalanceLow:
    """A SIM, or an account at a vendor, was asked for its balance and has too little left, or not for long."""

    modem_id: str
    modem_name: str
    amount: str
    valid_until: str  # as an ISO date; empty if the operator did not say
    reason: str
    is_vendor: bool = False


@dataclass(frozen=True, kw_only=True)
class RequestAnswered:
    """A command was answered at a door."""

    door: str
    command: str
    code: str
    duration_s: float


@dataclass(frozen=True, kw_only=True)
class SettingsChanged:
    """A section was saved; readers ask the store for the new one."""

    section: str


@dataclass(frozen=True, kw_only=True)
class DeviceNotice:
    """A piece of hardware came or went."""

    kind: str  # serial, storage, network or rtc
    name: str  # of the kernel, such as ttyUSB0
    node: str  # the device file, or empty
    description: str  # maker and model as the device tells them; no serial number, no MAC address
    is_present: bool


@dataclass(frozen=True, kw_only=True)
class ModemLearned:
    """A modem told what its settings do not have yet; empty where they do."""

    modem_id: str
    imei: str = ""
    iccid: str = ""  # of the SIM in it


@dataclass(frozen=True, kw_only=True)
class MailAccountChanged:
    """An e-mail account became ready, rests, or needs somebody's attention."""

    account_id: str
    account_name: str
    state: MailState
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DdnsChanged:
    """A name was given another address, or cannot be, or stopped being tried."""

    host: str
    finding: str
    advice: str = ""
    is_failure: bool = False


@dataclass(frozen=True, kw_only=True)
class BrokerLost:
    """The connection to a broker ended and was not wanted to."""

    broker: str  # amqp, mqtt, redis, stomp, activemq or ws
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class BrokerStateChanged:
    """A subscriber connects, is connected, or waits before it tries again."""

    broker: str  # as in `BrokerLost`
    state: BrokerState
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class HostStrained:
    """The board is in need: too hot, too little voltage or memory; or it is over."""

    what: str  # temperature, voltage or memory
    finding: str
    is_over: bool = False


@dataclass(frozen=True, kw_only=True)
class ResetByStick:
    """A USB stick with a reset file was looked at."""

    sections: tuple[str, ...]  # titles of what was reset
    refusal: str = ""  # why nothing was


@dataclass(frozen=True, kw_only=True)
class NetworkOnTrial:
    """A change of the network waits for its confirmation, or was confirmed or taken back."""

    state: str  # trying, confirmed or taken back
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class JobChanged:
    """Long work began, got on or ended; what came of it is asked for."""

    job_id: str
    state: str  # waiting, running, done or failed
    title: str = ""
