"""Forms of whole sections of settings: saved whole or not at all, and drawn again with what was wrong."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from otppi.model.errors import OtpPiError
from otppi.web import forms
from otppi.web.forms import Field
from otppi.web.site import Response, Route, Visit, post

# What hardly anybody has to touch is folded away.
_OF_BROKERS = frozenset(
    {
        "received_topic",
        "most_in_hand",
        "timeout_ms",
        "reconnect_delay_ms",
        "refresh_s",
        "tls_verify",
        "ca_certificate",
        "client_certificate",
        "client_key",
    }
)
FOLDED: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("amqp", "redis", "stomp", "ws"), _OF_BROKERS),
    "activemq": _OF_BROKERS | {"client_id", "time_to_live_ms"},
    "mqtt": _OF_BROKERS | {"client_id", "session_h"},
    "admin": frozenset({"host", "names"}),
    "api": frozenset(
        {
            "host",
            "otp_path",
            "message_path",
            "sms_path",
            "email_path",
            "blocking_path",
            "unblocking_path",
            "threads",
            "max_body_bytes",
            "metrics_access",
        }
    ),
    "bell": frozenset({"gpio_pin", "tempo", "octave"}),
    "clock": frozenset({"rtc_bus"}),
    "cloudflare": frozenset({"endpoint", "account_id", "auth_email", "auth_api_key"}),
    "noip": frozenset({"endpoint", "company"}),
    "dynu": frozenset({"company", "email"}),
    "afraid": frozenset({"endpoint", "token_endpoint", "company", "email"}),
    "dyndns2": frozenset({"company", "email"}),
    "dhcp": frozenset(
        {
            "domain_name",
            "domain_name_servers",
            "router",
            "netmask",
            "subnet_mask",
            "domain_name_servers_address",
            "default_lease_s",
            "max_lease_s",
        }
    ),
    "email": frozenset({"idle_s"}),
    "ethernet": frozenset({"interface"}),
    "firewall": frozenset(
        {
            "admin_connections_per_minute",
            "admin_burst",
            "api_connections_per_second",
            "api_burst",
            "log_dropped",
        }
    ),
    "general": frozenset({"modems_inspect_s", "imei_writing", "expiration_offset_ms"}),
    "inbox": frozenset({"incomplete_after_min"}),
    "network": frozenset({"confirm_s"}),
    "otp": frozenset(
        {
            "max_life_s",
            "receiver_limit",
            "receiver_window_s",
            "receiver_hour_limit",
            "user_limit",
            "address_limit",
        }
    ),
    "sms": frozenset(
        {
            "time_critical_life_s",
            "overtake_after_s",
            "answer_limit_s",
            "longest_wait_s",
            "ussd_timeout_s",
            "ussd_session_s",
        }
    ),
    "smtp": frozenset({"software_name", "server_name", "max_message_kb", "messages_per_minute"}),
    "vendor_api": frozenset({"host", "requests_per_minute"}),
    "wlan": frozenset({"interface", "wpa3", "band", "channel", "country", "forwarding"}),
}
# What leaves no choice is not shown.
UNUSED: Mapping[str, frozenset[str]] = {"ws": frozenset({"mode"})}
# Fields of this name and a setting's tell what stood there when the form was drawn.
DRAWN = "drawn."
# A ticked box of this name and the secret's puts nothing in the place of the secret.
FORGET = "forget."


@dataclass(frozen=True, kw_only=True)
class DrawnSection:
    """One section of a form."""

    key: str
    title: str
    description: str
    fields: Sequence[Field]
    folded: Sequence[Field]
    drawn: Mapping[str, str]  # hidden fields: what nobody changed in the form is not saved

    @property
    def is_open(self) -> bool:
        """Whether something is wrong with what is folded away."""
        return any(one.error for one in self.folded)


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A form of several sections."""

    sections: Sequence[DrawnSection]
    problems: Sequence[str]  # what is wrong with no field of this form


@dataclass(frozen=True)
class Group:
    """Settings that stand together in the form of one of many."""

    key: str
    title: str
    names: tuple[str, ...]
    is_folded: bool = False


@dataclass(frozen=True, kw_only=True)
class DrawnGroup:
    """The same in a form."""

    group: Group
    fields: Sequence[Field]

    @property
    def is_open(self) -> bool:
        """Whether it is seen without unfolding it."""
        return not self.group.is_folded or any(one.error for one in self.fields)


@dataclass(frozen=True, kw_only=True)
class GroupedForm:
    """A form of one of many, its fields in groups."""

    groups: Sequence[DrawnGroup]
    problems: Sequence[str]  # what is wrong with no field of this form


def save(visit: Visit, sections: Iterable[str]) -> Sequence[str]:
    """Save what was changed in the posted form, and return the sections that are not as before.

    What somebody else changed since the form was drawn stays.
    """
    form, values = visit.form_items(), {}
    for section in sections:
        described = visit.call("settings.describe", section=section)
        names = shown_names(section, described)
        start = f"{section}."
        given = {name.removeprefix(start): one for name, one in form.items() if name.startswith(start)}
        drawn = _drawn(visit, section, described)
        for name, value in forms.read(described, given, names).items():
            if _plain(value) != drawn.get(start + name, ""):
                values[start + name] = value
        values |= {start + name: "" for name in names if form.get(f"{FORGET}{start}{name}")}
    return list(visit.call("settings.set", values=values)) if values else []


