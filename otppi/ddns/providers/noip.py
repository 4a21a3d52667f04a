"""No-IP: https://www.noip.com/integrate/request and /response."""

from otppi.ddns import nic
from otppi.ddns.outcome import Address, Outcome
from otppi.ddns.settings import DdnsRecord, NoIpSettings


def update(account: NoIpSettings, record: DdnsRecord, address: Address) -> Outcome:
    """See `Provider`."""
    return nic.update(account, record, address)
