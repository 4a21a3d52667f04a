"""Dynu by user name and password: https://www.dynu.com/DynamicDNS/IP-Update-Protocol; by API v2 see `dynu_v2`."""

from dataclasses import replace

from otppi.ddns import nic, wire
from otppi.ddns.outcome import Address, Next, Outcome
from otppi.ddns.providers import dynu_v2
from otppi.ddns.settings import V2, A, DdnsRecord, DynuSettings

_WHOLE_NAME = (
    "At Dynu a name such as toko.freeddns.org is a domain: enter it whole as the domain, and @ as the name. Check this "
    "on the page Dynamic DNS; nothing is sent until then."
)
_CODES = {
    **nic.CODES,
    # Dynu answers badauth for a domain that it does not know, too.
    "badauth": replace(
        nic.BADAUTH,
        finding="user name or password is wrong, or the domain is not in the account",
        advice=_WHOLE_NAME,
        stops_account=False,
    ),
    "nohost": replace(nic.NOHOST, advice=_WHOLE_NAME),
    "unknown": Outcome(
        next=Next.STOPPED,
        word="unknown",
        finding="the vendor does not understand what it was asked",
        advice=_WHOLE_NAME,
    ),
    "servererror": replace(wire.OWN_TROUBLE, word="servererror", wait_s=nic.HALF_AN_HOUR_S, is_wish=True),
}


def update(account: DynuSettings, record: DdnsRecord, address: Address) -> Outcome:
    """See `Provider`."""
    if account.api_version == V2:
        return dynu_v2.update(account, record, address)
    # What is not said of the other kind of address, Dynu takes from where the question comes from.
    mine, other = ("myip", "myipv6") if record.type == A else ("myipv6", "myip")
    query = {"hostname": record.zone.lower(), mine: str(address), other: "no"}
    if record.host != query["hostname"]:
        query["alias"] = record.host.removesuffix(f".{query['hostname']}")
    return nic.update(account, record, address, query=query, codes=_CODES)
