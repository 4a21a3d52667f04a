"""The time zone as a list to choose from, with those of Indonesia first."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from otppi.web.forms import Field
from otppi.web.site import Visit
from otppi.web.words import N_

_INDONESIAN: Mapping[str, str] = MappingProxyType(
    {
        "Asia/Jakarta": N_("Western Indonesia (WIB): Jakarta"),
        "Asia/Pontianak": N_("Western Indonesia (WIB): Pontianak"),
        "Asia/Makassar": N_("Central Indonesia (WITA): Makassar"),
        "Asia/Jayapura": N_("Eastern Indonesia (WIT): Jayapura"),
    }
)


def offered(visit: Visit, fields: Iterable[Field]) -> list[Field]:
    """Return the fields, `clock.time_zone` among them as a choice where the device can list its zones."""
    zones = visit.call("clock.zones") if visit.can("clock.zones") else []
    if not zones:
        return list(fields)
    return [_as_choice(visit, one, zones) if one.name == "clock.time_zone" else one for one in fields]


def _as_choice(visit: Visit, field: Field, zones: Iterable[str]) -> Field:
    names = tuple(dict.fromkeys((*_INDONESIAN, *zones, str(field.value))))
    titles = tuple(visit.words(_INDONESIAN[one]) if one in _INDONESIAN else one for one in names)
    of_no_language = frozenset(names).difference(_INDONESIAN)
    return replace(field, kind="choice", choices=names, choice_titles=titles, names=of_no_language, limits="")
