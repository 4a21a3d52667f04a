"""What the old product's settings of e-mail and dynamic DNS are called here, and what they mean."""

import re
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from otppi.ddns.settings import (
    V2,
    AfraidSettings,
    CloudflareSettings,
    DdnsRecord,
    DynuSettings,
    NoIpSettings,
    VendorSettings,
)
from otppi.mail.settings import PLAIN, SSL, STARTTLS, EmailAccountSettings
from otppi.services.old_device import files
from otppi.services.old_device.reading import (
    OF_COURSE,
    Note,
    Raw,
    To,
    Translation,
    if_given,
    read_fields,
    unless_zero,
)
from otppi.settings.fields import NotAccepted
from otppi.settings.paths import ONLY
from otppi.settings.section import Section
from otppi.submission.settings import SubmissionSettings

_SSL_PORT = "465"
_MINUTES_A_DAY = 24 * 60
_DYNU_HOST, _DYNU_V2_ENDPOINT = "api.dynu.com", "https://api.dynu.com/v2"
_LIMIT = EmailAccountSettings.declared["limit_per_day"].default
_INTERVALS: Final = DdnsRecord.declared["every_minutes"]
_NUMBERS: Final = re.compile(r"(\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([0-9]{1,2}))?")
_NO_IDS: Final = frozenset({"", "new", ".", ".."})  # none that can stand in the address of a page
_ANY_DAY: Final = frozenset({"*", "?"})

_STAYS_OFF = (
    "it stays as it is here: the old server let everybody in and threw away what it took; the new one wants the name "
    "and password of an API user"
)
_PLAIN = (
    "neither SSL nor STARTTLS was on, so it goes on without encryption: choose one when the server has it"
)


def _https(endpoint: object) -> object:
    given = str(if_given(endpoint)).strip()
    return f"https://{given[7:]}" if given.lower().startswith("http://") else given


def _here(address: object) -> object:
    return "127.0.0.1" if address == "localhost" else if_given(address)


def _vendor(section: type[VendorSettings], **more: To) -> Mapping[str, To]:
    return {"endpoint": To(section, "endpoint", _https), "active": To(section, "active"), **more}


def _with_password(section: type[VendorSettings], **more: To) -> Mapping[str, To]:
    return _vendor(
        section,
        username=To(section, "username"),
        password=To(section, "password", if_given),
        company=To(section, "company"),
        email=To(section, "email"),
        **more,
    )


# The settings of files that are there once.
MAIL_AND_NAMES: Final[Mapping[str, Mapping[str, To | str]]] = MappingProxyType(
    {
        files.SMTP: {
            "softwareName": To(SubmissionSettings, "software_name", if_given),
            "serverName": To(SubmissionSettings, "server_name"),
            "serverAddress": To(SubmissionSettings, "server_address", _here),
            "serverPort": To(SubmissionSettings, "server_port", unless_zero),
            "active": _STAYS_OFF,
        },
        files.CLOUDFLARE: _vendor(
            CloudflareSettings,
            accountId=To(CloudflareSettings, "account_id"),
            authEmail=To(CloudflareSettings, "auth_email"),
            authApiKey=To(CloudflareSettings, "auth_api_key", if_given),
            authToken=To(CloudflareSettings, "auth_token", if_given),
        ),
        files.NOIP: _with_password(NoIpSettings),
        files.AFRAID: _with_password(AfraidSettings),
        files.DYNU: _with_password(
            DynuSettings,
            apiVersion=To(DynuSettings, "api_version", if_given),
            apiKey=To(DynuSettings, "api_key", if_given),
        ),
    }
)
_ACCOUNT: Final[Mapping[str, To | str]] = MappingProxyType(
    {
        "host": To(EmailAccountSettings, "host"),
        "port": To(EmailAccountSettings, "port", unless_zero),
        "auth": To(EmailAccountSettings, "auth"),
        "senderAddress": To(EmailAccountSettings, "sender_address"),
        "senderName": To(EmailAccountSettings, "sender_name"),
        "senderPassword": To(EmailAccountSettings, "password", if_given),
        "active": To(EmailAccountSettings, "active"),
        **dict.fromkeys(("id", "name", "ssl", "startTLS"), OF_COURSE),
    }
)
_RECORD: Final[Mapping[str, To | str]] = MappingProxyType(
    {
        "zone": To(DdnsRecord, "zone"),
        "recordName": To(DdnsRecord, "record_name"),
        "type": To(DdnsRecord, "type"),
        "provider": To(DdnsRecord, "provider"),
        "ttl": To(DdnsRecord, "ttl", unless_zero),
        "proxied": To(DdnsRecord, "proxied"),
        "forceCreateZone": To(DdnsRecord, "force_create_zone"),
        "active": To(DdnsRecord, "active"),
        **dict.fromkeys(("id", "cronExpression", "lastUpdate", "nextValid"), OF_COURSE),
    }
)