def draw(visit: Visit, sections: Iterable[str], error: OtpPiError | None = None) -> Sheet:
    """Draw sections; with an error as they were typed, each reason beside its field."""
    errors = visit.place_errors(error) if error is not None else {}
    drawn, shown = [], set[str]()
    for section in sections:
        described = visit.call("settings.describe", section=section)
        fields = _fields(visit, section, described, errors, is_typed=error is not None)
        folded = {f"{section}.{name}" for name in FOLDED.get(section, ())}
        shown |= {one.name for one in fields}
        drawn.append(
            DrawnSection(
                key=section,
                title=visit.words.said(described["title"]),
                description=visit.words.said(described["description"]),
                fields=[one for one in fields if one.name not in folded],
                folded=[one for one in fields if one.name in folded],
                drawn={f"{DRAWN}{name}": value for name, value in _drawn(visit, section, described).items()},
            )
        )
    problems = [_elsewhere(visit, place, reason) for place, reason in errors.items() if place not in shown]
    return Sheet(sections=drawn, problems=problems)


def shown_names(section: str, described: Mapping[str, Any]) -> list[str]:
    """Return the names of the settings of a section that pages show."""
    return [name for name in forms.names_in(described) if name not in UNUSED.get(section, ())]


def _drawn(visit: Visit, section: str, described: Mapping[str, Any]) -> dict[str, str]:
    """Return what stood in the fields when the posted form was drawn, else what stands there now; no secrets."""
    form = visit.form_items()
    return {
        one.name: _plain(form.get(f"{DRAWN}{one.name}", _written(one)))
        for one in _fields(visit, section, described)
        if one.kind not in ("secret", "password", "private_key")
    }


def _fields(
    visit: Visit,
    section: str,
    described: Mapping[str, Any],
    errors: Mapping[str, str] | None = None,
    *,
    is_typed: bool = False,
) -> list[Field]:
    return forms.fields_of(
        described,
        visit.call("settings.get", path=section),
        visit.words,
        names=shown_names(section, described),
        prefix=f"{section}.",
        given=visit.form_items() if is_typed else None,
        errors=errors,
    )


def _written(field: Field) -> str:
    """Return what a form that nobody touched sends of a field."""
    if field.kind == "boolean":
        return "true" if field.value else "false"
    return str(field.value)


def _plain(text: str) -> str:
    """Return a value without what browsers make of it."""
    return text.replace("\r\n", "\n").strip()


def _elsewhere(visit: Visit, place: str, reason: str) -> str:
    """Return a reason with the title of the setting that it is about."""
    section, _, rest = place.partition(".")
    try:
        described = visit.call("settings.describe", section=section)
    except OtpPiError:
        return reason
    name = rest.rpartition(".")[2]
    setting = next((one["title"] for one in described["settings"] if one["name"] == name), "")
    where = [visit.words.said(one) for one in (described["title"], setting) if one]
    return visit.words("{where}: {reason}", where=", ".join(where), reason=reason)


def saving(path: str, section: str, drawn: Callable[[Visit, OtpPiError], Response]) -> tuple[Route, Route]:
    """Return the routes that save a page of one section and that put it back to its factory values.

    Args:
        path: The page.
        section: What it shows.
        drawn: Draws it again with what was refused.
    """

    def keep(visit: Visit) -> Response:
        try:
            changed = save(visit, (section,))
        except OtpPiError as error:
            return drawn(visit, error)
        text = visit.words("Saved.") if changed else visit.words("There was nothing to change.")
        return visit.redirect(path, text)

    def reset(visit: Visit) -> Response:
        visit.call("settings.reset", section=section)
        return visit.redirect(path, visit.words("These settings are as they came from the factory."))

    return post(path, keep), post(f"{path}/reset", reset)


def item_fields(
    visit: Visit,
    section: str,
    values: Mapping[str, Any],
    names: Sequence[str],
    errors: Mapping[str, str] | None,
) -> list[Field]:
    """Return the fields of one of many; what was posted stands in them again if there are errors."""
    return forms.fields_of(
        visit.call("settings.describe", section=section),
        values,
        visit.words,
        names=names,
        given=visit.form_items() if errors is not None else None,
        errors=errors,
    )


def grouped(
    visit: Visit,
    section: str,
    values: Mapping[str, Any],
    groups: Iterable[Group],
    errors: Mapping[str, str] | None,
    explained: Collection[str] = (),
) -> GroupedForm:
    """Draw the form of one of many; what was posted stands in it again if there are errors.

    Args:
        visit: Who asks.
        section: What it is one of.
        values: The present ones; empty for a new one.
        groups: Its settings, in their order.
        errors: Reasons by names of settings.
        explained: Settings that the page explains itself.
    """
    drawn = []
    for group in groups:
        fields = item_fields(visit, section, values, group.names, errors)
        fields = [replace(one, help="", limits="") if one.name in explained else one for one in fields]
        drawn.append(DrawnGroup(group=group, fields=fields))
    shown = {field.name for one in drawn for field in one.fields}
    return GroupedForm(
        groups=drawn, problems=[text for name, text in (errors or {}).items() if name not in shown]
    )
