"""What a vendor of dynamic DNS said, and what follows."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from otppi.ddns.settings import DdnsRecord, VendorSettings

Address = IPv4Address | IPv6Address


class Next(StrEnum):
    """What follows from an answer."""

    DONE = "done"  # the vendor has the address
    LATER = "later"  # tried again by itself
    STOPPED = "stopped"  # not tried again until somebody has changed a setting, or presses the button


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one update; no field holds anything of the account.

    Attributes:
        next: What follows.
        word: What the vendor said, such as `nochg`; at most 200 printable characters; empty if it was not reached.
        finding: What that means, as a sentence's beginning in plain words.
        advice: What the owner can do; empty if nothing has to be done.
        wait_s: With `LATER`: the least time before the vendor is asked again.
        is_wish: With `LATER`: whether the vendor itself wants that time, so that nobody's button ends it.
        stops_account: With `STOPPED`: whether every record of this vendor stops, because it is about the account.
    """

    next: Next
    word: str = ""
    finding: str
    advice: str = ""
    wait_s: float = 300.0
    is_wish: bool = False
    stops_account: bool = False


class Provider(Protocol):
    """One vendor; a module of `otppi.ddns.providers` has this function."""

    def update(self, account: VendorSettings, record: DdnsRecord, address: Address) -> Outcome:
        """Tell the vendor the address of a record; waits for the vendor, at most a minute for each question.

        Never raises for what the network or the vendor does: that is an outcome.
        """
        ...
