"""Dynu by API v2: https://www.dynu.com/Support/API."""

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from otppi.ddns import nic, wire
from otppi.ddns.outcome import Address, Next, Outcome
from otppi.ddns.settings import A, DdnsRecord, DynuSettings

_ENDPOINT = "https://api.dynu.com/v2"
# What a domain has of its own; Dynu takes for empty what is not sent.
_OF_A_DOMAIN = (
    "name", "group", "ipv4Address", "ipv6Address", "ttl", "ipv4", "ipv6", "ipv4WildcardAlias", "ipv6WildcardAlias",
    "allowZoneTransfer", "dnssec",
)  # fmt: skip
_OF_A_RECORD = ("nodeName", "recordType", "ttl", "state", "group")
_LEFT_TO_DYNU = 1
# What its exceptions of these types have as their status.
_AUTHENTICATION, _ARGUMENT, _QUOTA = 401, 501, 503
_ROOT = "/dns/getroot/"
_HOUR_S = 3600.0
_LOGIN = Outcome(
    next=Next.STOPPED,
    finding="Dynu does not accept the API key, or user name and password of its API",
    advice="Copy them from Dynu's control panel, API Credentials, to the page Dynamic DNS; nothing is sent until then.",
    stops_account=True,
)
_SEVERAL = replace(nic.CODES["numhost"], word="")


def update(account: DynuSettings, record: DdnsRecord, address: Address) -> Outcome:
    """See `Provider`."""
    try:
        _Api(account, record).update(address)
    except wire.Ended as end:
        return end.outcome
    except wire.MALFORMED:
        return wire.NOT_KNOWN
    return nic.GOOD


def endpoint(account: DynuSettings) -> str:
    """Return where API v2 is asked, also if the account still has the usual endpoint of the other interface."""
    return _ENDPOINT if account.endpoint == DynuSettings().endpoint else account.endpoint.rstrip("/")


class _Api:
    def __init__(self, account: DynuSettings, record: DdnsRecord) -> None:
        self._account = account
        self._record = record
        self._endpoint = endpoint(account)
        self._agent = wire.user_agent(account.company, account.email)
        self._proof = {"API-Key": account.api_key} if account.api_key else self._token()

    def update(self, address: Address) -> None:
        """Raises `Ended` if it did not work."""
        host, kind = self._record.host, self._record.type
        field = "ipv4Address" if kind == A else "ipv6Address"
        root = self._ask(f"{_ROOT}{quote(host)}")
        domain = f"/dns/{int(root['id'])}"
        if str(root.get("domainName", "")).lower() == host:
            found = self._ask(domain)
            kept = {name: found[name] for name in _OF_A_DOMAIN if name in found}
            switched_on = "ipv4" if kind == A else "ipv6"
            self._ask(domain, kept | {field: str(address), switched_on: True})
            return
        rows = self._ask(f"/dns/record/{quote(host)}?recordType={kind}").get("dnsRecords") or []
        if len(rows) > 1:
            raise wire.Ended(_SEVERAL)
        if rows:
            kept = {name: rows[0][name] for name in _OF_A_RECORD if name in rows[0]}
            self._ask(f"{domain}/record/{int(rows[0]['id'])}", kept | {field: str(address), "state": True})
            return
        node = host.removesuffix(f".{root.get('domainName', self._record.zone)}".lower())
        made = {"nodeName": node, "recordType": kind, "state": True, "group": "", field: str(address)}
        if self._record.ttl != _LEFT_TO_DYNU:
            made["ttl"] = self._record.ttl
        self._ask(f"{domain}/record", made)

    def _token(self) -> dict[str, str]:
        self._proof = {"Authorization": wire.basic(self._account.username, self._account.password)}
        return {"Authorization": f"Bearer {self._ask('/oauth2/token').get('access_token', '')}"}

    def _ask(self, path: str, document: object = None) -> dict[str, Any]:
        answer = wire.ask(
            self._endpoint + path,
            agent=self._agent,
            method="GET" if document is None else "POST",
            headers=self._proof,
            document=document,
        )
        found = answer.document()
        if found is None or answer.status == 429:
            raise wire.Ended(wire.unread(answer, self._account, self._record))
        # What went wrong stands in the object itself or in one of its own.
        trouble = found.get("exception") or found
        status = int(trouble.get("statusCode") or answer.status)
        if 200 <= status < 300:
            return found
        raise wire.Ended(self._refused(path, status, trouble))

    def _refused(self, path: str, status: int, trouble: dict[str, Any]) -> Outcome:
        word = wire.said(
            f"{trouble.get('type', '')}: {trouble.get('message', '')}", self._account, self._record
        )
        if status == _AUTHENTICATION:
            return replace(_LOGIN, word=word)
        if status == _QUOTA:
            return replace(wire.TOO_OFTEN, word=word, wait_s=_HOUR_S)
        if status >= 500 and status != _ARGUMENT:
            return replace(wire.OWN_TROUBLE, word=word, wait_s=nic.HALF_AN_HOUR_S)
        if path.startswith(_ROOT):
            return replace(nic.NOHOST, word=word)
        return replace(wire.NOT_KNOWN, word=word)
