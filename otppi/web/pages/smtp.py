"""The local SMTP server: whether it listens, how programs use it, and its settings."""

import ipaddress

from otppi.model.errors import OtpPiError
from otppi.web import sheets
from otppi.web.site import Response, Visit, get

_PATH, _SECTION = "/smtp", "smtp"
_MOST_USERS = 3


def show(visit: Visit) -> Response:
    """Show the server, and to an owner what may be set."""
    return _drawn(visit)


def _drawn(visit: Visit, error: OtpPiError | None = None) -> Response:
    server, is_owner = visit.call("smtp.show"), visit.can("settings.set")
    is_direct = server["delivery"] == "direct"
    return visit.page(
        "smtp.html",
        status=200 if error is None else error.status,
        title=visit.words("Local SMTP server"),
        server=server,
        host=_host(visit, server["address"]),
        is_encrypted=server["requires_tls"],
        users=_users(visit) if is_owner else [],
        is_direct=is_direct,
        has_way=is_direct or any(one["active"] for one in visit.call("email_account.list")),
        sheet=sheets.draw(visit, (_SECTION,), error) if is_owner else None,
    )


def _host(visit: Visit, address: str) -> str:
    """Return what programs enter as the host: what reached these pages, unless it listens on one address alone."""
    try:
        is_every = ipaddress.ip_address(address).is_unspecified
    except ValueError:  # of settings that are older than their check
        is_every = False
    return visit.host if is_every else address


def _users(visit: Visit) -> list[str]:
    accounts = visit.call("account.list", section="api_users")
    return [one["user"] for one in accounts if one["active"] and not one["blocked"]][:_MOST_USERS]


ROUTES = (get(_PATH, show), *sheets.saving(_PATH, _SECTION, _drawn))
