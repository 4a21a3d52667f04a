"""Any other vendor that speaks the protocol of DynDNS: https://help.dyn.com/perform-update/."""

from otppi.ddns import nic
from otppi.ddns.outcome import Address, Outcome
from otppi.ddns.settings import DdnsRecord, Dyndns2Settings


def update(account: Dyndns2Settings, record: DdnsRecord, address: Address) -> Outcome:
    """See `Provider`."""
    return nic.update(account, record, address)