def mend_dynu_endpoint(result: Translation) -> None:
    """Give the second version of Dynu's API the address that it has by now."""
    values = result.raw.get(DynuSettings, {}).get(ONLY, {})
    is_of_dynu = urlsplit(str(values.get("endpoint"))).hostname == _DYNU_HOST
    if is_of_dynu and str(values.get("api_version")).lower() == V2:
        values["endpoint"] = _DYNU_V2_ENDPOINT


def email_account(result: Translation, key: str, old: Mapping[str, Any]) -> tuple[type[Section], str, Raw]:
    """Return an account; the old product's logged in by the address of the sender.

    Raises:
        NotAccepted: It cannot be told from another, or how it was encrypted.
    """
    address = str(old.get("senderAddress") or "").strip()
    account_id, name = str(old.get("id") or key or address), str(old.get("name") or address).strip()[:60]
    known = result.raw.get(EmailAccountSettings, {})
    if account_id in known:
        raise NotAccepted("has the id of another")
    if name in {one["name"] for one in known.values()}:
        name = f"{name[:30]} ({str(old.get('host') or '')[:25]})"
    security = _security(result, name, old)
    read = read_fields(result, files.EMAIL, old, _ACCOUNT, item=name).get(EmailAccountSettings, {})
    if not known:
        reason = f"the old product had no limit; here an account sends {_LIMIT} a day until you change it"
        result.left.append(Note(files.EMAIL, "limit_per_day", reason))
    return EmailAccountSettings, account_id, {"name": name, "active": False, **security, **read}


def _security(result: Translation, name: str, old: Mapping[str, Any]) -> Raw:
    is_on = EmailAccountSettings.declared["auth"].read
    try:
        ssl, starttls = is_on(old.get("ssl", False)), is_on(old.get("startTLS", False))
    except NotAccepted as error:
        raise NotAccepted("ssl and startTLS must be true or false") from error
    if ssl and starttls:
        ssl = str(old.get("port")) == _SSL_PORT
    if not ssl and not starttls:
        result.left.append(Note(files.EMAIL, f"{name}: startTLS", _PLAIN))
        return {"security": PLAIN, "allow_insecure": True}
    return {"security": SSL if ssl else STARTTLS}


def ddns_record(result: Translation, key: str, old: Mapping[str, Any]) -> tuple[type[Section], str, Raw]:
    """Return a record.

    Raises:
        NotAccepted: It does not say of what name, or at whom, or cannot be told from another.
    """
    name = str(old.get("recordName") or old.get("zone") or key)
    read = read_fields(result, files.DDNS, old, _RECORD, item=name).get(DdnsRecord, {})
    wanted = {"zone", "record_name", "provider", *({"type"} & old.keys())}
    if not wanted <= read.keys():
        raise NotAccepted("is of no use without its zone, name, type and provider")
    interval = _interval(result, f"{name}: cronExpression", old.get("cronExpression"))
    record_id = str(old.get("id") or key)
    if record_id in _NO_IDS or "/" in record_id:
        # The same at each reading, so that nothing is taken over twice.
        record_id = uuid.uuid5(uuid.NAMESPACE_DNS, f"{name} {read['zone']} {read.get('type')}").hex
    if record_id in result.raw.get(DdnsRecord, {}):
        raise NotAccepted("has the id of another")
    return DdnsRecord, record_id, {"active": False, **interval, **read}


def _interval(result: Translation, where: str, cron: object) -> Raw:
    """Return the interval that is nearest to how often it was a day."""
    if not cron:
        return {}
    try:
        seconds, minutes, hours, *days = str(cron).split()
        moments = {60 * hour + minute for hour in _numbers(hours, 24) for minute in _numbers(minutes, 60)}
    except ValueError:
        result.unclear.append(Note(files.DDNS, where, "is no time as Quartz writes it"))
        return {}
    every = _MINUTES_A_DAY / len(moments)
    nearest, title = min(
        zip(_INTERVALS.choices, _INTERVALS.choice_titles, strict=True),
        key=lambda one: abs(int(one[0]) - every),
    )
    is_even = {(moment + int(nearest)) % _MINUTES_A_DAY for moment in moments} == moments
    if not (is_even and every == int(nearest) and seconds.isdecimal() and set(days) <= _ANY_DAY):
        result.left.append(
            Note(files.DDNS, where, f"there is no such interval; the nearest is taken: {title}")
        )
    return {"every_minutes": nearest}


def _numbers(field: str, count: int) -> set[int]:
    """Return what a field of a Quartz expression stands for, of so many numbers from 0 on.

    Raises:
        ValueError: It is no such field.
    """
    found = set[int]()
    for one in field.split(","):
        match = _NUMBERS.fullmatch(one)
        if match is None:
            raise ValueError(field)
        whole, first, last, step = match.groups()
        is_open = whole == "*" or (step and not last)
        end = count - 1 if is_open else int(last or first)
        found.update(range(int(first or 0), end + 1, int(step or 1)))
    if not found or not found <= set(range(count)):
        raise ValueError(field)
    return found
