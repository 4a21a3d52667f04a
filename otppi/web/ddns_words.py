"""How pages tell of dynamic DNS: the vendors, the public address, and the names that follow it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from otppi.web.site import Visit
from otppi.web.words import N_


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """Who keeps names, and where one finds what the account's form asks for."""

    title: str
    where: tuple[str, ...]  # one step each
    link: str = ""  # the vendor's page that shows it


# By the keys of their sections.
VENDORS: Mapping[str, Vendor] = MappingProxyType(
    {
        "cloudflare": Vendor(
            title="Cloudflare",
            where=(
                N_("Log in at Cloudflare and open “My Profile”, then “API Tokens”."),
                N_("Press “Create Token” and choose the template “Edit zone DNS”."),
                N_(
                    "Its permission is Zone, DNS, Edit. Under “Zone Resources” choose your domain alone: then the "
                    "token opens nothing else."
                ),
                N_("Copy the token to here at once: Cloudflare shows it only this time."),
            ),
            link="https://dash.cloudflare.com/profile/api-tokens",
        ),
        "noip": Vendor(
            title="No-IP",
            where=(
                N_("Make the name at No-IP first."),
                N_(
                    "Make a DDNS key for it, or for a group with all names that this device keeps: No-IP shows a "
                    "user name and a password that are good for these alone. Put them in here."
                ),
                N_("User name and password of the account do as well, as long as No-IP still takes them."),
                N_("Give your e-mail address: No-IP blocks devices that do not tell whom it can write to."),
            ),
            link="https://my.noip.com/",
        ),
        "dynu": Vendor(
            title="Dynu",
            where=(
                N_("Make the name at Dynu first: control panel, “DDNS Services”."),
                N_(
                    "User name and password are those that you log in with; a password for updates alone can be set "
                    "in the control panel, and is safer."
                ),
                N_("For API v2 take the API key from “API Credentials” of the control panel."),
            ),
            link="https://www.dynu.com/en-US/ControlPanel",
        ),
        "afraid": Vendor(
            title="FreeDNS (afraid.org)",
            where=(
                N_("Make the name at FreeDNS first: “Subdomains”."),
                N_(
                    "The page “Dynamic DNS” there shows an update address for each name. The letters behind “/u/” "
                    "are its token: put that into the form of the name here. It opens this name alone."
                ),
                N_("Names without a token are updated with user name and password of the account."),
            ),
            link="https://freedns.afraid.org/dynamic/v2/",
        ),
        "dyndns2": Vendor(
            title=N_("Another vendor (dyndns2)"),
            where=(
                N_(
                    "Most vendors speak this protocol. Look in the vendor's help for “dyndns2”, “update address” or "
                    "“router settings”."
                ),
                N_(
                    "Its address goes into “Endpoint” without what stands behind the question mark; user name and "
                    "password are those for updates."
                ),
            ),
        ),
    }
)
# What an address is called, by the type of the records that hold it.
FAMILIES: Mapping[str, str] = MappingProxyType({"A": "IPv4", "AAAA": "IPv6"})


@dataclass(frozen=True, kw_only=True)
class _State:
    level: str  # of `parts.badge`
    title: str
    advice: str = ""  # if nothing better is known


_STATES: Mapping[str, _State] = MappingProxyType(
    {
        "done": _State(level="good", title=N_("up to date")),
        "waiting": _State(
            level="note",
            title=N_("waiting"),
            advice=N_("Nothing to do: the vendor is told as soon as the public address is known."),
        ),
        "later": _State(
            level="warn", title=N_("is tried again"), advice=N_("Nothing to do: it is tried again by itself.")
        ),
        "stopped": _State(
            level="bad",
            title=N_("stopped"),
            advice=N_(
                "Look at the settings of the name and at the account of its vendor, then press “Update now”."
            ),
        ),
        "off": _State(level="off", title=N_("switched off")),
    }
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """One name in the words of the page."""

    record: Mapping[str, Any]
    level: str
    state: str
    finding: str
    advice: str
    path: str
    vendor: str
    account_path: str


@dataclass(frozen=True, kw_only=True)
class PublicAddress:
    """What is known of one of the two public addresses."""

    family: str
    address: str
    finding: str
    advice: str
    at: str
    by_broker: bool  # whether message brokers are the way instead


def card(visit: Visit, record: Mapping[str, Any]) -> Card:
    """Describe one record of "ddns.list"."""
    said, state = visit.words.said, _STATES[record["state"]]
    finding = said(record["finding"])
    return Card(
        record=record,
        level=state.level,
        state=visit.words(state.title),
        finding=finding[:1].upper() + finding[1:],
        advice=said(record["advice"] or state.advice),
        path=path_of(record["id"]),
        vendor=visit.words(VENDORS[record["provider"]].title),
        account_path=account_path(record["provider"]),
    )


def public_addresses(visit: Visit, told: Mapping[str, Mapping[str, Any]]) -> list[PublicAddress]:
    """Describe "address" of "ddns.list"."""
    words = visit.words
    return [
        PublicAddress(
            family=family,
            address=told[kind]["address"] or "",
            finding=words.said(told[kind]["finding"]),
            advice=words.said(told[kind]["advice"]),
            at=words.moment(told[kind]["at"]),
            by_broker="broker" in told[kind]["advice"],
        )
        for kind, family in FAMILIES.items()
    ]


def path_of(record_id: str) -> str:
    """Return the address of a name's page."""
    return f"/ddns/records/{quote(record_id, safe='')}"


def account_path(vendor: str) -> str:
    """Return the address of the page of an account."""
    return f"/ddns/{vendor}"
