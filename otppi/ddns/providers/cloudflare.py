"""Cloudflare by API v4: https://developers.cloudflare.com/api/resources/dns/subresources/records/."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from otppi.ddns import nic, wire
from otppi.ddns.outcome import Address, Next, Outcome
from otppi.ddns.settings import CloudflareSettings, DdnsRecord

_ZONES = "/zones"
_PENDING = "pending"  # where the domain is registered nobody knows of Cloudflare yet
_NO_ZONE = Outcome(
    next=Next.STOPPED,
    finding="the token or key finds no such zone",
    advice="Check the domain, and that the token has the permission Zone, DNS, Edit for it. If the domain is not at "
    "Cloudflare yet, add it there or tick Create the zone.",
)
_SEVERAL_ZONES = Outcome(
    next=Next.STOPPED,
    finding="several accounts have this zone",
    advice="Enter the account ID on the page Dynamic DNS.",
)
_NO_ACCOUNT_ID = Outcome(
    next=Next.STOPPED,
    finding="the account ID is needed to create the zone",
    advice="Enter it on the page Dynamic DNS; Cloudflare shows it on the overview of the account.",
)
_SEVERAL_RECORDS = replace(nic.CODES["numhost"], word="")
_LOGIN = Outcome(
    next=Next.STOPPED,
    finding="Cloudflare does not accept the token, or e-mail and key",
    advice="At Cloudflare under My Profile, API Tokens, make a token from the template Edit zone DNS for this zone, "
    "without a filter of addresses, and enter it on the page Dynamic DNS; nothing is sent until then.",
    stops_account=True,
)
_PERMISSION = Outcome(
    next=Next.STOPPED,
    finding="Cloudflare does not let the token or key do this",
    advice="The token needs the permission Zone, DNS, Edit for this zone, to create zones also Zone, Zone, Edit, and "
    "no filter of addresses. Change it at Cloudflare under My Profile, API Tokens, then start the update on the page "
    "Dynamic DNS.",
)
_ROUTE = Outcome(
    next=Next.STOPPED,
    finding="Cloudflare does not know the address or the ID that it is asked by",
    advice="Check endpoint and account ID on the page Dynamic DNS.",
)
_CNAME = Outcome(
    next=Next.STOPPED,
    finding="the name has another entry at Cloudflare that stands in the way, such as a CNAME",
    advice="Delete that entry at Cloudflare, then start the update on the page Dynamic DNS.",
)
_INVALID = Outcome(
    next=Next.STOPPED,
    finding="Cloudflare does not accept the name or the TTL",
    advice="Correct name, domain and TTL on the page Dynamic DNS.",
)
_ZONE_TAKEN = Outcome(
    next=Next.STOPPED,
    finding="another account at Cloudflare has this zone",
    advice="Use the token of that account on the page Dynamic DNS.",
)
_NO_DOMAIN = Outcome(
    next=Next.STOPPED,
    finding="Cloudflare does not take this domain",
    advice="Check that the domain is registered and none of the free ones, and correct it on the page Dynamic DNS.",
)
# Cloudflare publishes no list. Witnesses: what users of its own clients (cloudflare-go, its Terraform provider), of
# cloudflare-ddns, ddns-go, certbot and octodns have reported, with the message.
_ERRORS: Mapping[int, Outcome] = {
    0: _PERMISSION,  # requires permission 'com.cloudflare.api.account.zone.list' to list zones
    1000: _LOGIN,  # Invalid API Token
    1001: _ROUTE,  # Invalid zone identifier
    1004: _INVALID,  # DNS Validation Error
    1038: _NO_DOMAIN,  # You cannot use this API for domains with a .cf, .ga, .gq, .ml, or .tk TLD
    1049: _NO_DOMAIN,  # is not a registered domain
    1061: _ZONE_TAKEN,  # already exists
    1068: _PERMISSION,  # Permission denied
    6003: _LOGIN,  # Invalid request headers, such as a token of a wrong form
    7000: _ROUTE,  # No route for that URI
    7003: _ROUTE,  # Could not route to /zones/..., perhaps your object identifier is invalid?
    9021: _INVALID,  # Invalid TTL
    9103: _LOGIN,  # Unknown X-Auth-Key or X-Auth-Email
    9106: _LOGIN,  # Missing X-Auth-Key, X-Auth-Email or Authorization headers
    9107: _LOGIN,  # Missing X-Auth-Email header
    9109: _PERMISSION,  # Invalid access token; Unauthorized to access requested resource; from location
    10000: _PERMISSION,  # Authentication error
    10001: _LOGIN,  # Unable to authenticate request
    81053: _CNAME,  # An A, AAAA, or CNAME record with that host already exists
    81054: _CNAME,  # A CNAME record with that host already exists
    81057: nic.NOCHG,  # The record already exists
    81058: nic.NOCHG,  # An identical record already exists
}
# On the way to the zones these two say that the token itself is no good.
_OF_THE_TOKEN = (9109, 10000)


def update(account: CloudflareSettings, record: DdnsRecord, address: Address) -> Outcome:
    """See `Provider`."""
    try:
        return _Api(account, record).update(address)
    except wire.Ended as end:
        return end.outcome
    except wire.MALFORMED:
        return wire.NOT_KNOWN


class _Api:
    def __init__(self, account: CloudflareSettings, record: DdnsRecord) -> None:
        self._account = account
        self._record = record
        self._agent = wire.user_agent()
        self._proof = (
            {"Authorization": f"Bearer {account.auth_token}"}
            if account.auth_token
            else {"X-Auth-Email": account.auth_email, "X-Auth-Key": account.auth_api_key}
        )

    def update(self, address: Address) -> Outcome:
        """Raises `Ended` if it did not work."""
        zone = self._zone()
        outcome = self._tell(str(zone["id"]), address)
        if zone.get("status") != _PENDING or not zone.get("name_servers"):
            return outcome
        name_servers = wire.said(", ".join(map(str, zone["name_servers"])), self._account, self._record)
        return replace(
            outcome,
            finding="the name has its address, but the domain does not lead to Cloudflare yet",
            advice=f"Enter these name servers where the domain is registered: {name_servers}",
        )

    def _tell(self, zone: str, address: Address) -> Outcome:
        records = f"{_ZONES}/{zone}/dns_records"
        wanted = {"type": self._record.type, "name": self._record.host}
        rows = self._ask(records, query=wanted)
        if len(rows) > 1:
            return _SEVERAL_RECORDS
        if not rows:
            made = wanted | {
                "content": str(address),
                "ttl": self._record.ttl,
                "proxied": self._record.proxied,
            }
            self._ask(records, method="POST", document=made)
        elif rows[0]["content"] == str(address):
            return nic.NOCHG
        else:
            # TTL and proxying stay as they are: whoever has changed them there wanted that.
            document = {"content": str(address)}
            self._ask(f"{records}/{rows[0]['id']}", method="PATCH", document=document)
        return nic.GOOD

    def _zone(self) -> dict[str, Any]:
        """Return the zone, which is made if it is not there and that is wanted."""
        account_id, name = self._account.account_id, self._record.zone.lower()
        found = self._ask(_ZONES, query={"name": name})
        if len(found) > 1:
            found = [one for one in found if one["account"]["id"] == account_id]
            if len(found) != 1:
                raise wire.Ended(_SEVERAL_ZONES)
        if found:
            return dict(found[0])
        if not self._record.force_create_zone:
            raise wire.Ended(_NO_ZONE)
        if not account_id:
            raise wire.Ended(_NO_ACCOUNT_ID)
        document = {"name": name, "account": {"id": account_id}, "type": "full"}
        return dict(self._ask(_ZONES, method="POST", document=document))

    def _ask(
        self,
        path: str,
        *,
        method: str = "GET",
        query: Mapping[str, str] | None = None,
        document: object = None,
    ) -> Any:  # noqa: ANN401 - a list or an object, as the function has it
        answer = wire.ask(
            self._account.endpoint.rstrip("/") + path,
            agent=self._agent,
            method=method,
            query=query,
            headers=self._proof,
            document=document,
        )
        found = answer.document()
        if found is None or "success" not in found or answer.status == 429:
            raise wire.Ended(wire.unread(answer, self._account, self._record))
        if found["success"]:
            return found["result"]
        first = found["errors"][0]
        if answer.status >= 500:
            raise wire.Ended(wire.unread(answer, self._account, self._record))
        outcome = _ERRORS.get(first["code"], _LOGIN if answer.status == 401 else wire.NOT_KNOWN)
        if first["code"] in _OF_THE_TOKEN and path == _ZONES and method == "GET":
            outcome = _LOGIN
        word = wire.said(f"{first['code']}: {first['message']}", self._account, self._record)
        raise wire.Ended(outcome if outcome is nic.NOCHG else replace(outcome, word=word))
