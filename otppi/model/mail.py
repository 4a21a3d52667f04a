"""E-mail accounts as they stand, and masked addresses."""

from dataclasses import dataclass
from enum import StrEnum

from otppi.model.quota import NO_QUOTA, Quota
from otppi.model.tariff import UNKNOWN_TARIFF, Tariff

DIRECT = "direct"  # in the place of an account's id: straight to the servers of the receiver's domain


class MailState(StrEnum):
    """Whether an e-mail account takes messages."""

    READY = "ready"
    RESTING = "resting"  # something failed; it is tried again by itself in a moment
    FAILED = "failed"  # somebody has to look at its settings, though it is tried now and then
    OFF = "off"  # not active


@dataclass(frozen=True, kw_only=True)
class MailAccountStatus:
    """An e-mail account as it stands at one moment."""

    id: str
    name: str
    state: MailState
    reason: str = ""  # the server's own words where it said any
    quota: Quota = NO_QUOTA  # in messages
    rest_s: float = 0.0  # for how long it is not tried; 0 if it may be
    is_busy: bool = False  # all its connections are in use

    @property
    def counted_as(self) -> str:
        """What its messages are counted under."""
        return f"email {self.id}"

    @property
    def tariff(self) -> Tariff:
        """Nobody charges for an e-mail."""
        return UNKNOWN_TARIFF

    @property
    def is_ready(self) -> bool:
        """Whether it can be given a message."""
        return self.state is MailState.READY
